//! Computes a call from its legs. It is a pure function of the legs that came so far and of what the database knows about what they name:
//! in whatever order legs come, the call is the same once all are there.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{Attempt, Direction, EndedBy, Event, LegOfCall, Party, State, Story, Summary, What, causes};
use crate::{
    model::language::Language,
    telephony::{
        calls::told::{InQueue, Told, Transfer},
        carriers::health,
    },
    text::E164,
};

/// How many legs are shown, and how many events.
const MOST_LEGS: usize = 200;
const MOST_EVENTS: usize = 1000;

/// What the database knows about the things that legs name.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub extensions: HashMap<Uuid, Extension>,
    /// The extensions by SIP username.
    pub users: HashMap<String, Uuid>,
    pub admitted: Vec<Admitted>,
    /// The tenant's phone numbers, by number.
    pub numbers: HashMap<String, Uuid>,
}

#[derive(Debug, Clone)]
pub struct Extension {
    pub number: String,
    pub name: String,
    pub agent: Option<Uuid>,
}

/// A decision about a call that was to leave the platform.
#[derive(Debug, Clone, Deserialize)]
pub struct Admitted {
    pub call: Uuid,
    pub callee: String,
    pub extension: Option<Uuid>,
    pub number: Option<Uuid>,
    pub caller_id: Option<String>,
    pub carrier: Option<Uuid>,
    pub admitted: bool,
    pub reason: Option<String>,
    pub emergency: bool,
    pub cost: Option<i64>,
    pub currency: Option<String>,
}

/// A call, as far as its legs tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub direction: Direction,
    pub state: State,
    pub summary: Summary,
    pub story: Story,
    pub wait_ms: i64,
    pub talk_ms: i64,
    /// Milliseconds until the carrier that carried it let it ring.
    pub ringing_after: Option<i64>,
    pub billed_seconds: i32,
    pub extension: Option<Uuid>,
    pub agent: Option<Uuid>,
    /// Everybody who was on the call or was rung.
    pub extensions: Vec<Uuid>,
    pub agents: Vec<Uuid>,
    /// The Call-IDs of its legs, as far as they are shown.
    pub sip_calls: Vec<String>,
    pub number: Option<Uuid>,
    pub queue: Option<Uuid>,
    pub carrier: Option<Uuid>,
    pub country: Option<String>,
    pub cause: Option<String>,
    pub cost: Option<i64>,
    pub currency: Option<String>,
    pub recorded: bool,
}

/// Computes the call of these legs. `None` if there are none.
#[must_use]
pub fn fold(legs: &[Told], known: &Known) -> Option<Folded> {
    let mut legs = legs.iter().collect::<Vec<_>>();
    legs.sort_by_key(|leg| (leg.start, leg.leg));
    legs.dedup_by_key(|leg| leg.leg);
    let root = root(&legs)?;
    let mut fold = Fold { legs, root, known, withheld: Vec::new() };
    let withheld = fold.legs.iter().filter(|leg| leg.withheld).map(|leg| fold.party(leg));
    fold.withheld = withheld.filter(|party| party.number.is_some()).collect();
    Some(fold.call())
}

/// The leg that began the call: of whoever called, and not a loop inside the switch.
fn root<'a>(legs: &[&'a Told]) -> Option<&'a Told> {
    let first = |holds: fn(&Told) -> bool| legs.iter().copied().find(|leg| holds(leg));
    first(|leg| !leg.outbound && !leg.loopback).or_else(|| first(|leg| !leg.loopback)).or_else(|| first(|_| true))
}

struct Fold<'a> {
    /// In the order of their beginnings.
    legs: Vec<&'a Told>,
    root: &'a Told,
    known: &'a Known,
    /// Whoever called with their number withheld. They may be on further legs, such as those on which they were called before.
    withheld: Vec<Party>,
}

/// Who took a call, and when.
struct Taken<'a> {
    at: i64,
    by: Option<&'a Told>,
}

