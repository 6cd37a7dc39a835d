//! The SQL of people.

use sqlx::PgConnection;
use uuid::Uuid;

/// Makes the administrator, or gives the one with this address a new password.
pub async fn insert_platform_admin(db: &mut PgConnection, id: Uuid, email: &str, hash: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into users (id, email, password_hash, role) values ($1, $2, $3, 'platform_admin')
         on conflict (lower(email)) do update set password_hash = excluded.password_hash",
        id,
        email,
        hash
    )
    .execute(db)
    .await
    .map(|_| ())
}
