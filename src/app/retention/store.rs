//! The SQL that moves and deletes rows by age. Each statement takes at most one batch, and skips locked rows.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// How many rows one statement takes.
pub const BATCH: i64 = 1000;

/// Takes the lock that lets one node do the work. The lock ends with the connection.
pub async fn take_turn(db: &mut PgConnection) -> sqlx::Result<bool> {
    // The letters of "old", so that no other lock has this number.
    sqlx::query_scalar!(r#"select pg_try_advisory_lock(7303268) as "is_ours!""#).fetch_one(db).await
}

pub async fn end_turn(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_unlock(7303268)").fetch_one(db).await.map(|_| ())
}

/// A tenant's own periods, in days.
pub struct Own {
    pub tenant_id: Uuid,
    pub audit_days: Option<i32>,
    pub calls_days: Option<i32>,
    pub records_days: Option<i32>,
}

pub async fn own_periods(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Own>> {
    sqlx::query_as!(Own, "select tenant_id, audit_days, calls_days, records_days from retention_periods")
        .fetch_all(db)
        .await
}

/// The tenants with entries in the audit log, including deleted ones. This skips through the index instead of reading it.
pub async fn audited(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"with recursive known as (
              (select tenant_id from audit_log where tenant_id is not null order by tenant_id limit 1)
              union all
              select (select a.tenant_id from audit_log a where a.tenant_id > k.tenant_id order by a.tenant_id limit 1)
                from known k where k.tenant_id is not null)
           select tenant_id as "tenant_id!" from known where tenant_id is not null"#
    )
    .fetch_all(db)
    .await
}

/// Ids begin with the time, so the index leads to the oldest. Everything older has a lower id than `last`.
pub async fn delete_audit(db: &PgPool, tenant: Option<Uuid>, before: DateTime<Utc>, last: Uuid) -> sqlx::Result<u64> {
    let gone = match tenant {
        Some(tenant) => {
            sqlx::query!(
                "delete from audit_log where id in (select id from audit_log where tenant_id = $1 and id < $2 and at < $3
                                                     order by id limit $4 for update skip locked)",
                tenant,
                last,
                before,
                BATCH
            )
            .execute(db)
            .await?
        }
        None => {
            sqlx::query!(
                "delete from audit_log where id in (select id from audit_log where tenant_id is null and id < $1 and at < $2
                                                     order by id limit $3 for update skip locked)",
                last,
                before,
                BATCH
            )
            .execute(db)
            .await?
        }
    };
    Ok(gone.rows_affected())
}

/// Deletes mails that were sent or given up, by their tenants' periods or by `days`.
pub async fn delete_mails(db: &PgPool, now: DateTime<Utc>, days: i32) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "delete from mail_outbox where id in (
            select m.id from mail_outbox m left join retention_periods r on r.tenant_id = m.tenant_id
             where m.status <> 'queued'
               and coalesce(m.sent_at, m.created_at) < $1::timestamptz - make_interval(days => coalesce(r.mails_days, $2))
             limit $3 for update of m skip locked)",
        now,
        days,
        BATCH
    );
    Ok(gone.execute(db).await?.rows_affected())
}

/// Deletes how agents were, by their tenants' periods for calls or by `days`.
pub async fn delete_activity(db: &PgPool, now: DateTime<Utc>, days: i32) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "delete from agent_activity where id in (
            select a.id from agent_activity a left join retention_periods r on r.tenant_id = a.tenant_id
             where a.ended_at < $1::timestamptz - make_interval(days => coalesce(r.calls_days, $2))
             limit $3 for update of a skip locked)",
        now,
        days,
        BATCH
    );
    Ok(gone.execute(db).await?.rows_affected())
}

/// Deletes recordings that are not held, by their tenants' periods or by `days`. A trigger has their content removed.
pub async fn delete_recordings(db: &PgPool, now: DateTime<Utc>, days: i32) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "delete from recordings where (tenant_id, id) in (
            select r.tenant_id, r.id from recordings r left join retention_periods p on p.tenant_id = r.tenant_id
             where r.held_since is null
               and r.began_at < $1::timestamptz - make_interval(days => coalesce(p.recordings_days, $2))
             limit $3 for update of r skip locked)",
        now,
        days,
        BATCH
    );
    Ok(gone.execute(db).await?.rows_affected())
}

