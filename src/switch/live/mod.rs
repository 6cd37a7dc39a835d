//! What goes on right now at the switches: who is registered, who talks to whom, who waits in which queue.
//!
//! Every node listens to every switch itself ([`listen`]). What an event says ([`said`]) and what a switch lists ([`reads`]) change what is
//! known of it ([`state`]: [`registrations`], [`calls`], [`queues`], [`conferences`]). Nothing is guessed: as long as a node does not hear a
//! switch, it says since when it knows nothing of it. Whose a thing is ([`whose`]) is decided when somebody asks ([`views`], [`api`]).

pub mod api;
pub mod calls;
pub mod change;
pub mod conferences;
pub mod gone;
pub mod leg;
pub mod listen;
pub mod names;
pub mod queues;
pub mod reads;
pub mod registrations;
pub mod said;
pub mod show;
pub mod state;
pub mod store;
pub mod views;
pub mod whose;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::{
    names::AllNames,
    said::Said,
    state::{Lists, State},
    store::Listed,
    whose::Whose,
};
use crate::node::generations::Generations;

/// The most events that may come while a switch's lists are read.
const MOST_KEPT: usize = 50_000;

/// What this node knows of all switches.
pub struct Live {
    pub names: AllNames,
    generations: Arc<Generations>,
    switches: RwLock<BTreeMap<Uuid, Arc<Watched>>>,
}

/// A switch that this node listens to.
pub struct Watched {
    pub switch: Uuid,
    pub name: String,
    pub cluster: Uuid,
    known: Mutex<Known>,
}

/// What is known of a switch.
pub struct Known {
    /// Since when nothing is known of it. `None` while it is heard.
    pub unknown_since: Option<DateTime<Utc>>,
    pub state: State,
    /// What it said since its lists are being read.
    kept: Option<Vec<Said>>,
}

impl Watched {
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The switch is not heard any more: what was known of it may be over.
    fn lost(&self) {
        let mut known = self.known();
        known.unknown_since.get_or_insert_with(Utc::now);
        known.state = State::default();
        known.kept = None;
    }

    fn reading(&self) {
        self.known().kept = Some(Vec::new());
    }

    fn heard(&self, said: Said) {
        let mut known = self.known();
        if let Some(kept) = known.kept.as_mut().filter(|kept| kept.len() <= MOST_KEPT) {
            kept.push(said.clone());
        }
        // Before the first reading, an event says too little.
        if known.unknown_since.is_none() {
            known.state.heard(said);
        }
    }

    /// Takes over a switch's lists, and hears again what came meanwhile. `false` if that was too much.
    fn read(&self, lists: Lists) -> bool {
        let mut known = self.known();
        let Some(kept) = known.kept.take().filter(|kept| kept.len() <= MOST_KEPT) else { return false };
        known.state.read(lists);
        for said in kept {
            known.state.heard(said);
        }
        known.unknown_since = None;
        true
    }
}

impl Live {
    #[must_use]
    pub fn new(generations: Arc<Generations>) -> Self {
        Self { names: AllNames::default(), generations, switches: RwLock::default() }
    }

    /// All switches, in the order of their ids.
    #[must_use]
    pub fn switches(&self) -> Vec<Arc<Watched>> {
        self.switches.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
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
        let known = Known { unknown_since: Some(Utc::now()), state: State::default(), kept: None };
        let watched = Arc::new(Watched {
            switch: listed.switch,
            name: listed.name.clone(),
            cluster: listed.cluster,
            known: Mutex::new(known),
        });
        let mut switches = self.switches.write().unwrap_or_else(PoisonError::into_inner);
        switches.insert(listed.switch, Arc::clone(&watched));
        watched
    }

    fn forget(&self, switch: Uuid) {
        self.switches.write().unwrap_or_else(PoisonError::into_inner).remove(&switch);
    }
}
