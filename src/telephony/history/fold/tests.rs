//! Calls that phones and carriers made with a real switch, as its records told them (`recorded_calls.json`, made with the live tests).

use serde_json::Value;

use super::*;
use crate::telephony::{
    calls::record,
    history::{
        Call,
        facets::{self, Facet},
        withheld,
    },
};

const RECORDED: &str = include_str!("../recorded_calls.json");

struct Recorded {
    legs: Vec<Told>,
    known: Known,
}

fn recorded(name: &str) -> Recorded {
    let all: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    let call = all.into_iter().find(|call| call["name"] == name).unwrap_or_else(|| panic!("{name}"));
    let legs = call["legs"].as_array().unwrap().iter().map(|leg| {
        let variables = record::read(leg.to_string().as_bytes()).unwrap();
        let received = "2026-11-26T20:00:00Z".parse().unwrap();
        Told::read(leg["leg"].as_str().unwrap().parse().unwrap(), &variables, received)
    });
    let mut known = Known::default();
    for extension in call["extensions"].as_array().unwrap() {
        let id = extension["id"].as_str().unwrap().parse::<Uuid>().unwrap();
        let user = extension["user"].as_str().unwrap().to_owned();
        let agent = Some(Uuid::from_u128(id.as_u128() + 1));
        let number = extension["number"].as_str().unwrap().replace("%2B", "+");
        known.extensions.insert(id, Extension { number, name: format!("Phone {user}"), agent });
        known.users.insert(user, id);
    }
    Recorded { legs: legs.collect(), known }
}

impl Recorded {
    fn fold(&self) -> Folded {
        fold(&self.legs, &self.known).unwrap()
    }

    fn admits(mut self, callee: &str, cost: Option<i64>) -> Self {
        let leg = self.legs.iter().rev().find(|leg| leg.carrier.is_some()).unwrap();
        self.known.admitted.push(Admitted {
            call: leg.admitted.unwrap(),
            callee: callee.to_owned(),
            extension: None,
            number: Some(Uuid::from_u128(5)),
            caller_id: Some("+4930220".into()),
            carrier: self
                .legs
                .iter()
                .find(|leg| leg.carrier.is_some() && leg.answer.is_some())
                .and_then(|leg| leg.carrier),
            admitted: true,
            reason: None,
            emergency: false,
            cost,
            currency: Some("EUR".into()),
        });
        self
    }
}

fn number(party: &Party) -> &str {
    party.number.as_deref().unwrap_or("nobody")
}

fn what(call: &Folded) -> Vec<What> {
    call.story
        .events
        .iter()
        .map(|event| event.what)
        .filter(|what| !matches!(what, What::LegEnded | What::Rang))
        .collect()
}

#[test]
fn nobody_talks_before_the_call_begins() {
    let mut recorded = recorded("from outside");
    let call = recorded.fold();
    let leg = recorded.legs.iter_mut().find(|leg| leg.outbound && leg.answer.is_some()).unwrap();
    let month = 30 * 86_400_000;
    (leg.start, leg.answer, leg.end) = (leg.start - month, leg.answer.map(|at| at - month), leg.end - month);
    let moved = recorded.fold();
    let lasted = |call: &Folded| (call.ended_at - call.started_at).num_milliseconds();
    assert!(call.talk_ms > 0 && moved.talk_ms > 0 && moved.talk_ms <= lasted(&moved), "{}", moved.talk_ms);
    assert_eq!(lasted(&moved), lasted(&call));
}

#[test]
fn a_call_from_outside_is_taken_by_an_extension() {
    let mut recorded = recorded("from outside");
    recorded.known.numbers.insert("+49302200390".into(), Uuid::from_u128(5));
    let call = recorded.fold();
    assert_eq!((call.direction, call.state), (Direction::Inbound, State::Answered));
    let summary = &call.summary;
    assert_eq!((number(&summary.from), summary.from.name.as_deref()), ("+4915112345678", Some("Eve")));
    assert_eq!(
        (number(&summary.to), call.number, summary.number.as_deref()),
        ("+49302200390", Some(Uuid::from_u128(5)), Some("+49302200390"))
    );
    assert_eq!(summary.answered_by.as_ref().map(number), Some("1000"));
    assert_eq!((call.country.as_deref(), call.agents.len()), (Some("DE"), 1));
    assert_eq!(
        (summary.ended_by, summary.q850, summary.hangup_disposition.as_deref()),
        (Some(EndedBy::Caller), Some(16), Some("recv_bye"))
    );
    assert_eq!(summary.reason.as_deref(), Some("Somebody hung up"));
}