/// Rows that expire, or are of no use after a fixed time.
pub async fn delete_expired(db: &PgPool, what: Passing, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let gone = match what {
        Passing::IdempotencyKeys => sqlx::query!(
            "delete from idempotency_keys where (actor, key) in (
                select actor, key from idempotency_keys where created_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Sessions => sqlx::query!(
            "delete from sessions where id in (
                select id from sessions where expires_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::RefreshTokens => sqlx::query!(
            "delete from refresh_tokens where hash in (
                select hash from refresh_tokens where used_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::OneTimeTokens => sqlx::query!(
            "delete from one_time_tokens where hash in (
                select hash from one_time_tokens where expires_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Failures => sqlx::query!(
            "delete from sign_in_failures where who in (
                select who from sign_in_failures where last_at < $1 and locked_until < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Devices => sqlx::query!(
            "delete from known_devices where token_hash in (
                select token_hash from known_devices where used_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Expulsions => sqlx::query!(
            "delete from expulsions where id in (
                select id from expulsions where since < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Lamps => sqlx::query!(
            "with numbers as (delete from number_lamps where (switch_id, domain, number) in (
                select switch_id, domain, number from number_lamps where since < $1 limit $2 for update skip locked))
             delete from lamp_news where (switch_id, extension_id) in (
                select switch_id, extension_id from lamp_news where since < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Hosts => sqlx::query!(
            "delete from resolved_hosts where host in (
                select host from resolved_hosts where tried_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Legs => sqlx::query!(
            "delete from ended_legs where leg in (
                select leg from ended_legs where received_at < $1 order by received_at limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Channels => sqlx::query!(
            "delete from call_channels where (channel, tenant_id) in (
                select channel, tenant_id from call_channels where since < $1 order by since limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::WebhookEvents => sqlx::query!(
            "delete from webhook_events where id in (
                select id from webhook_events where created_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::CallJobs => sqlx::query!(
            "delete from call_jobs where id in (
                select id from call_jobs where created_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::CallBacks => sqlx::query!(
            "delete from call_backs where (tenant_id, id) in (
                select tenant_id, id from call_backs where ended_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::PlayedCalls => sqlx::query!(
            "delete from sandbox_calls where (tenant_id, id) in (
                select tenant_id, id from sandbox_calls where ends_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::Messages => sqlx::query!(
            "delete from chat_messages where (tenant_id, id) in (
                select tenant_id, id from chat_messages where sent_at < $1 order by sent_at limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::WrittenCalls => sqlx::query!(
            "delete from written_calls where (tenant_id, id) in (
                select tenant_id, id from written_calls where updated_at < $1 order by updated_at limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::UsageAlerts => sqlx::query!(
            "delete from usage_alerts where (tenant_id, month, measure, percent) in (
                select tenant_id, month, measure, percent from usage_alerts where at < $1 order by at limit $2 for update skip locked)",
            before,
            BATCH
        ),
        Passing::UnreadRecords => sqlx::query!(
            "delete from cdr_inbox where leg in (
                select leg from cdr_inbox where noted_at is null and received_at < $1 limit $2 for update skip locked)",
            before,
            BATCH
        ),
    };
    Ok(gone.execute(db).await?.rows_affected())
}

/// Deletes short-lived rows of all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    IdempotencyKeys,
    Sessions,
    RefreshTokens,
    OneTimeTokens,
    Failures,
    Devices,
    Expulsions,
    /// What lamps of a switch that was away were to show. Phones renew their watches sooner.
    Lamps,
    Hosts,
    Legs,
    Channels,
    /// With their deliveries.
    WebhookEvents,
    /// The calls themselves stay.
    CallJobs,
    CallBacks,
    /// Of sandboxes, likewise.
    PlayedCalls,
    /// Between people, and notices to teams.
    Messages,
    /// What people wrote about calls whose records never came.
    WrittenCalls,
    /// Of limits that a month came near to.
    UsageAlerts,
    UnreadRecords,
}

/// Deletes daily counts: calls made with a number, money spent.
pub async fn delete_days(db: &PgPool, today: NaiveDate, days: i32) -> sqlx::Result<u64> {
    let numbers = sqlx::query!(
        "delete from number_days where ctid = any (array(
            select n.ctid from number_days n left join retention_periods r on r.tenant_id = n.tenant_id
             where n.day < $1::date - coalesce(r.calls_days, $2) limit $3 for update of n skip locked))",
        today,
        days,
        BATCH
    );
    let spent = sqlx::query!(
        "delete from spend_days where ctid = any (array(
            select s.ctid from spend_days s left join retention_periods r on r.tenant_id = s.tenant_id
             where s.day < $1::date - coalesce(r.calls_days, $2) limit $3 for update of s skip locked))",
        today,
        days,
        BATCH
    );
    Ok(numbers.execute(db).await?.rows_affected().max(spent.execute(db).await?.rows_affected()))
}

/// The start of the oldest call that can be moved.
pub async fn oldest_call(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!("select at from admissions where at < $1 order by at limit 1", before).fetch_optional(db).await
}

/// Moves calls that began before this moment. If one seems to be in progress for weeks, its record will never come.
pub async fn move_calls(db: &PgPool, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let moved = sqlx::query!(
        "with due as (
            select tenant_id, call_id, callee from admissions where at < $1 order by at limit $2 for update skip locked),
         gone as (
            delete from admissions a using due d
             where a.tenant_id = d.tenant_id and a.call_id = d.call_id and a.callee = d.callee
            returning a.*)
         insert into past_calls (tenant_id, call_id, callee, extension_id, user_id, number_id, caller_id, carrier_id, carriers,
                                 emergency, admitted, reason, price, currency, reserved, day, at, ended_at, seconds, cost)
         select tenant_id, call_id, callee, extension_id, user_id, number_id, caller_id, carrier_id, carriers,
                emergency, admitted, reason, price, currency, reserved, day, at, ended_at, seconds, cost from gone
             on conflict (tenant_id, at, call_id, callee) do nothing",
        before,
        BATCH
    );
    Ok(moved.execute(db).await?.rows_affected())
}

/// The arrival of the oldest read record that can be moved.
pub async fn oldest_record(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        "select received_at from cdr_inbox where noted_at is not null and received_at < $1 order by received_at limit 1",
        before
    )
    .fetch_optional(db)
    .await
}

/// Moves read records that came before this moment. If a record does not name its tenant, the admitted call that it belongs to does.
pub async fn move_records(db: &PgPool, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let moved = sqlx::query!(
        "with due as (
            select leg from cdr_inbox where noted_at is not null and received_at < $1
             order by received_at limit $2 for update skip locked),
         gone as (
            delete from cdr_inbox i using due d where i.leg = d.leg
            returning i.leg, i.tenant_id, i.switch_id, i.received_at, i.noted_at, i.body)
         insert into past_records (leg, tenant_id, switch_id, received_at, noted_at, body)
         select g.leg,
                coalesce(g.tenant_id, (select a.tenant_id from admissions a
                                        where a.call_id = case when g.leg ~ '^[0-9a-f-]{36}$' then g.leg::uuid end limit 1)),
                g.switch_id, g.received_at, g.noted_at, g.body
           from gone g
             on conflict (received_at, leg) do nothing",
        before,
        BATCH
    );
    Ok(moved.execute(db).await?.rows_affected())
}

/// Deletes past calls of one tenant, or of all but some.
pub async fn delete_past_calls(db: &PgPool, whose: &Whose<'_>, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let gone = match whose {
        Whose::One(tenant) => sqlx::query!(
            "delete from past_calls where (tenant_id, at, call_id, callee) in (
                select tenant_id, at, call_id, callee from past_calls where tenant_id = $1 and at < $2 limit $3)",
            tenant,
            before,
            BATCH
        )
        .execute(db)
        .await?,
        Whose::AllBut(longer) => sqlx::query!(
            "delete from past_calls where (tenant_id, at, call_id, callee) in (
                select tenant_id, at, call_id, callee from past_calls where tenant_id <> all ($1) and at < $2 limit $3)",
            *longer,
            before,
            BATCH
        )
        .execute(db)
        .await?,
    };
    Ok(gone.rows_affected())
}

/// Deletes calls with their stories of one tenant, or of all but some.
pub async fn delete_stories(db: &PgPool, whose: &Whose<'_>, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let gone = match whose {
        Whose::One(tenant) => {
            sqlx::query!(
                "delete from calls where (tenant_id, started_at, id) in (
                select tenant_id, started_at, id from calls where tenant_id = $1 and started_at < $2 limit $3)",
                tenant,
                before,
                BATCH
            )
            .execute(db)
            .await?
        }
        Whose::AllBut(longer) => {
            sqlx::query!(
                "delete from calls where (tenant_id, started_at, id) in (
                select tenant_id, started_at, id from calls where tenant_id <> all ($1) and started_at < $2 limit $3)",
                *longer,
                before,
                BATCH
            )
            .execute(db)
            .await?
        }
    };
    Ok(gone.rows_affected())
}

