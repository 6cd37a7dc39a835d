//! The database's clock, which all nodes use.
//!
//! A node's own clock may be wrong, and different on each node. So times in rows are set and compared by the database's clock: in SQL
//! as `now()`, elsewhere by this. A node's own clock only measures durations (`Instant`), and gives the time of day for schedules and
//! logs.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// The present time; in a transaction, the time of its beginning.
pub async fn now(db: impl PgExecutor<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(db).await
}
