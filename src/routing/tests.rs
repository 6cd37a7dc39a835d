//! Routing as a table: who calls what and when, and where the call goes.

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::*;

mod actions;
mod call_backs;
mod dialling;
mod withheld;

/// The tenant of the table: acme.test in Berlin, Monday to Friday 9 to 17.
fn plan(patch: &Value) -> Plan {
    let mut plan = json!({
        "domain": "acme.test",
        "settings": {
            "time_zone": "Europe/Berlin",
            "country": "DE",
            "features": { "call_recording": true },
            "business_hours": {
                "monday": [{ "open": "09:00", "close": "17:00" }],
                "tuesday": [{ "open": "09:00", "close": "17:00" }],
                "friday": [{ "open": "09:00", "close": "24:00" }],
                "saturday": [{ "open": "00:00", "close": "02:00" }],
                "holidays": [{ "date": "2026-12-25", "name": "Christmas" }],
            },
            "routing": { "speed_dials": { "01": "1001", "02": "+493012345678" } },
        },
        "destinations": {
            id("queue"): { "name": "Support", "kind": "queue", "config": { "overflow": { "kind": "mailbox", "id": id("box") } } },
            id("ivr"): { "name": "Menu", "kind": "ivr", "config": {
                "greeting": { "text": "Welcome" }, "entries": { "1": { "kind": "queue", "id": id("queue") } } } },
            id("conf"): { "name": "Room", "kind": "conference", "config": { "moderator": id("1000") } },
            id("room"): { "name": "Plain room", "kind": "conference", "config": {} },
            id("box"): { "name": "Office box", "kind": "mailbox", "config": {} },
            id("hours"): { "name": "Hours", "kind": "schedule", "config": {
                "open": { "kind": "group", "id": id("sales") }, "closed": { "kind": "mailbox", "id": id("box") },
                "dates": [{ "from": "2026-12-24", "to": "2026-12-26", "target": { "kind": "announcement", "id": id("ann") } },
                          { "from": "2028-02-29", "to": "2028-02-29", "target": { "kind": "queue", "id": id("queue") } }] } },
            id("tokyo"): { "name": "Tokyo", "kind": "schedule", "config": { "time_zone": "Asia/Tokyo",
                "open": { "kind": "queue", "id": id("queue") }, "closed": { "kind": "mailbox", "id": id("box") } } },
            id("ny"): { "name": "New York", "kind": "schedule", "config": { "time_zone": "America/New_York",
                "open": { "kind": "queue", "id": id("queue") }, "closed": { "kind": "mailbox", "id": id("box") } } },
            id("ann"): { "name": "Closed", "kind": "announcement", "config": { "prompt": { "file": "custom/closed.wav" } } },
            id("mobile"): { "name": "Mobile", "kind": "external", "config": { "number": "+491701234567", "on_behalf_of": id("1000") } },
            id("page"): { "name": "All", "kind": "page", "config": { "members": [id("1000"), id("1012"), id("1001")] } },
        },
        "targets": { id("1000"): "1000", id("1001"): "1001", id("1012"): "1012", id("sales"): "2000" },
        "quiet": [id("1012")],
    });
    merge(&mut plan, patch);
    serde_json::from_value(plan).unwrap()
}

fn merge(into: &mut Value, patch: &Value) {
    *into = crate::model::settings::merge_patch(into, patch);
}

/// An id that is the same for the same name.
fn id(name: &str) -> String {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Uuid::from_bytes(bytes).to_string()
}

fn uuid(name: &str) -> Uuid {
    id(name).parse().unwrap()
}

fn name(text: &str) -> SipUsername {
    SipUsername::parse(text).unwrap()
}

fn member(name: &str) -> Member {
    Member { extension: self::name(name), forward: None, busy_on_busy: false, devices: Vec::new() }
}

/// What rings for a member of a group.
fn rung(member: &Member) -> &str {
    member.forward.as_ref().map_or(member.extension.as_str(), |to| to.as_str())
}

fn tenant() -> Tenant {
    Tenant { domain: Domain::parse("acme.test").unwrap(), active: true, announcements: Announcements::new() }
}

