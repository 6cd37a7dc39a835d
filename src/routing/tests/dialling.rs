//! Numbers as people dial them, as address books have them, and as carriers write them: the same number however it is written, in the
//! countries of the world that have the most telephones.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, enums::Region};

use super::*;
use crate::text::{E164, Notation};

const COUNTRIES: &str = "AR AT AU BE BG BR CA CH CN CO CZ DE DK EE ES FI FR GB GR HR HU IE IL IN IS IT JP KR LT LU LV MX NL NO NZ PL \
                         PT RO SE SG SI SK TR UA US ZA";

/// Areas of capitals and other large cities, as they are dialled in their countries.
const AREAS: &[(&str, &str)] = &[
    ("AT", "01"),
    ("AU", "02"),
    ("CH", "044"),
    ("CN", "010"),
    ("DE", "030"),
    ("GB", "020"),
    ("IN", "011"),
    ("JP", "03"),
    ("NL", "020"),
    ("SE", "08"),
    ("TR", "0212"),
    ("US", "212"),
    ("ZA", "011"),
];

/// How many numbers are tried of each kind in each country, as far as they are valid.
const TRIES: u64 = 40;

/// A country's numbers of each kind: libphonenumber's example, and others that end differently.
fn numbers(country: &str) -> Vec<PhoneNumber> {
    let region = country.parse::<Region>().unwrap();
    let mut all = Vec::new();
    for kind in [PhoneNumberType::FixedLine, PhoneNumberType::Mobile, PhoneNumberType::TollFree] {
        let Ok(example) = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind) else {
            continue;
        };
        let whole = example.format_as(PhoneNumberFormat::E164).into_owned();
        let (head, tail) = whole.split_at(whole.len() - 4);
        let tail = tail.parse::<u64>().unwrap();
        let others = (0..TRIES).map(|n| format!("{head}{:04}", (tail + n * 1777) % 10_000));
        let valid = others.filter_map(|text| PHONE_NUMBER_UTIL.parse(&text, None).ok());
        let valid = valid.filter(|number| number.is_valid() && number.get_region_code() == Some(region));
        let before = all.len();
        all.extend(valid);
        // Countries share ranges for free calls.
        assert!(kind == PhoneNumberType::TollFree || all.len() > before, "{country}: {whole} is valid");
    }
    assert!(!all.is_empty(), "{country} has examples");
    all
}

fn countries() -> Vec<&'static str> {
    let all = COUNTRIES.split(' ').filter(|country| !country.is_empty()).collect::<Vec<_>>();
    assert!(all.len() >= 40);
    all
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn whole(number: &PhoneNumber) -> String {
    number.format_as(PhoneNumberFormat::E164).into_owned()
}

fn national(number: &PhoneNumber) -> String {
    digits(&number.format_as(PhoneNumberFormat::National))
}

#[test]
fn a_number_is_the_same_however_it_is_dialled_in_its_country() {
    let mut tried = 0;
    for country in countries() {
        for number in numbers(country) {
            let whole = whole(&number);
            for form in [national(&number), format!("00{}", &whole[1..]), whole.clone()] {
                tried += 1;
                assert_eq!(dialled(country, None, &form), Some(whole.clone()), "{form} in {country}");
                // From another country, with the code for other countries or with `+`.
                if form.starts_with("00") || form.starts_with('+') {
                    let elsewhere = if country == "DE" { "FR" } else { "DE" };
                    assert_eq!(dialled(elsewhere, None, &form), Some(whole.clone()), "{form} in {elsewhere}");
                }
            }
        }
    }
    assert!(tried > 5000, "{tried}");
}

#[test]
fn a_number_that_is_dialled_whole_is_the_same_where_local_numbers_need_no_area_code() {
    for (country, area) in AREAS {
        for number in numbers(country) {
            let whole = whole(&number);
            for form in [national(&number), format!("00{}", &whole[1..]), whole.clone()] {
                assert_eq!(dialled(country, Some(area), &form), Some(whole.clone()), "{form} in {area} in {country}");
            }
        }
    }
}

#[test]
fn a_number_is_the_same_behind_the_digits_for_an_outside_line() {
    for prefix in ["0", "9"] {
        for country in countries() {
            let routing = json!({ "outbound": { "prefix": prefix } });
            let plan = plan(&json!({ "settings": { "country": country, "routing": routing } }));
            for number in numbers(country).into_iter().step_by(7) {
                let whole = whole(&number);
                let behind = [national(&number), format!("00{}", &whole[1..]), whole.clone()];
                let behind = behind.map(|form| format!("{prefix}{form}"));
                // Address books have whole numbers without those digits.
                for form in behind.into_iter().chain([whole.clone()]) {
                    if emergency::dialled(&form, &plan).is_some() {
                        continue;
                    }
                    let call = Call::dialling(&form, MONDAY.parse().unwrap());
                    let routed = route(&tenant(), &plan, &call, None, &mut Trace::off());
                    let Route::Outside(callee) = routed.route else {
                        panic!("{form} in {country}: {:?}", routed.route)
                    };
                    assert_eq!(callee.number.as_str(), whole, "{form} in {country}");
                }
            }
        }
    }
}

/// Called numbers and callers', by the carrier's format.
#[test]
fn a_number_is_the_same_however_a_carrier_writes_it() {
    for country in countries() {
        for number in numbers(country) {
            let whole = whole(&number);
            let (national, digits) = (national(&number), &whole[1..]);
            let read = |text: &str, notation| E164::read(text, notation).map(|number| number.to_string());
            let wanted = Some(whole.clone());
            for form in [whole.clone(), digits.to_owned(), format!("00{digits}")] {
                assert_eq!(read(&form, Notation::International(None)), wanted, "{form}");
                let uri = format!("sip:{form}@carrier.example;user=phone");
                assert_eq!(read(&uri, Notation::International(Some(country))), wanted, "{uri}");
            }
            assert_eq!(read(&national, Notation::National(country)), wanted, "{national} in {country}");
            assert_eq!(read(&whole, Notation::National(country)), wanted, "{whole} in {country}");
            if national.starts_with('0') && !national.starts_with("00") {
                let notation = Notation::International(Some(country));
                assert_eq!(read(&national, notation), wanted, "{national} in {country}");
            }
        }
    }
}
