//! How long a tenant's data is kept, if its periods differ from the platform's.

pub mod api;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{
        error::{Error, Result, same_version},
        patch::patch,
        retention::Retention,
    },
    node::changes::{Audited, Change},
    text::Code,
};

/// A tenant's periods, in days. `null` means the platform's period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Periods {
    pub tenant_id: Uuid,
    /// Entries of the audit log.
    pub audit_days: Option<i32>,
    /// Outbound calls and their costs.
    pub calls_days: Option<i32>,
    /// Call records as switches posted them.
    pub records_days: Option<i32>,
    /// Mails that were sent.
    pub mails_days: Option<i32>,
    /// Recordings of calls that are not held.
    pub recordings_days: Option<i32>,
    pub version: i64,
    pub updated_at: Option<DateTime<Utc>>,
}

impl Periods {
    /// The periods of a tenant without its own.
    #[must_use]
    pub fn none(tenant_id: Uuid) -> Self {
        Self {
            tenant_id,
            audit_days: None,
            calls_days: None,
            records_days: None,
            mails_days: None,
            recordings_days: None,
            version: 0,
            updated_at: None,
        }
    }
}

/// A tenant's periods, and those that apply without them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShownPeriods {
    #[serde(flatten)]
    pub own: Periods,
    pub platform: PlatformPeriods,
}

/// The platform's periods, and the bounds of tenants' periods.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub struct PlatformPeriods {
    pub audit_days: i32,
    pub calls_days: i32,
    pub records_days: i32,
    pub mails_days: i32,
    pub recordings_days: i32,
    pub shortest_days: i32,
    pub longest_days: i32,
}

impl From<Retention> for PlatformPeriods {
    fn from(periods: Retention) -> Self {
        let Retention {
            audit_days,
            calls_days,
            records_days,
            mails_days,
            recordings_days,
            shortest_days,
            longest_days,
        } = periods;
        Self { audit_days, calls_days, records_days, mails_days, recordings_days, shortest_days, longest_days }
    }
}

/// A merge patch: absent fields stay, and `null` means the platform's period.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodsPatch {
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>)]
    pub audit_days: Option<Option<i32>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>)]
    pub calls_days: Option<Option<i32>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>)]
    pub records_days: Option<Option<i32>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>)]
    pub mails_days: Option<Option<i32>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>)]
    pub recordings_days: Option<Option<i32>>,
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    patch: PeriodsPatch,
    bounds: &Retention,
    if_match: Option<i64>,
) -> Result<Periods> {
    change.hold(tenant).await?;
    let before = store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    same_version(if_match, before.version)?;
    let fields = [
        ("audit_days", patch.audit_days),
        ("calls_days", patch.calls_days),
        ("records_days", patch.records_days),
        ("mails_days", patch.mails_days),
        ("recordings_days", patch.recordings_days),
    ];
    let (shortest, longest) = (bounds.shortest_days, bounds.longest_days);
    for (field, days) in fields {
        if days.flatten().is_some_and(|days| !(shortest..=longest).contains(&days)) {
            return Err(Error::invalid(field, Code::range(shortest, longest)));
        }
    }
    let after = Periods {
        audit_days: patch.audit_days.unwrap_or(before.audit_days),
        calls_days: patch.calls_days.unwrap_or(before.calls_days),
        records_days: patch.records_days.unwrap_or(before.records_days),
        mails_days: patch.mails_days.unwrap_or(before.mails_days),
        recordings_days: patch.recordings_days.unwrap_or(before.recordings_days),
        ..before.clone()
    };
    if after == before {
        return Ok(before);
    }
    store::save(change.db(), &after).await?;
    let after = store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

impl Audited for Periods {
    fn resource(&self) -> String {
        format!("tenants/{}/retention", self.tenant_id)
    }

    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }
}
