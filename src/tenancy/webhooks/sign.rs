//! Signatures of Standard Webhooks (standardwebhooks.com, version 1): HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// Between 24 and 64 bytes, as the specification wants.
const BYTES: usize = 32;

/// The secret of an endpoint, as receivers are given it.
pub struct Secret(Zeroizing<String>);

impl Secret {
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; BYTES]);
        rand::fill(&mut *bytes);
        Self(Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(*bytes))))
    }

    /// One that was sealed.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The signature of a request: `v1,` and base64.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let bytes = Zeroizing::new(STANDARD.decode(self.0.trim_start_matches(PREFIX)).unwrap_or_default());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let signature = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector in the specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_official_test_vector() {
        let secret = Secret::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let without_prefix = Secret::of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(
            without_prefix.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
            signature
        );
    }

    #[test]
    fn secrets_differ_and_are_long_enough() {
        let (one, other) = (Secret::generate(), Secret::generate());
        assert_ne!(one.reveal(), other.reveal());
        let bytes = STANDARD.decode(one.reveal().strip_prefix(PREFIX).unwrap()).unwrap();
        assert_eq!(bytes.len(), 32);
    }
}
