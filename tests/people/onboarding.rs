//! Tenants from templates, clusters, and the path from sign-up to a ringing phone.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use crate::{
    harness::{Database, Node, call_form},
    people::person,
};

#[actix_web::test]
async fn a_tenant_comes_with_all_it_begins_with_and_once_per_key() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let new = json!({
        "name": "Acme", "domain": "acme.test", "template": "default",
        "owner": { "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" }
    });
    let key = [("X-API-Key", node.key.as_str()), ("Idempotency-Key", "one")];
    let made = node.api_with("POST", "/v1/tenants", &key, new.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let tenancy = made.json();
    assert_eq!((&tenancy["owner"]["role"], &tenancy["owner"]["status"]), (&json!("owner"), &json!("invited")));
    assert_eq!(tenancy["pools"][0]["free"], 1000);
    assert_eq!(tenancy["number_requests"][0]["status"], "pending");
    assert!(tenancy["number_requests"][0]["sip_password"].as_str().unwrap().len() > 8);
    assert!(tenancy["channels"].as_array().unwrap().iter().all(|channel| channel["status"] == "inactive"));
    let again = node.api_with("POST", "/v1/tenants", &key, new.clone()).await;
    assert_eq!((again.status, again.header("Idempotency-Replayed")), (201, Some("true")));
    assert_eq!(again.json()["id"], tenancy["id"]);
    let same = node.api("POST", "/v1/tenants", new.clone()).await;
    assert!(same.status == 409 && same.text().contains("acme.test"), "{}", same.text());
    let mut other = new;
    other["domain"] = json!("other.test");
    let same = node.api("POST", "/v1/tenants", other).await;
    assert!(same.status == 409 && same.text().contains("e-mail address"), "{}", same.text());
    assert_eq!(
        node.api("GET", "/v1/tenants/by-domain/other.test", Value::Null).await.status,
        404,
        "nothing is half done"
    );
    let found = node.api("GET", "/v1/tenants/by-domain/ACME.test", Value::Null).await.json();
    assert_eq!(found["id"], tenancy["id"]);
    let setup = format!("/v1/tenants/{}/setup", tenancy["id"].as_str().unwrap());
    let setup = node.api("GET", &setup, Value::Null).await;
    assert!(!setup.text().contains("sip_password"), "shown once: {}", setup.text());
    node.stop().await;
}

