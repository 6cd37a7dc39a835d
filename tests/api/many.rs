//! Many changes in one request: of every kind that takes them, all or none, or those that work.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node};

/// A kind of thing that is changed and deleted by the hundred.
struct Kind {
    name: &'static str,
    at: String,
    /// Where one of them is found by its key.
    by_key: fn(Uuid, &str) -> String,
    keys: [&'static str; 3],
    /// A change that works and one that does not, with the member that they are about.
    fine: Value,
    wrong: Value,
    member: &'static str,
}

impl Kind {
    fn path(&self, what: &str) -> String {
        let (path, query) = self.at.split_once('?').unwrap_or((&self.at, ""));
        format!("{path}/{what}?{query}")
    }
}

fn kinds(tenant: Uuid) -> Vec<Kind> {
    vec![
        Kind {
            name: "agents",
            at: format!("/v1/admin/agents?tenant_id={tenant}"),
            by_key: |tenant, key| format!("/v1/admin/agents/by-email/{key}?tenant_id={tenant}"),
            keys: ["a@acme.test", "b@acme.test", "c@acme.test"],
            fine: json!({ "last_name": "New" }),
            wrong: json!({ "last_name": "" }),
            member: "last_name",
        },
        Kind {
            name: "extensions",
            at: format!("/v1/tenants/{tenant}/extensions"),
            by_key: |tenant, key| format!("/v1/tenants/{tenant}/extensions/by-number/{key}"),
            // None of the pool, whose numbers rest when their agents are gone.
            keys: ["8100", "8101", "8102"],
            fine: json!({ "ring_seconds": 41 }),
            wrong: json!({ "ring_seconds": 4000 }),
            member: "ring_seconds",
        },
        Kind {
            name: "numbers",
            at: format!("/v1/phone-numbers?tenant_id={tenant}"),
            by_key: |tenant, key| format!("/v1/phone-numbers/by-number/{key}?tenant_id={tenant}"),
            keys: ["+12025550101", "+12025550102", "+12025550103"],
            fine: json!({ "provider": "Acme" }),
            wrong: json!({ "status": "lost" }),
            member: "provider",
        },
        Kind {
            name: "groups",
            at: format!("/v1/tenants/{tenant}/groups"),
            by_key: |tenant, key| format!("/v1/tenants/{tenant}/groups/by-name/{key}"),
            keys: ["sales", "support", "lab"],
            fine: json!({ "ring_seconds": 41 }),
            wrong: json!({ "ring_seconds": 4000 }),
            member: "ring_seconds",
        },
    ]
}

async fn make(node: &Node, kind: &Kind) {
    for key in kind.keys {
        let new = match kind.name {
            "agents" => json!({ "email": key, "first_name": "A", "last_name": "B" }),
            "extensions" | "numbers" => json!({ "number": key }),
            _ => json!({ "name": key }),
        };
        let made = node.api("POST", &kind.at, new).await;
        assert_eq!(made.status, 201, "{}: {}", kind.name, made.text());
    }
}

async fn traces(database: &Database) -> (i64, i64) {
    let audit = database.count("select count(*) from audit_log").await;
    (audit, database.count("select coalesce(sum(generation), 0)::bigint from generation").await)
}

fn counts(answer: &Answer) -> (u64, u64) {
    let report = answer.json();
    (report["done"].as_u64().unwrap(), report["refused"].as_u64().unwrap())
}

#[actix_web::test]
async fn each_kind_is_changed_and_deleted_by_the_hundred_all_or_none_or_what_works() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for kind in kinds(tenant) {
        let name = kind.name;
        make(&node, &kind).await;
        let shown = async |key: &str| node.api("GET", &(kind.by_key)(tenant, key), Value::Null).await;
        let member = async |key: &str| shown(key).await.json()[kind.member].clone();
        let [one, two, three] = kind.keys;
        let before = member(one).await;

        // One of three is wrong: none is changed, and the report says which.
        let change = |key: &str, set: &Value| json!({ "key": key, "set": set });
        let mut changes =
            json!({ "changes": [change(one, &kind.fine), change(two, &kind.wrong), change(three, &kind.fine)] });
        let untouched = traces(&database).await;
        let none = node.api("PATCH", &kind.path("bulk"), changes.clone()).await;
        assert_eq!((none.status, counts(&none)), (422, (0, 1)), "{name}: {}", none.text());
        assert_eq!(
            (member(one).await, traces(&database).await),
            (before.clone(), untouched),
            "{name}: nothing is changed"
        );

        // The same, if what works is enough.
        changes["partial"] = json!(true);
        let some = node.api("PATCH", &kind.path("bulk"), changes.clone()).await;
        assert_eq!((some.status, counts(&some)), (200, (2, 1)), "{name}: {}", some.text());
        let field = some.json()["lines"][1]["field"].as_str().unwrap_or_default().to_owned();
        assert!(!field.is_empty(), "{name}: {}", some.text());
        let value = &kind.fine[kind.member];
        assert_eq!((&member(one).await, &member(three).await), (value, value), "{name}");
        assert_eq!(member(two).await, before, "{name}");

        // All of them; and then there is nothing to do.
        let all = json!({ "changes": kind.keys.map(|key| change(key, &kind.fine)) });
        let done = node.api("PATCH", &kind.path("bulk"), all.clone()).await;
        assert_eq!((done.status, counts(&done)), (200, (1, 0)), "{name}: {}", done.text());
        let untouched = traces(&database).await;
        let again = node.api("PATCH", &kind.path("bulk"), all).await;
        assert_eq!((again.status, counts(&again)), (200, (0, 0)), "{name}: {}", again.text());
        assert_eq!(traces(&database).await, untouched, "{name}: nothing changed");

        // Deleted: none if one of them is nothing, then those that are there, then the rest.
        let key = |key: &str| json!({ "key": key });
        let nobody = if name == "agents" {
            "nobody@acme.test"
        } else if name == "numbers" {
            "+12025550999"
        } else {
            "9999"
        };
        let mut gone = json!({ "delete": [key(one), key(nobody), key(two)] });
        let none = node.api("POST", &kind.path("bulk-delete"), gone.clone()).await;
        assert_eq!((none.status, counts(&none)), (422, (0, 1)), "{name}: {}", none.text());
        assert_eq!((shown(one).await.status, traces(&database).await), (200, untouched), "{name}: nothing is deleted");
        gone["partial"] = json!(true);
        let some = node.api("POST", &kind.path("bulk-delete"), gone).await;
        assert_eq!((some.status, counts(&some)), (200, (2, 1)), "{name}: {}", some.text());
        assert_eq!(
            [shown(one).await.status, shown(two).await.status, shown(three).await.status],
            [404, 404, 200],
            "{name}"
        );
        let rest = node.api("POST", &kind.path("bulk-delete"), json!({ "delete": [key(three)] })).await;
        assert_eq!((rest.status, counts(&rest)), (200, (1, 0)), "{name}: {}", rest.text());
        assert_eq!(shown(three).await.status, 404, "{name}");
    }
    node.stop().await;
}
