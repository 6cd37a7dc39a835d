//! The clock of all nodes: the database's.
//!
//! A node's own clock may be wrong, and each node's differently. So a time that a row carries is set and judged by the database's:
//! in SQL as `now()`, elsewhere by this. A node's own clock only measures how long something takes (`Instant`), and says what time
//! it is for people: in schedules, in logs.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// The present time; in a transaction, when that began.
pub async fn now(db: impl PgExecutor<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(db).await
}
