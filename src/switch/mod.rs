//! Everything between Dialplane and FreeSWITCH: fetches, event sockets, import and export of its files, and explaining to
//! people what a switch would get.

pub mod agents;
pub mod call_backs;
pub mod control;
pub mod export;
pub mod fetch;
pub mod import;
pub mod link;
pub mod live;
pub mod messages;
pub mod phones;
pub mod sandbox;
pub mod sender;
pub mod simulate;
pub mod voicemail;
