//! Calling people back who pressed a key in a queue instead of waiting.
//!
//! A wish is kept by the fetch that follows the key (`switch::fetch::fill`), with the place that the caller had. The node that holds the link to
//! the switch has a leg without a phone wait in the queue for them ([`keep`]), which comes in as somebody who has waited as long. So the switch itself
//! decides whose turn it is, and whose phone rings: with the queue's strategy and levels, and among those who wait by phone. When an agent has
//! answered, their phone calls whoever waited, through the same routing and admission as if its keys had been pressed. Which wishes have such a leg is
//! a pure function ([`turns`]).

pub mod api;
pub mod keep;
pub mod store;
pub mod turns;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::error::{Error, Result},
    node::changes::{Audit, Change},
    text::Code,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CallBackState {
    /// It is not their turn, or the next attempt comes later.
    Waiting,
    /// An agent's phone calls them.
    Calling,
    /// They were reached.
    Done,
    /// They were not reached, as often as the queue tries or for as long as it keeps wishes.
    Failed,
    /// Somebody does not want them to be called any more.
    Cancelled,
}

/// A caller who wants to be called back instead of waiting in a queue.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CallBackWish {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// The queue.
    pub queue_id: Uuid,
    /// The number that is called.
    pub number: String,
    /// How far it is.
    pub state: CallBackState,
    /// Since when they waited. Others who came later are not served before, unless they have priority.
    pub waiting_since: DateTime<Utc>,
    /// How often they were called.
    pub attempts: i16,
    /// Before this time they are not called.
    pub next_at: Option<DateTime<Utc>>,
    /// The call of the last attempt, as `/v1/calls` has it.
    pub call_id: Option<Uuid>,
    /// The extension whose phone called them.
    pub extension_id: Option<Uuid>,
    /// Why the last attempt reached nobody, as the switch names it, or `EXPIRED`.
    pub cause: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it was reached, given up or cancelled.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What a caller wants who pressed the key.
#[derive(Debug, Clone, Copy)]
pub struct NewWish<'a> {
    pub tenant: Uuid,
    pub queue: Uuid,
    pub number: &'a str,
    /// Since when they waited, in seconds since 1970, and by how many seconds they came before others.
    pub joined: Option<i64>,
    pub ahead: u16,
    pub switch: Option<Uuid>,
    pub keep_hours: u8,
}

/// Cancels a wish that nobody is called for at this moment.
pub async fn cancel(change: &mut Change, tenant: Uuid, id: Uuid) -> Result<CallBackWish> {
    change.hold(tenant).await?;
    let before = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("call-back"))?;
    if !store::cancel(change.db(), tenant, id).await? {
        return Err(match before.state {
            CallBackState::Calling => Code::CallBackUnderWay,
            _ => Code::CallBackOver,
        }
        .into());
    }
    let after = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("call-back"))?;
    let json = |wish: &CallBackWish| serde_json::json!({ "state": wish.state, "number": wish.number });
    let (resource, before) = (format!("call-backs/{id}"), Some(json(&before)));
    change.audit(Audit { tenant: Some(tenant), action: "update", resource, before, after: Some(json(&after)) }).await?;
    Ok(after)
}
