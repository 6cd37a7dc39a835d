//! What a form asks for: its fields, what is typed into them, and the body that is sent to the API.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{At, Spec, choices, merge::is_alike};
use crate::app::web::{
    Turned,
    fields::Choices,
    schema::{self, Field, Kind, Sent, at as value_at, put, take},
};

/// What a form asks for.
pub struct Asked {
    pub fields: Vec<Field>,
    /// The paths of the fields that it has, below their headings.
    pub parts: Vec<(&'static str, Vec<String>, bool)>,
}

impl Asked {
    pub fn of(spec: &Spec, is_new: bool) -> Self {
        let new = spec.new.map(schema::fields).unwrap_or_default();
        let mut fields = match spec.patch.filter(|_| !is_new) {
            None => new,
            // Absent and null are the same in a change's schema, so what may be empty is known from the schema of a new one.
            Some(patch) => {
                let patch = schema::fields(patch).into_iter();
                let kept = patch.map(|field| {
                    let known = new.iter().find(|known| known.name == field.name);
                    known.cloned().unwrap_or(Field { required: true, nullable: false, ..field })
                });
                kept.collect()
            }
        };
        if let Some((_, config)) = spec.kind {
            fields.retain(|field| field.name != "kind");
            for field in fields.iter_mut().filter(|field| field.name == "config") {
                (field.kind, field.nullable) = (Kind::Object(schema::fields(config)), false);
            }
        }
        let parts = spec.parts.iter().map(|part| {
            let known = part.fields.iter().filter(|path| Kind::of_path(&fields, path).is_some());
            (part.heading, known.map(|path| (*path).to_owned()).collect(), part.closed)
        });
        let parts = parts.collect();
        Self { fields, parts }
    }

    /// All fields of a schema.
    pub fn all(schema: Option<&str>) -> Self {
        let fields = schema.map(schema::fields).unwrap_or_default();
        let paths = fields.iter().map(|field| field.name.clone()).collect();
        Self { fields, parts: vec![("", paths, false)] }
    }

    pub fn paths(&self) -> impl Iterator<Item = (&str, &Field)> {
        let paths = self.parts.iter().flat_map(|(_, paths, _)| paths);
        paths.filter_map(|path| Some((path.as_str(), Kind::of_path(&self.fields, path)?)))
    }

    /// A thing as the form has it.
    pub fn draft(&self, thing: &Value) -> Value {
        let drafts = self.fields.iter().map(|field| (field.name.clone(), field.kind.draft(&thing[&field.name])));
        Value::Object(drafts.collect())
    }

    /// What was typed, over what the form does not ask for.
    pub fn typed(&self, mut draft: Value, sent: &Sent) -> Value {
        for (path, field) in self.paths() {
            put(&mut draft, path, field.kind.typed(path, sent));
        }
        draft
    }

    pub fn mentioned(&self, draft: &Value) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        self.paths().for_each(|(path, field)| field.kind.mentions(value_at(draft, path), &mut found));
        found
    }

    pub fn names(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        self.paths().for_each(|(_, field)| field.kind.names(&mut found));
        found
    }

    /// The things to choose from, with those that the form names.
    pub async fn choices(&self, at: &At, draft: &Value) -> Result<HashMap<&'static str, Choices>, Turned> {
        choices::of(at, &self.names(), &self.mentioned(draft)).await
    }

    /// The body for the API. Of a thing that exists, only what is to change.
    pub fn body(&self, draft: &Value, found: &HashMap<String, String>, thing: Option<&Value>, preset: &Value) -> Value {
        let mut body = json!({});
        for (path, field) in self.paths() {
            let mut value = field.kind.body(value_at(draft, path), found);
            // Of something new, a list that nobody filled in is none: the API may take an empty one for something else.
            if thing.is_none() && field.nullable && value.as_array().is_some_and(Vec::is_empty) {
                value = Value::Null;
            }
            let is_secret = field.kind == Kind::Secret;
            let (top, is_nested) = path.split_once('.').map_or((path, false), |(top, _)| (top, true));
            if is_nested {
                if body.get(top).is_none() {
                    body[top] = thing.map_or_else(|| preset[top].clone(), |thing| thing[top].clone());
                }
                if value.is_null() && (!field.nullable || is_secret) {
                    take(&mut body, path);
                } else {
                    put(&mut body, path, value);
                }
            } else if !value.is_null() || (thing.is_some() && !is_secret) {
                body[top] = value;
            }
        }
        if let (Some(thing), Value::Object(fields)) = (thing, &mut body) {
            fields.retain(|name, value| !is_alike(value, &thing[name]));
        }
        body
    }
}

