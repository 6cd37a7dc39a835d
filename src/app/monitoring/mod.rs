//! `/v1/monitoring/…`: how the node that answers, the database and the switches are, for the platform's pages and scripts. It is read from
//! memory, as `/metrics` is, so that it says what this node knows and costs the database nothing.

pub mod errors;
pub mod health;
pub mod stats;
