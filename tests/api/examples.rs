//! The examples in the API's description are real: these tests send the requests, one after the other, and compare the answers.
//!
//! `UPDATE_EXAMPLES=1` writes the answers into `src/app/contract/examples.json`.

use std::collections::BTreeMap;

use chrono::DateTime;
use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Database, Node, send, skipped},
    people::person,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/app/contract/examples.json");
/// What stands in requests in the place of what somebody got by mail, at sign-in, or from their authenticator.
const MAILED: &str = "dpo_the-token-of-the-mail";
const REFRESH: &str = "dpr_a-token-of-a-sign-in";
const CODE: &str = "123456";
/// What no node without a switch does, and how it says so: the body is taken, and then something is missing. Tests with a switch have these
/// bodies done: `routing/control.rs`, `routing/agents.rs`, `live/control.rs` and `live/voicemail.rs`.
const WITHOUT_A_SWITCH: [(&str, u16, &str); 6] = [
    ("POST /v1/calls?", 409, "no_switch_for_call"),
    ("POST /v1/live/calls/{call}/supervise?", 404, "call_gone"),
    ("PUT /v1/agents/{agent}/wrap-up?", 409, "no_wrap_up"),
    ("PATCH /v1/voicemail/{message}?", 404, "not_found"),
    ("POST /v1/voicemail/{message}/forwards?", 404, "not_found"),
    ("PUT /v1/voicemail-greetings/{phone}?", 404, "not_found"),
];

/// Fields that differ each time, and what stands there in their place.
const RANDOM: [(&str, &str); 15] = [
    ("device_token", "dpd_a-token-of-this-browser"),
    ("access_token", "eyJhbGciOiJIUzI1NiJ9.a-token-of-ten-minutes"),
    ("refresh_token", REFRESH),
    ("recovery_codes", "k7tq-9mzd-x3wp"),
    ("gateway", "c01a2186b5832754cabacf8f5c6afcbb3"),
    ("sip_password", "a-password-that-is-shown-once"),
    ("voicemail_pin", "482913"),
    ("sip_username", "u7kq3mxzd"),
    ("secret", "whsec_a-secret-that-is-shown-once"),
    ("token", "dps_a-token-that-is-shown-once"),
    ("key", "dpk_a-key-that-is-shown-once"),
    ("link", "https://dialplane.example/verify"),
    ("next_cursor", "AaIYa1gydUyrrAAAAAAAAQ"),
    ("cdr_url", "http://127.0.0.1:8080/fs/cdr"),
    ("switch_url", "http://127.0.0.1:8080/fs/xml"),
];

/// A value with ids by their names, and without what differs each time.
fn lasting(value: &Value, field: &str, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => {
            // That of a second factor, which is no webhook's.
            if field == "secret" && !text.starts_with("whsec_") {
                return "JBSWY3DPEHPK3PXP".into();
            }
            if text.starts_with("otpauth://") {
                return "otpauth://totp/Dialplane:ada%40beta.example?secret=JBSWY3DPEHPK3PXP&issuer=Dialplane".into();
            }
            if let Some((_, shown)) = RANDOM.iter().find(|(name, _)| *name == field) {
                return (*shown).into();
            }
            if text.contains("/v1/shared-recordings/") {
                return "https://dialplane.example/v1/shared-recordings/{recording}?tenant_id={tenant}&until=1795780800&signature=Q7c3bWvXk2".into();
            }
            if text.starts_with("dpk_") {
                return "dpk_Hj3kQ9".into();
            }
            if let Some(name) = names.get(text) {
                return format!("{{{name}}}").into();
            }
            if Uuid::parse_str(text).is_ok_and(|id| id.get_version_num() == 7) {
                return "{other}".into();
            }
            if DateTime::parse_from_rfc3339(text).is_ok() {
                return "2026-11-26T12:00:00Z".into();
            }
            let known = names.iter().fold(text.clone(), |text, (id, name)| text.replace(id, &format!("{{{name}}}")));
            known.into()
        }
        Value::Array(items) => items.iter().map(|item| lasting(item, field, names)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), lasting(value, name, names))).collect()
        }
        other => other.clone(),
    }
}

/// Somebody who signs up, signs in and reads their mails.
#[derive(Default)]
struct Ada {
    mails: std::path::PathBuf,
    /// The mails whose link was used.
    used: Vec<String>,
    access: String,
    refresh: String,
    authenticator: Option<totp_rs::TOTP>,
}

