//! The SQL of what `doctor` asks a database.

use sqlx::PgExecutor;

/// Which Postgres it is, in its own words.
pub async fn version(db: impl PgExecutor<'_>) -> sqlx::Result<String> {
    sqlx::query_scalar!(r#"select version() as "version!""#).fetch_one(db).await
}

/// The versions of the migrations that it has. The table is sqlx's own, and not there before the first of them.
pub async fn applied_migrations(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(db).await
}
