//! A call over carriers: which carriers, in which order, and how the switch fails over between them.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{
    Action, MESSAGE,
    action::{action, set},
    callee::Callee,
    withheld,
};
use crate::{
    model::carrier::CarrierConfig,
    model::channel,
    model::settings::Currency,
    text::{Codecs, Domain, E164, SipUsername, Spoken},
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
    /// Of the price; absent: the tenant's.
    #[serde(default)]
    pub currency: Option<Currency>,
    pub first_seconds: i16,
    pub step_seconds: i16,
    /// Whether it failed several times in a row. Such carriers are tried last.
    pub sick: bool,
    /// The percentage of its calls that were answered; `None` if there were too few to tell.
    pub answered: Option<i32>,
}

/// The offers that a tenant may use, best first: well before sick, then by price, priority and answered calls. Prices in another
/// currency than the tenant's can't be compared with the others, nor with what it may spend.
#[must_use]
pub fn choose(offers: &[Offer], carriers: &Carriers, tenant: Uuid, currency: Option<&Currency>) -> Vec<Offer> {
    let known =
        |offer: &&Offer| carriers.get(&offer.carrier).is_some_and(|c| c.tenant_id.is_none_or(|owner| owner == tenant));
    let is_comparable = |offer: &&Offer| offer.currency.is_none() || offer.currency.as_ref() == currency;
    let mut chosen = offers.iter().filter(known).filter(is_comparable).cloned().collect::<Vec<_>>();
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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the call")]
pub struct Carried<'a> {
    pub dialled: Dialling<'a>,
    pub caller_id: Option<&'a E164>,
    /// The number of whoever calls, if the call is forwarded and shows that where a carrier takes it.
    pub original: Option<&'a E164>,
    pub carriers: &'a [Uuid],
    /// For each of `carriers`, how many seconds after the answer the call ends; none: without limit.
    pub limits: &'a [Option<i32>],
    pub known: &'a Carriers,
    /// The call's UUID, so that a leg's record says which call it belongs to.
    pub call: Option<Uuid>,
    /// Whose routing calls: the other tenant of a call sees that it leads outside, and not where to.
    pub tenant: Option<Uuid>,
    pub location: Option<&'a Spoken>,
    pub record: bool,
    pub consent_tone: bool,
    /// Whether the caller withholds the number. An emergency service gets it anyway.
    pub withheld: bool,
    /// Whether somebody forwards the call, whose number is shown.
    pub diverted: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Dialling<'a> {
    Number(&'a E164),
    Emergency(&'a str),
}

/// Causes with which a call that an extension forwarded out of the platform ends where nobody took it.
const NOT_TAKEN: &str = "USER_BUSY,CALL_REJECTED,NO_ANSWER,NO_USER_RESPONSE,SUBSCRIBER_ABSENT,USER_NOT_REGISTERED,UNALLOCATED_NUMBER,\
INVALID_NUMBER_FORMAT,DESTINATION_OUT_OF_ORDER,NO_ROUTE_DESTINATION,NORMAL_TEMPORARY_FAILURE,NETWORK_OUT_OF_ORDER,\
RECOVERY_ON_TIMER_EXPIRE,PROGRESS_TIMEOUT,GATEWAY_DOWN,INVALID_GATEWAY,SWITCH_CONGESTION,NORMAL_CIRCUIT_CONGESTION,\
REQUESTED_CHAN_UNAVAIL,NETWORK_UNREACHABLE,INCOMPATIBLE_DESTINATION,CALL_REJECTED,NORMAL_UNSPECIFIED";

/// Has the mailbox of whoever forwarded a call take it if the called party does not. The switch looks at this after `continue_on_fail`, so
/// other carriers are tried before (`switch_channel_handle_cause` in switch_channel.c).
#[must_use]
pub fn or_mailbox(forwarder: &SipUsername, domain: &Domain) -> Action {
    set("transfer_on_fail", format!("{NOT_TAKEN} {forwarder}{MESSAGE} XML {domain}"))
}

impl Carried<'_> {
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = vec![set("hangup_after_bridge", true)];
        if self.diverted {
            actions.push(super::diverted::forgotten());
        }
        // If a phone rang before, its timeout is still set, and perhaps that early media are ignored. A carrier's early media
        // are its ringing and its announcements.
        actions.extend(["call_timeout", "ignore_early_media"].map(|name| action("unset", name)));
        // Also where the number is not withheld any more: the phone itself may have asked for privacy, in a call for help.
        match self.dialled {
            Dialling::Number(_) if self.withheld => actions.push(action("privacy", "full")),
            Dialling::Number(_) => {}
            Dialling::Emergency(_) => actions.push(withheld::shown()),
        }
        if self.record {
            super::actions::record(&mut actions, false);
            if self.consent_tone {
                // The called party hears the tone once they have answered (audio_bridge_thread in switch_ivr_bridge.c). The caller
                // knows of the recording.
                actions.push(set("bridge_pre_execute_bleg_app", "playback"));
                actions.push(set("bridge_pre_execute_bleg_data", super::actions::CONSENT));
            }
        }
        let limits = self.limits.iter().copied().chain(std::iter::repeat(None));
        let known = self.carriers.iter().zip(limits).filter_map(|(id, limit)| Some((self.known.get(id)?, limit)));
        let known = known.collect::<Vec<_>>();
        let last = known.len().saturating_sub(1);
        for (at, (carrier, limit)) in known.into_iter().enumerate() {
            // The caller is told the cause of the last carrier.
            let next = match self.dialled {
                Dialling::Number(_) => NEXT_CARRIER,
                // An emergency call tries every carrier, whatever the one before answered.
                Dialling::Emergency(_) => "true",
            };
            actions.push(set("continue_on_fail", if at == last { "false" } else { next }));
            let original = self.original.filter(|_| carrier.config.forwarded_caller);
            if let Some(number) = original.or(self.caller_id) {
                let shown = carrier.config.caller_id_format.write(number);
                actions.push(set("effective_caller_id_number", &shown));
                actions.push(set("effective_caller_id_name", &shown));
            }
            actions.push(action("bridge", self.leg(carrier, limit)));
        }
        actions
    }

    fn leg(&self, carrier: &Carrier, limit: Option<i32>) -> String {
        let config = &carrier.config;
        let (number, callee) = match self.dialled {
            Dialling::Number(number) => (config.dialled(number), number.as_str()),
            Dialling::Emergency(number) => (number.to_owned(), number),
        };
        let mut variables = vec![format!("{}={}", channel::CARRIER, carrier.id)];
        variables.extend(self.call.map(|call| format!("{}={call}", channel::CALL)));
        variables.extend(self.tenant.map(|tenant| format!("{}={tenant}", channel::TENANT)));
        variables.push(format!("{}={callee}", channel::CALLEE));
        // Whom the caller's phone shows.
        variables.extend(["name", "number"].map(|part| format!("origination_callee_id_{part}={callee}")));
        variables.push(format!("leg_progress_timeout={}", config.progress_seconds));
        variables.push(format!("{}={}", OWN_HEADERS.0, OWN_HEADERS.1));
        if let Some(location) = self.location {
            variables.push(format!("sip_h_X-Emergency-Location={}", location.in_dial_string()));
        }
        variables.extend(offered_codecs(config.codecs.as_ref()).split(',').map(ToOwned::to_owned));
        // RFC 5806. Whose carrier does not know the header, ignores it. Why the call was forwarded is not said.
        let mut has_commas = false;
        if let (true, Some(caller_id)) = (self.diverted, self.caller_id) {
            let host = config.host.as_str();
            let host = host.split_once(':').map_or(host, |(host, _)| host);
            let shown = config.caller_id_format.write(caller_id);
            variables.push(format!("sip_h_Diversion=<sip:{shown}@{host}>;reason=unknown"));
            // RFC 7044: whom the call was for first, and where it was mapped to.
            if config.history_info && matches!(self.dialled, Dialling::Number(_)) {
                has_commas = true;
                variables.push(format!(
                    "sip_h_History-Info=<sip:{shown}@{host}>;index=1,<sip:{number}@{host}>;index=1.1;mp=1"
                ));
            }
        }
        let withheld = self.withheld && matches!(self.dialled, Dialling::Number(_));
        variables.extend(withheld::of_leg(config, withheld));
        if let (Dialling::Number(_), Some(call)) = (self.dialled, self.call) {
            let mark = Mark { call, callee: callee.to_owned(), carrier: carrier.id };
            variables.push(format!("presence_data={mark}"));
        }
        if let Some(limit) = limit.and_then(|limit| u32::try_from(limit).ok()) {
            // On the leg that costs, whoever it is connected to later. All variables that begin with `execute_on_answer` are run
            // (`switch_channel_execute_on` in switch_channel.c).
            has_commas = true;
            variables.push(format!("execute_on_answer_1=sched_hangup +{limit} {OUT_OF_MONEY}"));
            variables.push(format!("execute_on_answer_2=sched_broadcast +{} {WARNING} bleg", warn_after(limit)));
        }
        // `^^!`: another separator, where a tone or a header has commas.
        let variables = if has_commas { format!("^^!{}", variables.join("!")) } else { variables.join(",") };
        format!("[{variables}]sofia/gateway/{}/{number}", gateway(carrier.id))
    }
}

