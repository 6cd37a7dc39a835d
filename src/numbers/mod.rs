//! Phone numbers: E.164 numbers of a tenant, each leading to one of its destinations.

pub mod api;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    changes::{Audit, Change, Error, Result},
    http::input::patch,
    text::E164,
};

/// Where a number leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    Extension { id: Uuid },
    Group { id: Uuid },
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Number {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub number: E164,
    /// `null`: calls to it are told that it is unallocated.
    pub destination: Option<Destination>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNumber {
    pub number: E164,
    pub destination: Option<Destination>,
}

/// A merge patch: what is absent stays, `null` empties.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberPatch {
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Destination>)]
    pub destination: Option<Option<Destination>>,
}

pub async fn create(change: &mut Change, tenant: Uuid, new: NewNumber) -> Result<Number> {
    check(change, tenant, new.destination).await?;
    let inserted = store::insert(change.db(), tenant, Uuid::now_v7(), &new.number, new.destination).await;
    let number = inserted.map_err(|error| {
        let error = Error::from(error);
        match error.violated() {
            // Whose it is, is nobody else's business.
            Some(("numbers_number_key", _)) => Error::Conflict(format!("{} exists already.", new.number)),
            Some((constraint, _)) if constraint.ends_with("tenant_id_fkey") => Error::NotFound("tenant"),
            _ => error,
        }
    })?;
    audit(change, "create", None, Some(&number)).await?;
    Ok(number)
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: NumberPatch,
    if_match: Option<i64>,
) -> Result<Number> {
    let before = locked(change, tenant, id, if_match).await?;
    let destination = patch.destination.unwrap_or(before.destination);
    check(change, tenant, destination).await?;
    let after = store::update(change.db(), tenant, id, destination).await?;
    audit(change, "update", Some(&before), Some(&after)).await?;
    Ok(after)
}

pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, tenant, id, if_match).await?;
    store::delete(change.db(), tenant, id).await?;
    audit(change, "delete", Some(&before), None).await
}

async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Number> {
    let number = store::lock(change.db(), tenant, id).await?.ok_or(Error::NotFound("number"))?;
    match if_match {
        Some(version) if version != number.version => Err(Error::Changed(number.version)),
        _ => Ok(number),
    }
}

async fn check(change: &mut Change, tenant: Uuid, destination: Option<Destination>) -> Result<()> {
    let Some(destination) = destination else { return Ok(()) };
    if store::has_destination(change.db(), tenant, destination).await? {
        Ok(())
    } else {
        Err(Error::invalid("destination", "names nothing that this tenant has"))
    }
}

async fn audit(change: &mut Change, action: &str, before: Option<&Number>, after: Option<&Number>) -> Result<()> {
    let json = |number: &Number| serde_json::to_value(number).unwrap_or_default();
    let Some(about) = after.or(before) else { return Ok(()) };
    let (tenant, resource) = (Some(about.tenant_id), format!("numbers/{}", about.id));
    change.audit(Audit { tenant, action, resource, before: before.map(json), after: after.map(json) }).await
}
