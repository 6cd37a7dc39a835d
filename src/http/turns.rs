//! Uploads of many things take turns, so that a connection and a core are always left for everybody else.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// For so long an upload waits for its turn.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many uploads a node works on at once.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

/// The right to work on one, for as long as it is held.
#[must_use]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// A quarter of the connections of the API, one at least.
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
