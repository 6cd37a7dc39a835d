//! Emergency numbers by country. Calls to them always pass.

use super::plan::Plan;

/// Emergency numbers by country: police, ambulance, fire, and numbers for all of them. From the countries' numbering plans;
/// 112 works in all of the European Union, and from mobile networks nearly everywhere.
const NUMBERS: &[(&str, &[&str])] = &[
    ("AE", &["112", "997", "998", "999"]),
    ("AR", &["911", "100", "101", "107"]),
    ("AT", &["112", "122", "133", "140", "144"]),
    ("AU", &["000", "106", "112"]),
    ("BE", &["100", "101", "112"]),
    ("BG", &["112"]),
    ("BR", &["190", "192", "193", "911", "112"]),
    ("CA", &["911", "112"]),
    ("CH", &["112", "117", "118", "144", "1414"]),
    ("CL", &["131", "132", "133"]),
    ("CN", &["110", "119", "120"]),
    ("CO", &["123", "112", "911"]),
    ("CY", &["112", "199"]),
    ("CZ", &["112", "150", "155", "158"]),
    ("DE", &["110", "112"]),
    ("DK", &["112"]),
    ("EE", &["112"]),
    ("ES", &["061", "062", "080", "085", "091", "092", "112"]),
    ("FI", &["112"]),
    ("FR", &["15", "17", "18", "112", "114"]),
    ("GB", &["112", "999"]),
    ("GR", &["100", "112", "166", "199"]),
    ("HK", &["112", "999"]),
    ("HR", &["112", "192", "193", "194"]),
    ("HU", &["104", "105", "107", "112"]),
    ("IE", &["112", "999"]),
    ("IL", &["100", "101", "102", "112"]),
    ("IN", &["100", "101", "102", "108", "112"]),
    ("IS", &["112"]),
    ("IT", &["112", "113", "115", "118"]),
    ("JP", &["110", "118", "119"]),
    ("KR", &["112", "119"]),
    ("LI", &["112", "117", "118", "144"]),
    ("LT", &["112"]),
    ("LU", &["112", "113"]),
    ("LV", &["110", "112", "113"]),
    ("MT", &["112"]),
    ("MX", &["911"]),
    ("MY", &["112", "999"]),
    ("NL", &["112"]),
    ("NO", &["110", "112", "113"]),
    ("NZ", &["111"]),
    ("PH", &["911", "112"]),
    ("PL", &["112", "997", "998", "999"]),
    ("PT", &["112"]),
    ("RO", &["112"]),
    ("RS", &["112", "192", "193", "194"]),
    ("SA", &["911", "112", "997", "998", "999"]),
    ("SE", &["112"]),
    ("SG", &["995", "999", "112"]),
    ("SI", &["112", "113"]),
    ("SK", &["112", "150", "155", "158"]),
    ("TH", &["191", "1669", "112"]),
    ("TR", &["112", "155"]),
    ("TW", &["110", "119", "112"]),
    ("UA", &["101", "102", "103", "112"]),
    ("US", &["911", "112"]),
    ("ZA", &["10111", "10177", "112"]),
];

/// The emergency numbers where the country is not listed or not known.
const ANYWHERE: &[&str] = &["112", "911"];

/// A country's emergency numbers.
#[must_use]
pub fn numbers(country: Option<&str>) -> &'static [&'static str] {
    NUMBERS.iter().find(|(code, _)| Some(*code) == country).map_or(ANYWHERE, |(_, numbers)| numbers)
}

/// Whether this is an emergency number in any country.
#[must_use]
pub fn is_one_anywhere(number: &str) -> bool {
    ANYWHERE.contains(&number) || NUMBERS.iter().any(|(_, numbers)| numbers.contains(&number))
}

/// The emergency number that was dialled, if it is one in the tenant's country. The digits for an outside line may precede
/// it: in an emergency, people dial as they are used to.
#[must_use]
pub fn dialled<'a>(number: &'a str, plan: &Plan) -> Option<&'a str> {
    let routing = &plan.settings.routing;
    let is_one = |number: &&str| {
        numbers(plan.country()).contains(number) || routing.emergency.numbers.iter().any(|own| own.as_str() == *number)
    };
    let outside = || number.strip_prefix(routing.outbound.prefix.as_ref()?.as_str()).filter(is_one);
    Some(number).filter(is_one).or_else(outside)
}
