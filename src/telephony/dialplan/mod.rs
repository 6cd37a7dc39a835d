//! A tenant's own dialplan entries: rules that are tried before the built-in ones. `routing::entries` defines what they may
//! do. Only platform administrators may write XML entries.

pub mod api;
pub mod limits;
pub mod store;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{
        diff::diff,
        error::{Error, Result, same_version},
        same::is_same,
    },
    node::{
        apart::apart,
        changes::{Audited, Change},
    },
    routing::{entries::EntryBody, gateways, raw},
    telephony::destinations::{self, Source},
    tenancy::tenants,
    text::{Code, DisplayName},
};

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DialplanEntry {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Entries with lower positions are tried first.
    pub position: i32,
    pub name: DisplayName,
    pub enabled: bool,
    #[serde(flatten, serialize_with = "shown")]
    pub body: EntryBody,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// XML is shown as people write it; it is kept as a switch gets it.
fn shown<S: serde::Serializer>(body: &EntryBody, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match body {
        EntryBody::Xml(kept) => EntryBody::Xml(raw::shown(kept)).serialize(serializer),
        EntryBody::Conditions(_) => body.serialize(serializer),
    }
}

/// An entry, with the line-by-line difference if its XML changed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangedEntry {
    #[serde(flatten)]
    pub entry: DialplanEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    #[serde(default)]
    pub position: i32,
    pub name: DisplayName,
    #[serde(default = "yes")]
    pub enabled: bool,
    pub conditions: Option<Vec<crate::routing::entries::Condition>>,
    /// `<extension>` elements for the switch, instead of conditions. Only for platform administrators.
    pub xml: Option<String>,
}

fn yes() -> bool {
    true
}

/// A merge patch. Conditions and XML are replaced as a whole.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryPatch {
    pub position: Option<i32>,
    pub name: Option<DisplayName>,
    pub enabled: Option<bool>,
    pub conditions: Option<Vec<crate::routing::entries::Condition>>,
    pub xml: Option<String>,
}

const MOST_ENTRIES: i64 = 500;

/// `platform`: whether the actor may write XML.
pub async fn create(change: &mut Change, tenant: Uuid, new: NewEntry, platform: bool) -> Result<ChangedEntry> {
    change.hold(tenant).await?;
    // The database keeps no more.
    let now = Utc::now().trunc_subsecs(6);
    let body = match (new.conditions, new.xml) {
        (Some(conditions), None) => EntryBody::Conditions(conditions),
        (conditions, Some(xml)) if conditions.as_ref().is_none_or(Vec::is_empty) => EntryBody::Xml(xml),
        _ => return Err(Error::invalid("conditions", Code::ConditionsOrXml)),
    };
    let body = checked(change, tenant, body, platform).await?;
    if store::count(change.db(), tenant).await? >= MOST_ENTRIES {
        return Err(Error::from(Code::EntriesFull.with("most", MOST_ENTRIES)));
    }
    let entry = DialplanEntry {
        id: Uuid::now_v7(),
        tenant_id: tenant,
        position: new.position,
        name: new.name,
        enabled: new.enabled,
        body,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(change.db(), &entry).await.map_err(no_tenant)?;
    finish(change, None, &entry).await
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: EntryPatch,
    platform: bool,
    if_match: Option<i64>,
) -> Result<ChangedEntry> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    if matches!(before.body, EntryBody::Xml(_)) && !platform {
        return Err(Error::from(Code::XmlNotYoursToChange));
    }
    let mut after = before.clone();
    if let Some(position) = patch.position {
        after.position = position;
    }
    if let Some(name) = patch.name {
        after.name = name;
    }
    if let Some(enabled) = patch.enabled {
        after.enabled = enabled;
    }
    match (patch.conditions.filter(|conditions| patch.xml.is_none() || !conditions.is_empty()), patch.xml) {
        (Some(_), Some(_)) => return Err(Error::invalid("xml", Code::NotWithConditions)),
        (Some(conditions), None) => {
            after.body = checked(change, tenant, EntryBody::Conditions(conditions), platform).await?;
        }
        (None, Some(xml)) => after.body = checked(change, tenant, EntryBody::Xml(xml), platform).await?,
        (None, None) => {}
    }
    if is_same(&before, &after) {
        return Ok(ChangedEntry { entry: before, diff: None });
    }
    store::update(change.db(), &after).await?;
    finish(change, Some(&before), &after).await
}

pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, platform: bool, if_match: Option<i64>) -> Result<()> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    if matches!(before.body, EntryBody::Xml(_)) && !platform {
        return Err(Error::from(Code::XmlNotYoursToDelete));
    }
    destinations::store::set_refs(change.db(), tenant, "entry", id, &[]).await?;
    store::delete(change.db(), tenant, id).await?;
    change.audit_of("delete", Some(&before), None).await
}

async fn finish(change: &mut Change, before: Option<&DialplanEntry>, entry: &DialplanEntry) -> Result<ChangedEntry> {
    let targets = entry.body.targets().into_iter().collect::<Vec<_>>();
    destinations::lead(change, entry.tenant_id, Source::Entry(entry.id), &targets, &[]).await?;
    let had = before.into_iter().flat_map(|before| before.body.dials());
    destinations::none_rests(change, entry.tenant_id, had, entry.body.dials()).await?;
    if before.is_none_or(|before| limits::is_more(before, entry)) {
        limits::entries_fit(change, entry.tenant_id, &entry.body).await?;
    }
    let after = store::get(change.db(), entry.tenant_id, entry.id).await?.ok_or(Error::NotFound("entry"))?;
    change.audit_of(if before.is_some() { "update" } else { "create" }, before, Some(&after)).await?;
    let diff = if let EntryBody::Xml(new) = after.body.clone() {
        let old = match before.map(|before| &before.body) {
            Some(EntryBody::Xml(old)) => old.clone(),
            _ => String::new(),
        };
        Some(apart(move || diff(&raw::shown(&old), &raw::shown(&new))).await?)
    } else {
        None
    };
    Ok(ChangedEntry { entry: after, diff })
}

/// The body as it is kept. Patterns are compiled and XML is parsed on threads that serve nobody else.
async fn checked(change: &mut Change, tenant: Uuid, body: EntryBody, platform: bool) -> Result<EntryBody> {
    match body {
        EntryBody::Xml(_) if !platform => Err(Error::from(Code::XmlNotYours)),
        EntryBody::Xml(text) => {
            let home = tenants::store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
            let is_sandbox = home.sandbox;
            let kept = apart(move || raw::canonical(&text, &home.domain)).await?;
            let kept = kept.map_err(|error| Error::invalid("xml", Code::XmlRefused.because(error)))?;
            // It would be tried before everything that keeps a sandbox's calls inside.
            if is_sandbox && gateways::dials_outside(&kept) {
                return Err(Error::invalid("xml", Code::GatewayInSandbox));
            }
            Ok(EntryBody::Xml(kept))
        }
        conditions @ EntryBody::Conditions(_) => apart(move || conditions.check().map(|()| conditions)).await?,
    }
}

async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<DialplanEntry> {
    let entry = store::lock(change.db(), tenant, id).await?.ok_or(Error::NotFound("entry"))?;
    same_version(if_match, entry.version)?;
    Ok(entry)
}

fn no_tenant(error: sqlx::Error) -> Error {
    let error = Error::from(error);
    match error.violated() {
        Some((constraint, _)) if constraint.ends_with("tenant_id_fkey") => Error::NotFound("tenant"),
        _ => error,
    }
}

impl Audited for DialplanEntry {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("dialplan-entries/{}", self.id)
    }
}

/// What trying an entry costs a call. Its patterns have been checked.
pub fn cost(body: &EntryBody) -> i32 {
    body.cost().and_then(|cost| i32::try_from(cost).ok()).unwrap_or(i32::MAX)
}
