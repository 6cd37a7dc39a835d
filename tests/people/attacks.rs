//! Attacks by strangers and curious users.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dialplane::tenancy::auth::{access, rules::Role};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{
    harness::{Database, Node},
    people::{Person, person},
};

async fn me(node: &Node, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    node.api_with("GET", "/v1/auth/me", &[("Authorization", &bearer)], Value::Null).await.status
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[actix_web::test]
async fn tokens_that_our_keys_did_not_sign_are_refused() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    assert_eq!(me(&node, &owner.token).await, 200);
    let parts = owner.token.split('.').collect::<Vec<_>>();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let kid = header["kid"].as_str().unwrap();
    assert_eq!(header["alg"], "EdDSA");

    // Without a signature, with the "none" algorithm, with another user's id, with another token's signature.
    let none = part(&json!({ "alg": "none", "kid": kid, "typ": "JWT" }));
    for token in [
        format!("{none}.{}.", parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], part(&json!({ "sub": uuid::Uuid::nil() })), parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        String::new(),
        "a.b.c".into(),
    ] {
        assert_eq!(me(&node, &token).await, 401, "{token}");
    }
    // Algorithm confusion: the key id used as an HMAC key.
    let mut confused = Header::new(Algorithm::HS256);
    confused.kid = Some(kid.to_owned());
    let token = encode(&confused, &claims, &EncodingKey::from_secret(kid.as_bytes())).unwrap();
    assert_eq!(me(&node, &token).await, 401);
    // A foreign key under our key's id.
    let foreign = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let mut forged = Header::new(Algorithm::EdDSA);
    forged.kid = Some(kid.to_owned());
    let token = encode(&forged, &claims, &EncodingKey::from_ed_der(foreign.as_ref())).unwrap();
    assert_eq!(me(&node, &token).await, 401);
    forged.kid = Some("../../etc/passwd".into());
    let token = encode(&forged, &claims, &EncodingKey::from_ed_der(foreign.as_ref())).unwrap();
    assert_eq!(me(&node, &token).await, 401);
    node.stop().await;
}

#[actix_web::test]
async fn signing_keys_rotate_and_old_tokens_stay_good_until_their_key_is_gone() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let keyring = node.app.changes.keyring();
    access::rotate(node.app.changes.pool(), keyring).await.unwrap();
    let other = Node::start(&database).await;
    let newer = person(&other, Some(tenant), Role::Owner, "second@acme.test").await;
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid;
    assert_ne!(kid(&owner.token), kid(&newer.token));
    for node in [&node, &other] {
        assert_eq!(me(node, &owner.token).await, 200);
        // A key that another node made is read when its first token comes, at most once per second.
        let since = std::time::Instant::now();
        while me(node, &newer.token).await != 200 {
            assert!(since.elapsed().as_secs() < 5, "the new key is not read");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    // Old tokens have expired anyway: a retired key verifies for an hour, whether or not its row still exists.
    let mut db = database.connect().await;
    let mut retired = async |ago: &str| {
        let back = "update signing_keys set retired_at = now() - $1::text::interval where retired_at is not null";
        let moved = sqlx::query(back).bind(ago).execute(&mut db).await.unwrap();
        assert_eq!(moved.rows_affected(), 1);
    };
    retired("55 minutes").await;
    let within = Node::start(&database).await;
    assert_eq!(me(&within, &owner.token).await, 200);
    retired("61 minutes").await;
    let third = Node::start(&database).await;
    assert_eq!(me(&third, &owner.token).await, 401);
    assert_eq!(me(&third, &newer.token).await, 200);
    for node in [node, other, within, third] {
        node.stop().await;
    }
}

#[actix_web::test]
async fn a_body_gives_nobody_more_than_they_may_have() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (tenant, other) = (node.tenant("acme.test").await, node.tenant("other.test").await);
    let admin = person(&node, Some(tenant), Role::Admin, "admin@acme.test").await;
    let new = |more: Value| {
        let mut body = json!({ "first_name": "A", "last_name": "B", "email": "new@acme.test" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, field) in [
        (json!({ "role": "owner" }), "role"),
        (json!({ "role": "platform_admin" }), "role"),
        (json!({ "tenant_id": other }), "tenant_id"),
        (json!({ "status": "active" }), "status"),
        (json!({ "password_hash": "x" }), "password_hash"),
        (json!({ "id": other }), "id"),
    ] {
        let refused = admin.ask(&node, "POST", "/v1/admin/agents", new(more.clone())).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!(field)), "{more}: {}", refused.text());
    }
    let made = admin.ask(&node, "POST", "/v1/admin/agents", new(json!({}))).await;
    assert_eq!((made.status, &made.json()["tenant_id"]), (201, &json!(tenant)), "{}", made.text());
    let path = format!("/v1/admin/agents/{}", made.json()["id"].as_str().unwrap());
    for (more, field) in [(json!({ "role": "owner" }), "role"), (json!({ "tenant_id": other }), "tenant_id")] {
        let refused = admin.ask(&node, "PATCH", &path, more.clone()).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!(field)), "{more}");
    }
    // Only an owner may change an owner.
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let theirs = format!("/v1/admin/agents/{}", owner.id);
    assert_eq!(admin.ask(&node, "PATCH", &theirs, json!({ "email": "mine@acme.test" })).await.status, 403);
    assert_eq!(admin.ask(&node, "DELETE", &theirs, Value::Null).await.status, 403);
    // A key with limited scopes can't create keys, and no key works outside its tenant.
    let key = json!({ "name": "k", "scopes": ["extensions:read", "keys:write"] });
    let key = owner.ask(&node, "POST", "/v1/keys", key).await.json();
    let headers = [("X-API-Key", key["token"].as_str().unwrap())];
    let more = node.api_with("POST", "/v1/keys", &headers, json!({ "name": "more" })).await;
    assert_eq!(more.status, 403, "{}", more.text());
    let beyond = owner.ask(&node, "POST", "/v1/keys", json!({ "name": "k", "tenant_id": other })).await;
    assert_eq!(beyond.status, 404, "{}", beyond.text());
    // The body names the tenant whose routes are explained, but only one's own is allowed.
    for (named, status) in [("acme.test", 200), ("other.test", 404), (&other.to_string(), 404), ("none.test", 404)] {
        let explained =
            admin.ask(&node, "POST", "/v1/routes/explain", json!({ "tenant": named, "number": "1000" })).await;
        assert_eq!(explained.status, status, "{named}: {}", explained.text());
    }
    let extensions = format!("/v1/tenants/{tenant}/extensions");
    assert_eq!(node.api_with("GET", &extensions, &headers, Value::Null).await.status, 200);
    assert_eq!(node.api_with("POST", &extensions, &headers, json!({ "number": "88" })).await.status, 403);
    assert_eq!(node.api_with("GET", "/v1/admin/agents", &headers, Value::Null).await.status, 403);
    node.stop().await;
}

