//! The SQL of labels.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::model::{
    labels::{ExternalId, Kind, Labels},
    used::{Used, UsedKind},
};

/// `scope`: the tenant that the thing belongs to; `None` for what is the platform's.
pub async fn get(db: &mut PgConnection, scope: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<Labels>> {
    let row = sqlx::query!(
        r#"select external_id as "external_id: ExternalId", metadata as "metadata: Json<BTreeMap<String, String>>"
             from labels where thing_id = $1 and tenant_id is not distinct from $2"#,
        id,
        scope
    );
    let row = row.fetch_optional(db).await?;
    Ok(row.map(|row| Labels { external_id: row.external_id, metadata: row.metadata.0 }))
}

/// The same for many things, each with its own scope.
pub async fn of_all(db: &mut PgConnection, ids: &[Uuid], scopes: &[Option<Uuid>]) -> sqlx::Result<Vec<(Uuid, Labels)>> {
    let rows = sqlx::query!(
        r#"select thing_id, external_id as "external_id: ExternalId", metadata as "metadata: Json<BTreeMap<String, String>>"
             from unnest($1::uuid[], $2::uuid[]) wanted (id, scope)
             join labels on labels.thing_id = wanted.id and labels.tenant_id is not distinct from wanted.scope"#,
        ids,
        scopes as &[Option<Uuid>]
    );
    let rows = rows.fetch_all(db).await?;
    let labels = rows.into_iter();
    Ok(labels.map(|row| (row.thing_id, Labels { external_id: row.external_id, metadata: row.metadata.0 })).collect())
}

/// Makes others wait who want the same external id, so that the one who has it can be named.
pub async fn hold(
    db: &mut PgConnection,
    kind: &str,
    scope: Option<Uuid>,
    external_id: &ExternalId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'external_id', $1::text, $2::uuid, $3::text), 0))",
        kind,
        scope,
        external_id as _
    )
    .fetch_one(db)
    .await
    .map(|_| ())
}

/// The thing that has this external id.
pub async fn whose(
    db: &mut PgConnection,
    kind: Kind,
    scope: Option<Uuid>,
    external_id: &ExternalId,
) -> sqlx::Result<Option<Uuid>> {
    named(db, kind, scope, external_id.as_str()).await
}

/// What has labels, as people know it.
pub async fn used(db: &mut PgConnection, kind: Kind, scope: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<Used>> {
    // Tenants may not read this table.
    if kind == Kind::Switch {
        let name = sqlx::query_scalar!("select name from switches where id = $1", id).fetch_optional(db).await?;
        return Ok(name.map(|name| Used { kind: UsedKind::Switch, id, name }));
    }
    sqlx::query_as!(
        Used,
        r#"select kind as "kind!: UsedKind", id as "id!", name as "name!" from (
              select 'tenant' as kind, id, domain as name from tenants where id = $1
              union all select 'cluster', id, name from clusters where id = $1
              union all select 'carrier', id, name from carriers where id = $1 and tenant_id is not distinct from $2
              union all select 'key', id, name from api_keys where id = $1 and tenant_id is not distinct from $2
              union all select 'webhook', id, url from webhooks where id = $1 and tenant_id is not distinct from $2
              union all select 'extension', id, number from extensions where id = $1 and tenant_id = $2
              union all select 'agent', id, email from users where id = $1 and tenant_id = $2
              union all select 'group', id, coalesce(shown_name, name) from groups where id = $1 and tenant_id = $2
              union all select kind, id, name from destinations where id = $1 and tenant_id = $2
              union all select 'entry', id, name from dialplan_entries where id = $1 and tenant_id = $2
              union all select 'number', id, number from numbers where id = $1 and tenant_id = $2
              union all select 'pool', id, first_number || '-' || last_number from extension_pools where id = $1 and tenant_id = $2
              union all select 'contact', id, name from contacts where id = $1 and tenant_id = $2) found"#,
        id,
        scope
    )
    .fetch_optional(db)
    .await
}

/// The same, for what somebody looks for.
pub async fn named(
    db: &mut PgConnection,
    kind: Kind,
    scope: Option<Uuid>,
    external_id: &str,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "select thing_id from labels
          where coalesce(tenant_id, '00000000-0000-0000-0000-000000000000')
                    = coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
            and kind = $2 and external_id = $3",
        scope,
        kind.name(),
        external_id
    )
    .fetch_optional(db)
    .await
}

/// Those of one tenant or, without one, of all and of the platform.
pub async fn all_named(
    db: &mut PgConnection,
    kind: Kind,
    tenant: Option<Uuid>,
    external_id: &str,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select thing_id from labels where external_id = $3 and kind = $2 and ($1::uuid is null or tenant_id = $1)
          order by thing_id limit 500",
        tenant,
        kind.name(),
        external_id
    )
    .fetch_all(db)
    .await
}

pub async fn set(
    db: &mut PgConnection,
    kind: Kind,
    scope: Option<Uuid>,
    id: Uuid,
    labels: &Labels,
) -> sqlx::Result<()> {
    if *labels == Labels::default() {
        return sqlx::query!("delete from labels where thing_id = $1", id).execute(db).await.map(|_| ());
    }
    sqlx::query!(
        "insert into labels (thing_id, kind, tenant_id, external_id, metadata) values ($1, $2, $3, $4, $5)
             on conflict (thing_id) do update set external_id = excluded.external_id, metadata = excluded.metadata",
        id,
        kind.name(),
        scope,
        &labels.external_id as _,
        Json(&labels.metadata) as _
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Which of these external ids things of a tenant have, and which things.
pub async fn taken(
    db: &mut PgConnection,
    kind: Kind,
    tenant: Uuid,
    wanted: &[String],
) -> sqlx::Result<Vec<(String, Uuid)>> {
    let rows = sqlx::query!(
        r#"select external_id as "external_id!", thing_id from labels
            where coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') = $1 and kind = $2 and external_id = any ($3)"#,
        tenant,
        kind.name(),
        wanted
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.external_id, row.thing_id)).collect())
}

/// The labels of new things of a tenant.
pub async fn insert_all(
    db: &mut PgConnection,
    kind: Kind,
    tenant: Uuid,
    noted: &[(Uuid, &Labels)],
) -> sqlx::Result<()> {
    let ids = noted.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let named =
        noted.iter().map(|(_, labels)| labels.external_id.as_ref().map(ToString::to_string)).collect::<Vec<_>>();
    let metadata = noted.iter().map(|(_, labels)| serde_json::json!(labels.metadata)).collect::<Vec<_>>();
    sqlx::query!(
        "insert into labels (thing_id, kind, tenant_id, external_id, metadata)
         select n.id, $2, $1, n.external_id, n.metadata
           from unnest($3::uuid[], $4::text[], $5::jsonb[]) as n (id, external_id, metadata)",
        tenant,
        kind.name(),
        &ids,
        &named as &[Option<String>],
        &metadata
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Gives the thing a new version, unless this transaction has already. No generation rises.
pub async fn raise_version(
    db: &mut PgConnection,
    kind: Kind,
    tenant: Option<Uuid>,
    id: Uuid,
) -> sqlx::Result<Option<(i64, DateTime<Utc>)>> {
    let row = sqlx::query!(
        r#"select version as "version!", updated_at as "updated_at!" from raise_version($1, $2, $3)"#,
        kind.name(),
        tenant,
        id
    );
    Ok(row.fetch_optional(db).await?.map(|row| (row.version, row.updated_at)))
}
