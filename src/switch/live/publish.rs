//! Makes events for clients out of changes of what is known.
//!
//! Changes are noted where they happen, in their order, with what can't be looked up later: how a call was at that moment. Names are put in by
//! one task, and what people would see no difference in is left out.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use chrono::Utc;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{sync::mpsc, time::Instant};
use uuid::Uuid;

use super::{
    Live, Watched,
    agents::{self, Who},
    call_now::{self, CallNow},
    change::{Aor, Change},
    events::{Concealed, New},
    leg::{Leg, Phase},
    levels,
    names::Names,
    said::Micros,
    select::{serving, today},
    show::{self, Scope},
    state::State,
    views::{At, time},
    whose::{Whose, id_of},
};
use crate::model::topic::Topic;

/// How many changes may wait for the publisher.
pub const MOST_WAITING: usize = 10_000;
/// How many last events are remembered, to leave out repeated ones.
const MOST_REMEMBERED: usize = 50_000;

/// After a queue's last news, its figures of today are looked at once more: its calls' records have come and are summed up by then.
const FIGURES_AFTER: Duration = levels::KEPT.saturating_add(Duration::from_secs(5));

/// A change that clients may hear of.
#[derive(Debug)]
pub struct Note {
    pub cluster: Uuid,
    pub place: At,
    pub at: Micros,
    pub what: Noted,
}

#[derive(Debug)]
pub enum Noted {
    /// With the tenants that it concerns.
    Incoming(Box<CallNow>, Uuid, BTreeSet<Uuid>),
    Call(Box<CallNow>, BTreeSet<Uuid>),
    /// Somebody left it: with everybody who was ever in it, as it was before, and as it is; and why their leg ended.
    Left(Box<[CallNow; 3]>, Option<String>, BTreeSet<Uuid>),
    /// With everybody who was ever in it, and with those who were in it at last; and why it ended.
    Ended(Box<CallNow>, Box<CallNow>, Option<String>, BTreeSet<Uuid>),
    Agent(Uuid, String),
    Queue(Uuid, Uuid),
    Phone(Uuid, Aor),
    Registration(Uuid, Aor),
    Gateway(Uuid, Uuid, bool, String),
    /// What is known of the switch begins anew.
    Anew,
}

/// What clients were told of the calls that are up.
#[derive(Debug, Default)]
pub struct Told {
    of: HashMap<Uuid, ToldOf>,
    /// Whether all calls that are up are there.
    is_whole: bool,
}

#[derive(Debug)]
struct ToldOf {
    /// With everybody who was ever in it.
    ever: CallNow,
    last: CallNow,
    tenants: BTreeSet<Uuid>,
}

impl Told {
    pub fn clear(&mut self) {
        self.of.clear();
        self.is_whole = false;
    }

    /// Is called before each change, which may be the first that anybody listens to: it may be the end of a call that is up, or of the leg by
    /// which it was somebody's.
    pub fn before(&mut self, is_wanted: bool, state: &State, whose: &Whose) {
        if is_wanted {
            self.fill(state, whose);
        } else {
            self.clear();
        }
    }

    /// Takes over the calls that are up: clients get them in their snapshots, and hear of their ends.
    pub fn fill(&mut self, state: &State, whose: &Whose) {
        if std::mem::replace(&mut self.is_whole, true) {
            return;
        }
        for id in state.calls.ids() {
            let now = CallNow::of(id, state, whose);
            if !now.legs.is_empty() {
                let tenants = whose.of_call(&state.calls.of(id));
                self.of.entry(id).or_insert_with(|| ToldOf { ever: now.clone(), last: now, tenants });
            }
        }
    }

