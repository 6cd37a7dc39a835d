//! The SQL that makes a cluster's database.

use sqlx::PgExecutor;

pub async fn has_database(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<bool> {
    let row = sqlx::query("select 1 from pg_database where datname = $1").bind(name).fetch_optional(db).await?;
    Ok(row.is_some())
}

/// Creates [`super::DATABASE`]. Such a statement takes no parameters.
pub async fn create_database(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("create database dialplane").execute(db).await.map(|_| ())
}
