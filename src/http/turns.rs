//! Large uploads take turns, so that connections and cores are left for everybody else.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    left::{self, Left},
    problem::Problem,
};

/// How long an upload waits for its turn.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many uploads a node works on at once.
#[derive(Clone)]
pub struct Turns {
    free: Arc<Semaphore>,
    most: usize,
}

/// The right to work on an upload, as long as it is held.
#[must_use]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// A quarter of the API's connections, but at least one.
    #[must_use]
    pub fn new(connections: u32) -> Self {
        let most = usize::try_from(connections / 4).unwrap_or_default().max(1);
        Self { free: Arc::new(Semaphore::new(most)), most }
    }

    pub async fn take(&self) -> Result<Turn, Problem> {
        let taken = tokio::time::timeout(PATIENCE, Arc::clone(&self.free).acquire_owned()).await;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (quota, left) = (count(self.most), count(self.free.available_permits()));
        left::note(Left { policy: "uploads", quota, window: None, left, reset: None });
        match taken {
            // The semaphore is never closed.
            Ok(permit) => Ok(Turn { _permit: permit.ok() }),
            Err(_) => Err(Problem::uploads_wait()),
        }
    }
}