    /// Notes what clients may hear of these changes.
    pub fn notes(&mut self, changes: &[Change], state: &State, whose: &Whose, switch: Uuid) -> Vec<Noted> {
        let mut noted = Vec::new();
        let causes = changes.iter().find_map(|change| match change {
            Change::LegOver(leg) => leg.cause.clone(),
            _ => None,
        });
        for change in changes {
            match change {
                Change::Leg(id) => noted.extend(incoming(*id, state, whose)),
                Change::Call(id) => {
                    let now = CallNow::of(*id, state, whose);
                    if now.legs.is_empty() {
                        continue;
                    }
                    let tenants = whose.of_call(&state.calls.of(*id));
                    for leg in &now.legs {
                        noted.extend(of_phone(leg, whose));
                    }
                    let told = self.of.entry(*id).or_insert_with(|| {
                        let (ever, last) = (now.clone(), now.clone());
                        ToldOf { ever, last, tenants: BTreeSet::new() }
                    });
                    told.ever.join(&now);
                    // Whoever has just left hears that it ended, and nothing more.
                    let mut recent = std::mem::replace(&mut told.last, now.clone());
                    recent.join(&now);
                    let left = told.tenants.difference(&tenants).copied().collect::<BTreeSet<_>>();
                    if !left.is_empty() {
                        let (ever, recent) = (Box::new(told.ever.clone()), Box::new(recent.clone()));
                        noted.push(Noted::Ended(ever, recent, causes.clone(), left));
                    }
                    if recent.legs.len() > now.legs.len() {
                        let calls = Box::new([told.ever.clone(), recent, now.clone()]);
                        noted.push(Noted::Left(calls, causes.clone(), tenants.clone()));
                    }
                    told.tenants.clone_from(&tenants);
                    noted.push(Noted::Call(Box::new(now), tenants));
                }
                Change::LegOver(leg) => noted.extend(of_phone(leg, whose)),
                Change::CallOver(id) => {
                    // One that was over before anybody could be told of it is known by the leg that ended.
                    let over = self.of.remove(id).or_else(|| over(*id, changes, whose));
                    if let Some(ToldOf { ever, last, tenants }) = over {
                        noted.push(Noted::Ended(Box::new(ever), Box::new(last), causes.clone(), tenants));
                    }
                }
                Change::Queue(name) => {
                    noted.extend(whose.of_name(name).zip(id_of(name)).map(|(t, q)| Noted::Queue(t, q)));
                }
                Change::Agent(name) => {
                    noted.extend(whose.of_name(name).map(|tenant| Noted::Agent(tenant, name.clone())));
                }
                Change::Registration(aor) => {
                    if let Some(tenant) = whose.of_domain(&aor.1) {
                        noted.push(Noted::Registration(tenant, aor.clone()));
                        noted.push(Noted::Phone(tenant, aor.clone()));
                    }
                }
                Change::Gateway(carrier) => {
                    let now = state.gateways.get(carrier);
                    let (is_up, state) = now.map_or((false, "DELETED"), |now| (now.is_up, now.state.as_str()));
                    noted.push(Noted::Gateway(*carrier, switch, is_up, state.to_owned()));
                }
                Change::Conference(_) | Change::Parked(_) => {}
            }
        }
        noted
    }
}

/// A call of which only its end was heard.
fn over(id: Uuid, changes: &[Change], whose: &Whose) -> Option<ToldOf> {
    let legs = changes.iter().filter_map(|change| match change {
        Change::LegOver(leg) if leg.call == id && !leg.is_inner() => Some(leg.as_ref().clone()),
        _ => None,
    });
    let legs = legs.collect::<Vec<_>>();
    let tenants = whose.of_call(&legs.iter().collect::<Vec<_>>());
    let owners = legs.iter().map(|leg| whose.of_leg(leg)).collect();
    let queue = legs.iter().find_map(|leg| leg.about.queue.clone());
    let call = CallNow { id, legs, owners, queue, waits: false };
    (!call.legs.is_empty()).then(|| ToldOf { ever: call.clone(), last: call, tenants })
}

/// A new leg that rings a phone.
fn incoming(id: Uuid, state: &State, whose: &Whose) -> Option<Noted> {
    let leg = state.calls.leg(id)?;
    let rings = leg.about.is_caller == Some(false) && leg.phase == Phase::Ringing && leg.about.phone.is_some();
    let tenant = whose.of_leg(leg).filter(|_| rings)?;
    let call = CallNow::of(leg.call, state, whose);
    Some(Noted::Incoming(Box::new(call), id, BTreeSet::from([tenant])))
}

/// A leg of a phone changes the presence of its extension, and perhaps an agent.
fn of_phone(leg: &Leg, whose: &Whose) -> Vec<Noted> {
    let Some((user, domain)) = &leg.about.phone else { return Vec::new() };
    let Some(tenant) = whose.of_domain(domain) else { return Vec::new() };
    let mut noted = vec![Noted::Phone(tenant, (user.as_str().into(), domain.as_str().into()))];
    noted.push(Noted::Agent(tenant, format!("{user}@{domain}")));
    noted
}

/// What an event is about, so that its repetition is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Call(Uuid, Uuid),
    Agent(Uuid, Who),
    Queue(Uuid, Uuid),
    Phone(Uuid, Aor),
    Registration(Uuid, Aor),
    Gateway(Uuid, Uuid),
}

pub struct Publisher {
    pub live: Arc<Live>,
    pub pool: PgPool,
    /// The last event of each thing.
    last: HashMap<Key, u64>,
    /// Queues whose figures of today may be others by then: a call's record comes after its end, and is summed up after that.
    later: Later,
}