impl<'a> Fold<'a> {
    fn call(&self) -> Folded {
        let (root, direction) = (self.root, self.direction());
        let end = self.legs.iter().map(|leg| leg.end).max().unwrap_or(root.end);
        let taken = self.taken();
        let queue = self.queue();
        let refused = self.refused();
        let state = self.state(taken.as_ref(), queue, refused.is_some());
        // Without anybody who took it, a menu or an announcement may have answered.
        let answered = match state {
            // Nobody talks before the call begins: a record that says so has its times from a clock that was wrong.
            State::Answered => taken.as_ref().map(|taken| taken.at.max(root.start)).or(root.answer),
            _ => None,
        };
        let waits_from = queue.and_then(|queue| queue.joined).unwrap_or(root.start).min(answered.unwrap_or(end));
        let attempts = self.attempts();
        let carrier_leg = self.carried();
        let others = self.others();
        let shown = self.party_shown(direction, taken.as_ref());
        let (from, to) = (self.caller(), self.called(direction));
        let outside = match direction {
            Direction::Inbound => from.number.as_deref(),
            Direction::Outbound => to.number.as_deref(),
            Direction::Internal => None,
        };
        let cause = self.cause(taken.is_some());
        let cost = sum(self.known.admitted.iter().filter_map(|admitted| admitted.cost));
        let extensions = self.legs.iter().filter_map(|leg| self.extension(leg)).map(|(id, _)| id);
        let extensions = extensions.chain(shown.extension_id).collect::<BTreeSet<_>>();
        let agents = extensions.iter().filter_map(|id| self.known.extensions[id].agent).collect::<BTreeSet<_>>();
        let holds = self.holds();
        let number = self.number(direction);
        let currency = self.known.admitted.iter().find_map(|admitted| admitted.currency.clone());
        let last = self.known.admitted.iter().rev().find_map(|admitted| admitted.carrier);
        Folded {
            started_at: time(root.start),
            ended_at: time(end),
            direction,
            state,
            wait_ms: answered.unwrap_or(end) - waits_from,
            talk_ms: answered.map_or(0, |at| (end - at).max(0)),
            ringing_after: carrier_leg.and_then(|leg| leg.ring.map(|ring| ring - leg.start)),
            billed_seconds: attempts.iter().map(|attempt| attempt.seconds).fold(0, i32::saturating_add),
            extension: shown.extension_id,
            agent: shown.agent_id,
            extensions: extensions.into_iter().collect(),
            agents: agents.into_iter().collect(),
            sip_calls: self.legs.iter().filter_map(|leg| leg.sip_call_id.clone()).take(MOST_LEGS).collect(),
            number: number.as_ref().and_then(|(id, _)| *id),
            queue: queue.and_then(|queue| queue.id),
            carrier: carrier_leg
                .and_then(|leg| leg.carrier)
                .or_else(|| attempts.last().map(|last| last.carrier_id))
                .or(last),
            country: outside.and_then(|number| E164::parse(number).ok()).and_then(|number| number.country()),
            cost,
            currency,
            recorded: self.legs.iter().any(|leg| leg.recorded) && state != State::Voicemail,
            summary: Summary {
                from,
                to,
                answered_by: taken
                    .as_ref()
                    .filter(|_| answered.is_some())
                    .and_then(|taken| taken.by)
                    .map(|leg| self.party(leg)),
                number: number.map(|(_, number)| number),
                ringing_at: others.iter().filter(|leg| leg.outbound).filter_map(|leg| leg.ring).min().map(time),
                answered_at: answered.map(time),
                hold_seconds: seconds(holds.iter().map(|(from, to)| to - from).sum()),
                ended_by: Some(self.ended_by()),
                reason: cause.and_then(words),
                q850: root.q850,
                sip_status: root.sip_status.or_else(|| others.iter().rev().find_map(|leg| leg.sip_status)),
                hangup_disposition: root.hangup.clone(),
                refusal: refused,
                mos: self.legs.iter().filter_map(|leg| leg.media?.mos).min_by(f32::total_cmp),
                charge: cost,
                emergency: self.known.admitted.iter().any(|admitted| admitted.emergency),
                transfers: count(self.transfers().len()),
                legs: count(self.legs.len()),
                simulated: self.legs.iter().any(|leg| leg.simulated),
            },
            cause: cause.map(ToOwned::to_owned),
            story: Story { events: self.events(end, &holds, taken.as_ref()), attempts, legs: self.shown_legs() },
        }
    }

