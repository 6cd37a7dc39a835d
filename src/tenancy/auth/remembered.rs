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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenancy::auth::rules::Role;

    fn person(n: u128) -> Owner {
        let (session, user) = (Uuid::from_u128(n), Uuid::from_u128(n));
        let (email, name) = ("ada@acme.test".to_owned(), "Ada".to_owned());
        Owner::Person(Live {
            session,
            user,
            tenant: None,
            email,
            name,
            role: Role::PlatformAdmin,
            language: None,
            totp_missing: false,
        })
    }

    fn name(n: u128) -> Name {
        Name::Session(Uuid::from_u128(n))
    }

    #[test]
    fn what_the_database_no_longer_confirms_is_forgotten_and_what_is_shown_meanwhile_stays() {
        let all = Remembered::default();
        all.keep(name(1), person(1));
        all.keep(name(2), person(2));
        let asked = Instant::now();
        // Signed in anew after the database was asked: its answer says nothing of this.
        all.keep(name(2), person(2));
        all.confirmed(asked, [(name(1), false), (name(2), false)].into_iter());
        assert!(all.of(&name(1)).is_none());
        assert!(all.of(&name(2)).is_some());
    }

    #[test]
    fn a_credential_counts_for_minutes_after_it_was_confirmed() {
        let all = Remembered::default();
        all.keep(name(1), person(1));
        let Some(before) = Instant::now().checked_sub(KEPT) else { return };
        all.inner().all.get_mut(&name(1)).unwrap().confirmed = before;
        assert!(all.of(&name(1)).is_none());
        all.confirmed(Instant::now(), [(name(1), true)].into_iter());
        assert!(all.of(&name(1)).is_some());
        // It is not kept by being asked for alone.
        let mut inner = all.inner();
        let known = inner.all.get_mut(&name(1)).unwrap();
        (known.confirmed, known.shown) = (before, before);
        drop(inner);
        all.confirmed(Instant::now(), [(name(1), true)].into_iter());
        assert!(all.of(&name(1)).is_none() && all.all().is_empty());
    }

    #[test]
    fn so_many_are_remembered_and_whoever_came_first_is_forgotten_first() {
        let all = Remembered::default();
        for n in 0..=MOST as u128 {
            all.keep(name(n), person(n));
        }
        assert_eq!(all.all().len(), MOST);
        assert!(all.of(&name(0)).is_none() && all.of(&name(MOST as u128)).is_some());
    }

    #[test]
    fn the_database_is_away_until_it_answers() {
        let all = Remembered::default();
        assert!(!all.is_away());
        all.note_away();
        assert!(all.is_away());
        all.confirmed(Instant::now(), std::iter::empty());
        assert!(!all.is_away());
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert!(is_away(&error), "{error}");
        }
        assert!(!is_away(&sqlx::Error::RowNotFound));
    }
}
