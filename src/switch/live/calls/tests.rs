//! Calls as their events tell them, in order and not.

use std::collections::BTreeMap;

use super::*;
use crate::routing::withheld;
use crate::switch::live::said::{Line, Said, What};

const NOW: Micros = 1_790_000_000_000_000;
const TENANT: &str = "00000000-0000-0000-0000-0000000000aa";

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An event of a leg, so many microseconds after the beginning.
fn event(name: &str, leg: u128, at: Micros, more: &[(&str, &str)]) -> (Micros, OfLeg) {
    let mut headers = BTreeMap::from([
        ("Event-Name".to_owned(), name.to_owned()),
        ("Event-Date-Timestamp".to_owned(), (NOW + at).to_string()),
        ("Unique-ID".to_owned(), id(leg).to_string()),
    ]);
    headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let Said { at, what: What::Leg(leg) } = Said::read(&headers).unwrap() else { panic!("{name} is of a leg") };
    (at, *leg)
}

/// The events of a call from phone 1000 to phone 1001: legs 1 and 2.
fn a_call() -> Vec<(Micros, OfLeg)> {
    let (a, b) = (id(1).to_string(), id(2).to_string());
    let bridge = [("Bridge-A-Unique-ID", a.as_str()), ("Bridge-B-Unique-ID", b.as_str())];
    let caller = [
        ("Call-Direction", "inbound"),
        ("Channel-Name", "sofia/internal/1000@acme.test"),
        ("Channel-Call-UUID", a.as_str()),
        ("Caller-Destination-Number", "1001"),
        ("variable_user_name", "1000"),
        ("variable_domain_name", "Acme.test"),
        ("variable_dialplane_tenant", TENANT),
        ("variable_dialplane_extension", "00000000-0000-0000-0000-0000000000e1"),
    ];
    let called = [
        ("Call-Direction", "outbound"),
        ("Channel-Name", "sofia/internal/1001@192.0.2.1:5060"),
        ("Channel-Call-UUID", a.as_str()),
        ("Other-Leg-Unique-ID", a.as_str()),
        ("variable_dialplane_taken_by", "1001@acme.test"),
    ];
    vec![
        event("CHANNEL_CREATE", 1, 1, &caller),
        event("CHANNEL_CREATE", 2, 2, &called),
        event("CHANNEL_ANSWER", 2, 3, &[("Channel-Call-UUID", &a)]),
        event("CHANNEL_ANSWER", 1, 4, &[]),
        event("CHANNEL_BRIDGE", 1, 5, &bridge),
    ]
}

fn after(events: Vec<(Micros, OfLeg)>) -> Calls {
    let mut calls = Calls::default();
    for (at, said) in events {
        calls.heard(at, said);
    }
    calls
}

#[test]
fn a_call_has_both_its_legs_and_ends_with_the_last() {
    let mut calls = after(a_call());
    let legs = calls.of(id(1));
    assert_eq!(
        legs.iter().map(|leg| (leg.id, leg.phase, leg.partner)).collect::<Vec<_>>(),
        [(id(1), Phase::Up, Some(id(2))), (id(2), Phase::Up, Some(id(1)))]
    );
    assert_eq!(legs[0].about.phone, Some(("1000".into(), "acme.test".into())));
    assert_eq!(legs[1].about.phone, Some(("1001".into(), "acme.test".into())));
    // In its last event, a leg says that it is a call of its own.
    let own = id(2).to_string();
    let (at, ends) = event("CHANNEL_HANGUP_COMPLETE", 2, 9, &[("Channel-Call-UUID", &own)]);
    assert_eq!(calls.heard(at, ends).last(), Some(&Change::Call(id(1))));
    let (at, ends) = event("CHANNEL_HANGUP_COMPLETE", 1, 10, &[]);
    assert_eq!(calls.heard(at, ends).last(), Some(&Change::CallOver(id(1))));
    assert_eq!(calls.ids().count(), 0);
}

#[test]
fn what_a_called_leg_shows_of_its_maker_is_known_while_it_rings() {
    let called = |number: &str| {
        let mut events = a_call();
        events.truncate(2);
        events[1].1.about.number = Some(number.to_owned());
        events[1].1.about.is_withheld = number == withheld::NOBODY;
        after(events)
    };
    let leg = |calls: &Calls| calls.leg(id(1)).map(|leg| (leg.hides, leg.about.shows.clone())).unwrap();
    assert_eq!(leg(&called("anonymous")), (true, None));
    assert_eq!(leg(&called("+12025550131")), (false, Some("+12025550131".into())));
}

