//! Things under the key that people know them by (a number, a name): made equal to a description, changed and deleted by the hundred.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    declared::has_all,
    harness::{Database, Node},
};

/// What a change leaves behind.
async fn traces(database: &Database) -> (i64, i64) {
    let audit = database.count("select count(*) from audit_log").await;
    (audit, database.count("select coalesce(sum(generation), 0)::bigint from generation").await)
}

async fn put(node: &Node, path: &str, body: &Value) -> crate::harness::Answer {
    node.api("PUT", path, body.clone()).await
}

/// Each kind: the path, what it is at first, a change, and the field that the change is about.
fn kinds(tenant: Uuid, extension: Uuid) -> Vec<(String, Value, Value, &'static str)> {
    let to = json!({ "kind": "extension", "id": extension });
    vec![
        (
            "/v1/tenants/by-domain/new.test".into(),
            json!({ "domain": "new.test", "name": "New" }),
            json!({ "domain": "new.test", "name": "Newer" }),
            "name",
        ),
        (
            format!("/v1/tenants/{tenant}/extensions/by-number/2000"),
            json!({ "number": "2000", "ring_seconds": 40 }),
            json!({ "number": "2000" }),
            "ring_seconds",
        ),
        (
            format!("/v1/tenants/{tenant}/groups/by-name/sales"),
            json!({ "name": "sales", "members": [extension], "confirm": true }),
            json!({ "name": "sales", "members": [extension] }),
            "confirm",
        ),
        (
            format!("/v1/tenants/{tenant}/destinations/by-name/queue/Help%20desk"),
            json!({ "name": "Help desk", "kind": "queue", "config": { "tiers": [{ "extension_id": extension }] } }),
            json!({ "name": "Help desk", "kind": "queue", "config": {} }),
            "config",
        ),
        (
            format!("/v1/phone-numbers/by-number/+12025550101?tenant_id={tenant}"),
            json!({ "number": "+12025550101", "destination": to }),
            json!({ "number": "+12025550101" }),
            "destination",
        ),
        (
            format!("/v1/admin/agents/by-email/ada@acme.test?tenant_id={tenant}"),
            json!({ "email": "ada@acme.test", "first_name": "Ada", "last_name": "Lovelace", "language": "de" }),
            json!({ "email": "ada@acme.test", "first_name": "Ada", "last_name": "Lovelace" }),
            "language",
        ),
        (
            "/v1/carriers/by-name/Carrier%20One".into(),
            json!({ "name": "Carrier One", "config": { "host": "127.0.0.1:5999" }, "priority": 3 }),
            json!({ "name": "Carrier One", "config": { "host": "127.0.0.1:5999" } }),
            "priority",
        ),
    ]
}

#[actix_web::test]
async fn whatever_is_put_is_made_once_and_the_same_again_leaves_no_trace() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "1000" })).await;
    for (path, new, changed, field) in kinds(tenant, extension["id"].as_str().unwrap().parse().unwrap()) {
        let not_there = [("X-API-Key", node.key.as_str()), ("If-Match", "\"v1\"")];
        assert_eq!(node.api_with("PUT", &path, &not_there, new.clone()).await.status, 412, "{path}");
        let made = put(&node, &path, &new).await;
        assert_eq!(made.status, 201, "{path}: {}", made.text());
        let place = made.header("Location").unwrap().to_owned();
        let read = node.api("GET", &place, Value::Null).await;
        assert_eq!(read.status, 200, "{place}");
        let made = made.json();
        for (name, value) in read.json().as_object().unwrap() {
            let is_same = if name == "extensions" { has_all(&made[name], value) } else { made[name] == *value };
            assert!(is_same, "{path}: {name} is the same when made and when read: {} {value}", made[name]);
        }
        assert_eq!(node.api("GET", &path, Value::Null).await.json(), read.json(), "{path}");

        let before = traces(&database).await;
        for _ in 0..2 {
            let again = put(&node, &path, &new).await;
            assert_eq!(again.status, 200, "{path}: {}", again.text());
            assert_eq!(again.json(), read.json(), "{path}");
            assert_eq!(again.header("ETag"), read.header("ETag"), "{path}");
        }
        assert_eq!(traces(&database).await, before, "{path}: nothing changed");

        let other = put(&node, &path, &changed).await;
        assert_eq!(other.status, 200, "{path}: {}", other.text());
        assert_ne!(other.json()[field], read.json()[field], "{path}");
        assert_eq!(other.json()["version"], 2, "{path}");
        assert_eq!(node.api_with("PUT", &path, &not_there, new.clone()).await.status, 412, "{path}: an old version");
    }
    node.stop().await;
}

