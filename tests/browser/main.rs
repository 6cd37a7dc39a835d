//! The pages in a real browser: in both themes, on wide and narrow screens, checked with axe-core.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "the live view needs a part of it")]
#[path = "../routing/event_socket.rs"]
mod event_socket;

mod buttons;
mod chromium;
mod desk;
mod forms;
mod gallery;
mod journeys;
mod looks;
mod pages;
mod phone;
mod phone_calls;
mod phone_dials;
mod phone_returns;
mod sip;
mod site;
mod status;
mod team;
mod window;
