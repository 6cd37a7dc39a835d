//! What happens in a call that is played: what a switch would say while it goes on, and what it would report at its end. Pure functions of
//! what was written down at its beginning, so that every node plays the same.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Outcome;
use crate::{
    model::{channel, refusal::Refusal},
    switch::live::said::{About, Happened, Line, Micros, OfLeg, OfQueue, Said, What},
    telephony::history::Direction,
};

/// A phone of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    pub extension: Uuid,
    pub agent: Option<Uuid>,
    pub user: String,
    pub number: String,
    pub name: String,
}

/// One party: a phone of the tenant, or a number outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub leg: Uuid,
    pub phone: Option<Phone>,
    pub number: Option<String>,
}

impl Side {
    /// The number that the others see.
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        self.phone.as_ref().map(|phone| phone.number.as_str()).or(self.number.as_deref())
    }
}

/// A call that is played. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    pub tenant: Uuid,
    pub domain: String,
    pub direction: Direction,
    pub outcome: Outcome,
    pub route: String,
    /// Since 1970.
    pub began: i64,
    pub ring_ms: i64,
    pub talk_ms: i64,
    pub caller: Side,
    pub dialled: String,
    pub rung: Vec<Side>,
    /// Which of them answers.
    pub taken_by: Option<usize>,
    /// A menu or an announcement answers.
    pub plays_itself: bool,
    /// Where the caller leaves a message.
    pub mailbox: Option<String>,
    pub queue: Option<Uuid>,
    pub cause: String,
    /// Why routing refuses it.
    pub refusal: Option<Refusal>,
    /// What was done to it, in order.
    #[serde(default)]
    pub acts: Vec<Acted>,
}

/// Something that was done to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted {
    /// Since 1970.
    pub at: i64,
    pub deed: Deed,
}

/// What was done, by the legs that it was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    HungUp(Uuid),
    Held(Uuid),
    Resumed(Uuid),
    Muted(Uuid),
    Unmuted(Uuid),
    Recorded(Uuid, String),
    RecordingStopped(Uuid, String),
    Sent(Sent),
    /// `from` leaves, and `leg` waits in a slot.
    Parked {
        from: Uuid,
        leg: Uuid,
        lot: String,
        slot: String,
    },
}

/// A leg was sent somewhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The phone that sent it, and left.
    pub from: Option<Uuid>,
    pub leg: Uuid,
    /// Who is rung then; the first one answers.
    pub rung: Vec<Side>,
    pub ring_ms: i64,
    /// Whose mailbox it is sent to.
    pub mailbox: Option<String>,
    /// Why it is refused there.
    pub cause: Option<String>,
}

