//! Calls whose phone in a browser is away: its page was closed, its computer sleeps, or its network is gone.
//!
//! The sound of a call does not go over the connection that a page registers by, so a page that is not registered may still talk, and one that
//! is registered may be gone. What counts is whether anything is heard of it: the switch counts the packets that come. After ten seconds
//! without any, the other side is put aside with music. From then on the switch does all by itself, whatever becomes of this node: it sends
//! them on when their time is over. Until then the page gets its call back ([`crate::switch::control::returns`]), as its old leg waits for it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    VisitError,
    socket::{Talk, Unanswered},
};
use crate::{
    model::settings::Settings,
    node::changes::Changes,
    switch::{
        control::command::{Order, Place},
        live::{Live, Watched, leg::Phase, said::page_of, whose::id_of},
    },
    tenancy::tenants,
    text::{Domain, SipUsername},
};

pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long nothing is heard of a page that is away.
const AWAY: Duration = Duration::from_secs(10);
/// How often the switch is asked about a page that is registered, and of how many at once.
const ASK_EVERY: Duration = Duration::from_secs(4);
const MOST_ASKED: usize = 100;
/// A command may have been refused, as the call changed just then.
const AGAIN: Duration = Duration::from_secs(5);

/// A leg of a page, as live state knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    leg: Uuid,
    tenant: Uuid,
    user: String,
    phase: Phase,
    has_partner: bool,
    /// Whether nobody else is in the call.
    is_alone: bool,
    is_registered: bool,
    queue: Option<Uuid>,
}

/// What is remembered of such a leg.
#[derive(Debug, Clone, Copy)]
struct Page {
    packets: u64,
    /// When anything was heard of it last.
    heard_at: Instant,
    asked_at: Option<Instant>,
    told_at: Option<Instant>,
}

/// What is to be done about a leg whose page is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    /// Its partner is put aside.
    Keep,
    /// It has nobody to come back to.
    End,
    /// It is in an application of the switch, where nobody waits for it: it ends when its time is over.
    EndAfter(Duration),
}

/// The legs of pages at a switch.
#[derive(Debug, Default)]
pub(super) struct Keeps(HashMap<Uuid, Page>);

impl Keeps {
    /// Forgets legs that are over, and returns those of which the switch is to be asked.
    fn asks(&mut self, seen: &[Seen], now: Instant) -> Vec<Uuid> {
        self.0.retain(|leg, _| seen.iter().any(|one| one.leg == *leg));
        let mut asks = Vec::new();
        for one in seen {
            let new = Page { packets: 0, heard_at: now, asked_at: None, told_at: None };
            let page = self.0.entry(one.leg).or_insert(new);
            let is_due = page.asked_at.is_none_or(|at| now.duration_since(at) >= ASK_EVERY);
            if (is_due || !one.is_registered) && asks.len() < MOST_ASKED {
                page.asked_at = Some(now);
                asks.push(one.leg);
            }
        }
        asks
    }

    fn counted(&mut self, leg: Uuid, packets: u64, now: Instant) {
        if let Some(page) = self.0.get_mut(&leg)
            && page.packets != packets
        {
            (page.packets, page.heard_at) = (packets, now);
        }
    }

    /// The legs whose pages are away.
    fn away(&mut self, seen: &[Seen], now: Instant) -> Vec<(Seen, Away)> {
        let mut away = Vec::new();
        for one in seen {
            let Some(page) = self.0.get_mut(&one.leg) else { continue };
            let silent = now.duration_since(page.heard_at);
            // A phone on hold may send nothing.
            let may_be_silent = one.phase == Phase::Held && one.is_registered;
            let was_told = page.told_at.is_some_and(|at| now.duration_since(at) < AGAIN);
            if silent < AWAY || may_be_silent || was_told || page.asked_at.is_none() {
                continue;
            }
            let what = match (one.has_partner, one.phase) {
                (true, _) => Away::Keep,
                (false, Phase::Parked) if one.is_alone => Away::End,
                (false, Phase::Parked) => continue,
                (false, _) => Away::EndAfter(silent.saturating_sub(AWAY)),
            };
            page.told_at = Some(now);
            away.push((one.clone(), what));
        }
        away
    }
}

