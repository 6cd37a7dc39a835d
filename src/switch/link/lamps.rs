//! Lamps on phones' keys for what is no call ([`Lamp`]): do not disturb, forwards, waiting callers and agents.
//!
//! A phone watches such a key (SUBSCRIBE, `Event: dialog`). The switch keeps who watches what, says that there is no call, and asks whoever may
//! know more, by an event with the watch's Call-ID (`PRESENCE_PROBE`, `sofia_presence_handle_sip_i_subscribe` in sofia_presence.c). It tells the
//! phones what a `PRESENCE_IN` says, either that one watch or all who watch the key (`actual_sofia_presence_event_handler`): so whoever holds
//! the link answers, and sends each change. If no node is linked, the lamp is off.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use uuid::Uuid;

use super::{
    VisitError, callcenter,
    ear::Heard,
    lamps_store::{self as store, Extension},
    pushes::{AgentName, QueueName},
    socket::{Talk, Unanswered},
};
use crate::{
    model::lamp::Lamp,
    node::changes::Changes,
    routing::address,
    text::{Domain, ExtensionNumber},
};

/// The most watches that are kept until they are answered. A phone whose watch is not answered asks again when it renews it.
const MOST_ASKED: usize = 4000;
/// The most that are answered at once.
const MOST: usize = 200;
/// The most extensions that a switch is told of in one visit.
const MOST_NEWS: i64 = 200;
/// The most numbers, each with all its lamps.
const MOST_MOVED: i64 = 50;
/// A change in a queue is looked at twice: the event may come a moment before the module has written it down.
const LOOKS: u8 = 2;

/// A phone that watches a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    lamp: Lamp,
    number: ExtensionNumber,
    /// As the phone writes it: perhaps one that the tenant had before.
    domain: Domain,
    /// `None`: all who watch it.
    call_id: Option<CallId>,
}

/// The Call-ID of a watch: the phone's own text, which becomes a line of an event. Whatever follows a line break would be another header.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CallId(String);

impl CallId {
    fn parse(text: &str) -> Option<Self> {
        let is_plain = (1..=250).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_plain.then(|| Self(text.to_owned()))
    }
}

impl Asked {
    /// Reads a `PRESENCE_PROBE`.
    fn read(to: &str, call_id: &str) -> Option<Self> {
        let (key, domain) = to.split_once('@')?;
        let (lamp, number) = Lamp::read(key)?;
        Some(Self { lamp, number, domain: Domain::parse(domain).ok()?, call_id: Some(CallId::parse(call_id)?) })
    }
}

#[derive(Debug, Default)]
struct News {
    asked: Vec<Asked>,
    /// Queues in which something happened, and how often to look yet.
    queues: BTreeMap<QueueName, u8>,
    /// Agents whose status changed.
    agents: BTreeSet<AgentName>,
}

/// What a link has heard about lamps.
#[derive(Debug, Default)]
pub struct Lamps {
    news: Mutex<News>,
    /// What was told of queues last: whether somebody waits, and whether an agent is there.
    told: Mutex<HashMap<QueueName, [bool; 2]>>,
}

