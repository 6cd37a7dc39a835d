//! The audit log for administrators: who did what, in words, with the values before and after. `list` is its page and its file.

mod list;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
pub use list::pages;
use serde_json::Value;
use uuid::Uuid;

use super::{Shell, catalogue};
use crate::tenancy::audit::AuditEntry;

/// Fields whose values are one of several words. What people have typed into other fields is shown as it is, even if it is such a word.
const CHOICES: [&str; 21] = [
    "accepts_calls_from",
    "application",
    "at_queues",
    "break",
    "by",
    "caller_id_format",
    "caller_id_header",
    "capabilities",
    "cause",
    "channels",
    "choice",
    "every",
    "field",
    "format",
    "kind",
    "language",
    "number_format",
    "number_in",
    "strategy",
    "supervision",
    "transport",
];

/// An entry as it is shown.
struct Row {
    at: DateTime<Utc>,
    who: String,
    what: String,
    kind: String,
    name: String,
    source: Option<String>,
    changes: Vec<Field>,
}

/// A field before and after; empty if it was not there.
pub struct Field {
    pub label: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

fn walk(value: &Value, found: &mut BTreeSet<Uuid>) {
    match value {
        Value::String(text) => found.extend(text.parse::<Uuid>().ok()),
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| walk(value, found)),
        _ => {}
    }
}

/// All ids in a value.
pub fn mentioned(value: &Value) -> BTreeSet<Uuid> {
    let mut found = BTreeSet::new();
    walk(value, &mut found);
    found
}

/// A thing in words: its fields with their values.
pub fn facts(s: &Shell, thing: &Value, names: &HashMap<Uuid, String>) -> Vec<(String, String)> {
    let fields = changes(s, None, Some(thing), names).into_iter();
    fields.filter_map(|field| Some((field.label, field.after?))).collect()
}

/// All ids that an entry mentions.
fn ids(entry: &AuditEntry) -> BTreeSet<Uuid> {
    let mut found = BTreeSet::new();
    entry.before.iter().chain(&entry.after).for_each(|value| walk(value, &mut found));
    found.extend(entry.resource.split('/').filter_map(|part| part.parse::<Uuid>().ok()));
    found
}

fn read(s: &Shell, entry: AuditEntry, names: &HashMap<Uuid, String>) -> Row {
    let parts = entry.resource.split('/').collect::<Vec<_>>();
    let (kind, id) = (parts[0], parts.get(1).copied().unwrap_or_default());
    let known = id.parse::<Uuid>().ok().and_then(|id| names.get(&id).cloned());
    // Some things leave no name: that of a contact would outlast the erasure of a person's data.
    let called = |id: &str| if id.parse::<Uuid>().is_ok() { nameless(s, id) } else { id.to_owned() };
    let (kind, name) = if let Some(part) = parts.get(2) {
        // Something of a thing, such as `tenants/ID/settings` or `clusters/ID/configuration/voicemail.conf`, is called after the thing.
        let of = known.unwrap_or_else(|| called(id));
        (*part, parts.get(3).map_or(of.clone(), |name| format!("{of} › {name}")))
    } else {
        // Created and deleted things have the name in the entry, others their present name.
        let named = entry.after.as_ref().and_then(own_name).or_else(|| entry.before.as_ref().and_then(own_name));
        (kind, named.or(known).unwrap_or_else(|| called(id)))
    };
    Row {
        at: entry.at,
        who: who(s, &entry.actor),
        what: word(s, "action", &entry.action),
        // For accounts, the name says enough.
        kind: if kind == "users" && !name.is_empty() { String::new() } else { word(s, "kinds", kind) },
        name,
        source: entry.source,
        changes: changes(s, entry.before.as_ref(), entry.after.as_ref(), names),
    }
}

/// A word in the catalogue, or else the raw word: entries may be older or newer than this page.
fn word(s: &Shell, group: &str, key: &str) -> String {
    let full = format!("{group}.{key}");
    let text = catalogue::text(&full, s.language);
    if text == full { plain(key) } else { text.to_owned() }
}

