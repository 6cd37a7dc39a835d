//! Whose things a request is about: one scheme of paths, and tenants that do not exist.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Database, Node, send};

async fn description(node: &Node) -> Value {
    send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json()
}

/// Every operation: its method, its path, and itself.
fn operations(described: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = described["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, it)| (method.as_str(), path.as_str(), it))
    })
}

fn takes(operation: &Value, place: &str, name: &str) -> bool {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.into_iter().any(|it| it["in"] == place && it["name"] == name)
}

/// A path with ids that nothing has, and with what its query needs besides.
fn asked(path: &str, operation: &Value) -> String {
    let nobody = Uuid::now_v7().to_string();
    let path = path.split('/').map(|part| if part.starts_with('{') { nobody.as_str() } else { part });
    let mut path = path.collect::<Vec<_>>().join("/") + "?";
    for parameter in operation["parameters"].as_array().unwrap().iter().filter(|it| it["required"] == true) {
        let value = match parameter["name"].as_str().unwrap() {
            _ if parameter["schema"]["format"] == "uuid" => nobody.as_str(),
            "number" => "%2B4930123456",
            "until" => "1",
            "from" | "since" => "2026-11-26T00:00:00Z",
            _ => "x",
        };
        if parameter["in"] == "query" {
            path.extend([parameter["name"].as_str().unwrap(), "=", value, "&"]);
        }
    }
    path
}

#[actix_web::test]
async fn no_list_of_a_tenant_that_does_not_exist_is_empty() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let described = description(&node).await;
    let mut lists = 0;
    for (_, path, operation) in operations(&described).filter(|(method, ..)| *method == "get") {
        // A link that is shared names its tenant too, and is proved by its signature.
        if !takes(operation, "query", "tenant_id") || path.starts_with("/v1/shared-recordings") {
            continue;
        }
        let path = asked(path, operation);
        let unknown = node.api("GET", &format!("{path}tenant_id={}", Uuid::now_v7()), Value::Null).await;
        let told = unknown.json();
        assert_eq!(
            (unknown.status, &told["code"], &told["params"]["what"]),
            (404, &json!("not_found"), &json!("tenant")),
            "{path}: {told}"
        );
        // Not because of something else. A stream would not end.
        if !path.starts_with("/v1/events") {
            let known = node.api("GET", &format!("{path}tenant_id={tenant}"), Value::Null).await;
            assert!(known.status != 404 || known.json()["params"]["what"] != "tenant", "{path}: {}", known.text());
        }
        lists += 1;
    }
    assert!(lists > 40, "{lists}");
    node.stop().await;
}

#[actix_web::test]
async fn a_key_of_a_tenant_reads_no_other_and_need_not_name_its_own() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (ours, theirs) = (node.tenant("ours.test").await, node.tenant("theirs.test").await);
    let key = json!({ "name": "ours", "tenant_id": ours, "scopes": ["*"] });
    let key = node.makes("/v1/keys", key).await.json()["token"].as_str().unwrap().to_owned();
    let described = description(&node).await;
    let mut lists = 0;
    for (_, path, operation) in operations(&described).filter(|(method, ..)| *method == "get") {
        let is_page = operation["responses"]["200"].to_string().contains("Page_");
        if !takes(operation, "query", "tenant_id") || !is_page || path.contains('{') {
            continue;
        }
        let path = asked(path, operation);
        let read = async |query: String| {
            let answer = node.api_with("GET", &format!("{path}{query}"), &[("X-API-Key", &key)], Value::Null).await;
            (answer.status, answer.json()["code"].clone())
        };
        let own = read(String::new()).await;
        assert_eq!(read(format!("tenant_id={ours}")).await, own, "{path}");
        // Carriers and unread records are the platform's business.
        if own.0 != 403 {
            assert_eq!(read(format!("tenant_id={theirs}")).await, (404, json!("not_found")), "{path}");
        }
        lists += 1;
    }
    assert!(lists > 15, "{lists}");
    node.stop().await;
}

