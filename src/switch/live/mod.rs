//! What goes on right now at the switches: who is registered, who talks to whom, who waits in which queue.
//!
//! Every node listens to every switch itself ([`listen`]). What an event says ([`said`]) and what a switch lists ([`reads`]) change what is
//! known of it ([`state`]: [`registrations`], [`calls`], [`queues`], [`conferences`]). Nothing is guessed: as long as a node does not hear a
//! switch, it says since when it knows nothing of it. Whose a thing is ([`whose`]) is decided when somebody asks ([`show`], [`select`], [`views`],
//! [`api`]); how agents are ([`agents`]) also follows from what they chose ([`chosen`]). Changes become events for clients ([`publish`], [`events`]), who listen to them ([`stream`]) as long as they may ([`access`]).

pub mod access;
pub mod agents;
pub mod api;
pub mod call_now;
pub mod calls;
pub mod change;
pub mod chosen;
pub mod conferences;
pub mod ends;
pub mod events;
pub mod gone;
pub mod leg;
pub mod levels;
pub mod listen;
pub mod names;
pub mod outbox;
pub mod presence;
pub mod publish;
pub mod queues;
pub mod reads;
pub mod registrations;
pub mod said;
pub mod select;
pub mod show;
pub mod state;
pub mod stirred;
pub mod store;
pub mod stream;
pub mod views;
pub mod whose;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use self::{
    access::Streams,
    change::Change,
    chosen::AllChosen,
    events::Bus,
    levels::Levels,
    names::{AllNames, Carriers},
    publish::{Note, Noted, Told},
    queues::{QueueRow, TierRow},
    said::Said,
    state::{Lists, State},
    stirred::Stirred,
    store::Listed,
    whose::Whose,
};
use crate::{
    node::generations::Generations,
    switch::phones::{AllPhones, Phones},
};

/// How many events may wait for those who wait for one.
const MOST_AWAITED: usize = 1024;

/// The most events that may come while a switch's lists are read.
const MOST_KEPT: usize = 50_000;

/// What this node knows of all switches.
pub struct Live {
    pub names: AllNames,
    pub carriers: Carriers,
    pub levels: Levels,
    /// What agents have chosen.
    pub chosen: AllChosen,
    pub stirred: Stirred,
    pub bus: Arc<Bus>,
    pub access: Arc<Streams>,
    /// To the publisher.
    notes: mpsc::Sender<Note>,
    generations: Arc<Generations>,
    /// What fetches need of registrations.
    phones: Arc<AllPhones>,
    switches: RwLock<BTreeMap<Uuid, Arc<Watched>>>,
    /// Where calls of sandboxes are played, by cluster. They are no switches: nothing is ever sent there.
    players: RwLock<BTreeMap<Uuid, Arc<Watched>>>,
    /// Wakes whoever plays calls.
    pub plays: tokio::sync::Notify,
}

/// A switch that this node listens to.
pub struct Watched {
    pub switch: Uuid,
    pub name: String,
    pub cluster: Uuid,
    /// How to reach its event socket, with the password sealed.
    pub address: String,
    pub password: Vec<u8>,
    known: Mutex<Known>,
    gaps: AtomicU64,
    phones: Arc<Phones>,
    /// What it says, for those who wait for something.
    says: broadcast::Sender<Arc<Said>>,
}

/// What is known of a switch.
pub struct Known {
    /// Since when nothing is known of it. `None` while it is heard.
    pub unknown_since: Option<DateTime<Utc>>,
    pub state: State,
    /// What clients were told of its calls.
    told: Told,
    /// What it said since its lists are being read.
    kept: Option<Vec<Said>>,
}

impl Watched {
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is no switch, but where calls of sandboxes are played.
    #[must_use]
    pub fn is_played(&self) -> bool {
        self.switch.is_nil()
    }
}

impl Watched {
    /// How often this node stopped hearing it.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// What it says from now on, each after live state has it. Nothing of a switch that is unknown.
    #[must_use]
    pub fn hear(&self) -> broadcast::Receiver<Arc<Said>> {
        self.says.subscribe()
    }