/// Turns `ring_seconds` into "Ring seconds".
fn plain(key: &str) -> String {
    let words = key.replace(['_', '-'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The name of an actor: the address in `user:ID:E-MAIL`, the name of a key, or a word for what the platform does itself.
fn who(s: &Shell, actor: &str) -> String {
    let mut parts = actor.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("user"), Some(_), Some(email)) => email.to_owned(),
        (Some("key"), Some(_), Some(name)) => format!("{} {name}", s.t("audit.key")),
        (Some("cli"), Some(name), _) => format!("{} ({name})", s.t("audit.cli")),
        _ => word(s, "actor", actor),
    }
}

/// The name in something's own values.
fn own_name(value: &Value) -> Option<String> {
    let text = |key: &str| match value.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if let Some(user) = value.get("user") {
        return own_name(user);
    }
    if let (Some(first), Some(last)) = (text("first_name"), text("last_name")) {
        return Some(format!("{first} {last}"));
    }
    if let (Some(number), Some(name)) = (text("number"), text("display_name")) {
        return Some(format!("{number} {name}"));
    }
    if let (Some(first), Some(last)) = (text("first_number"), text("last_number")) {
        return Some(format!("{first}–{last}"));
    }
    ["name", "domain", "number", "email", "url"].into_iter().find_map(text)
}

/// Something that is gone without a name.
fn nameless(s: &Shell, id: &str) -> String {
    format!("{} {}", s.t("audit.gone"), short(id))
}

/// The end of an id, which is enough to distinguish it on this page.
fn short(id: &str) -> String {
    format!("…{}", &id[id.len().saturating_sub(6)..])
}

/// Fields that tell a reader nothing: which row it is, and that it changed.
const NOISE: [&str; 7] = ["id", "tenant_id", "version", "created_at", "updated_at", "context", "email_verified"];

/// What differs between two values, in words.
pub fn changes(s: &Shell, before: Option<&Value>, after: Option<&Value>, names: &HashMap<Uuid, String>) -> Vec<Field> {
    let (before, after) = (flat(before), flat(after));
    let keys = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
    let fields = keys.into_iter().filter_map(|key| {
        let noise = NOISE.iter().any(|noise| key.last().is_some_and(|last| last == noise));
        let (was, is) = (before.get(key), after.get(key));
        if noise || was == is {
            return None;
        }
        let label = key.iter().map(|part| word(s, "field", part)).collect::<Vec<_>>().join(" › ");
        let last = key.last().map(String::as_str);
        let said = |value: Option<&&Value>| value.and_then(|value| say(s, last, value, names));
        let field = Field { label, before: said(was), after: said(is) };
        (field.before.is_some() || field.after.is_some()).then_some(field)
    });
    fields.collect()
}

/// The values by their paths. Lists stay together.
fn flat(value: Option<&Value>) -> BTreeMap<Vec<String>, &Value> {
    fn walk<'a>(value: &'a Value, path: &mut Vec<String>, found: &mut BTreeMap<Vec<String>, &'a Value>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    // Where people are created, they are nested under `user`, which tells nothing.
                    let step = (name != "user").then(|| path.push(name.clone())).is_some();
                    walk(value, path, found);
                    if step {
                        path.pop();
                    }
                }
            }
            value => {
                found.insert(path.clone(), value);
            }
        }
    }
    let mut found = BTreeMap::new();
    if let Some(value) = value {
        walk(value, &mut vec![], &mut found);
    }
    found
}

/// A value in words; `None` if there is none.
fn say(s: &Shell, key: Option<&str>, value: &Value, names: &HashMap<Uuid, String>) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(true) => Some(s.t("audit.yes").to_owned()),
        Value::Bool(false) => Some(s.t("audit.no").to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(match (key, text.parse::<Uuid>()) {
            (_, Ok(id)) => names.get(&id).cloned().unwrap_or_else(|| short(text)),
            (Some(group @ ("status" | "role")), _) => word(s, group, text),
            (Some(key), _) if CHOICES.contains(&key) => word(s, "value", text),
            _ if text == "(changed)" => s.t("audit.changed").to_owned(),
            _ => DateTime::parse_from_rfc3339(text)
                .map_or_else(|_| text.clone(), |at| at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string()),
        }),
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| say(s, key, item, names)).collect::<Vec<_>>();
            (!items.is_empty()).then(|| items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, value)| {
                Some(format!("{}: {}", word(s, "field", name), say(s, Some(name.as_str()), value, names)?))
            });
            let fields = fields.collect::<Vec<_>>();
            (!fields.is_empty()).then(|| fields.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::language::Language;

    fn shell(language: Language) -> Shell {
        Shell { language, ..Shell::default() }
    }

    #[test]
    fn entries_are_told_in_words_and_names() {
        let (group, member) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let names = HashMap::from([(member, "1000 Ada Lovelace".to_owned())]);
        let of = |members: &[Uuid]| json!({ "id": group, "name": "Sales", "members": members, "confirm": false, "version": 1 });
        let entry = AuditEntry {
            id: Uuid::nil(),
            at: Utc::now(),
            actor: format!("user:{member}:ada@acme.test"),
            source: None,
            tenant_id: None,
            action: "update".into(),
            resource: format!("groups/{group}"),
            before: Some(of(&[])),
            after: Some(of(&[member])),
        };
        let row = read(&shell(Language::De), entry, &names);
        assert_eq!((row.who.as_str(), row.what.as_str(), row.name.as_str()), ("ada@acme.test", "Geändert", "Sales"));
        assert_eq!((row.kind.as_str(), row.changes.len()), ("Gruppe", 1));
        assert_eq!(row.changes[0].before, None);
        assert_eq!(row.changes[0].after.as_deref(), Some("1000 Ada Lovelace"));
    }

    #[test]
    fn values_of_any_shape_are_words_and_never_json() {
        let after = json!({ "user": { "first_name": "A", "role": "agent" }, "calls": { "forward": { "busy": null, "always": "+1" } },
                            "expires_at": "2026-12-24T18:00:00Z", "secret": "(changed)", "list": [{ "kind": "group" }, true] });
        let told = changes(&shell(Language::En), None, Some(&after), &HashMap::new());
        let told = told.into_iter().map(|field| format!("{}={}", field.label, field.after.unwrap_or_default()));
        let told = told.collect::<Vec<_>>().join("|");
        assert_eq!(
            told,
            "Calls › Forward › Always=+1|Expires at=2026-12-24 18:00 UTC|First name=A|List=Kind: Group, Yes|Role=Agent|Secret=Changed"
        );
        assert!(!told.contains(['{', '"', '[']));
    }
}
