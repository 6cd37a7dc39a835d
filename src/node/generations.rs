//! The generations that this node knows. They decide whether a kept answer may be served.
//!
//! Invariants:
//! - A [`Slot`] stands for one scope under one domain. Its generation only rises; hearing of it twice or late is harmless.
//! - An answer read at generation *g* of a slot is current while `slot.newest() <= g`, and never again after.
//! - Once a slot is closed (tenant gone or moved, domain changed, database replaced), no answer of it is current.
//! - Each reading of the whole table begins an *era*. What a fill began to read in an earlier era is ignored: the database may
//!   have been restored in between. So everything that this node learnt from a lost future is known by the time the whole table
//!   is compared with it.
//! - The node's [`Lease`] says whether it may trust what it knows.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::lease::Lease;
use crate::text::Domain;

/// Scope that is raised when a domain or a phone number comes, goes or moves.
pub const PLATFORM: Uuid = Uuid::nil();
/// Scope that is raised when a carrier changes.
pub const CARRIERS: Uuid = Uuid::from_u128(3);
/// Scope that is raised when a switch changes.
pub const SWITCHES: Uuid = Uuid::from_u128(1);

const CLOSED: u64 = u64::MAX;

/// The newest generation known of one scope.
#[derive(Debug)]
pub struct Slot {
    pub scope: Uuid,
    /// `None` for the scopes that are not tenants.
    pub domain: Option<Domain>,
    /// The cluster whose switches get answers about it; nil for the scopes that are not tenants.
    pub cluster: Uuid,
    pub standing: Standing,
    newest: AtomicU64,
    /// The newest generation that a poll saw. Polls run one after the other, so it never falls in one line of history.
    polled: AtomicU64,
}

/// The answers about a scope that need only its name. They are made once, with the slot.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The domain without a user: the answer to every name it doesn't have.
    pub nobody: Bytes,
    /// The answer to a call to a number that nobody has: in the tenant's context, or in `public`.
    pub unallocated: Bytes,
}

/// Makes a [`Standing`] for a tenant's domain, or for a scope that is not a tenant.
pub type MakeStanding = fn(Option<&Domain>, Uuid) -> Standing;

/// The newest generations known when a poll began. What fills learn during the poll must not look as if the database went
/// back in time.
pub type Known = HashMap<Uuid, u64>;

/// The time from one reading of the whole table to the next, as a number that this node counts up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Era(u64);

impl Slot {
    fn new(scope: Uuid, domain: Option<Domain>, cluster: Uuid, generation: u64, standing: Standing) -> Self {
        Self { scope, domain, cluster, standing, newest: AtomicU64::new(generation), polled: AtomicU64::new(0) }
    }

    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Raises the generation to at least `generation`. Returns whether that was news.
    pub fn raise(&self, generation: u64) -> bool {
        self.newest.fetch_max(generation, Ordering::AcqRel) < generation
    }

    #[must_use]
    pub fn is_current(&self, generation: u64) -> bool {
        self.newest() <= generation
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.newest() == CLOSED
    }

    fn close(&self) {
        self.newest.store(CLOSED, Ordering::Release);
    }
}

/// One row of the table `generation`, with the tenant's domain (`None` if the tenant is gone, or the scope is not a tenant).
#[derive(Debug, Clone)]
pub struct Heard {
    pub scope: Uuid,
    pub generation: u64,
    pub domain: Option<Domain>,
    /// The tenant's cluster; nil if the scope is not a tenant.
    pub cluster: Uuid,
}

struct Maps {
    by_scope: HashMap<Uuid, Arc<Slot>>,
    by_domain: HashMap<Box<str>, Arc<Slot>>,
    era: Era,
    standing: MakeStanding,
}

/// All slots of this node, with the lease that says until when it may trust them.
pub struct Generations {
    maps: RwLock<Maps>,
    lease: Lease,
    doubt: Doubt,
}

/// A fill found less than this node knows, so everything must be read again.
#[derive(Default)]
struct Doubt {
    raised: AtomicBool,
    call: Notify,
    /// Counts how often everything was read.
    rereads: watch::Sender<u64>,
}

