//! Two values of a form against each other: what differs, and what two people who changed the same have changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Whether two values say the same. The API leaves out what is empty.
pub fn is_alike(one: &Value, other: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match (one, other) {
        (one, other) if is_empty(one) && is_empty(other) => true,
        // A form has times to the second.
        (Value::String(one), Value::String(other)) if one.ends_with('Z') && one.get(10..11) == Some("T") => {
            other.ends_with('Z') && one.get(..19) == other.get(..19)
        }
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys()).collect::<BTreeSet<_>>();
            let null = Value::Null;
            keys.into_iter().all(|key| is_alike(one.get(key).unwrap_or(&null), other.get(key).unwrap_or(&null)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_alike(one, other))
        }
        (one, other) => one == other,
    }
}

/// The merge patch (RFC 7396) that makes the one of the other, of the fields that the other has.
pub fn deep(old: &Value, new: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return new.clone() };
    let mut patch = Map::new();
    for (name, value) in after {
        let known = before.get(name).unwrap_or(&Value::Null);
        match (known, value) {
            _ if is_alike(known, value) => {}
            (Value::Object(fields), Value::Object(_)) => {
                let mut inner = deep(known, value);
                // What a map has no more is removed from it.
                for gone in fields.keys().filter(|gone| value.get(gone.as_str()).is_none()) {
                    inner[gone] = Value::Null;
                }
                patch.insert(name.clone(), inner);
            }
            _ => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(patch)
}

/// Merges what somebody else has saved: a field that was not touched here takes the other value; one that both changed keeps what was
/// typed, and the other value is shown beside it.
pub fn merged(was: &Value, mine: &Value, theirs: &Value, path: &str, others: &mut BTreeMap<String, String>) -> Value {
    if let (Value::Object(mine), Value::Object(theirs)) = (mine, theirs) {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let merge = mine.iter().map(|(key, value)| {
            let theirs = theirs.get(key).unwrap_or(&Value::Null);
            (key.clone(), merged(&was[key], value, theirs, &below(key), others))
        });
        return Value::Object(merge.collect());
    }
    if is_same_draft(mine, was) {
        return theirs.clone();
    }
    if !is_same_draft(theirs, was) && !is_same_draft(theirs, mine) {
        let said = match theirs {
            Value::String(text) => text.clone(),
            Value::Null => "–".to_owned(),
            other => other.to_string(),
        };
        others.insert(path.to_owned(), said);
    }
    mine.clone()
}

/// An empty field is as good as none, and a number as its digits.
pub fn is_same_draft(one: &Value, other: &Value) -> bool {
    let plain = |value: &Value| match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(rows) if rows.is_empty() => String::new(),
        other => other.to_string(),
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_of_settings_has_only_what_differs() {
        let old = json!({ "country": "US", "routing": { "speed_dials": { "1": "100", "2": "200" }, "later": 7 } });
        let new = json!({ "country": "US", "routing": { "speed_dials": { "2": "201" }, "later": 7 } });
        assert_eq!(deep(&old, &new), json!({ "routing": { "speed_dials": { "1": null, "2": "201" } } }));
        assert_eq!(deep(&old, &old), json!({}));
    }

    #[test]
    fn two_who_change_the_same_see_both_values() {
        let mut others = BTreeMap::new();
        let was = json!({ "name": "a", "number": "1", "config": { "x": "1", "y": "1" } });
        let mine = json!({ "name": "b", "number": "1", "config": { "x": "2", "y": "1" } });
        let theirs = json!({ "name": "c", "number": "2", "config": { "x": "1", "y": "3" } });
        let both = merged(&was, &mine, &theirs, "", &mut others);
        assert_eq!(both, json!({ "name": "b", "number": "2", "config": { "x": "2", "y": "3" } }));
        assert_eq!(others, BTreeMap::from([("name".to_owned(), "c".to_owned())]));
    }
}
