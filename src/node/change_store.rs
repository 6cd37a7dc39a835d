//! The SQL of changes: whose rows a transaction sees, its savepoints, its audit entries, and its id.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

/// From here on, row-level security shows the transaction only this tenant's rows.
pub async fn see_only(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "select set_config('dialplane.tenant', $1, true) as tenant, set_config('role', 'dialplane_tenant', true) as role",
        tenant.to_string()
    )
    .fetch_one(db)
    .await
    .map(|_| ())
}

/// Begins a transaction whose statements all see the database as it is at the first of them.
pub async fn snapshot(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pool.begin_with("begin isolation level repeatable read read only").await
}

/// Makes other changes of this tenant's things wait until this transaction ends. The lock's name is an earlier one: nodes of two
/// versions that run side by side must mean the same lock.
pub async fn hold(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('pools ' || $1::uuid::text, 0))", tenant)
        .fetch_one(db)
        .await
        .map(|_| ())
}

/// Begins a part of the transaction that can be undone until it ends.
pub async fn begin_part(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("savepoint part").execute(db).await.map(|_| ())
}

pub async fn undo_part(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("rollback to savepoint part").execute(db).await.map(|_| ())
}

pub async fn end_part(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("release savepoint part").execute(db).await.map(|_| ())
}

/// Audit entries, as columns.
#[derive(Default)]
pub struct AuditColumns {
    pub ids: Vec<Uuid>,
    pub tenants: Vec<Option<Uuid>>,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    pub before: Vec<Option<serde_json::Value>>,
    pub after: Vec<Option<serde_json::Value>>,
}

pub async fn write_audit(
    db: &mut PgConnection,
    author: &str,
    source: Option<&str>,
    entries: &AuditColumns,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into audit_log (id, actor, source, tenant_id, action, resource, before, after)
         select a.id, $1, $2::text::inet, a.tenant_id, a.action, a.resource, a.before, a.after
           from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[])
                as a (id, tenant_id, action, resource, before, after)",
        author,
        source,
        &entries.ids,
        &entries.tenants as &[Option<Uuid>],
        &entries.actions,
        &entries.resources,
        &entries.before as &[Option<serde_json::Value>],
        &entries.after as &[Option<serde_json::Value>]
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The audit entry of a change that somebody made at a phone. `after`: the fields that were changed.
pub async fn audit_by_phone(
    db: &mut PgConnection,
    tenant: Uuid,
    resource: String,
    after: serde_json::Value,
) -> sqlx::Result<()> {
    let entry = AuditColumns {
        ids: vec![Uuid::now_v7()],
        tenants: vec![Some(tenant)],
        actions: vec!["update".to_owned()],
        resources: vec![resource],
        before: vec![None],
        after: vec![Some(after)],
    };
    write_audit(db, "phone", None, &entry).await
}

/// Ends a change that somebody made at a phone, with its audit entry. Returns the tenant's new generation.
pub async fn commit_by_phone(
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    tenant: Uuid,
    resource: String,
    after: serde_json::Value,
) -> sqlx::Result<i64> {
    audit_by_phone(&mut tx, tenant, resource, after).await?;
    let generation =
        sqlx::query_scalar!("select generation from generation where scope = $1", tenant).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(generation)
}

/// Adds fields to an entry of this transaction. `false` if it is gone or has no fields.
pub async fn add_to_audit(
    db: &mut PgConnection,
    id: Uuid,
    before: serde_json::Value,
    after: serde_json::Value,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select add_to_audit($1, $2, $3) as "added!""#, id, before, after).fetch_one(db).await
}

/// The transaction's id, as snapshots name it.
pub async fn transaction_id(db: &mut PgConnection) -> sqlx::Result<u64> {
    let xid = sqlx::query_scalar!(r#"select pg_current_xact_id()::text as "xid!""#).fetch_one(db).await?;
    xid.parse().map_err(|_| sqlx::Error::Decode(format!("a transaction id that is not a number: {xid}").into()))
}
