//! The states of all switches' event sockets, kept in memory for metrics, which must not need the database.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use sqlx::PgPool;

use super::store::{self, LinkState};

const LOOK_EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct LinkStates(ArcSwap<Vec<LinkState>>);

impl LinkStates {
    #[must_use]
    pub fn known(&self) -> Arc<Vec<LinkState>> {
        self.0.load_full()
    }

    /// Reads the states forever. While the database is down, they are unknown.
    pub async fn watch(self: Arc<Self>, pool: PgPool) {
        loop {
            let states = store::link_states(&pool).await;
            self.0.store(states.unwrap_or_default().into());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
