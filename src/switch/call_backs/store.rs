//! The SQL of calling people back.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{CallBackState, CallBackWish, NewWish};
use crate::{
    model::destination::Queue,
    text::{DialNumber, Domain},
};

/// The most who wait to be called back by one queue.
const MOST: i64 = 200;

/// Keeps that a caller wants to be called back, once for each number and queue. `false`: too many wait for that.
pub async fn keep(pool: &PgPool, new: &NewWish<'_>) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "insert into call_backs (tenant_id, id, queue_id, number, joined_at, ahead, switch_id, expires_at)
         select $1, $2, $3, $4, least(coalesce(to_timestamp($5::bigint::float8), now()), now()), $6, $7, now() + make_interval(hours => $8)
          where (select count(*) from call_backs o
                  where o.tenant_id = $1 and o.queue_id = $3 and o.state in ('waiting', 'calling')) < $9
         on conflict (tenant_id, queue_id, number) where state in ('waiting', 'calling') do nothing",
        new.tenant,
        Uuid::now_v7(),
        new.queue,
        new.number,
        new.joined,
        i32::from(new.ahead),
        new.switch,
        i32::from(new.keep_hours),
        MOST
    )
    .execute(&mut *tx)
    .await?;
    let is_kept = sqlx::query_scalar!(
        r#"select exists (select from call_backs
                           where tenant_id = $1 and queue_id = $2 and number = $3 and state in ('waiting', 'calling')) as "is!""#,
        new.tenant,
        new.queue,
        new.number
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(is_kept)
}

/// Which wishes to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub queue: Option<Uuid>,
    pub state: Option<CallBackState>,
    pub number: Option<String>,
}

pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    filter: &Filter,
    is_down: bool,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<CallBackWish>> {
    select(db, tenant, None, filter, is_down, after, limit).await
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<CallBackWish>> {
    Ok(select(db, tenant, Some(id), &Filter::default(), false, None, 1).await?.pop())
}

/// `after`: the last of the page before.
async fn select(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Option<Uuid>,
    filter: &Filter,
    is_down: bool,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<CallBackWish>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query_as!(
                CallBackWish,
                r#"select id, tenant_id, queue_id, number, state as "state: CallBackState", joined_at as waiting_since, attempts,
                          case when state = 'waiting' then next_at end as next_at, call_id, extension_id, cause, created_at, ended_at
                     from call_backs
                    where tenant_id = $1 and ($2::uuid is null or id = $2) and ($5::uuid is null or queue_id = $5)
                      and ($6::text is null or state = $6) and ($7::text is null or number = $7) and "#
                    + $order
                    + " limit $4",
                tenant,
                id,
                after.unwrap_or(if is_down { Uuid::max() } else { Uuid::nil() }),
                limit,
                filter.queue,
                filter.state as Option<CallBackState>,
                filter.number
            )
            .fetch_all(db)
            .await
        };
    }
    if is_down { rows!("id < $3 order by id desc") } else { rows!("id > $3 order by id") }
}

pub async fn cancel(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let cancelled = sqlx::query!(
        "update call_backs set state = 'cancelled', changed_at = now(), ended_at = now(), place_leg = null
          where tenant_id = $1 and id = $2 and state = 'waiting'",
        tenant,
        id
    );
    Ok(cancelled.execute(db).await?.rows_affected() == 1)
}

/// A wish that this node looks after, at the switch `at`.
pub struct Open {
    pub tenant: Uuid,
    pub id: Uuid,
    pub queue: Uuid,
    pub number: DialNumber,
    pub state: CallBackState,
    pub joined_at: DateTime<Utc>,
    pub ahead: i32,
    pub next_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub place_leg: Option<Uuid>,
    pub call: Option<Uuid>,
    pub changed_at: DateTime<Utc>,
    /// Where the place is held, or the caller waited.
    pub switch: Option<Uuid>,
    pub at: Uuid,
    pub is_drained: bool,
    pub domain: Domain,
    pub config: Json<Queue>,
    pub settings: serde_json::Value,
    pub now: DateTime<Utc>,
}

