//! Counts what Postgres refuses or fails to do, by reason: few reasons, so that there are few series.

/// All of them. `constraint` and `gave_way` are not faults: a rule of the tables refused a change, or it lost to another and is tried again.
const REASONS: [&str; 9] = [
    "no_connection",
    "connection_lost",
    "timeout",
    "gave_way",
    "constraint",
    "read_only",
    "disk_full",
    "no_resources",
    "other",
];

/// A counter that appears only with the first error has no rate then: these are there from the start.
pub fn begin() {
    for reason in REASONS {
        add(reason, 0);
    }
}

/// Counts an error, once for each.
pub fn note(error: &sqlx::Error) {
    add(reason(error), 1);
}

/// Counts a statement that nobody waited for any longer.
pub fn note_timeout() {
    add("timeout", 1);
}

fn add(reason: &'static str, count: u64) {
    metrics::counter!("dialplane_database_errors_total", "reason" => reason).increment(count);
}

fn reason(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => "no_connection",
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            "connection_lost"
        }
        sqlx::Error::Database(told) => told.code().map_or("other", |code| of_state(&code)),
        _ => "other",
    }
}

/// By SQLSTATE (appendix A of Postgres' manual).
fn of_state(state: &str) -> &'static str {
    match state {
        "53100" => "disk_full",
        // No connection is left, for anybody or for this role.
        "53300" => "no_connection",
        "57014" | "55P03" => "timeout",
        "40001" | "40P01" => "gave_way",
        "25006" => "read_only",
        _ if state.starts_with("53") => "no_resources",
        _ if state.starts_with("08") || state.starts_with("57P") => "connection_lost",
        // A trigger of ours refuses with DPL01.
        _ if state.starts_with("23") || state.starts_with("DPL") => "constraint",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_reason_that_is_known() {
        for (state, reason) in [
            ("23505", "constraint"),
            ("DPL01", "constraint"),
            ("40P01", "gave_way"),
            ("53100", "disk_full"),
            ("53200", "no_resources"),
            ("53300", "no_connection"),
            ("57014", "timeout"),
            ("57P01", "connection_lost"),
            ("08006", "connection_lost"),
            ("25006", "read_only"),
            ("42P01", "other"),
        ] {
            assert_eq!(of_state(state), reason, "{state}");
            assert!(REASONS.contains(&reason), "{reason}");
        }
        assert_eq!(reason(&sqlx::Error::PoolTimedOut), "no_connection");
        assert_eq!(reason(&sqlx::Error::RowNotFound), "other");
    }
}