impl Generations {
    #[must_use]
    pub fn new(lease: Duration, standing: MakeStanding) -> Self {
        let maps = Maps { by_scope: HashMap::new(), by_domain: HashMap::new(), era: Era::default(), standing };
        let maps = RwLock::new(maps);
        Self { maps, lease: Lease::new(lease), doubt: Doubt::default() }
    }

    /// Whether this node may serve its answers as current.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.lease.is_fresh()
    }

    #[must_use]
    pub fn is_fresh_at(&self, at: Instant) -> bool {
        self.lease.is_fresh_at(at)
    }

    /// The same, but a node whose lease ran out polls before it says no: see [`Lease::settle`]. Call this before looking
    /// anything up: what was looked up earlier may be from before a pause.
    pub async fn settle(&self) -> bool {
        self.lease.settle().await
    }

    /// Whether the node is fresh now but was detached at some moment since `began`.
    #[must_use]
    pub fn has_returned_since(&self, began: Instant) -> bool {
        self.lease.has_returned_since(began)
    }

    /// Renews the lease: a poll that began at `began` has been merged.
    pub fn renew(&self, began: Instant) {
        self.lease.renew(began);
    }

    /// A poll has failed whose connection was begun at `began`.
    pub fn poll_failed(&self, began: Instant) {
        self.lease.failed(began);
    }

    /// Returns when somebody waits for a poll. For the poller.
    pub async fn poll_wanted(&self) {
        self.lease.wanted().await;
    }

    /// For how long this node has been detached: since its lease ran out, or since it began if it never had one.
    #[must_use]
    pub fn detached_for(&self) -> Duration {
        self.lease.detached_for()
    }

    /// The slot of a domain; the name may be in any case.
    #[must_use]
    pub fn domain(&self, domain: &str) -> Option<Arc<Slot>> {
        let maps = self.read();
        if domain.bytes().any(|b| b.is_ascii_uppercase()) {
            return maps.by_domain.get(domain.to_ascii_lowercase().as_str()).cloned();
        }
        maps.by_domain.get(domain).cloned()
    }

    #[must_use]
    pub fn scope(&self, scope: Uuid) -> Option<Arc<Slot>> {
        self.read().by_scope.get(&scope).cloned()
    }

    /// How many tenants this node knows.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.read().by_domain.len()
    }

    /// The current era. What a fill reads after this call is of that era or a later one.
    #[must_use]
    pub fn era(&self) -> Era {
        self.read().era
    }

    /// Begins an era, before the whole table is read. Returns the newest known generation of each scope.
    pub fn begin_era(&self) -> Known {
        let mut maps = self.write();
        maps.era.0 += 1;
        maps.by_scope.iter().map(|(scope, slot)| (*scope, slot.newest())).collect()
    }

    /// The newest generation of a scope that a poll saw.
    #[must_use]
    pub fn polled(&self, scope: Uuid) -> Option<u64> {
        self.read().by_scope.get(&scope).map(|slot| slot.polled.load(Ordering::Acquire))
    }

    /// Merges what a poll saw. Returns the scopes for which it was news.
    pub fn merge(&self, heard: impl IntoIterator<Item = Heard>) -> Vec<Uuid> {
        let mut maps = self.write();
        heard.into_iter().filter(|row| maps.merge_polled(row)).map(|row| row.scope).collect()
    }

    /// Raises a slot to a generation that a fill saw. Returns `false` if the fill began in an earlier era and must read again.
    #[must_use]
    pub fn raise(&self, era: Era, slot: &Slot, generation: u64) -> bool {
        // Locked while the slot is raised, so that no era begins in between.
        let maps = self.read();
        let is_on = maps.era == era;
        if is_on {
            slot.raise(generation);
        }
        is_on
    }

    /// Merges a tenant that a fill saw, and returns its slot. `None` if it has none, or the fill began in an earlier era.
    pub fn hear(&self, era: Era, heard: &Heard) -> Option<Arc<Slot>> {
        let mut maps = self.write();
        if maps.era != era {
            return None;
        }
        maps.merge(heard);
        maps.by_scope.get(&heard.scope).cloned()
    }

    /// Replaces everything by the whole table: what `heard` lacks is gone. `replaced` means that this is another database (or
    /// another line of its history), so that its generations can't be compared with those of kept answers.
    pub fn replace(&self, heard: &[Heard], replaced: bool) -> Vec<Uuid> {
        let mut maps = self.write();
        let known = heard.iter().map(|row| row.scope).collect::<std::collections::HashSet<_>>();
        let closing = maps.by_scope.keys().copied().filter(|scope| replaced || !known.contains(scope));
        for scope in closing.collect::<Vec<_>>() {
            maps.close(scope);
        }
        heard.iter().filter(|row| maps.merge_polled(row)).map(|row| row.scope).collect()
    }

    /// Has everything read again soon, because a fill found less than this node knows: the database may have been restored.
    pub fn doubt(&self) {
        self.doubt.raised.store(true, Ordering::Release);
        self.doubt.call.notify_one();
    }

    /// The same, and waits until everything was read, for a lease at most.
    pub async fn doubt_and_wait(&self) {
        let mut rereads = self.doubt.rereads.subscribe();
        self.doubt();
        // The sender lives as long as self. After a timeout, the caller answers that the database can't be asked.
        let _ = tokio::time::timeout(self.lease.lasts(), rereads.changed()).await;
    }

    /// Returns when there is doubt. For the poller.
    pub async fn doubted(&self) {
        self.doubt.call.notified().await;
    }

    /// Whether there was doubt. Clears it.
    pub fn take_doubt(&self) -> bool {
        self.doubt.raised.swap(false, Ordering::AcqRel)
    }

    /// Wakes those who wait until everything was read.
    pub fn reread(&self) {
        self.doubt.rereads.send_modify(|count| *count += 1);
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Maps> {
        self.maps.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Maps> {
        // The code that changes the maps can't panic half way.
        self.maps.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maps {
    fn merge_polled(&mut self, row: &Heard) -> bool {
        let news = self.merge(row);
        if let Some(slot) = self.by_scope.get(&row.scope) {
            slot.polled.fetch_max(row.generation, Ordering::AcqRel);
        }
        news
    }

    fn merge(&mut self, row: &Heard) -> bool {
        if let Some(slot) = self.by_scope.get(&row.scope) {
            if slot.newest() >= row.generation {
                return false;
            }
            if slot.domain == row.domain && slot.cluster == row.cluster {
                return slot.raise(row.generation);
            }
            self.close(row.scope);
        }
        if row.domain.is_none() && row.scope != PLATFORM && row.scope != SWITCHES && row.scope != CARRIERS {
            return true;
        }
        let standing = (self.standing)(row.domain.as_ref(), row.scope);
        let slot = Arc::new(Slot::new(row.scope, row.domain.clone(), row.cluster, row.generation, standing));
        if let Some(domain) = &row.domain {
            // If the domain moved here from another tenant, that one no longer has it.
            let before = self.by_domain.insert(domain.as_str().into(), Arc::clone(&slot));
            if let Some(before) = before {
                before.close();
                self.by_scope.remove(&before.scope);
            }
        }
        self.by_scope.insert(row.scope, slot);
        true
    }

    fn close(&mut self, scope: Uuid) {
        let Some(slot) = self.by_scope.remove(&scope) else { return };
        slot.close();
        if let Some(domain) = &slot.domain
            && self.by_domain.get(domain.as_str()).is_some_and(|held| held.scope == scope)
        {
            self.by_domain.remove(domain.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(10);
    const B: Uuid = Uuid::from_u128(11);

    fn heard(scope: Uuid, generation: u64, domain: &str) -> Heard {
        Heard { scope, generation, domain: Domain::parse(domain).ok(), cluster: Uuid::nil() }
    }

    fn generations() -> Generations {
        let generations = Generations::new(Duration::from_secs(1), |_, _| Standing::default());
        generations.merge([heard(A, 5, "a.test")]);
        generations
    }

    #[test]
    fn an_answer_is_current_until_its_generation_is_passed() {
        let generations = generations();
        let slot = generations.domain("A.test").unwrap();
        assert!(slot.is_current(5));
        assert_eq!(generations.merge([heard(A, 6, "a.test")]), [A]);
        assert!(!slot.is_current(5) && slot.is_current(6));
    }

    #[test]
    fn hearing_twice_or_late_changes_nothing() {
        let generations = generations();
        let slot = generations.scope(A).unwrap();
        assert!(generations.merge([heard(A, 5, "a.test"), heard(A, 3, "old.test")]).is_empty());
        assert_eq!(slot.newest(), 5);
        assert!(generations.domain("old.test").is_none());
    }

    #[test]
    fn a_changed_domain_closes_what_was_read_under_the_old_one() {
        let generations = generations();
        let old = generations.domain("a.test").unwrap();
        generations.merge([heard(A, 6, "b.test")]);
        assert!(old.is_closed() && !old.is_current(u64::MAX - 1));
        assert!(generations.domain("a.test").is_none());
        assert_eq!(generations.domain("b.test").unwrap().newest(), 6);
    }

    #[test]
    fn a_domain_can_move_to_another_tenant_in_any_order_of_hearing() {
        for rows in
            [[heard(A, 6, "other.test"), heard(B, 1, "a.test")], [heard(B, 1, "a.test"), heard(A, 6, "other.test")]]
        {
            let generations = generations();
            let old = generations.domain("a.test").unwrap();
            generations.merge(rows);
            assert!(old.is_closed());
            assert_eq!(generations.domain("a.test").unwrap().scope, B);
            assert_eq!(generations.domain("other.test").unwrap().scope, A);
        }
    }

    #[test]
    fn a_tenant_that_is_gone_is_closed_and_unknown() {
        let generations = generations();
        let slot = generations.domain("a.test").unwrap();
        generations.merge([Heard { scope: A, generation: 7, domain: None, cluster: Uuid::nil() }]);
        assert!(slot.is_closed());
        assert!(generations.domain("a.test").is_none() && generations.scope(A).is_none());
    }

    #[test]
    fn a_whole_table_closes_what_it_does_not_have() {
        let generations = generations();
        let slot = generations.domain("a.test").unwrap();
        generations.replace(&[heard(B, 1, "b.test")], false);
        assert!(slot.is_closed());
        assert_eq!(generations.tenants(), 1);
    }

    #[test]
    fn another_database_makes_every_answer_void_even_at_equal_generations() {
        let generations = generations();
        let slot = generations.domain("a.test").unwrap();
        generations.replace(&[heard(A, 5, "a.test")], false);
        assert!(slot.is_current(5));
        generations.replace(&[heard(A, 5, "a.test")], true);
        assert!(slot.is_closed());
        assert!(generations.domain("a.test").unwrap().is_current(5));
    }

    #[test]
    fn what_was_read_before_an_era_is_ignored_in_it() {
        let generations = generations();
        let (before, slot) = (generations.era(), generations.scope(A).unwrap());
        assert!(generations.hear(before, &heard(A, 6, "a.test")).is_some() && generations.raise(before, &slot, 7));
        assert_eq!(generations.begin_era()[&A], 7, "all of it is compared with what is read now");
        assert!(generations.hear(before, &heard(A, 8, "a.test")).is_none() && !generations.raise(before, &slot, 8));
        assert_eq!(slot.newest(), 7);
        generations.replace(&[heard(A, 4, "a.test")], true);
        assert!(slot.is_closed());
        assert!(generations.hear(generations.era(), &heard(A, 5, "a.test")).is_some());
    }

    #[tokio::test]
    async fn a_doubt_waits_until_everything_was_read() {
        let generations = Arc::new(generations());
        let waiting = tokio::spawn({
            let generations = Arc::clone(&generations);
            async move { generations.doubt_and_wait().await }
        });
        generations.doubted().await;
        assert!(!waiting.is_finished() && generations.take_doubt() && !generations.take_doubt());
        generations.reread();
        waiting.await.unwrap();
    }
}
