//! Admission of calls that leave the platform: the question and its answer. [`super::store::admit`] counts and decides in one
//! statement, once for each call.

use uuid::Uuid;

use super::legs;
use crate::{
    model::refusal::Refusal,
    routing::{Plan, carried::Carriers, outbound::Decision},
    text::{E164, TimeZone},
};

/// What to decide about.
#[derive(Debug, Clone)]
pub struct Ask {
    pub tenant: Uuid,
    /// The call's UUID on its switch.
    pub call: Uuid,
    pub callee: String,
    pub extension: Option<Uuid>,
    pub user: Option<Uuid>,
    pub emergency: bool,
    pub(super) refusal: Option<Refusal>,
    pub(super) numbers: Vec<Uuid>,
    pub(super) limits: Vec<i32>,
    pub(super) caller_ids: Vec<String>,
    pub(super) carriers: Vec<Uuid>,
    pub(super) prices: Vec<i64>,
    pub(super) live: Vec<Option<i32>>,
    pub(super) rates: Vec<Option<i32>>,
    pub(super) tenant_live: Option<i32>,
    pub(super) tenant_rate: Option<i32>,
    pub(super) spend_cap: Option<i64>,
    pub(super) zone: String,
    pub(super) first_seconds: Vec<i32>,
    pub(super) step_seconds: Vec<i32>,
    /// For how many seconds a call is given money at once.
    pub(super) slice: i32,
    pub(super) currency: Option<String>,
    /// The switch that has the call.
    pub switch: Option<Uuid>,
    /// When the call is made; the database's clock if absent.
    pub at: Option<chrono::DateTime<chrono::Utc>>,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// `seconds`: for each carrier, how long after the answer the call ends; none: without limit.
    Admitted {
        caller_id: Option<E164>,
        carriers: Vec<Uuid>,
        seconds: Vec<Option<i32>>,
    },
    Refused(Refusal),
}

/// The call, and who makes it.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub tenant: Uuid,
    pub call: Uuid,
    pub callee: &'a str,
    pub extension: Option<Uuid>,
    pub user: Option<Uuid>,
}

impl Ask {
    #[must_use]
    pub fn new(asker: Asker<'_>, plan: &Plan, decision: &Decision, carriers: &Carriers) -> Self {
        let rules = &plan.settings.routing.outbound;
        let of = |id: &Uuid| carriers.get(id).map(|carrier| &carrier.config);
        let ids = decision.offers.iter().map(|offer| offer.carrier).collect::<Vec<_>>();
        Self {
            tenant: asker.tenant,
            call: asker.call,
            callee: asker.callee.to_owned(),
            extension: asker.extension,
            user: asker.user,
            emergency: false,
            refusal: decision.refusal,
            numbers: decision.numbers.iter().map(|held| held.id).collect(),
            limits: decision.numbers.iter().map(|held| held.limit).collect(),
            caller_ids: decision.numbers.iter().map(|held| held.number.to_string()).collect(),
            prices: decision.offers.iter().map(|offer| offer.price).collect(),
            live: ids.iter().map(|id| of(id).and_then(|config| config.capacity).map(i32::from)).collect(),
            rates: ids.iter().map(|id| of(id).and_then(|config| config.calls_per_second).map(i32::from)).collect(),
            first_seconds: decision.offers.iter().map(|offer| offer.first_seconds.into()).collect(),
            step_seconds: decision.offers.iter().map(|offer| offer.step_seconds.into()).collect(),
            slice: legs::WHOLE,
            currency: plan.settings.currency.as_ref().map(ToString::to_string),
            switch: None,
            carriers: ids,
            tenant_live: rules.concurrent_calls.map(i32::from),
            tenant_rate: rules.calls_per_second.map(i32::from),
            spend_cap: rules.spend_per_day,
            zone: plan.settings.time_zone.as_ref().map_or(TimeZone::UTC, TimeZone::as_str).to_owned(),
            at: None,
        }
    }

    /// A call that is refused, which is recorded.
    #[must_use]
    pub fn refused(asker: Asker<'_>, plan: &Plan, refusal: Refusal) -> Self {
        let decision = Decision { numbers: Vec::new(), offers: Vec::new(), refusal: Some(refusal) };
        Self::new(asker, plan, &decision, &Carriers::default())
    }

    /// On this switch. `is_watched`: it is visited, so that the call may get more money while it lasts.
    #[must_use]
    pub fn on(mut self, switch: Option<Uuid>, is_watched: bool) -> Self {
        self.switch = switch;
        self.slice = if is_watched { legs::SLICE } else { legs::WHOLE };
        self
    }

    /// An emergency call, which always passes and is recorded.
    #[must_use]
    pub fn emergency(asker: Asker<'_>, plan: &Plan, caller_id: Option<&E164>, carriers: Vec<Uuid>) -> Self {
        let decision = Decision { numbers: Vec::new(), offers: Vec::new(), refusal: None };
        let mut ask = Self::new(asker, plan, &decision, &Carriers::default());
        ask.emergency = true;
        ask.caller_ids = caller_id.map(ToString::to_string).into_iter().collect();
        ask.carriers = carriers;
        ask
    }
}
