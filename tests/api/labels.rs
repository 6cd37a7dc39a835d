//! `external_id` and `metadata`: what integrators note on things, and find them by.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node, send};

/// What a change leaves behind.
async fn traces(database: &Database) -> (i64, i64) {
    let audit = database.count("select count(*) from audit_log").await;
    (audit, generations(database).await)
}

async fn generations(database: &Database) -> i64 {
    database.count("select coalesce(sum(generation), 0)::bigint from generation").await
}

/// How many entries the audit log has about a thing, and the last of them.
async fn entries(database: &Database, id: Uuid) -> (usize, Value) {
    let mut db = database.connect().await;
    let sql = "select action, before, after from audit_log where resource like '%/' || $1::text order by id";
    let rows =
        sqlx::query_as::<_, (String, Option<Value>, Option<Value>)>(sql).bind(id).fetch_all(&mut db).await.unwrap();
    let last = rows
        .last()
        .map_or(Value::Null, |(action, before, after)| json!({ "action": action, "before": before, "after": after }));
    (rows.len(), last)
}

/// Something of the subject's own that changes it.
fn change_of(kind: &Kind) -> Value {
    match kind.name {
        "pool" => json!({ "last_number": 5019 }),
        "extension" => json!({ "display_name": "Changed" }),
        "agent" => json!({ "first_name": "Changed" }),
        "webhook" => json!({ "topics": ["call:incoming"] }),
        "number" => json!({ "provider": "changed" }),
        "switch" => json!({ "status": "disabled" }),
        _ => json!({ "name": "changed" }),
    }
}

