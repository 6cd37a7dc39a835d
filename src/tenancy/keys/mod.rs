//! API keys, for scripts. A key of the platform may do everything; a key of a tenant is limited to that tenant.

pub mod api;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{
        error::{Error, Result, same_version},
        moment,
        same::is_same,
    },
    node::{
        changes::{Audited, Change},
        clock_store,
    },
    tenancy::auth::rules::{self, Role},
    text::{
        Code, DisplayName, Origin,
        token::{self, TokenHash},
    },
};

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Key {
    pub id: Uuid,
    /// `null` for a key of the platform.
    pub tenant_id: Option<Uuid>,
    pub name: DisplayName,
    /// Limits what a tenant's key may do within its scopes. It never may do more than its maker.
    pub role: Role,
    /// The beginning of the key, to tell keys apart.
    pub prefix: String,
    /// What it may do, such as `*`, `extensions:read` or `agents:write`.
    pub scopes: Vec<String>,
    /// The web origins whose pages may use it from a browser.
    pub origins: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
    /// Accurate to a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Until when the previous token works too, after a rotation.
    pub previous_expires_at: Option<DateTime<Utc>>,
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

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    pub name: DisplayName,
    /// The tenant of the key. Without it, the key is the platform's.
    pub tenant_id: Option<Uuid>,
    pub expires_at: Option<DateTime<Utc>>,
    /// What it may do: `RESOURCE:read`, `RESOURCE:write` (includes reading), or `*`. Without scopes, everything that its maker may.
    #[serde(default = "all_scopes")]
    pub scopes: Vec<String>,
    /// The web origins whose pages may use it from a browser (CORS), such as `https://crm.example`. Whoever opens such a page can read
    /// the key, so limit its scopes. None if absent.
    #[serde(default)]
    pub origins: Vec<Origin>,
}

/// Everything.
#[must_use]
pub fn all_scopes() -> Vec<String> {
    vec!["*".to_owned()]
}

/// A key's rotation.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// For how many seconds the current token keeps working: at most a week, by default an hour.
    pub overlap_seconds: Option<i64>,
}

/// A merge patch: absent fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    pub name: Option<DisplayName>,
    /// `null`: the key does not expire.
    #[serde(default, deserialize_with = "crate::model::patch::patch")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub expires_at: Option<Option<DateTime<Utc>>>,
    pub scopes: Option<Vec<String>>,
    pub origins: Option<Vec<Origin>>,
}

const MOST_ORIGINS: usize = 20;

fn check_origins(origins: &[Origin]) -> Result<Vec<String>> {
    if origins.len() > MOST_ORIGINS {
        return Err(Error::invalid("origins", Code::at_most(MOST_ORIGINS)));
    }
    Ok(origins.iter().map(ToString::to_string).collect())
}

fn check_scopes(scopes: &[String]) -> Result<()> {
    if scopes.is_empty() || scopes.len() > 40 {
        return Err(Error::invalid("scopes", Code::range(1, 40)));
    }
    match scopes.iter().find(|scope| !rules::is_scope(scope)) {
        None => Ok(()),
        Some(scope) => {
            let known = rules::RESOURCES.map(rules::Resource::name).join(", ");
            let scope = scope.chars().take(40).collect::<String>();
            Err(Error::invalid(
                "scopes",
                Code::WrongScope.with("known", known).with("scope", format_args!("{scope:?}")),
            ))
        }
    }
}

/// Who makes, changes and deletes keys. A key never has more rights than its maker.
#[derive(Debug, Clone, Copy)]
pub struct Maker {
    /// `None`: the operator.
    user: Option<Uuid>,
    role: Role,
}

impl Maker {
    /// The operator, on the command line.
    pub const OPERATOR: Self = Self { user: None, role: Role::PlatformAdmin };
}

/// Creates a key as the operator.
pub async fn create(change: &mut Change, new: NewKey) -> Result<CreatedKey> {
    create_by(change, Maker::OPERATOR, new).await
}

