//! Links by which somebody hears one recording without signing in, for a while. They are signed with the recording's own key, so they end with it.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::sealed::{ContentKey, Whose};

/// What is signed begins with this, so that no signature means anything else.
const ABOUT: &[u8] = b"dialplane: may be heard until ";

fn text(Whose { tenant, id }: Whose, until: i64) -> Vec<u8> {
    [ABOUT, Uuid::as_bytes(&tenant), id.as_bytes(), &until.to_be_bytes()].concat()
}

fn key(content_key: &ContentKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, content_key.bytes())
}

/// The signature of a link that is good until a time, in seconds since 1970.
#[must_use]
pub fn sign(content_key: &ContentKey, whose: Whose, until: i64) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(&key(content_key), &text(whose, until)))
}

#[must_use]
pub fn is_signed(content_key: &ContentKey, whose: Whose, until: i64, signature: &str) -> bool {
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    hmac::verify(&key(content_key), &text(whose, until), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_one_recording_until_one_time() {
        let (own, whose) = (ContentKey::generate(), Whose { tenant: Uuid::from_u128(1), id: Uuid::from_u128(2) });
        let signature = sign(&own, whose, 100);
        assert!(is_signed(&own, whose, 100, &signature));
        assert!(!is_signed(&own, whose, 101, &signature), "longer than it was made for");
        assert!(!is_signed(&own, Whose { id: Uuid::from_u128(3), ..whose }, 100, &signature));
        assert!(!is_signed(&own, Whose { tenant: Uuid::from_u128(3), ..whose }, 100, &signature));
        assert!(!is_signed(&ContentKey::generate(), whose, 100, &signature));
        for wrong in ["", "x", "AAAA", &signature[1..]] {
            assert!(!is_signed(&own, whose, 100, wrong));
        }
    }
}
