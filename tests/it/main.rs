//! The whole application, tested from outside: HTTP in, documents out, a real Postgres below.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod harness;

mod first;
