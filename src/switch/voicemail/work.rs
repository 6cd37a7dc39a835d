//! What a node does about voicemail by itself: it asks switches about mailboxes in which something has changed, and removes the sound of messages
//! that are gone. Several nodes may do this at once.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;

use super::{
    line::{Line, heard},
    store::{self, Due},
    sync,
};
use crate::{
    model::error::Result,
    node::{changes::Changes, jobs},
    switch::{control::Control, live::Live},
    telephony::recordings::vault::Vault,
};

const EVERY: Duration = Duration::from_millis(500);
/// The most mailboxes of a round. The next round goes on.
const MOST: i64 = 20;

/// Runs forever. What fails is tried again.
pub async fn run(control: Arc<Control>, live: Arc<Live>, changes: Changes, pool: PgPool, vault: Vault) {
    loop {
        if let Err(error) = jobs::round("mailboxes", ask(&control, &live, &changes, &pool)).await {
            tracing::debug!(%error, "it is not known which mailboxes are to be asked about");
        }
        if let Err(error) = jobs::round("messages_removed", remove_due(&pool, &vault)).await {
            tracing::warn!(%error, "the sound of deleted messages could not be removed");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn ask(control: &Control, live: &Live, changes: &Changes, pool: &PgPool) -> sqlx::Result<()> {
    let switches = live.switches().into_iter().filter(|watched| watched.known().unknown_since.is_none());
    let switches = switches.map(|watched| watched.switch).collect::<Vec<_>>();
    if switches.is_empty() {
        return Ok(());
    }
    for due in store::due(pool, &switches, MOST).await? {
        if let Err(error) = one(control, live, changes, pool, &due).await {
            tracing::warn!(switch = %due.switch, extension = %due.owner.extension, %error, "a mailbox could not be asked about");
        }
    }
    Ok(())
}

async fn one(control: &Control, live: &Live, changes: &Changes, pool: &PgPool, due: &Due) -> Result<()> {
    let Some(watched) = heard(live, due.switch) else { return Ok(()) };
    let line = Line { control, keyring: changes.keyring(), watched };
    let mut tx = pool.begin().await?;
    let there = sync::sync(&mut tx, &line, &due.owner).await?;
    store::settled(&mut *tx, due, there == 0).await?;
    Ok(tx.commit().await?)
}

/// Removes the sound of messages that are gone, and what uploads have left that were cut off. Returns how many.
pub async fn remove_due(pool: &PgPool, vault: &Vault) -> sqlx::Result<usize> {
    let mut gone = 0;
    for object in store::objects_due(pool).await? {
        match vault.remove(object.store, object.whose).await {
            Ok(()) => {
                store::forget(pool, object.whose.id).await?;
                gone += 1;
            }
            // It is due again in some minutes.
            Err(error) => tracing::warn!(%error, id = %object.whose.id, "the sound of a message could not be removed"),
        }
    }
    Ok(gone)
}