#[actix_web::test]
async fn what_is_deleted_is_not_found_by_its_key_and_can_be_put_again() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "1000" })).await;
    for (path, new, ..) in kinds(tenant, extension["id"].as_str().unwrap().parse().unwrap()) {
        if path.contains("/tenants/by-domain/") || path.contains("/extensions/") {
            // Domains and the numbers of extensions rest.
            continue;
        }
        let made = put(&node, &path, &new).await;
        let place = made.header("Location").unwrap().to_owned();
        let gone = node.api("DELETE", &place, Value::Null).await;
        assert_eq!(gone.status, 204, "{place}: {}", gone.text());
        assert_eq!(node.api("GET", &path, Value::Null).await.status, 404, "{path}");
        let again = put(&node, &path, &new).await;
        assert_eq!(again.status, 201, "{path}: {}", again.text());
        assert_ne!(again.json()["id"], made.json()["id"], "{path}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_put_says_what_can_not_change_and_what_does_not_fit() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let other = node.tenant("beta.test").await;
    let refused = async |path: String, body: Value| {
        let answer = put(&node, &path, &body).await;
        (answer.status, answer.json()["code"].as_str().unwrap().to_owned(), answer.json()["field"].clone())
    };
    let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let code = |status: u16, code: &str, field: &str| (status, code.to_owned(), json!(field));
    let new = json!({ "name": "other", "members": [] });
    assert_eq!(refused(path("groups/by-name/sales"), new).await, code(422, "not_the_paths_name", "name"));
    let new = json!({ "number": "1001" });
    assert_eq!(refused(path("extensions/by-number/1000"), new).await, code(422, "not_the_paths_name", "number"));
    node.extension(tenant, json!({ "number": "1000" })).await;
    let new = json!({ "number": "1000", "sip_username": "another" });
    assert_eq!(refused(path("extensions/by-number/1000"), new).await, code(422, "cant_change", "sip_username"));
    let new = json!({ "domain": "acme.test", "template": "call-center" });
    let asked = "/v1/tenants/by-domain/acme.test".to_owned();
    assert_eq!(refused(asked, new).await, code(422, "cant_change", "template"));
    let queue = json!({ "name": "Twice", "kind": "queue", "config": {} });
    let first = node.api("POST", &path("destinations"), queue.clone()).await;
    assert_eq!(first.status, 201);
    let again = node.api("POST", &path("destinations"), queue.clone()).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("name_taken_by")), "{}", again.text());
    assert_eq!(again.json()["used_by"], json!([{ "kind": "queue", "id": first.id(), "name": "Twice" }]));
    let other_kind = json!({ "name": "Twice", "kind": "conference", "config": {} });
    assert_eq!(node.api("POST", &path("destinations"), other_kind).await.status, 201, "kinds have names of their own");
    let second =
        node.api("POST", &path("destinations"), json!({ "name": "Second", "kind": "queue", "config": {} })).await;
    let second = format!("{}/{}", path("destinations"), second.id());
    let renamed = node.api("PATCH", &second, json!({ "name": "Twice" })).await;
    assert_eq!((renamed.status, &renamed.json()["used_by"][0]["id"]), (409, &json!(first.id())));
    // Doubles that a database has from before are kept, and changed by their id. By name, nobody can say which is meant.
    database.execute("update destinations set name = 'Twice' where name = 'Second'").await;
    let changed = node.api("PATCH", &second, json!({ "number": "7001" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let (status, why, _) = refused(path("destinations/by-name/queue/Twice"), queue).await;
    assert_eq!((status, why.as_str()), (409, "several_of_this_name"));
    assert_eq!(node.api("PATCH", &second, json!({ "name": "Third" })).await.status, 200);
    let queue = json!({ "name": "Twice", "kind": "queue", "config": {} });
    let equal = put(&node, &path("destinations/by-name/queue/Twice"), &queue).await;
    assert_eq!((equal.status, equal.id()), (200, first.id()), "{}", equal.text());
    // Another tenant's number stays theirs, and nobody learns whose it is.
    let number = json!({ "number": "+12025550101" });
    let made = put(&node, &format!("/v1/phone-numbers/by-number/+12025550101?tenant_id={other}"), &number).await;
    assert_eq!(made.status, 201);
    let (status, why, _) =
        refused(format!("/v1/phone-numbers/by-number/+12025550101?tenant_id={tenant}"), number).await;
    assert_eq!((status, why.as_str()), (409, "number_taken"));
    node.stop().await;
}

/// Agents with an extension each, their ids, and the extensions' ids.
async fn people(node: &Node, tenant: Uuid, count: usize) -> Vec<(String, String)> {
    let agents = (0..count).map(|n| json!({ "first_name": "P", "last_name": format!("{n}"), "email": email(n) }));
    let agents = json!({ "agents": agents.collect::<Vec<_>>() });
    let made = node.api("POST", &format!("/v1/admin/agents/bulk?tenant_id={tenant}"), agents).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = |agent: &Value| agent["id"].as_str().unwrap().to_owned();
    made.json()["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (id(&line["agent"]), id(&line["agent"]["extensions"][0])))
        .collect()
}

fn email(n: usize) -> String {
    format!("p{n}@acme.test")
}

#[actix_web::test]
async fn a_hundred_people_are_renamed_in_one_request_and_the_second_run_writes_nothing() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let people = people(&node, tenant, 100).await;
    let path = format!("/v1/admin/agents/bulk?tenant_id={tenant}");
    let renamed = |n: usize| json!({ "key": email(n).to_uppercase(), "set": { "last_name": format!("New {n}") } });
    let changes = json!({ "changes": (0..100).map(renamed).collect::<Vec<_>>() });
    let done = node.api("PATCH", &path, changes.clone()).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!((&done.json()["done"], &done.json()["refused"]), (&json!(100), &json!(0)));
    assert_eq!(done.json()["lines"][7]["id"], json!(people[7].0));
    let shown = node.api("GET", &format!("/v1/admin/agents/{}?tenant_id={tenant}", people[7].0), Value::Null).await;
    assert_eq!(shown.json()["last_name"], "New 7");
    let before = traces(&database).await;
    let again = node.api("PATCH", &path, changes).await.json();
    assert_eq!((&again["done"], &again["unchanged"]), (&json!(0), &json!(100)));
    assert_eq!(again["lines"][0]["outcome"], "unchanged");
    assert_eq!(traces(&database).await, before);
    node.stop().await;
}

#[actix_web::test]
async fn of_many_changes_all_are_made_or_none_unless_some_are_enough() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for number in ["1000", "1001", "1002"] {
        node.extension(tenant, json!({ "number": number })).await;
    }
    let path = format!("/v1/tenants/{tenant}/extensions/bulk");
    let mut changes = json!({ "changes": [
        { "key": "1000", "set": { "ring_seconds": 40 } },
        { "key": "1001", "set": { "ring_seconds": 4000 } },
        { "key": "1009", "set": { "ring_seconds": 40 } },
        { "key": "1002", "set": { "alias": "1000" } },
        { "key": "1002", "id": Uuid::now_v7(), "set": {} },
        { "key": "1002", "set": { "rings": 1 } },
    ] });
    let before = traces(&database).await;
    let none = node.api("PATCH", &path, changes.clone()).await;
    assert_eq!(none.status, 422, "{}", none.text());
    let outcome = |report: &Value, at: usize| {
        let line = &report["lines"][at];
        (line["outcome"].as_str().unwrap().to_owned(), line["code"].as_str().unwrap_or_default().to_owned())
    };
    let said = |outcome: &str, code: &str| (outcome.to_owned(), code.to_owned());
    let report = none.json();
    assert_eq!(outcome(&report, 0), said("not_done", ""));
    assert_eq!(outcome(&report, 1), said("refused", "out_of_range"));
    assert_eq!(outcome(&report, 2), said("refused", "not_found"));
    assert_eq!(outcome(&report, 3).0, "refused");
    assert_eq!(outcome(&report, 4), said("refused", "id_or_key"));
    assert_eq!(report["lines"][5]["field"], "set.rings");
    assert_eq!(traces(&database).await, before, "nothing is left of what was undone");
    changes["partial"] = json!(true);
    let some = node.api("PATCH", &path, changes).await;
    assert_eq!(some.status, 200, "{}", some.text());
    assert_eq!((&some.json()["done"], &some.json()["refused"]), (&json!(1), &json!(5)));
    assert_eq!(outcome(&some.json(), 0), said("changed", ""));
    for wrong in [json!({ "changes": [] }), json!({ "changes": vec![json!({ "key": "1000", "set": {} }); 1001] })] {
        let answer = node.api("PATCH", &path, wrong).await;
        assert_eq!((answer.status, &answer.json()["field"]), (422, &json!("changes")));
    }
    node.stop().await;
}

#[actix_web::test]
async fn whoever_is_deleted_is_taken_out_of_groups_and_queues_if_that_is_asked_for() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let people = people(&node, tenant, 4).await;
    let phones = people.iter().map(|(_, phone)| phone.clone()).collect::<Vec<_>>();
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let group = node.api("POST", &of("groups"), json!({ "name": "crew", "members": phones })).await.id();
    let tiers = phones.iter().map(|phone| json!({ "extension_id": phone })).collect::<Vec<_>>();
    let queue = json!({ "name": "Help", "kind": "queue", "config": { "tiers": tiers } });
    let queue = node.api("POST", &of("destinations"), queue).await.id();

    let path = format!("/v1/admin/agents/bulk-delete?tenant_id={tenant}");
    let mut gone = json!({ "delete": [{ "id": people[0].0 }, { "key": email(1) }] });
    let refused = node.api("POST", &path, gone.clone()).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(refused.json()["lines"][0]["code"], "in_use");
    gone["detach"] = json!(true);
    let done = node.api("POST", &path, gone).await;
    assert_eq!((done.status, &done.json()["done"]), (200, &json!(2)), "{}", done.text());
    let one = format!("/v1/admin/agents/{}?tenant_id={tenant}", people[2].0);
    assert_eq!(node.api("DELETE", &one, Value::Null).await.status, 409);
    assert_eq!(node.api("DELETE", &format!("{one}&detach=true"), Value::Null).await.status, 204);

    let group = node.api("GET", &of(&format!("groups/{group}")), Value::Null).await.json();
    assert_eq!(group["members"], json!([phones[3]]));
    let queue = node.api("GET", &of(&format!("destinations/{queue}")), Value::Null).await.json();
    assert_eq!(queue["config"]["tiers"].as_array().unwrap().len(), 1);
    let left = node.api("GET", &format!("/v1/admin/agents?tenant_id={tenant}"), Value::Null).await.items();
    assert_eq!(left.as_array().unwrap().len(), 1);
    // A phone number that leads to somebody is not a group, so it still prevents the deletion.
    let leads = json!({ "number": "+12025550101", "destination": { "kind": "extension", "id": phones[3] } });
    assert_eq!(node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), leads).await.status, 201);
    let last = format!("/v1/admin/agents/{}?tenant_id={tenant}&detach=true", people[3].0);
    let kept = node.api("DELETE", &last, Value::Null).await;
    assert_eq!((kept.status, &kept.json()["code"]), (409, &json!("in_use")));
    let group = node.api("GET", &of("groups/by-name/crew"), Value::Null).await.json();
    assert_eq!(group["members"], json!([phones[3]]), "what was refused is undone");
    node.stop().await;
}

