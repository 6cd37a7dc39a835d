//! Events for clients: what they are about, and who gets them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::views::At;
use crate::model::topic::Topic;

/// An event, as it is kept and sent.
#[derive(Debug)]
pub struct Event {
    /// Counted by each node for itself.
    pub number: u64,
    new: New,
    texts: [OnceLock<Arc<str>>; 3],
}

impl Deref for Event {
    type Target = New;

    fn deref(&self) -> &New {
        &self.new
    }
}

/// Those among whom an event is about who withhold their numbers: others who may hear of their own only don't find them by a filter either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concealed {
    /// What each of them sees, who sees themselves.
    pub people: BTreeMap<Uuid, Value>,
    /// The numbers of their extensions, and whose each is.
    pub extensions: HashMap<String, Option<Uuid>>,
}

impl Concealed {
    /// Whether `person` may know that it is about this agent.
    #[must_use]
    pub fn shows_agent(&self, agent: Uuid, person: Option<Uuid>) -> bool {
        person.is_none() || person == Some(agent) || !self.people.contains_key(&agent)
    }

    /// Whether `person` may know that it is about this extension.
    #[must_use]
    pub fn shows_extension(&self, number: &str, person: Option<Uuid>) -> bool {
        person.is_none() || self.extensions.get(number).is_none_or(|owner| *owner == person)
    }
}

/// What a client may hear of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Platform,
    Tenant,
    Own,
}

impl Event {
    /// The message for a client. `person`: who may hear of their own only. `node`: what cursors of this node begin with.
    pub fn text(&self, audience: Audience, person: Option<Uuid>, node: &str) -> Arc<str> {
        if let Some(seen) = person.and_then(|person| self.concealed.people.get(&person)) {
            return self.message(seen, node);
        }
        let place = match audience {
            Audience::Platform => 0,
            Audience::Tenant => 1,
            Audience::Own => 2,
        };
        let text = self.texts[place].get_or_init(|| {
            let mut data = match (audience, &self.own) {
                (Audience::Own, Some(own)) => own.clone(),
                _ => self.data.clone(),
            };
            if audience == Audience::Platform
                && let Some(data) = data.as_object_mut()
            {
                locate(data, &self.place);
                let phones = data.get_mut("phones").and_then(Value::as_array_mut).into_iter().flatten();
                for (phone, place) in phones.filter_map(Value::as_object_mut).zip(&self.places) {
                    locate(phone, place);
                }
            }
            self.message(&data, node)
        });
        Arc::clone(text)
    }

    fn message(&self, data: &Value, node: &str) -> Arc<str> {
        let cursor = cursor(node, self.number);
        json!({ "type": "event", "cursor": cursor, "topic": self.topic, "at": self.at, "data": data })
            .to_string()
            .into()
    }
}

/// Says where something is.
fn locate(data: &mut serde_json::Map<String, Value>, place: &At) {
    data.extend(place.switch_id.map(|id| ("switch_id".to_owned(), json!(id))));
    data.extend(place.switch.as_ref().map(|name| ("switch".to_owned(), json!(name))));
}

/// The cursor after an event.
#[must_use]
pub fn cursor(node: &str, number: u64) -> String {
    format!("{node}-{number}")
}

/// What goes to clients.
#[derive(Debug, Clone)]
pub enum Sent {
    Event(Arc<Event>),
    /// A switch is heard again, or not any more: whoever listens needs a snapshot.
    Anew(Uuid),
}

/// What happened.
#[derive(Debug)]
pub struct New {
    pub topic: Topic,
    /// `None`: only the platform's.
    pub tenant: Option<Uuid>,
    /// The agents whom it is about. They hear it although they may only hear of their own.
    pub people: BTreeSet<Uuid>,
    /// The numbers of the extensions that it is about.
    pub extensions: BTreeSet<String>,
    /// The queues that it is about: of an agent, those that they serve.
    pub queues: BTreeSet<Uuid>,
    pub at: DateTime<Utc>,
    /// Whether the switch said when it was. Otherwise each node has a time of its own.
    pub is_timed: bool,
    pub data: Value,
    /// For those who may only hear of their own, if they hear less.
    pub own: Option<Value>,
    pub concealed: Concealed,
    /// Whether something ended only for whom it is about, and goes on for others.
    pub is_parting: bool,
    pub place: At,
    /// Where each of the `phones` in the data is: an event may be about several on several switches.
    pub places: Vec<At>,
}

