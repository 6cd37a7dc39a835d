//! The health of carriers, learnt from call records: switches report every attempt over a gateway as a leg.

/// Causes that mean a failure of the carrier: the same after which the next carrier is tried.
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

/// Whether a cause means a failure of the carrier rather than the called party's answer.
#[must_use]
pub fn is_trouble(cause: &str) -> bool {
    TROUBLE.contains(&cause)
}
