//! The event sockets of switches, for what fetches can't do: a switch tells its state, and reads what it would otherwise
//! read only when it loads.
//!
//! One node at a time holds the link to each switch ([`holds`]). It keeps a connection open that only listens ([`ear`]), and another
//! for commands ([`socket`]), over which it visits the switch ([`turn`]): it asks for the state of gateways ([`gateways`]), expels
//! those who may no longer be there ([`expulsions`]), removes what is left of mailboxes that are gone ([`cleanups`]), watches
//! calls that cost ([`calls`]), asks for the queues ([`callcenter`]), tells callers who wait there their place ([`announcements`]), tells phones what their lamps show ([`lamps`], [`presences`]), looks after calls whose phone in a browser is away ([`keeps`]), compares the switch with what
//! it should have ([`wanted`]), and gives it what is missing ([`pushes`]). That happens as soon as something changes, and every ten
//! seconds in any case.
//!
//! The client is `freeswitch-esl-tokio`, a young crate, so only [`socket`] and [`ear`] use it.

pub mod announcements;
pub mod api;
pub mod callcenter;
pub mod calls;
pub mod cleanups;
pub mod ear;
pub mod erase;
pub mod expulsions;
pub mod gateways;
pub mod holds;
pub mod keeps;
pub mod lamps;
pub mod lamps_store;
pub mod presences;
pub mod pushes;
pub mod socket;
pub mod states;
pub mod store;
pub mod turn;
pub mod visit;
pub mod wanted;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::error::{Error, NOT_THERE, Result, same_version},
    node::changes::{Audit, Change},
    tenancy::switches,
    text::{EventSocketPassword, Host, keyring::Place},
};

/// How to reach a switch's event socket.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEventSocket {
    /// The host at which nodes reach it, and perhaps a port (8021 if there is none).
    pub address: Host,
    /// The `password` in its event_socket.conf. It is never shown again.
    pub password: EventSocketPassword,
}

/// A switch's event socket, and how the last visit went.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EventSocket {
    pub address: String,
    pub asked_at: Option<DateTime<Utc>>,
    pub answered_at: Option<DateTime<Utc>>,
    /// Why the last visit failed.
    pub error: Option<String>,
    /// When the switch started, as it reports.
    pub booted_at: Option<DateTime<Utc>>,
    /// How many gateways, address lists and queues the switch still lacked at the last visit.
    pub pending: i32,
    /// Since when a node listens to the switch without a break.
    pub linked_since: Option<DateTime<Utc>>,
    /// Since when nothing is known of what goes on at the switch. `null` while a node listens.
    pub unknown_since: Option<DateTime<Utc>>,
    /// Counts changes of address and password, not what is heard.
    pub version: i64,
}

/// A gateway, the address list or a queue, and whether a switch was given it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Push {
    /// `gateway/ID` of a carrier, `acl`, `queue/ID.DOMAIN`
    pub thing: String,
    /// When the switch got the present version, or was seen to have it.
    pub given_at: Option<DateTime<Utc>>,
    /// What the switch answered if it refused.
    pub error: Option<String>,
}

/// An order to remove what a switch keeps of a mailbox. It stays until the switch has done it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Cleanup {
    /// The mailbox, as the switch knows it: the SIP username of an extension that has or had it.
    pub mailbox: String,
    pub domain: String,
    /// Whether the mailbox is gone, so that its messages go as well. Otherwise, only a PIN that somebody chose by phone.
    pub whole: bool,
    pub since: DateTime<Utc>,
    /// What the switch answered the last time.
    pub error: Option<String>,
}

/// A gateway to a carrier, as a switch sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct GatewayState {
    pub carrier_id: Uuid,
    pub switch_id: Uuid,
    pub switch: String,
    /// Whether the switch sends calls over it.
    pub up: bool,
    /// `REGED`, `NOREG`, `FAIL_WAIT`, `TIMEOUT` … (`sofia_state_names` in mod_sofia.c).
    pub state: String,
    pub seen_at: DateTime<Utc>,
}

/// Where an event socket's password is kept, for sealing it.
#[must_use]
pub fn place(switch: Uuid) -> Place {
    Place { column: "event_socket_password", tenant: Uuid::nil(), row: switch }
}

/// Sets a switch's event socket. It is visited within seconds.
///
/// The same address and password again change nothing.
pub async fn put(
    change: &mut Change,
    switch: Uuid,
    new: &NewEventSocket,
    if_match: Option<i64>,
) -> Result<EventSocket> {
    switches::store::lock(change.db(), switch).await?.ok_or(Error::NotFound("switch"))?;
    let before = store::get(change.db(), switch).await?;
    same_version(if_match, before.as_ref().map_or(NOT_THERE, |before| before.version))?;
    if let Some(before) = &before {
        let kept = store::password(change.db(), switch).await?;
        let kept = kept.and_then(|kept| change.keyring().open_sealed(place(switch), &kept).ok());
        if before.address == new.address.as_str() && kept.is_some_and(|kept| *kept == *new.password.reveal()) {
            return Ok(before.clone());
        }
    }
    let sealed = change.keyring().seal(place(switch), new.password.reveal());
    store::put(change.db(), switch, new.address.as_str(), &sealed).await?;
    let after = store::get(change.db(), switch).await?.ok_or(Error::NotFound("event socket"))?;
    audit(change, switch, if before.is_some() { "update" } else { "create" }, before.as_ref(), Some(&after)).await?;
    Ok(after)
}

/// Deletes a switch's event socket, and what the switch said over it.
pub async fn delete(change: &mut Change, switch: Uuid, if_match: Option<i64>) -> Result<()> {
    switches::store::lock(change.db(), switch).await?;
    let before = store::get(change.db(), switch).await?.ok_or(Error::NotFound("event socket"))?;
    same_version(if_match, before.version)?;
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

/// Why a visit to a switch failed.
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

/// The first line of a switch's answer that says something.
fn first_line(answer: &str) -> String {
    let line = answer.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
