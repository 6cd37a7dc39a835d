//! Which switches may fetch: their tokens are kept in memory and checked on every fetch.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use uuid::Uuid;

use super::store::SwitchRow;
use crate::text::token::TokenHash;

/// A switch that has shown its token.
#[derive(Debug, Clone)]
pub struct Switch {
    pub id: Uuid,
    /// The switch gets answers about this cluster's tenants only.
    pub cluster: Uuid,
    /// Whether it is being taken out of service.
    pub is_leaving: bool,
    seen: Arc<Sighting>,
}

/// When it was last recorded that a switch has asked, so that not every fetch writes to the database.
#[derive(Debug)]
struct Sighting {
    /// The token it asked with. A new token is recorded anew.
    token: Box<[u8]>,
    since: Instant,
    /// Milliseconds after `since`, plus one; 0 means never.
    at: AtomicU64,
}

const SIGHTING_EVERY: Duration = Duration::from_secs(15);

impl Switch {
    /// Whether it is time to record again that this switch asks. Only one of several callers gets `true`.
    #[must_use]
    pub fn is_news(&self) -> bool {
        let now = u64::try_from(self.seen.since.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let at = self.seen.at.load(Ordering::Relaxed);
        let due = at == 0 || u128::from(now - at.min(now)) >= SIGHTING_EVERY.as_millis();
        due && self.seen.at.compare_exchange(at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn seen_ago(&self) -> Option<Duration> {
        let at = self.seen.at.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.seen.since.elapsed().saturating_sub(Duration::from_millis(at)))
    }

    /// The hash of the token that the switch has shown.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        &self.seen.token
    }

    /// To be called if it could not be recorded: the next fetch tries again.
    pub fn is_still_news(&self) {
        self.seen.at.store(0, Ordering::Relaxed);
    }
}

#[derive(Default)]
pub struct Credentials {
    switches: ArcSwap<HashMap<Box<str>, (Switch, TokenHash)>>,
}

/// The longest decoded `name:token` that is accepted.
const MAX_BYTES: usize = 256;

impl Credentials {
    pub fn replace(&self, rows: Vec<SwitchRow>) {
        let before = self.switches.load();
        let switches = rows.into_iter().filter_map(|row| {
            // Another switch may have changed: this one was seen all the same.
            let known = before.get(row.name.as_str()).map(|(switch, _)| switch);
            let known = known.filter(|switch| switch.id == row.id && *switch.seen.token == row.token_hash[..]);
            let seen = known.map_or_else(
                || {
                    Arc::new(Sighting {
                        token: row.token_hash.clone().into(),
                        since: Instant::now(),
                        at: AtomicU64::new(0),
                    })
                },
                |switch| Arc::clone(&switch.seen),
            );
            let switch = Switch { id: row.id, cluster: row.cluster_id, is_leaving: row.is_leaving, seen };
            Some((row.name.into_boxed_str(), (switch, TokenHash::from_stored(&row.token_hash)?)))
        });
        self.switches.store(Arc::new(switches.collect()));
    }

    /// Each switch, and how long ago this node noted that it asked, if it did; noted every fifteen seconds.
    #[must_use]
    pub fn sightings(&self) -> Vec<(Box<str>, Option<Duration>)> {
        let switches = self.switches.load();
        switches.iter().map(|(name, (switch, _))| (name.clone(), switch.seen_ago())).collect()
    }

    /// Checks the value of an `Authorization` header: `Basic` with a switch's name and token.
    #[must_use]
    pub fn check(&self, authorization: &[u8]) -> Option<Switch> {
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
        if let Some((switch, hash)) = switches.get(name) {
            hash.matches(token).then(|| switch.clone())
        } else {
            // Takes as long as for a known name.
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
        credentials.replace(vec![SwitchRow {
            id,
            name: "fs1".into(),
            token_hash: hash,
            cluster_id: Uuid::nil(),
            is_leaving: false,
        }]);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text)).into_bytes();
        let known = credentials.check(&basic("fs1:secret")).unwrap();
        assert_eq!(known.id, id);
        assert!(known.is_news() && !credentials.check(&basic("fs1:secret")).unwrap().is_news(), "once in a while");
        known.is_still_news();
        assert!(known.is_news());
        assert!(credentials.check(&[b"basic ", &basic("fs1:secret")[6..]].concat()).is_some());
        let long = format!("fs1:{}", "x".repeat(10_000));
        for wrong in ["fs1:wrong", "fs2:secret", "fs1", "fs1:", ":secret", "", long.as_str()] {
            assert!(credentials.check(&basic(wrong)).is_none(), "{wrong}");
        }
        for wrong in [&b""[..], b"Basic", b"Basic !!!", b"Bearer secret", b"Basic \xff\xff"] {
            assert!(credentials.check(wrong).is_none());
        }
        credentials.replace(vec![]);
        assert!(credentials.check(&basic("fs1:secret")).is_none());
    }
}
