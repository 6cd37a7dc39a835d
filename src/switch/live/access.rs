//! Ends streams whose clients may no longer listen. All streams of a node are asked for together, twice a second. While the database is away,
//! nobody can be asked, and streams go on.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::watch;

use crate::tenancy::auth::standing::{self, Credential};

const LOOK_EVERY: Duration = Duration::from_millis(400);

struct Stream {
    credential: Credential,
    is_over: watch::Sender<bool>,
}

/// The streams of this node.
#[derive(Default)]
pub struct Streams {
    all: Mutex<HashMap<u64, Stream>>,
    next: AtomicU64,
}

/// A stream's right to go on.
pub struct Pass {
    streams: Arc<Streams>,
    id: u64,
    is_over: watch::Receiver<bool>,
}

impl Pass {
    /// Returns when it is over.
    pub async fn is_over(&mut self) {
        // The sender lives as long as this pass.
        let _ = self.is_over.wait_for(|is_over| *is_over).await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.streams.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Streams {
    pub fn enter(self: &Arc<Self>, credential: Credential) -> Pass {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, is_over) = watch::channel(false);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, Stream { credential, is_over: sender });
        Pass { streams: Arc::clone(self), id, is_over }
    }

    /// Looks after the streams for as long as the node runs.
    pub async fn watch(self: Arc<Self>, pool: PgPool) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let asked = {
                let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
                all.iter().map(|(id, stream)| (*id, stream.credential.clone())).collect::<Vec<_>>()
            };
            if asked.is_empty() {
                continue;
            }
            let (ids, credentials): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            match standing::still(&pool, &credentials).await {
                Ok(still) => {
                    let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
                    for (id, _) in ids.iter().zip(still).filter(|(_, still)| !still) {
                        if let Some(stream) = all.get(id) {
                            stream.is_over.send_replace(true);
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "the database could not say who may still listen"),
            }
        }
    }
}
