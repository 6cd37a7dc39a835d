//! The SQL of signing in.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::rules::Role;
use crate::{
    model::language::Language, model::user::UserStatus, tenancy::tenants::TenantStatus, text::token::TokenHash,
};

/// A user as signing in sees them.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub role: Role,
    pub status: UserStatus,
    pub password_hash: Option<String>,
    pub language: Option<Language>,
    pub email_verified: bool,
    pub totp_secret: Option<Vec<u8>>,
    pub totp_enabled: bool,
    pub totp_required: bool,
    pub totp_last_step: i64,
    pub tenant_status: Option<TenantStatus>,
}

impl Account {
    /// Whether they may be signed in. In a suspended tenant, nobody may.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.status == UserStatus::Active && self.tenant_status != Some(TenantStatus::Suspended)
    }

    /// Whether they only lack a confirmed address: they have registered but not followed the link yet.
    #[must_use]
    pub fn has_to_confirm(&self) -> bool {
        self.status == UserStatus::Invited
            && !self.email_verified
            && self.tenant_status != Some(TenantStatus::Suspended)
    }
}

pub async fn account(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"select u.id, u.tenant_id, u.email, u.first_name, u.last_name, u.role as "role: Role", u.status as "status: UserStatus",
                  u.password_hash, coalesce(u.language, t.settings->>'language') as "language: Language", u.email_verified_at is not null as "email_verified!",
                  u.totp_secret, u.totp_enabled_at is not null as "totp_enabled!", u.totp_required, u.totp_last_step,
                  t.status as "tenant_status?: TenantStatus"
             from users u left join tenants t on t.id = u.tenant_id
            where u.id = $1"#,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn account_by_email(db: impl PgExecutor<'_>, email: &str) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"select u.id, u.tenant_id, u.email, u.first_name, u.last_name, u.role as "role: Role", u.status as "status: UserStatus",
                  u.password_hash, coalesce(u.language, t.settings->>'language') as "language: Language", u.email_verified_at is not null as "email_verified!",
                  u.totp_secret, u.totp_enabled_at is not null as "totp_enabled!", u.totp_required, u.totp_last_step,
                  t.status as "tenant_status?: TenantStatus"
             from users u left join tenants t on t.id = u.tenant_id
            where lower(u.email) = lower($1)
            order by (u.email_verified_at is not null) desc, u.created_at, u.id
            limit 1"#,
        email
    )
    .fetch_optional(db)
    .await
}

/// A sign-up whose link was not followed yet.
#[derive(Debug)]
pub struct SignUp {
    pub email: String,
    pub company: String,
    pub domain: String,
    pub first_name: String,
    pub last_name: String,
    pub password_hash: String,
    pub language: Language,
    pub region: Option<String>,
}