#[actix_web::test]
async fn what_is_asked_for_at_once_is_one_version_and_one_entry_of_the_audit_log() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for kind in kinds(tenant, 1) {
        let name = kind.name;
        let noted = json!({ "external_id": "crm-1", "metadata": { "team": "north" } });
        let made = node.api("POST", &kind.list, with(&kind.new[0], noted)).await;
        assert_eq!(made.status, 201, "{name}: {}", made.text());
        let id = made.id();
        let (count, entry) = entries(&database, id).await;
        assert_eq!((count, &entry["action"], &entry["before"]), (1, &json!("create"), &Value::Null), "{name}: {entry}");
        let shown = |noted: &Value, team: &str, external_id: &str| match name {
            // A person's contacts are counted only.
            "contact" => assert_eq!(noted["metadata"], 1, "{noted}"),
            _ => assert_eq!(labels(noted), (json!(external_id), json!({ "team": team })), "{name}: {noted}"),
        };
        shown(&entry["after"], "north", "crm-1");

        let both = with(&change_of(&kind), json!({ "external_id": "crm-2", "metadata": { "team": "south" } }));
        let changed = node.api("PATCH", &kind.at(id), both.clone()).await;
        assert_eq!((changed.status, &changed.json()["version"]), (200, &json!(2)), "{name}: {}", changed.text());
        let (count, entry) = entries(&database, id).await;
        assert_eq!((count, &entry["action"]), (2, &json!("update")), "{name}: {entry}");
        shown(&entry["before"], "north", "crm-1");
        shown(&entry["after"], "south", "crm-2");
        assert!(entry["after"].as_object().unwrap().len() > 2, "{name}: also what else was changed: {entry}");

        // The same again leaves nothing; labels alone are an entry of their own, and so is the rest alone.
        assert_eq!(node.api("PATCH", &kind.at(id), both).await.json()["version"], 2, "{name}");
        assert_eq!(entries(&database, id).await.0, 2, "{name}");
        let alone = node.api("PATCH", &kind.at(id), json!({ "metadata": { "team": "east" } })).await;
        assert_eq!(alone.json()["version"], 3, "{name}: {}", alone.text());
        assert_eq!(entries(&database, id).await.0, 3, "{name}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_line_of_many_changes_is_one_version_and_one_entry_of_the_audit_log() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let made = node.api("POST", &of("groups"), json!({ "name": "sales" })).await;
    let other = node.api("POST", &of("groups"), json!({ "name": "support", "external_id": "g-9" })).await;
    let id = made.id();
    let changes = json!({ "partial": true, "changes": [
        { "key": "sales", "set": { "ring_seconds": 33, "external_id": "g-9" } },
        { "key": "sales", "set": { "ring_seconds": 34, "external_id": "g-1" } },
        { "key": "support", "set": { "metadata": { "a": "1" } } },
    ] });
    let report = node.api("PATCH", &of("groups/bulk"), changes).await;
    let outcomes =
        report.json()["lines"].as_array().unwrap().iter().map(|line| line["outcome"].clone()).collect::<Vec<_>>();
    assert_eq!(outcomes, [json!("refused"), json!("changed"), json!("changed")], "{}", report.text());
    let group = node.api("GET", &of(&format!("groups/{id}")), Value::Null).await.json();
    assert_eq!(
        (&group["version"], &group["ring_seconds"], &group["external_id"]),
        (&json!(2), &json!(34), &json!("g-1"))
    );
    // What was refused left nothing, not even a part of an entry.
    let (count, entry) = entries(&database, id).await;
    assert_eq!(
        (count, &entry["after"]["external_id"], &entry["after"]["ring_seconds"]),
        (2, &json!("g-1"), &json!(34)),
        "{entry}"
    );
    assert_eq!(entries(&database, other.id()).await.0, 2);
    // With a PUT as well.
    let put = json!({ "name": "sales", "ring_seconds": 35, "metadata": { "b": "2" } });
    let put = node.api("PUT", &of("groups/by-name/sales"), put).await;
    assert_eq!((put.status, &put.json()["version"]), (200, &json!(3)), "{}", put.text());
    let (count, entry) = entries(&database, id).await;
    assert_eq!(
        (count, &entry["before"]["external_id"], &entry["after"]["external_id"]),
        (3, &json!("g-1"), &Value::Null)
    );
    node.stop().await;
}

#[actix_web::test]
async fn many_numbers_and_contacts_have_labels_from_the_beginning() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let ask = async |path: &str, media: &str, body: &str| {
        let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", media)];
        send(node.app.app_address, "POST", &format!("{path}tenant_id={tenant}"), &headers, body.as_bytes()).await
    };
    let one = async |path: &str| {
        let found = node.api("GET", &format!("{path}&tenant_id={tenant}"), Value::Null).await.items();
        assert_eq!(found.as_array().unwrap().len(), 1, "{path}: {found}");
        found[0].clone()
    };
    // Numbers, as CSV and as JSON.
    let file =
        "number,provider,external_id,metadata.team,metadata.site\n+12025550101,telnyx,n-1,north,\n+12025550102,,,,\n";
    let made = ask("/v1/phone-numbers/bulk?", "text/csv", file).await;
    assert_eq!((made.status, &made.json()["created"]), (201, &json!(2)), "{}", made.text());
    let number = one("/v1/phone-numbers?external_id=n-1").await;
    assert_eq!(
        (&number["number"], labels(&number)),
        (&json!("+12025550101"), (json!("n-1"), json!({ "team": "north" })))
    );
    let (count, entry) = entries(&database, number["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!((count, &entry["after"]["external_id"]), (1, &json!("n-1")), "{entry}");
    let lines = json!({ "numbers": [
        { "number": "+12025550103", "country": "US", "external_id": "n-3", "metadata": { "team": "south" } },
        { "number": "+12025550104", "external_id": "n-1" },
        { "number": "+12025550105", "external_id": "n-3" },
        { "number": "+12025550106", "metadata": { "k": "x".repeat(501) } },
        { "number": "+12025550107", "colour": "red" },
    ] });
    let refused = ask("/v1/phone-numbers/bulk?", "application/json", &lines.to_string()).await;
    assert_eq!((refused.status, &refused.json()["created"]), (422, &json!(0)), "{}", refused.text());
    let made = ask("/v1/phone-numbers/bulk?partial=true&", "application/json", &lines.to_string()).await;
    assert_eq!((made.status, &made.json()["created"]), (201, &json!(1)), "{}", made.text());
    let report = made.json();
    let told = |at: usize| (report["lines"][at]["code"].clone(), report["lines"][at]["field"].clone());
    assert_eq!(told(1).0, "external_id_taken");
    assert_eq!(report["lines"][1]["params"]["id"], number["id"], "{report}");
    assert_eq!(told(2), (json!("line_twice"), json!("external_id")));
    assert_eq!(told(3).1, "metadata.k");
    assert_eq!(told(4).1, "colour");
    assert_eq!(one("/v1/phone-numbers?external_id=n-3").await["number"], "+12025550103");
    let wrong = ask("/v1/phone-numbers/bulk?", "application/json", "{\"numbers\": []}").await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());

    // Contacts: what is exported is imported elsewhere as it was.
    let file = "name,number,external_id,metadata.segment,vip\nAda,+4930111,c-1,gold;silver,yes\nBob,+4930112,c-1,,\nCy,+4930113,,,\n";
    let made = ask("/v1/contacts/import?", "text/csv", file).await;
    assert_eq!((&made.json()["created"], &made.json()["refused"]), (&json!(2), &json!(1)), "{}", made.text());
    assert_eq!(made.json()["lines"][1]["refused"]["field"], "external_id", "{}", made.text());
    let ada = one("/v1/contacts?external_id=c-1").await;
    assert_eq!((&ada["name"], labels(&ada).1), (&json!("Ada"), json!({ "segment": "gold;silver" })));
    assert_eq!(ada["fields"], json!({ "vip": "yes" }));
    let again = ask("/v1/contacts/import?", "text/csv", "name,external_id\nDan,c-1\n").await;
    assert_eq!(again.json()["lines"][0]["refused"]["code"], "external_id_taken", "{}", again.text());
    let sheet = node.api("GET", &format!("/v1/contacts/export?tenant_id={tenant}"), Value::Null).await.text();
    let elsewhere = node.tenant("beta.test").await;
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/contacts/import?tenant_id={elsewhere}");
    let made = send(node.app.app_address, "POST", &path, &headers, sheet.as_bytes()).await;
    assert_eq!((made.status, &made.json()["created"]), (201, &json!(2)), "{sheet} {}", made.text());
    let found =
        node.api("GET", &format!("/v1/contacts?external_id=c-1&tenant_id={elsewhere}"), Value::Null).await.items();
    assert_eq!((labels(&found[0]), &found[0]["fields"]), (labels(&ada), &ada["fields"]), "{found}");
    node.stop().await;
}

/// A kind of thing: where its list is, and how two of them are made.
struct Kind {
    name: &'static str,
    list: String,
    /// Where one is, if not below its list.
    one: Option<&'static str>,
    new: [Value; 2],
}

impl Kind {
    fn at(&self, id: impl std::fmt::Display) -> String {
        let (path, query) = self.list.split_once('?').unwrap_or((&self.list, ""));
        let path = self.one.unwrap_or(path);
        if query.is_empty() { format!("{path}/{id}") } else { format!("{path}/{id}?{query}") }
    }

    fn filtered(&self, external_id: &str) -> String {
        let sign = if self.list.contains('?') { '&' } else { '?' };
        format!("{}{sign}external_id={external_id}", self.list)
    }

    /// Whether one belongs to a tenant.
    fn is_of_a_tenant(&self, tenant: Uuid) -> bool {
        self.list.contains(&tenant.to_string()) || self.new[0].get("tenant_id").is_some()
    }
}

/// `n` tells the things of one tenant from those of another where names are the platform's.
fn kinds(tenant: Uuid, n: usize) -> Vec<Kind> {
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let kind = |name, list: String, one: Value, other: Value| Kind { name, list, one: None, new: [one, other] };
    let person = |who: &str| json!({ "first_name": who, "last_name": "Test", "email": format!("{who}@t{n}.test") });
    let queue = |name: &str| json!({ "name": name, "kind": "queue", "config": {} });
    let entry = |name: &str| {
        json!({ "name": name, "position": 1, "conditions": [{ "field": "destination_number", "pattern": "^4711$",
                "actions": [{ "application": "answer" }] }] })
    };
    let carrier = |name: &str| json!({ "name": name, "config": { "host": "127.0.0.1:5999" } });
    let webhook = |path: &str| json!({ "tenant_id": tenant, "url": format!("https://crm.example/{path}"), "topics": ["call:ended"] });
    vec![
        kind(
            "tenant",
            "/v1/tenants".into(),
            json!({ "domain": format!("one{n}.test") }),
            json!({ "domain": format!("two{n}.test") }),
        ),
        kind(
            "cluster",
            "/v1/clusters".into(),
            json!({ "name": format!("one{n}"), "region": "x", "max_tenants": 5 }),
            json!({ "name": format!("two{n}"), "region": "x", "max_tenants": 5 }),
        ),
        kind(
            "switch",
            "/v1/switches".into(),
            json!({ "name": format!("one{n}") }),
            json!({ "name": format!("two{n}") }),
        ),
        kind("carrier", "/v1/carriers".into(), carrier(&format!("One {n}")), carrier(&format!("Two {n}"))),
        kind(
            "key",
            "/v1/keys".into(),
            json!({ "name": "one", "tenant_id": tenant }),
            json!({ "name": "two", "tenant_id": tenant }),
        ),
        kind("webhook", "/v1/webhooks".into(), webhook("one"), webhook("two")),
        kind(
            "pool",
            of("pools"),
            json!({ "first_number": 5000, "last_number": 5009 }),
            json!({ "first_number": 6000, "last_number": 6009 }),
        ),
        kind("extension", of("extensions"), json!({ "number": "2001" }), json!({ "number": "2002" })),
        kind("agent", format!("/v1/admin/agents?tenant_id={tenant}"), person("ada"), person("bob")),
        kind("group", of("groups"), json!({ "name": "one" }), json!({ "name": "two" })),
        kind("destination", of("destinations"), queue("One"), queue("Two")),
        kind("dialplan_entry", of("dialplan-entries"), entry("one"), entry("two")),
        kind(
            "number",
            format!("/v1/phone-numbers?tenant_id={tenant}"),
            json!({ "number": format!("+1202555010{n}") }),
            json!({ "number": format!("+1202555011{n}") }),
        ),
        kind("contact", format!("/v1/contacts?tenant_id={tenant}"), json!({ "name": "One" }), json!({ "name": "Two" })),
    ]
}

#[expect(clippy::needless_pass_by_value, reason = "as json! gives it")]
fn with(body: &Value, more: Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn labels(of: &Value) -> (Value, Value) {
    (of["external_id"].clone(), of["metadata"].clone())
}

async fn ids(node: &Node, path: &str) -> Vec<Value> {
    let answer = node.api("GET", path, Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.items().as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
}

async fn shown(node: &Node, kind: &Kind, id: Uuid) -> Answer {
    if kind.name != "pool" {
        return node.api("GET", &kind.at(id), Value::Null).await;
    }
    // Pools are shown in their list only.
    node.api("PATCH", &kind.at(id), json!({})).await
}

#[actix_web::test]
async fn everything_has_an_external_id_and_metadata_and_is_found_by_them() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for kind in kinds(tenant, 1) {
        let name = kind.name;
        let noted =
            json!({ "external_id": "crm-1", "metadata": { "cost_center": "4711", "team": "north", "gone": "" } });
        let made = node.api("POST", &kind.list, with(&kind.new[0], noted.clone())).await;
        assert_eq!(made.status, 201, "{name}: {}", made.text());
        let id = made.id();
        let expected = (json!("crm-1"), json!({ "cost_center": "4711", "team": "north" }));
        assert_eq!(labels(&made.json()), expected, "{name}");
        assert_eq!(made.json()["version"], 1, "{name}");
        let read = shown(&node, &kind, id).await;
        assert_eq!(labels(&read.json()), expected, "{name}");
        assert_eq!(read.header("ETag"), made.header("ETag"), "{name}");

        // A second one, without any at first.
        let other = node.api("POST", &kind.list, kind.new[1].clone()).await;
        assert_eq!(other.status, 201, "{name}: {}", other.text());
        assert_eq!(labels(&other.json()), (Value::Null, json!({})), "{name}");
        assert_eq!(ids(&node, &kind.filtered("crm-1")).await, [json!(id)], "{name}");
        assert!(ids(&node, &kind.filtered("crm-2")).await.is_empty(), "{name}");
        assert!(ids(&node, &kind.filtered("%00")).await.is_empty(), "{name}");

        // The same again changes nothing.
        let before = traces(&database).await;
        let same = node.api("PATCH", &kind.at(id), noted).await;
        assert_eq!(same.status, 200, "{name}: {}", same.text());
        assert_eq!(same.header("ETag"), read.header("ETag"), "{name}");
        assert_eq!(traces(&database).await, before, "{name}: nothing changed");

        // Another can't have the same.
        for refused in [
            node.api("PATCH", &kind.at(other.id()), json!({ "external_id": "crm-1" })).await,
            node.api("POST", &kind.list, with(&third(&kind), json!({ "external_id": "crm-1" }))).await,
        ] {
            assert_eq!(refused.status, 409, "{name}: {}", refused.text());
            let problem = refused.json();
            assert_eq!(problem["code"], "external_id_taken", "{name}: {problem}");
            assert_eq!((&problem["params"]["kind"], &problem["params"]["id"]), (&json!(name), &json!(id)), "{name}");
            let ways = problem["used_by"].as_array().unwrap_or_else(|| panic!("{name}: {problem}"));
            assert_eq!((ways.len(), &ways[0]["id"]), (1, &json!(id)), "{name}: {problem}");
            assert!(ways[0]["name"].as_str().is_some_and(|name| !name.is_empty()), "{name}: {problem}");
        }
        assert_eq!(traces(&database).await, before, "{name}: nothing is left of what was refused");

        // A change of labels alone is a new version and in the audit log, but nothing that a switch would see.
        let (audit, generation) = before;
        let key = [("X-API-Key", node.key.as_str()), ("If-Match", read.header("ETag").unwrap())];
        let patch = json!({ "external_id": "crm-2", "metadata": { "team": null, "floor": "3" } });
        let changed = node.api_with("PATCH", &kind.at(id), &key, patch.clone()).await;
        assert_eq!(changed.status, 200, "{name}: {}", changed.text());
        let expected = (json!("crm-2"), json!({ "cost_center": "4711", "floor": "3" }));
        assert_eq!((labels(&changed.json()), &changed.json()["version"]), (expected.clone(), &json!(2)), "{name}");
        assert_eq!(traces(&database).await, (audit + 1, generation), "{name}");
        assert_eq!(node.api_with("PATCH", &kind.at(id), &key, patch).await.status, 412, "{name}: an old version");
        let read = shown(&node, &kind, id).await.json();
        assert_eq!((labels(&read), &read["version"]), (expected.clone(), &json!(2)), "{name}");
        assert_eq!(read["updated_at"], changed.json()["updated_at"], "{name}");
        assert!(ids(&node, &kind.filtered("crm-1")).await.is_empty(), "{name}");
        assert_eq!(ids(&node, &kind.filtered("crm-2")).await, [json!(id)], "{name}");
        let listed = node.api("GET", &kind.filtered("crm-2"), Value::Null).await.items();
        assert_eq!(labels(&listed[0]), expected, "{name}: as the list shows it");

        // What is deleted leaves its id to others.
        let gone = delete(&node, &kind, id).await;
        assert!([200, 204].contains(&gone.status), "{name}: {}", gone.text());
        let again = node.api("PATCH", &kind.at(other.id()), json!({ "external_id": "crm-2" })).await;
        assert_eq!(again.status, 200, "{name}: {}", again.text());
        assert_eq!(ids(&node, &kind.filtered("crm-2")).await, [other.json()["id"].clone()], "{name}");
    }
    node.stop().await;
}

async fn delete(node: &Node, kind: &Kind, id: Uuid) -> Answer {
    let path = kind.at(id);
    let path = if kind.name == "tenant" { format!("{path}?purge=now&cascade=true") } else { path };
    node.api("DELETE", &path, Value::Null).await
}

/// One more of a kind, which nothing but its external id prevents.
fn third(kind: &Kind) -> Value {
    let mut new = kind.new[1].clone();
    match kind.name {
        "tenant" => new["domain"] = json!("three.test"),
        "cluster" | "switch" | "carrier" | "key" | "group" | "destination" | "dialplan_entry" | "contact" => {
            new["name"] = json!("three");
        }
        "webhook" => new["url"] = json!("https://crm.example/three"),
        "pool" => (new["first_number"], new["last_number"]) = (json!(7000), json!(7009)),
        "extension" => new["number"] = json!("2003"),
        "agent" => new["email"] = json!("cy@acme.test"),
        "number" => new["number"] = json!("+12025550199"),
        other => panic!("{other}"),
    }
    new
}

#[actix_web::test]
async fn tenants_choose_external_ids_without_each_other() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (acme, beta) = (node.tenant("acme.test").await, node.tenant("beta.test").await);
    let theirs = kinds(beta, 2);
    for (ours, theirs) in kinds(acme, 1).into_iter().zip(theirs) {
        let name = ours.name;
        if !ours.is_of_a_tenant(acme) {
            continue;
        }
        let noted = json!({ "external_id": "crm-1" });
        let one = node.api("POST", &ours.list, with(&ours.new[0], noted.clone())).await;
        let other = node.api("POST", &theirs.list, with(&theirs.new[0], noted)).await;
        assert_eq!((one.status, other.status), (201, 201), "{name}: {} {}", one.text(), other.text());
        if matches!(name, "key" | "webhook") {
            // The platform's list has those of all tenants.
            assert_eq!(ids(&node, &ours.filtered("crm-1")).await, [json!(one.id()), json!(other.id())], "{name}");
            continue;
        }
        assert_eq!(ids(&node, &ours.filtered("crm-1")).await, [json!(one.id())], "{name}");
        assert_eq!(ids(&node, &theirs.filtered("crm-1")).await, [json!(other.id())], "{name}");
    }
    // With a key of a tenant, the database shows that tenant's alone.
    let key = node.api("POST", "/v1/keys", json!({ "name": "acme", "tenant_id": acme })).await.json();
    let key = [("X-API-Key", key["token"].as_str().unwrap())];
    for list in ["/v1/keys", "/v1/webhooks", "/v1/admin/agents", "/v1/phone-numbers", "/v1/contacts"] {
        let found = node.api_with("GET", &format!("{list}?external_id=crm-1"), &key, Value::Null).await;
        assert_eq!(found.status, 200, "{list}: {}", found.text());
        assert_eq!(found.items().as_array().unwrap().len(), 1, "{list}");
    }
    // What the platform notes on a tenant, the tenant reads, and can't change.
    let path = format!("/v1/tenants/{acme}");
    assert_eq!(node.api("PATCH", &path, json!({ "external_id": "customer-7" })).await.status, 200);
    let read = node.api_with("GET", &path, &key, Value::Null).await;
    assert_eq!(read.json()["external_id"], "customer-7");
    assert_eq!(node.api_with("PATCH", &path, &key, json!({ "external_id": "x" })).await.status, 403);
    let taken = node.api("PATCH", &format!("/v1/tenants/{beta}"), json!({ "external_id": "customer-7" })).await;
    assert_eq!((taken.status, &taken.json()["params"]["id"]), (409, &json!(acme)), "tenants differ in the platform");
    node.stop().await;
}

#[actix_web::test]
async fn templates_have_labels_in_their_document() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut one = node.api("GET", "/v1/templates/default", Value::Null).await.json();
    assert_eq!(labels(&one), (Value::Null, json!({})));
    one = with(&one, json!({ "name": "one", "external_id": "t-1", "metadata": { "by": "sales" } }));
    let made = node.api("POST", "/v1/templates", one.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(labels(&made.json()), (json!("t-1"), json!({ "by": "sales" })));
    assert_eq!(node.api("GET", "/v1/templates/one", Value::Null).await.json(), made.json());
    let found = node.api("GET", "/v1/templates?external_id=t-1", Value::Null).await.items();
    assert_eq!(found, json!([made.json()]));
    one["name"] = json!("two");
    let taken = node.api("POST", "/v1/templates", one.clone()).await;
    assert_eq!((taken.status, &taken.json()["params"]["id"]), (409, &json!("one")), "{}", taken.text());
    one["metadata"] = json!({ "k": "x".repeat(501) });
    let wrong = node.api("PUT", "/v1/templates/two", one).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (422, &json!("metadata.k")), "{}", wrong.text());
    node.stop().await;
}

