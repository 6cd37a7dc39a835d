//! What a switch is told of its agents: only what differs from what it says.
//!
//! `callcenter.conf` names agents without a status, since each load of a queue would set it again (`load_agent` in mod_callcenter.c). A new
//! agent is logged out until the switch is told otherwise.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    model::agent_status::{OnSwitch, WrapUp},
    switch::{
        link::pushes::AgentName,
        live::{queues::Agent, said::Micros, views::time},
    },
};

/// How long to wait before a command is repeated that had no effect.
pub const PATIENCE: TimeDelta = TimeDelta::seconds(10);

/// A command about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Status(AgentName, OnSwitch),
    /// How many seconds they rest after a call.
    Rest(AgentName, u32),
    /// Until when they get no call, in seconds since 1970.
    Ready(AgentName, i64),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(agent, status) => write!(f, "callcenter_config agent set status {agent} '{status}'"),
            Self::Rest(agent, seconds) => write!(f, "callcenter_config agent set wrap_up_time {agent} {seconds}"),
            Self::Ready(agent, at) => write!(f, "callcenter_config agent set ready_time {agent} {at}"),
        }
    }
}

/// How an agent should be at a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub status: OnSwitch,
    /// How many seconds they usually rest after a call.
    pub rest: u32,
    /// What somebody changed of that, for one call.
    pub wrap_up: Option<WrapUp>,
    /// When the agent, or somebody for them, changed anything.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What the switch was told before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    pub status: Option<(OnSwitch, DateTime<Utc>)>,
}

/// Whether a switch has paused them because they did not answer, and nobody has said otherwise since.
#[must_use]
pub fn is_paused(has: &Agent, changed_at: Option<DateTime<Utc>>) -> Option<Micros> {
    let is_on_break = has.status.as_ref().is_some_and(|(status, _)| status == OnSwitch::OnBreak.as_str());
    has.did_not_answer.filter(|at| is_on_break && changed_at.is_none_or(|changed| changed < time(*at)))
}

