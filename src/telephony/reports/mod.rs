//! Figures of calls: how many, how soon they were answered, how long they lasted, what they cost. They come from quarters of an hour that are
//! computed anew whenever a call in them changes (`roll_store`).

pub mod api;
pub mod mails;
pub mod mails_store;
pub mod make;
pub mod roll_store;
pub mod store;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::exchange::Amount;

/// What each row of a report is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// All calls together.
    #[default]
    All,
    /// The agent who called out or took the call, or whose phone rang.
    Agent,
    Queue,
    /// The tenant's phone number.
    Number,
    /// Each try over a carrier counts as a call.
    Carrier,
    /// The country of the number outside.
    Country,
    Disposition,
}

impl By {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Agent => "agent",
            Self::Queue => "queue",
            Self::Number => "number",
            Self::Carrier => "carrier",
            Self::Country => "country",
            Self::Disposition => "disposition",
        }
    }
}

/// How much time each row of a report covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
}

impl Per {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// The thresholds of service levels, in seconds.
pub const WITHIN: [i32; 9] = [5, 10, 15, 20, 30, 45, 60, 90, 120];

/// The threshold that is meant where none is said.
pub const LEVEL_WITHIN: i32 = 20;

/// Sums over calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    pub calls: i64,
    pub answered: i64,
    pub voicemail: i64,
    pub abandoned: i64,
    pub missed: i64,
    pub busy: i64,
    pub failed: i64,
    pub refused: i64,
    pub wait_ms: i64,
    pub longest_ms: i64,
    /// Answered within the threshold that was asked for.
    pub within: i64,
    pub talk_ms: i64,
    pub billed_seconds: i64,
    pub cost: i64,
    pub rang: i64,
    pub ringing_ms: i64,
    /// What is in another currency, without a rate of exchange for its day: not in `cost`.
    pub unconverted: BTreeMap<String, i64>,
}

impl Sums {
    /// What could not be converted, as it is shown.
    #[must_use]
    pub fn unconverted(&self) -> Vec<Amount> {
        let amounts = self.unconverted.iter();
        amounts.map(|(currency, amount)| Amount { currency: currency.clone(), amount: *amount }).collect()
    }
}

/// What a report says about some calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// How many calls there were.
    pub calls: i64,
    /// Calls that somebody took, or that a menu, an announcement or a conference answered.
    pub answered: i64,
    /// Calls that left a message.
    pub voicemail: i64,
    /// Calls whose callers hung up while waiting in a queue.
    pub abandoned: i64,
    /// Calls that nobody took.
    pub missed: i64,
    /// Calls whose called party was busy.
    pub busy: i64,
    /// Calls that could not be connected.
    pub failed: i64,
    /// Calls that were not allowed.
    pub refused: i64,
    /// The share of answered calls among all, 0 to 1. Of a carrier, its ASR.
    pub answer_rate: Option<f64>,
    /// The share of calls that reached whom they were for, whether or not they were taken, 0 to 1: all but those that failed or were not allowed.
    /// Of a carrier, its NER (ITU-T E.425).
    pub reached_rate: Option<f64>,
    /// How long those waited who were answered, on average.
    pub average_wait_seconds: Option<f64>,
    /// Of all calls, also of those that nobody took.
    pub longest_wait_seconds: f64,
    /// The share of calls that were answered within `within_seconds`, among those that were answered or abandoned.
    pub service_level: Option<f64>,
    /// Of all calls together.
    pub talk_seconds: i64,
    /// Of answered calls. Of a carrier, its ACD.
    pub average_talk_seconds: Option<f64>,
    /// Seconds that carriers are paid for, before rounding up to their steps.
    pub billed_seconds: i64,
    /// In millionths of the tenant's currency. Amounts in other currencies are converted with the rate of exchange of their day.
    pub cost: i64,
    /// Amounts in other currencies, without a rate of exchange for their day. They are not in `cost`.
    pub unconverted: Vec<Amount>,
    /// How long it took on average until it rang at a carrier's called party: its PDD.
    pub average_ringing_after_seconds: Option<f64>,
}

