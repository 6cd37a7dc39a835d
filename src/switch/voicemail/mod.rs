//! Voicemail: messages of extensions' mailboxes, found, heard, marked, forwarded and deleted, and the greeting that callers hear.
//!
//! A switch keeps messages (mod_voicemail), and people hear them by phone too. So what the switch says counts: it is asked ([`sync`]) whenever
//! somebody looks, acts ([`api`]), or it said that something has changed ([`work`]). It is told by typed commands ([`command`]), and lights and
//! darkens lamps by itself. Its files are sent by what runs beside it ([`crate::switch::sender`]) and arrive at [`upload`], where they are sealed
//! ([`arrival`]) as recordings are. Greetings stay on the switch ([`greetings`]).

pub mod api;
pub mod arrival;
pub mod command;
pub mod greetings;
pub mod line;
pub mod stirred;
pub mod store;
pub mod sync;
pub mod upload;
pub mod work;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    node::changes::Audited,
    text::{ExtensionNumber, keyring::Place},
};

/// A message in the mailbox of an extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = VoicemailMessage)]
pub struct Message {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Whose mailbox it is in.
    pub extension_id: Uuid,
    /// The number of whoever left it.
    pub caller_number: String,
    /// The name that was shown with it.
    pub caller_name: String,
    /// When it was left.
    pub received_at: DateTime<Utc>,
    /// How long it is.
    pub seconds: i32,
    /// Whether it was heard.
    pub is_read: bool,
    /// When it was heard or marked as such.
    pub read_at: Option<DateTime<Utc>>,
    /// Urgent messages are heard first by phone.
    pub is_urgent: bool,
    /// The number of the extension that forwarded it.
    pub forwarded_by: Option<String>,
    /// Whether it can be heard here. Its sound comes from the switch some seconds after the message.
    pub has_audio: bool,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
    /// The switch that has it.
    #[serde(skip)]
    pub switch_id: Uuid,
    /// Its UUID there.
    #[serde(skip)]
    pub message: Uuid,
}

/// How many messages are in the mailbox of an extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MailboxCount {
    pub extension_id: Uuid,
    /// The extension's number.
    pub extension: String,
    /// The extension's name.
    pub name: String,
    /// Messages that nobody has heard.
    pub new: i64,
    /// The urgent ones among these.
    pub urgent: i64,
    /// Messages that were heard and are still there.
    pub heard: i64,
    /// When the newest came.
    pub newest_at: DateTime<Utc>,
}

impl Audited for Message {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("voicemail/{}", self.id)
    }

    fn shown(&self) -> serde_json::Value {
        serde_json::json!({ "extension_id": self.extension_id, "received_at": self.received_at, "is_read": self.is_read, "is_urgent": self.is_urgent })
    }
}

/// A merge patch: absent fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoicemailPatch {
    /// Marks it as heard, or as new. The lamp of the phone follows.
    pub is_read: Option<bool>,
    /// Marks it as urgent. The switch keeps a new copy for it, so by phone its time is that of the mark.
    pub is_urgent: Option<bool>,
}

/// Where a message is forwarded to.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewForward {
    /// The number of the extension that gets a copy.
    pub to: ExtensionNumber,
}

/// Where a message's key is sealed.
#[must_use]
pub fn place(tenant: Uuid, id: Uuid) -> Place {
    Place { column: "voicemail_messages.key", tenant, row: id }
}