/// In the order of their times, each once.
#[derive(Default)]
struct Later {
    times: VecDeque<(Instant, (Uuid, Uuid))>,
    queues: HashSet<(Uuid, Uuid)>,
}

impl Later {
    fn add(&mut self, tenant: Uuid, queue: Uuid) {
        if self.queues.insert((tenant, queue)) {
            self.times.push_back((Instant::now() + FIGURES_AFTER, (tenant, queue)));
        }
    }

    /// Waits until the time of the next has come, for ever if there is none.
    async fn next(&mut self) -> (Uuid, Uuid) {
        let Some((at, which)) = self.times.front().copied() else { return std::future::pending().await };
        tokio::time::sleep_until(at).await;
        self.times.pop_front();
        self.queues.remove(&which);
        which
    }
}

/// Whom and what an event is about.
#[derive(Default)]
struct About {
    people: BTreeSet<Uuid>,
    extensions: BTreeSet<String>,
    queues: BTreeSet<Uuid>,
    own: Option<Value>,
    concealed: Concealed,
    is_parting: bool,
    /// Where each of its phones is.
    places: Vec<At>,
}

impl About {
    /// What it says to those who may hear of their own only.
    fn texts(&mut self) -> impl Iterator<Item = &mut Value> {
        self.own.iter_mut().chain(self.concealed.people.values_mut())
    }
}

impl Publisher {
    #[must_use]
    pub fn new(live: Arc<Live>, pool: PgPool) -> Self {
        Self { live, pool, last: HashMap::new(), later: Later::default() }
    }

