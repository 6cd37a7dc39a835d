//! Whose a leg or a registration is.
//!
//! A switch may only speak of the tenants of its own cluster: what it says of others is nobody's. And what a caller wrote into a SIP message
//! is in other headers than what the directory and routing wrote.

use std::{collections::BTreeSet, sync::Arc};

use uuid::Uuid;

use super::leg::Leg;
use crate::node::generations::{Generations, Slot};

#[derive(Clone)]
pub struct Whose {
    pub generations: Arc<Generations>,
    pub cluster: Uuid,
}

impl Whose {
    fn own(&self, slot: Option<Arc<Slot>>) -> Option<Uuid> {
        slot.filter(|slot| slot.domain.is_some() && slot.cluster == self.cluster).map(|slot| slot.scope)
    }

    /// The tenant of a domain, if this cluster's switches serve it.
    #[must_use]
    pub fn of_domain(&self, domain: &str) -> Option<Uuid> {
        self.own(self.generations.domain(domain))
    }

    #[must_use]
    pub fn of_id(&self, tenant: Uuid) -> Option<Uuid> {
        self.own(self.generations.scope(tenant))
    }

    /// The tenant of `ID.DOMAIN`, as queues are named, or `NAME@DOMAIN`, as agents and parking lots are.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<Uuid> {
        let at = name.find(['.', '@'])?;
        self.of_domain(&name[at + 1..])
    }

    /// The tenant whose phone a leg is, or whose call it is if it is no phone's.
    #[must_use]
    pub fn of_leg(&self, leg: &Leg) -> Option<Uuid> {
        match &leg.about.phone {
            Some((_, domain)) => self.of_domain(domain),
            None => self.routed(leg),
        }
    }

    /// The tenant whose routing a leg is in.
    fn routed(&self, leg: &Leg) -> Option<Uuid> {
        let by_context = || self.of_domain(leg.about.context.as_deref()?);
        leg.about.tenant.and_then(|tenant| self.of_id(tenant)).or_else(by_context)
    }

    /// The tenants that a call concerns: those of its phones, and those in whose routing it is.
    #[must_use]
    pub fn of_call(&self, legs: &[&Leg]) -> BTreeSet<Uuid> {
        legs.iter().flat_map(|leg| [self.of_leg(leg), self.routed(leg)]).flatten().collect()
    }
}

/// The destination in `ID.DOMAIN`.
#[must_use]
pub fn id_of(name: &str) -> Option<Uuid> {
    Uuid::try_parse(name.split('.').next()?).ok()
}
