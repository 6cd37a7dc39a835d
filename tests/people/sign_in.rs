//! Sign-in, sign-out, refresh, second factors, locked accounts, passwords.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Database, Node},
    people::{PASSWORD, Person, person},
};

pub async fn login(node: &Node, email: &str, password: &str) -> Answer {
    node.api_with("POST", "/v1/auth/login", &[], json!({ "email": email, "password": password })).await
}

async fn refresh(node: &Node, token: &Value) -> Answer {
    node.api_with("POST", "/v1/auth/refresh", &[], json!({ "refresh_token": token })).await
}

fn bearing(token: &Value) -> Person {
    Person { id: uuid::Uuid::nil(), token: token.as_str().unwrap().to_owned() }
}

#[actix_web::test]
async fn a_session_lives_from_sign_in_to_sign_out_and_its_tokens_rotate() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "ada@acme.test").await;
    let signed_in = login(&node, " ADA@acme.test ", PASSWORD).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
    let first = signed_in.json();
    assert_eq!((&first["role"], &first["expires_in"]), (&json!("owner"), &json!(600)));
    let me = bearing(&first["access_token"]).ask(&node, "GET", "/v1/auth/me", Value::Null).await;
    assert_eq!(me.json()["user"]["email"], "ada@acme.test");

    let second = refresh(&node, &first["refresh_token"]).await;
    assert_eq!(second.status, 200);
    let second = second.json();
    // If a token is used twice, one of its two users is a thief, so the whole session ends.
    assert_eq!(refresh(&node, &first["refresh_token"]).await.status, 401);
    assert_eq!(refresh(&node, &second["refresh_token"]).await.status, 401, "the family has ended");
    for token in [&first["access_token"], &second["access_token"]] {
        assert_eq!(bearing(token).ask(&node, "GET", "/v1/auth/me", Value::Null).await.status, 401);
    }
    let log = node.api("GET", "/v1/audit?action=refresh_token_reused", Value::Null).await.json();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);

    let again = login(&node, "ada@acme.test", PASSWORD).await.json();
    let session = bearing(&again["access_token"]);
    assert_eq!(session.ask(&node, "POST", "/v1/auth/logout", Value::Null).await.status, 204);
    assert_eq!(session.ask(&node, "GET", "/v1/auth/me", Value::Null).await.status, 401);
    assert_eq!(refresh(&node, &again["refresh_token"]).await.status, 401);
    node.stop().await;
}

#[actix_web::test]
async fn a_suspended_user_or_tenant_is_out_at_once() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let agent = person(&node, Some(tenant), Role::Agent, "agent@acme.test").await;
    let path = format!("/v1/admin/agents/{}", agent.id);
    let suspended = owner.ask(&node, "PATCH", &path, json!({ "status": "suspended" })).await;
    assert_eq!(suspended.status, 200, "{}", suspended.text());
    assert_eq!(agent.ask(&node, "GET", "/v1/auth/me", Value::Null).await.status, 401);
    assert_eq!(login(&node, "agent@acme.test", PASSWORD).await.status, 401);
    owner.ask(&node, "PATCH", &path, json!({ "status": "active" })).await;
    assert_eq!(login(&node, "agent@acme.test", PASSWORD).await.status, 200);
    let stays =
        owner.ask(&node, "PATCH", &format!("/v1/admin/agents/{}", owner.id), json!({ "status": "suspended" })).await;
    assert_eq!(stays.status, 409, "the last owner");

    node.api("PATCH", &format!("/v1/tenants/{tenant}"), json!({ "status": "suspended" })).await;
    assert_eq!(owner.ask(&node, "GET", "/v1/auth/me", Value::Null).await.status, 401);
    assert_eq!(login(&node, "owner@acme.test", PASSWORD).await.status, 401);
    node.stop().await;
}

