//! The SQL of where a person can be found. Tables that grow are read in parts, so that no statement is long; what is found is changed here, or given
//! out to be changed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::StillSet;
use crate::telephony::history::Direction;

/// How many rows of a table are read at once.
pub const PART: i64 = 500;

/// What the calls of the tenant's held recordings tell, of those that may be meant.
pub async fn held(db: impl PgExecutor<'_>, tenant: Uuid, patterns: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select concat(c.summary, ' ', c.story) as "told!"
             from recordings r join calls c on c.tenant_id = r.tenant_id and c.id = r.call_id
            where r.tenant_id = $1 and r.held_since is not null and (c.summary::text like any ($2) or c.story::text like any ($2))"#,
        tenant,
        patterns
    )
    .fetch_all(db)
    .await
}

/// A leg with what it tells, if that may be meant.
pub struct Leg {
    pub leg: Uuid,
    pub call: Uuid,
    pub told: Option<Value>,
}

/// The tenant's next legs that belong to calls, after one of them.
pub async fn legs(
    db: &mut PgConnection,
    tenant: Uuid,
    patterns: &[String],
    after: (Uuid, Uuid),
) -> sqlx::Result<Vec<Leg>> {
    sqlx::query_as!(
        Leg,
        r#"with part as materialized (
               select leg, call_id, told from ended_legs
                where tenant_id = $1 and call_id is not null and (call_id, leg) > ($2, $3) order by call_id, leg limit $5)
           select leg, call_id as "call!", case when told::text like any ($4) then told end as told from part order by call_id, leg"#,
        tenant,
        after.0,
        after.1,
        patterns,
        PART
    )
    .fetch_all(db)
    .await
}

/// The tenant's legs that belong to no call yet, of those that may be meant.
pub async fn new_legs(db: &mut PgConnection, tenant: Uuid, patterns: &[String]) -> sqlx::Result<Vec<Leg>> {
    sqlx::query_as!(
        Leg,
        r#"select leg, leg as call, told as "told?" from ended_legs
            where folded_at is null and tenant_id = $1 and call_id is null and told::text like any ($2)"#,
        tenant,
        patterns
    )
    .fetch_all(db)
    .await
}

