//! The SQL of tenants' own periods.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Periods;

/// Returns `None` if there is no such tenant.
pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<Periods>> {
    sqlx::query_as!(
        Periods,
        r#"select t.id as tenant_id, r.audit_days as "audit_days?", r.calls_days as "calls_days?", r.records_days as "records_days?",
                  r.mails_days as "mails_days?", coalesce(r.version, 0) as "version!", r.updated_at as "updated_at?"
             from tenants t left join retention_periods r on r.tenant_id = t.id where t.id = $1"#,
        tenant
    )
    .fetch_optional(db)
    .await
}

/// The same, locked for a change. Returns `None` if there is no such tenant.
pub async fn locked(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<Option<Periods>> {
    sqlx::query!(
        "insert into retention_periods (tenant_id, version) select id, 0 from tenants where id = $1 on conflict (tenant_id) do nothing",
        tenant
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("select 1 as one from retention_periods where tenant_id = $1 for update", tenant)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant).await
}

pub async fn save(db: &mut PgConnection, periods: &Periods) -> sqlx::Result<()> {
    sqlx::query!(
        "update retention_periods
            set audit_days = $2, calls_days = $3, records_days = $4, mails_days = $5, version = version + 1, updated_at = now()
          where tenant_id = $1",
        periods.tenant_id,
        periods.audit_days,
        periods.calls_days,
        periods.records_days,
        periods.mails_days
    )
    .execute(db)
    .await
    .map(|_| ())
}
