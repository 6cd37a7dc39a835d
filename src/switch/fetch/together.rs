//! Looks up extensions that are asked for at the same moment with one statement.
//!
//! For the database, a statement costs more than the rows it reads. So whoever asks while statements are under way waits
//! for the next one, which reads for all who wait; a single asker doesn't wait. A statement begins after everybody it
//! reads for has asked, so its snapshot is as new as each of them needs.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::oneshot;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    readers::{ReadError, Readers},
    store::{self, ExtensionRow, TenantRow},
};

/// A tenant and what it has under a name; `None`: no such tenant.
pub type Looked = Option<(TenantRow, Option<ExtensionRow>)>;

/// Each thread has a lane (mostly its own), so that it usually reads for itself and no other thread must wake it.
const LANES: usize = 16;
/// How many statements of a lane may be under way at once.
const STATEMENTS: usize = 2;
/// The most names that one statement looks up: with more, the first would wait for the last.
const MOST: usize = 64;

struct Asked {
    tenant: Uuid,
    name: String,
    answer: oneshot::Sender<Result<Looked, ReadError>>,
}

#[derive(Default)]
struct Lane {
    waiting: Vec<Asked>,
    statements: usize,
}

/// The lookups that are waiting.
#[derive(Default)]
pub struct Lookups {
    lanes: [Mutex<Lane>; LANES],
    hasher: RandomState,
}

impl Lookups {
    pub async fn extension(
        self: &Arc<Self>,
        readers: &Arc<Readers>,
        tenant: Uuid,
        name: &str,
    ) -> Result<Looked, ReadError> {
        let lane = usize::try_from(self.hasher.hash_one(thread::current().id()) % LANES as u64).unwrap_or_default();
        let (answer, answered) = oneshot::channel();
        let begins = {
            let mut lane = self.lane(lane);
            lane.waiting.push(Asked { tenant, name: name.to_owned(), answer });
            let begins = lane.statements < STATEMENTS;
            lane.statements += usize::from(begins);
            begins
        };
        if begins {
            let turn = Turn { lookups: Arc::clone(self), lane, is_over: false };
            tokio::spawn(turn.read(Arc::clone(readers)).in_current_span());
        }
        answered.await.unwrap_or(Err(ReadError::Lost))
    }

    fn lane(&self, lane: usize) -> std::sync::MutexGuard<'_, Lane> {
        self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have a statement under way.
struct Turn {
    lookups: Arc<Lookups>,
    lane: usize,
    is_over: bool,
}

impl Turn {
    /// Reads for those who wait, until nobody waits.
    async fn read(mut self, readers: Arc<Readers>) {
        loop {
            let asked = {
                let mut lane = self.lookups.lane(self.lane);
                if lane.waiting.is_empty() {
                    // Under the same lock, so that whoever comes next begins a new turn.
                    lane.statements -= 1;
                    self.is_over = true;
                    return;
                }
                let many = lane.waiting.len().min(MOST);
                lane.waiting.drain(..many).collect::<Vec<_>>()
            };
            let tenants = asked.iter().map(|asked| asked.tenant).collect::<Vec<_>>();
            let names = asked.iter().map(|asked| asked.name.clone()).collect::<Vec<_>>();
            let read = readers.read(|db, _| Box::pin(store::extensions(db, &tenants, &names))).await;
            match read {
                Ok(found) => {
                    for (asked, found) in asked.into_iter().zip(found) {
                        // It fails if the asker went away, which doesn't matter.
                        let _ = asked.answer.send(Ok(found));
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for asked in asked {
                        let _ = asked.answer.send(Err(ReadError::Together(Arc::clone(&error))));
                    }
                }
            }
        }
    }
}

impl Drop for Turn {
    /// A turn that was cut short fails those who wait: otherwise they would wait until somebody else asks.
    fn drop(&mut self) {
        if !self.is_over {
            let mut lane = self.lookups.lane(self.lane);
            lane.statements -= 1;
            lane.waiting.clear();
        }
    }
}
