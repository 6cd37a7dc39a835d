//! What strangers, other tenants, and colleagues with fewer rights can't learn, block or take.

use std::time::{Duration, Instant};

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use crate::{
    harness::{Database, Node, send},
    mails::{SmtpServer, with_smtp},
    pages::Tab,
    people::{PASSWORD, company, person, post},
    sign_in::login,
};

#[actix_web::test]
async fn signing_up_does_not_say_which_addresses_have_accounts() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "known@acme.test").await;
    for (target, domain) in [("known@acme.test", "one.test"), ("unknown@acme.test", "two.test")] {
        let first = post(&node, "/v1/auth/register", company(target, domain)).await;
        let second = post(&node, "/v1/auth/register", company("probe@evil.test", domain)).await;
        assert_eq!((first.status, second.status), (202, 202), "{target}: {}", second.text());
        assert_eq!(first.text(), second.text());
    }
    node.stop().await;
}

#[actix_web::test]
async fn an_unconfirmed_sign_up_is_nowhere_blocks_nobody_and_is_gone_after_a_day() {
    let (database, server) = (Database::new().await, SmtpServer::start().await);
    let node = with_smtp(&database, &[&server.url]).await;
    assert_eq!(post(&node, "/v1/auth/register", company("squatter@evil.test", "acme.test")).await.status, 202);
    let squatter = server.token_for("squatter@evil.test").await;
    for (table, rows) in [
        ("tenants", database.count("select count(*) from tenants").await),
        ("users", database.count("select count(*) from users").await),
        ("extension_pools", database.count("select count(*) from extension_pools").await),
    ] {
        assert_eq!(rows, 0, "{table}");
    }
    assert_eq!(node.api("GET", "/v1/tenants/by-domain/acme.test", Value::Null).await.status, 404);
    assert!(node.sign_in("1000", "acme.test").await.text().contains("not found"));

    // This does not block the domain's real owner, and whoever confirms first gets it.
    assert_eq!(post(&node, "/v1/auth/register", company("ada@acme.test", "acme.test")).await.status, 202);
    let token = server.token_for("ada@acme.test").await;
    let confirmed = post(&node, "/v1/auth/verify-email", json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!(confirmed.status, 204, "{}", confirmed.text());
    assert_eq!(login(&node, "ada@acme.test", PASSWORD).await.status, 200);
    let again = post(&node, "/v1/auth/verify-email", json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!((again.status, &again.json()["field"]), (422, &json!("token")), "a link works once");
    let late = post(&node, "/v1/auth/verify-email", json!({ "token": squatter, "password": PASSWORD })).await;
    assert!(late.status == 409 && late.text().contains("acme.test"), "{}: {}", late.status, late.text());
    assert_eq!(login(&node, "squatter@evil.test", PASSWORD).await.status, 409, "not confirmed, as before");

    // The same if the platform creates the tenant.
    assert_eq!(post(&node, "/v1/auth/register", company("bob@bob.test", "bob.test")).await.status, 202);
    server.token_for("bob@bob.test").await;
    node.tenant("bob.test").await;

    // After a day, nothing is left.
    assert_eq!(post(&node, "/v1/auth/register", company("late@late.test", "late.test")).await.status, 202);
    let token = server.token_for("late@late.test").await;
    database.execute("update sign_ups set expires_at = now() - interval '1 second'").await;
    let late = post(&node, "/v1/auth/verify-email", json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!((late.status, &late.json()["field"]), (422, &json!("token")));
    assert_eq!(post(&node, "/v1/auth/register", company("last@last.test", "last.test")).await.status, 202);
    assert_eq!(database.count("select count(*) from sign_ups").await, 1);
    node.stop().await;
}

#[actix_web::test]
async fn a_confirmed_sign_up_of_an_address_that_has_an_account_by_now_makes_nothing() {
    let (database, server) = (Database::new().await, SmtpServer::start().await);
    let node = with_smtp(&database, &[&server.url]).await;
    assert_eq!(post(&node, "/v1/auth/register", company("ada@acme.test", "acme.test")).await.status, 202);
    let token = server.token_for("ada@acme.test").await;
    let tenant = node.tenant("other.test").await;
    person(&node, Some(tenant), Role::Owner, "ada@acme.test").await;
    let late = post(&node, "/v1/auth/verify-email", json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!(late.status, 409, "{}", late.text());
    assert_eq!(database.count("select count(*) from tenants").await, 1, "nothing is half done");
    node.stop().await;
}

#[actix_web::test]
async fn a_stranger_who_writes_down_an_address_gets_no_account_by_its_owners_click() {
    let (database, server) = (Database::new().await, SmtpServer::start().await);
    let node = with_smtp(&database, &[&server.url]).await;
    assert_eq!(post(&node, "/v1/auth/register", company("ada@acme.test", "acme.test")).await.status, 202);
    let token = server.token_for("ada@acme.test").await;
    // The owner of the address does not know the password, so nothing is created, neither by page nor by API.
    for (password, code) in
        [(Value::Null, "missing"), (json!("another long passphrase 7"), "not_the_sign_ups_password")]
    {
        let refused = post(&node, "/v1/auth/verify-email", json!({ "token": token, "password": password })).await;
        let problem = refused.json();
        assert_eq!((refused.status, &problem["field"], &problem["code"]), (422, &json!("password"), &json!(code)));
    }
    let mut owner = Tab::new(&node);
    let page = owner.get(&format!("/verify?token={token}")).await.text();
    assert!(page.contains("name=\"password\"") && page.contains("If you did not sign up"), "{page}");
    let refused = owner.post("/verify", &[("token", &token), ("password", "another long passphrase 7")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("is not the one that was chosen"), "{}", refused.text());
    assert_eq!(database.count("select count(*) from tenants").await, 0);
    // Somebody with the link can't guess the password without limit, either.
    let guess = json!({ "token": token, "password": "another long passphrase 7" });
    let mut tries = 0;
    while post(&node, "/v1/auth/verify-email", guess.clone()).await.status != 429 {
        tries += 1;
        assert!(tries < 40, "no end of guesses");
    }
    database.execute("delete from sign_in_failures").await;
    let known = json!({ "token": token, "password": PASSWORD });
    assert_eq!(post(&node, "/v1/auth/verify-email", known).await.status, 204);
    assert_eq!(login(&node, "ada@acme.test", PASSWORD).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn guesses_at_keys_are_limited_per_hour_and_hold_up_no_valid_key() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let ask = async |key: &str| node.api_with("GET", "/v1/tenants", &[("X-API-Key", key)], Value::Null).await;
    let mut waits = None;
    for n in 0..=40 {
        let answer = ask(&format!("dpk_guess{n}")).await;
        if answer.status == 429 {
            waits = Some((n, answer));
            break;
        }
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    let (n, answer) = waits.unwrap_or_else(|| panic!("keys may be guessed at without end"));
    assert_eq!(n, 30);
    assert!(answer.header("Retry-After").is_some_and(|after| after.parse::<u32>().is_ok()));
    assert_eq!(ask(&node.key).await.status, 200, "another script at the same address");
    node.stop().await;
}

#[actix_web::test]
async fn a_tenant_whose_reports_are_off_sees_none_and_the_platform_does() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let path = format!("/v1/tenants/{tenant}/outbound-calls");
    assert_eq!(owner.ask(&node, "GET", &path, Value::Null).await.status, 200);
    let off = json!({ "features": { "reports": false } });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), off).await.status, 200);
    let refused = owner.ask(&node, "GET", &path, Value::Null).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("feature_off")), "{}", refused.text());
    assert!(refused.text().contains("features.reports"), "{}", refused.text());
    assert_eq!(node.api("GET", &path, Value::Null).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn an_unreadable_line_is_not_repeated_in_the_answer() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let secret = "Sup3r-secret-passphrase";
    let bulk = json!({ "agents": [format!("ada;{secret}"), { "first_name": "Ada", "password": secret },
        { "first_name": [secret], "last_name": "L", "email": "a@acme.test" },
        { "first_name": "Ada", "last_name": "L", "email": "b@acme.test", "role": secret }] });
    let answer = node.api("POST", &format!("/v1/admin/agents/bulk?tenant_id={tenant}"), bulk).await;
    let report = answer.json();
    assert!(!answer.text().contains(secret), "{report}");
    let fields = report["lines"].as_array().unwrap_or_else(|| panic!("{report}")).iter();
    let fields = fields.map(|line| (line["line"].clone(), line["field"].as_str().unwrap_or_default().to_owned()));
    let fields = fields.collect::<Vec<_>>();
    assert_eq!(fields.len(), 4, "{report}");
    assert_eq!((fields[1].1.as_str(), fields[2].1.as_str(), fields[3].1.as_str()), ("password", "first_name", "role"));
    let one = json!({ "number": "70", "sip_password": [secret] });
    let answer = node.api("POST", &format!("/v1/tenants/{tenant}/extensions"), one).await;
    assert!(answer.status == 422 && !answer.text().contains(secret), "{}", answer.text());
    node.stop().await;
}

#[actix_web::test]
async fn refused_requests_use_up_no_numbers() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let first = async |domain: &str| {
        let made = node.api("POST", "/v1/tenants", json!({ "domain": domain })).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["pools"][0]["first_number"].as_i64().unwrap()
    };
    let one = first("one.test").await;
    for refused in [
        json!({ "domain": "one.test" }),
        json!({ "domain": "x.test", "region": "moon" }),
        json!({ "domain": "x.test", "template": "nothing" }),
        json!({ "domain": "x.test", "settings": { "calling": { "pool_size": 0 } } }),
    ] {
        assert!(node.api("POST", "/v1/tenants", refused).await.status >= 400);
    }
    for n in 0..3 {
        post(&node, "/v1/auth/register", company(&format!("a{n}@two.test"), "one.test")).await;
        post(&node, "/v1/auth/register", company(&format!("a{n}@two.test"), "two.test")).await;
    }
    assert_eq!(first("two.test").await, one + 1000);
    let made = futures_util::future::join_all((0..8).map(|n| {
        let node = &node;
        async move { node.api("POST", "/v1/tenants", json!({ "domain": format!("many{n}.test") })).await }
    }));
    let mut numbers =
        made.await.iter().map(|made| made.json()["pools"][0]["first_number"].as_i64().unwrap()).collect::<Vec<_>>();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..10).map(|n| one + n * 1000).collect::<Vec<_>>());
    node.stop().await;
}

