//! What a form asks for, read from the API's description: the fields of a body, how each is typed in, and how it becomes JSON again.
//!
//! Between page and API, a value is a *draft*: what was typed, in the shape of the form, whether it is right or not. Maps are rows in a
//! draft, so that a key can be empty or there twice while somebody types.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::app::contract;

/// How a value is typed in.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Text,
    /// Typed in, and never shown again.
    Secret,
    /// Text of several lines.
    Long,
    Integer,
    Flag,
    Moment,
    Date,
    Choice(Vec<String>),
    /// Some of several choices.
    Checks(Vec<String>),
    /// Texts, one a line.
    Lines,
    /// One thing of a kind, such as `extension`.
    Ref(&'static str),
    /// Whatever a call can be led to.
    Target,
    /// Opening hours.
    Hours,
    /// A text to be spoken, or a file.
    Prompt,
    Object(Vec<Field>),
    Rows(Box<Kind>),
    Map(Box<Kind>),
    /// One of several shapes, told by a field.
    Tagged(String, Vec<(String, Vec<Field>)>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
    pub nullable: bool,
}

pub const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Fields that name things, and what things.
fn named(field: &str) -> Option<&'static str> {
    Some(match field {
        "members" | "moderator" | "extension_id" | "on_behalf_of" => "extension",
        "agent_id" | "recipients" => "agent",
        "cluster_id" => "cluster",
        "number_id" => "number",
        "tenant_id" => "tenant",
        _ => return None,
    })
}

/// Fields that are typed in on several lines, and those that are secret.
const LONG: [&str; 8] =
    ["assistant_prompt", "away_message", "opening_message", "xml", "description", "location", "text", "notes"];
const SECRET: [&str; 5] = ["sip_password", "voicemail_pin", "pin", "password", "credential"];

/// Fields that come first where several stand together, in this order.
const FIRST: [&str; 14] = [
    "name",
    "kind",
    "field",
    "pattern",
    "extension_id",
    "number",
    "from",
    "to",
    "callers",
    "target",
    "level",
    "position",
    "hours",
    "actions",
];

/// The fields of a schema of the API's description.
#[must_use]
pub fn fields(schema: &str) -> Vec<Field> {
    fields_of(&json!({ "$ref": format!("#/components/schemas/{schema}") }))
}

fn resolved(schema: &Value) -> (&Value, &str) {
    let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/")) else {
        return (schema, "");
    };
    let known: &'static Value = &contract::document()["components"]["schemas"][name];
    (known, name)
}

fn fields_of(schema: &Value) -> Vec<Field> {
    let (schema, _) = resolved(schema);
    let mut found = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        found.extend(fields_of(part));
    }
    let required = schema["required"].as_array();
    for (name, value) in schema["properties"].as_object().into_iter().flatten() {
        let (kind, nullable) = kind_of(name, value);
        let required = required.is_some_and(|all| all.iter().any(|one| one == name));
        found.push(Field { name: name.clone(), kind, required, nullable });
    }
    found.sort_by_key(|field| FIRST.iter().position(|first| *first == field.name).unwrap_or(FIRST.len()));
    found
}

fn is_null(schema: &Value) -> bool {
    schema["type"] == "null"
}

fn has_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::String(one) => one == name,
        Value::Array(all) => all.iter().any(|one| one == name),
        _ => false,
    }
}

/// How a property is typed in, and whether it may be empty.
fn kind_of(property: &str, schema: &Value) -> (Kind, bool) {
    let choices = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array());
    if let Some(choices) = choices
        && choices.iter().any(is_null)
    {
        let rest = choices.iter().find(|one| !is_null(one)).unwrap_or(&Value::Null);
        return (kind_of(property, rest).0, true);
    }
    let (schema, name) = resolved(schema);
    let nullable = has_type(schema, "null");
    (kind_named(property, name, schema), nullable)
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

