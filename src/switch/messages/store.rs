//! The SQL of messages and notices.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{ChatMessage, ChatPerson, NOTICE_HOURS, Notice, Sender};

/// The most people that are listed.
const MOST_PEOPLE: i64 = 2000;

/// Whether a tenant has this person, who is not suspended.
pub async fn is_there(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from users where tenant_id = $1 and id = $2 and status <> 'suspended') as "is!""#,
        tenant,
        user
    )
    .fetch_one(db)
    .await
}

/// How many texts somebody sent in the last minute. Whoever else counts them waits until this transaction ends.
pub async fn sent_by(db: &mut PgConnection, tenant: Uuid, author: Uuid) -> sqlx::Result<i64> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('messages of ' || $1::uuid::text, 0))", author)
        .execute(&mut *db)
        .await?;
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from chat_messages
            where tenant_id = $1 and author_id = $2 and sent_at > clock_timestamp() - interval '1 minute'"#,
        tenant,
        author
    )
    .fetch_one(db)
    .await
}

pub async fn send(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    sender: &Sender,
    to: Uuid,
    text: &str,
) -> sqlx::Result<ChatMessage> {
    sqlx::query_as!(
        ChatMessage,
        r#"insert into chat_messages (tenant_id, id, author_id, sender_id, sender, recipient_id, body)
           values ($1, $2, $3, $4, coalesce(nullif((select trim(concat_ws(' ', u.first_name, u.last_name)) from users u where u.tenant_id = $1 and u.id = $4), ''), $5), $6, $7)
           returning id, sender_id as "from", sender as from_name, recipient_id as "to", body as text, sent_at, read_at"#,
        tenant,
        Uuid::now_v7(),
        sender.id,
        sender.person,
        sender.name,
        to,
        text
    )
    .fetch_one(db)
    .await
}

/// Everybody of a tenant who is not suspended.
pub async fn everybody(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!("select id from users where tenant_id = $1 and status <> 'suspended'", tenant)
        .fetch_all(db)
        .await
}

/// The agents of a queue. `None`: there is no such queue.
pub async fn agents_of(db: impl PgExecutor<'_>, tenant: Uuid, queue: Uuid) -> sqlx::Result<Option<Vec<Uuid>>> {
    sqlx::query_scalar!(
        r#"select array(select distinct e.user_id
                          from jsonb_array_elements(coalesce(d.config -> 'tiers', '[]')) tier
                          join extensions e on e.tenant_id = d.tenant_id and e.id = (tier ->> 'extension_id')::uuid
                         where e.user_id is not null) as "people!"
             from destinations d where d.tenant_id = $1 and d.id = $2 and d.kind = 'queue'"#,
        tenant,
        queue
    )
    .fetch_optional(db)
    .await
}

pub async fn tell(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    sender: &Sender,
    queue: Option<Uuid>,
    people: &[Uuid],
    text: &str,
) -> sqlx::Result<Notice> {
    sqlx::query_as!(
        Notice,
        r#"insert into chat_messages (tenant_id, id, author_id, sender_id, sender, queue_id, people, body)
           values ($1, $2, $3, $4, coalesce(nullif((select trim(concat_ws(' ', u.first_name, u.last_name)) from users u where u.tenant_id = $1 and u.id = $4), ''), $5), $6, $7, $8)
           returning id, sender as from_name, queue_id, body as text, sent_at"#,
        tenant,
        Uuid::now_v7(),
        sender.id,
        sender.person,
        sender.name,
        queue,
        people,
        text
    )
    .fetch_one(db)
    .await
}

/// The notices of the last hours for somebody, the latest first.
pub async fn notices(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid, most: i64) -> sqlx::Result<Vec<Notice>> {
    sqlx::query_as!(
        Notice,
        r#"select id, sender as from_name, queue_id, body as text, sent_at from chat_messages
            where tenant_id = $1 and $2 = any (people) and sent_at > now() - make_interval(hours => $3)
            order by sent_at desc limit $4"#,
        tenant,
        user,
        NOTICE_HOURS,
        most
    )
    .fetch_all(db)
    .await
}

