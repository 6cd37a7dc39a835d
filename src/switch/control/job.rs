//! What is known of a call that is made by a click.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::Mode;

/// In the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = CallJobState)]
pub enum JobState {
    /// No phone rings yet.
    Queued,
    /// The phone rings that is called first.
    RingingAgent,
    /// It has answered, and calls. A call to a menu, a mailbox or a conference stays here until its end.
    Ringing,
    /// It is connected with somebody, or with the call that is supervised.
    Answered,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = CallJobKind)]
pub enum JobKind {
    Call,
    Listen,
    Whisper,
    Barge,
}

impl From<Mode> for JobKind {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Listen => Self::Listen,
            Mode::Whisper => Self::Whisper,
            Mode::Barge => Self::Barge,
        }
    }
}

/// A call that is made by a click.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CallJob {
    /// Also the id of the call.
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Whether a number is called, or a call is supervised.
    pub kind: JobKind,
    #[serde(skip)]
    pub switch_id: Uuid,
    /// The extension whose phone is called first.
    pub extension_id: Uuid,
    /// The agent who has the extension.
    pub agent_id: Option<Uuid>,
    /// The number that is called then.
    pub to: Option<String>,
    /// The call that is supervised.
    pub call_id: Option<Uuid>,
    /// How far it is.
    pub state: JobState,
    /// Why it ended, as the switch names it: `NORMAL_CLEARING`, `NO_ANSWER`, `USER_BUSY` … `null` if that is not known.
    pub cause: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it came into this state.
    pub changed_at: DateTime<Utc>,
    pub answered_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}
