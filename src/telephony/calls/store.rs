//! The SQL of admission and of call records.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{
    admission::{Admission, Ask},
    leg::Over,
    listed::{OutboundCall, OutboundFilter, UnreadableRecord},
    posted::{Kept, Posted},
    record::READER,
};
use crate::{
    model::{language::Language, refusal::Refusal},
    text::E164,
};

/// Decides about a call that leaves the platform. Asked again about the same call, the database gives the same answer.
pub async fn admit(db: impl PgExecutor<'_>, ask: &Ask) -> sqlx::Result<Admission> {
    let row = sqlx::query!(
        r#"select admitted as "admitted!", reason, caller_id, carriers, seconds as "seconds: Vec<Option<i32>>"
             from admit_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                             coalesce($19, now()), $20, $21, $22, $23, $24)"#,
        ask.tenant,
        ask.call,
        ask.callee,
        ask.extension,
        ask.user,
        ask.emergency,
        ask.refusal.map(Refusal::name),
        &ask.numbers,
        &ask.limits,
        &ask.caller_ids,
        &ask.carriers,
        &ask.prices,
        &ask.live as &[Option<i32>],
        &ask.rates as &[Option<i32>],
        ask.tenant_live,
        ask.tenant_rate,
        ask.spend_cap,
        ask.zone,
        ask.at,
        &ask.first_seconds,
        &ask.step_seconds,
        ask.slice,
        ask.switch,
        ask.currency
    )
    .fetch_one(db)
    .await?;
    if row.admitted {
        let caller_id = row.caller_id.and_then(|number| E164::parse(&number).ok());
        let (carriers, seconds) = (row.carriers.unwrap_or_default(), row.seconds.unwrap_or_default());
        return Ok(Admission::Admitted { caller_id, carriers, seconds });
    }
    let reason = row.reason.unwrap_or_default();
    let refusal =
        Refusal::named(&reason).ok_or_else(|| sqlx::Error::Decode(format!("an unknown refusal: {reason}").into()))?;
    Ok(Admission::Refused(refusal))
}

/// Keeps a record, with the reason if it can't be read. A readable record replaces an unreadable one.
pub async fn keep(
    db: impl PgExecutor<'_>,
    posted: &Posted,
    domain: Option<&str>,
    unreadable: Option<&str>,
) -> sqlx::Result<Kept> {
    // xmax is 0 in a row that was just inserted.
    let kept = sqlx::query_scalar!(
        r#"insert into cdr_inbox as kept (leg, switch_id, body, unreadable, tenant_id)
           values ($1, $2, $3, $4, coalesce((select id from tenants where domain = lower($5)),
                                            (select tenant_id from former_domains where domain = lower($5))))
               on conflict (leg) do update
                     set switch_id = excluded.switch_id, body = excluded.body, tenant_id = excluded.tenant_id, received_at = now(), unreadable = null, reader = null
                   where kept.unreadable is not null and kept.noted_at is null and excluded.unreadable is null
           returning (xmax = 0) as "is_new!""#,
        posted.leg.to_string(),
        posted.switch,
        &posted.body[..],
        unreadable,
        domain
    )
    .fetch_optional(db)
    .await?;
    Ok(match kept {
        Some(true) => Kept::New,
        Some(false) => Kept::InPlaceOfUnreadable,
        None => Kept::Known,
    })
}

/// Whether one of these calls was admitted for a switch of another cluster, so that a record from this switch can't be about it.
pub async fn is_foreign(db: impl PgExecutor<'_>, switch: Uuid, calls: &[Uuid]) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
              select 1 from admissions a join tenants t on t.id = a.tenant_id left join switches o on o.id = a.switch_id
                join switches s on s.id = $1
               where a.call_id = any ($2) and s.id is distinct from a.switch_id
                 and coalesce(o.cluster_id, t.cluster_id) <> s.cluster_id) as "is_foreign!""#,
        switch,
        calls
    )
    .fetch_one(db)
    .await
}

/// When a call to somebody was admitted that costs something; when its first one was, if no callee has this spelling. Legs that began
/// under an earlier version name none.
pub async fn admitted_at(
    db: impl PgExecutor<'_>,
    call: Uuid,
    callee: Option<&str>,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        "select at from admissions where call_id = $1 and admitted and not emergency
          order by callee is not distinct from $2 desc, at limit 1",
        call,
        callee
    )
    .fetch_optional(db)
    .await
}

/// Ends a call, so that it takes no line any more. If nobody answered it, what was reserved for it is given back.
pub async fn end(db: &mut PgConnection, call: Uuid, unanswered: bool) -> sqlx::Result<()> {
    sqlx::query!("select end_call($1, $2)::text as done", call, unanswered).fetch_one(db).await.map(|_| ())
}

