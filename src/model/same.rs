//! Whether a change changes anything. One that doesn't is no change: it leaves the version, the audit log and the caches as they are.

use serde::Serialize;

/// Whether two states of a thing are the same to whoever reads it.
#[must_use]
pub fn is_same<T: Serialize>(before: &T, after: &T) -> bool {
    let json = |thing| serde_json::to_value(thing).ok();
    json(before).is_some_and(|before| Some(before) == json(after))
}
