//! The platform's templates, and the settings of tenants that were set up from them.

use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{
    store,
    template_store::{self, KeptVersion},
};
use crate::{
    http::labels,
    model::{
        error::{Error, NOT_THERE, Result, same_version},
        language::Language,
        same::is_same,
        settings::{self, Settings, SettingsError, Template},
    },
    node::changes::{Audit, Change},
    text::Code,
};

/// The template that is used if none is named.
pub const DEFAULT_TEMPLATE: &str = "default";

#[must_use]
pub fn wrong_setting(error: SettingsError) -> Error {
    Error::InvalidAt { field: error.field, why: error.why }
}

/// A template by its name: the platform's own, or else a built-in one.
pub async fn of(change: &mut Change, name: &str) -> Result<Template> {
    get(change.db(), name).await?.ok_or_else(|| Error::invalid("template", Code::NamesNoTemplate))
}

pub async fn get(db: impl PgExecutor<'_>, name: &str) -> Result<Option<Template>> {
    match template_store::body(db, name).await? {
        Some(body) => Template::parse(&body).map(Some).map_err(wrong_setting),
        None => Ok(settings::builtin().into_iter().find(|template| template.name.as_str() == name)),
    }
}

/// All templates by name. The platform's own replace built-in ones with the same name.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Template>> {
    let bodies = template_store::bodies(db).await?;
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

/// A version of a template, and when it was saved.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct TemplateVersion {
    pub version: i32,
    pub created_at: chrono::DateTime<chrono::Utc>,
    pub template: Template,
}

/// The versions of the platform's own template, newest first. A built-in template has only the version that it came with.
pub async fn versions(db: impl PgExecutor<'_>, name: &str) -> Result<Vec<TemplateVersion>> {
    let kept = template_store::versions(db, name).await?;
    let read = kept.into_iter().map(|KeptVersion { version, body, created_at }| {
        let template = Template::parse(&body).map_err(wrong_setting)?;
        Ok(TemplateVersion { version, created_at, template })
    });
    read.collect()
}

/// An earlier version of a template.
pub async fn at_version(db: impl PgExecutor<'_>, name: &str, version: i32) -> Result<Option<Template>> {
    if let Some(body) = template_store::body_at(db, name, version).await? {
        return Template::parse(&body).map(Some).map_err(wrong_setting);
    }
    let mut known = settings::builtin().into_iter();
    Ok(known.find(|template| template.name.as_str() == name && template.version == version))
}

/// Saves a template as the next version. `create`: there must be none with this name yet.
pub async fn put(change: &mut Change, mut template: Template, create: bool, if_match: Option<i64>) -> Result<Template> {
    // One after the other, so that the version that is compared is the one that is replaced.
    template_store::alone(change.db(), template.name.as_str()).await?;
    let before = get(change.db(), template.name.as_str()).await?;
    if create && before.is_some() {
        return Err(Error::from(Code::TemplateNameTaken.with("name", template.name.as_str())));
    }
    same_version(if_match, before.as_ref().map_or(NOT_THERE, |before| before.version.into()))?;
    if let Some(external_id) = &template.external_id {
        labels::hold_id(change, "template", external_id).await?;
        let all = list(change.db()).await?;
        let has_it = |other: &&Template| other.external_id.as_ref() == Some(external_id) && other.name != template.name;
        if let Some(other) = all.iter().find(has_it) {
            let why = Code::ExternalIdTaken.with("external_id", external_id);
            return Err(why.with("kind", "template").with("id", other.name.as_str()).into());
        }
    }
    let needs = template.settings.need_features(None);
    needs.map_err(|SettingsError { field, why }| {
        wrong_setting(SettingsError { field: format!("settings.{field}"), why })
    })?;
    let is_own = !template_store::versions(change.db(), template.name.as_str()).await?.is_empty();
    if let Some(before) = before.as_ref().filter(|_| is_own)
        && is_same(before, &Template { version: before.version, ..template.clone() })
    {
        return Ok(before.clone());
    }
    // Higher than those of a deleted template, too: a version always means the same content.
    let highest = template_store::highest_version(change.db(), template.name.as_str()).await?;
    template.version = highest.max(before.as_ref().map_or(0, |before| before.version)) + 1;
    let mut body = serde_json::to_value(&template).unwrap_or_default();
    // A node of the release before knows no labels, and can read templates without any.
    if let Value::Object(members) = &mut body {
        let is_nothing = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        members.retain(|name, value| !(matches!(name.as_str(), "external_id" | "metadata") && is_nothing(value)));
    }
    template_store::put(change.db(), template.name.as_str(), template.version, &body).await?;
    let before = before.and_then(|before| serde_json::to_value(before).ok());
    audit(change, if create { "create" } else { "update" }, template.name.as_str(), before, Some(body)).await?;
    Ok(template)
}

