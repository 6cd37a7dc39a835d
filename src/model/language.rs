//! The languages of mails and pages.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The language of a person's mails and pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Language {
    #[default]
    En,
    De,
}

impl Language {
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

impl FromStr for Language {
    type Err = &'static str;
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text {
            "en" => Ok(Self::En),
            "de" => Ok(Self::De),
            _ => Err("must be en or de"),
        }
    }
}
