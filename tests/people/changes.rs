//! Changes of people, and what must change with them: their keys, links and phones.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Database, Node},
    people::{Person, person},
};

async fn with_key(node: &Node, key: &Value, method: &str, path: &str, body: Value) -> Answer {
    node.api_with(method, path, &[("X-API-Key", key["token"].as_str().unwrap())], body).await
}

fn agent(email: &str, role: &str) -> Value {
    json!({ "first_name": "New", "last_name": "Person", "email": email, "role": role })
}

#[actix_web::test]
async fn a_key_may_do_what_its_maker_may_and_no_longer_than_they_are() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    node.api("POST", &format!("/v1/tenants/{tenant}/pools"), json!({ "first_number": 1000, "last_number": 1099 }))
        .await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let admin = person(&node, Some(tenant), Role::Admin, "admin@acme.test").await;
    let agents = "/v1/admin/agents";

    // An administrator's key can't create an owner, and an administrator gets no more rights through an owner's key.
    let key = admin.ask(&node, "POST", "/v1/keys", json!({ "name": "mine" })).await.json();
    assert_eq!(key["role"], "admin");
    let refused = with_key(&node, &key, "POST", agents, agent("x@acme.test", "owner")).await;
    assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("role")), "{}", refused.text());
    let owners = owner.ask(&node, "POST", "/v1/keys", json!({ "name": "theirs" })).await.json();
    let path = format!("/v1/keys/{}", owners["id"].as_str().unwrap());
    for (method, path, body) in
        [("POST", format!("{path}/rotate"), json!({})), ("PATCH", path.clone(), json!({ "name": "taken" }))]
    {
        assert_eq!(admin.ask(&node, method, &path, body.clone()).await.status, 403, "{method} {path}");
        assert_eq!(owner.ask(&node, method, &path, body).await.status, 200, "{method} {path}");
    }
    // A key with scopes may create agents, but nobody with more rights than the key has.
    let scoped = json!({ "name": "scoped", "scopes": ["agents:write"] });
    let scoped = owner.ask(&node, "POST", "/v1/keys", scoped).await.json();
    for (role, status) in [("owner", 422), ("admin", 422), ("manager", 422), ("agent", 201)] {
        let made = with_key(&node, &scoped, "POST", agents, agent(&format!("new-{role}@acme.test"), role)).await;
        assert_eq!(made.status, status, "{role}: {}", made.text());
    }

    // The key's creator is suspended, loses rights, or is deleted.
    let works = async |key: &Value| with_key(&node, key, "GET", agents, Value::Null).await.status;
    assert_eq!(works(&key).await, 200);
    let change = async |body: Value| {
        let changed = owner.ask(&node, "PATCH", &format!("{agents}/{}", admin.id), body).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
    };
    change(json!({ "status": "suspended" })).await;
    assert_eq!(works(&key).await, 401);
    change(json!({ "status": "active" })).await;
    assert_eq!(works(&key).await, 200);
    change(json!({ "role": "agent" })).await;
    assert_eq!(works(&key).await, 403);
    assert_eq!(owner.ask(&node, "DELETE", &format!("{agents}/{}", admin.id), Value::Null).await.status, 204);
    assert_eq!(works(&key).await, 401);
    node.stop().await;
}

/// Somebody's valid one-time links, by purpose.
async fn links(database: &Database, user: &str) -> Vec<String> {
    let mut db = database.connect().await;
    let found = sqlx::query_scalar("select purpose from one_time_tokens where user_id = $1::uuid order by purpose");
    found.bind(user).fetch_all(&mut db).await.unwrap()
}

