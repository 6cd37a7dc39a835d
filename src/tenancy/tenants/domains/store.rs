//! The SQL of former domains.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{FormerDomain, LatePhone};
use crate::{
    model::language::Language,
    text::{Domain, Email},
};

/// The names of a tenant's former domains.
pub async fn names(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<Domain>> {
    sqlx::query_scalar!(r#"select domain as "domain: Domain" from former_domains where tenant_id = $1"#, tenant)
        .fetch_all(db)
        .await
}

/// A tenant's former domains with the phones seen there.
pub async fn list(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<FormerDomain>> {
    let rows = sqlx::query!(
        r#"select f.domain as "domain: Domain", f.since, f.until,
                  coalesce((
                    select jsonb_agg(jsonb_build_object('extension_id', p.id, 'number', p.number, 'display_name', p.display_name,
                                                        'last_seen_at', p.last_seen_at) order by p.last_seen_at desc, p.id)
                      from (select e.id, e.number, e.display_name, s.last_seen_at
                              from former_domain_phones s
                              join extensions e on e.tenant_id = s.tenant_id and e.id = s.extension_id
                             where s.domain = f.domain and e.status <> 'deleted'
                             order by s.last_seen_at desc, e.id limit 1000) p), '[]') as "phones!: Json<Vec<LatePhone>>"
             from former_domains f where f.tenant_id = $1 order by f.since, f.domain"#,
        tenant
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    Ok(rows
        .map(|row| FormerDomain { domain: row.domain, since: row.since, until: row.until, phones: row.phones.0 })
        .collect())
}

/// A former domain, for a page that shows many tenants.
pub struct Shown {
    pub tenant_id: Uuid,
    pub domain: String,
    pub until: DateTime<Utc>,
    /// How many extensions were seen there on the last day.
    pub phones: i64,
}

pub async fn of_all(db: impl PgExecutor<'_>, tenants: &[Uuid]) -> sqlx::Result<Vec<Shown>> {
    sqlx::query_as!(
        Shown,
        r#"select f.tenant_id, f.domain, f.until,
                  (select count(*) from former_domain_phones s
                    where s.domain = f.domain and s.last_seen_at > now() - interval '1 day') as "phones!"
             from former_domains f where f.tenant_id = any ($1) order by f.since, f.domain"#,
        tenants
    )
    .fetch_all(db)
    .await
}

pub async fn insert(db: &mut PgConnection, tenant: Uuid, domain: &Domain, days: i32) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into former_domains (domain, tenant_id, until) values ($1, $2, now() + make_interval(days => $3))",
        domain.as_str(),
        tenant,
        days
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Returns whether there was one.
pub async fn delete(db: &mut PgConnection, tenant: Uuid, domain: &Domain) -> sqlx::Result<bool> {
    let statement =
        sqlx::query!("delete from former_domains where tenant_id = $1 and domain = $2", tenant, domain.as_str());
    Ok(statement.execute(db).await?.rows_affected() > 0)
}

pub async fn until(db: &mut PgConnection, tenant: Uuid, domain: &Domain) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        "select until from former_domains where tenant_id = $1 and domain = $2",
        tenant,
        domain.as_str()
    )
    .fetch_optional(db)
    .await
}

/// Those whose time is over.
pub async fn due(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<(Uuid, Domain)>> {
    let rows = sqlx::query!(
        r#"select tenant_id, domain as "domain: Domain" from former_domains where until <= now() order by until limit 100"#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.tenant_id, row.domain)).collect())
}

/// Somebody of a tenant who has a phone, or looks after others'.
pub struct Person {
    pub email: Email,
    pub first_name: String,
    /// Their own language, or else the tenant's.
    pub language: Language,
}

pub async fn people(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<Vec<Person>> {
    let rows = sqlx::query!(
        r#"select u.email as "email: Email", u.first_name, coalesce(u.language, t.settings->>'language') as language
             from users u join tenants t on t.id = u.tenant_id
            where u.tenant_id = $1 and u.status <> 'suspended'
              and (u.role in ('owner', 'admin') or exists (
                    select from extensions e where e.tenant_id = u.tenant_id and e.user_id = u.id and e.status <> 'deleted'))
            order by u.id"#,
        tenant
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    let people = rows.map(|row| Person {
        email: row.email,
        first_name: row.first_name,
        language: row.language.and_then(|language| language.parse().ok()).unwrap_or_default(),
    });
    Ok(people.collect())
}
