//! Short numbers of a country's services: authorities, directory enquiries, doctors on call. They have no area code, are shorter than
//! other numbers, and libphonenumber's list of numbers does not have them.
//!
//! Emergency numbers are not among them (`routing::emergency`).

/// What a call to a service costs its caller, as the country's regulator has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// As a call to a subscriber, or nothing.
    Usual,
    /// What the service asks for, such as directory enquiries.
    Premium,
}

/// The numbers of one kind: those of `digits` digits that begin with `prefix`.
struct Range {
    prefix: &'static str,
    digits: &'static [usize],
    class: Class,
}

const fn usual(prefix: &'static str, digits: &'static [usize]) -> Range {
    Range { prefix, digits, class: Class::Usual }
}

const fn premium(prefix: &'static str, digits: &'static [usize]) -> Range {
    Range { prefix, digits, class: Class::Premium }
}

/// The harmonised services of social value: missing children, doctors on call (European Commission decision 2007/116/EC).
const SOCIAL: Range = usual("116", &[6]);

/// Countries (ISO 3166), their codes, and their services by the countries' numbering plans.
const PLANS: &[(&str, &str, &[Range])] = &[
    ("DE", "49", &[usual("115", &[3]), SOCIAL, premium("118", &[5, 6])]),
    ("AT", "43", &[usual("120", &[3]), usual("123", &[3]), SOCIAL, premium("118", &[6])]),
    (
        "CH",
        "41",
        &[
            usual("140", &[3]),
            usual("143", &[3]),
            usual("145", &[3]),
            usual("147", &[3]),
            usual("16", &[3]),
            usual("187", &[3]),
            SOCIAL,
            premium("18", &[4]),
        ],
    ),
    ("FR", "33", &[usual("10", &[4]), usual("3", &[4]), SOCIAL, premium("118", &[6])]),
    ("BE", "32", &[SOCIAL, premium("12", &[4]), premium("13", &[4])]),
    ("NL", "31", &[usual("14", &[5, 6]), SOCIAL, premium("18", &[4])]),
    ("ES", "34", &[usual("010", &[3]), usual("012", &[3]), usual("016", &[3]), SOCIAL, premium("118", &[5])]),
    ("IT", "39", &[SOCIAL, premium("12", &[4]), premium("892", &[6])]),
    (
        "GB",
        "44",
        &[usual("101", &[3]), usual("105", &[3]), usual("111", &[3]), usual("119", &[3]), SOCIAL, premium("118", &[6])],
    ),
    ("IE", "353", &[SOCIAL, premium("118", &[5])]),
    ("PL", "48", &[SOCIAL, premium("118", &[5, 6])]),
    ("DK", "45", &[SOCIAL, premium("118", &[4])]),
    ("SE", "46", &[usual("1177", &[4]), usual("11414", &[5]), SOCIAL, premium("118", &[6])]),
    (
        "US",
        "1",
        &[
            usual("211", &[3]),
            usual("311", &[3]),
            usual("511", &[3]),
            usual("711", &[3]),
            usual("811", &[3]),
            premium("411", &[3]),
        ],
    ),
    (
        "CA",
        "1",
        &[
            usual("211", &[3]),
            usual("311", &[3]),
            usual("511", &[3]),
            usual("711", &[3]),
            usual("811", &[3]),
            premium("411", &[3]),
        ],
    ),
];

/// A short number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service<'a> {
    /// ISO 3166.
    pub country: &'static str,
    /// The country's code.
    pub code: &'static str,
    /// As it is dialled in the country.
    pub number: &'a str,
    pub class: Class,
    /// How many digits, with the country's code, tell which kind of service it is. Shorter prefixes also match subscribers' numbers.
    pub least_prefix: usize,
}

fn within<'a>(plan: &(&'static str, &'static str, &'static [Range]), number: &'a str) -> Option<Service<'a>> {
    let (country, code, ranges) = *plan;
    let fits = |range: &&Range| number.starts_with(range.prefix) && range.digits.contains(&number.len());
    let range = ranges.iter().find(fits).filter(|_| number.bytes().all(|b| b.is_ascii_digit()))?;
    Some(Service { country, code, number, class: range.class, least_prefix: code.len() + range.prefix.len() })
}

impl<'a> Service<'a> {
    /// The service that this number is in a country.
    #[must_use]
    pub fn dialled(number: &'a str, country: Option<&str>) -> Option<Self> {
        PLANS.iter().find(|plan| Some(plan.0) == country).and_then(|plan| within(plan, number))
    }

    /// The service of a number that begins with its country's code, without `+`.
    #[must_use]
    pub fn of(digits: &'a str) -> Option<Self> {
        PLANS.iter().find_map(|plan| within(plan, digits.strip_prefix(plan.1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_their_country_and_length() {
        let class = |number, country| Service::dialled(number, Some(country)).map(|service| service.class);
        for (number, country, wanted) in [
            ("115", "DE", Some(Class::Usual)),
            ("116117", "DE", Some(Class::Usual)),
            ("11833", "DE", Some(Class::Premium)),
            ("118000", "DE", Some(Class::Premium)),
            // Numbers that were withdrawn, and mistyped ones.
            ("1150", "DE", None),
            ("11611", "DE", None),
            ("1000", "DE", None),
            ("115", "FR", None),
            ("3939", "FR", Some(Class::Usual)),
            ("1811", "CH", Some(Class::Premium)),
            ("411", "US", Some(Class::Premium)),
            ("118500", "GB", Some(Class::Premium)),
        ] {
            assert_eq!(class(number, country), wanted, "{number} in {country}");
        }
        assert_eq!(Service::dialled("115", None), None);
        assert_eq!(Service::of("49115").map(|service| service.number), Some("115"));
        assert_eq!(Service::of("4911833").map(|service| service.least_prefix), Some(5));
        assert_eq!(Service::of("493012345678"), None);
    }

    /// Emergency numbers pass as such, before this list is consulted.
    #[test]
    fn no_number_of_a_subscriber_is_taken_for_a_service() {
        for (country, code, ranges) in PLANS {
            for range in *ranges {
                assert!(range.digits.iter().all(|digits| (3..=6).contains(digits)), "{country}");
                assert!(code.len() + 6 < 10 && !range.prefix.is_empty(), "{country}");
            }
        }
    }
}
