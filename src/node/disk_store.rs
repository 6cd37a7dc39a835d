//! The statement that needs room on the database's disk.

use sqlx::PgPool;

/// Makes the server write half a megabyte to a temporary file, by exceeding its working memory. The file goes with the
/// statement, and neither tables nor the WAL are written, so this is cheap while there is room.
pub async fn spill(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query("select set_config('work_mem', '64kB', true)").execute(&mut *tx).await?;
    sqlx::query("select count(*) from generate_series(1, 30000)").execute(&mut *tx).await?;
    tx.rollback().await
}
