//! The generations that this node knows. They decide whether a kept answer may be served.
//!
//! Invariants:
//! - A [`Slot`] stands for one scope under one domain: the tenant's, or one that it had before and keeps for a while. The slots of a scope
//!   share its generation, which only rises; hearing of it twice or late is harmless.
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

use bytes::Bytes;
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
    /// The domain that is asked for. `None` for the scopes that are not tenants.
    pub domain: Option<Domain>,
    /// The tenant's own domain. It differs in the slot of a domain that the tenant had before.
    pub home: Option<Domain>,
    /// The cluster whose switches get answers about it; nil for the scopes that are not tenants.
    pub cluster: Uuid,
    pub former: Arc<Former>,
    /// Whether the tenant is there for tests, so that nothing of it is dialled outside: a node knows that without the database, too.
    pub sandbox: bool,
    pub standing: Standing,
    /// All slots of a scope share this.
    known: Arc<KnownOf>,
}

/// What is known of a scope's generation.
#[derive(Debug)]
struct KnownOf {
    newest: AtomicU64,
    /// The newest generation that a poll saw. Polls run one after the other, so it never falls in one line of history.
    polled: AtomicU64,
}

/// What a tenant had before and what still counts as its own for some purposes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Former {
    /// Phones may still use these.
    pub domains: Vec<Domain>,
    /// Their switches still connect the tenant's calls for help.
    pub clusters: Vec<Uuid>,
}

impl Former {
    /// Reads them as the database has them.
    #[must_use]
    pub fn read(domains: &[String], clusters: Vec<Uuid>) -> Self {
        Self { domains: domains.iter().filter_map(|domain| Domain::parse(domain).ok()).collect(), clusters }
    }
}

/// The answers about a scope that need only its name. They are made once, with the slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    fn new(row: &Heard, standing: MakeStanding) -> Self {
        let known = KnownOf { newest: AtomicU64::new(row.generation), polled: AtomicU64::new(0) };
        Self {
            scope: row.scope,
            domain: row.domain.clone(),
            home: row.domain.clone(),
            cluster: row.cluster,
            former: Arc::new(row.former.clone()),
            sandbox: row.sandbox,
            standing: standing(row.domain.as_ref(), row.scope),
            known: Arc::new(known),
        }
    }

    /// The same tenant under a domain that it had before.
    fn under(&self, domain: &Domain, standing: MakeStanding) -> Self {
        Self {
            scope: self.scope,
            domain: Some(domain.clone()),
            home: self.home.clone(),
            cluster: self.cluster,
            former: Arc::clone(&self.former),
            sandbox: self.sandbox,
            standing: standing(Some(domain), self.scope),
            known: Arc::clone(&self.known),
        }
    }

    /// Whether both stand for the same tenant, perhaps under different domains.
    #[must_use]
    pub fn is_of_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.known, &other.known)
    }

    /// Whether it stands for a domain that the tenant had before.
    #[must_use]
    pub fn is_former(&self) -> bool {
        self.domain != self.home
    }

    /// Whether it is of this tenant as the database has it.
    #[must_use]
    pub fn is_of(&self, row: &Heard) -> bool {
        self.home == row.domain
            && self.cluster == row.cluster
            && *self.former == row.former
            && self.sandbox == row.sandbox
    }

    #[must_use]
    pub fn newest(&self) -> u64 {
        self.known.newest.load(Ordering::Acquire)
    }

    /// Raises the generation to at least `generation`. Returns whether that was news.
    pub fn raise(&self, generation: u64) -> bool {
        self.known.newest.fetch_max(generation, Ordering::AcqRel) < generation
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
        self.known.newest.store(CLOSED, Ordering::Release);
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
    pub former: Former,
    pub sandbox: bool,
}

struct Maps {
    by_scope: HashMap<Uuid, Arc<Slot>>,
    by_domain: HashMap<Box<str>, Arc<Slot>>,
    era: Era,
    standing: MakeStanding,
    /// Counts the generations that polls found newer.
    moves: u64,
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
        let maps =
            Maps { by_scope: HashMap::new(), by_domain: HashMap::new(), era: Era::default(), standing, moves: 0 };
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

