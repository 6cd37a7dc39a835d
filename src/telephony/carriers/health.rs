//! How carriers are doing, as the records of their calls say: the switches report every attempt over a gateway as a leg.

use serde_json::Value;
use uuid::Uuid;

use crate::model::channel;

/// What the record of a leg over a carrier says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub carrier: Uuid,
    /// The call that it was made for.
    pub call: Option<Uuid>,
    pub answered: bool,
    /// The carrier's trouble, not the called's answer.
    pub failed: bool,
    pub seconds: i64,
}

/// Causes that are the carrier's trouble: the same after which the next is tried.
const TROUBLE: &[&str] = &[
    "NORMAL_TEMPORARY_FAILURE",
    "NETWORK_OUT_OF_ORDER",
    "RECOVERY_ON_TIMER_EXPIRE",
    "PROGRESS_TIMEOUT",
    "GATEWAY_DOWN",
    "INVALID_GATEWAY",
    "SWITCH_CONGESTION",
    "NORMAL_CIRCUIT_CONGESTION",
    "REQUESTED_CHAN_UNAVAIL",
];

/// Reads a record of mod_json_cdr. `None`: it is no leg over a carrier.
#[must_use]
pub fn attempt(record: &Value) -> Option<Attempt> {
    let text = |name: &str| record["variables"][name].as_str();
    let carrier = text(channel::CARRIER)?.parse().ok()?;
    let number = |name| text(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    let answered = number("answer_epoch") > 0;
    let cause = text("hangup_cause").unwrap_or_default();
    Some(Attempt {
        carrier,
        call: text(channel::CALL).and_then(|call| call.parse().ok()),
        answered,
        failed: !answered && TROUBLE.contains(&cause),
        seconds: number("billsec"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_busy_called_is_no_trouble_of_the_carriers() {
        let carrier = Uuid::from_u128(7).to_string();
        let record = |cause: &str, answer: &str| {
            attempt(&json!({ "variables": { "dialplane_carrier": carrier, "hangup_cause": cause, "answer_epoch": answer, "billsec": "61" } }))
                .unwrap()
        };
        assert!(record("NORMAL_TEMPORARY_FAILURE", "0").failed);
        assert!(record("PROGRESS_TIMEOUT", "0").failed);
        assert!(!record("USER_BUSY", "0").failed && !record("CALL_REJECTED", "0").failed);
        let answered = record("NORMAL_CLEARING", "1790000000");
        assert!(answered.answered && !answered.failed && answered.seconds == 61);
        assert!(attempt(&json!({ "variables": {} })).is_none());
    }
}
