//! Checks whether the database's disk has room. While it is full, nothing can be changed, though kept answers are served;
//! balancers should notice before people do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::Notify;

use super::disk_store;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What this node knows about the database's disk.
#[derive(Debug, Default)]
pub struct Disk {
    full: AtomicBool,
    look: Notify,
}

impl Disk {
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Has the disk checked now, because a change failed, perhaps for lack of room.
    pub fn doubt(&self) {
        self.look.notify_one();
    }

    /// Checks forever. If the database can't be asked, the last result stays.
    pub async fn watch(self: Arc<Self>, pool: PgPool) {
        loop {
            let full = match disk_store::spill(&pool).await {
                Ok(()) => Some(false),
                Err(error) if is_full(&error) => Some(true),
                Err(_) => None,
            };
            if let Some(full) = full
                && self.full.swap(full, Ordering::Relaxed) != full
            {
                if full {
                    tracing::error!("the database's disk is full: nothing can be changed until there is room");
                } else {
                    tracing::info!("the database's disk has room again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.look.notified() => {}
            }
        }
    }
}

/// Postgres reports ENOSPC and EDQUOT as `disk_full` (`errcode_for_file_access` in elog.c).
#[must_use]
pub fn is_full(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("53100"))
}
