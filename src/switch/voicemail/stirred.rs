//! The mailboxes in which something has changed, as events of a switch say: a message came, was heard, or went.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

use super::store;
use crate::switch::link::ear::Heard;

/// The subclass of mod_voicemail's events (`VM_EVENT_MAINT` in mod_voicemail.c).
const MAINTENANCE: &str = "vm::maintenance";
/// The pause after a database that did not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// The most mailboxes that are remembered. What is more, the hourly question finds.
const MOST: usize = 10_000;

#[derive(Default)]
pub struct Stirred {
    named: Mutex<BTreeSet<(String, String)>>,
    news: Notify,
}

impl Stirred {
    pub fn hear(&self, event: &Heard) {
        if event.name() != "CUSTOM" || event.subclass() != MAINTENANCE {
            return;
        }
        let (Some(user), Some(domain)) = (event.get("VM-User"), event.get("VM-Domain")) else { return };
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < MOST {
            named.insert((user.to_owned(), domain.to_owned()));
        }
        drop(named);
        self.news.notify_one();
    }

    /// Notes them, for as long as the link lasts. Events before it may have been missed.
    pub async fn note(&self, pool: &PgPool, switch: Uuid) -> Infallible {
        while let Err(error) = store::stir_all(pool, switch).await {
            tracing::debug!(%switch, %error, "mailboxes could not be noted");
            tokio::time::sleep(PAUSE).await;
        }
        loop {
            let named = std::mem::take(&mut *self.named.lock().unwrap_or_else(PoisonError::into_inner));
            if !named.is_empty() {
                let (users, domains): (Vec<_>, Vec<_>) = named.iter().cloned().unzip();
                if let Err(error) = store::stir(pool, switch, &users, &domains).await {
                    tracing::debug!(%switch, %error, "mailboxes could not be noted");
                    self.named.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            self.news.notified().await;
        }
    }
}
