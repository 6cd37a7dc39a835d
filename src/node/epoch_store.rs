//! The SQL of a database's epoch: which database it is, and which line of its history.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// A database's epoch, as a person may want to know it.
pub struct Epoch {
    pub epoch: Uuid,
    pub since: DateTime<Utc>,
    /// Is it the database that the epoch began in?
    pub is_same: bool,
    /// How many triggers it should have, and how many it has.
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

/// The database was restored: a new epoch in place of the one that was seen. Whoever sees it second changes nothing.
pub async fn renew(db: &mut PgConnection, seen: Uuid) -> sqlx::Result<()> {
    // Nobody has looked at a database without an identity: no node can know a future of it.
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

/// The epoch of a database that was restored, unless it is being restored right now: then triggers are missing.
pub async fn of_a_restored(db: &mut PgConnection) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "select epoch from epoch where identity is distinct from database_identity() and guards <= guards()"
    )
    .fetch_optional(db)
    .await
}

/// Counts the triggers that the migrations made.
pub async fn count_guards(db: &mut PgConnection) -> sqlx::Result<()> {
    // The table is sqlx's own; where statements are checked it is not there.
    sqlx::query(
        "update epoch set guards = guards(), migration = m.newest
           from (select max(version) as newest from _sqlx_migrations where success) m
          where epoch.migration < m.newest",
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The operator says that the database was restored, and is whole as it is. To be committed, and waited for like any change.
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
