//! A call over carriers: which carriers, in which order, and how the switch fails over between them.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{
    Action,
    actions::{action, set},
    callee::Callee,
};
use crate::{
    model::carrier::CarrierConfig,
    model::channel,
    text::{E164, Spoken},
};

/// An active carrier, as every node knows it.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Carrier {
    pub id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub name: String,
    pub priority: i32,
    pub config: CarrierConfig,
    /// The addresses that its host name resolved to.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// The active carriers.
pub type Carriers = Arc<HashMap<Uuid, Carrier>>;

/// What a carrier charges for a call, and how well it works.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct Offer {
    pub carrier: Uuid,
    /// The longest prefix of the number that has a rate.
    pub prefix: String,
    /// Per minute, in millionths of the currency.
    pub price: i64,
    pub first_seconds: i16,
    pub step_seconds: i16,
    /// Whether it failed several times in a row. Such carriers are tried last.
    pub sick: bool,
    /// The percentage of its calls that were answered; `None` if there were too few to tell.
    pub answered: Option<i32>,
}

/// The offers that a tenant may use, best first: well before sick, then by price, priority and answered calls.
#[must_use]
pub fn choose(offers: &[Offer], carriers: &Carriers, tenant: Uuid) -> Vec<Offer> {
    let known =
        |offer: &&Offer| carriers.get(&offer.carrier).is_some_and(|c| c.tenant_id.is_none_or(|owner| owner == tenant));
    let mut chosen = offers.iter().filter(known).cloned().collect::<Vec<_>>();
    chosen.sort_by_key(|offer| {
        let priority = carriers.get(&offer.carrier).map_or(i32::MAX, |carrier| carrier.priority);
        (offer.sick, offer.price, priority, Reverse(offer.answered), offer.carrier)
    });
    chosen
}

/// The carriers for a tenant's emergency calls: those meant for that first, then all others.
#[must_use]
pub fn for_emergencies(carriers: &Carriers, tenant: Uuid) -> Vec<Uuid> {
    let usable = carriers.values().filter(|carrier| carrier.tenant_id.is_none_or(|owner| owner == tenant));
    let mut all = usable.map(|carrier| (!carrier.config.emergency, carrier.priority, carrier.id)).collect::<Vec<_>>();
    all.sort_unstable();
    all.into_iter().map(|(_, _, id)| id).collect()
}

/// The name of a carrier's gateway on the switches: unique, and only letters and digits.
#[must_use]
pub fn gateway(carrier: Uuid) -> String {
    format!("c{}", carrier.simple())
}

/// The carrier whose gateway has this name.
#[must_use]
pub fn carrier_of(gateway: &str) -> Option<Uuid> {
    Uuid::try_parse(gateway.strip_prefix('c')?).ok()
}

/// Causes after which the next carrier is tried: failures of the carrier, not answers of the called party. These are 500,
/// 502 and 503, timeouts, and gateways that are down; not 404, 480, 486 or 603 (`sofia_glue_sip_cause_to_freeswitch` in
/// sofia_glue.c).
const NEXT_CARRIER: &str = "NORMAL_TEMPORARY_FAILURE,NETWORK_OUT_OF_ORDER,RECOVERY_ON_TIMER_EXPIRE,PROGRESS_TIMEOUT,GATEWAY_DOWN,\
INVALID_GATEWAY,SWITCH_CONGESTION,NORMAL_CIRCUIT_CONGESTION,REQUESTED_CHAN_UNAVAIL,INVALID_PROFILE,NETWORK_UNREACHABLE";