#[test]
fn the_carrier_that_carried_a_call_is_the_one_that_answered() {
    let call = recorded("the second carrier").admits("+49302200305", Some(1234)).fold();
    assert_eq!((call.direction, call.state), (Direction::Outbound, State::Answered));
    let attempts = &call.story.attempts;
    assert_eq!(attempts.len(), 2);
    assert!(!attempts[0].answered && attempts[1].answered);
    assert_eq!(
        (attempts[0].cause.as_deref(), attempts[0].sip_status, attempts[0].cost),
        (Some("RECOVERY_ON_TIMER_EXPIRE"), Some(408), None)
    );
    assert!(is_carriers_fault(&attempts[0]) && !is_carriers_fault(&attempts[1]));
    assert_eq!(
        (attempts[1].cost, call.cost, call.summary.charge, call.carrier),
        (Some(1234), Some(1234), Some(1234), Some(attempts[1].carrier_id))
    );
    assert_eq!(
        (number(&call.summary.to), call.country.as_deref(), call.billed_seconds),
        ("+49302200305", Some("DE"), 1)
    );
    assert_eq!(call.summary.number.as_deref(), Some("+4930220"));
}

#[test]
fn a_busy_number_outside_says_why() {
    let call = recorded("outbound, busy").admits("+49302200685", None).fold();
    // The caller gave up only when it was busy.
    assert_eq!((call.direction, call.talk_ms, call.billed_seconds, call.cost), (Direction::Outbound, 0, 0, None));
    assert_eq!((call.story.attempts[0].q850, call.story.attempts[0].sip_status), (Some(17), Some(486)));
    assert_eq!((call.summary.ended_by, call.state), (Some(EndedBy::Caller), State::Missed));
    let call = recorded("internal, busy").fold();
    assert_eq!(
        (call.direction, call.state, call.summary.ended_by),
        (Direction::Internal, State::Busy, Some(EndedBy::Callee))
    );
    assert_eq!(call.cause.as_deref(), Some("USER_BUSY"));
}

#[test]
fn transfers_of_people_are_told_and_dialplanes_own_are_not() {
    let call = recorded("blind transfer").fold();
    assert_eq!((call.direction, call.state, call.summary.transfers), (Direction::Internal, State::Answered, 1));
    let transferred = call.story.events.iter().find(|event| event.what == What::Transferred).unwrap();
    assert_eq!((transferred.to.as_deref(), transferred.attended), (Some("1002"), Some(false)));
    let call = recorded("attended transfer").fold();
    assert_eq!(call.summary.transfers, 1, "{:#?}", call.story.events);
    assert_eq!((number(&call.summary.from), call.summary.answered_by.as_ref().map(number)), ("1000", Some("1001")));
    assert!(what(&call).contains(&What::Held) && what(&call).contains(&What::Resumed));
    assert_eq!(call.extensions.len(), 3);
    let call = recorded("message after forwards").fold();
    assert_eq!((call.summary.transfers, call.state, call.recorded), (0, State::Voicemail, false));
    assert!(what(&call).contains(&What::Voicemail));
}

