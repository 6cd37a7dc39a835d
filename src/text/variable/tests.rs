//! The values that each variable accepts, and those that none accepts.

use super::*;

/// Values with which a switch would run something, open something or leave its context. No variable accepts them.
const ATTACKS: [&str; 21] = [
    "system::/usr/bin/touch /tmp/x",
    "bgsystem::id",
    "transfer::1000 XML other.test",
    "lua::x.lua",
    "m:^:system::id",
    "shell_stream:///usr/bin/touch /tmp/x",
    "http://attacker.test/x.wav",
    "http_cache://attacker.test/x.wav",
    "file_string://a!b",
    "say:x",
    "phrase:x",
    "/etc/passwd",
    "../../etc/passwd",
    "local_stream://../x",
    "local_stream://moh/8000",
    "tone_stream://%(1,1,1)",
    "silence_stream://-1",
    "{loops=1}system::id",
    "debug:/tmp/x",
    "${system id}",
    "mandatory:AES",
];

#[test]
fn no_variable_takes_what_a_switch_would_run_or_open() {
    for name in call_variable_names() {
        for attack in ATTACKS {
            let words = name == "presence_data";
            let parsed = CallVariable::parse(name, attack);
            assert!(Variable::parse(name, attack).is_err() || parsed.is_ok(), "{name}={attack}");
            // A value that is only shown accepts more, but nothing that a switch would run.
            let fine = words && !attack.contains("::") && !attack.contains("://") && !attack.contains('$');
            assert_eq!(parsed.is_ok(), fine, "{name}={attack}");
        }
    }
}

#[test]
fn nobody_writes_a_mark_of_dialplanes_own() {
    for mark in [
        "dialplane/01a21e10-0000-7000-8000-000000000001/+13125550123/01a21e10-0000-7000-8000-000000000002",
        " DialPlane/x",
        "dialplane",
    ] {
        for parsed in [Variable::parse("presence_data", mark).err(), CallVariable::parse("presence_data", mark).err()] {
            assert_eq!(parsed.map(|error| error.0), Some(Code::NamesDialplane), "{mark}");
        }
    }
}

#[test]
fn each_variable_takes_what_it_is_for() {
    for (name, value, kept) in [
        ("accountcode", "support-team", "support-team"),
        ("callgroup", "sales", "sales"),
        ("default_language", "pt-BR", "pt-BR"),
        ("fax_enable_t38", "true", "true"),
        ("hold_music", "jazz", "local_stream://jazz"),
        ("hold_music", "local_stream://jazz", "local_stream://jazz"),
        ("jitterbuffer_msec", "60:200:20", "60:200:20"),
        ("jitterbuffer_msec", "1p:5p", "1p:5p"),
        ("limit_max", "0005", "5"),
        ("presence_data", "in the office (until 5:30)", "in the office (until 5:30)"),
        ("rtp_secure_media", "mandatory", "mandatory"),
        ("sip-expires-max-deviation", "30", "30"),
        ("sip-force-expires", "3600", "3600"),
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("timezone", "UTC", "UTC"),
        ("timezone", "US/Eastern", "America/New_York"),
        ("toll_allow", "domestic,international,local", "domestic,international,local"),
    ] {
        let variable = Variable::parse(name, value).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
        assert_eq!((variable.name(), variable.value()), (name, kept));
        assert_eq!(Variable::parse(name, kept).unwrap(), variable, "the form that is kept is stable");
    }
}

#[test]
fn values_that_a_switch_would_misread_are_refused() {
    for (name, value) in [
        ("accountcode", "../../x"),
        ("accountcode", "a/b"),
        ("default_language", "english"),
        ("fax_enable_t38", "yes please"),
        ("hold_music", "a b"),
        ("jitterbuffer_msec", "99999999"),
        ("rtp_secure_media", "true:x"),
        ("sip-expires-max-deviation", "3600"),
        ("sip-expires-max-deviation", "0"),
        ("sip-force-expires", "999999999"),
        ("sip-force-expires", "59"),
        ("sip-force-expires", "-1"),
        ("sip-force-expires", "+3600"),
        ("sip-force-expires-min", "1e3"),
        ("timezone", "../../x"),
        ("timezone", "Mars/Olympus"),
        ("timezone", "Etc/Unknown"),
        ("timezone", ":/etc/passwd"),
        ("toll_allow", "a,,b"),
        ("toll_allow", "a, b"),
    ] {
        assert!(Variable::parse(name, value).is_err(), "{name}={value}");
    }
}

#[test]
fn what_is_wrong_is_named_by_the_variable() {
    let json = r#"{"accountcode":"a","hold_music":"system::id"}"#;
    let mut reader = serde_json::Deserializer::from_str(json);
    let error = serde_path_to_error::deserialize::<_, Variables>(&mut reader).unwrap_err();
    assert_eq!(error.path().to_string(), "hold_music");
}
