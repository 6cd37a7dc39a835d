//! Every kind of request that a FreeSWITCH sends, recorded or in the same shape, and what it is answered.
//!
//! Answers are parsed and compared as trees, kept in `snapshots/`: a review of a change shows what switches get.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

mod further;
mod recorded;
mod secrets;
mod stage;
mod tree;
