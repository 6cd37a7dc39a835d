//! Where a call goes: a pure function from what was dialled, who calls and what the tenant has to a [`Route`]. No I/O, no
//! clock, no switch; so a route can be explained and tested without one. What a route looks like on a switch is
//! `routing::actions`.

mod actions;

pub use actions::Action;

use crate::text::{Domain, ExtensionNumber, SipUsername};

/// What a caller dialled, told apart by its form alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialled {
    /// `9196`: hear yourself.
    Echo,
    /// `*97`: the caller's own mailbox.
    OwnVoicemail,
    /// `*98`: a mailbox to be asked for; `*98` and a number: that one's.
    Voicemail(Option<ExtensionNumber>),
    /// Something a tenant may have: an extension's number, alias or user name, a group.
    Name(SipUsername),
    /// Nothing anybody could have.
    Nonsense,
}

impl Dialled {
    #[must_use]
    pub fn read(number: &str) -> Self {
        match number {
            "9196" => Self::Echo,
            "*97" => Self::OwnVoicemail,
            "*98" => Self::Voicemail(None),
            _ => match number.strip_prefix("*98").map(ExtensionNumber::parse) {
                Some(Ok(mailbox)) => Self::Voicemail(Some(mailbox)),
                Some(Err(_)) => Self::Nonsense,
                None => SipUsername::parse(number).map_or(Self::Nonsense, Self::Name),
            },
        }
    }

    /// The name in the tenant that must be known to route this.
    #[must_use]
    pub fn needs<'a>(&'a self, caller: Option<&'a SipUsername>) -> Option<&'a str> {
        match self {
            Self::OwnVoicemail => caller.map(SipUsername::as_str),
            Self::Voicemail(Some(mailbox)) => Some(mailbox.as_str()),
            Self::Name(name) => Some(name.as_str()),
            Self::Echo | Self::Voicemail(None) | Self::Nonsense => None,
        }
    }
}

/// What a tenant has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Extension(Extension),
    Group { members: Vec<SipUsername>, ring_seconds: u16 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub sip_username: SipUsername,
    pub active: bool,
    pub ring_seconds: u16,
    pub voicemail: bool,
}

/// The tenant a call is routed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub domain: Domain,
    pub active: bool,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Echo,
    Ring {
        extension: SipUsername,
        seconds: u16,
        then_voicemail: bool,
    },
    RingAll {
        members: Vec<SipUsername>,
        seconds: u16,
    },
    /// Listen to messages, of this mailbox or of one to be asked for; its PIN is asked for in any case.
    Voicemail {
        mailbox: Option<SipUsername>,
    },
    Refused(Refusal),
}

/// Why a call goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has this number.
    Unallocated,
    /// The one who has it is suspended, or nobody is in the group.
    Absent,
    /// The tenant is suspended.
    TenantSuspended,
    /// Only somebody who is signed in can do this.
    NotSignedIn,
    /// The box is switched off.
    NoVoicemail,
}

/// Routes a call inside a tenant.
///
/// `target` is what the tenant has under [`Dialled::needs`].
#[must_use]
pub fn route(tenant: &Tenant, dialled: &Dialled, caller: Option<&SipUsername>, target: Option<&Target>) -> Route {
    if !tenant.active {
        return Route::Refused(Refusal::TenantSuspended);
    }
    match dialled {
        Dialled::Echo => Route::Echo,
        Dialled::Nonsense => Route::Refused(Refusal::Unallocated),
        Dialled::Voicemail(None) => Route::Voicemail { mailbox: None },
        Dialled::OwnVoicemail if caller.is_none() => Route::Refused(Refusal::NotSignedIn),
        Dialled::OwnVoicemail | Dialled::Voicemail(Some(_)) => mailbox(target),
        Dialled::Name(_) => ring(target),
    }
}

/// Routes a call that came from outside to one of the tenant's numbers.
#[must_use]
pub fn inbound(tenant: &Tenant, target: Option<&Target>) -> Route {
    if !tenant.active {
        return Route::Refused(Refusal::TenantSuspended);
    }
    ring(target)
}

fn ring(target: Option<&Target>) -> Route {
    match target {
        None => Route::Refused(Refusal::Unallocated),
        Some(Target::Extension(extension)) if !extension.active => Route::Refused(Refusal::Absent),
        Some(Target::Extension(extension)) => Route::Ring {
            extension: extension.sip_username.clone(),
            seconds: extension.ring_seconds,
            then_voicemail: extension.voicemail,
        },
        Some(Target::Group { members, .. }) if members.is_empty() => Route::Refused(Refusal::Absent),
        Some(Target::Group { members, ring_seconds }) => {
            Route::RingAll { members: members.clone(), seconds: *ring_seconds }
        }
    }
}

fn mailbox(target: Option<&Target>) -> Route {
    match target {
        Some(Target::Extension(extension)) if !extension.active => Route::Refused(Refusal::Absent),
        Some(Target::Extension(extension)) if !extension.voicemail => Route::Refused(Refusal::NoVoicemail),
        Some(Target::Extension(extension)) => Route::Voicemail { mailbox: Some(extension.sip_username.clone()) },
        Some(Target::Group { .. }) | None => Route::Refused(Refusal::Unallocated),
    }
}

impl Route {
    /// One word for it, as the switch's log and the call's record show it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Ring { .. } => "extension",
            Self::RingAll { .. } => "group",
            Self::Voicemail { .. } => "voicemail",
            Self::Refused(refusal) => refusal.name(),
        }
    }
}

impl Refusal {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unallocated => "unallocated",
            Self::Absent => "absent",
            Self::TenantSuspended => "tenant_suspended",
            Self::NotSignedIn => "not_signed_in",
            Self::NoVoicemail => "no_voicemail",
        }
    }

    /// The cause the caller is told (names of switch_channel.c's CAUSE_CHART).
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Unallocated | Self::NoVoicemail => "UNALLOCATED_NUMBER",
            Self::Absent => "SUBSCRIBER_ABSENT",
            Self::TenantSuspended | Self::NotSignedIn => "CALL_REJECTED",
        }
    }
}

#[cfg(test)]
mod tests;
