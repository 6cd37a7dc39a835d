//! Routes as the applications that a switch runs.

use super::*;
use crate::text::{DeviceId, DialNumber};

#[test]
fn an_extension_rings_and_then_takes_a_message() {
    let lines = |from: &str, number: &str| {
        let route = routed(&plan(&json!({})), from, number, MONDAY).route;
        route
            .actions(&tenant(), Hops::default())
            .into_iter()
            .map(|a| format!("{} {}", a.application, a.data).trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        lines("1000", "1001"),
        [
            "set dialplane_on_behalf=1001",
            "set call_timeout=20",
            "set transfer_ringback=%(1000,4000,425)",
            "set hangup_after_bridge=true",
            "set continue_on_fail=true",
            "bridge user/1001@acme.test",
            "answer",
            "sleep 500",
            "voicemail default acme.test 1001",
        ]
    );
    assert_eq!(lines("1000", "1003").last().unwrap(), "bridge user/1003@acme.test");
    assert!(lines("-", "2000").contains(&"bridge user/1000@acme.test,user/1001@acme.test".to_owned()));
    // In order, each has a bridge of its own.
    let in_order = lines("-", "2001");
    assert!(
        ["bridge user/1000@acme.test", "bridge user/1001@acme.test"]
            .iter()
            .all(|leg| in_order.iter().any(|l| l == leg))
    );
    assert_eq!(lines("1000", "1011").last().unwrap(), "transfer 1011~after XML acme.test");
    assert_eq!(lines("1000", "*98").last().unwrap(), "voicemail check default acme.test");
}

/// Variables stay on a channel for what comes next: each of these once sent a call astray.
#[test]
fn one_step_leaves_no_variables_for_the_next() {
    let lines = |route: &Route| {
        let actions = route.actions(&tenant(), Hops::default());
        actions.into_iter().map(|a| format!("{} {}", a.application, a.data)).collect::<Vec<_>>()
    };
    let at = |lines: &[String], text: &str| {
        lines.iter().position(|line| line.starts_with(text)).unwrap_or_else(|| panic!("{text}: {lines:?}"))
    };
    // If the agent hangs up first, the call ends and does not go on to the overflow.
    let queue = lines(&Route::Queue {
        id: Uuid::from_u128(1),
        record: false,
        ahead: 0,
        call_back: None,
        then: Some("500".into()),
    });
    assert!(at(&queue, "set hangup_after_bridge=true") < at(&queue, "callcenter"));
    // A caller who was led to a menu dials there on nobody else's behalf.
    let menu = lines(&Route::Ivr { id: Uuid::from_u128(2), then: None });
    assert!(at(&menu, "unset dialplane_on_behalf") < at(&menu, "ivr"));
    // After a group whose members must confirm, the next person to answer need not press 1.
    let members = vec![super::member("1000")];
    let group = RingGroup {
        members,
        seconds: 20,
        in_order: false,
        confirm: true,
        pickup: None,
        original: None,
        then: Some("500".into()),
    };
    let group = lines(&Route::RingGroup(group));
    assert!(at(&group, "bridge") < at(&group, "unset group_confirm_key"));
    assert!(at(&group, "unset group_confirm_file") < at(&group, "transfer"));
    // A carrier's ringing does not silence the phone, and the line stays taken as long as the call lasts.
    let calls = json!({ "follow_me": [{ "number": "+498912345678" }] });
    let ring = Ring {
        busy_on_busy: false,
        extension: SipUsername::parse("1000").unwrap(),
        devices: Vec::new(),
        seconds: 20,
        follow_me: serde_json::from_value(calls["follow_me"].clone()).unwrap(),
        original: None,
        then: Then::Hangup,
        pickup: false,
        record: false,
        consent_tone: false,
        hops: Hops::default(),
    };
    let ring = lines(&Route::Ring(ring));
    assert!(at(&ring, "set ignore_early_media=true") < at(&ring, "bridge"));
    assert!(at(&ring, "set loopback_no_pre_answer=true") < at(&ring, "bridge"));
    assert!(ring.last().unwrap().contains("loopback_bowout=false"), "{ring:?}");
}

/// What each strategy makes of two members, of whom the second forwards to a phone outside.
fn bridges(in_order: bool, then: Option<&str>) -> Vec<String> {
    let forwarded = Member { forward: Some(DialNumber::parse("+491701234567").unwrap()), ..member("1001") };
    let members = vec![member("1000"), forwarded];
    let group = RingGroup {
        members,
        seconds: 5,
        in_order,
        confirm: false,
        pickup: None,
        original: None,
        then: then.map(ToOwned::to_owned),
    };
    let actions = Route::RingGroup(group).actions(&tenant(), Hops::default());
    let shown = actions.iter().filter(|a| a.application == "bridge" || a.data.starts_with('c'));
    shown.map(|a| format!("{} {}", a.application, a.data)).collect()
}

#[test]
fn in_a_group_in_order_each_member_rings_for_its_own_time() {
    let outside = "[^^!loopback_export=dialplane_on_behalf,dialplane_hops,dialplane_withhold,dialplane_original,originator_codec,export_vars!originator_codec=PCMA,PCMU!export_vars=originator_codec!dialplane_on_behalf=1001!dialplane_hops=5:0:+491701234567!loopback_bowout=false]loopback/+491701234567/acme.test";
    let at_once = format!("bridge user/1000@acme.test,{outside}");
    assert_eq!(bridges(false, None), ["set call_timeout=5", "set continue_on_fail=false", &at_once]);
    let outside = format!("bridge {outside}");
    let first = "bridge user/1000@acme.test";
    // The cause of the last member who did not answer ends the call.
    assert_eq!(
        bridges(true, None),
        ["set call_timeout=5", "set continue_on_fail=true", first, "set continue_on_fail=false", &outside]
    );
    assert_eq!(bridges(true, Some("500")), ["set call_timeout=5", "set continue_on_fail=true", first, &outside]);
}

#[test]
fn what_rings_outside_besides_a_phone_is_told_the_callers_number_if_the_tenant_wants_it_shown() {
    let number = crate::text::E164::parse("+493012345678").unwrap();
    let shows = |wants: bool, withheld: bool, follow: Value| {
        let plan = plan(&json!({ "settings": { "routing": { "outbound": { "forwards_show_caller": wants } } } }));
        let mut called = super::found("1001").unwrap();
        let Found::Extension(extension) = &mut called else { panic!("{called:?}") };
        extension.calls.follow_me = serde_json::from_value(follow).unwrap();
        let has_others = !extension.calls.follow_me.is_empty();
        let own_number = (!withheld).then_some(&number);
        let call = Call { own_number, ..Call::dialling("1001", MONDAY.parse().unwrap()) };
        let routed = route(&tenant(), &plan, &call, Some(&called), &mut Trace::off());
        let told = bridge(&routed.route).contains("!dialplane_original=+493012345678");
        assert_eq!(routed.varies_by_caller, wants && has_others, "another caller gets another answer");
        told
    };
    let outside = || json!([{ "number": "+491701234567" }]);
    assert!(shows(true, false, outside()));
    assert!(!shows(false, false, outside()) && !shows(true, true, outside()) && !shows(true, false, json!([])));
}

#[test]
fn groups_whose_members_forward_to_each_others_groups_do_not_multiply_a_call() {
    let forwarded = Member { forward: Some(DialNumber::parse("2000").unwrap()), ..member("1001") };
    let group = Found::Group(Group {
        members: vec![forwarded.clone(), forwarded],
        ring_seconds: 20,
        strategy: Strategy::All,
        confirm: false,
        pickup: None,
        otherwise: None,
    });
    let legs = |led| {
        let call = Call { hops: Hops::led(led), ..Call::dialling("2000", MONDAY.parse().unwrap()) };
        let routed = route(&tenant(), &plan(&json!({})), &call, Some(&group), &mut Trace::off());
        let actions = routed.route.actions(&tenant(), Hops::led(led));
        actions.iter().filter(|a| a.application == "bridge").map(|a| a.data.clone()).collect::<Vec<_>>()
    };
    // An announcement and a schedule may lead to the group before.
    assert!(legs(3)[0].contains("loopback/2000/acme.test") && legs(3)[0].contains("dialplane_hops=5:0:2000"));
    assert_eq!(legs(5), ["user/1001@acme.test,user/1001@acme.test"]);
}

fn ids(count: u8) -> Vec<DeviceId> {
    (1..=count).map(|n| DeviceId::parse(&format!("{n:016x}")).unwrap()).collect()
}

fn bridge(route: &Route) -> String {
    let actions = route.actions(&tenant(), Hops::default());
    actions.iter().find(|action| action.application == "bridge").unwrap().data.clone()
}

fn ring(follow: &Value, pickup: bool) -> Route {
    Route::Ring(Ring {
        busy_on_busy: false,
        extension: SipUsername::parse("1000").unwrap(),
        devices: Vec::new(),
        seconds: 20,
        follow_me: serde_json::from_value(follow.clone()).unwrap(),
        original: None,
        then: Then::Hangup,
        pickup,
        record: false,
        consent_tone: false,
        hops: Hops::default(),
    })
}

fn group(members: &[&str], in_order: bool) -> Route {
    let members = members.iter().map(|name| super::member(name)).collect();
    Route::RingGroup(RingGroup {
        members,
        seconds: 20,
        in_order,
        confirm: false,
        pickup: None,
        original: None,
        then: None,
    })
}

#[test]
fn an_extension_that_rings_alone_has_one_leg_whose_dial_string_has_all_devices() {
    for mut alone in [ring(&json!([]), false), group(&["1000"], false), group(&["1000", "1001"], true)] {
        assert!(alone.in_fork().is_empty(), "{alone:?}");
        let before = bridge(&alone);
        alone.ring_devices(|_| ids(2));
        assert_eq!(bridge(&alone), before);
        assert_eq!(before, "user/1000@acme.test");
    }
}

#[test]
fn in_a_fork_each_device_has_a_leg_of_its_own() {
    let both = "user/1000~1.0000000000000001@acme.test,user/1000~2.0000000000000002@acme.test";
    let mut picked = ring(&json!([]), true);
    assert_eq!(picked.in_fork(), [&SipUsername::parse("1000").unwrap()]);
    assert_eq!(bridge(&picked), "user/1000@acme.test,pickup/1000@acme.test");
    picked.ring_devices(|_| ids(2));
    assert_eq!(bridge(&picked), format!("{both},pickup/1000@acme.test"));
    // One that plays something before it is answered does not silence the other.
    let actions = picked.actions(&tenant(), Hops::default());
    assert!(actions.iter().any(|action| action.data == "ignore_early_media=true"));
    picked.ring_devices(|_| ids(1));
    assert_eq!(bridge(&picked), "user/1000@acme.test,pickup/1000@acme.test", "one device is found by the switch");

    let mut followed = ring(&json!([{ "number": "1001" }]), false);
    followed.ring_devices(|_| ids(2));
    assert!(bridge(&followed).starts_with(&format!("{both},[^^!")), "{}", bridge(&followed));

    let mut group = group(&["1000", "1001"], false);
    assert_eq!(group.in_fork().len(), 2);
    group.ring_devices(|extension| if extension.as_str() == "1000" { ids(2) } else { Vec::new() });
    assert_eq!(bridge(&group), format!("{both},user/1001@acme.test"));
}

#[test]
fn a_member_that_forwards_rings_no_device_and_a_large_group_stays_within_what_a_switch_calls_at_once() {
    let forwards = Member { forward: Some(DialNumber::parse("+491701234567").unwrap()), ..super::member("1001") };
    let members = vec![super::member("1000"), forwards];
    let mut route = Route::RingGroup(RingGroup {
        members,
        seconds: 20,
        in_order: false,
        confirm: false,
        pickup: None,
        original: None,
        then: None,
    });
    assert_eq!(route.in_fork(), [&SipUsername::parse("1000").unwrap()]);
    route.ring_devices(|_| ids(2));
    assert_eq!(bridge(&route).matches("user/").count(), 2);

    let names = (0..100).map(|n| format!("{}", 2000 + n)).collect::<Vec<_>>();
    let mut large = group(&names.iter().map(String::as_str).collect::<Vec<_>>(), false);
    large.ring_devices(|_| ids(5));
    let legs = bridge(&large);
    assert_eq!(legs.split(',').count(), 120, "{legs}");
    for name in names {
        assert!(legs.contains(&format!("user/{name}")), "everybody rings: {name}");
    }
}

#[test]
fn whoever_is_busy_on_busy_is_named_so_in_a_fork_alone() {
    let busy = |name: &str| Member { busy_on_busy: true, ..super::member(name) };
    let bridges = |route: &Route| {
        let actions = route.actions(&tenant(), Hops::default());
        actions.into_iter().filter(|a| a.application == "bridge").map(|a| a.data).collect::<Vec<_>>()
    };
    let rings = |members: Vec<Member>, in_order, pickup| {
        let Route::RingGroup(group) = group(&[], in_order) else { unreachable!("group() makes one") };
        bridges(&Route::RingGroup(RingGroup { members, pickup, ..group }))
    };
    let both = || vec![busy("1000"), super::member("1001")];
    assert_eq!(rings(both(), false, None), ["user/1000~fork@acme.test,user/1001@acme.test"]);
    assert_eq!(rings(both(), true, None), ["user/1000@acme.test", "user/1001@acme.test"]);
    let id = uuid::Uuid::nil();
    assert!(rings(both(), true, Some(id))[0].starts_with("user/1000~fork@acme.test,pickup/"));
    assert_eq!(rings(vec![busy("1000")], false, None), ["user/1000@acme.test"]);
    let Route::Ring(alone) = ring(&serde_json::json!([]), false) else { unreachable!("ring() makes one") };
    let alone = Ring { busy_on_busy: true, ..alone };
    assert_eq!(bridges(&Route::Ring(alone.clone())), ["user/1000@acme.test"]);
    let picked = Route::Ring(Ring { pickup: true, ..alone });
    assert_eq!(bridges(&picked), ["user/1000~fork@acme.test,pickup/1000@acme.test"]);
}
