//! Recordings on their way in: read from a switch piece by piece, sealed, written into the store, and noted in the database once they are
//! there. Only then is the switch told that it may forget its file.
//!
//! What is written is noted before it is begun (`recording_objects`), so that a job finds and removes what a crash has left.

use std::{io, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use metrics::counter;
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{
    name::FileName,
    sealed::{CHUNK, Whose},
    sealing::Sealing,
    store::{self, Arrived},
    vault::{Vault, Writing},
};
use crate::text::keyring::{Keyring, Place, hex};

/// The largest recording in bytes: longer ones have no valid header.
pub const MAX_RECORDING: u64 = 4 << 30;
/// How many recordings a node takes at once.
const AT_ONCE: usize = 8;
/// So many bytes are sealed and written at once.
const PIECE: usize = 4 * CHUNK;
/// After how many days the time of a file is not believed any more.
const BELIEVED_DAYS: i64 = 31;

/// Where a recording's key is sealed.
#[must_use]
pub fn place(tenant: Uuid, id: Uuid) -> Place {
    Place { column: "recordings.key", tenant, row: id }
}

/// Where recordings arrive.
#[derive(Clone)]
pub struct Arrivals {
    pool: PgPool,
    vault: Vault,
    keyring: Arc<Keyring>,
    places: Arc<Semaphore>,
}

/// Why a recording was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// There is another one of this name.
    #[error("another recording has this name")]
    Differs,
    #[error("it is no WAV file")]
    NotWav,
    #[error("it is longer than a recording can be")]
    TooLarge,
    #[error("the node is busy with other recordings")]
    Busy,
    #[error("the store can't be written: {0}")]
    Store(#[from] io::Error),
    #[error("the database can't be asked: {0}")]
    Database(#[from] sqlx::Error),
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Stored,
    /// It was there already.
    Known,
}

impl Taken {
    fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Known => "known",
        }
    }
}

const RECORDINGS: &str = "dialplane_recordings_total";

/// A recording that is coming.
pub struct Coming {
    arrivals: Arrivals,
    whose: Whose,
    switch: Uuid,
    name: FileName,
    work: Sealing,
    /// `None` if a recording of this name is there: what comes is only compared with it.
    writing: Option<Writing>,
    piece: Vec<u8>,
    place: OwnedSemaphorePermit,
}

impl Arrivals {
    #[must_use]
    pub fn new(pool: PgPool, vault: Vault, keyring: Arc<Keyring>) -> Self {
        for outcome in ["stored", "known", "failed"] {
            counter!(RECORDINGS, "outcome" => outcome).increment(0);
        }
        Self { pool, vault, keyring, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Whose a leg was, as its records say, among the tenants of the switch's cluster. If no record of the leg has come, the tenant whose
    /// domain is named.
    pub async fn whose(&self, switch: Uuid, leg: Uuid, domain: Option<&str>) -> sqlx::Result<Option<Uuid>> {
        store::whose(&self.pool, switch, leg, domain).await
    }

    /// The SHA-256 of a recording that is there, in hexadecimal digits.
    pub async fn known(&self, tenant: Uuid, name: &FileName) -> sqlx::Result<Option<String>> {
        Ok(store::known(&self.pool, tenant, name.as_str()).await?.map(|hash| hex(&hash)))
    }

    /// Begins to take a recording.
    pub async fn begin(&self, tenant: Uuid, switch: Uuid, name: FileName) -> Result<Coming, NotTaken> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NotTaken::Busy)?;
        let whose = Whose { tenant, id: Uuid::now_v7() };
        let writing = if store::known(&self.pool, tenant, name.as_str()).await?.is_some() {
            None
        } else {
            store::begin(&self.pool, whose, self.vault.store()).await?;
            Some(self.vault.begin(whose).await?)
        };
        let work = Sealing::of(whose);
        let piece = Vec::with_capacity(PIECE);
        Ok(Coming { arrivals: self.clone(), whose, switch, name, work, writing, piece, place })
    }
}

