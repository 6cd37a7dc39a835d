//! The SQL of webhooks and of their outbox.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Delivery, DeliveryBodies, DeliveryStatus, Event, Webhook, WebhookQuery};
use crate::model::{
    paging::Window,
    sorting::{Sorted, in_order},
    topic::Topic,
};

struct Row {
    id: Uuid,
    tenant_id: Option<Uuid>,
    url: String,
    description: String,
    topics: Vec<String>,
    enabled: bool,
    failing_since: Option<DateTime<Utc>>,
    previous_ends_at: Option<DateTime<Utc>>,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Webhook {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            url: row.url,
            description: row.description,
            // A later version may know more topics.
            topics: row.topics.iter().filter_map(|name| Topic::parse(name)).collect(),
            enabled: row.enabled,
            failing_since: row.failing_since,
            previous_ends_at: row.previous_ends_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn names(topics: &[Topic]) -> Vec<String> {
    topics.iter().map(|topic| topic.as_str().to_owned()).collect()
}

/// A webhook to insert.
pub struct New<'a> {
    pub id: Uuid,
    pub tenant: Option<Uuid>,
    pub url: &'a str,
    pub description: &'a str,
    pub topics: &'a [Topic],
    pub enabled: bool,
    pub secret: &'a [u8],
}

pub async fn insert(db: &mut PgConnection, new: &New<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into webhooks (id, tenant_id, url, description, topics, enabled, secret) values ($1, $2, $3, $4, $5, $6, $7)",
        new.id,
        new.tenant,
        new.url,
        new.description,
        &names(new.topics),
        new.enabled,
        new.secret
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn count(db: &mut PgConnection, tenant: Option<Uuid>) -> sqlx::Result<i64> {
    let found = sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhooks where tenant_id is not distinct from $1"#,
        tenant
    );
    found.fetch_one(db).await
}

async fn select(
    db: impl PgExecutor<'_>,
    within: Option<Uuid>,
    only: Option<&[Uuid]>,
    filter: &WebhookQuery,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Webhook>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Row,
        "select id, tenant_id, url, description, topics, enabled, failing_since, previous_ends_at, version, created_at, updated_at
           from webhooks, lateral (
                 select (case $5::text when 'url' then lower(url) else '' end) collate \"C\" as key,
                        (case $5::text when 'url' then lower($6::text) else '' end) collate \"C\" as after) k
          where ($2::uuid[] is null or id = any ($2)) and ($3::uuid is null or tenant_id = $3)
            and ($8::text is null or strpos(lower(url), lower($8)) > 0) and ($9::bool is null or enabled = $9)
            and " $(+ $order)+ + " limit $4",
        sorted.window.after,
        only,
        within,
        sorted.window.fetch(),
        sorted.by,
        sorted.key,
        sorted.is_down,
        filter.url,
        filter.enabled
    )
    .fetch_all(db)
    .await
        };
    }
    let rows = in_order!(sorted, rows, "id", "$1", "$6", "$7")?;
    Ok(rows.into_iter().map(Webhook::from).collect())
}

/// `within`: only if it belongs to that tenant.
pub async fn get(db: impl PgExecutor<'_>, within: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<Webhook>> {
    Ok(select(db, within, Some(&[id]), &WebhookQuery::default(), &Window::FIRST.into()).await?.pop())
}

