//! Forms keep what was typed, and show each error next to its field.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use crate::{
    http::problem::Reason,
    model::error::Error,
    text::{Code, Why},
};

/// A form as it was sent, with its errors.
#[derive(Debug, Clone, Default)]
pub struct Form {
    values: HashMap<String, String>,
    /// Everything that was sent, where a name may be there several times.
    sent: Vec<(String, String)>,
    errors: Vec<(String, Why)>,
    /// An error that belongs to no field.
    whole: Option<Reason>,
    /// What somebody else has saved in a field since this form was opened.
    others: Vec<(String, String)>,
}

impl Form {
    #[must_use]
    pub fn of(values: HashMap<String, String>) -> Self {
        Self { values, ..Self::default() }
    }

    /// A form as it was sent, in which a name may be there several times.
    #[must_use]
    pub fn of_sent(sent: &[(String, String)]) -> Self {
        Self { values: sent.iter().cloned().collect(), sent: sent.to_vec(), ..Self::default() }
    }

    #[must_use]
    pub fn filled<const N: usize>(values: [(&str, &str); N]) -> Self {
        Self::of(values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A form with something's present values and version.
    #[must_use]
    pub fn opened<const N: usize>(fields: [(&str, &str); N], version: i64) -> Self {
        let mut form = Self::filled(fields);
        form.values.extend(fields.map(|(name, value)| (format!("was_{name}"), value.to_owned())));
        form.set_version(version);
        form
    }

    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |value| value.trim())
    }

    /// The value as it was typed: passwords may begin with a space.
    #[must_use]
    pub fn raw(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Everything that was sent, in an order that is always the same.
    #[must_use]
    pub fn sent(&self) -> Vec<(&str, &str)> {
        if !self.sent.is_empty() {
            return self.sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        }
        let mut sent = self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>();
        sent.sort_unstable();
        sent
    }

    /// Replaces the values by what was typed before. If somebody else has saved since then, both are merged, as if it was saved now.
    pub fn type_in(&mut self, typed: impl IntoIterator<Item = (String, String)>) {
        let now = self.values.clone();
        self.values.extend(typed);
        let Some(version) = now.get("version").and_then(|version| version.parse().ok()) else { return };
        if self.version().ok() != Some(version) {
            let fields = now.iter().filter(|(name, _)| now.contains_key(&format!("was_{name}")));
            let fields = fields.map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>();
            self.meet(fields, version);
        }
    }

    /// The version of what this form changes, when the form was opened. A form without it is refused, because it would undo what somebody
    /// else has saved meanwhile.
    pub fn version(&self) -> Result<i64, Error> {
        let version = self.value("version").parse().ok().filter(|version| *version >= 0);
        version.ok_or_else(|| Code::FormIncomplete.into())
    }

    /// Whether the form was sent with this field, though it may be empty.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The version that this form changes from now on.
    pub fn set_version(&mut self, version: i64) {
        self.values.insert("version".to_owned(), version.to_string());
    }

    /// Merges what somebody else has saved since this form was opened. A field that was not touched here takes the other value. A field
    /// that both changed keeps what was typed, and shows the other value next to it. The form sends the original values as `was_…`.
    pub fn meet<'a>(&mut self, now: impl IntoIterator<Item = (&'a str, &'a str)>, version: i64) {
        // Browsers send the lines of a text with a carriage return.
        let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
        for (name, theirs) in now {
            let (was, mine) = (plain(self.was(name)), plain(self.raw(name)));
            let theirs = &*plain(theirs);
            if theirs != was && mine != theirs {
                if mine == was {
                    self.values.insert(name.to_owned(), theirs.to_owned());
                }
                self.others.push((name.to_owned(), theirs.to_owned()));
            }
            self.values.insert(format!("was_{name}"), theirs.to_owned());
        }
        self.set_version(version);
    }

    /// A field's value when the form was opened.
    #[must_use]
    pub fn was(&self, name: &str) -> &str {
        self.raw(&format!("was_{name}"))
    }

