//! The SQL of what people write about calls that are up, until their records come.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::WrittenCall;

/// How many are handed on at once.
const BATCH: i64 = 500;

/// What was written about a call that has no record yet, and whose phones were in it. `lock`: until the transaction ends.
pub async fn get(
    db: &mut PgConnection,
    tenant: Uuid,
    id: Uuid,
    lock: bool,
) -> sqlx::Result<Option<(WrittenCall, Vec<Uuid>)>> {
    if lock {
        let locked =
            sqlx::query!("select 1 as one from written_calls where tenant_id = $1 and id = $2 for update", tenant, id);
        locked.fetch_all(&mut *db).await?;
    }
    let row = sqlx::query!(
        "select tenant_id, id, agents, notes, tags, disposition, contact_id, version, updated_at
           from written_calls where tenant_id = $1 and id = $2",
        tenant,
        id
    );
    Ok(row.fetch_optional(db).await?.map(|row| {
        let written = WrittenCall {
            id: row.id,
            tenant_id: row.tenant_id,
            notes: row.notes,
            tags: row.tags,
            disposition: row.disposition,
            contact_id: row.contact_id,
            version: row.version,
            updated_at: row.updated_at,
        };
        (written, row.agents)
    }))
}

/// Keeps what was written. `agents`: whose phones are in the call; who was in it before stays.
pub async fn put(db: &mut PgConnection, written: &WrittenCall, agents: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into written_calls (tenant_id, id, agents, notes, tags, disposition, contact_id, version, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (tenant_id, id) do update
                set agents = array(select unnest(written_calls.agents) union select unnest(excluded.agents)), notes = excluded.notes,
                    tags = excluded.tags, disposition = excluded.disposition, contact_id = excluded.contact_id,
                    version = excluded.version, updated_at = excluded.updated_at",
        written.tenant_id,
        written.id,
        agents,
        written.notes,
        &written.tags,
        written.disposition,
        written.contact_id,
        written.version,
        written.updated_at
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The calls (tenant and call) whose records have come, with the names (channels) under which something was written about them before.
pub async fn due(db: &mut PgConnection) -> sqlx::Result<Vec<(Uuid, Uuid, Uuid)>> {
    let rows = sqlx::query!(
        "select w.tenant_id, c.call_id, w.id
           from written_calls w join call_channels c on c.channel = w.id and c.tenant_id = w.tenant_id
          where exists (select from calls k where k.id = c.call_id and k.tenant_id = c.tenant_id)
          order by w.tenant_id, c.call_id, w.updated_at limit $1",
        BATCH
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.tenant_id, row.call_id, row.id)).collect())
}

/// Takes out what was written under one of these names, the oldest first.
pub async fn take(db: &mut PgConnection, tenant: Uuid, ids: &[Uuid]) -> sqlx::Result<Vec<WrittenCall>> {
    let taken = sqlx::query_as!(
        WrittenCall,
        "delete from written_calls where tenant_id = $1 and id = any ($2)
         returning id, tenant_id, notes, tags, disposition, contact_id, version, updated_at",
        tenant,
        ids
    );
    let mut taken = taken.fetch_all(db).await?;
    taken.sort_by_key(|written| written.updated_at);
    Ok(taken)
}

/// The call that a channel belongs to, if its record has come.
pub async fn call_of(db: impl PgExecutor<'_>, tenant: Uuid, channel: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!("select call_id from call_channels where tenant_id = $1 and channel = $2", tenant, channel)
        .fetch_optional(db)
        .await
}

/// Whether a contact is the tenant's.
pub async fn is_contact(db: impl PgExecutor<'_>, tenant: Uuid, contact: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from contacts where tenant_id = $1 and id = $2) as "is!""#,
        tenant,
        contact
    )
    .fetch_one(db)
    .await
}

/// Takes a contact out of all calls. `facet`: by which calls with it are found.
pub async fn forget_contact(db: &mut PgConnection, tenant: Uuid, contact: Uuid, facet: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "update calls set contact_id = null, facets = array_remove(facets, $3::bigint), version = version + 1, updated_at = now()
          where tenant_id = $1 and facets @> array[$3::bigint] and contact_id = $2",
        tenant,
        contact,
        facet
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "update written_calls set contact_id = null, version = version + 1, updated_at = now()
          where tenant_id = $1 and contact_id = $2",
        tenant,
        contact
    )
    .execute(db)
    .await
    .map(|_| ())
}
