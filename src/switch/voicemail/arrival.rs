//! The sound of messages on its way in: sealed, written into the store, and noted in the database once it is there, together with the event that
//! tells others of the message. What is written is noted before it is begun, so that a job removes what a crash has left.

use std::{io, sync::Arc};

use metrics::counter;
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{
    Message, place,
    store::{self, Arrived, OfFile},
};
use crate::{
    model::topic::Topic,
    telephony::recordings::{
        sealed::{CHUNK, Whose},
        sealing::Sealing,
        vault::{Vault, Writing},
    },
    tenancy::webhooks,
    text::keyring::Keyring,
};

/// The largest message in bytes: an hour at 8 kHz. Switches end messages after five minutes (`max-record-len` of freeswitch-conf).
pub const MAX_MESSAGE: u64 = 64 << 20;
/// How many messages a node takes at once.
const AT_ONCE: usize = 8;
/// So many bytes are sealed and written at once.
const PIECE: usize = 4 * CHUNK;

const MESSAGES: &str = "dialplane_voicemail_messages_total";

/// Where the sound of messages arrives.
#[derive(Clone)]
pub struct Messages {
    pool: PgPool,
    vault: Vault,
    keyring: Arc<Keyring>,
    places: Arc<Semaphore>,
}

/// Why the sound of a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error("it is no WAV file")]
    NotWav,
    #[error("it is longer than a message can be")]
    TooLarge,
    #[error("the node is busy with other messages, or the message has changed meanwhile")]
    Busy,
    #[error("the store can't be written: {0}")]
    Store(#[from] io::Error),
    #[error("the database can't be asked: {0}")]
    Database(#[from] sqlx::Error),
}

/// The sound of a message that is coming.
pub struct Coming {
    messages: Messages,
    tenant: Uuid,
    id: Uuid,
    whose: Whose,
    work: Sealing,
    writing: Writing,
    piece: Vec<u8>,
    held: OwnedSemaphorePermit,
}

impl Messages {
    #[must_use]
    pub fn new(pool: PgPool, vault: Vault, keyring: Arc<Keyring>) -> Self {
        for outcome in ["stored", "failed"] {
            counter!(MESSAGES, "outcome" => outcome).increment(0);
        }
        Self { pool, vault, keyring, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Whose a file of a switch is, and what is known of it. The switch will be asked about a message that is not known.
    pub async fn of_file(
        &self,
        switch: Uuid,
        (domain, user, file): (&str, &str, &str),
    ) -> sqlx::Result<Option<OfFile>> {
        let found = store::of_file(&self.pool, switch, domain, user, file).await?;
        if found.as_ref().is_some_and(|found| found.message.is_none()) {
            store::stir(&self.pool, switch, &[user.to_owned()], &[domain.to_owned()]).await?;
        }
        Ok(found)
    }

    /// Begins to take the sound of a message.
    pub async fn begin(&self, tenant: Uuid, id: Uuid) -> Result<Coming, NotTaken> {
        let held = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NotTaken::Busy)?;
        let whose = Whose { tenant, id: Uuid::now_v7() };
        store::begin(&self.pool, whose, self.vault.store()).await?;
        let writing = self.vault.begin(whose).await?;
        let (work, piece) = (Sealing::of(whose), Vec::with_capacity(PIECE));
        Ok(Coming { messages: self.clone(), tenant, id, whose, work, writing, piece, held })
    }
}

impl Coming {
    /// Takes the next bytes.
    pub async fn take(mut self, bytes: &[u8]) -> Result<Self, NotTaken> {
        self.piece.extend_from_slice(bytes);
        if self.work.bytes() + self.piece.len() as u64 > MAX_MESSAGE {
            self.forget().await;
            return Err(NotTaken::TooLarge);
        }
        if self.piece.len() < PIECE { Ok(self) } else { self.put(false).await }
    }

    async fn put(self, is_last: bool) -> Result<Self, NotTaken> {
        let Self { messages, tenant, id, whose, mut work, writing, piece, held } = self;
        let seal = move || {
            let mut sealed = work.take(&piece)?;
            if is_last {
                sealed.extend(work.end()?);
            }
            Ok::<_, io::Error>((work, sealed))
        };
        let (work, sealed) = tokio::task::spawn_blocking(seal).await.map_err(io::Error::other)??;
        let writing = writing.write(sealed).await?;
        Ok(Self { messages, tenant, id, whose, work, writing, piece: Vec::with_capacity(PIECE), held })
    }

    /// Ends it: when this returns, it is in the store and in the database, and whoever wants to be told of the message will be.
    pub async fn finish(self) -> Result<(), NotTaken> {
        let this = self.put(true).await?;
        let (messages, whose) = (this.messages.clone(), this.whose);
        let kept = this.keep().await;
        counter!(MESSAGES, "outcome" => if kept.is_ok() { "stored" } else { "failed" }).increment(1);
        // If the database did not answer, it may have kept it all the same. What it did not keep, a job removes.
        if !matches!(kept, Ok(()) | Err(NotTaken::Database(_))) {
            messages.forget(whose).await;
        }
        kept
    }

    async fn keep(mut self) -> Result<(), NotTaken> {
        if self.work.sound().is_none() {
            return Err(NotTaken::NotWav);
        }
        let Self { messages, tenant, id, whose, work, writing, .. } = self;
        writing.finish().await?;
        let arrived = Arrived {
            content: whose.id,
            store: messages.vault.store(),
            key: messages.keyring.seal(place(tenant, id), &work.key().text()),
            bytes: i64::try_from(work.bytes()).unwrap_or(i64::MAX),
            sha256: work.digest(),
        };
        let mut tx = messages.pool.begin().await?;
        let Some(message) = store::keep(&mut tx, tenant, id, &arrived).await? else { return Err(NotTaken::Busy) };
        let number = store::number(&mut *tx, tenant, message.extension_id).await?.unwrap_or_default();
        let event = webhooks::event(Some(tenant), Topic::VoicemailReceived, &told(&message, &number));
        webhooks::publish(&mut tx, &[event]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// It does not come whole.
    pub async fn abandon(self) {
        self.forget().await;
    }

    async fn forget(&self) {
        self.messages.forget(self.whose).await;
    }
}

impl Messages {
    /// Removes what was written. If that fails, a job does it later.
    async fn forget(&self, whose: Whose) {
        if self.vault.remove(self.vault.store(), whose).await.is_ok() {
            let _ = store::forget(&self.pool, whose.id).await;
        }
    }
}

/// What others are told of a message: how to hear it, for a transcription.
fn told(message: &Message, extension: &str) -> serde_json::Value {
    serde_json::json!({
        "id": message.id,
        "extension_id": message.extension_id,
        "extension": extension,
        "caller_number": message.caller_number,
        "caller_name": message.caller_name,
        "received_at": message.received_at,
        "seconds": message.seconds,
        "is_urgent": message.is_urgent,
        "forwarded_by": message.forwarded_by,
        "audio": format!("/v1/voicemail/{}/audio?tenant_id={}", message.id, message.tenant_id),
    })
}
