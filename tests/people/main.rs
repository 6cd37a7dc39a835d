//! People: signing in, rights of roles, tenants from templates, agents, and attacks on all of these.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

mod abuse;
mod agents;
mod attacks;
mod audit_words;
mod changes;
mod clocks;
mod limits;
mod mails;
mod matrix;
mod onboarding;
mod pages;
mod people;
mod recordings;
mod refused_forms;
mod rows;
mod sign_in;
mod status;
mod strangers;
mod voicemail;
