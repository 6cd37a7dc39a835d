//! What makes Dialplane worth trusting: never stale, one fill per key, and answers although the database is gone.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

mod balancer;
mod busy;
mod faults;
mod help;
mod model;
mod nodes;
mod paused;
mod restores;
mod staleness;
mod stampede;
