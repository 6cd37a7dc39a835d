//! Connections to the database: pools that can't starve each other, and how long a statement in each may run.
//!
//! When nobody waits for an answer any more, the connection is dropped or given back, but a working server notices neither.
//! So the server itself has the limit (`statement_timeout`), and ends statements that nobody waits for.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{PgConnection, PgPool};

use super::{
    epoch_store,
    fitness::{CheckError, Unfit},
    schema::{self, SchemaError},
    seals_store,
    servers::{self, DuringRestore, ServerError, Servers, Session, Unreachable},
};
use crate::text::keyring::{Keyring, KeyringError, hex};

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database can't be used: {0}")]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error("{names}: {source}")]
    Server { names: String, source: ServerError },
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(
        "the database is incomplete: it is being restored, or triggers, foreign keys or policies were dropped. Wait until the restore has ended, and look \
         at `dialplane doctor`; `dialplane restored` accepts the database as it is"
    )]
    NotWhole,
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(
        "this database's secrets were sealed with another key (key id {0}): start with the key file that they were sealed with"
    )]
    WrongKey(String),
    #[error(
        "the key file {} is missing, but this database has sealed secrets: copy the file from another node, or from its backup",
        .0.display()
    )]
    MissingKey(PathBuf),
}

impl DatabaseError {
    /// Whether waiting may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Sql(error) | Self::Schema(SchemaError::Sql(error)) => servers::may_pass(error),
            Self::Server { source, .. } => source.may_pass(),
            Self::Schema(SchemaError::Partial) => true,
            _ => false,
        }
    }
}

impl From<CheckError> for DatabaseError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Unfit(error) => error.into(),
            CheckError::Sql(error) => error.into(),
        }
    }
}

/// The longest statement of a request. The largest upload takes some seconds.
pub const REQUEST: Duration = Duration::from_secs(30);
/// The longest statement for call records, sightings, and changes by phone.
pub const CALL: Duration = Duration::from_secs(10);
/// The longest statement that asks whether the nodes have a change.
pub const WATCH: Duration = Duration::from_secs(2);
/// Connections in each of the pools `watch` and `work`. The listener for NOTIFY keeps one of them.
const FEW: u32 = 4;

/// How many connections a node opens at most. It has as many for calls as for fills, one for polls, and one for what it checks while it
/// starts.
#[must_use]
pub fn connections_needed(api_connections: u32, fill_connections: u32) -> u32 {
    api_connections.saturating_add(fill_connections.saturating_mul(2)).saturating_add(2 * FEW + 2)
}

/// A node's pools. Polls and fills have other connections.
#[derive(Clone)]
pub struct Pools {
    /// Requests of people and scripts.
    pub api: PgPool,
    /// Changes that come from switches: no call record must be lost because of a bulk upload.
    pub calls: PgPool,
    /// Waiting for the nodes to have a change, and for NOTIFY.
    pub watch: PgPool,
    /// The node's periodic work. Its statements have no limit, since nobody waits for them.
    pub work: PgPool,
}

impl Pools {
    #[must_use]
    pub fn open(servers: &Servers, api_connections: u32, call_connections: u32) -> Self {
        let bounded = |connections, limit, restore| servers.pool(connections, Session::within(limit), restore);
        Self {
            api: bounded(api_connections, REQUEST, DuringRestore::Holds),
            calls: bounded(call_connections, CALL, DuringRestore::Holds),
            // It only reads, and removes this node.
            watch: bounded(FEW, WATCH, DuringRestore::Goes),
            work: servers.pool(FEW, Session::default(), DuringRestore::HoldsAtOnce),
        }
    }

    /// With their names, for whoever looks at how full they are.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &PgPool); 4] {
        [("api", &self.api), ("calls", &self.calls), ("watch", &self.watch), ("work", &self.work)]
    }

    pub async fn close(&self) {
        for pool in [&self.api, &self.calls, &self.watch, &self.work] {
            pool.close().await;
        }
    }
}

/// Whether a database may be opened that lacks triggers, foreign keys or policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomplete {
    Refuse,
    /// By the operator's word.
    Accept,
}

/// Opens the database for a command: one connection without a limit, after checking the tables' version. Somebody watches.
pub async fn open(
    servers: &Servers,
    key_file: &Path,
    incomplete: Incomplete,
) -> Result<(PgPool, Keyring), DatabaseError> {
    let first = servers.choose().await.map_err(|source| DatabaseError::Server { names: servers.names(), source })?;
    drop(first);
    let pool = servers.pool(1, Session::default(), DuringRestore::Goes);
    let mut db = pool.acquire().await?;
    schema::check(&mut db).await?;
    if incomplete == Incomplete::Refuse && !epoch_store::is_whole(&mut db).await? {
        return Err(DatabaseError::NotWhole);
    }
    let keyring = recognise(&mut db, key_file).await?;
    drop(db);
    Ok((pool, keyring))
}

/// The first steps wherever an up-to-date and complete database is opened: a restored database gets a new epoch (unless the restore is
/// still going on), the triggers that migrations made are counted, and the keys are read.
pub async fn recognise(db: &mut PgConnection, key_file: &Path) -> Result<Keyring, DatabaseError> {
    if let Some(found) = epoch_store::of_a_restored(&mut *db).await? {
        epoch_store::renew(&mut *db, found).await?;
    }
    epoch_store::count_guards(&mut *db).await?;
    open_keyring(db, key_file).await
}

/// Reads the key file, whose keys must be those that seal the database's secrets. Only a new database gets a new file.
async fn open_keyring(db: &mut PgConnection, key_file: &Path) -> Result<Keyring, DatabaseError> {
    let known = seals_store::known(&mut *db).await?;
    if !known.is_empty() && !key_file.try_exists().is_ok_and(|exists| exists) {
        return Err(DatabaseError::MissingKey(key_file.to_owned()));
    }
    let keyring = if known.is_empty() { Keyring::open(key_file)? } else { Keyring::read(key_file)? };
    keyring.note_used(seals_store::used(&known));
    if let Some(foreign) = keyring.missing().first() {
        return Err(DatabaseError::WrongKey(hex(foreign)));
    }
    let own = keyring.ids().iter().map(|id| id.to_vec()).collect::<Vec<_>>();
    if own.iter().any(|id| !known.iter().any(|key| key.id == *id)) {
        seals_store::offer(&mut *db, &own).await?;
    }
    match known.first().filter(|key| key.is_used) {
        Some(newest) => {
            keyring.seal_with(&newest.id);
        }
        None => seals_store::begin_with(&mut *db, &keyring.seals_with()).await?,
    }
    Ok(keyring)
}
