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

/// Why the database did not take something: its disk is full, in the words of the API's code, or it can't be asked.
#[must_use]
pub fn why_not_kept(error: &sqlx::Error) -> &'static str {
    // disk_full
    let is_full = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("53100"));
    if is_full {
        "database_full: the database's disk is full, and nothing was kept\n"
    } else {
        "the database can't be asked\n"
    }
}
