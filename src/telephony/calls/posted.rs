//! A call record between a switch and the database.

use actix_web::web::Bytes;
use uuid::Uuid;

/// A call record as a switch posted it.
#[derive(Debug)]
pub struct Posted {
    /// The channel that it is about.
    pub leg: Uuid,
    pub switch: Uuid,
    pub body: Bytes,
}

impl Posted {
    /// The leg's UUID from `?uuid=…`, in whatever spelling: `a_` before it says that the leg began the call (mod_xml_cdr).
    #[must_use]
    pub fn leg(query: &str) -> Option<Uuid> {
        let value = query.split('&').find_map(|pair| pair.strip_prefix("uuid="))?;
        channel(value)
    }
}

/// The channel that a leg's name in the inbox means. Earlier versions kept names as they were posted.
pub(super) fn channel(leg: &str) -> Option<Uuid> {
    leg.strip_prefix("a_").unwrap_or(leg).parse().ok()
}

/// What became of a posted record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    New,
    /// The one before could not be read, and this one can.
    InPlaceOfUnreadable,
    /// There is one already.
    Known,
}
