//! Tries a tenant's own entries for a call: the first that matches decides.

use super::{
    Call,
    entries::{Break, Condition, EntryBody, Field, Step},
    plan::Plan,
    trace::Trace,
};
use crate::text::DialNumber;

/// What an entry does: a [`Step`], or a number filled in from its template.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    Step(Step),
    Dial(DialNumber),
}

/// What a call's answer depends on besides the dialled number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    pub at_caller: bool,
    pub at_number: bool,
    pub at_time: bool,
}

/// The first entry that matches, and what it does.
#[must_use]
pub fn run(plan: &Plan, call: &Call<'_>, looked: &mut Looked, trace: &mut Trace) -> Option<Vec<Done>> {
    for entry in &plan.entries {
        if let Some(why) = entry.left_out {
            trace.note("entry", false, || format!("{}: left out, because {why}", entry.name));
            continue;
        }
        match &entry.body {
            EntryBody::Xml(_) => {
                trace.note("entry", false, || format!("{}: XML, which the switch itself tries first", entry.name));
            }
            EntryBody::Conditions(conditions) => {
                let done = walk(plan, conditions, call, looked);
                trace.note("entry", done.is_some(), || entry.name.clone());
                if done.is_some() {
                    return done;
                }
            }
        }
    }
    None
}

fn walk(plan: &Plan, conditions: &[Condition], call: &Call<'_>, looked: &mut Looked) -> Option<Vec<Done>> {
    let mut done = Vec::new();
    let mut matches = false;
    for condition in conditions {
        let groups = holds(plan, condition, call, looked);
        let steps = if groups.is_some() { &condition.actions } else { &condition.anti_actions };
        let held = groups.is_some();
        matches = held || !steps.is_empty();
        let groups = groups.unwrap_or_default();
        for step in steps {
            done.push(match step {
                Step::Dial { number } => Done::Dial(number.fill(&groups)?),
                other => Done::Step(other.clone()),
            });
        }
        let stops = match condition.stop {
            Break::OnFalse => !held,
            Break::OnTrue => held,
            Break::Always => true,
            Break::Never => false,
        };
        if stops {
            break;
        }
    }
    (matches && !done.is_empty()).then_some(done)
}

/// If the condition holds, what the pattern's groups matched.
fn holds(plan: &Plan, condition: &Condition, call: &Call<'_>, looked: &mut Looked) -> Option<Vec<String>> {
    if let Some(hours) = &condition.hours {
        looked.at_time = true;
        if !hours.is_open(call.at, &plan.zone(condition.time_zone.as_ref())) {
            return None;
        }
    }
    let Some(pattern) = &condition.pattern else { return Some(Vec::new()) };
    let text = match condition.field {
        Field::DestinationNumber => call.dialled,
        Field::CallerNumber => {
            looked.at_number = true;
            call.caller_number.unwrap_or_default()
        }
        Field::CallerExtension => {
            looked.at_caller = true;
            call.caller.map_or("", |caller| caller.as_str())
        }
    };
    pattern.captures(text)
}
