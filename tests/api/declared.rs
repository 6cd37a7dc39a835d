//! Every kind of thing as a tool for declared infrastructure uses it: what was created reads back equal, the same again changes nothing, it is
//! found by what people call it, it is gone when it was deleted; and the same created twice is told by the id of the first.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node};

/// What can't change of anything.
const NEVER: [&str; 8] = ["id", "tenant_id", "kind", "created_at", "updated_at", "version", "sandbox", "sip_username"];

/// One kind of thing.
struct Kind {
    name: &'static str,
    /// Where it is created, by POST; or where it is put, by PUT.
    at: String,
    is_put: bool,
    new: Value,
    /// The fields that a PATCH sends again as they were read; a PUT sends `new`.
    same: &'static [&'static str],
    /// Where it is found by what people call it.
    key: Option<String>,
    /// Whether creating the same again is refused, and how the id of the first is named.
    twice: Option<&'static str>,
    /// Further parameters of its deletion.
    delete: &'static str,
}

fn kind(name: &'static str, at: String, new: Value) -> Kind {
    Kind { name, at, is_put: false, new, same: &["name"], key: None, twice: None, delete: "" }
}

fn kinds(tenant: Uuid, cluster: Uuid, switch: Uuid, extension: &Value) -> Vec<Kind> {
    let below = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let to = json!({ "kind": "extension", "id": extension });
    let mut kinds = vec![
        Kind {
            same: &["name", "domain", "cluster_id", "status", "sandbox"],
            key: Some("/v1/tenants/by-domain/new.test".into()),
            twice: Some("tenant"),
            delete: "?purge=now",
            ..kind("tenant", "/v1/tenants".into(), json!({ "domain": "new.test", "name": "New" }))
        },
        Kind {
            same: &["name", "region", "max_tenants", "sip_domains", "accepts_calls_from", "status", "websocket_url"],
            twice: Some("cluster"),
            ..kind("cluster", "/v1/clusters".into(), json!({ "name": "East", "region": "eu", "max_tenants": 10 }))
        },
        Kind {
            same: &["status", "cluster_id"],
            twice: Some("switch"),
            ..kind("switch", "/v1/switches".into(), json!({ "name": "fs-new", "cluster_id": cluster }))
        },
        Kind {
            same: &["name", "status", "config", "priority"],
            key: Some("/v1/carriers/by-name/One".into()),
            twice: Some("carrier"),
            ..kind("carrier", "/v1/carriers".into(), json!({ "name": "One", "config": { "host": "127.0.0.1:5999" } }))
        },
        Kind {
            same: &["name", "scopes", "origins", "expires_at"],
            ..kind(
                "key",
                "/v1/keys".into(),
                json!({ "name": "script", "tenant_id": tenant, "scopes": ["agents:read"] }),
            )
        },
        Kind {
            same: &["url", "topics", "enabled"],
            ..kind(
                "webhook",
                "/v1/webhooks".into(),
                json!({ "url": "https://hooks.test/x", "tenant_id": tenant, "topics": ["call:ended"] }),
            )
        },
        Kind {
            same: &[
                "number",
                "alias",
                "display_name",
                "ring_seconds",
                "codecs",
                "status",
                "variables",
                "calls",
                "voicemail_enabled",
            ],
            key: Some(below("extensions/by-number/2000")),
            twice: Some("extension"),
            ..kind("extension", below("extensions"), json!({ "number": "2000", "display_name": "Desk" }))
        },
        Kind {
            same: &["first_name", "last_name", "email", "role", "language", "status"],
            key: Some(format!("/v1/admin/agents/by-email/eve@acme.test?tenant_id={tenant}")),
            twice: Some("agent"),
            ..kind(
                "agent",
                format!("/v1/admin/agents?tenant_id={tenant}"),
                json!({ "email": "eve@acme.test", "first_name": "Eve", "last_name": "Adams" }),
            )
        },
        Kind {
            same: &["name", "number", "members", "ring_seconds", "strategy", "confirm", "follow_forwards", "otherwise"],
            key: Some(below("groups/by-name/sales")),
            twice: Some("group"),
            ..kind("group", below("groups"), json!({ "name": "sales", "number": "2600", "members": [extension] }))
        },
        Kind {
            same: &["name", "position", "enabled", "conditions"],
            ..kind(
                "dialplan entry",
                below("dialplan-entries"),
                json!({ "name": "rule", "conditions": [{ "field": "destination_number", "pattern": "^9196$", "actions": [{ "application": "answer" }] }] }),
            )
        },
        Kind {
            same: &["provider", "status", "capabilities", "record", "destination"],
            key: Some(format!("/v1/phone-numbers/by-number/+12025550101?tenant_id={tenant}")),
            twice: Some("number"),
            ..kind(
                "phone number",
                format!("/v1/phone-numbers?tenant_id={tenant}"),
                json!({ "number": "+12025550101", "destination": to }),
            )
        },
        Kind {
            same: &["first_number", "last_number"],
            twice: Some("pool"),
            ..kind("pool", below("pools"), json!({ "first_number": 7000, "last_number": 7099 }))
        },
        Kind {
            same: &[],
            ..kind("reserved number", below("reserved-numbers"), json!({ "number": "7005", "reason": "the boss" }))
        },
        Kind {
            same: &["name", "company", "email", "numbers", "tags", "fields", "notes", "do_not_call", "consent"],
            twice: Some("contact"),
            ..kind(
                "contact",
                format!("/v1/contacts?tenant_id={tenant}"),
                json!({ "name": "Grace Hopper", "numbers": ["+4915112345678"], "company": "Navy" }),
            )
        },
        Kind {
            is_put: true,
            ..kind(
                "configuration",
                format!("/v1/clusters/{cluster}/configuration/json_cdr.conf"),
                json!({ "xml": "<configuration name=\"json_cdr.conf\"><settings/></configuration>" }),
            )
        },
        Kind {
            is_put: true,
            ..kind(
                "event socket",
                format!("/v1/switches/{switch}/event-socket"),
                json!({ "address": "127.0.0.1:9", "password": "ClueCon1234" }),
            )
        },
    ];
    for (at, (kind_of, config)) in [
        ("queue", json!({ "tiers": [{ "extension_id": extension }] })),
        ("ivr", json!({ "greeting": { "text": "Hi" }, "entries": { "1": to } })),
        ("conference", json!({})),
        ("mailbox", json!({})),
        ("schedule", json!({ "time_zone": "Europe/Berlin", "hours": {}, "open": to, "closed": to })),
        ("announcement", json!({ "prompt": { "text": "Closed" } })),
        ("external", json!({ "number": "+498912345678", "on_behalf_of": extension })),
        ("page", json!({ "members": [extension] })),
    ]
    .into_iter()
    .enumerate()
    {
        kinds.push(Kind {
            same: &["name", "number", "config"],
            key: Some(below(&format!("destinations/by-name/{kind_of}/Main"))),
            twice: Some(kind_of),
            ..kind(
                kind_of,
                below("destinations"),
                json!({ "name": "Main", "number": format!("270{at}"), "kind": kind_of, "config": config }),
            )
        });
    }
    kinds
}