#[test]
fn a_leg_for_a_queues_caller_is_of_the_callers_call() {
    let (a, b) = (id(1).to_string(), id(2).to_string());
    let mut events = a_call();
    let called = [
        ("Call-Direction", "outbound"),
        ("Channel-Name", "sofia/internal/1001@192.0.2.1:5060"),
        ("Channel-Call-UUID", b.as_str()),
        ("Caller-Caller-ID-Number", "anonymous"),
        ("variable_cc_side", "agent"),
        ("variable_cc_member_session_uuid", a.as_str()),
        ("variable_dialplane_taken_by", "1001@acme.test"),
    ];
    events[1] = event("CHANNEL_CREATE", 2, 2, &called);
    events.truncate(2);
    let calls = after(events);
    assert_eq!(calls.of(id(1)).iter().map(|leg| leg.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert!(calls.leg(id(1)).unwrap().hides);
}

#[test]
fn events_in_any_order_end_in_the_same_state() {
    let usual = after(a_call());
    let state = |calls: &Calls| {
        let legs = calls.of(id(1)).into_iter().map(|leg| (leg.id, leg.phase, leg.partner, leg.about.phone.clone()));
        legs.collect::<Vec<_>>()
    };
    for first in 0..5 {
        for second in 0..5 {
            let mut events = a_call();
            events.swap(first, second);
            let calls = after(events);
            // A leg that was heard of late is in the call, too; whom it is connected with is known by one of them at least.
            assert_eq!(state(&calls).len(), 2, "{first} {second}");
            assert!(calls.of(id(1)).iter().all(|leg| leg.phase == Phase::Up), "{first} {second}");
            assert!(calls.of(id(1)).iter().any(|leg| leg.partner.is_some()), "{first} {second}");
        }
    }
    assert_eq!(state(&usual).len(), 2);
    // What comes after the end brings nothing back.
    let mut calls =
        after(vec![event("CHANNEL_HANGUP_COMPLETE", 1, 20, &[]), event("CHANNEL_HANGUP_COMPLETE", 2, 21, &[])]);
    for (at, said) in a_call() {
        calls.heard(at, said);
    }
    assert_eq!(calls.legs().count(), 0);
}

#[test]
fn a_held_call_is_held_until_it_is_taken_back_whatever_order_that_comes_in() {
    let mut calls = after(a_call());
    let (at, held) = event("CHANNEL_HOLD", 2, 10, &[]);
    calls.heard(at, held);
    assert_eq!(calls.leg(id(2)).map(|leg| leg.phase), Some(Phase::Held));
    let (at, back) = event("CHANNEL_UNHOLD", 2, 12, &[]);
    calls.heard(at, back);
    let (at, late) = event("CHANNEL_HOLD", 2, 11, &[]);
    calls.heard(at, late);
    assert_eq!(calls.leg(id(2)).map(|leg| leg.phase), Some(Phase::Up));
}

#[test]
fn an_attended_transfer_leaves_one_call_the_older_one() {
    let mut calls = after(a_call());
    // 1001 asks 1002 in another call, and connects 1000 with 1002.
    let asks = id(3).to_string();
    for (at, said) in [
        event("CHANNEL_CREATE", 3, 20, &[("Call-Direction", "inbound")]),
        event("CHANNEL_CREATE", 4, 21, &[("Call-Direction", "outbound"), ("Channel-Call-UUID", &asks)]),
        event("CHANNEL_ANSWER", 4, 22, &[]),
    ] {
        calls.heard(at, said);
    }
    assert_eq!(calls.ids().count(), 2);
    let (a, b) = (id(1).to_string(), id(4).to_string());
    let pair = [("Bridge-A-Unique-ID", a.as_str()), ("Bridge-B-Unique-ID", b.as_str())];
    for (at, said) in [
        event("CHANNEL_HANGUP_COMPLETE", 3, 30, &[]),
        event("CHANNEL_BRIDGE", 1, 31, &pair),
        event("CHANNEL_HANGUP_COMPLETE", 2, 32, &[]),
    ] {
        calls.heard(at, said);
    }
    assert_eq!(calls.of(id(1)).iter().map(|leg| leg.id).collect::<Vec<_>>(), [id(1), id(4)]);
    assert_eq!(calls.ids().count(), 1);
}

#[test]
fn headers_that_a_caller_wrote_say_nothing() {
    let (_, said) = event(
        "CHANNEL_CREATE",
        1,
        1,
        &[
            ("Call-Direction", "inbound"),
            ("Channel-Name", "sofia/external/1000@acme.test"),
            ("Channel-Presence-ID", "1000@acme.test"),
            ("variable_sip_from_user", "1000"),
            ("variable_sip_h_X-dialplane_tenant", TENANT),
            ("variable_sip_h_dialplane_tenant", TENANT),
            ("variable_variable_dialplane_tenant", TENANT),
            ("dialplane_tenant", TENANT),
            ("Caller-Context", "public"),
        ],
    );
    assert_eq!((said.about.phone, said.about.tenant, said.about.extension), (None, None, None));
    assert_eq!(said.about.line, Some(Line::Outside));
    // The same in a list.
    let row = serde_json::json!({
        "uuid": id(1), "direction": "inbound", "name": "sofia/external/1000@acme.test", "presence_id": "1000@acme.test",
        "context": "public", "callstate": "ACTIVE",
    });
    let mut calls = Calls::default();
    calls.read(vec![serde_json::from_value(row).unwrap()], &[], NOW);
    assert_eq!(calls.leg(id(1)).unwrap().about.phone, None);
}

fn row(leg: u128, call: u128, state: &str) -> Row {
    serde_json::from_value(serde_json::json!({
        "uuid": id(leg), "direction": if leg == call { "inbound" } else { "outbound" }, "created_epoch": "1789999000",
        "name": format!("sofia/internal/{leg}@acme.test"), "presence_id": format!("{leg}@acme.test"), "callstate": state,
        "call_uuid": id(call).to_string(), "cid_num": "1000", "cid_name": "caf\u{fffd}|x", "context": "acme.test", "dest": "1001",
    }))
    .unwrap()
}

#[test]
fn a_full_read_after_a_crash_leaves_nothing_that_is_not_listed() {
    let mut calls = after(a_call());
    let later = NOW + 60_000_000;
    calls.read(
        vec![row(5, 5, "ACTIVE"), row(6, 5, "HELD"), row(7, 7, "HANGUP")],
        &[Pair { uuid: id(5), b_uuid: id(6) }],
        later,
    );
    assert_eq!(calls.ids().collect::<Vec<_>>(), [id(5)]);
    let legs = calls.of(id(5));
    assert_eq!(
        legs.iter().map(|leg| (leg.phase, leg.partner)).collect::<Vec<_>>(),
        [(Phase::Up, Some(id(6))), (Phase::Held, Some(id(5)))]
    );
    assert_eq!(legs[1].about.phone, None, "the list has the extension's number only");
    calls.of_phone_named(id(6), ("u6".into(), "acme.test".into()));
    assert_eq!(calls.leg(id(6)).unwrap().about.phone, Some(("u6".into(), "acme.test".into())));
    // Nothing at all.
    calls.read(Vec::new(), &[], later + 60_000_000);
    assert_eq!(calls.legs().count(), 0);
}

#[test]
fn a_list_that_is_a_little_older_than_the_events_undoes_nothing() {
    let mut calls = after(a_call());
    let (at, ends) = event("CHANNEL_HANGUP_COMPLETE", 2, 1_000_000, &[]);
    calls.heard(at, ends);
    // Asked a second later: the first leg is not written yet, the second one not yet removed.
    calls.read(vec![row(2, 1, "ACTIVE")], &[], NOW + 2_000_000);
    assert_eq!(calls.legs().map(|leg| leg.id).collect::<Vec<_>>(), [id(1)]);
}

#[test]
fn a_renamed_leg_stays_where_it_was() {
    let mut calls = after(a_call());
    let old = id(2).to_string();
    let (at, renamed) = event("CHANNEL_UUID", 9, 10, &[("Old-Unique-ID", &old)]);
    calls.heard(at, renamed);
    assert_eq!(calls.of(id(1)).iter().map(|leg| leg.id).collect::<Vec<_>>(), [id(1), id(9)]);
    assert_eq!(calls.leg(id(1)).and_then(|leg| leg.partner), Some(id(9)));
}

#[test]
fn a_list_repairs_what_events_did_not_tell() {
    const LATER: Micros = NOW + 60_000_000;
    let row = |leg: u128, state: &str| -> Row {
        let row = serde_json::json!({ "uuid": id(leg), "direction": "outbound", "callstate": state, "call_uuid": id(1), "name": "sofia/internal/x@y" });
        serde_json::from_value(row).unwrap()
    };
    let pair = |a: u128, b: u128| Pair { uuid: id(a), b_uuid: id(b) };
    let partner = |calls: &Calls, leg: u128| calls.leg(id(leg)).unwrap().partner;
    // A third leg took the place of the second, and one holds: nobody heard of either.
    let mut calls = after(a_call());
    let rows = vec![row(1, "HELD"), row(2, "ACTIVE"), row(3, "ACTIVE")];
    let changes = calls.read(rows.clone(), &[pair(1, 3)], LATER);
    assert_eq!((partner(&calls, 1), partner(&calls, 2), partner(&calls, 3)), (Some(id(3)), None, Some(id(1))));
    assert_eq!(calls.leg(id(1)).unwrap().phase, Phase::Held);
    assert!(changes.contains(&Change::Call(id(1))), "whoever listens is told: {changes:?}");
    // The same list again is no news.
    let again = calls.read(rows, &[pair(1, 3)], LATER + 60_000_000);
    assert!(!again.contains(&Change::Call(id(1))), "{again:?}");
    // What was said a moment before the list was made counts more than the list.
    let mut calls = after(a_call());
    calls.read(vec![row(1, "HELD"), row(2, "ACTIVE"), row(3, "ACTIVE")], &[pair(1, 3)], NOW + 1_000_000);
    assert_eq!((partner(&calls, 1), partner(&calls, 2)), (Some(id(2)), Some(id(1))));
}
