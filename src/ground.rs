//! The ground that the switch's side and the program stand on: the groups below `switch`, from the bottom up. They are a crate of
//! their own so that a change above is checked without them (docs/decisions/07-three-crates.md).

pub mod text;

pub mod model;

pub mod routing;

pub mod node;

pub mod http;

pub mod tenancy;

pub mod telephony;

pub mod people;
