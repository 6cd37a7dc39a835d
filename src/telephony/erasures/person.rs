//! Finds the numbers of a person in what is kept, in every spelling, and puts something in their place that says nothing.

use regex::{Regex, RegexBuilder};
use serde_json::Value;
use uuid::Uuid;

use crate::text::E164;

/// With less digits than this, a number inside its country is looked for only with what is dialled before it.
const SHORT: usize = 6;

/// What people write between the digits of a number.
const BETWEEN: &str = r"(?:[ \u{a0}./()-]|\(0\))*";

/// A number of the person.
#[derive(Debug)]
struct Number {
    /// As they are kept whole: in E.164, with what is dialled before it, and as it is dialled inside its country.
    spellings: Vec<String>,
    /// The number without its country's code.
    core: String,
    /// In texts of machines, and in those of people.
    exact: Regex,
    loose: Regex,
    mask: String,
}

/// Whose data is erased: their numbers, and what stands in their place then.
#[derive(Debug)]
pub struct Person {
    numbers: Vec<Number>,
}

/// Names in the same thing as a number are those of whoever has it.
fn is_name(field: &str) -> bool {
    field == "name" || field.ends_with("_name")
}

/// How it is kept in a list of numbers: `erased-`, something about the request, and which of its numbers it is. Nothing is computed from the number.
fn mask(request: Uuid, place: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(place % 26).unwrap_or_default());
    let more = if place < 26 { String::new() } else { (place / 26).to_string() };
    format!("erased-{:08x}{letter}{more}", request.as_u128() & 0xffff_ffff)
}

impl Number {
    fn new(number: &E164, mask: String) -> Result<Self, regex::Error> {
        let digits = number.as_str().trim_start_matches('+');
        let national = number.national();
        // What both have at their end: the country's code is before it in one, and what is dialled in the country in the other.
        let same = digits.bytes().rev().zip(national.bytes().rev()).take_while(|(one, other)| one == other).count();
        let (code, core) = digits.split_at(if same < 4 { 0 } else { digits.len() - same });
        let spelled = |between: &str| core.chars().map(String::from).collect::<Vec<_>>().join(between);
        // Zeros are of the international prefix, other digits of a carrier's own.
        let before = |between: &str| {
            let code = code.chars().map(String::from).collect::<Vec<_>>().join(between);
            let coded = format!(r"(?:\+|%2B|[0-9]{{1,6}})?{code}{between}");
            let none = if core.len() < SHORT { "" } else { "?" };
            if code.is_empty() { r"(?:\+|%2B|00)?".to_owned() } else { format!("(?:{coded}|0{between}){none}") }
        };
        let whole = |between: &str| {
            let text = format!(r"(%[0-9A-F]{{2}}|^|[^0-9]){}{}($|[^0-9])", before(between), spelled(between));
            RegexBuilder::new(&text).case_insensitive(true).build()
        };
        let spellings =
            vec![number.to_string(), digits.to_owned(), format!("00{digits}"), national, format!("0{core}")];
        Ok(Self { exact: whole("")?, loose: whole(BETWEEN)?, spellings, core: core.to_owned(), mask })
    }

    fn masked(&self, text: &str, pattern: &Regex) -> Option<String> {
        let put = format!("${{1}}{}${{2}}", self.mask);
        // Twice, because what follows one may be what comes before the next.
        let once = pattern.replace_all(text, put.as_str());
        let twice = pattern.replace_all(&once, put.as_str());
        (twice != text).then(|| twice.into_owned())
    }
}

impl Person {
    /// The person with these numbers. `request`: the erasure that it is for.
    pub fn new(request: Uuid, numbers: &[E164]) -> Result<Self, regex::Error> {
        let numbers = numbers.iter().enumerate().map(|(place, number)| Number::new(number, mask(request, place)));
        Ok(Self { numbers: numbers.collect::<Result<_, _>>()? })
    }

