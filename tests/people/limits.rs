//! Whoever a limit applies to is told what is left, on every answer: `RateLimit` and `RateLimit-Policy`. Each limit that strangers and uploads meet;
//! those of calls, streams and played calls are tested where these are.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Database, Node, send},
    people::{PASSWORD, company, person, post},
    sign_in::login,
};

/// What an answer says of a limit: how many are allowed, in how many seconds; how many are left, and in how many seconds there are more.
fn limit(answer: &Answer, policy: &str) -> (i64, Option<i64>, i64, Option<i64>) {
    let of = |header: &str| {
        let text = answer.header(header).unwrap_or_else(|| panic!("no {header}: {} {}", answer.status, answer.text()));
        let item = text.split(", ").find(|item| item.starts_with(&format!("\"{policy}\";")));
        item.unwrap_or_else(|| panic!("nothing about {policy}: {text}")).to_owned()
    };
    let number = |item: &str, name: &str| {
        let value = item.split(';').find_map(|part| part.strip_prefix(&format!("{name}=")))?;
        Some(value.parse::<i64>().unwrap())
    };
    let (allowed, left) = (of("RateLimit-Policy"), of("RateLimit"));
    (number(&allowed, "q").unwrap(), number(&allowed, "w"), number(&left, "r").unwrap(), number(&left, "t"))
}

/// Asks until it is refused; each answer has less left than the one before, and the refusal none.
async fn used_up(policy: &str, allowed: (i64, i64), mut ask: impl AsyncFnMut() -> Answer) {
    let (quota, window) = allowed;
    for n in 1..=quota {
        let answer = ask().await;
        assert!(answer.status < 429, "{policy} {n}: {} {}", answer.status, answer.text());
        let (q, w, left, _) = limit(&answer, policy);
        assert_eq!((q, w, left), (quota, Some(window), quota - n), "{policy} {n}");
    }
    let refused = ask().await;
    assert_eq!(refused.status, 429, "{policy}: {}", refused.text());
    let (q, w, left, reset) = limit(&refused, policy);
    assert_eq!((q, w, left), (quota, Some(window), 0), "{policy}");
    let wait = refused.header("Retry-After").unwrap().parse::<i64>().unwrap();
    assert!((1..=window).contains(&wait) && (1..=window).contains(&reset.unwrap()), "{policy}: {wait} {reset:?}");
}

#[actix_web::test]
async fn wrong_passwords_say_how_many_more_there_may_be() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "ada@acme.test").await;
    let right = login(&node, "ada@acme.test", PASSWORD).await;
    assert_eq!((right.status, right.header("RateLimit")), (200, None), "whoever signs in meets no limit");
    used_up("sign-ins", (5, 86_400), async || login(&node, "ada@acme.test", "a wrong password").await).await;
    // Of an account that nobody has, the same.
    used_up("sign-ins", (5, 86_400), async || login(&node, "nobody@acme.test", "a wrong password").await).await;
    node.stop().await;
}

#[actix_web::test]
async fn invalid_links_say_how_many_more_there_may_be() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut n = 0;
    let guess = async || {
        n += 1;
        // What links and refresh tokens hold counts together.
        let path = if n % 2 == 0 { "/v1/auth/reset-password" } else { "/v1/auth/verify-email" };
        post(&node, path, json!({ "token": format!("guess{n}"), "password": PASSWORD })).await
    };
    used_up("links", (30, 3600), guess).await;
    node.stop().await;
}

#[actix_web::test]
async fn invalid_keys_say_how_many_more_there_may_be_and_valid_ones_nothing() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let ask = async || node.api_with("GET", "/v1/tenants", &[("X-API-Key", "dpk_guess")], Value::Null).await;
    used_up("keys", (30, 3600), ask).await;
    let valid = node.api("GET", "/v1/tenants", Value::Null).await;
    assert_eq!((valid.status, valid.header("RateLimit")), (200, None));
    node.stop().await;
}

#[actix_web::test]
async fn sign_ups_and_forgotten_passwords_say_how_many_more_there_may_be() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    // A refused sign-up counts as well.
    let sign_up = async || {
        let mut new = company("ada@acme.test", "acme.test");
        new["region"] = json!("moon");
        post(&node, "/v1/auth/register", new).await
    };
    used_up("sign-ups", (30, 3600), sign_up).await;
    let forgot = async || post(&node, "/v1/auth/forgot-password", json!({ "email": "nobody@acme.test" })).await;
    used_up("forgotten", (100, 3600), forgot).await;
    node.stop().await;
}

#[actix_web::test]
async fn uploads_say_how_many_more_may_run_at_once() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/phone-numbers/bulk?tenant_id={tenant}");
    let made = send(node.app.app_address, "POST", &path, &headers, b"+12025550123\n").await;
    assert_eq!(made.status, 201, "{}", made.text());
    let (quota, window, left, reset) = limit(&made, "uploads");
    assert!(quota >= 1 && left == quota - 1, "{quota} {left}");
    assert_eq!((window, reset), (None, None), "they end when they are done");
    // The next finds the place of the one before free.
    let again = send(node.app.app_address, "POST", &path, &headers, b"+12025550124\n").await;
    assert_eq!(limit(&again, "uploads").2, left);
    node.stop().await;
}
