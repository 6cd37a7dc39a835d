//! Any two writing operations at the same moment. The operations come from the API's own description, so that a new one can't be
//! left out. Pairs of them are run against one database, whose content must be consistent afterwards.

use std::collections::BTreeSet;

use rand::{SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node, send};

/// The things of a round, all new: a tenant with one thing of each kind, and things of the platform.
struct Things {
    round: usize,
    tenant: Uuid,
    pool: Uuid,
    extension: Uuid,
    other: Uuid,
    agent: Uuid,
    group: Uuid,
    number: Uuid,
    first: Uuid,
    second: Uuid,
    entry: Uuid,
    carrier: Uuid,
    rate: Uuid,
    key: Uuid,
    webhook: Uuid,
    delivery: Uuid,
    switch: Uuid,
    cluster: Uuid,
    call: Uuid,
    recording: Uuid,
    contact: Uuid,
    template: Value,
}

async fn made(node: &Node, path: String, body: Value) -> Value {
    let answer = node.api("POST", &path, body).await;
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    answer.json()
}

fn id(thing: &Value) -> Uuid {
    serde_json::from_value(thing["id"].clone()).unwrap()
}

fn carrier(name: &str) -> Value {
    json!({ "name": name, "config": { "host": "127.0.0.1:5999" } })
}

fn person(at: &str) -> Value {
    json!({ "first_name": "Ada", "last_name": "B", "email": format!("{at}@people.test") })
}

fn announcement(name: &str) -> Value {
    json!({ "name": name, "kind": "announcement", "config": { "prompt": { "text": "Hi" } } })
}

fn dials(name: &str, number: &str) -> Value {
    let action = json!({ "application": "dial", "number": number });
    json!({ "name": name, "conditions": [{ "pattern": "^77$", "actions": [action] }] })
}

impl Things {
    async fn new(node: &Node, round: usize) -> Self {
        // With the switch that sends its recordings: rounds before have made other clusters.
        let switches = node.api("GET", "/v1/switches?limit=500", Value::Null).await.json();
        let own = switches["items"].as_array().unwrap().iter().find(|switch| switch["name"] == node.switch.0.as_str());
        let new = json!({ "domain": format!("f{round}.test"), "cluster_id": own.unwrap()["cluster_id"] });
        let tenant = made(node, "/v1/tenants".into(), new).await;
        let (tenant, pool) = (id(&tenant), id(&tenant["pools"][0]));
        let renamed = json!({ "domain": format!("r{round}.test") });
        assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}"), renamed).await.status, 200);
        let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
        let asked = format!("?tenant_id={tenant}");
        let extension = id(&made(node, path("extensions"), json!({ "number": "71" })).await);
        let other = id(&made(node, path("extensions"), json!({ "number": "72" })).await);
        let agent = made(node, format!("/v1/admin/agents{asked}"), person(&format!("a{round}"))).await;
        let group = made(node, path("groups"), json!({ "name": "crew", "members": [other] })).await;
        let number = json!({ "number": format!("+1202555{round:04}") });
        let number = made(node, format!("/v1/phone-numbers{asked}"), number).await;
        let first = made(node, path("destinations"), announcement("first")).await;
        let second = made(node, path("destinations"), announcement("second")).await;
        let entry = made(node, path("dialplan-entries"), dials("rule", "9196")).await;
        let key = made(node, "/v1/keys".into(), json!({ "name": "script", "tenant_id": tenant })).await;
        let contact = made(node, format!("/v1/contacts{asked}"), json!({ "name": "Someone" })).await;
        let webhook = json!({ "url": "https://hooks.test", "tenant_id": tenant, "topics": ["call:ended"] });
        let webhook = id(&made(node, "/v1/webhooks".into(), webhook).await);
        let delivery = id(&made(node, format!("/v1/webhooks/{webhook}/test"), Value::Null).await);
        let cluster = json!({ "name": format!("c{round}"), "region": "eu", "max_tenants": 10 });
        let cluster = made(node, "/v1/clusters".into(), cluster).await;
        let switch = made(node, "/v1/switches".into(), json!({ "name": format!("s{round}") })).await;
        let carrier = made(node, "/v1/carriers".into(), carrier(&format!("w{round}"))).await;
        let day = chrono::NaiveDate::from_num_days_from_ce_opt(730_000 + i32::try_from(round).unwrap()).unwrap();
        let rate = json!({ "from_currency": "EUR", "to_currency": "GBP", "day": day, "rate": "0.8" });
        let rate = made(node, "/v1/exchange-rates".into(), rate).await;
        let mut template = node.api("GET", "/v1/templates/default", Value::Null).await.json();
        template["name"] = json!(format!("t{round}"));
        made(node, "/v1/templates".into(), template.clone()).await;
        let call = node.call(tenant).await;
        Self {
            round,
            tenant,
            pool,
            extension,
            other,
            agent: id(&agent),
            group: id(&group),
            number: id(&number),
            first: id(&first),
            second: id(&second),
            entry: id(&entry),
            carrier: id(&carrier),
            rate: id(&rate),
            key: id(&key),
            webhook,
            delivery,
            switch: id(&switch),
            cluster: id(&cluster),
            call,
            recording: node.recording(call).await,
            contact: id(&contact),
            template,
        }
    }
}

/// Operations that change nothing here, or that only a signed-in person may use. Other tests have them.
const LEFT_OUT: [&str; 12] = [
    // Only a caller at a switch makes one.
    "POST /v1/tenants/{tenant_id}/call-backs/{id}/cancel",
    "POST /v1/routes/explain",
    "POST /v1/carriers/{id}/rates/preview",
    "POST /v1/carriers/{id}/test-connection",
    "POST /v1/chat/messages",
    "POST /v1/chat/people/{id}/seen",
    "POST /v1/auth/logout",
    "POST /v1/auth/refresh",
    "POST /v1/auth/change-password",
    "POST /v1/auth/two-factor",
    "POST /v1/auth/two-factor/confirm",
    "POST /v1/auth/two-factor/disable",
];

