//! Routes as people ask about them: what a call would cost over each carrier, and why it would go where it would go.

pub mod api;
pub mod explain;
pub mod preview;
