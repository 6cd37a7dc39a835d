//! Making a tenant equal to a description, by its domain.

use super::{NewTenancy, Tenancy, change_settings, create};
use crate::{
    model::{
        error::{Error, NOT_THERE, Result, same_version},
        put::Put,
    },
    node::changes::Change,
    tenancy::{
        clusters,
        tenants::{self, Tenant, TenantPatch},
        users,
    },
    text::Code,
};

/// Makes the tenant of this domain equal to what is wanted, or creates it. What only counts when a tenant is made (its template, its
/// region, whether its domain may rest) can't differ later; its owner must be one of its people. Settings stay as they are unless they
/// are given: then they are a merge patch over those that the tenant has.
pub async fn put(
    public_url: &str,
    change: &mut Change,
    new: NewTenancy,
    if_match: Option<i64>,
) -> Result<Put<Tenant, Tenancy>> {
    let Some(tenant) = tenants::store::by_domain(change.db(), &new.domain).await? else {
        same_version(if_match, NOT_THERE)?;
        return create(public_url, change, new, None).await.map(Put::Made);
    };
    if tenant.domain != new.domain {
        return Err(Code::FormerDomain.with("domain", &tenant.domain).into());
    }
    let NewTenancy { name, domain: _, reuse: _, template, region, cluster_id, sandbox, owner, settings } = new;
    change.hold(tenant.id).await?;
    if template.is_some() && template != tenant.template {
        return Err(Error::invalid("template", Code::CantChange));
    }
    if let Some(region) = region {
        let cluster = clusters::store::get(change.db(), tenant.cluster_id).await?;
        if cluster.is_some_and(|cluster| cluster.region != region) {
            return Err(Error::invalid("region", Code::CantChange));
        }
    }
    if let Some(owner) = owner {
        let key = owner.email.as_str().to_ascii_lowercase();
        if users::store::taken_in_tenant(change.db(), tenant.id, &[key]).await?.is_empty() {
            return Err(Error::invalid("owner", Code::CantChange));
        }
    }
    let patch = TenantPatch { name, cluster_id, sandbox, ..TenantPatch::default() };
    let tenant = tenants::update(change, tenant.id, patch, if_match).await?;
    if let Some(settings) = settings {
        change_settings(change, tenant.id, &settings, None).await?;
        // Its version may have changed with them.
        let after = tenants::store::get(change.db(), tenant.id).await?.ok_or(Error::NotFound("tenant"))?;
        return Ok(Put::Is(after));
    }
    Ok(Put::Is(tenant))
}