fn open<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lamps {
    /// Takes in an event. Returns whether there is something to tell.
    pub fn hear(&self, event: &Heard) -> bool {
        let get = |name| event.get(name).unwrap_or_default();
        match event.name() {
            "PRESENCE_PROBE" => {
                let Some(asked) = Asked::read(get("to"), get("sub-call-id")) else { return false };
                let mut news = open(&self.news);
                if news.asked.len() < MOST_ASKED {
                    news.asked.push(asked);
                }
                true
            }
            "CUSTOM" if event.subclass() == "callcenter::info" => self.hear_of_queue(get("CC-Action"), event),
            _ => false,
        }
    }

    fn hear_of_queue(&self, action: &str, event: &Heard) -> bool {
        match action {
            "member-queue-start"
            | "member-queue-resume"
            | "member-queue-end"
            | "bridge-agent-start"
            | "bridge-agent-fail"
            | "members-count" => {
                let Some(queue) = event.get("CC-Queue").and_then(|queue| queue.parse().ok()) else { return false };
                open(&self.news).queues.insert(queue, LOOKS);
                true
            }
            "agent-status-change" => {
                let Some(agent) = event.get("CC-Agent").and_then(|agent| agent.parse().ok()) else { return false };
                let mut news = open(&self.news);
                if news.agents.len() < MOST_ASKED {
                    news.agents.insert(agent);
                }
                true
            }
            _ => false,
        }
    }

    /// Has the state of all queues told: what happened before the link was up is not known.
    pub(super) async fn begin(&self, talk: &Talk) -> Result<(), Unanswered> {
        let queues = callcenter::ask(talk).await?.unwrap_or_default();
        open(&self.news).queues.extend(queues.names.into_iter().map(|queue| (queue, 1)));
        Ok(())
    }

    /// Whether there is something to tell.
    pub fn has_news(&self) -> bool {
        let news = open(&self.news);
        !(news.asked.is_empty() && news.queues.is_empty() && news.agents.is_empty())
    }

    /// Answers phones that watch a key, and tells what changed in queues.
    pub(super) async fn tell(&self, changes: &Changes, talk: &Talk, cluster: Uuid) -> Result<(), VisitError> {
        let (asked, agents) = {
            let mut news = open(&self.news);
            let some = news.asked.len().min(MOST);
            (news.asked.drain(..some).collect::<Vec<_>>(), std::mem::take(&mut news.agents))
        };
        if !asked.is_empty() {
            self.was_answered(answer(changes, talk, cluster, &asked).await?);
        }
        if !agents.is_empty() {
            let queues = callcenter::ask(talk).await?.unwrap_or_default();
            let mut news = open(&self.news);
            for (queue, _) in queues.tiers.into_iter().filter(|(_, agent)| agents.contains(agent)) {
                news.queues.insert(queue, LOOKS);
            }
        }
        let touched = open(&self.news).queues.keys().take(MOST).cloned().collect::<Vec<_>>();
        for queue in touched {
            self.look_at(changes, talk, cluster, &queue).await?;
        }
        Ok(())
    }

    /// One watch was told of these queues. Where all others were told something else, all are told again: somebody may have come and gone
    /// before the queue is looked at, which would then show no change, and that one lamp would stay on.
    fn was_answered(&self, states: HashMap<QueueName, [bool; 2]>) {
        let mut told = open(&self.told);
        for (queue, state) in states {
            if told.get(&queue).is_some_and(|before| *before != state) {
                told.remove(&queue);
                open(&self.news).queues.entry(queue).or_insert(1);
            }
        }
    }

    /// Tells of a queue what has changed since it was told of last.
    async fn look_at(
        &self,
        changes: &Changes,
        talk: &Talk,
        cluster: Uuid,
        queue: &QueueName,
    ) -> Result<(), VisitError> {
        {
            let mut news = open(&self.news);
            match news.queues.get_mut(queue) {
                Some(looks) if *looks > 1 => *looks -= 1,
                _ => _ = news.queues.remove(queue),
            }
        }
        let Some(found) = store::queue(changes.pool(), cluster, queue.id()).await? else { return Ok(()) };
        let now = state_of(talk, queue).await?;
        let before = open(&self.told).insert(queue.clone(), now);
        for (at, lamp) in [Lamp::Waiting, Lamp::Agents].into_iter().enumerate() {
            let now = now[at];
            if before.is_none_or(|before| before[at] != now) {
                for domain in &found.domains {
                    show(talk, lamp, &found.number, domain, now, None).await?;
                }
            }
        }
        Ok(())
    }
}

/// Tells a switch of numbers that lead elsewhere, and of extensions whose handling of calls has changed.
pub(super) async fn tell_changes(
    changes: &Changes,
    talk: &Talk,
    cluster: Uuid,
    switch: Uuid,
) -> Result<(), VisitError> {
    let moved = store::moved(changes.pool(), switch, MOST_MOVED).await?;
    if !moved.is_empty() {
        let lamps = moved.iter().filter_map(|moved| {
            let (number, domain) = (ExtensionNumber::parse(&moved.number).ok()?, Domain::parse(&moved.domain).ok()?);
            let asked = move |lamp| Asked { lamp, number: number.clone(), domain: domain.clone(), call_id: None };
            Some(Lamp::all().map(asked))
        });
        answer(changes, talk, cluster, &lamps.flatten().collect::<Vec<_>>()).await?;
        store::told_numbers(changes.pool(), switch, &moved).await?;
    }
    for news in store::news(changes.pool(), switch, MOST_NEWS).await? {
        if let Some(extension) = &news.extension {
            for (lamp, is_on) in extension.lamps() {
                for domain in &extension.domains {
                    show(talk, lamp, &extension.number, domain, is_on, None).await?;
                }
            }
        }
        store::told(changes.pool(), switch, &news).await?;
    }
    Ok(())
}

impl Extension {
    fn lamps(&self) -> [(Lamp, bool); 2] {
        [(Lamp::DoNotDisturb, self.do_not_disturb), (Lamp::Forward, self.forwards)]
    }
}

