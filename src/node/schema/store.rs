//! The SQL of the tables' version, and of a migration's locks.
//!
//! These statements are not checked at compile time: they also run on empty databases and those of other versions.

use sqlx::{PgConnection, Row as _};

pub struct Applied {
    pub version: i64,
    pub checksum: Vec<u8>,
}

/// The applied migrations, or `None` if sqlx's table does not exist yet.
pub async fn applied(db: &mut PgConnection) -> sqlx::Result<Option<Vec<Applied>>> {
    let rows = sqlx::query("select version, checksum from _sqlx_migrations where success order by version");
    let Some(rows) = if_there(rows.fetch_all(db).await)? else { return Ok(None) };
    rows.iter()
        .map(|row| Ok(Applied { version: row.try_get(0)?, checksum: row.try_get(1)? }))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Whether there are tables, other than sqlx's own and those of extensions.
pub async fn has_tables(db: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_class c
                         where c.relnamespace = to_regnamespace('public') and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
                           and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'))",
    )
    .fetch_one(db)
    .await
}

/// The oldest program version that may use the tables; `None` if they are from before this was recorded.
pub async fn floor(db: &mut PgConnection) -> sqlx::Result<Option<i64>> {
    Ok(if_there(sqlx::query_scalar("select lowest from schema_floor").fetch_optional(db).await)?.flatten())
}

/// Sets how long a statement waits for a lock. Everybody else who needs the table queues behind it, so it must not be long.
pub async fn wait_for_locks(db: &mut PgConnection, limit: std::time::Duration) -> sqlx::Result<()> {
    let limit = format!("{}ms", limit.as_millis());
    sqlx::query("select set_config('lock_timeout', $1, false)").bind(limit).execute(db).await.map(|_| ())
}

/// The longest open transaction, for a person who looks for what holds a lock.
pub async fn oldest_transaction(db: &mut PgConnection) -> sqlx::Result<Option<String>> {
    let oldest = sqlx::query_scalar(
        "select format('process %s of user %s (%s), open for %s s', pid, usename, coalesce(nullif(application_name, ''), 'unnamed'),
                       extract(epoch from clock_timestamp() - xact_start)::bigint)
           from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
          order by xact_start limit 1",
    );
    oldest.fetch_optional(db).await
}

fn if_there<T>(found: sqlx::Result<T>) -> sqlx::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        // 42P01: there is no such table.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(None),
        Err(error) => Err(error),
    }
}