#[actix_web::test]
async fn guesses_at_links_are_limited_per_hour() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    for (path, body) in [
        ("/v1/auth/reset-password", json!({ "token": "dpo_guess", "password": PASSWORD })),
        ("/v1/auth/verify-email", json!({ "token": "dpo_guess" })),
        ("/v1/auth/refresh", json!({ "refresh_token": "dpr_guess" })),
    ] {
        database.execute("delete from sign_in_failures").await;
        let mut waits = None;
        for n in 0..=40 {
            let answer = post(&node, path, body.clone()).await;
            if answer.status == 429 {
                waits = Some((n, answer));
                break;
            }
            assert!(answer.status == 422 || answer.status == 401, "{path}: {}", answer.text());
        }
        let (n, answer) = waits.unwrap_or_else(|| panic!("{path} may be guessed at without end"));
        assert!(n >= 20, "{path}: {n}");
        assert!(answer.header("Retry-After").is_some_and(|after| after.parse::<u32>().is_ok()), "{path}");
    }
    // Somebody with a valid link has to wait as well, but nobody else.
    database.execute("delete from sign_in_failures").await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "ada@acme.test").await;
    assert_eq!(login(&node, "ada@acme.test", PASSWORD).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn no_method_reaches_a_key_above_ones_own() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let admin = person(&node, Some(tenant), Role::Admin, "admin@acme.test").await;
    let key = owner.ask(&node, "POST", "/v1/keys", json!({ "name": "owners" })).await.json();
    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    let verbs = [("PATCH", path.clone()), ("POST", format!("{path}/rotate")), ("DELETE", path.clone())];
    for (method, path) in &verbs {
        let refused = admin.ask(&node, method, path, json!({})).await;
        assert!(refused.status == 403 && refused.text().contains("key_above_yours"), "{method}: {}", refused.text());
    }
    // A key with only a part of the rights can't, either, whoever's it is.
    let scoped = json!({ "name": "scoped", "scopes": ["keys:write"] });
    let scoped = owner.ask(&node, "POST", "/v1/keys", scoped).await.json();
    for (method, path) in &verbs {
        let headers = [("X-API-Key", scoped["token"].as_str().unwrap())];
        let refused = node.api_with(method, path, &headers, json!({})).await;
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.text());
    }
    let headers = [("X-API-Key", scoped["token"].as_str().unwrap())];
    assert_eq!(node.api_with("POST", "/v1/keys", &headers, json!({ "name": "x" })).await.status, 403);
    assert_eq!(owner.ask(&node, "GET", &path, Value::Null).await.status, 200, "it is still there");
    assert_eq!(owner.ask(&node, "DELETE", &path, Value::Null).await.status, 204);
    let own = admin.ask(&node, "POST", "/v1/keys", json!({ "name": "admins" })).await.json();
    let own = format!("/v1/keys/{}", own["id"].as_str().unwrap());
    assert_eq!(admin.ask(&node, "DELETE", &own, Value::Null).await.status, 204);
    node.stop().await;
}

