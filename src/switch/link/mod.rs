//! The event sockets of switches: what a switch knows and no fetch tells, and what it reads only when it is told to.
//!
//! Each switch is visited every few seconds by whichever node comes first ([`visit`]): it says how its gateways are ([`gateways`])
//! and which queues it has ([`callcenter`]), and gets what it lacks ([`pushes`]) of what it should have ([`wanted`]). Who lost the
//! right to be there leaves it first ([`expulsions`]).
//!
//! The client is `freeswitch-esl-tokio`, a young crate: nothing outside [`socket`] knows it.

pub mod api;
pub mod callcenter;
pub mod expulsions;
pub mod gateways;
pub mod pushes;
pub mod socket;
pub mod store;
pub mod visit;
pub mod wanted;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::error::{Error, Result},
    node::changes::{Audit, Change},
    tenancy::switches,
    text::{EventSocketPassword, Host, keyring::Place},
};

/// How to reach a switch's event socket.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEventSocket {
    /// Host and port, 8021 when there is none; as a node sees it.
    pub address: Host,
    /// `password` of its event_socket.conf. It is never shown again.
    pub password: EventSocketPassword,
}

/// A switch's event socket, and what came of asking it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EventSocket {
    pub address: String,
    pub asked_at: Option<DateTime<Utc>>,
    pub answered_at: Option<DateTime<Utc>>,
    /// Why the last question was not answered.
    pub error: Option<String>,
    /// When the switch started, as it says itself.
    pub booted_at: Option<DateTime<Utc>>,
    /// How much of gateways, addresses and queues it was still to be given when it was last visited.
    pub pending: i32,
}

/// A gateway, the addresses or a queue, and whether a switch was given it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Push {
    /// `gateway/ID` of a carrier, `acl`, `queue/ID.DOMAIN`
    pub thing: String,
    /// When the switch got it as it is now, or was seen to have it.
    pub given_at: Option<DateTime<Utc>>,
    /// What the switch said instead of taking it.
    pub error: Option<String>,
}

/// A gateway to a carrier, as a switch sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct GatewayState {
    pub carrier_id: Uuid,
    pub switch_id: Uuid,
    pub switch: String,
    /// The switch sends calls over it.
    pub up: bool,
    /// `REGED`, `NOREG`, `FAIL_WAIT`, `TIMEOUT` … (`sofia_state_names` in mod_sofia.c).
    pub state: String,
    pub seen_at: DateTime<Utc>,
}

/// The place of an event socket's password in the keyring's eyes.
#[must_use]
pub fn place(switch: Uuid) -> Place {
    Place { column: "event_socket_password", tenant: Uuid::nil(), row: switch }
}

/// Sets how a switch is reached; it is asked within seconds.
pub async fn put(change: &mut Change, switch: Uuid, new: &NewEventSocket) -> Result<EventSocket> {
    switches::store::lock(change.db(), switch).await?.ok_or(Error::NotFound("switch"))?;
    let before = store::get(change.db(), switch).await?;
    let sealed = change.keyring().seal(place(switch), new.password.reveal());
    store::put(change.db(), switch, new.address.as_str(), &sealed).await?;
    let after = store::get(change.db(), switch).await?.ok_or(Error::NotFound("event socket"))?;
    audit(change, switch, if before.is_some() { "update" } else { "create" }, before.as_ref(), Some(&after)).await?;
    Ok(after)
}

/// Forgets how a switch is reached, and what it said.
pub async fn delete(change: &mut Change, switch: Uuid) -> Result<()> {
    let before = store::get(change.db(), switch).await?.ok_or(Error::NotFound("event socket"))?;
    store::delete(change.db(), switch).await?;
    audit(change, switch, "delete", Some(&before), None).await
}

async fn audit(
    change: &mut Change,
    switch: Uuid,
    action: &str,
    before: Option<&EventSocket>,
    after: Option<&EventSocket>,
) -> Result<()> {
    let json = |socket: &EventSocket| serde_json::json!({ "address": socket.address, "password": "(secret)" });
    let resource = format!("switches/{switch}/event-socket");
    change.audit(Audit { tenant: None, action, resource, before: before.map(json), after: after.map(json) }).await
}

/// Why a visit to a switch came to nothing.
#[derive(Debug, thiserror::Error)]
enum VisitError {
    #[error(transparent)]
    Unanswered(#[from] socket::Unanswered),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Keyring(#[from] crate::text::keyring::KeyringError),
    #[error(transparent)]
    Wanted(#[from] wanted::WantedError),
}