fn kind_named(property: &str, name: &str, schema: &Value) -> Kind {
    match name {
        "Target" => return Kind::Target,
        "BusinessHours" => return Kind::Hours,
        "Prompt" => return Kind::Prompt,
        "Step" => return tagged("application", schema),
        _ => {}
    }
    if schema["enum"].is_array() {
        return Kind::Choice(texts(&schema["enum"]));
    }
    if has_type(schema, "array") {
        let (item, _) = kind_of(property, &schema["items"]);
        return match item {
            Kind::Choice(choices) => Kind::Checks(choices),
            Kind::Text | Kind::Long => Kind::Lines,
            other => Kind::Rows(Box::new(other)),
        };
    }
    if has_type(schema, "boolean") {
        return Kind::Flag;
    }
    if has_type(schema, "integer") || has_type(schema, "number") {
        return Kind::Integer;
    }
    if schema["additionalProperties"].is_object() {
        return Kind::Map(Box::new(kind_of("value", &schema["additionalProperties"]).0));
    }
    if schema["properties"].is_object() || schema["allOf"].is_array() {
        return Kind::Object(fields_of(schema));
    }
    if let Some(what) = named(property) {
        return Kind::Ref(what);
    }
    match schema["format"].as_str() {
        Some("date-time") => Kind::Moment,
        Some("date") => Kind::Date,
        _ if property == "date" => Kind::Date,
        _ if SECRET.contains(&property) => Kind::Secret,
        _ if LONG.contains(&property) => Kind::Long,
        _ => Kind::Text,
    }
}

/// The shapes of a type that a field tells apart.
fn tagged(tag: &str, schema: &Value) -> Kind {
    let shapes = schema["oneOf"].as_array().into_iter().flatten().filter_map(|shape| {
        let mut fields = fields_of(shape);
        let at = fields.iter().position(|field| field.name == tag)?;
        let Kind::Choice(names) = fields.remove(at).kind else { return None };
        Some((names.into_iter().next()?, fields))
    });
    Kind::Tagged(tag.to_owned(), shapes.collect())
}

/// The value at a dotted path.
#[must_use]
pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').filter(|part| !part.is_empty()).fold(value, |value, part| match value {
        Value::Array(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)).unwrap_or(&Value::Null),
        value => &value[part],
    })
}

/// Puts a value at a dotted path of objects.
pub fn put(into: &mut Value, path: &str, value: Value) {
    let mut place = into;
    for part in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(part).or_insert(Value::Null);
    }
    *place = value;
}

/// Takes away what is at a dotted path of objects.
pub fn take(from: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let place = parent.split('.').filter(|part| !part.is_empty()).try_fold(from, |place, part| place.get_mut(part));
    if let Some(Value::Object(fields)) = place {
        fields.remove(name);
    }
}

