//! What a tenant uses in a month, how much it means to use, and who is told when it comes near that. Nothing is refused because of these limits:
//! those that stop calls are settings (`routing.outbound`).

pub mod api;
pub mod store;
pub mod work;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    exchange::Amount,
    history::Direction,
    reports::{
        By, LEVEL_WITHIN, Sums,
        make::summed,
        store::{self as figures, Asked, Whose},
    },
};
use crate::{
    model::{
        error::{Error, Result, same_version},
        measure::Measure,
        patch::patch,
    },
    node::changes::{Audited, Change},
    text::Code,
};

/// At which shares of a limit people are told, in percent.
pub const TOLD_AT: [i16; 2] = [80, 100];
/// The largest limit: far more than anybody uses, and amounts can still be multiplied.
const MOST: i64 = 1_000_000_000_000_000;

/// How much a tenant means to use in a month. Without a limit, nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UsageLimits {
    pub tenant_id: Uuid,
    /// Minutes of talk in calls from outside.
    pub minutes_in: Option<i64>,
    /// Minutes that carriers are paid for.
    pub minutes_out: Option<i64>,
    /// All calls, also internal ones.
    pub calls: Option<i64>,
    /// Calls that are up at once.
    pub peak_calls: Option<i64>,
    /// Extensions.
    pub extensions: Option<i64>,
    /// Phone numbers.
    pub numbers: Option<i64>,
    /// Bytes of recordings and messages.
    pub storage_bytes: Option<i64>,
    /// What the tenant is charged, in millionths of its currency.
    pub charge: Option<i64>,
    pub version: i64,
    pub updated_at: Option<DateTime<Utc>>,
}

/// A merge patch: absent fields stay as they are, and `null` ends a limit.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageLimitsPatch {
    /// Minutes of talk in calls from outside.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub minutes_in: Option<Option<i64>>,
    /// Minutes that carriers are paid for.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub minutes_out: Option<Option<i64>>,
    /// All calls, also internal ones.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub calls: Option<Option<i64>>,
    /// Calls that are up at once.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub peak_calls: Option<Option<i64>>,
    /// Extensions.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub extensions: Option<Option<i64>>,
    /// Phone numbers.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub numbers: Option<Option<i64>>,
    /// Bytes of recordings and messages.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub storage_bytes: Option<Option<i64>>,
    /// What the tenant is charged, in millionths of its currency.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i64>)]
    pub charge: Option<Option<i64>>,
}

/// A limit that a month came near to, or reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UsageAlert {
    /// What was measured.
    pub measure: Measure,
    /// The share of the limit: 80 or 100.
    pub percent: i16,
    /// How much was used then.
    pub used: i64,
    /// The limit.
    pub most: i64,
    /// When people were told.
    pub at: DateTime<Utc>,
}

/// What a tenant used in a month.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Usage {
    /// Such as `2026-11`.
    pub month: String,
    /// In which months are counted.
    pub time_zone: String,
    /// All of them, also internal ones.
    pub calls: i64,
    /// Calls from outside.
    pub calls_in: i64,
    /// Calls to outside.
    pub calls_out: i64,
    /// Talk in calls from outside, in started minutes altogether.
    pub minutes_in: i64,
    /// What carriers are paid for, in started minutes altogether.
    pub minutes_out: i64,
    /// The most calls that were up at once.
    pub peak_calls: i64,
    /// In millionths of the currency. Amounts in other currencies are converted with the rate of exchange of their day.
    pub cost: i64,
    /// What the tenant is charged.
    pub charge: i64,
    /// Amounts in other currencies, without a rate of exchange for their day. They are neither in `cost` nor in `charge`.
    pub unconverted: Vec<Amount>,
    /// Of the amounts.
    pub currency: Option<String>,
    /// At this moment.
    pub extensions: i64,
    /// Phone numbers at this moment.
    pub numbers: i64,
    /// Bytes of recordings and messages at this moment.
    pub storage_bytes: i64,
    /// Whether the tenant is a sandbox, whose calls are played: it belongs in no bill.
    pub sandbox: bool,
    /// How much it means to use, as it is now.
    pub limits: UsageLimits,
    /// Limits that the month came near to.
    pub alerts: Vec<UsageAlert>,
}

impl UsageLimits {
    /// The limit of a measure.
    #[must_use]
    pub fn of(&self, measure: Measure) -> Option<i64> {
        match measure {
            Measure::MinutesIn => self.minutes_in,
            Measure::MinutesOut => self.minutes_out,
            Measure::Calls => self.calls,
            Measure::PeakCalls => self.peak_calls,
            Measure::Extensions => self.extensions,
            Measure::Numbers => self.numbers,
            Measure::StorageBytes => self.storage_bytes,
            Measure::Charge => self.charge,
        }
    }
}

