//! References between things: ids over the API, `KIND:KEY` in a file, such as `extension:1000`. A target, `{kind, id}` over the API, is
//! `{to: KIND:KEY}`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// In front of a text that would read as a reference.
const TEXT: &str = "text:";

/// Ids by reference, and references by id.
#[derive(Default)]
pub struct References {
    ids: HashMap<String, String>,
    names: HashMap<String, String>,
}

/// A value that has references to things that are not there yet.
pub struct Resolved {
    pub value: Value,
    pub missing: Vec<String>,
}

impl References {
    pub fn add(&mut self, name: String, id: &str) {
        self.names.insert(id.to_owned(), name.clone());
        self.ids.insert(name, id.to_owned());
    }

    /// A value as the file has it.
    pub fn named(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match self.names.get(text) {
                Some(name) => name.as_str().into(),
                None if is_reference(text) || text.starts_with(TEXT) => format!("{TEXT}{text}").into(),
                None => value.clone(),
            },
            Value::Array(all) => all.iter().map(|one| self.named(one)).collect(),
            Value::Object(all) => match target(all).and_then(|id| self.names.get(id)) {
                Some(name) => json!({ "to": name }),
                None => all
                    .iter()
                    .filter(|(_, one)| !one.is_null())
                    .map(|(key, one)| (key.clone(), self.named(one)))
                    .collect::<Map<_, _>>()
                    .into(),
            },
            other => other.clone(),
        }
    }

    /// A value as the API has it, without what leads to something that is not there yet.
    pub fn resolved(&self, value: &Value) -> Resolved {
        let mut missing = Vec::new();
        let value = self.resolve(value, &mut missing).unwrap_or_default();
        Resolved { value, missing }
    }

    fn resolve(&self, value: &Value, missing: &mut Vec<String>) -> Option<Value> {
        Some(match value {
            Value::String(text) => match text.strip_prefix(TEXT) {
                Some(text) => text.into(),
                None if is_reference(text) => self.id(text, missing)?.into(),
                None => value.clone(),
            },
            Value::Array(all) => all.iter().filter_map(|one| self.resolve(one, missing)).collect(),
            Value::Object(all) => {
                match all.get("to").and_then(Value::as_str).filter(|text| all.len() == 1 && is_reference(text)) {
                    Some(name) => json!({ "kind": name.split(':').next(), "id": self.id(name, missing)? }),
                    None => all
                        .iter()
                        .filter_map(|(key, one)| Some((key.clone(), self.resolve(one, missing)?)))
                        .collect::<Map<_, _>>()
                        .into(),
                }
            }
            other => other.clone(),
        })
    }

    fn id(&self, name: &str, missing: &mut Vec<String>) -> Option<&str> {
        // As keys are compared.
        let lower = name.strip_prefix("agent:").map(|email| format!("agent:{}", email.to_lowercase()));
        let id = self.ids.get(lower.as_deref().unwrap_or(name));
        if id.is_none() {
            missing.push(name.to_owned());
        }
        id.map(String::as_str)
    }
}

/// The id of a target.
fn target(object: &Map<String, Value>) -> Option<&str> {
    let is_target = object.len() == 2 && object.get("kind")?.is_string();
    object.get("id")?.as_str().filter(|_| is_target)
}

const KINDS: [&str; 12] = [
    "agent",
    "extension",
    "group",
    "number",
    "queue",
    "ivr",
    "conference",
    "mailbox",
    "schedule",
    "announcement",
    "external",
    "page",
];

fn is_reference(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, key)| KINDS.contains(&kind) && !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_texts_that_look_like_them_come_back_as_they_were() {
        let mut references = References::default();
        references.add("extension:1000".into(), "id-1");
        references.add("queue:Support".into(), "id-2");
        let value = json!({
            "members": ["id-1"], "otherwise": { "kind": "queue", "id": "id-2" }, "name": "group:sales", "note": "text:x", "other": "a:b",
            "entries": { "1": { "kind": "extension", "id": "id-1" } },
        });
        let named = references.named(&value);
        assert_eq!(named["members"], json!(["extension:1000"]));
        assert_eq!(named["otherwise"], json!({ "to": "queue:Support" }));
        let back = references.resolved(&named);
        assert_eq!((back.value, back.missing), (value, Vec::<String>::new()));
        let later = references
            .resolved(&json!({ "members": ["extension:1000", "extension:1001"], "otherwise": { "to": "group:no" } }));
        assert_eq!(later.value, json!({ "members": ["id-1"] }));
        assert_eq!(later.missing, ["extension:1001", "group:no"]);
    }
}
