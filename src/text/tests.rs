//! No string that a type accepts can do anything on a switch.

use proptest::prelude::*;

use super::*;

/// Strings with many dangerous parts.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just("$".to_owned()), 3 => Just("${".to_owned()), 2 => Just("$${".to_owned()), 2 => Just("<!".to_owned()),
        2 => Just("x-pre-process".to_owned()), 1 => Just("X-PRE-PROCESS".to_owned()), 1 => Just("<?".to_owned()),
        1 => Just("\"/>".to_owned()), 1 => Just("]]>".to_owned()), 1 => Just("\n".to_owned()), 1 => Just("\0".to_owned()),
        1 => Just("'".to_owned()), 1 => Just("::".to_owned()), 1 => Just("@@".to_owned()), 1 => Just(",".to_owned()),
        1 => Just("&amp;".to_owned()), 1 => Just("--".to_owned()), 4 => "[a-z0-9.+-]{1,6}", 2 => ".{0,3}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn harmless(text: &str) {
    assert!(!text.contains('$') && !text.contains('<') && !text.contains('{'), "{text:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(!text.contains(['"', '&', '>', '\\', '`', '|', '^', '[', ']', '%', ';', '\'']), "{text:?}");
    assert!(!text.to_lowercase().contains("x-pre-process"), "{text:?}");
    assert!(!text.starts_with('!'), "{text:?}");
}

macro_rules! accepted_is_harmless {
    ($($test:ident: $type:ident),+ $(,)?) => {$(
        proptest! {
            #[test]
            fn $test(text in nasty()) {
                if let Ok(parsed) = $type::parse(&text) {
                    harmless(parsed.as_str());
                    prop_assert_eq!($type::parse(parsed.as_str()).unwrap(), parsed, "canonical form is stable");
                }
            }
        }
    )+};
}

accepted_is_harmless!(
    domain: Domain, sip_username: SipUsername, extension_number: ExtensionNumber, group_handle: GroupHandle,
    switch_name: SwitchName, codecs: Codecs, e164: E164, caller_number: CallerNumber, email: Email,
    dial_number: DialNumber, dialable: Dialable, prefix: Prefix, feature_code: FeatureCode, sound_file: SoundFile, host: Host,
    network: Network, header_name: HeaderName, carrier_user: CarrierUser,
);

proptest! {
    #[test]
    fn display_names_are_harmless(text in nasty()) {
        // A display name may begin with '!', because no switch searches by it.
        // Its ' and & are written as references, which the escaper's test checks.
        let but_names = |name: &str| name.trim_start_matches('!').replace(['\'', '&'], "");
        if let Ok(name) = DisplayName::parse(&text) { harmless(&but_names(name.as_str())); }
        if let Ok(name) = CallerName::parse(&text) { harmless(&but_names(name.as_str())); }
        if let Ok(text) = Spoken::parse(&text) {
            harmless(&but_names(text.as_str()));
            let said = text.said();
            prop_assert!(said.starts_with("say:") && !said.contains("::") && !said.contains("@@"), "{}", said);
            prop_assert!(text.as_str().contains("@@") || said == format!("say:{text}"), "{}", said);
            harmless(&text.in_dial_string());
            prop_assert!(!text.in_dial_string().contains(','), "{}", text);
            prop_assert_eq!(Spoken::parse(text.as_str()).unwrap(), text, "canonical form is stable");
        }
        for name in variable_names() {
            if let Ok(variable) = Variable::parse(name, &text) { harmless(variable.value().trim_start_matches('!')); }
        }
    }

    #[test]
    fn secrets_are_harmless(text in nasty()) {
        if let Ok(secret) = SipSecret::parse(&text) { harmless(secret.reveal()); }
        if let Ok(pin) = VoicemailPin::parse(&text) { harmless(pin.reveal()); }
    }
}

#[test]
fn ordinary_names_are_accepted() {
    for name in [
        "Ada Lovelace",
        "José Ñandú",
        "王小明",
        "Support (2nd line)",
        "R+D, Halle #3",
        "Sales - EMEA/APAC",
        "O'Brien",
        "L'Oréal",
        "AT&T",
        "Smith & Sons",
    ] {
        assert_eq!(DisplayName::parse(name).unwrap().as_str(), name);
    }
    for email in ["ada@acme.example", "a.b+c=d@mail.acme.example"] {
        assert_eq!(Email::parse(email).unwrap().as_str(), email);
    }
    assert_eq!(Domain::parse("ACME.Example").unwrap().as_str(), "acme.example");
    assert_eq!(SipUsername::parse("Ada.Phone-1").unwrap().as_str(), "ada.phone-1");
    assert_eq!(Codecs::parse("OPUS,PCMA@20i,PCMU").unwrap().as_str(), "OPUS,PCMA@20i,PCMU");
}

#[test]
fn what_is_spoken_has_apostrophes_and_ampersands_and_nothing_that_is_run_or_cut() {
    for text in ["Welcome to O'Brien", "Smith & Sons", "Willkommen bei L'Oréal", "AT&T", "Don't hang up", "'", "& '"] {
        let spoken = Spoken::parse(text).unwrap();
        assert_eq!((spoken.as_str(), spoken.said()), (text, format!("say:{text}")));
    }
    for text in ["${system id}", "a \\' b", "a::b", ":x", "{voice=kal}x", "a\nb", "a|b", "<!x", "100 %", "\"", ";"] {
        assert!(Spoken::parse(text).is_err(), "{text:?}");
    }
    for (text, said) in [("a@@5", "say:a@ @5"), ("@@@", "say:@ @ @"), ("me@acme", "say:me@acme")] {
        assert_eq!(Spoken::parse(text).unwrap().said(), said);
    }
    let street = Spoken::parse("O'Connell Street 1, Smith & Sons").unwrap();
    assert_eq!(street.in_dial_string(), "O\u{2019}Connell Street 1  Smith + Sons");
}

#[test]
fn a_group_is_named_as_people_write_it_and_called_by_switches_as_they_can() {
    let id = "0190a0b0-0000-7000-8000-00000000000a".parse::<uuid::Uuid>().unwrap();
    let by_id = format!("g{}", id.simple());
    for (name, handle) in [
        ("sales", "sales"),
        ("Sales", "sales"),
        ("tier-2.berlin", "tier-2.berlin"),
        ("Smith & Sons", by_id.as_str()),
        ("O'Brien", by_id.as_str()),
        ("Ärzte", by_id.as_str()),
        ("2. Etage", by_id.as_str()),
    ] {
        let group = GroupName::parse(name).unwrap();
        assert_eq!(group.as_str(), name);
        let is = group.handle(id);
        harmless(is.as_str());
        assert_eq!(is.as_str(), handle, "{name}");
    }
    for name in ["", "1000", "24/7", "*98", "+49", "<b>", "a${b}", "a\nb", "a::`"] {
        assert!(GroupName::parse(name).is_err(), "{name:?}");
    }
}

