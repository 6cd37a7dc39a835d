//! Connections to the database: pools that can't starve each other, and for how long a statement on each may run.
//!
//! Who stops waiting for an answer drops the connection, or gives it back; the server learns of neither while it works. So the
//! limit is the server's own (`statement_timeout`): what nobody waits for any more ends there as well.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    database_store, epoch_store,
    schema::{self, SchemaError},
};
use crate::text::keyring::{Keyring, KeyringError, hex};

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database can't be used: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the database does not answer")]
    NoAnswer,
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(
        "this database's secrets were sealed with another key (key id {0}): start with the key file they were sealed with"
    )]
    WrongKey(String),
    #[error(
        "the key file {} is missing, and this database's secrets are sealed: copy the file from another node, or from its backup",
        .0.display()
    )]
    MissingKey(PathBuf),
}

/// What a request may ask of the database at once; the largest upload is a statement of some seconds.
pub const REQUEST: Duration = Duration::from_secs(30);
/// Call records, sightings, what somebody changes by phone.
pub const CALL: Duration = Duration::from_secs(10);
/// Whether the nodes have a change.
pub const WATCH: Duration = Duration::from_secs(2);
/// Connections for each of the two below: the listener for NOTIFY keeps one.
const FEW: u32 = 4;

/// Connections on which the server ends a statement after so long.
#[must_use]
pub fn within(options: &PgConnectOptions, limit: Duration) -> PgConnectOptions {
    options.clone().options([("statement_timeout", format!("{}ms", limit.as_millis()))])
}

/// A node's pools. Polls and fills have connections of their own besides.
pub struct Pools {
    /// Requests of people and scripts.
    pub api: PgPool,
    /// What a switch changes: a bulk upload must not cost a call record.
    pub calls: PgPool,
    /// Waiting for the nodes to have a change, and for NOTIFY.
    pub watch: PgPool,
    /// What the node does by the clock; without a limit, for nobody waits for it.
    pub work: PgPool,
}

impl Pools {
    pub async fn open(options: &PgConnectOptions, api_connections: u32, call_connections: u32) -> sqlx::Result<Self> {
        let work = pool(FEW).connect_with(options.clone()).await?;
        let bounded = |connections, limit| pool(connections).connect_lazy_with(within(options, limit));
        let (api, calls) = (bounded(api_connections, REQUEST), bounded(call_connections, CALL));
        Ok(Self { api, calls, watch: bounded(FEW, WATCH), work })
    }

    pub async fn close(&self) {
        for pool in [&self.api, &self.calls, &self.watch, &self.work] {
            pool.close().await;
        }
    }
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(3))
}

/// For a command, which somebody looks at: one connection, whose statements have no limit, to tables that are as they must be.
pub async fn open(options: PgConnectOptions, key_file: &Path) -> Result<(PgPool, Keyring), DatabaseError> {
    let pool = pool(1).connect_with(options).await.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => DatabaseError::NoAnswer,
        error => error.into(),
    })?;
    let mut db = pool.acquire().await?;
    schema::check(&mut db).await?;
    let keyring = recognise(&mut db, key_file).await?;
    drop(db);
    Ok((pool, keyring))
}

/// What comes first wherever the database is opened, once its tables are as they must be. One that was restored gets a new epoch,
/// unless it is being restored right now; the triggers that the migrations made are counted; and its keys are opened.
pub async fn recognise(db: &mut PgConnection, key_file: &Path) -> Result<Keyring, DatabaseError> {
    if let Some(found) = epoch_store::of_a_restored(&mut *db).await? {
        epoch_store::renew(&mut *db, found).await?;
    }
    epoch_store::count_guards(&mut *db).await?;
    open_keyring(db, key_file).await
}

/// The key file's keys, which must be those that the database's secrets were sealed with. A new file is made for a new database alone.
async fn open_keyring(db: &mut PgConnection, key_file: &Path) -> Result<Keyring, DatabaseError> {
    let known = database_store::sealing_keys(&mut *db).await?;
    if !known.is_empty() && !key_file.try_exists().is_ok_and(|exists| exists) {
        return Err(DatabaseError::MissingKey(key_file.to_owned()));
    }
    let keyring = Keyring::open(key_file)?;
    let own = keyring.ids().collect::<Vec<_>>();
    if let Some(foreign) = known.iter().find(|id| !own.iter().any(|own| own[..] == id[..])) {
        return Err(DatabaseError::WrongKey(hex(foreign)));
    }
    for id in own.iter().filter(|own| !known.iter().any(|id| own[..] == id[..])) {
        database_store::add_sealing_key(&mut *db, &id[..]).await?;
    }
    Ok(keyring)
}
