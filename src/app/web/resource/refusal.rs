//! Why the API refused a form, at the fields that it names.

use super::super::schema::{Field, Kind};
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

impl Refused {
    pub fn of(problem: &Problem, fields: &[Field]) -> Self {
        let reason = problem.reason();
        match &reason.field {
            Some(field) => Self { fields: vec![(path(field, fields), reason.why)], whole: None },
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
    use super::{super::super::schema, *};

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
}
