//! A tenant's own dialplan entries: conditions and actions as on a switch, but decided here. Their steps are part of the
//! list in `applications`, and their arguments are checked texts: an entry can't reach another tenant, a file or the switch.
//!
//! Conditions are tried in order. A condition that holds adds its `actions`, one that doesn't adds its `anti_actions`;
//! `break` says when to stop. An entry matches if the last condition tried held, or if anti-actions were added. The work of
//! trying all entries for a call is estimated ([`EntryBody::cost`]) and bounded, whatever is dialled.

use serde::{Deserialize, Serialize};

pub use super::patterns::Pattern;
use crate::{
    model::{
        destination::{Prompt, Target},
        settings::BusinessHours,
    },
    text::{CallVariable, Code, DialNumber, TextError, TimeZone},
};

/// A dialplan entry in a plan.
#[derive(Debug, Clone, Deserialize)]
pub struct PlanEntry {
    pub name: String,
    pub body: EntryBody,
    /// Why it is skipped: it was saved before today's limits, and exceeds them.
    #[serde(skip)]
    pub left_out: Option<&'static str>,
    /// Whether its XML was checked and is allowed.
    #[serde(skip)]
    pub(super) xml_is_fine: bool,
    /// Its XML for a switch.
    #[serde(skip)]
    pub for_switch: Option<ForSwitch>,
}

/// XML as a switch gets it.
#[derive(Debug, Clone)]
pub struct ForSwitch {
    pub xml: String,
    /// Whether it dials over a gateway itself.
    pub dials_outside: bool,
}

impl PlanEntry {
    #[must_use]
    pub fn xml(&self) -> Option<&str> {
        if let EntryBody::Xml(text) = &self.body { Some(text) } else { None }
    }

    pub(super) fn is_checked(&self) -> bool {
        self.xml_is_fine || self.xml().is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryBody {
    Conditions(Vec<Condition>),
    /// `<extension>` elements for the switch; only platform administrators may write them.
    Xml(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    #[serde(default)]
    pub field: Field,
    /// If absent, the condition always holds (within its hours).
    pub pattern: Option<Pattern>,
    /// The condition holds only within these hours.
    pub hours: Option<BusinessHours>,
    pub time_zone: Option<TimeZone>,
    #[serde(default, rename = "break")]
    pub stop: Break,
    #[serde(default)]
    pub actions: Vec<Step>,
    #[serde(default)]
    pub anti_actions: Vec<Step>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    #[default]
    DestinationNumber,
    /// The number that the caller presents, which can be forged.
    CallerNumber,
    /// The extension that calls, authenticated; empty for calls from outside.
    CallerExtension,
}

/// When to stop trying conditions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    #[default]
    OnFalse,
    OnTrue,
    Always,
    Never,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "application", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    Answer,
    PreAnswer,
    RingReady,
    Sleep {
        milliseconds: u16,
    },
    Play {
        prompt: Prompt,
    },
    Set(CallVariable),
    /// Dials a number in the tenant's context; `{1}` is what the pattern's first group matched.
    Dial {
        number: DialTemplate,
    },
    Go {
        target: Target,
    },
    Hangup {
        cause: Cause,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    NormalClearing,
    UserBusy,
    CallRejected,
    UnallocatedNumber,
    NoAnswer,
}

impl Cause {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NormalClearing => "NORMAL_CLEARING",
            Self::UserBusy => "USER_BUSY",
            Self::CallRejected => "CALL_REJECTED",
            Self::UnallocatedNumber => "UNALLOCATED_NUMBER",
            Self::NoAnswer => "NO_ANSWER",
        }
    }
}

crate::text::text_type!(
    /// A number to dial, with `{1}` to `{9}` for what a pattern's groups matched.
    DialTemplate, parse_template, "0{1}"
);

fn parse_template(text: &str) -> Result<String, TextError> {
    const WHAT: TextError = TextError(Code::NotATemplate);
    let mut bare = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        bare.push_str(&rest[..at]);
        let group = &rest.as_bytes()[at..];
        if group.len() < 3 || !(b'1'..=b'9').contains(&group[1]) || group[2] != b'}' {
            return Err(WHAT);
        }
        bare.push('1');
        rest = &rest[at + 3..];
    }
    bare.push_str(rest);
    DialNumber::parse(&bare).map(|_| text.to_owned()).map_err(|_| WHAT)
}

