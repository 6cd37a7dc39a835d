//! The SQL of groups.

use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::Group;
use crate::{
    model::{
        destination::Target,
        paging::Window,
        sorting::{Sorted, in_order},
        which::Which,
    },
    routing::Strategy,
    text::{ExtensionNumber, GroupName},
};

/// A row as read, for the column that needs a wrapper.
struct Row {
    id: Uuid,
    tenant_id: Uuid,
    name: GroupName,
    number: Option<ExtensionNumber>,
    ring_seconds: i16,
    strategy: Strategy,
    confirm: bool,
    follow_forwards: bool,
    pickup: bool,
    otherwise: Option<Json<Target>>,
    members: Vec<Uuid>,
    version: i64,
    created_at: chrono::DateTime<chrono::Utc>,
    updated_at: chrono::DateTime<chrono::Utc>,
}

impl From<Row> for Group {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            name: row.name,
            number: row.number,
            ring_seconds: row.ring_seconds,
            strategy: row.strategy,
            confirm: row.confirm,
            follow_forwards: row.follow_forwards,
            pickup: row.pickup,
            otherwise: row.otherwise.map(|otherwise| otherwise.0),
            members: row.members,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub async fn insert(db: &mut PgConnection, group: &Group) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into groups (tenant_id, id, name, shown_name, number, ring_seconds, strategy, confirm, otherwise, follow_forwards, pickup)
         values ($1, $2, $3, nullif($4, $3), $5, $6, $7, $8, $9, $10, $11)",
        group.tenant_id,
        group.id,
        &group.handle() as _,
        group.name.as_str(),
        &group.number as _,
        group.ring_seconds,
        group.strategy as Strategy,
        group.confirm,
        group.otherwise.map(Json) as _,
        group.follow_forwards,
        group.pickup
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn update(db: &mut PgConnection, group: &Group) -> sqlx::Result<()> {
    sqlx::query!(
        "update groups set name = $3, shown_name = nullif($4, $3), number = $5, ring_seconds = $6, strategy = $7, confirm = $8,
                           otherwise = $9, follow_forwards = $10, pickup = $11,
                           version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        group.tenant_id,
        group.id,
        &group.handle() as _,
        group.name.as_str(),
        &group.number as _,
        group.ring_seconds,
        group.strategy as Strategy,
        group.confirm,
        group.otherwise.map(Json) as _,
        group.follow_forwards,
        group.pickup
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
    Ok(select(db, tenant, Some(id), &Filter::default(), &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Group>> {
    sqlx::query!("select 1 as one from groups where tenant_id = $1 and id = $2 for update", tenant, id)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant, id).await
}

pub async fn by_name(db: &mut PgConnection, tenant: Uuid, name: &GroupName) -> sqlx::Result<Option<Group>> {
    let id = sqlx::query_scalar!(
        r#"select id from groups where tenant_id = $1 and lower(coalesce(shown_name, name) collate "C") = $2"#,
        tenant,
        name.folded()
    );
    match id.fetch_optional(&mut *db).await? {
        Some(id) => get(db, tenant, id).await,
        None => Ok(None),
    }
}

/// Which groups to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the name.
    pub name: Option<String>,
    pub number: Option<String>,
}

pub async fn list(db: impl PgExecutor<'_>, tenant: Uuid, filter: &Filter, sorted: &Sorted) -> sqlx::Result<Vec<Group>> {
    select(db, tenant, None, filter, sorted).await
}

async fn select(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Option<Uuid>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Group>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Row,
        r#"select g.id, g.tenant_id, coalesce(g.shown_name, g.name) as "name!: GroupName", g.number as "number: _", g.ring_seconds,
                  g.strategy as "strategy: Strategy", g.confirm, g.follow_forwards, g.pickup, g.otherwise as "otherwise: Json<Target>",
                  array(select m.extension_id from group_members m
                         where m.tenant_id = g.tenant_id and m.group_id = g.id order by m.position) as "members!",
                  g.version, g.created_at, g.updated_at
             from groups g, lateral (
                 select (case $7::text when 'name' then lower(coalesce(g.shown_name, g.name)) when 'number' then lpad(coalesce(g.number::text, ''), 30) else '' end) collate "C" as key,
                        (case $7::text when 'name' then lower($8::text) when 'number' then lpad($8::text, 30) else '' end) collate "C" as after) k
            where g.tenant_id = $1 and ($2::uuid is null or g.id = $2)
              and ($5::text is null or strpos(lower(coalesce(g.shown_name, g.name)), lower($5)) > 0)
              and ($6::text is null or g.number = $6)
              and "# $(+ $order)+ + " limit $4",
        tenant,
        id,
        sorted.window.after,
        sorted.window.fetch(),
        filter.name,
        filter.number,
        sorted.by,
        sorted.key,
        sorted.is_down
    )
    .fetch_all(db)
    .await
        };
    }
    let rows = in_order!(sorted, rows, "g.id", "$3", "$8", "$9")?;
    Ok(rows.into_iter().map(Group::from).collect())
}

/// A group that rings some extensions.
pub struct Membership {
    pub id: Uuid,
    pub name: String,
    pub number: Option<String>,
}

/// The groups that any of these extensions are in.
pub async fn of_extensions(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    extensions: &[Uuid],
) -> sqlx::Result<Vec<Membership>> {
    sqlx::query_as!(
        Membership,
        r#"select g.id, coalesce(g.shown_name, g.name) as "name!", g.number from groups g
          where g.tenant_id = $1 and exists (select 1 from group_members m
                 where m.tenant_id = g.tenant_id and m.group_id = g.id and m.extension_id = any ($2))
          order by 2"#,
        tenant,
        extensions
    )
    .fetch_all(db)
    .await
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from groups where tenant_id = $1 and id = $2", tenant, id).execute(db).await.map(|_| ())
}

/// The ids that don't belong to an extension of the tenant.
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

/// The group that a line means.
pub async fn which(db: &mut PgConnection, tenant: Uuid, which: &Which) -> sqlx::Result<Option<Group>> {
    match (which.id, which.key.as_deref().map(GroupName::parse)) {
        (Some(id), _) => get(db, tenant, id).await,
        (None, Some(Ok(name))) => by_name(db, tenant, &name).await,
        (None, _) => Ok(None),
    }
}