impl Coming {
    /// Takes the next bytes.
    pub async fn take(mut self, bytes: &[u8]) -> Result<Self, NotTaken> {
        self.piece.extend_from_slice(bytes);
        if self.work.bytes() + self.piece.len() as u64 > MAX_RECORDING {
            self.forget().await;
            return Err(NotTaken::TooLarge);
        }
        if self.piece.len() < PIECE { Ok(self) } else { self.put(false).await }
    }

    /// Seals and writes what has come.
    async fn put(self, is_last: bool) -> Result<Self, NotTaken> {
        let Self { arrivals, whose, switch, name, mut work, writing, piece, place } = self;
        let seal = move || {
            let mut sealed = work.take(&piece)?;
            if is_last {
                sealed.extend(work.end()?);
            }
            Ok::<_, io::Error>((work, sealed))
        };
        let (work, sealed) = tokio::task::spawn_blocking(seal).await.map_err(io::Error::other)??;
        let writing = match writing {
            Some(writing) => Some(writing.write(sealed).await?),
            None => None,
        };
        let piece = Vec::with_capacity(PIECE);
        Ok(Self { arrivals, whose, switch, name, work, writing, piece, place })
    }

    /// Ends the recording: when this returns, it is in the store and in the database, or it was there before. `until`: when the switch
    /// wrote it last.
    pub async fn finish(self, until: Option<DateTime<Utc>>) -> Result<Taken, NotTaken> {
        let mut this = self.put(true).await?;
        let taken = match this.writing.take() {
            Some(writing) => this.keep(writing, until).await,
            None => this.compare().await,
        };
        let outcome = taken.as_ref().map_or("failed", |taken| taken.name());
        counter!(RECORDINGS, "outcome" => outcome).increment(1);
        // If the database did not answer, it may have kept the recording all the same. What it did not keep, a job removes.
        if !matches!(taken, Ok(Taken::Stored) | Err(NotTaken::Database(_))) {
            this.forget().await;
        }
        taken
    }

    async fn keep(&mut self, writing: Writing, until: Option<DateTime<Utc>>) -> Result<Taken, NotTaken> {
        let Some((head, silences)) = self.work.sound() else { return Err(NotTaken::NotWav) };
        writing.finish().await?;
        let milliseconds = i64::try_from(head.milliseconds(self.work.bytes())).unwrap_or(i64::MAX / 2);
        let now = Utc::now();
        let until = until.filter(|until| (now - TimeDelta::days(BELIEVED_DAYS)..now).contains(until)).unwrap_or(now);
        let Whose { tenant, id } = self.whose;
        let arrived = Arrived {
            whose: self.whose,
            name: self.name.as_str(),
            leg: self.name.leg,
            switch: self.switch,
            began_at: until - TimeDelta::milliseconds(milliseconds),
            duration_ms: milliseconds,
            channels: head.channels.into(),
            sample_rate: i32::try_from(head.rate).unwrap_or(i32::MAX),
            silences: silences.found(),
            bytes: i64::try_from(self.work.bytes()).unwrap_or(i64::MAX),
            sha256: self.work.digest(),
            store: self.arrivals.vault.store(),
            key: self.arrivals.keyring.seal(place(tenant, id), &self.work.key().text()),
        };
        if store::keep(&self.arrivals.pool, &arrived).await? {
            return Ok(Taken::Stored);
        }
        // Somebody was quicker with the same name.
        self.compare().await
    }

    async fn compare(&self) -> Result<Taken, NotTaken> {
        let known = store::known(&self.arrivals.pool, self.whose.tenant, self.name.as_str()).await?;
        match known {
            Some(known) if known == self.work.digest() => Ok(Taken::Known),
            Some(_) => Err(NotTaken::Differs),
            // It was deleted meanwhile. If the switch sends it again, it is taken.
            None => Err(NotTaken::Busy),
        }
    }

    /// It does not come whole.
    pub async fn abandon(self) {
        self.forget().await;
    }

    /// Removes what was written. If that fails, a job does it later.
    async fn forget(&self) {
        let Arrivals { pool, vault, .. } = &self.arrivals;
        if vault.remove(vault.store(), self.whose).await.is_ok() {
            let _ = store::forget(pool, self.whose.id).await;
        }
    }
}