#[test]
fn what_a_switch_would_act_on_is_refused() {
    for name in [
        "",
        " ",
        "${system id}",
        "$${domain}",
        "a <!b",
        "a\"b",
        "a\nb",
        "a\u{202e}b",
        "the X-Pre-Process cmd",
        "a;b",
        "a\0",
    ] {
        assert!(DisplayName::parse(name).is_err(), "{name:?}");
    }
    for domain in ["", "acme", "10.0.0.1", "-a.b", "a..b", "a b.c", "a.b&purpose=gateways", "public", "a_b.test"] {
        assert!(Domain::parse(domain).is_err(), "{domain:?}");
    }
    for username in ["", "!x", "a@b", "a b", "+", "a:b", "a%b", "ä"] {
        assert!(SipUsername::parse(username).is_err(), "{username:?}");
    }
    for pin in ["123", "1234", "9876", "0000", "1212", "123123", "10001000", "12a4", "1234567890123"] {
        assert!(VoicemailPin::parse(pin).is_err(), "{pin:?}");
    }
    for name in ["user_context", "user_name", "domain_name", "vm-convert-cmd", "execute_on_answer", "sip-force-user"] {
        assert!(VariableName::parse(name).is_err(), "{name:?}");
    }
}

#[test]
fn numbers_are_read_as_carriers_send_them() {
    for dialled in ["+12025550123", "12025550123", "0012025550123"] {
        assert_eq!(E164::from_dialled(dialled).unwrap().as_str(), "+12025550123");
    }
    for dialled in ["", "+", "sip", "0", "+1202555012345678", "+0123456789"] {
        assert!(E164::from_dialled(dialled).is_none(), "{dialled:?}");
    }
}

#[test]
fn a_number_is_read_as_its_carrier_is_known_to_write_it() {
    use super::Notation::{International, National};
    for (text, notation, number) in [
        ("2025550123", National("US"), "+12025550123"),
        ("12025550123", National("US"), "+12025550123"),
        ("+2025550123", National("US"), "+2025550123"),
        ("011442071838750", National("US"), "+442071838750"),
        ("0255501234", National("AU"), "+61255501234"),
        ("0255501234", International(Some("AU")), "+61255501234"),
        ("61255501234", National("AU"), "+61255501234"),
        ("+61-2-5550-1234", International(None), "+61255501234"),
        ("61255501234;npdi", International(None), "+61255501234"),
        ("0255501234;npdi;rn=+61255500000", National("AU"), "+61255501234"),
        ("tel:+61-2-5550-1234", National("US"), "+61255501234"),
        ("tel:5550123;phone-context=+1-202", International(None), "+12025550123"),
        ("<sip:+61255501234@carrier.example:5060;user=phone>", National("US"), "+61255501234"),
        ("sip:%2B61255501234@carrier.example", International(None), "+61255501234"),
        ("03012345678", National("DE"), "+493012345678"),
        ("004930 12345678", International(Some("DE")), "+493012345678"),
        ("2025550123", International(None), "+2025550123"),
    ] {
        assert_eq!(E164::read(text, notation).as_ref().map(E164::as_str), Some(number), "{text} {notation:?}");
    }
    for (text, notation) in [
        ("0255501234", International(None)),
        ("0255501234", National("XX")),
        ("123", National("US")),
        ("anonymous", National("US")),
        ("+0255501234", National("AU")),
        ("12025550123x5", International(None)),
        ("", National("US")),
    ] {
        assert_eq!(E164::read(text, notation), None, "{text} {notation:?}");
    }
}

#[test]
fn generated_secrets_parse_and_do_not_print() {
    let secret = SipSecret::generate();
    assert_eq!(SipSecret::parse(secret.reveal()).unwrap(), secret);
    assert_eq!(secret.reveal().len(), 24);
    assert!(!format!("{secret:?}").contains(secret.reveal()));
    let pin = VoicemailPin::generate();
    assert_eq!(VoicemailPin::parse(pin.reveal()).unwrap(), pin);
    assert!(!format!("{pin:?}").contains(pin.reveal()));
}