/// What is left to tell a switch of an agent.
#[must_use]
pub fn commands(name: &AgentName, has: &Agent, wanted: &Wanted, told: Told, now: DateTime<Utc>) -> Vec<Command> {
    let mut commands = Vec::new();
    let status = has.status.as_ref().map(|(status, _)| status.as_str());
    // Unless it has said something else since.
    let said_at = has.status.as_ref().map(|(_, since)| time(*since));
    let was_told = told.status.is_some_and(|(status, at)| {
        status == wanted.status && now < at + PATIENCE && said_at.is_none_or(|said| said <= at)
    });
    let is_paused = wanted.status == OnSwitch::Available && is_paused(has, wanted.changed_at).is_some();
    if status != Some(wanted.status.as_str()) && !was_told && !is_paused {
        commands.push(Command::Status(name.clone(), wanted.status));
    }
    let is_called = has.state.as_ref().is_some_and(|(state, _)| state == "In a queue call");
    let ended = has.ended.filter(|_| !is_called);
    let changed = wanted.wrap_up.zip(ended).filter(|(change, ended)| change.is_of(*ended));
    let usual_end = |ended: Micros| time(ended) + TimeDelta::seconds(wanted.rest.into());
    let (mut rest, mut ready) = (wanted.rest, None);
    if let Some((change, ended)) = changed {
        if change.ends <= now {
            rest = 0;
            ready =
                has.ready_at.filter(|at| *at > now.timestamp() && usual_end(ended) < time(*at * 1_000_000)).map(|_| 0);
        } else if change.ends > usual_end(ended) + TimeDelta::seconds(1) {
            let until = change.ends.timestamp();
            ready = (has.ready_at.unwrap_or_default() < until - 1).then_some(until);
        }
    }
    // What is not known of an agent is what the switch read.
    if has.wrap_up.is_some_and(|known| known != rest) || has.wrap_up.is_none() && rest != wanted.rest {
        commands.push(Command::Rest(name.clone(), rest));
    }
    commands.extend(ready.map(|at| Command::Ready(name.clone(), at)));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;
    const NOW: i64 = 1_790_000_000;

    fn at(seconds: i64) -> DateTime<Utc> {
        time((NOW + seconds) * SECOND)
    }

    fn wanted(status: OnSwitch) -> Wanted {
        Wanted { status, rest: 30, wrap_up: None, changed_at: None }
    }

    fn has(status: &str) -> Agent {
        Agent { status: Some((status.to_owned(), NOW * SECOND)), wrap_up: Some(30), ..Agent::default() }
    }

    fn said(has: &Agent, wanted: &Wanted) -> Vec<String> {
        let name = "1001@acme.test".parse().unwrap();
        commands(&name, has, wanted, Told::default(), at(0)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_differs_is_told() {
        use OnSwitch::{Available, LoggedOut, OnBreak};
        for status in [Available, OnBreak, LoggedOut] {
            assert!(said(&has(status.as_str()), &wanted(status)).is_empty(), "{status}");
        }
        let told = said(&has("Available"), &wanted(OnBreak));
        assert_eq!(told, ["callcenter_config agent set status 1001@acme.test 'On Break'"]);
        let told = said(&has("On Break"), &wanted(LoggedOut));
        assert_eq!(told, ["callcenter_config agent set status 1001@acme.test 'Logged Out'"]);
        assert_eq!(said(&Agent::default(), &wanted(Available)).len(), 1, "of a new agent nothing is known");
        // It was told a moment ago, and has not said so yet.
        let name = "1001@acme.test".parse().unwrap();
        let told = Told { status: Some((OnBreak, at(0))) };
        assert!(commands(&name, &has("Available"), &wanted(OnBreak), told, at(0)).is_empty());
        assert_eq!(commands(&name, &has("Available"), &wanted(LoggedOut), told, at(0)).len(), 1);
        assert_eq!(commands(&name, &has("Available"), &wanted(OnBreak), told, at(11)).len(), 1, "it had no effect");
        let mut again = has("Available");
        again.status = Some(("Available".into(), (NOW + 1) * SECOND));
        assert_eq!(commands(&name, &again, &wanted(OnBreak), told, at(2)).len(), 1, "it said something else since");
    }

    #[test]
    fn whom_a_switch_paused_is_left_alone_until_somebody_says_otherwise() {
        let mut paused = Agent { did_not_answer: Some(NOW * SECOND), ..has("On Break") };
        let mut available = wanted(OnSwitch::Available);
        assert!(said(&paused, &available).is_empty());
        available.changed_at = Some(at(-5));
        assert!(said(&paused, &available).is_empty(), "it was chosen before");
        available.changed_at = Some(at(5));
        assert_eq!(said(&paused, &available).len(), 1, "they are back");
        assert_eq!(said(&paused, &wanted(OnSwitch::LoggedOut)).len(), 1, "they went home");
        paused.status = Some(("Available".into(), NOW * SECOND));
        assert_eq!(is_paused(&paused, None), None);
    }

    #[test]
    fn the_time_after_a_call_ends_early_or_late_for_this_call_only() {
        let mut agent = Agent { ended: Some((NOW - 10) * SECOND + 7), ..has("Available") };
        let mut wants = wanted(OnSwitch::Available);
        let of = (NOW - 10) * SECOND + 7;
        wants.wrap_up = Some(WrapUp { of, ends: at(0) });
        assert_eq!(said(&agent, &wants), ["callcenter_config agent set wrap_up_time 1001@acme.test 0"]);
        agent.wrap_up = Some(0);
        assert!(said(&agent, &wants).is_empty(), "it was told");
        // The next call: as usual.
        agent.state = Some(("In a queue call".into(), NOW * SECOND));
        assert_eq!(said(&agent, &wants), ["callcenter_config agent set wrap_up_time 1001@acme.test 30"]);
        (agent.state, agent.wrap_up) = (None, Some(30));
        wants.wrap_up = Some(WrapUp { of, ends: at(5) });
        assert!(said(&agent, &wants).is_empty(), "not yet");
        wants.wrap_up = Some(WrapUp { of, ends: at(300) });
        let until = NOW + 300;
        assert_eq!(said(&agent, &wants), [format!("callcenter_config agent set ready_time 1001@acme.test {until}")]);
        agent.ready_at = Some(until);
        assert!(said(&agent, &wants).is_empty());
        // Ended after it was made longer.
        wants.wrap_up = Some(WrapUp { of, ends: at(-1) });
        assert_eq!(
            said(&agent, &wants),
            [
                "callcenter_config agent set wrap_up_time 1001@acme.test 0",
                "callcenter_config agent set ready_time 1001@acme.test 0"
            ]
        );
        wants.wrap_up = Some(WrapUp { of: of - 1, ends: at(-1) });
        assert!(said(&agent, &wants).is_empty(), "it was about an earlier call");
    }
}