/// The place at a path of objects and rows.
fn place<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(value, |value, part| match value {
        Value::Array(rows) => rows.get_mut(part.parse::<usize>().ok()?),
        Value::Object(fields) => fields.get_mut(part),
        _ => None,
    })
}

/// Adds or removes a row, as a button said. Returns where to go on.
pub fn rows(draft: &mut Value, told: &str) -> Option<String> {
    let (what, path) = told.split_once(':')?;
    match what {
        "add" => {
            let rows = place(draft, path)?;
            if !rows.is_array() {
                *rows = json!([]);
            }
            let rows = rows.as_array_mut()?;
            rows.push(Value::Null);
            Some(format!("{path}.{}", rows.len() - 1))
        }
        "remove" => {
            let (path, at) = path.rsplit_once('.')?;
            let (rows, at) = (place(draft, path)?.as_array_mut()?, at.parse::<usize>().ok()?);
            if at < rows.len() {
                rows.remove(at);
            }
            None
        }
        _ => None,
    }
}

/// The first field of a new row.
pub fn first_of(asked: &Asked, row: &str) -> String {
    fn find(kind: &Kind, rest: &[&str]) -> String {
        match (kind, rest) {
            (Kind::Object(fields), [name, rest @ ..]) => fields
                .iter()
                .find(|field| field.name == *name)
                .map_or_else(String::new, |field| find(&field.kind, rest)),
            (Kind::Rows(item), [_, rest @ ..]) | (Kind::Map(item), [_, "value", rest @ ..]) => find(item, rest),
            (Kind::Map(_), [_]) => ".key".to_owned(),
            (Kind::Object(fields), []) => {
                fields.first().map_or_else(String::new, |field| format!(".{}{}", field.name, find(&field.kind, &[])))
            }
            (Kind::Tagged(tag, _), []) => format!(".{tag}"),
            (Kind::Tagged(_, shapes), [name, rest @ ..]) => {
                let mut fields = shapes.iter().flat_map(|(_, fields)| fields);
                fields.find(|field| field.name == *name).map_or_else(String::new, |field| find(&field.kind, rest))
            }
            _ => String::new(),
        }
    }
    let parts = row.split('.').collect::<Vec<_>>();
    let rest = find(&Kind::Object(asked.fields.clone()), &parts);
    format!("{row}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_and_go_wherever_they_are() {
        let mut draft = json!({ "conditions": [{ "actions": [] }], "members": ["a", "b"] });
        assert_eq!(rows(&mut draft, "add:conditions.0.actions").as_deref(), Some("conditions.0.actions.0"));
        assert_eq!(rows(&mut draft, "remove:members.0"), None);
        assert_eq!(draft["members"], json!(["b"]));
        for odd in ["add:nowhere", "remove:members.9", "remove:members", "x", ""] {
            rows(&mut draft, odd);
        }
        assert_eq!(draft["members"], json!(["b"]));
        let asked = Asked::of(&crate::app::web::resources::ENTRIES, true);
        assert_eq!(first_of(&asked, "conditions.0.actions.0"), "conditions.0.actions.0.application");
    }

    #[test]
    fn only_what_is_to_change_is_sent() {
        let asked = Asked::of(&crate::app::web::resources::QUEUES, false);
        let thing = json!({ "name": "Support", "number": "200", "kind": "queue", "version": 3,
            "config": { "strategy": "ring_all", "tiers": [], "ring_seconds": 20, "record": true, "later": 7 } });
        let mut draft = asked.draft(&thing);
        assert_eq!(asked.body(&draft, &HashMap::new(), Some(&thing), &Value::Null), json!({}));
        put(&mut draft, "name", json!("Help"));
        put(&mut draft, "config.ring_seconds", json!("25"));
        let body = asked.body(&draft, &HashMap::new(), Some(&thing), &Value::Null);
        assert_eq!(body["name"], "Help");
        assert_eq!((&body["config"]["ring_seconds"], &body["config"]["later"]), (&json!(25), &json!(7)), "{body}");
        assert!(body.get("number").is_none(), "{body}");
    }
}
