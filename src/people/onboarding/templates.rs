//! Templates as the platform keeps them, and the SQL of what a tenant begins with.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Channel, Integration, NumberRequest};
use crate::{
    model::{
        error::{Error, Result},
        language::Language,
        settings::{self, Settings, SettingsError, Template},
    },
    node::changes::{Audit, Change},
    telephony::{destinations, dialplan::limits, pools},
};

/// What a tenant is set up from when nothing else is said.
pub const DEFAULT_TEMPLATE: &str = "default";

#[must_use]
pub fn wrong_setting(error: SettingsError) -> Error {
    Error::InvalidAt { field: error.field, message: error.message }
}

/// A template by its name: the platform's own, or one that is built in.
pub async fn of(change: &mut Change, name: &str) -> Result<Template> {
    get(change.db(), name).await?.ok_or_else(|| Error::invalid("template", "names no template"))
}

pub async fn get(db: impl PgExecutor<'_>, name: &str) -> Result<Option<Template>> {
    let kept =
        sqlx::query_scalar!("select body from tenant_templates where name = $1", name).fetch_optional(db).await?;
    match kept {
        Some(body) => Template::parse(&body).map(Some).map_err(wrong_setting),
        None => Ok(settings::builtin().into_iter().find(|template| template.name.as_str() == name)),
    }
}

/// All templates by name; one of the platform's takes the place of the built-in one of its name.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Template>> {
    let bodies = sqlx::query_scalar!("select body from tenant_templates order by name").fetch_all(db).await?;
    let mut templates =
        bodies.iter().map(|body| Template::parse(body).map_err(wrong_setting)).collect::<Result<Vec<_>>>()?;
    for template in settings::builtin() {
        if !templates.iter().any(|known| known.name == template.name) {
            templates.push(template);
        }
    }
    templates.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    Ok(templates)
}

/// A version of a template that there was, and when it came.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct TemplateVersion {
    pub version: i32,
    pub created_at: chrono::DateTime<chrono::Utc>,
    pub template: Template,
}

/// The versions of the platform's own template, the newest first. A built-in one has the version it came with, and no others.
pub async fn versions(db: impl PgExecutor<'_>, name: &str) -> Result<Vec<TemplateVersion>> {
    let rows = sqlx::query!(
        "select version, body, created_at from tenant_template_versions where name = $1 order by version desc",
        name
    )
    .fetch_all(db)
    .await?;
    let read = rows.into_iter().map(|row| {
        let template = Template::parse(&row.body).map_err(wrong_setting)?;
        Ok(TemplateVersion { version: row.version, created_at: row.created_at, template })
    });
    read.collect()
}

/// A template as it was.
pub async fn at_version(db: impl PgExecutor<'_>, name: &str, version: i32) -> Result<Option<Template>> {
    let body = sqlx::query_scalar!(
        "select body from tenant_template_versions where name = $1 and version = $2",
        name,
        version
    )
    .fetch_optional(db)
    .await?;
    if let Some(body) = body {
        return Template::parse(&body).map(Some).map_err(wrong_setting);
    }
    let mut known = settings::builtin().into_iter();
    Ok(known.find(|template| template.name.as_str() == name && template.version == version))
}

/// Keeps a template; its version rises by itself. `create`: there must be none of its name.
pub async fn put(change: &mut Change, mut template: Template, create: bool) -> Result<Template> {
    let before = get(change.db(), template.name.as_str()).await?;
    if create && before.is_some() {
        return Err(Error::Conflict(format!("A template named {} exists already.", template.name.as_str())));
    }
    // Also above those of one that was deleted: a version means one body for ever.
    let highest = sqlx::query_scalar!(
        r#"select coalesce(max(version), 0) as "version!" from tenant_template_versions where name = $1"#,
        template.name.as_str()
    )
    .fetch_one(change.db())
    .await?;
    template.version = highest.max(before.as_ref().map_or(0, |before| before.version)) + 1;
    let body = serde_json::to_value(&template).unwrap_or_default();
    sqlx::query!(
        "insert into tenant_templates (name, version, body) values ($1, $2, $3)
         on conflict (name) do update set version = excluded.version, body = excluded.body, updated_at = now()",
        template.name.as_str(),
        template.version,
        body
    )
    .execute(change.db())
    .await?;
    let before = before.and_then(|before| serde_json::to_value(before).ok());
    audit(change, if create { "create" } else { "update" }, template.name.as_str(), before, Some(body)).await?;
    Ok(template)
}

/// Forgets the platform's template; a built-in one of its name is back in force.
pub async fn delete(change: &mut Change, name: &str) -> Result<()> {
    let before = sqlx::query_scalar!("delete from tenant_templates where name = $1 returning body", name)
        .fetch_optional(change.db())
        .await?;
    let before = before.ok_or(Error::NotFound("template of the platform's own"))?;
    audit(change, "delete", name, Some(before), None).await
}

async fn audit(
    change: &mut Change,
    action: &str,
    name: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    change.audit(Audit { tenant: None, action, resource: format!("templates/{name}"), before, after }).await
}

/// The tenant's number, counted from one.
pub async fn ordinal(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!("select ordinal from tenants where id = $1", tenant).fetch_one(db).await
}

