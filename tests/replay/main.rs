//! Every kind of request that FreeSWITCH sends, recorded or written alike, with its answer.
//!
//! Answers are parsed and compared as trees with those in `snapshots/`, so a review shows what changes for switches.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

mod further;
mod recorded;
mod secrets;
mod stage;
mod tree;