    pub async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Some(note) => self.take(note).await,
                    None => return,
                },
                (tenant, queue) = self.later.next() => {
                    self.queue(tenant, queue, 0).await;
                }
            }
        }
    }

    fn is_on(&self, tenant: Uuid, cluster: Uuid) -> bool {
        self.live.generations().scope(tenant).is_some_and(|slot| slot.cluster == cluster)
    }

    async fn names(&self, tenant: Uuid) -> Arc<Names> {
        self.live.names.of(tenant, self.live.generations(), &self.pool).await
    }

    async fn take(&mut self, note: Note) {
        let Note { cluster, place, at, what } = note;
        match what {
            Noted::Incoming(call, leg, tenants) => {
                for tenant in tenants {
                    self.incoming(&call, leg, tenant, at, &place).await;
                }
            }
            Noted::Call(call, tenants) => {
                for tenant in tenants {
                    let names = self.names(tenant).await;
                    let (data, about) = of_call(&call, &call, tenant, &names);
                    if self.is_news(Key::Call(tenant, call.id), &data) {
                        self.send(Topic::CallStateChanged, Some(tenant), at, data, about, place.clone());
                    }
                }
            }
            Noted::Ended(call, last, cause, tenants) => {
                for tenant in tenants {
                    self.last.remove(&Key::Call(tenant, call.id));
                    let names = self.names(tenant).await;
                    let (data, about) = of_call(&call, &last, tenant, &names);
                    self.ended(tenant, at, (data, about), cause.as_ref(), &place);
                }
            }
            Noted::Left(calls, cause, tenants) => {
                let [ever, before, now] = &*calls;
                for tenant in tenants {
                    let names = self.names(tenant).await;
                    let (data, about) = of_call(ever, before, tenant, &names);
                    let (_, stay) = of_call(now, now, tenant, &names);
                    let people = about.people.difference(&stay.people).copied().collect::<BTreeSet<_>>();
                    let extensions = about.extensions.difference(&stay.extensions).cloned().collect::<BTreeSet<_>>();
                    if !people.is_empty() || !extensions.is_empty() {
                        let about = About { people, extensions, is_parting: true, ..about };
                        self.ended(tenant, at, (data, about), cause.as_ref(), &place);
                    }
                }
            }
            Noted::Agent(tenant, name) => self.agent(tenant, name, at).await,
            Noted::Queue(tenant, id) => {
                if self.queue(tenant, id, at).await {
                    self.later.add(tenant, id);
                }
            }
            Noted::Phone(tenant, aor) => {
                let names = self.names(tenant).await;
                let presence = show::presence(&of(tenant), &self.live, &aor, &names);
                let about = about_phone(&aor, &names);
                self.tell(Key::Phone(tenant, aor), Topic::PresenceUpdate, tenant, at, &presence, about);
            }
            Noted::Registration(tenant, aor) => self.registration(tenant, aor, at).await,
            Noted::Gateway(carrier, switch, is_up, state) => {
                let data = json!({ "carrier_id": carrier, "up": is_up, "state": state });
                if self.is_news(Key::Gateway(carrier, switch), &data) {
                    let owner = self.live.carriers.owner(carrier, &self.pool).await;
                    // A switch has nothing to say of other clusters' tenants.
                    if owner.is_some_and(|tenant| !self.is_on(tenant, cluster)) {
                        return;
                    }
                    self.send(Topic::GatewayChanged, owner, at, data, About::default(), place);
                }
            }
            Noted::Anew => {
                self.last.clear();
                self.live.bus.anew(cluster);
            }
        }
    }

    fn ended(
        &self,
        tenant: Uuid,
        at: Micros,
        (mut data, mut about): (Value, About),
        cause: Option<&String>,
        place: &At,
    ) {
        for data in about.texts().chain([&mut data]) {
            data["state"] = json!("ended");
            data["ended_at"] = json!(time(at));
            data["cause"] = json!(cause);
        }
        self.send(Topic::CallEnded, Some(tenant), at, data, about, place.clone());
    }

    async fn incoming(&mut self, call: &CallNow, leg: Uuid, tenant: Uuid, at: Micros, place: &At) {
        let names = self.names(tenant).await;
        let (mut data, about) = of_call(call, call, tenant, &names);
        let rings = call.legs.iter().zip(&call.owners).find(|(one, _)| one.id == leg);
        let extension = rings.and_then(|(one, owner)| call_now::extension(one, *owner == Some(tenant), &names));
        let mut about = About {
            people: extension.and_then(|one| one.user).into_iter().collect(),
            extensions: extension.map(|one| one.number.clone()).into_iter().collect(),
            ..about
        };
        for data in about.texts().chain([&mut data]) {
            data["leg_id"] = json!(leg);
            data["extension"] = json!(extension.map(|one| &one.number));
        }
        self.send(Topic::CallIncoming, Some(tenant), at, data, about, place.clone());
    }

    /// `name`: any SIP username of theirs, perhaps with a domain.
    async fn agent(&mut self, tenant: Uuid, name: String, at: Micros) {
        let names = self.names(tenant).await;
        let username = name.split('@').next().unwrap_or(&name);
        let agents =
            agents::of_tenant(&of(tenant), &self.live, tenant, &names, Some(&BTreeSet::from([username.to_owned()])));
        let Some(entry) = agents.of_phone(username) else { return };
        let agent = entry.view();
        let extensions = entry.usernames.iter().filter_map(|one| names.of_phone(one)).map(|one| one.number.clone());
        let extensions = extensions.chain(agent.extension.clone()).collect();
        let about = About {
            people: agent.agent_id.into_iter().collect(),
            extensions,
            queues: entry.queues.clone(),
            ..About::default()
        };
        self.tell(Key::Agent(tenant, entry.who.clone()), Topic::AgentStatusUpdated, tenant, at, &agent, about);
    }

    /// Whether there was something to tell.
    async fn queue(&mut self, tenant: Uuid, id: Uuid, at: Micros) -> bool {
        let names = self.names(tenant).await;
        let levels = self.live.levels.of(tenant, self.live.generations(), &self.pool).await;
        let found = show::queue(&of(tenant), &self.live, id).remove(&(tenant, id));
        let Some((mut queue, serve)) = found else { return false };
        queue.today = today(levels.as_deref(), id);
        queue.agents = serving(&serve, &agents::of_tenant(&of(tenant), &self.live, tenant, &names, Some(&serve)));
        let mut own = queue.clone();
        show::name_queue(&mut queue, Some(&names), None);
        show::name_queue(&mut own, Some(&names), Some(Uuid::nil()));
        let own = serde_json::to_value(own).ok();
        let about = About { people: names.who_serves(id), queues: BTreeSet::from([id]), own, ..About::default() };
        self.tell(Key::Queue(tenant, id), Topic::QueueUpdate, tenant, at, &queue, about)
    }

    async fn registration(&mut self, tenant: Uuid, aor: Aor, at: Micros) {
        let names = self.names(tenant).await;
        // Only the platform's text says where they are.
        let everywhere = Scope { is_platform: true, ..of(tenant) };
        let mut phones = show::registrations_of(&everywhere, &self.live, Some(&aor));
        let places = phones.iter_mut().map(|phone| std::mem::take(&mut phone.it.at)).collect::<Vec<_>>();
        for phone in &mut phones {
            show::name_phone(&mut phone.it, Some(&names));
        }
        let known = names.of_phone(&aor.0);
        let data = json!({
            "tenant_id": tenant, "sip_username": aor.0, "extension_id": known.map(|one| one.id),
            "extension": known.map(|one| &one.number), "phones": phones.iter().map(|of| &of.it).collect::<Vec<_>>(),
        });
        let about = About { places, ..about_phone(&aor, &names) };
        // A phone that has gone from one switch to another is news for the platform.
        if self.is_news(Key::Registration(tenant, aor), &json!([data, about.places])) {
            self.send(Topic::RegistrationChanged, Some(tenant), at, data, about, At::default());
        }
    }

    /// Sends an event unless the last one of this thing said the same. Whether it was sent.
    fn tell(&mut self, key: Key, topic: Topic, tenant: Uuid, at: Micros, data: &impl Serialize, about: About) -> bool {
        let Ok(data) = serde_json::to_value(data) else { return false };
        let is_news = self.is_news(key, &data);
        if is_news {
            self.send(topic, Some(tenant), at, data, about, At::default());
        }
        is_news
    }

    fn is_news(&mut self, key: Key, data: &Value) -> bool {
        let mut hasher = DefaultHasher::new();
        data.to_string().hash(&mut hasher);
        if self.last.len() >= MOST_REMEMBERED {
            self.last.clear();
        }
        let now = hasher.finish();
        self.last.insert(key, now) != Some(now)
    }

    fn send(&self, topic: Topic, tenant: Option<Uuid>, at: Micros, data: Value, about: About, place: At) {
        let About { people, extensions, queues, own, concealed, is_parting, places } = about;
        let (at, is_timed) = if at == 0 { (Utc::now(), false) } else { (time(at), true) };
        self.live.bus.publish(New {
            topic,
            tenant,
            people,
            extensions,
            queues,
            at,
            is_timed,
            data,
            own,
            concealed,
            is_parting,
            place,
            places,
        });
    }
}

