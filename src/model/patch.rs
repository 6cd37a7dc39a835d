//! Fields of a merge patch.

use serde::{Deserialize, Deserializer};

/// For fields of a merge patch (RFC 7396): if absent, the field stays as it is; `null` empties it; a value sets it.
pub fn patch<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
