//! One side of a call.

use uuid::Uuid;

use super::said::{About, Line, Micros};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Ringing,
    Up,
    Held,
    Parked,
}

/// Somebody in a call, and the tenant whose phone it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub leg: Leg,
    pub owner: Option<Uuid>,
}

/// One side of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub id: Uuid,
    pub call: Uuid,
    pub about: About,
    pub phase: Phase,
    /// Since when.
    pub since: Micros,
    /// Whom it is connected with.
    pub partner: Option<Uuid>,
    /// Why it ended.
    pub cause: Option<String>,
    /// The files that it is recorded into, as far as anybody listened.
    pub recordings: Vec<String>,
    /// Whether what its phone says is not passed on.
    pub is_muted: bool,
    /// Whether whom it calls sees nobody.
    pub hides: bool,
    /// Whether all that happened to it was heard, so that what was not heard did not happen.
    pub is_heard_whole: bool,
    pub(super) began: Micros,
    pub(super) bridged_at: Micros,
    pub(super) held_at: Micros,
}

impl Leg {
    pub(super) fn new(id: Uuid, call: Uuid, about: About, at: Micros) -> Self {
        let began = about.created.unwrap_or(at);
        let phase = if about.answered.is_some() { Phase::Up } else { Phase::Ringing };
        let since = about.answered.unwrap_or(began);
        Self {
            id,
            call,
            about,
            phase,
            since,
            partner: None,
            cause: None,
            recordings: Vec::new(),
            is_muted: false,
            hides: false,
            is_heard_whole: true,
            began,
            bridged_at: 0,
            held_at: 0,
        }
    }

    #[must_use]
    pub fn began(&self) -> Micros {
        self.began
    }

    /// Since when it is connected with its partner.
    #[must_use]
    pub fn connected_since(&self) -> Micros {
        self.since.max(self.bridged_at)
    }

    #[must_use]
    pub fn is_inner(&self) -> bool {
        self.about.line == Some(Line::Inner)
    }

    pub(super) fn turn(&mut self, phase: Phase, at: Micros) {
        if self.phase != phase {
            (self.phase, self.since) = (phase, at);
        }
    }
}
