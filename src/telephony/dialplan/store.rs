//! The SQL of dialplan entries.

use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{DialplanEntry, cost};
use crate::{
    model::{
        paging::Window,
        sorting::{Sorted, in_order},
    },
    routing::entries::EntryBody,
    text::DisplayName,
};

struct Row {
    id: Uuid,
    tenant_id: Uuid,
    position: i32,
    name: DisplayName,
    enabled: bool,
    body: Json<EntryBody>,
    version: i64,
    created_at: chrono::DateTime<chrono::Utc>,
    updated_at: chrono::DateTime<chrono::Utc>,
}

impl From<Row> for DialplanEntry {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            position: row.position,
            name: row.name,
            enabled: row.enabled,
            body: row.body.0,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub async fn insert(db: &mut PgConnection, entry: &DialplanEntry) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into dialplan_entries (tenant_id, id, position, name, enabled, body, cost) values ($1, $2, $3, $4, $5, $6, $7)",
        entry.tenant_id,
        entry.id,
        entry.position,
        &entry.name as _,
        entry.enabled,
        Json(&entry.body) as _,
        cost(&entry.body)
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn update(db: &mut PgConnection, entry: &DialplanEntry) -> sqlx::Result<()> {
    sqlx::query!(
        "update dialplan_entries set position = $3, name = $4, enabled = $5, body = $6, cost = $7, version = version + 1,
                updated_at = now()
          where tenant_id = $1 and id = $2",
        entry.tenant_id,
        entry.id,
        entry.position,
        &entry.name as _,
        entry.enabled,
        Json(&entry.body) as _,
        cost(&entry.body)
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<DialplanEntry>> {
    Ok(select(db, tenant, Some(id), None, &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<DialplanEntry>> {
    sqlx::query!("select 1 as one from dialplan_entries where tenant_id = $1 and id = $2 for update", tenant, id)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant, id).await
}

/// `name`: a part of it.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    name: Option<&str>,
    sorted: &Sorted,
) -> sqlx::Result<Vec<DialplanEntry>> {
    select(db, tenant, None, name, sorted).await
}

async fn select(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Option<Uuid>,
    name: Option<&str>,
    sorted: &Sorted,
) -> sqlx::Result<Vec<DialplanEntry>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Row,
        r#"select id, tenant_id, position, name as "name: _", enabled, body as "body: _", version, created_at, updated_at
             from dialplan_entries, lateral (
                 select (case $6::text when 'name' then lower(name) when 'position' then lpad((position::bigint + 3000000000)::text, 12, '0') else '' end) collate "C" as key,
                        (case $6::text when 'name' then lower($7::text) when 'position' then $7::text else '' end) collate "C" as after) k
            where tenant_id = $1 and ($2::uuid is null or id = $2)
              and ($5::text is null or strpos(lower(name), lower($5)) > 0)
              and "# $(+ $order)+ + " limit $4",
        tenant,
        id,
        sorted.window.after,
        sorted.window.fetch(),
        name,
        sorted.by,
        sorted.key,
        sorted.is_down
    )
    .fetch_all(db)
    .await
        };
    }
    let rows = in_order!(sorted, rows, "id", "$3", "$7", "$8")?;
    Ok(rows.into_iter().map(DialplanEntry::from).collect())
}

pub async fn count(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from dialplan_entries where tenant_id = $1"#, tenant)
        .fetch_one(db)
        .await
}

/// The sums over a tenant's entries.
pub struct Sums {
    pub cost: i64,
    /// Bytes of XML.
    pub xml: i64,
}

pub async fn sums(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Sums> {
    sqlx::query_as!(
        Sums,
        r#"select coalesce(sum(cost), 0) as "cost!", coalesce(sum(octet_length(body->>'xml')), 0) as "xml!"
             from dialplan_entries where tenant_id = $1"#,
        tenant
    )
    .fetch_one(db)
    .await
}

/// How many bytes a node reads about a tenant after each change.
pub async fn plan_bytes(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<i64> {
    let bytes = sqlx::query_scalar!(r#"select octet_length(tenant_plan($1)::text)::bigint as bytes"#, tenant);
    bytes.fetch_one(db).await.map(Option::unwrap_or_default)
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from dialplan_entries where tenant_id = $1 and id = $2", tenant, id)
        .execute(db)
        .await
        .map(|_| ())
}