impl Ada {
    /// A request with what she has in the place of what stands in the example.
    async fn says(&mut self, path: &str, body: &str) -> String {
        let mut body = body.replace(REFRESH, &self.refresh);
        if body.contains(MAILED) {
            body = body.replace(MAILED, &self.token().await);
        }
        match &self.authenticator {
            Some(totp) if path.ends_with("/confirm") => body.replace(CODE, &totp.generate_current().unwrap()),
            _ => body,
        }
    }

    fn hears(&mut self, answer: &Value) {
        if let (Some(access), Some(refresh)) = (answer["access_token"].as_str(), answer["refresh_token"].as_str()) {
            (self.access, self.refresh) = (access.to_owned(), refresh.to_owned());
        }
        if let Some(url) = answer["url"].as_str().filter(|url| url.starts_with("otpauth://")) {
            self.authenticator = Some(totp_rs::TOTP::from_url(url).unwrap());
        }
    }

    /// The token of a link that was mailed to her and that she has not followed. Without a server, mails are files.
    async fn token(&mut self) -> String {
        let since = std::time::Instant::now();
        loop {
            let files = std::fs::read_dir(&self.mails).into_iter().flatten().filter_map(Result::ok);
            let mails = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
            let mails = mails.filter(|mail| mail.contains("To: ada@beta.example"));
            let mails = mails.map(|mail| mail.replace("=\r\n", "").replace("=3D", "=")).collect::<Vec<_>>();
            let tokens = mails.iter().filter_map(|mail| mail.split_once("?token=")).map(|(_, rest)| {
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect::<String>()
            });
            if let Some(token) = tokens.into_iter().find(|token| !self.used.contains(token)) {
                self.used.push(token.clone());
                return token;
            }
            assert!(since.elapsed().as_secs() < 30, "no link: {mails:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// Waits until a played call was answered.
async fn talks(node: &Node, actions: &str) {
    let (call, tenant) = actions.strip_prefix("/v1/live/calls/").unwrap().split_once("/actions?").unwrap();
    let since = std::time::Instant::now();
    loop {
        let calls = node.api("GET", &format!("/v1/live/calls?{tenant}&state=talking"), Value::Null).await;
        if calls.items().as_array().unwrap().iter().any(|one| one["id"] == call) {
            return;
        }
        assert!(since.elapsed().as_secs() < 60, "{}", calls.text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn every_example_of_the_description_works_as_it_stands_there() {
    let database = Database::new().await;
    let mut mails = std::path::PathBuf::new();
    let node = Node::with(&database, |settings| mails = settings.data_dir.join("mail")).await;
    let mut ada = Ada { mails, ..Ada::default() };
    let written = std::fs::read_to_string(FILE).unwrap();
    let mut steps = serde_json::from_str::<Vec<Value>>(&written).unwrap();
    let mut names = BTreeMap::<String, String>::new();
    // Nobody has left a message.
    for name in ["message", "phone"] {
        names.insert(Uuid::now_v7().to_string(), name.into());
    }
    for step in &mut steps {
        // No request makes a call.
        if step["ask"].as_str().unwrap().contains("{call}") && !names.values().any(|name| name == "call") {
            let (tenant, _) = names.iter().find(|(_, name)| *name == "tenant").unwrap();
            let call = node.call(tenant.parse().unwrap()).await;
            names.insert(call.to_string(), "call".into());
        }
        if step["ask"].as_str().unwrap().contains("{recording}") && !names.values().any(|name| name == "recording") {
            let (call, _) = names.iter().find(|(_, name)| *name == "call").unwrap();
            let recording = node.recording(call.parse().unwrap()).await;
            names.insert(recording.to_string(), "recording".into());
        }
        let with_ids = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (id, name)| text.replace(&format!("{{{name}}}"), id))
        };
        let ask = with_ids(step["ask"].as_str().unwrap());
        let (method, path) = ask.split_once(' ').unwrap();
        let (media, body) = match &step["request"] {
            Value::Null => ("application/json", String::new()),
            Value::String(text) => ("text/csv", text.clone()),
            request => ("application/json", with_ids(&request.to_string())),
        };
        let body = if path.starts_with("/v1/auth/") { ada.says(path, &body).await } else { body };
        let bearer = match step["who"].as_str() {
            Some("ada") => format!("Bearer {}", ada.access),
            Some(_) => {
                let (tenant, _) = names.iter().find(|(_, name)| *name == "tenant").unwrap();
                let tenant = Some(tenant.parse().unwrap());
                format!("Bearer {}", person(&node, tenant, Role::Manager, "mia@acme.example").await.token)
            }
            None => String::new(),
        };
        let who = if bearer.is_empty() { ("X-API-Key", node.key.as_str()) } else { ("Authorization", bearer.as_str()) };
        if path.contains("/actions?") {
            talks(&node, path).await;
        }
        let headers = [who, ("Content-Type", media)];
        let answer = send(node.app.app_address, method, path, &headers, body.as_bytes()).await;
        let asked = step["ask"].as_str().unwrap();
        match WITHOUT_A_SWITCH.iter().find(|(begin, ..)| asked.starts_with(begin)) {
            Some((_, status, code)) => {
                assert_eq!((answer.status, &answer.json()["code"]), (*status, &json!(code)), "{}", answer.text());
            }
            None => assert!(answer.status < 300, "{ask}: {} {}", answer.status, answer.text()),
        }
        let body = if answer.body.is_empty() { Value::Null } else { answer.json() };
        ada.hears(&body);
        if let Some(name) = step["as"].as_str() {
            let id = [&body["id"], &body["tenant"]["id"], &body["agent"]["id"], &body["switch"]["id"]];
            let id = id.into_iter().find_map(Value::as_str).unwrap_or_else(|| panic!("{ask}: {body}"));
            names.insert(id.to_owned(), name.to_owned());
        }
        step["status"] = json!(answer.status);
        step["response"] = if answer.status < 300 { lasting(&body, "", &names) } else { Value::Null };
    }
    let now = serde_json::to_string_pretty(&steps).unwrap() + "\n";
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::write(FILE, now).unwrap();
    } else {
        assert!(now == written, "the examples are no longer what is answered: UPDATE_EXAMPLES=1 writes them anew");
    }
    node.stop().await;
}

#[actix_web::test]
async fn every_operation_that_takes_a_body_has_an_example() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let mut without = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let content = operation["requestBody"]["content"].as_object();
            if content.is_some_and(|content| content.values().any(|media| media.get("example").is_none())) {
                without.push(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(without, Vec::<String>::new(), "add them to src/app/contract/examples.json");
    node.stop().await;
}

/// What every operation, parameter and field has to say about itself.
#[actix_web::test]
async fn everything_in_the_description_is_explained() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let mut mute = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let says = |thing: &Value| {
                thing.get("$ref").is_some() || thing["description"].as_str().is_some_and(|text| !text.is_empty())
            };
            if !says(operation) {
                mute.push(format!("{method} {path}"));
            }
            let answers = operation["responses"].as_object().unwrap();
            mute.extend(
                answers.iter().filter(|(_, it)| !says(it)).map(|(status, _)| format!("{method} {path}: {status}")),
            );
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            mute.extend(parameters.filter(|it| !says(it)).map(|it| format!("{method} {path}: {}", it["name"])));
        }
    }
    for (name, schema) in described["components"]["schemas"].as_object().unwrap() {
        fields(name, schema, &mut mute);
    }
    nulls("", &described, &mut mute);
    assert_eq!(
        mute,
        Vec::<String>::new(),
        "say what they mean: a doc comment, or a line in src/app/contract/fields.json"
    );
    node.stop().await;
}

/// Members that are null, of which no tool makes sense. Examples may have them.
fn nulls(place: &str, value: &Value, mute: &mut Vec<String>) {
    match value {
        Value::Null => mute.push(format!("{place} is null")),
        Value::Array(items) => items.iter().for_each(|item| nulls(place, item, mute)),
        Value::Object(members) => {
            let members =
                members.iter().filter(|(name, _)| !["example", "examples", "default", "enum"].contains(&name.as_str()));
            members.for_each(|(name, member)| nulls(&format!("{place}/{name}"), member, mute));
        }
        _ => {}
    }
}

fn fields(name: &str, schema: &Value, mute: &mut Vec<String>) {
    for (field, property) in schema["properties"].as_object().into_iter().flatten() {
        let choices = property["oneOf"].as_array().into_iter().flatten();
        if !choices.chain([property]).any(|it| it.get("description").is_some()) {
            mute.push(format!("{name}.{field}"));
        }
        let is_number = ["integer", "number"].iter().any(|kind| property["type"].to_string().contains(kind));
        if is_number && property.get("format").is_none() {
            mute.push(format!("{name}.{field}: which numbers"));
        }
    }
    for part in ["oneOf", "anyOf", "allOf"] {
        schema[part].as_array().into_iter().flatten().for_each(|part| fields(name, part, mute));
    }
}

#[actix_web::test]
async fn what_the_description_does_not_have_is_refused_by_name() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let groups = format!("/v1/tenants/{tenant}/groups");
    let refused = node.api("GET", &format!("{groups}?limt=5"), Value::Null).await;
    let problem = refused.json();
    assert_eq!(
        (refused.status, &problem["code"], &problem["field"]),
        (400, &json!("unknown_parameter"), &json!("limt"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("limit, cursor"), "{problem}");
    // A caller without the right to ask gets that answer first.
    assert_eq!(send(node.app.app_address, "GET", &format!("{groups}?limt=5"), &[], b"").await.status, 401);

    let refused = node.api("PUT", &groups, json!({})).await;
    assert_eq!((refused.status, refused.header("Allow")), (405, Some("GET, POST")), "{}", refused.text());
    assert_eq!(node.api("GET", "/v1/nothing", Value::Null).await.status, 404);

    let key = ("X-API-Key", node.key.as_str());
    for (media, status) in [
        ("text/xml", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json; charset=utf-8", 201),
        ("application/vnd.api+json", 201),
        // curl -d without a type.
        ("application/x-www-form-urlencoded", 201),
    ] {
        let body = json!({ "number": format!("1{}", media.len()) }).to_string();
        let path = format!("/v1/tenants/{tenant}/extensions");
        let answer = send(node.app.app_address, "POST", &path, &[key, ("Content-Type", media)], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{media}: {}", answer.text());
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_change_that_changes_nothing_leaves_no_trace() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "100", "sip_password": "Kp7-vLq2xWz9" })).await;
    let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let asked = format!("?tenant_id={tenant}");
    let made = async |path: &str, body: Value| {
        let answer = node.api("POST", path, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.id()
    };
    let agent = json!({ "first_name": "Ada", "last_name": "B", "email": "ada@acme.test" });
    let agent = made(&format!("/v1/admin/agents{asked}"), agent).await;
    let group = made(&path("groups"), json!({ "name": "sales", "members": [extension["id"]] })).await;
    let menu = json!({ "name": "Closed", "kind": "announcement", "config": { "prompt": { "text": "Closed" } } });
    let menu = made(&path("destinations"), menu).await;
    let entry =
        json!({ "name": "Door", "conditions": [{ "pattern": "^77$", "actions": [{ "application": "answer" }] }] });
    let entry = made(&path("dialplan-entries"), entry).await;
    let number = made(&format!("/v1/phone-numbers{asked}"), json!({ "number": "+12025550123" })).await;
    let carrier = made(
        "/v1/carriers",
        json!({ "name": "One", "config": { "host": "127.0.0.1", "username": "acme" }, "password": "ClueCon-4711" }),
    )
    .await;
    let cluster = made("/v1/clusters", json!({ "name": "two", "region": "eu", "max_tenants": 3 })).await;
    let key = made("/v1/keys", json!({ "name": "script", "tenant_id": tenant })).await;
    let switch = made("/v1/switches", json!({ "name": "fs9" })).await;
    let extension = extension["id"].as_str().unwrap();
    let settings = node.api("GET", &path("settings"), Value::Null).await.json();
    let cases = [
        (
            path(&format!("extensions/{extension}")),
            json!({ "number": "100", "sip_password": "Kp7-vLq2xWz9", "calls": {} }),
        ),
        (path(&format!("groups/{group}")), json!({ "name": "sales", "members": [extension] })),
        (path(&format!("destinations/{menu}")), json!({ "config": { "prompt": { "text": "Closed" } } })),
        (path(&format!("dialplan-entries/{entry}")), json!({ "enabled": true, "name": "Door" })),
        (format!("/v1/phone-numbers/{number}{asked}"), json!({ "status": "active" })),
        (
            format!("/v1/carriers/{carrier}"),
            json!({ "config": { "host": "127.0.0.1", "username": "acme" }, "password": "ClueCon-4711" }),
        ),
        (format!("/v1/clusters/{cluster}"), json!({ "region": "eu" })),
        (format!("/v1/keys/{key}"), json!({ "name": "script" })),
        (format!("/v1/switches/{switch}"), json!({ "status": "active" })),
        (format!("/v1/admin/agents/{agent}{asked}"), json!({ "email": "ada@acme.test", "first_name": "Ada" })),
        (format!("/v1/tenants/{tenant}"), json!({ "domain": "acme.test" })),
        (path("settings"), settings),
        (path("retention"), json!({ "calls_days": null })),
    ];
    let call = node.call(tenant).await;
    let recording = node.recording(call).await;
    let [call, recording] =
        [("calls", call), ("recordings", recording)].map(|(what, id)| format!("/v1/{what}/{id}{asked}"));
    let labelled = json!({ "notes": "Called back", "tags": ["vip"] });
    assert_eq!(node.api("PATCH", &call, labelled.clone()).await.status, 200);
    assert_eq!(node.api("PATCH", &recording, json!({ "legal_hold": "Case 7" })).await.status, 200);
    assert_eq!(node.api("PATCH", &path("usage-limits"), json!({ "calls": 4000 })).await.status, 200);
    let trace =
        "select (select count(*) from audit_log) + (select coalesce(sum(generation), 0)::bigint from generation)
                      + (select count(*) from rate_sheets) + (select count(*) from webhook_events)";
    let further = [
        (call, labelled),
        (recording, json!({ "legal_hold": "Case 7" })),
        (path("usage-limits"), json!({ "calls": 4000 })),
    ];
    let cases = cases.into_iter().chain(further);
    let before = database.count(trace).await;
    for (path, body) in cases {
        let shown = node.api("GET", &path, Value::Null).await;
        for _ in 0..2 {
            let answer = node.api("PATCH", &path, body.clone()).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.header("ETag"), shown.header("ETag"), "{path}: {}", answer.text());
        }
        assert_eq!(node.api("GET", &path, Value::Null).await.json(), shown.json(), "{path}");
        assert_eq!(database.count(trace).await, before, "{path} left a trace");
    }
    // What has no version of its own.
    let sheet = "prefix,price,effective_date\n49,0.01,\n33,0.02,2099-12-15\n";
    let key = ("X-API-Key", node.key.as_str());
    let rates = async |sheet: &str| {
        let headers = [key, ("Content-Type", "text/csv")];
        let path = format!("/v1/carriers/{carrier}/rates");
        send(node.app.app_address, "PUT", &path, &headers, sheet.as_bytes()).await
    };
    let assign =
        (format!("/v1/phone-numbers/{number}/assign{asked}"), "POST", json!({ "agent_id": agent, "daily_limit": 7 }));
    let choice =
        (format!("/v1/phone-numbers/agent/{agent}{asked}"), "PATCH", json!({ "choice": "fixed", "number_id": number }));
    let status = (format!("/v1/agents/{agent}/status{asked}"), "PUT", json!({ "status": "away" }));
    let many = (
        format!("/v1/phone-numbers/bulk{asked}"),
        "PATCH",
        json!({ "changes": [{ "key": "+12025550123", "set": { "provider": "Acme" } }] }),
    );
    for (path, method, body) in [assign, choice, status, many] {
        let first = node.api(method, &path, body.clone()).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text());
        let before = database.count(trace).await;
        for _ in 0..2 {
            assert_eq!(node.api(method, &path, body.clone()).await.status, 200, "{path}");
        }
        assert_eq!(database.count(trace).await, before, "{path} left a trace");
    }
    let first = rates(sheet).await;
    assert_eq!((first.status, &first.json()["changed"]), (201, &json!(true)), "{}", first.text());
    let carrier = async || node.api("GET", &format!("/v1/carriers/{carrier}"), Value::Null).await.json();
    let (shown, before) = (carrier().await, database.count(trace).await);
    // The same prices in another order, and with the day on which the first price began.
    let other = "prefix,price,effective_date\n33,0.02,2099-12-15\n49,0.01,2020-01-01\n";
    for same in [sheet, sheet, other] {
        let again = rates(same).await;
        assert_eq!((again.status, &again.json()["changed"]), (200, &json!(false)), "{}", again.text());
        assert_eq!((carrier().await, database.count(trace).await), (shown.clone(), before), "{same} left a trace");
    }
    for other in ["49,0.01\n33,0.02\n", "49,0.01\n33,0.02\n34,0.01\n", "49,0.01\n33,0.02\n", "49,0.01,30\n33,0.02\n"] {
        let changed = rates(other).await;
        assert_eq!((changed.status, &changed.json()["changed"]), (201, &json!(true)), "{other}: {}", changed.text());
    }
    node.stop().await;
}

#[actix_web::test]
async fn if_match_takes_weak_tags_and_several() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let path = format!("/v1/tenants/{tenant}");
    let key = ("X-API-Key", node.key.as_str());
    let tags = [("W/\"v1\"", 200), ("\"v1\", W/\"v2\"", 200), ("\"v1\"", 412), ("v3", 400), ("*", 200)];
    for (at, (tag, status)) in tags.into_iter().enumerate() {
        let name = json!({ "name": format!("Acme {at}") });
        let answer = node.api_with("PATCH", &path, &[key, ("If-Match", tag)], name).await;
        assert_eq!(answer.status, status, "{tag}: {}", answer.text());
    }
    node.stop().await;
}

/// The exit code of `script/contract` if it can't run here.
const NOT_HERE: i32 = 75;

#[actix_web::test]
async fn linters_find_nothing_in_the_description_and_generators_make_clients_of_it() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut script = tokio::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/script/contract"));
    script.arg(format!("http://{}", node.app.app_address));
    let output = script.stdin(std::process::Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_HERE) {
        return skipped("the linters and generators of script/contract can't be installed here");
    }
    assert!(output.status.success() && said.contains("the description is fine"), "{said}");
    node.stop().await;
}

