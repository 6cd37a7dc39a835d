//! Makes schemas plain: one object with all its properties where serde flattens, and a name where a page repeats a type. Generators of
//! clients make one type of such an object; of `allOf` with choices in it they make none.

use serde_json::{Map, Value, json};

type Schemas = Map<String, Value>;

pub fn make_plain(schemas: &mut Schemas) {
    name_items(schemas);
    let names = schemas.keys().cloned().collect::<Vec<_>>();
    for name in names {
        let Some(schema) = schemas.get(&name) else { continue };
        let plain = plain(schema, schemas);
        schemas.insert(name, plain);
    }
}

/// The items of a page, and what changes one of many, get the name of their type, which utoipa writes out.
fn name_items(schemas: &mut Schemas) {
    for (prefix, place) in [
        ("Page_", "/properties/items/items"),
        ("LivePage_", "/properties/items/items"),
        ("ChangeOf_", "/properties/set"),
    ] {
        let outer = schemas.keys().filter(|name| name.starts_with(prefix)).cloned().collect::<Vec<_>>();
        for name in outer {
            let item = name.trim_start_matches(prefix).to_owned();
            let Some(inner) = schemas.get_mut(&name).and_then(|outer| outer.pointer_mut(place)) else { continue };
            let mut named = json!({ "$ref": format!("#/components/schemas/{item}") });
            if prefix == "ChangeOf_" {
                named["description"] = "A merge patch, as for one thing by itself.".into();
            }
            let written_out = std::mem::replace(inner, named);
            schemas.entry(item).or_insert(written_out);
        }
    }
}

/// The schema, with every `allOf` within it as one object.
fn plain(schema: &Value, schemas: &Schemas) -> Value {
    match schema {
        Value::Object(members) if members.contains_key("allOf") => {
            let mut object = Members::default();
            object.add(schema, schemas, true);
            object.schema(members.get("description"))
        }
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), plain(value, schemas))).collect(),
        Value::Array(items) => items.iter().map(|item| plain(item, schemas)).collect(),
        other => other.clone(),
    }
}

/// The properties of an object that is made of parts.
#[derive(Default)]
struct Members {
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Members {
    /// Adds a part. Only what every choice has is required of an object with choices.
    fn add(&mut self, part: &Value, schemas: &Schemas, always: bool) {
        if let Some(name) = part.get("$ref").and_then(Value::as_str) {
            if let Some(named) = name.rsplit('/').next().and_then(|name| schemas.get(name)) {
                self.add(named, schemas, always);
            }
            return;
        }
        for inner in part.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.add(inner, schemas, always);
        }
        if let Some(choices) = part.get("oneOf").and_then(Value::as_array) {
            let choices = choices.iter().map(|choice| {
                let mut members = Self::default();
                members.add(choice, schemas, always);
                members
            });
            let choices = choices.collect::<Vec<_>>();
            let common = |name: &&Value| choices.iter().all(|choice| choice.required.contains(name));
            self.required
                .extend(choices.first().into_iter().flat_map(|first| first.required.iter().filter(common).cloned()));
            for (name, property) in choices.iter().flat_map(|choice| &choice.properties) {
                self.or(name, plain(property, schemas));
            }
        }
        for (name, property) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.or(name, plain(property, schemas));
        }
        if always {
            self.required.extend(part.get("required").and_then(Value::as_array).into_iter().flatten().cloned());
        }
    }

    /// Adds a property, which may be one or the other if there is one of that name.
    fn or(&mut self, name: &str, property: Value) {
        let Some(known) = self.properties.get_mut(name) else {
            self.properties.insert(name.to_owned(), property);
            return;
        };
        if *known == property {
            return;
        }
        if let Some(more) = property.get("enum").and_then(Value::as_array)
            && let Some(values) = known.get_mut("enum").and_then(Value::as_array_mut)
        {
            values.extend(more.iter().cloned());
        } else if let Some(choices) = known.get_mut("anyOf").and_then(Value::as_array_mut) {
            choices.push(property);
        } else {
            let meaning = known.get("description").cloned();
            let mut either = json!({ "anyOf": [known.take(), property] });
            if let Some(meaning) = meaning {
                either["description"] = meaning;
            }
            *known = either;
        }
    }

    fn schema(self, description: Option<&Value>) -> Value {
        let mut schema = json!({ "type": "object", "properties": self.properties, "required": self.required });
        if let Some(description) = description {
            schema["description"] = description.clone();
        }
        schema
    }
}

/// Writes out what has the name of a type of the language, such as `i64`: to a client, that is no name of anything.
pub fn write_out_numbers(described: &mut Value) {
    let Some(schemas) = described["components"]["schemas"].as_object() else { return };
    let is_of_language = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
    let named = schemas.iter().filter(|(name, _)| is_of_language(name));
    let named = named.map(|(name, schema)| (format!("#/components/schemas/{name}"), schema.clone())).collect();
    write_out(described, &named);
}

fn write_out(value: &mut Value, named: &Map<String, Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| write_out(item, named)),
        Value::Object(members) => {
            let schema = members.get("$ref").and_then(Value::as_str).and_then(|name| named.get(name));
            if let Some(Value::Object(schema)) = schema {
                members.remove("$ref");
                members.extend(schema.clone());
            }
            members.values_mut().for_each(|member| write_out(member, named));
        }
        _ => {}
    }
}

/// Every number says how large it may be: generators choose their types by that. Those that the types leave open, counts of things, fit an `int64`.
pub fn name_formats(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(name_formats),
        Value::Object(members) => {
            let is = |name: &str| match members.get("type") {
                Some(Value::String(kind)) => kind == name,
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
                _ => false,
            };
            let format = if is("integer") { Some("int64") } else { is("number").then_some("double") };
            if let Some(format) = format {
                members.entry("format").or_insert(format.into());
            }
            members.values_mut().for_each(name_formats);
        }
        _ => {}
    }
}
