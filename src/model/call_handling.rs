//! How an extension handles its calls.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    model::error::Error,
    text::{Code, DialNumber, Prefix},
};

/// Forwards, do not disturb, follow-me, recording, blocked callers. Numbers are dialled as the extension would dial them, and the
/// extension pays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate setting")]
pub struct CallHandling {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_always: Option<DialNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_busy: Option<DialNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_no_answer: Option<DialNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_not_registered: Option<DialNumber>,
    /// Callers hear that it is busy, or reach voicemail.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub do_not_disturb: bool,
    /// Other phones that ring too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub follow_me: Vec<FollowMe>,
    /// Callers whose numbers (without `+`) begin with one of these are refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_callers: Vec<Prefix>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub record: bool,
    /// Whether it is busy for further callers while it is in a call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub busy_on_busy: bool,
    /// Where its phone stands, if not in the tenant's area: the area code of numbers that it dials without one, such as `089`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_code: Option<Prefix>,
    /// Whether it takes calls as an agent of queues.
    #[serde(skip_serializing_if = "AtQueues::is_default")]
    pub at_queues: AtQueues,
    /// The voicemail greeting (1 to 9, as recorded by phone) that callers hear outside business hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_greeting: Option<u8>,
    /// Whether colleagues may pick up its calls with the feature code. Then callers hear ringing even if no phone is registered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pickup: bool,
    /// Whether its own calls withhold their number. A code before a number says otherwise for one call. Emergency services get it anyway.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withhold_number: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowMe {
    pub number: DialNumber,
    /// How many seconds after the extension's own phone it begins to ring.
    #[serde(default)]
    pub delay_seconds: u8,
    /// Whether whoever answers must press 1 to take the call. This keeps mailboxes from taking it.
    #[serde(default)]
    pub confirm: bool,
}

/// Whether an agent takes calls of queues. Their other calls don't depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtQueues {
    #[default]
    LoggedIn,
    /// For a while.
    Paused,
    LoggedOut,
}

impl AtQueues {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl CallHandling {
    /// The numbers that it dials.
    pub fn dials(&self) -> impl Iterator<Item = &DialNumber> {
        let forwards =
            [&self.forward_always, &self.forward_busy, &self.forward_no_answer, &self.forward_not_registered];
        forwards.into_iter().flatten().chain(self.follow_me.iter().map(|leg| &leg.number))
    }

    /// What differs from `before`, as it is kept: the fields that have their default now, and the others with their values.
    #[must_use]
    pub fn apart_from(&self, before: &Self) -> (Vec<String>, Map<String, Value>) {
        let kept = |calls: &Self| match serde_json::to_value(calls) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let (before, mut set) = (kept(before), kept(self));
        let without = before.keys().filter(|field| !set.contains_key(*field)).cloned().collect();
        set.retain(|field, value| before.get(field) != Some(value));
        (without, set)
    }

    pub fn check(&self) -> Result<(), Error> {
        if self.follow_me.len() > 5 {
            return Err(Error::invalid("calls.follow_me", Code::at_most(5)));
        }
        if self.follow_me.iter().any(|leg| leg.delay_seconds > 120) {
            return Err(Error::invalid("calls.follow_me", Code::DelaysTooLong.with("most", 120)));
        }
        if self.blocked_callers.len() > 200 {
            return Err(Error::invalid("calls.blocked_callers", Code::at_most(200)));
        }
        if self.closed_greeting.is_some_and(|greeting| !(1..=9).contains(&greeting)) {
            return Err(Error::invalid("calls.closed_greeting", Code::range(1, 9)));
        }
        Ok(())
    }
}
