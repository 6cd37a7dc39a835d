//! How a played call goes on after something was done to it. Pure functions of what would have been said, and what was done.

use std::collections::HashMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::play::{Acted, Deed, Play, Sent, put, times};
use crate::switch::live::said::{About, Happened, Micros, OfLeg, OfParked, OfQueue, Said, Tap, Tapped, What};

const CLEARING: &str = "NORMAL_CLEARING";

impl Play {
    #[must_use]
    pub fn ends(&self) -> i64 {
        let last = self.acts.last().and_then(|_| self.says().last().map(|said| said.at / 1000));
        last.unwrap_or_else(|| self.planned_end())
    }

    /// What a switch would say, with what was done to the call.
    #[must_use]
    pub fn says(&self) -> Vec<Said> {
        self.acts.iter().fold(self.planned(), |says, act| after(self, says, act))
    }

    /// The records of its legs, as mod_json_cdr writes them.
    #[must_use]
    pub fn records(&self) -> Vec<(Uuid, Vec<u8>)> {
        let rung = self.rung.iter().map(|side| (side.leg, self.record_of_rung(side)));
        let mut all = std::iter::once((self.id(), self.record_of_caller())).chain(rung).collect::<Vec<_>>();
        if !self.acts.is_empty() {
            rewrite(self, &mut all);
        }
        let body = |variables| serde_json::json!({ "variables": variables }).to_string().into_bytes();
        all.into_iter().map(|(leg, variables)| (leg, body(variables))).collect()
    }
}

/// What is known of a leg at a moment.
#[derive(Debug, Clone, Default)]
struct Span {
    created: Micros,
    answered: Option<Micros>,
    bridged: Option<Micros>,
    ended: Option<Micros>,
    cause: Option<String>,
    maker: Option<Uuid>,
}

/// The call at a moment.
#[derive(Debug, Default)]
struct Now {
    legs: HashMap<Uuid, Span>,
    /// Those that are there, in the order in which they came.
    there: Vec<Uuid>,
    pair: Option<(Uuid, Uuid)>,
    /// Whether the caller is in a queue.
    waits: bool,
    parked: Option<(Uuid, String, String)>,
}

impl Now {
    fn of(says: &[Said]) -> Self {
        let mut now = Self::default();
        for Said { at, what } in says {
            match what {
                What::Leg(said) => now.hear(*at, said),
                What::Queue(said) => match **said {
                    OfQueue::Joined { .. } => now.waits = true,
                    OfQueue::Left { .. } => now.waits = false,
                    _ => {}
                },
                What::Parked(OfParked { lot, slot, leg, is_there }) => {
                    now.parked = is_there.then(|| (*leg, lot.clone(), slot.clone()));
                }
                _ => {}
            }
        }
        now
    }

    fn hear(&mut self, at: Micros, said: &OfLeg) {
        let span = self.legs.entry(said.leg).or_default();
        match said.happened {
            Happened::Created => {
                (span.created, span.maker) = (at, said.about.maker);
                self.there.push(said.leg);
            }
            Happened::Answered => span.answered = span.answered.or(Some(at)),
            Happened::Ended => {
                if span.ended.is_none() {
                    (span.ended, span.cause) = (Some(at), said.cause.clone());
                }
                self.there.retain(|leg| *leg != said.leg);
                self.pair = self.pair.filter(|(a, b)| *a != said.leg && *b != said.leg);
            }
            Happened::Bridged { a, b } => {
                self.pair = Some((a, b));
                for leg in [a, b] {
                    let span = self.legs.entry(leg).or_default();
                    span.bridged = span.bridged.or(Some(at));
                }
            }
            Happened::Unbridged { .. } => self.pair = None,
            _ => {}
        }
    }

    fn is_paired(&self, leg: Uuid) -> bool {
        self.pair.is_some_and(|(a, b)| a == leg || b == leg)
    }
}

/// What is said from an act on. Its moments lie between those of the plan, whose last digits are zeros.
struct Script {
    at: Micros,
    says: Vec<Said>,
}

