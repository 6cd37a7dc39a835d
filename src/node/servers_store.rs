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

/// What a pool's connection can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    TakesChanges,
    /// The server takes none, or does not answer.
    Unusable,
    /// The database is incomplete.
    BeingRestored,
}

/// Asks the server whether it accepts changes, and perhaps whether the database is complete.
pub async fn state(db: &mut PgConnection, also_whole: bool) -> State {
    let whole = if also_whole { "(select guards <= guards() from public.epoch)" } else { "true" };
    let sql = format!("select current_setting('transaction_read_only')::bool, {whole}");
    let asked = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(db).await;
    match asked.and_then(|row| Ok((row.try_get::<bool, _>(0)?, row.try_get::<Option<bool>, _>(1)?))) {
        Ok((false, Some(true))) => State::TakesChanges,
        Ok((false, _)) => State::BeingRestored,
        Err(sqlx::Error::Database(error)) if names_nothing(&*error) => State::BeingRestored,
        Ok((true, _)) | Err(_) => State::Unusable,
    }
}

/// Whether a statement of ours named something that is not there (class 42), which happens during a restore.
#[must_use]
pub fn names_nothing(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| code.starts_with("42"))
}

#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub is_standby: bool,
    pub is_read_only: bool,
}
