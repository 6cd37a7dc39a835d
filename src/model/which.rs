//! Which thing a line of many means.

use serde::Deserialize;
use uuid::Uuid;

/// Which thing a line means: by its id, or by the key that people know it by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    pub id: Option<Uuid>,
    /// Instead of the id: an agent's e-mail address, an extension's or phone number's number, a group's name.
    pub key: Option<String>,
}
