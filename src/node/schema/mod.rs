//! The version of the database's tables: checks whether this program may use them, and brings them up to date.
//!
//! A program knows the migrations that it was built with, and its version is the newest of them. Older tables must be migrated
//! first, which only nodes and `dialplane migrate` do. Newer tables can be used, unless their floor (migration 0018) says that
//! this program is too old for them.

pub mod rights;
mod rights_store;
mod store;

use std::{collections::HashMap, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{Migrate as _, MigrateError, Migration, Migrator},
    postgres::PgConnectOptions,
};

use super::{
    epoch_store,
    fitness::{self, CheckError, Unfit},
};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");
/// Where sqlx records applied migrations.
const TABLE: &str = "_sqlx_migrations";

/// The migration since which the database says whether it is complete.
const EPOCHS: i64 = 14;

/// How long a migration waits for a lock on a table. Everybody else who uses the table waits behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two tries, in which the others get their turn.
const PAUSE: Duration = Duration::from_secs(1);
const TRIES: u32 = 60;
/// How often a node asks whether another one has finished migrating. It must not wait inside a statement, whose snapshot would
/// block a `create index concurrently` of the other one.
const TURN: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(
        "the database has tables, but they are incomplete or not Dialplane's: if it is being restored, wait until that has ended. Otherwise give \
         Dialplane a database of its own, or have `dialplane restored` accept this one as it is"
    )]
    Partial,
    #[error("the database has no tables yet: run `dialplane migrate`, or start a node, which creates them")]
    Empty,
    #[error(
        "the database's tables are older than this program (they have version {found}, but it needs {needed}): run `dialplane migrate`, or restart the node with this program"
    )]
    Older { found: i64, needed: i64 },
    #[error(
        "the database's tables are newer than this program: they have version {found} and need a program of version {lowest} or newer, but this one has {own}. Use the newer dialplane"
    )]
    Newer { found: i64, lowest: i64, own: i64 },
    #[error(
        "migration {0} of this database is not the one that this program knows: they come from different sources. Use the program that created the database"
    )]
    Foreign(i64),
    #[error(
        "migration {version} found its tables locked each of {TRIES} times, and changed nothing. The longest open transaction: {holder}. End it, and try again"
    )]
    Locked { version: i64, holder: String },
    #[error("migration {version} failed, and changed nothing: {source}")]
    Failed { version: i64, source: MigrateError },
    #[error("the database's version can't be read: {0}")]
    Sql(#[from] sqlx::Error),
}

/// Progress, for whoever waits.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// Another process is migrating this database.
    Queued,
    Applies {
        version: i64,
        name: &'a str,
        at: usize,
        total: usize,
    },
    /// Another transaction holds a lock on a table that the migration changes.
    Locked {
        version: i64,
    },
    /// The tables are newer than this program, but it may use them.
    Newer {
        found: i64,
        own: i64,
    },
}

/// The state of tables that this program may use or bring up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Current,
    /// Newer than this program, but it may use them.
    Newer(i64),
    /// No migration was applied yet.
    Empty,
    Older(i64),
}

/// The newest migration that this program knows.
#[must_use]
pub fn own_version() -> i64 {
    known().map(|migration| migration.version).max().unwrap_or_default()
}

/// All migrations that this program knows, in order.
pub fn known_versions() -> impl Iterator<Item = i64> {
    known().map(|migration| migration.version)
}

fn known() -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS.iter().filter(|migration| !migration.migration_type.is_down_migration())
}

/// The state of the tables, or an error if this program must not use them.
pub async fn standing(db: &mut PgConnection) -> Result<Standing, SchemaError> {
    let Some(applied) = store::applied(&mut *db).await? else { return Ok(Standing::Empty) };
    let Some(found) = applied.last().map(|last| last.version) else { return Ok(Standing::Empty) };
    let own = own_version();
    let mut applied = applied.into_iter().map(|one| (one.version, one.checksum)).collect::<HashMap<_, _>>();
    let mut missing = None;
    for migration in known() {
        match applied.remove(&migration.version) {
            Some(checksum) if checksum[..] == migration.checksum[..] => {}
            Some(_) => return Err(SchemaError::Foreign(migration.version)),
            None => missing = missing.or(Some(migration.version)),
        }
    }
    // The rest are unknown to this program. Later ones come from a later program, earlier ones from another.
    if let Some(unknown) = applied.into_keys().find(|version| *version < own) {
        return Err(SchemaError::Foreign(unknown));
    }
    match missing {
        None if found == own => Ok(Standing::Current),
        None => {
            let lowest = store::floor(db).await?.unwrap_or(found);
            if lowest > own { Err(SchemaError::Newer { found, lowest, own }) } else { Ok(Standing::Newer(found)) }
        }
        Some(missing) if found > own => Err(SchemaError::Foreign(missing)),
        Some(_) => Ok(Standing::Older(found)),
    }
}

