//! The SQL of a new connection: its settings, and whether its server accepts changes.
//!
//! It is sent as plain text in one round trip: there is nothing to prepare, and a pooler in front need not know about it.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// Applies a session's settings. They are not parameters of the connection's start, because pgbouncer refuses or drops those.
pub async fn apply(db: &mut PgConnection, statements: &str) -> sqlx::Result<()> {
    if statements.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(db).await.map(|_| ())
}

/// Applies the settings, and returns the server's state.
pub async fn apply_and_look(db: &mut PgConnection, statements: &str) -> sqlx::Result<Kind> {
    let sql = format!("{statements} select pg_is_in_recovery(), current_setting('transaction_read_only')::bool");
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(db).await?;
    Ok(Kind { is_standby: row.try_get(0)?, is_read_only: row.try_get(1)? })
}

/// Whether the server answers and accepts changes.
pub async fn takes_changes(db: &mut PgConnection) -> bool {
    let asked = sqlx::raw_sql("select current_setting('transaction_read_only')::bool").fetch_one(db).await;
    asked.and_then(|row| row.try_get::<bool, _>(0)).is_ok_and(|is_read_only| !is_read_only)
}

#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub is_standby: bool,
    pub is_read_only: bool,
}
