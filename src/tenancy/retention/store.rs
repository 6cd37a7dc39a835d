//! The SQL of tenants' own periods.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Periods;

/// Returns `None` if there is no such tenant.
pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<Periods>> {
    sqlx::query_as!(
        Periods,
        r#"select t.id as tenant_id, r.audit_days as "audit_days?", r.calls_days as "calls_days?", r.records_days as "records_days?",
                  r.mails_days as "mails_days?", r.recordings_days as "recordings_days?", coalesce(r.version, 0) as "version!", r.updated_at as "updated_at?"
             from tenants t left join retention_periods r on r.tenant_id = t.id where t.id = $1"#,
        tenant
    )
    .fetch_optional(db)
    .await
}

pub async fn save(db: &mut PgConnection, periods: &Periods) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into retention_periods as r (tenant_id, audit_days, calls_days, records_days, mails_days, recordings_days, version)
         values ($1, $2, $3, $4, $5, $6, 1)
         on conflict (tenant_id) do update
            set audit_days = $2, calls_days = $3, records_days = $4, mails_days = $5, recordings_days = $6, version = r.version + 1, updated_at = now()",
        periods.tenant_id,
        periods.audit_days,
        periods.calls_days,
        periods.records_days,
        periods.mails_days,
        periods.recordings_days
    )
    .execute(db)
    .await
    .map(|_| ())
}
