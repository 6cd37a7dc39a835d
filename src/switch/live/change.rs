//! What is no longer as it was.

use uuid::Uuid;

use super::leg::Leg;

/// A phone's address of record: its SIP username and its domain.
pub type Aor = (Box<str>, Box<str>);

/// What is no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Registration(Aor),
    /// A leg is new.
    Leg(Uuid),
    Call(Uuid),
    LegOver(Box<Leg>),
    CallOver(Uuid),
    Queue(String),
    Agent(String),
    Conference(String),
    Parked(String),
    Gateway(Uuid),
}