pub async fn create_by(change: &mut Change, maker: Maker, new: NewKey) -> Result<CreatedKey> {
    check_scopes(&new.scopes)?;
    let origins = check_origins(&new.origins)?;
    moment::check("expires_at", new.expires_at)?;
    if let Some(tenant) = new.tenant_id {
        change.hold(tenant).await?;
    }
    let token = token::generate("dpk");
    let now = Utc::now();
    let key = Key {
        id: Uuid::now_v7(),
        tenant_id: new.tenant_id,
        name: new.name,
        role: if maker.role == Role::PlatformAdmin { Role::Owner } else { maker.role },
        prefix: token::visible_prefix(&token),
        scopes: new.scopes,
        origins,
        expires_at: new.expires_at,
        last_used_at: None,
        previous_expires_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let key =
        store::insert(change.db(), &key, &TokenHash::of(token.as_bytes()), maker.user).await.map_err(|error| {
            let error = Error::from(error);
            match error.violated() {
                Some(("api_keys_tenant_id_fkey", _)) => Error::invalid("tenant_id", Code::NamesNoTenant),
                _ => error,
            }
        })?;
    change.audit_of("create", None, Some(&key)).await?;
    Ok(CreatedKey { key, token: token.to_string() })
}

pub async fn update(
    change: &mut Change,
    maker: Maker,
    within: Option<Uuid>,
    id: Uuid,
    patch: KeyPatch,
    if_match: Option<i64>,
) -> Result<Key> {
    let before = locked(change, maker, within, id, if_match).await?;
    let scopes = patch.scopes.unwrap_or_else(|| before.scopes.clone());
    check_scopes(&scopes)?;
    let origins = patch.origins.as_deref().map(check_origins).transpose()?.unwrap_or_else(|| before.origins.clone());
    moment::check("expires_at", patch.expires_at.flatten())?;
    let (name, expires_at) =
        (patch.name.unwrap_or_else(|| before.name.clone()), patch.expires_at.unwrap_or(before.expires_at));
    let after = Key { name, scopes, origins, expires_at, ..before.clone() };
    if is_same(&before, &after) {
        return Ok(before);
    }
    let after = store::update(change.db(), &after).await?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Makes a new token. The previous one works until the overlap ends, so that scripts can change over.
pub async fn rotate(
    change: &mut Change,
    maker: Maker,
    within: Option<Uuid>,
    id: Uuid,
    rotation: &Rotation,
    if_match: Option<i64>,
) -> Result<CreatedKey> {
    let overlap = rotation.overlap_seconds.unwrap_or(3600);
    if !(0..=7 * 86400).contains(&overlap) {
        return Err(Error::invalid("overlap_seconds", Code::range(0, 604_800)));
    }
    let before = locked(change, maker, within, id, if_match).await?;
    let token = token::generate("dpk");
    let until = clock_store::now(change.db()).await? + chrono::Duration::seconds(overlap);
    let (prefix, hash) = (token::visible_prefix(&token), TokenHash::of(token.as_bytes()));
    let key = store::rotate(change.db(), id, &prefix, &hash, until).await?;
    change.audit_of("rotate", Some(&before), Some(&key)).await?;
    Ok(CreatedKey { key, token: token.to_string() })
}

pub async fn delete(
    change: &mut Change,
    maker: Maker,
    within: Option<Uuid>,
    id: Uuid,
    if_match: Option<i64>,
) -> Result<()> {
    let before = locked(change, maker, within, id, if_match).await?;
    store::delete(change.db(), id).await?;
    change.audit_of("delete", Some(&before), None).await
}

/// The one rule for who reaches which key: an admin can't touch an owner's.
fn check_reach(maker: Maker, key: &Key) -> Result<()> {
    let reaches = match maker.role {
        Role::PlatformAdmin => true,
        Role::Owner => key.tenant_id.is_some(),
        role => key.tenant_id.is_some() && key.role == role,
    };
    if reaches { Ok(()) } else { Err(Error::from(Code::KeyAboveYours)) }
}

/// Locks the key that is changed, rotated or deleted, after checking that the maker reaches it.
async fn locked(
    change: &mut Change,
    maker: Maker,
    within: Option<Uuid>,
    id: Uuid,
    if_match: Option<i64>,
) -> Result<Key> {
    let key = store::get(change.db(), within, id).await?.ok_or(Error::NotFound("key"))?;
    if let Some(tenant) = key.tenant_id {
        change.hold(tenant).await?;
    }
    let key = store::lock(change.db(), within, id).await?.ok_or(Error::NotFound("key"))?;
    same_version(if_match, key.version)?;
    check_reach(maker, &key)?;
    Ok(key)
}

impl Audited for Key {
    fn tenant(&self) -> Option<Uuid> {
        self.tenant_id
    }

    fn resource(&self) -> String {
        format!("keys/{}", self.id)
    }
}
