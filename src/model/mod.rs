//! Value types that subjects, routing and fetches share: destinations, tenants' settings, call handling, errors with codes, pages of a
//! list. They are typed, bounded and validated. No I/O, SQL or HTTP here.

pub mod agent_status;
pub mod call_handling;
pub mod carrier;
pub mod channel;
pub mod database_errors;
pub mod destination;
pub mod device;
pub mod diff;
pub mod error;
pub mod label_column;
pub mod labels;
pub mod lamp;
pub mod language;
pub mod masked;
pub mod measure;
pub mod moment;
pub mod number;
pub mod paging;
pub mod patch;
pub mod put;
pub mod refusal;
pub mod retention;
pub mod same;
pub mod settings;
pub mod sorting;
pub mod topic;
pub mod used;
pub mod user;
pub mod which;