/// Writes what legs tell now: `leg`, `told`.
pub async fn tell(db: &mut PgConnection, tenant: Uuid, legs: &Value) -> sqlx::Result<()> {
    sqlx::query!(
        "update ended_legs l set told = x.told from jsonb_to_recordset($2) as x (leg uuid, told jsonb)
          where l.leg = x.leg and l.tenant_id = $1",
        tenant,
        legs
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// A call that may be meant.
pub struct Meant {
    pub started_at: DateTime<Utc>,
    pub id: Uuid,
    pub is_meant: bool,
}

/// The tenant's next calls, after one of them.
pub async fn calls(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    patterns: &[String],
    after: (DateTime<Utc>, Uuid),
) -> sqlx::Result<Vec<Meant>> {
    sqlx::query_as!(
        Meant,
        r#"with part as materialized (
               select started_at, id, summary, story, sought, notes, tags from calls
                where tenant_id = $1 and started_at >= $2 and (started_at, id) > ($2, $3) order by started_at, id limit $5)
           select started_at, id,
                  (summary::text like any ($4) or story::text like any ($4) or sought like any ($4)
                   or regexp_replace(concat(notes, ' ', tags), '[^0-9]+', '', 'g') like any ($4)) as "is_meant!"
             from part order by started_at, id"#,
        tenant,
        after.0,
        after.1,
        patterns,
        PART
    )
    .fetch_all(db)
    .await
}

/// What is known of a call.
pub struct Known {
    pub started_at: DateTime<Utc>,
    pub id: Uuid,
    pub direction: Direction,
    pub agents: Vec<Uuid>,
    pub summary: Value,
    pub story: Value,
    pub notes: Option<String>,
    pub tags: Vec<String>,
    pub contact: Option<Uuid>,
}

/// Locks calls, with what is known of them.
pub async fn lock_calls(
    db: &mut PgConnection,
    tenant: Uuid,
    calls: &[(DateTime<Utc>, Uuid)],
) -> sqlx::Result<Vec<Known>> {
    let (times, ids): (Vec<_>, Vec<_>) = calls.iter().copied().unzip();
    sqlx::query_as!(
        Known,
        r#"select c.started_at, c.id, c.direction as "direction: Direction", c.agents, c.summary, c.story, c.notes, c.tags,
                  c.contact_id as contact
             from unnest($2::timestamptz[], $3::uuid[]) as x (at, id)
             join calls c on c.tenant_id = $1 and c.started_at = x.at and c.id = x.id for update of c"#,
        tenant,
        &times,
        &ids
    )
    .fetch_all(db)
    .await
}

/// Writes calls as they are without the person: `started_at`, `id`, `summary`, `story`, `sought`, `notes`, `tags`, `contact_id`, and the `facets`
/// that they lose.
pub async fn write_calls(db: &mut PgConnection, tenant: Uuid, calls: &Value) -> sqlx::Result<()> {
    sqlx::query!(
        "update calls c
            set summary = x.summary, story = x.story, sought = x.sought, notes = x.notes, tags = x.tags,
                contact_id = x.contact_id,
                facets = array(select f from unnest(c.facets) f where f <> all (x.facets)), version = version + 1, updated_at = now()
           from jsonb_to_recordset($2) as x (started_at timestamptz, id uuid, summary jsonb, story jsonb, sought text, notes text, tags text[],
                                             contact_id uuid, facets bigint[])
          where c.tenant_id = $1 and c.started_at = x.started_at and c.id = x.id",
        tenant,
        calls
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// What was written about a call whose record has not come, if it may be meant.
pub struct Waiting {
    pub id: Uuid,
    pub notes: Option<String>,
    pub tags: Vec<String>,
}

/// Locks what was written about the tenant's calls that are up, as far as it may be meant.
pub async fn waiting(db: &mut PgConnection, tenant: Uuid, patterns: &[String]) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as!(
        Waiting,
        "select id, notes, tags from written_calls
          where tenant_id = $1 and regexp_replace(concat(notes, ' ', tags), '[^0-9]+', '', 'g') like any ($2) for update",
        tenant,
        patterns
    )
    .fetch_all(db)
    .await
}

pub async fn write_waiting(
    db: &mut PgConnection,
    tenant: Uuid,
    id: Uuid,
    notes: Option<&str>,
    tags: &[String],
) -> sqlx::Result<()> {
    sqlx::query!(
        "update written_calls set notes = $3, tags = $4, version = version + 1, updated_at = now() where tenant_id = $1 and id = $2",
        tenant,
        id,
        notes,
        tags
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// All legs of calls that are known.
pub async fn legs_of(db: &mut PgConnection, tenant: Uuid, calls: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"select channel as "leg!" from call_channels where tenant_id = $1 and call_id = any ($2)
           union select leg from ended_legs where tenant_id = $1 and call_id = any ($2)"#,
        tenant,
        calls
    )
    .fetch_all(db)
    .await
}

/// Deletes the recordings of calls, unless they are held. Returns how many were, and how many are.
pub async fn delete_recordings(
    db: &mut PgConnection,
    tenant: Uuid,
    calls: &[Uuid],
    legs: &[Uuid],
) -> sqlx::Result<(i64, i64)> {
    let gone = sqlx::query!(
        "delete from recordings where tenant_id = $1 and (call_id = any ($2) or leg = any ($3)) and held_since is null",
        tenant,
        calls,
        legs
    );
    let gone = gone.execute(&mut *db).await?.rows_affected();
    let held = sqlx::query_scalar!(
        r#"select count(*) as "count!" from recordings where tenant_id = $1 and (call_id = any ($2) or leg = any ($3))"#,
        tenant,
        calls,
        legs
    );
    Ok((i64::try_from(gone).unwrap_or(i64::MAX), held.fetch_one(db).await?))
}

/// A record as it was posted, with its body if it may be meant.
pub struct Posted {
    pub leg: String,
    pub received_at: DateTime<Utc>,
    pub is_noted: bool,
    pub body: Option<Vec<u8>>,
}

/// The next records of the last days, of all tenants, with the bodies of those that are the tenant's or of these legs.
pub async fn new_records(pool: &PgPool, tenant: Uuid, legs: &[String], after: &str) -> sqlx::Result<Vec<Posted>> {
    sqlx::query_as!(
        Posted,
        r#"select leg, received_at, noted_at is not null as "is_noted!",
                  case when (tenant_id = $1 or leg = any ($3)) and body <> '' then body end as body
             from cdr_inbox where leg > $2 order by leg limit $4"#,
        tenant,
        after,
        legs,
        PART
    )
    .fetch_all(pool)
    .await
}

pub async fn empty_new_records(pool: &PgPool, legs: &[String]) -> sqlx::Result<()> {
    sqlx::query!("update cdr_inbox set body = '' where leg = any ($1)", legs).execute(pool).await.map(|_| ())
}

/// The tenant's next records that were moved to their months.
pub async fn records(pool: &PgPool, tenant: Uuid, after: (DateTime<Utc>, &str)) -> sqlx::Result<Vec<Posted>> {
    sqlx::query_as!(
        Posted,
        r#"select leg, received_at, true as "is_noted!", nullif(body, '') as body from past_records
            where tenant_id = $1 and received_at >= $2 and (received_at, leg) > ($2, $3) order by received_at, leg limit $4"#,
        tenant,
        after.0,
        after.1,
        PART
    )
    .fetch_all(pool)
    .await
}

pub async fn empty_records(pool: &PgPool, records: &[(DateTime<Utc>, String)]) -> sqlx::Result<()> {
    let (times, legs): (Vec<_>, Vec<_>) = records.iter().cloned().unzip();
    sqlx::query!(
        "update past_records p set body = '' from unnest($1::timestamptz[], $2::text[]) as x (at, leg)
          where p.received_at = x.at and p.leg = x.leg",
        &times,
        &legs
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Empties older records of these legs of which nobody knew whose they are. There are few: most say so, or are of an admitted call.
pub async fn empty_nobodys_records(pool: &PgPool, legs: &[String]) -> sqlx::Result<u64> {
    let emptied = sqlx::query!(
        "update past_records set body = '' where tenant_id is null and leg = any ($1) and body <> ''",
        legs
    );
    Ok(emptied.execute(pool).await?.rows_affected())
}

/// Outbound calls, and what is up or was made by a click. Those whose cost is not known yet keep their number, as its price depends on it. Returns
/// how many were changed, and how many are left.
pub async fn numbers(
    db: &mut PgConnection,
    tenant: Uuid,
    spellings: &[String],
    masks: &[String],
) -> sqlx::Result<(u64, i64)> {
    let mut changed = 0;
    let admissions = sqlx::query!(
        "update admissions a
            set callee = coalesce((select m.mask from unnest($2::text[], $3::text[]) as m (number, mask) where m.number = a.callee), a.callee),
                caller_id = coalesce((select m.mask from unnest($2::text[], $3::text[]) as m (number, mask) where m.number = a.caller_id), a.caller_id)
          where tenant_id = $1 and (callee = any ($2) or caller_id = any ($2))
            and (not admitted or cost is not null or ended_at < now() - interval '30 minutes')",
        tenant,
        spellings,
        masks
    );
    changed += admissions.execute(&mut *db).await?.rows_affected();
    let past = sqlx::query!(
        "update past_calls a
            set callee = coalesce((select m.mask from unnest($2::text[], $3::text[]) as m (number, mask) where m.number = a.callee), a.callee),
                caller_id = coalesce((select m.mask from unnest($2::text[], $3::text[]) as m (number, mask) where m.number = a.caller_id), a.caller_id)
          where tenant_id = $1 and (callee = any ($2) or caller_id = any ($2))",
        tenant,
        spellings,
        masks
    );
    changed += past.execute(&mut *db).await?.rows_affected();
    let legs = sqlx::query!(
        "update call_legs l set callee = (select m.mask from unnest($2::text[], $3::text[]) as m (number, mask) where m.number = l.callee limit 1)
          where tenant_id = $1 and callee = any ($2) and guessed is not null",
        tenant,
        spellings,
        masks
    );
    changed += legs.execute(&mut *db).await?.rows_affected();
    let jobs = sqlx::query!(
        "update call_jobs j set number = (select m.mask from unnest($2::text[], $3::text[]) as m (number, mask) where m.number = j.number limit 1)
          where tenant_id = $1 and number = any ($2) and state = 'ended'",
        tenant,
        spellings,
        masks
    );
    changed += jobs.execute(&mut *db).await?.rows_affected();
    // A number is all that this table takes: 0 is nobody's.
    let call_backs = sqlx::query!(
        "update call_backs set number = '0', state = case when state = 'waiting' then 'cancelled' else state end, place_leg = null,
                changed_at = now(), ended_at = coalesce(ended_at, now())
          where tenant_id = $1 and number = any ($2) and state <> 'calling'",
        tenant,
        spellings
    );
    changed += call_backs.execute(&mut *db).await?.rows_affected();
    let left = sqlx::query_scalar!(
        r#"select (select count(*) from admissions where tenant_id = $1 and (callee = any ($2) or caller_id = any ($2)))
                + (select count(*) from call_legs where tenant_id = $1 and callee = any ($2))
                + (select count(*) from call_jobs where tenant_id = $1 and number = any ($2))
                + (select count(*) from call_backs where tenant_id = $1 and number = any ($2)) as "left!""#,
        tenant,
        spellings
    );
    Ok((changed, left.fetch_one(db).await?))
}

/// A row with a text and another, each if it may be meant.
pub struct Texts {
    pub id: Uuid,
    pub one: Option<String>,
    pub other: Option<String>,
}

/// The tenant's next events for webhooks.
pub async fn events(pool: &PgPool, tenant: Uuid, patterns: &[String], after: Uuid) -> sqlx::Result<Vec<Texts>> {
    sqlx::query_as!(
        Texts,
        r#"with part as materialized (select id, body from webhook_events where tenant_id = $1 and id > $2 order by id limit $4)
           select id, case when body like any ($3) then body end as one, null::text as other from part order by id"#,
        tenant,
        after,
        patterns,
        PART
    )
    .fetch_all(pool)
    .await
}

pub async fn write_event(pool: &PgPool, id: Uuid, body: &str) -> sqlx::Result<()> {
    sqlx::query!("update webhook_events set body = $2 where id = $1", id, body).execute(pool).await.map(|_| ())
}

/// Forgets what receivers answered, where that may name the person.
pub async fn forget_answers(pool: &PgPool, tenant: Uuid, patterns: &[String]) -> sqlx::Result<u64> {
    let forgotten = sqlx::query!(
        "update webhook_deliveries set last_answer = null where tenant_id = $1 and last_answer like any ($2)",
        tenant,
        patterns
    );
    Ok(forgotten.execute(pool).await?.rows_affected())
}

/// An entry of the audit log, with what it says if that may be meant.
pub struct AuditFound {
    pub id: Uuid,
    /// Whether it is about one of the calls that were asked for.
    pub is_of_call: bool,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// The tenant's next entries of the audit log. `calls`: the resources of calls that the person was on.
pub async fn audit(
    pool: &PgPool,
    tenant: Uuid,
    patterns: &[String],
    calls: &[String],
    after: Uuid,
) -> sqlx::Result<Vec<AuditFound>> {
    sqlx::query_as!(
        AuditFound,
        r#"with part as materialized (
               select id, resource, before, after from audit_log where tenant_id = $1 and id > $2 order by id limit $4),
           meant as (
               select id, resource = any ($5) as is_of_call,
                      resource = any ($5) or regexp_replace(concat(before, ' ', after), '[^0-9]+', '', 'g') like any ($3) as is_meant,
                      before, after from part)
           select id, is_of_call as "is_of_call!", case when is_meant then before end as before, case when is_meant then after end as after
             from meant order by id"#,
        tenant,
        after,
        patterns,
        PART,
        calls
    )
    .fetch_all(pool)
    .await
}

pub async fn write_audit(pool: &PgPool, id: Uuid, before: Option<Value>, after: Option<Value>) -> sqlx::Result<()> {
    sqlx::query!(
        "update audit_log set before = coalesce($2, before), after = coalesce($3, after) where id = $1",
        id,
        before,
        after
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// The tenant's next contacts, with notes and fields.
pub async fn contacts(pool: &PgPool, tenant: Uuid, patterns: &[String], after: Uuid) -> sqlx::Result<Vec<Texts>> {
    sqlx::query_as!(
        Texts,
        r#"with part as materialized (select id, notes, fields from contacts where tenant_id = $1 and id > $2 order by id limit $4)
           select id, case when regexp_replace(notes, '[^0-9]+', '', 'g') like any ($3) then notes end as one,
                  case when regexp_replace(fields::text, '[^0-9]+', '', 'g') like any ($3) then fields::text end as other
             from part order by id"#,
        tenant,
        after,
        patterns,
        PART
    )
    .fetch_all(pool)
    .await
}

pub async fn write_contact(
    pool: &PgPool,
    tenant: Uuid,
    id: Uuid,
    notes: Option<&str>,
    fields: Option<Value>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update contacts set notes = coalesce($3, notes), fields = coalesce($4, fields), version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        tenant,
        id,
        notes,
        fields
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// The tenant's next messages between people, and notices.
pub async fn chat(pool: &PgPool, tenant: Uuid, patterns: &[String], after: Uuid) -> sqlx::Result<Vec<Texts>> {
    sqlx::query_as!(
        Texts,
        r#"with part as materialized (select id, body from chat_messages where tenant_id = $1 and id > $2 order by id limit $4)
           select id, case when regexp_replace(body, '[^0-9]+', '', 'g') like any ($3) then body end as one, null::text as other
             from part order by id"#,
        tenant,
        after,
        patterns,
        PART
    )
    .fetch_all(pool)
    .await
}

pub async fn write_chat(pool: &PgPool, tenant: Uuid, id: Uuid, body: &str) -> sqlx::Result<()> {
    // What is in a number's place may be longer than it.
    sqlx::query!("update chat_messages set body = left($3, 2000) where tenant_id = $1 and id = $2", tenant, id, body)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Played calls of a sandbox, and labels, that may be meant.
pub async fn plays(pool: &PgPool, tenant: Uuid, patterns: &[String]) -> sqlx::Result<Vec<Texts>> {
    sqlx::query_as!(
        Texts,
        r#"select id as "id!", play::text as one, null::text as other from sandbox_calls where tenant_id = $1 and play::text like any ($2)
           union all
           select thing_id, null, metadata::text from labels where tenant_id = $1 and metadata::text like any ($2)"#,
        tenant,
        patterns
    )
    .fetch_all(pool)
    .await
}

pub async fn write_play(pool: &PgPool, tenant: Uuid, id: Uuid, play: &Value) -> sqlx::Result<()> {
    sqlx::query!("update sandbox_calls set play = $3 where tenant_id = $1 and id = $2", tenant, id, play)
        .execute(pool)
        .await
        .map(|_| ())
}

pub async fn write_label(pool: &PgPool, tenant: Uuid, id: Uuid, metadata: &Value) -> sqlx::Result<()> {
    sqlx::query!("update labels set metadata = $3 where tenant_id = $1 and thing_id = $2", tenant, id, metadata)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Messages that may be meant, with the number of whoever left them.
pub async fn messages(pool: &PgPool, tenant: Uuid, patterns: &[String]) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        "select id, caller_number from voicemail_messages
          where tenant_id = $1 and not erased and (caller_number like any ($2) or caller_name like any ($2))",
        tenant,
        patterns
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.id, row.caller_number)).collect())
}

/// Erases messages: their sound goes, nobody sees them, and their switches are to delete them.
pub async fn erase_messages(db: &mut PgConnection, tenant: Uuid, ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into voicemail_objects (id, tenant_id, store, due_at)
         select content_id, tenant_id, store, now() from voicemail_messages where tenant_id = $1 and id = any ($2) and content_id is not null
             on conflict (id) do nothing",
        tenant,
        ids
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "update voicemail_messages
            set erased = true, caller_number = '', caller_name = '', content_id = null, store = null, key = null, bytes = null, sha256 = null,
                stored_at = null, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = any ($2)",
        tenant,
        ids
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into voicemail_boxes (tenant_id, extension_id, switch_id)
         select distinct tenant_id, extension_id, switch_id from voicemail_messages where tenant_id = $1 and id = any ($2)
             on conflict (tenant_id, extension_id, switch_id) do update set due_at = now()",
        tenant,
        ids
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// How many erased messages switches still have.
pub async fn messages_left(pool: &PgPool, tenant: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from voicemail_messages where tenant_id = $1 and erased"#,
        tenant
    )
    .fetch_one(pool)
    .await
}

/// Settings that name a number.
pub async fn settings(pool: &PgPool, tenant: Uuid, patterns: &[String]) -> sqlx::Result<StillSet> {
    sqlx::query_as!(
        StillSet,
        r#"select (select count(*) from extensions where tenant_id = $1 and status <> 'deleted'
                     and (calls::text like any ($2) or variables::text like any ($2) or caller_id_number like any ($2))) as "extensions!",
                  (select count(*) from groups where tenant_id = $1 and otherwise::text like any ($2)) as "groups!",
                  (select count(*) from destinations where tenant_id = $1 and config::text like any ($2)) as "destinations!",
                  (select count(*) from dialplan_entries where tenant_id = $1 and body::text like any ($2)) as "dialplan_entries!",
                  exists (select from tenants where id = $1 and settings::text like any ($2)) as "tenant!""#,
        tenant,
        patterns
    )
    .fetch_one(pool)
    .await
}