/// Deletes figures of calls that are older than the calls may be.
pub async fn delete_figures(db: &PgPool, now: DateTime<Utc>, days: i32) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "delete from call_rollups where ctid = any (array(
            select c.ctid from call_rollups c left join retention_periods r on r.tenant_id = c.tenant_id
             where c.slot < $1::timestamptz - make_interval(days => coalesce(r.calls_days, $2)) limit $3 for update of c skip locked))",
        now,
        days,
        BATCH
    );
    Ok(gone.execute(db).await?.rows_affected())
}

pub async fn delete_past_records(db: &PgPool, whose: &Whose<'_>, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let gone = match whose {
        Whose::One(tenant) => {
            sqlx::query!(
                "delete from past_records where (received_at, leg) in (
                select received_at, leg from past_records where tenant_id = $1 and received_at < $2 limit $3)",
                tenant,
                before,
                BATCH
            )
            .execute(db)
            .await?
        }
        Whose::AllBut(longer) => {
            sqlx::query!(
                "delete from past_records where (received_at, leg) in (
                select received_at, leg from past_records
                 where (tenant_id is null or tenant_id <> all ($1)) and received_at < $2 limit $3)",
                *longer,
                before,
                BATCH
            )
            .execute(db)
            .await?
        }
    };
    Ok(gone.rows_affected())
}

pub enum Whose<'a> {
    One(Uuid),
    AllBut(&'a [Uuid]),
}