/// A request: method, path, body. A text is sent as it is.
type Ask = (&'static str, String, Value);

/// The requests that an operation is tried with.
#[expect(clippy::match_same_arms, reason = "each operation has a line of its own")]
fn asks(things: &Things, operation: &str) -> Option<Vec<Ask>> {
    let Things { round, tenant, extension, other, agent, group, number, first, second, .. } = things;
    let (method, pattern) = operation.split_once(' ').unwrap();
    let method = ["POST", "PUT", "PATCH", "DELETE"].into_iter().find(|known| *known == method)?;
    let target = |kind: &str, id: &Uuid| json!({ "kind": kind, "id": id });
    let leads = |then: Value| json!({ "config": { "prompt": { "text": "Hi" }, "then": then } });
    let path = |id: &Uuid| {
        let path = pattern.replace("{tenant_id}", &tenant.to_string()).replace("{id}", &id.to_string());
        let path = path.replace("{extension_id}", &id.to_string());
        let asked = [
            "/v1/phone-numbers",
            "/v1/admin/agents",
            "/v1/calls",
            "/v1/live",
            "/v1/contacts",
            "/v1/erasures",
            "/v1/agents",
            "/v1/recordings",
            "/v1/chat/notices",
            "/v1/voicemail",
        ]
        .iter()
        .any(|start| path.starts_with(start));
        if asked { format!("{path}?tenant_id={tenant}") } else { path }
    };
    let none = Uuid::nil();
    let one = |id: &Uuid, body: Value| vec![(path(id), body)];
    let done = match operation {
        "POST /v1/auth/register" => one(
            &none,
            json!({ "company": "New", "domain": format!("n{round}.test"), "first_name": "A", "last_name": "B",
                    "email": format!("n{round}@people.test"), "password": "a long enough phrase 7" }),
        ),
        "POST /v1/auth/login" => {
            one(&none, json!({ "email": format!("a{round}@people.test"), "password": "a wrong password" }))
        }
        "POST /v1/auth/forgot-password" => one(&none, json!({ "email": format!("a{round}@people.test") })),
        "POST /v1/auth/reset-password" => one(&none, json!({ "token": "none", "password": "a long enough phrase 7" })),
        "POST /v1/auth/verify-email" => one(&none, json!({ "token": "none" })),
        "POST /v1/tenants" => one(&none, json!({ "domain": format!("x{round}.test") })),
        "PUT /v1/tenants/by-domain/{domain}" => ["x", "r"]
            .map(|letter| {
                let domain = format!("{letter}{round}.test");
                (path(&none).replace("{domain}", &domain), json!({ "domain": domain, "name": "Put" }))
            })
            .to_vec(),
        "PATCH /v1/tenants/{tenant_id}" => vec![
            (path(&none), json!({ "domain": format!("x{round}.test") })),
            (path(&none), json!({ "domain": format!("f{round}.test"), "keep_former_days": 0 })),
            (path(&none), json!({ "status": "suspended" })),
            (path(&none), json!({ "cluster_id": things.cluster })),
        ],
        "DELETE /v1/tenants/{tenant_id}/former-domains/{domain}" => {
            vec![(path(&none).replace("{domain}", &format!("f{round}.test")), Value::Null)]
        }
        "DELETE /v1/tenants/{tenant_id}" => vec![
            (format!("{}?cascade=true&purge=now", path(&none)), Value::Null),
            (format!("{}?cascade=true", path(&none)), Value::Null),
        ],
        "PATCH /v1/tenants/{tenant_id}/settings" => vec![
            (path(&none), json!({ "country": "FR" })),
            (path(&none), json!({ "routing": { "codes": { "echo": "73" } } })),
            (path(&none), json!({ "routing": { "speed_dials": { "07": "71" } } })),
        ],
        "PATCH /v1/tenants/{tenant_id}/usage-limits" => one(&none, json!({ "calls": 1000 })),
        "PATCH /v1/tenants/{tenant_id}/retention" => one(&none, json!({ "calls_days": 30 })),
        "POST /v1/tenants/{tenant_id}/extensions" => vec![
            (path(&none), json!({ "number": "73" })),
            (path(&none), json!({ "number": "15" })),
            (path(&none), json!({ "number": "74", "calls": { "forward_always": "71" } })),
        ],
        "PUT /v1/tenants/{tenant_id}/extensions/by-number/{number}" => ["71", "73"]
            .map(|number| {
                let new = json!({ "number": number, "calls": { "forward_always": "72" } });
                (path(&none).replace("{number}", number), new)
            })
            .to_vec(),
        "PATCH /v1/tenants/{tenant_id}/extensions/{id}" => vec![
            (path(other), json!({ "alias": "73" })),
            (path(other), json!({ "calls": { "forward_always": "71" } })),
            (path(extension), json!({ "calls": { "forward_always": "72" } })),
            (path(extension), json!({ "number": "75" })),
        ],
        "DELETE /v1/tenants/{tenant_id}/extensions/{id}" => {
            vec![(path(extension), Value::Null), (path(other), Value::Null)]
        }
        "POST /v1/tenants/{tenant_id}/extensions/{id}/rotate-secret" => one(extension, Value::Null),
        "POST /v1/tenants/{tenant_id}/groups" => vec![
            (path(&none), json!({ "name": "both", "members": [other, extension] })),
            (path(&none), json!({ "name": "late", "number": "73", "members": [extension] })),
        ],
        "PATCH /v1/tenants/{tenant_id}/extensions/bulk" => one(
            &none,
            json!({ "changes": [{ "key": "71", "set": { "calls": { "forward_always": "72" } } },
                                { "id": other, "set": { "alias": "73" } }] }),
        ),
        "POST /v1/tenants/{tenant_id}/extensions/bulk-delete" => {
            one(&none, json!({ "delete": [{ "key": "71" }, { "id": other }], "detach": true }))
        }
        "PATCH /v1/tenants/{tenant_id}/groups/bulk" => {
            one(&none, json!({ "changes": [{ "key": "crew", "set": { "number": "73", "members": [extension] } }] }))
        }
        "POST /v1/tenants/{tenant_id}/groups/bulk-delete" => one(&none, json!({ "delete": [{ "id": group }] })),
        "PUT /v1/tenants/{tenant_id}/groups/by-name/{name}" => ["crew", "both"]
            .map(|name| {
                let new = json!({ "name": name, "members": [extension], "otherwise": target("announcement", first) });
                (path(&none).replace("{name}", name), new)
            })
            .to_vec(),
        "PATCH /v1/tenants/{tenant_id}/groups/{id}" => vec![
            (path(group), json!({ "members": [extension, other] })),
            (path(group), json!({ "number": "73" })),
            (path(group), json!({ "otherwise": target("announcement", first) })),
        ],
        "DELETE /v1/tenants/{tenant_id}/groups/{id}" => one(group, Value::Null),
        "POST /v1/tenants/{tenant_id}/destinations" => {
            let mut new = announcement("third");
            new["config"]["then"] = target("extension", extension);
            new["number"] = json!("73");
            let outside = json!({ "number": "71", "on_behalf_of": other });
            vec![(path(&none), new), (path(&none), json!({ "name": "out", "kind": "external", "config": outside }))]
        }
        "PUT /v1/tenants/{tenant_id}/destinations/by-name/{kind}/{name}" => ["first", "third"]
            .map(|name| {
                let mut new = announcement(name);
                new["config"]["then"] = target("announcement", second);
                (path(&none).replace("{kind}", "announcement").replace("{name}", name), new)
            })
            .to_vec(),
        "PATCH /v1/tenants/{tenant_id}/destinations/{id}" => vec![
            (path(first), leads(target("announcement", second))),
            (path(second), leads(target("announcement", first))),
            (path(first), leads(target("extension", extension))),
            (path(second), json!({ "number": "73" })),
        ],
        "DELETE /v1/tenants/{tenant_id}/destinations/{id}" => {
            vec![(path(first), Value::Null), (path(second), Value::Null)]
        }
        "POST /v1/tenants/{tenant_id}/dialplan-entries" => one(&none, dials("more", "71")),
        "PATCH /v1/tenants/{tenant_id}/dialplan-entries/{id}" => {
            let go = json!([{ "actions": [{ "application": "go", "target": target("extension", extension) }] }]);
            one(&things.entry, json!({ "conditions": go }))
        }
        "DELETE /v1/tenants/{tenant_id}/dialplan-entries/{id}" => one(&things.entry, Value::Null),
        "POST /v1/phone-numbers" => one(&none, json!({ "number": format!("+1202556{round:04}") })),
        "POST /v1/phone-numbers/bulk" | "POST /v1/phone-numbers/bulk-upload" => {
            // One of them is also the single number's.
            let lines = [7, 6].map(|at| format!("+120255{at}{round:04}\n"));
            one(&none, Value::String(lines.concat()))
        }
        "PATCH /v1/phone-numbers/agent/{agent_id}" => {
            vec![(path(&none).replace("{agent_id}", &agent.to_string()), json!({ "choice": "round_robin" }))]
        }
        "PATCH /v1/phone-numbers/bulk" => one(
            &none,
            json!({ "changes": [{ "id": number, "set": { "destination": target("extension", extension) } }] }),
        ),
        "POST /v1/phone-numbers/bulk-delete" => one(&none, json!({ "delete": [{ "id": number }], "detach": true })),
        "PUT /v1/phone-numbers/by-number/{number}" => [5, 6]
            .map(|at| {
                let new = format!("+120255{at}{round:04}");
                let body = json!({ "number": new, "destination": target("extension", extension) });
                (path(&none).replace("{number}", &new), body)
            })
            .to_vec(),
        "PATCH /v1/phone-numbers/{id}" => vec![
            (path(number), json!({ "destination": target("extension", extension) })),
            (path(number), json!({ "destination": target("group", group) })),
            (path(number), json!({ "destination": target("announcement", first) })),
        ],
        "DELETE /v1/phone-numbers/{id}" => one(number, Value::Null),
        "POST /v1/phone-numbers/{id}/assign" => one(number, json!({ "agent_id": agent })),
        "POST /v1/phone-numbers/{id}/unassign" => one(number, Value::Null),
        "POST /v1/carriers" => one(&none, carrier(&format!("v{round}"))),
        "PUT /v1/carriers/by-name/{name}" => ["v", "w"]
            .map(|letter| {
                let name = format!("{letter}{round}");
                (path(&none).replace("{name}", &name), carrier(&name))
            })
            .to_vec(),
        "PATCH /v1/carriers/{id}" => one(&things.carrier, json!({ "name": format!("v{round}") })),
        "POST /v1/exchange-rates" => one(
            &none,
            json!({ "from_currency": "EUR", "to_currency": "USD", "day": "2026-11-01", "rate": format!("1.{round}") }),
        ),
        "DELETE /v1/exchange-rates/{id}" => one(&things.rate, Value::Null),
        "DELETE /v1/carriers/{id}" => one(&things.carrier, Value::Null),
        "PUT /v1/carriers/{id}/rates" | "POST /v1/carriers/{id}/rates/bulk" => {
            one(&things.carrier, json!("prefix,price\n49,0.01\n33,0.02\n"))
        }
        "POST /v1/tenants/{tenant_id}/pools" => one(&none, json!({ "first_number": 70, "last_number": 79 })),
        "PATCH /v1/tenants/{tenant_id}/pools/{id}" => {
            one(&things.pool, json!({ "first_number": 8000, "last_number": 8100 }))
        }
        "DELETE /v1/tenants/{tenant_id}/pools/{id}" => one(&things.pool, Value::Null),
        "POST /v1/tenants/{tenant_id}/reserved-numbers" => one(&none, json!({ "number": "73", "reason": "kept" })),
        "DELETE /v1/tenants/{tenant_id}/reserved-numbers/{number}" => {
            vec![(path(&none).replace("{number}", "73"), Value::Null)]
        }
        "POST /v1/admin/agents" => one(&none, person(&format!("b{round}"))),
        "POST /v1/admin/agents/bulk" => {
            one(&none, json!({ "agents": [person(&format!("b{round}")), person(&format!("c{round}"))] }))
        }
        "PATCH /v1/admin/agents/bulk" => one(
            &none,
            json!({ "changes": [{ "id": agent, "set": { "extensions": ["71"] } },
                                { "id": agent, "set": { "email": format!("b{round}@people.test") } }] }),
        ),
        "POST /v1/admin/agents/bulk-delete" => one(&none, json!({ "delete": [{ "id": agent }], "detach": true })),
        "PUT /v1/admin/agents/by-email/{email}" => ["a", "b"]
            .map(|letter| {
                let new = person(&format!("{letter}{round}"));
                (path(&none).replace("{email}", new["email"].as_str().unwrap()), new)
            })
            .to_vec(),
        "PATCH /v1/admin/agents/{id}" => vec![
            (path(agent), json!({ "status": "suspended" })),
            (path(agent), json!({ "email": format!("b{round}@people.test") })),
            (path(agent), json!({ "extensions": ["71"] })),
        ],
        "DELETE /v1/admin/agents/{id}" => one(agent, Value::Null),
        "POST /v1/contacts" => vec![
            (path(&none), json!({ "name": "Eve", "numbers": ["+4915112345678"] })),
            (path(&none), json!({ "name": "Adam" })),
        ],
        "POST /v1/contacts/import" => one(&none, json!("name,phone\nEve,+4915112345678\nAdam,\n")),
        "PATCH /v1/contacts/{id}" => one(&things.contact, json!({ "numbers": ["+4915112345678"], "notes": "x" })),
        "DELETE /v1/contacts/{id}" => one(&things.contact, Value::Null),
        "POST /v1/erasures" => one(&none, json!({ "numbers": ["+4915112345678"] })),
        "POST /v1/recordings/{id}/links" => one(&things.recording, json!({})),
        "PATCH /v1/recordings/{id}" => vec![
            (path(&things.recording), json!({ "legal_hold": "Case 17" })),
            (path(&things.recording), json!({ "legal_hold": null })),
        ],
        "DELETE /v1/recordings/{id}" => one(&things.recording, Value::Null),
        // There is no switch that keeps messages.
        "PATCH /v1/voicemail/{id}" => one(&none, json!({ "is_read": true })),
        "DELETE /v1/voicemail/{id}" => one(&none, Value::Null),
        "POST /v1/voicemail/{id}/forwards" => one(&none, json!({ "to": "72" })),
        "PUT /v1/voicemail-greetings/{extension_id}" => one(extension, json!({ "greeting": 1 })),
        "DELETE /v1/voicemail-greetings/{extension_id}" => one(extension, Value::Null),
        // There is no switch, and so no call.
        "POST /v1/sandbox/calls" => one(
            &none,
            json!({ "direction": "internal", "from": "71", "to": "72", "outcome": "busy", "ring_seconds": 0 }),
        ),
        "POST /v1/calls" => one(&none, json!({ "extension_id": extension, "to": "72" })),
        "POST /v1/live/calls/{id}/actions" => one(&things.call, json!({ "action": "hangup" })),
        "POST /v1/live/calls/{id}/supervise" => {
            one(&things.call, json!({ "mode": "listen", "extension_id": extension }))
        }
        "PUT /v1/agents/{id}/status" => {
            vec![(path(agent), json!({ "status": "away" })), (path(agent), json!({ "status": "available" }))]
        }
        "POST /v1/chat/notices" => one(&none, json!({ "text": format!("Team meeting {round}") })),
        // No call has just ended.
        "PUT /v1/agents/{id}/wrap-up" => one(agent, json!({ "seconds": 30 })),
        "POST /v1/switches/{id}/drain" => one(&things.switch, Value::Null),
        "POST /v1/switches/{id}/resume" => one(&things.switch, Value::Null),
        "PATCH /v1/calls/{id}" => vec![
            (path(&things.call), json!({ "notes": "calls back" })),
            (path(&things.call), json!({ "tags": ["vip"], "notes": null })),
        ],
        "POST /v1/call-records/unreadable/read-again" => one(&none, Value::Null),
        "POST /v1/templates" => {
            let mut new = things.template.clone();
            new["name"] = json!(format!("u{round}"));
            one(&none, new)
        }
        "PUT /v1/templates/{name}" => {
            vec![(path(&none).replace("{name}", &format!("t{round}")), things.template.clone())]
        }
        "DELETE /v1/templates/{name}" => vec![(path(&none).replace("{name}", &format!("t{round}")), Value::Null)],
        "POST /v1/clusters" => one(&none, json!({ "name": format!("d{round}"), "region": "eu", "max_tenants": 1 })),
        "PATCH /v1/clusters/{id}" => {
            one(&things.cluster, json!({ "max_tenants": 1, "sip_domains": [format!("x{round}.test")] }))
        }
        "DELETE /v1/clusters/{id}" => one(&things.cluster, Value::Null),
        "PUT /v1/clusters/{id}/configuration/{name}" => {
            let xml = "<configuration name=\"json_cdr.conf\"><settings/></configuration>";
            vec![(path(&things.cluster).replace("{name}", "json_cdr.conf"), json!({ "xml": xml }))]
        }
        "DELETE /v1/clusters/{id}/configuration/{name}" => {
            vec![(path(&things.cluster).replace("{name}", "json_cdr.conf"), Value::Null)]
        }
        "POST /v1/switches" => one(&none, json!({ "name": format!("q{round}"), "cluster_id": things.cluster })),
        "PATCH /v1/switches/{id}" => vec![
            (path(&things.switch), json!({ "cluster_id": things.cluster })),
            (path(&things.switch), json!({ "status": "disabled" })),
        ],
        "DELETE /v1/switches/{id}" => one(&things.switch, Value::Null),
        "PUT /v1/switches/{id}/event-socket" => {
            one(&things.switch, json!({ "address": "127.0.0.1:9", "password": "ClueCon1234" }))
        }
        "DELETE /v1/switches/{id}/event-socket" => one(&things.switch, Value::Null),
        "POST /v1/webhooks" => {
            one(&none, json!({ "url": "https://hooks.test", "tenant_id": tenant, "topics": ["call:ended"] }))
        }
        "PATCH /v1/webhooks/{id}" => one(&things.webhook, json!({ "enabled": false })),
        "DELETE /v1/webhooks/{id}" => one(&things.webhook, Value::Null),
        "POST /v1/webhooks/{id}/rotate-secret" => one(&things.webhook, json!({})),
        "POST /v1/webhooks/{id}/test" => one(&things.webhook, Value::Null),
        "POST /v1/webhooks/{id}/replay" => one(&things.webhook, json!({ "since": "2026-01-01T00:00:00Z" })),
        "POST /v1/webhooks/{id}/deliveries/{delivery_id}/replay" => {
            vec![(path(&things.webhook).replace("{delivery_id}", &things.delivery.to_string()), Value::Null)]
        }
        "POST /v1/keys" => one(&none, json!({ "name": "more", "tenant_id": tenant })),
        "PATCH /v1/keys/{id}" => one(&things.key, json!({ "name": "named" })),
        "DELETE /v1/keys/{id}" => one(&things.key, Value::Null),
        "POST /v1/keys/{id}/rotate" => one(&things.key, Value::Null),
        _ => return None,
    };
    Some(done.into_iter().map(|(path, body)| (method, path, body)).collect())
}

/// Every writing operation of the API's description.
async fn operations(node: &Node) -> Vec<String> {
    let described = node.api("GET", "/openapi.json", Value::Null).await.json();
    let paths = described["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = ["post", "put", "patch", "delete"].into_iter().filter(|method| methods.get(method).is_some());
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let all = all.collect::<BTreeSet<_>>();
    for left_out in LEFT_OUT {
        assert!(all.contains(left_out), "{left_out} is no longer there");
    }
    all.into_iter().filter(|operation| !LEFT_OUT.contains(&operation.as_str())).collect()
}

async fn ask(node: &Node, (method, path, body): &Ask) -> Answer {
    let media = if matches!(body, Value::String(_)) { "text/csv" } else { "application/json" };
    let body = match body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", media)];
    send(node.app.app_address, method, path, &headers, body.as_bytes()).await
}

/// What must hold in either order. Each statement counts violations.
const WRONG: [(&str, &str); 11] = [
    (
        "a number leads to an extension that is deleted",
        "select count(*) from numbers n join extensions e using (tenant_id) where e.id = n.extension_id and e.status = 'deleted'",
    ),
    (
        "something leads to an extension that is deleted",
        "select count(*) from destination_refs r join extensions e using (tenant_id)
          where e.id = r.extension_id and e.status = 'deleted'",
    ),
    (
        "a group has a member that is deleted",
        "select count(*) from group_members m join extensions e using (tenant_id)
          where e.id = m.extension_id and e.status = 'deleted'",
    ),
    (
        "something that is gone still leads somewhere",
        "select count(*) from destination_refs r
          where not exists (select 1 from destinations d where d.id = r.from_id union all
                            select 1 from groups g where g.id = r.from_id union all
                            select 1 from dialplan_entries n where n.id = r.from_id)",
    ),
    (
        "something has an emergency number of its tenant's country",
        "select count(*) from names n join tenants t on t.id = n.tenant_id
          where t.settings->>'country' = 'FR' and n.name in ('15', '17', '18')",
    ),
    (
        "something has a number that is a code of its tenant",
        "select count(*) from names n join tenants t on t.id = n.tenant_id
          where n.name = t.settings->'routing'->'codes'->>'echo'",
    ),
    (
        "destinations lead in a circle",
        "with recursive way (start, at) as (
            select from_id, destination_id from destination_refs where destination_id is not null
            union select w.start, r.destination_id from way w join destination_refs r on r.from_id = w.at
                   where r.destination_id is not null)
         select count(*) from way where start = at",
    ),
    (
        "extensions forward all calls in a circle",
        "select count(*) from extensions a join extensions b on b.tenant_id = a.tenant_id
          where a.status <> 'deleted' and b.status <> 'deleted'
            and a.calls->>'forward_always' = b.number and b.calls->>'forward_always' = a.number",
    ),
    (
        "an extension's names are not its own",
        "select count(*) from extensions e
          where e.status <> 'deleted' and not exists (
                select 1 from names n where n.tenant_id = e.tenant_id and n.name = e.number and n.extension_id = e.id)",
    ),
    (
        "a deleted person has a phone or a number",
        "select (select count(*) from extensions e where e.status <> 'deleted' and e.user_id is not null
                    and not exists (select 1 from users u where u.id = e.user_id))
              + (select count(*) from assignments a where not exists (select 1 from users u where u.id = a.user_id))",
    ),
    ("two tenants get one number", "select count(*) from tenants, tenant_count where ordinal > newest"),
];

