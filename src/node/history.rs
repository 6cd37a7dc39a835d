//! Judges whether a poll saw a later state of the database that this node knows, or a restored one that lost a future.
//!
//! A database has an *epoch*. A node renews it when it notices that the epoch began in another database, or that the database
//! went back in time: its transaction ids or a generation are lower than known. A node that sees a new epoch drops everything
//! and reads it anew. There is no I/O here, so a model can test restores at every point.

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

    /// Whether this snapshot sees what a committed transaction did.
    #[must_use]
    pub fn shows(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }
}

/// What one poll saw in its snapshot.
#[derive(Debug, Clone)]
pub struct Seen {
    pub snapshot: Snapshot,
    pub epoch: Uuid,
    /// Whether the epoch began in this very database.
    pub is_same: bool,
    /// Whether all triggers are there. A restore makes them last.
    pub is_whole: bool,
    pub heard: Vec<Heard>,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Believe none of it: the database is being restored.
    Wait,
    /// The database was restored: give it a new epoch instead of the one seen, and poll again.
    Renew,
    /// Poll again, for the whole table.
    Reread,
    /// Merge what changed since the last poll.
    Merge,
    /// Replace everything by the whole table. `replaced`: the epoch is another, so nothing known before counts.
    Replace { replaced: bool },
}

/// What a node knows about its database's history.
#[derive(Debug, Clone, Default)]
pub struct History {
    epoch: Option<Uuid>,
    /// The xmin of the last snapshot that was merged.
    xmin: u64,
    /// Whether the next poll reads the whole table.
    is_whole: bool,
    /// Whether a restore, finished or not, was seen since the last merge. After a second restore, it may look as if there had
    /// been none.
    was_restored: bool,
}

impl History {
    /// Makes the next poll read the whole table, because the connection is new or there is doubt.
    pub fn start_over(&mut self) {
        self.is_whole = true;
    }

    /// Notes that the database is being restored. Whatever comes next replaces what is known.
    pub fn restoring(&mut self) {
        self.was_restored = true;
    }

    /// The transaction from which on the next poll asks for changes; 0 means for everything.
    #[must_use]
    pub fn since(&self) -> u64 {
        if self.is_whole { 0 } else { self.xmin }
    }

    #[must_use]
    pub fn epoch(&self) -> Option<Uuid> {
        self.epoch
    }

    /// Judges what a poll saw that asked from [`History::since`]. `known`: the generations known when a poll of the whole
    /// table began.
    #[must_use]
    pub fn judge(&mut self, seen: &Seen, generations: &Generations, known: &Known) -> Step {
        let whole = self.since() == 0;
        let is_other = self.epoch.is_some_and(|epoch| epoch != seen.epoch);
        // The transaction ids of one database only rise.
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

    /// Notes that what was seen has been merged.
    pub fn took(&mut self, seen: &Seen) {
        self.epoch = Some(seen.epoch);
        self.xmin = seen.snapshot.xmin;
        self.is_whole = false;
        self.was_restored = false;
    }
}

/// Whether something is older than an earlier poll saw it.
fn went_back(seen: &Seen, generations: &Generations) -> bool {
    seen.heard.iter().any(|row| generations.polled(row.scope).is_some_and(|polled| row.generation < polled))
}

/// Whether something is older than known, or gone. Generations only rise, and their rows are never deleted.
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
        let heard = Heard {
            scope: A,
            generation,
            domain: Domain::parse("a.test").ok(),
            cluster: Uuid::nil(),
            former: super::super::generations::Former::default(),
            sandbox: false,
        };
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

    /// How a node judges one poll, of the whole table or of changes.
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
    fn a_restore_seen_half_way_is_remembered_when_all_looks_as_before() {
        let (mut history, generations) = node();
        history.restoring();
        history.start_over();
        let known = generations.begin_era();
        assert_eq!(history.judge(&seen(1, 101, 5), &generations, &known), Step::Replace { replaced: true });
    }

    #[test]
    fn news_from_a_fill_during_a_poll_is_no_sign_of_a_restore() {
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
    fn a_database_with_missing_triggers_is_not_believed() {
        let (mut history, generations) = node();
        let half = Seen { is_whole: false, is_same: false, ..seen(2, 101, 6) };
        assert_eq!(history.judge(&half, &generations, &Known::default()), Step::Wait);
    }
}