#[actix_web::test]
async fn a_new_address_ends_the_links_to_the_old_one_and_takes_the_voicemail_along() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let agents = format!("/v1/admin/agents?tenant_id={tenant}");
    let made = node.api("POST", &agents, agent("typo@acme.test", "agent")).await.json();
    let id = made["id"].as_str().unwrap();
    let one = format!("/v1/admin/agents/{id}?tenant_id={tenant}");
    let old = "select hash from one_time_tokens where user_id = $1::uuid";
    let mut db = database.connect().await;
    let before = sqlx::query_scalar::<_, Vec<u8>>(old).bind(id).fetch_one(&mut db).await.unwrap();
    let changed = node.api("PATCH", &one, json!({ "email": "right@acme.test", "first_name": "Ada" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    // Somebody who never chose a password is invited again, at the new address.
    assert_eq!(links(&database, id).await, ["welcome"]);
    let after = sqlx::query_scalar::<_, Vec<u8>>(old).bind(id).fetch_one(&mut db).await.unwrap();
    assert_ne!(before, after);
    let extension = made["extensions"][0]["id"].as_str().unwrap();
    let extension = node.api("GET", &format!("/v1/tenants/{tenant}/extensions/{extension}"), Value::Null).await.json();
    assert_eq!(
        (&extension["voicemail_email"], &extension["display_name"]),
        (&json!("right@acme.test"), &json!("Ada Person"))
    );
    // Somebody with a password confirms the new address. An earlier link for a new password is void.
    let known = person(&node, Some(tenant), Role::Agent, "known@acme.test").await;
    let known = known.id.to_string();
    assert_eq!(node.api("POST", "/v1/auth/forgot-password", json!({ "email": "known@acme.test" })).await.status, 202);
    while links(&database, &known).await != ["reset"] {
        actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let one = format!("/v1/admin/agents/{known}?tenant_id={tenant}");
    assert_eq!(node.api("PATCH", &one, json!({ "email": "moved@acme.test" })).await.status, 200);
    assert_eq!(links(&database, &known).await, ["verify"]);
    node.stop().await;
}

#[actix_web::test]
async fn what_administrators_decided_is_not_an_agents_to_take_back() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let settings = json!({ "features": { "call_recording": true } });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await.status, 200);
    let extension = node.extension(tenant, json!({ "number": "77", "calls": { "record": true } })).await;
    let id = extension["id"].as_str().unwrap();
    let agent: Person = person(&node, Some(tenant), Role::Agent, "own@acme.test").await;
    let mut db = database.connect().await;
    sqlx::query("update extensions set user_id = $1 where id = $2::uuid")
        .bind(agent.id)
        .bind(id)
        .execute(&mut db)
        .await
        .unwrap();
    let path = format!("/v1/tenants/{tenant}/extensions/{id}");
    for calls in [json!({ "do_not_disturb": true }), json!({ "do_not_disturb": false, "record": true }), json!({})] {
        let changed = agent.ask(&node, "PATCH", &path, json!({ "calls": calls })).await;
        assert_eq!((changed.status, &changed.json()["calls"]["record"]), (200, &json!(true)), "{}", changed.text());
    }
    assert_ne!(node.api("PATCH", &path, json!({ "calls": {} })).await.json()["calls"]["record"], true);
    let more = agent.ask(&node, "PATCH", &path, json!({ "calls": { "record": true } })).await;
    assert_eq!(more.status, 403, "{}", more.text());

    // A suspended agent's phone is activated with the agent, not by itself.
    let one = format!("/v1/admin/agents/{}?tenant_id={tenant}", agent.id);
    assert_eq!(node.api("PATCH", &one, json!({ "status": "suspended" })).await.status, 200);
    let alone = node.api("PATCH", &path, json!({ "status": "active" })).await;
    assert_eq!(alone.status, 409, "{}", alone.text());
    assert!(!node.sign_in("77", "acme.test").await.text().contains("a1-hash"));
    assert_eq!(node.api("PATCH", &one, json!({ "status": "active" })).await.status, 200);
    assert!(node.sign_in("77", "acme.test").await.text().contains("a1-hash"));
    node.stop().await;
}

#[actix_web::test]
async fn numbers_that_are_held_or_mean_something_else_are_given_to_nobody() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    assert_eq!(node.api("PATCH", &path("settings"), json!({ "country": "DE" })).await.status, 200);
    let pool = node.api("POST", &path("pools"), json!({ "first_number": 100, "last_number": 199 })).await;
    assert_eq!(pool.status, 201, "{}", pool.text());
    let wanted = async |number: &str| {
        let body = json!({ "first_name": "A", "last_name": "B", "email": format!("n{number}@acme.test"), "numbers": [number] });
        node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), body).await
    };
    let help = wanted("112").await;
    assert_eq!(help.status, 409, "{}", help.text());
    assert_eq!(
        node.api("POST", &path("reserved-numbers"), json!({ "number": "150", "reason": "the door" })).await.status,
        201
    );
    for number in ["150"] {
        assert_eq!(wanted(number).await.status, 409);
        let extension = node.api("POST", &path("extensions"), json!({ "number": number })).await;
        assert_eq!(extension.status, 409, "{}", extension.text());
    }
    // An extension keeps its number, even if the number is reserved later.
    let extension = node.extension(tenant, json!({ "number": "160" })).await;
    let one = path(&format!("extensions/{}", extension["id"].as_str().unwrap()));
    assert_eq!(node.api("PATCH", &one, json!({ "ring_seconds": 30 })).await.status, 200);
    // New extensions get their values from the settings.
    let calling = json!({ "calling": { "ring_seconds": 20, "max_registrations": 2, "codecs": "OPUS,PCMA" }, "features": { "voicemail": false } });
    assert_eq!(node.api("PATCH", &path("settings"), calling).await.status, 200);
    let by_hand = node.extension(tenant, json!({ "number": "170" })).await;
    let by_agent = wanted("171").await.json()["extensions"][0]["id"].as_str().unwrap().to_owned();
    let by_agent = node.api("GET", &path(&format!("extensions/{by_agent}")), Value::Null).await.json();
    for made in [by_hand, by_agent] {
        let shown = (&made["ring_seconds"], &made["max_registrations"], &made["codecs"], &made["voicemail_enabled"]);
        assert_eq!(shown, (&json!(20), &json!(2), &json!("OPUS,PCMA"), &json!(false)));
    }
    node.stop().await;
}

