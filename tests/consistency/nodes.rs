//! Several nodes on one database: a change is answered when all live nodes serve it, and the answer says so.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Database, Node};

#[actix_web::test]
async fn a_change_says_how_many_nodes_serve_it() {
    let database = Database::new().await;
    let (one, two, three) = (Node::start(&database).await, Node::start(&database).await, Node::start(&database).await);
    let answer = one.api("POST", "/v1/tenants", json!({ "domain": "acme.test" })).await;
    assert_eq!(answer.header("Dialplane-Visible"), Some("3/3"));
    two.stop().await;
    let answer = one.api("POST", "/v1/tenants", json!({ "domain": "other.test" })).await;
    assert_eq!(answer.header("Dialplane-Visible"), Some("2/2"), "a node that signed off is not waited for");
    assert!(three.sign_in("1000", "other.test").await.text().contains("other.test"));
    one.stop().await;
    three.stop().await;
}

/// If a node silently stops polling, a change waits until its lease runs out, and no longer.
#[actix_web::test]
async fn a_silent_node_delays_a_change_by_its_lease_at_most() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut db = database.connect().await;
    sqlx::query("insert into nodes (id, polled_at, applied) values (gen_random_uuid(), clock_timestamp(), '1:1:')")
        .execute(&mut db)
        .await
        .unwrap();
    let since = Instant::now();
    let answer = node.api("POST", "/v1/tenants", json!({ "domain": "acme.test" })).await;
    assert_eq!(answer.status, 201);
    let waited = since.elapsed();
    assert!(waited > Duration::from_millis(700) && waited < Duration::from_millis(1500), "{waited:?}");
    assert_eq!(answer.header("Dialplane-Visible"), Some("1/1"), "the silent one's lease has run out");
    node.stop().await;
}

/// If a tenant's domain changes, phones at the old domain are unknown at once, and those at the new one are known at once.
#[actix_web::test]
async fn a_domain_can_change_and_be_taken_by_another_tenant() {
    let database = Database::new().await;
    let (one, two) = (Node::start(&database).await, Node::start(&database).await);
    let first = one.tenant("old.test").await;
    one.extension(first, json!({ "number": "1000", "display_name": "First" })).await;
    assert!(two.invite("1000", "old.test").await.text().contains("First"));
    let answer =
        one.api("PATCH", &format!("/v1/tenants/{first}"), json!({ "domain": "new.test", "keep_former_days": 0 })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for node in [&one, &two] {
        assert!(node.invite("1000", "old.test").await.text().contains("not found"));
        assert!(node.invite("1000", "new.test").await.text().contains("First"));
    }
    // It rests: another tenant gets it by the operator's word.
    let second = two.api("POST", "/v1/tenants", json!({ "domain": "old.test", "reuse": true })).await;
    assert_eq!(second.status, 201, "{}", second.text());
    let second = second.id();
    two.extension(second, json!({ "number": "1000", "display_name": "Second", "sip_username": "second" })).await;
    for node in [&one, &two] {
        assert!(node.invite("second", "old.test").await.text().contains("Second"));
        assert!(node.invite("1000", "new.test").await.text().contains("First"));
    }
    let answer = one.api("DELETE", &format!("/v1/tenants/{first}?cascade=true&purge=now"), json!(null)).await;
    assert_eq!(answer.status, 204);
    for node in [&one, &two] {
        assert!(node.invite("1000", "new.test").await.text().contains("not found"));
    }
    one.stop().await;
    two.stop().await;
}

/// Once the revocation of a switch's token is acknowledged, no node accepts the token.
#[actix_web::test]
async fn a_revoked_token_is_refused_by_every_node() {
    let database = Database::new().await;
    let (one, two) = (Node::start(&database).await, Node::start(&database).await);
    let switches = one.api("GET", "/v1/switches", json!(null)).await.json();
    let id = switches["items"].as_array().unwrap().iter().find(|s| s["name"] == two.switch.0.as_str()).unwrap()["id"]
        .clone();
    assert_eq!(two.sign_in("1", "acme.test").await.status, 200);
    let answer =
        one.api("PATCH", &format!("/v1/switches/{}", id.as_str().unwrap()), json!({ "status": "disabled" })).await;
    assert_eq!(answer.status, 200);
    assert_eq!(two.sign_in("1", "acme.test").await.status, 401);
    one.stop().await;
    two.stop().await;
}