/// Tables in which rows of tenants that are gone are left, other than the log of what was done.
async fn left_behind(db: &mut PgConnection) -> Vec<String> {
    let tables = sqlx::query_scalar::<_, String>(
        "select c.table_name::text from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
          where c.table_schema = 'public' and c.column_name = 'tenant_id' and t.table_type = 'BASE TABLE'
            -- What is sealed on disk goes with the next pass of the node that has it.
            and c.table_name not in ('audit_log', 'recording_objects')",
    );
    let mut left = Vec::new();
    for table in tables.fetch_all(&mut *db).await.unwrap() {
        let count = format!(
            "select count(*) from {table} x where x.tenant_id is not null and not exists (select 1 from tenants t where t.id = x.tenant_id)"
        );
        let rows = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(count)).fetch_one(&mut *db).await.unwrap();
        if rows > 0 {
            left.push(format!("{table}: {rows}"));
        }
    }
    left
}

/// How often two requests are made at once. Longer runs find more: `DIALPLANE_STORM=2000`.
fn rounds() -> usize {
    std::env::var("DIALPLANE_STORM").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60)
}

/// Whether an answer is an error of the service. A 503 for a switch that no node hears is not: earlier rounds may have set an event socket
/// at which nothing listens, so no node knows whether the switch has the call.
fn is_fault(answer: &Answer) -> bool {
    let is_away = |code: &Value| code == "switch_unheard" || code == "voicemail_away";
    answer.status >= 500 && !is_away(&answer.json()["code"])
}

