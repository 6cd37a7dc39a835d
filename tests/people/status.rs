//! Agents' status: who may set whose, what is refused, and how long it is kept.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Database, Node},
    people::person,
};

fn status(agent: Uuid) -> String {
    format!("/v1/agents/{agent}/status")
}

#[actix_web::test]
async fn agents_set_their_own_status_and_managers_everybodys_in_their_tenant() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (ours, theirs) = (node.tenant("ours.test").await, node.tenant("theirs.test").await);
    let agent = person(&node, Some(ours), Role::Agent, "agent@ours.test").await;
    let colleague = person(&node, Some(ours), Role::Agent, "colleague@ours.test").await;
    let manager = person(&node, Some(ours), Role::Manager, "manager@ours.test").await;
    let stranger = person(&node, Some(theirs), Role::Owner, "owner@theirs.test").await;

    // Whoever never chose is available.
    let before = agent.ask(&node, "GET", &status(agent.id), Value::Null).await;
    assert_eq!((before.status, &before.json()["status"]), (200, &json!("available")), "{}", before.text());
    assert_eq!((&before.json()["since"], &before.json()["now"]), (&Value::Null, &Value::Null), "{}", before.text());
    let own = agent.ask(&node, "PUT", &status(agent.id), json!({ "status": "away" })).await;
    assert_eq!((own.status, &own.json()["set_by"]), (200, &Value::Null), "{}", own.text());
    let by_manager = manager.ask(&node, "PUT", &status(agent.id), json!({ "status": "offline" })).await;
    assert_eq!(by_manager.status, 200, "{}", by_manager.text());
    let seen = agent.ask(&node, "GET", &status(agent.id), Value::Null).await.json();
    assert_eq!((&seen["status"], &seen["set_by"]), (&json!("offline"), &json!("manager@ours.test")), "{seen}");

    for what in ["status", "activity"] {
        let path = format!("/v1/agents/{}/{what}", agent.id);
        assert_eq!(colleague.ask(&node, "GET", &path, Value::Null).await.status, 404, "a colleague: {what}");
        assert_eq!(stranger.ask(&node, "GET", &path, Value::Null).await.status, 404, "another tenant: {what}");
        let named = format!("{path}?tenant_id={ours}");
        assert_eq!(stranger.ask(&node, "GET", &named, Value::Null).await.status, 404, "another tenant: {what}");
        assert_eq!(manager.ask(&node, "GET", &path, Value::Null).await.status, 200, "a manager: {what}");
    }
    for other in [&colleague, &stranger] {
        let refused = other.ask(&node, "PUT", &status(agent.id), json!({ "status": "available" })).await;
        assert_eq!(refused.status, 404, "{}", refused.text());
        let path = format!("/v1/agents/{}/wrap-up", agent.id);
        let refused = other.ask(&node, "PUT", &path, json!({ "seconds": 0 })).await;
        assert_eq!(refused.status, 404, "{}", refused.text());
    }
    assert_eq!(agent.ask(&node, "GET", &status(agent.id), Value::Null).await.json()["status"], "offline");

    // Both changes are in the audit log, with who made them. The same again is no change.
    let again = manager.ask(&node, "PUT", &status(agent.id), json!({ "status": "offline" })).await;
    assert_eq!(again.json()["since"], by_manager.json()["since"], "{}", again.text());
    let audit = node.api("GET", &format!("/v1/audit?tenant_id={ours}"), Value::Null).await.json();
    let resource = format!("agents/{}/status", agent.id);
    let entries = audit["items"].as_array().unwrap().iter().filter(|entry| entry["resource"] == resource.as_str());
    let entries = entries.collect::<Vec<_>>();
    assert_eq!(entries.len(), 2, "{audit}");
    assert!(entries[0]["actor"].as_str().unwrap().contains("manager@ours.test"), "{}", entries[0]);
    assert_eq!((&entries[0]["before"]["status"], &entries[0]["after"]["status"]), (&json!("away"), &json!("offline")));
    // The status of a deleted agent is deleted, too.
    let deleted = node.api("DELETE", &format!("/v1/admin/agents/{}?tenant_id={ours}", agent.id), Value::Null).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    assert_eq!(database.count("select count(*) from agent_statuses").await, 0);
    node.stop().await;
}