/// Of a channel with this variable, headers that its phone or carrier chose don't go on to the legs that are connected with it
/// (`sofia_outgoing_channel` in mod_sofia.c, `sofia_handle_sip_i_state` in sofia.c): a withheld caller's number may stand in Diversion or
/// P-Charge-Info, and whoever receives such headers may believe them. What a leg shall have stands in its own dial string.
pub const OWN_HEADERS: (&str, &str) = ("sip_copy_custom_headers", "false");

/// A caller with this variable gets the codec that the called party has chosen, if they have it as well, so that the switch need not translate
/// (`inherit_codec` in switch_ivr_originate.c). Otherwise the switch answers with what it likes best of the caller's offer, whatever the
/// other leg has. It does nothing for a caller who is answered already.
pub const INHERIT_CODEC: (&str, &str) = ("inherit_codec", "true");

/// The variables that say what a leg is offered: its own codecs, or else the caller's, which need no transcoding, and after them all that
/// the switch's profile has. Without this, a switch offers a leg what the calling channel has and nothing else: one codec if that was
/// answered before, and L16 if it is a loopback (`switch_core_media_prepare_codecs` in switch_core_media.c). `^^:`: commas separate
/// variables. `suppress_cng`: when codecs are mixed, comfort noise may get the payload number of the caller's Opus
/// (`switch_core_media_gen_local_sdp`).
#[must_use]
pub fn offered_codecs(own: Option<&Codecs>) -> String {
    match own {
        Some(codecs) => format!("absolute_codec_string=^^:{}", codecs.as_str().replace(',', ":")),
        None => "media_mix_inbound_outbound_codecs=true,suppress_cng=true".to_owned(),
    }
}