/// Returns the states of the queues that were asked for.
async fn answer(
    changes: &Changes,
    talk: &Talk,
    cluster: Uuid,
    asked: &[Asked],
) -> Result<HashMap<QueueName, [bool; 2]>, VisitError> {
    let keys = asked.iter().map(|asked| (asked.domain.as_str(), asked.number.as_str())).collect::<Vec<_>>();
    let found = store::watched(changes.pool(), cluster, &keys).await?;
    let mut queues = HashMap::new();
    for (asked, found) in asked.iter().zip(found) {
        let is_on = match (asked.lamp, found.queue) {
            (Lamp::DoNotDisturb, _) => found.do_not_disturb,
            (Lamp::Forward, _) => found.forwards,
            (Lamp::Waiting | Lamp::Agents, None) => false,
            (Lamp::Waiting | Lamp::Agents, Some(id)) => {
                let Some(Ok(name)) = found.home.as_ref().map(|home| address(id, home).parse::<QueueName>()) else {
                    continue;
                };
                let state = if let Some(state) = queues.get(&name) {
                    *state
                } else {
                    let state = state_of(talk, &name).await?;
                    queues.insert(name, state);
                    state
                };
                state[usize::from(asked.lamp == Lamp::Agents)]
            }
        };
        show(talk, asked.lamp, &asked.number, &asked.domain, is_on, asked.call_id.as_ref()).await?;
    }
    Ok(queues)
}

/// Whether somebody waits in a queue, and whether one of its agents takes calls.
async fn state_of(talk: &Talk, queue: &QueueName) -> Result<[bool; 2], Unanswered> {
    let waits = !callcenter::who_waits(talk, queue).await?.is_empty();
    let serves = callcenter::who_serves(talk, queue).await?.iter().any(|agent| agent.is_available);
    Ok([waits, serves])
}

/// Has the switch tell phones the state of a lamp, as mod_valet_parking tells that of a slot (`valet_send_presence`).
async fn show(
    talk: &Talk,
    lamp: Lamp,
    number: &ExtensionNumber,
    domain: &Domain,
    is_on: bool,
    call_id: Option<&CallId>,
) -> Result<(), Unanswered> {
    let key = lamp.key(number);
    let (channel, answer, status) =
        if is_on { ("CS_ROUTING", "confirmed", "On") } else { ("CS_HANGUP", "terminated", "Off") };
    let mut headers = vec![
        ("proto", "sip".to_owned()),
        ("login", key.clone()),
        ("from", format!("{key}@{domain}")),
        ("force-status", status.to_owned()),
        ("rpid", if is_on { "active" } else { "unknown" }.to_owned()),
        ("event_type", "presence".to_owned()),
        ("alt_event_type", "dialog".to_owned()),
        ("event_count", "1".to_owned()),
        // What looks like a UUID is taken for a call's (`sofia_presence_sub_callback`).
        ("unique-id", key.replace('-', "")),
        ("channel-state", channel.to_owned()),
        ("answer-state", answer.to_owned()),
        ("presence-call-direction", "inbound".to_owned()),
    ];
    headers.extend(call_id.map(|id| ("call-id", id.0.clone())));
    talk.fire_presence(true, &headers).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_which_one_watch_was_told_otherwise_is_told_to_all_again() {
        let queue = format!("{}.acme.test", Uuid::from_u128(7).simple()).parse::<QueueName>().unwrap();
        let lamps = Lamps::default();
        for (told, answered, again) in [
            (None, [true, true], false),
            (Some([false, true]), [false, true], false),
            (Some([false, true]), [true, true], true),
            (Some([true, false]), [true, true], true),
        ] {
            *open(&lamps.told) = told.map(|state| (queue.clone(), state)).into_iter().collect();
            open(&lamps.news).queues.clear();
            lamps.was_answered(HashMap::from([(queue.clone(), answered)]));
            let is_known = open(&lamps.told).contains_key(&queue);
            assert_eq!((lamps.has_news(), is_known), (again, told.is_some() && !again), "{told:?} {answered:?}");
        }
    }

    #[test]
    fn a_watch_of_a_key_is_read_and_others_are_left_alone() {
        let asked = Asked::read("dnd-1001@acme.test", "abc@10.0.0.1").unwrap();
        assert_eq!(
            (asked.lamp, asked.number.as_str(), asked.domain.as_str()),
            (Lamp::DoNotDisturb, "1001", "acme.test")
        );
        for (to, call_id) in [
            ("1001@acme.test", "a"),
            ("park+1@acme.test", "a"),
            ("dnd-1001", "a"),
            ("dnd-1001@a b", "a"),
            ("dnd-1001@acme.test", ""),
            // A line of its own would be a header of the event.
            ("dnd-1001@acme.test", "a\nfrom: 1@other.test"),
        ] {
            assert!(Asked::read(to, call_id).is_none(), "{to} {call_id}");
        }
    }
}
