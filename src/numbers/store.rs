//! The SQL of phone numbers.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Destination, Number};
use crate::{http::page::Window, text::E164};

struct Row {
    id: Uuid,
    tenant_id: Uuid,
    number: E164,
    extension_id: Option<Uuid>,
    group_id: Option<Uuid>,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Number {
    fn from(row: Row) -> Self {
        let extension = row.extension_id.map(|id| Destination::Extension { id });
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            number: row.number,
            destination: extension.or(row.group_id.map(|id| Destination::Group { id })),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The two columns of a destination.
fn columns(destination: Option<Destination>) -> (Option<Uuid>, Option<Uuid>) {
    match destination {
        Some(Destination::Extension { id }) => (Some(id), None),
        Some(Destination::Group { id }) => (None, Some(id)),
        None => (None, None),
    }
}

pub async fn insert(
    db: &mut PgConnection,
    tenant: Uuid,
    id: Uuid,
    number: &E164,
    destination: Option<Destination>,
) -> sqlx::Result<Number> {
    let (extension, group) = columns(destination);
    sqlx::query_as!(
        Row,
        r#"insert into numbers (tenant_id, id, number, extension_id, group_id) values ($1, $2, $3, $4, $5)
           returning id, tenant_id, number as "number: _", extension_id, group_id, version, created_at, updated_at"#,
        tenant,
        id,
        number as _,
        extension,
        group
    )
    .fetch_one(db)
    .await
    .map(Number::from)
}

pub async fn update(
    db: &mut PgConnection,
    tenant: Uuid,
    id: Uuid,
    destination: Option<Destination>,
) -> sqlx::Result<Number> {
    let (extension, group) = columns(destination);
    sqlx::query_as!(
        Row,
        r#"update numbers set extension_id = $3, group_id = $4, version = version + 1, updated_at = now()
            where tenant_id = $1 and id = $2
           returning id, tenant_id, number as "number: _", extension_id, group_id, version, created_at, updated_at"#,
        tenant,
        id,
        extension,
        group
    )
    .fetch_one(db)
    .await
    .map(Number::from)
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Number>> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, tenant_id, number as "number: _", extension_id, group_id, version, created_at, updated_at
             from numbers where tenant_id = $1 and id = $2"#,
        tenant,
        id
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Number::from))
}

pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Number>> {
    sqlx::query!("select 1 as one from numbers where tenant_id = $1 and id = $2 for update", tenant, id)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant, id).await
}

/// Numbers of a tenant; `user`: those that lead to an extension of theirs.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    user: Option<Uuid>,
    window: Window,
) -> sqlx::Result<Vec<Number>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, tenant_id, number as "number: _", extension_id, group_id, version, created_at, updated_at
             from numbers where tenant_id = $1 and id > $2
              and ($3::uuid is null or exists (select 1 from extensions e where e.tenant_id = numbers.tenant_id
                                                  and e.id = numbers.extension_id and e.user_id = $3))
            order by id limit $4"#,
        tenant,
        window.after,
        user,
        window.fetch()
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Number::from).collect())
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from numbers where tenant_id = $1 and id = $2", tenant, id).execute(db).await.map(|_| ())
}

pub async fn has_destination(db: &mut PgConnection, tenant: Uuid, destination: Destination) -> sqlx::Result<bool> {
    let (extension, group) = columns(Some(destination));
    sqlx::query_scalar!(
        r#"select exists (select 1 from extensions where tenant_id = $1 and id = $2 and status <> 'deleted')
               or exists (select 1 from groups where tenant_id = $1 and id = $3) as "exists!""#,
        tenant,
        extension,
        group
    )
    .fetch_one(db)
    .await
}

pub async fn by_number(db: impl PgExecutor<'_>, tenant: Uuid, number: &E164) -> sqlx::Result<Option<Number>> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, tenant_id, number as "number: _", extension_id, group_id, version, created_at, updated_at
             from numbers where tenant_id = $1 and number = $2"#,
        tenant,
        number as _
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Number::from))
}

/// Does it lead to an extension of this user?
pub async fn leads_to(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid, user: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from numbers n join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
                           where n.tenant_id = $1 and n.id = $2 and e.user_id = $3) as "leads!""#,
        tenant,
        id,
        user
    )
    .fetch_one(db)
    .await
}