#[test]
fn queues_say_how_long_callers_waited() {
    let call = recorded("queue, taken").fold();
    assert_eq!((call.state, call.queue.is_some()), (State::Answered, true));
    assert_eq!(call.summary.answered_by.as_ref().map(number), Some("2001"));
    let happened = what(&call);
    let place =
        |one| happened.iter().position(|what| *what == one).unwrap_or_else(|| panic!("{one:?} in {happened:?}"));
    assert!(place(What::QueueJoined) < place(What::QueueAnswered));
    let call = recorded("queue, nobody came").fold();
    assert_eq!((call.state, call.wait_ms / 1000, call.talk_ms), (State::Missed, 12, 0));
    let left = call.story.events.iter().find(|event| event.what == What::QueueLeft).unwrap();
    assert_eq!((left.cause.as_deref(), left.seconds), (Some("TIMEOUT"), Some(12)));
    // The same, if the caller hangs up.
    let mut recorded = recorded("queue, nobody came");
    let root = recorded.legs.iter_mut().find(|leg| !leg.outbound).unwrap();
    root.queue.as_mut().unwrap().why = Some("BREAK_OUT".into());
    assert_eq!(recorded.fold().state, State::Abandoned);
}

#[test]
fn whoever_picks_a_call_up_has_taken_it() {
    let call = recorded("picked up").fold();
    assert_eq!((call.state, call.summary.answered_by.as_ref().map(number)), (State::Answered, Some("2001")));
    let call = recorded("parked and taken").fold();
    assert_eq!((call.direction, call.state), (Direction::Inbound, State::Answered));
    assert!(what(&call).contains(&What::Parked), "{:?}", what(&call));
    let call = recorded("three phones of a group").fold();
    assert_eq!((call.state, call.summary.answered_by.as_ref().map(number)), (State::Answered, Some("1002")));
    let call = recorded("internal, gave up").fold();
    assert_eq!((call.state, call.summary.ended_by), (State::Missed, Some(EndedBy::Caller)));
}

#[test]
fn a_call_over_a_loop_in_the_switch_is_one_call() {
    let call = recorded("find me on another line, over a loop in the switch, after the first carrier failed").fold();
    assert_eq!(
        (call.state, call.summary.legs, call.story.legs.len(), call.story.attempts.len()),
        (State::Answered, 6, 4, 2)
    );
    assert_eq!(call.summary.answered_by.as_ref().map(number), Some("+498912345678"));
}

#[test]
fn a_refused_call_says_why() {
    let mut recorded = recorded("internal, busy");
    recorded.legs.retain(|leg| !leg.outbound);
    let call = recorded.legs[0].leg;
    recorded.known.admitted.push(Admitted {
        call,
        callee: "+881612345678".into(),
        extension: None,
        number: None,
        caller_id: None,
        carrier: None,
        admitted: false,
        reason: Some("country".into()),
        emergency: false,
        cost: None,
        currency: None,
    });
    let call = recorded.fold();
    assert_eq!(
        (call.direction, call.state, call.summary.refusal.as_deref()),
        (Direction::Outbound, State::Refused, Some("country"))
    );
}

#[test]
fn a_call_is_the_same_in_whatever_order_its_legs_came() {
    let all: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    for call in all {
        let mut recorded = recorded(call["name"].as_str().unwrap());
        let whole = recorded.fold();
        for turn in 0..recorded.legs.len() {
            recorded.legs.rotate_left(1);
            if turn % 2 == 1 {
                recorded.legs.reverse();
            }
            // And with one of them twice.
            let again = recorded.legs.iter().chain(recorded.legs.first()).cloned().collect::<Vec<_>>();
            assert_eq!(fold(&again, &recorded.known).unwrap(), whole);
        }
        // Each part of it is a call, too.
        for lacking in 0..recorded.legs.len() {
            let mut legs = recorded.legs.clone();
            legs.remove(lacking);
            if let Some(part) = fold(&legs, &recorded.known) {
                assert!(part.wait_ms >= 0 && part.talk_ms >= 0 && part.started_at <= part.ended_at);
            }
        }
    }
}

