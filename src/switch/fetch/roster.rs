//! The names that exist in a scope, so that a scanner's guesses are answered from memory.
//!
//! A roster is the set of a tenant's names (or of the platform's phone numbers) at one generation, as 64-bit hashes. A
//! name that a current roster lacks does not exist. One that it has may exist (hashes collide), so the database is asked.
//! A roster is read once per generation, when somebody asks for a name that doesn't exist.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use uuid::Uuid;

use crate::node::generations::Slot;

/// A scope with more names than this has no roster: the database is asked for each name.
pub const MAX_NAMES: i32 = 4_000_000;
const BYTES: u64 = 64 << 20;

pub struct Roster {
    slot: Arc<Slot>,
    generation: u64,
    /// Whether the tenant is active. Calls of a suspended tenant are refused for that reason, whatever was dialled.
    active: bool,
    names: HashSet<u64>,
}

/// The rosters that this node keeps, bounded by size.
pub struct Rosters {
    kept: moka::sync::Cache<Uuid, Arc<Roster>>,
    hasher: RandomState,
}

impl Default for Rosters {
    fn default() -> Self {
        let kept = moka::sync::Cache::builder()
            .max_capacity(BYTES)
            .weigher(|_, roster: &Arc<Roster>| u32::try_from(200 + roster.names.capacity() * 9).unwrap_or(u32::MAX))
            .build();
        Self { kept, hasher: RandomState::new() }
    }
}

impl Rosters {
    /// Whether it is certain that this scope doesn't have the name.
    #[must_use]
    pub fn rules_out(&self, scope: Uuid, name: &str) -> bool {
        self.current(scope).is_some_and(|roster| !roster.names.contains(&self.hasher.hash_one(name)))
    }

    /// Whether it is certain that a call to this name is refused because nobody has it.
    #[must_use]
    pub fn rules_out_call(&self, scope: Uuid, name: &str) -> bool {
        self.current(scope).is_some_and(|roster| roster.active && !roster.names.contains(&self.hasher.hash_one(name)))
    }

    #[must_use]
    pub fn has_current(&self, scope: Uuid) -> bool {
        self.current(scope).is_some()
    }

    pub fn keep<'a>(&self, slot: Arc<Slot>, generation: u64, active: bool, names: impl Iterator<Item = &'a str>) {
        let names = names.map(|name| self.hasher.hash_one(name)).collect();
        self.kept.insert(slot.scope, Arc::new(Roster { slot, generation, active, names }));
    }

    fn current(&self, scope: Uuid) -> Option<Arc<Roster>> {
        self.kept.get(&scope).filter(|roster| roster.slot.is_current(roster.generation))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        node::generations::{Former, Generations, Heard, Standing},
        text::Domain,
    };

    #[test]
    fn a_roster_rules_out_names_only_while_it_is_current() {
        let generations = Generations::new(Duration::from_secs(1), |_, _| Standing::default());
        let scope = Uuid::from_u128(7);
        let heard = |generation| Heard {
            scope,
            generation,
            domain: Domain::parse("a.test").ok(),
            cluster: Uuid::nil(),
            former: Former::default(),
            sandbox: false,
        };
        generations.merge([heard(3)]);
        let rosters = Rosters::default();
        assert!(!rosters.rules_out(scope, "1000"));
        rosters.keep(generations.scope(scope).unwrap(), 3, false, ["1000", "1001"].into_iter());
        assert!(!rosters.rules_out_call(scope, "1002"), "a suspended tenant's call is refused for another reason");
        assert!(rosters.rules_out(scope, "1002"));
        assert!(!rosters.rules_out(scope, "1000"));
        generations.merge([heard(4)]);
        assert!(!rosters.rules_out(scope, "1002"));
    }
}
