//! The SQL of what a session's pages must still show.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// Keeps one. Deletes everybody's expired ones, and all but the session's newest twenty. What became of forms does not count: its ids are
/// no times (they are of version 8), and it is gone after minutes.
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
             or (session_id = $1 and substr(id::text, 15, 1) <> '8' and id not in (
                 select id from kept_pages where session_id = $1 and substr(id::text, 15, 1) <> '8' order by id desc limit 19))",
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

/// Takes away what is kept under an id, unless it has expired: its session, and itself. Of two that ask at once, one gets it.
pub async fn take(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<(Uuid, Vec<u8>)>> {
    let taken =
        sqlx::query!("delete from kept_pages where id = $1 and expires_at > now() returning session_id, sealed", id);
    Ok(taken.fetch_optional(db).await?.map(|row| (row.session_id, row.sealed)))
}

/// Deletes what has expired.
pub async fn drop_expired(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("delete from kept_pages where expires_at < now()").execute(db).await.map(|_| ())
}

/// Takes an id for a session, unless it is taken.
pub async fn claim(
    db: impl PgExecutor<'_>,
    id: Uuid,
    session: Uuid,
    sealed: &[u8],
    expires_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let claimed = sqlx::query!(
        "insert into kept_pages (id, session_id, sealed, expires_at) values ($1, $2, $3, $4)
         on conflict (id) do update set sealed = excluded.sealed, expires_at = excluded.expires_at
          where kept_pages.expires_at < now() and kept_pages.session_id = excluded.session_id",
        id,
        session,
        sealed,
        expires_at
    );
    claimed.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// Keeps something under an id that was taken.
pub async fn settle(
    db: impl PgExecutor<'_>,
    id: Uuid,
    session: Uuid,
    sealed: &[u8],
    expires_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let settled = sqlx::query!(
        "update kept_pages set sealed = $3, expires_at = $4 where id = $1 and session_id = $2",
        id,
        session,
        sealed,
        expires_at
    );
    settled.execute(db).await.map(|_| ())
}

/// Gives back an id that was taken.
pub async fn give_back(db: impl PgExecutor<'_>, id: Uuid, session: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from kept_pages where id = $1 and session_id = $2", id, session).execute(db).await.map(|_| ())
}
