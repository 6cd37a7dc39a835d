//! What ended a moment ago. Events of it that come late, and lists that are a little older, don't bring it back.

use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use super::said::Micros;

/// The switch writes its lists by a queue (`core_event_handler` in switch_core_sqldb.c), so a list may be older than an event.
const LISTED_AFTER: Micros = 5_000_000;
const REMEMBERED: Micros = 60_000_000;
const MOST: usize = 20_000;

/// Whether what began then may be missing in a list that was asked for at `began`.
#[must_use]
pub fn may_be_unlisted(since: Micros, began: Micros) -> bool {
    since > began - LISTED_AFTER
}

#[derive(Debug)]
pub struct Gone<K> {
    at: HashMap<K, Micros>,
    order: VecDeque<(Micros, K)>,
}

impl<K> Default for Gone<K> {
    fn default() -> Self {
        Self { at: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Hash + Eq + Clone> Gone<K> {
    pub fn note(&mut self, key: K, at: Micros) {
        self.at.insert(key.clone(), at);
        self.order.push_back((at, key));
        while self.order.len() > MOST || self.order.front().is_some_and(|(then, _)| *then < at - REMEMBERED) {
            let Some((then, key)) = self.order.pop_front() else { break };
            if self.at.get(&key) == Some(&then) {
                self.at.remove(&key);
            }
        }
    }

    /// Whether it ended after `at`.
    pub fn is_gone<Q: Hash + Eq + ?Sized>(&self, key: &Q, at: Micros) -> bool
    where
        K: Borrow<Q>,
    {
        self.at.get(key).is_some_and(|then| *then >= at)
    }

    /// It is back.
    pub fn forget<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.at.remove(key);
    }

    /// Whether it ended a moment ago.
    pub fn has<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.at.contains_key(key)
    }
}
