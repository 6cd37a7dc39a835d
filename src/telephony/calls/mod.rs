//! Calls as the switches report them. A record is kept whole, once per leg, before the switch is told that it was received.

pub mod admission;
pub mod api;
pub mod emergency;
pub mod inbox;
pub mod leg;
pub mod legs;
pub mod legs_store;
pub mod listed;
pub mod posted;
pub mod record;
pub mod store;
pub mod told;
