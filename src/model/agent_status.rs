//! How an agent is: what they choose, and what mod_callcenter calls it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::call_handling::AtQueues;

/// What an agent chooses, or somebody for them.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = AgentStatusName)]
pub enum Status {
    /// Queues ring their phones. So is whoever never chose.
    #[default]
    Available,
    /// At work, but not with queues.
    Busy,
    /// On a break.
    Away,
    /// Not at work.
    Offline,
}

impl Status {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }

    /// What a feature code says.
    #[must_use]
    pub fn of_code(code: AtQueues) -> Self {
        match code {
            AtQueues::LoggedIn => Self::Available,
            AtQueues::Paused => Self::Away,
            AtQueues::LoggedOut => Self::Offline,
        }
    }
}

/// Why somebody is away who did not choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = AgentAwayCause)]
pub enum Cause {
    /// They let as many calls of queues ring as the queue allows, and the switch paused them.
    DidNotAnswer,
    /// None of their phones has been registered for longer than the tenant allows.
    PhoneGone,
}

impl Cause {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DidNotAnswer => "did_not_answer",
            Self::PhoneGone => "phone_gone",
        }
    }
}

/// An agent's status in mod_callcenter (`AGENT_STATUS_CHART` in mod_callcenter.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnSwitch {
    Available,
    OnBreak,
    LoggedOut,
}

impl OnSwitch {
    /// What an extension should have: of two that say different things, the one that takes fewer calls counts. `chosen`: by the extension's
    /// agent, if it has one.
    #[must_use]
    pub fn wanted(chosen: Option<(Status, bool)>, code: AtQueues) -> Self {
        let by_person = match chosen {
            None | Some((Status::Available, false)) => Self::Available,
            Some((Status::Available | Status::Busy | Status::Away, _)) => Self::OnBreak,
            Some((Status::Offline, _)) => Self::LoggedOut,
        };
        let by_code = match code {
            AtQueues::LoggedIn => Self::Available,
            AtQueues::Paused => Self::OnBreak,
            AtQueues::LoggedOut => Self::LoggedOut,
        };
        by_person.max(by_code)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::OnBreak => "On Break",
            Self::LoggedOut => "Logged Out",
        }
    }
}

impl fmt::Display for OnSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The time after a call that somebody changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapUp {
    /// When the call ended that it follows, in microseconds of the switch's clock.
    pub of: i64,
    pub ends: DateTime<Utc>,
}

impl WrapUp {
    /// Whether it is about the call that ended then. What is known from a switch's list is in whole seconds, and up to one late.
    #[must_use]
    pub fn is_of(&self, ended: i64) -> bool {
        const SECOND: i64 = 1_000_000;
        let is_rough = self.of % SECOND == 0 || ended % SECOND == 0;
        self.of == ended || is_rough && (self.of - ended).abs() < 3 * SECOND / 2
    }
}

/// What is kept of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub tenant: Uuid,
    pub user: Uuid,
    pub status: Status,
    pub reason: Option<String>,
    /// `None` if somebody chose it.
    pub cause: Option<Cause>,
    pub since: DateTime<Utc>,
    /// Who chose it, if not the agent.
    pub set_by: Option<String>,
    /// Since when no phone of theirs is registered, if that is too long.
    pub gone_at: Option<DateTime<Utc>>,
    pub wrap_up: Option<WrapUp>,
    pub changed_at: DateTime<Utc>,
}

impl Chosen {
    /// What switches need to know: the status, and whether the phones are gone.
    #[must_use]
    pub fn for_switches(&self) -> (Status, bool) {
        (self.status, self.gone_at.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_told_what_takes_fewer_calls() {
        use AtQueues::{LoggedIn, LoggedOut, Paused};
        use OnSwitch::{Available, OnBreak};
        for (chosen, code, wanted) in [
            (None, LoggedIn, Available),
            (None, Paused, OnBreak),
            (None, LoggedOut, OnSwitch::LoggedOut),
            (Some((Status::Available, false)), LoggedIn, Available),
            (Some((Status::Available, true)), LoggedIn, OnBreak),
            (Some((Status::Busy, false)), LoggedIn, OnBreak),
            (Some((Status::Away, false)), LoggedIn, OnBreak),
            (Some((Status::Offline, true)), LoggedIn, OnSwitch::LoggedOut),
            (Some((Status::Available, false)), LoggedOut, OnSwitch::LoggedOut),
            (Some((Status::Offline, false)), Paused, OnSwitch::LoggedOut),
        ] {
            assert_eq!(OnSwitch::wanted(chosen, code), wanted, "{chosen:?} {code:?}");
        }
    }
}
