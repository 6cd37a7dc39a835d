//! Telephone numbers.

use percent_encoding::percent_decode_str;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, enums::Region};

use super::{Code, TextError, service::Service, text_column, text_type};

text_type!(
    /// A public telephone number in E.164: `+`, country code, number; 7 to 15 digits.
    E164, parse_e164, "+12025550123"
);
text_type!(
    /// A number to show to the called party: digits, optionally with a leading `+`.
    CallerNumber, parse_caller_number, "+12025550123"
);
text_column!(E164, CallerNumber);

impl E164 {
    /// A service's short number, with its country's code. It may have fewer digits than other numbers.
    #[must_use]
    pub fn of_service(service: Service<'_>) -> Self {
        Self(format!("+{}{}", service.code, service.number))
    }

    /// The service that this number belongs to, if it is a short number.
    #[must_use]
    pub fn service(&self) -> Option<Service<'_>> {
        Service::of(self.0.trim_start_matches('+'))
    }

    /// The number as it is dialled inside its country.
    #[must_use]
    pub fn national(&self) -> String {
        if let Some(service) = self.service() {
            return service.number.to_owned();
        }
        let number = PHONE_NUMBER_UTIL.parse(self.as_str(), None);
        let national = number.map(|number| number.format_as(PhoneNumberFormat::National).into_owned());
        let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect();
        national.map_or_else(|_| self.as_str().trim_start_matches('+').to_owned(), digits)
    }

    /// The number as it is dialled inside this country, if it belongs to it.
    #[must_use]
    pub fn national_in(&self, country: &str) -> Option<String> {
        let number = PHONE_NUMBER_UTIL.parse(self.as_str(), None).ok()?;
        let region = number.get_region_code()?.to_string();
        region.eq_ignore_ascii_case(country).then(|| self.national())
    }

    /// The country that it belongs to, such as `DE`.
    #[must_use]
    pub fn country(&self) -> Option<String> {
        let number = PHONE_NUMBER_UTIL.parse(self.as_str(), None).ok()?;
        number.get_region_code().map(|region| region.to_string()).filter(|region| region.len() == 2)
    }

    /// Reads a number from a carrier without a declared notation: with `+`, with `00`, or bare with the country code first.
    #[must_use]
    pub fn from_dialled(dialled: &str) -> Option<Self> {
        Self::read(dialled, Notation::International(None))
    }

    /// Reads a number in a known notation. In SIP it may be a whole address, with parameters.
    #[must_use]
    pub fn read(text: &str, notation: Notation<'_>) -> Option<Self> {
        Self::read_after("", text, notation)
    }

    /// The same, for numbers that may have a prefix.
    #[must_use]
    pub fn read_after(prefix: &str, text: &str, notation: Notation<'_>) -> Option<Self> {
        let text = bare(prefix, text)?;
        if let Some(digits) = text.strip_prefix('+') {
            return Self::parse(&format!("+{digits}")).ok();
        }
        match notation {
            Notation::National(country) => Self::national_of(&text, country),
            // No country code begins with 0.
            Notation::International(country) => match (text.strip_prefix("00"), country) {
                (Some(digits), _) => Self::parse(&format!("+{digits}")).ok(),
                (None, Some(country)) if text.starts_with('0') => Self::national_of(&text, country),
                (None, _) => Self::parse(&format!("+{text}")).ok(),
            },
        }
    }

    /// Reads a number by the numbering plan of a country: with or without the trunk or international prefix.
    fn national_of(digits: &str, country: &str) -> Option<Self> {
        let region = country.parse::<Region>().ok()?;
        let number = PHONE_NUMBER_UTIL.parse(digits, Some(region)).ok()?;
        if !PHONE_NUMBER_UTIL.is_possible_number(&number) {
            return None;
        }
        Self::parse(&number.format_as(PhoneNumberFormat::E164)).ok()
    }
}

/// How somebody writes telephone numbers. Numbers with `+` mean the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation<'a> {
    /// The country code comes first. If a country is given, a number that begins with a single 0 is a national one.
    International(Option<&'a str>),
    /// Numbers are written as they are dialled in a country (ISO 3166).
    National(&'a str),
}

/// The `+` and the digits of a number in SIP, without scheme, host, parameters, separators and, last, the prefix. Returns `None` if
/// anything else is left.
fn bare(prefix: &str, text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.split_once('<').map_or(text, |(_, rest)| rest.split('>').next().unwrap_or_default());
    let scheme =
        text.split_once(':').filter(|(scheme, _)| ["sip", "sips", "tel"].contains(&&*scheme.to_ascii_lowercase()));
    let text = scheme.map_or(text, |(_, rest)| rest);
    let (number, parameters) = text.split_once(['@', ';', '?']).unwrap_or((text, ""));
    let number = percent_decode_str(number).decode_utf8().ok()?;
    let number = plain(&number);
    let number = number.strip_prefix(prefix).unwrap_or(&number);
    let digits = number.strip_prefix('+').unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // A local `tel:` number says where it is valid (RFC 3966).
    let context = parameters.split(';').find_map(|parameter| parameter.strip_prefix("phone-context=+"));
    match context {
        Some(context) if !number.starts_with('+') => Some(format!("+{}{number}", context.replace(['-', '.'], ""))),
        _ => Some(number.to_owned()),
    }
}

/// A number without what people put between its digits. In `+49 (0)30 123`, the 0 is not dialled after the country's code.
pub(super) fn plain(text: &str) -> String {
    let is_international = text.starts_with('+') || text.starts_with("00");
    let text = if is_international { text.replacen("(0)", "", 1) } else { text.to_owned() };
    text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | '/' | ' ' | '\u{a0}')).collect()
}

fn parse_e164(text: &str) -> Result<String, TextError> {
    const WHAT: TextError = TextError(Code::NotE164);
    let digits = text.strip_prefix('+').ok_or(WHAT)?;
    let fine =
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if fine { Ok(text.to_owned()) } else { Err(WHAT) }
}

fn parse_caller_number(text: &str) -> Result<String, TextError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(TextError(Code::NotACallerNumber))
    }
}