/// What the tenant of the table has under a name.
fn found(number: &str) -> Option<Found> {
    let extension = |username: &str, calls: Value| {
        Found::Extension(Extension {
            id: uuid(username),
            number: ExtensionNumber::parse(username).unwrap_or_else(|_| ExtensionNumber::parse("1020").unwrap()),
            alias: None,
            sip_username: name(username),
            active: username != "1009",
            ring_seconds: 20,
            voicemail: username != "1003",
            calls: serde_json::from_value(calls).unwrap(),
        })
    };
    let group = |strategy, members: &[&str], otherwise: Option<&str>| {
        Found::Group(Group {
            members: members.iter().map(|name| member(name)).collect(),
            ring_seconds: 30,
            strategy,
            confirm: false,
            pickup: None,
            otherwise: otherwise.map(|to| crate::model::destination::Target {
                kind: crate::model::destination::TargetKind::Mailbox,
                id: uuid(to),
            }),
        })
    };
    Some(match number {
        "1000" | "1001" | "1003" | "1009" | "ada" => extension(number, json!({})),
        // It was 1030, and its phone still registers as that.
        "1030" | "1031" => match extension("1030", json!({})) {
            Found::Extension(renumbered) => {
                Found::Extension(Extension { number: ExtensionNumber::parse("1031").unwrap(), ..renumbered })
            }
            other => other,
        },
        "1010" => extension(number, json!({ "forward_always": "1001" })),
        "1011" => extension(
            number,
            json!({ "forward_busy": "1001", "forward_no_answer": "+491701234567", "forward_not_registered": "2000" }),
        ),
        "1012" => extension(number, json!({ "do_not_disturb": true })),
        "1013" => extension(number, json!({ "blocked_callers": ["49900"] })),
        "1014" => extension(
            number,
            json!({ "follow_me": [{ "number": "+491701234567", "delay_seconds": 5, "confirm": true }] }),
        ),
        "1015" => extension(number, json!({ "record": true, "pickup": true })),
        "2000" => group(Strategy::All, &["1000", "1001"], None),
        "2001" => group(Strategy::InOrder, &["1000", "1001"], Some("box")),
        "2002" => group(Strategy::RoundRobin, &["1000", "1001", "1003"], None),
        "2003" => group(Strategy::All, &[], None),
        "2004" => group(Strategy::All, &[], Some("box")),
        "3000" => Found::Destination(uuid("queue")),
        "3001" => Found::Destination(uuid("ivr")),
        "3002" => Found::Destination(uuid("conf")),
        "3003" => Found::Destination(uuid("box")),
        "3004" => Found::Destination(uuid("hours")),
        "3005" => Found::Destination(uuid("ann")),
        "3006" => Found::Destination(uuid("mobile")),
        "3007" => Found::Destination(uuid("page")),
        "3008" => Found::Destination(uuid("tokyo")),
        "3009" => Found::Destination(uuid("ny")),
        "3010" => Found::Destination(uuid("room")),
        "3011" => Found::Destination(uuid("gone")),
        _ => return None,
    })
}

/// The caller in a case: `1000`, `-` (nobody), or `1000/49301` (with the number shown); `+7` gives the hops, `!busy` how
/// ringing ended.
struct Who {
    caller: Option<SipUsername>,
    number: Option<String>,
    hops: Hops,
    after: Option<Failure>,
}

fn who(text: &str) -> Who {
    let (text, after) = text.split_once('!').map_or((text, None), |(text, after)| (text, Some(after)));
    let (text, hops) =
        text.split_once('~').map_or((text, Hops::default()), |(text, hops)| (text, Hops::led(hops.parse().unwrap())));
    let (caller, number) =
        text.split_once('/').map_or((text, None), |(caller, number)| (caller, Some(number.to_owned())));
    let after = after.map(|after| match after {
        "busy" => Failure::Busy,
        "no answer" => Failure::NoAnswer,
        "not registered" => Failure::NotRegistered,
        _ => Failure::Other,
    });
    Who { caller: (caller != "-").then(|| name(caller)), number, hops, after }
}

/// Monday 2026-11-23, 10:00 in Berlin.
const MONDAY: &str = "2026-11-23T09:00:00Z";

fn routed(plan: &Plan, from: &str, number: &str, at: &str) -> Routed {
    let from = who(from);
    let call = Call {
        caller: from.caller.as_ref(),
        caller_number: from.number.as_deref(),
        area: None,
        hops: from.hops,
        after: from.after,
        turn: 4,
        ..Call::dialling(number, at.parse().unwrap())
    };
    let needs = Dialled::read(number, plan).needs(call.caller).map(ToOwned::to_owned);
    let found = needs.and_then(|name| found(&name));
    route(&tenant(), plan, &call, found.as_ref(), &mut Trace::off())
}

