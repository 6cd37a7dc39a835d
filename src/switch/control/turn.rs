//! The right to act on a call: one at a time has it, among all nodes.
//!
//! It is a row that ends by itself if nobody gives it back, and no transaction: whoever acts may wait for seconds until a switch shows what was
//! done, and holds no connection to the database meanwhile.

use sqlx::PgPool;
use uuid::Uuid;

use super::store;
use crate::{
    model::error::{Error, Result},
    text::Code,
};

pub struct Held {
    pool: PgPool,
    call: Uuid,
    turn: Uuid,
}

impl Held {
    /// Takes the turn, or says that somebody else has it.
    pub async fn take(pool: &PgPool, call: Uuid) -> Result<Self> {
        let turn = Uuid::new_v4();
        if store::take_turn(pool, call, turn).await? {
            Ok(Self { pool: pool.clone(), call, turn })
        } else {
            Err(Error::from(Code::ActedOn))
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (pool, call, turn) = (self.pool.clone(), self.call, self.turn);
        tokio::spawn(async move {
            if let Err(error) = store::give_turn_back(&pool, call, turn).await {
                tracing::debug!(%call, %error, "a turn to act on a call was not given back; it ends by itself");
            }
        });
    }
}
