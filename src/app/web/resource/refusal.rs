//! Why the API refused a form, at the fields that it names.

use serde_json::Value;

use super::super::schema::{self, Field, Kind};
use crate::{
    http::problem::{Problem, Reason},
    text::{Code, Why},
};

/// What was refused: at fields of the form, or the whole of it.
#[derive(Debug, Default)]
pub struct Refused {
    pub fields: Vec<(String, Why)>,
    pub whole: Option<Reason>,
}

/// The API's name of a field, as a path of the form: `config.tiers[0].level` is `config.tiers.0.level`, and what the API says of a
/// field in `config` without saying so is found there.
fn path(field: &str, fields: &[Field]) -> String {
    let path = field.replace('[', ".").replace(']', "");
    let top = path.split('.').next().unwrap_or_default();
    if fields.iter().any(|field| field.name == top) {
        return path;
    }
    let inner = fields
        .iter()
        .find(|field| matches!(&field.kind, Kind::Object(inner) if inner.iter().any(|one| one.name == top)));
    inner.map_or(path.clone(), |field| format!("{}.{path}", field.name))
}

/// A map's entries are rows of the draft: `fields.Born` is `fields.2.value` if the third row is called that.
fn in_map(path: &str, draft: &Value) -> Option<String> {
    path.match_indices('.').find_map(|(dot, _)| {
        let (map, key) = (&path[..dot], &path[dot + 1..]);
        let rows = schema::at(draft, map).as_array()?;
        let row = rows.iter().position(|row| row["key"].as_str().is_some_and(|known| known.trim() == key))?;
        Some(format!("{map}.{row}.value"))
    })
}

impl Refused {
    /// `draft`: what was typed.
    pub fn of(problem: &Problem, fields: &[Field], draft: &Value) -> Self {
        let reason = problem.reason();
        match &reason.field {
            Some(field) => {
                let path = path(field, fields);
                Self { fields: vec![(in_map(&path, draft).unwrap_or(path), reason.why)], whole: None }
            }
            None => Self { fields: Vec::new(), whole: Some(reason) },
        }
    }

    pub fn is_changed(problem: &Problem) -> bool {
        problem.reason().why.code == Code::Changed
    }

    pub fn is_some(&self) -> bool {
        self.whole.is_some() || !self.fields.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_stands_at_its_field() {
        let mut fields = schema::fields("NewDestination");
        let at = fields.iter().position(|field| field.name == "config").unwrap();
        fields[at].kind = Kind::Object(schema::fields("Queue"));
        assert_eq!(path("config.tiers[0].level", &fields), "config.tiers.0.level");
        assert_eq!(path("tiers", &fields), "config.tiers");
        assert_eq!(path("name", &fields), "name");
        assert_eq!(path("nowhere", &fields), "nowhere");
    }

    #[test]
    fn a_refusal_of_a_maps_entry_stands_at_its_row() {
        let draft = json!({ "name": "Eve", "fields": [{ "key": "Level", "value": "gold" }, { "key": " Dr. O'Brien ", "value": "x" }] });
        assert_eq!(in_map("fields.Level", &draft).as_deref(), Some("fields.0.value"));
        assert_eq!(in_map("fields.Dr. O'Brien", &draft).as_deref(), Some("fields.1.value"));
        for elsewhere in ["fields", "fields.Born", "name", "name.first"] {
            assert_eq!(in_map(elsewhere, &draft), None, "{elsewhere}");
        }
    }
}