impl From<&Sums> for Figures {
    fn from(sums: &Sums) -> Self {
        Self {
            calls: sums.calls,
            answered: sums.answered,
            voicemail: sums.voicemail,
            abandoned: sums.abandoned,
            missed: sums.missed,
            busy: sums.busy,
            failed: sums.failed,
            refused: sums.refused,
            answer_rate: share(sums.answered, sums.calls),
            reached_rate: share(sums.calls - sums.failed - sums.refused, sums.calls),
            average_wait_seconds: average(sums.wait_ms, sums.answered),
            longest_wait_seconds: seconds(sums.longest_ms),
            service_level: share(sums.within, sums.answered + sums.abandoned),
            talk_seconds: sums.talk_ms / 1000,
            average_talk_seconds: average(sums.talk_ms, sums.answered),
            billed_seconds: sums.billed_seconds,
            cost: sums.cost,
            unconverted: sums.unconverted(),
            average_ringing_after_seconds: average(sums.ringing_ms, sums.rang),
        }
    }
}

/// How an agent was in the time of a row, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AgentTimes {
    /// Ready for calls of queues.
    pub available_seconds: i64,
    /// A queue rang their phone.
    pub ringing_seconds: i64,
    /// On calls, of queues and others.
    pub on_call_seconds: i64,
    /// After calls of queues.
    pub wrap_up_seconds: i64,
    /// At work, but not with queues.
    pub busy_seconds: i64,
    /// On a break, or paused.
    pub away_seconds: i64,
    /// The share of calls and wrap-up in the time that they could have had calls, 0 to 1.
    pub occupancy: Option<f64>,
    /// The share of the time that they could have had calls in the time that they were at work, 0 to 1.
    pub availability: Option<f64>,
}

impl AgentTimes {
    /// Adds a time that they were in a state. What is no time at work is left out.
    pub fn add(&mut self, state: &str, seconds: i64) {
        let place = match state {
            "available" => &mut self.available_seconds,
            "ringing" => &mut self.ringing_seconds,
            "on_call" => &mut self.on_call_seconds,
            "wrap_up" => &mut self.wrap_up_seconds,
            "busy" => &mut self.busy_seconds,
            "away" => &mut self.away_seconds,
            _ => return,
        };
        *place += seconds;
        let with_calls = self.on_call_seconds + self.wrap_up_seconds;
        let ready = self.available_seconds + self.ringing_seconds + with_calls;
        self.occupancy = share(with_calls, ready);
        self.availability = share(ready, ready + self.busy_seconds + self.away_seconds);
    }
}

/// One row of a report.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReportRow {
    /// When its time begins; absent without `per`.
    pub begins_at: Option<DateTime<Utc>>,
    /// What it is about: an id, a country, a disposition; absent for all calls.
    pub key: Option<String>,
    /// The name of that, if it has one.
    pub name: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
    /// How the agent was, if the report is by agent and `expand=times` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<AgentTimes>,
}

/// Figures of calls.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CallReport {
    /// In which days, weeks and months are counted.
    pub time_zone: String,
    /// Of the costs: the tenant's currency.
    pub currency: Option<String>,
    /// The first day.
    pub since: chrono::NaiveDate,
    /// The last day.
    pub until: chrono::NaiveDate,
    /// What the service level is about.
    pub within_seconds: i32,
    /// All of them together.
    pub total: Figures,
    /// The same of as many days before.
    pub before: Figures,
    /// By time, or the largest first.
    pub rows: Vec<ReportRow>,
    /// Whether there are more rows, which are left out: a report has 10,000 at most. `total` is of all of them.
    pub more: bool,
}

#[expect(clippy::cast_precision_loss, reason = "a share of calls needs no more digits than a float has")]
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64, 10_000.0))
}

#[expect(clippy::cast_precision_loss, reason = "a duration needs no more digits than a float has")]
fn average(sum_ms: i64, count: i64) -> Option<f64> {
    (count > 0).then(|| rounded(sum_ms as f64 / 1000.0 / count as f64, 100.0))
}

#[expect(clippy::cast_precision_loss, reason = "a duration needs no more digits than a float has")]
fn seconds(millis: i64) -> f64 {
    rounded(millis as f64 / 1000.0, 100.0)
}

fn rounded(number: f64, steps: f64) -> f64 {
    (number * steps).round() / steps
}