/// The cause that a call ends with when its tenant may spend no more.
pub const OUT_OF_MONEY: &str = "ALLOTTED_TIMEOUT";

/// What the caller hears some seconds before.
pub const WARNING: &str = "tone_stream://%(150,150,950);loops=3";

/// When they hear it, in seconds after the answer of a call that ends after `limit`.
#[must_use]
pub fn warn_after(limit: u32) -> u32 {
    limit.saturating_sub((limit / 4).clamp(2, 15)).max(1)
}

/// Which call a leg over a carrier belongs to, as the switch lists it (`presence_data` in `show channels`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub call: Uuid,
    pub callee: String,
    pub carrier: Uuid,
}

impl Mark {
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("dialplane/")?.split('/');
        let (call, callee, carrier) =
            (parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { call, callee, carrier })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "dialplane/{}/{}/{}", self.call, self.callee, self.carrier)
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

/// All prefixes of the called number, to look rates up by. A service costs what it asks for: it has a price only where a rate is for its
/// kind, never that of the country's subscribers.
#[must_use]
pub fn prefixes(callee: &Callee) -> Vec<String> {
    let digits = callee.digits();
    let least = callee.number.service().map_or(1, |service| service.least_prefix);
    (least..=digits.len()).map(|length| digits[..length].to_owned()).collect()
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
    fn a_warning_comes_before_the_end() {
        assert_eq!([1, 4, 58, 598, 7198].map(warn_after), [1, 2, 44, 583, 7183]);
        let mark = Mark { call: Uuid::from_u128(1), callee: "+493012345678".into(), carrier: Uuid::from_u128(2) };
        assert_eq!(Mark::read(&mark.to_string()), Some(mark));
        assert!(["", "dialplane/x/y/z", "acme.test"].into_iter().all(|text| Mark::read(text).is_none()));
    }

    #[test]
    fn gateways_name_their_carriers() {
        let id = Uuid::from_u128(7);
        assert_eq!(carrier_of(&gateway(id)), Some(id));
        assert!(carrier_of("x").is_none() && carrier_of("c1").is_none());
    }
}
