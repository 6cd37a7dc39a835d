//! Every route × every role × another tenant's ids. The routes come from the router.

use dialplane::tenancy::auth::rules::{self, Level, ROLES, Role, Rule};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Database, Node, send},
    people::{Person, person},
};

/// One thing of each kind in a tenant.
struct Things {
    tenant: Uuid,
    extension: String,
    group: String,
    number: String,
    pool: String,
    agent: String,
    key: String,
    recording: String,
}

async fn things(node: &Node, domain: &str, number: &str) -> Things {
    let made = node.api("POST", "/v1/tenants", json!({ "domain": domain })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let tenant = made.id();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let extension = text(&node.extension(tenant, json!({ "number": "77" })).await["id"]);
    let in_tenant = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let group = node.api("POST", &in_tenant("groups"), json!({ "name": "sales", "members": [extension] })).await;
    let number = node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": number })).await;
    let agent = json!({ "first_name": "A", "last_name": "B", "email": format!("agent@{domain}") });
    let agent = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
    let key = node.api("POST", "/v1/keys", json!({ "name": "key", "tenant_id": tenant })).await;
    let call = node.call(tenant).await;
    let recording = node.recording(call).await;
    Things {
        tenant,
        extension,
        group: text(&group.json()["id"]),
        number: text(&number.json()["id"]),
        pool: text(&made.json()["pools"][0]["id"]),
        agent: text(&agent.json()["id"]),
        key: text(&key.json()["id"]),
        recording: recording.to_string(),
    }
}

/// Ends of paths that are not collections.
const VERBS: [&str; 12] = [
    "rotate-secret",
    "rotate",
    "assign",
    "unassign",
    "rates",
    "bulk",
    "test-connection",
    "status",
    "wrap-up",
    "activity",
    "audio",
    "links",
];

impl Things {
    /// The path of a route with this tenant's ids in it.
    fn path(&self, pattern: &str) -> String {
        let id = match pattern.split('/').rev().find(|part| !part.starts_with('{') && !VERBS.contains(part)) {
            Some("extensions") => &self.extension,
            Some("groups") => &self.group,
            Some("phone-numbers") => &self.number,
            Some("pools") => &self.pool,
            Some("agents" | "agent") => &self.agent,
            Some("keys") => &self.key,
            Some("recordings") => &self.recording,
            _ => "00000000-0000-0000-0000-00000000beef",
        };
        pattern
            .replace("{tenant_id}", &self.tenant.to_string())
            .replace("{id}", id)
            .replace("{agent_id}", id)
            .replace("{extension_id}", id)
            .replace("{delivery_id}", id)
            .replace("{number}", "4711")
            .replace("{name}", "nothing")
            .replace("{domain}", "theirs.test")
    }
}

/// A body that is refused before anything is changed, so that the order of requests doesn't matter.
const NOTHING: &str = r#"{"no such field": 1}"#;

async fn status(node: &Node, person: &Person, method: &str, path: &str) -> (u16, String) {
    let bearer = format!("Bearer {}", person.token);
    // No thing has this version, so even somebody who may delete is refused.
    // This type says nothing about the content, so that no route refuses it for that.
    let media = ("Content-Type", "application/octet-stream");
    let headers = [("Authorization", bearer.as_str()), media, ("If-Match", "\"v999\"")];
    let body = if method == "GET" { "" } else { NOTHING };
    let answer = send(node.app.app_address, method, path, &headers, body.as_bytes()).await;
    (answer.status, answer.text())
}

#[actix_web::test]
async fn every_role_may_do_what_the_table_says_and_nothing_elsewhere() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let ours = things(&node, "ours.test", "+12025550100").await;
    let theirs = things(&node, "theirs.test", "+12025550101").await;
    let mut walked = 0;
    for role in ROLES {
        let tenant = (role != Role::PlatformAdmin).then_some(ours.tenant);
        let person = person(&node, tenant, role, &format!("as-{}@ours.test", role.as_str().replace('_', "-"))).await;
        for (method, pattern, rule) in rules::RULES {
            if *rule == Rule::Anyone || pattern.starts_with("/v1/auth/") {
                continue;
            }
            let (resource, _) = rule.resource().unwrap();
            let allowed = rule.allows(rules::level(role, resource));
            let query = if tenant.is_none()
                && ["/agents", "/phone-numbers", "/routes"].iter().any(|part| pattern.contains(part))
            {
                format!("?tenant_id={}", ours.tenant)
            } else {
                String::new()
            };
            // Requests without body and version, which would be carried out at once.
            let harmless = !matches!(
                (*method, *pattern),
                ("DELETE", p) if p.contains("reserved-numbers")
            ) && !pattern.ends_with("/read-again");
            let (own, text) = status(&node, &person, method, &format!("{}{query}", ours.path(pattern))).await;
            let case = format!("{role:?} {method} {pattern}: {own} {text}");
            if allowed {
                assert!(!matches!(own, 401 | 403) && own < 500, "{case}");
            } else {
                assert_eq!(own, 403, "{case}");
            }
            if allowed && harmless && *method != "GET" && rules::level(role, resource) == Level::Write {
                assert!(matches!(own, 400 | 404 | 409 | 412 | 422), "nothing was done: {case}");
            }
            // Another tenant's ids are not found.
            if tenant.is_some() {
                let (foreign, text) = status(&node, &person, method, &theirs.path(pattern)).await;
                let case = format!("{role:?} {method} {pattern} of another tenant: {foreign} {text}");
                if pattern.contains("{tenant_id}") {
                    assert_eq!(foreign, 404, "{case}");
                } else if pattern.contains("{id}") || pattern.contains("{domain}") {
                    assert!(matches!(foreign, 403 | 404 | 422) && !text.contains("theirs"), "{case}");
                }
                let named = format!("{}?tenant_id={}", theirs.path(pattern), theirs.tenant);
                let takes =
                    ["/agents", "/phone-numbers", "/routes", "/v1/live/", "/v1/events", "/v1/calls", "/v1/webhooks"];
                if takes.iter().any(|part| pattern.contains(part)) || *pattern == "/v1/audit" {
                    let (foreign, text) = status(&node, &person, method, &named).await;
                    let case = format!("{role:?} {method} {named}: {foreign} {text}");
                    assert!(matches!(foreign, 403 | 404) && !text.contains("theirs"), "{case}");
                }
            }
            walked += 1;
        }
    }
    assert!(walked > 250, "{walked} cells of the matrix");
    node.stop().await;
}

