//! Withheld numbers (RFC 3323, RFC 3325): who wants theirs withheld, and what the switch then shows.
//!
//! A caller's number is withheld if the call came with `Privacy: id` or an anonymous From, if the caller's extension says so, or if a
//! code was dialled before the number. Phones then get no trace of the number, on net and from outside. A carrier gets it as its
//! configuration says, and an emergency service always does.

use super::{
    Action, Plan,
    action::{action, set},
};
use crate::{
    model::{carrier::CarrierConfig, channel},
    text::{CallerName, DialNumber},
};

/// The variables by which a phone's channel tells who it is once its call is answered: name and number.
pub const TELLS: [&str; 2] = ["execute_on_answer_14", "execute_on_answer_15"];

/// What phones show instead. As user of a SIP URI, it is what RFC 3323 (section 4.1.1.3) recommends.
pub const NOBODY: &str = "anonymous";
pub(super) const NAMED: &str = "Anonymous";

/// Codes before a number that work in some countries, besides the tenant's own, and whether they withhold. From the countries' numbering
/// plans and 3GPP TS 22.030. Codes of digits count only before numbers as people dial them outside: many numbers begin like them.
const BEFORE_NUMBERS: &[(&[&str], &str, bool)] = &[
    (&[], "#31#", true),
    (&["US", "CA", "PR", "JM", "BS", "BB", "TT"], "*67", true),
    (&["GB", "IE"], "141", true),
    (&["GB"], "1470", false),
    (&["IE"], "142", false),
    (&["AU"], "1831", true),
    (&["AU"], "1832", false),
    (&["NZ"], "0197", true),
    (&["NZ"], "0196", false),
    (&["FR"], "3651", true),
    (&["JP"], "184", true),
    (&["JP"], "186", false),
    (&["HK"], "133", true),
    (&["HK"], "1357", false),
    (&["IT"], "*67#", true),
    (&["KR"], "*23#", true),
];

/// The shortest number that may follow a code of digits.
const SHORTEST: usize = 9;

/// A country whose own numbers have no leading 0 but always so many digits.
const WHOLE: (&str, usize) = ("HK", 8);

/// A number dialled with one of the countries' codes: whether its caller is withheld, and the number. `is_speed_dial`: whether a text calls one
/// of the tenant's speed dials, which also stands for a number outside.
#[must_use]
pub fn dialled(text: &str, plan: &Plan, is_speed_dial: impl Fn(&str) -> bool) -> Option<(bool, DialNumber)> {
    let country = plan.country();
    BEFORE_NUMBERS.iter().find_map(|(countries, code, withholds)| {
        let rest = text.strip_prefix(code)?;
        let is_here = countries.is_empty() || country.is_some_and(|country| countries.contains(&country));
        let is_whole = || country == Some(WHOLE.0) && rest.len() == WHOLE.1;
        let is_outside = || is_whole() || rest.starts_with(['0', '+']) && rest.len() >= SHORTEST;
        let is_code = !code.bytes().all(|b| b.is_ascii_digit()) || is_outside() || is_speed_dial(rest);
        (is_here && is_code).then(|| DialNumber::parse(rest).ok()).flatten().map(|number| (*withholds, number))
    })
}

/// What follows a tenant's own code for this. `*31#NUMBER` and `*31*NUMBER` are written that way in many countries, but the star of a speed
/// dial is its own.
#[must_use]
pub fn after_code(rest: &str, is_speed_dial: impl Fn(&str) -> bool) -> Option<DialNumber> {
    let separated = rest.strip_prefix(['#', '*']).filter(|_| !is_speed_dial(rest));
    DialNumber::parse(separated.unwrap_or(rest)).ok()
}

/// Removes the caller's name and number from whatever the switch shows to phones from here on. `effective_…` is what legs are made with,
/// and the profile is what a phone is told after a transfer (`switch_ivr_uuid_bridge` in switch_ivr_bridge.c). The call's record still
/// has what came in (`sip_from_user`, `sip_P-Asserted-Identity`).
#[must_use]
pub fn hidden() -> Vec<Action> {
    vec![
        set(channel::WITHHOLD, true),
        action("privacy", "full"),
        set("effective_caller_id_name", NAMED),
        set("effective_caller_id_number", NOBODY),
        action("set_profile_var", format!("caller_id_name={NAMED}")),
        action("set_profile_var", format!("caller_id_number={NOBODY}")),
        action("unset", TELLS[0]),
        action("unset", TELLS[1]),
    ]
}

/// Shows whom the carrier vouches for, where the switch has taken the caller's own word for it. A number that is none is not shown.
#[must_use]
pub fn instead(name: Option<&CallerName>, number: Option<&str>) -> Vec<Action> {
    let number = number.and_then(|number| DialNumber::parse(number).ok());
    let (name, number) = match &number {
        Some(number) => (name.map_or(number.as_str(), CallerName::as_str), number.as_str()),
        None => (NAMED, NOBODY),
    };
    vec![
        set("effective_caller_id_name", name),
        set("effective_caller_id_number", number),
        action("set_profile_var", format!("caller_id_name={name}")),
        action("set_profile_var", format!("caller_id_number={number}")),
    ]
}

/// Notes that the caller wants the number of this call withheld, or shown, whatever else says otherwise. It is withheld at once, because a
/// switch whose `xml_curl.conf.xml` is older does not send the note with the next fetch.
#[must_use]
pub fn wished(withholds: bool) -> Vec<Action> {
    if withholds { hidden() } else { vec![set(channel::WITHHOLD, false), shown()] }
}

/// The switch itself writes `Privacy: id` and `privacy=full` no longer (`sofia_glue_do_invite` in sofia_glue.c).
#[must_use]
pub fn shown() -> Action {
    action("privacy", "off")
}

/// The variables of a leg to a carrier about its caller: where the number is, and what From says if it is withheld.
#[must_use]
pub fn of_leg(config: &CarrierConfig, withheld: bool) -> Vec<String> {
    let kind = config.caller_id_header.cid_type();
    let mut variables = kind.map(|kind| format!("sip_cid_type={kind}")).into_iter().collect::<Vec<_>>();
    if !withheld {
        // With this type alone, the switch would add `Privacy: none`.
        variables.extend((kind == Some("pid")).then(|| "sip_cid_suppress_privacy_none=true".to_owned()));
        return variables;
    }
    // The switch writes this header itself for one of the types only.
    variables.extend((kind != Some("pid")).then(|| "sip_h_Privacy=id".to_owned()));
    if config.anonymous_from && config.caller_id_in_from {
        let host = config.host.as_str();
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        variables.extend([
            "sip_from_uri=sip:anonymous@anonymous.invalid".to_owned(),
            format!("sip_from_display={NAMED}"),
            // The domain of the other headers.
            format!("sip_invite_domain={host}"),
        ]);
    }
    variables
}
