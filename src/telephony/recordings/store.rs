//! The SQL of recordings.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{Content, Recording, Wanted, sealed::Whose, vault::Store, wav::Silence};
use crate::text::keyring::hex;

/// How much the job that removes contents does at once.
const BATCH: i64 = 100;

/// Whose a leg was, among the tenants of the switch's cluster. A domain counts only if nothing is known of the leg.
pub async fn whose(
    db: impl PgExecutor<'_>,
    switch: Uuid,
    leg: Uuid,
    domain: Option<&str>,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"select coalesce(
              (select t.id from ended_legs l join tenants t on t.id = l.tenant_id where l.leg = $2 and l.cluster_id = s.cluster_id),
              (select t.id from call_channels c join tenants t on t.id = c.tenant_id
                where c.channel = $2 and t.cluster_id = s.cluster_id order by c.since limit 1),
              (select t.id from admissions a join tenants t on t.id = a.tenant_id
                where a.call_id = $2 and (a.switch_id = s.id or t.cluster_id = s.cluster_id) limit 1),
              (select t.id from recordings r join tenants t on t.id = r.tenant_id where r.leg = $2 and r.switch_id = s.id limit 1),
              (select t.id from tenants t where t.domain = lower($3) and t.cluster_id = s.cluster_id)) as tenant
             from switches s where s.id = $1"#,
        switch,
        leg,
        domain
    )
    .fetch_optional(db)
    .await
    .map(Option::flatten)
}

/// The SHA-256 of the recording of this name.
pub async fn known(db: impl PgExecutor<'_>, tenant: Uuid, name: &str) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!("select sha256 from recordings where tenant_id = $1 and name = $2", tenant, name)
        .fetch_optional(db)
        .await
}

/// Notes that something is about to be written into the store. If it does not become a recording, it is removed two hours later.
pub async fn begin(db: impl PgExecutor<'_>, whose: Whose, store: Store) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into recording_objects (id, tenant_id, store, due_at) values ($1, $2, $3, now() + interval '2 hours')",
        whose.id,
        whose.tenant,
        store as Store
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// What was written is removed already.
pub async fn forget(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from recording_objects where id = $1", id).execute(db).await.map(|_| ())
}

/// A recording whose content is in the store.
pub struct Arrived<'a> {
    pub whose: Whose,
    pub name: &'a str,
    pub leg: Uuid,
    pub switch: Uuid,
    pub began_at: DateTime<Utc>,
    pub duration_ms: i64,
    pub channels: i32,
    pub sample_rate: i32,
    pub silences: Vec<Silence>,
    pub bytes: i64,
    pub sha256: Vec<u8>,
    pub store: Store,
    pub key: Vec<u8>,
}

/// What was written becomes a recording. `false`: there is one of this name.
pub async fn keep(pool: &PgPool, arrived: &Arrived<'_>) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let Whose { tenant, id } = arrived.whose;
    let own = sqlx::query!("delete from recording_objects where id = $1", id).execute(&mut *tx).await?;
    if own.rows_affected() == 0 {
        // It took so long that it was removed. The switch sends it again.
        return Err(sqlx::Error::RowNotFound);
    }
    let kept = sqlx::query!(
        r#"insert into recordings (tenant_id, id, name, leg, switch_id, began_at, duration_ms, channels, sample_rate, silences, bytes, sha256,
                                   store, key, call_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                   (select call_id from call_channels where channel = $4 and tenant_id = $1))
               on conflict (tenant_id, name) do nothing"#,
        tenant,
        id,
        arrived.name,
        arrived.leg,
        arrived.switch,
        arrived.began_at,
        arrived.duration_ms,
        arrived.channels,
        arrived.sample_rate,
        Json(&arrived.silences) as _,
        arrived.bytes,
        arrived.sha256,
        arrived.store as Store,
        arrived.key
    );
    if kept.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

macro_rules! recording {
    ($row:expr) => {
        Recording {
            id: $row.id,
            tenant_id: $row.tenant_id,
            call_id: $row.call_id,
            leg: $row.leg,
            file: $row.name,
            began_at: $row.began_at,
            duration_ms: $row.duration_ms,
            channels: $row.channels,
            sample_rate: $row.sample_rate,
            silences: $row.silences.0,
            bytes: $row.bytes,
            sha256: hex(&$row.sha256),
            legal_hold: $row.legal_hold,
            held_since: $row.held_since,
            version: $row.version,
            stored_at: $row.stored_at,
            updated_at: $row.updated_at,
        }
    };
}

/// Where a list goes on: when a recording began, and its id.
pub type Place = (DateTime<Utc>, Uuid);

/// Recordings, newest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    wanted: &Wanted,
    is_down: bool,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Recording>> {
    macro_rules! rows {
        ($order:tt) => {
    sqlx::query!(
        r#"select r.tenant_id, r.id, r.name, r.leg, r.call_id, r.began_at, r.duration_ms, r.channels, r.sample_rate,
                  r.silences as "silences: Json<Vec<Silence>>", r.bytes, r.sha256, r.legal_hold, r.held_since, r.version, r.stored_at, r.updated_at
             from recordings r
            where r.tenant_id = $1 and ($2::timestamptz is null or r.began_at >= $2) and ($3::timestamptz is null or r.began_at < $3)
              and ($4::uuid is null or r.call_id = $4)
              and ($5::uuid is null or exists (select from calls c where c.id = r.call_id and c.tenant_id = $1 and $5 = any (c.agents)
                                                  and ($13::bigint is null or not c.facets @> array[$13])))
              and ($6::uuid is null or exists (select from calls c where c.id = r.call_id and c.tenant_id = $1 and $6 = any (c.agents)))
              and ($7::bool is null or (r.held_since is not null) = $7)
              and ($8::bigint is null or r.duration_ms >= $8) and ($9::bigint is null or r.duration_ms < $9)
              and "# + $order + " limit $12",
        tenant,
        wanted.since,
        wanted.until,
        wanted.call,
        wanted.agent,
        wanted.only,
        wanted.held,
        wanted.least_ms,
        wanted.below_ms,
        after.map(|place| place.0),
        after.map(|place| place.1),
        limit,
        wanted.unknown
    )
    .map(|row| recording!(row))
    .fetch_all(db)
    .await
        };
    }
    if is_down {
        rows!("($10::timestamptz is null or (r.began_at, r.id) < ($10, $11)) order by r.began_at desc, r.id desc")
    } else {
        rows!("($10::timestamptz is null or (r.began_at, r.id) > ($10, $11)) order by r.began_at, r.id")
    }
}