#[must_use]
pub fn pool_size(settings: &Value) -> i64 {
    settings.pointer("/calling/pool_size").and_then(Value::as_i64).unwrap_or(pools::DEFAULT_SIZE)
}

pub async fn insert_number_request(
    db: &mut PgConnection,
    tenant: Uuid,
    request: &NumberRequest,
    sealed: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into number_requests (tenant_id, id, country, sip_username, sip_secret) values ($1, $2, $3, $4, $5)",
        tenant,
        request.id,
        request.country,
        request.sip_username,
        sealed
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Makes the channels and integrations that the settings name, inactive.
pub async fn insert_inactive(
    db: &mut PgConnection,
    tenant: Uuid,
    settings: &Value,
) -> sqlx::Result<(Vec<Channel>, Vec<Integration>)> {
    let of_messaging = settings.pointer("/messaging/channels").and_then(Value::as_array).cloned().unwrap_or_default();
    let kinds = std::iter::once("voice".to_owned())
        .chain(of_messaging.iter().filter_map(|kind| kind.as_str().map(ToOwned::to_owned)));
    let mut channels = Vec::new();
    for kind in kinds {
        let channel = sqlx::query_as!(
            Channel,
            "insert into channels (tenant_id, id, kind) values ($1, $2, $3) returning id, kind, status, config",
            tenant,
            Uuid::now_v7(),
            kind
        );
        channels.push(channel.fetch_one(&mut *db).await?);
    }
    let mut integrations = Vec::new();
    for named in settings.get("integrations").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| named.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let integration = sqlx::query_as!(
            Integration,
            "insert into integrations (tenant_id, id, kind, name, config) values ($1, $2, $3, $4, $5)
             returning id, kind, name, status, config",
            tenant,
            Uuid::now_v7(),
            text("kind"),
            text("name"),
            named.get("config").cloned().unwrap_or_else(|| serde_json::json!({}))
        );
        integrations.push(integration.fetch_one(&mut *db).await?);
    }
    Ok((channels, integrations))
}

pub async fn number_requests(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<NumberRequest>> {
    sqlx::query_as!(
        NumberRequest,
        r#"select id, country, status, sip_username, null::text as sip_password, created_at
             from number_requests where tenant_id = $1 order by id"#,
        tenant
    )
    .fetch_all(db)
    .await
}

pub async fn channels(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<Channel>> {
    sqlx::query_as!(Channel, "select id, kind, status, config from channels where tenant_id = $1 order by id", tenant)
        .fetch_all(db)
        .await
}

pub async fn integrations(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<Integration>> {
    sqlx::query_as!(
        Integration,
        "select id, kind, name, status, config from integrations where tenant_id = $1 order by id",
        tenant
    )
    .fetch_all(db)
    .await
}

/// What a tenant is set up with.
pub async fn settings_of(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<(Value, i64)>> {
    let row = sqlx::query!("select settings, version from tenants where id = $1", tenant).fetch_optional(db).await?;
    Ok(row.map(|row| (row.settings, row.version)))
}

/// What is usual at a tenant, where nothing else is said of a person or an extension.
pub struct Usual {
    pub language: Language,
    pub calling: settings::Calling,
    pub voicemail: bool,
}

pub async fn usual(db: impl PgExecutor<'_>, tenant: Uuid) -> Result<Usual> {
    let kept = settings_of(db, tenant).await?;
    let settings = kept.and_then(|(settings, _)| Settings::parse(&settings).ok());
    Ok(settings.map_or_else(
        || Usual { language: Language::default(), calling: settings::Calling::default(), voicemail: true },
        |s| Usual { language: s.language, calling: s.calling, voicemail: s.features.voicemail },
    ))
}

/// Changes a tenant's settings by a merge patch (RFC 7396), which must leave them valid.
pub async fn patch_settings(
    change: &mut Change,
    tenant: Uuid,
    patch: &Value,
    if_match: Option<i64>,
) -> Result<(Settings, i64)> {
    let row = sqlx::query!("select settings, version from tenants where id = $1 for update", tenant)
        .fetch_optional(change.db())
        .await?
        .ok_or(Error::NotFound("tenant"))?;
    if if_match.is_some_and(|version| version != row.version) {
        return Err(Error::Changed(row.version));
    }
    let before = Settings::parse(&row.settings).map_err(wrong_setting)?;
    let after = before.patched(patch).map_err(wrong_setting)?;
    let body = serde_json::to_value(&after).unwrap_or_default();
    let version = sqlx::query_scalar!(
        "update tenants set settings = $2, version = version + 1, updated_at = now() where id = $1 returning version",
        tenant,
        body
    )
    .fetch_one(change.db())
    .await?;
    destinations::none_reserved(change, tenant).await?;
    if limits::is_longer(&row.settings, &body) {
        limits::plan_fits(change, tenant, "settings").await?;
    }
    let resource = format!("tenants/{tenant}/settings");
    let entry =
        Audit { tenant: Some(tenant), action: "update", resource, before: Some(row.settings), after: Some(body) };
    change.audit(entry).await?;
    Ok((after, version))
}
