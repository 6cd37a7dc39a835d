//! Why a call is refused, and what the caller hears.

use std::collections::BTreeMap;

use crate::model::destination::Prompt;

/// What a tenant plays to callers instead of tones before a refused call ends.
pub type Announcements = BTreeMap<Refusal, Prompt>;

/// Why a call is refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Nobody has this number.
    Unallocated,
    /// The extension is suspended, or the group has no members.
    Absent,
    /// The tenant is suspended.
    TenantSuspended,
    /// Only a signed-in caller can do this.
    NotSignedIn,
    /// The mailbox is switched off.
    NoVoicemail,
    /// The tenant does not use this: a switch of its features is off.
    SwitchedOff,
    /// It was led on too often.
    Loop,
    /// The tenant or the called extension blocks this caller.
    BlockedCaller,
    /// The called extension is on do not disturb.
    DoNotDisturb,
    /// The calling agent is suspended.
    AgentSuspended,
    /// The tenant was moved to another cluster, and its phones still turn to this one.
    Moved,
    /// The agent has no number to call out with, or it is suspended.
    NoNumber,
    /// The tenant, or the assignment of the number, does not allow calls to this country.
    Country,
    BlockedNumber,
    /// Premium rate, or a range known for revenue sharing.
    PremiumNumber,
    PricePerMinute,
    /// No carrier takes calls to this number.
    NoCarrier,
    DailyLimit,
    ConcurrentCalls,
    CallsPerSecond,
    SpendCap,
    /// All carriers are at their limit of calls.
    CarriersBusy,
    /// The tenant is a sandbox, from which nothing is dialled outside, not even an emergency number.
    Sandbox,
}

impl Refusal {
    pub const ALL: [Self; 23] = [
        Self::Unallocated,
        Self::Absent,
        Self::TenantSuspended,
        Self::NotSignedIn,
        Self::NoVoicemail,
        Self::SwitchedOff,
        Self::Loop,
        Self::BlockedCaller,
        Self::DoNotDisturb,
        Self::AgentSuspended,
        Self::Moved,
        Self::NoNumber,
        Self::Country,
        Self::BlockedNumber,
        Self::PremiumNumber,
        Self::PricePerMinute,
        Self::NoCarrier,
        Self::DailyLimit,
        Self::ConcurrentCalls,
        Self::CallsPerSecond,
        Self::SpendCap,
        Self::CarriersBusy,
        Self::Sandbox,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unallocated => "unallocated",
            Self::Absent => "absent",
            Self::TenantSuspended => "tenant_suspended",
            Self::NotSignedIn => "not_signed_in",
            Self::NoVoicemail => "no_voicemail",
            Self::SwitchedOff => "switched_off",
            Self::Loop => "loop",
            Self::BlockedCaller => "blocked_caller",
            Self::DoNotDisturb => "do_not_disturb",
            Self::AgentSuspended => "agent_suspended",
            Self::Moved => "moved",
            Self::NoNumber => "no_number",
            Self::Country => "country",
            Self::BlockedNumber => "blocked_number",
            Self::PremiumNumber => "premium_number",
            Self::PricePerMinute => "price_per_minute",
            Self::NoCarrier => "no_carrier",
            Self::DailyLimit => "daily_limit",
            Self::ConcurrentCalls => "concurrent_calls",
            Self::CallsPerSecond => "calls_per_second",
            Self::SpendCap => "spend_cap",
            Self::CarriersBusy => "carriers_busy",
            Self::Sandbox => "sandbox",
        }
    }

    /// Reads the name that the record of an admission has.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.name() == name)
    }

    /// The hangup cause that the caller gets (names in CAUSE_CHART of switch_channel.c).
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Unallocated | Self::NoVoicemail | Self::SwitchedOff => "UNALLOCATED_NUMBER",
            Self::Absent => "SUBSCRIBER_ABSENT",
            Self::TenantSuspended | Self::NotSignedIn | Self::BlockedCaller => "CALL_REJECTED",
            Self::Loop => "EXCHANGE_ROUTING_ERROR",
            Self::DoNotDisturb => "USER_BUSY",
            Self::AgentSuspended
            | Self::Moved
            | Self::NoNumber
            | Self::Country
            | Self::BlockedNumber
            | Self::PremiumNumber
            | Self::PricePerMinute
            | Self::DailyLimit
            | Self::SpendCap
            | Self::Sandbox => "OUTGOING_CALL_BARRED",
            Self::NoCarrier => "NO_ROUTE_DESTINATION",
            Self::ConcurrentCalls | Self::CallsPerSecond | Self::CarriersBusy => "NORMAL_CIRCUIT_CONGESTION",
        }
    }

    /// The tones played before as early media, unless the tenant has an announcement: those for "this call can't be completed" in any
    /// language, or those for "no free line". `None` if the cause says enough.
    #[must_use]
    pub fn tones(self) -> Option<&'static str> {
        match self.cause() {
            // The special information tones of ITU-T E.180.
            "OUTGOING_CALL_BARRED" | "NO_ROUTE_DESTINATION" => {
                Some("tone_stream://%(330,15,950);%(330,15,1400);%(330,500,1800);loops=2")
            }
            "NORMAL_CIRCUIT_CONGESTION" => Some("tone_stream://%(250,250,480,620);loops=6"),
            _ => None,
        }
    }
}