/// How many messages may wait for a slow client. After that, it gets a snapshot.
const MOST_WAITING: usize = 512;
/// How many events are kept for those who come back.
const MOST_KEPT: usize = 10_000;
/// For how long events are still made after the last client has left, in case it comes back.
const LINGERS: Duration = Duration::from_mins(2);

struct Kept {
    number: u64,
    /// Cursors before this are too old.
    oldest: u64,
    events: VecDeque<Arc<Event>>,
    of_tenants: HashMap<Uuid, broadcast::Sender<Sent>>,
    platform: broadcast::Sender<Sent>,
    left_at: Option<Instant>,
    is_closed: bool,
}

/// Hands events to clients of this node.
pub struct Bus {
    /// What this node's cursors begin with: another node counts otherwise.
    pub node: String,
    kept: Mutex<Kept>,
    clients: AtomicUsize,
}

impl Default for Bus {
    fn default() -> Self {
        let kept = Kept {
            number: 0,
            oldest: 0,
            events: VecDeque::new(),
            of_tenants: HashMap::new(),
            platform: broadcast::channel(MOST_WAITING).0,
            left_at: None,
            is_closed: false,
        };
        let node = Uuid::new_v4().simple().to_string()[..12].to_owned();
        Self { node, kept: Mutex::new(kept), clients: AtomicUsize::new(0) }
    }
}

/// A client's place at the bus.
pub struct Seat {
    pub bus: Arc<Bus>,
    pub receiver: broadcast::Receiver<Sent>,
    /// What it missed, if it came back in time.
    pub missed: Option<Vec<Arc<Event>>>,
    /// The last event before it came.
    pub number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.bus.clients.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.bus.kept().left_at = Some(Instant::now());
        }
    }
}