#[actix_web::test]
async fn a_keys_expiry_is_taken_back_by_null() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let new = json!({ "name": "k", "expires_at": "2099-01-01T00:00:00Z" });
    let key = node.api("POST", "/v1/keys", new).await.json();
    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    let renamed = node.api("PATCH", &path, json!({ "name": "other" })).await.json();
    assert_eq!((&renamed["name"], &renamed["expires_at"]), (&json!("other"), &json!("2099-01-01T00:00:00Z")));
    let cleared = node.api("PATCH", &path, json!({ "expires_at": null })).await.json();
    assert_eq!((&cleared["name"], &cleared["expires_at"]), (&json!("other"), &Value::Null));
    node.stop().await;
}

#[actix_web::test]
async fn nothing_is_added_to_a_tenant_that_is_being_deleted() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    assert_eq!(node.api("DELETE", &format!("/v1/tenants/{tenant}"), Value::Null).await.status, 200);
    let agent = json!({ "first_name": "A", "last_name": "B", "email": "a@acme.test" });
    for (path, body) in [
        (format!("/v1/tenants/{tenant}/extensions"), json!({ "number": "1000" })),
        (format!("/v1/tenants/{tenant}/groups"), json!({ "name": "sales", "members": [] })),
        (format!("/v1/tenants/{tenant}/pools"), json!({ "first_number": 50_000, "last_number": 50_999 })),
        (
            format!("/v1/tenants/{tenant}/destinations"),
            json!({ "kind": "conference", "name": "hello", "number": "502", "config": {} }),
        ),
        (
            format!("/v1/tenants/{tenant}/dialplan-entries"),
            json!({ "name": "x", "conditions": [{ "actions": [{ "application": "answer" }] }] }),
        ),
        (format!("/v1/admin/agents?tenant_id={tenant}"), agent.clone()),
        (format!("/v1/admin/agents/bulk?tenant_id={tenant}"), json!({ "agents": [agent] })),
        (format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": "+12025550100" })),
        ("/v1/keys".to_owned(), json!({ "name": "k", "tenant_id": tenant })),
        ("/v1/carriers".to_owned(), json!({ "name": "c", "tenant_id": tenant, "config": { "host": "carrier.test" } })),
        (format!("/v1/tenants/{tenant}/reserved-numbers"), json!({ "number": "1007", "reason": "x" })),
    ] {
        let refused = node.api("POST", &path, body.clone()).await;
        assert!(
            matches!(refused.status, 409 | 422) && refused.text().contains("tenant_is_being_deleted"),
            "{path}: {}",
            refused.text()
        );
    }
    // The deletion is undone, and everything works again.
    let back = node.api("PATCH", &format!("/v1/tenants/{tenant}"), json!({ "status": "active" })).await;
    assert_eq!(back.status, 200);
    node.extension(tenant, json!({ "number": "1000" })).await;
    node.stop().await;
}

