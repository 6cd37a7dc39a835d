//! Whether a thing is as a file wants it, and what is sent if it is not.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Fields whose entries have names of the user's choice: what a file leaves out is not there.
const MAPS: [&str; 3] = ["variables", "entries", METADATA];
/// The map that is changed by a merge patch rather than as a whole.
const METADATA: &str = "metadata";
/// Lists without an order.
const SETS: [&str; 4] = ["extensions", "capabilities", "allowed_countries", "topics"];

/// Whether what the file wants is so. What it does not have may be anything.
pub fn same(name: &str, wanted: &Value, current: &Value) -> bool {
    match (wanted, current) {
        (Value::Object(wanted), Value::Object(current)) => {
            let has_more = MAPS.contains(&name)
                && current.iter().any(|(key, value)| !value.is_null() && !wanted.contains_key(key));
            !has_more && wanted.iter().all(|(key, value)| same(key, value, current.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(wanted), Value::Array(current)) if SETS.contains(&name) => {
            let sorted = |all: &[Value]| all.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
            sorted(wanted) == sorted(current)
        }
        (Value::Array(wanted), Value::Array(current)) => {
            wanted.len() == current.len()
                && wanted.iter().zip(current).all(|(wanted, current)| same("", wanted, current))
        }
        (Value::Number(wanted), Value::Number(current)) => wanted == current || wanted.as_f64() == current.as_f64(),
        (wanted, current) => wanted == current,
    }
}

/// What is sent for a field: objects are replaced as wholes, so what the file does not have is taken from the present ones.
pub fn merged(name: &str, wanted: &Value, current: &Value) -> Value {
    match (wanted, current) {
        (Value::Object(wanted), Value::Object(current))
            if !MAPS.contains(&name) && wanted.keys().all(|key| current.contains_key(key)) =>
        {
            let both = current.iter().map(|(key, now)| {
                let value = wanted.get(key).map_or_else(|| now.clone(), |wanted| merged(key, wanted, now));
                (key.clone(), value)
            });
            both.collect::<Map<_, _>>().into()
        }
        (Value::Object(wanted), Value::Object(current)) if name == METADATA => {
            let gone = current.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), Value::Null));
            gone.chain(wanted.clone()).collect::<Map<_, _>>().into()
        }
        (wanted, _) => wanted.clone(),
    }
}

/// The merge patch that makes `current` what is wanted, or `None` if it is.
pub fn merge_patch(wanted: &Value, current: &Value) -> Option<Value> {
    let (Value::Object(all), Value::Object(now)) = (wanted, current) else {
        return (!same("", wanted, current)).then(|| wanted.clone());
    };
    let parts = all
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), merge_patch(value, now.get(key).unwrap_or(&Value::Null))?)));
    let patch = parts.collect::<Map<_, _>>();
    (!patch.is_empty()).then(|| patch.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_file_says_is_compared() {
        let current = json!({ "a": 1, "b": [1, 2], "c": { "d": null, "e": "x" }, "variables": { "x": "1", "y": "2" } });
        for wanted in [
            json!({}),
            json!({ "a": 1 }),
            json!({ "c": {} }),
            json!({ "c": { "d": null } }),
            json!({ "z": null }),
            current.clone(),
        ] {
            assert!(same("", &wanted, &current), "{wanted}");
            assert_eq!(merge_patch(&wanted, &current), None, "{wanted}");
        }
        for wanted in [
            json!({ "a": 2 }),
            json!({ "b": [2, 1] }),
            json!({ "c": { "d": 1 } }),
            json!({ "variables": { "x": "1" } }),
        ] {
            assert!(!same("", &wanted, &current), "{wanted}");
        }
        assert!(same("extensions", &json!(["2", "1"]), &json!(["1", "2"])));
        assert_eq!(merge_patch(&json!({ "a": 1, "c": { "e": "y" } }), &current), Some(json!({ "c": { "e": "y" } })));
        assert_eq!(merged("c", &json!({ "e": "y" }), &current["c"]), json!({ "d": null, "e": "y" }));
        assert_eq!(merged("c", &json!({ "f": 1 }), &current["c"]), json!({ "f": 1 }), "another shape");
        let noted = json!({ "x": "1", "y": "2" });
        assert_eq!(merged("metadata", &json!({ "x": "3" }), &noted), json!({ "x": "3", "y": null }));
        assert!(!same("metadata", &json!({ "x": "1" }), &noted) && same("metadata", &noted, &noted));
        let one = &current["variables"];
        assert_eq!(merged("variables", &json!({ "x": "1" }), one), json!({ "x": "1" }), "what it leaves out goes");
    }
}