#[actix_web::test]
async fn the_audit_log_of_a_tenant_that_is_gone_can_still_be_read() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let gone = node.api("DELETE", &format!("/v1/tenants/{tenant}?cascade=true&purge=now"), Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let log = node.api("GET", &format!("/v1/audit?tenant_id={tenant}"), Value::Null).await;
    assert_eq!(log.status, 200, "{}", log.text());
    assert!(log.items().as_array().unwrap().iter().any(|entry| entry["action"] == "purge"));
    assert_eq!(node.api("GET", &format!("/v1/contacts?tenant_id={tenant}"), Value::Null).await.status, 404);
    node.stop().await;
}

#[actix_web::test]
async fn lists_of_the_platform_are_filtered_by_the_tenant() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (ours, theirs) = (node.tenant("ours.test").await, node.tenant("theirs.test").await);
    for (path, new) in [
        ("/v1/keys", json!({ "scopes": ["agents:read"] })),
        ("/v1/webhooks", json!({ "url": "https://hooks.test/x", "topics": ["call:ended"] })),
        ("/v1/carriers", json!({ "config": { "host": "127.0.0.1:5999" } })),
    ] {
        for (name, tenant) in
            [("one", json!(ours)), ("two", json!(ours)), ("three", json!(theirs)), ("four", json!(null))]
        {
            let mut new = new.clone();
            new["tenant_id"] = tenant;
            let name_of = if path == "/v1/webhooks" { "description" } else { "name" };
            new[name_of] = json!(name);
            let made = node.api("POST", path, new).await;
            assert_eq!(made.status, 201, "{path}: {}", made.text());
        }
        let of = async |tenant: Uuid| {
            let items = node.api("GET", &format!("{path}?tenant_id={tenant}"), Value::Null).await.items();
            let items = items.as_array().unwrap().clone();
            assert!(items.iter().all(|item| item["tenant_id"] == json!(tenant)), "{path}: {items:#?}");
            items.len()
        };
        assert_eq!((of(ours).await, of(theirs).await), (2, 1), "{path}");
    }
    node.stop().await;
}

/// The paths of each line of the table in `docs/api.md`.
fn scheme() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| in ") || line.starts_with("| nowhere"));
    let lines = lines.map(|line| {
        let (place, paths) = line.trim_matches(['|', ' ']).split_once(" | ").unwrap();
        (place.to_owned(), paths.split('`').filter(|part| part.starts_with("/v1/")).map(str::to_owned).collect())
    });
    lines.collect()
}

#[actix_web::test]
async fn every_path_names_its_tenant_as_the_docs_say() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = description(&node).await;
    let scheme = scheme();
    assert_eq!(scheme.len(), 5, "{scheme:?}");
    let mut seen = std::collections::BTreeSet::new();
    for (method, path, operation) in operations(&described) {
        let fits = |named: &&String| {
            path == **named || path.strip_prefix(named.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let found = scheme.iter().flat_map(|(place, paths)| paths.iter().filter(fits).map(move |path| (place, path)));
        let (place, named) = found.max_by_key(|(_, path)| path.len()).unwrap_or_else(|| panic!("{path} is in no line"));
        seen.insert(named.clone());
        let in_query = takes(operation, "query", "tenant_id");
        let expected = match place.as_str() {
            "in the path" => false,
            "in `?tenant_id=`, with every operation" => true,
            "in `?tenant_id=`, of the list only" => method == "get" && path == named,
            _ => (method, path) == ("post", "/v1/chat/notices"),
        };
        assert_eq!(in_query, expected, "{method} {path}, which is {place}");
        assert_eq!(takes(operation, "path", "tenant_id"), place == "in the path", "{method} {path}");
    }
    for (place, paths) in &scheme {
        assert!(paths.iter().all(|path| seen.contains(path)), "a path that is none: {place} {paths:?}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn paths_with_two_names_answer_the_same() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let [one, two] = ["/v1/unreadable-records", "/v1/call-records/unreadable"];
    let reader = dialplane::telephony::calls::record::READER;
    let kept = "insert into cdr_inbox (leg, switch_id, body, received_at, unreadable, reader)
                select gen_random_uuid()::text, id, 'nope', now(), 'not_a_record', $1 from switches limit 1";
    sqlx::query(kept).bind(reader).execute(node.app.changes.pool()).await.unwrap();
    let [one, two] = [node.api("GET", one, Value::Null).await, node.api("GET", two, Value::Null).await];
    assert_eq!((one.status, one.json()), (200, two.json()));
    assert_eq!(one.items().as_array().unwrap().len(), 1);
    node.stop().await;
}
