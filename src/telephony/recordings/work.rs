//! What a node does about recordings by itself: it finds their calls, and removes contents that belong to nothing any more. Several nodes may
//! do this at once.

use std::time::Duration;

use sqlx::PgPool;

use super::{store, vault::Vault};
use crate::node::jobs;

const EVERY: Duration = Duration::from_secs(5);
/// Calls that became one with others are looked for once in so many rounds: all recordings of two days are read for it.
const MOVED_EVERY: u64 = 60;

/// Runs forever. What fails is tried again the next time.
pub async fn run(pool: PgPool, vault: Vault) {
    let mut rounds = 0_u64;
    loop {
        let found = store::find_calls(&pool, rounds.is_multiple_of(MOVED_EVERY));
        if let Err(error) = jobs::round("recordings_calls", found).await {
            tracing::warn!(%error, "the calls of recordings could not be found");
        }
        if let Err(error) = jobs::round("recordings_removed", remove_due(&pool, &vault)).await {
            tracing::warn!(%error, "contents of deleted recordings could not be removed");
        }
        rounds += 1;
        tokio::time::sleep(EVERY).await;
    }
}

/// Removes the contents of deleted recordings, and what uploads have left that were cut off. Returns how many.
pub async fn remove_due(pool: &PgPool, vault: &Vault) -> sqlx::Result<usize> {
    let mut gone = 0;
    loop {
        let due = store::due(pool).await?;
        if due.is_empty() {
            return Ok(gone);
        }
        for object in due {
            match vault.remove(object.store, object.whose).await {
                Ok(()) => {
                    store::forget(pool, object.whose.id).await?;
                    gone += 1;
                }
                // It is due again in some minutes.
                Err(error) => {
                    tracing::warn!(%error, id = %object.whose.id, "the content of a deleted recording could not be removed");
                }
            }
        }
    }
}