#[actix_web::test]
async fn only_the_tenants_reasons_for_a_status_are_taken() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("ours.test").await;
    let agent = person(&node, Some(tenant), Role::Agent, "agent@ours.test").await;
    let settings = format!("/v1/tenants/{tenant}/settings");
    let reasons = json!([{ "status": "away", "name": "Mittag ☕" }, { "status": "busy", "name": "Mails" }]);
    let set = node.api("PATCH", &settings, json!({ "agents": { "status_reasons": reasons } })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let put = async |body: Value| {
        let answer = agent.ask(&node, "PUT", &status(agent.id), body).await;
        (answer.status, answer.json())
    };
    let (code, shown) = put(json!({ "status": "away", "reason": "Mittag ☕" })).await;
    assert_eq!((code, &shown["reason"]), (200, &json!("Mittag ☕")), "{shown}");
    for wrong in [
        json!({ "status": "busy", "reason": "Mittag ☕" }),
        json!({ "status": "away", "reason": "mittag ☕" }),
        json!({ "status": "away", "reason": "" }),
        json!({ "status": "away", "reason": "x".repeat(10_000) }),
        json!({ "status": "away", "reason": 7 }),
        json!({ "status": "on_call" }),
        json!({ "status": "wrap_up" }),
        json!({ "status": "away", "since": "2026-01-01T00:00:00Z" }),
        json!({}),
        json!([]),
    ] {
        let (code, said) = put(wrong.clone()).await;
        assert_eq!(code, 422, "{wrong}: {said}");
    }
    assert_eq!(agent.ask(&node, "GET", &status(agent.id), Value::Null).await.json()["reason"], "Mittag ☕");
    // A reason that is no longer in the settings stays where it was chosen, and can't be chosen again.
    let set = node.api("PATCH", &settings, json!({ "agents": { "status_reasons": [] } })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    assert_eq!(agent.ask(&node, "GET", &status(agent.id), Value::Null).await.json()["reason"], "Mittag ☕");
    assert_eq!(put(json!({ "status": "away", "reason": "Mittag ☕" })).await.0, 422);
    for wrong in [
        json!({ "status_reasons": [{ "status": "away", "name": "" }] }),
        json!({ "status_reasons": [{ "status": "on_call", "name": "x" }] }),
        json!({ "phone_gone_seconds": -1 }),
        json!({ "phone_gone_seconds": 5 }),
    ] {
        let refused = node.api("PATCH", &settings, json!({ "agents": wrong })).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text());
    }
    // Not a time, not a page, nobody.
    for (query, code) in [
        ("?from=yesterday", 400),
        ("?cursor=nonsense", 400),
        ("?limit=0", 400),
        ("?surprise=1", 400),
        ("?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z&limit=1", 200),
    ] {
        let path = format!("/v1/agents/{}/activity{query}", agent.id);
        let answer = agent.ask(&node, "GET", &path, Value::Null).await;
        assert_eq!(answer.status, code, "{query}: {}", answer.text());
    }
    for nobody in [Uuid::new_v4().to_string(), "me".into()] {
        let path = format!("/v1/agents/{nobody}/status?tenant_id={tenant}");
        assert_eq!(node.api("GET", &path, Value::Null).await.status, 404);
        assert_eq!(node.api("PUT", &path, json!({ "status": "away" })).await.status, 404);
    }
    node.stop().await;
}

#[actix_web::test]
async fn what_happened_is_listed_the_latest_first_in_pages_and_by_time() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("ours.test").await;
    let agent = person(&node, Some(tenant), Role::Agent, "agent@ours.test").await;
    let mut db = database.connect().await;
    for (at, state) in ["available", "on_call", "wrap_up", "available", "away"].into_iter().enumerate() {
        let hours = i32::try_from(at).unwrap();
        let written = sqlx::query(
            "insert into agent_activity (id, tenant_id, user_id, state, started_at, ended_at)
             values (gen_random_uuid(), $1, $2, $3, '2026-11-01T08:00Z'::timestamptz + make_interval(hours => $4),
                     case when $4 < 4 then '2026-11-01T09:00Z'::timestamptz + make_interval(hours => $4) end)",
        );
        written.bind(tenant).bind(agent.id).bind(state).bind(hours).execute(&mut db).await.unwrap();
    }
    let path = format!("/v1/agents/{}/activity", agent.id);
    let list = async |query: &str| {
        let answer = agent.ask(&node, "GET", &format!("{path}{query}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let states = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|entry| entry["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = list("").await;
    assert_eq!(states(&all), ["away", "available", "wrap_up", "on_call", "available"]);
    assert_eq!((&all["items"][0]["ended_at"], &all["items"][1]["seconds"]), (&Value::Null, &json!(3600)));
    let mut paged = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = list(&query).await;
        paged.extend(states(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(paged, states(&all));
    // Whatever lasted into the time asked for, or began in it.
    let some = list("?from=2026-11-01T09:30:00Z&to=2026-11-01T10:30:00Z").await;
    assert_eq!(states(&some), ["wrap_up", "on_call"]);
    // It is deleted after the tenant's period for calls; how they are now stays.
    let path = format!("/v1/tenants/{tenant}/retention");
    assert_eq!(node.api("PATCH", &path, json!({ "calls_days": 30 })).await.status, 200);
    let later = "2026-12-20T00:00:00Z".parse().unwrap();
    let periods = dialplane::app::settings::Settings::default().retention();
    dialplane::app::retention::pass(node.app.changes.pool(), &periods, later).await.unwrap();
    assert_eq!(states(&list("").await), ["away"]);
    node.stop().await;
}
