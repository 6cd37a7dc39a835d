//! The SQL of idempotency keys.

use sqlx::PgConnection;
use uuid::Uuid;

/// An answer that was given.
pub struct Given {
    /// The tenants whose things it is about.
    pub tenants: Vec<Uuid>,
    pub fingerprint: Vec<u8>,
    pub status: i16,
    pub version: Option<i64>,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

/// Makes others with the same key wait until this transaction ends.
pub async fn hold_key(db: &mut PgConnection, actor: Uuid, key: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($2, hashtextextended($1::text, 0)))",
        actor.to_string(),
        key
    )
    .fetch_one(db)
    .await
    .map(|_| ())
}

pub async fn answer_given(db: &mut PgConnection, actor: Uuid, key: &str) -> sqlx::Result<Option<Given>> {
    sqlx::query_as!(
        Given,
        "select tenants, fingerprint, status, version, location, body from idempotency_keys
          where actor = $1 and key = $2 and created_at > now() - interval '1 day'",
        actor,
        key
    )
    .fetch_optional(db)
    .await
}

/// Keeps an answer, in the place of one that is older than a day.
pub async fn remember_answer(db: &mut PgConnection, actor: Uuid, key: &str, given: &Given) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from idempotency_keys where actor = $1 and key = $2 and created_at < now() - interval '1 day'",
        actor,
        key
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into idempotency_keys (actor, key, fingerprint, status, version, location, body, tenants)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        actor,
        key,
        given.fingerprint,
        given.status,
        given.version,
        given.location,
        given.body,
        &given.tenants
    )
    .execute(db)
    .await
    .map(|_| ())
}
