//! What the lists of outbound calls and of unreadable records show.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One decision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OutboundCall {
    /// The call's UUID on its switch.
    pub call_id: Uuid,
    pub callee: String,
    pub extension_id: Option<Uuid>,
    pub agent_id: Option<Uuid>,
    /// The number that was shown to the called party.
    pub number_id: Option<Uuid>,
    pub caller_id: Option<String>,
    /// The carrier that took the call; until its record says, the first that was tried.
    pub carrier_id: Option<Uuid>,
    pub emergency: bool,
    pub admitted: bool,
    /// Why it was refused.
    pub reason: Option<String>,
    /// That carrier's price per minute, in millionths of the currency.
    pub price: i64,
    /// Of the amounts. Absent in calls made under an earlier version.
    pub currency: Option<String>,
    pub at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub seconds: Option<i32>,
    /// In millionths of the currency.
    pub cost: Option<i64>,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutboundFilter {
    /// Only calls before this time.
    pub before: Option<DateTime<Utc>>,
    pub admitted: Option<bool>,
    /// Such as `daily_limit`.
    pub reason: Option<String>,
    /// 1 to 500; 50 if absent.
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A call record that can't be read. Its call keeps what was reserved for it until a readable record of the same leg is posted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UnreadableRecord {
    /// The channel's UUID, as it was posted.
    pub leg: String,
    pub switch_id: Uuid,
    pub received_at: DateTime<Utc>,
    pub bytes: i32,
    /// A code, and what was found: `broken_json: EOF while parsing a string at line 1 column 80`.
    pub reason: String,
}
