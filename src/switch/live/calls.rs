//! The calls of a switch: legs, and which of them belong together.
//!
//! A leg belongs to the call that it was made for, which its first event says; in its last one, the switch names the leg itself
//! (`switch_channel_event_set_basic_data` in switch_channel.c). If legs of two calls are connected, the younger one joins the older call.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    change::Change,
    gone::{self, Gone},
    leg::{Leg, Phase},
    said::{About, Happened, Line, Micros, OfLeg, Tap, Tapped, line, page_of, short},
};
use crate::routing::{carried::Mark, withheld};

/// A row of `show channels`.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Row {
    pub uuid: Uuid,
    #[serde(default)]
    pub direction: String,
    #[serde(default)]
    pub created_epoch: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub cid_name: String,
    #[serde(default)]
    pub cid_num: String,
    #[serde(default)]
    pub dest: String,
    #[serde(default)]
    pub application: String,
    #[serde(default)]
    pub context: String,
    #[serde(default)]
    pub presence_data: String,
    #[serde(default)]
    pub callstate: String,
    #[serde(default)]
    pub call_uuid: String,
}

/// A row of `show bridged_calls`.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub struct Pair {
    pub uuid: Uuid,
    pub b_uuid: Uuid,
}

#[derive(Debug, Default)]
pub struct Calls {
    legs: HashMap<Uuid, Leg>,
    by_call: HashMap<Uuid, BTreeSet<Uuid>>,
    gone: Gone<Uuid>,
}

impl About {
    /// Adds what is said for the first time. The tenant may change, as a call from outside has one only once it was routed.
    fn learn(&mut self, said: Self) {
        fn first<T>(known: &mut Option<T>, said: Option<T>) {
            if known.is_none() {
                *known = said;
            }
        }
        first(&mut self.is_caller, said.is_caller);
        first(&mut self.line, said.line);
        first(&mut self.phone, said.phone);
        first(&mut self.extension, said.extension);
        first(&mut self.name, said.name);
        first(&mut self.number, said.number);
        first(&mut self.dialled, said.dialled);
        first(&mut self.created, said.created);
        first(&mut self.answered, said.answered);
        first(&mut self.carrier, said.carrier);
        first(&mut self.admitted_for, said.admitted_for);
        first(&mut self.callee, said.callee);
        first(&mut self.places, said.places);
        first(&mut self.sip_call_id, said.sip_call_id);
        first(&mut self.page, said.page);
        self.is_withheld |= said.is_withheld;
        self.is_simulated |= said.is_simulated;
        self.tenant = said.tenant.or(self.tenant);
        self.context = said.context.or_else(|| self.context.take());
        self.agent = said.agent.or_else(|| self.agent.take());
        self.shows = said.shows.or_else(|| self.shows.take());
        self.shows_as = said.shows_as.or_else(|| self.shows_as.take());
        self.queue = said.queue.or_else(|| self.queue.take());
    }

    fn of_row(row: &Row) -> Self {
        let some = |text: &str| Some(text).filter(|text| !text.is_empty()).map(short);
        let (is_caller, line) = (row.direction == "inbound", line(&row.name));
        let mark = Mark::read(&row.presence_data);
        Self {
            is_caller: Some(is_caller),
            line: Some(line),
            context: some(&row.context),
            name: some(&row.cid_name),
            number: some(&row.cid_num),
            dialled: some(&row.dest),
            created: row.created_epoch.parse::<i64>().ok().map(|at| at.saturating_mul(1_000_000)),
            carrier: mark.as_ref().map(|mark| mark.carrier),
            admitted_for: mark.as_ref().map(|mark| mark.call),
            callee: mark.map(|mark| mark.callee),
            is_withheld: row.cid_num == withheld::NOBODY,
            page: page_of(&row.name),
            ..Self::default()
        }
    }
}

impl Calls {
    #[must_use]
    pub fn leg(&self, id: Uuid) -> Option<&Leg> {
        self.legs.get(&id)
    }

    /// The legs of a call, the first one first.
    #[must_use]
    pub fn of(&self, call: Uuid) -> Vec<&Leg> {
        let ids = self.by_call.get(&call).into_iter().flatten();
        let mut legs = ids.filter_map(|id| self.legs.get(id)).collect::<Vec<_>>();
        legs.sort_by_key(|leg| (leg.began, leg.about.is_caller != Some(true), leg.id));
        legs
    }

