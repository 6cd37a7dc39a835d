//! The tenants' routing data that this node knows, and the carriers: each with the generation it was read at, bounded by size.

use std::sync::Arc;

use arc_swap::ArcSwap;
use uuid::Uuid;

use super::generations::Slot;
use crate::routing::{
    Plan,
    carried::{Carrier, Carriers},
};

/// A plan as one statement saw it.
#[derive(Debug)]
pub struct Known {
    slot: Arc<Slot>,
    pub generation: i64,
    pub plan: Plan,
}

impl Known {
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.slot.is_current(u64::try_from(self.generation).unwrap_or_default())
    }
}

/// Roughly what a plan takes: it is not measured, but entries and destinations are counted.
const BYTES: u64 = 64 << 20;

pub struct Plans {
    kept: moka::sync::Cache<Uuid, Arc<Known>>,
    carriers: ArcSwap<(i64, Carriers)>,
}

impl Default for Plans {
    fn default() -> Self {
        let kept = moka::sync::Cache::builder()
            .max_capacity(BYTES)
            .weigher(|_, known: &Arc<Known>| {
                let plan = &known.plan;
                let size = 4096 + plan.destinations.len() * 1024 + plan.targets.len() * 96 + plan.entries.len() * 4096;
                u32::try_from(size).unwrap_or(u32::MAX)
            })
            .build();
        Self { kept, carriers: ArcSwap::from_pointee((-1, Carriers::default())) }
    }
}

impl Plans {
    /// What is known of a tenant's plan, current or not.
    #[must_use]
    pub fn get(&self, scope: Uuid) -> Option<Arc<Known>> {
        self.kept.get(&scope)
    }

    /// Keeps a plan, unless a newer one is there.
    pub fn keep(&self, slot: &Arc<Slot>, generation: i64, plan: Plan) -> Arc<Known> {
        let known = Arc::new(Known { slot: Arc::clone(slot), generation, plan });
        let newer = self.get(slot.scope).filter(|kept| Arc::ptr_eq(&kept.slot, slot) && kept.generation > generation);
        if newer.is_none() {
            self.kept.insert(slot.scope, Arc::clone(&known));
        }
        known
    }

    /// The carriers, and the generation they were read at; -1: not yet.
    #[must_use]
    pub fn carriers(&self) -> Arc<(i64, Carriers)> {
        self.carriers.load_full()
    }

    pub fn keep_carriers(&self, generation: i64, carriers: Vec<Carrier>) -> Arc<(i64, Carriers)> {
        let carriers = carriers.into_iter().map(|carrier| (carrier.id, carrier)).collect();
        let read = Arc::new((generation, Arc::new(carriers)));
        self.carriers.rcu(|kept| if kept.0 > generation { Arc::clone(kept) } else { Arc::clone(&read) });
        read
    }
}