/// A leg is over, and the calls of which it was the last one. `over`: what its record says.
pub async fn end_leg(db: &mut PgConnection, leg: Uuid, over: Over) -> sqlx::Result<()> {
    sqlx::query!("select end_leg($1, $2, $3)::text as done", leg, over.unanswered, over.partner)
        .fetch_one(db)
        .await
        .map(|_| ())
}

/// Has calls back to the number that was shown in a call for help reach the phone that made it, for an hour.
pub async fn expect_callback(db: &mut PgConnection, tenant: Uuid, number: &str, extension: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into help_callbacks (tenant_id, number, extension_id, until)
         select e.tenant_id, $2, e.id, now() + interval '1 hour' from extensions e where e.tenant_id = $1 and e.id = $3
             on conflict (tenant_id, number) do update set extension_id = excluded.extension_id, until = excluded.until",
        tenant,
        number,
        extension
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Forgets callbacks that are no longer expected, and lines that were held for legs whose records never came.
pub async fn forget_expected(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("delete from help_callbacks where until < now()").execute(&mut *db).await?;
    sqlx::query!("delete from held_lines where since < now() - interval '31 days'").execute(db).await.map(|_| ())
}

/// Marks a record as read. `false`: somebody was quicker.
pub async fn note(db: &mut PgConnection, leg: &str) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "update cdr_inbox set noted_at = now(), unreadable = null, reader = $2 where leg = $1 and noted_at is null",
        leg,
        READER
    );
    Ok(noted.execute(db).await?.rows_affected() == 1)
}

/// Marks a record as one that this version can't read. `false`: somebody was quicker.
pub async fn note_unreadable(db: &mut PgConnection, leg: &str, reason: &str) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "update cdr_inbox set unreadable = $2, reader = $3
          where leg = $1 and noted_at is null and (reader is null or reader < $3)",
        leg,
        reason,
        READER
    );
    Ok(noted.execute(db).await?.rows_affected() == 1)
}

/// A kept record that was not read yet.
pub struct KeptRecord {
    pub leg: String,
    pub switch: Uuid,
    pub body: Vec<u8>,
    pub received_at: chrono::DateTime<chrono::Utc>,
}

/// Some of the records that this version has not read, oldest first. Those that just came are left out: they are being read.
pub async fn unread(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<KeptRecord>> {
    sqlx::query_as!(
        KeptRecord,
        "select leg, switch_id as switch, body, received_at from cdr_inbox
          where noted_at is null and (reader is null or reader < $1) and received_at < now() - interval '10 seconds'
          order by received_at limit 1000",
        READER
    )
    .fetch_all(db)
    .await
}

/// Has all records that can't be read be read once more.
pub async fn forget_readings(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("update cdr_inbox set reader = null where noted_at is null and unreadable is not null")
        .execute(db)
        .await
        .map(|_| ())
}

pub async fn count_unreadable(db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from cdr_inbox where noted_at is null and unreadable is not null"#
    )
    .fetch_one(db)
    .await
}

/// Records that can't be read, oldest first: those after a time and a leg.
pub async fn unreadable(
    db: impl PgExecutor<'_>,
    at: DateTime<Utc>,
    leg: &str,
    limit: i64,
) -> sqlx::Result<Vec<UnreadableRecord>> {
    sqlx::query_as!(
        UnreadableRecord,
        r#"select leg, switch_id, received_at, octet_length(body) as "bytes!", unreadable as "reason!"
             from cdr_inbox where noted_at is null and unreadable is not null and (received_at, leg) > ($1, $2)
            order by received_at, leg limit $3"#,
        at,
        leg,
        limit
    )
    .fetch_all(db)
    .await
}

/// The record that can't be read of a leg, under one of these names.
pub async fn unreadable_body(db: impl PgExecutor<'_>, names: &[String]) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!(
        "select body from cdr_inbox where leg = any ($1) and noted_at is null and unreadable is not null limit 1",
        names
    )
    .fetch_optional(db)
    .await
}

/// Corrects the meters for calls whose records never came.
pub async fn mend_meters(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("select mend_meters()::text as done").fetch_one(db).await.map(|_| ())
}

/// What the cost of a leg over a carrier is computed from.
pub struct Charged {
    pub tenant_id: Uuid,
    pub callee: String,
    pub price: i64,
    pub first_seconds: i16,
    pub step_seconds: i16,
}

