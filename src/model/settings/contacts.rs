//! What a tenant keeps of its contacts beside what every contact has.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{SettingsError, Words, wrong};
use crate::text::{Code, Why};

const MOST_FIELDS: usize = 50;
const MOST_CHOICES: usize = 100;

/// What a tenant keeps of its contacts beside what every contact has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContactSettings {
    /// Fields of contacts with a type, up to 50. Fields that are not named here are texts. What contacts have already stays until their fields are changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ContactField>,
}

/// A field of contacts, and what may stand in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactField {
    /// What people read, and its key in a contact's `fields`; at most 50 characters.
    pub name: Words,
    /// What may stand in it.
    pub kind: ContactFieldKind,
    /// What people choose from, for `choice` alone: 1 to 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Words>,
}

/// What may stand in a field of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactFieldKind {
    /// One line of text.
    Text,
    /// A decimal number with a point, of up to 15 digits before it and 6 behind it.
    Decimal,
    /// A day, as `2026-12-24`.
    Date,
    /// `true` or `false`.
    Flag,
    /// One of `choices`.
    Choice,
}

impl ContactSettings {
    pub(super) fn is_usual(&self) -> bool {
        self.fields.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if self.fields.len() > MOST_FIELDS {
            return Err(wrong("contacts.fields", Code::entries(MOST_FIELDS)));
        }
        for (at, field) in self.fields.iter().enumerate() {
            let at_fault = |part: &str, why: Why| wrong(&format!("contacts.fields[{at}].{part}"), why);
            if field.name.as_str().chars().count() > 50 {
                return Err(at_fault("name", Code::LengthOutOfRange.with("least", 1).with("most", 50)));
            }
            if self.fields[..at].iter().any(|other| other.name == field.name) {
                return Err(at_fault("name", Code::NamesOneTwice.into()));
            }
            let choices = &field.choices;
            let most = if field.kind == ContactFieldKind::Choice { 1..=MOST_CHOICES } else { 0..=0 };
            if !most.contains(&choices.len()) {
                return Err(at_fault("choices", Code::range(*most.start(), *most.end())));
            }
            if choices.iter().enumerate().any(|(at, choice)| choices[..at].contains(choice)) {
                return Err(at_fault("choices", Code::NamesOneTwice.into()));
            }
        }
        Ok(())
    }

    /// Whether a contact may have this in a field.
    pub fn fits(&self, name: &str, value: &str) -> Result<(), Why> {
        let Some(field) = self.fields.iter().find(|field| field.name.as_str() == name) else { return Ok(()) };
        match field.kind {
            ContactFieldKind::Decimal if !is_number(value) => Err(Code::NotANumber.into()),
            ContactFieldKind::Date if !is_day(value) => Err(Code::NotADay.into()),
            ContactFieldKind::Flag if !matches!(value, "true" | "false") => Err(Code::NotAFlag.into()),
            ContactFieldKind::Choice if !field.choices.iter().any(|choice| choice.as_str() == value) => {
                let known = field.choices.iter().map(Words::as_str).collect::<Vec<_>>().join(", ");
                Err(Code::NotOneOf.with("known", known))
            }
            _ => Ok(()),
        }
    }
}

fn is_number(value: &str) -> bool {
    let plain = value.strip_prefix('-').unwrap_or(value);
    let (whole, part) = plain.split_once('.').map_or((plain, None), |(whole, part)| (whole, Some(part)));
    let are_digits =
        |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    are_digits(whole, 15) && part.is_none_or(|part| are_digits(part, 6))
}

fn is_day(value: &str) -> bool {
    // chrono also takes years with a sign, and months of one digit.
    let is_formed =
        value.bytes().enumerate().all(|(at, c)| if matches!(at, 4 | 7) { c == b'-' } else { c.is_ascii_digit() });
    value.len() == 10 && is_formed && NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_takes_what_its_type_says_and_other_fields_take_any_text() {
        let settings = serde_json::json!({ "fields": [
            { "name": "Age", "kind": "decimal" }, { "name": "Born", "kind": "date" }, { "name": "Member", "kind": "flag" },
            { "name": "Level", "kind": "choice", "choices": ["gold", "silver"] }, { "name": "Nick", "kind": "text" }] });
        let settings: ContactSettings = serde_json::from_value(settings).unwrap();
        settings.check().unwrap();
        for (name, good, bad) in [
            (
                "Age",
                &["0", "-1.5", "123456789012345.123456"][..],
                &["", "-", "1,5", "1.", ".5", "--1", "1.2.3", "1e3", "1234567890123456", "1.1234567", "١"][..],
            ),
            ("Born", &["2024-02-29", "1900-01-01"], &["2023-02-29", "24.12.2026", "2026-1-1", "+999-01-01"]),
            ("Member", &["true", "false"], &["yes", "True", ""]),
            ("Level", &["gold", "silver"], &["Gold", "bronze", "gold, silver"]),
            ("Nick", &["any", "1"], &[]),
            ("Else", &["any"], &[]),
        ] {
            for value in good {
                assert!(settings.fits(name, value).is_ok(), "{name} {value}");
            }
            for value in bad {
                assert!(settings.fits(name, value).is_err(), "{name} {value}");
            }
        }
    }

    #[test]
    fn what_is_declared_is_declared_once_and_choices_belong_to_choices() {
        for (fields, at) in [
            (
                serde_json::json!([{ "name": "A", "kind": "text" }, { "name": "A", "kind": "date" }]),
                "contacts.fields[1].name",
            ),
            (serde_json::json!([{ "name": "A", "kind": "choice" }]), "contacts.fields[0].choices"),
            (
                serde_json::json!([{ "name": "A", "kind": "choice", "choices": ["x", "x"] }]),
                "contacts.fields[0].choices",
            ),
            (serde_json::json!([{ "name": "A", "kind": "text", "choices": ["x"] }]), "contacts.fields[0].choices"),
            (serde_json::json!([{ "name": "A".repeat(51), "kind": "text" }]), "contacts.fields[0].name"),
        ] {
            let settings: ContactSettings = serde_json::from_value(serde_json::json!({ "fields": fields })).unwrap();
            assert_eq!(settings.check().unwrap_err().field, at, "{fields}");
        }
    }
}
