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
use uuid::Uuid;

use crate::{
    http::left::{self, Left},
    tenancy::auth::standing::{self, Credential},
};

/// How many streams a person may have, a key, and all together: less than a node's connections, so that pages and the API are answered
/// (`app/limits.rs`).
const MOST_OF_PERSON: usize = 40;
const MOST_OF_KEY: usize = 1200;
const MOST: usize = 3000;

const LOOK_EVERY: Duration = Duration::from_millis(400);

struct Stream {
    who: Uuid,
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
    /// `who`: the person or the key. `None` if they, or all together, have as many as there may be.
    pub fn enter(self: &Arc<Self>, who: Uuid, credential: Credential) -> Option<Pass> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, is_over) = watch::channel(false);
        let most = match credential {
            Credential::Session { .. } => MOST_OF_PERSON,
            Credential::Key { .. } | Credential::Operator => MOST_OF_KEY,
        };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.values().filter(|stream| stream.who == who).count();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let left = count(most) - count(own) - 1;
        left::note(Left { policy: "streams", quota: count(most), window: None, left, reset: None });
        if all.len() >= MOST || own >= most {
            return None;
        }
        all.insert(id, Stream { who, credential, is_over: sender });
        Some(Pass { streams: Arc::clone(self), id, is_over })
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
