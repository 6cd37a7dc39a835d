//! A route: what `routing` decides, and what `routing::actions` turns into a switch's applications.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Hops, MESSAGE, Member, callee::Callee, trial::Done};
use crate::model::refusal::Refusal;
use crate::{
    model::{
        call_handling::{AtQueues, FollowMe},
        destination::Prompt,
    },
    text::{DeviceId, DialNumber, E164, ExtensionNumber, Keys, SipUsername},
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
        /// The recorded greeting that the caller hears, if not the usual one.
        greeting: Option<u8>,
    },
    /// Listen to the messages of this mailbox; without one, the caller is asked which. The PIN is always asked for.
    Voicemail {
        mailbox: Option<SipUsername>,
    },
    /// Dial on in the tenant's context.
    Lead {
        to: String,
        on_behalf_of: Option<SipUsername>,
        /// Whether the mailbox of `on_behalf_of` takes the call if nobody there does.
        own_mailbox: bool,
        /// The number of `on_behalf_of`, if the next phones are told who forwards the call.
        shows: Option<ExtensionNumber>,
    },
    Queue {
        id: Uuid,
        record: bool,
        /// How many seconds the caller has waited already, as it were.
        ahead: u16,
        /// Whether they may be called back instead of waiting.
        call_back: Option<ByKey>,
        then: Option<String>,
    },
    /// The caller has left a queue that calls back, but not for that.
    Left {
        then: Option<String>,
    },
    /// Keep that the caller wants to be called back. Whoever routes does.
    CallBack {
        queue: Uuid,
        number: DialNumber,
        prompt: Option<Prompt>,
    },
    Ivr {
        id: Uuid,
        then: Option<String>,
    },
    /// Nobody has the number that was dialled in a menu: the caller hears so, and then the menu again.
    Again {
        menu: Uuid,
        prompt: Option<Prompt>,
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
    /// Take the first call that rings at any of these. Whoever routes looks them up: what the caller's groups are, routing doesn't know.
    PickupAny {
        from: Vec<Pickup>,
    },
    Intercom {
        extension: SipUsername,
    },
    Park {
        slot: Option<u8>,
        /// Who gets the call back when it was parked for so long.
        back: Option<SipUsername>,
        seconds: u16,
        /// Whether the slot is said: whoever is transferred there need not know it.
        aloud: bool,
    },
    /// Change how the caller's extension handles calls.
    Handle {
        change: Handle,
        extension: SipUsername,
    },
    /// Run the steps of the tenant's own entry.
    Custom {
        steps: Vec<(Done, Option<String>)>,
    },
    /// Call a number outside, if the call is admitted.
    Outside(Callee),
    Emergency {
        number: String,
    },
    /// Dial on, with the caller's number withheld or shown.
    Withhold {
        withholds: bool,
        to: String,
    },
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Ring {
    pub extension: SipUsername,
    /// Its devices that are known to be registered, if there are several.
    pub devices: Vec<DeviceId>,
    /// Whether it is busy for further callers while it is in a call.
    pub busy_on_busy: bool,
    pub seconds: u16,
    /// Other numbers that ring too.
    pub follow_me: Vec<FollowMe>,
    /// What those show outside where a carrier takes it: a number of whoever calls, if they are one of the tenant.
    pub original: Option<E164>,
    pub then: Then,
    /// Whether colleagues may pick the call up.
    pub pickup: bool,
    pub record: bool,
    pub consent_tone: bool,
    pub hops: Hops,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RingGroup {
    pub members: Vec<Member>,
    /// How long all of them ring together, or each of them in order.
    pub seconds: u16,
    pub in_order: bool,
    pub confirm: bool,
    /// The group's id, if its members may pick the call up.
    pub pickup: Option<Uuid>,
    /// What members' forwards show outside where a carrier takes it, as of [`Ring`].
    pub original: Option<E164>,
    pub then: Option<String>,
}

/// That a caller in a queue may press a key to be called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByKey {
    pub key: Keys,
    /// What is called.
    pub number: DialNumber,
}

/// How a caller has left a queue without an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Left {
    /// By the key that stands for being called back.
    ByKey,
    Otherwise,
}

/// Where a call may be picked up from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pickup {
    /// A call to this group.
    Group(Uuid),
    /// A call to this extension.
    Extension(SipUsername),
}

impl std::fmt::Display for Pickup {
    /// The key of mod_dptools' pickup endpoint, without the domain. No SIP username has a `+` inside.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Group(id) => write!(f, "group+{}", id.simple()),
            Self::Extension(name) => write!(f, "{name}"),
        }
    }
}

/// What follows when the phone doesn't take the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// The caller hears why.
    Hangup,
    /// The caller may leave a message, and hears this recorded greeting, if not the usual one.
    Voicemail(Option<u8>),
    /// The call was forwarded: the caller may leave a message for this extension.
    MessageFor(SipUsername),
    /// The extension has forwards: the switch fetches again, with the reason.
    Ask,
}

/// What a feature code changes about the caller's extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handle {
    Forward(Option<DialNumber>),
    DoNotDisturb(bool),
    AtQueues(AtQueues),
}

/// A route, and what it depended on.
#[derive(Debug, Clone, PartialEq)]
pub struct Routed {
    pub route: Route,
    /// Whether it depends on who calls.
    pub varies_by_caller: bool,
    /// Whether it depends on the number that the caller shows.
    pub varies_by_number: bool,
    pub keep: Keep,
}

/// How long an answer may be reused for the same question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is for this call only.
    Never,
    /// Until its data changes, but at most until this moment: schedules change from minute to minute.
    Until(Timestamp),
    /// Until its data changes.
    WhileCurrent,
}

impl Route {
    /// Dials on as the same caller.
    #[must_use]
    pub fn lead(to: String) -> Self {
        Self::Lead { to, on_behalf_of: None, own_mailbox: false, shows: None }
    }

    /// Leads a call that an extension forwarded back to its mailbox.
    #[must_use]
    pub fn to_mailbox(forwarder: &SipUsername) -> Self {
        Self::lead(format!("{forwarder}{MESSAGE}"))
    }

    /// A word for it in the switch's log and in the call record.
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
            Self::Left { .. } => "left_queue",
            Self::CallBack { .. } => "call_back",
            Self::Ivr { .. } => "ivr",
            Self::Again { .. } => "again",
            Self::Conference { .. } => "conference",
            Self::Announce { .. } => "announcement",
            Self::Page { .. } => "page",
            Self::Pickup { .. } => "pickup",
            Self::PickupAny { .. } => "group_pickup",
            Self::Intercom { .. } => "intercom",
            Self::Park { .. } => "park",
            Self::Handle { .. } => "call_handling",
            Self::Custom { .. } => "entry",
            Self::Outside(_) => "outside",
            Self::Emergency { .. } => "emergency",
            Self::Withhold { .. } => "withhold",
            Self::Refused(refusal) => refusal.name(),
        }
    }
}