    pub fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.by_call.keys().copied()
    }

    /// The legs of a phone.
    pub fn of_phone<'a>(&'a self, user: &'a str, domain: &'a str) -> impl Iterator<Item = &'a Leg> {
        let is_of = move |leg: &&Leg| leg.about.phone.as_ref().is_some_and(|(of, at)| of == user && at == domain);
        self.legs.values().filter(is_of)
    }

    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.values()
    }

    pub fn heard(&mut self, at: Micros, said: OfLeg) -> Vec<Change> {
        let OfLeg { leg, happened, about, cause } = said;
        if happened == Happened::Ended {
            return self.ended(leg, at, about, cause);
        }
        if self.gone.has(&leg) {
            return Vec::new();
        }
        if let Happened::Renamed { old } = happened {
            self.rename(old, leg);
        }
        let is_new = !self.legs.contains_key(&leg);
        self.meet(leg, about, at);
        if is_new && happened == Happened::Created {
            self.learn_of_maker(leg, true);
        }
        let mut changes = if is_new { vec![Change::Leg(leg)] } else { Vec::new() };
        match happened {
            Happened::Created | Happened::Renamed { .. } | Happened::HangsUp | Happened::Ended => {}
            Happened::Answered => self.with(leg, |leg| {
                if leg.phase == Phase::Ringing {
                    leg.turn(Phase::Up, leg.about.answered.unwrap_or(at));
                }
            }),
            Happened::Held | Happened::Unheld => self.with(leg, |leg| {
                if at < leg.held_at || leg.phase == Phase::Parked {
                    return;
                }
                leg.held_at = at;
                leg.turn(if happened == Happened::Held { Phase::Held } else { Phase::Up }, at);
            }),
            Happened::Parked => self.with(leg, |leg| {
                if at >= leg.bridged_at {
                    (leg.bridged_at, leg.partner) = (at, None);
                    leg.turn(Phase::Parked, at);
                }
            }),
            Happened::Bridged { a, b } => changes.extend(self.connect(a, b, at)),
            Happened::Unbridged { a, b } => {
                for (leg, partner) in [(a, b), (b, a)] {
                    self.with(leg, |leg| {
                        if at >= leg.bridged_at && leg.partner == Some(partner) {
                            (leg.bridged_at, leg.partner) = (at, None);
                        }
                    });
                }
            }
        }
        changes.extend(self.legs.get(&leg).map(|leg| Change::Call(leg.call)));
        changes
    }

    /// Notes in which queue a leg waits, or which agent it is for.
    pub fn note(&mut self, leg: Uuid, queue: Option<&str>, agent: Option<&str>) -> Vec<Change> {
        let Some(known) = self.legs.get_mut(&leg) else { return Vec::new() };
        if let Some(queue) = queue {
            known.about.queue = Some(queue.to_owned());
        }
        if let Some(agent) = agent {
            known.about.agent = Some(agent.to_owned());
        }
        vec![Change::Call(known.call)]
    }

    /// Notes that nobody sees the number of a leg.
    pub fn hide(&mut self, leg: Uuid) {
        self.with(leg, |leg| leg.hides = true);
    }

    /// Notes whose a leg is, if that is not known.
    pub fn of_tenant(&mut self, leg: Uuid, tenant: Uuid) {
        self.with(leg, |leg| leg.about.tenant = leg.about.tenant.or(Some(tenant)));
    }

    /// Notes whose phone a leg is, if that is not known.
    pub fn of_phone_named(&mut self, leg: Uuid, phone: (String, String)) {
        self.with(leg, |leg| leg.about.phone = leg.about.phone.take().or(Some(phone)));
    }

    /// Notes the Call-ID of a leg's dialog, and the page whose phone it is.
    pub fn of_dialog(&mut self, leg: Uuid, sip_call_id: String, page: Option<String>) {
        self.with(leg, |leg| {
            leg.about.sip_call_id = leg.about.sip_call_id.take().or(Some(sip_call_id));
            leg.about.page = leg.about.page.take().or(page);
        });
    }

    /// Notes that a call waits in a parking slot, or does no longer.
    pub fn park(&mut self, leg: Uuid, at: Micros, is_there: bool) -> Vec<Change> {
        let Some(known) = self.legs.get_mut(&leg).filter(|known| at >= known.bridged_at) else { return Vec::new() };
        known.bridged_at = at;
        if is_there {
            known.partner = None;
            known.turn(Phase::Parked, at);
        } else if known.phase == Phase::Parked {
            known.turn(Phase::Up, at);
        }
        vec![Change::Call(known.call)]
    }

    /// Notes that a leg is recorded, muted or listened to, or no longer.
    pub fn tapped(&mut self, tapped: &Tapped) -> Vec<Change> {
        let Some(leg) = self.legs.get_mut(&tapped.leg) else { return Vec::new() };
        match &tapped.by {
            Tap::Recording(file) => {
                leg.recordings.retain(|known| known != file);
                if tapped.is_on {
                    leg.recordings.push(file.clone());
                }
                // What began before anybody listened may go on beside it.
                leg.is_heard_whole |= tapped.is_on;
            }
            Tap::Mute => leg.is_muted = tapped.is_on,
            // Who supervises is told nobody.
            Tap::Listener => return Vec::new(),
        }
        vec![Change::Call(leg.call)]
    }

    /// Takes over what the switch lists. `began`: when it was asked.
    pub fn read(&mut self, rows: Vec<Row>, pairs: &[Pair], began: Micros) -> Vec<Change> {
        let mut changes = Vec::new();
        let listed = rows.iter().map(|row| row.uuid).collect::<BTreeSet<_>>();
        let lost =
            self.legs.values().filter(|leg| !listed.contains(&leg.id) && !gone::may_be_unlisted(leg.began, began));
        for leg in lost.map(|leg| leg.id).collect::<Vec<_>>() {
            changes.extend(self.remove(leg));
        }
        for row in rows {
            let phase = match row.callstate.as_str() {
                "HANGUP" => continue,
                _ if row.application == "valet_park" || row.application == "park" => Phase::Parked,
                "ACTIVE" | "UNHELD" | "RING_WAIT" => Phase::Up,
                "HELD" => Phase::Held,
                _ => Phase::Ringing,
            };
            if self.gone.has(&row.uuid) {
                continue;
            }
            let is_new = !self.legs.contains_key(&row.uuid);
            let call = row.call_uuid.parse().ok();
            self.meet(row.uuid, About { call, ..About::of_row(&row) }, began);
            let mut is_corrected = false;
            self.with(row.uuid, |leg| {
                let told = leg.since.max(leg.held_at).max(leg.bridged_at);
                if is_new {
                    // Since when is not known.
                    (leg.phase, leg.since) = (phase, leg.began);
                    leg.is_heard_whole = false;
                } else if told < began - 5_000_000 && leg.phase != phase {
                    leg.turn(phase, began);
                    is_corrected = true;
                }
            });
            if is_corrected {
                changes.extend(self.legs.get(&row.uuid).map(|leg| Change::Call(leg.call)));
            }
            if is_new {
                self.learn_of_maker(row.uuid, false);
                changes.push(Change::Leg(row.uuid));
                changes.extend(self.legs.get(&row.uuid).map(|leg| Change::Call(leg.call)));
            }
        }
        for Pair { uuid, b_uuid } in pairs {
            let of = |leg: &Uuid, other: Uuid| {
                self.legs.get(leg).is_some_and(|leg| leg.bridged_at < began - 5_000_000 && leg.partner != Some(other))
            };
            if of(uuid, *b_uuid) && of(b_uuid, *uuid) {
                changes.extend(self.reconnect(*uuid, *b_uuid, began - 5_000_000));
            }
        }
        changes
    }

    fn ended(&mut self, id: Uuid, at: Micros, about: About, cause: Option<String>) -> Vec<Change> {
        self.gone.note(id, at);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.about.learn(about);
            leg.cause = cause;
        }
        self.remove(id)
    }

    fn remove(&mut self, id: Uuid) -> Vec<Change> {
        let Some(leg) = self.legs.remove(&id) else { return Vec::new() };
        if let Some(partner) = leg.partner {
            self.with(partner, |partner| partner.partner = partner.partner.filter(|other| *other != id));
        }
        let call = leg.call;
        let is_over = self.leave(id, call);
        let mut changes = vec![Change::LegOver(Box::new(leg))];
        changes.push(if is_over { Change::CallOver(call) } else { Change::Call(call) });
        changes
    }

    /// Takes a leg out of a call. Returns whether that was its last.
    fn leave(&mut self, leg: Uuid, call: Uuid) -> bool {
        let Some(legs) = self.by_call.get_mut(&call) else { return true };
        legs.remove(&leg);
        let is_over = legs.is_empty();
        if is_over {
            self.by_call.remove(&call);
        }
        is_over
    }

    fn rename(&mut self, old: Uuid, new: Uuid) {
        let Some(mut leg) = self.legs.remove(&old) else { return };
        self.leave(old, leg.call);
        for other in self.legs.values_mut().filter(|other| other.partner == Some(old)) {
            other.partner = Some(new);
        }
        leg.id = new;
        self.by_call.entry(leg.call).or_default().insert(new);
        self.legs.insert(new, leg);
    }

    /// Adds what is said of a leg, which may be new.
    fn meet(&mut self, id: Uuid, about: About, at: Micros) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.about.learn(about);
            return;
        }
        // A place that is held in a queue is nobody's call.
        let served = about.serves.and_then(|served| self.legs.get(&served)).filter(|leg| !leg.is_inner());
        let of_maker = about.maker.and_then(|maker| self.legs.get(&maker)).or(served).map(|maker| maker.call);
        let first = about.call.or(about.admitted_for).filter(|call| *call != id);
        // The first leg's call may have become part of another one since.
        let of_first = first.map(|first| self.legs.get(&first).map_or(first, |leg| leg.call));
        let call = of_maker.or(of_first).unwrap_or(id);
        self.by_call.entry(call).or_default().insert(id);
        self.legs.insert(id, Leg::new(id, call, about, at));
    }

    /// A leg that is called has in its first event what it shows of whoever made it. Events of the maker's own say it too late: its first one
    /// comes before it is routed, and the next when it is answered. `is_first`: not from a list, which has what a leg shows by then.
    fn learn_of_maker(&mut self, id: Uuid, is_first: bool) {
        let Some(called) = self.legs.get(&id).filter(|leg| leg.about.is_caller != Some(true)) else { return };
        let (about, call) = (called.about.clone(), called.call);
        let mut maker = about.maker.or(about.serves);
        // The switch's own legs stand between; a circle of them ends.
        for _ in 0..4 {
            maker = match maker.and_then(|maker| self.legs.get(&maker)) {
                Some(inner) if inner.is_inner() => inner.about.maker,
                Some(leg) => Some(leg.id),
                None => None,
            };
        }
        let is_caller = |leg: &&Leg| leg.id != id && !leg.is_inner() && leg.about.is_caller == Some(true);
        let Some(maker) = maker.or_else(|| self.of(call).into_iter().find(is_caller).map(|leg| leg.id)) else { return };
        self.with(maker, |maker| {
            maker.hides |= about.is_withheld;
            // A carrier may be shown another number.
            let is_shown = is_first && about.line == Some(Line::Phone) && !about.is_withheld;
            if let Some(number) = about.number.filter(|_| is_shown) {
                maker.about.shows_as = about.name;
                maker.about.shows = Some(number);
            }
        });
    }

    fn connect(&mut self, a: Uuid, b: Uuid, at: Micros) -> Vec<Change> {
        if self.gone.has(&a) || self.gone.has(&b) {
            return Vec::new();
        }
        for (leg, partner) in [(a, b), (b, a)] {
            self.with(leg, |leg| {
                if at >= leg.bridged_at {
                    (leg.bridged_at, leg.partner) = (at, Some(partner));
                    if leg.phase != Phase::Held {
                        leg.turn(Phase::Up, at);
                    }
                }
            });
        }
        let (Some(one), Some(other)) = (self.legs.get(&a), self.legs.get(&b)) else { return Vec::new() };
        if one.call == other.call {
            return Vec::new();
        }
        let age = |call| self.of(call).first().map_or(i64::MAX, |leg| leg.began);
        let (stays, joins, leg) =
            if age(one.call) <= age(other.call) { (one.call, other.call, b) } else { (other.call, one.call, a) };
        let is_over = self.leave(leg, joins);
        self.by_call.entry(stays).or_default().insert(leg);
        self.with(leg, |leg| leg.call = stays);
        vec![if is_over { Change::CallOver(joins) } else { Change::Call(joins) }, Change::Call(stays)]
    }

    /// The switch lists a pair that it did not tell of, or that was missed.
    fn reconnect(&mut self, a: Uuid, b: Uuid, at: Micros) -> Vec<Change> {
        for (leg, partner) in [(a, b), (b, a)] {
            let before = self.legs.get(&leg).and_then(|leg| leg.partner).filter(|before| *before != partner);
            if let Some(before) = before {
                self.with(before, |before| before.partner = before.partner.filter(|other| *other != leg));
            }
        }
        // Since when they are connected is not known: whatever is said of them counts more.
        let at =
            if [a, b].iter().all(|leg| self.legs.get(leg).is_some_and(|leg| leg.bridged_at == 0)) { 1 } else { at };
        let mut changes = self.connect(a, b, at);
        if changes.is_empty() {
            changes.extend(self.legs.get(&a).map(|leg| Change::Call(leg.call)));
        }
        changes
    }

    fn with(&mut self, leg: Uuid, change: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            change(leg);
        }
    }
}

#[cfg(test)]
mod tests;