#[actix_web::test]
async fn one_address_is_one_account_whatever_its_case_and_look_alikes_are_refused() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let with = |email: &str| json!({ "first_name": "A", "last_name": "B", "email": email });
    assert_eq!(owner.ask(&node, "POST", "/v1/admin/agents", with("Ada@Acme.Test")).await.status, 201);
    for same in ["ada@acme.test", "ADA@ACME.TEST", "aDa@aCME.test"] {
        let refused = owner.ask(&node, "POST", "/v1/admin/agents", with(same)).await;
        assert_eq!(refused.status, 409, "{same}: {}", refused.text());
    }
    // Cyrillic а, full-width letters, an invisible joiner and a dotless i are refused.
    for look_alike in [
        "\u{0430}da@acme.test",
        "ada@\u{0430}cme.test",
        "\u{ff41}da@acme.test",
        "a\u{200d}da@acme.test",
        "ada@ac\u{0131}me.test",
    ] {
        let refused = owner.ask(&node, "POST", "/v1/admin/agents", with(look_alike)).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("email")), "{look_alike}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_cookie_alone_changes_nothing() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let cookie = browser(&node, &owner).await;
    let header = format!("dialplane_session={cookie}");
    let with = |csrf: &str| vec![("Cookie".to_owned(), header.clone()), ("X-CSRF-Token".to_owned(), csrf.to_owned())];
    let ask = async |method: &str, headers: Vec<(String, String)>| {
        let headers = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>();
        let body = json!({ "name": "k" });
        node.api_with(method, "/v1/keys", &headers, if method == "GET" { Value::Null } else { body }).await.status
    };
    assert_eq!(ask("GET", with("")).await, 200, "reading needs no token");
    assert_eq!(ask("POST", with("")).await, 403);
    assert_eq!(ask("POST", with("guessed")).await, 403);
    assert_eq!(ask("POST", with(&dialplane::tenancy::auth::session::csrf_token("another cookie"))).await, 403);
    assert_eq!(ask("POST", with(&dialplane::tenancy::auth::session::csrf_token(&cookie))).await, 201);
    node.stop().await;
}

