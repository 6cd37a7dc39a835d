//! Where a call goes, as a value: what `routing` decides, and `routing::actions` writes for a switch.

use jiff::Timestamp;
use uuid::Uuid;

use super::{callee::Callee, trial::Done};
use crate::model::refusal::Refusal;
use crate::{
    model::{call_handling::FollowMe, destination::Prompt},
    text::{DialNumber, SipUsername},
};

/// Where a call goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    Echo,
    Ring(Ring),
    RingGroup(RingGroup),
    /// Leave a message.
    Message {
        mailbox: String,
    },
    /// Listen to messages, of this mailbox or of one to be asked for; its PIN is asked for in any case.
    Voicemail {
        mailbox: Option<SipUsername>,
    },
    /// Dial on in the tenant's context.
    Lead {
        to: String,
        on_behalf_of: Option<SipUsername>,
    },
    Queue {
        id: Uuid,
        record: bool,
        then: Option<String>,
    },
    Ivr {
        id: Uuid,
        then: Option<String>,
    },
    Conference {
        id: Uuid,
        moderator: bool,
    },
    Announce {
        prompt: Prompt,
        then: Option<String>,
    },
    Page {
        id: Uuid,
        members: Vec<String>,
        two_way: bool,
    },
    Pickup {
        extension: SipUsername,
    },
    Intercom {
        extension: SipUsername,
    },
    Park {
        slot: Option<u8>,
    },
    /// Change what the caller's extension does with calls.
    Handle {
        change: Handle,
    },
    /// What the tenant's own entry says.
    Custom {
        steps: Vec<(Done, Option<String>)>,
    },
    /// A number outside, to be admitted.
    Outside(Callee),
    Emergency {
        number: String,
    },
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ring {
    pub extension: SipUsername,
    pub seconds: u16,
    /// Other numbers that ring as well.
    pub follow_me: Vec<FollowMe>,
    pub then: Then,
    /// Colleagues may take the call.
    pub pickup: bool,
    pub record: bool,
    pub consent_tone: bool,
    pub hops: u8,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RingGroup {
    pub members: Vec<SipUsername>,
    pub seconds: u16,
    pub in_order: bool,
    pub confirm: bool,
    pub then: Option<String>,
}

/// What follows when a phone did not take the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// The caller hears why.
    Hangup,
    /// A message may be left in this mailbox.
    Voicemail,
    /// It is asked again, with the reason: there are forwards.
    Ask,
}

/// What a feature code changes about the caller's extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handle {
    Forward(Option<DialNumber>),
    DoNotDisturb(bool),
}

/// A route, and what it depended on.
#[derive(Debug, Clone, PartialEq)]
pub struct Routed {
    pub route: Route,
    /// The answer is another for another caller,
    pub varies_by_caller: bool,
    /// or for another number that is shown,
    pub varies_by_number: bool,
    /// and may be given again for that long.
    pub keep: Keep,
}

/// How long an answer may be given to others who ask the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It was for this call alone.
    Never,
    /// As long as nothing it was made from changes, and before that moment: schedules change with the minutes.
    Until(Timestamp),
    /// As long as nothing it was made from changes.
    WhileCurrent,
}

impl Route {
    /// One word for it, as the switch's log and the call's record show it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Ring(_) => "extension",
            Self::RingGroup(_) => "group",
            Self::Message { .. } => "message",
            Self::Voicemail { .. } => "voicemail",
            Self::Lead { .. } => "lead",
            Self::Queue { .. } => "queue",
            Self::Ivr { .. } => "ivr",
            Self::Conference { .. } => "conference",
            Self::Announce { .. } => "announcement",
            Self::Page { .. } => "page",
            Self::Pickup { .. } => "pickup",
            Self::Intercom { .. } => "intercom",
            Self::Park { .. } => "park",
            Self::Handle { .. } => "call_handling",
            Self::Custom { .. } => "entry",
            Self::Outside(_) => "outside",
            Self::Emergency { .. } => "emergency",
            Self::Refused(refusal) => refusal.name(),
        }
    }
}
