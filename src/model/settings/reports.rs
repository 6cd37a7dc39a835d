//! Reports that come by mail.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{SettingsError, Words, wrong};
use crate::text::Code;

const MOST_MAILS: usize = 20;
const MOST_RECIPIENTS: usize = 50;

/// Reports that come by mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// Up to 20, each with a name of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mails: Vec<ReportMail>,
}

/// A report that comes by mail, as a table (CSV).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportMail {
    /// What the mail's subject says.
    pub name: Words,
    /// How often it comes: at six in the morning, in the tenant's time zone, about the day, the week from Monday, or the month that is over.
    pub every: ReportEvery,
    /// What each row is about.
    #[serde(default)]
    pub by: ReportMailBy,
    /// The ids of people of the tenant who may see reports (owners, administrators, managers), 1 to 50.
    pub recipients: Vec<Uuid>,
}

/// How often a report comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportEvery {
    Day,
    Week,
    Month,
}

/// What each row of a report by mail is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportMailBy {
    /// All calls together.
    #[default]
    Total,
    /// With how long each was available, on calls, in wrap-up, busy and away.
    Agent,
    Queue,
    Number,
    Country,
    Disposition,
}

impl ReportSettings {
    pub(super) fn is_usual(&self) -> bool {
        self.mails.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if self.mails.len() > MOST_MAILS {
            return Err(wrong("reports.mails", Code::entries(MOST_MAILS)));
        }
        for (at, mail) in self.mails.iter().enumerate() {
            if mail.recipients.is_empty() || mail.recipients.len() > MOST_RECIPIENTS {
                return Err(wrong(&format!("reports.mails[{at}].recipients"), Code::range(1, MOST_RECIPIENTS)));
            }
            if self.mails[..at].iter().any(|other| other.name == mail.name) {
                return Err(wrong(&format!("reports.mails[{at}].name"), Code::NamesOneTwice));
            }
        }
        Ok(())
    }
}
