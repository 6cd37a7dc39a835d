//! Large uploads take turns, so that connections and cores are left for everybody else.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// How long an upload waits for its turn.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many uploads a node works on at once.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

/// The right to work on an upload, as long as it is held.
#[must_use]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// A quarter of the API's connections, but at least one.
    #[must_use]
    pub fn new(connections: u32) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(connections / 4).unwrap_or_default().max(1))))
    }

    pub async fn take(&self) -> Result<Turn, Problem> {
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await {
            // The semaphore is never closed.
            Ok(permit) => Ok(Turn { _permit: permit.ok() }),
            Err(_) => Err(Problem::uploads_wait()),
        }
    }
}