/// The answered legs of pages.
fn seen(live: &Live, watched: &Watched) -> Vec<Seen> {
    let whose = live.whose(watched);
    let known = watched.known();
    if known.unknown_since.is_some() {
        return Vec::new();
    }
    let calls = &known.state.calls;
    let of_pages = calls.legs().filter(|leg| leg.about.page.is_some() && leg.phase != Phase::Ringing);
    let all = of_pages.filter_map(|leg| {
        let (user, domain) = leg.about.phone.as_ref()?;
        let tenant = whose.of_leg(leg)?;
        let phones = known.state.registrations.of(user, domain).iter();
        let mut at_page = phones.filter(|one| page_of(&one.contact) == leg.about.page);
        let partner = leg.partner.and_then(|partner| calls.leg(partner));
        let queue = leg.about.queue.as_ref().or_else(|| partner?.about.queue.as_ref());
        Some(Seen {
            leg: leg.id,
            tenant,
            user: user.clone(),
            phase: leg.phase,
            has_partner: partner.is_some(),
            is_alone: calls.of(leg.call).len() < 2,
            is_registered: at_page.any(|one| one.is_reachable != Some(false)),
            queue: queue.and_then(|queue| id_of(queue)),
        })
    });
    all.collect()
}

/// What `mediaStats` says (`jsonify_stats` in mod_commands.c).
#[derive(Default, Deserialize)]
struct Stats {
    #[serde(default)]
    response: Response,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    audio: Audio,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Audio {
    in_packet_count: u64,
}

/// How many packets have come from a leg's phone.
async fn packets(talk: &Talk, leg: Uuid) -> Result<Option<u64>, Unanswered> {
    let answer = talk.ask(&format!("json {{\"command\":\"mediaStats\",\"data\":{{\"uuid\":\"{leg}\"}}}}")).await?;
    Ok(serde_json::from_str::<Stats>(&answer).ok().map(|stats| stats.response.audio.in_packet_count))
}

/// Looks at the pages of a switch once.
pub(super) async fn look(
    keeps: &mut Keeps,
    live: &Live,
    changes: &Changes,
    talk: &Talk,
    switch: Uuid,
) -> Result<(), VisitError> {
    let Some(watched) = live.switches().into_iter().find(|watched| watched.switch == switch) else { return Ok(()) };
    let seen = seen(live, &watched);
    for leg in keeps.asks(&seen, Instant::now()) {
        if let Some(packets) = packets(talk, leg).await? {
            keeps.counted(leg, packets, Instant::now());
        }
    }
    for (one, away) in keeps.away(&seen, Instant::now()) {
        let Some(order) = order(live, changes, &one, away).await? else { continue };
        tracing::info!(%switch, leg = %one.leg, ?away, "nothing is heard of a phone in a browser");
        talk.ask(&order.to_string()).await?;
    }
    Ok(())
}

async fn order(live: &Live, changes: &Changes, one: &Seen, away: Away) -> Result<Option<Order>, VisitError> {
    if away == Away::End {
        return Ok(Some(Order::HangUp(one.leg)));
    }
    let settings = tenants::store::settings(changes.pool(), one.tenant).await?;
    let settings = settings.and_then(|(settings, _)| Settings::parse(&settings).ok());
    let seconds = settings.map_or(0, |settings| settings.calling.return_seconds);
    if seconds == 0 {
        return Ok(None);
    }
    if let Away::EndAfter(silent) = away {
        return Ok((silent.as_secs() >= u64::from(seconds)).then_some(Order::HangUp(one.leg)));
    }
    let Some((domain, user)) = home(live, one.tenant).zip(SipUsername::parse(&one.user).ok()) else { return Ok(None) };
    let then = one.queue.map_or(Place::After(user), Place::Destination);
    Ok(Some(Order::Keep { leg: one.leg, seconds, then, domain }))
}

/// The tenant's domain, which is also the context of its dialplan.
fn home(live: &Live, tenant: Uuid) -> Option<Domain> {
    let slot = live.generations().scope(tenant)?;
    slot.home.clone().or_else(|| slot.domain.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEG: Uuid = Uuid::from_u128(1);

    fn talks() -> Seen {
        Seen {
            leg: LEG,
            tenant: Uuid::nil(),
            user: "u7k".into(),
            phase: Phase::Up,
            has_partner: true,
            is_alone: false,
            is_registered: true,
            queue: None,
        }
    }

    /// After how many seconds something is done about a page whose packets end after some seconds.
    fn after(page: &Seen, last_packet: u64) -> Option<(u64, Away)> {
        let (mut keeps, began) = (Keeps::default(), Instant::now());
        (0..120).find_map(|second| {
            let now = began + Duration::from_secs(second);
            for leg in keeps.asks(std::slice::from_ref(page), now) {
                keeps.counted(leg, 50 * second.min(last_packet) + 1, now);
            }
            keeps.away(std::slice::from_ref(page), now).pop().map(|(_, away)| (second, away))
        })
    }

    #[test]
    fn who_is_heard_is_not_away_whether_the_page_is_registered_or_not() {
        assert_eq!(after(&talks(), 1000), None);
        assert_eq!(after(&Seen { is_registered: false, ..talks() }, 1000), None);
    }

    #[test]
    fn the_other_side_is_put_aside_after_ten_seconds_without_a_packet() {
        let gone = Seen { is_registered: false, ..talks() };
        assert_eq!(after(&gone, 5), Some((15, Away::Keep)));
        // It is asked more seldom while its page is registered.
        let asleep = after(&talks(), 5).unwrap();
        assert!((15..=15 + ASK_EVERY.as_secs()).contains(&asleep.0) && asleep.1 == Away::Keep, "{asleep:?}");
    }

    #[test]
    fn a_phone_on_hold_may_be_silent_as_long_as_its_page_is_there() {
        let held = Seen { phase: Phase::Held, ..talks() };
        assert_eq!(after(&held, 5), None);
        assert_eq!(after(&Seen { is_registered: false, ..held }, 5), Some((15, Away::Keep)));
    }

    #[test]
    fn a_leg_that_waits_for_its_page_ends_when_nobody_else_is_left() {
        let waits = Seen { phase: Phase::Parked, has_partner: false, is_registered: false, ..talks() };
        assert_eq!(after(&waits, 0), None);
        assert_eq!(after(&Seen { is_alone: true, ..waits }, 0), Some((10, Away::End)));
        let in_room = Seen { has_partner: false, is_alone: true, is_registered: false, ..talks() };
        assert_eq!(after(&in_room, 0), Some((10, Away::EndAfter(Duration::ZERO))));
    }

    #[test]
    fn what_was_told_is_told_again_only_after_a_while() {
        let (mut keeps, began) = (Keeps::default(), Instant::now());
        let gone = [Seen { is_registered: false, ..talks() }];
        let told = (0..=17).filter(|second| {
            let now = began + Duration::from_secs(*second);
            keeps.asks(&gone, now);
            !keeps.away(&gone, now).is_empty()
        });
        assert_eq!(told.collect::<Vec<_>>(), [10, 15]);
    }

    #[test]
    fn packets_are_read_from_what_a_switch_prints() {
        let text = r#"{"command":"mediaStats","data":{"uuid":"x"},"status":"success","response":{"audio":{"in_raw_bytes":1,"in_packet_count":4711}}}"#;
        assert_eq!(serde_json::from_str::<Stats>(text).unwrap().response.audio.in_packet_count, 4711);
    }
}