#[actix_web::test]
async fn every_list_is_paged_and_what_it_hangs_on_has_to_exist() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let tenant = node.tenant("acme.test").await;
    let mut lists = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let answer = &methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
        if !answer.as_str().is_some_and(|name| name.contains("/Page_")) {
            continue;
        }
        lists += 1;
        let parameters = methods["get"]["parameters"].as_array().unwrap();
        for name in ["limit", "cursor"] {
            assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{path} has no {name}");
        }
        let nowhere = Uuid::now_v7().to_string();
        let place = ["{tenant_id}", "{id}", "{agent_id}"].iter().fold(path.clone(), |at, id| at.replace(id, &nowhere));
        let place = place.replace("{name}", "nothing");
        if place != *path {
            let needs_tenant =
                parameters.iter().any(|parameter| parameter["name"] == "tenant_id" && parameter["in"] == "query");
            let place = if needs_tenant { format!("{place}?tenant_id={tenant}") } else { place };
            let answer = node.api("GET", &place, Value::Null).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        }
    }
    assert!(lists > 15, "{lists}");
    node.stop().await;
}

#[actix_web::test]
async fn versions_that_are_not_in_force_are_refused_however_they_are_listed() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let group = json!({ "name": "sales", "members": [] });
    let group = node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await.id();
    let key = ("X-API-Key", node.key.as_str());
    let path = format!("/v1/tenants/{tenant}/groups/{group}");
    for tags in ["\"v7\"", ", \"v7\" ,", "W/\"v6\", \"v7\""] {
        let answer = node.api_with("PATCH", &path, &[key, ("If-Match", tags)], json!({ "name": "other" })).await;
        assert_eq!(answer.status, 412, "{tags}: {}", answer.text());
    }
    let two = [key, ("If-Match", "\"v0\""), ("If-Match", "\"v1\"")];
    assert_eq!(node.api_with("PATCH", &path, &two, json!({ "name": "other" })).await.status, 200);
    node.stop().await;
}

/// The description stands in the repository, so that a change of the contract is seen where changes are read.
///
/// `UPDATE_DESCRIPTION=1` writes it anew.
#[actix_web::test]
async fn the_description_is_the_one_in_the_docs() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    // Each node says where it is reached itself.
    described["info"]["contact"]["url"] = json!("https://dialplane.example");
    let now = serde_json::to_string_pretty(&described).unwrap() + "\n";
    if std::env::var_os("UPDATE_DESCRIPTION").is_some() {
        std::fs::write(FILE, now).unwrap();
    } else {
        let kept = std::fs::read_to_string(FILE).unwrap();
        assert!(now == kept, "the API's description has changed: UPDATE_DESCRIPTION=1 writes docs/openapi.json anew");
    }
    node.stop().await;
}
