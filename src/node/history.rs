//! Is what a poll saw the database that this node knows, later? Or one that was restored, and knows nothing of its future?
//!
//! A database has an *epoch*. It is renewed when somebody notices that the database is not the one the epoch began in, or that it
//! went back: by its transaction ids, or by a generation that is lower than one that is known. A node that sees another epoch than
//! its own drops everything and reads it anew. No I/O here: a model drives this through restores at every point.

use std::collections::HashMap;

use uuid::Uuid;

use super::generations::{Generations, Heard, Known};

/// Transactions as `pg_current_snapshot()` prints them: `xmin:xmax:xip,…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub text: String,
    pub xmin: u64,
    pub xmax: u64,
    running: Vec<u64>,
}

impl Snapshot {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        let running = running.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { text: text.to_owned(), xmin, xmax, running })
    }

    /// Did this snapshot see what a committed transaction did?
    #[must_use]
    pub fn shows(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }
}

/// What one poll saw, in one snapshot.
#[derive(Debug, Clone)]
pub struct Seen {
    pub snapshot: Snapshot,
    pub epoch: Uuid,
    /// Is it the database that the epoch began in?
    pub is_same: bool,
    /// Are all triggers there? A restore makes them last.
    pub is_whole: bool,
    pub heard: Vec<Heard>,
}

/// What is to be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing of it may be believed: the database is being restored.
    Wait,
    /// The database was restored: it gets a new epoch, in place of the one that was seen. Then another poll.
    Renew,
    /// Another poll, of the whole table.
    Reread,
    /// What changed since the last poll.
    Merge,
    /// The whole table. `replaced`: of another epoch, so that nothing that was known is worth anything.
    Replace { replaced: bool },
}

/// What a node knows of its database's history.
#[derive(Debug, Clone, Default)]
pub struct History {
    epoch: Option<Uuid>,
    /// The xmin of the last snapshot that was taken in.
    xmin: u64,
    /// Is the next poll one of the whole table?
    is_whole: bool,
    /// Was a restore seen, or half of one, since something was taken in? A second one may make it look as if it had not been.
    was_restored: bool,
}

impl History {
    /// The next poll reads the whole table: the connection is new, or there is doubt.
    pub fn start_over(&mut self) {
        self.is_whole = true;
    }

    /// The database was seen while it was restored. Whatever comes next replaces what is known.
    pub fn restoring(&mut self) {
        self.was_restored = true;
    }

    /// From which transaction on the next poll asks; 0: all.
    #[must_use]
    pub fn since(&self) -> u64 {
        if self.is_whole { 0 } else { self.xmin }
    }

    #[must_use]
    pub fn epoch(&self) -> Option<Uuid> {
        self.epoch
    }

    /// Judges what a poll saw that asked from [`History::since`]. `known`: as of its beginning, if it was of the whole table.
    #[must_use]
    pub fn judge(&mut self, seen: &Seen, generations: &Generations, known: &Known) -> Step {
        let whole = self.since() == 0;
        let is_other = self.epoch.is_some_and(|epoch| epoch != seen.epoch);
        // Transaction ids of one database only rise.
        let is_older = self.epoch.is_some() && !is_other && seen.snapshot.xmin < self.xmin;
        self.was_restored |= !seen.is_whole || !seen.is_same || is_other || is_older;
        if !seen.is_whole {
            return Step::Wait;
        }
        if !seen.is_same || is_older {
            return Step::Renew;
        }
        if !whole {
            let goes_on = !self.was_restored && !went_back(seen, generations);
            return if goes_on { Step::Merge } else { Step::Reread };
        }
        if !self.was_restored && has_less(seen, known) {
            self.was_restored = true;
            return Step::Renew;
        }
        Step::Replace { replaced: self.was_restored }
    }

    /// What was seen has been taken in.
    pub fn took(&mut self, seen: &Seen) {
        self.epoch = Some(seen.epoch);
        self.xmin = seen.snapshot.xmin;
        self.is_whole = false;
        self.was_restored = false;
    }
}

/// Is something older than an earlier poll saw it?
fn went_back(seen: &Seen, generations: &Generations) -> bool {
    seen.heard.iter().any(|row| generations.polled(row.scope).is_some_and(|polled| row.generation < polled))
}