/// The recordings of a call, in the order in which they began. `legs`: those that it is made of.
pub async fn of_call(db: impl PgExecutor<'_>, tenant: Uuid, call: Uuid, legs: &[Uuid]) -> sqlx::Result<Vec<Recording>> {
    let rows = sqlx::query!(
        r#"select tenant_id, id, name, leg, call_id, began_at, duration_ms, channels, sample_rate,
                  silences as "silences: Json<Vec<Silence>>", bytes, sha256, legal_hold, held_since, version, stored_at, updated_at
             from recordings where tenant_id = $1 and (call_id = $2 or leg = any ($3)) order by began_at, id limit 200"#,
        tenant,
        call,
        legs
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| recording!(row)).collect())
}

/// One recording. `only`: the agent whose call it must be of. `lock` keeps others from changing it until the transaction ends.
pub async fn get(
    db: &mut PgConnection,
    tenant: Uuid,
    id: Uuid,
    only: Option<Uuid>,
    lock: bool,
) -> sqlx::Result<Option<Recording>> {
    if lock {
        let locked =
            sqlx::query!("select 1 as one from recordings where tenant_id = $1 and id = $2 for update", tenant, id);
        locked.fetch_all(&mut *db).await?;
    }
    let row = sqlx::query!(
        r#"select r.tenant_id, r.id, r.name, r.leg, r.call_id, r.began_at, r.duration_ms, r.channels, r.sample_rate,
                  r.silences as "silences: Json<Vec<Silence>>", r.bytes, r.sha256, r.legal_hold, r.held_since, r.version, r.stored_at, r.updated_at
             from recordings r
            where r.tenant_id = $1 and r.id = $2
              and ($3::uuid is null or exists (select from calls c where c.id = r.call_id and c.tenant_id = $1 and $3 = any (c.agents)))"#,
        tenant,
        id,
        only
    );
    Ok(row.fetch_optional(db).await?.map(|row| recording!(row)))
}

/// Where a recording's content is.
pub async fn content(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Content>> {
    let row = sqlx::query!(
        r#"select store as "store: Store", key, bytes, sha256, began_at from recordings where tenant_id = $1 and id = $2"#,
        tenant,
        id
    );
    let row = row.fetch_optional(db).await?;
    Ok(row.map(|row| Content {
        whose: Whose { tenant, id },
        store: row.store,
        key: row.key,
        bytes: u64::try_from(row.bytes).unwrap_or_default(),
        sha256: hex(&row.sha256),
        began_at: row.began_at,
    }))
}

/// Whether the tenant lets agents hear the recordings of their own calls.
pub async fn agents_listen(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<bool> {
    let allowed = sqlx::query_scalar!(
        r#"select coalesce((settings #>> '{routing,record,agents_listen}')::boolean, false) as "may!" from tenants where id = $1"#,
        tenant
    );
    Ok(allowed.fetch_optional(db).await?.unwrap_or_default())
}

pub async fn hold(db: impl PgExecutor<'_>, recording: &Recording) -> sqlx::Result<()> {
    sqlx::query!(
        "update recordings set legal_hold = $3, held_since = $4, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        recording.tenant_id,
        recording.id,
        recording.legal_hold,
        recording.held_since
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Deletes a recording. A trigger notes that its content has to go.
pub async fn delete(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from recordings where tenant_id = $1 and id = $2", tenant, id).execute(db).await.map(|_| ())
}

/// Notes to which calls recordings belong whose calls were made after they came; with `moved`, also those whose call became one with another.
pub async fn find_calls(db: impl PgExecutor<'_>, moved: bool) -> sqlx::Result<u64> {
    let found = sqlx::query!(
        "update recordings r set call_id = c.call_id from call_channels c
          where c.channel = r.leg and c.tenant_id = r.tenant_id and c.call_id is distinct from r.call_id
            and ($1 or r.call_id is null) and r.stored_at > now() - interval '2 days'",
        moved
    );
    Ok(found.execute(db).await?.rows_affected())
}

/// Something in the store that is no recording any more.
pub struct Object {
    pub whose: Whose,
    pub store: Store,
}

/// What has to be removed from the store now. Nobody else gets it for ten minutes.
pub async fn due(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Object>> {
    let rows = sqlx::query!(
        r#"update recording_objects o set due_at = now() + interval '10 minutes'
            where id in (select id from recording_objects where due_at <= now() order by due_at limit $1 for update skip locked)
        returning id, tenant_id, store as "store: Store""#,
        BATCH
    );
    let rows = rows.fetch_all(db).await?;
    let objects =
        rows.into_iter().map(|row| Object { whose: Whose { tenant: row.tenant_id, id: row.id }, store: row.store });
    Ok(objects.collect())
}