    /// Has fetches know which phones are registered now.
    fn ring(&self, state: &State, changes: &[Change]) {
        for change in changes {
            if let Change::Registration(aor) = change {
                self.phones.set(&aor.0, &aor.1, &state.registrations.contacts(aor));
                self.phones.at(&aor.0, &aor.1, &state.registrations.addresses(aor));
            }
        }
    }

    /// Keeps what is said from now on, until the lists are there.
    fn reading(&self) {
        self.known().kept = Some(Vec::new());
    }
}

impl Live {
    /// With what the publisher is to make events of.
    #[must_use]
    pub fn new(generations: Arc<Generations>, phones: Arc<AllPhones>) -> (Self, mpsc::Receiver<Note>) {
        let (notes, noted) = mpsc::channel(publish::MOST_WAITING);
        let live = Self {
            names: AllNames::default(),
            carriers: Carriers::default(),
            levels: Levels::default(),
            chosen: AllChosen::default(),
            stirred: Stirred::default(),
            bus: Arc::default(),
            access: Arc::default(),
            notes,
            generations,
            phones,
            switches: RwLock::default(),
            players: RwLock::default(),
            plays: tokio::sync::Notify::new(),
        };
        (live, noted)
    }

    /// All switches, in the order of their ids.
    #[must_use]
    pub fn switches(&self) -> Vec<Arc<Watched>> {
        self.switches.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The switches of a switch's cluster, itself among them. `None` if it is not known what goes on at it.
    #[must_use]
    pub fn beside(&self, switch: Uuid) -> Option<Vec<Arc<Watched>>> {
        let mut all = self.switches();
        let own = all.iter().find(|one| one.switch == switch && one.known().unknown_since.is_none())?;
        let cluster = own.cluster;
        all.retain(|one| one.cluster == cluster);
        Some(all)
    }

    /// Where calls of sandboxes are played.
    #[must_use]
    pub fn players(&self) -> Vec<Arc<Watched>> {
        self.players.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Hears what is played for a tenant as if a switch had said it.
    pub fn play(&self, tenant: Uuid, said: Said) {
        let Some(slot) = self.generations.scope(tenant).filter(|slot| slot.sandbox) else { return };
        let mut players = self.players.write().unwrap_or_else(PoisonError::into_inner);
        let player = players.entry(slot.cluster).or_insert_with(|| {
            let known = Known { unknown_since: None, state: State::default(), told: Told::default(), kept: None };
            Arc::new(Watched {
                // Every node has the same, so that an event has the same id everywhere.
                switch: Uuid::nil(),
                name: "sandbox".to_owned(),
                cluster: slot.cluster,
                address: String::new(),
                password: Vec::new(),
                known: Mutex::new(known),
                gaps: AtomicU64::default(),
                phones: Arc::default(),
                says: broadcast::channel(MOST_AWAITED).0,
            })
        });
        let player = Arc::clone(player);
        drop(players);
        self.heard(&player, said);
    }

    #[must_use]
    pub fn whose(&self, watched: &Watched) -> Whose {
        Whose { generations: Arc::clone(&self.generations), cluster: watched.cluster }
    }

    #[must_use]
    pub fn generations(&self) -> &Generations {
        &self.generations
    }

    fn watch(&self, listed: &Listed) -> Arc<Watched> {
        let known =
            Known { unknown_since: Some(Utc::now()), state: State::default(), told: Told::default(), kept: None };
        let watched = Arc::new(Watched {
            switch: listed.switch,
            name: listed.name.clone(),
            cluster: listed.cluster,
            address: listed.address.clone(),
            password: listed.password.clone(),
            known: Mutex::new(known),
            gaps: AtomicU64::default(),
            phones: self.phones.watch(listed.switch),
            says: broadcast::channel(MOST_AWAITED).0,
        });
        let mut switches = self.switches.write().unwrap_or_else(PoisonError::into_inner);
        switches.insert(listed.switch, Arc::clone(&watched));
        watched
    }

    fn forget(&self, switch: Uuid) {
        let gone = self.switches.write().unwrap_or_else(PoisonError::into_inner).remove(&switch);
        self.phones.forget(switch);
        if let Some(gone) = gone {
            self.put(&gone, 0, Noted::Anew);
            self.stirred.all();
        }
    }

    /// The switch is not heard any more: what was known of it may be over.
    fn lost(&self, watched: &Watched) {
        let mut known = watched.known();
        if known.unknown_since.is_none() {
            known.unknown_since = Some(Utc::now());
            watched.gaps.fetch_add(1, Ordering::Relaxed);
            self.put(watched, 0, Noted::Anew);
        }
        known.state = State::default();
        watched.phones.lose();
        known.told.clear();
        known.kept = None;
        self.stirred.all();
    }

    fn heard(&self, watched: &Watched, said: Said) {
        let mut known = watched.known();
        if let Some(kept) = known.kept.as_mut().filter(|kept| kept.len() <= MOST_KEPT) {
            kept.push(said.clone());
        }
        // Before the first reading, an event says too little.
        if known.unknown_since.is_some() {
            return;
        }
        let at = said.at;
        let awaited = (watched.says.receiver_count() > 0).then(|| Arc::new(said.clone()));
        let Known { state, told, .. } = &mut *known;
        told.before(self.bus.is_wanted(), state, &self.whose(watched));
        let changes = state.heard(said);
        watched.ring(state, &changes);
        self.stirred.by(&changes, state, &self.whose(watched));
        self.note(watched, told, &changes, state, at);
        // Nobody may wait any more.
        let _ = awaited.map(|said| watched.says.send(said));
    }

    /// Takes over a switch's lists, and hears again what came meanwhile. `false` if that was too much.
    fn read(&self, watched: &Watched, lists: Lists) -> bool {
        let mut known = watched.known();
        let Some(kept) = known.kept.take().filter(|kept| kept.len() <= MOST_KEPT) else { return false };
        let Known { state, told, unknown_since, .. } = &mut *known;
        let began = lists.began;
        if unknown_since.is_none() {
            told.before(self.bus.is_wanted(), state, &self.whose(watched));
        }
        let mut changes = state.read(lists);
        for said in kept {
            changes.extend(state.heard(said));
        }
        if unknown_since.take().is_some() {
            if self.bus.is_wanted() {
                told.fill(state, &self.whose(watched));
            }
            let all = state.registrations.aors();
            watched.phones.begin(all.map(|(aor, contacts)| (&*aor.0, &*aor.1, contacts)));
            for (aor, _) in state.registrations.aors() {
                watched.phones.at(&aor.0, &aor.1, &state.registrations.addresses(aor));
            }
            self.stirred.all();
            self.put(watched, began, Noted::Anew);
        } else {
            watched.ring(state, &changes);
            self.stirred.by(&changes, state, &self.whose(watched));
            self.note(watched, told, &changes, state, began);
        }
        true
    }

    /// Takes over which queues a switch has, and who serves them.
    fn read_queues(&self, watched: &Watched, queues: Vec<QueueRow>, tiers: Vec<TierRow>) {
        let mut known = watched.known();
        let Known { state, told, unknown_since, .. } = &mut *known;
        if unknown_since.is_some() {
            return;
        }
        told.before(self.bus.is_wanted(), state, &self.whose(watched));
        let changes = state.queues.served(queues, tiers);
        self.stirred.by(&changes, state, &self.whose(watched));
        self.note(watched, told, &changes, state, 0);
    }
}

impl Live {
    /// Has clients told of an agent, by any SIP username of theirs, if they are not as they were. `at`: since when, by a switch's clock.
    pub fn tell_of_agent(&self, tenant: Uuid, username: &str, at: said::Micros) {
        if !self.bus.is_wanted() {
            return;
        }
        let cluster = self.generations.scope(tenant).map(|slot| slot.cluster).unwrap_or_default();
        let note = Note { cluster, place: views::At::default(), at, what: Noted::Agent(tenant, username.to_owned()) };
        if self.notes.try_send(note).is_err() {
            self.bus.anew(cluster);
        }
    }
}