/// A route in the table's words.
fn words(route: &Route) -> String {
    let box_name = |mailbox: &str| {
        if mailbox == uuid("box").simple().to_string() { "office box".to_owned() } else { mailbox.to_owned() }
    };
    let named = |to: &str| {
        let known =
            ["queue", "ivr", "box", "ann", "hours"].into_iter().find(|name| uuid(name).simple().to_string() == *to);
        known.map_or(to.to_owned(), ToOwned::to_owned)
    };
    match route {
        Route::Ring(ring) => {
            let then = match &ring.then {
                Then::Hangup => "",
                Then::Voicemail(None) => ", then message",
                Then::Voicemail(Some(_)) => ", then message after another greeting",
                Then::MessageFor(_) => ", then message for whoever forwarded",
                Then::Ask => ", then ask",
            };
            let record = if ring.record { ", recorded" } else { "" };
            let follow = ring.follow_me.iter().flat_map(|leg| [" and ", leg.number.as_str()]).collect::<String>();
            format!("ring {}{follow}{then}{record}", ring.extension)
        }
        Route::RingGroup(group) => {
            let members = group.members.iter().map(rung).collect::<Vec<_>>();
            let then = group.then.as_deref().map(|to| format!(", then {}", named(to))).unwrap_or_default();
            format!("ring {}{then}", members.join(if group.in_order { ", then " } else { " and " }))
        }
        Route::Message { mailbox, greeting } => {
            let greeting = greeting.map(|greeting| format!(" after greeting {greeting}")).unwrap_or_default();
            format!("message for {}{greeting}", box_name(mailbox))
        }
        Route::Voicemail { mailbox: None } => "voicemail of anybody".into(),
        Route::Voicemail { mailbox: Some(mailbox) } => format!("voicemail of {mailbox}"),
        Route::Lead { to, on_behalf_of: None, .. } => format!("on to {}", named(to)),
        Route::Lead { to, on_behalf_of: Some(user), .. } => format!("on to {} for {user}", named(to)),
        Route::Queue { then, .. } => {
            format!("queue{}", then.as_deref().map(|to| format!(", then {}", named(to))).unwrap_or_default())
        }
        Route::Conference { moderator: true, .. } => "conference as moderator".into(),
        Route::Page { members, .. } => format!("page {}", members.join(" ")),
        Route::Pickup { extension } => format!("pick up {extension}"),
        Route::PickupAny { .. } => "pick up in own groups".into(),
        Route::Intercom { extension } => format!("intercom {extension}"),
        Route::Park { slot, .. } => slot.map_or("park".into(), |slot| format!("park {slot}")),
        Route::Handle { change, .. } => match change {
            Handle::Forward(Some(to)) => format!("forward to {to}"),
            Handle::Forward(None) => "forward off".into(),
            Handle::AtQueues(state) => format!("at queues: {state:?}"),
            Handle::DoNotDisturb(on) => format!("do not disturb {}", if *on { "on" } else { "off" }),
        },
        Route::Outside(callee) => {
            format!("outside {} {}", callee.number, callee.country.as_ref().map_or("-", |c| c.as_str()))
        }
        Route::Emergency { number } => format!("emergency {number}"),
        Route::Refused(refusal) => format!("refused: {}", refusal.name()),
        other => other.name().to_owned(),
    }
}

/// Checks rows of `who | number | when | route`. An empty `when` is Monday, 10:00 in Berlin.
fn check(plan: &Plan, table: &str) -> usize {
    let mut cases = 0;
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let columns = row.split('|').map(str::trim).collect::<Vec<_>>();
        let [from, number, at, expected] = columns[..] else { panic!("{row}") };
        let at = if at.is_empty() { MONDAY } else { at };
        let routed = routed(plan, from, number, at);
        assert_eq!(words(&routed.route), expected, "{row}");
        cases += 1;
    }
    cases
}

#[test]
fn every_call_goes_where_the_table_says() {
    let cases = check(&plan(&json!({})), include_str!("tests/table.txt"));
    assert!(cases >= 170, "{cases}");
    let us = plan(&json!({ "settings": { "country": "US", "time_zone": "America/New_York",
        "routing": { "outbound": { "prefix": "9" }, "emergency": { "numbers": ["5555"] } } } }));
    let more = check(&us, include_str!("tests/table_us.txt"));
    assert!(cases + more >= 200, "{cases} + {more}");
}

