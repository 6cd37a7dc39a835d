//! What FreeSWITCH asks and gets: the way of a fetch, the event socket, files in and out, and the same explained to people.

pub mod export;
pub mod fetch;
pub mod import;
pub mod link;
pub mod simulate;