    /// The legs besides the first one, without loops inside the switch.
    fn others(&self) -> Vec<&'a Told> {
        self.legs.iter().copied().filter(|leg| leg.leg != self.root.leg && !leg.loopback).collect()
    }

    fn direction(&self) -> Direction {
        // Calls of a sandbox have no carrier, nor have those to numbers of the platform's own.
        let to_outside = |leg: &Told| leg.carrier.is_some() || leg.outbound && leg.callee.is_some();
        let leaves = self.legs.iter().any(|leg| to_outside(leg))
            || self.known.admitted.iter().any(|admitted| admitted.call == self.root.leg);
        let is_ours = self.extension(self.root).is_some();
        match (is_ours, leaves) {
            (true, true) => Direction::Outbound,
            (true, false) => Direction::Internal,
            // The switch made it itself, such as for somebody who clicked on a number.
            (false, leaves) if self.root.outbound => {
                if leaves {
                    Direction::Outbound
                } else {
                    Direction::Internal
                }
            }
            (false, _) => Direction::Inbound,
        }
    }

    /// Who took the call first: a leg that the switch made and that answered, or a phone that picked it up.
    fn taken(&self) -> Option<Taken<'a>> {
        let others = self.others();
        // One that is not connected has answered, but did not confirm that it takes the call.
        let made = others.iter().filter(|leg| leg.outbound && leg.bridge.is_some());
        let answered = made.filter_map(|leg| leg.answer.map(|at| Taken { at, by: Some(*leg) }));
        if let Some(taken) = answered.min_by_key(|taken| taken.at) {
            return Some(taken);
        }
        let at = self.root.bridge.filter(|_| self.root.answer.is_some())?;
        let by = others.iter().copied().find(|leg| !leg.outbound && leg.bridge.is_some());
        Some(Taken { at, by })
    }

    fn queue(&self) -> Option<&'a InQueue> {
        self.legs.iter().filter_map(|leg| leg.queue.as_ref()).find(|queue| !queue.of_agent && queue.joined.is_some())
    }

    /// Why the call was refused, if it may not have been made at all.
    fn refused(&self) -> Option<String> {
        let admitted = &self.known.admitted;
        if admitted.iter().any(|one| one.admitted) {
            return None;
        }
        admitted.iter().find_map(|one| one.reason.clone())
    }

    fn state(&self, taken: Option<&Taken<'_>>, queue: Option<&InQueue>, refused: bool) -> State {
        if taken.is_some() {
            return State::Answered;
        }
        let root = self.root;
        if refused {
            return State::Refused;
        }
        if self.leaves_message() {
            return State::Voicemail;
        }
        if let Some(queue) = queue {
            // Whoever pressed the key to be called back did not give up.
            let is_by_key = queue.why.as_deref() == Some("EXIT_WITH_KEY");
            let gave_up =
                !is_by_key && (queue.why.as_deref() == Some("BREAK_OUT") || self.ended_by() == EndedBy::Caller);
            return if gave_up { State::Abandoned } else { State::Missed };
        }
        let rang = self.others().iter().any(|leg| leg.outbound);
        if root.answer.is_some() && (!rang || root.conference.is_some()) {
            return State::Answered;
        }
        match self.cause(false) {
            Some("USER_BUSY" | "BUSY_EVERYWHERE") => State::Busy,
            Some(
                "ORIGINATOR_CANCEL"
                | "NO_ANSWER"
                | "NO_USER_RESPONSE"
                | "ALLOTTED_TIMEOUT"
                | "CALL_REJECTED"
                | "DECLINE"
                | "USER_NOT_REGISTERED"
                | "SUBSCRIBER_ABSENT"
                | "NORMAL_CLEARING"
                | "PICKED_OFF"
                | "LOSE_RACE",
            ) => State::Missed,
            _ => State::Failed,
        }
    }

    /// `voicemail default DOMAIN MAILBOX` takes a message (`routing::actions::leave_message`); with `check`, messages are heard.
    fn leaves_message(&self) -> bool {
        let data = self.root.app_data.as_deref().unwrap_or_default();
        self.root.app.as_deref() == Some("voicemail") && !data.starts_with("check")
    }

    fn cause(&self, taken: bool) -> Option<&'a str> {
        let of_root = self.root.cause.as_deref();
        if taken || of_root.is_some_and(|cause| cause != "NORMAL_CLEARING") {
            return of_root;
        }
        let others = self.others();
        others.iter().rev().find_map(|leg| leg.cause.as_deref()).or(of_root)
    }

    /// Who sent the first message that ended something (`sofia_handle_sip_i_bye` in sofia.c and its siblings set `recv_…`).
    fn ended_by(&self) -> EndedBy {
        let received = |leg: &Told| leg.hangup.as_deref().is_some_and(|hangup| hangup.starts_with("recv_"));
        if received(self.root) {
            return EndedBy::Caller;
        }
        let others = self.others();
        let mut last = others.iter().filter(|leg| leg.end >= self.root.end - 2000 || leg.bridge.is_none());
        if last.any(|leg| received(leg)) { EndedBy::Callee } else { EndedBy::Platform }
    }

    /// The leg over the carrier that connected the call.
    fn carried(&self) -> Option<&'a Told> {
        self.legs.iter().copied().find(|leg| leg.carrier.is_some() && leg.answer.is_some())
    }

    fn attempts(&self) -> Vec<Attempt> {
        let tried = self.legs.iter().filter_map(|leg| leg.carrier.map(|carrier| (leg, carrier)));
        let mut attempts = tried
            .take(MOST_LEGS)
            .map(|(leg, carrier)| Attempt {
                carrier_id: carrier,
                callee: leg.callee.clone(),
                began_at: time(leg.start),
                answered: leg.answer.is_some(),
                cause: leg.cause.clone(),
                reason: leg.cause.as_deref().and_then(words),
                q850: leg.q850,
                sip_status: leg.sip_status,
                ringing_after: leg.ring.map(|ring| ring - leg.start),
                // As `calls::leg` counts them.
                seconds: leg
                    .answer
                    .map_or(0, |at| i32::try_from((leg.end / 1000 - at / 1000).max(1)).unwrap_or(i32::MAX)),
                cost: None,
            })
            .collect::<Vec<_>>();
        // A call's cost is that of all its legs over one carrier; the last of them says it.
        for admitted in &self.known.admitted {
            let of = |attempt: &&mut Attempt| {
                attempt.answered
                    && Some(attempt.carrier_id) == admitted.carrier
                    && attempt.callee.as_ref().is_none_or(|callee| *callee == admitted.callee)
            };
            if let Some(attempt) = attempts.iter_mut().rev().find(of) {
                attempt.cost = admitted.cost;
            }
        }
        attempts
    }

    /// The extension of ours that lists show: whoever called out, took the call, or was rung.
    fn party_shown(&self, direction: Direction, taken: Option<&Taken<'_>>) -> Party {
        let own = |leg: &Told| Some(self.party(leg)).filter(|party| party.extension_id.is_some());
        let took = taken.and_then(|taken| taken.by).and_then(own);
        let rung = || self.others().into_iter().filter(|leg| leg.outbound).find_map(own);
        match direction {
            Direction::Inbound => took.or_else(rung),
            Direction::Outbound => own(self.root).or_else(rung),
            Direction::Internal => own(self.root).or(took).or_else(rung),
        }
        .unwrap_or_default()
    }

    /// The tenant's extension that a leg belongs to.
    fn extension(&self, leg: &Told) -> Option<(Uuid, &'a Extension)> {
        let by_name = || leg.user.as_ref().and_then(|user| self.known.users.get(&user.to_ascii_lowercase())).copied();
        let found = |id: Uuid| self.known.extensions.get(&id).map(|known| (id, known));
        leg.extension.and_then(found).or_else(|| by_name().and_then(found)).filter(|_| leg.carrier.is_none())
    }

    /// Who a leg belongs to.
    fn party(&self, leg: &Told) -> Party {
        let party = self.named(leg);
        Party { withheld: leg.withheld || self.is_withheld(&party), ..party }
    }

    /// Whether this is somebody who called with their number withheld.
    fn is_withheld(&self, party: &Party) -> bool {
        let is_same = |one: &Party| match (one.extension_id, party.extension_id) {
            (Some(one), Some(other)) => one == other,
            _ => party.number.is_some() && one.number == party.number,
        };
        self.withheld.iter().any(is_same)
    }

    fn named(&self, leg: &Told) -> Party {
        if let Some((id, known)) = self.extension(leg) {
            return Party {
                number: Some(known.number.clone()),
                name: Some(known.name.clone()).filter(|name| !name.is_empty()),
                extension_id: Some(id),
                agent_id: known.agent,
                withheld: false,
            };
        }
        if leg.outbound {
            return Party { number: leg.callee.clone().or_else(|| leg.dialled.clone()), ..Party::default() };
        }
        Party { number: leg.from_number.as_deref().map(normal), name: leg.from_name.clone(), ..Party::default() }
    }

    fn caller(&self) -> Party {
        self.party(self.root)
    }

    fn called(&self, direction: Direction) -> Party {
        let admitted = self.known.admitted.iter().find(|admitted| admitted.call == self.root.leg);
        let number = match (direction, admitted) {
            (Direction::Outbound, Some(admitted)) => Some(admitted.callee.clone()),
            (Direction::Outbound, None) => {
                self.legs.iter().find_map(|leg| leg.callee.clone()).or_else(|| self.root.dialled.clone())
            }
            (Direction::Inbound, _) => self.root.dialled.as_deref().map(normal),
            (Direction::Internal, _) => self.root.dialled.clone(),
        };
        let mut named = self.others().into_iter().map(|leg| self.party(leg));
        let named = named.find(|party| party.extension_id.is_some() && party.number == number);
        named.unwrap_or_else(|| {
            let party = Party { number, ..Party::default() };
            Party { withheld: self.is_withheld(&party), ..party }
        })
    }

    /// The tenant's phone number on the call.
    fn number(&self, direction: Direction) -> Option<(Option<Uuid>, String)> {
        match direction {
            Direction::Inbound => {
                let number = self.root.dialled.as_deref().map(normal)?;
                let id = self.known.numbers.get(&number)?;
                Some((Some(*id), number))
            }
            _ => self.known.admitted.iter().find_map(|one| one.caller_id.clone().map(|shown| (one.number, shown))),
        }
    }

    fn holds(&self) -> Vec<(i64, i64)> {
        let mut holds = self.legs.iter().flat_map(|leg| leg.holds.iter().copied()).collect::<Vec<_>>();
        holds.sort_unstable();
        // Both sides may have noted the same.
        let mut apart: Vec<(i64, i64)> = Vec::new();
        for (from, to) in holds {
            match apart.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => apart.push((from, to)),
            }
        }
        apart
    }

    /// Transfers that people made: somebody who was on the call left it for that. The switch also notes those with which Dialplane leads a call
    /// on.
    fn transfers(&self) -> Vec<(&'a Told, &'a Transfer)> {
        let leaves = |at: i64, told: &Told| {
            let mut others = self.legs.iter().filter(|leg| leg.leg != told.leg && !leg.loopback);
            others.any(|leg| {
                leg.bridge.is_some_and(|bridge| bridge <= at + 999) && (at - 1000..=at + 2000).contains(&leg.end)
            })
        };
        let all = self.legs.iter().flat_map(|leg| leg.transfers.iter().map(|transfer| (*leg, transfer)));
        let by_people =
            all.filter(|(leg, transfer)| transfer.attended || (!transfer.to.contains('~') && leaves(transfer.at, leg)));
        let mut found = by_people.collect::<Vec<_>>();
        found.sort_by_key(|(leg, transfer)| (transfer.at, !transfer.attended, leg.leg));
        // An attended transfer is noted on both legs that it joins.
        found.dedup_by(|later, first| later.1.attended && first.1.attended && later.1.at - first.1.at <= 1000);
        found
    }

    fn events(&self, end: i64, holds: &[(i64, i64)], taken: Option<&Taken<'_>>) -> Vec<Event> {
        let mut events = vec![(self.root.start, Event { party: Some(self.caller()), ..event(What::Started) })];
        for admitted in self.known.admitted.iter().filter(|admitted| !admitted.admitted) {
            let refused =
                Event { cause: admitted.reason.clone(), to: Some(admitted.callee.clone()), ..event(What::Refused) };
            events.push((self.root.start, refused));
        }
        for leg in self.others() {
            let party = Some(self.party(leg));
            if let Some(carrier) = leg.carrier {
                let tried = Event {
                    party: party.clone(),
                    carrier_id: Some(carrier),
                    to: leg.callee.clone(),
                    ..event(What::CarrierTried)
                };
                events.push((leg.start, tried));
            }
            if let Some(at) = leg.ring.filter(|_| leg.outbound) {
                events.push((at, Event { party: party.clone(), ..event(What::Rang) }));
            }
            if let Some(at) = leg.answer.filter(|_| leg.outbound) {
                let answered = Event { party: party.clone(), carrier_id: leg.carrier, ..event(What::Answered) };
                events.push((at, answered));
            }
            let lasted = leg.answer.map(|at| seconds(leg.end - at));
            events.push((
                leg.end,
                Event {
                    party,
                    cause: leg.cause.clone(),
                    carrier_id: leg.carrier,
                    seconds: lasted,
                    ..event(What::LegEnded)
                },
            ));
        }
        if let Some(taken) = taken.filter(|taken| taken.by.is_none_or(|leg| !leg.outbound)) {
            events.push((taken.at, Event { party: taken.by.map(|leg| self.party(leg)), ..event(What::Answered) }));
        }
        for (from, to) in holds {
            events.push((*from, event(What::Held)));
            events.push((*to, Event { seconds: Some(seconds(to - from)), ..event(What::Resumed) }));
        }
        for (_, transfer) in self.transfers() {
            let to = Some(transfer.to.clone()).filter(|to| !to.is_empty());
            events.push((transfer.at, Event { to, attended: Some(transfer.attended), ..event(What::Transferred) }));
        }
        // Whoever takes a parked call names the same place.
        if let Some(parked) = self.legs.iter().find(|leg| leg.parked.is_some()) {
            let at = self.transfers().last().map(|(_, transfer)| transfer.at).or(parked.answer).unwrap_or(parked.start);
            events.push((
                at,
                Event { to: parked.parked.clone(), party: Some(self.party(parked)), ..event(What::Parked) },
            ));
        }
        for leg in &self.legs {
            self.elsewhere(leg, &mut events);
        }
        let cause = self.cause(taken.is_some()).map(ToOwned::to_owned);
        events.push((end, Event { cause, ..event(What::Ended) }));
        events.sort_by_key(|(at, event)| (*at, event.what));
        let last = events.pop();
        let shown = events.into_iter().take(MOST_EVENTS - 1).chain(last);
        shown.map(|(at, event)| Event { at: time(at), ..event }).collect()
    }

    /// What a leg did besides talking to another: queue, parking place, conference, mailbox.
    fn elsewhere(&self, leg: &Told, events: &mut Vec<(i64, Event)>) {
        let party = || Some(self.party(leg));
        if let Some(queue) = leg.queue.as_ref().filter(|queue| !queue.of_agent) {
            let at = |what| Event { queue_id: queue.id, party: party(), ..event(what) };
            events.extend(queue.joined.map(|joined| (joined, at(What::QueueJoined))));
            let waited = |until: i64| queue.joined.map(|joined| seconds(until - joined));
            match (queue.answered, queue.left) {
                (Some(answered), _) => {
                    events.push((answered, Event { seconds: waited(answered), ..at(What::QueueAnswered) }));
                }
                (None, Some(left)) => events
                    .push((left, Event { cause: queue.why.clone(), seconds: waited(left), ..at(What::QueueLeft) })),
                (None, None) => {}
            }
        }
        if leg.conference.is_some() {
            let to = leg.conference.clone();
            events.push((leg.answer.unwrap_or(leg.start), Event { to, party: party(), ..event(What::Conference) }));
        }
        if leg.leg == self.root.leg && self.leaves_message() {
            let rung = self.others().iter().filter(|leg| leg.outbound).map(|leg| leg.end).max();
            events.push((rung.or(leg.answer).unwrap_or(leg.start), Event { party: party(), ..event(What::Voicemail) }));
        }
    }

    fn shown_legs(&self) -> Vec<LegOfCall> {
        let shown = self.legs.iter().filter(|leg| !leg.loopback).take(MOST_LEGS);
        shown
            .map(|leg| LegOfCall {
                leg: leg.leg,
                party: self.party(leg),
                outbound: leg.outbound,
                started_at: time(leg.start),
                ringing_at: leg.ring.map(time),
                answered_at: leg.answer.map(time),
                ended_at: time(leg.end),
                cause: leg.cause.clone(),
                q850: leg.q850,
                sip_status: leg.sip_status,
                hangup_disposition: leg.hangup.clone(),
                media: leg.media,
            })
            .collect()
    }
}

fn event(what: What) -> Event {
    Event {
        at: DateTime::UNIX_EPOCH,
        what,
        party: None,
        to: None,
        queue_id: None,
        carrier_id: None,
        attended: None,
        cause: None,
        seconds: None,
    }
}

/// In E.164, if it is a public number.
fn normal(number: &str) -> String {
    E164::from_dialled(number).map_or_else(|| number.to_owned(), |number| number.to_string())
}

fn words(cause: &str) -> Option<String> {
    causes::in_words(cause, Language::En).map(ToOwned::to_owned)
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

fn seconds(millis: i64) -> i32 {
    i32::try_from(millis / 1000).unwrap_or(i32::MAX).max(0)
}

fn count(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn sum(amounts: impl Iterator<Item = i64>) -> Option<i64> {
    amounts.fold(None, |sum, amount| Some(sum.unwrap_or_default().saturating_add(amount)))
}

/// Whether an attempt failed because of the carrier.
#[must_use]
pub fn is_carriers_fault(attempt: &Attempt) -> bool {
    !attempt.answered && attempt.cause.as_deref().is_some_and(health::is_trouble)
}

#[cfg(test)]
mod tests;