/// What a change leaves behind.
async fn traces(database: &Database) -> (i64, i64) {
    let audit = database.count("select count(*) from audit_log").await;
    (audit, database.count("select coalesce(sum(generation), 0)::bigint from generation").await)
}

struct Ground {
    database: Database,
    node: Node,
    kinds: Vec<Kind>,
}

impl Ground {
    async fn new() -> Self {
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("acme.test").await;
        let extension = node.extension(tenant, json!({ "number": "1000" })).await["id"].clone();
        let cluster = json!({ "name": "Home", "region": "eu", "max_tenants": 10 });
        let cluster = node.makes("/v1/clusters", cluster).await.id();
        let switch = node.makes("/v1/switches", json!({ "name": "fs-home" })).await.id();
        let kinds = kinds(tenant, cluster, switch, &extension);
        Self { database, node, kinds }
    }

    async fn create(&self, kind: &Kind) -> Answer {
        self.node.api(if kind.is_put { "PUT" } else { "POST" }, &kind.at, kind.new.clone()).await
    }
}

/// Whether these things have every field of those, and perhaps a password more, which is shown once.
pub fn has_all(these: &Value, those: &Value) -> bool {
    let (Some(these), Some(those)) = (these.as_array(), those.as_array()) else { return false };
    let has =
        |(this, that): (&Value, &Value)| that.as_object().unwrap().iter().all(|(name, value)| this[name] == *value);
    !those.is_empty() && these.len() == those.len() && these.iter().zip(those).all(has)
}

