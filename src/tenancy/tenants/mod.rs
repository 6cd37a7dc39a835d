//! Tenants: the platform's customers. Each owns one SIP domain, which is also the name of its dialplan context.

pub mod api;
pub mod domains;
pub mod store;
mod template_store;
pub mod templates;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::domains::Renamed;
use crate::{
    model::error::{Error, Result, same_version},
    model::same::is_same,
    node::{
        changes::{Audit, Audited, Change},
        clock_store,
    },
    text::{Code, DisplayName, Domain},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TenantStatus {
    Active,
    /// Its phones can't register and its calls are refused; nothing is lost.
    Suspended,
}

impl TenantStatus {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Tenant {
    pub id: Uuid,
    pub name: DisplayName,
    pub domain: Domain,
    /// The dialplan context of its calls: the domain.
    pub context: Domain,
    /// Domains that it had before and that still work for a while.
    pub former_domains: Vec<String>,
    pub status: TenantStatus,
    /// The cluster whose switches serve it.
    pub cluster_id: Uuid,
    /// The template it was made from.
    pub template: Option<String>,
    /// Whether it is there for tests: nothing is dialled or mailed outside, not even a call to an emergency number, and its calls may be
    /// played (`POST /v1/sandbox/calls`). It is chosen when the tenant is created, and never changes.
    pub sandbox: bool,
    /// When the tenant will be gone with everything it has, if it is being deleted.
    pub purge_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, clap::Args, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// The domain if absent.
    #[arg(long)]
    pub name: Option<DisplayName>,
    /// Its SIP domain, which is also the name of its dialplan context
    #[arg(long)]
    pub domain: Domain,
    /// Also take a domain that another tenant had recently
    #[arg(long)]
    #[serde(default)]
    pub reuse: bool,
    /// For tests: nothing is dialled or mailed outside, not even a call to an emergency number
    #[arg(long)]
    #[serde(default)]
    pub sandbox: bool,
}

/// A merge patch: absent fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPatch {
    pub name: Option<DisplayName>,
    pub domain: Option<Domain>,
    /// With another domain: for how many days phones may still use the present one, 0 to 365; 30 if absent.
    pub keep_former_days: Option<u16>,
    /// Also take a domain that another tenant had recently.
    #[serde(default)]
    pub reuse: bool,
    /// `active` also cancels a deletion.
    pub status: Option<TenantStatus>,
    /// Moves it to another cluster.
    pub cluster_id: Option<Uuid>,
    /// It never changes: another value than the tenant has is refused.
    pub sandbox: Option<bool>,
}

/// The cluster and the template of a new tenant.
pub struct From {
    pub cluster: Uuid,
    pub template: String,
    pub template_version: i32,
    pub settings: serde_json::Value,
}

/// Inserts the tenant's row only; `onboarding` makes everything else.
pub async fn create(change: &mut Change, new: NewTenant, from: &From) -> Result<Tenant> {
    let name = match new.name {
        Some(name) => name,
        // A domain may be longer than a name.
        None => DisplayName::parse(&new.domain.as_str().chars().take(80).collect::<String>())
            .map_err(|e| Error::invalid("name", e))?,
    };
    let id = Uuid::now_v7();
    change.hold(id).await?;
    if !new.reuse {
        does_not_rest(change, id, &new.domain).await?;
    }
    let new_row = store::NewRow { id, name: &name, domain: &new.domain, sandbox: new.sandbox };
    let tenant = store::insert(change.db(), &new_row, from).await.map_err(|e| taken(e, &new.domain))?;
    change.audit_of("create", None, Some(&tenant)).await?;
    Ok(tenant)
}

pub async fn update(change: &mut Change, id: Uuid, patch: TenantPatch, if_match: Option<i64>) -> Result<Tenant> {
    change.hold(id).await?;
    let before = locked(change, id, if_match).await?;
    let mut after = before.clone();
    if patch.sandbox.is_some_and(|sandbox| sandbox != before.sandbox) {
        return Err(Error::invalid("sandbox", Code::CantChange));
    }
    if let Some(name) = patch.name {
        after.name = name;
    }
    if let Some(domain) = patch.domain {
        after.domain = domain;
    }
    if let Some(status) = patch.status {
        after.status = status;
        if status == TenantStatus::Active {
            after.purge_at = None;
        }
    }
    if let Some(cluster) = patch.cluster_id.filter(|cluster| *cluster != before.cluster_id) {
        crate::tenancy::clusters::check_room(change, cluster).await?;
        after.cluster_id = cluster;
    }
    if after.domain == before.domain {
        if patch.keep_former_days.is_some() {
            return Err(Error::invalid("keep_former_days", Code::OnlyWithAnotherDomain));
        }
        if is_same(&before, &after) {
            return Ok(before);
        }
        let after = store::update(change.db(), &after).await.map_err(|e| taken(e, &after.domain))?;
        change.audit_of("update", Some(&before), Some(&after)).await?;
        return Ok(after);
    }
    may_move_to(change, &after, patch.reuse).await?;
    let days = patch.keep_former_days.unwrap_or(domains::USUAL_DAYS);
    let renamed = Renamed { tenant: id, name: &after.name, from: &before.domain, to: &after.domain, days };
    domains::keep(change, &renamed).await?;
    store::update(change.db(), &after).await.map_err(|e| taken(e, &after.domain))?;
    domains::tell(change, &renamed).await?;
    let after = store::get(change.db(), id).await?.ok_or(Error::NotFound("tenant"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Refuses a domain that another tenant gave up a short time ago: its phones still register with it.
pub async fn does_not_rest(change: &mut Change, tenant: Uuid, domain: &Domain) -> Result<()> {
    match store::rests_until(change.db(), tenant, domain).await? {
        None => Ok(()),
        Some(until) => {
            Err(Code::DomainRests.with("domain", domain).with("until", until.format("%Y-%m-%d %H:%M UTC")).into())
        }
    }
}

/// Whether a tenant may have another domain. Another extension may have had the SIP username of one of its extensions there.
async fn may_move_to(change: &mut Change, after: &Tenant, reuse: bool) -> Result<()> {
    if !reuse {
        does_not_rest(change, after.id, &after.domain).await?;
    }
    match store::used_in(change.db(), after.id, &after.domain).await? {
        None => Ok(()),
        Some(name) => Err(Code::SipUsernamesUsedIn.with("domain", &after.domain).with("name", name).into()),
    }
}

/// How a tenant is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purge {
    /// Suspended now, gone after the grace period.
    Later,
    /// Gone at once.
    Now,
}

/// Days within which a deletion can be cancelled.
pub const GRACE_DAYS: i64 = 30;

/// Deletes a tenant with everything it has: at once, or after a grace period in which it is suspended. If it still has extensions,
/// groups or numbers, `cascade` is needed. Only who, what and when stay in the audit log.
pub async fn delete(
    change: &mut Change,
    id: Uuid,
    cascade: bool,
    purge: Purge,
    if_match: Option<i64>,
) -> Result<Option<Tenant>> {
    change.hold(id).await?;
    let before = locked(change, id, if_match).await?;
    let left = store::belongings(change.db(), id).await?;
    if !cascade && left.extensions + left.groups + left.numbers > 0 {
        let why = Code::TenantInUse
            .with("extensions", left.extensions)
            .with("groups", left.groups)
            .with("numbers", left.numbers);
        return Err(Error::Taken(why, store::first_of(change.db(), id).await?));
    }
    none_held(change, id).await?;
    if purge == Purge::Later {
        // By the clock of the one who purges.
        let purge_at = Some(clock_store::now(change.db()).await? + chrono::Duration::days(GRACE_DAYS));
        let after = Tenant { status: TenantStatus::Suspended, purge_at, ..before.clone() };
        let after = store::update(change.db(), &after).await?;
        change.audit_of("delete", Some(&before), Some(&after)).await?;
        return Ok(Some(after));
    }
    purge_now(change, id).await.map(|()| None)
}

/// Recordings under a legal hold keep their tenant.
async fn none_held(change: &mut Change, id: Uuid) -> Result<()> {
    let held = store::held_recordings(change.db(), id).await?;
    if held > 0 { Err(Error::from(Code::RecordingsHeld.with("recordings", held))) } else { Ok(()) }
}

/// How many things of each kind a purge removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Removed(BTreeMap<String, u64>);

impl Removed {
    fn count(&mut self, what: &str, rows: u64) {
        if rows > 0 {
            self.0.insert(what.to_owned(), rows);
        }
    }
}

/// A switch that still has mailboxes of a tenant that is gone.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WaitsFor {
    pub switch_id: Uuid,
    pub name: String,
    pub mailboxes: i64,
    pub since: DateTime<Utc>,
    /// What the switch answered the last time. Without it, it was not reached, or it has no event socket.
    pub error: Option<String>,
}

/// What became of a tenant that was purged.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Purged {
    pub tenant_id: Uuid,
    pub purged_at: DateTime<Utc>,
    /// How many things of each kind were removed. Kinds may be added.
    pub removed: Removed,
    /// The switches that have to remove mailboxes yet; empty when nothing is left anywhere but recordings of calls that were not
    /// sent yet, which switches keep under the calls' ids.
    pub waits_for: Vec<WaitsFor>,
}

/// Deletes everything of a tenant. Mails that a node wrote into files go with their rows (`mail::deliver`).
pub async fn purge_now(change: &mut Change, id: Uuid) -> Result<()> {
    change.hold(id).await?;
    let resource = format!("tenants/{id}");
    let Some(tenant) = store::get(change.db(), id).await? else { return Ok(()) };
    none_held(change, id).await?;
    let removed = store::delete(change.db(), id).await?;
    store::note_purge(change.db(), id, &tenant.domain, &removed).await?;
    store::forget_in_audit_log(change.db(), id).await?;
    change.audit(Audit { tenant: Some(id), action: "purge", resource, before: None, after: None }).await
}

async fn locked(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<Tenant> {
    let tenant = store::lock(change.db(), id).await?.ok_or(Error::NotFound("tenant"))?;
    same_version(if_match, tenant.version)?;
    Ok(tenant)
}

fn taken(error: sqlx::Error, domain: &Domain) -> Error {
    let error = Error::from(error);
    match error.violated() {
        Some(("tenants_domain_key", _)) => Error::from(Code::DomainTaken.with("domain", domain)),
        Some(("domain_of_cluster", _)) => Error::from(Code::DomainOfCluster.with("domain", domain)),
        _ => error,
    }
}

impl Audited for Tenant {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.id)
    }

    fn resource(&self) -> String {
        format!("tenants/{}", self.id)
    }
}