#[test]
fn what_is_switched_off_is_not_answered_and_the_trace_says_so() {
    let off = json!({ "voicemail": false, "call_recording": false, "queues": false, "conferences": false });
    let plan = plan(&json!({ "settings": { "features": off, "routing": { "record": { "internal": true } } } }));
    let rows = "
        1000      | 1001    | | ring 1001
        1000      | 1015    | | ring 1015
        1000!busy | 1001    | | refused: do_not_disturb
        1000      | 1012    | | refused: do_not_disturb
        -         | 3000    | | refused: switched_off
        -         | 3002    | | refused: switched_off
        -         | 3010    | | refused: switched_off
        -         | 3003    | | refused: switched_off
        -         | 3001    | | ivr
        1000      | *97     | | refused: switched_off
        1000      | *98     | | refused: switched_off
        1000      | *981001 | | refused: switched_off
        1000      | 9196    | | echo
        -         | 112     | | emergency 112
    ";
    assert_eq!(check(&plan, rows), 14);
    for (number, feature) in
        [("3000", "queues"), ("3002", "conferences"), ("*98", "voicemail"), ("1015", "call_recording")]
    {
        let mut trace = Trace::on();
        let found = found(number);
        let _ = route(&tenant(), &plan, &Call::dialling(number, MONDAY.parse().unwrap()), found.as_ref(), &mut trace);
        let told = format!("{:?}", trace.tried());
        assert!(told.contains(&format!("{feature} is switched off for the tenant")), "{number}: {told}");
    }
}

#[test]
fn codes_can_be_changed_and_then_the_usual_ones_mean_nothing() {
    let plan = plan(
        &json!({ "settings": { "routing": { "codes": { "own_voicemail": "*1", "echo": "*43", "pickup": "*55" } } } }),
    );
    let rows = "
        1000 | *1     | | voicemail of 1000
        1000 | *43    | | echo
        1000 | *551001| | pick up 1001
        1000 | *97    | | refused: unallocated
        1000 | 9196   | | refused: unallocated
        1000 | *81001 | | refused: unallocated
    ";
    assert_eq!(check(&plan, rows), 6);
}

#[test]
fn entries_decide_before_everything_but_emergencies_and_codes() {
    let entries = json!({ "entries": [
        { "name": "sevens", "body": { "conditions": [
            { "pattern": "^77(\\d{4})$", "actions": [{ "application": "dial", "number": "{1}" }] }] } },
        { "name": "vip", "body": { "conditions": [
            { "pattern": "^1001$", "break": "on_false" },
            { "field": "caller_number", "pattern": "^\\+?4989", "actions": [{ "application": "go", "target": { "kind": "queue", "id": id("queue") } }] }] } },
        { "name": "night", "body": { "conditions": [
            { "pattern": "^1003$" },
            { "hours": { "monday": [{ "open": "09:00", "close": "17:00" }] }, "anti_actions": [{ "application": "hangup", "cause": "user_busy" }] }] } },
        { "name": "never 112", "body": { "conditions": [
            { "pattern": "^(112|\\*97)$", "actions": [{ "application": "hangup", "cause": "call_rejected" }] }] } },
        { "name": "ada alone", "body": { "conditions": [
            { "pattern": "^500$" }, { "field": "caller_extension", "pattern": "^ada$", "actions": [{ "application": "answer" }] }] } },
    ] });
    let plan = plan(&entries);
    let steps = |routed: Routed| match routed.route {
        Route::Custom { steps } => {
            format!("{:?}", Route::Custom { steps }.actions(&tenant(), Hops::default()).last().unwrap())
        }
        other => words(&other),
    };
    let goes = |from: &str, number: &str, at: &str| steps(routed(&plan, from, number, at));
    assert!(goes("1000", "771001", MONDAY).contains("1001 XML acme.test"));
    assert_eq!(goes("1000", "77100", MONDAY), "refused: unallocated");
    assert!(goes("-/+498912345", "1001", MONDAY).contains(&format!("{} XML acme.test", uuid("queue").simple())));
    assert_eq!(goes("-/+493012345", "1001", MONDAY), "ring 1001, then message");
    assert_eq!(goes("1000", "1003", MONDAY), "ring 1003");
    assert!(goes("1000", "1003", "2026-11-23T17:00:00Z").contains("USER_BUSY"));
    assert_eq!(goes("1000", "112", MONDAY), "emergency 112");
    assert_eq!(goes("1000", "*97", MONDAY), "voicemail of 1000");
    assert!(goes("ada", "500", MONDAY).contains("answer"));
    assert_eq!(goes("1000", "500", MONDAY), "refused: unallocated");
    // The route says what it depends on, so that it is kept under that.
    assert!(routed(&plan, "-/+498912345", "1001", MONDAY).varies_by_number);
    assert!(routed(&plan, "ada", "500", MONDAY).varies_by_caller);
    let routed = routed(&plan, "1000", "1003", "2026-11-23T08:59:42Z");
    assert_eq!(routed.keep, Keep::Until("2026-11-23T09:00:00Z".parse().unwrap()));
}