/// Keeps a sign-up for a day.
pub async fn add_sign_up(db: &mut PgConnection, hash: &TokenHash, new: &SignUp) -> sqlx::Result<()> {
    drop_sign_ups(&mut *db).await?;
    sqlx::query!(
        "insert into sign_ups (token_hash, email, company, domain, first_name, last_name, password_hash, language, region, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + interval '1 day')",
        &hash.0[..],
        new.email,
        new.company,
        new.domain,
        new.first_name,
        new.last_name,
        new.password_hash,
        new.language as Language,
        new.region
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn drop_sign_ups(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("delete from sign_ups where expires_at < now()").execute(db).await.map(|_| ())
}

/// Takes the sign-up of a link, with all others of the same address.
pub async fn take_sign_up(db: &mut PgConnection, hash: &TokenHash) -> sqlx::Result<Option<SignUp>> {
    let taken = sqlx::query_as!(
        SignUp,
        r#"delete from sign_ups where token_hash = $1 and expires_at > now()
           returning email, company, domain, first_name, last_name, password_hash, language as "language: Language", region"#,
        &hash.0[..]
    )
    .fetch_optional(&mut *db)
    .await?;
    if let Some(taken) = &taken {
        sqlx::query!("delete from sign_ups where lower(email) = lower($1)", taken.email).execute(db).await?;
    }
    Ok(taken)
}

/// The password of the sign-up that a link belongs to, hashed, while that waits for it.
pub async fn sign_up_of(db: impl PgExecutor<'_>, hash: &TokenHash) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select password_hash from sign_ups where token_hash = $1 and expires_at > now()", &hash.0[..])
        .fetch_optional(db)
        .await
}

/// Gives the newest sign-up of an address another link. Returns its first name and language.
pub async fn renew_sign_up(
    db: impl PgExecutor<'_>,
    email: &str,
    hash: &TokenHash,
) -> sqlx::Result<Option<(String, Language)>> {
    let renewed = sqlx::query!(
        r#"update sign_ups set token_hash = $2, expires_at = now() + interval '1 day'
          where token_hash = (select token_hash from sign_ups where lower(email) = lower($1) and expires_at > now()
                               order by created_at desc limit 1)
         returning first_name, language as "language: Language""#,
        email,
        &hash.0[..]
    );
    Ok(renewed.fetch_optional(db).await?.map(|row| (row.first_name, row.language)))
}

/// The password hash of the last sign-up with this address.
pub async fn sign_up_password(db: impl PgExecutor<'_>, email: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "select password_hash from sign_ups where lower(email) = lower($1) and expires_at > now()
          order by created_at desc limit 1",
        email
    )
    .fetch_optional(db)
    .await
}

/// Whether this user has signed in from the device before. Records that it was used.
pub async fn use_device(db: impl PgExecutor<'_>, user: Uuid, hash: &TokenHash) -> sqlx::Result<bool> {
    let used = sqlx::query!(
        "update known_devices set used_at = now()
          where token_hash = $1 and user_id = $2 and used_at > now() - interval '180 days'",
        &hash.0[..],
        user
    );
    Ok(used.execute(db).await?.rows_affected() == 1)
}

/// Remembers a device, and forgets all but the ten that were used last.
pub async fn add_device(db: &mut PgConnection, user: Uuid, hash: &TokenHash) -> sqlx::Result<()> {
    sqlx::query!("insert into known_devices (token_hash, user_id) values ($1, $2)", &hash.0[..], user)
        .execute(&mut *db)
        .await?;
    sqlx::query!(
        "delete from known_devices where user_id = $1 and token_hash not in
           (select token_hash from known_devices where user_id = $1 order by used_at desc, token_hash limit 10)",
        user
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn forget_devices(db: impl PgExecutor<'_>, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from known_devices where user_id = $1", user).execute(db).await.map(|_| ())
}

/// A valid session with its user.
#[derive(Debug, Clone)]
pub struct Live {
    pub session: Uuid,
    pub user: Uuid,
    pub tenant: Option<Uuid>,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub language: Option<Language>,
    pub totp_missing: bool,
}

/// A session by its id, if it is valid and its user and tenant are active. `until`: not after this second.
pub async fn live_session(db: impl PgExecutor<'_>, id: Uuid, until: Option<i64>) -> sqlx::Result<Option<Live>> {
    sqlx::query_as!(
        Live,
        r#"select s.id as session, u.id as user, u.tenant_id as tenant, u.email, u.first_name || ' ' || u.last_name as "name!",
                  u.role as "role: Role", coalesce(u.language, t.settings->>'language') as "language: Language",
                  u.totp_required and u.totp_enabled_at is null as "totp_missing!"
             from sessions s join users u on u.id = s.user_id left join tenants t on t.id = u.tenant_id
            where s.id = $1 and s.expires_at > now() and u.status = 'active' and coalesce(t.status, 'active') = 'active'
              and ($2::bigint is null or extract(epoch from now()) < $2)"#,
        id,
        until
    )
    .fetch_optional(db)
    .await
}

/// Those of these sessions that are valid, under the same conditions.
pub async fn standing(db: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Live>> {
    sqlx::query_as!(
        Live,
        r#"select s.id as session, u.id as user, u.tenant_id as tenant, u.email, u.first_name || ' ' || u.last_name as "name!",
                  u.role as "role: Role", coalesce(u.language, t.settings->>'language') as "language: Language",
                  u.totp_required and u.totp_enabled_at is null as "totp_missing!"
             from sessions s join users u on u.id = s.user_id left join tenants t on t.id = u.tenant_id
            where s.id = any ($1) and s.expires_at > now() and u.status = 'active' and coalesce(t.status, 'active') = 'active'"#,
        ids
    )
    .fetch_all(db)
    .await
}

/// A session by its browser's cookie, under the same conditions.
pub async fn live_cookie(db: impl PgExecutor<'_>, hash: &TokenHash) -> sqlx::Result<Option<Live>> {
    sqlx::query_as!(
        Live,
        r#"select s.id as session, u.id as user, u.tenant_id as tenant, u.email, u.first_name || ' ' || u.last_name as "name!",
                  u.role as "role: Role", coalesce(u.language, t.settings->>'language') as "language: Language",
                  u.totp_required and u.totp_enabled_at is null as "totp_missing!"
             from sessions s join users u on u.id = s.user_id left join tenants t on t.id = u.tenant_id
            where s.cookie_hash = $1 and s.expires_at > now() and u.status = 'active'
              and coalesce(t.status, 'active') = 'active'"#,
        &hash.0[..]
    )
    .fetch_optional(db)
    .await
}

/// A sign-in.
pub struct NewSession<'a> {
    pub id: Uuid,
    pub user: Uuid,
    pub cookie: Option<&'a TokenHash>,
    pub source: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    pub expires_at: DateTime<Utc>,
}

pub async fn add_session(db: &mut PgConnection, new: &NewSession<'_>) -> sqlx::Result<()> {
    sqlx::query!("delete from sessions where user_id = $1 and expires_at < now()", new.user).execute(&mut *db).await?;
    sqlx::query!("update users set last_sign_in_at = now() where id = $1", new.user).execute(&mut *db).await?;
    sqlx::query!(
        "insert into sessions (id, user_id, cookie_hash, source, user_agent, expires_at)
         values ($1, $2, $3, $4::text::inet, $5, $6)",
        new.id,
        new.user,
        new.cookie.map(|hash| &hash.0[..]),
        new.source.map(|ip| ip.to_string()),
        new.user_agent,
        new.expires_at
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn end_session(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from sessions where id = $1", id).execute(db).await.map(|_| ())
}

/// Ends all sessions of a user but one.
pub async fn end_sessions(db: impl PgExecutor<'_>, user: Uuid, but: Option<Uuid>) -> sqlx::Result<()> {
    sqlx::query!("delete from sessions where user_id = $1 and id is distinct from $2", user, but)
        .execute(db)
        .await
        .map(|_| ())
}

pub async fn add_refresh_token(db: &mut PgConnection, session: Uuid, hash: &TokenHash) -> sqlx::Result<()> {
    sqlx::query!("insert into refresh_tokens (hash, session_id) values ($1, $2)", &hash.0[..], session)
        .execute(db)
        .await
        .map(|_| ())
}

/// A refresh token that somebody presented.
pub struct Shown {
    pub session_id: Uuid,
    pub user_id: Uuid,
    pub used: bool,
    pub expired: bool,
}

/// Takes a refresh token. Another request with the same token waits here.
pub async fn take_refresh_token(db: &mut PgConnection, hash: &TokenHash) -> sqlx::Result<Option<Shown>> {
    let shown = sqlx::query_as!(
        Shown,
        r#"select r.session_id, s.user_id, r.used_at is not null as "used!", s.expires_at <= now() as "expired!"
             from refresh_tokens r join sessions s on s.id = r.session_id
            where r.hash = $1 for update of r"#,
        &hash.0[..]
    )
    .fetch_optional(&mut *db)
    .await?;
    sqlx::query!("update refresh_tokens set used_at = now() where hash = $1 and used_at is null", &hash.0[..])
        .execute(&mut *db)
        .await?;
    if let Some(shown) = &shown {
        sqlx::query!("update sessions set used_at = now() where id = $1", shown.session_id).execute(db).await?;
    }
    Ok(shown)
}

/// Adds one token per user.
pub async fn add_one_time_tokens(
    db: &mut PgConnection,
    hashes: &[Vec<u8>],
    users: &[Uuid],
    purpose: &str,
    expires_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into one_time_tokens (hash, user_id, purpose, expires_at)
         select t.hash, t.user_id, $3, $4 from unnest($1::bytea[], $2::uuid[]) as t (hash, user_id)",
        hashes,
        users,
        purpose,
        expires_at
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The user of a token that is still valid.
pub async fn peek_one_time_token(
    db: impl PgExecutor<'_>,
    hash: &TokenHash,
    purposes: &[String],
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "select user_id from one_time_tokens where hash = $1 and purpose = any ($2) and expires_at > now()",
        &hash.0[..],
        purposes
    )
    .fetch_optional(db)
    .await
}

/// Uses up a token. Returns its user if it was still valid.
pub async fn use_one_time_token(
    db: &mut PgConnection,
    hash: &TokenHash,
    purposes: &[String],
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "delete from one_time_tokens where hash = $1 and purpose = any ($2) and expires_at > now() returning user_id",
        &hash.0[..],
        purposes
    )
    .fetch_optional(db)
    .await
}

/// Revokes earlier tokens of these users for the same purpose.
pub async fn drop_one_time_tokens(db: &mut PgConnection, users: &[Uuid], purpose: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from one_time_tokens where (user_id = any ($1) and purpose = $2) or expires_at < now()",
        users,
        purpose
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn set_password(db: &mut PgConnection, user: Uuid, hash: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set password_hash = $2, version = version + 1, updated_at = now() where id = $1",
        user,
        hash
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Confirms the address, since the user has read mail sent to it. An invited user becomes active.
pub async fn verify_email(db: &mut PgConnection, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set email_verified_at = coalesce(email_verified_at, now()),
                          status = case status when 'invited' then 'active' else status end, updated_at = now()
          where id = $1",
        user
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub struct SigningKey {
    pub id: Uuid,
    pub sealed: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub retired_at: Option<DateTime<Utc>>,
}

/// The keys that sign or still verify. Rows of older keys stay until the next rotation.
pub async fn signing_keys(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<SigningKey>> {
    sqlx::query_as!(
        SigningKey,
        "select id, sealed, created_at, retired_at from signing_keys
          where retired_at is null or retired_at > now() - interval '1 hour'"
    )
    .fetch_all(db)
    .await
}

/// Adds a key, which signs from now on. Earlier keys verify for another hour, which is longer than their tokens are valid.
pub async fn add_signing_key(pool: &sqlx::PgPool, id: Uuid, sealed: &[u8]) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("delete from signing_keys where retired_at < now() - interval '1 hour'").execute(&mut *tx).await?;
    sqlx::query!("update signing_keys set retired_at = now() where retired_at is null").execute(&mut *tx).await?;
    sqlx::query!("insert into signing_keys (id, sealed) values ($1, $2)", id, sealed).execute(&mut *tx).await?;
    tx.commit().await
}

pub async fn is_tenant(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from tenants where id = $1) as "is!""#, id).fetch_one(db).await
}

/// Whether something was done to a tenant that may be gone.
pub async fn was_tenant(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from audit_log where tenant_id = $1) as "was!""#, id)
        .fetch_one(db)
        .await
}
