use proptest::prelude::*;

use super::*;

fn tenant() -> Tenant {
    Tenant { domain: Domain::parse("acme.test").unwrap(), active: true }
}

fn name(text: &str) -> SipUsername {
    SipUsername::parse(text).unwrap()
}

fn extension(username: &str) -> Extension {
    Extension { sip_username: name(username), active: true, ring_seconds: 20, voicemail: true }
}

#[expect(clippy::needless_pass_by_value, reason = "reads best where it is called")]
fn routed(number: &str, caller: Option<&str>, target: Option<Target>) -> Route {
    let caller = caller.map(name);
    route(&tenant(), &Dialled::read(number), caller.as_ref(), target.as_ref())
}

fn lines(route: &Route) -> Vec<String> {
    route.actions(&tenant()).into_iter().map(|a| format!("{} {}", a.application, a.data).trim().to_owned()).collect()
}

#[test]
fn an_extension_rings_and_then_takes_a_message() {
    let route = routed("1001", Some("1000"), Some(Target::Extension(extension("1001"))));
    assert_eq!(
        lines(&route),
        [
            "set call_timeout=20",
            "set hangup_after_bridge=true",
            "set continue_on_fail=true",
            "bridge user/1001@acme.test",
            "answer",
            "sleep 500",
            "voicemail default acme.test 1001",
        ]
    );
}

#[test]
fn without_voicemail_the_caller_hears_the_cause() {
    let target = Target::Extension(Extension { voicemail: false, ..extension("1001") });
    let route = routed("1001", Some("1000"), Some(target));
    assert_eq!(lines(&route).last().unwrap(), "bridge user/1001@acme.test");
    assert!(lines(&route).contains(&"set continue_on_fail=false".to_owned()));
}

#[test]
fn a_group_rings_all_its_members_at_once() {
    let target = Target::Group { members: vec![name("1000"), name("1001")], ring_seconds: 30 };
    let route = routed("2000", None, Some(target));
    assert!(lines(&route).contains(&"bridge user/1000@acme.test,user/1001@acme.test".to_owned()));
    assert!(lines(&route).contains(&"set call_timeout=30".to_owned()));
}

#[test]
fn feature_codes_do_not_need_a_target() {
    assert_eq!(routed("9196", None, None), Route::Echo);
    assert_eq!(routed("*98", None, None), Route::Voicemail { mailbox: None });
    assert_eq!(lines(&Route::Voicemail { mailbox: None }).last().unwrap(), "voicemail check default acme.test");
}

#[test]
fn star_97_is_the_callers_own_box_and_star_98_anybodys() {
    assert_eq!(Dialled::read("*97").needs(Some(&name("1000"))), Some("1000"));
    let own = routed("*97", Some("1000"), Some(Target::Extension(extension("1000"))));
    assert_eq!(own, Route::Voicemail { mailbox: Some(name("1000")) });
    assert_eq!(routed("*97", None, None), Route::Refused(Refusal::NotSignedIn));
    assert_eq!(Dialled::read("*981001").needs(None), Some("1001"));
    let other = routed("*981001", Some("1000"), Some(Target::Extension(extension("1001"))));
    assert_eq!(lines(&other).last().unwrap(), "voicemail check default acme.test 1001");
}

#[test]
fn a_call_that_goes_nowhere_says_why() {
    let suspended = Target::Extension(Extension { active: false, ..extension("1001") });
    let no_box = Target::Extension(Extension { voicemail: false, ..extension("1001") });
    let cases = [
        ("4711", None, Refusal::Unallocated),
        ("*99", None, Refusal::Unallocated),
        ("*98x", None, Refusal::Unallocated),
        ("", None, Refusal::Unallocated),
        ("${system id}", None, Refusal::Unallocated),
        ("1001", Some(suspended.clone()), Refusal::Absent),
        ("*981001", Some(suspended), Refusal::Absent),
        ("*981001", Some(no_box), Refusal::NoVoicemail),
        ("*982000", Some(Target::Group { members: vec![], ring_seconds: 5 }), Refusal::Unallocated),
        ("2000", Some(Target::Group { members: vec![], ring_seconds: 5 }), Refusal::Absent),
    ];
    for (number, target, refusal) in cases {
        assert_eq!(routed(number, Some("1000"), target), Route::Refused(refusal), "{number}");
    }
}

#[test]
fn a_suspended_tenant_is_routed_nowhere() {
    let suspended = Tenant { active: false, ..tenant() };
    let target = Target::Extension(extension("1001"));
    for number in ["1001", "9196", "*97", "*98"] {
        let route = route(&suspended, &Dialled::read(number), None, Some(&target));
        assert_eq!(route, Route::Refused(Refusal::TenantSuspended));
    }
    assert_eq!(inbound(&suspended, Some(&target)), Route::Refused(Refusal::TenantSuspended));
}

proptest! {
    /// Whatever is dialled, no argument of an application holds anything a switch would expand.
    #[test]
    fn nothing_that_is_dialled_reaches_an_argument_unchecked(number in "[$*{}<>!0-9a-z \\\\@/,|%-]{0,12}") {
        let target = Target::Extension(extension("1001"));
        for target in [None, Some(target)] {
            let route = routed(&number, Some("1000"), target);
            for action in route.actions(&tenant()) {
                prop_assert!(!action.data.contains(['$', '{', '<', '\\', '|', '%']), "{:?}", action);
            }
        }
    }
}