impl Kind {
    /// The kind at a dotted path.
    #[must_use]
    pub fn of_path<'a>(fields: &'a [Field], path: &str) -> Option<&'a Field> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let field = fields.iter().find(|field| field.name == first)?;
        match (rest, &field.kind) {
            (None, _) => Some(field),
            (Some(rest), Self::Object(inner)) => Self::of_path(inner, rest),
            _ => None,
        }
    }

    /// A value of the API as a form has it.
    #[must_use]
    pub fn draft(&self, value: &Value) -> Value {
        match self {
            Self::Target => match (value["kind"].as_str(), value["id"].as_str()) {
                (Some(kind), Some(id)) => json!(format!("{kind}:{id}")),
                _ => Value::Null,
            },
            Self::Secret => Value::Null,
            Self::Moment => value.as_str().map_or(Value::Null, |at| json!(at.chars().take(19).collect::<String>())),
            Self::Lines => {
                json!(value.as_array().map(|all| texts(&json!(all)).join("\n")).unwrap_or_default())
            }
            Self::Object(fields) if value.is_object() => {
                let drafts = fields.iter().map(|field| (field.name.clone(), field.kind.draft(&value[&field.name])));
                Value::Object(drafts.collect())
            }
            Self::Rows(item) => {
                Value::Array(value.as_array().into_iter().flatten().map(|value| item.draft(value)).collect())
            }
            Self::Map(item) => {
                let rows = value.as_object().into_iter().flatten();
                Value::Array(rows.map(|(key, value)| json!({ "key": key, "value": item.draft(value) })).collect())
            }
            Self::Tagged(tag, shapes) if value.is_object() => {
                let mut draft = json!({ tag.as_str(): value[tag.as_str()] });
                for field in shape(shapes, value[tag.as_str()].as_str()) {
                    draft[&field.name] = field.kind.draft(&value[&field.name]);
                }
                draft
            }
            Self::Hours if value.is_object() => hours_draft(value),
            _ => value.clone(),
        }
    }

    /// What was typed, by the names of the form's fields.
    #[must_use]
    pub fn typed(&self, path: &str, sent: &Sent) -> Value {
        match self {
            Self::Flag => json!(sent.has(path)),
            Self::Checks(_) => json!(sent.all(path)),
            Self::Secret => json!(sent.raw(path)),
            Self::Object(fields) => {
                if sent.has(&format!("{path}._optional")) && !sent.has(&format!("{path}._on")) {
                    return Value::Null;
                }
                let typed = fields
                    .iter()
                    .map(|field| (field.name.clone(), field.kind.typed(&format!("{path}.{}", field.name), sent)));
                Value::Object(typed.collect())
            }
            Self::Rows(item) => {
                Value::Array((sent.rows(path)).map(|at| item.typed(&format!("{path}.{at}"), sent)).collect())
            }
            Self::Map(item) => {
                let rows = sent.rows(path).map(|at| {
                    let value = item.typed(&format!("{path}.{at}.value"), sent);
                    json!({ "key": sent.one(&format!("{path}.{at}.key")), "value": value })
                });
                Value::Array(rows.collect())
            }
            Self::Tagged(tag, shapes) => {
                let chosen = sent.one(&format!("{path}.{tag}"));
                let mut draft = json!({ tag.as_str(): chosen });
                for field in shape(shapes, Some(&chosen)) {
                    draft[&field.name] = field.kind.typed(&format!("{path}.{}", field.name), sent);
                }
                draft
            }
            Self::Prompt => {
                let text = sent.one(&format!("{path}.value"));
                let by = sent.one(&format!("{path}._by"));
                if text.is_empty() { Value::Null } else { json!({ by: text }) }
            }
            Self::Hours => {
                if !sent.has(&format!("{path}._on")) {
                    return Value::Null;
                }
                let mut draft = Map::new();
                for day in DAYS {
                    draft.insert(day.to_owned(), json!(sent.one(&format!("{path}.{day}"))));
                }
                draft.insert("holidays".to_owned(), json!(sent.one(&format!("{path}.holidays"))));
                Value::Object(draft)
            }
            Self::Long | Self::Lines => json!(sent.raw(path).replace("\r\n", "\n").trim()),
            _ => json!(sent.one(path)),
        }
    }

    /// A draft as the API takes it. `found` has what was typed in place of ids. An empty field is null.
    #[must_use]
    pub fn body(&self, draft: &Value, found: &HashMap<String, String>) -> Value {
        let text = || draft.as_str().unwrap_or_default();
        match self {
            Self::Flag => json!(draft == true),
            Self::Integer => match draft {
                Value::Number(_) => draft.clone(),
                _ if text().is_empty() => Value::Null,
                // What is no number is refused as what it is.
                _ => text().parse::<i64>().map_or_else(|_| draft.clone(), |number| json!(number)),
            },
            Self::Lines => {
                let lines = text().split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty());
                json!(lines.collect::<Vec<_>>())
            }
            Self::Checks(_) => draft.as_array().map_or_else(|| json!([]), |all| json!(all)),
            Self::Moment if !text().is_empty() => {
                json!(match text().len() {
                    16 => format!("{}:00Z", text()),
                    19 => format!("{}Z", text()),
                    _ => text().to_owned(),
                })
            }
            Self::Ref(_) if !text().is_empty() => json!(found.get(text()).map_or(text(), String::as_str)),
            Self::Target if !text().is_empty() => {
                let value = found.get(text()).map_or(text(), String::as_str);
                match value.split_once(':') {
                    Some((kind, id)) => json!({ "kind": kind, "id": id }),
                    None => json!({ "kind": "extension", "id": value }),
                }
            }
            Self::Object(fields) if draft.is_object() => object(fields, draft, found),
            Self::Rows(item) => {
                let rows = draft.as_array().into_iter().flatten().map(|row| item.body(row, found));
                Value::Array(rows.filter(|row| !row.is_null()).collect())
            }
            Self::Map(item) => {
                let rows = draft.as_array().into_iter().flatten();
                let rows = rows.map(|row| {
                    (row["key"].as_str().unwrap_or_default().trim().to_owned(), item.body(&row["value"], found))
                });
                Value::Object(rows.filter(|(key, value)| !(key.is_empty() && value.is_null())).collect())
            }
            Self::Tagged(tag, shapes) if draft.is_object() => {
                let name = draft[tag.as_str()].as_str();
                let mut body = object(shape(shapes, name), draft, found);
                body[tag.as_str()] = draft[tag.as_str()].clone();
                body
            }
            Self::Hours if draft.is_object() => hours_body(draft),
            _ if draft.is_string() && text().is_empty() => Value::Null,
            _ => draft.clone(),
        }
    }

    /// What was typed where a thing is to be named, with the kind of thing.
    pub fn mentions(&self, draft: &Value, found: &mut Vec<(&'static str, String)>) {
        match (self, draft) {
            (Self::Ref(what), Value::String(text)) if !text.is_empty() => found.push((what, text.clone())),
            (Self::Target, Value::String(text)) if !text.is_empty() => found.push(("target", text.clone())),
            (Self::Object(fields), Value::Object(_)) => {
                for field in fields {
                    field.kind.mentions(&draft[&field.name], found);
                }
            }
            (Self::Rows(item), Value::Array(rows)) => {
                for row in rows {
                    item.mentions(row, found);
                }
            }
            (Self::Map(item), Value::Array(rows)) => {
                for row in rows {
                    item.mentions(&row["value"], found);
                }
            }
            (Self::Tagged(tag, shapes), Value::Object(_)) => {
                for field in shape(shapes, draft[tag.as_str()].as_str()) {
                    field.kind.mentions(&draft[&field.name], found);
                }
            }
            _ => {}
        }
    }

    /// The kinds of things that it names.
    pub fn names(&self, found: &mut Vec<&'static str>) {
        match self {
            Self::Ref(what) => found.push(what),
            Self::Target => found.push("target"),
            Self::Object(fields) => fields.iter().for_each(|field| field.kind.names(found)),
            Self::Rows(item) | Self::Map(item) => item.names(found),
            Self::Tagged(_, shapes) => {
                shapes.iter().flat_map(|(_, fields)| fields).for_each(|field| field.kind.names(found));
            }
            _ => {}
        }
    }
}