/// What this node looks after: what is at the switches whose links it holds. A switch whose link nobody holds, or that is out of service, leaves its
/// wishes to the first of its cluster.
pub async fn open(pool: &PgPool, node: Uuid) -> sqlx::Result<Vec<Open>> {
    sqlx::query_as!(
        Open,
        r#"with held as (
               select e.switch_id, w.cluster_id, e.holder, w.draining_since is not null as is_drained,
                      row_number() over (partition by w.cluster_id order by w.draining_since is not null, e.switch_id) as place
                 from event_sockets e join switches w on w.id = e.switch_id
                where e.held_until > now() and e.linked_since is not null and w.status = 'active')
           select c.tenant_id as tenant, c.id, c.queue_id as queue, c.number as "number: DialNumber", c.state as "state: CallBackState",
                  c.joined_at, c.ahead, c.next_at, c.expires_at, c.place_leg, c.call_id as call, c.changed_at, c.switch_id as switch,
                  h.switch_id as at, h.is_drained as "is_drained!", t.domain as "domain: Domain", d.config as "config: Json<Queue>",
                  t.settings, now() as "now!"
             from call_backs c
             join tenants t on t.id = c.tenant_id
             join destinations d on d.tenant_id = c.tenant_id and d.id = c.queue_id and d.kind = 'queue'
             join held h on h.cluster_id = t.cluster_id
                  and case when exists (select from held o where o.switch_id = c.switch_id and o.cluster_id = t.cluster_id
                                           and (c.place_leg is not null or not o.is_drained))
                           then h.switch_id = c.switch_id else h.place = 1 end
            where c.state in ('waiting', 'calling') and t.status = 'active' and not t.sandbox and h.holder = $1"#,
        node
    )
    .fetch_all(pool)
    .await
}

/// A leg waits for somebody. `false`: they don't wait any more, or another does.
pub async fn hold(pool: &PgPool, tenant: Uuid, id: Uuid, (switch, leg): (Uuid, Uuid)) -> sqlx::Result<bool> {
    let held = sqlx::query!(
        "update call_backs set switch_id = $3, place_leg = $4, changed_at = now()
          where tenant_id = $1 and id = $2 and state = 'waiting'",
        tenant,
        id,
        switch,
        leg
    );
    Ok(held.execute(pool).await?.rows_affected() == 1)
}

/// No leg waits for somebody any more. Another may in so many seconds.
pub async fn let_go(pool: &PgPool, tenant: Uuid, id: Uuid, leg: Uuid, seconds: i32) -> sqlx::Result<()> {
    sqlx::query!(
        "update call_backs set place_leg = null, changed_at = now(), next_at = greatest(next_at, now() + make_interval(secs => $4))
          where tenant_id = $1 and id = $2 and state = 'waiting' and place_leg = $3",
        tenant,
        id,
        leg,
        f64::from(seconds)
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// An agent's phone has answered, and calls. `false`: not any more, for it was cancelled.
pub async fn calls(
    pool: &PgPool,
    tenant: Uuid,
    id: Uuid,
    leg: Uuid,
    (call, phone): (Uuid, &str),
) -> sqlx::Result<bool> {
    let calls = sqlx::query!(
        "update call_backs c
            set state = 'calling', call_id = $4, place_leg = null, attempts = attempts + 1, cause = null, changed_at = now(),
                extension_id = (select e.id from extensions e where e.tenant_id = $1 and e.sip_username = $5)
          where c.tenant_id = $1 and c.id = $2 and c.state = 'waiting' and c.place_leg = $3",
        tenant,
        id,
        leg,
        call,
        phone
    );
    Ok(calls.execute(pool).await?.rows_affected() == 1)
}

/// Whoever wanted to be called back was reached.
pub async fn reached(pool: &PgPool, tenant: Uuid, id: Uuid, call: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update call_backs set state = 'done', cause = null, changed_at = now(), ended_at = now()
          where tenant_id = $1 and id = $2 and state = 'calling' and call_id = $3",
        tenant,
        id,
        call
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// They were not reached. They are called again after so many seconds, unless it was tried as often as it may be.
pub async fn not_reached(
    pool: &PgPool,
    tenant: Uuid,
    id: Uuid,
    (call, cause): (Uuid, Option<&str>),
    (attempts, seconds): (u8, u32),
) -> sqlx::Result<()> {
    sqlx::query!(
        "update call_backs
            set state = case when attempts >= $5 then 'failed' else 'waiting' end, cause = $4, changed_at = now(),
                next_at = now() + make_interval(secs => $6), ended_at = case when attempts >= $5 then now() end
          where tenant_id = $1 and id = $2 and state = 'calling' and call_id = $3",
        tenant,
        id,
        call,
        cause,
        i16::from(attempts),
        f64::from(seconds)
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// It was kept for as long as the queue keeps wishes.
pub async fn give_up(pool: &PgPool, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update call_backs set state = 'failed', cause = 'EXPIRED', place_leg = null, changed_at = now(), ended_at = now()
          where tenant_id = $1 and id = $2 and state = 'waiting'",
        tenant,
        id
    )
    .execute(pool)
    .await
    .map(|_| ())
}