/// What two people wrote to each other, the latest first. `before`: only what is older than this message.
pub async fn between(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    (user, other): (Uuid, Uuid),
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<ChatMessage>> {
    sqlx::query_as!(
        ChatMessage,
        r#"select id as "id!", sender_id as "from", sender as "from_name!", recipient_id as "to", body as "text!", sent_at as "sent_at!", read_at
             from ((select * from chat_messages
                     where tenant_id = $1 and sender_id = $2 and recipient_id = $3 and ($4::uuid is null or id < $4) order by id desc limit $5)
                   union all
                   (select * from chat_messages
                     where tenant_id = $1 and sender_id = $3 and recipient_id = $2 and ($4::uuid is null or id < $4) order by id desc limit $5)) both_ways
            order by id desc limit $5"#,
        tenant,
        user,
        other,
        before,
        limit
    )
    .fetch_all(db)
    .await
}

/// Everybody of a tenant whom somebody can write to, with what they have not seen yet.
pub async fn people(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid) -> sqlx::Result<Vec<ChatPerson>> {
    sqlx::query_as!(
        ChatPerson,
        r#"select u.id as user_id, trim(concat_ws(' ', nullif(u.first_name, ''), nullif(u.last_name, ''))) as "name!",
                  (select count(*) from chat_messages m
                    where m.tenant_id = $1 and m.recipient_id = $2 and m.sender_id = u.id and m.read_at is null) as "unread!",
                  last.sent_at as "last_at?", left(last.body, 120) as "last_text?"
             from users u
             left join lateral (
                select * from ((select sent_at, body from chat_messages m
                                 where m.tenant_id = $1 and m.sender_id = $2 and m.recipient_id = u.id order by m.id desc limit 1)
                               union all
                               (select sent_at, body from chat_messages m
                                 where m.tenant_id = $1 and m.sender_id = u.id and m.recipient_id = $2 order by m.id desc limit 1)) newest
                 order by sent_at desc limit 1) last on true
            where u.tenant_id = $1 and u.id <> $2 and u.status <> 'suspended'
            order by u.id limit $3"#,
        tenant,
        user,
        MOST_PEOPLE
    )
    .fetch_all(db)
    .await
}

/// Marks what somebody wrote to a person as seen.
pub async fn mark_seen(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid, from: Uuid) -> sqlx::Result<u64> {
    let seen = sqlx::query!(
        "update chat_messages set read_at = now() where tenant_id = $1 and recipient_id = $2 and sender_id = $3 and read_at is null",
        tenant,
        user,
        from
    );
    Ok(seen.execute(db).await?.rows_affected())
}

/// A new row, for those who listen.
pub struct Sent {
    pub tenant: Uuid,
    pub id: Uuid,
    pub sender_id: Option<Uuid>,
    pub sender: String,
    pub recipient_id: Option<Uuid>,
    pub queue_id: Option<Uuid>,
    pub people: Option<Vec<Uuid>>,
    pub body: String,
    pub sent_at: DateTime<Utc>,
}

impl Sent {
    /// Whom it is for, and who wrote it.
    #[must_use]
    pub fn whose(&self) -> BTreeSet<Uuid> {
        let people = self.people.iter().flatten().copied();
        people.chain(self.recipient_id).chain(self.sender_id).collect()
    }
}

/// What was sent after this, of all tenants, in its order.
pub async fn sent_since(db: &PgPool, (since, after): (DateTime<Utc>, Uuid), most: i64) -> sqlx::Result<Vec<Sent>> {
    sqlx::query_as!(
        Sent,
        r#"select tenant_id as tenant, id, sender_id, sender, recipient_id, queue_id, people, body, sent_at
             from chat_messages where (sent_at, id) > ($1, $2) order by sent_at, id limit $3"#,
        since,
        after,
        most
    )
    .fetch_all(db)
    .await
}

/// The database's time.
pub async fn now(db: &PgPool) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(db).await
}
