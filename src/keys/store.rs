//! The SQL of API keys.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Key;
use crate::{http::page::Window, text::DisplayName, token::TokenHash};

/// What an authenticated key is.
pub struct Known {
    pub id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub name: String,
}

pub async fn by_hash(db: impl PgExecutor<'_>, hash: &TokenHash) -> sqlx::Result<Option<Known>> {
    sqlx::query_as!(
        Known,
        "select id, tenant_id, name from api_keys
          where token_hash = $1 and (expires_at is null or expires_at > now())",
        &hash.0[..]
    )
    .fetch_optional(db)
    .await
}

pub async fn insert(db: &mut PgConnection, key: &Key, hash: &TokenHash) -> sqlx::Result<Key> {
    sqlx::query_as!(
        Key,
        r#"insert into api_keys (id, tenant_id, name, prefix, token_hash, expires_at) values ($1, $2, $3, $4, $5, $6)
           returning id, tenant_id, name as "name: _", prefix, expires_at, version, created_at, updated_at"#,
        key.id,
        key.tenant_id,
        &key.name as _,
        key.prefix,
        &hash.0[..],
        key.expires_at
    )
    .fetch_one(db)
    .await
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Key>> {
    sqlx::query_as!(
        Key,
        r#"select id, tenant_id, name as "name: _", prefix, expires_at, version, created_at, updated_at
             from api_keys where id = $1"#,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Key>> {
    sqlx::query!("select 1 as one from api_keys where id = $1 for update", id).fetch_optional(&mut *db).await?;
    get(db, id).await
}

pub async fn list(db: impl PgExecutor<'_>, window: Window) -> sqlx::Result<Vec<Key>> {
    sqlx::query_as!(
        Key,
        r#"select id, tenant_id, name as "name: _", prefix, expires_at, version, created_at, updated_at
             from api_keys where id > $1 order by id limit $2"#,
        window.after,
        window.fetch()
    )
    .fetch_all(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    id: Uuid,
    name: &DisplayName,
    expires_at: Option<DateTime<Utc>>,
) -> sqlx::Result<Key> {
    sqlx::query_as!(
        Key,
        r#"update api_keys set name = $2, expires_at = $3, version = version + 1, updated_at = now() where id = $1
           returning id, tenant_id, name as "name: _", prefix, expires_at, version, created_at, updated_at"#,
        id,
        name as _,
        expires_at
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from api_keys where id = $1", id).execute(db).await.map(|_| ())
}
