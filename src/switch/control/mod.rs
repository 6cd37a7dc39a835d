//! Acting on calls: making one with a phone that is called first ([`jobs`]), and what is done to one that is up ([`acts`], [`consult`]).
//!
//! Whoever acts names a call by its id, which is looked up in live state among the tenant's own ([`found`]). What is told a switch has types
//! ([`command`]) and goes over a connection of this node's own ([`mod@line`]); that it was done is shown by an event ([`wait`]). Where a call is
//! sent is a number in the tenant's dialplan, on behalf of the phone whose leg it is: it may go where that phone may call, and that phone's
//! agent pays. A page that has lost a call gets it back ([`returns`]).

pub mod acts;
pub mod api;
pub mod command;
pub mod consult;
pub mod found;
pub mod job;
pub mod jobs;
pub mod line;
pub mod returns;
pub mod store;
pub mod turn;
pub mod wait;
pub mod way;
pub mod written;

use std::{
    collections::{HashMap, VecDeque},
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;
use uuid::Uuid;

use self::{
    command::Order,
    line::{Lines, Untaken},
};
use crate::{
    model::error::{Error, Result},
    switch::live::Watched,
    tenancy::Api,
    text::{Code, keyring::Keyring},
};

/// How many calls this node has one switch make in a second.
const OF_SWITCH: usize = 20;

/// How many calls a tenant acts on at a moment at this node, and all tenants together: a switch carries out one command after the other.
const AT_ONCE_OF_TENANT: usize = 20;
const AT_ONCE: usize = 200;

/// What a node needs to act on calls.
#[derive(Default)]
pub struct Control {
    lines: Lines,
    /// The calls that somebody acts on at this moment, and their tenants.
    busy: Mutex<HashMap<Uuid, Uuid>>,
    /// Who looks after somebody who waits, by call.
    watches: Mutex<HashMap<Uuid, AbortHandle>>,
    placed: Mutex<HashMap<Uuid, VecDeque<Instant>>>,
}

/// That this node acts on a call.
pub struct Turn<'a> {
    control: &'a Control,
    call: Uuid,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.control.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.call);
    }
}

impl From<Untaken> for Error {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::Away => Code::SwitchAway.into(),
            Untaken::Unanswered => Code::NotSeenToHappen.with("seconds", wait::PATIENCE.as_secs()).into(),
            // `switch_core_session_locate` finds none that is hung up on.
            Untaken::Refused(answer) if answer.starts_with("No such channel") => Code::CallGone.into(),
            Untaken::Refused(answer) => Code::SwitchRefused.with("answer", answer).into(),
        }
    }
}

impl Control {
    /// Gives a command.
    pub async fn tell(&self, api: &Api, watched: &Watched, order: &Order) -> Result<()> {
        Ok(self.try_tell(api, watched, order).await?)
    }

    async fn try_tell(&self, api: &Api, watched: &Watched, order: &Order) -> std::result::Result<(), Untaken> {
        self.lines.tell(watched, api.changes.keyring(), order).await
    }

    /// Asks a switch something, and returns what it answers.
    pub async fn ask(
        &self,
        keyring: &Keyring,
        watched: &Watched,
        order: &impl Display,
    ) -> std::result::Result<String, Untaken> {
        self.lines.ask(watched, keyring, order).await
    }

    /// Gives a command that takes long, and returns its job.
    async fn begin(&self, api: &Api, watched: &Watched, order: &Order) -> std::result::Result<Uuid, Untaken> {
        self.lines.begin(watched, api.changes.keyring(), order).await
    }

    /// Nobody else on this node acts on the call for as long as the turn lasts.
    pub fn turn(&self, tenant: Uuid, call: Uuid) -> Result<Turn<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.contains_key(&call) {
            return Err(Code::ActedOn.into());
        }
        if busy.len() >= AT_ONCE || busy.values().filter(|one| **one == tenant).count() >= AT_ONCE_OF_TENANT {
            return Err(Error::ChangesUnderWay { seconds: 1 });
        }
        busy.insert(call, tenant);
        Ok(Turn { control: self, call })
    }

    fn watches(&self, call: Uuid, task: AbortHandle) {
        let mut all = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, task| !task.is_finished());
        if let Some(before) = all.insert(call, task) {
            before.abort();
        }
    }

    fn stop_watching(&self, call: Uuid) {
        if let Some(task) = self.watches.lock().unwrap_or_else(PoisonError::into_inner).remove(&call) {
            task.abort();
        }
    }

    /// Counts a call that a switch is to make, unless there are too many.
    fn count(&self, switch: Uuid) -> bool {
        let mut all = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = all.entry(switch).or_default();
        let now = Instant::now();
        while placed.front().is_some_and(|at| now.duration_since(*at) > Duration::from_secs(1)) {
            placed.pop_front();
        }
        let is_free = placed.len() < OF_SWITCH;
        if is_free {
            placed.push_back(now);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_acts_on_a_call() {
        let control = Control::default();
        let tenant = Uuid::nil();
        let turn = control.turn(tenant, Uuid::nil()).unwrap();
        assert!(control.turn(tenant, Uuid::nil()).is_err());
        assert!(control.turn(tenant, Uuid::max()).is_ok());
        drop(turn);
        assert!(control.turn(tenant, Uuid::nil()).is_ok());
    }

    #[test]
    fn a_tenant_that_acts_on_many_calls_leaves_others_their_turns() {
        let control = Control::default();
        let turns = |tenant: u128, calls: std::ops::Range<u128>| {
            calls
                .filter_map(|call| control.turn(Uuid::from_u128(tenant), Uuid::from_u128(call)).ok())
                .collect::<Vec<_>>()
        };
        let of_one = turns(1, 0..50);
        let of_others = turns(2, 100..150);
        assert_eq!((of_one.len(), of_others.len()), (AT_ONCE_OF_TENANT, AT_ONCE_OF_TENANT));
        drop(of_one);
        assert_eq!(turns(1, 0..50).len(), AT_ONCE_OF_TENANT);
    }

    #[test]
    fn a_switch_makes_so_many_calls_a_second_and_no_more() {
        let control = Control::default();
        let counted = (0..50).filter(|_| control.count(Uuid::nil())).count();
        assert!((OF_SWITCH..OF_SWITCH * 2).contains(&counted), "{counted}");
        assert!(control.count(Uuid::max()));
    }
}