impl Bus {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Acquire)
    }

    /// Whether anybody listens, or did a moment ago.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        if self.clients() > 0 {
            return true;
        }
        let mut kept = self.kept();
        let lingers = kept.left_at.is_some_and(|left| left.elapsed() < LINGERS);
        if !lingers && !kept.events.is_empty() {
            kept.events.clear();
        }
        if !lingers {
            // What happens now is in no event.
            kept.number += 1;
            kept.oldest = kept.number;
        }
        lingers
    }

    /// The number of the last event.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.kept().number
    }

    /// Takes a seat; `None` if the node stops. `cursor`: the last event that the client has, on whichever node.
    pub fn sit(self: &Arc<Self>, tenant: Option<Uuid>, cursor: Option<&str>) -> Option<Seat> {
        let after = cursor.and_then(|cursor| cursor.strip_prefix(&self.node)?.strip_prefix('-')?.parse::<u64>().ok());
        let mut kept = self.kept();
        if kept.is_closed {
            return None;
        }
        self.clients.fetch_add(1, Ordering::AcqRel);
        let receiver = match tenant {
            Some(tenant) => {
                kept.of_tenants.retain(|_, sender| sender.receiver_count() > 0);
                let sender = kept.of_tenants.entry(tenant).or_insert_with(|| broadcast::channel(MOST_WAITING).0);
                sender.subscribe()
            }
            None => kept.platform.subscribe(),
        };
        let number = kept.number;
        let is_recent = |after: &u64| *after >= kept.oldest && *after <= number;
        let missed = after.filter(is_recent).map(|after| {
            let news = kept.events.iter().filter(|event| event.number > after);
            news.filter(|event| tenant.is_none() || event.tenant == tenant).cloned().collect()
        });
        Some(Seat { bus: Arc::clone(self), receiver, missed, number })
    }

    /// Sends an event to whoever may hear it.
    pub fn publish(&self, new: New) {
        let mut kept = self.kept();
        kept.number += 1;
        let tenant = new.tenant;
        let event = Event { number: kept.number, new, texts: Default::default() };
        let event = Arc::new(event);
        kept.events.push_back(Arc::clone(&event));
        if kept.events.len() > MOST_KEPT
            && let Some(oldest) = kept.events.pop_front()
        {
            kept.oldest = oldest.number;
        }
        // Nobody there is no fault.
        if let Some(sender) = tenant.and_then(|tenant| kept.of_tenants.get(&tenant)) {
            let _ = sender.send(Sent::Event(Arc::clone(&event)));
        }
        let _ = kept.platform.send(Sent::Event(event));
    }

    /// Tells everybody that what is known of a cluster's switch begins anew. Whoever comes back later needs a snapshot as well.
    pub fn anew(&self, cluster: Uuid) {
        let mut kept = self.kept();
        kept.number += 1;
        kept.oldest = kept.number;
        kept.events.clear();
        for sender in kept.of_tenants.values().chain([&kept.platform]) {
            let _ = sender.send(Sent::Anew(cluster));
        }
    }

    /// Ends all streams: the node stops.
    pub fn close(&self) {
        let mut kept = self.kept();
        kept.is_closed = true;
        kept.of_tenants.clear();
        kept.platform = broadcast::channel(1).0;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::RecvError;

    use super::*;

    const TENANT: Uuid = Uuid::from_u128(1);

    fn publish(bus: &Bus, tenant: Uuid) {
        bus.publish(New {
            topic: Topic::PresenceUpdate,
            tenant: Some(tenant),
            people: BTreeSet::new(),
            extensions: BTreeSet::new(),
            queues: BTreeSet::new(),
            at: Utc::now(),
            is_timed: true,
            data: json!({ "phones": [{ "call_id": "a" }, { "call_id": "b" }] }),
            own: None,
            concealed: Concealed::default(),
            is_parting: false,
            place: At { switch_id: Some(Uuid::nil()), switch: Some("fs1".into()) },
            places: ["fs2", "fs3"].map(|name| At { switch_id: None, switch: Some(name.into()) }).into(),
        });
    }

    #[tokio::test]
    async fn a_client_that_does_not_keep_up_is_told_so_and_nothing_grows() {
        let bus = Arc::new(Bus::default());
        let mut seat = bus.sit(Some(TENANT), None).unwrap();
        for _ in 0..=MOST_WAITING {
            publish(&bus, TENANT);
        }
        assert!(matches!(seat.receiver.recv().await, Err(RecvError::Lagged(1))));
        for _ in 0..2 * MOST_KEPT {
            publish(&bus, TENANT);
        }
        assert_eq!(bus.kept().events.len(), MOST_KEPT);
        // Its last event is no longer there.
        assert!(bus.sit(Some(TENANT), Some(&cursor(&bus.node, 5))).unwrap().missed.is_none());
    }

    #[test]
    fn whoever_comes_back_gets_what_it_missed_of_its_own_tenant() {
        let bus = Arc::new(Bus::default());
        let seat = bus.sit(Some(TENANT), None).unwrap();
        publish(&bus, TENANT);
        publish(&bus, Uuid::from_u128(2));
        publish(&bus, TENANT);
        drop(seat);
        let numbers = |tenant: Option<Uuid>, after: u64| {
            let seat = bus.sit(tenant, Some(&cursor(&bus.node, after))).unwrap();
            seat.missed.as_ref().map(|missed| missed.iter().map(|event| event.number).collect::<Vec<_>>())
        };
        assert_eq!(numbers(Some(TENANT), 1), Some(vec![3]));
        assert_eq!(numbers(None, 0), Some(vec![1, 2, 3]));
        assert_eq!(numbers(None, 3), Some(Vec::new()));
        assert_eq!(numbers(None, 4), None, "of another life of this node");
        // What is known of a switch began anew meanwhile.
        bus.anew(Uuid::nil());
        assert_eq!(numbers(None, 3), None);
        bus.close();
        assert!(bus.sit(None, None).is_none());
    }

    #[test]
    fn only_the_platform_is_told_where_something_is() {
        let bus = Arc::new(Bus::default());
        publish(&bus, TENANT);
        let event = Arc::clone(&bus.kept().events[0]);
        let text = serde_json::from_str::<Value>(&event.text(Audience::Platform, None, &bus.node)).unwrap();
        let data = &text["data"];
        assert_eq!(
            [&data["switch"], &data["phones"][0]["switch"], &data["phones"][1]["switch"]],
            ["fs1", "fs2", "fs3"]
        );
        assert!(!event.text(Audience::Tenant, None, &bus.node).contains("fs1"));
        assert!(!event.text(Audience::Own, None, &bus.node).contains("switch"));
    }
}
