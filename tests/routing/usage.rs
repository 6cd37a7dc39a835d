//! Limits of a month, and who is told when it comes near them.

use chrono::{DateTime, TimeDelta, Utc};
use dialplane::{telephony::usage::work, tenancy::auth::rules::Role};
use serde_json::{Value, json};

use crate::{people::person, stage::Stage};

impl Stage {
    /// Compares as of a moment that is later than the node's, and returns how many mails and events of it there are then. The node's own job does not
    /// take the tenant meanwhile: to it, it has just been compared. If it did before, each alert here waits for what it notes.
    async fn compares(&self, now: DateTime<Utc>) -> (i64, i64) {
        let just_due = now - TimeDelta::minutes(11);
        let update = sqlx::query("update usage_limits set compared_at = $1").bind(just_due);
        update.execute(self.node.app.changes.pool()).await.unwrap();
        work::compare(&self.node.app.changes, now).await.unwrap();
        let mails = self.database.count("select count(*) from mail_outbox where template = 'usage_alert'").await;
        (mails, self.database.count("select count(*) from webhook_events where topic = 'usage:alert'").await)
    }
}

#[actix_web::test]
async fn people_are_told_once_when_a_month_comes_near_a_limit_and_once_when_it_reaches_it() {
    let stage = Stage::new().await;
    let (node, tenant) = (&stage.node, stage.tenant);
    for (role, email) in
        [(Role::Owner, "owner@acme.test"), (Role::Admin, "admin@acme.test"), (Role::Manager, "m@acme.test")]
    {
        person(node, Some(tenant), role, email).await;
    }
    let hook = json!({ "url": "https://hooks.example/usage", "topics": ["usage:alert"], "tenant_id": tenant });
    assert_eq!(node.makes("/v1/webhooks", hook).await.status, 201);
    let limits = format!("/v1/tenants/{tenant}/usage-limits");
    let refused = node.api("PATCH", &limits, json!({ "calls": 0 })).await;
    assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("calls")), "{}", refused.text());
    let set = node.api("PATCH", &limits, json!({ "calls": 5, "numbers": 1, "charge": 1_000_000 })).await;
    assert_eq!((set.status, &set.json()["version"]), (200, &json!(1)), "{}", set.text());

    // The one number is all of the limit: that is told, and not that it is 80 %.
    let now = Utc::now() + TimeDelta::minutes(5);
    assert_eq!(stage.compares(now).await, (2, 1));
    for _ in 0..3 {
        node.call(tenant).await;
    }
    assert_eq!(stage.compares(now).await, (2, 1), "60 %");
    node.call(tenant).await;
    assert_eq!(stage.compares(now).await, (4, 2), "80 %");
    assert_eq!(stage.compares(now).await, (4, 2), "told already");
    node.call(tenant).await;
    node.call(tenant).await;
    assert_eq!(stage.compares(now).await, (6, 3), "120 %");
    let usage = node.api("GET", &format!("/v1/usage?tenant_id={tenant}"), Value::Null).await.json();
    let told = usage["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| (alert["measure"].as_str().unwrap(), alert["percent"].as_i64().unwrap()));
    let mut told = told.collect::<Vec<_>>();
    told.sort_unstable();
    assert_eq!(told, [("calls", 80), ("calls", 100), ("numbers", 80), ("numbers", 100)], "{usage:#}");
    assert_eq!(
        (&usage["calls"], &usage["limits"]["calls"], &usage["storage_bytes"]),
        (&json!(6), &json!(5), &json!(0))
    );
    let event = "select body::jsonb -> 'data' from webhook_events where topic = 'usage:alert' order by id desc limit 1";
    let event = sqlx::query_scalar::<_, Value>(event).fetch_one(&mut stage.database.connect().await).await.unwrap();
    assert_eq!(
        (&event["measure"], &event["percent"], &event["used"], &event["most"]),
        (&json!("calls"), &json!(100), &json!(6), &json!(5)),
        "{event}"
    );

    // Another limit is another matter.
    assert_eq!(node.api("PATCH", &limits, json!({ "calls": 7 })).await.status, 200);
    assert_eq!(stage.compares(now).await, (8, 4), "85 % of seven");
    assert_eq!(node.api("PATCH", &limits, json!({ "calls": null })).await.status, 200);
    assert_eq!(stage.compares(now).await, (8, 4));
    // And so is another month.
    assert_eq!(stage.compares(now + TimeDelta::days(40)).await, (10, 5), "the number");
    stage.stop().await;
}

/// A month's usage is held between its calls and its limits, by a lock on what it reads in between.
#[actix_web::test]
async fn all_that_is_said_of_a_month_is_of_one_moment() {
    let stage = Stage::new().await;
    let (node, tenant) = (&stage.node, stage.tenant);
    let limits = format!("/v1/tenants/{tenant}/usage-limits");
    assert_eq!(node.api("PATCH", &limits, json!({ "charge": 1_000_000 })).await.status, 200);
    let (mut holder, mut other) = (stage.database.connect().await, stage.database.connect().await);
    let mut held = sqlx::Connection::begin(&mut holder).await.unwrap();
    sqlx::query("lock table recordings in access exclusive mode").execute(&mut *held).await.unwrap();
    let more = async {
        let waiting =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                          and query like '%sum(bytes) from recordings%' and query not like '%pg_stat_activity%'";
        let began = std::time::Instant::now();
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.unwrap() == 0 {
            assert!(began.elapsed().as_secs() < 60, "nobody counts what recordings need");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let set = "update usage_limits set charge = 2000000, version = version + 1 where tenant_id = $1";
        sqlx::query(set).bind(tenant).execute(&mut other).await.unwrap();
        held.commit().await.unwrap();
    };
    let path = format!("/v1/usage?tenant_id={tenant}");
    let (usage, ()) = tokio::join!(node.api("GET", &path, Value::Null), more);
    assert_eq!(usage.json()["limits"]["charge"], 1_000_000, "{}", usage.text());
    assert_eq!(node.api("GET", &path, Value::Null).await.json()["limits"]["charge"], 2_000_000);
    stage.stop().await;
}
