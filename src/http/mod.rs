//! What all of the HTTP API shares: problems, paging, versions, idempotency, who asks.

pub mod actor;
pub mod input;
pub mod page;
pub mod problem;
pub mod router;
pub mod status;
mod store;
pub mod write;

use crate::changes::Changes;

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    pub changes: Changes,
}

impl Api {
    #[must_use]
    pub fn pool(&self) -> &sqlx::PgPool {
        self.changes.pool()
    }
}
