//! Agents' status: what they choose ([`set`]), what switches are told of it ([`follow`]), and what is kept of how they were ([`log`]).
//!
//! What was chosen is in the database, and every node reads it four times a second ([`keep`]). How somebody is follows from that and from
//! live state ([`crate::switch::live::agents`]). Commands to a switch are given by the node that holds its link, and only if it differs;
//! what happened is written down by the node that holds the first link of the cluster, so that it is written once.

pub mod api;
pub mod follow;
pub mod keep;
pub mod log;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{
        agent_status::{Cause, Chosen, Status},
        error::{Error, Result},
    },
    node::changes::{Audit, Change},
    switch::live::views,
    text::Code,
};

/// A status to be set.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStatus {
    pub status: Status,
    /// One of the tenant's reasons for this status, which are in its settings.
    pub reason: Option<String>,
}

/// When the time after a call is to end.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWrapUp {
    /// In how many seconds from now it ends, 0 to 3600; 0 ends it at once.
    pub seconds: u16,
}

pub const LONGEST_WRAP_UP: u16 = 3600;

/// An agent's status, and how they are right now.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentStatus {
    pub tenant_id: Uuid,
    pub agent_id: Uuid,
    /// What was chosen.
    pub status: Status,
    /// The reason that was chosen, as the tenant calls it.
    pub reason: Option<String>,
    /// Why they are away if nobody chose it.
    pub cause: Option<Cause>,
    /// Since when; `null` if they never chose.
    pub since: Option<DateTime<Utc>>,
    /// Who chose it, if not they themselves.
    pub set_by: Option<String>,
    /// How they are right now. `null` if no switch is heard, or none of their extensions is in use.
    pub now: Option<views::Agent>,
}

/// How an agent was, from when to when.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentActivity {
    pub id: Uuid,
    /// As in `/v1/live/agents`.
    pub state: String,
    /// The reason that was chosen, as the tenant called it then.
    pub reason: Option<String>,
    /// Why they were away if nobody chose it.
    pub cause: Option<Cause>,
    /// Who chose it, if not they themselves.
    pub set_by: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// `null` for how they are now.
    pub ended_at: Option<DateTime<Utc>>,
    /// How long it lasted, or has lasted until now.
    pub seconds: i64,
}

fn shown(chosen: Option<&Chosen>) -> serde_json::Value {
    serde_json::json!({
        "status": chosen.map(|one| one.status).unwrap_or_default(), "reason": chosen.and_then(|one| one.reason.clone()),
        "cause": chosen.and_then(|one| one.cause),
    })
}

/// Sets the status of an agent. `by`: who does it, if not the agent.
pub async fn set(change: &mut Change, tenant: Uuid, user: Uuid, new: &NewStatus, by: Option<String>) -> Result<Chosen> {
    change.hold(tenant).await?;
    if !store::is_there(change.db(), tenant, user).await? {
        return Err(Error::NotFound("agent"));
    }
    if let Some(reason) = &new.reason {
        let known = store::reasons(change.db(), tenant).await?;
        if !known.iter().any(|one| one.status == new.status && one.name.as_str() == reason) {
            return Err(Error::invalid("reason", Code::NotAStatusReason));
        }
    }
    let before = store::get(change.db(), tenant, user).await?;
    let is_same = |one: &Chosen| one.status == new.status && one.reason == new.reason && one.cause.is_none();
    // The same again is no change, but for whoever never chose or was paused.
    if let Some(before) = before.as_ref().filter(|one| is_same(one) && one.gone_at.is_none()) {
        return Ok(before.clone());
    }
    let after = store::set(change.db(), tenant, user, new, by.as_deref()).await?;
    let resource = format!("agents/{user}/status");
    let (before, after_shown) = (Some(shown(before.as_ref())), Some(shown(Some(&after))));
    change.audit(Audit { tenant: Some(tenant), action: "update", resource, before, after: after_shown }).await?;
    Ok(after)
}

/// Sets when the time after a call ends. `of`: when the call ended, by its switch's clock.
pub async fn set_wrap_up(change: &mut Change, tenant: Uuid, user: Uuid, ended: i64, new: NewWrapUp) -> Result<Chosen> {
    change.hold(tenant).await?;
    if !store::is_there(change.db(), tenant, user).await? {
        return Err(Error::NotFound("agent"));
    }
    store::set_wrap_up(change.db(), tenant, user, ended, i32::from(new.seconds)).await.map_err(Error::from)
}
