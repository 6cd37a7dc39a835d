//! Ids by the names that people use.

use uuid::Uuid;

use crate::{
    app::cli::{
        failure::{Missing, Refused},
        local::Local,
    },
    model::paging::Window,
    telephony::{extensions, numbers},
    tenancy::{switches, tenants},
    text::{Domain, E164, SwitchName},
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

pub async fn extension_id(local: &Local, tenant: Uuid, extension: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(extension) {
        return Ok(id);
    }
    let name = extension.to_lowercase();
    let filter = extensions::store::Filter { name: Some(&name), user: None };
    let found = extensions::store::list(local.changes.pool(), tenant, filter, Window::FIRST).await?;
    Ok(found.first().ok_or_else(|| Missing(format!("the tenant has no extension {extension}")))?.id)
}

pub async fn number_id(local: &Local, tenant: Uuid, number: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(number) {
        return Ok(id);
    }
    let number = E164::parse(number)
        .map_err(|e| Refused::because(format!("{number} is neither an id nor a phone number: it {e}")))?;
    let found = numbers::store::by_number(&mut *local.changes.pool().acquire().await?, tenant, &number).await?;
    Ok(found.ok_or_else(|| Missing(format!("the tenant has no number {number}")))?.id)
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
