//! Recordings of calls: they come from switches, are sealed and kept, heard, held and deleted.
//!
//! `arrival` takes them from switches; `name` and `wav` say what a file is. `sealed` is how contents are sealed, `sealing` does it while they come,
//! and `vault` is where they are kept, in a folder or in a `bucket`. `sound`, `range` and `api` let people hear them, `links` without signing in. `work` is what a node does by itself.

pub mod api;
pub mod arrival;
pub mod bucket;
mod links;
pub mod name;
mod range;
pub mod sealed;
pub mod sealing;
pub mod sound;
pub mod store;
pub mod vault;
pub mod wav;
pub mod work;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::{sealed::Whose, vault::Store, wav::Silence};
use crate::{
    model::{
        error::{Error, Result, same_version},
        patch::patch,
        settings::Words,
    },
    node::{
        changes::{Audit, Audited, Change},
        clock_store,
    },
    text::Code,
};

/// A recording of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CallRecording)]
pub struct Recording {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// The call that it is of; absent until the call's records have come.
    pub call_id: Option<Uuid>,
    /// The leg that was recorded, as its UUID on the switch.
    pub leg: Uuid,
    /// The name of its file on the switch.
    pub file: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// How long it is.
    pub duration_ms: i64,
    /// With two, whoever was recorded is on the left and the others are on the right.
    pub channels: i32,
    /// Samples a second.
    pub sample_rate: i32,
    /// Stretches of two seconds or more in which nothing at all was recorded, such as while the recording was paused.
    pub silences: Vec<Silence>,
    /// The size of its file.
    pub bytes: i64,
    /// Of its file, in hexadecimal digits.
    pub sha256: String,
    /// Why it must not be deleted; absent if it may be.
    pub legal_hold: Option<String>,
    /// Since when it must not be deleted.
    pub held_since: Option<DateTime<Utc>>,
    pub version: i64,
    /// When it came from the switch.
    pub stored_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Audited for Recording {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("recordings/{}", self.id)
    }

    fn shown(&self) -> serde_json::Value {
        serde_json::json!({ "call_id": self.call_id, "began_at": self.began_at, "sha256": self.sha256, "legal_hold": self.legal_hold })
    }
}

/// A merge patch: absent fields stay as they are, and `null` empties a field.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordingPatch {
    /// Why it must not be deleted, neither by people nor when its time is over. `null` ends that.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Words>)]
    pub legal_hold: Option<Option<Words>>,
}

/// Which recordings are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub call: Option<Uuid>,
    /// Somebody who was on the call.
    pub agent: Option<Uuid>,
    /// Who asks, if they hear nothing else than their own calls.
    pub only: Option<Uuid>,
    /// The facet of calls on which they may not know `agent`.
    pub unknown: Option<i64>,
    pub held: Option<bool>,
    pub least_ms: Option<i64>,
    pub below_ms: Option<i64>,
}

/// A recording's content in the store.
#[derive(Debug, Clone)]
pub struct Content {
    pub whose: Whose,
    pub store: Store,
    /// Sealed.
    pub key: Vec<u8>,
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
    pub began_at: DateTime<Utc>,
}

/// Places or ends a legal hold.
pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: RecordingPatch,
    if_match: Option<i64>,
) -> Result<Recording> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    let Some(hold) = patch.legal_hold.map(|hold| hold.map(|why| why.to_string())) else { return Ok(before) };
    if hold == before.legal_hold {
        return Ok(before);
    }
    let mut after = before.clone();
    after.held_since = match (&hold, before.held_since) {
        (None, _) => None,
        (Some(_), Some(since)) => Some(since),
        (Some(_), None) => Some(clock_store::now(change.db()).await?),
    };
    after.legal_hold = hold;
    store::hold(change.db(), &after).await?;
    let after = store::get(change.db(), tenant, id, None, false).await?.ok_or(Error::NotFound("recording"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Deletes a recording, unless it is held.
pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    if let Some(why) = &before.legal_hold {
        return Err(Error::from(Code::RecordingHeld.with("reason", why)));
    }
    store::delete(change.db(), tenant, id).await?;
    change.audit_of("delete", Some(&before), None).await
}

async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Recording> {
    let recording = store::get(change.db(), tenant, id, None, true).await?.ok_or(Error::NotFound("recording"))?;
    same_version(if_match, recording.version)?;
    Ok(recording)
}

/// The entry of the audit log for somebody who heard a recording, or let others hear it.
#[must_use]
pub fn heard(tenant: Uuid, id: Uuid, action: &str, more: Option<serde_json::Value>) -> Audit<'_> {
    Audit { tenant: Some(tenant), action, resource: format!("recordings/{id}"), before: None, after: more }
}
