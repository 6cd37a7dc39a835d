//! The statement that needs room on the database's disk.

use sqlx::PgPool;

/// Has the server write half a megabyte into a file of its own, which ends with the statement: it takes more memory than it may. Neither
/// tables nor the log are written, so that it costs nothing while there is room.
pub async fn spill(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query("select set_config('work_mem', '64kB', true)").execute(&mut *tx).await?;
    sqlx::query("select count(*) from generate_series(1, 30000)").execute(&mut *tx).await?;
    tx.rollback().await
}
