use super::*;

fn user<'a>(domain: &'a str, user: &'a str, view: View<'a>) -> Request<'a> {
    Request::User { domain: domain.into(), user: user.into(), view, proof: Proof::default() }
}

fn domain(domain: &str) -> Request<'_> {
    Request::Domain { domain: domain.into() }
}

const BASE: &str = "hostname=vm&section=directory&tag_name=domain&key_name=name&key_value=acme.test";
const NOT_OURS: Request<'static> = Request::NotOurs { kind: "directory" };

fn call<'a>(destination: &'a str, caller: Option<Caller<'a>>) -> Request<'a> {
    let (context, destination) = ("acme.test".into(), destination.into());
    let nothing = (None, None, crate::routing::Hops::default(), None, None);
    let (on_behalf, caller_number, hops, disposition, call) = nothing;
    Request::Dialplan(Box::new(Dialplan {
        context,
        destination,
        caller,
        on_behalf,
        forwarder: None,
        connected: Connected::default(),
        back: None,
        caller_number,
        caller_name: None,
        is_preferred: false,
        withheld: false,
        hops,
        waited: call::Waited::default(),
        disposition,
        call,
        phone: Phone::default(),
        arrival: Arrival::default(),
        switch: None,
    }))
}

#[test]
fn a_register_is_a_question_for_a_digest() {
    let form = format!(
        "{BASE}&Event-Name=REQUEST_PARAMS&action=sip_auth&sip_auth_realm=acme.test&key=id&user=1001&domain=acme.test&ip=127.0.0.1"
    );
    assert_eq!(Request::read(form.as_bytes()), Ok(user("acme.test", "1001", View::Other { realm: b"acme.test" })));
}

#[test]
fn a_purpose_smuggled_in_by_the_realm_is_not_read() {
    // A stranger chooses the realm, and it is in key_value without encoding.
    for realm in [
        "acme.test&purpose=gateways",
        "acme.test&Event-Name=x&purpose=gateways",
        "acme.test&domain=acme.test&user=1000",
    ] {
        let encoded = realm.replace('&', "%26").replace('=', "%3D");
        let form = format!(
            "hostname=vm&section=directory&tag_name=domain&key_name=name&key_value={realm}&Event-Name=REQUEST_PARAMS&action=sip_auth&sip_auth_realm={encoded}&key=id&user=1001&domain={encoded}"
        );
        assert_eq!(Request::read(form.as_bytes()), Ok(NOT_OURS), "{realm}");
    }
}

#[test]
fn a_register_binds_no_address_of_another_domain() {
    let form = |method: &str, to_host: &str, realm: &str| {
        format!(
            "{BASE}&Event-Name=X&action=sip_auth&sip_auth_realm={realm}&sip_to_host={to_host}&sip_auth_method={method}&key=id&user=1001&domain=acme.test"
        )
    };
    let signed_in = |realm: &'static str| Ok(user("acme.test", "1001", View::Register { realm: realm.as_bytes() }));
    assert_eq!(Request::read(form("REGISTER", "ACME.test", "acme.test").as_bytes()), signed_in("acme.test"));
    assert_eq!(Request::read(form("REGISTER", "other.test", "acme.test").as_bytes()), Ok(domain("acme.test")));
    // A call may go anywhere, and a profile that forces a domain also forces it on the address.
    let by_call = Ok(user("acme.test", "1001", View::Auth { realm: b"acme.test" }));
    assert_eq!(Request::read(form("INVITE", "other.test", "acme.test").as_bytes()), by_call);
    assert_eq!(Request::read(form("REGISTER", "192.0.2.1", "192.0.2.1").as_bytes()), signed_in("192.0.2.1"));
}

#[test]
fn a_register_has_only_its_own_place_called() {
    let form = |method: &str, contact: &str| {
        format!(
            "{BASE}&Event-Name=X&action=sip_auth&sip_auth_realm=acme.test{contact}&sip_to_host=acme.test&sip_auth_method={method}&key=id&user=u7kq3&domain=acme.test&ip=198.51.100.7"
        )
    };
    let signed_in = || Ok(user("acme.test", "u7kq3", View::Register { realm: b"acme.test" }));
    for own in [
        // An older configuration sends none, and a REGISTER that asks for bindings has none.
        "",
        "&sip_contact_host=198.51.100.7",
        "&sip_contact_user=u7kq3&sip_contact_host=198.51.100.7",
        "&sip_contact_user=x81jf0&sip_contact_host=x81jf0.invalid",
        "&sip_contact_user=u7kq3&sip_contact_host=192.168.1.20",
    ] {
        assert_eq!(Request::read(form("REGISTER", own).as_bytes()), signed_in(), "{own}");
    }
    for strange in [
        "&sip_contact_user=u7kq3&sip_contact_host=203.0.113.9",
        "&sip_contact_user=u7kq3&sip_contact_host=sip.carrier.example",
        "&sip_contact_user=%2B13125550123&sip_contact_host=198.51.100.7",
        "&sip_contact_user=911&sip_contact_host=192.168.1.20",
        "&sip_contact_host=198.51.100.7&sip_contact_host=203.0.113.9",
        "&sip_contact_user=u7kq3&sip_contact_user=911&sip_contact_host=198.51.100.7",
    ] {
        assert_eq!(Request::read(form("REGISTER", strange).as_bytes()), Ok(domain("acme.test")), "{strange}");
    }
    // A call is answered where it comes from.
    let by_call = Ok(user("acme.test", "u7kq3", View::Auth { realm: b"acme.test" }));
    let elsewhere = "&sip_contact_user=u7kq3&sip_contact_host=203.0.113.9";
    assert_eq!(Request::read(form("INVITE", elsewhere).as_bytes()), by_call);
}