#[actix_web::test]
async fn labels_are_put_merged_in_bulk_and_refused_where_they_do_not_fit() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    // A PUT makes equal: labels as well.
    let path = of("groups/by-name/sales");
    let put = |more: Value| with(&json!({ "name": "sales" }), more);
    let made = node.api("PUT", &path, put(json!({ "external_id": "g", "metadata": { "a": "1" } }))).await;
    assert_eq!((made.status, labels(&made.json())), (201, (json!("g"), json!({ "a": "1" }))), "{}", made.text());
    let same = node.api("PUT", &path, put(json!({ "external_id": "g", "metadata": { "a": "1" } }))).await;
    assert_eq!((same.status, &same.json()["version"]), (200, &json!(1)));
    let other =
        node.api("PUT", &path, put(json!({ "external_id": "g", "metadata": { "b": "2" }, "confirm": true }))).await;
    assert_eq!((labels(&other.json()), &other.json()["version"]), ((json!("g"), json!({ "b": "2" })), &json!(2)));
    let none = node.api("PUT", &path, put(json!({}))).await;
    assert_eq!(labels(&none.json()), (Value::Null, json!({})));

    // Many agents at once: a line whose external id is taken is refused as others are.
    let agent = |n: usize, id: &str| json!({ "first_name": "P", "last_name": n.to_string(), "email": format!("p{n}@acme.test"), "external_id": id });
    let bulk = format!("/v1/admin/agents/bulk?tenant_id={tenant}");
    let lines = json!({ "agents": [agent(1, "p-1"), agent(2, "p-1"), agent(3, "p-3")], "partial": true });
    let report = node.api("POST", &bulk, lines).await;
    assert_eq!(report.status, 201, "{}", report.text());
    let report = report.json();
    assert_eq!((&report["created"], &report["lines"][1]["code"]), (&json!(2), &json!("external_id_taken")));
    assert_eq!(report["lines"][2]["agent"]["external_id"], "p-3");
    let changes = json!({ "changes": [
        { "key": "p1@acme.test", "set": { "metadata": { "floor": "3" } } },
        { "key": "p3@acme.test", "set": { "external_id": "p-1" } },
    ], "partial": true });
    let report = node.api("PATCH", &bulk, changes).await.json();
    assert_eq!((&report["done"], &report["lines"][1]["code"]), (&json!(1), &json!("external_id_taken")), "{report}");

    // What does not fit is named.
    let groups = of("groups");
    let many = (0..21).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>();
    for (wrong, field) in [
        (json!({ "external_id": "" }), "external_id"),
        (json!({ "external_id": "x".repeat(129) }), "external_id"),
        (json!({ "external_id": " x" }), "external_id"),
        (json!({ "external_id": 7 }), "external_id"),
        (json!({ "metadata": { "a": 1 } }), "metadata.a"),
        (json!({ "metadata": { "a": "x".repeat(501) } }), "metadata.a"),
        (json!({ "metadata": { "k".repeat(41): "x" } }), &format!("metadata.{}", "k".repeat(41))),
        (json!({ "metadata": many }), "metadata"),
        (json!({ "metadata": ["x"] }), "metadata"),
        (json!({ "matadeta": {} }), "matadeta"),
    ] {
        let refused = node.api("POST", &groups, with(&json!({ "name": "other" }), wrong.clone())).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!(field)), "{wrong}: {}", refused.text());
    }

    // An idempotency key means the whole body.
    let key = [("X-API-Key", node.key.as_str()), ("Idempotency-Key", "once")];
    let first = with(&json!({ "name": "once" }), json!({ "external_id": "k-1" }));
    assert_eq!(node.api_with("POST", &groups, &key, first.clone()).await.status, 201);
    let again = node.api_with("POST", &groups, &key, first).await;
    assert_eq!((again.status, &again.json()["external_id"]), (201, &json!("k-1")));
    let else_ = with(&json!({ "name": "once" }), json!({ "external_id": "k-2" }));
    assert_eq!(node.api_with("POST", &groups, &key, else_).await.json()["code"], "idempotency_key_used");
    node.stop().await;
}