impl Script {
    fn say(&mut self, what: What) {
        self.at += 1000;
        self.says.push(Said { at: self.at, what });
    }

    fn leg(&mut self, leg: Uuid, happened: Happened, about: About, cause: Option<&str>) {
        let cause = cause.map(ToOwned::to_owned);
        let about = About { is_simulated: true, ..about };
        self.say(What::Leg(Box::new(OfLeg { leg, happened, about, cause })));
    }

    fn ends(&mut self, leg: Uuid, cause: &str) {
        self.leg(leg, Happened::Ended, About::default(), Some(cause));
    }

    fn until(&mut self, ms: i64) {
        self.at = self.at.max(ms * 1000 + 250);
    }
}

/// What is said if this was done.
fn after(play: &Play, says: Vec<Said>, act: &Acted) -> Vec<Said> {
    let at = act.at * 1000 + 250;
    let planned_end = says.last().map_or(act.at, |said| said.at / 1000);
    let (mut before, rest): (Vec<_>, Vec<_>) = says.into_iter().partition(|said| said.at < at);
    let now = Now::of(&before);
    let mut script = Script { at, says: Vec::new() };
    let goes_on = match &act.deed {
        Deed::Held(leg) => beside(&mut script, &now, *leg, Happened::Held),
        Deed::Resumed(leg) => beside(&mut script, &now, *leg, Happened::Unheld),
        Deed::Muted(leg) => tapped(&mut script, *leg, Tap::Mute, true),
        Deed::Unmuted(leg) => tapped(&mut script, *leg, Tap::Mute, false),
        Deed::Recorded(leg, file) => tapped(&mut script, *leg, Tap::Recording(file.clone()), true),
        Deed::RecordingStopped(leg, file) => tapped(&mut script, *leg, Tap::Recording(file.clone()), false),
        Deed::HungUp(leg) => hung_up(&mut script, play, &now, *leg),
        Deed::Sent(sent) => {
            parts(&mut script, play, &now, sent.from);
            arrives(&mut script, play, sent, planned_end);
            false
        }
        Deed::Parked { from, leg, lot, slot } => {
            parts(&mut script, play, &now, Some(*from));
            let parked =
                |is_there| What::Parked(OfParked { lot: lot.clone(), slot: slot.clone(), leg: *leg, is_there });
            script.say(parked(true));
            script.until(planned_end);
            script.say(parked(false));
            script.ends(*leg, CLEARING);
            false
        }
    };
    before.extend(script.says);
    if goes_on {
        before.extend(rest);
        before.sort_by_key(|said| said.at);
    }
    before
}

fn beside(script: &mut Script, now: &Now, leg: Uuid, happened: Happened) -> bool {
    if now.there.contains(&leg) {
        script.leg(leg, happened, About::default(), None);
    }
    true
}

fn tapped(script: &mut Script, leg: Uuid, by: Tap, is_on: bool) -> bool {
    script.say(What::Tapped(Tapped { leg, by, is_on }));
    true
}

/// Ends a leg, and the call with it unless others go on ringing. Returns whether the call goes on as planned.
fn hung_up(script: &mut Script, play: &Play, now: &Now, leg: Uuid) -> bool {
    if !now.there.contains(&leg) {
        return true;
    }
    // Whoever was to answer does not: then nobody does. A leg that only rings and was not to answer is none of the others' business.
    let rings_in_vain = leg != play.id()
        && !now.is_paired(leg)
        && play.taker().is_some_and(|taker| taker.leg != leg)
        && now.pair.is_none();
    if rings_in_vain && now.there.len() > 2 {
        // Its planned end is a repetition then, which nobody hears: it is gone.
        script.ends(leg, CLEARING);
        return true;
    }
    everybody_leaves(script, play, now, leg);
    false
}

