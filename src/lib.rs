//! Dialplane: the control plane of a FreeSWITCH fleet. docs/architecture.md is the map.
//!
//! The groups stand on each other like floors, in this order; an import points to the same group or to one above it in the list, and
//! no two files import each other (`tests/architecture.rs`).

pub mod text;

pub mod model;

pub mod routing;

pub mod node;

pub mod http;

pub mod tenancy;

pub mod telephony;

pub mod people;

pub mod switch;

pub mod app;
