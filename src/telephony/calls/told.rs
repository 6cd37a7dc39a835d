//! What a record tells of its leg's story: when, who, why, over what. Nothing is charged by it, so it is read as far as it can be.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{leg::LONGEST, record::Variables};
use crate::{model::channel, routing::on_net::Made};

/// In milliseconds. A switch's clock may be ahead by this much.
const AHEAD: i64 = 300_000;

/// In milliseconds. A leg that began longer ago than this has a wrong clock.
const OLDEST: i64 = 800 * 24 * 3_600_000;

/// In bytes. A longer Call-ID is not kept.
pub const LONGEST_CALL_ID: usize = 256;

/// The story of one leg. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Told {
    pub leg: Uuid,
    /// Whose the record says it is, which has to be checked.
    #[serde(skip)]
    pub tenant: Option<Uuid>,
    /// Who called a number of this tenant's, if that is a phone of another one, as the record says.
    #[serde(skip)]
    pub made: Option<Made>,
    /// The channel that the switch names the call after: that of whoever called (`switch_ivr_originate` in switch_ivr_originate.c).
    pub call: Option<Uuid>,
    /// Further channels that it was connected with.
    pub links: Vec<Uuid>,
    /// Whether the switch made the leg, rather than a phone or a carrier.
    pub outbound: bool,
    /// A leg inside the switch, which leads a call through the dialplan again (mod_loopback).
    pub loopback: bool,
    pub start: i64,
    pub ring: Option<i64>,
    pub answer: Option<i64>,
    pub bridge: Option<i64>,
    pub end: i64,
    pub cause: Option<String>,
    pub q850: Option<i16>,
    pub sip_status: Option<i16>,
    /// `sip_hangup_disposition`: who sent the last message, such as `recv_bye`.
    pub hangup: Option<String>,
    /// The Call-ID of the leg's SIP dialog, by which its phone knows it (`sip_call_id`, set in sofia.c for legs that come in and in
    /// sofia_glue.c for those that the switch makes).
    pub sip_call_id: Option<String>,
    /// The SIP username of the phone that called, or that the switch called.
    pub user: Option<String>,
    pub extension: Option<Uuid>,
    pub carrier: Option<Uuid>,
    /// The number that a carrier was asked for.
    pub callee: Option<String>,
    /// The call that was admitted for this leg.
    pub admitted: Option<Uuid>,
    pub from_number: Option<String>,
    pub from_name: Option<String>,
    /// Whoever is on the leg called with their number withheld.
    pub withheld: bool,
    /// What was dialled.
    pub dialled: Option<String>,
    pub app: Option<String>,
    pub app_data: Option<String>,
    pub transfers: Vec<Transfer>,
    /// When it was on hold: from, to.
    pub holds: Vec<(i64, i64)>,
    pub queue: Option<InQueue>,
    pub conference: Option<String>,
    /// The place where the call was parked.
    pub parked: Option<String>,
    pub recorded: bool,
    /// Seconds of the message that was left.
    pub message: Option<i32>,
    pub media: Option<Media>,
    /// It was played in a sandbox, and there was no switch.
    pub simulated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub at: i64,
    /// Somebody stayed on the line until the new party had taken the call.
    pub attended: bool,
    pub to: String,
}

/// A leg's part in a queue's call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InQueue {
    pub id: Option<Uuid>,
    /// Whether this is an agent's leg, rather than the caller's.
    pub of_agent: bool,
    pub joined: Option<i64>,
    pub answered: Option<i64>,
    pub left: Option<i64>,
    /// Why it was left unanswered, such as `BREAK_OUT` (the caller hung up) or `TIMEOUT`.
    pub why: Option<String>,
}

/// What the switch measured of the sound that came to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Media {
    /// 1 (bad) to 5 (perfect).
    pub mos: Option<f32>,
    /// The largest variance of the packets' arrival, in milliseconds.
    pub jitter: Option<f32>,
    /// The share of packets that were lost, in percent.
    pub loss: Option<f32>,
}

