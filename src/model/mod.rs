//! Value types that subjects, routing and fetches share: what a destination is, what a tenant is set up with, how an extension
//! handles its calls; errors with codes; pages of a list. Typed, limited, checked; no I/O, no SQL, no HTTP.

pub mod call_handling;
pub mod carrier;
pub mod channel;
pub mod destination;
pub mod diff;
pub mod error;
pub mod language;
pub mod masked;
pub mod moment;
pub mod number;
pub mod paging;
pub mod patch;
pub mod refusal;
pub mod retention;
pub mod settings;
pub mod user;
