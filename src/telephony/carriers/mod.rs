//! Carriers: the gateways over which calls leave the platform, with their rates and health. They belong to the platform; a
//! carrier with a tenant takes only that tenant's calls.

pub mod api;
pub mod health;
pub mod hosts;
pub mod probe;
pub mod rates;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::carrier::CarrierConfig;
use crate::model::used::UsedKind;
use crate::{
    model::{
        error::{Error, NOT_THERE, Result, same_version},
        put::Put,
        same::is_same,
        settings::Words,
    },
    node::changes::{Audited, Change},
    text::{CarrierPassword, Code, keyring::Place},
};

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Carrier {
    pub id: Uuid,
    /// The only tenant whose calls it takes; `null` for all tenants.
    pub tenant_id: Option<Uuid>,
    pub name: Words,
    pub status: CarrierStatus,
    pub config: CarrierConfig,
    pub has_password: bool,
    /// Among carriers with the same price, the one with the lowest priority is tried first.
    pub priority: i32,
    /// Its gateway's name on the switches.
    pub gateway: String,
    /// How many rates are in force.
    pub rates: i32,
    pub rates_uploaded_at: Option<DateTime<Utc>>,
    pub health: Health,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CarrierStatus {
    #[default]
    Active,
    Disabled,
}

/// A carrier's health, from its call records.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// Until then, it is tried after the others.
    pub sick_until: Option<DateTime<Utc>>,
    /// Failures in a row.
    pub failures: i32,
    /// Calls that it was given, and how many of them were answered.
    pub seized: i64,
    pub answered: i64,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCarrier {
    pub name: Words,
    pub tenant_id: Option<Uuid>,
    #[serde(default)]
    pub status: CarrierStatus,
    pub config: CarrierConfig,
    pub password: Option<CarrierPassword>,
    #[serde(default = "ten")]
    pub priority: i32,
}

fn ten() -> i32 {
    10
}

/// A merge patch. `config` is replaced as a whole.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CarrierPatch {
    pub name: Option<Words>,
    pub status: Option<CarrierStatus>,
    pub config: Option<CarrierConfig>,
    #[serde(default, deserialize_with = "crate::model::patch::patch")]
    #[schema(value_type = Option<CarrierPassword>)]
    pub password: Option<Option<CarrierPassword>>,
    pub priority: Option<i32>,
}

/// Where a carrier's password is kept, for sealing it.
#[must_use]
pub fn place(id: Uuid) -> Place {
    Place { column: "carrier_password", tenant: Uuid::nil(), row: id }
}

pub async fn create(change: &mut Change, new: NewCarrier) -> Result<Carrier> {
    new.config.check(new.password.is_some())?;
    if let Some(tenant) = new.tenant_id {
        change.hold(tenant).await?;
    }
    if let Some(known) = store::by_name(change.db(), new.name.as_str()).await? {
        return Err(Error::taken(Code::CarrierNameTaken, UsedKind::Carrier, known.id, &known.name));
    }
    let id = Uuid::now_v7();
    let sealed = new.password.as_ref().map(|password| change.keyring().seal(place(id), password.reveal()));
    store::insert(change.db(), id, &new, sealed.as_deref()).await.map_err(taken)?;
    let carrier = store::get(change.db(), id).await?.ok_or(Error::NotFound("carrier"))?;
    change.audit_of("create", None, Some(&carrier)).await?;
    Ok(carrier)
}

pub async fn update(change: &mut Change, id: Uuid, patch: CarrierPatch, if_match: Option<i64>) -> Result<Carrier> {
    let before = locked(change, id, if_match).await?;
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = name;
    }
    if let Some(status) = patch.status {
        after.status = status;
    }
    if let Some(config) = patch.config {
        after.config = config;
    }
    if let Some(priority) = patch.priority {
        after.priority = priority;
    }
    let keyring = change.keyring();
    let kept = store::sealed_password(change.db(), id).await?;
    let kept = kept.and_then(|sealed| keyring.open_sealed(place(id), &sealed).ok());
    let same_password = patch.password.as_ref().is_none_or(|said| match (said, &kept) {
        (None, _) => !before.has_password,
        (Some(said), Some(kept)) => kept.as_str() == said.reveal(),
        (Some(_), None) => false,
    });
    if same_password && is_same(&before, &after) {
        return Ok(before);
    }
    let password = patch.password.map(|password| password.map(|password| keyring.seal(place(id), password.reveal())));
    after.config.check(password.as_ref().map_or(before.has_password, Option::is_some))?;
    store::update(change.db(), &after, password.as_ref().map(Option::as_deref)).await.map_err(taken)?;
    let after = store::get(change.db(), id).await?.ok_or(Error::NotFound("carrier"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Makes the carrier of this name equal to what is wanted, or creates it. Its tenant can't change. An absent password stays as it is.
pub async fn put(change: &mut Change, new: NewCarrier, if_match: Option<i64>) -> Result<Put<Carrier>> {
    let Some(carrier) = store::by_name(change.db(), new.name.as_str()).await? else {
        same_version(if_match, NOT_THERE)?;
        return create(change, new).await.map(Put::Made);
    };
    let NewCarrier { name, tenant_id, status, config, password, priority } = new;
    if tenant_id != carrier.tenant_id {
        return Err(Error::invalid("tenant_id", Code::CantChange));
    }
    let patch = CarrierPatch {
        name: Some(name),
        status: Some(status),
        config: Some(config),
        password: password.map(Some),
        priority: Some(priority),
    };
    update(change, carrier.id, patch, if_match).await.map(Put::Is)
}

pub async fn delete(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, id, if_match).await?;
    store::delete(change.db(), id).await?;
    change.audit_of("delete", Some(&before), None).await
}

async fn locked(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<Carrier> {
    let found = store::get(change.db(), id).await?.ok_or(Error::NotFound("carrier"))?;
    if let Some(tenant) = found.tenant_id {
        change.hold(tenant).await?;
    }
    let carrier = store::lock(change.db(), id).await?.ok_or(Error::NotFound("carrier"))?;
    same_version(if_match, carrier.version)?;
    Ok(carrier)
}

fn taken(error: sqlx::Error) -> Error {
    let error = Error::from(error);
    match error.violated() {
        Some(("carriers_name_key", _)) => Error::from(Code::CarrierNameTaken),
        Some(("carriers_tenant_id_fkey", _)) => Error::invalid("tenant_id", Code::NamesNoTenant),
        _ => error,
    }
}

impl Audited for Carrier {
    fn tenant(&self) -> Option<Uuid> {
        self.tenant_id
    }

    fn resource(&self) -> String {
        format!("carriers/{}", self.id)
    }
}