impl Play {
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.caller.leg
    }

    /// When it ends by itself.
    #[must_use]
    pub fn planned_end(&self) -> i64 {
        self.began + self.ring_ms + self.talk_ms
    }

    /// Who answers.
    #[must_use]
    pub fn taker(&self) -> Option<&Side> {
        self.rung.get(self.taken_by?)
    }

    /// The party of a leg.
    #[must_use]
    pub fn side(&self, leg: Uuid) -> Option<&Side> {
        let sent =
            self.acts.iter().filter_map(|act| if let Deed::Sent(sent) = &act.deed { Some(&sent.rung) } else { None });
        std::iter::once(&self.caller).chain(&self.rung).chain(sent.flatten()).find(|side| side.leg == leg)
    }

    /// When somebody or something answers.
    pub(super) fn answered(&self) -> Option<i64> {
        let is_answered = self.taken_by.is_some() || self.plays_itself || self.mailbox.is_some();
        is_answered.then_some(self.began + self.ring_ms)
    }

    pub(super) fn queue_name(&self) -> Option<String> {
        Some(format!("{}.{}", self.queue?.simple(), self.domain))
    }

    fn agent_name(&self, side: &Side) -> Option<String> {
        side.phone.as_ref().map(|phone| format!("{}@{}", phone.user, self.domain))
    }

    /// Why a rung phone's leg ends.
    fn cause_of(&self, side: &Side) -> &str {
        match self.taker() {
            Some(taker) if taker.leg == side.leg => "NORMAL_CLEARING",
            Some(_) => "LOSE_RACE",
            None => &self.cause,
        }
    }

    /// Why the caller's leg ends.
    fn callers_cause(&self) -> &str {
        if self.answered().is_some() { "NORMAL_CLEARING" } else { &self.cause }
    }

    /// When a rung phone's leg ends.
    fn end_of(&self, side: &Side) -> i64 {
        let is_taker = self.taker().is_some_and(|taker| taker.leg == side.leg);
        if is_taker { self.planned_end() } else { self.began + self.ring_ms }
    }

    pub(super) fn about(&self, side: &Side, at: i64) -> About {
        let is_caller = side.leg == self.caller.leg;
        About {
            call: Some(self.id()),
            maker: (!is_caller).then_some(self.id()),
            is_caller: Some(is_caller),
            line: Some(if side.phone.is_some() { Line::Phone } else { Line::Outside }),
            phone: side.phone.as_ref().map(|phone| (phone.user.clone(), self.domain.clone())),
            tenant: Some(self.tenant),
            extension: side.phone.as_ref().map(|phone| phone.extension),
            context: Some(self.domain.clone()),
            name: self.caller.phone.as_ref().map(|phone| phone.name.clone()),
            number: self.caller.number().map(ToOwned::to_owned),
            dialled: is_caller.then(|| self.dialled.clone()),
            created: Some(at * 1000),
            callee: (!is_caller).then(|| side.number.clone()).flatten(),
            is_withheld: self.caller.number().is_none(),
            is_simulated: true,
            ..About::default()
        }
    }

    /// What a switch would say if nothing were done to the call, in order. Every moment differs, as an event's id is made of it.
    pub(super) fn planned(&self) -> Vec<Said> {
        let mut says = Vec::new();
        let mut at: Micros = self.began * 1000;
        let mut say = |at: Micros, what: What| says.push(Said { at, what });
        let leg = |side: &Side, happened, about: About, cause: Option<&str>| {
            let cause = cause.map(ToOwned::to_owned);
            What::Leg(Box::new(OfLeg { leg: side.leg, happened, about, cause }))
        };
        let bare = || About { is_simulated: true, ..About::default() };
        let caller = &self.caller;
        say(at, leg(caller, Happened::Created, self.about(caller, self.began), None));
        if let Some(queue) = self.queue_name() {
            at += 1000;
            say(at, leg(caller, Happened::Answered, bare(), None));
            let (name, number) = (String::new(), caller.number().unwrap_or_default().to_owned());
            let joined = OfQueue::Joined { queue, member: caller.leg, leg: caller.leg, name, number };
            say(at + 500, What::Queue(Box::new(joined)));
        }
        for side in &self.rung {
            at += 1000;
            say(at, leg(side, Happened::Created, self.about(side, self.began), None));
            if let (Some(queue), Some(agent)) = (self.queue_name(), self.agent_name(side)) {
                let offered = OfQueue::Offered { queue, member: caller.leg, agent };
                say(at + 500, What::Queue(Box::new(offered)));
            }
        }
        at = at.max((self.began + self.ring_ms) * 1000);
        for side in self.rung.iter().filter(|side| Some(side.leg) != self.taker().map(|taker| taker.leg)) {
            at += 1000;
            say(at, leg(side, Happened::Ended, bare(), Some(self.cause_of(side))));
        }
        if let Some(taker) = self.taker() {
            at += 1000;
            say(at, leg(taker, Happened::Answered, bare(), None));
            if let (Some(queue), Some(agent)) = (self.queue_name(), self.agent_name(taker)) {
                let served = OfQueue::Served { queue, member: caller.leg, agent, agent_leg: Some(taker.leg) };
                say(at + 500, What::Queue(Box::new(served)));
            }
        }
        if self.answered().is_some() && self.queue.is_none() {
            at += 1000;
            say(at, leg(caller, Happened::Answered, bare(), None));
        }
        if let Some(taker) = self.taker() {
            at += 1000;
            let bridged = Happened::Bridged { a: caller.leg, b: taker.leg };
            say(at, leg(caller, bridged, bare(), None));
        }
        at = at.max(self.planned_end() * 1000);
        if let Some(queue) = self.queue_name() {
            at += 1000;
            say(at, What::Queue(Box::new(OfQueue::Left { queue, member: caller.leg })));
        }
        if let Some(taker) = self.taker() {
            at += 1000;
            say(at, leg(taker, Happened::Ended, bare(), Some("NORMAL_CLEARING")));
        }
        at += 1000;
        say(at, leg(caller, Happened::Ended, bare(), Some(self.callers_cause())));
        says
    }

    pub(super) fn record_of_caller(&self) -> Map<String, Value> {
        let mut record = Map::new();
        let mut put = |name: &str, value: &str| put(&mut record, name, value);
        put("direction", "inbound");
        put("call_uuid", &self.id().to_string());
        put("domain_name", &self.domain);
        put(channel::TENANT, &self.tenant.to_string());
        match (&self.caller.phone, &self.caller.number) {
            (Some(phone), _) => {
                put("user_name", &phone.user);
                put(channel::EXTENSION, &phone.extension.to_string());
                put("effective_caller_id_number", &phone.number);
            }
            (None, number) => put("sip_from_user", number.as_deref().unwrap_or("anonymous")),
        }
        put("sip_req_user", &self.dialled);
        put("hangup_cause", self.callers_cause());
        let by_caller = self.answered().is_some() || self.queue.is_some();
        put("sip_hangup_disposition", if by_caller { "recv_bye" } else { "send_refuse" });
        if let Some(taker) = self.taker() {
            put("bridge_uuid", &taker.leg.to_string());
            put("originate_disposition", "SUCCESS");
        }
        if let Some(mailbox) = self.mailbox.as_ref().filter(|_| self.taken_by.is_none()) {
            put("last_app", "voicemail");
            put("last_arg", &format!("default {} {mailbox}", self.domain));
            let seconds = self.talk_ms / 1000;
            let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            put("voicemail_message_len", &clock);
        }
        if let Some(queue) = self.queue_name() {
            put("cc_queue", &queue);
            put("cc_side", "member");
            put("cc_queue_joined_epoch", &(self.began / 1000).to_string());
            if let Some(at) = self.answered() {
                put("cc_queue_answered_epoch", &(at / 1000).to_string());
            } else {
                put("cc_queue_canceled_epoch", &(self.planned_end() / 1000).to_string());
                put("cc_cancel_reason", if self.outcome == Outcome::NoAnswer { "BREAK_OUT" } else { "TIMEOUT" });
            }
        }
        // A queue answers at once.
        let answered = if self.queue.is_some() { Some(self.began) } else { self.answered() };
        let bridged = self.answered().filter(|_| self.taken_by.is_some());
        times(&mut record, self.began, None, answered, bridged, self.planned_end());
        record
    }

    pub(super) fn record_of_rung(&self, side: &Side) -> Map<String, Value> {
        let mut record = Map::new();
        let mut put = |name: &str, value: &str| put(&mut record, name, value);
        let call = self.id().to_string();
        put("direction", "outbound");
        put("call_uuid", &call);
        put("originator", &call);
        put(channel::TENANT, &self.tenant.to_string());
        if let Some(phone) = &side.phone {
            put("dialed_user", &phone.user);
            put("dialed_domain", &self.domain);
            put(channel::EXTENSION, &phone.extension.to_string());
        }
        if let Some(number) = &side.number {
            put(channel::CALLEE, number);
        }
        if let Some(queue) = self.queue_name() {
            put("cc_queue", &queue);
            put("cc_side", "agent");
            put("cc_member_session_uuid", &call);
        }
        put("hangup_cause", self.cause_of(side));
        let is_taker = self.taker().is_some_and(|taker| taker.leg == side.leg);
        put("sip_hangup_disposition", if is_taker { "send_bye" } else { "send_cancel" });
        let rang = !matches!(self.outcome, Outcome::Unreachable | Outcome::Failed);
        let answered = self.answered().filter(|_| is_taker);
        times(&mut record, self.began, rang.then_some(self.began), answered, answered, self.end_of(side));
        record
    }
}

pub(super) fn put(record: &mut Map<String, Value>, name: &str, value: &str) {
    record.insert(name.to_owned(), utf8_percent_encode(value, NON_ALPHANUMERIC).to_string().into());
}

pub(super) fn times(
    record: &mut Map<String, Value>,
    began: i64,
    rang: Option<i64>,
    answered: Option<i64>,
    bridged: Option<i64>,
    end: i64,
) {
    let mut both = |micros: &str, seconds: &str, at: i64| {
        record.insert(micros.to_owned(), (at * 1000).to_string().into());
        record.insert(seconds.to_owned(), (at / 1000).to_string().into());
    };
    both("start_uepoch", "start_epoch", began);
    both("answer_uepoch", "answer_epoch", answered.unwrap_or_default());
    both("bridge_uepoch", "bridge_epoch", bridged.unwrap_or_default());
    both("end_uepoch", "end_epoch", end);
    record.insert("progress_uepoch".to_owned(), (rang.unwrap_or_default() * 1000).to_string().into());
}
