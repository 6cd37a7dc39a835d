//! The SQL of what a session's pages must still show.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// Keeps one. Deletes everybody's expired ones, and all but the session's newest twenty.
pub async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    session: Uuid,
    sealed: &[u8],
    expires_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from kept_pages
          where expires_at < now()
             or (session_id = $1 and id not in (select id from kept_pages where session_id = $1 order by id desc limit 19))",
        session
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into kept_pages (id, session_id, sealed, expires_at) values ($1, $2, $3, $4)",
        id,
        session,
        sealed,
        expires_at
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// What this session keeps under an id, unless it has expired.
pub async fn get(db: impl PgExecutor<'_>, id: Uuid, session: Uuid) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!(
        "select sealed from kept_pages where id = $1 and session_id = $2 and expires_at > now()",
        id,
        session
    )
    .fetch_optional(db)
    .await
}

/// Deletes what has expired.
pub async fn drop_expired(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("delete from kept_pages where expires_at < now()").execute(db).await.map(|_| ())
}