/// The path of something, with further parameters.
fn with(path: &str, query: &str) -> String {
    match (path.contains('?'), query.strip_prefix('?')) {
        (true, Some(query)) => format!("{path}&{query}"),
        _ => format!("{path}{query}"),
    }
}

#[actix_web::test]
async fn every_kind_of_thing_is_created_read_kept_found_and_deleted_as_terraform_does_it() {
    let ground = Ground::new().await;
    let node = &ground.node;
    for kind in &ground.kinds {
        let name = kind.name;
        let made = ground.create(kind).await;
        assert_eq!(made.status, if kind.is_put { 200 } else { 201 }, "{name}: {}", made.text());
        let place = made.header("Location").map_or_else(|| kind.at.clone(), ToOwned::to_owned);
        assert!(kind.is_put || made.header("Location").is_some(), "{name}: where it is");
        let read = node.api("GET", &place, Value::Null).await;
        assert_eq!(read.status, 200, "{name}: {place}: {}", read.text());
        let (of_made, of_read) = (made.json(), read.json());
        let of_made = if kind.name == "agent" {
            of_made["agent"].as_object().map_or(of_made.clone(), |_| of_made["agent"].clone())
        } else {
            of_made
        };
        // Whether a switch is heard is found out meanwhile, and when it was asked.
        let lasting =
            |(field, _): &(&String, &Value)| name != "event socket" || ["address", "version"].contains(&field.as_str());
        for (field, value) in of_read.as_object().unwrap().iter().filter(lasting) {
            let is_same =
                if field == "extensions" { has_all(&of_made[field], value) } else { of_made[field] == *value };
            assert!(is_same, "{name}: {field} is the same when created and when read: {} {value}", of_made[field]);
        }
        if let Some(key) = &kind.key {
            assert_eq!(node.api("GET", key, Value::Null).await.json(), of_read, "{name}: found by its key");
        }
        // The same again.
        let before = traces(&ground.database).await;
        for _ in 0..2 {
            let again = if kind.is_put {
                node.api("PUT", &kind.at, kind.new.clone()).await
            } else if kind.same.is_empty() {
                break;
            } else {
                let same = kind.same.iter().map(|field| ((*field).to_owned(), of_read[field].clone()));
                node.api("PATCH", &place, Value::Object(same.collect())).await
            };
            assert_eq!(again.status, 200, "{name}: {}", again.text());
            for (field, value) in of_read.as_object().unwrap() {
                // The rest is what a node says of its visits.
                if name != "event socket" || ["address", "version"].contains(&field.as_str()) {
                    assert_eq!(&again.json()[field], value, "{name}: {field} stays");
                }
            }
            assert_eq!(again.header("ETag"), read.header("ETag"), "{name}");
        }
        assert_eq!(traces(&ground.database).await, before, "{name}: nothing changed");
        // A stale version is told, wherever there is one.
        if read.header("ETag").is_some() {
            let stale = [("X-API-Key", node.key.as_str()), ("If-Match", "\"v999\"")];
            let refused = node.api_with("DELETE", &with(&place, kind.delete), &stale, Value::Null).await;
            assert_eq!(
                (refused.status, &refused.json()["code"]),
                (412, &json!("changed")),
                "{name}: {}",
                refused.text()
            );
        }
        let gone = node.api("DELETE", &with(&place, kind.delete), Value::Null).await;
        assert_eq!(gone.status, 204, "{name}: {}", gone.text());
        assert_eq!(node.api("GET", &place, Value::Null).await.status, 404, "{name}");
        assert_eq!(node.api("DELETE", &with(&place, kind.delete), Value::Null).await.status, 404, "{name}");
    }
    // A template has its name for an id, and is put as a whole.
    let mut template = node.api("GET", "/v1/templates/default", Value::Null).await.json();
    template["name"] = json!("own");
    let made = node.api("POST", "/v1/templates", template.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let place = made.header("Location").unwrap().to_owned();
    let read = node.api("GET", &place, Value::Null).await;
    assert_eq!((read.json(), read.header("ETag")), (made.json(), made.header("ETag")));
    let before = traces(&ground.database).await;
    let again = node.api("PUT", &place, read.json()).await;
    assert_eq!((again.status, again.json()), (200, read.json()), "{}", again.text());
    assert_eq!(traces(&ground.database).await, before);
    let stale = [("X-API-Key", node.key.as_str()), ("If-Match", "\"v999\"")];
    for (method, body) in [("PUT", read.json()), ("DELETE", Value::Null)] {
        assert_eq!(node.api_with(method, &place, &stale, body).await.status, 412, "{method}");
    }
    assert_eq!(node.api("POST", "/v1/templates", template).await.json()["code"], "template_name_taken");
    assert_eq!(node.api("DELETE", &place, Value::Null).await.status, 204);
    assert_eq!(node.api("GET", &place, Value::Null).await.status, 404);
    ground.node.stop().await;
}

#[actix_web::test]
async fn whoever_creates_the_same_again_is_told_the_id_of_the_first() {
    let ground = Ground::new().await;
    for kind in ground.kinds.iter().filter(|kind| !kind.is_put) {
        let name = kind.name;
        let made = ground.create(kind).await;
        assert_eq!(made.status, 201, "{name}: {}", made.text());
        let before = traces(&ground.database).await;
        let again = ground.create(kind).await;
        let Some(known_as) = kind.twice else {
            // Two of these may be alike: nothing but their ids tells them apart. Who reserves a number again keeps it.
            assert_eq!(again.status, 201, "{name}: {}", again.text());
            if name == "reserved number" {
                assert_eq!(again.json(), made.json(), "{name}");
                assert_eq!(traces(&ground.database).await, before, "{name}: nothing changed");
            }
            continue;
        };
        assert_eq!(again.status, 409, "{name}: {}", again.text());
        let told = again.json()["used_by"].clone();
        let id = [&made.json()["id"], &made.json()["agent"]["id"], &made.json()["switch"]["id"]];
        let id = id.into_iter().find(|id| id.is_string()).unwrap().clone();
        assert_eq!((&told[0]["kind"], &told[0]["id"]), (&json!(known_as), &id), "{name}: {}", again.text());
        assert!(told[0]["name"].as_str().is_some_and(|name| !name.is_empty()), "{name}: {told}");
        assert_eq!(traces(&ground.database).await, before, "{name}: nothing changed");
    }
    ground.node.stop().await;
}

#[actix_web::test]
async fn fields_that_can_not_change_say_so_and_null_is_no_value_for_what_has_one() {
    let ground = Ground::new().await;
    let node = &ground.node;
    let mut told = 0;
    for kind in ground.kinds.iter().filter(|kind| !kind.is_put && !kind.same.is_empty()) {
        let name = kind.name;
        let made = ground.create(kind).await;
        assert_eq!(made.status, 201, "{name}: {}", made.text());
        let place = made.header("Location").unwrap().to_owned();
        let read = node.api("GET", &place, Value::Null).await.json();
        for (field, value) in read.as_object().unwrap() {
            let other = match value {
                Value::String(text) if text.parse::<Uuid>().is_ok() => json!(Uuid::now_v7()),
                Value::String(text) => json!(format!("{text}x")),
                Value::Number(_) => json!(99_999),
                Value::Bool(flag) => json!(!flag),
                _ => continue,
            };
            if kind.same.contains(&field.as_str()) && field != "sandbox" {
                continue;
            }
            let refused = node.api("PATCH", &place, json!({ field: other })).await;
            // What can be written but not named as it is shown, such as a PIN, is none of these.
            if refused.status == 200 {
                continue;
            }
            let said = refused.json();
            assert_eq!((refused.status, &said["field"]), (422, &json!(field)), "{name}.{field}: {said}");
            // Others can be changed, but not to this.
            if NEVER.contains(&field.as_str()) {
                assert_eq!(said["code"], "cant_change", "{name}.{field}: {said}");
                told += 1;
            }
        }
        for field in kind.same {
            let answer = node.api("PATCH", &place, json!({ *field: null })).await;
            let is_empty = answer.status == 200 && answer.json()[*field].is_null();
            let is_refused = answer.status == 422 && answer.json()["field"] == *field;
            assert!(is_empty || is_refused, "{name}.{field}: {} {}", answer.status, answer.text());
        }
    }
    assert!(told > 60, "{told}");
    ground.node.stop().await;
}
