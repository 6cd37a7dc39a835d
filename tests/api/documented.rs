//! What the description of the API has to say so that generators and people can rely on it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Database, Node, send};

async fn description() -> Value {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    node.stop().await;
    described
}

fn operations(described: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = described["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, it)| (format!("{method} {path}"), it))
    })
}

/// Every property of every schema: its place, its name, and itself.
fn properties<'a>(place: &str, schema: &'a Value, found: &mut Vec<(String, &'a str, &'a Value)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.push((format!("{place}.{name}"), name, property));
    }
    for part in ["oneOf", "anyOf", "allOf"] {
        schema[part].as_array().into_iter().flatten().for_each(|part| properties(place, part, found));
    }
}

#[actix_web::test]
async fn no_two_schemas_are_one_name_to_a_generator() {
    let described = description().await;
    let mut folded = BTreeMap::<String, Vec<&String>>::new();
    for name in described["components"]["schemas"].as_object().unwrap().keys() {
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name} is a type of the language");
        folded.entry(name.to_lowercase().replace('_', "")).or_default().push(name);
    }
    folded.retain(|_, names| names.len() > 1);
    assert!(folded.is_empty(), "{folded:?}");
}

#[actix_web::test]
async fn texts_say_what_they_look_like() {
    let described = description().await;
    let schemas = described["components"]["schemas"].as_object().unwrap();
    let says =
        |schema: &Value| ["format", "pattern", "minLength", "enum"].iter().any(|word| schema.get(word).is_some());
    let mut mute = Vec::new();
    // Texts that are what somebody else says they are: FreeSWITCH's lists of codecs, and regular expressions.
    let free = ["Codecs", "DialTemplate", "Pattern"];
    let texts = schemas.iter().filter(|(_, schema)| schema["type"] == "string");
    mute.extend(texts.filter(|(name, it)| !says(it) && !free.contains(&name.as_str())).map(|(name, _)| name.clone()));
    let mut found = Vec::new();
    schemas.iter().for_each(|(name, schema)| properties(name, schema, &mut found));
    let mut formats = std::collections::BTreeSet::new();
    for (place, name, property) in found {
        let formatted = match name {
            "email" | "url" | "domain" | "date" | "websocket_url" => true,
            _ => name.contains("password") && name != "has_password" || ["token", "secret"].contains(&name),
        };
        let is_text = property["type"].to_string().contains("string") && property.get("enum").is_none();
        // A line of a file is told as it was sent, whatever it is.
        if formatted && is_text && property.get("format").is_none() && place != "AgentLine.email" {
            mute.push(place);
        }
        formats.extend(property["format"].as_str());
    }
    assert_eq!(mute, Vec::<String>::new(), "say it in src/app/contract/formats.json");
    for format in ["email", "uri", "hostname", "date", "password", "uuid", "date-time"] {
        assert!(formats.contains(format), "{format}: {formats:?}");
    }
}

#[actix_web::test]
async fn whom_to_ask_is_said_and_refusals_are_described_once() {
    let described = description().await;
    let contact = &described["info"]["contact"];
    assert!(contact["name"].is_string() && contact["url"].is_string(), "{contact}");
    let mut parts = 0;
    for (what, operation) in operations(&described) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status == "416" {
                assert_eq!(response["$ref"], "#/components/responses/RangeNotSatisfiable", "{what}");
                parts += 1;
            }
        }
    }
    assert_eq!(parts, 3);
}

#[actix_web::test]
async fn the_contact_is_the_address_at_which_people_reach_the_node() {
    let database = Database::new().await;
    for (given, said) in [
        (Some("https://pbx.acme.test/"), "https://pbx.acme.test"),
        (Some("http://192.0.2.7:8080"), "http://192.0.2.7:8080"),
    ] {
        let node = Node::with(&database, |settings| settings.public_url = given.map(str::to_owned)).await;
        let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
        assert_eq!(described["info"]["contact"]["url"], said);
        assert_eq!(described["info"]["contact"]["name"], "Dialplane");
        node.stop().await;
    }
}

#[actix_web::test]
async fn the_page_of_the_api_loads_nothing_from_elsewhere() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let ask = async |path: &str| send(node.app.app_address, "GET", path, &[], b"").await;
    let page = ask("/docs").await;
    assert_eq!((page.status, page.header("Content-Type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let text = page.text();
    assert!(!text.contains("://"), "{text}");
    let loaded = text.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(loaded.len(), 2, "{text}");
    for path in loaded {
        let script = ask(path).await;
        assert_eq!(script.status, 200, "{path}");
        assert!(script.header("Content-Type").unwrap().contains("javascript"), "{path}");
        assert!(!script.body.is_empty(), "{path}");
    }
    node.stop().await;
}

/// Operations whose answers no test can write down once: they differ with the time, the machine or a switch, are sound, or are asked of the
/// account of somebody who is signed in.
const WITHOUT: [&str; 20] = [
    "/v1/admin/agents/{id}/",
    "/v1/agents/{id}/activity",
    "/v1/agents/{id}/wrap-up",
    "/v1/audit",
    "/v1/auth/",
    "/v1/call-jobs/",
    "/v1/call-records/",
    "/v1/calls",
    "/v1/chat/",
    "/v1/erasures",
    "/v1/events",
    "/v1/live/",
    "/v1/mailboxes",
    "/v1/monitoring/",
    "/v1/purges/",
    "/v1/reports/",
    "/v1/sandbox/",
    "/v1/switches/{id}/",
    "/v1/unreadable-records",
    "/v1/usage",
];

#[actix_web::test]
async fn answers_have_examples() {
    let described = description().await;
    let mut without = Vec::new();
    for (what, operation) in operations(&described) {
        let answers = operation["responses"].as_object().unwrap().iter();
        let mut answers = answers.filter(|(status, _)| status.starts_with('2')).map(|(_, answer)| &answer["content"]);
        let has_json = answers.clone().any(|content| content.get("application/json").is_some());
        let has_example = answers.any(|content| content["application/json"].get("example").is_some());
        let path = what.split_once(' ').unwrap().1;
        let may_lack = WITHOUT.iter().any(|begin| path.starts_with(begin))
            || ["voicemail", "call-backs", "former-domains", "outbound-calls", "gateways", "deliveries", "templates/schema", "test-connection"]
                .iter()
                .any(|part| path.contains(part))
            // What a switch is told, and what is answered once it is drained.
            || path.starts_with("/v1/switches/{id}")
            // What is deleted in thirty days.
            || what == "delete /v1/tenants/{tenant_id}";
        if has_json && !has_example && !may_lack {
            without.push(what);
        }
    }
    assert_eq!(without, Vec::<String>::new(), "ask for them in src/app/contract/examples.json");
}
