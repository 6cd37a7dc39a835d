//! The SQL of agents' status: what was chosen, which links a node holds, and how agents were.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{AgentActivity, NewStatus, log::Passed};
use crate::{
    model::{
        agent_status::{Cause, Chosen, Status, WrapUp},
        call_handling::AtQueues,
        settings::StatusReason,
    },
    node::change_store,
};

/// A row of `agent_statuses`.
struct Row {
    tenant_id: Uuid,
    user_id: Uuid,
    status: Status,
    reason: Option<String>,
    cause: Option<Cause>,
    since: DateTime<Utc>,
    set_by: Option<String>,
    gone_at: Option<DateTime<Utc>>,
    wrap_up_of: Option<i64>,
    wrap_up_ends: Option<DateTime<Utc>>,
    changed_at: DateTime<Utc>,
}

impl From<Row> for Chosen {
    fn from(row: Row) -> Self {
        Self {
            tenant: row.tenant_id,
            user: row.user_id,
            status: row.status,
            reason: row.reason,
            cause: row.cause,
            since: row.since,
            set_by: row.set_by,
            gone_at: row.gone_at,
            wrap_up: row.wrap_up_of.zip(row.wrap_up_ends).map(|(of, ends)| WrapUp { of, ends }),
            changed_at: row.changed_at,
        }
    }
}

/// Whether a tenant has this user.
pub async fn is_there(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from users where tenant_id = $1 and id = $2) as "is!""#, tenant, user)
        .fetch_one(db)
        .await
}

