//! The SQL of people.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::User;
use crate::{model::language::Language, model::user::UserStatus, tenancy::auth::rules::Role};

/// Creates a platform administrator, or gives the one with this address a new password. `None` if somebody else has the
/// address.
pub async fn insert_platform_admin(
    db: &mut PgConnection,
    id: Uuid,
    email: &str,
    hash: &str,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "insert into users (id, email, password_hash, role, first_name, email_verified_at)
         values ($1, $2, $3, 'platform_admin', 'Administrator', now())
         on conflict (lower(email)) where email_verified_at is not null do update set password_hash = excluded.password_hash
          where users.role = 'platform_admin'
         returning id",
        id,
        email,
        hash
    )
    .fetch_optional(db)
    .await
}

/// A new user. If there is a password hash, they have chosen the password themselves.
pub struct NewRow<'a> {
    pub id: Uuid,
    pub tenant: Option<Uuid>,
    pub email: &'a str,
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub role: Role,
    pub status: UserStatus,
    pub language: Option<Language>,
    pub password_hash: Option<&'a str>,
}

pub async fn insert(db: &mut PgConnection, new: &NewRow<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into users (id, tenant_id, email, first_name, last_name, role, status, language, password_hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id,
        new.tenant,
        new.email,
        new.first_name,
        new.last_name,
        new.role as Role,
        new.status as UserStatus,
        new.language as Option<Language>,
        new.password_hash
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"select id, tenant_id, email, first_name, last_name, role as "role: Role", status as "status: UserStatus",
                  language as "language: Language", email_verified_at is not null as "email_verified!",
                  totp_enabled_at is not null as "two_factor!", totp_required as two_factor_required, last_sign_in_at,
                  version, created_at, updated_at
             from users where id = $1 and tenant_id is not distinct from $2"#,
        id,
        tenant
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(db: &mut PgConnection, tenant: Option<Uuid>, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query!(
        "select 1 as one from users where id = $1 and tenant_id is not distinct from $2 for update",
        id,
        tenant
    )
    .fetch_optional(&mut *db)
    .await?;
    get(db, tenant, id).await
}

pub async fn update(db: &mut PgConnection, user: &User) -> sqlx::Result<User> {
    sqlx::query!(
        "update users set email = $3, first_name = $4, last_name = $5, role = $6, status = $7, language = $8,
                email_verified_at = case when lower(email) = lower($3) then email_verified_at end, totp_required = $9,
                version = version + 1, updated_at = now()
          where id = $1 and tenant_id is not distinct from $2",
        user.id,
        user.tenant_id,
        user.email,
        user.first_name,
        user.last_name,
        user.role as Role,
        user.status as UserStatus,
        user.language as Option<Language>,
        user.two_factor_required
    )
    .execute(&mut *db)
    .await?;
    get(db, user.tenant_id, user.id).await?.ok_or(sqlx::Error::RowNotFound)
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update extensions set user_id = null where tenant_id = $1 and user_id = $2", tenant, id)
        .execute(&mut *db)
        .await?;
    sqlx::query!("delete from users where id = $1 and tenant_id = $2", id, tenant).execute(db).await.map(|_| ())
}

/// How many other owners a tenant has.
pub async fn other_owners(db: &mut PgConnection, tenant: Uuid, but: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from users
            where tenant_id = $1 and id <> $2 and role = 'owner' and status <> 'suspended'"#,
        tenant,
        but
    )
    .fetch_one(db)
    .await
}

/// Those of these lower-case addresses that somebody in the tenant has.
pub async fn taken_in_tenant(db: &mut PgConnection, tenant: Uuid, emails: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select lower(email) as "taken!" from users where tenant_id = $1 and lower(email) = any ($2)"#,
        tenant,
        emails
    )
    .fetch_all(db)
    .await
}

/// Those of these addresses that somebody on the platform has, in lower case.
pub async fn taken_emails(db: &mut PgConnection, emails: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(r#"select taken as "taken!" from taken_emails($1) as taken"#, emails).fetch_all(db).await
}
