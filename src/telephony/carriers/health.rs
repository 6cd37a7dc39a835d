//! How carriers are doing, as the records of their calls say: the switches report every attempt over a gateway as a leg.

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

/// Is a cause the carrier's trouble, rather than the called's answer?
#[must_use]
pub fn is_trouble(cause: &str) -> bool {
    TROUBLE.contains(&cause)
}
