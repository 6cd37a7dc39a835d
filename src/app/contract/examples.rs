//! Requests, and what they were answered: `examples.json`. A test plays them from the first to the last and compares the
//! answers, so that none of them grows old. Ids stand there by name, such as `{tenant}`; here each gets an id that looks like one.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

#[derive(Deserialize)]
struct Step {
    ask: String,
    #[serde(default)]
    request: Value,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    response: Value,
}

/// What an operation is asked and answers.
#[derive(Default)]
pub struct Example {
    /// One for each type that the body may have.
    pub requests: Vec<Value>,
    pub status: u16,
    pub response: Value,
}

static STEPS: LazyLock<Vec<Step>> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// The examples of these operations, by method and path.
pub fn by_operation<'a>(operations: impl Iterator<Item = (&'a str, &'a str)>) -> HashMap<(String, String), Example> {
    let of = |(path, method): (&str, &str)| {
        let steps = STEPS.iter().filter(|step| {
            let (asked, place) = step.ask.split_once(' ').unwrap_or_default();
            asked.eq_ignore_ascii_case(method) && fits(path, place.split('?').next().unwrap_or_default())
        });
        let step = steps.clone().next()?;
        let requests = steps.map(|step| named(&step.request)).collect();
        let example = Example { requests, status: step.status, response: named(&step.response) };
        Some(((path.to_owned(), method.to_owned()), example))
    };
    operations.filter_map(of).collect()
}

/// Parameters of paths that are no ids.
const KEYS: [&str; 5] = ["{name}", "{kind}", "{number}", "{email}", "{domain}"];

/// Whether a path with named ids is of this form.
fn fits(form: &str, path: &str) -> bool {
    let (form, path) = (form.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
    let fits = |(form, part): (&&str, &&str)| {
        form == part || form.starts_with('{') && (part.starts_with('{') || KEYS.contains(form))
    };
    form.len() == path.len() && form.iter().zip(&path).all(fits)
}

/// The value with ids in the place of their names.
fn named(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) if !name.contains(['{', ' ', ':']) => id(name).to_string().into(),
            _ => with_ids(text).into(),
        },
        Value::Array(items) => items.iter().map(named).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), named(value))).collect(),
        other => other.clone(),
    }
}

fn with_ids(text: &str) -> String {
    let names = STEPS.iter().filter_map(|step| step.ask.split(['{', '}']).nth(1));
    names.fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), &id(name).to_string()))
}

fn id(name: &str) -> Uuid {
    let hash = Sha256::digest(name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // The time of the 26th of November 2026, as in ids that were made then.
    bytes[..6].copy_from_slice(&[0x01, 0xa2, 0x18, 0x6b, 0x58, 0x32]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}
