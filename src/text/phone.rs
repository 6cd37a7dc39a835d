//! Telephone numbers.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

use super::{Code, TextError, text_column, text_type};

text_type!(
    /// A public telephone number in E.164: `+`, country code, number; 7 to 15 digits.
    E164, parse_e164, "+12025550123"
);
text_type!(
    /// A number to show to the called: digits, perhaps with a leading `+`.
    CallerNumber, parse_caller_number, "+12025550123"
);
text_column!(E164, CallerNumber);

impl E164 {
    /// The number as it is dialled inside its country.
    #[must_use]
    pub fn national(&self) -> String {
        let number = PHONE_NUMBER_UTIL.parse(self.as_str(), None);
        let national = number.map(|number| number.format_as(PhoneNumberFormat::National).into_owned());
        let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect();
        national.map_or_else(|_| self.as_str().trim_start_matches('+').to_owned(), digits)
    }

    /// Reads a number as carriers deliver it: with `+`, with `00`, or bare with the country code first.
    #[must_use]
    pub fn from_dialled(dialled: &str) -> Option<Self> {
        let digits = dialled.strip_prefix('+').or_else(|| dialled.strip_prefix("00")).unwrap_or(dialled);
        Self::parse(&format!("+{digits}")).ok()
    }
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
