//! The right to act on a call: one at a time has it, among all nodes.
//!
//! It is a row that ends by itself if nobody gives it back, and no transaction: whoever acts may wait for seconds until a switch shows what was
//! done, and holds no connection to the database meanwhile.

use sqlx::PgPool;
use uuid::Uuid;

use super::store;
use crate::{model::error::Error, text::Code};

/// Does something while nobody else acts on the call, or says that somebody does.
///
/// The turn is given back before this returns: whoever has an answer may act again at once.
pub async fn taking<T, E: From<Error>>(
    pool: &PgPool,
    call: Uuid,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let turn = Turn { pool: pool.clone(), call, id: Uuid::new_v4(), is_taken: true };
    if !store::take_turn(pool, call, turn.id).await.map_err(Error::from)? {
        return Err(Error::from(Code::ActedOn).into());
    }
    let done = work.await;
    turn.end().await;
    done
}

struct Turn {
    pool: PgPool,
    call: Uuid,
    id: Uuid,
    is_taken: bool,
}

impl Turn {
    async fn end(mut self) {
        self.is_taken = false;
        give_back(&self.pool, self.call, self.id).await;
    }
}

impl Drop for Turn {
    /// Whoever asked went away before it was done.
    fn drop(&mut self) {
        if self.is_taken {
            let (pool, call, turn) = (self.pool.clone(), self.call, self.id);
            tokio::spawn(async move { give_back(&pool, call, turn).await });
        }
    }
}

async fn give_back(pool: &PgPool, call: Uuid, turn: Uuid) {
    if let Err(error) = store::give_turn_back(pool, call, turn).await {
        tracing::debug!(%call, %error, "a turn to act on a call was not given back; it ends by itself");
    }
}
