use chrono::TimeDelta;

use super::*;
use crate::model::agent_status::WrapUp;

const NOW: Micros = 1_790_000_000_000_000;

fn chosen(status: Status) -> Chosen {
    let at = time(NOW - 100 * SECOND);
    Chosen {
        tenant: Uuid::nil(),
        user: Uuid::nil(),
        status,
        reason: None,
        cause: None,
        since: at,
        set_by: None,
        gone_at: None,
        wrap_up: None,
        changed_at: at,
    }
}

fn agent(status: &str, state: &str) -> queues::Agent {
    let since = |text: &str| Some((text.to_owned(), NOW - 50 * SECOND));
    queues::Agent { status: since(status), state: since(state), ..queues::Agent::default() }
}

/// A person who chose this, and of whom a switch says that.
fn person(status: Status, agents: Vec<queues::Agent>) -> Parts {
    let agents = agents.into_iter().map(|agent| (agent, 30)).collect();
    Parts { chosen: Some(Some(chosen(status))), agents, ..Parts::default() }
}

fn state(parts: &Parts) -> AgentState {
    parts.shown(NOW).state
}

#[test]
fn what_is_shown_follows_from_what_was_chosen_and_what_the_switch_says() {
    use AgentState::{Available, Away, Busy, Offline, OnCall, Ringing, Unknown, WrapUp};
    let ended =
        |seconds: Micros| queues::Agent { ended: Some(NOW - seconds * SECOND), ..agent("Available", "Waiting") };
    for (parts, wanted) in [
        (person(Status::Available, Vec::new()), Available),
        (Parts { chosen: Some(None), ..Parts::default() }, Available),
        (person(Status::Busy, Vec::new()), Busy),
        (person(Status::Away, vec![agent("On Break", "Waiting")]), Away),
        (person(Status::Offline, vec![agent("Logged Out", "Waiting")]), Offline),
        (person(Status::Available, vec![agent("Available", "Waiting")]), Available),
        (person(Status::Available, vec![agent("Available", "Receiving")]), Ringing),
        (person(Status::Available, vec![agent("Available", "Reserved")]), Ringing),
        (person(Status::Available, vec![agent("Available", "In a queue call")]), OnCall),
        // Whoever ends their work during a call is still in it.
        (person(Status::Offline, vec![agent("Logged Out", "In a queue call")]), OnCall),
        (Parts { call: Some(NOW), ..person(Status::Away, Vec::new()) }, OnCall),
        (person(Status::Available, vec![ended(10)]), WrapUp),
        (person(Status::Available, vec![ended(40)]), Available),
        // A break is a break, also after a call.
        (person(Status::Away, vec![ended(10)]), Away),
        // An extension of nobody has what the switch says.
        (Parts { agents: vec![(agent("On Break", "Waiting"), 0)], ..Parts::default() }, Away),
        (Parts { agents: vec![(agent("Logged Out", "Waiting"), 0)], ..Parts::default() }, Offline),
        (Parts { agents: vec![(agent("Available", "Waiting"), 0)], ..Parts::default() }, Available),
        (Parts { agents: vec![(queues::Agent::default(), 0)], ..Parts::default() }, Unknown),
    ] {
        assert_eq!(state(&parts), wanted, "{parts:?}");
    }
}

#[test]
fn a_command_under_way_is_not_shown_but_what_a_switch_does_by_itself_is() {
    // Available was chosen after the switch had logged them out, and it was not told yet.
    let mut late = person(Status::Available, vec![agent("Logged Out", "Waiting")]);
    late.chosen.as_mut().unwrap().as_mut().unwrap().changed_at = time(NOW - 50 * SECOND + 1);
    assert_eq!(state(&late), AgentState::Available);
    // It has them logged out because they are new to it.
    let new = queues::Agent { status: Some(("Logged Out".into(), 0)), ..queues::Agent::default() };
    let new = Parts { chosen: Some(None), agents: vec![(new, 0)], ..Parts::default() };
    assert_eq!(state(&new), AgentState::Available);
    // Somebody did it at the switch, long after.
    let by_hand = person(Status::Available, vec![agent("On Break", "Waiting")]);
    assert_eq!((state(&by_hand), by_hand.shown(NOW).cause), (AgentState::Away, None));
    // Another switch has them available: they get calls.
    let both = person(Status::Available, vec![agent("On Break", "Waiting"), agent("Available", "Waiting")]);
    assert_eq!(state(&both), AgentState::Available);
}

#[test]
fn whoever_is_away_without_having_chosen_it_is_told_why() {
    let paused = |at: Micros| queues::Agent { did_not_answer: Some(at), ..agent("On Break", "Waiting") };
    let shown = person(Status::Available, vec![paused(NOW - 50 * SECOND)]).shown(NOW);
    assert_eq!((shown.state, shown.cause), (AgentState::Away, Some(Cause::DidNotAnswer)));
    assert_eq!(shown.since, Some(NOW - 50 * SECOND));
    // They came back after it.
    let mut back = person(Status::Available, vec![paused(NOW - 101 * SECOND)]);
    back.chosen.as_mut().unwrap().as_mut().unwrap().changed_at = time(NOW - 49 * SECOND);
    assert_eq!(state(&back), AgentState::Available);
    let mut gone = person(Status::Available, vec![agent("On Break", "Waiting")]);
    gone.chosen.as_mut().unwrap().as_mut().unwrap().gone_at = Some(time(NOW - 5 * SECOND));
    let shown = gone.shown(NOW);
    assert_eq!(
        (shown.state, shown.cause, shown.since),
        (AgentState::Away, Some(Cause::PhoneGone), Some(NOW - 5 * SECOND))
    );
    let mut reason = person(Status::Away, Vec::new());
    let chosen = reason.chosen.as_mut().unwrap().as_mut().unwrap();
    (chosen.reason, chosen.set_by) = (Some("Lunch".into()), Some("Ada".into()));
    let shown = reason.shown(NOW);
    assert_eq!((shown.reason.as_deref(), shown.set_by.as_deref()), (Some("Lunch"), Some("Ada")));
}

#[test]
fn the_time_after_a_call_is_that_of_this_call_and_can_be_changed() {
    let ended = NOW - 10 * SECOND + 400_000;
    let mut parts =
        person(Status::Available, vec![queues::Agent { ended: Some(ended), ..agent("Available", "Waiting") }]);
    assert_eq!(parts.wrap_up(), Some((ended, ended + 30 * SECOND)));
    assert_eq!(parts.shown(NOW).until, Some(ended + 30 * SECOND));
    assert_eq!(parts.shown(NOW).since, Some(ended));
    let mut set = |of: i64, seconds: i64| {
        let ends = time(NOW) + TimeDelta::seconds(seconds);
        parts.chosen.as_mut().unwrap().as_mut().unwrap().wrap_up = Some(WrapUp { of, ends });
        parts.shown(NOW)
    };
    assert_eq!(set(ended, 300).until, Some(NOW + 300 * SECOND));
    let ended_early = set((ended / SECOND + 1) * SECOND, 0);
    assert_eq!((ended_early.state, ended_early.since), (AgentState::Available, Some(NOW)));
    // It was about an earlier call.
    assert_eq!(set(ended - 1, 0).state, AgentState::WrapUp);
    // A call of which the switch says nothing more.
    assert_eq!(person(Status::Available, vec![agent("Available", "Waiting")]).wrap_up(), None);
}
