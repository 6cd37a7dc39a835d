//! What people write about a call: notes, tags, its disposition, and which contact it was with.
//!
//! While a call is up, it has no record. What is written about it then is kept under the id that live state gives it, which is one of its
//! channels. When the record of any of its legs has come, whichever node got it, the worker hands it on to the call that has this channel, in the
//! transaction that makes the call: nobody sees the one without the other.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Call, WrittenCall, facets, fold_store, store, written_store};
use crate::{
    model::{
        error::{Error, Result, same_version},
        patch::patch,
        same::is_same,
        settings::Words,
    },
    node::changes::Change,
    telephony::reports::roll_store,
    text::Code,
};

/// A merge patch: absent fields stay as they are, and `null` empties a field.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallPatch {
    /// At most 10,000 characters.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>)]
    pub notes: Option<Option<String>>,
    /// At most 20.
    pub tags: Option<Vec<Words>>,
    /// One of the tenant's `dispositions`.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>)]
    pub disposition: Option<Option<String>>,
    /// One of the tenant's contacts. A contact that is deleted leaves its calls.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Uuid>)]
    pub contact_id: Option<Option<Uuid>>,
}

const MOST_TAGS: usize = 20;
const LONGEST_NOTES: usize = 10_000;

/// What a patch makes of what was written.
async fn patched(db: &mut PgConnection, before: &WrittenCall, patch: CallPatch) -> Result<WrittenCall> {
    let (mut after, tenant) = (before.clone(), before.tenant_id);
    if let Some(notes) = patch.notes {
        let notes = notes.filter(|notes| !notes.trim().is_empty());
        if notes.as_ref().is_some_and(|notes| notes.chars().count() > LONGEST_NOTES || notes.contains('\0')) {
            return Err(Error::invalid("notes", Code::range(0, LONGEST_NOTES)));
        }
        after.notes = notes;
    }
    if let Some(mut tags) = patch.tags.map(|tags| tags.iter().map(ToString::to_string).collect::<Vec<_>>()) {
        tags.sort();
        tags.dedup();
        if tags.len() > MOST_TAGS {
            return Err(Error::invalid("tags", Code::range(0, MOST_TAGS)));
        }
        after.tags = tags;
    }
    if let Some(disposition) = patch.disposition {
        let known = store::dispositions(&mut *db, tenant).await?;
        if disposition.as_ref().is_some_and(|one| !known.contains(one)) {
            return Err(Error::invalid("disposition", Code::NotADisposition));
        }
        after.disposition = disposition;
    }
    if let Some(contact) = patch.contact_id {
        if let Some(contact) = contact
            && !written_store::is_contact(&mut *db, tenant, contact).await?
        {
            return Err(Error::invalid("contact_id", Code::NotAContact));
        }
        after.contact_id = contact;
    }
    Ok(after)
}

/// A call after a change: its record, or what is kept for that.
pub enum Updated {
    Record(Box<Call>),
    Kept(WrittenCall),
}

/// A call that somebody writes about.
pub struct About {
    pub tenant: Uuid,
    /// As it was named, and the call that has a channel of this name.
    pub ids: (Uuid, Option<Uuid>),
    /// The agent whose calls these must be.
    pub only: Option<Uuid>,
    /// Whose phones are in it, if it is up and whoever asks may act on it; why it is not known to be so.
    pub up: Result<Vec<Uuid>>,
}

