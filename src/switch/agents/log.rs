//! How agents were. Every node notes what it sees; the one that writes holds the first link of the cluster, and goes on where another
//! stopped.

use std::collections::{BTreeSet, HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    model::agent_status::Cause,
    switch::live::{
        agents::Shown,
        views::{AgentState, time},
    },
};

/// For how long a node remembers what another one should have written: longer than it takes to notice that this one is dead.
const REMEMBERED: TimeDelta = TimeDelta::seconds(30);
/// The most changes that wait for the database.
const MOST: usize = 50_000;

/// How somebody is from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub state: String,
    pub reason: Option<String>,
    pub cause: Option<Cause>,
    pub set_by: Option<String>,
    pub at: DateTime<Utc>,
}

impl Passed {
    fn of(shown: &Shown, at: DateTime<Utc>) -> Self {
        let Shown { state, reason, cause, set_by, .. } = shown;
        Self { state: state.as_str().to_owned(), reason: reason.clone(), cause: *cause, set_by: set_by.clone(), at }
    }

    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        (&self.state, &self.reason, self.cause, &self.set_by)
            == (&other.state, &other.reason, other.cause, &other.set_by)
    }
}

/// A change that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub tenant: Uuid,
    pub user: Uuid,
    pub now: Passed,
}

/// What this node has seen.
#[derive(Debug, Default)]
pub struct Log {
    last: HashMap<(Uuid, Uuid), Passed>,
    waiting: VecDeque<Logged>,
}

impl Log {
    /// Takes in how somebody is. Returns whether that is news.
    pub fn see(&mut self, tenant: Uuid, user: Uuid, shown: &Shown, now: DateTime<Utc>) -> bool {
        let since = shown.since.map(time);
        let known = self.last.get(&(tenant, user));
        // What is unknown is known since now. And a state that began before the one before, it goes back to: available, after a call of
        // which the queue knows nothing.
        let at = match (since, known) {
            (Some(since), Some(known)) if since >= known.at && since <= now => since,
            (Some(since), None) if since <= now => since,
            _ => now,
        };
        let passed = Passed::of(shown, at);
        if known.is_some_and(|known| known.is_as(&passed)) {
            return false;
        }
        // Nobody was seen before this node began to hear.
        if known.is_none() && shown.state == AgentState::Unknown {
            return false;
        }
        self.last.insert((tenant, user), passed.clone());
        if self.waiting.len() >= MOST {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Logged { tenant, user, now: passed });
        true
    }

    /// Everybody of a tenant whom this node saw.
    pub fn of_tenant(&self, tenant: Uuid) -> Vec<Uuid> {
        self.last.keys().filter(|(of, _)| *of == tenant).map(|(_, user)| *user).collect()
    }

    /// The tenants whose agents this node saw.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<Uuid> {
        self.last.keys().map(|(tenant, _)| *tenant).collect()
    }

    /// Takes what this node is to write, by tenant. What others write is forgotten after a while.
    pub fn take(&mut self, is_ours: impl Fn(Uuid) -> bool, now: DateTime<Utc>) -> Vec<Logged> {
        let mut taken = Vec::new();
        for entry in std::mem::take(&mut self.waiting) {
            if is_ours(entry.tenant) {
                taken.push(entry);
            } else if entry.now.at > now - REMEMBERED {
                self.waiting.push_back(entry);
            }
        }
        taken
    }

    /// Puts back what could not be written.
    pub fn put_back(&mut self, entries: Vec<Logged>) {
        for entry in entries.into_iter().rev() {
            if self.waiting.len() < MOST {
                self.waiting.push_front(entry);
            }
        }
    }

    /// How somebody is, by what this node saw last.
    #[must_use]
    pub fn last(&self, tenant: Uuid) -> Vec<Logged> {
        let own = self.last.iter().filter(|((of, _), _)| *of == tenant);
        own.map(|((tenant, user), now)| Logged { tenant: *tenant, user: *user, now: now.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::live::said::Micros;

    const SECOND: Micros = 1_000_000;
    const NOW: Micros = 1_790_000_000 * SECOND;
    const TENANT: Uuid = Uuid::from_u128(1);
    const USER: Uuid = Uuid::from_u128(2);

    fn at(seconds: i64) -> DateTime<Utc> {
        time(NOW + seconds * SECOND)
    }

    fn shown(state: AgentState, since: i64) -> Shown {
        Shown::plain(state, Some(NOW + since * SECOND))
    }

    #[test]
    fn every_change_is_noted_once_and_begins_when_the_switch_says() {
        let mut log = Log::default();
        assert!(!log.see(TENANT, USER, &Shown::plain(AgentState::Unknown, None), at(0)), "nobody listened before");
        assert!(log.see(TENANT, USER, &shown(AgentState::Available, -60), at(0)));
        assert!(!log.see(TENANT, USER, &shown(AgentState::Available, 0), at(1)), "the same");
        assert!(log.see(TENANT, USER, &shown(AgentState::OnCall, 1), at(2)));
        // Available since before the call: they were not, meanwhile.
        assert!(log.see(TENANT, USER, &shown(AgentState::Available, -60), at(9)));
        assert!(log.see(TENANT, USER, &Shown::plain(AgentState::Unknown, None), at(10)));
        let taken = log.take(|_| true, at(10));
        let taken = taken.iter().map(|entry| (entry.now.state.as_str(), entry.now.at)).collect::<Vec<_>>();
        assert_eq!(taken, [("available", at(-60)), ("on_call", at(1)), ("available", at(9)), ("unknown", at(10))]);
        assert!(log.take(|_| true, at(10)).is_empty());
    }

    #[test]
    fn what_another_node_should_have_written_is_remembered_for_a_while() {
        let mut log = Log::default();
        log.see(TENANT, USER, &shown(AgentState::Available, 0), at(0));
        log.see(TENANT, USER, &shown(AgentState::OnCall, 29), at(29));
        assert!(log.take(|_| false, at(29)).is_empty());
        assert!(log.take(|_| false, at(31)).is_empty());
        // The other node is dead: this one goes on.
        let taken = log.take(|tenant| tenant == TENANT, at(32));
        assert_eq!(taken.iter().map(|entry| entry.now.at).collect::<Vec<_>>(), [at(29)]);
        log.put_back(taken.clone());
        assert_eq!(log.take(|_| true, at(33)), taken, "what could not be written");
    }
}
