//! A node's lease: until when it may serve what it knows as current, and what happens once it has run out.
//!
//! Invariants:
//! - The node is *fresh* only for the length of a lease after its last successful poll **began**; then it is *detached*.
//! - That a lease ran out says nothing about the database: the whole process may have been stopped for a while (SIGSTOP, a
//!   virtual machine that was moved). So the node serves what it knows as detached only after a poll has failed whose connection
//!   was begun **after** the lease ran out.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

pub struct Lease {
    started: Instant,
    lasts: Duration,
    /// Milliseconds after `started`; 0 means that it never polled.
    fresh_until: AtomicU64,
    /// When the node last became fresh after being detached, in milliseconds after `started`.
    fresh_since: AtomicU64,
    /// If the last poll failed, when its connection was begun.
    failed: watch::Sender<Option<Instant>>,
    /// When somebody who can't wait long first asked in vain since the lease ran out, in milliseconds after `started`.
    asked: AtomicU64,
    /// Notified when somebody waits for a poll.
    call: Notify,
}

impl Lease {
    #[must_use]
    pub fn new(lasts: Duration) -> Self {
        let (failed, _) = watch::channel(None);
        Self {
            started: Instant::now(),
            lasts,
            fresh_until: AtomicU64::new(0),
            fresh_since: AtomicU64::new(0),
            failed,
            asked: AtomicU64::new(0),
            call: Notify::new(),
        }
    }

    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Costs one look at the clock and one atomic load.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.is_fresh_at(Instant::now())
    }

    #[must_use]
    pub fn is_fresh_at(&self, at: Instant) -> bool {
        self.millis(at) < self.fresh_until.load(Ordering::Acquire)
    }

    /// Whether the last poll that ended succeeded, perhaps too long ago for the lease: polls are slow on a busy machine, but one of a
    /// database that is away fails within a lease.
    #[must_use]
    pub fn reaches_the_database(&self) -> bool {
        self.fresh_until.load(Ordering::Acquire) > 0 && self.failed.borrow().is_none()
    }

    /// Whether the node is fresh now but was detached at some moment since `began`. What failed in between may have failed only
    /// because the process was stopped.
    #[must_use]
    pub fn has_returned_since(&self, began: Instant) -> bool {
        self.is_fresh() && self.millis(began) <= self.fresh_since.load(Ordering::Acquire)
    }

    /// A poll that began at `began` has been merged.
    pub fn renew(&self, began: Instant) {
        let now = self.millis(Instant::now());
        if self.fresh_until.load(Ordering::Acquire) <= now {
            self.fresh_since.store(now, Ordering::Release);
        }
        self.fresh_until.fetch_max(self.millis(began + self.lasts), Ordering::AcqRel);
        self.failed.send_replace(None);
    }

    /// A poll has failed whose connection was begun at `began`.
    pub fn failed(&self, began: Instant) {
        self.failed.send_replace(Some(began));
    }

    /// For how long this node has been detached: since its lease ran out, or since it began if it never had one.
    #[must_use]
    pub fn detached_for(&self) -> Duration {
        let until = self.fresh_until.load(Ordering::Acquire);
        Duration::from_millis(self.millis(Instant::now()).saturating_sub(until))
    }

    /// How old what the node knows is at most: since its last successful poll began, or since the node began if there was none.
    #[must_use]
    pub fn age(&self) -> Duration {
        let until = self.fresh_until.load(Ordering::Acquire);
        let began = until.saturating_sub(u64::try_from(self.lasts.as_millis()).unwrap_or(u64::MAX));
        Duration::from_millis(self.millis(Instant::now()).saturating_sub(began))
    }

    /// Returns `true` if the node is fresh, or becomes so at once. Whoever asks first after the lease ran out triggers a poll,
    /// and all wait for its result. `false` means that the database can't be asked; once a poll has failed, nobody waits any
    /// more. If no poll ends within two leases (one for a poll under way, one for the next), the answer is `false` too.
    pub async fn settle(&self) -> bool {
        if self.is_fresh() {
            return true;
        }
        // Boxed, so that the futures of those who need not wait stay small.
        Box::pin(self.outcome()).await
    }

    /// The same for those who can't wait longer than `limit`, all of them together: whoever comes after that does not wait at all.
    pub async fn settle_within(&self, limit: Duration) -> bool {
        if self.is_fresh() {
            return true;
        }
        let left = limit.saturating_sub(self.asked_for());
        tokio::time::timeout(left, Box::pin(self.outcome())).await.unwrap_or(false)
    }

    /// For how long a poll has been waited for by those who can't wait long. What was asked long ago was perhaps asked before this
    /// process was stopped, and doesn't count.
    fn asked_for(&self) -> Duration {
        let now = self.millis(Instant::now());
        let asked = self.asked.load(Ordering::Acquire);
        let since = Duration::from_millis(now.saturating_sub(asked));
        if asked >= self.fresh_until.load(Ordering::Acquire).max(1) && since < self.lasts * 3 {
            return since;
        }
        self.asked.store(now.max(1), Ordering::Release);
        Duration::ZERO
    }

    async fn outcome(&self) -> bool {
        let mut polls = self.failed.subscribe();
        let outcome = async {
            loop {
                let failed = *polls.borrow_and_update();
                if self.is_fresh() {
                    return true;
                }
                if failed.is_some_and(|began| self.is_out_of_reach(began)) {
                    return false;
                }
                self.call.notify_one();
                // The sender lives as long as self.
                let _ = polls.changed().await;
            }
        };
        tokio::time::timeout(self.lasts * 2, outcome).await.unwrap_or(false)
    }

    /// Whether a failed poll whose connection was begun at `began` shows that the database can't be asked now. It does not if it
    /// began before the lease ran out, or long ago: since polls are tried all the time, this process was then stopped.
    fn is_out_of_reach(&self, began: Instant) -> bool {
        !self.is_fresh_at(began) && began.elapsed() < self.lasts * 3
    }

    /// Returns when somebody waits for a poll. For the poller.
    pub async fn wanted(&self) {
        self.call.notified().await;
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        future.now_or_never()
    }

    const LEASE: Duration = Duration::from_millis(200);

    #[test]
    fn the_database_is_in_reach_from_the_first_poll_until_one_fails() {
        let lease = Lease::new(Duration::from_mins(10));
        assert!(!lease.reaches_the_database());
        lease.renew(Instant::now());
        assert!(lease.reaches_the_database());
        lease.failed(Instant::now());
        assert!(lease.is_fresh() && !lease.reaches_the_database());
        lease.renew(Instant::now());
        assert!(lease.reaches_the_database());
    }

    /// A node whose lease, if it had one, has just run out.
    fn detached() -> Arc<Lease> {
        let lease = Lease::new(LEASE);
        let began = Instant::now();
        lease.renew(began);
        std::thread::sleep(LEASE.saturating_sub(began.elapsed()) + Duration::from_millis(1));
        assert!(!lease.is_fresh());
        Arc::new(lease)
    }

    fn settling(lease: &Arc<Lease>) -> tokio::task::JoinHandle<bool> {
        let lease = Arc::clone(lease);
        tokio::spawn(async move { lease.settle().await })
    }

    #[tokio::test]
    async fn a_fresh_node_waits_for_nothing_and_wants_no_poll() {
        let lease = Lease::new(Duration::from_mins(1));
        lease.renew(Instant::now());
        assert!(now(lease.settle()).unwrap());
        assert!(now(lease.wanted()).is_none());
    }

    #[tokio::test]
    async fn those_who_cannot_wait_long_wait_that_long_together() {
        let lease = detached();
        let began = Instant::now();
        let limit = Duration::from_millis(50);
        assert!(!lease.settle_within(limit).await);
        assert!(began.elapsed() >= limit);
        let began = Instant::now();
        assert!(!lease.settle_within(limit).await);
        assert!(began.elapsed() < limit, "the next one does not wait");
        lease.renew(Instant::now());
        assert!(now(lease.settle_within(limit)).unwrap());
        std::thread::sleep(LEASE);
        assert!(now(lease.settle_within(limit)).is_none(), "after another lease, it is worth a wait again");
    }

    #[tokio::test]
    async fn all_who_come_after_a_pause_wait_for_one_poll() {
        let lease = detached();
        let waiting = (0..1000).map(|_| settling(&lease)).collect::<Vec<_>>();
        lease.wanted().await;
        let began = Instant::now();
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|asker| !asker.is_finished()));
        lease.renew(began);
        for asker in waiting {
            assert!(asker.await.unwrap());
        }
        // Those who came after the first notification may have left another one.
        let _ = now(lease.wanted());
        assert!(now(lease.wanted()).is_none());
    }

    #[tokio::test]
    async fn a_poll_that_was_under_way_before_the_pause_says_nothing() {
        let lease = Lease::new(LEASE);
        let before = Instant::now();
        lease.renew(before);
        std::thread::sleep(LEASE);
        let lease = Arc::new(lease);
        let waiting = settling(&lease);
        lease.wanted().await;
        lease.failed(before);
        lease.wanted().await;
        assert!(!waiting.is_finished(), "it failed because of the pause");
        lease.renew(before);
        lease.wanted().await;
        assert!(!waiting.is_finished(), "what it saw is of the time before the pause");
        lease.renew(Instant::now());
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn in_an_outage_nobody_waits_once_a_poll_has_failed() {
        let lease = detached();
        let first = settling(&lease);
        lease.wanted().await;
        lease.failed(Instant::now());
        assert!(!first.await.unwrap());
        for _ in 0..1000 {
            assert!(!now(lease.settle()).expect("at once"));
        }
        assert!(now(lease.wanted()).is_none(), "polls go on by themselves");
    }

    #[tokio::test]
    async fn a_failure_from_before_a_pause_says_nothing_either() {
        let lease = detached();
        lease.failed(Instant::now());
        std::thread::sleep(LEASE * 3);
        let waiting = settling(&lease);
        lease.wanted().await;
        assert!(!waiting.is_finished());
        lease.renew(Instant::now());
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_two_leases_for_a_poll_that_never_ends() {
        let lease = detached();
        let since = Instant::now();
        assert!(!lease.settle().await);
        assert!(since.elapsed() >= LEASE * 2, "{:?}", since.elapsed());
    }

    #[test]
    fn what_began_before_a_pause_is_told_from_what_began_after() {
        let lease = Lease::new(LEASE);
        lease.renew(Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        let before = Instant::now();
        lease.renew(before);
        assert!(!lease.has_returned_since(before), "fresh all the time");
        std::thread::sleep(LEASE + Duration::from_millis(1));
        assert!(!lease.has_returned_since(before), "not fresh");
        lease.renew(Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        assert!(lease.has_returned_since(before) && !lease.has_returned_since(Instant::now()));
    }

    #[test]
    fn a_lease_counts_from_the_beginning_of_the_poll() {
        let lease = Lease::new(Duration::from_millis(500));
        assert!(!lease.is_fresh());
        lease.renew(Instant::now());
        assert!(lease.is_fresh());
        let lease = Lease::new(Duration::from_millis(20));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(21) {
            std::hint::spin_loop();
        }
        lease.renew(began);
        assert!(!lease.is_fresh(), "a poll that took longer than the lease renews nothing");
    }
}
