//! What applications and arguments an entry may have.

use super::*;
use crate::routing::{Plan, Route, Tenant, trial::Done};

fn domain() -> Domain {
    Domain::parse("acme.test").unwrap()
}

fn checked(application: &str, data: &str) -> Result<String, Why> {
    check(application, data, &Place { domain: Some(&domain()), groups: &[true, false] })
}

const ID: &str = "0190a0b0c0d0e0f00102030405060708";

#[test]
fn arguments_are_kept_without_the_tenants_domain() {
    for (application, data, kept) in [
        ("answer", "", ""),
        ("bridge", "user/1000@ACME.test", "user/1000@{domain}"),
        ("bridge", "sofia/gateway/x/$1", "sofia/gateway/x/$1"),
        (
            "bridge",
            "[leg_timeout=20]user/1000@acme.test,user/ada@{domain}|error/USER_BUSY",
            "[leg_timeout=20]user/1000@{domain},user/ada@{domain}|error/USER_BUSY",
        ),
        ("callcenter", "0190a0b0c0d0e0f00102030405060708.acme.test", "0190a0b0c0d0e0f00102030405060708.{domain}"),
        ("hangup", "USER_BUSY", "USER_BUSY"),
        ("pickup", "1000@acme.test", "1000@{domain}"),
        ("playback", "ivr/ivr-welcome.wav", "ivr/ivr-welcome.wav"),
        ("playback", "tone_stream://%(200,100,800);loops=3", "tone_stream://%(200,100,800);loops=3"),
        ("record_session", RECORDING, RECORDING),
        ("sched_hangup", "+60 ALLOTTED_TIMEOUT", "+60 ALLOTTED_TIMEOUT"),
        ("set", "hold_music=jazz", "hold_music=local_stream://jazz"),
        ("set", "ringback=%(1000,4000,425)", "ringback=%(1000,4000,425)"),
        ("set_audio_level", "write -4", "write -4"),
        ("transfer", "1$1 XML acme.test", "1$1"),
        ("valet_park", "acme.test 07", "{domain} 7"),
        ("voicemail", "check default acme.test", "check default {domain}"),
        ("voicemail", "default acme.test 1000", "default {domain} 1000"),
    ] {
        assert_eq!(checked(application, data).as_deref(), Ok(kept), "{application} {data}");
        let again = check(application, kept, &Place { domain: None, groups: &[true] });
        assert_eq!(again.as_deref(), Ok(kept), "a kept argument is kept unchanged");
    }
}

#[test]
fn a_refusal_says_in_either_language_what_the_application_takes() {
    let refused = |application, data| checked(application, data).unwrap_err();
    let run = refused("system", "id");
    assert_eq!((run.code, &*run.english()), (Code::XmlApplicationRefused, "must not run \"system\""));
    let sleep = refused("sleep", "long");
    assert_eq!(sleep.english(), "must not pass \"long\" to sleep: it takes a number from 0 to 65535");
    assert_eq!(sleep.german(), "darf \"long\" nicht an sleep übergeben: Es nimmt eine Zahl von 0 bis 65535");
    let reason = |why: &Why| why.parameters.iter().find(|(name, _)| *name == "reason_code").unwrap().1.clone();
    assert_eq!(reason(&sleep), "takes_number");
    // A refusal within a refusal within a refusal.
    let set = Code::XmlRefused.because(refused("set", "exec_after_bridge_app=x"));
    assert_eq!(reason(&set), "xml_argument_refused");
    let (english, german) = (Code::UnknownVariable.texts().english, Code::UnknownVariable.texts().german);
    assert!(set.english().ends_with(&format!("it can't set \"exec_after_bridge_app\", which {english}")), "{set}");
    assert!(set.german().ends_with(&format!("Es kann \"exec_after_bridge_app\" nicht setzen: Es {german}")), "{set}");
}

