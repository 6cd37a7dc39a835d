//! How a tenant's agents work: the reasons that they choose from, and how long their phones may be gone.

use serde::{Deserialize, Serialize};

use super::{CallerPage, SettingsError, Words, wrong};
use crate::{model::agent_status::Status, text::Code};

/// For how many seconds an agent's phones may be gone, where nothing else is set.
pub const PHONE_GONE_SECONDS: i32 = 60;

const MOST_REASONS: usize = 50;

/// How a tenant's agents work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// Why somebody is as they are, for people to choose from: such as "Lunch" for `away`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_reasons: Vec<StatusReason>,
    /// Seconds after which an agent with no registered phone counts as away; 0 means never.
    pub phone_gone_seconds: i32,
    /// A caller's page in another system, such as a CRM: `https://crm.example.com/search?phone={number}`. `{number}`, `{name}` and
    /// `{external_id}` stand for what is known of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_page: Option<CallerPage>,
}

/// A reason, and what it is a reason for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusReason {
    /// The status that it is chosen with.
    pub status: Status,
    /// What people read.
    pub name: Words,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self { status_reasons: Vec::new(), phone_gone_seconds: PHONE_GONE_SECONDS, caller_page: None }
    }
}

impl AgentSettings {
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if self.status_reasons.len() > MOST_REASONS {
            return Err(wrong("agents.status_reasons", Code::entries(MOST_REASONS)));
        }
        let mut reasons = self.status_reasons.iter().collect::<Vec<_>>();
        reasons.sort_unstable();
        reasons.dedup();
        if reasons.len() < self.status_reasons.len() {
            return Err(wrong("agents.status_reasons", Code::NamesOneTwice));
        }
        if self.phone_gone_seconds != 0 && !(10..=86_400).contains(&self.phone_gone_seconds) {
            return Err(wrong("agents.phone_gone_seconds", Code::range(10, 86_400)));
        }
        Ok(())
    }
}