fn everybody_leaves(script: &mut Script, play: &Play, now: &Now, first: Uuid) {
    if now.waits
        && let Some(queue) = play.queue_name()
    {
        script.say(What::Queue(Box::new(OfQueue::Left { queue, member: play.id() })));
    }
    if let Some((leg, lot, slot)) = now.parked.clone() {
        script.say(What::Parked(OfParked { lot, slot, leg, is_there: false }));
    }
    let mut left = now.there.clone();
    // The caller's leg is the last, as in the plan.
    left.sort_by_key(|leg| (*leg == play.id(), *leg != first));
    for leg in left {
        let rings = leg != play.id() && now.legs.get(&leg).is_some_and(|span| span.answered.is_none());
        script.ends(leg, if rings && leg != first { "ORIGINATOR_CANCEL" } else { CLEARING });
    }
}

/// A phone leaves, and whom it was connected with stays. Whoever else rang stops.
fn parts(script: &mut Script, play: &Play, now: &Now, from: Option<Uuid>) {
    if now.waits
        && let Some(queue) = play.queue_name()
    {
        script.say(What::Queue(Box::new(OfQueue::Left { queue, member: play.id() })));
    }
    let Some(from) = from else { return };
    if let Some((a, b)) = now.pair {
        script.leg(a, Happened::Unbridged { a, b }, About::default(), None);
    }
    script.ends(from, CLEARING);
}

/// A leg that was sent somewhere rings others there, and is taken by the first; or it hears something until the planned end.
fn arrives(script: &mut Script, play: &Play, sent: &Sent, planned_end: i64) {
    if let Some(cause) = &sent.cause {
        script.ends(sent.leg, cause);
        return;
    }
    let number = play.side(sent.leg).and_then(|side| side.number()).map(ToOwned::to_owned);
    let name = play.side(sent.leg).and_then(|side| side.phone.as_ref()).map(|phone| phone.name.clone());
    for side in &sent.rung {
        let about = About {
            maker: Some(sent.leg),
            is_caller: Some(false),
            number: number.clone(),
            name: name.clone(),
            ..play.about(side, 0)
        };
        let created = Some(script.at + 1000);
        script.leg(side.leg, Happened::Created, About { created, ..about }, None);
    }
    let Some((taker, others)) = sent.rung.split_first() else {
        script.until(planned_end);
        script.ends(sent.leg, CLEARING);
        return;
    };
    script.until(script.at / 1000 + sent.ring_ms);
    for side in others {
        script.ends(side.leg, "LOSE_RACE");
    }
    script.leg(taker.leg, Happened::Answered, About::default(), None);
    script.leg(sent.leg, Happened::Bridged { a: sent.leg, b: taker.leg }, About::default(), None);
    script.until(planned_end);
    script.ends(taker.leg, CLEARING);
    script.ends(sent.leg, CLEARING);
}

