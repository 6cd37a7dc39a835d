//! The SQL of a database's epoch, which tells which database it is and which line of its history.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::servers_store;

/// A database's epoch, as `doctor` shows it.
pub struct Epoch {
    pub epoch: Uuid,
    pub since: DateTime<Utc>,
    /// Whether the epoch began in this very database.
    pub is_same: bool,
    /// How many triggers, foreign keys and policies the database should have, and how many it has.
    pub guards: (i64, i64),
}

pub async fn read(db: impl PgExecutor<'_>) -> sqlx::Result<Epoch> {
    let row = sqlx::query!(
        r#"select epoch, since, identity is not distinct from database_identity() as "is_same!",
                  guards as wanted, guards() as "there!"
             from epoch"#
    )
    .fetch_one(db)
    .await?;
    Ok(Epoch { epoch: row.epoch, since: row.since, is_same: row.is_same, guards: (row.wanted, row.there) })
}

/// Begins a new epoch because the database was restored. Does nothing if another node has already replaced the epoch `seen`.
pub async fn renew(db: &mut PgConnection, seen: Uuid) -> sqlx::Result<()> {
    // A database without an identity was never opened before, so no node can know a future of it.
    sqlx::query!(
        r#"
        with renewed as (
            update epoch
               set epoch = gen_random_uuid(), identity = database_identity(),
                   since = case when identity is null then since else clock_timestamp() end
             where epoch = $1
            returning 1
        )
        select pg_notify('dialplane_generation', '') as "told!: ()" from renewed
        "#,
        seen
    )
    .fetch_optional(db)
    .await
    .map(|_| ())
}

/// The epoch of a restored database; `None` if it was not restored, or the restore is still going on (triggers are missing).
pub async fn of_a_restored(db: &mut PgConnection) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "select epoch from epoch where identity is distinct from database_identity() and guards <= guards()"
    )
    .fetch_optional(db)
    .await
}

/// Whether the database is complete, as far as can be seen. It is not while it is being restored, or if something was dropped other than
/// by a migration since the last count.
pub async fn is_whole(db: &mut PgConnection) -> sqlx::Result<bool> {
    // Not checked at compile time: it must be possible to ask when tables and functions are missing.
    let found = sqlx::query_scalar(
        "select guards <= guards() or migration < (select max(version) from _sqlx_migrations where success) from public.epoch",
    )
    .fetch_optional(db)
    .await;
    match found {
        Ok(found) => Ok(found.unwrap_or(false)),
        Err(sqlx::Error::Database(error)) if servers_store::names_nothing(&*error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the database is complete. If so, it stays that until this transaction ends: a restore drops this table, and waits for the lock.
pub async fn stays_whole(db: &mut PgConnection) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(r#"select guards <= guards() as "is_whole!" from epoch for share"#);
    Ok(found.fetch_optional(db).await?.unwrap_or(false))
}

/// Counts the triggers, foreign keys and policies that the migrations made.
pub async fn count_guards(db: &mut PgConnection) -> sqlx::Result<()> {
    // Not checked at compile time: the table is sqlx's own, and is missing where statements are checked.
    sqlx::query(
        "update epoch set guards = guards(), migration = m.newest
           from (select max(version) as newest from _sqlx_migrations where success) m
          where epoch.migration < m.newest",
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Begins a new epoch because the operator says that the database was restored and is complete. Commit this like any change.
pub async fn begin_anew(db: &mut PgConnection) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        r#"
        with renewed as (
            update epoch
               set epoch = gen_random_uuid(), identity = database_identity(), since = clock_timestamp(), guards = guards()
            returning epoch
        ),
        told as materialized (select pg_notify('dialplane_generation', ''))
        select r.epoch as "epoch!" from renewed r, told
        "#
    )
    .fetch_one(db)
    .await
}