#[actix_web::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let setup = owner.ask(&node, "POST", "/v1/auth/two-factor", Value::Null).await.json();
    let totp = totp_rs::TOTP::from_url(setup["url"].as_str().unwrap()).unwrap();
    let wrong = owner.ask(&node, "POST", "/v1/auth/two-factor/confirm", json!({ "code": "000000" })).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (422, &json!("code")));
    let code = totp.generate_current().unwrap();
    let confirmed = owner.ask(&node, "POST", "/v1/auth/two-factor/confirm", json!({ "code": code })).await;
    let codes = confirmed.json()["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);

    let missing = login(&node, "owner@acme.test", PASSWORD).await;
    assert_eq!((missing.status, &missing.json()["field"]), (401, &json!("code")));
    let with = async |code: &Value| {
        let shown = json!({ "email": "owner@acme.test", "password": PASSWORD, "code": code });
        node.api_with("POST", "/v1/auth/login", &[], shown).await.status
    };
    assert_eq!(with(&json!(code)).await, 422, "it was used to confirm");
    assert_eq!(with(&codes[3]).await, 200, "a recovery code");
    assert_eq!(with(&codes[3]).await, 422, "is good once");
    // The next code is accepted early, because clocks differ.
    let now = chrono::Utc::now().timestamp().unsigned_abs();
    assert_eq!(with(&json!(totp.generate(now + 30))).await, 200);
    let off = owner.ask(&node, "POST", "/v1/auth/two-factor/disable", json!({ "password": "wrong" })).await;
    assert_eq!(off.status, 422);
    let off = owner.ask(&node, "POST", "/v1/auth/two-factor/disable", json!({ "password": PASSWORD })).await;
    assert_eq!(off.status, 204);
    assert_eq!(login(&node, "owner@acme.test", PASSWORD).await.status, 200);

    // If a second factor is required, nothing else can be done before it is set up.
    let agent = person(&node, Some(tenant), Role::Manager, "manager@acme.test").await;
    let path = format!("/v1/admin/agents/{}", agent.id);
    owner.ask(&node, "PATCH", &path, json!({ "two_factor_required": true })).await;
    assert_eq!(agent.ask(&node, "GET", "/v1/admin/agents", Value::Null).await.status, 403);
    assert_eq!(agent.ask(&node, "GET", "/v1/auth/me", Value::Null).await.json()["user"]["two_factor_required"], true);
    assert_eq!(agent.ask(&node, "POST", "/v1/auth/two-factor", Value::Null).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn somebody_who_guesses_has_to_wait_and_learns_of_no_account() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Agent, "known@acme.test").await;
    let mut answers = Vec::new();
    for email in ["known@acme.test", "unknown@acme.test"] {
        let mut seen = Vec::new();
        for _ in 0..6 {
            let answer = login(&node, email, "a wrong password").await;
            let wait = answer.header("Retry-After").is_some();
            seen.push((answer.status, wait, if answer.status == 401 { answer.text() } else { String::new() }));
        }
        answers.push(seen);
    }
    assert_eq!(answers[0], answers[1], "the same for an account there is and one there is not");
    assert_eq!(answers[0].iter().map(|(status, ..)| *status).collect::<Vec<_>>(), [401, 401, 401, 401, 401, 429]);
    // The right password does not help while the account is locked.
    assert_eq!(login(&node, "known@acme.test", PASSWORD).await.status, 429);
    let mut db = database.connect().await;
    sqlx::query("update sign_in_failures set locked_until = now()").execute(&mut db).await.unwrap();
    assert_eq!(login(&node, "known@acme.test", PASSWORD).await.status, 200);
    assert_eq!(login(&node, "known@acme.test", "wrong again").await.status, 401, "the count begins anew");
    // Nor does the time reveal accounts: unknown ones cost a hash as well, and nearly all of the time is the hash. What else the machine does
    // only adds to a time, so the shortest of several are compared, taken in turns.
    let emails = ["known@acme.test", "nobody@acme.test"];
    let mut shortest = [std::time::Duration::MAX; 2];
    for _ in 0..9 {
        for (email, shortest) in emails.into_iter().zip(&mut shortest) {
            let began = std::time::Instant::now();
            login(&node, email, "a wrong password").await;
            *shortest = began.elapsed().min(*shortest);
            sqlx::query("delete from sign_in_failures").execute(&mut database.connect().await).await.unwrap();
        }
    }
    let [known, unknown] = shortest;
    assert!(unknown * 3 > known && known * 3 > unknown, "known {known:?}, unknown {unknown:?}");
    for email in emails {
        let forgot = node.api_with("POST", "/v1/auth/forgot-password", &[], json!({ "email": email })).await;
        assert_eq!((forgot.status, forgot.text().as_str()), (202, ""));
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_password_is_changed_with_the_old_one_and_ends_the_other_sessions() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let elsewhere = login(&node, "owner@acme.test", PASSWORD).await.json();
    let change = async |old: &str, new: &str| {
        owner.ask(&node, "POST", "/v1/auth/change-password", json!({ "old_password": old, "password": new })).await
    };
    let wrong = change("wrong", "seven copper kettles sing").await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (422, &json!("old_password")));
    let weak = change(PASSWORD, "password1234").await;
    assert_eq!((weak.status, &weak.json()["field"]), (422, &json!("password")), "{}", weak.text());
    assert_eq!(change(PASSWORD, "seven copper kettles sing").await.status, 204);
    assert_eq!(owner.ask(&node, "GET", "/v1/auth/me", Value::Null).await.status, 200, "this session stays");
    assert_eq!(bearing(&elsewhere["access_token"]).ask(&node, "GET", "/v1/auth/me", Value::Null).await.status, 401);
    assert_eq!(login(&node, "owner@acme.test", PASSWORD).await.status, 401);
    assert_eq!(login(&node, "owner@acme.test", "seven copper kettles sing").await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn an_api_key_has_scopes_an_end_a_last_use_and_a_successor() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let wrong = owner.ask(&node, "POST", "/v1/keys", json!({ "name": "k", "scopes": ["everything:write"] })).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (422, &json!("scopes")));
    let key = owner.ask(&node, "POST", "/v1/keys", json!({ "name": "k", "scopes": ["agents:read"] })).await.json();
    assert_eq!((&key["tenant_id"], &key["last_used_at"]), (&json!(tenant), &Value::Null));
    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    let with = async |token: &Value| {
        let headers = [("X-API-Key", token.as_str().unwrap())];
        node.api_with("GET", "/v1/admin/agents", &headers, Value::Null).await.status
    };
    assert_eq!(with(&key["token"]).await, 200);
    assert!(owner.ask(&node, "GET", &path, Value::Null).await.json()["last_used_at"].is_string());

    let next = owner.ask(&node, "POST", &format!("{path}/rotate"), json!({ "overlap_seconds": 600 })).await;
    assert_eq!(next.status, 200, "{}", next.text());
    let next = next.json();
    assert_eq!((with(&key["token"]).await, with(&next["token"]).await), (200, 200), "both, for a while");
    let mut db = database.connect().await;
    sqlx::query("update api_keys set previous_expires_at = now()").execute(&mut db).await.unwrap();
    assert_eq!((with(&key["token"]).await, with(&next["token"]).await), (401, 200));
    let last = owner.ask(&node, "POST", &format!("{path}/rotate"), json!({ "overlap_seconds": 0 })).await.json();
    assert_eq!((with(&next["token"]).await, with(&last["token"]).await), (401, 200), "at once");
    owner.ask(&node, "PATCH", &path, json!({ "expires_at": "2020-01-01T00:00:00Z" })).await;
    assert_eq!(with(&last["token"]).await, 401);
    node.stop().await;
}