/// The fields of one of several shapes.
#[must_use]
pub fn shape<'a>(shapes: &'a [(String, Vec<Field>)], name: Option<&str>) -> &'a [Field] {
    shapes.iter().find(|(known, _)| Some(known.as_str()) == name).map_or(&[], |(_, fields)| fields)
}

/// An object of the API. An empty field that can't be null is left out, and so has its usual value.
fn object(fields: &[Field], draft: &Value, found: &HashMap<String, String>) -> Value {
    let values = fields.iter().map(|field| (field, field.kind.body(&draft[&field.name], found)));
    let values = values.filter(|(field, value)| !value.is_null() || field.nullable);
    Value::Object(values.map(|(field, value)| (field.name.clone(), value)).collect())
}

fn hours_draft(value: &Value) -> Value {
    let mut draft = Map::new();
    for day in DAYS {
        let spans = value[day].as_array().into_iter().flatten();
        let spans = spans.map(|span| {
            format!("{}–{}", span["open"].as_str().unwrap_or_default(), span["close"].as_str().unwrap_or_default())
        });
        draft.insert(day.to_owned(), json!(spans.collect::<Vec<_>>().join(", ")));
    }
    let days = value["holidays"].as_array().into_iter().flatten();
    let days = days.map(|day| {
        format!("{} {}", day["date"].as_str().unwrap_or_default(), day["name"].as_str().unwrap_or_default())
    });
    draft.insert("holidays".to_owned(), json!(days.collect::<Vec<_>>().join("\n")));
    Value::Object(draft)
}

fn hours_body(draft: &Value) -> Value {
    let text = |name: &str| draft[name].as_str().unwrap_or_default().to_owned();
    let mut body = Map::new();
    for day in DAYS {
        let spans = text(day);
        let spans = spans.split(',').map(str::trim).filter(|span| !span.is_empty()).map(|span| {
            let (open, close) = span.split_once(['–', '-']).unwrap_or((span, ""));
            json!({ "open": clock(open), "close": clock(close) })
        });
        body.insert(day.to_owned(), Value::Array(spans.collect()));
    }
    let days = text("holidays");
    let days = days.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let (date, name) = line.split_once(' ').unwrap_or((line, ""));
        json!({ "date": date, "name": name.trim() })
    });
    body.insert("holidays".to_owned(), Value::Array(days.collect()));
    Value::Object(body)
}

