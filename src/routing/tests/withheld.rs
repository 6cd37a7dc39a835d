//! Withheld numbers as routes and actions.

use super::*;
use crate::routing::withheld;

fn lead(plan: &Plan, dialled: &str) -> Option<(bool, String)> {
    match routed(plan, "1000", dialled, MONDAY).route {
        Route::Withhold { withholds, to } => Some((withholds, to)),
        _ => None,
    }
}

#[test]
fn codes_before_a_number_withhold_or_show_it() {
    let germany = plan(&json!({}));
    let of = |country: &str| plan(&json!({ "settings": { "country": country } }));
    for (plan, dialled, to) in [
        (&germany, "*311001", Some((true, "1001"))),
        (&germany, "*31#1001", Some((true, "1001"))),
        (&germany, "*31*030123456", Some((true, "030123456"))),
        (&germany, "#31#+493012345678", Some((true, "+493012345678"))),
        (&germany, "*31112", Some((true, "112"))),
        (&germany, "*321001", Some((false, "1001"))),
        (&of("US"), "*672025550123", Some((true, "2025550123"))),
        (&of("GB"), "14102071234567", Some((true, "02071234567"))),
        (&of("GB"), "147002071234567", Some((false, "02071234567"))),
        (&of("AU"), "18310255501234", Some((true, "0255501234"))),
        (&of("HK"), "13321234567", Some((true, "21234567"))),
        (&of("HK"), "135721234567", Some((false, "21234567"))),
        (&of("HK"), "133001442071234567", Some((true, "001442071234567"))),
        (&of("IT"), "*67#0612345678", Some((true, "0612345678"))),
        (&of("KR"), "*23#0212345678", Some((true, "0212345678"))),
        (&of("HK"), "1331234", None),
        (&germany, "*67#0612345678", None),
        // Not the country's, too short, or nothing follows.
        (&germany, "*672025550123", None),
        (&germany, "14102071234567", None),
        (&of("GB"), "1411001", None),
        (&germany, "*31", None),
    ] {
        assert_eq!(lead(plan, dialled), to.map(|(withholds, to)| (withholds, to.to_owned())), "{dialled}");
    }
}

#[test]
fn codes_before_a_speed_dial_withhold_or_show_the_number_that_it_calls() {
    let speed_dials = json!({ "07": "+493012345678" });
    let of =
        |country: &str| plan(&json!({ "settings": { "country": country, "routing": { "speed_dials": speed_dials } } }));
    for (country, code, withholds) in [
        ("DE", "*31", true),
        ("DE", "*31*", true),
        ("DE", "*31#", true),
        ("DE", "#31#", true),
        ("DE", "*32", false),
        ("DE", "*32*", false),
        ("US", "*67", true),
        ("GB", "141", true),
        ("GB", "1470", false),
        ("IE", "142", false),
        ("AU", "1831", true),
        ("AU", "1832", false),
        ("NZ", "0197", true),
        ("NZ", "0196", false),
        ("FR", "3651", true),
        ("JP", "184", true),
        ("JP", "186", false),
        ("HK", "133", true),
        ("HK", "1357", false),
        ("IT", "*67#", true),
        ("KR", "*23#", true),
    ] {
        assert_eq!(
            lead(&of(country), &format!("{code}*007")),
            Some((withholds, "*007".to_owned())),
            "{country} {code}"
        );
    }
    // The tenant has no such speed dial: what follows the star is a number.
    assert_eq!(lead(&of("DE"), "*31*008"), Some((true, "008".to_owned())));
    assert_eq!(lead(&of("GB"), "141*008"), None);
    assert_eq!(lead(&of("DE"), "*31*030123456"), Some((true, "030123456".to_owned())));
}

#[test]
fn a_hidden_number_is_nowhere_in_what_the_switch_runs_and_a_shown_one_asks_for_no_privacy() {
    let lines =
        |actions: Vec<Action>| actions.into_iter().map(|a| format!("{} {}", a.application, a.data)).collect::<Vec<_>>();
    let route = |dialled: &str| {
        lines(routed(&plan(&json!({})), "1000", dialled, MONDAY).route.actions(&tenant(), Hops::default()))
    };
    let hidden = route("*311001");
    let expected = lines(withheld::hidden());
    assert_eq!(hidden[..expected.len()], expected);
    // What the phone's channel would tell once the call is answered.
    assert!(withheld::TELLS.iter().all(|tells| expected.contains(&format!("unset {tells}"))), "{expected:?}");
    assert_eq!(hidden.last().unwrap(), "transfer 1001 XML acme.test");
    let shown = route("*321001");
    assert_eq!(shown[..2], ["set dialplane_withhold=false", "privacy off"]);
}

#[test]
fn a_carrier_gets_a_withheld_number_where_it_wants_it() {
    let leg = |patch: Value, withheld: bool| {
        let mut config = json!({ "host": "sip.carrier.example:5060" });
        merge(&mut config, &patch);
        withheld::of_leg(&serde_json::from_value(config).unwrap(), withheld).join(" ")
    };
    let anonymous =
        "sip_from_uri=sip:anonymous@anonymous.invalid sip_from_display=Anonymous sip_invite_domain=sip.carrier.example";
    let pai = json!({ "caller_id_header": "p_asserted_identity" });
    let none = json!({ "caller_id_header": "absent", "anonymous_from": false });
    assert_eq!(leg(json!({}), false), "");
    assert_eq!(leg(json!({}), true), format!("sip_h_Privacy=id {anonymous}"));
    assert_eq!(leg(pai.clone(), false), "sip_cid_type=pid sip_cid_suppress_privacy_none=true");
    assert_eq!(leg(pai, true), format!("sip_cid_type=pid {anonymous}"));
    assert_eq!(leg(none.clone(), false), "sip_cid_type=none");
    assert_eq!(leg(none, true), "sip_cid_type=none sip_h_Privacy=id");
    // From has the account's name there, never a number.
    assert_eq!(leg(json!({ "caller_id_in_from": false }), true), "sip_h_Privacy=id");
}
