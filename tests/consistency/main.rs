//! The central promises: answers are never stale, each key has one fill, and there are answers while the database is down.

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