/// Is something older than what was known, or gone? Generations only rise, and their rows stay.
fn has_less(seen: &Seen, known: &Known) -> bool {
    let now = seen.heard.iter().map(|row| (row.scope, row.generation)).collect::<HashMap<_, _>>();
    known.iter().any(|(scope, known)| now.get(scope).is_none_or(|now| now < known))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{node::generations::Standing, text::Domain};

    const A: Uuid = Uuid::from_u128(10);

    #[test]
    fn a_snapshot_shows_what_was_committed_before_it() {
        let snapshot = Snapshot::parse("100:105:100,103").unwrap();
        let shown = (98..108).filter(|xid| snapshot.shows(*xid)).collect::<Vec<_>>();
        assert_eq!(shown, [98, 99, 101, 102, 104]);
        assert!(Snapshot::parse("100:100:").unwrap().shows(99));
        assert!(!Snapshot::parse("100:100:").unwrap().shows(100));
        assert!(Snapshot::parse("nonsense").is_none());
    }

    fn seen(epoch: u128, xmin: u64, generation: u64) -> Seen {
        let heard = Heard { scope: A, generation, domain: Domain::parse("a.test").ok(), cluster: Uuid::nil() };
        let snapshot = Snapshot::parse(&format!("{xmin}:{xmin}:")).unwrap();
        Seen { snapshot, epoch: Uuid::from_u128(epoch), is_same: true, is_whole: true, heard: vec![heard] }
    }

    /// A node that has heard of generation 5 in epoch 1, at transaction 100.
    fn node() -> (History, Generations) {
        let (mut history, generations) =
            (History::default(), Generations::new(Duration::from_secs(1), |_, _| Standing::default()));
        let seen = seen(1, 100, 5);
        generations.replace(&seen.heard, false);
        history.took(&seen);
        (history, generations)
    }

    #[test]
    fn a_database_that_goes_on_is_merged() {
        let (mut history, generations) = node();
        assert_eq!(history.judge(&seen(1, 101, 6), &generations, &Known::default()), Step::Merge);
    }

    /// What a node makes of one poll, of the whole table or of what changed.
    fn judged(seen: &Seen, whole: bool) -> Step {
        let (mut history, generations) = node();
        if whole {
            history.start_over();
        }
        let known = generations.begin_era();
        history.judge(seen, &generations, &known)
    }

    #[test]
    fn a_database_that_went_back_gets_a_new_epoch() {
        assert_eq!(judged(&seen(1, 99, 5), false), Step::Renew, "its transactions");
        assert_eq!(judged(&seen(1, 101, 4), false), Step::Reread, "a generation");
        assert_eq!(judged(&seen(1, 101, 4), true), Step::Renew);
        assert_eq!(judged(&Seen { heard: vec![], ..seen(1, 101, 4) }, true), Step::Renew, "a row that is gone");
        assert_eq!(judged(&Seen { is_same: false, ..seen(1, 101, 5) }, false), Step::Renew, "another database");
    }

    #[test]
    fn what_was_seen_half_way_is_not_forgotten_when_all_looks_as_before() {
        let (mut history, generations) = node();
        history.restoring();
        history.start_over();
        let known = generations.begin_era();
        assert_eq!(history.judge(&seen(1, 101, 5), &generations, &known), Step::Replace { replaced: true });
    }

    #[test]
    fn what_a_fill_learns_during_a_poll_is_no_sign_of_a_restore() {
        let (mut history, generations) = node();
        history.start_over();
        let known = generations.begin_era();
        generations.scope(A).unwrap().raise(7);
        assert_eq!(history.judge(&seen(1, 101, 6), &generations, &known), Step::Replace { replaced: false });
        generations.replace(&seen(1, 101, 6).heard, false);
        history.took(&seen(1, 101, 6));
        assert_eq!(history.judge(&seen(1, 102, 6), &generations, &Known::default()), Step::Merge);
    }

    #[test]
    fn another_epoch_is_read_whole_and_replaces_everything() {
        let (mut history, generations) = node();
        assert_eq!(history.judge(&seen(2, 7, 4), &generations, &Known::default()), Step::Reread);
        history.start_over();
        assert_eq!(
            history.judge(&seen(2, 7, 4), &generations, &generations.begin_era()),
            Step::Replace { replaced: true }
        );
    }

    #[test]
    fn tables_that_are_not_whole_are_not_believed() {
        let (mut history, generations) = node();
        let half = Seen { is_whole: false, is_same: false, ..seen(2, 101, 6) };
        assert_eq!(history.judge(&half, &generations, &Known::default()), Step::Wait);
    }
}
