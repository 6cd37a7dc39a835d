//! The SQL of tenants.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Tenant, TenantStatus};
use crate::{
    http::page::Window,
    text::{DisplayName, Domain},
};

/// How much a tenant still has.
pub struct Belongings {
    pub extensions: i64,
    pub groups: i64,
    pub numbers: i64,
}

pub async fn insert(db: &mut PgConnection, id: Uuid, name: &DisplayName, domain: &Domain) -> sqlx::Result<Tenant> {
    sqlx::query_as!(
        Tenant,
        r#"insert into tenants (id, name, domain) values ($1, $2, $3)
           returning id, name as "name: _", domain as "domain: _", domain as "context!: _", status as "status: TenantStatus",
                     version, created_at, updated_at"#,
        id,
        name as _,
        domain as _
    )
    .fetch_one(db)
    .await
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Tenant>> {
    sqlx::query_as!(
        Tenant,
        r#"select id, name as "name: _", domain as "domain: _", domain as "context!: _", status as "status: TenantStatus",
                  version, created_at, updated_at
             from tenants where id = $1"#,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Tenant>> {
    sqlx::query_as!(
        Tenant,
        r#"select id, name as "name: _", domain as "domain: _", domain as "context!: _", status as "status: TenantStatus",
                  version, created_at, updated_at
             from tenants where id = $1 for update"#,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn by_domain(db: impl PgExecutor<'_>, domain: &Domain) -> sqlx::Result<Option<Tenant>> {
    sqlx::query_as!(
        Tenant,
        r#"select id, name as "name: _", domain as "domain: _", domain as "context!: _", status as "status: TenantStatus",
                  version, created_at, updated_at
             from tenants where domain = $1"#,
        domain as _
    )
    .fetch_optional(db)
    .await
}

/// `only`: that tenant or none.
pub async fn list(db: impl PgExecutor<'_>, only: Option<Uuid>, window: Window) -> sqlx::Result<Vec<Tenant>> {
    sqlx::query_as!(
        Tenant,
        r#"select id, name as "name: _", domain as "domain: _", domain as "context!: _", status as "status: TenantStatus",
                  version, created_at, updated_at
             from tenants
            where id > $1 and ($2::uuid is null or id = $2)
            order by id limit $3"#,
        window.after,
        only,
        window.fetch()
    )
    .fetch_all(db)
    .await
}

pub async fn update(db: &mut PgConnection, tenant: &Tenant) -> sqlx::Result<Tenant> {
    sqlx::query_as!(
        Tenant,
        r#"update tenants set name = $2, domain = $3, status = $4, version = version + 1, updated_at = now()
            where id = $1
           returning id, name as "name: _", domain as "domain: _", domain as "context!: _", status as "status: TenantStatus",
                     version, created_at, updated_at"#,
        tenant.id,
        &tenant.name as _,
        &tenant.domain as _,
        tenant.status as TenantStatus
    )
    .fetch_one(db)
    .await
}

pub async fn belongings(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Belongings> {
    sqlx::query_as!(
        Belongings,
        r#"select (select count(*) from extensions where tenant_id = $1 and status <> 'deleted') as "extensions!",
                  (select count(*) from groups where tenant_id = $1) as "groups!",
                  (select count(*) from numbers where tenant_id = $1) as "numbers!""#,
        id
    )
    .fetch_one(db)
    .await
}

/// Deletes a tenant with all it has; the audit log stays.
pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from numbers where tenant_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from groups where tenant_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from extensions where tenant_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from names where tenant_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from api_keys where tenant_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from users where tenant_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from tenants where id = $1", id).execute(db).await.map(|_| ())
}
