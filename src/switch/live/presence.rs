//! How an extension is, by its phones and its calls.

use serde::Serialize;
use uuid::Uuid;

use super::{leg::Phase, names::Names};

/// How an extension is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LivePresenceState)]
pub enum PresenceState {
    /// No phone is registered.
    Offline,
    Idle,
    Ringing,
    Talking,
}

/// An extension, and how it is reached.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = LivePresence)]
pub struct Presence {
    pub tenant_id: Uuid,
    pub sip_username: String,
    pub extension_id: Option<Uuid>,
    pub extension: Option<String>,
    pub name: Option<String>,
    pub state: PresenceState,
    /// How many phones are registered.
    pub phones: usize,
}

impl Presence {
    #[must_use]
    pub fn new(tenant: Uuid, user: &str, names: &Names, phones: usize, phases: impl Iterator<Item = Phase>) -> Self {
        let known = names.of_phone(user);
        let mut state = if phones > 0 { PresenceState::Idle } else { PresenceState::Offline };
        for phase in phases {
            if phase != Phase::Ringing {
                state = PresenceState::Talking;
            } else if state != PresenceState::Talking {
                state = PresenceState::Ringing;
            }
        }
        Self {
            tenant_id: tenant,
            sip_username: user.to_owned(),
            extension_id: known.map(|one| one.id),
            extension: known.map(|one| one.number.clone()),
            name: known.map(|one| one.name.clone()),
            state,
            phones,
        }
    }
}
