//! Which of an agent's numbers is shown.

use serde::{Deserialize, Serialize};

/// Which of an agent's numbers a call shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Choice {
    /// Always the same.
    #[default]
    Fixed,
    /// The one that was used least today.
    RoundRobin,
    /// A number of the callee's country, if there is one.
    MatchCountry,
}
