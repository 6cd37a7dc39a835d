//! Dialplane: the control plane of a FreeSWITCH fleet. docs/architecture.md is the map.
//!
//! The groups stand on each other like floors. Below they are listed from the ground up: an import points to the same group or to an
//! earlier one in this list, and no two files import each other (`tests/architecture.rs`).

pub use dialplane_ground::{http, model, node, people, routing, telephony, tenancy, text};

pub use dialplane_switch::switch;

pub mod app;
