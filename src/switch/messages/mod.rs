//! Texts within a tenant: from one person to another, and notices to a team.
//!
//! They are kept as they were typed, for as long as docs/retention.md says, and shown as text. The database is asked for new ones ([`tell`]), so
//! that every node hands them to those who listen to it. Nobody but sender and receiver gets a message, whatever their role.

pub mod api;
pub mod store;
pub mod tell;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    http::left::{self, Left},
    model::error::{Error, Result},
    node::changes::{Audit, Change},
    text::Code,
};

/// How long a text may be, in characters.
pub const LONGEST: usize = 2000;
/// How many texts a person, or a key, sends in a minute.
const MOST_A_MINUTE: i64 = 30;
/// For how long a notice is shown to those who come later.
pub const NOTICE_HOURS: i32 = 12;

/// A text from one person to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChatMessage {
    pub id: Uuid,
    /// Who wrote it.
    pub from: Option<Uuid>,
    /// What they were called then.
    pub from_name: String,
    /// Who gets it.
    pub to: Option<Uuid>,
    /// What was written, as it was typed.
    pub text: String,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// When the other one saw it.
    pub read_at: Option<DateTime<Utc>>,
}

/// A text that is shown on the desks of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Notice {
    pub id: Uuid,
    /// What whoever wrote it was called then.
    pub from_name: String,
    /// The queue whose agents get it; `null` if everybody does.
    pub queue_id: Option<Uuid>,
    /// What was written, as it was typed.
    pub text: String,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
}

/// Somebody to write to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChatPerson {
    /// The person.
    pub user_id: Uuid,
    /// What they are called.
    pub name: String,
    /// How many of their messages were not seen yet.
    pub unread: i64,
    /// When the last message went to or came from them.
    pub last_at: Option<DateTime<Utc>>,
    /// The beginning of the last message.
    pub last_text: Option<String>,
}

/// How many messages were marked as seen.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct MessagesSeen {
    /// How many.
    pub seen: i64,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChatMessage {
    /// The person who gets it.
    pub to: Uuid,
    /// At most 2000 characters.
    pub text: String,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNotice {
    /// At most 2000 characters.
    pub text: String,
    /// Only for the agents of this queue; for everybody if absent.
    pub queue_id: Option<Uuid>,
}

/// Who writes.
pub struct Sender {
    /// The person, or the key.
    pub id: Uuid,
    pub person: Option<Uuid>,
    pub name: String,
}

/// What was typed, without what nobody sees. It is shown as text, so it may hold any character that has a look.
fn text(typed: &str) -> Result<String> {
    let plain = typed.replace("\r\n", "\n").replace('\r', "\n");
    let plain = plain.trim();
    if plain.is_empty() {
        return Err(Error::invalid("text", Code::Empty));
    }
    if plain.chars().count() > LONGEST {
        return Err(Error::invalid("text", Code::at_most(LONGEST)));
    }
    // These turn what follows around, or hide in it.
    let is_hidden = |c: char| {
        c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if plain.chars().any(is_hidden) {
        return Err(Error::invalid("text", Code::InvisibleCharacters));
    }
    Ok(plain.to_owned())
}

async fn count(change: &mut Change, tenant: Uuid, sender: &Sender) -> Result<()> {
    let sent = store::sent_by(change.db(), tenant, sender.id).await?;
    let left = MOST_A_MINUTE - sent - 1;
    left::note(Left { policy: "messages", quota: MOST_A_MINUTE, window: Some(60), left, reset: Some(60) });
    if sent >= MOST_A_MINUTE {
        return Err(Code::TooManyMessages.with("most", MOST_A_MINUTE).into());
    }
    Ok(())
}

/// Writes to somebody of the same tenant.
pub async fn send(change: &mut Change, tenant: Uuid, sender: &Sender, new: &NewChatMessage) -> Result<ChatMessage> {
    let text = text(&new.text)?;
    if sender.person == Some(new.to) {
        return Err(Error::invalid("to", Code::WritesToOneself));
    }
    if !store::is_there(change.db(), tenant, new.to).await? {
        return Err(Error::invalid("to", Code::NobodyToWriteTo));
    }
    count(change, tenant, sender).await?;
    Ok(store::send(change.db(), tenant, sender, new.to, &text).await?)
}

/// Shows something to a team.
pub async fn tell_all(change: &mut Change, tenant: Uuid, sender: &Sender, new: &NewNotice) -> Result<Notice> {
    let text = text(&new.text)?;
    let people = match new.queue_id {
        Some(queue) => store::agents_of(change.db(), tenant, queue).await?.ok_or(Error::NotFound("queue"))?,
        None => store::everybody(change.db(), tenant).await?,
    };
    count(change, tenant, sender).await?;
    let notice = store::tell(change.db(), tenant, sender, new.queue_id, &people, &text).await?;
    let after = serde_json::json!({ "text": notice.text, "queue_id": notice.queue_id });
    let resource = format!("notices/{}", notice.id);
    change.audit(Audit { tenant: Some(tenant), action: "create", resource, before: None, after: Some(after) }).await?;
    Ok(notice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_as_it_was_typed_and_bounded() {
        assert_eq!(text(" <b>Hi</b> & 'bye' \r\n\"x\" \u{1f600} ").unwrap(), "<b>Hi</b> & 'bye' \n\"x\" \u{1f600}");
        for wrong in ["", " \n ", "a\u{0}b", "a\u{202e}b", "\u{1b}[31m"] {
            assert!(text(wrong).is_err(), "{wrong:?}");
        }
        assert!(text(&"ä".repeat(LONGEST)).is_ok());
        assert!(text(&"ä".repeat(LONGEST + 1)).is_err());
    }
}
