//! Extension pools: the ranges that a tenant's extension numbers are taken from, lowest free first.

pub mod api;
pub mod store;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::used::UsedKind;
use crate::{
    model::error::{Error, Result, same_version},
    node::changes::{Audit, Audited, Change},
    routing,
    telephony::{destinations, names},
    text::{Code, DisplayName, ExtensionNumber, Why},
};

/// How many numbers a tenant's first pool has.
pub const DEFAULT_SIZE: i64 = 1000;
/// The first possible number: two digits.
const FIRST: i64 = 10;
/// The last possible number: 15 digits.
const LAST: i64 = 999_999_999_999_999;
const MOST: i64 = 100_000;

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Pool {
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[schema(example = 2000)]
    pub first_number: i64,
    #[schema(example = 2999)]
    pub last_number: i64,
    /// How many of its numbers are used by extensions, aliases or groups.
    pub used: i64,
    /// How many are reserved, or resting after something gave them up.
    pub held: i64,
    pub free: i64,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPool {
    pub first_number: i64,
    pub last_number: i64,
}

/// A merge patch: absent fields stay as they are.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolPatch {
    pub first_number: Option<i64>,
    pub last_number: Option<i64>,
}

/// A number that is not given out.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HeldNumber {
    pub number: String,
    pub reason: String,
    /// `null` if it is reserved until somebody releases it.
    pub until: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReservation {
    pub number: ExtensionNumber,
    pub reason: DisplayName,
}

/// The first pool of tenant number `ordinal`.
#[must_use]
pub fn default_range(ordinal: i64, size: i64) -> (i64, i64) {
    let first = (ordinal + 1).saturating_mul(1000).clamp(FIRST, LAST - MOST);
    (first, first + size.clamp(1, MOST) - 1)
}

fn check(first: i64, last: i64) -> Result<()> {
    if !(FIRST..=LAST).contains(&first) {
        return Err(Error::invalid("first_number", Code::PoolDigits));
    }
    if last < first || last > LAST {
        return Err(Error::invalid("last_number", Code::PoolBackwards));
    }
    if last - first >= MOST {
        return Err(Error::invalid("last_number", Code::PoolTooLarge.with("most", MOST)));
    }
    Ok(())
}

pub async fn create(change: &mut Change, tenant: Uuid, new: NewPool) -> Result<Pool> {
    check(new.first_number, new.last_number)?;
    change.hold(tenant).await?;
    no_overlap(change, tenant, Uuid::nil(), new.first_number, new.last_number).await?;
    let id = Uuid::now_v7();
    store::insert(change.db(), tenant, id, new.first_number, new.last_number).await.map_err(names::taken)?;
    let pool = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("pool"))?;
    change.audit_of("create", None, Some(&pool)).await?;
    Ok(pool)
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: PoolPatch,
    if_match: Option<i64>,
) -> Result<Pool> {
    let before = locked(change, tenant, id, if_match).await?;
    let first = patch.first_number.unwrap_or(before.first_number);
    let last = patch.last_number.unwrap_or(before.last_number);
    if (first, last) == (before.first_number, before.last_number) {
        return Ok(before);
    }
    check(first, last)?;
    no_overlap(change, tenant, id, first, last).await?;
    store::update(change.db(), tenant, id, first, last).await?;
    let after = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("pool"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, tenant, id, if_match).await?;
    store::delete(change.db(), tenant, id).await?;
    change.audit_of("delete", Some(&before), None).await
}

async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Pool> {
    change.hold(tenant).await?;
    let pool = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("pool"))?;
    same_version(if_match, pool.version)?;
    Ok(pool)
}

async fn no_overlap(change: &mut Change, tenant: Uuid, but: Uuid, first: i64, last: i64) -> Result<()> {
    match store::overlapping(change.db(), tenant, but, first, last).await? {
        None => Ok(()),
        Some(other) => {
            let why = Code::PoolOverlaps.with("first", other.first_number).with("last", other.last_number);
            let name = format!("{}-{}", other.first_number, other.last_number);
            Err(Error::taken(why, UsedKind::Pool, other.id, &name))
        }
    }
}