#[actix_web::test]
async fn lists_are_filtered_by_what_people_have_at_hand() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (acme, _) = (node.tenant("acme.test").await, node.tenant("beta.test").await);
    for kind in kinds(acme, 1) {
        for new in &kind.new {
            let made = node.api("POST", &kind.list, new.clone()).await;
            assert_eq!(made.status, 201, "{}: {}", kind.name, made.text());
        }
    }
    let agents = format!("/v1/admin/agents?tenant_id={acme}");
    let ada = ids(&node, &format!("{agents}&email=ADA@t1.test")).await;
    let ada = ada[0].as_str().unwrap();
    let extension = ids(&node, &format!("/v1/tenants/{acme}/extensions?user_id={ada}")).await[0].clone();
    let numbers = format!("/v1/phone-numbers?tenant_id={acme}");
    let one = ids(&node, &format!("{numbers}&number=%2B12025550101")).await[0].clone();
    let number = format!("/v1/phone-numbers/{}", one.as_str().unwrap());
    let to = json!({ "destination": { "kind": "extension", "id": extension } });
    assert_eq!(node.api("PATCH", &format!("{number}?tenant_id={acme}"), to).await.status, 200);
    let assigned = node.api("POST", &format!("{number}/assign?tenant_id={acme}"), json!({ "agent_id": ada })).await;
    assert_eq!(assigned.status, 200, "{}", assigned.text());
    let of = |what: &str| format!("/v1/tenants/{acme}/{what}");
    for (path, count) in [
        ("/v1/tenants?domain=BETA.test".into(), 1),
        ("/v1/tenants?name=beta".into(), 1),
        ("/v1/tenants?status=suspended".into(), 0),
        ("/v1/tenants?status=active&domain=nobody.test".into(), 0),
        ("/v1/clusters?name=TWO".into(), 1),
        ("/v1/switches?name=two&status=active".into(), 1),
        ("/v1/switches?status=disabled".into(), 0),
        ("/v1/carriers?name=one".into(), 1),
        ("/v1/carriers?status=disabled".into(), 0),
        ("/v1/keys?name=two".into(), 1),
        (format!("{agents}&name=ada%20t"), 1),
        (format!("{agents}&email=ada"), 0),
        (format!("{agents}&status=suspended"), 0),
        (of("extensions?number=2001"), 1),
        (of("extensions?number=200"), 0),
        (of("extensions?display_name=ADA"), 1),
        (of("extensions?status=suspended"), 0),
        (of("groups?name=ONE"), 1),
        (of("groups?number=9999"), 0),
        (of("destinations?name=tw&kind=queue"), 1),
        (of("destinations?name=tw&kind=ivr"), 0),
        (of("dialplan-entries?name=one"), 1),
        (format!("{numbers}&number=%2B12025550111"), 1),
        (format!("{numbers}&agent_id={ada}"), 1),
        (format!("{numbers}&destination_id={}", extension.as_str().unwrap()), 1),
        (format!("{numbers}&destination_id={ada}"), 0),
    ] {
        assert_eq!(ids(&node, &path).await.len(), count, "{path}");
    }
    let wrong = node.api("GET", &format!("{agents}&e_mail=x"), Value::Null).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (400, &json!("e_mail")));
    node.stop().await;
}