/// Changes what people wrote about a call.
pub async fn update(change: &mut Change, about: About, patch: CallPatch, if_match: Option<i64>) -> Result<Updated> {
    let About { tenant, ids: (named, other), only, up } = about;
    change.hold(tenant).await?;
    let mut found = store::get(change.db(), tenant, named, only, true).await?;
    if found.is_none()
        && let Some(other) = other
    {
        found = store::get(change.db(), tenant, other, only, true).await?;
    }
    if let Some((mut before, _)) = found {
        same_version(if_match, before.version)?;
        // What was written at the very moment when its record came.
        let waiting = written_store::take(change.db(), tenant, &[named, before.id]).await?;
        let is_joined = !waiting.is_empty();
        let was = before.clone();
        join(&mut before, waiting);
        let after = before.with(patched(change.db(), &before.written(), patch).await?);
        if !is_joined && is_same(&was, &after) {
            return Ok(Updated::Record(Box::new(was)));
        }
        let after = write(change.db(), &was, &after).await?.ok_or(Error::NotFound("call"))?;
        change.audit_of("update", Some(&was), Some(&after)).await?;
        return Ok(Updated::Record(Box::new(after)));
    }
    let kept = written_store::get(change.db(), tenant, named, true).await?;
    let is_own = |agents: &[Uuid]| only.is_none_or(|person| agents.contains(&person));
    let (before, agents) = match (kept, up) {
        (Some((before, mut agents)), up) => {
            agents.extend(up.unwrap_or_default());
            (Some(before), agents)
        }
        (None, Ok(agents)) => (None, agents),
        (None, Err(error)) => return Err(error),
    };
    if !is_own(&agents) {
        return Err(Error::NotFound("call"));
    }
    same_version(if_match, before.as_ref().map_or(0, |before| before.version))?;
    let was = before.clone().unwrap_or_else(|| WrittenCall::nothing(tenant, named));
    let mut after = patched(change.db(), &was, patch).await?;
    if is_same(&was, &after) {
        return Ok(Updated::Kept(was));
    }
    (after.version, after.updated_at) = (was.version + 1, Utc::now());
    written_store::put(change.db(), &after, &agents).await?;
    change.audit_of("update", before.as_ref(), Some(&after)).await?;
    Ok(Updated::Kept(after))
}

impl Call {
    fn written(&self) -> WrittenCall {
        WrittenCall {
            id: self.id,
            tenant_id: self.tenant_id,
            notes: self.notes.clone(),
            tags: self.tags.clone(),
            disposition: self.disposition.clone(),
            contact_id: self.contact_id,
            version: self.version,
            updated_at: self.updated_at,
        }
    }

    fn with(&self, written: WrittenCall) -> Self {
        let WrittenCall { notes, tags, disposition, contact_id, .. } = written;
        Self { notes, tags, disposition, contact_id, ..self.clone() }
    }
}

/// Adds to a call what was written before its record came. Nothing of either is lost.
fn join(call: &mut Call, waiting: Vec<WrittenCall>) {
    for written in waiting {
        let notes = [call.notes.take(), written.notes].into_iter().flatten().collect::<Vec<_>>();
        call.notes = Some(notes.join("\n\n")).filter(|notes| !notes.is_empty());
        call.tags = call.tags.drain(..).chain(written.tags).collect::<BTreeSet<_>>().into_iter().collect();
        call.disposition = call.disposition.take().or(written.disposition);
        call.contact_id = call.contact_id.or(written.contact_id);
        // A version that somebody has read is never that of something else.
        call.version = call.version.max(written.version);
    }
}

async fn write(db: &mut PgConnection, before: &Call, after: &Call) -> sqlx::Result<Option<Call>> {
    let (was, is) = (facets::of_call(before), facets::of_call(after));
    let after = store::write(&mut *db, after, &was, &is).await?;
    if let Some(after) = after.as_ref().filter(|after| before.disposition != after.disposition) {
        let slots = roll_store::slots(after.started_at, after.started_at);
        roll_store::mark(db, &slots.into_iter().map(|slot| (after.tenant_id, slot)).collect::<Vec<_>>()).await?;
    }
    Ok(after)
}

/// Hands what was written about calls on to their records, as far as they have come. Returns how many calls there were.
pub async fn hand_on(db: &mut PgConnection) -> sqlx::Result<usize> {
    let mut calls = BTreeMap::<(Uuid, Uuid), Vec<Uuid>>::new();
    for (tenant, call, name) in written_store::due(db).await? {
        calls.entry((tenant, call)).or_default().push(name);
    }
    let tenants = calls.keys().map(|(tenant, _)| *tenant).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    // Whoever deletes a tenant locks it first, too.
    let there = if tenants.is_empty() { tenants } else { fold_store::tenants(db, &tenants).await? };
    let mut handed = 0;
    for ((tenant, id), names) in calls.into_iter().filter(|((tenant, _), _)| there.contains(tenant)) {
        let Some((before, _)) = store::get(db, tenant, id, None, true).await? else { continue };
        let waiting = written_store::take(db, tenant, &names).await?;
        let mut after = before.clone();
        join(&mut after, waiting);
        write(db, &before, &after).await?;
        handed += 1;
    }
    Ok(handed)
}
