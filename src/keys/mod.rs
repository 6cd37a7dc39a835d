//! API keys: what scripts show instead of signing in. One of the platform may do everything, one of a tenant sees that tenant
//! and nothing else.

pub mod api;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    changes::{Audit, Change, Error, Result},
    text::DisplayName,
    token::{self, TokenHash},
};

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Key {
    pub id: Uuid,
    /// `null`: a key of the platform.
    pub tenant_id: Option<Uuid>,
    pub name: DisplayName,
    /// How the key begins, to tell keys apart.
    pub prefix: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A key with its token, which is never shown again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedKey {
    #[serde(flatten)]
    pub key: Key,
    /// Send it as `X-API-Key`.
    pub token: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    pub name: DisplayName,
    /// The tenant that it is for; the platform when not given.
    pub tenant_id: Option<Uuid>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// A merge patch: what is absent stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    pub name: Option<DisplayName>,
    pub expires_at: Option<DateTime<Utc>>,
}

pub async fn create(change: &mut Change, new: NewKey) -> Result<CreatedKey> {
    let token = token::generate("dpk");
    let now = Utc::now();
    let key = Key {
        id: Uuid::now_v7(),
        tenant_id: new.tenant_id,
        name: new.name,
        prefix: token::visible_prefix(&token),
        expires_at: new.expires_at,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let key = store::insert(change.db(), &key, &TokenHash::of(token.as_bytes())).await.map_err(|error| {
        let error = Error::from(error);
        match error.violated() {
            Some(("api_keys_tenant_id_fkey", _)) => Error::invalid("tenant_id", "names no tenant"),
            _ => error,
        }
    })?;
    audit(change, "create", None, Some(&key)).await?;
    Ok(CreatedKey { key, token: token.to_string() })
}

pub async fn update(change: &mut Change, id: Uuid, patch: KeyPatch, if_match: Option<i64>) -> Result<Key> {
    let before = locked(change, id, if_match).await?;
    let (name, expires_at) =
        (patch.name.unwrap_or_else(|| before.name.clone()), patch.expires_at.or(before.expires_at));
    let after = store::update(change.db(), id, &name, expires_at).await?;
    audit(change, "update", Some(&before), Some(&after)).await?;
    Ok(after)
}

pub async fn delete(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, id, if_match).await?;
    store::delete(change.db(), id).await?;
    audit(change, "delete", Some(&before), None).await
}

async fn locked(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<Key> {
    let key = store::lock(change.db(), id).await?.ok_or(Error::NotFound("key"))?;
    match if_match {
        Some(version) if version != key.version => Err(Error::Changed(key.version)),
        _ => Ok(key),
    }
}

async fn audit(change: &mut Change, action: &str, before: Option<&Key>, after: Option<&Key>) -> Result<()> {
    let json = |key: &Key| serde_json::to_value(key).unwrap_or_default();
    let Some(about) = after.or(before) else { return Ok(()) };
    let (tenant, resource) = (about.tenant_id, format!("keys/{}", about.id));
    change.audit(Audit { tenant, action, resource, before: before.map(json), after: after.map(json) }).await
}
