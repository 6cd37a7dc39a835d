//! What events are about. Clients and webhooks subscribe to topics.

use serde::{Deserialize, Serialize};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Topic {
    /// A call begins to ring at somebody's phone.
    #[serde(rename = "call:incoming")]
    CallIncoming,
    /// A call was answered, held, resumed, parked or connected to somebody else.
    #[serde(rename = "call:state:changed")]
    CallStateChanged,
    #[serde(rename = "call:ended")]
    CallEnded,
    #[serde(rename = "agent:status:updated")]
    AgentStatusUpdated,
    /// Callers who wait in a queue, or its agents, changed.
    #[serde(rename = "queue:update")]
    QueueUpdate,
    /// An extension is busy, or free again.
    #[serde(rename = "presence:update")]
    PresenceUpdate,
    #[serde(rename = "registration:changed")]
    RegistrationChanged,
    /// A gateway to a carrier is up or down.
    #[serde(rename = "gateway:changed")]
    GatewayChanged,
    /// A message was left for an extension, and its sound can be heard.
    #[serde(rename = "voicemail:received")]
    VoicemailReceived,
    /// What a tenant used in a month came to 80 or 100 % of a limit.
    #[serde(rename = "usage:alert")]
    UsageAlert,
    /// Somebody wrote to a person, or told a team something. Nobody else hears of it.
    #[serde(rename = "message:received", skip_deserializing)]
    MessageReceived,
    /// Sent by the test button only.
    #[serde(rename = "webhook:test")]
    WebhookTest,
}

impl Topic {
    pub const ALL: [Self; 12] = [
        Self::CallIncoming,
        Self::CallStateChanged,
        Self::CallEnded,
        Self::AgentStatusUpdated,
        Self::QueueUpdate,
        Self::PresenceUpdate,
        Self::RegistrationChanged,
        Self::GatewayChanged,
        Self::VoicemailReceived,
        Self::UsageAlert,
        Self::MessageReceived,
        Self::WebhookTest,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallIncoming => "call:incoming",
            Self::CallStateChanged => "call:state:changed",
            Self::CallEnded => "call:ended",
            Self::AgentStatusUpdated => "agent:status:updated",
            Self::QueueUpdate => "queue:update",
            Self::PresenceUpdate => "presence:update",
            Self::RegistrationChanged => "registration:changed",
            Self::GatewayChanged => "gateway:changed",
            Self::VoicemailReceived => "voicemail:received",
            Self::UsageAlert => "usage:alert",
            Self::MessageReceived => "message:received",
            Self::WebhookTest => "webhook:test",
        }
    }

    /// Those that one can listen to: of what goes on at the switches, and of messages.
    pub const LIVE: [Self; 9] = [
        Self::CallIncoming,
        Self::CallStateChanged,
        Self::CallEnded,
        Self::AgentStatusUpdated,
        Self::QueueUpdate,
        Self::PresenceUpdate,
        Self::RegistrationChanged,
        Self::GatewayChanged,
        Self::MessageReceived,
    ];

    /// Whether only the people concerned get it, whatever their role. Webhooks never do.
    #[must_use]
    pub fn is_private(self) -> bool {
        self == Self::MessageReceived
    }

    /// The one of this name, of those that one can listen to.
    #[must_use]
    pub fn of_live(name: &str) -> Option<Self> {
        Self::LIVE.into_iter().find(|topic| topic.as_str() == name)
    }

    /// Whether agents hear of it, as far as it is about them.
    #[must_use]
    pub fn is_for_agents(self) -> bool {
        self != Self::GatewayChanged
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_one_name_everywhere() {
        for topic in Topic::ALL {
            assert_eq!(serde_json::to_value(topic).unwrap(), topic.as_str());
            assert_eq!(Topic::parse(topic.as_str()), Some(topic));
        }
    }
}
