//! Longer work on what somebody sent. It runs on other threads than everybody else's requests, and only little of it at once.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::model::error::{Error, Result};

/// How many uploads are worked on at once. Work that fetches wait for has places of its own (`routing::plan`).
static PLACES: Semaphore = Semaphore::const_new(2);

/// How long to wait for a place.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs work on a thread of its own. Refuses with `Busy` if no place gets free in time.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let place = tokio::time::timeout(PATIENCE, PLACES.acquire()).await;
    // The semaphore is never closed.
    let place = place.map_err(|_| Error::Busy)?.map_err(|_| Error::Busy)?;
    let work = move || {
        let done = work();
        drop(place);
        done
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Fault("work on another thread was broken off"))
}