impl Told {
    /// Reads a leg's story from its record, which came at `received`.
    #[must_use]
    pub fn read(leg: Uuid, record: &Variables, received: DateTime<Utc>) -> Self {
        let text = |name| record.get(name).map(ToOwned::to_owned);
        let id = |name| record.get(name).and_then(|text| text.parse::<Uuid>().ok());
        let answer = moment(record, "answer_uepoch", "answer_epoch", received);
        // A record without an end lasts as long as what is charged (`leg::seconds`).
        let is_open = record.get("end_epoch").is_none_or(|at| at == "0");
        let billed = parsed::<i64>(record, "billsec").filter(|_| is_open);
        let charged = billed.zip(answer).map(|(billed, at)| at + billed.clamp(0, LONGEST) * 1000);
        let end = charged.or_else(|| moment(record, "end_uepoch", "end_epoch", received));
        let end = end.unwrap_or(received.timestamp_millis());
        let began = moment(record, "start_uepoch", "start_epoch", received);
        let start = began.or(answer).unwrap_or(end).min(end);
        let progress = moment(record, "progress_uepoch", "", received);
        let early = moment(record, "progress_media_uepoch", "", received);
        let is_made = record.get("direction") == Some("outbound") || record.get(channel::CARRIER).is_some();
        let number = caller(record);
        let name = text("sip_from_display").map(|name| name.trim_matches('"').to_owned());
        let within = |at: i64| (start..=end).contains(&at);
        let transfers = transfers(record.get("transfer_history").unwrap_or_default());
        Self {
            leg,
            tenant: id(channel::TENANT),
            made: record.get(channel::ON_NET).and_then(Made::read).filter(|made| Some(made.tenant) != id(channel::TENANT)),
            call: id("call_uuid"),
            links: links(leg, record),
            outbound: is_made,
            loopback: record.get("loopback_leg").is_some(),
            start,
            ring: [progress, early].into_iter().flatten().filter(|at| within(*at)).min(),
            answer: answer.filter(|at| within(*at)),
            bridge: moment(record, "bridge_uepoch", "bridge_epoch", received).filter(|at| within(*at)),
            end,
            cause: text("hangup_cause"),
            q850: parsed(record, "hangup_cause_q850"),
            sip_status: parsed(record, "sip_invite_failure_status").or_else(|| parsed(record, "sip_term_status")),
            hangup: text("sip_hangup_disposition"),
            sip_call_id: text("sip_call_id").filter(|id| id.len() <= LONGEST_CALL_ID),
            // The caller's leg has the last phone that it rang as `dialed_user`.
            user: text(if is_made { "dialed_user" } else { "user_name" }),
            extension: id(channel::EXTENSION),
            carrier: id(channel::CARRIER),
            callee: text(channel::CALLEE),
            admitted: id(channel::CALL),
            from_name: name.filter(|name| !name.is_empty() && number.is_some() && Some(name) != number.as_ref()),
            from_number: number,
            withheld: withholds(record, is_made && transfers.is_empty()),
            dialled: text("sip_req_user").or_else(|| text("sip_to_user")),
            app: text("last_app"),
            app_data: text("last_arg"),
            transfers,
            holds: holds(record.get("hold_events").unwrap_or_default(), began.unwrap_or_default(), end),
            queue: queue(record, received),
            conference: text("conference_name"),
            parked: text("valet_lot_extension"),
            recorded: record.get("record_ms").is_some_and(|text| text != "0"),
            message: record.get("voicemail_message_len").and_then(clock),
            media: media(record),
            simulated: false,
        }
    }
}

impl Told {
    /// What the company whose phone called sees of a call to another one: that phone's leg, and that somebody there was called.
    #[must_use]
    pub fn as_made(&self) -> Option<[Self; 2]> {
        let made = self.made.as_ref()?;
        // Always the same, as a record may come twice.
        let named = |what: &str| {
            let hash = Sha256::new().chain_update(self.leg.as_bytes()).chain_update(what).finalize();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash[..16]);
            uuid::Builder::from_custom_bytes(bytes).into_uuid()
        };
        let (caller, called) = (named("caller"), named("called"));
        let call = self.call.or(Some(self.leg));
        let both = Self {
            call,
            start: self.start,
            ring: self.ring,
            answer: self.answer,
            bridge: self.bridge.or(self.answer),
            end: self.end,
            cause: self.cause.clone(),
            q850: self.q850,
            simulated: self.simulated,
            ..Self::default()
        };
        let caller = Self {
            leg: caller,
            links: vec![called],
            extension: Some(made.extension),
            sip_status: self.sip_status,
            hangup: self.hangup.clone(),
            sip_call_id: self.sip_call_id.clone(),
            withheld: self.withheld,
            dialled: Some(made.number.clone()),
            media: self.media,
            ..both.clone()
        };
        let received = self.hangup.as_deref().is_some_and(|hangup| hangup.starts_with("recv_"));
        let called = Self {
            leg: called,
            links: vec![caller.leg],
            outbound: true,
            callee: Some(made.number.clone()),
            dialled: Some(made.number.clone()),
            // If the caller did not end it, the other side did, whoever that was.
            hangup: (!received).then(|| "recv_bye".to_owned()),
            ..both
        };
        Some([caller, called])
    }
}

