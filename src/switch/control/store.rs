//! The SQL of acting on calls.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::job::{CallJob, JobKind, JobState};

/// How many calls a tenant began in the last second. Whoever else counts waits until this transaction ends.
pub async fn placed_by(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<i64> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('calls of ' || $1::uuid::text, 0))", tenant)
        .execute(&mut *db)
        .await?;
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from call_jobs where tenant_id = $1 and created_at > clock_timestamp() - interval '1 second'"#,
        tenant
    )
    .fetch_one(db)
    .await
}

/// Whether a number is assigned to an agent.
pub async fn is_number_of(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    user: Option<Uuid>,
    number: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
               select from numbers n join assignments a on a.tenant_id = n.tenant_id and a.number_id = n.id
                where n.tenant_id = $1 and n.number = $3 and a.user_id = $2) as "is!""#,
        tenant,
        user,
        number
    )
    .fetch_one(db)
    .await
}

/// The number of a destination of this kind. `None`: there is no such destination.
pub async fn number_of(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Uuid,
    kind: &str,
) -> sqlx::Result<Option<Option<String>>> {
    sqlx::query_scalar!(
        "select number from destinations where tenant_id = $1 and id = $2 and kind = $3",
        tenant,
        id,
        kind
    )
    .fetch_optional(db)
    .await
}

/// Takes the turn to act on a call. `false` if somebody has it.
pub async fn take_turn(db: impl PgExecutor<'_>, call: Uuid, turn: Uuid) -> sqlx::Result<bool> {
    let taken = sqlx::query!(
        "insert into call_turns (call_id, turn, until) values ($1, $2, now() + interval '1 minute')
         on conflict (call_id) do update set turn = excluded.turn, until = excluded.until where call_turns.until < now()",
        call,
        turn
    )
    .execute(db)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Ends a turn, and those that nobody gave back.
pub async fn give_turn_back(db: impl PgExecutor<'_>, call: Uuid, turn: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from call_turns where (call_id = $1 and turn = $2) or until < now()", call, turn)
        .execute(db)
        .await
        .map(|_| ())
}

pub async fn insert(db: &mut PgConnection, job: &CallJob) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into call_jobs (id, tenant_id, kind, switch_id, extension_id, user_id, number, call_id) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        job.id,
        job.tenant_id,
        job.kind as JobKind,
        job.switch_id,
        job.extension_id,
        job.agent_id,
        job.to,
        job.call_id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A job, if it is one of this person's.
pub async fn get(
    db: impl PgExecutor<'_>,
    tenant: Option<Uuid>,
    id: Uuid,
    user: Option<Uuid>,
) -> sqlx::Result<Option<CallJob>> {
    sqlx::query_as!(
        CallJob,
        r#"select id, tenant_id, kind as "kind: JobKind", switch_id, extension_id, user_id as agent_id, number as "to", call_id,
                  state as "state: JobState", cause, created_at, changed_at, answered_at, ended_at
             from call_jobs
            where id = $1 and ($2::uuid is null or tenant_id = $2) and ($3::uuid is null or user_id = $3)"#,
        id,
        tenant,
        user
    )
    .fetch_optional(db)
    .await
}

/// Moves a job on. `at`: when that was; now if absent. What comes late tells when it was answered and why it ended, and changes nothing else: a
/// node that was asked meanwhile may have seen only that the call is over.
pub async fn move_on(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Uuid,
    state: JobState,
    cause: Option<&str>,
    at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with said as (select coalesce($5::timestamptz, now()) as at),
              job as (select id, array_position(array['queued', 'ringing_agent', 'ringing', 'answered', 'ended'], state)
                               < array_position(array['queued', 'ringing_agent', 'ringing', 'answered', 'ended'], $3::text) as is_news
                        from call_jobs where tenant_id = $1 and id = $2)
         update call_jobs c
            set state = case when job.is_news then $3::text else c.state end,
                changed_at = case when job.is_news then said.at when $3::text = 'ended' then least(c.changed_at, said.at) else c.changed_at end,
                cause = coalesce(c.cause, $4::text),
                answered_at = coalesce(c.answered_at, case when $3::text = 'answered' then said.at end),
                ended_at = case when $3::text = 'ended' then least(c.ended_at, said.at) else c.ended_at end
           from job, said
          where c.tenant_id = $1 and c.id = job.id
            and (job.is_news or ($3::text = 'answered' and c.answered_at is null) or ($3::text = 'ended' and c.cause is null and $4::text is not null))",
        tenant,
        id,
        state as JobState,
        cause,
        at
    )
    .execute(db)
    .await?;
    Ok(())
}
