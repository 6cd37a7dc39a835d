//! The SQL of groups.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Group;
use crate::http::page::Window;

pub async fn insert(db: &mut PgConnection, group: &Group) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into groups (tenant_id, id, name, number, ring_seconds) values ($1, $2, $3, $4, $5)",
        group.tenant_id,
        group.id,
        &group.name as _,
        &group.number as _,
        group.ring_seconds
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn update(db: &mut PgConnection, group: &Group) -> sqlx::Result<()> {
    sqlx::query!(
        "update groups set name = $3, number = $4, ring_seconds = $5, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        group.tenant_id,
        group.id,
        &group.name as _,
        &group.number as _,
        group.ring_seconds
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn set_members(db: &mut PgConnection, group: &Group) -> sqlx::Result<()> {
    sqlx::query!("delete from group_members where tenant_id = $1 and group_id = $2", group.tenant_id, group.id)
        .execute(&mut *db)
        .await?;
    sqlx::query!(
        "insert into group_members (tenant_id, group_id, extension_id, position)
         select $1, $2, m.id, m.position from unnest($3::uuid[]) with ordinality as m (id, position)",
        group.tenant_id,
        group.id,
        &group.members
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Group>> {
    sqlx::query_as!(
        Group,
        r#"select g.id, g.tenant_id, g.name as "name: _", g.number as "number: _", g.ring_seconds,
                  array(select m.extension_id from group_members m
                         where m.tenant_id = g.tenant_id and m.group_id = g.id order by m.position) as "members!",
                  g.version, g.created_at, g.updated_at
             from groups g where g.tenant_id = $1 and g.id = $2"#,
        tenant,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Group>> {
    sqlx::query!("select 1 as one from groups where tenant_id = $1 and id = $2 for update", tenant, id)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant, id).await
}

pub async fn list(db: impl PgExecutor<'_>, tenant: Uuid, window: Window) -> sqlx::Result<Vec<Group>> {
    sqlx::query_as!(
        Group,
        r#"select g.id, g.tenant_id, g.name as "name: _", g.number as "number: _", g.ring_seconds,
                  array(select m.extension_id from group_members m
                         where m.tenant_id = g.tenant_id and m.group_id = g.id order by m.position) as "members!",
                  g.version, g.created_at, g.updated_at
             from groups g where g.tenant_id = $1 and g.id > $2 order by g.id limit $3"#,
        tenant,
        window.after,
        window.fetch()
    )
    .fetch_all(db)
    .await
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from groups where tenant_id = $1 and id = $2", tenant, id).execute(db).await.map(|_| ())
}

pub async fn numbers_of(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("select number from numbers where tenant_id = $1 and group_id = $2 order by number", tenant, id)
        .fetch_all(db)
        .await
}

/// Those of the ids that are no extension of the tenant.
pub async fn unknown_extensions(db: &mut PgConnection, tenant: Uuid, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"select wanted.id as "id!" from unnest($2::uuid[]) as wanted (id)
            where not exists (select 1 from extensions e
                               where e.tenant_id = $1 and e.id = wanted.id and e.status <> 'deleted')"#,
        tenant,
        ids
    )
    .fetch_all(db)
    .await
}
