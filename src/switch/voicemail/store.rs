//! The SQL of voicemail.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{
    MailboxCount, Message,
    command::{Mailbox, Told},
};
use crate::{
    telephony::recordings::{Content, sealed::Whose, vault::Store},
    text::{Domain, SipUsername, keyring::hex},
};

/// How much the job that removes contents does at once.
const BATCH: i64 = 100;

/// The mailbox of an extension.
#[derive(Debug, Clone)]
pub struct Owner {
    pub tenant: Uuid,
    pub extension: Uuid,
    /// The extension's.
    pub number: String,
    pub mailbox: Mailbox,
    /// Whether callers can leave messages.
    pub is_enabled: bool,
}

macro_rules! owner {
    ($row:expr) => {
        Owner {
            tenant: $row.tenant_id,
            extension: $row.id,
            number: $row.number,
            mailbox: Mailbox { user: $row.sip_username, domain: $row.domain },
            is_enabled: $row.voicemail_enabled,
        }
    };
}

/// An extension's mailbox. `only`: the agent whose extension it must be.
pub async fn owner(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    extension: Uuid,
    only: Option<Uuid>,
) -> sqlx::Result<Option<Owner>> {
    let row = sqlx::query!(
        r#"select e.tenant_id, e.id, e.number, e.sip_username as "sip_username: SipUsername", e.voicemail_enabled,
                  t.domain as "domain: Domain"
             from extensions e join tenants t on t.id = e.tenant_id
            where e.tenant_id = $1 and e.id = $2 and e.status <> 'deleted' and ($3::uuid is null or e.user_id = $3)"#,
        tenant,
        extension,
        only
    );
    Ok(row.fetch_optional(db).await?.map(|row| owner!(row)))
}

/// The same by the extension's number.
pub async fn owner_of_number(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    number: &str,
    only: Option<Uuid>,
) -> sqlx::Result<Option<Owner>> {
    let row = sqlx::query!(
        r#"select e.tenant_id, e.id, e.number, e.sip_username as "sip_username: SipUsername", e.voicemail_enabled,
                  t.domain as "domain: Domain"
             from extensions e join tenants t on t.id = e.tenant_id
            where e.tenant_id = $1 and e.number = $2 and e.status <> 'deleted' and ($3::uuid is null or e.user_id = $3)"#,
        tenant,
        number,
        only
    );
    Ok(row.fetch_optional(db).await?.map(|row| owner!(row)))
}

/// Makes others who would note what a switch says of this mailbox wait until the transaction ends.
pub async fn hold(db: &mut PgConnection, owner: &Owner, switch: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into voicemail_boxes (tenant_id, extension_id, switch_id, due_at) values ($1, $2, $3, now() + interval '1 hour')
             on conflict do nothing",
        owner.tenant,
        owner.extension,
        switch
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "select 1 as one from voicemail_boxes where tenant_id = $1 and extension_id = $2 and switch_id = $3 for update",
        owner.tenant,
        owner.extension,
        switch
    )
    .fetch_all(db)
    .await
    .map(|_| ())
}

/// A message that is known.
pub struct Known {
    pub id: Uuid,
    pub message: Uuid,
    pub is_read: bool,
}

pub async fn known(db: impl PgExecutor<'_>, owner: &Owner, switch: Uuid) -> sqlx::Result<Vec<Known>> {
    sqlx::query_as!(
        Known,
        r#"select id, message, read_at is not null as "is_read!" from voicemail_messages
            where tenant_id = $1 and extension_id = $2 and switch_id = $3"#,
        owner.tenant,
        owner.extension,
        switch
    )
    .fetch_all(db)
    .await
}