/// `9` and `9:30` are times of the day as well.
fn clock(text: &str) -> String {
    let text = text.trim();
    let (hour, minute) = text.split_once(':').unwrap_or((text, "00"));
    match hour.parse::<u8>() {
        Ok(hour) if minute.len() == 2 => format!("{hour:02}:{minute}"),
        _ => text.to_owned(),
    }
}

/// A form as it was sent; a name may be there several times.
#[derive(Debug, Clone, Default)]
pub struct Sent(pub Vec<(String, String)>);

impl Sent {
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    #[must_use]
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    #[must_use]
    pub fn one(&self, name: &str) -> String {
        self.raw(name).trim().to_owned()
    }

    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The numbers of the rows below a path. No form has more than a few hundred.
    fn rows(&self, path: &str) -> impl Iterator<Item = usize> + use<> {
        let below = format!("{path}.");
        let found = self.0.iter().filter_map(|(name, _)| name.strip_prefix(&below)?.split('.').next()?.parse().ok());
        let mut found = found.filter(|at: &usize| *at < 1000).collect::<Vec<_>>();
        found.sort_unstable();
        found.dedup();
        found.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(schema: &str, value: &Value) -> Value {
        let kind = Kind::Object(fields(schema));
        kind.body(&kind.draft(value), &HashMap::new())
    }

    #[test]
    fn what_the_api_gives_comes_back_the_same_from_an_untouched_form() {
        let target = json!({ "kind": "group", "id": "0190b0a0-0000-7000-8000-000000000001" });
        let ivr = json!({ "greeting": { "text": "Hello" }, "entries": { "1": target, "2": target }, "direct_dial": true,
            "timeout_seconds": 5, "max_failures": 3, "otherwise": target, "invalid": null, "short_greeting": null });
        let back = round("Ivr", &ivr);
        for (field, value) in ivr.as_object().unwrap() {
            assert_eq!(&back[field], value, "{field}");
        }
        let hours = json!({ "monday": [{ "open": "09:00", "close": "12:00" }, { "open": "13:00", "close": "17:30" }],
            "tuesday": [], "wednesday": [], "thursday": [], "friday": [], "saturday": [], "sunday": [],
            "holidays": [{ "date": "2026-12-25", "name": "Christmas Day" }] });
        assert_eq!(Kind::Hours.body(&Kind::Hours.draft(&hours), &HashMap::new()), hours);
        let entry = json!({ "name": "x", "position": 1, "enabled": true, "xml": null, "conditions": [{ "field": "destination_number",
            "pattern": "^1$", "actions": [{ "application": "sleep", "milliseconds": 100 }, { "application": "go", "target": target }],
            "anti_actions": [], "break": "on_false", "hours": null, "time_zone": null }] });
        let back = round("NewEntry", &entry);
        assert_eq!(back["conditions"][0]["actions"], entry["conditions"][0]["actions"]);
    }

    #[test]
    fn what_is_typed_becomes_json_and_rows_may_be_half_done() {
        let sent = Sent(vec![
            ("name".into(), " sales ".into()),
            ("ring_seconds".into(), "x".into()),
            ("confirm".into(), "on".into()),
            ("members.0".into(), "1000 Ada".into()),
            ("members.3".into(), String::new()),
        ]);
        let kind = Kind::Object(fields("NewGroup"));
        let Kind::Object(all) = &kind else { unreachable!() };
        let draft = all.iter().map(|field| (field.name.clone(), field.kind.typed(&field.name, &sent)));
        let draft = Value::Object(draft.collect());
        assert_eq!(draft["members"], json!(["1000 Ada", ""]));
        let found = HashMap::from([("1000 Ada".to_owned(), "id-of-ada".to_owned())]);
        let body = kind.body(&draft, &found);
        assert_eq!((&body["name"], &body["ring_seconds"]), (&json!("sales"), &json!("x")));
        assert_eq!((&body["confirm"], &body["members"]), (&json!(true), &json!(["id-of-ada"])));
        assert!(body.get("strategy").is_none(), "has its usual value: {body}");
    }
}
