//! What serving switches needs.

use std::sync::Arc;

use super::Fetch;
use crate::{
    node::disk,
    switch::voicemail::arrival::Messages,
    telephony::{calls, recordings::arrival::Arrivals},
};

/// Fetches, and where call records, recordings and messages go.
#[derive(Clone)]
pub struct Served {
    pub fetch: Arc<Fetch>,
    pub calls: calls::inbox::Inbox,
    pub recordings: Arrivals,
    pub messages: Messages,
}

/// Why the database did not take something: its disk is full, in the words of the API's code, or it can't be asked.
#[must_use]
pub fn why_not_kept(error: &sqlx::Error) -> &'static str {
    if disk::is_full(error) {
        "database_full: the database's disk is full, and nothing was kept\n"
    } else {
        "the database can't be asked\n"
    }
}