/// Makes the records those of what was done: their times and causes, and those of the legs that came later.
fn rewrite(play: &Play, records: &mut Vec<(Uuid, Map<String, Value>)>) {
    let now = Now::of(&play.says());
    let later = play.acts.iter().filter_map(|act| if let Deed::Sent(sent) = &act.deed { Some(sent) } else { None });
    for sent in later.clone() {
        records.extend(sent.rung.iter().map(|side| (side.leg, play.record_of_rung(side))));
    }
    records.retain(|(leg, _)| now.legs.contains_key(leg));
    for (leg, record) in records.iter_mut() {
        let Some(span) = now.legs.get(leg) else { continue };
        let ms = |at: Micros| at / 1000;
        let (answered, bridged) = (span.answered.map(ms), span.bridged.map(ms));
        let ended = span.ended.map_or_else(|| play.planned_end(), ms);
        let is_caller = *leg == play.id();
        times(record, ms(span.created), (!is_caller).then(|| ms(span.created)), answered, bridged, ended);
        put(record, "hangup_cause", span.cause.as_deref().unwrap_or(CLEARING));
        if let Some(maker) = span.maker {
            put(record, "originator", &maker.to_string());
        }
        if is_caller && bridged.is_none() {
            for name in ["bridge_uuid", "originate_disposition"] {
                record.remove(name);
            }
        }
        if is_caller && record.contains_key("cc_queue_answered_epoch") && bridged.is_none() {
            record.remove("cc_queue_answered_epoch");
            put(record, "cc_queue_canceled_epoch", &(ended / 1000).to_string());
            put(record, "cc_cancel_reason", "BREAK_OUT");
        }
        if let Some(mailbox) = later.clone().find(|sent| sent.leg == *leg).and_then(|sent| sent.mailbox.as_ref()) {
            put(record, "last_app", "voicemail");
            put(record, "last_arg", &format!("default {} {mailbox}", play.domain));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Outcome,
            play::{Phone, Side},
        },
        *,
    };
    use crate::telephony::history::Direction;

    fn side(n: u128) -> Side {
        let id = Uuid::from_u128(n);
        let phone =
            Phone { extension: id, agent: None, user: format!("u{n}"), number: n.to_string(), name: format!("N{n}") };
        Side { leg: Uuid::from_u128(n + 100), phone: Some(phone), number: None }
    }

    fn play(acts: Vec<Acted>) -> Play {
        Play {
            tenant: Uuid::from_u128(9),
            domain: "acme.test".into(),
            direction: Direction::Internal,
            outcome: Outcome::Answered,
            route: "extension".into(),
            began: 1_000_000,
            ring_ms: 2000,
            talk_ms: 60_000,
            caller: side(1),
            dialled: "2".into(),
            rung: vec![side(2), side(3), side(4)],
            taken_by: Some(0),
            plays_itself: false,
            mailbox: None,
            queue: None,
            cause: CLEARING.into(),
            refusal: None,
            acts,
        }
    }

    fn act(seconds: i64, deed: Deed) -> Acted {
        Acted { at: 1_000_000 + seconds * 1000, deed }
    }

    #[test]
    fn whatever_is_done_every_leg_begins_and_ends_once_and_no_two_things_happen_at_one_moment() {
        let leg = |n: u128| side(n).leg;
        let sent =
            |rung: Vec<Side>| Sent { from: Some(leg(2)), leg: leg(1), rung, ring_ms: 1000, mailbox: None, cause: None };
        let parked = Deed::Parked { from: leg(2), leg: leg(1), lot: "park@acme.test".into(), slot: "1".into() };
        let refused = Sent { cause: Some("CALL_REJECTED".into()), ..sent(Vec::new()) };
        for (acts, ends) in [
            (vec![], 62),
            (vec![act(1, Deed::HungUp(leg(1)))], 1),
            (vec![act(1, Deed::HungUp(leg(2)))], 1),
            (vec![act(1, Deed::HungUp(leg(3)))], 62),
            (vec![act(10, Deed::Held(leg(2))), act(20, Deed::Resumed(leg(2)))], 62),
            (vec![act(10, Deed::HungUp(leg(2)))], 10),
            (vec![act(10, Deed::Sent(sent(vec![side(5), side(6)])))], 62),
            (vec![act(10, Deed::Sent(sent(vec![side(5)]))), act(20, Deed::HungUp(leg(5)))], 20),
            (vec![act(10, Deed::Sent(refused))], 10),
            (vec![act(10, Deed::Sent(sent(Vec::new())))], 62),
            (vec![act(10, parked.clone())], 62),
            (vec![act(10, parked), act(30, Deed::HungUp(leg(1)))], 30),
        ] {
            let play = play(acts);
            let says = play.says();
            let moments = says.iter().map(|said| said.at).collect::<Vec<_>>();
            assert!(moments.is_sorted_by(|one, next| one < next), "{:?}: {moments:?}", play.acts);
            let now = Now::of(&says);
            assert!(now.there.is_empty() && now.parked.is_none(), "{:?}: {now:?}", play.acts);
            assert!(now.legs.values().all(|span| span.created > 0 && span.ended > Some(span.created)), "{now:?}");
            assert_eq!((play.ends() - 1_000_000) / 1000, ends, "{:?}", play.acts);
            // As many records as legs, each once.
            let records = play.records();
            let legs = records.iter().map(|(leg, _)| *leg).collect::<std::collections::BTreeSet<_>>();
            assert_eq!((records.len(), legs.len()), (now.legs.len(), now.legs.len()), "{:?}", play.acts);
        }
    }
}