#[actix_web::test]
async fn an_agent_sees_and_changes_what_is_their_own() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let ours = things(&node, "ours.test", "+12025550100").await;
    let agent = person(&node, Some(ours.tenant), Role::Agent, "own@ours.test").await;
    let extensions = format!("/v1/tenants/{}/extensions", ours.tenant);
    assert_eq!(agent.ask(&node, "GET", &extensions, Value::Null).await.json()["items"], json!([]));
    let foreign = format!("{extensions}/{}", ours.extension);
    assert_eq!(agent.ask(&node, "GET", &foreign, Value::Null).await.status, 404);
    assert_eq!(agent.ask(&node, "PATCH", &foreign, json!({ "ring_seconds": 40 })).await.status, 404);

    let mut db = database.connect().await;
    let id = ours.extension.parse::<Uuid>().unwrap();
    let own = sqlx::query("update extensions set user_id = $1 where id = $2").bind(agent.id).bind(id);
    own.execute(&mut db).await.unwrap();
    assert_eq!(agent.ask(&node, "GET", &foreign, Value::Null).await.status, 200);
    let changed = agent.ask(&node, "PATCH", &foreign, json!({ "ring_seconds": 40, "voicemail_pin": "802411" })).await;
    assert_eq!((changed.status, &changed.json()["ring_seconds"]), (200, &json!(40)), "{}", changed.text());
    for theirs in [
        json!({ "status": "suspended" }),
        json!({ "number": "78" }),
        json!({ "variables": {} }),
        json!({ "sip_password": "long-enough-42" }),
    ] {
        let refused = agent.ask(&node, "PATCH", &foreign, theirs.clone()).await;
        assert_eq!(refused.status, 403, "{theirs}: {}", refused.text());
    }
    // The manager reads everything and changes nothing.
    let manager = person(&node, Some(ours.tenant), Role::Manager, "manager@ours.test").await;
    assert_eq!(manager.ask(&node, "GET", &foreign, Value::Null).await.status, 200);
    assert_eq!(manager.ask(&node, "PATCH", &foreign, json!({ "ring_seconds": 50 })).await.status, 403);
    // The softphone's request for its settings.
    let me = agent.ask(&node, "GET", "/v1/auth/me", Value::Null).await.json();
    assert_eq!(me["extensions"][0]["sip_username"], "77");
    assert!(me["extensions"][0]["sip_password"].as_str().unwrap().len() > 8);
    assert_eq!((&me["tenant"]["domain"], &me["roles"]), (&json!("ours.test"), &json!(["agent"])));
    node.stop().await;
}
