//! Counts the calls to each number, so that the members of a group can take turns.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// How many counters there are. Numbers that share one skip a member now and then.
const COUNTERS: usize = 4096;

pub struct Turns {
    counters: Box<[AtomicU64]>,
    hashes: RandomState,
}

impl Turns {
    pub fn new() -> Self {
        Self { counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(), hashes: RandomState::new() }
    }

    /// Rises by one with each call to this number. A global count would not do: calls to others in between would have the same member ring
    /// first twice.
    pub fn next(&self, context: &str, number: &str) -> u64 {
        let hash = self.hashes.hash_one((context, number));
        // The remainder is smaller than the number of counters.
        let place = usize::try_from(hash % COUNTERS as u64).unwrap_or_default();
        let count = self.counters.get(place).map_or(0, |counter| counter.fetch_add(1, Ordering::Relaxed));
        hash.wrapping_add(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_to_others_take_no_turn() {
        let turns = Turns::new();
        let mut last = turns.next("acme.test", "600");
        for n in 0..50 {
            turns.next("acme.test", &n.to_string());
            // Few of these share the counter.
            let next = turns.next("acme.test", "600");
            assert!((1..=3).contains(&next.wrapping_sub(last)), "{n}");
            last = next;
        }
    }
}