/// `only`: of these.
pub async fn list(
    db: impl PgExecutor<'_>,
    within: Option<Uuid>,
    only: Option<&[Uuid]>,
    filter: &WebhookQuery,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Webhook>> {
    select(db, within, only, filter, sorted).await
}

pub async fn lock(db: &mut PgConnection, within: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<Webhook>> {
    sqlx::query!("select 1 as one from webhooks where id = $1 for update", id).fetch_optional(&mut *db).await?;
    get(db, within, id).await
}

/// One that is switched on again begins without a past.
pub async fn update(db: &mut PgConnection, webhook: &Webhook) -> sqlx::Result<()> {
    sqlx::query!(
        "update webhooks set url = $2, description = $3, topics = $4, failing_since = case when enabled = $5 then failing_since end,
                enabled = $5, version = version + 1, updated_at = now()
          where id = $1",
        webhook.id,
        webhook.url,
        webhook.description,
        &names(&webhook.topics),
        webhook.enabled
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn rotate(db: &mut PgConnection, id: Uuid, secret: &[u8], until: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update webhooks set previous_secret = secret, previous_ends_at = $3, secret = $2, version = version + 1, updated_at = now()
          where id = $1",
        id,
        secret,
        until
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from webhooks where id = $1", id).execute(db).await.map(|_| ())
}

/// Keeps events that any endpoint wants, with a delivery for each of these.
pub async fn publish(db: &mut PgConnection, events: &[Event]) -> sqlx::Result<()> {
    let ids = events.iter().map(|event| event.id).collect::<Vec<_>>();
    let tenants = events.iter().map(|event| event.tenant).collect::<Vec<_>>();
    let topics = events.iter().map(|event| event.topic.as_str().to_owned()).collect::<Vec<_>>();
    let bodies = events.iter().map(|event| event.body.clone()).collect::<Vec<_>>();
    sqlx::query!(
        "with new as (
            select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as new (id, tenant_id, topic, body)
             where tenant_id is null or exists (select 1 from tenants t where t.id = new.tenant_id)
        ), wanted as (
            select w.id as webhook_id, w.tenant_id, new.id as event_id
              from new join webhooks w on w.enabled and new.topic = any (w.topics)
                                      and (w.tenant_id is null or w.tenant_id = new.tenant_id)
        ), kept as (
            insert into webhook_events (id, tenant_id, topic, body)
            select id, tenant_id, topic, body from new where exists (select 1 from wanted where wanted.event_id = new.id)
            on conflict (id) do nothing
        )
        insert into webhook_deliveries (webhook_id, event_id, tenant_id) select webhook_id, event_id, tenant_id from wanted
        on conflict (webhook_id, event_id) do nothing",
        &ids,
        &tenants as _,
        &topics,
        &bodies
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Keeps an event for one endpoint, whatever that wants.
pub async fn publish_to(db: &mut PgConnection, webhook: Uuid, event: &Event) -> sqlx::Result<()> {
    sqlx::query!(
        "with kept as (insert into webhook_events (id, tenant_id, topic, body) values ($2, $3, $4, $5))
         insert into webhook_deliveries (webhook_id, event_id, tenant_id) values ($1, $2, $3)",
        webhook,
        event.id,
        event.tenant,
        event.topic.as_str(),
        event.body
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Deliveries of an endpoint, newest first.
pub async fn deliveries(
    db: impl PgExecutor<'_>,
    webhook: Uuid,
    status: Option<DeliveryStatus>,
    is_down: bool,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Delivery>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Delivery,
        r#"select d.event_id as id, e.topic, d.status as "status: DeliveryStatus", d.attempts,
                  case when d.status = 'pending' then d.next_at end as next_at, d.last_at, d.last_status, d.last_error, d.last_ms,
                  d.created_at
             from webhook_deliveries d join webhook_events e on e.id = d.event_id
            where d.webhook_id = $1 and ($3::text is null or d.status = $3) and "# $(+ $order)+ + " limit $4",
        webhook,
        after.unwrap_or(if is_down { Uuid::max() } else { Uuid::nil() }),
        status.map(|status| match status {
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Failed => "failed",
        }),
        limit
    )
    .fetch_all(db)
    .await
        };
    }
    if is_down {
        rows!("d.event_id < $2 order by d.event_id desc")
    } else {
        rows!("d.event_id > $2 order by d.event_id")
    }
}

/// One delivery, with what was sent and answered.
pub async fn bodies(db: &mut PgConnection, webhook: Uuid, event: Uuid) -> sqlx::Result<Option<DeliveryBodies>> {
    let found = sqlx::query!(
        r#"select d.event_id as id, e.topic, d.status as "status: DeliveryStatus", d.attempts,
                  case when d.status = 'pending' then d.next_at end as next_at, d.last_at, d.last_status, d.last_error, d.last_ms,
                  d.created_at, e.body, d.last_answer
             from webhook_deliveries d join webhook_events e on e.id = d.event_id
            where d.webhook_id = $1 and d.event_id = $2"#,
        webhook,
        event
    );
    Ok(found.fetch_optional(db).await?.map(|row| DeliveryBodies {
        delivery: Delivery {
            id: row.id,
            topic: row.topic,
            status: row.status,
            attempts: row.attempts,
            next_at: row.next_at,
            last_at: row.last_at,
            last_status: row.last_status,
            last_error: row.last_error,
            last_ms: row.last_ms,
            created_at: row.created_at,
        },
        body: row.body,
        last_answer: row.last_answer,
    }))
}

/// Makes deliveries that were not delivered due again. Returns how many.
pub async fn replay(db: &mut PgConnection, webhook: Uuid, since: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "update webhook_deliveries set status = 'pending', next_at = now(), attempts = 0
          where webhook_id = $1 and status <> 'delivered' and created_at >= $2",
        webhook,
        since
    );
    Ok(done.execute(db).await?.rows_affected())
}

pub async fn replay_one(db: &mut PgConnection, webhook: Uuid, event: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update webhook_deliveries set status = 'pending', next_at = now(), attempts = 0 where webhook_id = $1 and event_id = $2",
        webhook,
        event
    );
    Ok(done.execute(db).await?.rows_affected() > 0)
}

/// A delivery to try now.
pub struct Due {
    pub webhook: Uuid,
    pub event: Uuid,
    /// `None`: the platform's.
    pub tenant: Option<Uuid>,
    pub url: String,
    pub secret: Vec<u8>,
    pub previous_secret: Option<Vec<u8>>,
    pub body: String,
    /// With this one.
    pub attempts: i32,
}

/// Takes due deliveries, at most `each` of an endpoint, so that nobody else takes them for a minute. Those that a node took before it died
/// become due again then.
/// `busy`: endpoints, and `full`: tenants, that have enough under way. An endpoint that fails gets one at a time. The oldest come first.
pub async fn take(
    db: impl PgExecutor<'_>,
    busy: &[Uuid],
    full: &[Uuid],
    each: i64,
    most: i64,
) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as!(
        Due,
        r#"with due as (
            select d.webhook_id, d.event_id
              from webhooks w
             cross join lateral (
                select webhook_id, event_id, next_at from webhook_deliveries
                 where webhook_id = w.id and status = 'pending' and next_at <= now()
                 order by next_at limit case when w.failing_since is null then $2::bigint else 1 end for update skip locked) d
             where w.enabled and w.id <> all ($1) and coalesce(w.tenant_id <> all ($4), true)
               and not exists (select 1 from tenants t where t.id = w.tenant_id and t.status <> 'active')
             order by d.next_at limit $3
        ), taken as (
            update webhook_deliveries d set next_at = now() + interval '1 minute', attempts = d.attempts + 1, last_at = now()
              from due where d.webhook_id = due.webhook_id and d.event_id = due.event_id
            returning d.webhook_id, d.event_id, d.attempts
        )
        select t.webhook_id as webhook, t.event_id as event, w.tenant_id as tenant, w.url, w.secret,
               case when w.previous_ends_at > now() then w.previous_secret end as previous_secret, e.body, t.attempts
          from taken t join webhooks w on w.id = t.webhook_id join webhook_events e on e.id = t.event_id"#,
        busy,
        each,
        most,
        full
    )
    .fetch_all(db)
    .await
}