#[actix_web::test]
async fn a_tenant_does_not_learn_which_addresses_others_have() {
    let (database, server) = (Database::new().await, SmtpServer::start().await);
    let node = with_smtp(&database, &[&server.url]).await;
    let (acme, other) = (node.tenant("acme.test").await, node.tenant("other.test").await);
    let owner = person(&node, Some(acme), Role::Owner, "owner@acme.test").await;
    person(&node, Some(other), Role::Owner, "known@other.test").await;
    let with = |email: &str| json!({ "first_name": "A", "last_name": "B", "email": email });
    let mut made = Vec::new();
    for email in ["known@other.test", "unknown@other.test"] {
        let answer = owner.ask(&node, "POST", "/v1/admin/agents", with(email)).await;
        assert_eq!(answer.status, 201, "{email}: {}", answer.text());
        made.push(format!("/v1/admin/agents/{}", answer.id()));
        let again = owner.ask(&node, "POST", "/v1/admin/agents", with(email)).await;
        assert_eq!(again.status, 409, "one's own tenant's addresses are known");
    }
    let bulk = json!({ "agents": [with("KNOWN@other.test"), with("third@other.test")] });
    let third = json!({ "agents": [with("third@other.test")] });
    assert_eq!(owner.ask(&node, "POST", "/v1/admin/agents/bulk", bulk).await.status, 422);
    assert_eq!(owner.ask(&node, "POST", "/v1/admin/agents/bulk", third).await.status, 201);
    // The same for a change of address.
    let ours = owner.ask(&node, "POST", "/v1/admin/agents", with("ours@acme.test")).await.id();
    person(&node, Some(other), Role::Agent, "second@other.test").await;
    let path = format!("/v1/admin/agents/{ours}");
    let changed = owner.ask(&node, "PATCH", &path, json!({ "email": "second@other.test" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text());

    // The owner of the account can still sign in, whatever others have entered. The link in the mail explains what happened.
    assert_eq!(login(&node, "known@other.test", PASSWORD).await.json()["tenant_id"], json!(other));
    let token = server.token_for("known@other.test").await;
    let reset = json!({ "token": token, "password": "seven copper kettles sing" });
    let told = post(&node, "/v1/auth/reset-password", reset).await;
    assert!(told.status == 409 && told.text().contains("email_has_account"), "{}", told.text());
    assert_eq!(login(&node, "known@other.test", PASSWORD).await.status, 200);
    // If two tenants invite the same address, the one whose link is followed gets it.
    let token = server.token_for("unknown@other.test").await;
    let reset = json!({ "token": token, "password": "seven copper kettles sing" });
    assert_eq!(post(&node, "/v1/auth/reset-password", reset).await.status, 204);
    assert_eq!(login(&node, "unknown@other.test", "seven copper kettles sing").await.json()["tenant_id"], json!(acme));
    // An invitation is not an account, so it does not block a sign-up with the address.
    assert_eq!(post(&node, "/v1/auth/register", company("third@other.test", "third.test")).await.status, 202);
    let token = server.token_of("third@other.test", "/verify").await;
    assert_eq!(post(&node, "/v1/auth/verify-email", json!({ "token": token, "password": PASSWORD })).await.status, 204);
    assert_eq!(login(&node, "third@other.test", PASSWORD).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn a_known_device_is_let_in_while_strangers_guess() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "ada@acme.test").await;
    person(&node, Some(tenant), Role::Agent, "bob@acme.test").await;
    let with = async |email: &str, password: &str, device: &str| {
        let shown = json!({ "email": email, "password": password, "device_token": device });
        post(&node, "/v1/auth/login", shown).await
    };
    let known = login(&node, "ada@acme.test", PASSWORD).await.json()["device_token"].as_str().unwrap().to_owned();
    let bobs = login(&node, "bob@acme.test", PASSWORD).await.json()["device_token"].as_str().unwrap().to_owned();
    for _ in 0..6 {
        login(&node, "ada@acme.test", "a wrong password").await;
    }
    assert_eq!(login(&node, "ada@acme.test", PASSWORD).await.status, 429, "strangers have locked it");
    assert_eq!(with("ada@acme.test", PASSWORD, &known).await.status, 200, "not for the owner's device");
    for device in ["", "dpd_guess", bobs.as_str()] {
        assert_eq!(with("ada@acme.test", PASSWORD, device).await.status, 429, "{device}");
    }
    assert_eq!(login(&node, "ada@acme.test", PASSWORD).await.status, 429, "and strangers stay out");
    // A known device that guesses is locked by itself, so a stolen device token allows only a few guesses.
    let mut last = 0;
    for _ in 0..6 {
        last = with("ada@acme.test", "a wrong password", &known).await.status;
    }
    assert_eq!((last, with("ada@acme.test", PASSWORD, &known).await.status), (429, 429));

    // A browser keeps its device token automatically.
    let form = async |cookie: &str, password: &str| {
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Cookie", cookie),
        ];
        let body = format!("email=bob%40acme.test&password={}", password.replace(' ', "+"));
        send(node.app.app_address, "POST", "/sign-in", &headers, body.as_bytes()).await
    };
    let page = form("x=y", PASSWORD).await;
    assert_eq!(page.status, 303, "{}", page.text());
    let cookies = page.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.clone());
    let device = cookies.into_iter().find(|cookie| cookie.starts_with("dialplane_device=")).expect("a device's cookie");
    assert!(device.contains("HttpOnly") && device.contains("Secure") && device.contains("SameSite"), "{device}");
    let device = device.split(';').next().unwrap().to_owned();
    for _ in 0..6 {
        form("x=y", "a wrong password").await;
    }
    assert_eq!((form("x=y", PASSWORD).await.status, form(&device, PASSWORD).await.status), (429, 303));
    // After a new password, devices from before are no longer known.
    database.execute("delete from sign_in_failures").await;
    let token = login(&node, "bob@acme.test", PASSWORD).await.json()["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let change = json!({ "old_password": PASSWORD, "password": "seven copper kettles sing" });
    let changed = node.api_with("POST", "/v1/auth/change-password", &[("Authorization", &bearer)], change).await;
    assert_eq!(changed.status, 204);
    for _ in 0..6 {
        form("x=y", "a wrong password").await;
    }
    assert_eq!(form(&device, "seven copper kettles sing").await.status, 429);
    node.stop().await;
}

#[actix_web::test]
async fn secrets_of_modules_are_not_in_the_audit_log() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let default = "00000000-0000-0000-0000-000000000002";
    let path = format!("/v1/clusters/{default}/configuration/json_cdr.conf");
    let config = |secret: &str, url: &str| {
        json!({ "xml": format!("<configuration name=\"json_cdr.conf\"><settings><param name=\"cred\" value=\"fs:{secret}\"/>\
            <param name=\"url\" value=\"{url}\"/><param name=\"PassWord\" value=\"{secret}\"/></settings></configuration>") })
    };
    for (secret, url) in
        [("topsecret1", "http://a.test/"), ("topsecret2", "http://u:topsecret3@b.test/?token=topsecret4")]
    {
        assert_eq!(node.api("PUT", &path, config(secret, url)).await.status, 200);
    }
    let ice = json!({ "ice_servers": [{ "urls": ["turn:t.test"], "username": "u", "credential": "topsecret5" }] });
    let patched = node.api("PATCH", &format!("/v1/clusters/{default}"), ice).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    let settings = json!({ "integrations": [{ "kind": "crm", "name": "x", "config": { "api_key": "topsecret6" } }] });
    let made = node.api("POST", "/v1/tenants", json!({ "domain": "acme.test", "settings": settings })).await;
    assert!(made.status == 201 || made.status == 422, "{}", made.text());
    let log = node.api("GET", "/v1/audit?limit=200", Value::Null).await.text();
    assert!(
        !log.contains("topsecret"),
        "{}",
        log.split("topsecret").next().unwrap().chars().rev().take(300).collect::<String>()
    );
    assert!(log.contains("a.test"), "what is no secret is there");
    assert_eq!(node.api("DELETE", &path, Value::Null).await.status, 204);
    let log = node.api("GET", "/v1/audit?limit=200", Value::Null).await.text();
    assert!(!log.contains("topsecret"));
    node.stop().await;
}

