//! What every handler needs: problems, JSON input, versions and idempotency, labels (`external_id`, `metadata`), turns for large uploads. The router is in `app`, and
//! `tenancy::auth` decides who the caller is.

pub mod bulk;
pub mod change;
pub mod input;
pub mod labels;
pub mod labels_many;
mod labels_store;
pub mod left;
pub mod pressed;
pub mod problem;
pub mod seen;
mod store;
pub mod turns;