/// Pairs that once went wrong. All other pairs are chosen at random.
const KNOWN: [(&str, &str); 8] = [
    ("PATCH /v1/phone-numbers/{id}", "DELETE /v1/tenants/{tenant_id}/extensions/{id}"),
    ("PATCH /v1/tenants/{tenant_id}/destinations/{id}", "PATCH /v1/tenants/{tenant_id}/destinations/{id}"),
    ("PATCH /v1/tenants/{tenant_id}/extensions/{id}", "PATCH /v1/tenants/{tenant_id}/extensions/{id}"),
    ("POST /v1/tenants/{tenant_id}/extensions", "DELETE /v1/tenants/{tenant_id}"),
    ("POST /v1/tenants/{tenant_id}/extensions", "PATCH /v1/tenants/{tenant_id}/settings"),
    ("POST /v1/tenants/{tenant_id}/groups", "DELETE /v1/tenants/{tenant_id}/extensions/{id}"),
    ("POST /v1/tenants/{tenant_id}/reserved-numbers", "POST /v1/tenants/{tenant_id}/extensions"),
    ("PATCH /v1/tenants/{tenant_id}", "POST /v1/tenants"),
];

/// Takes the lock away by which changes of a tenant take turns, to see this test fail: `DIALPLANE_STORM_UNLOCKED=1`.
async fn unlock(database: &Database) {
    if std::env::var_os("DIALPLANE_STORM_UNLOCKED").is_some() {
        // A function of this name in a schema that comes before Postgres's own.
        database.execute("create function pg_advisory_xact_lock(bigint) returns void language sql as ''").await;
        let first = "do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); end $$";
        database.execute(first).await;
    }
}