/// A call that was admitted.
#[derive(Debug, Clone)]
pub struct Carried<'a> {
    pub dialled: Dialling<'a>,
    pub caller_id: Option<&'a E164>,
    pub carriers: &'a [Uuid],
    pub known: &'a Carriers,
    /// The call's UUID, so that a leg's record says which call it belongs to.
    pub call: Option<Uuid>,
    pub location: Option<&'a Spoken>,
    pub record: bool,
    pub consent_tone: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Dialling<'a> {
    Number(&'a E164),
    Emergency(&'a str),
}

impl Carried<'_> {
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = vec![set("hangup_after_bridge", true)];
        // If a phone rang before, its timeout is still set, and perhaps that early media are ignored. A carrier's early media
        // are its ringing and its announcements.
        actions.extend(["call_timeout", "ignore_early_media"].map(|name| action("unset", name)));
        if self.record {
            super::actions::record(&mut actions, false);
            if self.consent_tone {
                // The called party hears the tone once they have answered (audio_bridge_thread in switch_ivr_bridge.c). The caller
                // knows of the recording.
                actions.push(set("bridge_pre_execute_bleg_app", "playback"));
                actions.push(set("bridge_pre_execute_bleg_data", super::actions::CONSENT));
            }
        }
        let known = self.carriers.iter().filter_map(|id| self.known.get(id)).collect::<Vec<_>>();
        let last = known.len().saturating_sub(1);
        for (at, carrier) in known.into_iter().enumerate() {
            // The caller is told the cause of the last carrier.
            let next = match self.dialled {
                Dialling::Number(_) => NEXT_CARRIER,
                // An emergency call tries every carrier, whatever the one before answered.
                Dialling::Emergency(_) => "true",
            };
            actions.push(set("continue_on_fail", if at == last { "false" } else { next }));
            if let Some(number) = self.caller_id {
                let shown = carrier.config.caller_id_format.write(number);
                actions.push(set("effective_caller_id_number", &shown));
                actions.push(set("effective_caller_id_name", &shown));
            }
            actions.push(action("bridge", self.leg(carrier)));
        }
        actions
    }

    fn leg(&self, carrier: &Carrier) -> String {
        let config = &carrier.config;
        let (number, callee) = match self.dialled {
            Dialling::Number(number) => (config.dialled(number), number.as_str()),
            Dialling::Emergency(number) => (number.to_owned(), number),
        };
        let mut variables = vec![format!("{}={}", channel::CARRIER, carrier.id)];
        variables.extend(self.call.map(|call| format!("{}={call}", channel::CALL)));
        variables.push(format!("{}={callee}", channel::CALLEE));
        variables.push(format!("leg_progress_timeout={}", config.progress_seconds));
        if let Some(location) = self.location {
            // Commas separate variables.
            let location = location.as_str().replace(',', " ");
            variables.push(format!("sip_h_X-Emergency-Location={location}"));
        }
        if let Some(codecs) = &config.codecs {
            variables.push(format!("absolute_codec_string=^^:{}", codecs.as_str().replace(',', ":")));
        }
        format!("[{}]sofia/gateway/{}/{number}", variables.join(","), gateway(carrier.id))
    }
}

/// The cost of a call: at least the first seconds are charged, then whole steps.
#[must_use]
pub fn cost(price: i64, first_seconds: i16, step_seconds: i16, seconds: i64) -> i64 {
    if seconds <= 0 {
        return 0;
    }
    let (first, step) = (i64::from(first_seconds.max(0)), i64::from(step_seconds.max(1)));
    let charged = if seconds <= first { first } else { first + (seconds - first + step - 1) / step * step };
    // Rounded up to the next millionth.
    price.saturating_mul(charged).saturating_add(59) / 60
}

/// All prefixes of the called number, to look rates up by.
#[must_use]
pub fn prefixes(callee: &Callee) -> Vec<String> {
    let digits = callee.digits();
    (1..=digits.len()).map(|length| digits[..length].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_charged_by_first_and_steps() {
        // 0.06 per minute, charged by the second.
        assert_eq!(cost(60_000, 1, 1, 1), 1000);
        assert_eq!(cost(60_000, 60, 60, 1), 60_000);
        assert_eq!(cost(60_000, 60, 60, 61), 120_000);
        assert_eq!(cost(60_000, 30, 6, 31), 36_000);
        assert_eq!(cost(60_000, 60, 1, 0), 0);
        assert_eq!(cost(100, 1, 1, 1), 2, "rounded up to the next millionth");
    }

    #[test]
    fn gateways_name_their_carriers() {
        let id = Uuid::from_u128(7);
        assert_eq!(carrier_of(&gateway(id)), Some(id));
        assert!(carrier_of("x").is_none() && carrier_of("c1").is_none());
    }
}
