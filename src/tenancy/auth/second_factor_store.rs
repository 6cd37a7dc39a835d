//! The SQL of second factors.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::text::token::TokenHash;

/// Begins setting up a second factor.
pub async fn set_totp_secret(db: &mut PgConnection, user: Uuid, sealed: Option<&[u8]>) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set totp_secret = $2, totp_enabled_at = null, totp_last_step = 0, updated_at = now() where id = $1",
        user,
        sealed
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn enable_totp(db: &mut PgConnection, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update users set totp_enabled_at = now(), updated_at = now() where id = $1", user)
        .execute(db)
        .await
        .map(|_| ())
}

/// Uses up a code's time step. Returns false if it or a later one was used before.
pub async fn take_totp_step(db: &mut PgConnection, user: Uuid, step: i64) -> sqlx::Result<bool> {
    let taken = sqlx::query!("update users set totp_last_step = $2 where id = $1 and totp_last_step < $2", user, step)
        .execute(db)
        .await?;
    Ok(taken.rows_affected() == 1)
}

pub async fn set_recovery_codes(db: &mut PgConnection, user: Uuid, hashes: &[Vec<u8>]) -> sqlx::Result<()> {
    sqlx::query!("delete from recovery_codes where user_id = $1", user).execute(&mut *db).await?;
    sqlx::query!("insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])", user, hashes)
        .execute(db)
        .await
        .map(|_| ())
}

pub async fn use_recovery_code(db: &mut PgConnection, user: Uuid, hash: &TokenHash) -> sqlx::Result<bool> {
    let used = sqlx::query!("delete from recovery_codes where user_id = $1 and hash = $2", user, &hash.0[..])
        .execute(db)
        .await?;
    Ok(used.rows_affected() == 1)
}