    /// The value that somebody else has saved meanwhile.
    #[must_use]
    pub fn other(&self, name: &str) -> Option<&str> {
        self.others.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The same as it is shown.
    #[must_use]
    pub fn theirs(&self, name: &str) -> &str {
        self.other(name).filter(|other| !other.is_empty()).unwrap_or("–")
    }

    /// Whether somebody else changed a field of this form.
    #[must_use]
    pub fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether this form and somebody else changed the same field.
    #[must_use]
    pub fn differs(&self, name: &str) -> bool {
        self.other(name).is_some_and(|other| other != self.value(name))
    }

    /// Reads a field as a type, and notes an error.
    pub fn read<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = serde_json::Value::String(self.value(name).to_owned());
        match serde_json::from_value(value) {
            Ok(read) => Some(read),
            Err(error) => {
                let why = Why::of_serde(&error.to_string());
                // What a parser says is for programs. Fields of text have sentences of their own; this is a choice that was not offered.
                let of_parser = matches!(why.code, Code::Unreadable | Code::NotOneOf | Code::IdExpected);
                self.wrong(name, if of_parser { Code::NotAChoice.into() } else { why });
                None
            }
        }
    }

    pub fn wrong(&mut self, name: &str, why: impl Into<Why>) {
        self.errors.push((name.to_owned(), why.into()));
    }

    /// Notes why the form was refused: next to the field if there is one, else above the form.
    pub fn refuse(&mut self, error: Error) {
        match error {
            Error::Invalid { field, why } if self.values.contains_key(field) => self.wrong(field, why),
            Error::InvalidAt { field, why } if self.values.contains_key(&field) => self.wrong(&field, why),
            other => self.whole = Some(other.into()),
        }
    }

    /// Notes why the API refused what the form says.
    pub fn refuse_for(&mut self, reason: Reason) {
        let field = reason.field.as_deref().and_then(|field| field.split(['.', '[']).next());
        match field.filter(|field| self.values.contains_key(*field)).map(ToOwned::to_owned) {
            Some(field) => self.wrong(&field, reason.why),
            None => self.whole = Some(reason),
        }
    }

    #[must_use]
    pub fn is_wrong(&self, name: &str) -> bool {
        self.errors.iter().any(|(field, _)| field == name)
    }

    #[must_use]
    pub fn error(&self, name: &str) -> Option<&Why> {
        self.errors.iter().find(|(field, _)| field == name).map(|(_, why)| why)
    }

    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.whole.is_some() || !self.errors.is_empty()
    }

    #[must_use]
    pub fn whole(&self) -> Option<&Reason> {
        self.whole.as_ref()
    }

    #[must_use]
    pub fn errors(&self) -> &[(String, Why)] {
        &self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_before_signing_in_meets_what_was_saved_meanwhile() {
        let now = || Form::opened([("name", "Theirs"), ("ring", "44"), ("notes", "a\nb")], 4);
        let typed = |version: &str| {
            let typed = [("name", "Ada"), ("was_name", "A."), ("ring", "25"), ("was_ring", "25")];
            let notes = [("notes", "a\r\nb"), ("was_notes", "a\r\nb"), ("version", version)];
            typed.into_iter().chain(notes).map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
        };
        let mut form = now();
        form.type_in(typed("3"));
        assert_eq!((form.value("name"), form.other("name")), ("Ada", Some("Theirs")), "both typed");
        assert_eq!((form.value("ring"), form.was("ring")), ("44", "44"), "only they did");
        assert_eq!((form.other("notes"), form.version().unwrap()), (None, 4));
        // Nobody has saved meanwhile.
        let mut form = now();
        form.type_in(typed("4"));
        assert_eq!((form.value("name"), form.value("ring"), form.has_others()), ("Ada", "25", false));
    }

    #[test]
    fn two_who_change_the_same_see_both_values_and_lose_nothing_else() {
        let mut form = Form::filled([
            ("first_name", "Ada"),
            ("was_first_name", "A."),
            ("last_name", "King"),
            ("was_last_name", "King"),
            ("email", "ada@acme.test"),
            ("was_email", "ada@acme.test"),
            ("version", "3"),
        ]);
        form.meet([("first_name", "Augusta"), ("last_name", "Lovelace"), ("email", "ada@acme.test")], 4);
        assert_eq!((form.value("first_name"), form.other("first_name")), ("Ada", Some("Augusta")), "both typed");
        assert!(form.differs("first_name"));
        assert_eq!((form.value("last_name"), form.differs("last_name")), ("Lovelace", false), "only they did");
        assert_eq!((form.value("email"), form.other("email")), ("ada@acme.test", None));
        assert_eq!(form.version().unwrap(), 4);
    }
}