impl Usage {
    /// How much was used of a measure.
    #[must_use]
    pub fn of(&self, measure: Measure) -> i64 {
        match measure {
            Measure::MinutesIn => self.minutes_in,
            Measure::MinutesOut => self.minutes_out,
            Measure::Calls => self.calls,
            Measure::PeakCalls => self.peak_calls,
            Measure::Extensions => self.extensions,
            Measure::Numbers => self.numbers,
            Measure::StorageBytes => self.storage_bytes,
            Measure::Charge => self.charge,
        }
    }
}

impl Audited for UsageLimits {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("tenants/{}/usage-limits", self.tenant_id)
    }
}

/// Changes a tenant's limits. What was told of a limit that changes does not count for the new one.
pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    patch: UsageLimitsPatch,
    if_match: Option<i64>,
) -> Result<UsageLimits> {
    change.hold(tenant).await?;
    let before = store::limits(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    same_version(if_match, before.version)?;
    let after = UsageLimits {
        minutes_in: patch.minutes_in.unwrap_or(before.minutes_in),
        minutes_out: patch.minutes_out.unwrap_or(before.minutes_out),
        calls: patch.calls.unwrap_or(before.calls),
        peak_calls: patch.peak_calls.unwrap_or(before.peak_calls),
        extensions: patch.extensions.unwrap_or(before.extensions),
        numbers: patch.numbers.unwrap_or(before.numbers),
        storage_bytes: patch.storage_bytes.unwrap_or(before.storage_bytes),
        charge: patch.charge.unwrap_or(before.charge),
        ..before.clone()
    };
    for measure in Measure::ALL {
        if after.of(measure).is_some_and(|most| !(1..=MOST).contains(&most)) {
            return Err(Error::invalid(measure.as_str(), Code::range(1, MOST)));
        }
    }
    if after == before {
        return Ok(before);
    }
    store::save(change.db(), &after).await?;
    let changed = Measure::ALL.into_iter().filter(|measure| before.of(*measure) != after.of(*measure));
    let changed = changed.map(|measure| measure.as_str().to_owned()).collect::<Vec<_>>();
    store::forget_alerts(change.db(), tenant, &changed).await?;
    let after = store::limits(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// What a tenant used in the month that begins on this day.
pub async fn of_month(db: &mut PgConnection, tenant: Uuid, whose: &Whose, first: NaiveDate) -> Result<Usage> {
    let last = first + Months::new(1) - Days::new(1);
    let asked = |direction| Asked {
        by: By::All,
        per: None,
        direction,
        since: first,
        until: last,
        zone: whose.zone.clone(),
        within_seconds: LEVEL_WITHIN,
        currency: whose.currency.clone(),
    };
    let mut sums = [Sums::default(), Sums::default(), Sums::default()];
    for (sums, direction) in sums.iter_mut().zip([None, Some(Direction::Inbound), Some(Direction::Outbound)]) {
        let rows = summed(&mut *db, tenant, &asked(direction), 1).await?;
        *sums = rows.into_iter().next().map(|(_, _, sums)| sums).unwrap_or_default();
    }
    let [all, inbound, outbound] = sums;
    let peak_calls = figures::peak(&mut *db, tenant, &whose.zone, first, last).await?;
    let (extensions, numbers) = figures::counts(&mut *db, tenant).await?;
    let storage_bytes = store::stored(&mut *db, tenant).await?;
    let limits = store::limits(&mut *db, tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let alerts = store::alerts(&mut *db, tenant, first).await?;
    let minutes = |seconds: i64| (seconds + 59) / 60;
    Ok(Usage {
        month: first.format("%Y-%m").to_string(),
        time_zone: whose.zone.clone(),
        calls: all.calls,
        calls_in: inbound.calls,
        calls_out: outbound.calls,
        minutes_in: minutes(inbound.talk_ms / 1000),
        minutes_out: minutes(all.billed_seconds),
        peak_calls,
        cost: all.cost,
        charge: all.cost,
        unconverted: all.unconverted(),
        currency: whose.currency.clone(),
        extensions,
        numbers,
        storage_bytes,
        sandbox: whose.sandbox,
        limits,
        alerts,
    })
}

/// The first day of a month such as `2026-11`; of this one without any.
pub fn first_of(month: Option<&str>, today: NaiveDate) -> Result<NaiveDate> {
    let first = match month {
        None => today.with_day(1),
        Some(month) => NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d").ok().filter(|_| month.len() == 7),
    };
    let first = first.filter(|first| (1970..=9000).contains(&first.year()));
    first.ok_or_else(|| Error::query("month", Code::NotAMonth))
}
