//! The SQL of reports.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{By, Per, Sums, WITHIN};
use crate::telephony::history::Direction;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub by: By,
    pub per: Option<Per>,
    pub direction: Option<Direction>,
    /// The first and the last day, in the tenant's zone.
    pub since: NaiveDate,
    pub until: NaiveDate,
    pub zone: String,
    pub within_seconds: i32,
    /// What amounts are converted into: the tenant's currency.
    pub currency: Option<String>,
}

/// A row: when its time begins, what it is about, the sums.
pub type Row = (Option<DateTime<Utc>>, String, Sums);

/// The sums of calls, by time and by what they are about. The largest first, if not by time. Costs are those in the tenant's currency (`foreign` has the
/// others).
pub async fn sums(db: impl PgExecutor<'_>, tenant: Uuid, asked: &Asked, limit: i64) -> sqlx::Result<Vec<Row>> {
    let threshold = WITHIN.iter().position(|within| *within == asked.within_seconds).unwrap_or_default() + 1;
    let rows = sqlx::query!(
        r#"select case when $2::text is not null then date_trunc($2, slot, $3) end as begins_at, key as "key!",
                  sum(calls) as "calls!", sum(answered) as "answered!", sum(voicemail) as "voicemail!", sum(abandoned) as "abandoned!",
                  sum(missed) as "missed!", sum(busy) as "busy!", sum(failed) as "failed!", sum(refused) as "refused!",
                  sum(wait_ms)::bigint as "wait_ms!", max(longest_ms) as "longest_ms!", sum(within[$4]) as "within!",
                  sum(talk_ms)::bigint as "talk_ms!", sum(billed_seconds)::bigint as "billed_seconds!",
                  sum(case when costs is null then cost
                           else coalesce((costs ->> $10)::bigint, 0) + coalesce((costs ->> '')::bigint, 0) end)::bigint as "cost!",
                  sum(rang) as "rang!", sum(ringing_ms)::bigint as "ringing_ms!"
             from call_rollups
            where tenant_id = $1 and kind = $5 and ($6::text is null or direction = $6)
              and slot >= $7::date::timestamp at time zone $3 and slot < ($8::date + 1)::timestamp at time zone $3
            group by 1, 2 order by 1, sum(calls) desc, 2 limit $9"#,
        tenant,
        asked.per.map(Per::name),
        asked.zone,
        i32::try_from(threshold).unwrap_or(1),
        asked.by.name(),
        asked.direction.map(Direction::as_str),
        asked.since,
        asked.until,
        limit,
        asked.currency
    );
    let rows = rows.fetch_all(db).await?.into_iter().map(|row| {
        let sums = Sums {
            calls: row.calls,
            answered: row.answered,
            voicemail: row.voicemail,
            abandoned: row.abandoned,
            missed: row.missed,
            busy: row.busy,
            failed: row.failed,
            refused: row.refused,
            wait_ms: row.wait_ms,
            longest_ms: row.longest_ms,
            within: row.within,
            talk_ms: row.talk_ms,
            billed_seconds: row.billed_seconds,
            cost: row.cost,
            rang: row.rang,
            ringing_ms: row.ringing_ms,
            unconverted: BTreeMap::new(),
        };
        (row.begins_at, row.key, sums)
    });
    Ok(rows.collect())
}

/// What was paid in another currency than the tenant's, on one of its days.
pub struct Foreign {
    pub begins_at: Option<DateTime<Utc>>,
    pub key: String,
    pub currency: String,
    pub day: NaiveDate,
    pub amount: i64,
}

/// What rows have in other currencies, by day.
pub async fn foreign(db: impl PgExecutor<'_>, tenant: Uuid, asked: &Asked) -> sqlx::Result<Vec<Foreign>> {
    sqlx::query_as!(
        Foreign,
        r#"select case when $2::text is not null then date_trunc($2, r.slot, $3) end as begins_at, r.key as "key!", e.currency as "currency!",
                  (r.slot at time zone $3)::date as "day!", sum(e.amount::bigint)::bigint as "amount!"
             from call_rollups r
            cross join lateral jsonb_each_text(r.costs - array[coalesce($4, ''), '']) as e (currency, amount)
            where r.tenant_id = $1 and r.kind = $5 and ($6::text is null or r.direction = $6)
              and r.slot >= $7::date::timestamp at time zone $3 and r.slot < ($8::date + 1)::timestamp at time zone $3
              and r.costs - array[coalesce($4, ''), ''] <> '{}'
            group by 1, 2, 3, 4 order by 1, 2, 3, 4"#,
        tenant,
        asked.per.map(Per::name),
        asked.zone,
        asked.currency,
        asked.by.name(),
        asked.direction.map(Direction::as_str),
        asked.since,
        asked.until
    )
    .fetch_all(db)
    .await
}

