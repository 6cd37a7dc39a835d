//! Who may ask: the switches' tokens, in memory, checked on every fetch.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use uuid::Uuid;

use super::store::SwitchRow;
use crate::token::TokenHash;

/// A switch that has shown its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchId(pub Uuid);

#[derive(Default)]
pub struct Credentials {
    switches: ArcSwap<HashMap<Box<str>, (SwitchId, TokenHash)>>,
}

/// Longest decoded `name:token` that is looked at.
const MAX_BYTES: usize = 256;

impl Credentials {
    pub fn replace(&self, rows: Vec<SwitchRow>) {
        let switches = rows.into_iter().filter_map(|row| {
            Some((row.name.into_boxed_str(), (SwitchId(row.id), TokenHash::from_stored(&row.token_hash)?)))
        });
        self.switches.store(Arc::new(switches.collect()));
    }

    /// Checks the value of an `Authorization` header: `Basic` with a switch's name and token.
    #[must_use]
    pub fn check(&self, authorization: &[u8]) -> Option<SwitchId> {
        let (scheme, encoded) = authorization.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let mut buffer = [0_u8; MAX_BYTES];
        let length = STANDARD.decode_slice(encoded.trim_ascii(), &mut buffer).ok()?;
        let decoded = &buffer[..length];
        let colon = memchr::memchr(b':', decoded)?;
        let (name, token) = (std::str::from_utf8(&decoded[..colon]).ok()?, &decoded[colon + 1..]);
        let switches = self.switches.load();
        if let Some((id, hash)) = switches.get(name) {
            hash.matches(token).then_some(*id)
        } else {
            // As long as for a known name.
            let _ = TokenHash([0; 32]).matches(token);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_name_with_the_right_token_may_ask() {
        let credentials = Credentials::default();
        let (id, hash) = (Uuid::from_u128(5), TokenHash::of(b"secret").0.to_vec());
        credentials.replace(vec![SwitchRow { id, name: "fs1".into(), token_hash: hash }]);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text)).into_bytes();
        assert_eq!(credentials.check(&basic("fs1:secret")), Some(SwitchId(id)));
        assert_eq!(credentials.check(&[b"basic ", &basic("fs1:secret")[6..]].concat()), Some(SwitchId(id)));
        let long = format!("fs1:{}", "x".repeat(10_000));
        for wrong in ["fs1:wrong", "fs2:secret", "fs1", "fs1:", ":secret", "", long.as_str()] {
            assert_eq!(credentials.check(&basic(wrong)), None, "{wrong}");
        }
        for wrong in [&b""[..], b"Basic", b"Basic !!!", b"Bearer secret", b"Basic \xff\xff"] {
            assert_eq!(credentials.check(wrong), None);
        }
        credentials.replace(vec![]);
        assert_eq!(credentials.check(&basic("fs1:secret")), None);
    }
}
