//! Calls as people remember them: the legs that switches report, made into one call each with its story.
//!
//! A leg's record is read where it arrives (`calls::inbox`) and kept for a month (`ended_legs`). A worker finds out which legs belong together
//! and computes their call anew with each leg that comes, in whatever order they do (`fold`).

pub mod api;
pub mod causes;
pub mod csv;
pub mod facets;
pub mod fold;
pub mod fold_store;
pub mod gather;
pub mod store;
pub mod withheld;
pub mod worker;
pub mod written;
pub mod written_store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    node::changes::Audited,
    telephony::{calls::told::Media, recordings::Recording},
};

/// Which way a call went, as its tenant sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Direction {
    /// From outside.
    Inbound,
    /// To outside.
    Outbound,
    Internal,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum State {
    /// Somebody took it, or a menu, an announcement or a conference did and nobody was called.
    Answered,
    /// A message was left.
    Voicemail,
    /// The caller hung up while waiting in a queue.
    Abandoned,
    /// Nobody took it.
    Missed,
    Busy,
    /// It could not be connected.
    Failed,
    /// It was not allowed. `refusal` says why.
    Refused,
}

impl Direction {
    pub const ALL: [Self; 3] = [Self::Inbound, Self::Outbound, Self::Internal];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
        }
    }
}

impl State {
    pub const ALL: [Self; 7] =
        [Self::Answered, Self::Voicemail, Self::Abandoned, Self::Missed, Self::Busy, Self::Failed, Self::Refused];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Voicemail => "voicemail",
            Self::Abandoned => "abandoned",
            Self::Missed => "missed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    Caller,
    Callee,
    /// Dialplane or the switch, such as when nobody answered in time.
    Platform,
}

/// Somebody on a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Party {
    /// In E.164 if it is outside, otherwise as it is dialled inside.
    pub number: Option<String>,
    pub name: Option<String>,
    pub extension_id: Option<Uuid>,
    pub agent_id: Option<Uuid>,
    /// They called with their number withheld. Agents see nothing else of them, unless it is themselves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

/// What lists show of a call besides its columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Summary {
    /// Who called.
    pub from: Party,
    /// Who was called: as it was dialled, with the name of the extension that has the number.
    pub to: Party,
    /// Who took the call first.
    pub answered_by: Option<Party>,
    /// The tenant's phone number that was called or shown.
    pub number: Option<String>,
    /// When the first phone or carrier said that it rings.
    pub ringing_at: Option<DateTime<Utc>>,
    pub answered_at: Option<DateTime<Utc>>,
    /// How long somebody was on hold.
    pub hold_seconds: i32,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// The cause in words.
    pub reason: Option<String>,
    /// The cause as a number (ITU-T Q.850).
    pub q850: Option<i16>,
    /// The last status that a phone or carrier answered over SIP.
    pub sip_status: Option<i16>,
    /// Who sent the last SIP message, such as `recv_bye`.
    pub hangup_disposition: Option<String>,
    /// Why it was refused, such as `daily_limit`.
    pub refusal: Option<String>,
    /// The worst estimate of sound quality among its legs, 1 to 5.
    pub mos: Option<f32>,
    /// What the tenant is charged, in millionths of the currency.
    pub charge: Option<i64>,
    pub emergency: bool,
    /// How often people transferred it.
    pub transfers: u16,
    /// How many legs it has.
    pub legs: u16,
    /// Whether it was played in a sandbox (`POST /v1/sandbox/calls`), so that nobody was called.
    pub simulated: bool,
}

/// What happened in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Started,
    Refused,
    CarrierTried,
    Rang,
    QueueJoined,
    Answered,
    QueueAnswered,
    Held,
    Resumed,
    Transferred,
    QueueLeft,
    Parked,
    Conference,
    Voicemail,
    LegEnded,
    Ended,
}

/// One thing that happened, in the order of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    pub at: DateTime<Utc>,
    /// What happened.
    pub what: What,
    /// Whom it happened to or who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// Where the call went: a number, a place to park, a conference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The queue that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_id: Option<Uuid>,
    /// Whether whoever transferred the call stayed until it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attended: Option<bool>,
    /// Why, such as `NO_ANSWER`, or a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i32>,
}

/// One try to reach a number over a carrier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attempt {
    pub carrier_id: Uuid,
    pub callee: Option<String>,
    /// When it was tried.
    pub began_at: DateTime<Utc>,
    /// Whether the carrier connected the call.
    pub answered: bool,
    pub cause: Option<String>,
    /// The cause in words.
    pub reason: Option<String>,
    /// The cause as a number (ITU-T Q.850).
    pub q850: Option<i16>,
    /// What the carrier answered over SIP.
    pub sip_status: Option<i16>,
    /// Milliseconds until it rang.
    pub ringing_after: Option<i64>,
    pub seconds: i32,
    /// What it cost, in millionths of the currency; only of the carrier that carried the call.
    pub cost: Option<i64>,
}

