//! Tokens of switches and scripts. They are random, have a prefix that names their kind, and are stored as SHA-256.
//!
//! 256 random bits can't be guessed, so they need no slow hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The hash of a token, which is what the database stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Reads the value of a `bytea` column, which must have 32 bytes.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, token: &[u8]) -> bool {
        Self::of(token).0.ct_eq(&self.0).into()
    }
}

/// Makes a new token such as `dpk_…`. It is shown once; only its hash is kept.
#[must_use]
pub fn generate(prefix: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())))
}

/// The part of a token that may be shown later, to tell keys apart.
#[must_use]
pub fn visible_prefix(token: &str) -> String {
    token.chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_its_hash_and_no_other() {
        let token = generate("dps");
        let hash = TokenHash::of(token.as_bytes());
        assert!(token.starts_with("dps_") && token.len() == 47);
        assert!(hash.matches(token.as_bytes()));
        assert!(!hash.matches(generate("dps").as_bytes()));
        assert!(!hash.matches(b""));
    }
}
