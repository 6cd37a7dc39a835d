//! The SQL of the keys that seal a database's secrets.

use sqlx::PgExecutor;

/// The ids of the keys.
pub async fn sealing_keys(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar!("select id from sealing_keys").fetch_all(db).await
}

pub async fn add_sealing_key(db: impl PgExecutor<'_>, id: &[u8]) -> sqlx::Result<()> {
    sqlx::query!("insert into sealing_keys (id) values ($1) on conflict do nothing", id).execute(db).await.map(|_| ())
}
