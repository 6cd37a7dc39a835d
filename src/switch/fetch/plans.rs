//! The tenants' plans and the carriers that this node knows, each with the generation it was read at. Plans are bounded
//! by size.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use uuid::Uuid;

use super::{arrivals::Arrivals, placed::PlacedCall};
use crate::node::generations::{Era, Slot};
use crate::routing::{
    self, Found, Plan, Routed, Tenant, Trace,
    carried::{Carrier, Carriers},
    plan::{PlanError, apart},
};

/// A plan as one statement saw it.
#[derive(Debug)]
pub struct Known {
    slot: Arc<Slot>,
    pub generation: i64,
    pub plan: Arc<Plan>,
}

impl Known {
    fn is_of(&self, slot: &Arc<Slot>, generation: i64) -> bool {
        self.slot.is_of_same(slot) && self.generation == generation
    }

    #[must_use]
    pub fn is_current(&self) -> bool {
        self.slot.is_current(u64::try_from(self.generation).unwrap_or_default())
    }

    /// Routes a call by this plan. If the tenant's own entries may take long, that happens on another thread; emergency
    /// calls never wait for one.
    pub async fn route(
        &self,
        tenant: &Tenant,
        placed: &PlacedCall,
        found: Option<&Found>,
        at: Timestamp,
    ) -> Result<Routed, PlanError> {
        let is_for_help = || routing::emergency::dialled(&placed.number, &self.plan).is_some();
        if !self.plan.is_heavy() || is_for_help() {
            return Ok(routing::route(tenant, &self.plan, &placed.call(at), found, &mut Trace::off()));
        }
        let (plan, tenant, placed, found) = (Arc::clone(&self.plan), tenant.clone(), placed.clone(), found.cloned());
        let routed = apart(move || routing::route(&tenant, &plan, &placed.call(at), found.as_ref(), &mut Trace::off()));
        routed.await.ok_or(PlanError::Lost)
    }
}

/// The carriers as one statement saw them. The generation is -1 until they were read.
#[derive(Debug, Clone)]
pub struct KnownCarriers {
    era: Era,
    generation: i64,
    pub carriers: Carriers,
    /// How the carriers write the numbers of calls from outside.
    pub arrivals: Arc<Arrivals>,
}

impl KnownCarriers {
    /// The generation that this node has in this era, or -1 for none.
    #[must_use]
    pub fn generation(&self, era: Era) -> i64 {
        if self.era == era { self.generation } else { -1 }
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        (self.era, self.generation) > (other.era, other.generation)
    }
}

/// Roughly the memory that all plans may take.
const BYTES: u64 = 64 << 20;

pub struct Plans {
    kept: moka::sync::Cache<Uuid, Arc<Known>>,
    /// What calls for help need of plans that can't be read.
    for_help: moka::sync::Cache<Uuid, Arc<Known>>,
    carriers: ArcSwap<KnownCarriers>,
}

impl Default for Plans {
    fn default() -> Self {
        let kept = moka::sync::Cache::builder()
            .max_capacity(BYTES)
            .weigher(|_, known: &Arc<Known>| u32::try_from(known.plan.bytes()).unwrap_or(u32::MAX))
            .build();
        let none = KnownCarriers {
            era: Era::default(),
            generation: -1,
            carriers: Carriers::default(),
            arrivals: Arc::default(),
        };
        let for_help = moka::sync::Cache::new(10_000);
        Self { kept, for_help, carriers: ArcSwap::from_pointee(none) }
    }
}

impl Plans {
    /// The known plan of a slot's tenant, current or not. A plan that was read under another slot doesn't count: it may
    /// be from a database that was replaced, where its generation meant something else.
    #[must_use]
    pub fn of(&self, slot: &Arc<Slot>) -> Option<Arc<Known>> {
        self.get(slot.scope).filter(|known| known.slot.is_of_same(slot))
    }

    /// A tenant's last known plan, whatever slot it was read under: good enough for emergency calls.
    #[must_use]
    pub fn get(&self, scope: Uuid) -> Option<Arc<Known>> {
        self.kept.get(&scope)
    }

    /// Parses a plan as the database wrote it, and keeps it unless a newer one is there.
    pub async fn keep(&self, slot: &Arc<Slot>, generation: i64, text: String) -> Result<Arc<Known>, PlanError> {
        let before = self.get(slot.scope);
        // Another fill has already read this generation.
        if let Some(kept) = before.as_ref().filter(|kept| kept.is_of(slot, generation)) {
            return Ok(Arc::clone(kept));
        }
        let known = before.as_ref().map(|known| known.plan.left_out());
        let read = Plan::read(text.clone(), before.as_ref().map(|known| Arc::clone(&known.plan))).await;
        let plan = match read {
            Ok(plan) => Arc::new(plan),
            Err(error) => {
                self.salvage(slot, generation, &text, before.as_deref());
                return Err(error);
            }
        };
        self.for_help.invalidate(&slot.scope);
        let left_out = plan.left_out();
        if left_out > 0 && known != Some(left_out) {
            tracing::warn!(tenant = %slot.scope, domain = %plan.domain, left_out, "a tenant's dialplan entries exceed the limits; some are left out");
        }
        let known = Arc::new(Known { slot: Arc::clone(slot), generation, plan });
        // A plan that was read under a slot that is closed by now is not kept.
        let newer = self.of(slot).filter(|kept| kept.generation > generation);
        if newer.is_none() && !slot.is_closed() {
            self.kept.insert(slot.scope, Arc::clone(&known));
        }
        Ok(known)
    }

    fn salvage(&self, slot: &Arc<Slot>, generation: i64, text: &str, last: Option<&Known>) {
        let Some(domain) = slot.home.clone() else { return };
        let plan = Arc::new(Plan::for_help(text, last.map(|known| &*known.plan), domain));
        self.for_help.insert(slot.scope, Arc::new(Known { slot: Arc::clone(slot), generation, plan }));
    }

    /// The plan for a call for help: the last known one, or what could be read of one that is broken.
    #[must_use]
    pub fn for_help(&self, scope: Uuid) -> Option<Arc<Known>> {
        self.for_help.get(&scope).or_else(|| self.get(scope))
    }

    #[must_use]
    pub fn carriers(&self) -> Arc<KnownCarriers> {
        self.carriers.load_full()
    }

    /// Keeps carriers read by a statement that began in `era`, unless newer ones are there.
    pub fn keep_carriers(&self, era: Era, generation: i64, carriers: Vec<Carrier>) -> Arc<KnownCarriers> {
        let arrivals = Arc::new(Arrivals::of(carriers.iter()));
        let carriers = carriers.into_iter().map(|carrier| (carrier.id, carrier)).collect();
        let read = Arc::new(KnownCarriers { era, generation, carriers: Arc::new(carriers), arrivals });
        self.carriers.rcu(|kept| if kept.is_newer_than(&read) { Arc::clone(kept) } else { Arc::clone(&read) });
        read
    }
}

/// The plan to use while the tenant's own is not known: it has the default feature codes.
#[must_use]
pub(super) fn usual(slot: &Slot) -> Option<Plan> {
    slot.home.clone().map(Plan::empty)
}
