//! The audit log is in words: every field that a change may name, and every value that is one of several, has them in both languages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    harness::send,
    pages::{Stage, Tab},
};

/// What is written to the audit log, by the names of its schemas.
const SHOWN: [&str; 18] = [
    "Agent",
    "Extension",
    "Group",
    "Destination",
    "DialplanEntry",
    "Number",
    "Outbound",
    "Pool",
    "HeldNumber",
    "Key",
    "Tenant",
    "Settings",
    "Template",
    "Cluster",
    "Switch",
    "Carrier",
    "ShownPeriods",
    "EventSocket",
];

/// The words that each property of some schemas and of those in them may have.
struct Words<'a> {
    api: &'a Value,
    found: BTreeMap<String, BTreeSet<String>>,
    seen: BTreeSet<(String, String)>,
}

impl Words<'_> {
    fn walk(&mut self, schema: &Value, name: &str) {
        if let Some(to) = schema["$ref"].as_str() {
            // What refers to itself, and two properties with the same choices.
            if self.seen.insert((to.to_owned(), name.to_owned())) {
                let target = self.api.pointer(to.trim_start_matches('#')).unwrap();
                self.walk(target, name);
            }
            return;
        }
        for word in schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.found.entry(name.to_owned()).or_default().insert(word.to_owned());
        }
        for part in ["allOf", "oneOf", "anyOf", "prefixItems"] {
            schema[part].as_array().into_iter().flatten().for_each(|part| self.walk(part, name));
        }
        for part in ["items", "additionalProperties"] {
            if schema[part].is_object() {
                self.walk(&schema[part], name);
            }
        }
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            self.found.entry(property.clone()).or_default();
            self.walk(schema, property);
        }
    }
}

#[actix_web::test]
async fn every_field_and_choice_in_the_audit_log_has_a_word_in_both_languages() {
    let stage = Stage::new().await;
    let api = send(stage.node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let mut all = Words { api: &api, found: BTreeMap::new(), seen: BTreeSet::new() };
    for name in SHOWN {
        let schema = &api["components"]["schemas"][name];
        assert!(schema.is_object(), "{name} is no schema");
        all.walk(schema, "");
    }
    let found = all.found;
    assert!(found.len() > 150, "{}", found.len());
    let texts = |file: &str| serde_json::from_str::<BTreeMap<String, [String; 2]>>(file).unwrap();
    let mut words = texts(include_str!("../../src/app/web/catalogue.json"));
    words.extend(texts(include_str!("../../src/app/web/audit.json")));
    let choices = include_str!("../../src/app/web/audit.rs").split("const CHOICES").nth(1).unwrap();
    let choices = choices.split("];").next().unwrap();
    // Which row it is, and that it changed, is not shown.
    let hidden = [
        "",
        "id",
        "tenant_id",
        "version",
        "created_at",
        "updated_at",
        "context",
        "email_verified",
        "platform",
        "longest_days",
        "shortest_days",
    ];
    let mut missing = BTreeSet::new();
    for (field, values) in found.iter().filter(|(field, _)| !hidden.contains(&field.as_str())) {
        if !words.contains_key(&format!("field.{field}")) {
            missing.insert(format!("field.{field}"));
        }
        let group = if ["status", "role"].contains(&field.as_str()) { field.as_str() } else { "value" };
        if !values.is_empty() && group == "value" && !choices.contains(&format!("\"{field}\"")) {
            missing.insert(format!("CHOICES: {field}"));
        }
        missing.extend(values.iter().map(|value| format!("{group}.{value}")).filter(|key| !words.contains_key(key)));
    }
    assert_eq!(missing, BTreeSet::new());
    stage.node.stop().await;
}

#[actix_web::test]
async fn an_entry_shows_choices_and_parts_of_things_in_words() {
    let stage = Stage::new().await;
    let tenant = format!("/v1/tenants/{}", stage.tenant);
    let node = &stage.node;
    let made = node.extension(stage.tenant, json!({ "number": "1000" })).await;
    let queue = json!({ "name": "Support", "number": "500", "kind": "queue", "config": {
        "strategy": "longest_idle", "tiers": [{ "extension_id": made["id"] }] } });
    let queue = stage.owner.ask(node, "POST", &format!("{tenant}/destinations"), queue).await;
    assert_eq!(queue.status, 201, "{}", queue.text());
    // What people type is shown as they typed it, even if it is a word of ours.
    let group = json!({ "name": "random", "members": [made["id"]], "strategy": "round_robin" });
    assert_eq!(stage.owner.ask(node, "POST", &format!("{tenant}/groups"), group).await.status, 201);
    let periods = stage.owner.ask(node, "PATCH", &format!("{tenant}/retention"), json!({ "calls_days": 400 })).await;
    assert_eq!(periods.status, 200, "{}", periods.text());
    let settings = json!({ "routing": { "outbound": { "concurrent_calls": 7 } } });
    let settings = stage.owner.ask(node, "PATCH", &format!("{tenant}/settings"), settings).await;
    assert_eq!(settings.status, 200, "{}", settings.text());
    let log = |page: &str| page.split("<ul class=\"log\">").nth(1).unwrap().to_owned();
    let english = log(&Tab::of(node, &stage.owner).await.get("/audit").await.text());
    let german = log(&Tab::of(node, &stage.owner).await.german().get("/audit").await.text());
    let id = regex::Regex::new("[0-9a-f]{8}-[0-9a-f]{4}").unwrap();
    for (log, words) in [
        (
            &english,
            ["Idle for the longest time", "In turns", "</b> Retention", "</b> Settings", "Calls at once", ">random<"],
        ),
        (
            &german,
            [
                "Wer am längsten frei ist",
                "Reihum",
                "</b> Aufbewahrung",
                "</b> Einstellungen",
                "Gleichzeitige Anrufe",
                ">random<",
            ],
        ),
    ] {
        for word in words {
            assert!(log.contains(word), "{word}: {log}");
        }
        for raw in ["longest_idle", "round_robin", "/settings", "/retention"] {
            assert!(!log.contains(raw), "{raw}: {log}");
        }
        assert_eq!(id.find(log).map(|found| &log[found.start().saturating_sub(80)..found.end()]), None);
    }
    stage.node.stop().await;
}
