//! The SQL of usage, its limits, and who was told.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{UsageAlert, UsageLimits};
use crate::{
    model::{language::Language, measure::Measure},
    telephony::reports::store::Whose,
};

/// A tenant's limits. Returns `None` if there is no such tenant.
pub async fn limits(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<UsageLimits>> {
    sqlx::query_as!(
        UsageLimits,
        r#"select t.id as tenant_id, l.minutes_in as "minutes_in?", l.minutes_out as "minutes_out?", l.calls as "calls?",
                  l.peak_calls as "peak_calls?", l.extensions as "extensions?", l.numbers as "numbers?", l.storage_bytes as "storage_bytes?",
                  l.charge as "charge?", coalesce(l.version, 0) as "version!", l.updated_at as "updated_at?"
             from tenants t left join usage_limits l on l.tenant_id = t.id where t.id = $1"#,
        tenant
    )
    .fetch_optional(db)
    .await
}

pub async fn save(db: impl PgExecutor<'_>, limits: &UsageLimits) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into usage_limits as l (tenant_id, minutes_in, minutes_out, calls, peak_calls, extensions, numbers, storage_bytes, charge)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (tenant_id) do update
            set minutes_in = $2, minutes_out = $3, calls = $4, peak_calls = $5, extensions = $6, numbers = $7, storage_bytes = $8, charge = $9,
                compared_at = null, version = l.version + 1, updated_at = now()",
        limits.tenant_id,
        limits.minutes_in,
        limits.minutes_out,
        limits.calls,
        limits.peak_calls,
        limits.extensions,
        limits.numbers,
        limits.storage_bytes,
        limits.charge
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// How many bytes of recordings and messages a tenant has.
pub async fn stored(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select (coalesce((select sum(bytes) from recordings where tenant_id = $1), 0)
                 + coalesce((select sum(bytes) from voicemail_messages where tenant_id = $1), 0))::bigint as "bytes!""#,
        tenant
    )
    .fetch_one(db)
    .await
}

/// What was told of a month.
pub async fn alerts(db: impl PgExecutor<'_>, tenant: Uuid, month: NaiveDate) -> sqlx::Result<Vec<UsageAlert>> {
    sqlx::query_as!(
        UsageAlert,
        r#"select measure as "measure: Measure", percent, used, most, at from usage_alerts
            where tenant_id = $1 and month = $2 order by at, measure, percent"#,
        tenant,
        month
    )
    .fetch_all(db)
    .await
}

/// What was told of these limits does not count any more.
pub async fn forget_alerts(db: impl PgExecutor<'_>, tenant: Uuid, measures: &[String]) -> sqlx::Result<()> {
    sqlx::query!("delete from usage_alerts where tenant_id = $1 and measure = any ($2)", tenant, measures)
        .execute(db)
        .await
        .map(|_| ())
}

/// Notes that people are told. `false`: they were.
pub async fn note(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    month: NaiveDate,
    measure: Measure,
    percent: i16,
    (used, most): (i64, i64),
) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "insert into usage_alerts (tenant_id, month, measure, percent, used, most) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        tenant,
        month,
        measure as Measure,
        percent,
        used,
        most
    );
    Ok(noted.execute(db).await?.rows_affected() == 1)
}

/// Takes tenants with limits whose usage was not compared with them since. Nobody else gets them meanwhile.
pub async fn due(
    db: impl PgExecutor<'_>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    most: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update usage_limits set compared_at = $2
          where tenant_id in (select l.tenant_id from usage_limits l join tenants t on t.id = l.tenant_id
                               where t.status = 'active' and (l.compared_at is null or l.compared_at < $1)
                               order by l.compared_at nulls first limit $3 for update of l skip locked)
        returning tenant_id",
        since,
        now,
        most
    )
    .fetch_all(db)
    .await
}

/// A tenant's zone and currency, with the day that it is there at a moment.
pub async fn whose(db: impl PgExecutor<'_>, tenant: Uuid, now: DateTime<Utc>) -> sqlx::Result<Option<Whose>> {
    sqlx::query_as!(
        Whose,
        r#"select z.zone as "zone!", t.settings ->> 'currency' as currency, t.sandbox, ($2::timestamptz at time zone z.zone)::date as "today!"
             from tenants t
            cross join lateral (select coalesce(t.settings ->> 'time_zone', 'UTC') as zone) z
            where t.id = $1"#,
        tenant,
        now
    )
    .fetch_optional(db)
    .await
}

/// Somebody who is told.
pub struct Told {
    pub email: String,
    pub name: String,
    pub language: Language,
}

/// A tenant's owners and administrators.
pub async fn told(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<Vec<Told>> {
    sqlx::query_as!(
        Told,
        r#"select u.email, trim(u.first_name || ' ' || u.last_name) as "name!",
                  coalesce(u.language, t.settings ->> 'language', 'en') as "language!: Language"
             from users u join tenants t on t.id = u.tenant_id
            where u.tenant_id = $1 and u.status = 'active' and u.role in ('owner', 'admin') order by u.email"#,
        tenant
    )
    .fetch_all(db)
    .await
}