#[actix_web::test]
async fn when_two_owners_remove_each_other_at_once_one_stays() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let one = person(&node, Some(tenant), Role::Owner, "one@acme.test").await;
    let two = person(&node, Some(tenant), Role::Owner, "two@acme.test").await;
    for _ in 0..5 {
        let path = |person: &Person| format!("/v1/admin/agents/{}", person.id);
        let demote = json!({ "role": "agent" });
        let (a, b) = (path(&two), path(&one));
        let both = tokio::join!(one.ask(&node, "PATCH", &a, demote.clone()), two.ask(&node, "PATCH", &b, demote));
        let mut db = database.connect().await;
        let owners = "select count(*) from users where tenant_id = $1 and role = 'owner'";
        let owners = sqlx::query_scalar::<_, i64>(owners).bind(tenant).fetch_one(&mut db).await.unwrap();
        assert!(owners >= 1, "{} {}", both.0.text(), both.1.text());
        sqlx::query("update users set role = 'owner' where tenant_id = $1")
            .bind(tenant)
            .execute(&mut db)
            .await
            .unwrap();
    }
    node.stop().await;
}

#[actix_web::test]
async fn if_there_are_too_few_numbers_the_first_people_get_them() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node
        .api("POST", "/v1/tenants", json!({ "domain": "acme.test", "settings": { "calling": { "pool_size": 10 } } }))
        .await;
    assert_eq!(tenant.status, 201, "{}", tenant.text());
    let tenant = tenant.id();
    let people = |count: usize| (0..count).map(|n| agent(&format!("a{n}@acme.test"), "agent")).collect::<Vec<_>>();
    let bulk = format!("/v1/admin/agents/bulk?tenant_id={tenant}");
    let all = node.api("POST", &bulk, json!({ "agents": people(300) })).await;
    assert_eq!(all.status, 409, "all or none: {}", all.text());
    let some = node.api("POST", &bulk, json!({ "agents": people(300), "partial": true })).await.json();
    assert_eq!((&some["created"], &some["refused"]), (&json!(10), &json!(290)), "{some}");
    let lines = some["lines"].as_array().unwrap();
    assert!(lines[..10].iter().all(|line| line["outcome"] == "created"), "{some}");
    assert!(lines[10]["reason"].as_str().unwrap().contains("10 are free"), "{}", lines[10]);
    node.stop().await;
}

#[actix_web::test]
async fn a_tenant_that_changes_much_makes_no_other_tenant_wait() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (busy, other) = (node.tenant("busy.test").await, node.tenant("other.test").await);
    let author = |tenant| dialplane::node::changes::Author { name: "test".into(), source: None, within: Some(tenant) };
    let changes = &node.app.changes;
    let held = [changes.begin(author(busy)).await.unwrap(), changes.begin(author(busy)).await.unwrap()];
    // More requests than there are connections wait for these, and hold no connection meanwhile.
    let mut waiting = (0..4).map(|_| Box::pin(changes.begin(author(busy)))).collect::<Vec<_>>();
    for change in &mut waiting {
        assert!(futures_util::poll!(change.as_mut()).is_pending());
    }
    changes.begin(author(other)).await.unwrap().commit_quietly().await.unwrap();
    drop(held);
    waiting.remove(0).await.unwrap().commit_quietly().await.unwrap();
    drop(waiting);
    node.stop().await;
}
