//! Which key seals, and how everything is sealed again with another one while nodes run.
//!
//! The database says which key seals, and each node reports the keys in its key file. A new key seals once every live node has it, so
//! that no node gets a value that it can't open. Then everything is sealed again in batches, by whoever comes first. After an
//! interruption, this continues where it stopped. A key with which nothing is sealed any more retires, and the database refuses new
//! values that are sealed with it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgPool};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::seals_store::{self as store, Anew, Column};
use crate::text::keyring::{KeyId, Keyring, Place, hex};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a pass that found nothing to do, because something else holds up the end.
const REST: Duration = Duration::from_secs(10);
/// Values per transaction. Their rows are locked meanwhile.
const BATCH: usize = 500;
/// The pause after each transaction, for other work: after a batch of a tenant's extensions, its answers are read again.
const PAUSE: Duration = Duration::from_millis(20);

/// The result of a pass over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Another process is doing this.
    Busy,
    /// How many values were sealed again, and how many could not be opened.
    Done { sealed: u64, damaged: u64 },
}

/// Checks the keys forever: which one seals, and which this node lacks. Seals again what is left.
pub async fn watch(pool: PgPool, keyring: Arc<Keyring>, node: Uuid) {
    let mut lacked = Vec::new();
    let (mut work, mut next) = (None::<JoinHandle<bool>>, Instant::now());
    loop {
        match look(&pool, &keyring, node).await {
            Ok(has_old) => {
                let missing = keyring.missing();
                if missing != lacked {
                    for id in &missing {
                        tracing::error!(key = hex(id), "the key file lacks a key that seals this database's secrets");
                    }
                    lacked = missing;
                }
                if let Some(done) = work.take_if(|work| work.is_finished()) {
                    next = Instant::now() + if matches!(done.await, Ok(true)) { LOOK_EVERY } else { REST };
                }
                if has_old && work.is_none() && lacked.is_empty() && next <= Instant::now() {
                    work = Some(tokio::spawn(finish(pool.clone(), Arc::clone(&keyring))));
                }
            }
            Err(error) => tracing::debug!(%error, "the keys could not be looked at"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether there is an earlier key with which something may be sealed.
async fn look(pool: &PgPool, keyring: &Keyring, node: Uuid) -> sqlx::Result<bool> {
    let known = store::known(pool).await?;
    keyring.note_used(store::used(&known));
    if let Some(newest) = known.first().filter(|key| key.is_used) {
        keyring.seal_with(&newest.id);
    }
    let own = keyring.ids().iter().map(|id| id.to_vec()).collect::<Vec<_>>();
    if own.iter().any(|id| !known.iter().any(|key| key.id == *id)) {
        store::offer(pool, &own).await?;
    }
    store::say(pool, node, &own, &keyring.seals_with()).await?;
    Ok(known.iter().filter(|key| key.is_used).count() > 1)
}

/// Seals again what is left, and retires keys with which nothing is sealed any more. Returns whether there was progress.
async fn finish(pool: PgPool, keyring: Arc<Keyring>) -> bool {
    let sealed = match anew(&pool, &keyring, |_| {}).await {
        Ok(Pass::Done { sealed, damaged }) => {
            if sealed > 0 || damaged > 0 {
                tracing::info!(sealed, damaged, "secrets were sealed with the new key");
            }
            sealed
        }
        Ok(Pass::Busy) => return false,
        Err(error) => {
            tracing::warn!(%error, "secrets could not be sealed again; this will be tried again");
            return false;
        }
    };
    match retire_old(&pool, &keyring).await {
        Ok(retired) => {
            for id in retired {
                tracing::info!(key = hex(&id), "a key has retired: nothing is sealed with it any more");
            }
        }
        Err(error) => tracing::warn!(%error, "keys could not be retired"),
    }
    sealed > 0
}

/// Makes one pass over everything that is sealed with another key than the newest.
pub async fn anew(pool: &PgPool, keyring: &Keyring, progress: impl Fn(u64)) -> sqlx::Result<Pass> {
    // The connection is closed in any case, and the lock ends with it.
    let mut db = pool.acquire().await?.detach();
    if !store::take_turn(&mut db).await? {
        let _ = db.close().await;
        return Ok(Pass::Busy);
    }
    let (mut sealed, mut damaged) = (0, 0);
    let key = keyring.seals_with();
    for &column in Column::ALL {
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let mut tx = db.begin().await?;
            let values = store::batch(&mut tx, column, after, &key, i64::try_from(BATCH).unwrap_or(i64::MAX)).await?;
            let Some(last) = values.last() else { break };
            let (last, is_last) = ((last.tenant, last.row), values.len() < BATCH);
            let mut batch = Anew::default();
            for value in values {
                let place = Place { column: column.place(), tenant: value.tenant, row: value.row };
                match keyring.open_sealed(place, &value.sealed) {
                    Ok(plain) => {
                        batch.tenants.push(value.tenant);
                        batch.rows.push(value.row);
                        batch.after.push(keyring.seal(place, &plain));
                        batch.before.push(value.sealed);
                    }
                    Err(error) => {
                        damaged += 1;
                        tracing::error!(%error, column = column.place(), row = %value.row, "a secret can't be sealed again");
                    }
                }
            }
            let done = store::write(&mut tx, column, &batch).await?;
            tx.commit().await?;
            sealed += done;
            progress(sealed);
            if is_last || (!column.is_unique() && done == 0) {
                break;
            }
            // If several rows have the same name, a batch may have left some of them.
            if column.is_unique() {
                after = last;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    let _ = db.close().await;
    Ok(Pass::Done { sealed, damaged })
}

/// Retires all keys but the newest, if every live node seals with that and nothing is sealed with the others.
pub async fn retire_old(pool: &PgPool, keyring: &Keyring) -> sqlx::Result<Vec<KeyId>> {
    let newest = keyring.seals_with();
    let known = store::known(pool).await?;
    let spread = store::spread(pool, &newest).await?;
    let mut retired = Vec::new();
    if known.first().is_none_or(|first| first.id != newest) || spread.seal < spread.live {
        return Ok(retired);
    }
    for old in known.iter().filter(|key| key.is_used && key.id != newest) {
        if let Ok(id) = KeyId::try_from(old.id.as_slice())
            && store::retire(pool, id).await?
        {
            retired.push(id);
        }
    }
    Ok(retired)
}