#[actix_web::test]
async fn any_two_operations_at_once_leave_what_agrees_with_itself_and_neither_is_a_fault() {
    let database = Database::new().await;
    unlock(&database).await;
    let node = Node::start(&database).await;
    let operations = operations(&node).await;
    let seed = std::env::var("DIALPLANE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let mut random = StdRng::seed_from_u64(seed);
    let mut db = database.connect().await;
    let mut succeeded = BTreeSet::new();
    for round in 0..rounds() {
        let things = Things::new(&node, round).await;
        let pair = match KNOWN.get(round / 2) {
            Some((one, other)) => [*one, *other],
            None => [(); 2].map(|()| operations.choose(&mut random).unwrap().as_str()),
        };
        let pair = pair.map(|operation| {
            let asks = asks(&things, operation);
            let asks = asks.unwrap_or_else(|| panic!("{operation} is new: say here what to ask it"));
            (operation, asks.choose(&mut random).unwrap().clone())
        });
        let (one, other) = tokio::join!(ask(&node, &pair[0].1), ask(&node, &pair[1].1));
        let told = || {
            let answers = [&one, &other].map(|answer| (answer.status, answer.text()));
            format!("seed {seed}, round {round}: {pair:?}: {answers:?}")
        };
        for (answer, (operation, _)) in [&one, &other].into_iter().zip(&pair) {
            assert!(!is_fault(answer) && answer.status != 429, "{}", told());
            if answer.status < 300 {
                succeeded.insert(*operation);
            }
        }
        for (what, statement) in WRONG {
            let wrong = sqlx::query_scalar::<_, i64>(statement).fetch_one(&mut db).await.unwrap();
            assert_eq!(wrong, 0, "{what}: {}", told());
        }
        assert_eq!(left_behind(&mut db).await, Vec::<String>::new(), "of tenants that are gone: {}", told());
    }
    println!("{} of {} operations succeeded at least once", succeeded.len(), operations.len());
    node.stop().await;
}

/// A pair of requests that leave something wrong if neither waits for the other, whichever comes first.
type Collision = (&'static str, fn(&Fresh) -> [Ask; 2]);

/// The things of a collision, made anew for each, in a separate tenant.
struct Fresh {
    tenant: Uuid,
    extension: Uuid,
    other: Uuid,
    number: Uuid,
    group: Uuid,
    first: Uuid,
    second: Uuid,
}

impl Fresh {
    async fn new(node: &Node, at: usize) -> Self {
        let tenant = id(&made(node, "/v1/tenants".into(), json!({ "domain": format!("c{at}.test") })).await);
        let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
        let number = json!({ "number": format!("+1202557{at:04}") });
        let (extension, other, number, group, first, second) = tokio::join!(
            made(node, path("extensions"), json!({ "number": "71" })),
            made(node, path("extensions"), json!({ "number": "72" })),
            made(node, format!("/v1/phone-numbers?tenant_id={tenant}"), number),
            made(node, path("groups"), json!({ "name": "crew" })),
            made(node, path("destinations"), announcement("first")),
            made(node, path("destinations"), announcement("second")),
        );
        let [extension, other, number, group, first, second] =
            [extension, other, number, group, first, second].map(|thing| id(&thing));
        Self { tenant, extension, other, number, group, first, second }
    }

    fn path(&self, what: &str) -> String {
        format!("/v1/tenants/{}/{what}", self.tenant)
    }

    fn deletes_extension(&self) -> Ask {
        ("DELETE", self.path(&format!("extensions/{}", self.extension)), Value::Null)
    }

    fn leads(&self, from: Uuid, kind: &str, to: Uuid) -> Ask {
        let config = json!({ "prompt": { "text": "Hi" }, "then": { "kind": kind, "id": to } });
        ("PATCH", self.path(&format!("destinations/{from}")), json!({ "config": config }))
    }

    fn forwards(&self, from: Uuid, to: &str) -> Ask {
        ("PATCH", self.path(&format!("extensions/{from}")), json!({ "calls": { "forward_always": to } }))
    }
}

const COLLISIONS: [Collision; 12] = [
    ("a number is led to an extension that is deleted", |it| {
        let to = json!({ "destination": { "kind": "extension", "id": it.extension } });
        [("PATCH", format!("/v1/phone-numbers/{}?tenant_id={}", it.number, it.tenant), to), it.deletes_extension()]
    }),
    ("a destination is led to an extension that is deleted", |it| {
        [it.leads(it.first, "extension", it.extension), it.deletes_extension()]
    }),
    ("a group gets a member that is deleted", |it| {
        let members = json!({ "members": [it.other, it.extension] });
        [("PATCH", it.path(&format!("groups/{}", it.group)), members), it.deletes_extension()]
    }),
    ("a group is made with a member that is deleted", |it| {
        [("POST", it.path("groups"), json!({ "name": "late", "members": [it.extension] })), it.deletes_extension()]
    }),
    ("an extension forwards to one that is deleted", |it| [it.forwards(it.other, "71"), it.deletes_extension()]),
    ("an extension that forwards to one that is deleted is made", |it| {
        let calls = json!({ "number": "73", "calls": { "follow_me": [{ "number": "71" }] } });
        [("POST", it.path("extensions"), calls), it.deletes_extension()]
    }),
    ("a speed dial is to the mailbox of an extension that is deleted", |it| {
        let dials = json!({ "routing": { "speed_dials": { "07": "*9871" } } });
        [("PATCH", it.path("settings"), dials), it.deletes_extension()]
    }),
    ("a destination dials an extension that is deleted", |it| {
        let outside = json!({ "number": "71", "on_behalf_of": it.other });
        let new = json!({ "name": "out", "kind": "external", "config": outside });
        [("POST", it.path("destinations"), new), it.deletes_extension()]
    }),
    ("an entry dials an extension that is deleted", |it| {
        [("POST", it.path("dialplan-entries"), dials("rule", "71")), it.deletes_extension()]
    }),
    ("two destinations are led to each other", |it| {
        [it.leads(it.first, "announcement", it.second), it.leads(it.second, "announcement", it.first)]
    }),
    ("two extensions forward to each other", |it| [it.forwards(it.extension, "72"), it.forwards(it.other, "71")]),
    ("an extension gets a number that becomes one for emergencies", |it| {
        let moves = ("PATCH", it.path("settings"), json!({ "country": "FR" }));
        [("POST", it.path("extensions"), json!({ "number": "15" })), moves]
    }),
];

/// How often each of them is tried: without the locks, nearly every try goes wrong.
const TRIES: usize = 3;

#[actix_web::test]
async fn changes_that_contradict_each_other_never_both_succeed() {
    let database = Database::new().await;
    unlock(&database).await;
    let node = Node::start(&database).await;
    let mut wrong = Vec::new();
    for at in 0..COLLISIONS.len() * TRIES {
        let (what, asks) = COLLISIONS[at % COLLISIONS.len()];
        let fresh = Fresh::new(&node, at).await;
        let [one, other] = asks(&fresh);
        let (one, other) = tokio::join!(ask(&node, &one), ask(&node, &other));
        let told = format!("{what}: {} {}, {} {}", one.status, one.text(), other.status, other.text());
        assert!(one.status < 500 && other.status < 500 && one.status != 429 && other.status != 429, "{told}");
        assert!(one.status < 300 || other.status < 300, "one of them is to succeed: {told}");
        if one.status < 300 && other.status < 300 {
            wrong.push(told);
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), COLLISIONS.len() * TRIES);
    node.stop().await;
}

/// Tries each operation once, to see that its request is sensible before pairs are chosen at random.
#[actix_web::test]
async fn each_operation_alone_does_what_it_is_asked() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    // These need something that does not exist here: a link, a password, a configuration, a reservation, an event socket.
    let refused = [
        "POST /v1/auth/login",
        "POST /v1/auth/reset-password",
        "POST /v1/auth/verify-email",
        "DELETE /v1/clusters/{id}/configuration/{name}",
        "DELETE /v1/tenants/{tenant_id}/reserved-numbers/{number}",
        "DELETE /v1/switches/{id}/event-socket",
        "POST /v1/phone-numbers/{id}/unassign",
        "POST /v1/calls",
        "POST /v1/sandbox/calls",
        "POST /v1/live/calls/{id}/actions",
        "POST /v1/live/calls/{id}/supervise",
        "PUT /v1/agents/{id}/wrap-up",
        "PATCH /v1/voicemail/{id}",
        "DELETE /v1/voicemail/{id}",
        "POST /v1/voicemail/{id}/forwards",
        "PUT /v1/voicemail-greetings/{extension_id}",
        "DELETE /v1/voicemail-greetings/{extension_id}",
    ];
    let mut wrong = Vec::new();
    for (at, operation) in operations(&node).await.into_iter().enumerate() {
        let things = Things::new(&node, at).await;
        let asks = asks(&things, &operation).unwrap_or_else(|| panic!("{operation} is new: say here what to ask it"));
        let answer = ask(&node, &asks[0]).await;
        let fine = answer.status < 300 || refused.contains(&operation.as_str()) && !is_fault(&answer);
        if !fine {
            wrong.push(format!("{operation}: {} {}", answer.status, answer.text()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    node.stop().await;
}

/// Waits until a statement of the database waits for another transaction.
async fn somebody_waits(db: &mut PgConnection) {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *db).await.unwrap() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn a_change_that_gives_way_to_another_is_done_again_and_nobody_hears_of_it() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = id(&node.extension(tenant, json!({ "number": "1000" })).await);
    let (mut other, mut watcher) = (database.connect().await, database.connect().await);
    let mut tx = other.begin().await.unwrap();
    // The request notices the deadlock first, so it is the one that gives way.
    sqlx::query("set local deadlock_timeout = '60s'").execute(&mut *tx).await.unwrap();
    sqlx::query("select 1 from extensions where id = $1 for update").bind(extension).execute(&mut *tx).await.unwrap();
    let path = format!("/v1/tenants/{tenant}/extensions/{extension}");
    let headers = [("X-API-Key", node.key.as_str()), ("Idempotency-Key", "once")];
    let request = node.api_with("PATCH", &path, &headers, json!({ "display_name": "Ada" }));
    let collides = async {
        somebody_waits(&mut watcher).await;
        // What the request holds.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('pools ' || $1::text, 0))")
            .bind(tenant)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(request, collides);
    assert_eq!((answer.status, &answer.json()["display_name"]), (200, &json!("Ada")), "{}", answer.text());
    assert!(node.metrics().await.contains("dialplane_changes_again_total 1"), "it collided once");
    let again = node.api_with("PATCH", &path, &headers, json!({ "display_name": "Ada" })).await;
    assert_eq!(again.header("Idempotency-Replayed"), Some("true"), "it was done once");
    node.stop().await;
}

#[actix_web::test]
async fn what_dials_an_extension_is_shown_before_its_number_goes_to_somebody_else() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let gone = id(&node.extension(tenant, json!({ "number": "1810", "alias": "1890", "sip_username": "gone" })).await);
    let follow = json!({ "follow_me": [{ "number": "1890" }] });
    let users = [
        (
            "extension",
            "1811",
            node.extension(tenant, json!({ "number": "1811", "calls": { "forward_busy": "1810" } })).await,
        ),
        ("extension", "1812", node.extension(tenant, json!({ "number": "1812", "calls": follow })).await),
    ];
    let dial = json!({ "routing": { "speed_dials": { "07": "1810" } } });
    assert_eq!(node.api("PATCH", &path("settings"), dial).await.status, 200);
    let entry = made(&node, path("dialplan-entries"), dials("rule", "1810")).await;
    let outside = json!({ "number": "1810", "on_behalf_of": users[0].2["id"] });
    let outside =
        made(&node, path("destinations"), json!({ "name": "out", "kind": "external", "config": outside })).await;
    // An extension's forward to itself, which many phones set, prevents nothing.
    let own = json!({ "calls": { "forward_no_answer": "1810" } });
    assert_eq!(node.api("PATCH", &path(&format!("extensions/{gone}")), own).await.status, 200);
    for (method, body) in [("DELETE", Value::Null), ("PATCH", json!({ "number": "1820", "alias": "1821" }))] {
        let refused = node.api(method, &path(&format!("extensions/{gone}")), body).await;
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("in_use")), "{method} {}", refused.text());
        let listed = refused.json()["used_by"].clone();
        let used = |kind: &str, id: &Value, name: &str| json!({ "kind": kind, "id": id, "name": name });
        let expected = json!([
            used("entry", &entry["id"], "rule"),
            used("extension", &users[0].2["id"], "1811"),
            used("extension", &users[1].2["id"], "1812"),
            used("external", &outside["id"], "out"),
            used("speed_dial", &json!(tenant), "07"),
        ]);
        assert_eq!(listed, expected, "{method}");
    }
    // A change that does not touch the number is not refused.
    let named = node.api("PATCH", &path(&format!("extensions/{gone}")), json!({ "display_name": "Ada" })).await;
    assert_eq!(named.status, 200, "{}", named.text());
    for (_, _, user) in &users {
        let calls = json!({ "calls": {} });
        let path = path(&format!("extensions/{}", user["id"].as_str().unwrap()));
        assert_eq!(node.api("PATCH", &path, calls).await.status, 200);
    }
    for thing in ["dialplan-entries", "destinations"] {
        let id = if thing == "destinations" { &outside } else { &entry };
        let path = path(&format!("{thing}/{}", id["id"].as_str().unwrap()));
        assert_eq!(node.api("DELETE", &path, Value::Null).await.status, 204);
    }
    let dial = json!({ "routing": { "speed_dials": { "07": null } } });
    assert_eq!(node.api("PATCH", &path("settings"), dial).await.status, 200);
    assert_eq!(node.api("DELETE", &path(&format!("extensions/{gone}")), Value::Null).await.status, 204);

    // As long as its number rests, nothing leads there anew. What did so before may stay.
    let behind = json!({ "calls": { "forward_busy": "*981810" } });
    let first = path(&format!("extensions/{}", users[0].2["id"].as_str().unwrap()));
    for calls in [json!({ "calls": { "forward_busy": "1810" } }), behind.clone()] {
        let refused = node.api("PATCH", &first, calls).await;
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("number_held")), "{}", refused.text());
    }
    let reserved = path("reserved-numbers/1810");
    assert_eq!(node.api("DELETE", &reserved, Value::Null).await.status, 204);
    // A number behind a code is a reference like any other: this is the way to its mailbox.
    assert_eq!(
        node.api("PATCH", &first, behind).await.status,
        200,
        "nobody has had the number, as far as anybody knows"
    );
    let next = id(&node.extension(tenant, json!({ "number": "1810" })).await);
    let refused = node.api("DELETE", &path(&format!("extensions/{next}")), Value::Null).await;
    assert_eq!((refused.status, &refused.json()["used_by"][0]["name"]), (409, &json!("1811")), "{}", refused.text());

    // Groups and destinations have numbers, too.
    let group = made(&node, path("groups"), json!({ "name": "crew", "number": "1830" })).await;
    let box_ =
        made(&node, path("destinations"), json!({ "name": "box", "kind": "mailbox", "number": "1831", "config": {} }))
            .await;
    node.extension(tenant, json!({ "number": "1840", "calls": { "forward_always": "1830", "forward_busy": "1831" } }))
        .await;
    for thing in
        [format!("groups/{}", group["id"].as_str().unwrap()), format!("destinations/{}", box_["id"].as_str().unwrap())]
    {
        for (method, body) in [("DELETE", Value::Null), ("PATCH", json!({ "number": null }))] {
            let refused = node.api(method, &path(&thing), body).await;
            assert_eq!(refused.status, 409, "{method} {thing} {}", refused.text());
            assert_eq!(refused.json()["used_by"][0]["name"], "1840");
        }
    }
    node.stop().await;
}