#[test]
fn nobody_watches_phones_of_another_domain() {
    let form = |watched: &str| {
        format!(
            "{BASE}&Event-Name=X&action=sip_auth&{watched}&sip_auth_realm=acme.test&sip_auth_method=SUBSCRIBE&key=id&user=1001&domain=acme.test"
        )
    };
    for ours in [
        "sip_to_user=1002&sip_to_host=acme.test",
        "sip_to_user=1002&sip_to_host=ACME.test",
        "sip_to_user=park%2B5900&sip_to_host=acme.test",
        "sip_to_user=conf%2B3000%2Bacme.test&sip_to_host=acme.test",
        "sip_to_user=%2B4930123456&sip_to_host=acme.test",
    ] {
        assert_eq!(
            Request::read(form(ours).as_bytes()),
            Ok(user("acme.test", "1001", View::Other { realm: b"acme.test" })),
            "{ours}"
        );
    }
    for theirs in [
        "sip_to_user=1002&sip_to_host=other.test",
        // On a profile that forces a domain, the client makes up the realm.
        "sip_to_user=1002&sip_to_host=other.test&sip_auth_realm=other.test",
        "sip_to_user=conf%2B3000%2Bother.test&sip_to_host=acme.test",
        "sip_to_user=sip%2B1001%40other.test&sip_to_host=acme.test",
        "sip_to_user=a%2Bb%2Bacme.test%2Bother.test&sip_to_host=acme.test",
        "sip_to_host=acme.test",
    ] {
        assert_eq!(Request::read(form(theirs).as_bytes()), Ok(domain("acme.test")), "{theirs}");
    }
}

#[test]
fn event_headers_before_the_event_do_not_count() {
    let form = format!("{BASE}&purpose=gateways&action=sip_auth&Event-Name=GENERAL&key=id&user=1001&domain=acme.test");
    assert_eq!(Request::read(form.as_bytes()), Ok(user("acme.test", "1001", View::Profile)));
}

#[test]
fn the_last_user_and_the_first_section_count() {
    let form = format!("{BASE}&Event-Name=REQUEST_PARAMS&section=dialplan&user=evil&key=id&user=1001&domain=acme.test");
    assert_eq!(Request::read(form.as_bytes()), Ok(user("acme.test", "1001", View::Profile)));
}

#[test]
fn a_domain_that_differs_from_key_value_is_not_ours() {
    for last in ["domain=other.test", "domain=%ff", "domain=acme.test%00"] {
        let form = format!("{BASE}&Event-Name=REQUEST_PARAMS&key=id&user=1001&{last}");
        assert_eq!(Request::read(form.as_bytes()), Ok(NOT_OURS), "{last}");
    }
}

#[test]
fn an_event_socket_login_gets_a_domain_without_users() {
    let form = format!("{BASE}&Event-Name=REQUEST_PARAMS&action=event_socket_auth&key=id&user=1001&domain=acme.test");
    assert_eq!(Request::read(form.as_bytes()), Ok(domain("acme.test")));
}

#[test]
fn a_purpose_other_than_voicemail_never_shows_users() {
    for purpose in ["gateways", "network-list", "anything"] {
        let form = format!("{BASE}&Event-Name=GENERAL&domain=acme.test&purpose={purpose}&key=id&user=1001");
        assert_eq!(Request::read(form.as_bytes()), Ok(domain("acme.test")), "{purpose}");
    }
}

#[test]
fn voicemail_is_published_to_one_to_a_group_or_to_all() {
    let read = |rest: &str| format!("{BASE}&Event-Name=GENERAL&purpose=publish-vm&domain=acme.test&{rest}");
    let form = read("user=1001");
    assert_eq!(Request::read(form.as_bytes()), Ok(user("acme.test", "1001", View::Profile)));
    let form = read("user=_all_");
    assert_eq!(
        Request::read(form.as_bytes()),
        Ok(Request::Everyone { domain: "acme.test".into(), view: GroupView::Voicemail })
    );
    let form = read("group=sales");
    let group = Request::Group { domain: "acme.test".into(), group: "sales".into(), view: GroupView::Voicemail };
    assert_eq!(Request::read(form.as_bytes()), Ok(group));
}