/// A time in microseconds or else seconds, as milliseconds; `None` for 0 (never), and for what can't be. The switch writes both from one time
/// (`switch_channel_set_timestamps` in switch_channel.c). If they differ, the seconds count: a call is charged by them (`leg::seconds`).
fn moment(record: &Variables, micros: &'static str, seconds: &'static str, received: DateTime<Utc>) -> Option<i64> {
    let number = |name| record.get(name).and_then(|text| text.parse::<i64>().ok());
    // Systems other than the switch may write decimals, as `leg::whole` reads them.
    let whole = record.get(seconds).and_then(|text| text.split('.').next()?.parse::<i64>().ok());
    let exact = number(micros).map(|at| at / 1000).filter(|at| whole.is_none_or(|whole| at / 1000 == whole));
    let at = exact.or(whole.and_then(|at| at.checked_mul(1000))).filter(|at| *at > 0)?;
    let now = received.timestamp_millis();
    (now - OLDEST..=now + AHEAD).contains(&at).then_some(at)
}

fn parsed<T: std::str::FromStr>(record: &Variables, name: &'static str) -> Option<T> {
    record.get(name).and_then(|text| text.parse().ok())
}

/// What is in the place of a number that is not shown.
const NOBODY: [&str; 4] = ["anonymous", "unknown", "restricted", "unavailable"];

fn is_nobody(number: &str) -> bool {
    NOBODY.contains(&number.to_ascii_lowercase().as_str())
}

/// The number that the caller showed. A phone's SIP username is none.
fn caller(record: &Variables) -> Option<String> {
    let is_phone = record.get("user_name").is_some() || record.get(channel::EXTENSION).is_some();
    let name = if is_phone { "effective_caller_id_number" } else { "sip_from_user" };
    record.get(name).filter(|number| !is_nobody(number)).map(ToOwned::to_owned)
}

/// Whether whoever is on the leg called with their number withheld. Routing notes that (`routing::withheld::hidden`); of calls that came to no
/// route, the INVITE says it (`sip_Privacy`, set by `sofia_handle_sip_i_invite` in sofia.c). `is_called`: the leg was only called. The same
/// variable is then the extension's setting for its own calls, which the directory has put there (`user_outgoing_channel` in mod_dptools.c).
fn withholds(record: &Variables, is_called: bool) -> bool {
    if is_called && record.get(channel::PLACES).is_none() {
        return false;
    }
    if let Some(noted) = record.get(channel::WITHHOLD) {
        return noted != "false";
    }
    let privacy = record.get("sip_Privacy").unwrap_or_default().to_ascii_lowercase();
    let asks = privacy.split([';', ',']).any(|word| ["id", "user", "header"].contains(&word.trim()));
    asks || record.get("sip_from_user").is_some_and(is_nobody)
}

/// `00:01:02`, in seconds.
fn clock(text: &str) -> Option<i32> {
    let mut parts = text.split(':').map(|part| part.parse::<i32>().ok().filter(|n| (0..1000).contains(n)));
    let time = (parts.next()??, parts.next()??, parts.next()??);
    Some(time.0 * 3600 + time.1 * 60 + time.2)
}

/// The channels that a leg was connected with: whoever it was made for, its partners, and the other side of a loop.
fn links(leg: Uuid, record: &Variables) -> Vec<Uuid> {
    const NAMES: [&str; 10] = [
        "originating_leg_uuid",
        "originator",
        "bridge_uuid",
        "signal_bond",
        "last_bridge_to",
        "other_loopback_leg_uuid",
        "cc_member_session_uuid",
        "cc_agent_uuid",
        "picked_up_uuid",
        "refer_uuid",
    ];
    let named = NAMES.into_iter().filter_map(|name| record.get(name)).filter_map(|text| text.parse().ok());
    let mut links = named.filter(|other: &Uuid| *other != leg).collect::<Vec<_>>();
    links.extend(record.get("call_uuid").and_then(|text| text.parse::<Uuid>().ok()).filter(|call| *call != leg));
    links.extend(record.get(channel::CALL).and_then(|text| text.parse::<Uuid>().ok()).filter(|call| *call != leg));
    links.sort_unstable();
    links.dedup();
    links
}

