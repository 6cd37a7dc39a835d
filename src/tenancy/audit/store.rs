//! The SQL of the audit log.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{AuditEntry, Filter};

/// Entries; with a `tenant`, only that tenant's. `after`: the last of the page before.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Option<Uuid>,
    filter: &Filter,
    is_down: bool,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<AuditEntry>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query_as!(
                AuditEntry,
                r#"select id, at, actor, host(source) as source, tenant_id, action, resource, before, after
                     from audit_log
                    where ($2::uuid is null or tenant_id = $2)
                      and ($3::text is null or strpos(lower(actor), lower($3)) > 0) and ($4::text is null or action = $4)
                      and ($5::text is null or starts_with(resource, $5)) and ($6::timestamptz is null or at >= $6)
                      and ($7::timestamptz is null or at < $7) and "#
                    + $order
                    + " limit $8",
                after.unwrap_or(if is_down { Uuid::max() } else { Uuid::nil() }),
                tenant,
                filter.actor,
                filter.action,
                filter.resource,
                filter.since,
                filter.until,
                limit
            )
            .fetch_all(db)
            .await
        };
    }
    if is_down { rows!("id < $1 order by id desc") } else { rows!("id > $1 order by id") }
}

/// The present names of things, by their ids. They must belong to one of these tenants.
pub async fn names(db: impl PgExecutor<'_>, tenants: &[Uuid], ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"
        select id as "id!", name as "name!" from (
            select id, case when first_name || last_name = '' then email else first_name || ' ' || last_name end as name
              from users where id = any ($2)
            union all select id, number || ' ' || display_name from extensions where tenant_id = any ($1) and id = any ($2)
            union all select id, coalesce(shown_name, name) from groups where tenant_id = any ($1) and id = any ($2)
            union all select id, name from destinations where tenant_id = any ($1) and id = any ($2)
            union all select id, number from numbers where tenant_id = any ($1) and id = any ($2)
            union all select id, name from dialplan_entries where tenant_id = any ($1) and id = any ($2)
            union all select id, name from api_keys where id = any ($2)
            union all select id, domain from tenants where id = any ($2)
            union all select id, name from clusters where id = any ($2)
            union all select id, first_number || '–' || last_number from extension_pools where tenant_id = any ($1) and id = any ($2)
            union all select id, name from contacts where tenant_id = any ($1) and id = any ($2)
            union all select id, url from webhooks where tenant_id = any ($1) and id = any ($2)
            union all select id, to_char(began_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') from recordings
                       where tenant_id = any ($1) and id = any ($2)
            union all select id, to_char(started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') from calls
                       where tenant_id = any ($1) and id = any ($2)
        ) things
        "#,
        tenants,
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// The same for what belongs to the platform, which tenants may not read.
pub async fn names_of_platform(db: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"
        select id as "id!", name as "name!" from (
            select id, name from switches where id = any ($1)
            union all select id, name from carriers where tenant_id is null and id = any ($1)
            union all select id, url from webhooks where tenant_id is null and id = any ($1)
        ) things
        "#,
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// The values of things when they were deleted, by their resources, as far as that was since a moment.
pub async fn last_values(
    db: impl PgExecutor<'_>,
    tenants: &[Uuid],
    of_platform: bool,
    resources: &[String],
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<(String, Value)>> {
    let rows = sqlx::query!(
        r#"select distinct on (resource) resource, coalesce(before, after) as "values!: Value"
             from audit_log
            where (tenant_id = any ($1) or ($4 and tenant_id is null)) and id >= $3 and resource = any ($2) and action in ('delete', 'purge') and coalesce(before, after) is not null
            order by resource, id desc"#,
        tenants,
        resources,
        first_of(since),
        of_platform
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.resource, row.values)).collect())
}

/// The lowest id of an entry of this moment: ids begin with their time.
fn first_of(at: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}
