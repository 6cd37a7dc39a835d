//! The answers that this node keeps: bytes ready to send, each with the generation it was read at.
//!
//! moka bounds their size and keeps the most useful ones. Whether one may be served depends on its generation alone.
//! Outdated answers are not removed: each is the last good one while the database can't be asked.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{node::generations::Slot, routing::Keep, text::SipUsername};

/// The kind of question and its texts, in canonical form. For a lookup it is built on the stack.
pub type Key = Box<[u8]>;

/// What an answer depends on besides its base key. An answer that varies is kept under a longer key; the base key then
/// has a marker that says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Vary {
    #[default]
    No,
    /// On who calls, or on the number that they show.
    Caller,
}

/// The registered devices that an answer depends on. An answer to a call is kept under a key with their mark; before it comes a marker with
/// the extensions. The answer about a user says whose devices ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    pub extensions: Box<[SipUsername]>,
    /// Of the devices that the answer rings ([`crate::switch::phones::AllPhones::mark`]).
    pub mark: u64,
}

/// A kept answer.
#[derive(Debug)]
pub struct CachedAnswer {
    pub slot: Arc<Slot>,
    pub generation: u64,
    pub body: Bytes,
    /// The question was about something that doesn't exist, or that a stranger can ask for in endless variations.
    pub stray: bool,
    pub vary: Vary,
    /// `None`: it does not depend on what is registered.
    pub rung: Option<Rung>,
    pub keep: Keep,
}

impl CachedAnswer {
    #[must_use]
    pub fn is_current(&self) -> bool {
        let is_in_time = match self.keep {
            Keep::Never => false,
            // Also not if the clock was put back since: it is kept for part of a minute.
            Keep::Until(end) => is_in_minute_before(end, Timestamp::now()),
            Keep::WhileCurrent => true,
        };
        is_in_time && self.is_of_newest()
    }

    /// Whether it was read at the newest known generation.
    #[must_use]
    pub fn is_of_newest(&self) -> bool {
        self.slot.is_current(self.generation)
    }

    /// What is kept under the base key of an answer that varies.
    #[must_use]
    pub fn vary_marker(&self) -> Self {
        let (slot, generation, vary) = (Arc::clone(&self.slot), self.generation, self.vary);
        Self { slot, generation, body: Bytes::new(), stray: self.stray, vary, rung: None, keep: Keep::WhileCurrent }
    }

    /// What is kept before an answer that depends on registered devices.
    #[must_use]
    pub fn rung_marker(&self) -> Self {
        Self { vary: Vary::No, rung: self.rung.clone(), ..self.vary_marker() }
    }

    /// Whether it may be served without being checked. Not if its tenant or its database is gone.
    #[must_use]
    pub fn is_usable_stale(&self) -> bool {
        !self.slot.is_closed()
    }
}

fn is_in_minute_before(end: Timestamp, now: Timestamp) -> bool {
    now < end && end.as_second() - now.as_second() <= 60
}

/// Two stores, so that strays can't push out answers that phones need.
pub struct Cache {
    known: moka::sync::Cache<Key, Arc<CachedAnswer>>,
    strays: moka::sync::Cache<Key, Arc<CachedAnswer>>,
}

/// Bytes that an answer takes besides its key and body: allocations and moka's nodes. docs/performance.md has the measurement.
const OVERHEAD_BYTES: usize = 400;

impl Cache {
    /// Both bounds are in bytes and include the overhead.
    #[must_use]
    pub fn new(known_bytes: u64, stray_bytes: u64) -> Self {
        Self { known: store(known_bytes), strays: store(stray_bytes) }
    }

    /// The answer kept under this key, current or not.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<CachedAnswer>> {
        self.known.get(key).or_else(|| self.strays.get(key))
    }

    /// Keeps an answer unless a newer one is there: a slow fill may end last.
    pub fn keep(&self, key: &Key, cached: Arc<CachedAnswer>) {
        let (mine, other) = if cached.stray { (&self.strays, &self.known) } else { (&self.known, &self.strays) };
        let is_newer =
            |kept: &Arc<CachedAnswer>| Arc::ptr_eq(&kept.slot, &cached.slot) && kept.generation > cached.generation;
        if mine.get(key).as_ref().is_some_and(is_newer) || other.get(key).as_ref().is_some_and(is_newer) {
            return;
        }
        mine.insert(key.clone(), cached);
        other.invalidate(key);
    }

    /// How many answers are kept, and how many strays.
    #[must_use]
    pub fn len(&self) -> (u64, u64) {
        (self.known.entry_count(), self.strays.entry_count())
    }

    /// Forgets everything, for measurements.
    pub fn clear(&self) {
        self.known.invalidate_all();
        self.strays.invalidate_all();
    }

    /// Lets moka finish its pending work, so that counts and bounds are exact in tests.
    pub fn settle(&self) {
        self.known.run_pending_tasks();
        self.strays.run_pending_tasks();
    }
}

fn store(bytes: u64) -> moka::sync::Cache<Key, Arc<CachedAnswer>> {
    moka::sync::Cache::builder()
        .max_capacity(bytes)
        .weigher(|key: &Key, cached: &Arc<CachedAnswer>| {
            let size = OVERHEAD_BYTES + key.len() + cached.body.len();
            u32::try_from(size).unwrap_or(u32::MAX)
        })
        .build()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{
        node::generations::{Former, Generations, Heard, Standing},
        text::Domain,
    };

    fn slot() -> Arc<Slot> {
        let generations = Generations::new(Duration::from_secs(1), |_, _| Standing::default());
        let scope = Uuid::from_u128(7);
        generations.merge([Heard {
            scope,
            generation: 3,
            domain: Domain::parse("a.test").ok(),
            cluster: Uuid::nil(),
            former: Former::default(),
            sandbox: false,
        }]);
        generations.scope(scope).unwrap()
    }

    fn cached(slot: &Arc<Slot>, generation: u64, body: &'static str, stray: bool) -> Arc<CachedAnswer> {
        Arc::new(CachedAnswer {
            slot: Arc::clone(slot),
            generation,
            body: Bytes::from(body),
            stray,
            vary: Vary::No,
            rung: None,
            keep: Keep::WhileCurrent,
        })
    }

    fn key(text: &str) -> Key {
        text.as_bytes().into()
    }

    #[test]
    fn a_slow_fill_does_not_replace_a_newer_answer() {
        let (cache, slot) = (Cache::new(1 << 20, 1 << 20), slot());
        cache.keep(&key("k"), cached(&slot, 3, "new", false));
        cache.keep(&key("k"), cached(&slot, 2, "old", false));
        cache.keep(&key("k"), cached(&slot, 2, "nobody", true));
        assert_eq!(cache.get(b"k").unwrap().body, "new");
        cache.keep(&key("k"), cached(&slot, 4, "nobody", true));
        assert_eq!(cache.get(b"k").unwrap().body, "nobody");
    }

    #[test]
    fn a_million_unknown_names_neither_fill_memory_nor_push_out_an_answer() {
        let (cache, slot) = (Cache::new(1 << 20, 1 << 20), slot());
        cache.keep(&key("real"), cached(&slot, 3, "answer", false));
        for n in 0..1_000_000 {
            cache.keep(&key(&format!("scanner-{n}")), cached(&slot, 3, "", true));
        }
        cache.settle();
        let (known, strays) = cache.len();
        assert_eq!(known, 1);
        assert!(strays <= (1 << 20) / OVERHEAD_BYTES as u64, "{strays}");
        assert_eq!(cache.get(b"real").unwrap().body, "answer");
    }
}