fn of(tenant: Uuid) -> Scope {
    Scope { tenant: Some(tenant), ..Scope::default() }
}

fn about_phone(aor: &Aor, names: &Names) -> About {
    let known = names.of_phone(&aor.0);
    About {
        people: known.and_then(|one| one.user).into_iter().collect(),
        extensions: known.map(|one| one.number.clone()).into_iter().collect(),
        ..About::default()
    }
}

/// `recent`: with those whom it is about.
fn of_call(call: &CallNow, recent: &CallNow, tenant: Uuid, names: &Names) -> (Value, About) {
    let shown = call.shown(tenant, At::default(), names, None);
    let all = recent.shown(tenant, At::default(), names, None);
    let people = all.legs.iter().filter_map(|leg| leg.agent_id).collect::<BTreeSet<_>>();
    let extensions = all.legs.iter().filter_map(|leg| leg.extension.clone()).collect();
    // Somebody who is no party, so that a withheld number stays that.
    let hidden = |call: &CallNow| call.shown(tenant, At::default(), names, Some(Uuid::nil()));
    let own = call.has_withheld().then(|| json!(hidden(call)));
    let mut concealed = Concealed::default();
    if recent.has_withheld() {
        for (leg, shown) in all.legs.iter().zip(hidden(recent).legs).filter(|(_, shown)| shown.extension.is_none()) {
            if let Some(agent) = leg.agent_id.filter(|agent| Some(*agent) != shown.agent_id) {
                let seen = || json!(call.shown(tenant, At::default(), names, Some(agent)));
                concealed.people.entry(agent).or_insert_with(seen);
            }
            concealed.extensions.extend(leg.extension.clone().map(|number| (number, leg.agent_id)));
        }
    }
    let queues = shown.queue_id.into_iter().collect();
    (json!(shown), About { people, extensions, queues, own, concealed, ..About::default() })
}

impl Live {
    /// Notes what clients may hear of changes at a switch, if anybody listens.
    pub(super) fn note(&self, watched: &Watched, told: &mut Told, changes: &[Change], state: &State, at: Micros) {
        if changes.is_empty() || !told.is_whole {
            return;
        }
        let whose = self.whose(watched);
        for what in told.notes(changes, state, &whose, watched.switch) {
            self.put(watched, at, what);
        }
    }

    pub(super) fn put(&self, watched: &Watched, at: Micros, what: Noted) {
        let place = At { switch_id: Some(watched.switch), switch: Some(watched.name.clone()) };
        let note = Note { cluster: watched.cluster, place, at, what };
        if self.notes.try_send(note).is_err() {
            // Clients see the whole state instead of what no longer fits.
            self.bus.anew(watched.cluster);
        }
    }
}
