//! Which key seals, and sealing everything anew with another one, while nodes run.
//!
//! The database says which key seals; a node offers what its key file holds. A new key seals once every live node has it, so that no
//! node meets a value that it can't open. Then everything is sealed anew, in batches, by whoever comes first; what is done is done, so it
//! goes on where it stopped. A key with which nothing is sealed any more retires, and the database refuses what would be sealed with it.

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
/// After a pass that found nothing to do: something else holds up the end.
const REST: Duration = Duration::from_secs(10);
/// So many values in a transaction: their rows are locked meanwhile.
const BATCH: usize = 500;
/// After each, so that others have their turn: a tenant's answers are read anew after a batch of its extensions.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of a pass over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Somebody else is at it.
    Busy,
    /// So many were sealed anew, and so many could not be opened.
    Done { sealed: u64, damaged: u64 },
}

/// Looks at the keys for ever: which one seals, what this node lacks. Seals anew what is left to do.
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

/// Is there an earlier key, with which something may be sealed?
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

/// Seals anew what is left, and retires what nothing is sealed with any more. Did it come further?
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
            tracing::warn!(%error, "secrets could not be sealed anew; it goes on");
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

/// One pass over everything that another key than the newest sealed.
pub async fn anew(pool: &PgPool, keyring: &Keyring, progress: impl Fn(u64)) -> sqlx::Result<Pass> {
    // The connection is closed at the end, and the lock with it, however it ends.
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
                        tracing::error!(%error, column = column.place(), row = %value.row, "a secret can't be sealed anew");
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
            // Where several rows have one name, a batch may have left some of them.
            if column.is_unique() {
                after = last;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    let _ = db.close().await;
    Ok(Pass::Done { sealed, damaged })
}

/// Retires the keys before the newest, if every live node seals with that and nothing is sealed with them.
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
