//! Secrets of extensions, carriers and switches. They print as dots. An answer shows one only when it was just made.

use rand::RngExt as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Code, TextError, display::no_directive, text_impls};

/// A SIP account's password.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, utoipa::ToSchema)]
#[schema(value_type = String, example = "pYqv0-3kQm1xT7uW9zAe")]
pub struct SipSecret(String);

/// The PIN of a mailbox: 4 to 12 digits.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, utoipa::ToSchema)]
#[schema(value_type = String, example = "493827")]
pub struct VoicemailPin(String);

/// A password given by a carrier: 1 to 128 printable ASCII characters. A switch reads it from a gateway's params, which it
/// neither expands nor writes as XML again.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, utoipa::ToSchema)]
#[schema(value_type = String, example = "as-the-carrier-says")]
pub struct CarrierPassword(String);

/// The password of a switch's event socket. It is sent in one line, so it must not have a line break.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, utoipa::ToSchema)]
#[schema(value_type = String, example = "as-event_socket.conf-says")]
pub struct EventSocketPassword(String);

text_impls!(SipSecret);
text_impls!(EventSocketPassword);
text_impls!(CarrierPassword);
text_impls!(VoicemailPin);

impl SipSecret {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let fine = (12..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'=' | b'*' | b'#'));
        no_directive(text)?;
        if fine { Ok(Self(text.to_owned())) } else { Err(TextError(Code::NotASipSecret)) }
    }

    /// 24 letters and digits: 143 bits.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::rng().sample_iter(rand::distr::Alphanumeric).take(24).map(char::from).collect())
    }

    /// The password itself, for the one answer that shows it and for the hash that a switch gets.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Checks a password that was made elsewhere.
fn foreign(text: &str) -> Result<String, TextError> {
    no_directive(text)?;
    let fine = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'<');
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotAForeignSecret)) }
}

impl EventSocketPassword {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        foreign(text).map(Self)
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl CarrierPassword {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        foreign(text).map(Self)
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl VoicemailPin {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if !(4..=12).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TextError(Code::NotAPin));
        }
        let bytes = text.as_bytes();
        let steps = |by: i16| bytes.windows(2).all(|w| i16::from(w[1]) - i16::from(w[0]) == by);
        // 1212 and 123123: among the first that are tried.
        let repeats = (1..=bytes.len() / 2).any(|length| {
            bytes.len().is_multiple_of(length) && bytes.chunks(length).all(|block| block == &bytes[..length])
        });
        if repeats || steps(1) || steps(-1) {
            return Err(TextError(Code::PinTooEasy));
        }
        Ok(Self(text.to_owned()))
    }

    /// Six random digits that `parse` accepts.
    #[must_use]
    pub fn generate() -> Self {
        Self::generate_but(&[])
    }

    /// The same, but none of `names`: a PIN must not be one of the mailbox's numbers.
    #[must_use]
    pub fn generate_but(names: &[&str]) -> Self {
        loop {
            let digits = format!("{:06}", rand::rng().random_range(0..1_000_000));
            if let Ok(pin) = Self::parse(&digits)
                && !names.contains(&digits.as_str())
            {
                return pin;
            }
        }
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SipSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SipSecret(…)")
    }
}

impl std::fmt::Debug for CarrierPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CarrierPassword(…)")
    }
}

impl std::fmt::Debug for EventSocketPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventSocketPassword(…)")
    }
}

impl std::fmt::Debug for VoicemailPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VoicemailPin(…)")
    }
}