/// The admitted call that a leg belongs to, with the rate of the carrier that took it: the one in force when the call began, or
/// that of a sheet which has replaced it since. If that sheet has no rate, the price at admission counts. Emergency calls are
/// free. `callee` is absent in legs that began under an earlier version.
pub async fn charged(
    db: &mut PgConnection,
    call: Uuid,
    carrier: Uuid,
    callee: Option<&str>,
) -> sqlx::Result<Vec<Charged>> {
    sqlx::query_as!(
        Charged,
        r#"select a.tenant_id, a.callee, coalesce(r.price, a.price) as "price!", coalesce(r.first_seconds, 60::smallint) as "first_seconds!",
                  coalesce(r.step_seconds, 60::smallint) as "step_seconds!"
             from admissions a
             left join lateral (
                    select r.price, r.first_seconds, r.step_seconds
                      from carriers c join rates r on r.sheet_id = c.sheet_id
                     where c.id = $2 and r.effective_at <= now()
                       and r.prefix = any (array(select left(ltrim(a.callee, '+'), n) from generate_series(1, 15) n))
                     order by length(r.prefix) desc, r.effective_at <= a.at desc, r.effective_at desc limit 1) r on true
            where a.call_id = $1 and a.admitted and not a.emergency and ($3::text is null or a.callee = $3 or a.callee like 'erased-%')
            for update of a"#,
        call,
        carrier,
        callee
    )
    .fetch_all(db)
    .await
}

/// Who took a leg.
pub struct By {
    pub carrier: Uuid,
    /// `None`: nobody answered after all.
    pub answered_at: Option<DateTime<Utc>>,
}

/// Replaces what was reserved for a call by what a leg of it really cost. A call may have several, one after the other: its carrier and price
/// are those of the leg that was answered last, in whatever order their records come.
pub async fn settle(
    db: &mut PgConnection,
    call: Uuid,
    charged: &Charged,
    by: &By,
    seconds: i32,
    cost: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with before as (
            select tenant_id, call_id, callee, day, reserved, coalesce(cost, 0) as cost, coalesce(seconds, 0) as seconds, carrier_id, answered_at
              from admissions
             where tenant_id = $1 and call_id = $2 and callee = $3),
         settled as (
            update admissions a
               set carrier_id = case when l.is_last then $4 else a.carrier_id end, price = case when l.is_last then $7 else a.price end,
                   answered_at = case when l.is_last then $8 else a.answered_at end,
                   seconds = b.seconds + $5, cost = b.cost + $6, reserved = 0
              from before b cross join lateral (
                      select b.answered_at is null or coalesce(($8, $4) >= (b.answered_at, b.carrier_id), false) as is_last) l
             where a.tenant_id = b.tenant_id and a.call_id = b.call_id and a.callee = b.callee)
         update spend_days s set spent = s.spent + $6 - b.reserved
           from before b where s.tenant_id = b.tenant_id and s.day = b.day",
        charged.tenant_id,
        call,
        charged.callee,
        by.carrier,
        seconds,
        cost,
        charged.price,
        by.answered_at
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Makes others wait who work on this call, until the transaction ends.
pub async fn alone(db: impl PgExecutor<'_>, call: Uuid) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0)) as held", call.to_string())
        .fetch_one(db)
        .await
        .map(|_| ())
}

pub async fn is_known(db: impl PgExecutor<'_>, tenant: Uuid, call: Uuid, callee: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from admissions where tenant_id = $1 and call_id = $2 and callee = $3) as "known!""#,
        tenant,
        call,
        callee
    )
    .fetch_one(db)
    .await
}

/// The language of mails to a tenant.
pub async fn language(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<Language>> {
    let text = sqlx::query_scalar!("select settings->>'language' from tenants where id = $1", tenant)
        .fetch_optional(db)
        .await?;
    Ok(text.flatten().and_then(|text| text.parse().ok()))
}

/// Calls that left the platform or were refused, newest first.
pub async fn outbound_calls(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    filter: &OutboundFilter,
    after: Option<(DateTime<Utc>, Uuid, String)>,
    limit: i64,
) -> sqlx::Result<Vec<OutboundCall>> {
    sqlx::query_as!(
        OutboundCall,
        r#"select call_id as "call_id!", callee as "callee!", extension_id, user_id as agent_id, number_id, caller_id, carrier_id, emergency as "emergency!",
                  admitted as "admitted!", reason, price as "price!", currency, at as "at!", ended_at, seconds, cost
             from (select call_id, callee, extension_id, user_id, number_id, caller_id, carrier_id, emergency, admitted,
                          reason, price, currency, at, ended_at, seconds, cost, tenant_id from admissions
                   union all
                   select call_id, callee, extension_id, user_id, number_id, caller_id, carrier_id, emergency, admitted,
                          reason, price, currency, at, ended_at, seconds, cost, tenant_id from past_calls) calls
            where tenant_id = $1 and ($2::timestamptz is null or at < $2) and ($3::bool is null or admitted = $3)
              and ($4::text is null or reason = $4) and ($5::timestamptz is null or (at, call_id, callee) < ($5, $6, $7))
            order by at desc, call_id desc, callee desc limit $8"#,
        tenant,
        filter.before,
        filter.admitted,
        filter.reason,
        after.as_ref().map(|after| after.0),
        after.as_ref().map(|after| after.1),
        after.as_ref().map(|after| after.2.as_str()),
        limit
    )
    .fetch_all(db)
    .await
}
