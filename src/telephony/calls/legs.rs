//! Legs over carriers that are up, as switches say over their event sockets: calls of capped tenants get more time while there is
//! money, and a call whose record never comes is charged for what was seen of it.

use sqlx::PgPool;

pub use super::legs_store::Up;
use super::{legs_store, store};
use crate::routing::carried::cost;

/// For how many seconds a call is given money at once, if its switch is visited: it gets more before they are over.
pub const SLICE: i32 = 600;
/// The same if nobody can give it more: all that it will get.
pub const WHOLE: i32 = 7200;
/// A call that may last less than this gets more time.
const SHORT: i64 = 300;

/// How long a leg may last now, if that has changed.
pub enum Renewed {
    Same,
    /// In seconds after the answer; `None`: without limit.
    Until(Option<i32>),
}

/// Gives a leg that is soon to end more time, if its tenant may spend more. Its switch must be told.
pub async fn renew(pool: &PgPool, leg: &Up) -> sqlx::Result<Renewed> {
    let Some(allowed) = leg.allowed.filter(|allowed| i64::from(*allowed) - leg.elapsed < SHORT) else {
        return Ok(Renewed::Same);
    };
    let mut tx = pool.begin().await?;
    let Some(of) = store::charged(&mut tx, leg.call, leg.carrier, Some(&leg.callee)).await?.pop() else {
        return Ok(Renewed::Same);
    };
    let until = legs_store::renew(&mut tx, leg, &of, SLICE).await?;
    tx.commit().await?;
    Ok(if until.is_none_or(|until| until > allowed) { Renewed::Until(until) } else { Renewed::Same })
}

/// Charges legs that are gone for a minute without a record, for as long as they were seen. If the record comes later, it counts.
pub async fn charge_unrecorded(pool: &PgPool) -> sqlx::Result<()> {
    for gone in legs_store::unrecorded(pool).await? {
        let mut tx = pool.begin().await?;
        if !legs_store::lock_unrecorded(&mut tx, gone.leg).await? {
            continue;
        }
        let mut sum = 0;
        for of in store::charged(&mut tx, gone.call, gone.carrier, Some(&gone.callee)).await? {
            let cost = cost(of.price, of.first_seconds, of.step_seconds, i64::from(gone.seconds));
            let by = store::By { carrier: gone.carrier, answered_at: Some(gone.answered_at) };
            store::settle(&mut tx, gone.call, &of, &by, gone.seconds, cost).await?;
            sum += cost;
        }
        legs_store::guess(&mut tx, gone.leg, sum, gone.seconds).await?;
        tx.commit().await?;
        tracing::warn!(leg = %gone.leg, call = %gone.call, seconds = gone.seconds, cost = sum, "no record came of a leg: it was charged for as long as its switch had it");
    }
    legs_store::forget_old(pool).await?;
    store::forget_expected(&mut *pool.acquire().await?).await
}
