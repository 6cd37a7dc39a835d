//! Decides whether a call may leave the platform, with which number and over which carriers, as far as this needs no count.
//! Limits that need one are decided by a single statement (`calls::admission`).

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Plan,
    callee::Callee,
    carried::{Carriers, Offer, choose},
    trace::Trace,
};
use crate::model::refusal::Refusal;
use crate::{
    model::{number::Choice, settings::Country},
    text::E164,
};

/// The extension that calls or on whose behalf the call is made, and its agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    pub extension: Uuid,
    pub active: bool,
    pub user: Option<Uuid>,
    pub agent_active: bool,
    pub choice: Choice,
    pub fixed: Option<Uuid>,
    /// The agent's numbers, oldest assignment first.
    pub numbers: Vec<HeldNumber>,
    pub record: bool,
}

impl Caller {
    /// The same caller, who shows this number if it is theirs.
    #[must_use]
    pub fn showing(&self, number: &E164) -> Self {
        let mut showing = self.clone();
        if let Some(at) = showing.numbers.iter().position(|held| held.active && held.number == *number) {
            let held = showing.numbers.remove(at);
            (showing.choice, showing.fixed) = (Choice::Fixed, Some(held.id));
            showing.numbers.insert(0, held);
        }
        showing
    }
}

/// A number that is assigned to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeldNumber {
    pub id: Uuid,
    pub number: E164,
    pub country: Option<String>,
    pub active: bool,
    pub limit: i32,
    pub countries: Option<Vec<String>>,
    pub made: i32,
}

/// What to admit, or why the call is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Numbers to show: the first whose daily limit is not reached is used.
    pub numbers: Vec<HeldNumber>,
    /// Carriers, best first.
    pub offers: Vec<Offer>,
    pub refusal: Option<Refusal>,
}

impl Decision {
    fn refused(refusal: Refusal) -> Self {
        Self { numbers: Vec::new(), offers: Vec::new(), refusal: Some(refusal) }
    }

    /// The same call of a sandbox: what would have been admitted is not.
    #[must_use]
    pub fn in_sandbox(self) -> Self {
        Self::refused(self.refusal.unwrap_or(Refusal::Sandbox))
    }
}

/// Why the caller may not call anywhere, if so.
#[must_use]
pub fn barred(caller: Option<&Caller>) -> Option<Refusal> {
    match caller {
        None => Some(Refusal::NotSignedIn),
        Some(caller) if !caller.active => Some(Refusal::AgentSuspended),
        Some(caller) if caller.user.is_some() && !caller.agent_active => Some(Refusal::AgentSuspended),
        Some(_) => None,
    }
}

/// Decides about one call.
#[must_use]
pub fn decide(
    plan: &Plan,
    tenant: Uuid,
    callee: &Callee,
    caller: Option<&Caller>,
    offers: &[Offer],
    carriers: &Carriers,
    trace: &mut Trace,
) -> Decision {
    if let Some(refusal) = barred(caller) {
        trace.note("caller", false, || refusal.name().into());
        return Decision::refused(refusal);
    }
    trace.note("caller", true, String::new);
    if let Err(refusal) = callee.judge(plan) {
        trace.note("tenant's rules", false, || refusal.name().into());
        return Decision::refused(refusal);
    }
    trace.note("tenant's rules", true, || callee.country.as_ref().map_or("no country".into(), ToString::to_string));
    let numbers = match caller.map(|caller| numbers(caller, callee)) {
        Some(Ok(numbers)) => numbers,
        Some(Err(refusal)) => {
            trace.note("number to show", false, || refusal.name().into());
            return Decision::refused(refusal);
        }
        None => return Decision::refused(Refusal::NotSignedIn),
    };
    trace.note("number to show", true, || {
        numbers.iter().map(|held| held.number.as_str()).collect::<Vec<_>>().join(", ")
    });
    let currency = plan.settings.currency.as_ref();
    let mut chosen = choose(offers, carriers, tenant, currency);
    if chosen.is_empty() {
        trace.note("carriers", false, || match currency {
            Some(currency) if !offers.is_empty() => format!("none has a rate for this number in {currency}"),
            _ => "none has a rate for this number".into(),
        });
        return Decision::refused(Refusal::NoCarrier);
    }
    if let Some(most) = plan.settings.routing.outbound.price_per_minute {
        chosen.retain(|offer| offer.price <= most);
        if chosen.is_empty() {
            trace.note("carriers", false, || format!("all cost more than {most} millionths per minute"));
            return Decision::refused(Refusal::PricePerMinute);
        }
    }
    trace.note("carriers", true, || {
        let names = chosen
            .iter()
            .filter_map(|offer| carriers.get(&offer.carrier).map(|c| format!("{} at {}", c.name, offer.price)));
        names.collect::<Vec<_>>().join(", ")
    });
    Decision { numbers, offers: chosen, refusal: None }
}

/// The agent's numbers that may be shown to this callee, in the order that the agent's choice gives.
fn numbers(caller: &Caller, callee: &Callee) -> Result<Vec<HeldNumber>, Refusal> {
    let mut numbers = caller.numbers.iter().filter(|held| held.active).cloned().collect::<Vec<_>>();
    if numbers.is_empty() {
        return Err(Refusal::NoNumber);
    }
    let country = callee.country.as_ref().map(Country::as_str);
    numbers.retain(|held| {
        held.countries.as_ref().is_none_or(|allowed| allowed.iter().any(|one| Some(one.as_str()) == country))
    });
    if numbers.is_empty() {
        return Err(Refusal::Country);
    }
    match caller.choice {
        Choice::Fixed => {
            let fixed = caller.fixed.and_then(|id| numbers.iter().position(|held| held.id == id)).unwrap_or_default();
            Ok(vec![numbers.swap_remove(fixed)])
        }
        Choice::RoundRobin => {
            numbers.sort_by_key(|held| held.made);
            Ok(numbers)
        }
        Choice::MatchCountry => {
            numbers.sort_by_key(|held| (held.country.as_deref() != country, held.made));
            Ok(numbers)
        }
    }
}

/// The number shown to an emergency service: the agent's own, or else the tenant's. `known`: the agent's as the directory said, if the
/// database can't be asked.
#[must_use]
pub fn emergency_caller_id(plan: &Plan, caller: Option<&Caller>, known: Option<&E164>) -> Option<E164> {
    let own = match caller {
        Some(caller) => caller.numbers.iter().find(|held| held.active).map(|held| &held.number),
        None => known,
    };
    own.cloned().or_else(|| plan.settings.routing.emergency.caller_id.clone())
}
