//! What all of the HTTP API shares: problems, paging, versions, idempotency, who asks.

pub mod actor;
pub mod input;
pub mod page;
pub mod problem;
pub mod router;
pub mod status;
mod store;
pub mod turns;
pub mod write;

use std::{net::IpAddr, sync::Arc};

use sqlx::{Postgres, Transaction};

use self::{
    actor::Actor,
    turns::{Turn, Turns},
};
use crate::{auth::Auth, changes::Changes};

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    pub changes: Changes,
    pub auth: Auth,
    /// Where switches reach this platform: what is put into their configuration.
    pub switch_url: Arc<str>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Arc<[IpAddr]>,
    pub turns: Turns,
}

impl Api {
    #[must_use]
    pub fn pool(&self) -> &sqlx::PgPool {
        self.changes.pool()
    }

    /// A turn for much at once, to be held until that is done.
    pub async fn turn(&self) -> Result<Turn, problem::Problem> {
        self.turns.take().await
    }

    /// To read with: what the database shows to who asks, which to a tenant is its own rows.
    pub async fn read(&self, actor: &Actor) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.changes.within(actor.tenant).await
    }
}
