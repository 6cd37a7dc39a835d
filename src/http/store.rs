//! The SQL of idempotency keys.

use sqlx::PgConnection;
use uuid::Uuid;

/// An answer that was given.
pub struct Given {
    pub fingerprint: Vec<u8>,
    pub status: i16,
    pub version: Option<i64>,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

pub async fn answer_given(db: &mut PgConnection, actor: Uuid, key: &str) -> sqlx::Result<Option<Given>> {
    sqlx::query_as!(
        Given,
        "select fingerprint, status, version, location, body from idempotency_keys
          where actor = $1 and key = $2 and created_at > now() - interval '1 day'",
        actor,
        key
    )
    .fetch_optional(db)
    .await
}

/// `false`: the key is taken. Waits for whoever is using it right now.
pub async fn remember_answer(db: &mut PgConnection, actor: Uuid, key: &str, given: &Given) -> sqlx::Result<bool> {
    sqlx::query!("delete from idempotency_keys where created_at < now() - interval '1 day'").execute(&mut *db).await?;
    let inserted = sqlx::query!(
        "insert into idempotency_keys (actor, key, fingerprint, status, version, location, body)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        actor,
        key,
        given.fingerprint,
        given.status,
        given.version,
        given.location,
        given.body
    )
    .execute(db)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
