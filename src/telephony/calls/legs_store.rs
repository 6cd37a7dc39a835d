//! The SQL of legs that are up.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::store::Charged;

/// A leg that is up.
#[derive(Debug, Clone)]
pub struct Up {
    pub leg: Uuid,
    pub tenant: Uuid,
    pub call: Uuid,
    pub callee: String,
    pub carrier: Uuid,
    /// Seconds since it was answered.
    pub elapsed: i64,
    /// How many seconds after the answer its switch ends it.
    pub allowed: Option<i32>,
}

/// A call that is not known to be over.
pub struct Open {
    pub call: Uuid,
    pub callee: String,
    pub tenant: Uuid,
    pub carriers: Vec<Uuid>,
    pub allowed: Vec<Option<i32>>,
    /// Seconds since it was admitted.
    pub age: i64,
}

/// The calls of a switch that are not known to be over.
pub async fn open(db: &PgPool, switch: Uuid) -> sqlx::Result<Vec<Open>> {
    sqlx::query_as!(
        Open,
        r#"select call_id as call, callee, tenant_id as tenant, carriers, coalesce(allowed, '{}') as "allowed!: Vec<Option<i32>>",
                  extract(epoch from now() - at)::bigint as "age!"
             from admissions
            where switch_id = $1 and admitted and ended_at is null and not emergency"#,
        switch
    )
    .fetch_all(db)
    .await
}

/// The legs that a switch had at its last visit.
pub async fn up(db: &PgPool, switch: Uuid) -> sqlx::Result<Vec<Up>> {
    sqlx::query_as!(
        Up,
        r#"select leg, tenant_id as tenant, call_id as call, callee, carrier_id as carrier, allowed,
                  extract(epoch from now() - answered_at)::bigint as "elapsed!"
             from call_legs where switch_id = $1 and gone_at is null"#,
        switch
    )
    .fetch_all(db)
    .await
}

/// Notes a leg that was not seen before, or not lately. Not if its record has come already.
pub async fn note(db: &PgPool, switch: Uuid, leg: &Up) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into call_legs (leg, tenant_id, call_id, callee, carrier_id, switch_id, answered_at, allowed)
         select $1, t.id, $3, $4, $5, $6, now() - make_interval(secs => $7::bigint), $8 from tenants t
          where t.id = $2 and not exists (select from cdr_inbox where leg = $1::uuid::text)
         on conflict (leg) do update set gone_at = null, seen_at = now() where call_legs.guessed is null",
        leg.leg,
        leg.tenant,
        leg.call,
        leg.callee,
        leg.carrier,
        switch,
        leg.elapsed,
        leg.allowed
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Notes which of a switch's legs it still has.
pub async fn seen(db: &PgPool, switch: Uuid, legs: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!(
        "update call_legs set seen_at = case when leg = any ($2) then now() else seen_at end,
                              gone_at = case when leg = any ($2) then null else now() end
          where switch_id = $1 and gone_at is null",
        switch,
        legs
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// How long the switch lets a leg last.
pub async fn allow(db: &PgPool, leg: Uuid, allowed: Option<i32>) -> sqlx::Result<()> {
    sqlx::query!("update call_legs set allowed = $2 where leg = $1", leg, allowed).execute(db).await.map(|_| ())
}

/// Reserves more for a call, and returns how many seconds after the answer it may last with that.
pub async fn renew(db: &mut PgConnection, leg: &Up, charged: &Charged, slice: i32) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar!(
        "select renew_call($1, $2, $3, $4, $5, $6, $7, $8)",
        leg.tenant,
        leg.call,
        leg.callee,
        leg.elapsed,
        slice,
        charged.price,
        i32::from(charged.first_seconds),
        i32::from(charged.step_seconds)
    )
    .fetch_one(db)
    .await
}

/// A leg that is gone, and of which no record came.
pub struct Gone {
    pub leg: Uuid,
    pub call: Uuid,
    pub callee: String,
    pub carrier: Uuid,
    pub answered_at: DateTime<Utc>,
    /// From its answer to when it was seen last.
    pub seconds: i32,
}

pub async fn unrecorded(db: &PgPool) -> sqlx::Result<Vec<Gone>> {
    sqlx::query_as!(
        Gone,
        r#"select leg, call_id as call, callee, carrier_id as carrier, answered_at,
                  greatest(ceil(extract(epoch from seen_at - answered_at)), 1)::integer as "seconds!"
             from call_legs where gone_at < now() - interval '1 minute' and guessed is null limit 1000"#
    )
    .fetch_all(db)
    .await
}

/// Whether that is still so; its record has to wait.
pub async fn lock_unrecorded(db: &mut PgConnection, leg: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!("select 1 as one from call_legs where leg = $1 and guessed is null for update", leg);
    Ok(row.fetch_optional(db).await?.is_some())
}

pub async fn guess(db: &mut PgConnection, leg: Uuid, cost: i64, seconds: i32) -> sqlx::Result<()> {
    let guess =
        sqlx::query!("update call_legs set guessed = $2, guessed_seconds = $3 where leg = $1", leg, cost, seconds);
    guess.execute(db).await.map(|_| ())
}

/// What a leg was taken to cost, and how long to last, before its record came.
pub async fn take(db: &mut PgConnection, leg: Uuid) -> sqlx::Result<(i64, i32)> {
    let row = sqlx::query!("delete from call_legs where leg = $1 returning guessed, guessed_seconds", leg);
    let row = row.fetch_optional(db).await?;
    Ok(row.map_or((0, 0), |row| (row.guessed.unwrap_or_default(), row.guessed_seconds.unwrap_or_default())))
}

/// A record that did not come for a month does not come.
pub async fn forget_old(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("delete from call_legs where gone_at < now() - interval '31 days'").execute(db).await.map(|_| ())
}
