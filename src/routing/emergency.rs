//! Emergency numbers by country. Calls to them always pass.

use std::{collections::BTreeMap, sync::LazyLock};

use super::plan::Plan;

/// Countries and the numbers that reach help there, as libphonenumber has them; script/emergency-numbers renews the file.
const LISTED: &str = include_str!("emergency_numbers.txt");

/// What that list lacks, from the countries' numbering plans: help by text message, at sea, in the mountains, for the homeless; numbers
/// of single services; 112 and 911 where networks take them too.
const FURTHER: &[(&str, &[&str])] = &[
    ("AT", &["140"]),
    ("CH", &["1414"]),
    ("CO", &["911"]),
    ("ES", &["061", "062", "080", "091", "092"]),
    ("FR", &["114", "115", "191", "196"]),
    ("JP", &["118"]),
    ("RS", &["192", "193", "194"]),
    ("SA", &["998"]),
    ("SG", &["112"]),
    ("TH", &["112"]),
];

/// The emergency numbers where the country is not listed or not known.
const ANYWHERE: &[&str] = &["112", "911"];

static NUMBERS: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut countries = BTreeMap::<_, Vec<_>>::new();
    for line in LISTED.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        countries.entry(words.next().unwrap_or_default()).or_default().extend(words);
    }
    for (country, numbers) in FURTHER {
        countries.entry(country).or_default().extend(*numbers);
    }
    countries
});

/// A country's emergency numbers.
#[must_use]
pub fn numbers(country: Option<&str>) -> &'static [&'static str] {
    country.and_then(|country| NUMBERS.get(country)).map_or(ANYWHERE, Vec::as_slice)
}

/// Whether this is an emergency number of some country, for tenants of which nothing is known. Only numbers of three digits count:
/// shorter and longer ones are emergency numbers in few countries, and extensions of many tenants.
#[must_use]
pub fn is_one_anywhere(number: &str) -> bool {
    number.len() == 3 && (ANYWHERE.contains(&number) || NUMBERS.values().any(|numbers| numbers.contains(&number)))
}

/// Whether this means help in nearly all countries: mobile phones know these by themselves.
#[must_use]
pub fn is_one_nearly_everywhere(number: &str) -> bool {
    ANYWHERE.contains(&number)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_its_numbers_for_help() {
        let missing = [
            ("RU", "101 102 103 112"),
            ("ID", "110 113 118 119 112"),
            ("VN", "113 114 115"),
            ("KE", "999 112"),
            ("BD", "999"),
            ("PK", "15 1122 115"),
            ("EG", "122 123 180"),
            ("FR", "15 17 18 112 114 115 196"),
            ("DE", "110 112"),
            ("US", "911"),
            ("GB", "999 112"),
            ("CH", "117 118 144 1414"),
            ("ZA", "10111 10177 112"),
        ]
        .into_iter()
        .flat_map(|(country, wanted)| wanted.split(' ').map(move |number| (country, number)))
        .filter(|(country, number)| !numbers(Some(country)).contains(number))
        .collect::<Vec<_>>();
        assert_eq!(missing, []);
        assert!(NUMBERS.len() > 230, "{}", NUMBERS.len());
    }

    #[test]
    fn a_list_holds_numbers_alone_and_none_twice() {
        for (country, numbers) in &*NUMBERS {
            assert!(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()), "{country}");
            let short = |number: &&str| (2..=6).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
            assert!(!numbers.is_empty() && numbers.iter().all(short), "{country}: {numbers:?}");
            let all = numbers.iter().collect::<std::collections::BTreeSet<_>>();
            assert_eq!(all.len(), numbers.len(), "{country}: {numbers:?}");
        }
    }

    #[test]
    fn where_nothing_is_known_an_extension_is_no_emergency_number() {
        assert!(["112", "911", "999", "000"].into_iter().all(is_one_anywhere));
        assert!(!["15", "1300", "1414", "723141", "10111"].into_iter().any(is_one_anywhere));
    }
}