/// Arguments that would make a switch run, open, write or leave something.
const ATTACKS: &[&str] = &[
    "system::/usr/bin/touch /tmp/x",
    "system /usr/bin/touch /tmp/x",
    "${system(id)}",
    "${system id}",
    "${${a}system(id)}",
    "$${domain}",
    "$2",
    "$1$",
    "$12",
    "${1}",
    "%[a=b]x",
    "{api_hangup_hook=system id}user/1000@acme.test",
    "<api_on_answer=system>user/1000@acme.test",
    "[execute_on_answer=system id]user/1000@acme.test",
    "[^^:leg_timeout=1:x=y]user/1000@acme.test",
    "user/1000@beta.test",
    "user/1000@acme.test,user/1000@beta.test",
    "user/1000@acme.test:_:user/1000@beta.test",
    "loopback/1000/beta.test",
    "sofia/external/1000@evil.test",
    "sofia/gateway/../x/1",
    "sofia/gateway/a::b/1",
    "group/sales@beta.test",
    "1000 XML beta.test",
    "1000 inline",
    "1000 XML acme.test x",
    "'system:id' inline",
    "-bleg 1000 XML acme.test",
    "default beta.test 1000",
    "check default acme.test 1000 x",
    "0190a0b0c0d0e0f00102030405060708.beta.test",
    "0190a0b0c0d0e0f00102030405060708@0190a0b0c0d0e0f00102030405060708.beta.test",
    "0190a0b0c0d0e0f00102030405060708@0190a0b0c0d0e0f00102030405060708.acme.test+flags{x}",
    "beta.test 07",
    "acme.test ask 1 99 1000 /etc/passwd",
    "/etc/cron.d/x",
    "../../etc/passwd",
    "recordings/../x.wav",
    "shell_stream:///usr/bin/id",
    "http://evil.test/x.wav",
    "say:x",
    "file_string://a!b",
    "tone_stream://path=/etc/passwd",
    "tone_stream://%(1,1,1);loops=-1",
    "local_stream://../x",
    "api_hangup_hook=system id",
    "execute_on_answer=system id",
    "exec_after_bridge_app=system",
    "transfer_after_bridge=1000:XML:beta.test",
    "effective_caller_id_number=112",
    "hold_music=system::id",
    "ringback=/etc/passwd",
    "nolocal:api_hangup_hook=system id",
    "call_timeout,20",
    "-60",
];

#[test]
fn no_application_takes_an_argument_that_would_run_open_write_or_leave_something() {
    for application in names() {
        for attack in ATTACKS {
            assert!(checked(application, attack).is_err(), "{application} {attack}");
        }
    }
}

#[test]
fn numbers_keep_to_their_bounds() {
    for (application, data) in [
        ("sleep", "65536"),
        ("sleep", "999999999"),
        ("delay_echo", "0"),
        ("respond", "302"),
        ("respond", "200"),
        ("sched_hangup", "+0"),
        ("sched_hangup", "60"),
        ("sched_hangup", "+86401"),
        ("set_audio_level", "read 5"),
        ("valet_park", "acme.test 00"),
        ("set", "call_timeout=0"),
        ("set", "call_timeout=3601"),
    ] {
        assert!(checked(application, data).is_err(), "{application} {data}");
    }
}

#[test]
fn other_applications_are_refused_in_every_spelling() {
    for application in [
        "system",
        "System",
        "SYSTEM",
        "system ",
        " system",
        "bgsystem",
        "js",
        "lua",
        "luarun",
        "python",
        "socket",
        "curl",
        "spawn",
        "sched_broadcast",
        "sched_transfer",
        "bind_meta_app",
        "bind_digit_action",
        "eval",
        "multiset",
        "set_global",
        "set_user",
        "record",
        "mkdir",
        "rename",
        "eavesdrop",
        "intercept",
        "three_way",
        "execute_on_answer",
        "limit_execute",
        "enum",
        "cidlookup",
        "att_xfer",
        "deflect",
        "redirect",
        "event",
        "page",
        "rxfax",
        "txfax",
        "displace_session",
        "play_and_get_digits",
        "read",
        "answer::x",
        "system::id",
        "",
    ] {
        for data in ["", "1000", "x"] {
            assert!(checked(application, data).is_err(), "{application}");
        }
    }
}

#[test]
fn every_step_of_an_entry_is_in_the_list() {
    let plan = Plan::empty(domain());
    let tenant = Tenant::of(&plan, domain(), true);
    let steps = serde_json::json!([
        { "application": "answer" }, { "application": "pre_answer" }, { "application": "ring_ready" },
        { "application": "sleep", "milliseconds": 65_535 }, { "application": "play", "prompt": { "file": "a/b.wav" } },
        { "application": "set", "name": "hold_music", "value": "jazz" },
        { "application": "set", "name": "call_timeout", "value": "20" },
        { "application": "hangup", "cause": "no_answer" },
    ]);
    let steps = serde_json::from_value::<Vec<Step>>(steps).unwrap();
    let steps = steps.into_iter().map(|step| (Done::Step(step), None));
    let dialled = (Done::Dial(DialNumber::parse("1000").unwrap()), Some("1000".to_owned()));
    let route = Route::Custom { steps: steps.chain([dialled]).collect() };
    let own = crate::model::channel::HOPS;
    for action in route.actions(&tenant, crate::routing::Hops::default()) {
        if action.data.starts_with(own) {
            continue;
        }
        let kept = checked(action.application, &action.data);
        assert!(kept.is_ok(), "{} {}: {kept:?}", action.application, action.data);
    }
}

#[test]
fn the_documentation_names_each_application_and_each_variable() {
    let page = include_str!("../../../docs/dialplan-xml.md");
    for name in names().chain(call_variable_names()) {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    assert!(is_id(ID));
}
