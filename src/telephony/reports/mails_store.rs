//! The SQL of reports that come by mail.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::model::language::Language;

/// Tenants that have reports mailed.
pub async fn tenants(pool: &PgPool) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id from tenants where status = 'active' and settings #> '{reports,mails}' is not null order by id"
    )
    .fetch_all(pool)
    .await
}

/// Forgets until when reports were mailed that their tenants no longer have: a later one of that name is another report. One that gets another name
/// is a new one, too.
pub async fn forget_others(pool: &PgPool) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "delete from report_mails m
          where not exists (select from tenants t where t.id = m.tenant_id
                               and t.settings #> '{reports,mails}' @> jsonb_build_array(jsonb_build_object('name', m.name)))"
    );
    Ok(gone.execute(pool).await?.rows_affected())
}

/// What a tenant has mailed, and which day it is there; the day before until six in the morning.
pub struct Whose {
    pub settings: Value,
    pub zone: String,
    pub currency: Option<String>,
    pub today: NaiveDate,
}

pub async fn whose(db: impl PgExecutor<'_>, tenant: Uuid, now: DateTime<Utc>) -> sqlx::Result<Option<Whose>> {
    sqlx::query_as!(
        Whose,
        r#"select t.settings, z.zone as "zone!", t.settings ->> 'currency' as currency, (($2::timestamptz at time zone z.zone) - interval '6 hours')::date as "today!"
             from tenants t
            cross join lateral (select coalesce(t.settings ->> 'time_zone', 'UTC') as zone) z
            where t.id = $1"#,
        tenant,
        now
    )
    .fetch_optional(db)
    .await
}

/// Until which day each report was mailed.
pub async fn mailed(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<(String, NaiveDate)>> {
    let rows = sqlx::query!("select name, until from report_mails where tenant_id = $1", tenant);
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.name, row.until)).collect())
}

/// Notes that a report is mailed. `false`: it was.
pub async fn note(db: impl PgExecutor<'_>, tenant: Uuid, name: &str, until: NaiveDate) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "insert into report_mails as m (tenant_id, name, until) values ($1, $2, $3)
             on conflict (tenant_id, name) do update set until = $3 where m.until < $3",
        tenant,
        name,
        until
    );
    Ok(noted.execute(db).await?.rows_affected() == 1)
}

/// Somebody who gets a report.
pub struct Reader {
    pub email: String,
    pub name: String,
    pub language: Language,
}

/// Those of these people who may still see reports.
pub async fn readers(db: impl PgExecutor<'_>, tenant: Uuid, people: &[Uuid]) -> sqlx::Result<Vec<Reader>> {
    sqlx::query_as!(
        Reader,
        r#"select u.email, trim(u.first_name || ' ' || u.last_name) as "name!",
                  coalesce(u.language, t.settings ->> 'language', 'en') as "language!: Language"
             from users u join tenants t on t.id = u.tenant_id
            where u.tenant_id = $1 and u.id = any ($2) and u.status = 'active' and u.role in ('owner', 'admin', 'manager') order by u.email"#,
        tenant,
        people
    )
    .fetch_all(db)
    .await
}
