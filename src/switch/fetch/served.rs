//! What serving switches needs.

use std::sync::Arc;

use super::Fetch;
use crate::telephony::{calls, recordings::arrival::Arrivals};

/// Fetches, and where call records and recordings go.
#[derive(Clone)]
pub struct Served {
    pub fetch: Arc<Fetch>,
    pub calls: calls::inbox::Inbox,
    pub recordings: Arrivals,
}