#[actix_web::test]
async fn a_switch_is_answered_about_its_own_clusters_tenants_only() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let new =
        json!({ "name": "west", "region": "us-west", "max_tenants": 1, "websocket_url": "wss://west.acme.test:7443" });
    let cluster = node.api("POST", "/v1/clusters", new).await;
    assert_eq!(cluster.status, 201, "{}", cluster.text());
    let cluster = cluster.json()["id"].clone();
    let tenant = node.api("POST", "/v1/tenants", json!({ "domain": "west.test", "cluster_id": cluster })).await.json();
    assert_eq!(tenant["cluster_id"], cluster);
    let path = format!("/v1/tenants/{}", tenant["id"].as_str().unwrap());
    let id = tenant["id"].as_str().unwrap().parse().unwrap();
    let extension = node.extension(id, json!({ "number": "1000" })).await["id"].clone();
    let number = json!({ "number": "+12025550100", "destination": { "kind": "extension", "id": extension } });
    node.api("POST", &format!("/v1/phone-numbers?tenant_id={id}"), number).await;

    // The harness's switch is in the default cluster.
    let user = async || node.sign_in("1000", "west.test").await.text();
    let call = async |context: &str, number: &str| node.fetch(&call_form(number, context)).await.text();
    assert!(user().await.contains("not found"));
    assert!(call("west.test", "1000").await.contains("not found"));
    assert!(call("public", "%2B12025550100").await.contains("UNALLOCATED"));
    let default = "00000000-0000-0000-0000-000000000002";
    let moved = node.api("PATCH", &path, json!({ "cluster_id": default })).await;
    assert_eq!(moved.status, 200, "{}", moved.text());
    assert!(user().await.contains("<user "));
    assert!(call("west.test", "1000").await.contains("bridge"));
    assert!(call("public", "%2B12025550100").await.contains("bridge"));
    let back = node.api("PATCH", &path, json!({ "cluster_id": cluster })).await;
    assert_eq!(back.status, 200);
    // A switch that a tenant has left refuses its phones; "not found" would let it look elsewhere.
    let left = user().await;
    assert!(left.contains("<domain name=\"west.test\"") && !left.contains("<user "), "{left}");
    assert!(!call("west.test", "1000").await.contains("bridge"));
    assert!(call("public", "%2B12025550100").await.contains("UNALLOCATED"));

    // If a cluster is full, it gets no other tenant, neither by region nor by moving one.
    let full = node.api("POST", "/v1/tenants", json!({ "domain": "more.test", "region": "us-west" })).await;
    assert!(full.status == 409 && full.text().contains("room"), "{}", full.text());
    let nowhere = node.api("POST", "/v1/tenants", json!({ "domain": "more.test", "region": "moon" })).await;
    assert_eq!((nowhere.status, &nowhere.json()["field"]), (422, &json!("region")));
    let elsewhere = node.tenant("default.test").await;
    let refused = node.api("PATCH", &format!("/v1/tenants/{elsewhere}"), json!({ "cluster_id": cluster })).await;
    assert_eq!(refused.status, 409);
    assert_eq!(
        node.api("DELETE", &format!("/v1/clusters/{}", cluster.as_str().unwrap()), Value::Null).await.status,
        409
    );

    // A softphone's settings come from the tenant's cluster.
    let owner = person(&node, Some(id), Role::Owner, "owner@west.test").await;
    let ice = json!({ "ice_servers": [{ "urls": ["stun:stun.acme.test:3478"] }] });
    let cluster_path = format!("/v1/clusters/{}", cluster.as_str().unwrap());
    assert_eq!(node.api("PATCH", &cluster_path, ice).await.status, 200);
    let me = owner.ask(&node, "GET", "/v1/auth/me", Value::Null).await.json();
    assert_eq!(me["tenant"]["websocket_url"], "wss://west.acme.test:7443");
    assert_eq!(me["tenant"]["ice_servers"][0]["urls"][0], "stun:stun.acme.test:3478");

    // The switch can be moved instead.
    let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
    let switch = format!("/v1/switches/{}", switches["items"][0]["id"].as_str().unwrap());
    node.api("PATCH", &switch, json!({ "cluster_id": cluster })).await;
    assert!(user().await.contains("<user "));
    node.stop().await;
}

#[actix_web::test]
async fn new_tenants_go_to_the_cluster_that_is_filled_least() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut clusters = Vec::new();
    for (name, max) in [("one", 4), ("two", 2)] {
        let new = json!({ "name": name, "region": "eu", "max_tenants": max });
        let id = node.api("POST", "/v1/clusters", new).await.json()["id"].clone();
        let switch = json!({ "name": format!("fs-{name}"), "cluster_id": id });
        assert_eq!(node.api("POST", "/v1/switches", switch).await.status, 201);
        clusters.push(id);
    }
    let mut counts = [0, 0];
    for n in 0..6 {
        let new = json!({ "domain": format!("t{n}.test"), "region": "eu" });
        let made = node.api("POST", "/v1/tenants", new).await.json();
        counts[clusters.iter().position(|id| *id == made["cluster_id"]).unwrap()] += 1;
        if n == 2 {
            assert_eq!(counts, [2, 1], "as much as each can bear");
        }
    }
    assert_eq!(counts, [4, 2]);
    assert_eq!(node.api("POST", "/v1/tenants", json!({ "domain": "t7.test", "region": "eu" })).await.status, 409);
    node.stop().await;
}

