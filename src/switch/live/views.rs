//! What is shown of live state.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{leg::Party, levels::Today, said::Micros};
use crate::model::agent_status::Cause;

/// A page of what goes on, and for which switches that is not known.
#[derive(Debug, Serialize, ToSchema)]
pub struct LivePage<T> {
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The switches of which nothing is known right now. Nothing of them is among the items.
    pub unknown: Vec<Unknown>,
}

/// A switch of which nothing is known.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveUnknown)]
pub struct Unknown {
    pub since: DateTime<Utc>,
    #[serde(flatten)]
    pub at: At,
}

/// The switch on which something is. Only the platform is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LiveAt)]
pub struct At {
    /// The switch. Only the platform is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_id: Option<Uuid>,
    /// The switch's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
}

/// A phone that is registered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveRegistration)]
pub struct Registration {
    pub tenant_id: Uuid,
    pub extension_id: Option<Uuid>,
    /// The extension's number.
    pub extension: Option<String>,
    /// The extension's name.
    pub name: Option<String>,
    pub sip_username: String,
    pub domain: String,
    /// The registration's Call-ID.
    pub call_id: String,
    /// Where calls to the phone are sent, in the phone's words.
    pub contact: String,
    /// What the phone says it is. `null` until it says so again.
    pub device: Option<String>,
    /// The address and the port that it registers from.
    pub address: String,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`
    pub transport: Option<String>,
    /// When it registered first. `null` if that was before this node listened.
    pub since: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
    /// Whether it answers pings. `null` if the switch sends none, or has not said so yet.
    pub reachable: Option<bool>,
    /// How many milliseconds it took to answer the switch's last ping, as of the last full read of the switch (every five minutes, with up to
    /// 2,000 phones). `null` if that is not known.
    pub round_trip_ms: Option<f64>,
    #[serde(flatten)]
    pub at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LiveCallState)]
pub enum CallState {
    /// Nobody has answered yet.
    Ringing,
    /// In a queue.
    Waiting,
    /// Two parties are connected.
    Talking,
    /// Somebody holds.
    Held,
    /// In a parking lot.
    Parked,
    /// Answered by the platform: a menu, a mailbox, a conference, an announcement.
    Connected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LiveDirection)]
pub enum Direction {
    Inbound,
    Outbound,
    Internal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LiveLegState)]
pub enum LegState {
    Ringing,
    Up,
    Held,
    Parked,
}

/// A call, as its tenant sees it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = LiveCall)]
pub struct Call {
    /// The UUID of the call's first leg.
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Whether it came from outside, leads outside, or neither.
    pub direction: Direction,
    /// What goes on in it.
    pub state: CallState,
    /// Since when it is in this state.
    pub since: DateTime<Utc>,
    /// When its first leg began.
    pub began_at: DateTime<Utc>,
    /// The number that was dialled.
    pub dialled: Option<String>,
    /// The queue that it waits in, or was served from.
    pub queue_id: Option<Uuid>,
    /// The queue's name.
    pub queue: Option<String>,
    /// The carrier that it goes over.
    pub carrier_id: Option<Uuid>,
    /// The parties, the caller first.
    pub legs: Vec<Leg>,
    /// Whether it is played in a sandbox, at no switch.
    pub simulated: bool,
    #[serde(flatten)]
    pub at: At,
}

/// One party of a call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = LiveLeg)]
pub struct Leg {
    /// Its UUID on the switch.
    pub id: Uuid,
    /// Whether it called, rather than was called.
    pub caller: bool,
    /// What goes on with it.
    pub state: LegState,
    /// Since when it is in this state.
    pub since: DateTime<Utc>,
    /// `null` if it is withheld.
    pub number: Option<String>,
    /// `null` if it is withheld.
    pub name: Option<String>,
    pub extension_id: Option<Uuid>,
    /// The extension's number.
    pub extension: Option<String>,
    /// The agent who has the extension.
    pub agent_id: Option<Uuid>,
    /// The leg that it is connected with.
    pub connected_to: Option<Uuid>,
    /// Whether it is recorded. `null` if it began before this node listened.
    pub recording: Option<bool>,
    /// Whether the platform passes on nothing of what the phone says. A phone's own mute is not seen.
    pub muted: bool,
}

/// A queue, with who waits there and who serves it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveQueue)]
pub struct Queue {
    pub tenant_id: Uuid,
    /// The queue.
    pub queue_id: Uuid,
    pub name: Option<String>,
    /// Who waits and is not served yet, in their order.
    pub waiting: Vec<Waiting>,
    pub agents: Vec<Agent>,
    /// Its calls of today that are over. `null` while that is not known.
    pub today: Option<Today>,
}

/// A caller in a queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveWaiting)]
pub struct Waiting {
    /// Their place among those who wait on the same switch, from 1.
    pub position: usize,
    /// The call, as `/v1/live/calls` has it.
    pub call_id: Uuid,
    pub since: DateTime<Utc>,
    pub number: Option<String>,
    pub name: Option<String>,
    /// The extension of the agent whose phone rings for them.
    pub offered_to: Option<String>,
    /// Who it is, for whoever knows names.
    #[serde(skip)]
    pub party: Option<Party>,
    #[serde(flatten)]
    pub at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LiveAgentState)]
pub enum AgentState {
    /// Not at work.
    Offline,
    /// On a break, or paused because they did not answer or their phones are gone.
    Away,
    /// At work, but not with queues.
    Busy,
    Available,
    /// Their phone rings for a queue.
    Ringing,
    OnCall,
    /// They have time after a call of a queue, and get none.
    WrapUp,
    /// The switch has not said it.
    Unknown,
}

impl AgentState {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Available => "available",
            Self::Ringing => "ringing",
            Self::OnCall => "on_call",
            Self::WrapUp => "wrap_up",
            Self::Unknown => "unknown",
        }
    }
}

/// An agent: somebody with an extension, or an extension of nobody that serves queues.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveAgent)]
pub struct Agent {
    pub tenant_id: Uuid,
    pub extension_id: Option<Uuid>,
    /// The extension's number. Of several, one that serves queues.
    pub extension: Option<String>,
    pub agent_id: Option<Uuid>,
    pub name: Option<String>,
    /// How they are.
    pub state: AgentState,
    /// Since when; `null` if it is not known.
    pub since: Option<DateTime<Utc>>,
    /// The reason that was chosen, as the tenant calls it.
    pub reason: Option<String>,
    /// Why they are away if nobody chose it.
    pub cause: Option<Cause>,
    /// Who chose it, if not they themselves.
    pub set_by: Option<String>,
    /// When the time after a call ends.
    pub until: Option<DateTime<Utc>>,
    /// The queues that they serve.
    pub queues: Vec<Uuid>,
}

/// A conference that people are in.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveConference)]
pub struct Conference {
    pub tenant_id: Uuid,
    /// The conference.
    pub conference_id: Uuid,
    pub name: Option<String>,
    pub since: DateTime<Utc>,
    pub members: Vec<Member>,
    #[serde(flatten)]
    pub at: At,
}

/// Somebody in a conference.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveMember)]
pub struct Member {
    /// The call, as `/v1/live/calls` has it. `null` if the switch has not named it.
    pub call_id: Option<Uuid>,
    /// Their leg's UUID on the switch.
    pub leg_id: Uuid,
    pub number: Option<String>,
    pub name: Option<String>,
    pub extension_id: Option<Uuid>,
    pub since: DateTime<Utc>,
    pub muted: bool,
    /// Who it is, for whoever knows names.
    #[serde(skip)]
    pub party: Option<Party>,
}

/// A call that is parked.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LiveParked)]
pub struct Parked {
    pub tenant_id: Uuid,
    /// The slot that it waits in.
    pub slot: String,
    /// The call, as `/v1/live/calls` has it. `null` if the switch has not named it.
    pub call_id: Option<Uuid>,
    pub number: Option<String>,
    pub name: Option<String>,
    /// `null` if it was parked before this node listened.
    pub since: Option<DateTime<Utc>>,
    /// Who it is, for whoever knows names.
    #[serde(skip)]
    pub party: Option<Party>,
    #[serde(flatten)]
    pub at: At,
}

/// A gateway to a carrier, as a switch sees it right now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LiveGateway {
    pub carrier_id: Uuid,
    /// The carrier's name.
    pub carrier: Option<String>,
    /// Whose carrier it is; `null`: the platform's.
    pub tenant_id: Option<Uuid>,
    /// Whether the switch sends calls over it.
    pub up: bool,
    /// As the switch names it: `REGED`, `NOREG`, `FAIL_WAIT` …
    pub state: String,
    /// `null` if nothing changed since this node listens.
    pub since: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub at: At,
}

/// A time of a switch's clock.
#[must_use]
pub fn time(at: Micros) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at).unwrap_or_default()
}