pub async fn reasons(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<StatusReason>> {
    let list = sqlx::query_scalar!(
        r#"select coalesce(settings #> '{agents,status_reasons}', '[]') as "list!: Json<Vec<StatusReason>>" from tenants where id = $1"#,
        tenant
    );
    Ok(list.fetch_optional(db).await?.map(|list| list.0).unwrap_or_default())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid) -> sqlx::Result<Option<Chosen>> {
    let row = sqlx::query_as!(
        Row,
        r#"select tenant_id, user_id, status as "status: Status", reason, cause as "cause: Cause", since, set_by, gone_at, wrap_up_of,
                  wrap_up_ends, changed_at
             from agent_statuses where tenant_id = $1 and user_id = $2"#,
        tenant,
        user
    );
    Ok(row.fetch_optional(db).await?.map(Chosen::from))
}

pub async fn set(
    db: &mut PgConnection,
    tenant: Uuid,
    user: Uuid,
    new: &NewStatus,
    by: Option<&str>,
) -> sqlx::Result<Chosen> {
    let row = sqlx::query_as!(
        Row,
        r#"insert into agent_statuses (tenant_id, user_id, status, reason, set_by) values ($1, $2, $3, $4, $5)
           on conflict (tenant_id, user_id) do update
              set status = excluded.status, reason = excluded.reason, set_by = excluded.set_by, cause = null, gone_at = null,
                  since = clock_timestamp(), changed_at = clock_timestamp()
           returning tenant_id, user_id, status as "status: Status", reason, cause as "cause: Cause", since, set_by, gone_at, wrap_up_of,
                  wrap_up_ends, changed_at"#,
        tenant,
        user,
        new.status as Status,
        new.reason,
        by
    );
    row.fetch_one(db).await.map(Chosen::from)
}

/// Has the time after a call end in so many seconds.
pub async fn set_wrap_up(
    db: &mut PgConnection,
    tenant: Uuid,
    user: Uuid,
    ended: i64,
    seconds: i32,
) -> sqlx::Result<Chosen> {
    let row = sqlx::query_as!(
        Row,
        r#"insert into agent_statuses (tenant_id, user_id, wrap_up_of, wrap_up_ends)
           values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
           on conflict (tenant_id, user_id) do update
              set wrap_up_of = excluded.wrap_up_of, wrap_up_ends = excluded.wrap_up_ends, changed_at = clock_timestamp()
           returning tenant_id, user_id, status as "status: Status", reason, cause as "cause: Cause", since, set_by, gone_at, wrap_up_of,
                  wrap_up_ends, changed_at"#,
        tenant,
        user,
        ended,
        f64::from(seconds)
    );
    row.fetch_one(db).await.map(Chosen::from)
}

/// What an agent set by a feature code at one of their phones. `false`: nobody has the extension.
pub async fn set_by_phone(pool: &PgPool, tenant: Uuid, extension: Uuid, code: AtQueues) -> sqlx::Result<bool> {
    let status = Status::of_code(code);
    let mut tx = pool.begin().await?;
    let user = sqlx::query_scalar!(
        r#"select user_id as "user!" from extensions where tenant_id = $1 and id = $2 and user_id is not null and status = 'active'"#,
        tenant,
        extension
    );
    let Some(user) = user.fetch_optional(&mut *tx).await? else { return Ok(false) };
    let changed = sqlx::query!(
        "insert into agent_statuses (tenant_id, user_id, status) values ($1, $2, $3)
         on conflict (tenant_id, user_id) do update
            set status = excluded.status, reason = null, set_by = null, cause = null, gone_at = null, since = clock_timestamp(),
                changed_at = clock_timestamp()
          where agent_statuses.status <> excluded.status or agent_statuses.cause is not null or agent_statuses.gone_at is not null
             or excluded.status <> 'available'",
        tenant,
        user,
        status as Status
    );
    if changed.execute(&mut *tx).await?.rows_affected() > 0 {
        let after = serde_json::json!({ "status": status.as_str() });
        change_store::audit_by_phone(&mut tx, tenant, format!("agents/{user}/status"), after).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// A switch paused an agent who did not answer. Whatever was chosen since then counts more.
pub async fn did_not_answer(pool: &PgPool, tenant: Uuid, user: Uuid, at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into agent_statuses (tenant_id, user_id, status, cause, since) values ($1, $2, 'away', 'did_not_answer', $3)
         on conflict (tenant_id, user_id) do update
            set status = 'away', cause = 'did_not_answer', reason = null, set_by = null, since = $3, changed_at = clock_timestamp()
          where agent_statuses.status = 'available' and agent_statuses.changed_at < $3 + interval '2 seconds'",
        tenant,
        user,
        at
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Notes that no phone of these agents is registered any more, or one is again.
pub async fn set_gone(pool: &PgPool, tenant: Uuid, users: &[Uuid], gone_at: Option<DateTime<Utc>>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into agent_statuses (tenant_id, user_id, gone_at, since)
         select $1, u.id, $3, u.created_at from users u where u.tenant_id = $1 and u.id = any ($2)
         on conflict (tenant_id, user_id) do update set gone_at = excluded.gone_at, changed_at = clock_timestamp()
          where agent_statuses.gone_at is distinct from excluded.gone_at and (agent_statuses.gone_at is null or excluded.gone_at is null)",
        tenant,
        users,
        gone_at
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// What was chosen since a time, or all of it.
pub async fn changed(pool: &PgPool, since: Option<DateTime<Utc>>) -> sqlx::Result<Vec<Chosen>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select tenant_id, user_id, status as "status: Status", reason, cause as "cause: Cause", since, set_by, gone_at, wrap_up_of,
                  wrap_up_ends, changed_at
             from agent_statuses where $1::timestamptz is null or changed_at > $1"#,
        since
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(Chosen::from).collect())
}

/// A link that this node holds, and whether it is the first of its cluster that anybody holds.
pub struct Held {
    pub switch: Uuid,
    pub cluster: Uuid,
    pub is_first: bool,
}

pub async fn held(pool: &PgPool, node: Uuid) -> sqlx::Result<Vec<Held>> {
    sqlx::query_as!(
        Held,
        r#"select switch as "switch!", cluster as "cluster!", is_first as "is_first!"
             from (select e.switch_id as switch, w.cluster_id as cluster, e.holder,
                          row_number() over (partition by w.cluster_id order by e.switch_id) = 1 as is_first
                     from event_sockets e join switches w on w.id = e.switch_id
                    where e.held_until > now() and e.linked_since is not null and w.status = 'active') links
            where holder = $1"#,
        node
    )
    .fetch_all(pool)
    .await
}

/// How the agents of a tenant are by the log.
pub async fn open(pool: &PgPool, tenant: Uuid) -> sqlx::Result<Vec<(Uuid, Passed)>> {
    let rows = sqlx::query!(
        r#"select user_id, state, reason, cause as "cause: Cause", set_by, started_at
             from agent_activity where tenant_id = $1 and ended_at is null"#,
        tenant
    );
    let passed = rows.fetch_all(pool).await?.into_iter().map(|row| {
        let (state, reason, cause, set_by, at) = (row.state, row.reason, row.cause, row.set_by, row.started_at);
        (row.user_id, Passed { state, reason, cause, set_by, at })
    });
    Ok(passed.collect())
}

/// Writes down how somebody is from now on, unless they are so already. Only if this node still holds the first link of the tenant's
/// cluster; returns whether it does.
pub async fn write(db: &mut PgConnection, node: Uuid, tenant: Uuid, user: Uuid, now: &Passed) -> sqlx::Result<bool> {
    let is_ours = sqlx::query_scalar!(
        r#"select exists (
               select from tenants t
                where t.id = $1 and $2 = (select e.holder from event_sockets e join switches w on w.id = e.switch_id
                                           where w.cluster_id = t.cluster_id and e.held_until > now() and e.linked_since is not null
                                             and w.status = 'active'
                                           order by e.switch_id limit 1)) as "is!""#,
        tenant,
        node
    );
    if !is_ours.fetch_one(&mut *db).await? {
        return Ok(false);
    }
    sqlx::query!(
        "update agent_activity set ended_at = greatest(started_at, $3)
          where tenant_id = $1 and user_id = $2 and ended_at is null
            and (state, reason, cause, set_by) is distinct from ($4::text, $5::text, $6::text, $7::text)",
        tenant,
        user,
        now.at,
        now.state,
        now.reason,
        now.cause as Option<Cause>,
        now.set_by
    )
    .execute(&mut *db)
    .await?;
    // It begins where the one before ended, also if clocks differ a little.
    sqlx::query!(
        "insert into agent_activity (id, tenant_id, user_id, state, reason, cause, set_by, started_at)
         select $8, $1, u.id, $4, $5, $6, $7,
                greatest($3, (select max(a.ended_at) from agent_activity a where a.tenant_id = $1 and a.user_id = $2))
           from users u where u.tenant_id = $1 and u.id = $2
         on conflict (tenant_id, user_id) where ended_at is null do nothing",
        tenant,
        user,
        now.at,
        now.state,
        now.reason,
        now.cause as Option<Cause>,
        now.set_by,
        Uuid::now_v7()
    )
    .execute(db)
    .await?;
    Ok(true)
}

/// Which part of the log is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    /// From the latest to the first.
    pub is_down: bool,
    /// What the page before ended with.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    pub limit: i64,
}

/// How an agent was.
pub async fn activity(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    user: Uuid,
    span: Span,
) -> sqlx::Result<Vec<AgentActivity>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query_as!(
                AgentActivity,
                r#"select id, state, reason, cause as "cause: Cause", set_by, started_at, ended_at,
                          floor(extract(epoch from greatest(coalesce(ended_at, now()) - started_at, interval '0')))::bigint as "seconds!"
                     from agent_activity
                    where tenant_id = $1 and user_id = $2
                      and ($3::timestamptz is null or ended_at is null or ended_at > $3)
                      and ($4::timestamptz is null or started_at < $4) and "#
                    + $order
                    + " limit $7",
                tenant,
                user,
                span.from,
                span.to,
                span.after.map(|(at, _)| at),
                span.after.map(|(_, id)| id),
                span.limit
            )
            .fetch_all(db)
            .await
        };
    }
    if span.is_down {
        rows!("($5::timestamptz is null or (started_at, id) < ($5, $6)) order by started_at desc, id desc")
    } else {
        rows!("($5::timestamptz is null or (started_at, id) > ($5, $6)) order by started_at, id")
    }
}