#[actix_web::test]
async fn the_audit_log_is_read_by_a_tenants_administrators_for_their_tenant() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (ours, theirs) = (node.tenant("ours.test").await, node.tenant("theirs.test").await);
    node.extension(ours, json!({ "number": "1000" })).await;
    node.extension(theirs, json!({ "number": "1000" })).await;
    let admin = person(&node, Some(ours), Role::Admin, "admin@ours.test").await;
    let agent = person(&node, Some(ours), Role::Agent, "agent@ours.test").await;
    let log = admin.ask(&node, "GET", "/v1/audit", Value::Null).await.json();
    let items = log["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|entry| entry["tenant_id"] == json!(ours)));
    let filtered = admin.ask(&node, "GET", "/v1/audit?resource=extensions/&action=create", Value::Null).await.json();
    assert_eq!(filtered["items"].as_array().unwrap().len(), 1);
    assert_eq!(filtered["items"][0]["after"]["number"], "1000");
    assert!(filtered["items"][0]["actor"].as_str().unwrap().starts_with("key:"));
    assert_eq!(agent.ask(&node, "GET", "/v1/audit", Value::Null).await.status, 403);
    let first = admin.ask(&node, "GET", "/v1/audit?limit=1", Value::Null).await.json();
    let next = format!("/v1/audit?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_ne!(admin.ask(&node, "GET", &next, Value::Null).await.json()["items"][0]["id"], first["items"][0]["id"]);
    node.stop().await;
}

#[actix_web::test]
async fn settings_are_merged_checked_and_go_with_the_tenant() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let new = json!({ "domain": "smile.test", "template": "dental-practice", "settings": { "language": "de", "time_zone": "Europe/Berlin" } });
    let tenancy = node.api("POST", "/v1/tenants", new).await;
    assert_eq!(tenancy.status, 201, "{}", tenancy.text());
    let tenancy = tenancy.json();
    assert_eq!((&tenancy["template"], &tenancy["pools"][0]["free"]), (&json!("dental-practice"), &json!(100)));
    let kinds =
        tenancy["channels"].as_array().unwrap().iter().map(|channel| channel["kind"].clone()).collect::<Vec<_>>();
    assert_eq!(kinds, ["voice", "sms", "web_chat"]);
    assert_eq!(tenancy["integrations"].as_array().unwrap().len(), 2);
    let tenant: uuid::Uuid = serde_json::from_value(tenancy["id"].clone()).unwrap();
    let admin = person(&node, Some(tenant), Role::Admin, "admin@smile.test").await;
    let path = format!("/v1/tenants/{tenant}/settings");
    let shown = admin.ask(&node, "GET", &path, Value::Null).await;
    assert_eq!(shown.json()["time_zone"], "Europe/Berlin");
    let version = shown.header("ETag").unwrap().to_owned();
    let patch = json!({ "features": { "messaging": false }, "business_hours": { "friday": [], "saturday": [{ "open": "09:00", "close": "12:00" }] } });
    let changed = admin.ask(&node, "PATCH", &path, patch).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(
        (&changed.json()["features"]["messaging"], &changed.json()["features"]["queues"]),
        (&json!(false), &json!(true))
    );
    for (patch, field) in [
        (json!({ "currency": "doubloons" }), "currency"),
        (
            json!({ "business_hours": { "monday": [{ "open": "10:00", "close": "09:00" }] } }),
            "business_hours.monday[0].close",
        ),
        (json!({ "features": { "free_calls": true } }), "features.free_calls"),
    ] {
        let refused = admin.ask(&node, "PATCH", &path, patch).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!(field)), "{}", refused.text());
    }
    let bearer = format!("Bearer {}", admin.token);
    let headers = [("Authorization", bearer.as_str()), ("If-Match", version.as_str())];
    assert_eq!(node.api_with("PATCH", &path, &headers, json!({})).await.status, 412, "it was changed meanwhile");
    let unknown = json!({ "domain": "x.test", "template": "nothing" });
    assert_eq!(node.api("POST", "/v1/tenants", unknown).await.json()["field"], "template");
    let schema = node.api("GET", "/v1/templates/schema", Value::Null).await;
    assert!(schema.status == 200 && schema.text().contains("business_hours"));
    // A template of the platform replaces the built-in one, and then not any more.
    let mut own = node.api("GET", "/v1/templates/default", Value::Null).await.json();
    own["title"] = json!("Ours");
    own["settings"]["calling"]["pool_size"] = json!(20);
    let put = node.api("PUT", "/v1/templates/default", own.clone()).await;
    assert_eq!((put.status, &put.json()["version"]), (200, &json!(2)), "{}", put.text());
    assert_eq!(node.api("POST", "/v1/tenants", json!({ "domain": "y.test" })).await.json()["pools"][0]["free"], 20);
    own["settings"]["surprise"] = json!(1);
    assert_eq!(node.api("PUT", "/v1/templates/default", own.clone()).await.json()["field"], "settings.surprise");
    assert_eq!(node.api("DELETE", "/v1/templates/default", Value::Null).await.status, 204);
    assert_eq!(node.api("GET", "/v1/templates/default", Value::Null).await.json()["version"], 1);
    // Each version keeps its content forever, even if the template is deleted or created again.
    own.as_object_mut().unwrap()["settings"].as_object_mut().unwrap().remove("surprise");
    own["title"] = json!("Ours again");
    assert_eq!(node.api("PUT", "/v1/templates/default", own).await.json()["version"], 3);
    for (version, title) in [(1, "A company with telephones"), (2, "Ours"), (3, "Ours again")] {
        let then = node.api("GET", &format!("/v1/templates/default?version={version}"), Value::Null).await;
        assert_eq!(then.json()["title"], title, "{}", then.text());
    }
    assert_eq!(node.api("GET", "/v1/templates/default?version=4", Value::Null).await.status, 404);
    let history = node.api("GET", "/v1/templates/default/versions", Value::Null).await.json();
    let history = history["items"].as_array().unwrap().iter().map(|item| item["version"].clone());
    assert_eq!(history.collect::<Vec<_>>(), [3, 2]);
    assert_eq!(node.api("DELETE", "/v1/templates/default", Value::Null).await.status, 204);

    // A deleted tenant is first suspended. When its time is over, only who, what and when remain in the audit log.
    node.extension(tenant, json!({ "number": "1000" })).await;
    let going = node.api("DELETE", &format!("/v1/tenants/{tenant}?cascade=true"), Value::Null).await;
    assert_eq!(going.status, 200, "{}", going.text());
    dialplane::app::jobs::purge_tenants(&node.app.changes).await.unwrap();
    assert_eq!(node.api("GET", &format!("/v1/tenants/{tenant}"), Value::Null).await.status, 200, "not yet");
    let mut db = database.connect().await;
    sqlx::query("update tenants set purge_at = now() - interval '1 second' where id = $1")
        .bind(tenant)
        .execute(&mut db)
        .await
        .unwrap();
    dialplane::app::jobs::purge_tenants(&node.app.changes).await.unwrap();
    assert_eq!(node.api("GET", &format!("/v1/tenants/{tenant}"), Value::Null).await.status, 404);
    assert!(node.sign_in("1000", "smile.test").await.text().contains("not found"));
    let left = "select count(*) from audit_log where tenant_id = $1 and (before is not null or after is not null)";
    let left = sqlx::query_scalar::<_, i64>(left).bind(tenant).fetch_one(&mut db).await.unwrap();
    let entries =
        sqlx::query_scalar::<_, i64>("select count(*) from audit_log where tenant_id = $1 and action = 'purge'");
    assert_eq!((left, entries.bind(tenant).fetch_one(&mut db).await.unwrap()), (0, 1));
    for table in [
        "users",
        "extensions",
        "extension_pools",
        "number_requests",
        "channels",
        "integrations",
        "mail_outbox",
        "held_numbers",
    ] {
        let rows = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(format!(
            "select count(*) from {table} where tenant_id = $1"
        )));
        assert_eq!(rows.bind(tenant).fetch_one(&mut db).await.unwrap(), 0, "{table}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn tenants_that_come_to_nothing_leave_no_gap_in_the_ranges() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let first = async |domain: &str| {
        let made = node.api("POST", "/v1/tenants", json!({ "domain": domain })).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["pools"][0]["first_number"].as_i64().unwrap()
    };
    let one = first("one.test").await;
    for _ in 0..3 {
        assert_eq!(node.api("POST", "/v1/tenants", json!({ "domain": "one.test" })).await.status, 409);
    }
    assert_eq!(first("two.test").await, one + 1000);
    node.stop().await;
}
