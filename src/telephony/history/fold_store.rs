//! The SQL of making calls from legs.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{
    fold::{Admitted, Extension},
    gather::{Belongs, Due},
};
use crate::telephony::calls::told::Told;

/// How many legs are worked on at once.
pub const BATCH: i64 = 500;
/// The most legs that make up a call. A call with more is told by the first ones.
const MOST_LEGS: i64 = 1000;

/// Takes the lock that lets one node do the work, until the transaction ends.
pub async fn take_turn(db: &mut PgConnection) -> sqlx::Result<bool> {
    // The letters of "legs".
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(1818585971) as "is_ours!""#).fetch_one(db).await
}

/// Keeps what a leg's record tells, unless that was done before. The tenant is that of the admitted call, or else the one that the record names,
/// if it is on the switch's cluster. `false`: it is known already.
pub async fn keep(
    db: &mut PgConnection,
    told: &Told,
    switch: Uuid,
    tenant: Option<Uuid>,
    domain: Option<&str>,
) -> sqlx::Result<bool> {
    let calls = told.admitted.into_iter().chain([told.leg]).collect::<Vec<_>>();
    // Nobody's, and connected with nobody: a stranger whose call led nowhere.
    let is_alone = told.links.is_empty();
    let kept = sqlx::query_scalar!(
        r#"with known as (select 1 from ended_legs where leg = $1),
           whose as (
              select s.cluster_id,
                     coalesce((select a.tenant_id from admissions a join tenants t on t.id = a.tenant_id
                                where a.call_id = any ($5) and t.cluster_id = s.cluster_id limit 1),
                              (select t.id from tenants t where t.id = $3 and t.cluster_id = s.cluster_id),
                              (select t.id from tenants t where t.domain = lower($4) and t.cluster_id = s.cluster_id),
                              (select t.id from former_domains f join tenants t on t.id = f.tenant_id
                                where f.domain = lower($4) and t.cluster_id = s.cluster_id)) as tenant_id
                from switches s where s.id = $2),
           kept as (
              insert into ended_legs (leg, tenant_id, cluster_id, told)
              select $1, w.tenant_id, w.cluster_id, $6 from whose w where w.tenant_id is not null or not $7
                  on conflict (leg) do nothing)
           select not exists (select from known) as "is_new!""#,
        told.leg,
        switch,
        tenant,
        domain,
        &calls,
        Json(told) as _,
        is_alone
    );
    kept.fetch_one(db).await
}

/// Keeps what the company of a caller sees of a call to another one, unless that was done before. It must be on the switch's cluster.
pub async fn keep_made(db: &mut PgConnection, told: &Told, made: &[Told], switch: Uuid) -> sqlx::Result<()> {
    let Some(tenant) = told.made.as_ref().map(|made| made.tenant) else { return Ok(()) };
    let legs = made.iter().map(|told| told.leg).collect::<Vec<_>>();
    let texts = made.iter().map(|told| serde_json::to_value(told).unwrap_or_default()).collect::<Vec<_>>();
    sqlx::query!(
        "insert into ended_legs (leg, tenant_id, cluster_id, told)
         select x.leg, t.id, t.cluster_id, x.told
           from unnest($1::uuid[], $2::jsonb[]) as x (leg, told)
           join switches s on s.id = $3
           join tenants t on t.id = $4 and t.cluster_id = s.cluster_id
          where t.id is distinct from (select tenant_id from ended_legs where leg = $5)
             on conflict (leg) do nothing",
        &legs,
        &texts,
        switch,
        tenant,
        told.leg
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Keeps what was played in a sandbox, as if a switch of the tenant's cluster had reported it.
pub async fn keep_played(db: &mut PgConnection, told: &Told, tenant: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into ended_legs (leg, tenant_id, cluster_id, told)
         select $1, t.id, t.cluster_id, $3 from tenants t where t.id = $2 and t.sandbox
             on conflict (leg) do nothing",
        told.leg,
        tenant,
        Json(told) as _
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Legs that belong to no call yet, in the order in which they came.
pub async fn due(db: &mut PgConnection) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"select leg, tenant_id, cluster_id, told as "told: Json<Told>" from ended_legs
            where folded_at is null order by received_at, leg limit $1"#,
        BATCH
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| Due { leg: row.leg, tenant: row.tenant_id, cluster: row.cluster_id, told: row.told.0 })
        .collect())
}

/// The legs among these channels of which it was not known whose they are.
pub async fn orphans(db: &mut PgConnection, channels: &[Uuid]) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"select leg, cluster_id, told as "told: Json<Told>" from ended_legs
            where leg = any ($1) and tenant_id is null and folded_at is not null"#,
        channels
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| Due { leg: row.leg, tenant: None, cluster: row.cluster_id, told: row.told.0 })
        .collect())
}

