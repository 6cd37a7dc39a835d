//! Text types of settings, with limits. People see them and assistants say them, but they never reach a switch.

use crate::text::{Code, TextError, text_impls};

/// Defines a text type with limits.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $parse:expr, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
        #[schema(value_type = String, example = $example)]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, TextError> {
                $parse(text).map(Self)
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        text_impls!($name);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

words!(
    /// One line of up to 200 characters.
    Words, line, "Front desk"
);
words!(
    /// Text of up to 8,000 characters, with line breaks.
    Prose, prose, "Good morning, how can I help?"
);
words!(
    /// The address of a caller's page in another system: `https` only, up to 500 characters. `{number}`, `{name}` and `{external_id}` stand for
    /// what is known of the caller, after the host's name.
    CallerPage, page_template, "https://crm.example.com/search?phone={number}"
);
words!(
    /// The name of a template: 1 to 40 of `a-z 0-9 -`.
    TemplateName, template_name, "dental-practice"
);
words!(
    /// A currency code of ISO 4217.
    Currency, currency, "EUR"
);
words!(
    /// A country code of ISO 3166-1 alpha-2.
    Country, country, "DE"
);

fn limited(text: &str, most: usize, is_fine: impl Fn(char) -> bool) -> Option<String> {
    let text = text.trim();
    let fine = (1..=most).contains(&text.chars().count()) && text.chars().all(is_fine);
    fine.then(|| text.to_owned())
}

fn line(text: &str) -> Result<String, TextError> {
    limited(text, 200, |c| !c.is_control()).ok_or(TextError(Code::NotALine))
}

fn prose(text: &str) -> Result<String, TextError> {
    limited(text, 8000, |c| !c.is_control() || c == '\n').ok_or(TextError(Code::NotProse))
}

/// What a page's address may have in braces.
const KNOWN: [&str; 3] = ["number", "name", "external_id"];

fn page_template(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    let wrong = || TextError(Code::NotAPageTemplate);
    let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'));
    let is_plain = text.len() <= 500
        && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '`' | '\''));
    let mut parts = rest.split('{');
    let begins = parts.next().is_some_and(|first| !first.contains('}'));
    let is_known =
        |part: &str| part.split_once('}').is_some_and(|(name, after)| KNOWN.contains(&name) && !after.contains('}'));
    if is_host && is_plain && begins && parts.all(is_known) { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn template_name(text: &str) -> Result<String, TextError> {
    let fine = (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotATemplateName)) }
}

fn currency(text: &str) -> Result<String, TextError> {
    if text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()) && CURRENCIES.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(TextError(Code::NotACurrency))
    }
}

fn country(text: &str) -> Result<String, TextError> {
    if text.len() == 2 && COUNTRIES.split(' ').any(|known| known == text) {
        Ok(text.to_owned())
    } else {
        Err(TextError(Code::NotACountry))
    }
}

/// The active currencies of ISO 4217 that are used for bills.
const CURRENCIES: [&str; 62] = [
    "AED", "ARS", "AUD", "BDT", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CRC", "CZK", "DKK", "DOP",
    "DZD", "EGP", "EUR", "GBP", "GHS", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JOD", "JPY", "KES", "KRW", "KWD",
    "KZT", "LKR", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "OMR", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD",
    "SAR", "SEK", "SGD", "THB", "TND", "TRY", "TWD", "UAH", "UGX", "USD", "UYU", "UZS", "VND", "ZAR",
];

/// The countries of ISO 3166-1.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_system_is_https_and_names_what_is_known_of_a_caller() {
        for fine in [
            "https://crm.example.com/search?phone={number}&name={name}",
            "https://crm.example.com:8443/{external_id}#x",
            "https://crm.example.com",
        ] {
            assert_eq!(CallerPage::parse(fine).unwrap().as_str(), fine);
        }
        for wrong in [
            "http://crm.example.com/{number}",
            "javascript:alert(1)",
            "https://{number}.example.com/",
            "https://me@crm.example.com/",
            "https:///x",
            "https://crm.example.com/{password}",
            "https://crm.example.com/{number",
            "https://crm.example.com/number}",
            "https://crm.example.com/{number}}",
            "https://crm.example.com/a b",
            "https://crm.example.com/\"onclick",
        ] {
            assert!(CallerPage::parse(wrong).is_err(), "{wrong}");
        }
    }
}
