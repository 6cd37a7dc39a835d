//! A call record between a switch and the database.

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

/// In bytes. The record of a call with many legs is larger than any fetch.
pub const MAX_RECORD: usize = 1024 * 1024;

/// A call record as a switch posted it.
#[derive(Debug)]
pub struct Posted {
    /// The channel's UUID.
    pub leg: Uuid,
    pub switch: Uuid,
    pub body: Bytes,
}

impl Posted {
    /// The leg's UUID from `?uuid=…`, in any spelling, which something on the way may have encoded. The prefix `a_` means that the leg began the
    /// call (mod_xml_cdr).
    #[must_use]
    pub fn leg(query: &str) -> Option<Uuid> {
        let value = query.split('&').find_map(|pair| pair.strip_prefix("uuid="))?;
        channel(&percent_decode_str(value).decode_utf8().ok()?)
    }
}

/// The channel that a leg's name in the inbox stands for. Earlier versions kept names as they were posted.
#[must_use]
pub fn channel(leg: &str) -> Option<Uuid> {
    let leg = leg.trim();
    leg.strip_prefix("a_").unwrap_or(leg).parse().ok()
}

/// The names under which the inbox may have a leg that somebody spells in this way: its UUID, or what an earlier version kept as it was posted.
#[must_use]
pub fn names(leg: &str) -> Vec<String> {
    std::iter::once(leg.to_owned()).chain(channel(leg).map(|leg| leg.to_string())).collect()
}

/// What happened to a posted record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    New,
    /// It replaced one that can't be read.
    InPlaceOfUnreadable,
    /// There already was one.
    Known,
}