/// What is known of these channels.
pub async fn channels(db: &mut PgConnection, channels: &[Uuid]) -> sqlx::Result<Vec<Belongs>> {
    sqlx::query_as!(
        Belongs,
        "select c.channel, c.tenant_id as tenant, t.cluster_id as cluster, c.call_id as call
           from call_channels c join tenants t on t.id = c.tenant_id where c.channel = any ($1)",
        channels
    )
    .fetch_all(db)
    .await
}

/// Notes which channels belong to which calls.
pub async fn join(db: &mut PgConnection, rows: &[(Uuid, Uuid, Uuid)]) -> sqlx::Result<()> {
    let (tenants, channels, calls) = columns(rows);
    sqlx::query!(
        "insert into call_channels (tenant_id, channel, call_id)
         select tenant, channel, call from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as x (tenant, channel, call)
             on conflict (channel, tenant_id) do update set call_id = excluded.call_id
                   where call_channels.call_id <> excluded.call_id",
        &tenants,
        &channels,
        &calls
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Makes calls a part of others. What people wrote about them moves along.
pub async fn merge(db: &mut PgConnection, rows: &[(Uuid, Uuid, Uuid)]) -> sqlx::Result<()> {
    let (tenants, from, to) = columns(rows);
    sqlx::query!(
        "update call_channels c set call_id = x.into_call
           from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as x (tenant, call, into_call)
          where c.tenant_id = x.tenant and c.call_id = x.call",
        &tenants,
        &from,
        &to
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "update ended_legs l set call_id = x.into_call
           from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as x (tenant, call, into_call)
          where l.tenant_id = x.tenant and l.call_id = x.call",
        &tenants,
        &from,
        &to
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Notes which calls legs belong to.
pub async fn assign(db: &mut PgConnection, rows: &[(Uuid, Uuid, Uuid)]) -> sqlx::Result<()> {
    let (legs, tenants, calls) = columns(rows);
    sqlx::query!(
        "update ended_legs l set tenant_id = x.tenant, call_id = x.call, folded_at = now()
           from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as x (leg, tenant, call) where l.leg = x.leg",
        &legs,
        &tenants,
        &calls
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Marks legs as dealt with of which it is not known whose they are.
pub async fn leave(db: &mut PgConnection, legs: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!("update ended_legs set folded_at = now() where leg = any ($1)", legs).execute(db).await.map(|_| ())
}

/// The tenants among these that are still there. They stay until the transaction ends.
pub async fn tenants(db: &mut PgConnection, tenants: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!("select id from tenants where id = any ($1) order by id for key share", tenants)
        .fetch_all(db)
        .await
}

/// The legs of calls: tenant, call, what its record tells.
pub async fn legs(db: &mut PgConnection, calls: &[(Uuid, Uuid)]) -> sqlx::Result<Vec<(Uuid, Uuid, Told)>> {
    let (tenants, calls): (Vec<_>, Vec<_>) = calls.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"select x.tenant as "tenant!", x.call as "call!", l.told as "told!: Json<Told>"
             from unnest($1::uuid[], $2::uuid[]) as x (tenant, call)
             join lateral (select told from ended_legs l where l.tenant_id = x.tenant and l.call_id = x.call
                            order by received_at limit $3) l on true"#,
        &tenants,
        &calls,
        MOST_LEGS
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.tenant, row.call, row.told.0)).collect())
}

/// What was decided about calls to the outside: tenant, decision.
pub async fn admitted(db: &mut PgConnection, calls: &[(Uuid, Uuid)]) -> sqlx::Result<Vec<(Uuid, Admitted)>> {
    let (tenants, calls): (Vec<_>, Vec<_>) = calls.iter().copied().unzip();
    let rows = sqlx::query!(
        "select a.tenant_id, a.call_id, a.callee, a.extension_id, a.number_id, a.caller_id, a.carrier_id, a.admitted, a.reason, a.emergency,
                a.cost, a.currency
           from unnest($1::uuid[], $2::uuid[]) as x (tenant, call)
           join admissions a on a.tenant_id = x.tenant and a.call_id = x.call order by a.at, a.callee",
        &tenants,
        &calls
    );
    let admitted = rows.fetch_all(db).await?.into_iter().map(|row| {
        let admitted = Admitted {
            call: row.call_id,
            callee: row.callee,
            extension: row.extension_id,
            number: row.number_id,
            caller_id: row.caller_id,
            carrier: row.carrier_id,
            admitted: row.admitted,
            reason: row.reason,
            emergency: row.emergency,
            cost: row.cost,
            currency: row.currency,
        };
        (row.tenant_id, admitted)
    });
    Ok(admitted.collect())
}

/// An extension with its SIP username.
pub struct Named {
    pub tenant: Uuid,
    pub id: Uuid,
    pub user: String,
    pub extension: Extension,
}

/// Extensions by their ids or SIP usernames.
pub async fn extensions(
    db: &mut PgConnection,
    tenants: &[Uuid],
    ids: &[Uuid],
    users: &[String],
) -> sqlx::Result<Vec<Named>> {
    let rows = sqlx::query!(
        r#"select tenant_id, id, sip_username, number, display_name, user_id
             from extensions where tenant_id = any ($1) and id = any ($2)
           union
           select tenant_id, id, sip_username, number, display_name, user_id
             from extensions where tenant_id = any ($1) and sip_username = any ($3)"#,
        tenants,
        ids,
        users
    );
    let named = rows.fetch_all(db).await?.into_iter().filter_map(|row| {
        let extension = Extension { number: row.number?, name: row.display_name?, agent: row.user_id };
        Some(Named { tenant: row.tenant_id?, id: row.id?, user: row.sip_username?, extension })
    });
    Ok(named.collect())
}

/// Phone numbers: tenant, number, id.
pub async fn numbers(
    db: &mut PgConnection,
    tenants: &[Uuid],
    numbers: &[String],
) -> sqlx::Result<Vec<(Uuid, String, Uuid)>> {
    let rows = sqlx::query!(
        "select tenant_id, number, id from numbers where tenant_id = any ($1) and number = any ($2)",
        tenants,
        numbers
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.tenant_id, row.number, row.id)).collect())
}

/// What a call had that its legs don't say.
pub struct Before {
    pub tenant: Uuid,
    pub call: Uuid,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub notes: Option<String>,
    pub tags: Vec<String>,
    pub disposition: Option<String>,
    pub contact_id: Option<Uuid>,
    pub version: i64,
    pub cost: Option<i64>,
    pub currency: Option<String>,
    pub country: Option<String>,
    pub legs: i32,
}

/// Locks calls as they are.
pub async fn before(db: &mut PgConnection, calls: &[(Uuid, Uuid)]) -> sqlx::Result<Vec<Before>> {
    let (tenants, calls): (Vec<_>, Vec<_>) = calls.iter().copied().unzip();
    sqlx::query_as!(
        Before,
        r#"select c.tenant_id as tenant, c.id as call, c.started_at, c.ended_at, c.notes, c.tags, c.disposition, c.contact_id, c.version, c.cost, c.currency, c.country,
                  coalesce((c.summary ->> 'legs')::integer, 0) as "legs!"
             from calls c join unnest($1::uuid[], $2::uuid[]) as x (tenant, call) on c.tenant_id = x.tenant and c.id = x.call
              for update of c"#,
        &tenants,
        &calls
    )
    .fetch_all(db)
    .await
}

/// Puts calls in the place of those that were there before.
pub async fn replace(db: &mut PgConnection, gone: &[(Uuid, Uuid)], now: &Value) -> sqlx::Result<()> {
    let (tenants, calls): (Vec<_>, Vec<_>) = gone.iter().copied().unzip();
    sqlx::query!(
        "delete from calls c using unnest($1::uuid[], $2::uuid[]) as x (tenant, call)
          where c.tenant_id = x.tenant and c.id = x.call",
        &tenants,
        &calls
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into calls (tenant_id, id, started_at, ended_at, direction, state, wait_ms, talk_ms, ringing_after, billed_seconds,
                            extension_id, agent_id, number_id, queue_id, carrier_id, country, cause, cost, currency, recorded, agents,
                            facets, sought, summary, story, notes, tags, disposition, contact_id, version)
         select tenant_id, id, started_at, ended_at, direction, state, wait_ms, talk_ms, ringing_after, billed_seconds,
                extension_id, agent_id, number_id, queue_id, carrier_id, country, cause, cost, currency, recorded, agents,
                facets, sought, summary, story, notes, tags, disposition, contact_id, version
           from jsonb_to_recordset($1) as x (tenant_id uuid, id uuid, started_at timestamptz, ended_at timestamptz, direction text, state text,
                wait_ms bigint, talk_ms bigint, ringing_after bigint, billed_seconds integer, extension_id uuid, agent_id uuid, number_id uuid,
                queue_id uuid, carrier_id uuid, country text, cause text, cost bigint, currency text, recorded boolean, agents uuid[],
                facets bigint[], sought text, summary jsonb, story jsonb, notes text, tags text[], disposition text, contact_id uuid, version bigint)",
        now
    )
    .execute(db)
    .await
    .map(|_| ())
}

fn columns(rows: &[(Uuid, Uuid, Uuid)]) -> (Vec<Uuid>, Vec<Uuid>, Vec<Uuid>) {
    let first = rows.iter().map(|row| row.0).collect();
    (first, rows.iter().map(|row| row.1).collect(), rows.iter().map(|row| row.2).collect())
}
