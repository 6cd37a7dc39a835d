//! The SQL of templates.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

pub async fn body(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!("select body from tenant_templates where name = $1", name).fetch_optional(db).await
}

/// All of the platform's own templates, by name.
pub async fn bodies(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar!("select body from tenant_templates order by name").fetch_all(db).await
}

/// A version of a template.
pub struct KeptVersion {
    pub version: i32,
    pub body: Value,
    pub created_at: DateTime<Utc>,
}

/// The versions of a template, newest first.
pub async fn versions(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Vec<KeptVersion>> {
    sqlx::query_as!(
        KeptVersion,
        "select version, body, created_at from tenant_template_versions where name = $1 order by version desc",
        name
    )
    .fetch_all(db)
    .await
}

pub async fn body_at(db: impl PgExecutor<'_>, name: &str, version: i32) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!("select body from tenant_template_versions where name = $1 and version = $2", name, version)
        .fetch_optional(db)
        .await
}

/// The highest version that this name ever had, deleted templates included; 0 for none.
pub async fn highest_version(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        r#"select coalesce(max(version), 0) as "version!" from tenant_template_versions where name = $1"#,
        name
    )
    .fetch_one(db)
    .await
}

/// Makes others wait who change the template of this name, until the transaction ends.
pub async fn alone(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('template ' || $1::text, 0)) as held", name)
        .fetch_one(db)
        .await
        .map(|_| ())
}

/// Saves a template, replacing the one with the same name.
pub async fn put(db: &mut PgConnection, name: &str, version: i32, body: &Value) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into tenant_templates (name, version, body) values ($1, $2, $3)
         on conflict (name) do update set version = excluded.version, body = excluded.body, updated_at = now()",
        name,
        version,
        body
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Deletes a template and returns it; `None` if there is none with this name.
pub async fn delete(db: &mut PgConnection, name: &str) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!("delete from tenant_templates where name = $1 returning body", name).fetch_optional(db).await
}
