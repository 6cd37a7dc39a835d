//! What every handler needs: problems, JSON input, versions and idempotency, turns for large uploads. Not the router, which is the
//! top, and not who asks, which is `tenancy::auth`'s.

pub mod change;
pub mod input;
pub mod problem;
mod store;
pub mod turns;
