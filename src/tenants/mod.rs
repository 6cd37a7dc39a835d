//! Tenants: the platform's customers. Each owns one SIP domain, which is also the name of its dialplan context.

pub mod api;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    changes::{Audit, Change, Error, Result},
    text::{DisplayName, Domain},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TenantStatus {
    Active,
    /// Its phones can't register and its calls are refused; nothing is lost.
    Suspended,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Tenant {
    pub id: Uuid,
    pub name: DisplayName,
    pub domain: Domain,
    /// The dialplan context of its calls: the domain.
    pub context: Domain,
    pub status: TenantStatus,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, clap::Args, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// The domain when not given.
    #[arg(long)]
    pub name: Option<DisplayName>,
    /// Its SIP domain, which is the name of its dialplan context as well
    #[arg(long)]
    pub domain: Domain,
}

/// A merge patch: what is absent stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPatch {
    pub name: Option<DisplayName>,
    pub domain: Option<Domain>,
    pub status: Option<TenantStatus>,
}

pub async fn create(change: &mut Change, new: NewTenant) -> Result<Tenant> {
    let name = match new.name {
        Some(name) => name,
        // A domain may be longer than a name.
        None => DisplayName::parse(&new.domain.as_str().chars().take(80).collect::<String>())
            .map_err(|e| Error::invalid("name", e))?,
    };
    let tenant =
        store::insert(change.db(), Uuid::now_v7(), &name, &new.domain).await.map_err(|e| taken(e, &new.domain))?;
    audit(change, "create", &tenant, None, Some(&tenant)).await?;
    Ok(tenant)
}

pub async fn update(change: &mut Change, id: Uuid, patch: TenantPatch, if_match: Option<i64>) -> Result<Tenant> {
    let before = locked(change, id, if_match).await?;
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = name;
    }
    if let Some(domain) = patch.domain {
        after.domain = domain;
    }
    if let Some(status) = patch.status {
        after.status = status;
    }
    let after = store::update(change.db(), &after).await.map_err(|e| taken(e, &after.domain))?;
    audit(change, "update", &after, Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Deletes a tenant. One that has anything left goes only with `cascade`, and then with all it has.
pub async fn delete(change: &mut Change, id: Uuid, cascade: bool, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, id, if_match).await?;
    let left = store::belongings(change.db(), id).await?;
    if !cascade && left.extensions + left.groups + left.numbers > 0 {
        return Err(Error::Conflict(format!(
            "The tenant still has {} extensions, {} groups and {} numbers. Delete it with ?cascade=true to delete them as well.",
            left.extensions, left.groups, left.numbers
        )));
    }
    store::delete(change.db(), id).await?;
    audit(change, "delete", &before, Some(&before), None).await
}

async fn locked(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<Tenant> {
    let tenant = store::lock(change.db(), id).await?.ok_or(Error::NotFound("tenant"))?;
    match if_match {
        Some(version) if version != tenant.version => Err(Error::Changed(tenant.version)),
        _ => Ok(tenant),
    }
}

fn taken(error: sqlx::Error, domain: &Domain) -> Error {
    let error = Error::from(error);
    match error.violated() {
        Some(("tenants_domain_key", _)) => {
            Error::Conflict(format!("A tenant with the domain {domain} exists already."))
        }
        _ => error,
    }
}

async fn audit(
    change: &mut Change,
    action: &str,
    tenant: &Tenant,
    before: Option<&Tenant>,
    after: Option<&Tenant>,
) -> Result<()> {
    let json = |tenant: &Tenant| serde_json::to_value(tenant).unwrap_or_default();
    let resource = format!("tenants/{}", tenant.id);
    change
        .audit(Audit { tenant: Some(tenant.id), action, resource, before: before.map(json), after: after.map(json) })
        .await
}