#[actix_web::test]
async fn two_uploads_that_differ_in_everything_hold_nobody_up() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let path = "/v1/clusters/00000000-0000-0000-0000-000000000002/configuration/voicemail.conf";
    let config = |letter: char| {
        let elements = (0..18_000).fold(String::new(), |all, n| format!("{all}<{letter}{n}/>"));
        json!({ "xml": format!("<configuration name=\"voicemail.conf\">{elements}</configuration>") })
    };
    let attributes = (0..20_000).fold(String::new(), |all, n| format!("{all} a{n}=\"\""));
    let attributes =
        json!({ "xml": format!("<configuration name=\"voicemail.conf\"><x{attributes}/></configuration>") });
    let deep = json!({ "xml": format!("<configuration name=\"voicemail.conf\">{}{}</configuration>", "<a>".repeat(20_000), "</a>".repeat(20_000)) });
    let began = Instant::now();
    assert_eq!(node.api("PUT", path, config('a')).await.status, 200);
    let second = node.api("PUT", path, config('b')).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let answer = second.json();
    assert!(answer["diff"].as_str().unwrap().contains("+<b17999>"), "it says what changed all the same");
    for body in [attributes, deep] {
        assert_eq!(node.api("PUT", path, body).await.status, 422);
    }
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    node.stop().await;
}