/// Several values are one text in a record: `ARRAY::a|:b` (`switch_event_add_array` in switch_event.c). Each is
/// `seconds:id:bl_xfer:number/context/dialplan`, or `att_xfer` or `uuid_br` with the channels (switch_ivr.c, sofia.c, switch_ivr_bridge.c).
fn transfers(text: &str) -> Vec<Transfer> {
    let all = text.strip_prefix("ARRAY::").unwrap_or(text).split("|:");
    let read = all.filter_map(|one| {
        let mut parts = one.splitn(4, ':');
        let at = parts.next()?.parse::<i64>().ok().filter(|at| (0..=1 << 40).contains(at))? * 1000;
        let (kind, to) = (parts.nth(1)?, parts.next().unwrap_or_default());
        let (attended, to) = match kind {
            "bl_xfer" => (false, to.split('/').next().unwrap_or_default().chars().take(100).collect()),
            // It names the channels, not whom they belong to.
            "att_xfer" => (true, String::new()),
            _ => return None,
        };
        Some(Transfer { at, attended, to })
    });
    read.take(100).collect()
}

/// `{{on,off},{on,off}}` in microseconds (`switch_channel_set_timestamps` in switch_channel.c). 0: it was on hold until its end.
fn holds(text: &str, start: i64, end: i64) -> Vec<(i64, i64)> {
    let numbers = |pair: &str| {
        let (on, off) = pair.trim_matches(['{', '}']).split_once(',')?;
        let (on, off) = (on.parse::<i64>().ok()? / 1000, off.parse::<i64>().ok()? / 1000);
        // A leg that is hung up while on hold is taken off it a moment after its end.
        let off = if off == 0 { end } else { off.min(end) };
        (on > 0 && on.max(start) <= off).then_some((on.max(start), off))
    };
    text.split("},").filter_map(numbers).take(200).collect()
}

fn queue(record: &Variables, received: DateTime<Utc>) -> Option<InQueue> {
    let name = record.get("cc_queue")?;
    let at = |seconds| moment(record, "", seconds, received);
    Some(InQueue {
        // `routing::actions::address` makes the name.
        id: name.split(['.', '@']).next().and_then(|id| id.parse().ok()),
        of_agent: record.get("cc_side") == Some("agent"),
        joined: at("cc_queue_joined_epoch"),
        answered: at("cc_queue_answered_epoch"),
        left: at("cc_queue_canceled_epoch").or_else(|| at("cc_queue_terminated_epoch")),
        why: record.get("cc_cancel_reason").filter(|why| *why != "NONE").map(ToOwned::to_owned),
    })
}

