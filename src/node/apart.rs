//! Work on what somebody sent that takes more than a moment: apart from the threads that everybody else's requests run on, and little of
//! it at once.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::model::error::{Error, Result};

/// Uploads that are worked on at once. What fetches wait for has places of its own (`routing::plan`).
static PLACES: Semaphore = Semaphore::const_new(2);

/// For so long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does it apart.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let place = tokio::time::timeout(PATIENCE, PLACES.acquire()).await;
    // The semaphore is never closed.
    let place = place.map_err(|_| Error::Busy)?.map_err(|_| Error::Busy)?;
    let work = move || {
        let done = work();
        drop(place);
        done
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Fault("work that was done apart was given up"))
}
