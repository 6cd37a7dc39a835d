//! The switch's side of Dialplane: a crate of its own, so that a change of the pages, the API's frame or the command line is checked without
//! it (docs/decisions/07-three-crates.md).

pub use dialplane_ground::{http, model, node, people, routing, telephony, tenancy, text};

#[path = "mod.rs"]
pub mod switch;