/// `set_stats` in switch_core_media.c. Only of legs with sound; a record without packets says nothing about quality.
fn media(record: &Variables) -> Option<Media> {
    let of = |name, range: std::ops::RangeInclusive<f32>| parsed::<f32>(record, name).filter(|n| range.contains(n));
    let packets = of("rtp_audio_in_packet_count", 1.0..=f32::MAX)?;
    let lost = of("rtp_audio_in_skip_packet_count", 0.0..=f32::MAX);
    let media = Media {
        mos: of("rtp_audio_in_mos", 1.0..=5.0),
        jitter: of("rtp_audio_in_jitter_max_variance", 0.0..=1_000_000.0),
        loss: lost.map(|lost| (1000.0 * lost / (packets + lost)).round() / 10.0),
    };
    Some(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Told {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), serde_json::json!(value)));
        let body = serde_json::json!({ "variables": serde_json::Value::Object(variables.collect()) });
        let record = super::super::record::read(body.to_string().as_bytes()).unwrap();
        Told::read(Uuid::nil(), &record, "2026-11-26T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn transfers_and_holds_are_read_from_their_variables() {
        let told = read(&[
            ("transfer_history", "ARRAY::1795215283:ab:bl_xfer:1002/acme.test/XML|:1795215299:cd:uuid_br:x|:nonsense"),
            ("hold_events", "{{1795215283000000,1795215285000000},{1795215290000000,0}}"),
            ("end_uepoch", "1795215295000000"),
        ]);
        assert_eq!(told.transfers, [Transfer { at: 1_795_215_283_000, attended: false, to: "1002".into() }]);
        assert_eq!(told.holds, [(1_795_215_283_000, 1_795_215_285_000), (1_795_215_290_000, 1_795_215_295_000)]);
    }

    #[test]
    fn a_record_says_whether_whoever_called_withheld_their_number() {
        let inbound = ("direction", "inbound");
        for (pairs, withholds) in [
            (&[inbound][..], false),
            (&[inbound, ("dialplane_withhold", "true")], true),
            // A code shows it again, whatever the phone wrote.
            (&[inbound, ("dialplane_withhold", "false"), ("sip_Privacy", "id")], false),
            // Calls that came to no route.
            (&[inbound, ("sip_Privacy", "id")], true),
            (&[inbound, ("sip_Privacy", "user;ID")], true),
            (&[inbound, ("sip_Privacy", "none")], false),
            (&[inbound, ("sip_from_user", "Anonymous")], true),
            (&[inbound, ("sip_from_user", "+4930123456")], false),
            // On a leg that is only called, the variable is its own phone's setting.
            (&[("direction", "outbound"), ("dialplane_withhold", "true")], false),
            (&[("direction", "outbound"), ("dialplane_withhold", "true"), ("dialplane_places", "1001")], true),
            (
                &[
                    ("direction", "outbound"),
                    ("dialplane_withhold", "true"),
                    ("transfer_history", "1795215283:ab:bl_xfer:1002/acme.test/XML"),
                ],
                true,
            ),
        ] {
            assert_eq!(read(pairs).withheld, withholds, "{pairs:?}");
        }
    }

    #[test]
    fn times_that_cannot_be_are_none() {
        let received = DateTime::parse_from_rfc3339("2026-11-26T00:00:00Z").unwrap().timestamp_millis();
        for (start, end) in [("0", "99999999999999999"), ("x", ""), ("-5", "1"), ("9223372036854775807", "0")] {
            let told = read(&[("start_epoch", start), ("end_epoch", end), ("answer_uepoch", "5")]);
            assert_eq!((told.start, told.end, told.answer), (received, received, None), "{start} {end}");
        }
    }

    #[test]
    fn a_time_in_microseconds_that_differs_from_the_one_in_seconds_does_not_count() {
        let (day, at) = (86_400, 1_795_215_283_i64);
        let told = |answer: i64, micros: i64| {
            let (answer, micros, end) = (answer.to_string(), format!("{micros}250000"), (at + 59).to_string());
            let told = read(&[("answer_epoch", &answer), ("answer_uepoch", &micros), ("end_epoch", &end)]);
            (told.answer, told.end)
        };
        assert_eq!(told(at, at), (Some(at * 1000 + 250), (at + 59) * 1000));
        assert_eq!(told(at, at - 30 * day).0, Some(at * 1000));
        assert_eq!(told(0, at).0, None, "nobody answered");
        let told = read(&[("end_epoch", "1795215283"), ("end_uepoch", "1795215582000000")]);
        assert_eq!(told.end, at * 1000);
        // Decimals, and a record without an end, last as long as what is charged.
        let (began, ended) = (format!("{at}.0"), format!("{}.5", at + 59));
        let old = format!("{}000000", at - 30 * day);
        let told =
            read(&[("answer_epoch", &began), ("answer_uepoch", &old), ("start_uepoch", &old), ("end_epoch", &ended)]);
        assert_eq!((told.answer, told.end), (Some(at * 1000), (at + 59) * 1000));
        for none in ["0", ""] {
            let (answer, now) = ((at - 9 * day).to_string(), format!("{at}000000"));
            let all = [("answer_epoch", &*answer), ("billsec", "59"), ("end_uepoch", &now), ("end_epoch", none)];
            let told = read(&all[..if none.is_empty() { 3 } else { 4 }]);
            assert_eq!(told.end - told.answer.unwrap(), 59_000, "{none:?}");
        }
        // Nobody holds a call before it begins.
        let (on, start) = (format!("{{{{{old},0}}}}"), at.to_string());
        let told = read(&[("hold_events", &on), ("start_epoch", &start), ("end_epoch", "1795215293")]);
        assert_eq!(told.holds, [(at * 1000, at * 1000 + 10_000)]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_variables_say_a_leg_ends_after_it_began(values in proptest::collection::vec(".{0,40}", 12)) {
            let names = ["start_uepoch", "end_uepoch", "answer_uepoch", "hold_events", "transfer_history", "cc_queue",
                         "cc_queue_joined_epoch", "rtp_audio_in_mos", "rtp_audio_in_packet_count", "call_uuid", "originator", "direction"];
            let pairs = names.into_iter().zip(values.iter().map(String::as_str)).collect::<Vec<_>>();
            let told = read(&pairs);
            proptest::prop_assert!(told.start <= told.end);
        }
    }
}
