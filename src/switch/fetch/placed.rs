//! A call that is being answered.

use jiff::Timestamp;
use uuid::Uuid;

use super::key::{FinishedKey, KeyText};
use crate::{
    routing::{Call, Failure},
    text::SipUsername,
};

/// A call, as far as the switch vouches for it, with its texts owned: a fill outlives the request.
#[derive(Debug, Clone)]
pub struct PlacedCall {
    pub number: String,
    pub caller: Option<SipUsername>,
    pub caller_number: Option<String>,
    pub hops: u8,
    pub after: Option<Failure>,
    pub turn: u64,
    /// The call's UUID on its switch.
    pub call: Option<Uuid>,
    /// Under what an answer is kept that depends on neither caller nor number shown.
    pub base: Vec<u8>,
}

impl PlacedCall {
    /// Is it one of the many ways to dial a name that has letters?
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
            hops: self.hops,
            after: self.after,
            at,
            turn: self.turn,
        }
    }

    /// Under what an answer is kept that depends on all of it.
    pub(super) fn exact(&self) -> Option<FinishedKey> {
        let caller = self.caller.as_ref().map_or("", SipUsername::as_str);
        KeyText::from(&self.base)
            .folded(caller)
            .raw(self.caller_number.as_deref().unwrap_or_default().as_bytes())
            .finish()
    }
}