pub async fn insert(
    db: impl PgExecutor<'_>,
    owner: &Owner,
    switch: Uuid,
    told: &Told,
    forwarded_by: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into voicemail_messages (tenant_id, id, extension_id, switch_id, message, file, caller_number, caller_name, received_at,
                                         seconds, is_urgent, read_at, forwarded_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             on conflict (tenant_id, extension_id, switch_id, message) do nothing",
        owner.tenant,
        Uuid::now_v7(),
        owner.extension,
        switch,
        told.message,
        told.path.name(),
        told.caller_number,
        told.caller_name,
        told.received_at,
        told.seconds.max(0),
        told.is_urgent,
        told.read_at,
        forwarded_by
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The id of a message that a switch names.
pub async fn of_message(
    db: impl PgExecutor<'_>,
    owner: &Owner,
    switch: Uuid,
    message: Uuid,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "select id from voicemail_messages where tenant_id = $1 and extension_id = $2 and switch_id = $3 and message = $4",
        owner.tenant,
        owner.extension,
        switch,
        message
    )
    .fetch_optional(db)
    .await
}

pub async fn read(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid, at: Option<DateTime<Utc>>) -> sqlx::Result<()> {
    sqlx::query!(
        "update voicemail_messages set read_at = $3, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2 and read_at is distinct from $3",
        tenant,
        id,
        at
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Another message of the switch is this one now: a copy with another flag.
pub async fn replace(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid, copy: &Told) -> sqlx::Result<()> {
    sqlx::query!(
        "update voicemail_messages set message = $3, file = $4, is_urgent = $5, read_at = null, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        tenant,
        id,
        copy.message,
        copy.path.name(),
        copy.is_urgent
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The messages of a mailbox that a switch is to delete, because their callers were erased.
pub async fn erased(db: impl PgExecutor<'_>, owner: &Owner, switch: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select message from voicemail_messages where tenant_id = $1 and extension_id = $2 and switch_id = $3 and erased",
        owner.tenant,
        owner.extension,
        switch
    )
    .fetch_all(db)
    .await
}

/// Messages are gone. A trigger notes that their sound has to go.
pub async fn remove(db: impl PgExecutor<'_>, tenant: Uuid, ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!("delete from voicemail_messages where tenant_id = $1 and id = any ($2)", tenant, ids)
        .execute(db)
        .await
        .map(|_| ())
}

macro_rules! message {
    ($row:expr) => {
        Message {
            id: $row.id,
            tenant_id: $row.tenant_id,
            extension_id: $row.extension_id,
            caller_number: $row.caller_number,
            caller_name: $row.caller_name,
            received_at: $row.received_at,
            seconds: $row.seconds,
            is_read: $row.read_at.is_some(),
            read_at: $row.read_at,
            is_urgent: $row.is_urgent,
            forwarded_by: $row.forwarded_by,
            has_audio: $row.has_audio,
            version: $row.version,
            updated_at: $row.updated_at,
            switch_id: $row.switch_id,
            message: $row.message,
        }
    };
}

/// Which messages are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    pub is_read: Option<bool>,
    pub is_urgent: Option<bool>,
}

/// How many messages the mailboxes have that have any. `only`: the agent whose extensions are counted.
pub async fn counts(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    only: Option<Uuid>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<MailboxCount>> {
    sqlx::query_as!(
        MailboxCount,
        r#"select e.id as extension_id, e.number as extension, e.display_name as name, count(*) filter (where m.read_at is null) as "new!",
                  count(*) filter (where m.read_at is null and m.is_urgent) as "urgent!",
                  count(*) filter (where m.read_at is not null) as "heard!", max(m.received_at) as "newest_at!"
             from extensions e join voicemail_messages m on m.tenant_id = e.tenant_id and m.extension_id = e.id
            where e.tenant_id = $1 and e.status <> 'deleted' and ($2::uuid is null or e.user_id = $2) and e.id > $3
            group by e.id, e.number, e.display_name order by e.id limit $4"#,
        tenant,
        only,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

/// Where a list goes on: when a message came, and its id.
pub type Seat = (DateTime<Utc>, Uuid);

/// The messages of an extension, newest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    extension: Uuid,
    wanted: Wanted,
    is_down: bool,
    after: Option<Seat>,
    limit: i64,
) -> sqlx::Result<Vec<Message>> {
    macro_rules! rows {
        ($order:tt) => {
    sqlx::query!(
        r#"select tenant_id, id, extension_id, switch_id, message, caller_number, caller_name, received_at, seconds, is_urgent, read_at,
                  forwarded_by, content_id is not null as "has_audio!", version, updated_at
             from voicemail_messages
            where tenant_id = $1 and extension_id = $2 and not erased and ($3::bool is null or (read_at is not null) = $3)
              and ($4::bool is null or is_urgent = $4) and "# + $order + " limit $7",
        tenant,
        extension,
        wanted.is_read,
        wanted.is_urgent,
        after.map(|seat| seat.0),
        after.map(|seat| seat.1),
        limit
    )
    .map(|row| message!(row))
    .fetch_all(db)
    .await
        };
    }
    if is_down {
        rows!("($5::timestamptz is null or (received_at, id) < ($5, $6)) order by received_at desc, id desc")
    } else {
        rows!("($5::timestamptz is null or (received_at, id) > ($5, $6)) order by received_at, id")
    }
}

/// One message. `only`: the agent whose extension it must be of.
pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid, only: Option<Uuid>) -> sqlx::Result<Option<Message>> {
    let row = sqlx::query!(
        r#"select m.tenant_id, m.id, m.extension_id, m.switch_id, m.message, m.caller_number, m.caller_name, m.received_at, m.seconds,
                  m.is_urgent, m.read_at, m.forwarded_by, m.content_id is not null as "has_audio!", m.version, m.updated_at
             from voicemail_messages m join extensions e on e.tenant_id = m.tenant_id and e.id = m.extension_id
            where m.tenant_id = $1 and m.id = $2 and not m.erased and ($3::uuid is null or e.user_id = $3)"#,
        tenant,
        id,
        only
    );
    Ok(row.fetch_optional(db).await?.map(|row| message!(row)))
}

/// Where the sound of a message is; `None` if it has not come.
pub async fn content(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Content>> {
    let row = sqlx::query!(
        r#"select content_id as "content_id!", store as "store!: Store", key as "key!", bytes as "bytes!", sha256 as "sha256!", received_at
             from voicemail_messages where tenant_id = $1 and id = $2 and content_id is not null"#,
        tenant,
        id
    );
    Ok(row.fetch_optional(db).await?.map(|row| Content {
        whose: Whose { tenant, id: row.content_id },
        store: row.store,
        key: row.key,
        bytes: u64::try_from(row.bytes).unwrap_or_default(),
        sha256: hex(&row.sha256),
        began_at: row.received_at,
    }))
}

/// A file that a switch has.
pub struct OfFile {
    pub tenant: Uuid,
    pub extension: Uuid,
    /// The message, if it is known.
    pub message: Option<Uuid>,
    /// Of its sound, if that is here.
    pub sha256: Option<Vec<u8>>,
}

/// Whose a file is, among the tenants of the switch's cluster; `None` if there is no such mailbox.
pub async fn of_file(
    db: impl PgExecutor<'_>,
    switch: Uuid,
    domain: &str,
    user: &str,
    file: &str,
) -> sqlx::Result<Option<OfFile>> {
    sqlx::query_as!(
        OfFile,
        r#"select e.tenant_id as tenant, e.id as extension, m.id as "message?", m.sha256 as "sha256?"
             from switches s
             join tenants t on t.cluster_id = s.cluster_id and t.domain = $2
             join extensions e on e.tenant_id = t.id and e.sip_username = $3 and e.status <> 'deleted'
             left join voicemail_messages m on m.tenant_id = e.tenant_id and m.extension_id = e.id and m.switch_id = s.id and m.file = $4
            where s.id = $1"#,
        switch,
        domain,
        user,
        file
    )
    .fetch_optional(db)
    .await
}

/// Something has changed in mailboxes: those of a cluster's tenants that a switch named, each with user and domain.
pub async fn stir(db: impl PgExecutor<'_>, switch: Uuid, users: &[String], domains: &[String]) -> sqlx::Result<u64> {
    let stirred = sqlx::query!(
        "insert into voicemail_boxes (tenant_id, extension_id, switch_id)
         select distinct e.tenant_id, e.id, s.id
           from unnest($2::text[], $3::text[]) as n (username, domain)
           join switches s on s.id = $1
           join tenants t on t.cluster_id = s.cluster_id and t.domain = n.domain
           join extensions e on e.tenant_id = t.id and e.sip_username = n.username and e.status <> 'deleted'
             on conflict (tenant_id, extension_id, switch_id) do update set due_at = now()",
        switch,
        users,
        domains
    );
    Ok(stirred.execute(db).await?.rows_affected())
}

/// Events of a switch may have been missed: all its mailboxes that have messages are asked about, within a while.
pub async fn stir_all(db: impl PgExecutor<'_>, switch: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update voicemail_boxes set due_at = now() + random() * interval '20 seconds'
          where switch_id = $1 and due_at > now() + interval '1 minute'",
        switch
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// A mailbox that a switch is to be asked about.
pub struct Due {
    pub owner: Owner,
    pub switch: Uuid,
    /// Until when nobody else asks.
    pub taken_until: DateTime<Utc>,
}

/// Takes mailboxes to ask about, of switches that this node hears. Nobody else gets them for a minute.
pub async fn due(db: impl PgExecutor<'_>, switches: &[Uuid], most: i64) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"with taken as (
               update voicemail_boxes set due_at = now() + interval '1 minute'
                where (tenant_id, extension_id, switch_id) in (
                    select tenant_id, extension_id, switch_id from voicemail_boxes
                     where due_at <= now() and switch_id = any ($1) order by due_at limit $2 for update skip locked)
            returning tenant_id, extension_id, switch_id, due_at)
           select e.tenant_id, e.id, e.number, e.sip_username as "sip_username: SipUsername", e.voicemail_enabled,
                  t.domain as "domain: Domain", taken.switch_id, taken.due_at
             from taken join extensions e on e.tenant_id = taken.tenant_id and e.id = taken.extension_id
             join tenants t on t.id = e.tenant_id"#,
        switches,
        most
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| Due { switch: row.switch_id, taken_until: row.due_at, owner: owner!(row) }).collect())
}

/// A mailbox was asked about. It is asked about again in an hour, in case an event is lost; not at all if it is empty.
pub async fn settled(db: impl PgExecutor<'_>, due: &Due, is_empty: bool) -> sqlx::Result<()> {
    let Due { owner, switch, taken_until } = due;
    sqlx::query!(
        "with left_alone as (
             delete from voicemail_boxes where $5 and tenant_id = $1 and extension_id = $2 and switch_id = $3 and due_at = $4)
         update voicemail_boxes set due_at = now() + interval '1 hour'
          where not $5 and tenant_id = $1 and extension_id = $2 and switch_id = $3 and due_at = $4",
        owner.tenant,
        owner.extension,
        switch,
        taken_until,
        is_empty
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Notes that something is about to be written into the store. If it does not become a message's sound, it is removed an hour later.
pub async fn begin(db: impl PgExecutor<'_>, whose: Whose, store: Store) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into voicemail_objects (id, tenant_id, store, due_at) values ($1, $2, $3, now() + interval '1 hour')",
        whose.id,
        whose.tenant,
        store as Store
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn forget(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from voicemail_objects where id = $1", id).execute(db).await.map(|_| ())
}

/// Something in the store that is no message's sound any more.
pub struct Object {
    pub whose: Whose,
    pub store: Store,
}

/// What has to be removed from the store now. Nobody else gets it for ten minutes.
pub async fn objects_due(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Object>> {
    let rows = sqlx::query!(
        r#"update voicemail_objects o set due_at = now() + interval '10 minutes'
            where id in (select id from voicemail_objects where due_at <= now() order by due_at limit $1 for update skip locked)
        returning id, tenant_id, store as "store: Store""#,
        BATCH
    );
    let rows = rows.fetch_all(db).await?;
    let objects =
        rows.into_iter().map(|row| Object { whose: Whose { tenant: row.tenant_id, id: row.id }, store: row.store });
    Ok(objects.collect())
}

/// The sound of a message, which is in the store.
pub struct Arrived {
    pub content: Uuid,
    pub store: Store,
    pub key: Vec<u8>,
    pub bytes: i64,
    pub sha256: Vec<u8>,
}

/// Notes the sound of a message. `None`: it has one, or it is gone, or what was written was removed because it took too long.
pub async fn keep(db: &mut PgConnection, tenant: Uuid, id: Uuid, arrived: &Arrived) -> sqlx::Result<Option<Message>> {
    let own = sqlx::query!("delete from voicemail_objects where id = $1", arrived.content).execute(&mut *db).await?;
    if own.rows_affected() == 0 {
        return Ok(None);
    }
    let row = sqlx::query!(
        r#"update voicemail_messages set content_id = $3, store = $4, key = $5, bytes = $6, sha256 = $7, stored_at = now(),
                  version = version + 1, updated_at = now()
            where tenant_id = $1 and id = $2 and content_id is null and not erased
        returning tenant_id, id, extension_id, switch_id, message, caller_number, caller_name, received_at, seconds, is_urgent, read_at,
                  forwarded_by, content_id is not null as "has_audio!", version, updated_at"#,
        tenant,
        id,
        arrived.content,
        arrived.store as Store,
        arrived.key,
        arrived.bytes,
        arrived.sha256
    );
    Ok(row.fetch_optional(db).await?.map(|row| message!(row)))
}

/// The number of an extension.
pub async fn number(db: impl PgExecutor<'_>, tenant: Uuid, extension: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select number from extensions where tenant_id = $1 and id = $2", tenant, extension)
        .fetch_optional(db)
        .await
}