    /// Whether the last poll that ended succeeded: see [`Lease::reaches_the_database`].
    #[must_use]
    pub fn reaches_the_database(&self) -> bool {
        self.lease.reaches_the_database()
    }

    /// The same as [`Self::is_fresh`], but a node whose lease ran out polls before it says no: see [`Lease::settle`]. Call this before looking
    /// anything up: what was looked up earlier may be from before a pause.
    pub async fn settle(&self) -> bool {
        self.lease.settle().await
    }

    /// The same for those who can't wait longer than `limit`: see [`Lease::settle_within`].
    pub async fn settle_within(&self, limit: Duration) -> bool {
        self.lease.settle_within(limit).await
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

    /// How old what this node knows of the generations is at most.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.lease.age()
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

    /// Whether any tenant is a sandbox.
    #[must_use]
    pub fn has_sandboxes(&self) -> bool {
        self.read().by_scope.values().any(|slot| slot.sandbox)
    }

    /// How many tenants this node knows.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.read().by_domain.values().filter(|slot| !slot.is_former()).count()
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
        self.read().by_scope.get(&scope).map(|slot| slot.known.polled.load(Ordering::Acquire))
    }

    /// How often a poll saw a newer generation of something. Whoever compares the world with the tables looks again when it rises.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.read().moves
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
        // A fill raises a slot before anybody knows what else has changed. What a poll reads at that generation is so.
        if let Some(slot) = self.by_scope.get(&row.scope)
            && slot.newest() == row.generation
            && !slot.is_of(row)
        {
            self.close(row.scope);
        }
        let news = self.merge(row);
        let polled =
            self.by_scope.get(&row.scope).map(|slot| slot.known.polled.fetch_max(row.generation, Ordering::AcqRel));
        // A fill may have seen it first, which is no news of the slot but of the poll.
        if news || polled.is_some_and(|before| before < row.generation) {
            self.moves += 1;
        }
        news
    }

    fn merge(&mut self, row: &Heard) -> bool {
        if let Some(slot) = self.by_scope.get(&row.scope) {
            if slot.newest() >= row.generation {
                return false;
            }
            if slot.is_of(row) {
                return slot.raise(row.generation);
            }
            self.close(row.scope);
        }
        if row.domain.is_none() && row.scope != PLATFORM && row.scope != SWITCHES && row.scope != CARRIERS {
            return true;
        }
        self.open(row);
        true
    }

    fn open(&mut self, row: &Heard) {
        let slot = Arc::new(Slot::new(row, self.standing));
        for domain in row.former.domains.iter().filter(|former| row.domain.as_ref() != Some(*former)) {
            let former = slot.under(domain, self.standing);
            self.give(domain, Arc::new(former));
        }
        if let Some(domain) = &row.domain {
            self.give(domain, Arc::clone(&slot));
        }
        self.by_scope.insert(row.scope, slot);
    }

    /// Puts a slot in the place of a domain. If another tenant had the domain, that one no longer has it.
    fn give(&mut self, domain: &Domain, slot: Arc<Slot>) {
        let before = self.by_domain.insert(domain.as_str().into(), slot);
        let Some(before) = before else { return };
        let Some(other) = self.by_scope.remove(&before.scope) else { return before.close() };
        let generation = other.newest();
        other.close();
        let mut rest = (*other.former).clone();
        rest.domains.retain(|own| own != domain);
        for own in other.home.iter().chain(&rest.domains).filter(|own| *own != domain) {
            self.by_domain.remove(own.as_str());
        }
        // It keeps its own domain, and is heard of soon.
        if before.is_former() {
            let domain = other.home.clone();
            let (scope, cluster, sandbox) = (other.scope, other.cluster, other.sandbox);
            self.open(&Heard { scope, generation, domain, cluster, former: rest, sandbox });
        }
    }

    fn close(&mut self, scope: Uuid) {
        let Some(slot) = self.by_scope.remove(&scope) else { return };
        slot.close();
        for domain in slot.home.iter().chain(&slot.former.domains) {
            if self.by_domain.get(domain.as_str()).is_some_and(|held| held.scope == scope) {
                self.by_domain.remove(domain.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(10);
    const B: Uuid = Uuid::from_u128(11);

    fn heard(scope: Uuid, generation: u64, domain: &str) -> Heard {
        let former = Former::default();
        Heard { scope, generation, domain: Domain::parse(domain).ok(), cluster: Uuid::nil(), former, sandbox: false }
    }

    fn formerly(row: Heard, domains: &[&str]) -> Heard {
        let domains = domains.iter().map(|domain| Domain::parse(domain).unwrap()).collect();
        Heard { former: Former { domains, ..row.former }, ..row }
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
    fn a_fill_that_saw_a_rename_first_does_not_hide_it() {
        let generations = generations();
        let old = generations.domain("a.test").unwrap();
        assert!(generations.raise(generations.era(), &old, 6));
        assert_eq!(generations.merge([heard(A, 6, "b.test")]), [A]);
        assert!(old.is_closed() && generations.domain("a.test").is_none());
        assert_eq!(generations.domain("b.test").unwrap().newest(), 6);
        assert!(generations.merge([heard(A, 6, "b.test")]).is_empty(), "said twice");
    }

    #[test]
    fn a_domain_that_is_also_among_the_former_ones_is_open() {
        let generations = generations();
        generations.merge([formerly(heard(A, 6, "a.test"), &["a.test"])]);
        let slot = generations.domain("a.test").unwrap();
        assert!(!slot.is_closed() && slot.is_current(6));
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
    fn a_former_domain_has_the_generation_of_its_tenant_until_it_is_given_up() {
        let generations = generations();
        generations.merge([formerly(heard(A, 6, "b.test"), &["a.test"])]);
        let (former, home) = (generations.domain("a.test").unwrap(), generations.domain("b.test").unwrap());
        assert!(former.is_former() && !home.is_former() && former.is_of_same(&home));
        assert_eq!(former.standing, Standing::default());
        assert_eq!((former.home.as_ref(), generations.tenants()), (home.domain.as_ref(), 1));
        generations.merge([formerly(heard(A, 7, "b.test"), &["a.test"])]);
        assert!(former.is_current(7) && !former.is_current(6), "it rises with its tenant's");
        generations.merge([heard(A, 8, "b.test")]);
        assert!(former.is_closed() && home.is_closed());
        assert!(generations.domain("a.test").is_none());
        assert_eq!(generations.domain("b.test").unwrap().newest(), 8);
    }

    #[test]
    fn a_former_domain_can_go_to_another_tenant_and_its_last_one_keeps_its_own() {
        let last = heard(B, 1, "a.test");
        for rows in [[heard(A, 7, "c.test"), last.clone()], [last.clone(), heard(A, 7, "c.test")]] {
            let generations = generations();
            generations.merge([formerly(heard(A, 6, "c.test"), &["a.test", "b.test"])]);
            let former = generations.domain("a.test").unwrap();
            generations.merge(rows);
            assert!(former.is_closed() && generations.domain("b.test").is_none());
            assert_eq!(generations.domain("a.test").unwrap().scope, B);
            assert_eq!(generations.domain("c.test").unwrap().scope, A);
        }
        // A fill hears of the other tenant alone.
        let generations = generations();
        generations.merge([formerly(heard(A, 6, "c.test"), &["a.test", "b.test"])]);
        generations.merge([last]);
        for domain in ["b.test", "c.test"] {
            let slot = generations.domain(domain).unwrap();
            assert!(slot.scope == A && slot.is_current(6) && !slot.is_current(5), "{domain}");
        }
    }

    #[test]
    fn a_tenant_that_is_gone_is_closed_and_unknown() {
        let generations = generations();
        let slot = generations.domain("a.test").unwrap();
        generations.merge([Heard { domain: None, ..heard(A, 7, "a.test") }]);
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
