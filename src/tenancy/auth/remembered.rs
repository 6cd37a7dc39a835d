//! Whose credentials this node checked a short time ago, so that people go on seeing what goes on while the database is away.
//!
//! This opens reading of live state and nothing else. What is revoked meanwhile can't be seen, so it is bounded: a credential counts for
//! [`KEPT`] after the database last confirmed it. Until the database goes away, everything that is remembered is asked for every second
//! (`standing`), so what was revoked before is not let in.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::store::Live;
use crate::{node::servers, tenancy::keys, text::token::TokenHash};

/// For how long somebody is let in after the database confirmed their credential, and remembered after they showed it.
pub const KEPT: Duration = Duration::from_mins(5);
/// For how long nobody who is remembered waits for a database that did not answer. It ends as soon as the database answers again.
const PAUSE: Duration = Duration::from_secs(5);
/// The most that are remembered. Whoever asked longest ago is forgotten first.
const MOST: usize = 2000;

/// What was shown: never a token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    Key(TokenHash),
    Cookie(TokenHash),
    /// The session of an access token, which is checked apart.
    Session(Uuid),
}

/// Whose it is.
#[derive(Debug, Clone)]
pub enum Owner {
    Key(keys::store::Known),
    Person(Live),
}

struct Known {
    owner: Owner,
    confirmed: Instant,
    shown: Instant,
}

#[derive(Default)]
struct Inner {
    all: HashMap<Name, Known>,
    /// The database did not answer, and nobody asks again before this.
    away_until: Option<Instant>,
}

/// The credentials that this node knows.
#[derive(Default)]
pub struct Remembered(Mutex<Inner>);

/// Whether nobody could ask the database. Whatever it answers is an answer, unless it is starting, ending or not to be written to.
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(told) if told.code().as_deref() == Some("25006") => true,
        error => servers::may_pass(error),
    }
}

impl Remembered {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database confirmed a credential that was just shown.
    pub fn keep(&self, name: Name, owner: Owner) {
        let now = Instant::now();
        let mut inner = self.inner();
        inner.away_until = None;
        if inner.all.len() >= MOST && !inner.all.contains_key(&name) {
            inner.all.retain(|_, known| known.shown.elapsed() < KEPT);
            let oldest = inner.all.iter().min_by_key(|(_, known)| known.shown).map(|(name, _)| *name);
            if let Some(oldest) = oldest.filter(|_| inner.all.len() >= MOST) {
                inner.all.remove(&oldest);
            }
        }
        inner.all.insert(name, Known { owner, confirmed: now, shown: now });
    }

    pub fn forget(&self, name: &Name) {
        self.inner().all.remove(name);
    }

    /// Whose this is, if the database said so a short time ago.
    #[must_use]
    pub fn of(&self, name: &Name) -> Option<Owner> {
        let inner = self.inner();
        let known = inner.all.get(name).filter(|known| known.confirmed.elapsed() < KEPT)?;
        Some(known.owner.clone())
    }

    /// The database did not answer.
    pub fn note_away(&self) {
        self.inner().away_until = Some(Instant::now() + PAUSE);
    }

    /// Whether it did not answer a moment ago.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.inner().away_until.is_some_and(|until| Instant::now() < until)
    }

    /// All that is to be confirmed. Who did not come for long is forgotten.
    pub fn all(&self) -> Vec<(Name, Owner)> {
        let mut inner = self.inner();
        inner.all.retain(|_, known| known.shown.elapsed() < KEPT || known.confirmed.elapsed() < KEPT);
        inner.all.iter().map(|(name, known)| (*name, known.owner.clone())).collect()
    }

    /// What the database said of those, when it was asked at that moment.
    pub fn confirmed(&self, asked: Instant, all: impl Iterator<Item = (Name, bool)>) {
        let mut inner = self.inner();
        inner.away_until = None;
        for (name, still) in all {
            match inner.all.get_mut(&name) {
                // Nobody who has not come for long is kept alive by being asked for.
                Some(known) if still && known.shown.elapsed() < KEPT => known.confirmed = known.confirmed.max(asked),
                Some(known) if !still && known.confirmed <= asked => drop(inner.all.remove(&name)),
                _ => {}
            }
        }
    }
}