#[test]
fn catastrophic_patterns_are_refused_or_harmless() {
    for text in ["(a+)+$", "^(\\d+)*x$", "(x|x)*y"] {
        let entry = json!({ "entries": [{ "name": "slow", "body": { "conditions": [
            { "pattern": text, "actions": [{ "application": "answer" }] }] } }] });
        let plan = plan(&entry);
        let number = "1".repeat(24);
        let began = std::time::Instant::now();
        let _ = routed(&plan, "1000", &number, MONDAY);
        assert!(began.elapsed().as_millis() < 200, "{text}");
    }
    for text in ["(?=a)b", "(a)\\1", "a{1000}{1000}", "(", &"a".repeat(300)] {
        assert!(entries::Pattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_default_codes_read_and_differ() {
    let codes = crate::model::settings::routing::FeatureCodes::default();
    let all = codes.all().map(|code| code.as_str().to_owned());
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
}

#[test]
fn members_take_turns_or_are_shuffled() {
    let plan = plan(&json!({}));
    let first = |turn: u64, strategy| {
        let group = Found::Group(Group {
            members: ["a", "b", "c"].map(member).to_vec(),
            ring_seconds: 20,
            strategy,
            confirm: false,
            pickup: None,
            otherwise: None,
        });
        let call = Call { turn, ..Call::dialling("2002", MONDAY.parse().unwrap()) };
        let routed = route(&tenant(), &plan, &call, Some(&group), &mut Trace::off());
        assert_eq!(routed.keep, Keep::Never);
        let Route::RingGroup(group) = routed.route else { panic!() };
        group.members[0].extension.to_string()
    };
    assert_eq!([0, 1, 2, 3].map(|turn| first(turn, Strategy::RoundRobin)), ["a", "b", "c", "a"]);
    let firsts = (0..60).map(|turn| first(turn, Strategy::Random)).collect::<std::collections::HashSet<_>>();
    assert_eq!(firsts.len(), 3);
}

#[test]
fn a_suspended_tenant_reaches_only_emergency_numbers() {
    let suspended = Tenant { active: false, ..tenant() };
    let plan = plan(&json!({}));
    for number in ["1001", "9196", "*97", "*98", "+493012345678"] {
        let call = Call::dialling(number, MONDAY.parse().unwrap());
        let routed = route(&suspended, &plan, &call, found(number).as_ref(), &mut Trace::off());
        assert_eq!(routed.route, Route::Refused(Refusal::TenantSuspended), "{number}");
        let routed = inbound(&suspended, &plan, &call, found("1001").as_ref(), false, &mut Trace::off());
        assert_eq!(routed.route, Route::Refused(Refusal::TenantSuspended));
    }
    let call = Call::dialling("110", MONDAY.parse().unwrap());
    let routed = route(&suspended, &plan, &call, None, &mut Trace::off());
    assert_eq!(routed.route, Route::Emergency { number: "110".into() });
}

proptest! {
    /// Whoever dials whatever gets a route or a named refusal, the same one each time, and no argument of an application
    /// contains anything that a switch would expand.
    #[test]
    fn routing_is_total_deterministic_and_harmless(
        number in "[$*{}<>!0-9a-z+# \\\\@/,|%~-]{0,14}", caller in "[0-9a-z]{0,5}", shown in "[+0-9]{0,12}", hops in 0_u8..=255,
        after in 0_usize..5, seconds in -2_000_000_000_i64..4_000_000_000,
    ) {
        let plan = plan(&json!({}));
        let caller = SipUsername::parse(&caller).ok();
        let after = [None, Some(Failure::Busy), Some(Failure::NoAnswer), Some(Failure::NotRegistered), Some(Failure::Other)][after];
        let at = Timestamp::from_second(seconds).unwrap();
        let hops = Hops::led(hops);
        let call = Call { caller: caller.as_ref(), caller_number: Some(&shown), hops, after, turn: 7, ..Call::dialling(&number, at) };
        let needs = Dialled::read(&number, &plan).needs(call.caller).map(ToOwned::to_owned);
        for found in [None, needs.as_deref().and_then(found)] {
            let routed = route(&tenant(), &plan, &call, found.as_ref(), &mut Trace::off());
            prop_assert_eq!(&routed, &route(&tenant(), &plan, &call, found.as_ref(), &mut Trace::on()));
            for action in routed.route.actions(&tenant(), hops) {
                let constant = action.data == RECORDING || action.data.starts_with("tone_stream://") || action.data.starts_with("[^^!")
                    || action.data.starts_with("group_confirm_file=") || action.data.starts_with("conference_auto_outcall_prefix=")
                    || action.application == "conference" || action.application == "export";
                prop_assert!(constant || !action.data.contains(['$', '{', '<', '\\', '|', '%']), "{:?}", action);
                // Another tenant's domain is never named.
                prop_assert!(!action.data.contains(".test") || action.data.contains("acme.test"), "{:?}", action);
            }
        }
    }

    /// Everybody reaches emergency numbers, from anywhere and at any time.
    #[test]
    fn emergencies_always_pass(number in prop::sample::select(vec!["110", "112"]), active: bool, hops in 0_u8..=255, seconds in 0_i64..4_000_000_000) {
        let plan = plan(&json!({ "settings": { "routing": { "blocked_callers": ["4"], "outbound": { "blocked_prefixes": ["1"], "concurrent_calls": 0 } } } }));
        let call = Call { hops: Hops::led(hops), caller_number: Some("+49"), ..Call::dialling(number, Timestamp::from_second(seconds).unwrap()) };
        let tenant = Tenant { active, ..tenant() };
        let routed = route(&tenant, &plan, &call, None, &mut Trace::off());
        prop_assert_eq!(routed.route, Route::Emergency { number: number.to_owned() });
    }
}

/// What a tenant of this country and area gets when it dials this.
fn dialled(country: &str, area: Option<&str>, number: &str) -> Option<String> {
    let settings = json!({ "country": country, "routing": { "outbound": { "area_code": area } } });
    let plan = plan(&json!({ "settings": settings }));
    Callee::dialled(number, &plan, None).map(|callee| callee.number.to_string())
}

#[test]
fn a_number_without_its_area_is_in_the_tenants_own() {
    for (country, area, number, wanted) in [
        ("DE", Some("030"), "5551234", "+49305551234"),
        ("DE", Some("30"), "5551234", "+49305551234"),
        // Dialled whole, or meant for elsewhere.
        ("DE", Some("030"), "08912345678", "+498912345678"),
        ("DE", Some("030"), "004312345678", "+4312345678"),
        ("DE", Some("030"), "+4312345678", "+4312345678"),
        ("DE", Some("030"), "01701234567", "+491701234567"),
        ("US", Some("212"), "5550123", "+12125550123"),
        ("US", Some("212"), "2025550123", "+12025550123"),
        ("US", Some("212"), "12025550123", "+12025550123"),
        ("IT", Some("06"), "69812345", "+390669812345"),
        ("AT", Some("01"), "51234567", "+43151234567"),
        // Whole numbers only.
        ("US", None, "2025550123", "+12025550123"),
        ("FR", None, "0123456789", "+33123456789"),
    ] {
        assert_eq!(dialled(country, area, number).as_deref(), Some(wanted), "{number} in {country}");
    }
    assert_eq!(dialled("US", None, "5550123"), None, "nobody says which area");
    // Extensions that are gone, and what is mistyped, are no numbers of Berlin.
    for number in ["1161", "1150", "911", "204", "1000"] {
        assert_eq!(dialled("DE", Some("030"), number), None, "{number}");
    }
    assert_eq!(dialled("DE", Some("030"), "49301234567").as_deref(), Some("+49301234567"), "it lacks only the +");
}

#[test]
fn a_number_that_was_dialled_in_a_menu_is_one_inside_or_leads_back_there() {
    let plan = plan(&json!({}));
    let dialled = |number: &'static str, menu: Option<Uuid>| {
        let call = Call { menu, ..Call::dialling(number, MONDAY.parse().unwrap()) };
        words(&route(&tenant(), &plan, &call, found(number).as_ref(), &mut Trace::off()).route)
    };
    let menu = Some(uuid("ivr"));
    assert_eq!(dialled("1001", menu), "ring 1001, then message");
    assert_eq!(dialled("112", menu), "emergency 112");
    for number in ["7777", "03012345678"] {
        assert_eq!(dialled(number, menu), "again", "{number}");
    }
    assert_eq!(dialled("7777", None), "refused: unallocated");
    assert_eq!(dialled("7777", Some(uuid("gone"))), "refused: unallocated");
    let again = Route::Again { menu: uuid("ivr"), prompt: None }.actions(&tenant(), Hops::led(3));
    let to = format!("{} XML acme.test", uuid("ivr").simple());
    assert_eq!(again.last().map(|action| (action.application, &*action.data)), Some(("transfer", &*to)));
}

#[test]
fn what_nobody_takes_where_a_call_was_forwarded_goes_to_the_mailbox_of_whoever_forwarded() {
    let plan = plan(&json!({}));
    let ada = name("ada");
    let forwarded = |number: &'static str, after: Option<Failure>| {
        let call = Call { forwarder: Some(&ada), after, ..Call::dialling(number, MONDAY.parse().unwrap()) };
        words(&route(&tenant(), &plan, &call, found(number).as_ref(), &mut Trace::off()).route)
    };
    assert_eq!(forwarded("1001", None), "ring 1001, then message", "it has a mailbox of its own");
    assert_eq!(forwarded("1003", None), "ring 1003, then message for whoever forwarded");
    assert_eq!(forwarded("1003", Some(Failure::Busy)), "on to ada~message");
    assert_eq!(forwarded("1009", None), "on to ada~message");
    assert_eq!(forwarded("7777", None), "on to ada~message");
    assert_eq!(forwarded("2000", None), "ring 1000 and 1001, then ada~message");
    assert_eq!(forwarded("2001", None), "ring 1000, then 1001, then box");
    // Only an extension that has a mailbox notes itself on the calls that it forwards.
    let noted = |number: &str| {
        let actions = routed(&plan, "1000", number, MONDAY).route.actions(&tenant(), Hops::default());
        actions.into_iter().find(|action| action.data.starts_with("dialplane_forwarder=")).map(|action| action.data)
    };
    assert_eq!(noted("1010").as_deref(), Some("dialplane_forwarder=1010:1001"));
    assert_eq!(noted("*001"), None, "a speed dial is no forward");
}

#[test]
fn outside_business_hours_a_mailbox_has_its_own_greeting() {
    let plan = plan(&json!({}));
    let Some(Found::Extension(extension)) = found("1001") else { unreachable!() };
    let calls = serde_json::from_value(json!({ "closed_greeting": 2 })).unwrap();
    let extension = Found::Extension(Extension { calls, ..extension });
    let at = |at: &str, after: Option<Failure>| {
        let call = Call { after, ..Call::dialling("1001", at.parse().unwrap()) };
        let routed = route(&tenant(), &plan, &call, Some(&extension), &mut Trace::off());
        assert!(matches!(routed.keep, Keep::Until(_)), "{routed:?}");
        (words(&routed.route), routed.route.actions(&tenant(), Hops::default()))
    };
    let night = "2026-11-23T22:00:00Z";
    assert_eq!(at(MONDAY, None).0, "ring 1001, then message");
    assert_eq!(at(night, None).0, "ring 1001, then message after another greeting");
    assert_eq!(at(night, Some(Failure::Busy)).0, "message for 1001 after greeting 2");
    assert!(at(night, None).1.iter().any(|action| action.data == "voicemail_greeting_number=2"));
    assert!(!at(MONDAY, None).1.iter().any(|action| action.data.starts_with("voicemail_greeting_number")));
}

#[test]
fn callers_come_before_others_in_a_queue_by_their_numbers() {
    let config = json!({ "priorities": [{ "callers": "+49 (0)30", "seconds": 600 }, { "seconds": 5 }] });
    let plan = plan(&json!({ "destinations": { id("queue"): { "config": config } } }));
    let ahead = |number: Option<&'static str>| {
        let call = Call { caller_number: number, ..Call::dialling("3000", MONDAY.parse().unwrap()) };
        let routed = route(&tenant(), &plan, &call, found("3000").as_ref(), &mut Trace::off());
        assert!(routed.varies_by_number);
        let Route::Queue { ahead, .. } = routed.route else { panic!("{:?}", routed.route) };
        ahead
    };
    assert_eq!(["+493012345678", "03012345678", "+498912345678"].map(|number| ahead(Some(number))), [600, 600, 5]);
    assert_eq!(ahead(None), 5);
    let queue = Route::Queue { id: Uuid::from_u128(1), record: false, ahead: 600, call_back: None, then: None };
    let actions = queue.actions(&tenant(), Hops::default());
    assert!(actions.iter().any(|action| action.data == "cc_base_score=600"));
}