impl DialTemplate {
    /// The number to dial, if the matched groups give a valid one.
    pub(super) fn fill(&self, groups: &[String]) -> Option<DialNumber> {
        let mut number = self.as_str().to_owned();
        for (at, group) in groups.iter().enumerate().skip(1).take(9) {
            number = number.replace(&format!("{{{at}}}"), group);
        }
        DialNumber::parse(&number).ok()
    }
}

/// What a condition costs besides its pattern, and what its hours add.
const CONDITION: usize = 5;
const HOURS: usize = 20;
/// The most that all entries of a tenant may cost together.
pub const MOST_COST: usize = 20_000;

impl EntryBody {
    /// The destinations it leads to.
    #[must_use]
    pub fn targets(&self) -> std::collections::BTreeSet<Target> {
        let Self::Conditions(conditions) = self else { return std::collections::BTreeSet::new() };
        let steps = conditions.iter().flat_map(|condition| condition.actions.iter().chain(&condition.anti_actions));
        steps.filter_map(|step| if let Step::Go { target } = step { Some(*target) } else { None }).collect()
    }

    /// The numbers that it dials.
    #[must_use]
    pub fn dials(&self) -> Vec<String> {
        if let Self::Xml(kept) = self {
            return super::raw::dials(kept);
        }
        let steps = self.conditions().iter().flat_map(|at| at.actions.iter().chain(&at.anti_actions));
        steps
            .filter_map(|step| if let Step::Dial { number } = step { Some(number.to_string()) } else { None })
            .collect()
    }

    pub fn check(&self) -> Result<(), crate::model::error::Error> {
        use crate::model::error::Error;
        let Self::Conditions(conditions) = self else { return Ok(()) };
        if !(1..=20).contains(&conditions.len()) {
            return Err(Error::invalid("conditions", Code::range(1, 20)));
        }
        if conditions.iter().any(|condition| condition.actions.len() + condition.anti_actions.len() > 20) {
            return Err(Error::invalid("conditions", Code::TooManyActions.with("most", 20)));
        }
        if !conditions.iter().any(|condition| !condition.actions.is_empty() || !condition.anti_actions.is_empty()) {
            return Err(Error::invalid("conditions", Code::NoAction));
        }
        for hours in conditions.iter().filter_map(|condition| condition.hours.as_ref()) {
            hours.check().map_err(|error| Error::InvalidAt { field: error.field, why: error.why })?;
        }
        for (at, condition) in conditions.iter().enumerate() {
            let Some(pattern) = &condition.pattern else { continue };
            pattern
                .check()
                .map_err(|error| Error::InvalidAt { field: format!("conditions[{at}].pattern"), why: error.into() })?;
        }
        Ok(())
    }

    fn conditions(&self) -> &[Condition] {
        match self {
            Self::Conditions(conditions) => conditions,
            Self::Xml(_) => &[],
        }
    }

    /// The most work that trying the entry takes, in pattern states per character compared. Compiles its patterns; `None` if
    /// one can't be compiled.
    #[must_use]
    pub fn cost(&self) -> Option<usize> {
        self.conditions().iter().try_fold(0, |sum, condition| {
            let states = condition.pattern.as_ref().map_or(Some(0), Pattern::states)?;
            Some(sum + CONDITION + states + if condition.hours.is_some() { HOURS } else { 0 })
        })
    }

    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.conditions().iter().filter_map(|condition| condition.pattern.as_ref())
    }

    pub fn patterns_mut(&mut self) -> impl Iterator<Item = &mut Pattern> {
        let conditions = match self {
            Self::Conditions(conditions) => conditions.as_mut_slice(),
            Self::Xml(_) => &mut [],
        };
        conditions.iter_mut().filter_map(|condition| condition.pattern.as_mut())
    }
}