    /// What the database looks for, as patterns of `like`: it finds more than is meant.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        self.numbers.iter().map(|number| format!("%{}%", number.core)).collect()
    }

    /// Spellings of whole numbers, and what stands in their place.
    #[must_use]
    pub fn spellings(&self) -> (Vec<String>, Vec<String>) {
        let all = self.numbers.iter().flat_map(|one| one.spellings.iter().map(|text| (text.clone(), one.mask.clone())));
        let mut all = all.collect::<Vec<_>>();
        all.sort();
        all.dedup_by(|one, other| one.0 == other.0);
        all.into_iter().unzip()
    }

    /// Whether a text of a machine has a number of the person.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.numbers.iter().any(|number| number.exact.is_match(text))
    }

    /// A text of a machine without the person's numbers; `None` if it has none.
    #[must_use]
    pub fn masked(&self, text: &str) -> Option<String> {
        self.without(text, |number| &number.exact)
    }

    /// The same of what people wrote: with spaces and strokes between the digits, too.
    #[must_use]
    pub fn masked_in_prose(&self, text: &str) -> Option<String> {
        self.without(text, |number| &number.loose)
    }

    fn without(&self, text: &str, pattern: impl Fn(&Number) -> &Regex) -> Option<String> {
        let mut now = None;
        for number in &self.numbers {
            now = number.masked(now.as_deref().unwrap_or(text), pattern(number)).or(now);
        }
        now
    }

    /// Takes the person's numbers out of JSON. Returns whether there were any.
    pub fn take_out(&self, value: &mut Value) -> bool {
        self.take(value, false)
    }

    /// The same with the names that stand beside their numbers.
    pub fn take_out_with_names(&self, value: &mut Value) -> bool {
        self.take(value, true)
    }

    fn take(&self, value: &mut Value, names: bool) -> bool {
        match value {
            Value::String(text) => match self.masked(text) {
                Some(masked) => {
                    *text = masked;
                    true
                }
                None => false,
            },
            Value::Number(number) if self.is_in(&number.to_string()) => {
                *value = Value::Null;
                true
            }
            // Not any: each has to be looked at.
            Value::Array(all) => all.iter_mut().fold(false, |found, one| self.take(one, names) | found),
            Value::Object(fields) => {
                let mut is_theirs = false;
                let mut found = false;
                for (name, field) in fields.iter_mut() {
                    let is_plain = !field.is_array() && !field.is_object();
                    let has = self.take(field, names);
                    found |= has;
                    is_theirs |= has && is_plain && name != "to";
                }
                if names && is_theirs {
                    fields
                        .iter_mut()
                        .filter(|(name, field)| is_name(name) && field.is_string())
                        .for_each(|(_, field)| *field = Value::Null);
                }
                found
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(numbers: &[&str]) -> Person {
        let numbers = numbers.iter().map(|number| E164::parse(number).unwrap()).collect::<Vec<_>>();
        Person::new(Uuid::from_u128(7), &numbers).unwrap()
    }

    #[test]
    fn a_number_is_found_however_it_was_dialled_or_encoded_and_within_no_other() {
        let eve = person(&["+4915112345678"]);
        for text in [
            "+4915112345678",
            "4915112345678",
            "004915112345678",
            "015112345678",
            "15112345678",
            "9914915112345678",
            "sip:%2B4915112345678@carrier.test",
            "<sip:+4915112345678@1.2.3.4;user=phone>",
            "%204915112345678",
            "from=4915112345678&to=4915112345678&",
        ] {
            let masked = eve.masked(text).unwrap_or_else(|| panic!("{text}"));
            assert!(!masked.contains("15112345678") && masked.contains("erased-00000007a"), "{text}: {masked}");
        }
        for other in ["+49151123456789", "1795215112345678", "+49151123456", "+43715112345678", ""] {
            assert_eq!(eve.masked(other), None, "{other}");
        }
        assert_eq!(eve.masked("to 4915112345678@x").as_deref(), Some("to erased-00000007a@x"));
        for prose in ["call +49 (0)151 1234-5678 back", "0151/12345678", "0 151 12 34 56 78."] {
            let masked = eve.masked_in_prose(prose).unwrap_or_else(|| panic!("{prose}"));
            assert!(!masked.contains("34"), "{prose}: {masked}");
        }
        assert_eq!(eve.masked_in_prose("17 151 calls"), None);
    }

    #[test]
    fn a_short_number_is_found_with_what_is_dialled_before_it_only() {
        let service = person(&["+4930115"]);
        assert!(service.is_in("+4930115") && service.is_in("030115"), "{service:?}");
        assert!(!service.is_in("30115"));
        let (spellings, masks) = person(&["+12025550123", "+390612345678"]).spellings();
        assert!(
            spellings.contains(&"2025550123".to_owned()) && spellings.contains(&"0612345678".to_owned()),
            "{spellings:?}"
        );
        assert_eq!(spellings.len(), masks.len());
    }

    #[test]
    fn whoever_has_the_number_loses_the_name_beside_it_and_nobody_else_does() {
        let eve = person(&["+4915112345678"]);
        let mut call = json!({ "from": { "number": "+4915112345678", "name": "Eve" }, "to": { "number": "1001", "name": "Ada" },
                               "events": [{ "to": "015112345678", "party": { "number": "1001", "name": "Ada" } }], "n": 4_915_112_345_678_i64 });
        assert!(eve.take_out_with_names(&mut call));
        let mask = "erased-00000007a";
        let after = json!({ "from": { "number": mask, "name": null }, "to": { "number": "1001", "name": "Ada" },
                            "events": [{ "to": mask, "party": { "number": "1001", "name": "Ada" } }], "n": null });
        assert_eq!(call, after);
        assert!(!eve.take_out_with_names(&mut call), "it is gone");
    }

    proptest::proptest! {
        #[test]
        fn no_spelling_of_a_number_is_left(before in "[a-z:+%@ ]{0,6}", after in "[a-z@ ;]{0,6}", which in 0..5_usize, twice: bool) {
            let eve = person(&["+4915112345678"]);
            let (spellings, _) = eve.spellings();
            let number = &spellings[which % spellings.len()];
            let one = format!("{before}{number}{after}");
            let text = if twice { format!("{one} {one}") } else { one };
            let masked = eve.masked(&text);
            proptest::prop_assert!(masked.as_ref().is_some_and(|masked| !masked.contains("15112345678")), "{text}: {masked:?}");
        }
    }
}
