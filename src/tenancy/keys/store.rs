//! The SQL of API keys.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Key;
use crate::{
    model::{
        paging::Window,
        sorting::{Sorted, in_order},
    },
    tenancy::auth::rules::Role,
    text::token::TokenHash,
};

/// What an authenticated key is.
#[derive(Debug, Clone)]
pub struct Known {
    pub id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub name: String,
    pub scopes: Vec<String>,
    pub origins: Vec<String>,
    pub role: Role,
    /// Who made it, and what they may do now. `None`: the operator did.
    pub created_by: Option<Uuid>,
    pub maker_role: Option<Role>,
}

/// Finds a key by its token, or by the previous token while the two overlap. Keys of suspended tenants and users don't work.
/// `last_used_at` is written once a minute.
pub async fn by_hash(db: impl PgExecutor<'_>, hash: &TokenHash) -> sqlx::Result<Option<Known>> {
    sqlx::query_as!(
        Known,
        r#"
        with known as (
            select k.id, k.tenant_id, k.name, k.scopes, k.origins, k.last_used_at, k.role, k.created_by, u.role as maker_role
              from api_keys k left join tenants t on t.id = k.tenant_id left join users u on u.id = k.created_by
             where (k.token_hash = $1 or (k.previous_hash = $1 and k.previous_expires_at > now()))
               and (k.expires_at is null or k.expires_at > now()) and coalesce(t.status, 'active') = 'active'
               and coalesce(u.status, 'active') = 'active'
        ), used as (
            update api_keys set last_used_at = now()
             where id in (select id from known where last_used_at is null or last_used_at < now() - interval '1 minute')
        )
        select id as "id!", tenant_id, name as "name!", scopes as "scopes!", origins as "origins!", role as "role!: Role", created_by as "created_by?",
               maker_role as "maker_role?: Role"
          from known
        "#,
        &hash.0[..]
    )
    .fetch_optional(db)
    .await
}

/// A key that is valid, with the hash of the token that was shown.
pub struct Standing {
    pub hash: Vec<u8>,
    pub tenant_id: Option<Uuid>,
    pub scopes: Vec<String>,
    pub role: Role,
    pub maker_role: Option<Role>,
}

/// The keys of those of these tokens that are valid, under the same conditions.
pub async fn standing(db: impl PgExecutor<'_>, hashes: &[Vec<u8>]) -> sqlx::Result<Vec<Standing>> {
    sqlx::query_as!(
        Standing,
        r#"select h.hash as "hash!", k.tenant_id, k.scopes, k.role as "role: Role", u.role as "maker_role?: Role"
             from unnest($1::bytea[]) as h (hash)
             join api_keys k on k.token_hash = h.hash or k.previous_hash = h.hash and k.previous_expires_at > now()
             left join tenants t on t.id = k.tenant_id left join users u on u.id = k.created_by
            where (k.expires_at is null or k.expires_at > now()) and coalesce(t.status, 'active') = 'active'
              and coalesce(u.status, 'active') = 'active'"#,
        hashes
    )
    .fetch_all(db)
    .await
}

pub async fn insert(db: &mut PgConnection, key: &Key, hash: &TokenHash, created_by: Option<Uuid>) -> sqlx::Result<Key> {
    sqlx::query!(
        "insert into api_keys (id, tenant_id, name, prefix, token_hash, expires_at, scopes, role, created_by, origins)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        key.id,
        key.tenant_id,
        &key.name as _,
        key.prefix,
        &hash.0[..],
        key.expires_at,
        &key.scopes,
        key.role as Role,
        created_by,
        &key.origins
    )
    .execute(&mut *db)
    .await?;
    get(db, None, key.id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// `within`: only if the key belongs to that tenant.
pub async fn get(db: impl PgExecutor<'_>, within: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<Key>> {
    Ok(select(db, within, Some(&[id]), None, &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, within: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<Key>> {
    sqlx::query!("select 1 as one from api_keys where id = $1 for update", id).fetch_optional(&mut *db).await?;
    get(db, within, id).await
}

/// `only`: of these; `name`: a part of it.
pub async fn list(
    db: impl PgExecutor<'_>,
    within: Option<Uuid>,
    only: Option<&[Uuid]>,
    name: Option<&str>,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Key>> {
    select(db, within, only, name, sorted).await
}

async fn select(
    db: impl PgExecutor<'_>,
    within: Option<Uuid>,
    only: Option<&[Uuid]>,
    name: Option<&str>,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Key>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Key,
        r#"select id, tenant_id, name as "name: _", role as "role: Role", prefix, scopes, origins, expires_at, last_used_at,
                  previous_expires_at, version, created_at, updated_at
             from api_keys, lateral (
                 select (case $6::text when 'name' then lower(name) else '' end) collate "C" as key,
                        (case $6::text when 'name' then lower($7::text) else '' end) collate "C" as after) k
            where ($2::uuid[] is null or id = any ($2)) and ($3::uuid is null or tenant_id = $3)
              and ($5::text is null or strpos(lower(name), lower($5)) > 0)
              and "# $(+ $order)+ + " limit $4",
        sorted.window.after,
        only,
        within,
        sorted.window.fetch(),
        name,
        sorted.by,
        sorted.key,
        sorted.is_down
    )
    .fetch_all(db)
    .await
        };
    }
    in_order!(sorted, rows, "id", "$1", "$7", "$8")
}

pub async fn update(db: &mut PgConnection, key: &Key) -> sqlx::Result<Key> {
    sqlx::query!(
        "update api_keys set name = $2, expires_at = $3, scopes = $4, origins = $5, version = version + 1, updated_at = now()
          where id = $1",
        key.id,
        &key.name as _,
        key.expires_at,
        &key.scopes,
        &key.origins
    )
    .execute(&mut *db)
    .await?;
    get(db, None, key.id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Whether any key that works names this origin.
pub async fn is_named(db: impl PgExecutor<'_>, origin: &str) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select 1 from api_keys where origins @> array[$1::text] and (expires_at is null or expires_at > now()))
                  as "exists!""#,
        origin
    );
    found.fetch_one(db).await
}

pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from api_keys where id = $1", id).execute(db).await.map(|_| ())
}

/// Replaces the token. The previous one works until `until`.
pub async fn rotate(
    db: &mut PgConnection,
    id: Uuid,
    prefix: &str,
    hash: &TokenHash,
    until: DateTime<Utc>,
) -> sqlx::Result<Key> {
    sqlx::query!(
        "update api_keys set previous_hash = token_hash, previous_expires_at = $4, token_hash = $3, prefix = $2,
                version = version + 1, updated_at = now()
          where id = $1",
        id,
        prefix,
        &hash.0[..],
        until
    )
    .execute(&mut *db)
    .await?;
    get(db, None, id).await?.ok_or(sqlx::Error::RowNotFound)
}