#[actix_web::test]
async fn addresses_are_those_that_our_own_proxies_say() {
    let database = Database::new().await;
    let behind = Node::with(&database, |settings| settings.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let open = Node::start(&database).await;
    let tenant = open.tenant("acme.test").await;
    person(&open, Some(tenant), Role::Owner, "owner@acme.test").await;
    let mut db = database.connect().await;
    let mut source = async |node: &Node, forwarded: &str| {
        let login = json!({ "email": "owner@acme.test", "password": PASSWORD });
        let headers = [("X-Forwarded-For", forwarded)];
        assert_eq!(node.api_with("POST", "/v1/auth/login", &headers, login).await.status, 200);
        let newest = "select host(source) from audit_log where action = 'sign_in' order by id desc limit 1";
        sqlx::query_scalar::<_, String>(newest).fetch_one(&mut db).await.unwrap()
    };
    assert_eq!(source(&behind, "203.0.113.7").await, "203.0.113.7");
    assert_eq!(
        source(&behind, "198.51.100.1, 203.0.113.7").await,
        "203.0.113.7",
        "what the client wrote does not count"
    );
    assert_eq!(source(&behind, "203.0.113.7, 127.0.0.1").await, "203.0.113.7");
    assert_eq!(source(&behind, "nonsense").await, "127.0.0.1");
    assert_eq!(source(&open, "203.0.113.7").await, "127.0.0.1", "no proxy of ours");
    behind.stop().await;
    open.stop().await;
}
