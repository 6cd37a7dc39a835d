//! Everything between Dialplane and FreeSWITCH: fetches; event sockets, and what is heard and done over them (live state, agents' status,
//! call control, lamps, messages, call-backs, voicemail); registered phones; recordings' sender; sandboxes' played calls; import and export of
//! its files; explaining to people what a switch would get. Rules of routing, and what tenants have, don't live here.

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