#[test]
fn a_pin_changed_by_phone_is_a_request_of_its_own() {
    let form = format!(
        "{BASE}&Event-Name=CUSTOM&VM-Action=change-password&VM-User-Password=4711&VM-User=1001&key=id&user=1001&domain=acme.test"
    );
    let change = Request::ChangePin { domain: "acme.test".into(), user: "1001".into(), pin: "4711".into() };
    assert_eq!(Request::read(form.as_bytes()), Ok(change));
}

#[test]
fn a_browsers_login_can_not_change_a_pin() {
    let form = format!(
        "{BASE}&Event-Name=REQUEST_PARAMS&action=jsonrpc-authenticate&VM-Action=change-password&VM-User-Password=4711&VM-User=1001&Event-Name=CUSTOM&key=id&user=1001&domain=acme.test"
    );
    assert_eq!(Request::read(form.as_bytes()), Ok(user("acme.test", "1001", View::Verto)));
}

#[test]
fn the_hunt_profile_says_where_a_call_goes() {
    let form = b"hostname=vm&section=dialplan&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS&Caller-Context=old&Caller-Destination-Number=1&variable_user_name=1000&variable_domain_name=acme.test&Hunt-Context=evil&Hunt-Context=acme.test&Hunt-Destination-Number=%2B12025550123";
    let caller = Some(Caller { user: "1000".into(), domain: "acme.test".into() });
    let call = call("+12025550123", caller);
    assert_eq!(Request::read(form), Ok(call));
}

#[test]
fn an_identity_with_two_values_does_not_count() {
    let form = b"section=dialplan&Event-Name=REQUEST_PARAMS&variable_user_name=1000&variable_user_name=1001&variable_domain_name=acme.test&Hunt-Context=acme.test&Hunt-Destination-Number=1";
    let call = call("1", None);
    assert_eq!(Request::read(form), Ok(call));
}

#[test]
fn a_form_that_is_no_request_is_a_named_error() {
    assert_eq!(Request::read(b""), Err(Malformed::NoSection));
    assert_eq!(Request::read(b"section="), Err(Malformed::NoSection));
    assert_eq!(Request::read(b"\xff\xfe\x00"), Err(Malformed::NoSection));
    assert_eq!(Request::read("a=1&".repeat(10_000).as_bytes()), Err(Malformed::TooManyFields));
    assert_eq!(Request::read(b"section=nonsense"), Ok(Request::NotOurs { kind: "unknown" }));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_request_or_a_refusal(form in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let _ = Request::read(&form);
    }

    #[test]
    fn any_fields_are_a_request_or_a_refusal(
        names in proptest::collection::vec(proptest::sample::select(vec![
            "section", "tag_name", "key_name", "key_value", "Event-Name", "action", "purpose", "key", "user", "domain",
            "group_name", "VM-Action", "Hunt-Context", "Hunt-Destination-Number", "variable_user_name",
        ]), 0..20),
        values in proptest::collection::vec("(directory|dialplan|domain|name|acme.test|id|%[0-9a-f]{2}|[ -~]{0,8})", 20),
    ) {
        let form = names.iter().zip(&values).map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&");
        let _ = Request::read(form.as_bytes());
    }
}

#[test]
fn whoever_is_rung_is_asked_for_with_the_device_that_a_leg_is_for() {
    let ring = |asked: &str| {
        let form = format!("{BASE}&Event-Name=REQUEST_PARAMS&action=user_call&key=id&user={asked}&domain=acme.test");
        let Ok(Request::User { user, view: View::Ring { only, switch: None }, .. }) = Request::read(form.as_bytes())
        else {
            panic!("{form}")
        };
        assert_eq!(user, asked);
        only
    };
    assert_eq!(ring("1001"), None);
    assert_eq!(ring("1001~any"), Some(Only::Any));
    let id = crate::text::DeviceId::parse("00000000000000ff").unwrap();
    assert_eq!(ring("1001~2.00000000000000ff"), Some(Only::Device { place: 2, id }));
    assert_eq!(ring("1001~2"), None);
}

#[test]
fn a_queue_rings_its_agents_although_its_event_comes_last() {
    let form =
        format!("{BASE}&as_channel=true&action=user_call&Event-Name=REQUEST_PARAMS&key=id&user=1001&domain=acme.test");
    let ring = View::Ring { only: None, switch: None };
    assert_eq!(Request::read(form.as_bytes()), Ok(user("acme.test", "1001", ring)));
    // It is no other fetch for that.
    let form =
        format!("{BASE}&action=user_call&Event-Name=REQUEST_PARAMS&action=sip_auth&key=id&user=1001&domain=acme.test");
    assert_eq!(Request::read(form.as_bytes()), Ok(user("acme.test", "1001", View::Other { realm: b"" })));
}