#[actix_web::test]
async fn a_new_tenant_is_placed_where_a_switch_is_or_where_it_is_asked_for() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let cluster = |name: &str| json!({ "name": name, "region": "eu", "max_tenants": 10 });
    let empty = node.api("POST", "/v1/clusters", cluster("empty")).await.id();
    let served = node.api("POST", "/v1/clusters", cluster("served")).await.id();
    let switch = json!({ "name": "s1", "cluster_id": served });
    let switch = node.api("POST", "/v1/switches", switch).await.json();
    let placed = async |new: Value| {
        let made = node.api("POST", "/v1/tenants", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["cluster_id"].as_str().unwrap().parse::<Uuid>().unwrap()
    };
    for n in 0..4 {
        assert_eq!(placed(json!({ "domain": format!("t{n}.test"), "region": "eu" })).await, served);
    }
    assert_eq!(placed(json!({ "domain": "asked.test", "cluster_id": empty })).await, empty);
    // Also if the cluster with a switch is full, while others have room.
    let full = node.api("PATCH", &format!("/v1/clusters/{served}"), json!({ "max_tenants": 4 })).await;
    assert_eq!(full.status, 200, "{}", full.text());
    let refused = node.api("POST", "/v1/tenants", json!({ "domain": "none.test", "region": "eu" })).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("no_cluster_in_region")), "{}", refused.text());
    assert!(
        refused.json()["detail"].as_str().unwrap().contains("cluster_id"),
        "it says what to do: {}",
        refused.text()
    );
    assert_eq!(placed(json!({ "domain": "default.test" })).await, Uuid::from_u128(2), "where the first switch is");
    let id = switch["id"].as_str().or_else(|| switch["switch"]["id"].as_str()).unwrap();
    let off = node.api("PATCH", &format!("/v1/switches/{id}"), json!({ "status": "disabled" })).await;
    assert_eq!(off.status, 200, "{}", off.text());
    // A switch that is switched off serves nobody.
    let refused = node.api("POST", "/v1/tenants", json!({ "domain": "off.test", "region": "eu" })).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    // Where no switch is active at all, no cluster is better than another.
    database.execute("update switches set status = 'disabled'").await;
    assert_eq!(placed(json!({ "domain": "first.test", "region": "eu" })).await, empty);
    let nowhere = json!({ "domain": "nobody.test", "cluster_id": Uuid::now_v7() });
    let answer = node.api("POST", "/v1/tenants", nowhere).await;
    assert_eq!((answer.status, &answer.json()["field"]), (422, &json!("cluster_id")));
    node.stop().await;
}