#[test]
fn an_extensions_own_area_comes_before_its_tenants() {
    let settings = json!({ "country": "DE", "routing": { "outbound": { "area_code": "030" } } });
    let plan = plan(&json!({ "settings": settings }));
    let munich = Prefix::parse("089").unwrap();
    for (area, wanted) in [(None, "+49305551234"), (Some(&munich), "+49895551234")] {
        let call = Call { area, ..Call::dialling("5551234", MONDAY.parse().unwrap()) };
        let routed = route(&tenant(), &plan, &call, None, &mut Trace::off());
        let Route::Outside(callee) = routed.route else { panic!("{:?}", routed.route) };
        assert_eq!(callee.number.as_str(), wanted);
    }
}

#[test]
fn services_are_called_by_their_short_numbers_and_priced_by_rates_of_their_own() {
    for area in [None, Some("030")] {
        for (number, wanted) in
            [("115", "+49115"), ("116117", "+49116117"), ("11833", "+4911833"), ("+49116117", "+49116117")]
        {
            assert_eq!(dialled("DE", area, number).as_deref(), Some(wanted), "{number}");
        }
    }
    assert_eq!(dialled("FR", None, "115"), None, "where it means help");
    assert_eq!(dialled("AT", None, "115"), None);
    let plan = |patch: Value| plan(&json!({ "settings": { "country": "DE", "routing": { "outbound": patch } } }));
    let judge = |number: &str, patch: Value| {
        let plan = plan(patch);
        Callee::dialled(number, &plan, None).unwrap().judge(&plan)
    };
    for number in ["115", "116117", "08001234567"] {
        assert_eq!(judge(number, json!({})), Ok(()), "{number}");
    }
    for number in ["11833", "118000", "09001234567"] {
        assert_eq!(judge(number, json!({})), Err(Refusal::PremiumNumber), "{number}");
        assert_eq!(judge(number, json!({ "allowed_prefixes": ["49118", "49900"] })), Ok(()), "{number}");
    }
    assert_eq!(judge("116117", json!({ "blocked_prefixes": ["49116"] })), Err(Refusal::BlockedNumber));
    let callee = |number: &str| Callee::dialled(number, &plan(json!({})), None).unwrap();
    assert_eq!(carried::prefixes(&callee("11833")), ["49118", "491183", "4911833"]);
    assert_eq!(carried::prefixes(&callee("115")), ["49115"]);
    assert_eq!(carried::prefixes(&callee("03012345678")).first().map(String::as_str), Some("4"));
    // In the form in which a carrier takes it.
    assert_eq!([callee("115").national(), callee("116117").national()], ["115", "116117"]);
}

/// The prefix in force, as it may be written, and the number that a caller shows.
#[test]
fn a_blocked_caller_is_blocked_in_any_form() {
    for blocked in
        ["+49 (0)30 123", "+4930123", "0049 30 123", "004930123", "030/123", "030 123", "4930123", "(030) 123"]
    {
        let plan = plan(&json!({ "settings": { "routing": { "blocked_callers": [blocked] } } }));
        for (shown, is_blocked) in [
            ("+4930123456", true),
            ("004930123456", true),
            ("4930123456", true),
            ("030123456", true),
            ("+49 (0)30 123 456", true),
            ("+4930124456", false),
            ("+4989123456", false),
            ("+4330123456", false),
        ] {
            let call = Call { caller_number: Some(shown), ..Call::dialling("1001", MONDAY.parse().unwrap()) };
            let route = route(&tenant(), &plan, &call, found("1001").as_ref(), &mut Trace::off()).route;
            assert_eq!(route == Route::Refused(Refusal::BlockedCaller), is_blocked, "{blocked} and {shown}");
        }
    }
}
