//! Forms: what was typed is kept, and what is wrong is said beside its field.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use crate::{http::problem::Reason, model::error::Error, text::Why};

/// A form as it was sent, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Form {
    values: HashMap<String, String>,
    errors: Vec<(String, Why)>,
    /// What is wrong with no field of it.
    whole: Option<Reason>,
}

impl Form {
    #[must_use]
    pub fn of(values: HashMap<String, String>) -> Self {
        Self { values, ..Self::default() }
    }

    #[must_use]
    pub fn filled<const N: usize>(values: [(&str, &str); N]) -> Self {
        Self::of(values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |value| value.trim())
    }

    /// As it was typed: passwords may begin with a space.
    #[must_use]
    pub fn raw(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// A field, read as a type; what is wrong is noted.
    pub fn read<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = serde_json::Value::String(self.value(name).to_owned());
        match serde_json::from_value(value) {
            Ok(read) => Some(read),
            Err(error) => {
                self.wrong(name, Why::of_serde(&error.to_string()));
                None
            }
        }
    }

    pub fn wrong(&mut self, name: &str, why: impl Into<Why>) {
        self.errors.push((name.to_owned(), why.into()));
    }

    /// Notes why it came to nothing: beside the field if it has one, above the form if not.
    pub fn refuse(&mut self, error: Error) {
        match error {
            Error::Invalid { field, why } if self.values.contains_key(field) => self.wrong(field, why),
            Error::InvalidAt { field, why } if self.values.contains_key(&field) => self.wrong(&field, why),
            other => self.whole = Some(other.into()),
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