/// What came of an attempt.
pub struct Came<'a> {
    pub status: Option<i32>,
    pub error: Option<&'a str>,
    pub answer: Option<&'a str>,
    pub ms: i32,
}

pub async fn delivered(db: &mut PgConnection, due: &Due, came: &Came<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "update webhook_deliveries set status = 'delivered', last_status = $3, last_error = null, last_answer = $4, last_ms = $5
          where webhook_id = $1 and event_id = $2",
        due.webhook,
        due.event,
        came.status,
        came.answer,
        came.ms
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("update webhooks set failing_since = null where id = $1 and failing_since is not null", due.webhook)
        .execute(db)
        .await
        .map(|_| ())
}

/// `again`: seconds until the next attempt; `None` for never. `is_gone`: the endpoint is switched off.
pub async fn not_delivered(
    db: &mut PgConnection,
    due: &Due,
    came: &Came<'_>,
    again: Option<i32>,
    is_gone: bool,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update webhook_deliveries
            set last_status = $3, last_error = $4, last_answer = $5, last_ms = $6,
                status = case when $7::int is null then 'failed' else status end,
                next_at = coalesce(now() + make_interval(secs => $7), next_at)
          where webhook_id = $1 and event_id = $2",
        due.webhook,
        due.event,
        came.status,
        came.error,
        came.answer,
        came.ms,
        again
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        // What another URL answered says nothing about the present one.
        "update webhooks set failing_since = coalesce(failing_since, now()), enabled = enabled and not ($2 and url = $3),
                version = version + case when enabled and $2 and url = $3 then 1 else 0 end
          where id = $1",
        due.webhook,
        is_gone,
        due.url
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Whether anybody wants events.
pub async fn any(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select 1 from webhooks where enabled) as "any!""#).fetch_one(db).await
}
