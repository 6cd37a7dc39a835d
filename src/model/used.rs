//! What leads to something, or names it, and so has to change before it can go.

use serde::Serialize;
use uuid::Uuid;

use crate::text::{Code, Why};

/// How many of each kind are named at most where there may be thousands.
pub const MOST_NAMED: i64 = 20;

/// One thing that uses another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Used {
    pub kind: UsedKind,
    /// For a speed dial, the id of the tenant, whose settings have it.
    pub id: Uuid,
    /// As people know it: a number, a name, the digits of a speed dial.
    #[schema(example = "1811")]
    pub name: String,
}

/// As in a path of the API, except that each kind of destination has a word of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum UsedKind {
    Number,
    /// Its forwards or follow-me name it.
    Extension,
    Group,
    Queue,
    Ivr,
    Conference,
    Mailbox,
    Schedule,
    Announcement,
    External,
    Page,
    Tenant,
    Agent,
    Carrier,
    Cluster,
    Switch,
    Contact,
    Key,
    Webhook,
    /// A range of numbers for extensions.
    Pool,
    /// A dialplan entry.
    Entry,
    SpeedDial,
}

impl UsedKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Extension => "extension",
            Self::Group => "group",
            Self::Queue => "queue",
            Self::Ivr => "ivr",
            Self::Conference => "conference",
            Self::Mailbox => "mailbox",
            Self::Schedule => "schedule",
            Self::Announcement => "announcement",
            Self::External => "external",
            Self::Page => "page",
            Self::Tenant => "tenant",
            Self::Agent => "agent",
            Self::Carrier => "carrier",
            Self::Cluster => "cluster",
            Self::Switch => "switch",
            Self::Contact => "contact",
            Self::Key => "key",
            Self::Webhook => "webhook",
            Self::Pool => "pool",
            Self::Entry => "entry",
            Self::SpeedDial => "speed_dial",
        }
    }
}

/// For a sentence.
impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str().replace('_', " "), self.name)
    }
}

/// Why something can't go that these use.
#[must_use]
pub fn why(users: &[Used]) -> Why {
    let users = users.iter().map(ToString::to_string).collect::<Vec<_>>();
    Code::InUse.with("users", users.join(", "))
}