/// A browser's cookie.
pub async fn browser(node: &Node, person: &Person) -> String {
    use dialplane::{
        node::changes::Author,
        tenancy::auth::{session, store},
    };
    let author = Author { name: "test".into(), source: None, within: None };
    let mut change = node.app.changes.begin(author).await.unwrap();
    let account = store::account(change.db(), person.id).await.unwrap().unwrap();
    let cookie = session::for_browser(&mut change, &account, &session::Source::default()).await.unwrap();
    change.commit_quietly().await.unwrap();
    cookie.to_string()
}

#[actix_web::test]
async fn a_token_that_has_run_out_or_is_another_users_is_refused() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let agent = person(&node, Some(tenant), Role::Agent, "agent@acme.test").await;
    // A signing key of the platform that this test knows.
    let pkcs8 = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let id = uuid::Uuid::now_v7();
    let place = dialplane::text::keyring::Place { column: "signing_keys.sealed", tenant: uuid::Uuid::nil(), row: id };
    let plain = base64::engine::general_purpose::STANDARD.encode(pkcs8.as_ref());
    let sealed = node.app.changes.keyring().seal(place, &plain);
    let known = sqlx::query("insert into signing_keys (id, sealed) values ($1, $2)").bind(id).bind(sealed);
    known.execute(&mut database.connect().await).await.unwrap();
    let other = Node::start(&database).await;
    let claims: Value = {
        let body = owner.token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
    };
    let signed = |change: fn(&mut Value, &Value), with: &Value| {
        let mut claims = claims.clone();
        change(&mut claims, with);
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(id.to_string());
        encode(&header, &claims, &EncodingKey::from_ed_der(pkcs8.as_ref())).unwrap()
    };
    let now = chrono::Utc::now().timestamp();
    assert_eq!(me(&other, &signed(|_, _| {}, &Value::Null)).await, 200, "the key is known");
    let expired = signed(|claims, at| claims["exp"] = at.clone(), &json!(now - 60));
    assert_eq!(me(&other, &expired).await, 401);
    let foreign = signed(|claims, user| claims["sub"] = user.clone(), &json!(agent.id));
    assert_eq!(me(&other, &foreign).await, 401, "the session is not theirs");
    let elsewhere = signed(|claims, issuer| claims["iss"] = issuer.clone(), &json!("somebody else"));
    assert_eq!(me(&other, &elsewhere).await, 401);
    let endless = signed(|claims, _| _ = claims.as_object_mut().unwrap().remove("exp"), &Value::Null);
    assert_eq!(me(&other, &endless).await, 401);
    node.stop().await;
    other.stop().await;
}

#[actix_web::test]
async fn forms_of_other_sites_change_nothing() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let cookie = browser(&node, &owner).await;
    let header = format!("dialplane_session={cookie}");
    let csrf = dialplane::tenancy::auth::session::csrf_token(&cookie);
    let send = async |more: &[(&str, &str)], csrf: &str| {
        let mut headers = vec![("Cookie", header.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        headers.extend(more);
        let body =
            format!("first_name=A&last_name=B&email=forged%40acme.test&role=agent&extensions_count=1&csrf={csrf}");
        crate::harness::send(node.app.app_address, "POST", "/app/agents/new", &headers, body.as_bytes()).await.status
    };
    assert_eq!(send(&[], "").await, 403, "without the page's token");
    assert_eq!(send(&[], "guessed").await, 403);
    assert_eq!(send(&[("Sec-Fetch-Site", "cross-site")], &csrf).await, 403, "the browser says where it comes from");
    assert_eq!(send(&[("Sec-Fetch-Site", "same-site")], &csrf).await, 403);
    assert_eq!(send(&[("Origin", "https://evil.test")], &csrf).await, 403);
    // Another site can't sign somebody in, either.
    let login = b"email=owner%40acme.test&password=x";
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "cross-site")];
    let refused = crate::harness::send(node.app.app_address, "POST", "/sign-in", &form, login).await;
    assert_eq!(refused.status, 403);
    let made = node.api("GET", &format!("/v1/admin/agents?tenant_id={tenant}&search=forged"), Value::Null).await.json();
    assert_eq!(made["items"], json!([]));
    assert_eq!(send(&[("Sec-Fetch-Site", "same-origin")], &csrf).await, 303);
    // A browser's cookies can't be read by scripts, sent unencrypted, or sent with other sites' forms.
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-origin")];
    let login = format!("email=owner%40acme.test&password={}", crate::people::PASSWORD.replace(' ', "+"));
    let signed_in = crate::harness::send(node.app.app_address, "POST", "/sign-in", &form, login.as_bytes()).await;
    let given = signed_in.header("Set-Cookie").unwrap().to_owned();
    for part in ["dialplane_session=dpb_", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(given.contains(part), "{part}: {given}");
    }
    node.stop().await;
}