pub async fn reserve(change: &mut Change, tenant: Uuid, new: NewReservation) -> Result<HeldNumber> {
    change.hold(tenant).await?;
    let before = store::held_number(change.db(), tenant, new.number.as_str()).await?;
    if let Some(before) = before.filter(|before| before.until.is_none() && before.reason == new.reason.as_str()) {
        // The same again.
        return Ok(before);
    }
    let held = store::reserve(change.db(), tenant, new.number.as_str(), new.reason.as_str()).await;
    let held = held.map_err(names::taken)?;
    let after = Some(serde_json::json!({ "number": held.number, "reason": held.reason }));
    let resource = format!("reserved-numbers/{}", held.number);
    change.audit(Audit { tenant: Some(tenant), action: "reserve", resource, before: None, after }).await?;
    Ok(held)
}

/// Gives a reserved or resting number back to its pool.
pub async fn release(change: &mut Change, tenant: Uuid, number: &str) -> Result<()> {
    change.hold(tenant).await?;
    if !store::release(change.db(), tenant, number).await? {
        return Err(Error::NotFound("reserved number"));
    }
    let resource = format!("reserved-numbers/{number}");
    change.audit(Audit { tenant: Some(tenant), action: "release", resource, before: None, after: None }).await
}

/// The lowest free numbers of a tenant's pools. Nobody else gets any until the change ends, so no number is given twice, and a
/// change that fails leaves no gap.
pub async fn take_lowest(
    change: &mut Change,
    tenant: Uuid,
    count: usize,
    but: &[String],
) -> Result<Vec<ExtensionNumber>> {
    change.hold(tenant).await?;
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    // Without emergency numbers, and feature codes that consist of digits.
    let plan = destinations::store::plan(change.db(), tenant).await?;
    let reserved = plan.as_ref().map(routing::reserved).unwrap_or_default();
    let found = store::lowest_free(change.db(), tenant, wanted, &[but, &reserved].concat()).await?;
    if found.len() < count {
        let usage = store::usage(change.db(), tenant).await?;
        let why = Code::PoolExhausted.with("wanted", count).with("free", usage.free);
        return Err(why.with("used", usage.used).with("held", usage.held).into());
    }
    found.iter().map(|n| ExtensionNumber::parse(n).map_err(|e| Error::invalid("number", e))).collect()
}

/// Whether the error means that there are too few free numbers.
#[must_use]
pub fn are_exhausted(error: &Error) -> bool {
    matches!(error, Error::Refused(why) if why.code == Code::PoolExhausted)
}

/// For each wanted number that is not available, why: it is in no pool, taken, reserved or resting, or means something else.
pub async fn unavailable(change: &mut Change, tenant: Uuid, wanted: &[String]) -> Result<BTreeMap<String, Why>> {
    change.hold(tenant).await?;
    let rows = store::unavailable(change.db(), tenant, wanted).await?;
    let mut why = rows
        .into_iter()
        .map(|row| {
            let code = match row.why.as_str() {
                "outside" => Code::NumberOutsidePools,
                "taken" => Code::ExtensionTaken,
                _ => Code::NumberHeld,
            };
            let why = code.with("number", &row.number);
            (row.number, why)
        })
        .collect::<BTreeMap<_, _>>();
    for number in destinations::reserved_among(change, tenant, wanted).await? {
        why.insert(number.to_string(), destinations::means_else(&number));
    }
    Ok(why)
}

/// Refuses wanted numbers if one of them is not available.
pub fn check_wanted(wanted: &[String], why: &BTreeMap<String, Why>) -> Result<()> {
    let of =
        |first: bool| wanted.iter().filter_map(|n| why.get(n)).find(|why| (why.code == Code::NumberMeansElse) == first);
    match of(true).or_else(|| of(false)) {
        None => Ok(()),
        Some(why) => Err(why.clone().into()),
    }
}

impl Audited for Pool {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("pools/{}", self.id)
    }

    fn shown(&self) -> serde_json::Value {
        serde_json::json!({ "first_number": self.first_number, "last_number": self.last_number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_start_with_ranges_of_their_own() {
        assert_eq!(default_range(0, DEFAULT_SIZE), (1000, 1999));
        assert_eq!(default_range(1, DEFAULT_SIZE), (2000, 2999));
        assert_eq!(default_range(7, 100), (8000, 8099));
        let (first, last) = default_range(i64::MAX - 1, DEFAULT_SIZE);
        check(first, last).unwrap();
    }
}