/// Checks that this program may use the tables, for commands that don't change them.
pub async fn check(db: &mut PgConnection) -> Result<(), SchemaError> {
    match standing(db).await? {
        Standing::Current | Standing::Newer(_) => Ok(()),
        Standing::Empty if store::has_tables(db).await? => Err(SchemaError::Partial),
        Standing::Empty => Err(SchemaError::Empty),
        Standing::Older(found) => Err(SchemaError::Older { found, needed: own_version() }),
    }
}

/// Brings the tables up to date, one process at a time, and returns the number of migrations applied. Tables that are up to
/// date are not touched.
pub async fn migrate(options: &PgConnectOptions, mut tell: impl FnMut(Step<'_>)) -> Result<usize, SchemaError> {
    let mut db = options.connect().await?;
    fitness::check_place(&mut db).await.map_err(|error| match error {
        CheckError::Unfit(error) => SchemaError::Unfit(error),
        CheckError::Sql(error) => error.into(),
    })?;
    let done = match standing(&mut db).await? {
        Standing::Current => 0,
        Standing::Newer(found) => {
            tell(Step::Newer { found, own: own_version() });
            0
        }
        // Into a database that is being restored, a migration would put tables that the restore brings as well.
        Standing::Empty if store::has_tables(&mut db).await? => return Err(SchemaError::Partial),
        Standing::Older(found) if found >= EPOCHS && !epoch_store::is_whole(&mut db).await? => {
            return Err(SchemaError::Partial);
        }
        Standing::Empty | Standing::Older(_) => {
            take_turn(&mut db, &mut tell).await?;
            apply_missing(&mut db, &mut tell).await?
        }
    };
    // Closing the connection releases the lock.
    let _ = db.close().await;
    Ok(done)
}

/// Takes sqlx's own lock, which older programs respect too.
async fn take_turn(db: &mut PgConnection, tell: &mut impl FnMut(Step<'_>)) -> Result<(), SchemaError> {
    store::wait_for_locks(&mut *db, TURN).await?;
    let mut told = false;
    loop {
        match db.lock().await {
            Ok(()) => return Ok(()),
            Err(MigrateError::Execute(error)) if is_locked(&error) => {}
            Err(source) => return Err(SchemaError::Failed { version: own_version(), source }),
        }
        if !std::mem::replace(&mut told, true) {
            tell(Step::Queued);
        }
        tokio::time::sleep(TURN).await;
    }
}

async fn apply_missing(db: &mut PgConnection, tell: &mut impl FnMut(Step<'_>)) -> Result<usize, SchemaError> {
    store::wait_for_locks(&mut *db, LOCK_TIMEOUT).await?;
    // Another process may have migrated meanwhile, perhaps further.
    if let Standing::Current | Standing::Newer(_) = standing(&mut *db).await? {
        return Ok(0);
    }
    db.ensure_migrations_table(TABLE).await.map_err(|source| SchemaError::Failed { version: 0, source })?;
    let applied = store::applied(&mut *db).await?.unwrap_or_default();
    let missing = known().filter(|known| applied.iter().all(|one| one.version != known.version)).collect::<Vec<_>>();
    let has_role = rights::has_role(&mut *db).await?;
    for (at, migration) in missing.iter().enumerate() {
        let migration = &with_role(migration, has_role);
        let name = &*migration.description;
        tell(Step::Applies { version: migration.version, name, at: at + 1, total: missing.len() });
        apply(&mut *db, migration, tell).await?;
    }
    Ok(missing.len())
}

/// Migration 2 makes the role. A user without CREATEROLE may not, says Postgres, before it looks whether the role is there. Where it is,
/// that statement has nothing to do.
fn with_role(migration: &Migration, has_role: bool) -> Migration {
    let mut migration = migration.clone();
    if migration.version == 2 && has_role {
        let sql = migration.sql.as_str().replace("create role dialplane_tenant nologin;", "null;");
        migration.sql = AssertSqlSafe(sql).into_sql_str();
    }
    migration
}

async fn apply(
    db: &mut PgConnection,
    migration: &Migration,
    tell: &mut impl FnMut(Step<'_>),
) -> Result<(), SchemaError> {
    let version = migration.version;
    for attempt in 1..=TRIES {
        match db.apply(TABLE, migration).await {
            Ok(_) => return Ok(()),
            Err(MigrateError::ExecuteMigration(error, _) | MigrateError::Execute(error)) if is_locked(&error) => {}
            Err(source) => return Err(SchemaError::Failed { version, source }),
        }
        if attempt == 1 {
            tell(Step::Locked { version });
        }
        tokio::time::sleep(PAUSE).await;
    }
    let holder = store::oldest_transaction(db).await?.unwrap_or_else(|| "none any more".into());
    Err(SchemaError::Locked { version, holder })
}

/// 55P03: `lock_timeout` expired. 40P01: a deadlock, in which this side lost.
fn is_locked(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("55P03" | "40P01")))
}