/// Deletes the platform's template. A built-in one with the same name counts again.
pub async fn delete(change: &mut Change, name: &str, if_match: Option<i64>) -> Result<()> {
    template_store::alone(change.db(), name).await?;
    if let Some(before) = get(change.db(), name).await? {
        same_version(if_match, before.version.into())?;
    }
    let before = template_store::delete(change.db(), name).await?;
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

/// A tenant's defaults for people and extensions.
pub struct Usual {
    pub language: Language,
    pub calling: settings::Calling,
    pub voicemail: bool,
}

pub async fn usual(db: impl PgExecutor<'_>, tenant: Uuid) -> Result<Usual> {
    let kept = store::settings(db, tenant).await?;
    let settings = kept.and_then(|(settings, _)| Settings::parse(&settings).ok());
    Ok(settings.map_or_else(
        || Usual { language: Language::default(), calling: settings::Calling::default(), voicemail: true },
        |s| Usual { language: s.language, calling: s.calling, voicemail: s.features.voicemail },
    ))
}

/// The database counts days in the tenant's zone. Its table of zones is not ours, and may be older.
pub async fn known_to_database(change: &mut Change, settings: &Settings) -> Result<()> {
    if store::is_zone(change.db(), settings.time_zone.as_str()).await? {
        return Ok(());
    }
    Err(Error::invalid("time_zone", Code::ZoneNotInDatabase))
}

/// What was spent today is compared with what may be, so both are amounts of one currency.
async fn keeps_currency(change: &mut Change, tenant: Uuid, before: &Value, after: &Settings) -> Result<()> {
    let before = before.get("currency").and_then(Value::as_str).unwrap_or_default();
    if before == after.currency.as_str() || before.is_empty() || !store::has_spent(change.db(), tenant).await? {
        return Ok(());
    }
    Err(Error::invalid("currency", Code::CurrencyInUse.with("currency", before)))
}

/// Reports go to people of the tenant who may see them. Whoever is gone since stays named, and gets none.
async fn mails_to_own_people(change: &mut Change, tenant: Uuid, before: &Value, after: &Settings) -> Result<()> {
    for (at, mail) in after.reports.mails.iter().enumerate() {
        let named = before.pointer("/reports/mails").map(ToString::to_string).unwrap_or_default();
        let new = mail.recipients.iter().copied().filter(|id| !named.contains(&id.to_string())).collect::<Vec<_>>();
        if new.is_empty() {
            continue;
        }
        let known = store::readers(change.db(), tenant, &new).await?;
        if new.iter().any(|id| !known.contains(id)) {
            return Err(Error::InvalidAt {
                field: format!("reports.mails[{at}].recipients"),
                why: Code::NamesNoReader.into(),
            });
        }
    }
    Ok(())
}

/// A tenant's settings before and after a change.
pub struct SettingsChange {
    pub before: Value,
    pub after: Settings,
    pub version: i64,
}

/// Changes a tenant's settings by a merge patch (RFC 7396), which must leave them valid. `onboarding` checks that they agree
/// with what else the tenant has.
pub async fn patch_settings(
    change: &mut Change,
    tenant: Uuid,
    patch: &Value,
    if_match: Option<i64>,
) -> Result<SettingsChange> {
    change.hold(tenant).await?;
    let (before, version) = store::lock_settings(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    same_version(if_match, version)?;
    let after = match Settings::parse(&before) {
        Ok(settings) => settings.patched(patch),
        // Something was saved that is no longer taken: the patch may put it right.
        Err(_) => Settings::parse(&settings::merge_patch(&before, patch)),
    };
    let after = after.map_err(wrong_setting)?;
    let body = serde_json::to_value(&after).unwrap_or_default();
    if body == before {
        return Ok(SettingsChange { before, after, version });
    }
    known_to_database(change, &after).await?;
    keeps_currency(change, tenant, &before, &after).await?;
    mails_to_own_people(change, tenant, &before, &after).await?;
    let version = store::update_settings(change.db(), tenant, &body).await?;
    let resource = format!("tenants/{tenant}/settings");
    let entry =
        Audit { tenant: Some(tenant), action: "update", resource, before: Some(before.clone()), after: Some(body) };
    change.audit(entry).await?;
    Ok(SettingsChange { before, after, version })
}
