//! Connections to the database: pools that can't starve each other, and for how long a statement on each may run.
//!
//! Who stops waiting for an answer drops the connection, or gives it back; the server learns of neither while it works. So the
//! limit is the server's own (`statement_timeout`): what nobody waits for any more ends there as well.

use std::time::Duration;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{database_store, epoch_store};
use crate::text::keyring::{Keyring, hex};

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database can't be used: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the database's tables can't be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error(
        "this database's secrets were sealed with another key (key id {0}): start with the key file they were sealed with"
    )]
    WrongKey(String),
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
    pub async fn open(
        options: &PgConnectOptions,
        keyring: &Keyring,
        api_connections: u32,
        call_connections: u32,
    ) -> Result<Self, DatabaseError> {
        let work = open(options.clone(), FEW, keyring).await?;
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

/// Connects, brings the tables up to date and checks that the keyring is the one its secrets were sealed with. Statements have no
/// limit: for commands, which somebody looks at.
pub async fn open(options: PgConnectOptions, connections: u32, keyring: &Keyring) -> Result<PgPool, DatabaseError> {
    let pool = pool(connections).connect_with(options).await?;
    sqlx::migrate!().run(&pool).await?;
    recognise(&pool).await?;
    check_keyring(&pool, keyring).await?;
    Ok(pool)
}

/// After the migrations: a database that was restored gets a new epoch, unless it is being restored right now; and the triggers
/// that the migrations made are counted.
async fn recognise(pool: &PgPool) -> sqlx::Result<()> {
    let mut db = pool.acquire().await?;
    if let Some(found) = epoch_store::of_a_restored(&mut db).await? {
        epoch_store::renew(&mut db, found).await?;
    }
    epoch_store::count_guards(&mut db).await
}

async fn check_keyring(pool: &PgPool, keyring: &Keyring) -> Result<(), DatabaseError> {
    let own = keyring.ids().collect::<Vec<_>>();
    let known = database_store::sealing_keys(pool).await?;
    if let Some(foreign) = known.iter().find(|id| !own.iter().any(|own| own[..] == id[..])) {
        return Err(DatabaseError::WrongKey(hex(foreign)));
    }
    for id in own {
        database_store::add_sealing_key(pool, &id[..]).await?;
    }
    Ok(())
}