/// How long each agent was in each state, by time: when it begins, whose it is, the state, the seconds. What lasts is counted until now.
pub async fn times(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    asked: &Asked,
) -> sqlx::Result<Vec<(Option<DateTime<Utc>>, Uuid, String, i64)>> {
    let rows = sqlx::query!(
        r#"with span as (select $4::date::timestamp at time zone $3::text as first, ($5::date + 1)::timestamp at time zone $3::text as last),
                slots as (
                  select null::timestamptz as begins_at, first, last from span where $2::text is null
                  union all
                  select g at time zone $3::text, greatest(g at time zone $3::text, s.first), least((g + ('1 ' || $2)::interval) at time zone $3::text, s.last)
                    from span s, generate_series(date_trunc($2, $4::date::timestamp), $5::date::timestamp + interval '23 hours', ('1 ' || $2)::interval) g
                   where $2::text is not null)
           select s.begins_at, a.user_id as "user_id!", a.state as "state!",
                  floor(sum(extract(epoch from least(coalesce(a.ended_at, now()), s.last) - greatest(a.started_at, s.first))))::bigint as "seconds!"
             from slots s join agent_activity a
               on a.tenant_id = $1 and a.started_at < least(s.last, now()) and (a.ended_at is null or a.ended_at > s.first)
            group by 1, 2, 3"#,
        tenant,
        asked.per.map(Per::name),
        asked.zone,
        asked.since,
        asked.until
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.begins_at, row.user_id, row.state, row.seconds)).collect())
}

/// The most calls that were up at once.
pub async fn peak(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    zone: &str,
    since: NaiveDate,
    until: NaiveDate,
) -> sqlx::Result<i64> {
    let peak = sqlx::query_scalar!(
        r#"select coalesce(max(calls), 0)::bigint as "peak!" from call_rollups
            where tenant_id = $1 and kind = 'peak' and slot >= $2::date::timestamp at time zone $4
              and slot < ($3::date + 1)::timestamp at time zone $4"#,
        tenant,
        since,
        until,
        zone
    );
    peak.fetch_one(db).await
}

/// A tenant's zone and currency.
pub struct Whose {
    pub zone: String,
    pub currency: Option<String>,
    pub sandbox: bool,
    /// Today there.
    pub today: NaiveDate,
}

pub async fn whose(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<Whose>> {
    sqlx::query_as!(
        Whose,
        r#"select z.zone as "zone!", t.settings ->> 'currency' as currency, t.sandbox, (now() at time zone z.zone)::date as "today!"
             from tenants t
            cross join lateral (select coalesce(t.settings ->> 'time_zone', 'UTC') as zone) z
            where t.id = $1"#,
        tenant
    )
    .fetch_optional(db)
    .await
}

/// How many extensions and phone numbers a tenant has.
pub async fn counts(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<(i64, i64)> {
    let counts = sqlx::query!(
        r#"select (select count(*) from extensions where tenant_id = $1 and status <> 'deleted') as "extensions!",
                  (select count(*) from numbers where tenant_id = $1) as "numbers!""#,
        tenant
    );
    let counts = counts.fetch_one(db).await?;
    Ok((counts.extensions, counts.numbers))
}

/// The names of what rows are about.
pub async fn names(db: impl PgExecutor<'_>, tenant: Uuid, ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"select id as "id!", name as "name!" from (
              select id, trim(first_name || ' ' || last_name) as name from users where tenant_id = $1 and id = any ($2)
              union all select id, name from destinations where tenant_id = $1 and id = any ($2)
              union all select id, number from numbers where tenant_id = $1 and id = any ($2)
              union all select id, name from carriers where (tenant_id is null or tenant_id = $1) and id = any ($2)) things"#,
        tenant,
        ids
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.id, row.name)).collect())
}
