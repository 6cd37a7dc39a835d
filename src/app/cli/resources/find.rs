//! Ids by the names that people use.

use uuid::Uuid;

use crate::{
    app::cli::{
        failure::{Missing, Refused},
        local::Local,
    },
    tenancy::{switches, tenants},
    text::{Domain, SwitchName},
};

pub async fn tenant_id(local: &Local, tenant: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(tenant) {
        return Ok(id);
    }
    let domain = Domain::parse(tenant)
        .map_err(|e| Refused::because(format!("{tenant} is neither an id nor a domain: it {e}")))?;
    let found = tenants::store::by_domain(local.changes.pool(), &domain).await?;
    Ok(found.ok_or_else(|| Missing(format!("there is no tenant with the domain {domain}")))?.id)
}

pub async fn switch_id(local: &Local, switch: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(switch) {
        return Ok(id);
    }
    let name = SwitchName::parse(switch)
        .map_err(|e| Refused::because(format!("{switch} is neither an id nor a switch's name: it {e}")))?;
    let found = switches::store::by_name(local.changes.pool(), &name).await?;
    Ok(found.ok_or_else(|| Missing(format!("there is no switch named {name}")))?.id)
}
