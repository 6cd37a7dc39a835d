//! A call that waits for its route.

use jiff::Timestamp;
use uuid::Uuid;

use super::key::{FinishedKey, KeyText};
use crate::{
    routing::{Call, Failure, Hops},
    text::{E164, Prefix, SipUsername},
};

/// A call with what the switch vouches for. It owns its texts, because a fill outlives the request.
#[derive(Debug, Clone)]
pub struct PlacedCall {
    pub number: String,
    pub caller: Option<SipUsername>,
    pub caller_number: Option<String>,
    pub hops: Hops,
    pub after: Option<Failure>,
    /// The menu that the number was dialled in.
    pub menu: Option<Uuid>,
    /// The extension that forwarded the call here.
    pub forwarder: Option<SipUsername>,
    pub turn: u64,
    /// The call's UUID on its switch.
    pub call: Option<Uuid>,
    /// The extension that calls and a number of its agent's, as the directory said.
    pub extension: Option<Uuid>,
    pub own_number: Option<E164>,
    /// The area code of the caller's extension.
    pub area: Option<Prefix>,
    /// The switch that has it.
    pub switch: Option<Uuid>,
    /// The key of an answer that depends on neither the caller nor the number shown.
    pub base: Vec<u8>,
}

impl PlacedCall {
    /// Whether it is one of the many spellings of a name with letters.
    #[must_use]
    pub fn has_capitals(&self) -> bool {
        self.number.bytes().any(|b| b.is_ascii_uppercase())
    }

    #[must_use]
    pub fn call(&self, at: Timestamp) -> Call<'_> {
        Call {
            dialled: &self.number,
            caller: self.caller.as_ref(),
            caller_number: self.caller_number.as_deref(),
            area: self.area.as_ref(),
            hops: self.hops,
            after: self.after,
            menu: self.menu,
            forwarder: self.forwarder.as_ref(),
            at,
            turn: self.turn,
        }
    }

    /// The key of an answer that depends on both.
    pub(super) fn exact(&self) -> Option<FinishedKey> {
        let caller = self.caller.as_ref().map_or("", SipUsername::as_str);
        KeyText::from(&self.base)
            .folded(caller)
            .raw(self.caller_number.as_deref().unwrap_or_default().as_bytes())
            .finish()
    }
}
