//! What serving switches needs.

use std::sync::Arc;

use super::Fetch;
use crate::telephony::calls;

/// Fetches, and where call records go.
#[derive(Clone)]
pub struct Served {
    pub fetch: Arc<Fetch>,
    pub calls: calls::inbox::Inbox,
}