/// A caller from outside talks with the first phone, which asks the second with its number withheld and connects the two.
fn asked_with_a_withheld_number() -> Recorded {
    let id = Uuid::from_u128;
    let leg = |number: u128, start: i64, outbound: bool, extension: Option<u128>| Told {
        leg: id(number),
        call: Some(id(1)),
        outbound,
        start,
        answer: Some(start + 1000),
        bridge: Some(start + 1000),
        end: 60_000,
        extension: extension.map(id),
        ..Told::default()
    };
    let caller = Told { from_number: Some("+4915112345678".into()), ..leg(1, 0, false, None) };
    let asks = Told { withheld: true, dialled: Some("1002".into()), ..leg(3, 10_000, false, Some(101)) };
    let legs = vec![caller, leg(2, 100, true, Some(101)), asks, leg(4, 10_100, true, Some(102))];
    let mut known = Known::default();
    for (at, number) in [(101, "1001"), (102, "1002")] {
        let extension = Extension { number: number.into(), name: format!("Phone {number}"), agent: Some(id(at + 100)) };
        known.extensions.insert(id(at), extension);
    }
    Recorded { legs, known }
}

#[test]
fn whoever_is_asked_by_a_withheld_number_sees_no_leg_of_the_asking_phone() {
    let call = asked_with_a_withheld_number().fold();
    let withheld = call.story.legs.iter().map(|leg| leg.party.withheld).collect::<Vec<_>>();
    assert_eq!(withheld, [false, true, true, false]);
    let as_seen_by = |person: u128| {
        let mut of_call = shown(&call);
        let mut story = call.story.clone();
        of_call.hide_from(Uuid::from_u128(person), Some(&mut story));
        (serde_json::json!([of_call, story]).to_string(), of_call)
    };
    let (text, asked) = as_seen_by(202);
    for secret in ["1001", "Phone 1001", &Uuid::from_u128(101).to_string(), &Uuid::from_u128(201).to_string()] {
        assert!(!text.contains(&format!("\"{secret}\"")), "{secret}: {text}");
    }
    assert_eq!((asked.extension_id, asked.agent_id), (None, None));
    assert_eq!(asked.summary.from.number.as_deref(), Some("+4915112345678"), "who called is no secret");
    let (text, own) = as_seen_by(201);
    assert!(text.contains("\"1001\"") && own.agent_id == Some(Uuid::from_u128(201)), "{text}");
}

#[test]
fn agents_find_a_call_by_what_it_shows_to_them() {
    let call = asked_with_a_withheld_number().fold();
    let (tenant, id) = (Uuid::from_u128(9), Uuid::from_u128);
    let facets = facets::of_folded(tenant, &call, facets::Written::default());
    let has = |facet: Facet<'_>| facets.contains(&facet.number(tenant));
    let hides = |person: u128, facet: Facet<'_>| has(Facet::Hidden(id(person), facet.number(tenant)));
    for facet in [Facet::Agent(id(201)), Facet::Extension(id(101))] {
        assert!(has(facet) && hides(202, facet) && !hides(201, facet), "{facet:?}");
    }
    for facet in [Facet::Agent(id(202)), Facet::Party("+4915112345678"), Facet::Country("DE")] {
        assert!(has(facet) && !hides(202, facet), "{facet:?}");
    }
    assert!(has(Facet::Hides(id(202))) && !has(Facet::Hides(id(201))));
    let sought = withheld::sought(&call.summary, call.direction);
    let (everybody, others) = sought.split_once('\u{1}').unwrap();
    assert!(everybody.contains("+4915112345678") && !everybody.contains("1001"), "{sought:?}");
    assert!(others.contains("phone 1001"), "{sought:?}");
}

/// A call as its row has it.
fn shown(call: &Folded) -> Call {
    Call {
        id: Uuid::nil(),
        tenant_id: Uuid::nil(),
        direction: call.direction,
        state: call.state,
        started_at: call.started_at,
        ended_at: call.ended_at,
        summary: call.summary.clone(),
        wait_seconds: 0,
        talk_seconds: 0,
        billed_seconds: 0,
        extension_id: call.extension,
        agent_id: call.agent,
        number_id: call.number,
        queue_id: call.queue,
        carrier_id: call.carrier,
        country: call.country.clone(),
        cause: call.cause.clone(),
        cost: None,
        currency: None,
        recorded: false,
        notes: None,
        tags: Vec::new(),
        disposition: None,
        contact_id: None,
        version: 1,
        updated_at: call.ended_at,
    }
}
