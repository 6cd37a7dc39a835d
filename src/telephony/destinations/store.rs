//! The SQL of destinations, and of what leads where.

use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::Destination;
use crate::model::destination::{Config, Target, TargetKind};
use crate::{
    model::{
        paging::Window,
        sorting::{Sorted, in_order},
        used::{Used, UsedKind},
    },
    node::change_store,
    routing::Plan,
    text::{DisplayName, ExtensionNumber},
};

/// A row as read. In the code, kind and configuration are one value.
struct Row {
    id: Uuid,
    tenant_id: Uuid,
    kind: String,
    name: DisplayName,
    number: Option<ExtensionNumber>,
    config: serde_json::Value,
    has_pin: bool,
    version: i64,
    created_at: chrono::DateTime<chrono::Utc>,
    updated_at: chrono::DateTime<chrono::Utc>,
}

impl TryFrom<Row> for Destination {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let config = serde_json::json!({ "kind": row.kind, "config": row.config });
        Ok(Self {
            id: row.id,
            tenant_id: row.tenant_id,
            name: row.name,
            number: row.number,
            config: serde_json::from_value(config).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            has_pin: row.has_pin,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The two columns of a configuration.
fn columns(config: &Config) -> sqlx::Result<(String, serde_json::Value)> {
    let mut whole = serde_json::to_value(config).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let config = whole.get_mut("config").map(serde_json::Value::take).unwrap_or_default();
    Ok((whole["kind"].as_str().unwrap_or_default().to_owned(), config))
}

pub async fn insert(db: &mut PgConnection, new: &Destination, pin: Option<&[u8]>) -> sqlx::Result<()> {
    let (kind, config) = columns(&new.config)?;
    sqlx::query!(
        "insert into destinations (tenant_id, id, kind, name, number, config, pin) values ($1, $2, $3, $4, $5, $6, $7)",
        new.tenant_id,
        new.id,
        kind,
        &new.name as _,
        &new.number as _,
        config,
        pin
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn sealed_pin(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!("select pin from destinations where tenant_id = $1 and id = $2", tenant, id)
        .fetch_optional(db)
        .await
        .map(Option::flatten)
}

/// `pin`: `None` leaves it as it is.
pub async fn update(db: &mut PgConnection, new: &Destination, pin: Option<Option<&[u8]>>) -> sqlx::Result<()> {
    let (_, config) = columns(&new.config)?;
    sqlx::query!(
        "update destinations set name = $3, number = $4, config = $5, pin = case when $6 then $7 else pin end,
                                 version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        new.tenant_id,
        new.id,
        &new.name as _,
        &new.number as _,
        config,
        pin.is_some(),
        pin.flatten()
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Destination>> {
    Ok(select(db, tenant, Some(id), &Filter::default(), &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Destination>> {
    sqlx::query!("select 1 as one from destinations where tenant_id = $1 and id = $2 for update", tenant, id)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant, id).await
}

/// Those of a kind that have this name. It is one, but for doubles from before names had to differ.
pub async fn by_name(
    db: &mut PgConnection,
    tenant: Uuid,
    kind: TargetKind,
    name: &DisplayName,
) -> sqlx::Result<Vec<Destination>> {
    let ids = sqlx::query_scalar!(
        "select id from destinations where tenant_id = $1 and kind = $2 and name = $3 order by id limit 10",
        tenant,
        kind.as_str(),
        name as _
    );
    let mut found = Vec::new();
    for id in ids.fetch_all(&mut *db).await? {
        found.extend(get(&mut *db, tenant, id).await?);
    }
    Ok(found)
}

/// Another than this one of the same kind and name.
pub async fn namesake(
    db: &mut PgConnection,
    tenant: Uuid,
    kind: TargetKind,
    name: &DisplayName,
    but: Uuid,
) -> sqlx::Result<Option<(Uuid, UsedKind)>> {
    let row = sqlx::query!(
        r#"select id, kind as "kind: UsedKind" from destinations
            where tenant_id = $1 and kind = $2 and name = $3 and id <> $4 order by id limit 1"#,
        tenant,
        kind.as_str(),
        name as _,
        but
    );
    Ok(row.fetch_optional(db).await?.map(|row| (row.id, row.kind)))
}

/// Which destinations to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub kind: Option<TargetKind>,
    /// Part of the name.
    pub name: Option<String>,
    pub number: Option<String>,
}

pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Destination>> {
    select(db, tenant, None, filter, sorted).await
}

/// All of a tenant's destinations.
pub async fn all(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<Destination>> {
    select(db, tenant, None, &Filter::default(), &Window::ALL.into()).await
}

async fn select(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Option<Uuid>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Destination>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Row,
        r#"select id, tenant_id, kind, name as "name: _", number as "number: _", config, pin is not null as "has_pin!",
                  version, created_at, updated_at
             from destinations, lateral (
                 select (case $8::text when 'name' then lower(name) when 'number' then lpad(coalesce(number::text, ''), 30) when 'kind' then kind else '' end) collate "C" as key,
                        (case $8::text when 'name' then lower($9::text) when 'number' then lpad($9::text, 30) when 'kind' then $9::text else '' end) collate "C" as after) k
            where tenant_id = $1 and ($2::uuid is null or id = $2) and ($4::text is null or kind = $4)
              and ($6::text is null or strpos(lower(name), lower($6)) > 0) and ($7::text is null or number = $7)
              and "# $(+ $order)+ + " limit $5",
        tenant,
        id,
        sorted.window.after,
        filter.kind.map(TargetKind::as_str),
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
    let rows = in_order!(sorted, rows, "id", "$3", "$9", "$10")?;
    rows.into_iter().map(Destination::try_from).collect()
}

pub async fn groups_leading_on(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<(Uuid, String, Target)>> {
    let rows = sqlx::query!(
        r#"select id, coalesce(shown_name, name) as "name!", otherwise as "otherwise!: Json<Target>" from groups where tenant_id = $1 and otherwise is not null"#,
        tenant
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name, row.otherwise.0)).collect())
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from destinations where tenant_id = $1 and id = $2", tenant, id).execute(db).await.map(|_| ())
}

/// Saves a mailbox's PIN that was chosen by phone, with an audit entry. Returns the tenant's new generation, or `None` if the
/// mailbox is gone.
pub async fn set_pin_by_phone(pool: &sqlx::PgPool, tenant: Uuid, id: Uuid, sealed: &[u8]) -> sqlx::Result<Option<i64>> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!(
        "update destinations set pin = $3, version = version + 1, updated_at = now() where tenant_id = $1 and id = $2",
        tenant,
        id,
        sealed
    );
    if changed.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let after = serde_json::json!({ "pin": "(changed)" });
    change_store::commit_by_phone(tx, tenant, format!("destinations/{id}"), after).await.map(Some)
}

/// The three columns of a target.
#[must_use]
pub fn target_columns(target: Option<Target>) -> (Option<Uuid>, Option<Uuid>, Option<Uuid>) {
    match target {
        None => (None, None, None),
        Some(Target { kind: TargetKind::Extension, id }) => (Some(id), None, None),
        Some(Target { kind: TargetKind::Group, id }) => (None, Some(id), None),
        Some(Target { id, .. }) => (None, None, Some(id)),
    }
}

pub async fn exists(db: &mut PgConnection, tenant: Uuid, target: Target) -> sqlx::Result<bool> {
    let (extension, group, destination) = target_columns(Some(target));
    sqlx::query_scalar!(
        r#"select exists (select 1 from extensions where tenant_id = $1 and id = $2 and status <> 'deleted')
               or exists (select 1 from groups where tenant_id = $1 and id = $3)
               or exists (select 1 from destinations where tenant_id = $1 and id = $4 and kind = $5) as "exists!""#,
        tenant,
        extension,
        group,
        destination,
        target.kind.as_str()
    )
    .fetch_one(db)
    .await
}

/// The destinations that something leads to.
pub async fn led_to(db: &mut PgConnection, tenant: Uuid, from: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"select destination_id as "id!" from destination_refs
            where tenant_id = $1 and from_id = $2 and destination_id is not null"#,
        tenant,
        from
    )
    .fetch_all(db)
    .await
}

/// Records what something leads to, replacing what was recorded before.
pub async fn set_refs(db: &mut PgConnection, tenant: Uuid, kind: &str, from: Uuid, to: &[Target]) -> sqlx::Result<()> {
    let before = sqlx::query!("delete from destination_refs where tenant_id = $1 and from_id = $2", tenant, from);
    before.execute(&mut *db).await?;
    if to.is_empty() {
        return Ok(());
    }
    let (mut extensions, mut groups, mut destinations) = (Vec::new(), Vec::new(), Vec::new());
    for target in to {
        let (extension, group, destination) = target_columns(Some(*target));
        extensions.push(extension);
        groups.push(group);
        destinations.push(destination);
    }
    sqlx::query!(
        "insert into destination_refs (tenant_id, from_kind, from_id, extension_id, group_id, destination_id)
         select $1, $2, $3, r.* from unnest($4::uuid[], $5::uuid[], $6::uuid[]) r",
        tenant,
        kind,
        from,
        &extensions as &[Option<Uuid>],
        &groups as &[Option<Uuid>],
        &destinations as &[Option<Uuid>]
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The name by which something is dialled in its tenant's context.
pub async fn dialled_name(db: &mut PgConnection, tenant: Uuid, target: Target) -> sqlx::Result<Option<String>> {
    let name = sqlx::query_scalar!(
        r#"select coalesce((select e.number from extensions e where e.tenant_id = $1 and e.id = $2 and e.status <> 'deleted'),
                           (select coalesce(g.number, g.name) from groups g where g.tenant_id = $1 and g.id = $2),
                           (select replace(d.id::text, '-', '') from destinations d where d.tenant_id = $1 and d.id = $2)) as name"#,
        tenant,
        target.id
    );
    name.fetch_one(db).await
}

/// What leads to something by its id.
pub async fn users_of(db: &mut PgConnection, tenant: Uuid, target: Target) -> sqlx::Result<Vec<Used>> {
    sqlx::query_as!(
        Used,
        r#"
        select 'number' as "kind!: UsedKind", n.id as "id!", n.number as "name!" from numbers n
         where n.tenant_id = $1 and $2 in (n.extension_id, n.group_id, n.destination_id)
        union
        select coalesce(d.kind, r.from_kind), r.from_id, coalesce(d.name, g.shown_name, g.name, e.name, '')
          from destination_refs r
          left join destinations d on d.tenant_id = r.tenant_id and d.id = r.from_id
          left join groups g on g.tenant_id = r.tenant_id and g.id = r.from_id
          left join dialplan_entries e on e.tenant_id = r.tenant_id and e.id = r.from_id
         where r.tenant_id = $1 and $2 in (r.extension_id, r.group_id, r.destination_id)
        union
        select 'group', g.id, coalesce(g.shown_name, g.name) from group_members m join groups g on g.tenant_id = m.tenant_id and g.id = m.group_id
         where m.tenant_id = $1 and m.extension_id = $2
         order by 1, 3 limit 20
        "#,
        tenant,
        target.id
    )
    .fetch_all(db)
    .await
}

/// What names something by the number that is dialled for it: forwards and follow-me, speed dials, numbers outside, and steps of
/// entries. `except`: what goes at the same time.
pub async fn users_of_names(
    db: &mut PgConnection,
    tenant: Uuid,
    names: &[String],
    except: &[Uuid],
) -> sqlx::Result<Vec<Used>> {
    sqlx::query_as!(
        Used,
        r#"
        select 'extension' as "kind!: UsedKind", e.id as "id!", e.number as "name!" from extensions e
         where e.tenant_id = $1 and e.status <> 'deleted' and e.calls <> '{}' and e.id <> all ($3)
           and exists (
               select 1 from jsonb_path_query(e.calls, 'lax $.follow_me[*].number') as follow (number)
                where follow.number #>> '{}' = any ($2)
               union all
               select 1 where e.calls->>'forward_always' = any ($2) or e.calls->>'forward_busy' = any ($2)
                           or e.calls->>'forward_no_answer' = any ($2) or e.calls->>'forward_not_registered' = any ($2))
        union
        select 'speed_dial', t.id, dial.key
          from tenants t, jsonb_path_query(t.settings, 'lax $.routing.speed_dials.keyvalue()') as pair,
               lateral (select pair->>'key' as key, pair->>'value' as value) dial
         where t.id = $1 and dial.value = any ($2)
        union
        select d.kind, d.id, d.name from destinations d
         where d.tenant_id = $1 and d.kind = 'external' and d.config->>'number' = any ($2) and d.id <> all ($3)
        union
        select 'entry', n.id, n.name from dialplan_entries n
         where n.tenant_id = $1
           and exists (select 1 from jsonb_path_query(n.body, 'lax $.conditions[*].*[*] ? (@.application == "dial").number') step
                        where step #>> '{}' = any ($2))
         order by 1, 3 limit 20
        "#,
        tenant,
        names,
        except
    )
    .fetch_all(db)
    .await
}

/// An entry that is written as XML.
pub struct Written {
    pub id: Uuid,
    pub name: String,
    pub xml: String,
}

pub async fn xml_entries(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<Vec<Written>> {
    sqlx::query_as!(
        Written,
        r#"select id, name, body->>'xml' as "xml!" from dialplan_entries
            where tenant_id = $1 and body ? 'xml' order by name"#,
        tenant
    )
    .fetch_all(db)
    .await
}

/// The names by which something is dialled.
pub async fn names_of(db: &mut PgConnection, tenant: Uuid, target: Target) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select name from names where tenant_id = $1 and $2 in (extension_id, group_id, destination_id)",
        tenant,
        target.id
    )
    .fetch_all(db)
    .await
}

/// A plan with only the tenant's settings.
pub async fn rules(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<Plan>> {
    let plan = sqlx::query_scalar!(
        r#"select jsonb_build_object('domain', t.domain, 'settings', t.settings) as "plan!: Json<Plan>" from tenants t where t.id = $1"#,
        tenant
    );
    Ok(plan.fetch_optional(db).await?.map(|plan| plan.0))
}

/// A tenant's plan.
pub async fn plan(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<Plan>> {
    let plan = sqlx::query_scalar!(r#"select tenant_plan($1) as "plan: Json<Plan>""#, tenant).fetch_one(db).await?;
    Ok(plan.map(|plan| plan.0))
}
