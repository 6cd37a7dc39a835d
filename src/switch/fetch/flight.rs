//! One fill at a time per key, however many ask.
//!
//! The fill is a separate task, so it completes even if the first asker goes away. Everybody who asks meanwhile waits
//! for its result. Each asker checks whether the result is new enough: the fill may have begun before a change.

use std::{
    collections::HashMap,
    future::Future,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;
use tracing::Instrument as _;

use super::cache::Key;

const SHARDS: usize = 16;

type Waiting<T> = Mutex<HashMap<Key, watch::Receiver<Option<T>>>>;

/// The fills under way.
pub struct Flights<T> {
    shards: [Waiting<T>; SHARDS],
    hasher: RandomState,
}

/// The fill's task ended without a result: it panicked, or its runtime is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl<T: Clone + Send + Sync + 'static> Default for Flights<T> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

/// Removes a key from the map when its fill ends, however it ends.
struct Landing<T: Clone + Send + Sync + 'static> {
    flights: Arc<Flights<T>>,
    key: Key,
}

impl<T: Clone + Send + Sync + 'static> Drop for Landing<T> {
    fn drop(&mut self) {
        self.flights.shard(&self.key).lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    fn shard(&self, key: &[u8]) -> &Waiting<T> {
        let hash = self.hasher.hash_one(key);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }

    /// Waits for the fill of this key, starting it with `work` if none is under way.
    pub async fn join<F, W>(self: &Arc<Self>, key: &[u8], work: W) -> Result<T, Lost>
    where
        F: Future<Output = T> + Send + 'static,
        W: FnOnce() -> F,
    {
        let mut receiver = self.board(key, work);
        let landed = receiver.wait_for(Option::is_some).await.map_err(|_| Lost)?;
        landed.clone().ok_or(Lost)
    }

    fn board<F, W>(self: &Arc<Self>, key: &[u8], work: W) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
        W: FnOnce() -> F,
    {
        let mut waiting = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = waiting.get(key) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let key: Key = key.into();
        waiting.insert(key.clone(), receiver.clone());
        drop(waiting);
        let landing = Landing { flights: Arc::clone(self), key };
        // Boxed first, because `spawn` moves its future several times.
        let work = Box::pin(work());
        let fill = async move {
            let result = work.await;
            // First out of the map: whoever comes now must start a new fill, not take an old result.
            drop(landing);
            sender.send_replace(Some(result));
        };
        tokio::spawn(fill.in_current_span());
        receiver
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn ten_thousand_askers_share_one_fill_though_the_first_goes_away() {
        let flights = Arc::new(Flights::<u32>::default());
        let fills = Arc::new(AtomicUsize::new(0));
        let (open, gate) = watch::channel(false);
        let ask = || {
            let (flights, fills, mut gate) = (Arc::clone(&flights), Arc::clone(&fills), gate.clone());
            tokio::spawn(async move {
                let work = || async move {
                    fills.fetch_add(1, Ordering::SeqCst);
                    gate.wait_for(|open| *open).await.map_or(0, |_| 7)
                };
                flights.join(b"key", work).await
            })
        };
        let first = ask();
        while fills.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        let _ = first.await;
        let others = (0..10_000).map(|_| ask()).collect::<Vec<_>>();
        tokio::task::yield_now().await;
        open.send_replace(true);
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(7));
        }
        assert_eq!(fills.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_fill_that_panics_is_lost_and_the_next_asker_starts_anew() {
        let flights = Arc::new(Flights::<u32>::default());
        assert_eq!(flights.join(b"key", || async { panic!("on purpose") }).await, Err(Lost));
        assert_eq!(flights.join(b"key", || async { 1 }).await, Ok(1));
    }
}