/// One leg of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LegOfCall {
    /// The channel's UUID on the switch.
    pub leg: Uuid,
    /// Who is on it.
    pub party: Party,
    /// Whether the switch made this leg.
    pub outbound: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it said that it rings.
    pub ringing_at: Option<DateTime<Utc>>,
    pub answered_at: Option<DateTime<Utc>>,
    pub ended_at: DateTime<Utc>,
    pub cause: Option<String>,
    /// The cause as a number (ITU-T Q.850).
    pub q850: Option<i16>,
    /// What its phone or carrier answered last over SIP.
    pub sip_status: Option<i16>,
    /// Who sent the last SIP message, such as `recv_bye`.
    pub hangup_disposition: Option<String>,
    /// How its sound came to the switch.
    pub media: Option<Media>,
}

/// What happened in a call, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Story {
    /// What happened, in the order of time.
    pub events: Vec<Event>,
    /// Tries over carriers, in order.
    pub attempts: Vec<Attempt>,
    /// The first 200 legs.
    pub legs: Vec<LegOfCall>,
}

/// A call.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Call {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Which way it went.
    pub direction: Direction,
    /// How it ended.
    pub state: State,
    /// When it began.
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    #[serde(flatten)]
    pub summary: Summary,
    /// Seconds until somebody took it, or until it ended.
    pub wait_seconds: i32,
    /// Seconds from then to its end.
    pub talk_seconds: i32,
    /// Seconds that a carrier is paid for, before rounding up to its steps.
    pub billed_seconds: i32,
    /// The extension that called out or took the call; if nobody took it, the one that rang.
    pub extension_id: Option<Uuid>,
    pub agent_id: Option<Uuid>,
    /// The tenant's phone number that was called or shown.
    pub number_id: Option<Uuid>,
    /// The queue that its caller waited in.
    pub queue_id: Option<Uuid>,
    /// The carrier that carried it, or was tried last.
    pub carrier_id: Option<Uuid>,
    /// The country of the number outside.
    pub country: Option<String>,
    /// Such as `NORMAL_CLEARING`.
    pub cause: Option<String>,
    /// What its carriers cost, in millionths of the currency.
    pub cost: Option<i64>,
    pub currency: Option<String>,
    /// Whether it was recorded.
    pub recorded: bool,
    /// What people wrote about it.
    pub notes: Option<String>,
    /// By which people find it.
    pub tags: Vec<String>,
    /// One of the tenant's `dispositions`, which are a part of its settings.
    pub disposition: Option<String>,
    /// The contact that it was with, as people say. Not for agents who may not know who called.
    pub contact_id: Option<Uuid>,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

impl Audited for Call {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("calls/{}", self.id)
    }

    /// Only what people wrote: the rest is in the call itself, and may have to be erased.
    fn shown(&self) -> serde_json::Value {
        let Self { notes, tags, disposition, contact_id, .. } = self;
        serde_json::json!({ "notes": notes, "tags": tags, "disposition": disposition, "contact_id": contact_id })
    }
}

/// A call with its story.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CallWithStory {
    #[serde(flatten)]
    pub call: Call,
    /// What happened in it.
    pub story: Story,
    /// Its recordings that the caller may hear, in the order in which they began.
    pub recordings: Vec<Recording>,
}

/// What people wrote about a call whose record has not come yet, because it is up or was until a moment ago.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WrittenCall {
    /// As live state names the call. Its record is found by this id as well.
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// What people wrote about it.
    pub notes: Option<String>,
    /// By which people find it.
    pub tags: Vec<String>,
    /// One of the tenant's `dispositions`, which are a part of its settings.
    pub disposition: Option<String>,
    /// The contact that it is with, as people say.
    pub contact_id: Option<Uuid>,
    /// 0 as long as nobody has written anything.
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

impl WrittenCall {
    /// That nobody has written anything.
    #[must_use]
    pub fn nothing(tenant: Uuid, id: Uuid) -> Self {
        Self {
            id,
            tenant_id: tenant,
            notes: None,
            tags: Vec::new(),
            disposition: None,
            contact_id: None,
            version: 0,
            updated_at: Utc::now(),
        }
    }
}

impl Audited for WrittenCall {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("calls/{}", self.id)
    }

    fn shown(&self) -> serde_json::Value {
        let Self { notes, tags, disposition, contact_id, .. } = self;
        serde_json::json!({ "notes": notes, "tags": tags, "disposition": disposition, "contact_id": contact_id })
    }
}
