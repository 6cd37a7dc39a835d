//! A node whose clock is wrong: all times in rows are set and compared by the database's clock.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::{
    harness::{Database, Node},
    people::{PASSWORD, person},
    sign_in::login,
};

/// A node whose clock is this many minutes behind its database's. The test's own function `now()` is found before Postgres'.
async fn behind(minutes: i32) -> (Database, Node) {
    let database = Database::new().await;
    let name = database.options.get_database().unwrap().to_owned();
    let mut db = database.connect().await;
    for statement in [
        format!(
            "create function public.now() returns timestamptz language sql stable as
                 $$ select pg_catalog.now() + make_interval(mins => {minutes}) $$"
        ),
        format!("alter database {name} set search_path = public, pg_catalog"),
    ] {
        db.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
    let node = Node::start(&database).await;
    (database, node)
}

#[actix_web::test]
async fn a_clock_that_is_wrong_changes_no_session_no_link_no_lock_and_no_purge() {
    // Longer than a platform administrator's session, an hour, and ten minutes, in both directions.
    for minutes in [-13 * 60, -60, -10, 10, 60, 13 * 60] {
        let (database, node) = behind(minutes).await;
        let tenant = node.tenant("acme.test").await;
        let admin = person(&node, None, Role::PlatformAdmin, "root@platform.test").await;
        let owner = person(&node, Some(tenant), Role::Owner, "ada@acme.test").await;
        for person in [&admin, &owner] {
            assert_eq!(person.ask(&node, "GET", "/v1/auth/me", Value::Null).await.status, 200, "{minutes}");
        }
        // A session's tokens are refreshed. If a stolen one is used again, the session ends.
        let signed_in = login(&node, "ada@acme.test", PASSWORD).await.json();
        let renewed = json!({ "refresh_token": signed_in["refresh_token"] });
        assert_eq!(node.api_with("POST", "/v1/auth/refresh", &[], renewed).await.status, 200, "{minutes}");
        // Both secrets of a key work for an hour.
        let key = node.api("POST", "/v1/keys", json!({ "name": "key", "tenant_id": tenant })).await.json();
        let path = format!("/v1/keys/{}/rotate", key["id"].as_str().unwrap());
        assert_eq!(node.api("POST", &path, json!({})).await.status, 200, "{minutes}");
        let with = [("X-API-Key", key["token"].as_str().unwrap())];
        let extensions = format!("/v1/tenants/{tenant}/extensions");
        assert_eq!(node.api_with("GET", &extensions, &with, Value::Null).await.status, 200, "{minutes}");
        // Wrong passwords lock an account for half a minute, not for an hour, and not for zero seconds.
        let mut waits = None;
        for _ in 0..8 {
            let refused = login(&node, "ada@acme.test", "wrong").await;
            if refused.status == 429 {
                waits = refused.header("Retry-After").and_then(|seconds| seconds.parse::<i64>().ok());
                break;
            }
        }
        assert!(waits.is_some_and(|seconds| (1..=60).contains(&seconds)), "{minutes}: {waits:?}");
        // A deleted tenant is gone after thirty days.
        let path = format!("/v1/tenants/{tenant}?cascade=true");
        let deleted = node.api("DELETE", &path, Value::Null).await;
        assert!(deleted.status < 300, "{}", deleted.text());
        let days = "select round(extract(epoch from purge_at - now()) / 3600)::bigint from tenants";
        assert_eq!(database.count(days).await, 30 * 24, "{minutes}");
        dialplane::app::jobs::purge_tenants(&node.app.changes).await.unwrap();
        assert_eq!(database.count("select count(*) from tenants").await, 1, "{minutes}");
        node.stop().await;
    }
}
