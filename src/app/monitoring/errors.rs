//! What was refused and what failed.

use actix_web::{
    get,
    web::{Data, Json},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::{
        process,
        status::{Counters, Health},
    },
    http::seen,
    tenancy::auth::actor::Actor,
};

/// Counters of what is done in the background and for switches, with the values of a label that mean a failure; none: all do.
const FAILURES: [(&str, &str, &[&str]); 9] = [
    ("fetches_refused", "dialplane_fetches_refused_total", &[]),
    ("fetches", "dialplane_fetches_total", &["unavailable"]),
    ("fills", "dialplane_fills_failed_total", &[]),
    ("calls_lacking", "dialplane_calls_lacking_total", &[]),
    ("call_records", "dialplane_call_records_total", &["unreadable"]),
    ("recordings", "dialplane_recordings_total", &["failed"]),
    ("mails", "dialplane_mails_total", &["failed"]),
    ("webhooks", "dialplane_webhooks_total", &["failed"]),
    ("renewals", "dialplane_renewals_total", &["failed"]),
];

/// Requests of people and scripts that were refused or failed for one reason.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SeenProblem {
    /// The problem's code. `/problems/CODE` says what it means and what to do.
    pub code: &'static str,
    /// The HTTP status of such an answer.
    pub status: u16,
    /// What it means, with its parameters in braces.
    pub meaning: &'static str,
    /// How often.
    pub count: u64,
    /// When it was answered last.
    pub last_at: DateTime<Utc>,
}

/// Something else that failed.
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SeenFailure {
    /// What: `fetches_refused`, `fetches`, `fills`, `calls_lacking`, `call_records`, `recordings`, `mails`, `webhooks` or `renewals`.
    pub what: &'static str,
    /// Why or how, if there are several ways.
    pub how: Option<String>,
    /// How often.
    pub count: u64,
}

/// What was refused and what failed at the node that answers, since it started.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MonitoringErrors {
    /// The node's id.
    pub node_id: Uuid,
    /// When its process started.
    pub since: Option<DateTime<Utc>>,
    /// By code, the most recent first.
    pub problems: Vec<SeenProblem>,
    /// What failed besides.
    pub failures: Vec<SeenFailure>,
}

/// Reads them from the lines of `/metrics`.
fn failures(text: &str) -> Vec<SeenFailure> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let found = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) =
            series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
        let (what, _, failed) = FAILURES.iter().find(|(_, metric, _)| *metric == name)?;
        // The last label is the outcome; no value has a quotation mark.
        let values = labels.split('"').skip(1).step_by(2).collect::<Vec<_>>();
        let is_failure = failed.is_empty() || values.iter().any(|value| failed.contains(value));
        let count = value.parse::<u64>().ok().filter(|count| is_failure && *count > 0)?;
        let how = Some(values.join(" ")).filter(|how| !how.is_empty());
        Some(SeenFailure { what, how, count })
    });
    found.collect()
}

pub fn look(health: &Health, counters: &Counters) -> MonitoringErrors {
    let mut problems = seen::all();
    problems.sort_by_key(|seen| std::cmp::Reverse(seen.last_at));
    let problem = |seen: seen::Seen| SeenProblem {
        code: seen.code.name(),
        status: seen.code.kind().status(),
        meaning: seen.code.texts().english,
        count: seen.count,
        last_at: seen.last_at,
    };
    MonitoringErrors {
        node_id: health.fetch.node,
        since: process::started(),
        problems: problems.into_iter().map(problem).collect(),
        failures: failures(&counters.handle.render()),
    }
}

/// Show what was refused and what failed
///
/// It is what happened at the node that answers, since it started.
#[utoipa::path(tag = "monitoring", responses((status = 200, body = MonitoringErrors)))]
#[get("/v1/monitoring/errors")]
pub async fn show_errors(_actor: Actor, health: Data<Health>, counters: Data<Counters>) -> Json<MonitoringErrors> {
    Json(look(&health, &counters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_from_the_lines_of_metrics_and_successes_are_none() {
        let text = "# HELP dialplane_mails_total Attempts\n# TYPE dialplane_mails_total counter\n\
            dialplane_mails_total{outcome=\"sent\"} 7\ndialplane_mails_total{outcome=\"failed\"} 2\n\
            dialplane_fills_failed_total 3\ndialplane_fetches_refused_total{reason=\"credentials\"} 1\n\
            dialplane_fetches_refused_total{reason=\"guesses\"} 0\n\
            dialplane_renewals_total{part=\"mail\",outcome=\"failed\"} 4\ndialplane_tenants 9\n";
        let failure = |what, how: Option<&str>, count| SeenFailure { what, how: how.map(Into::into), count };
        assert_eq!(
            failures(text),
            [
                failure("mails", Some("failed"), 2),
                failure("fills", None, 3),
                failure("fetches_refused", Some("credentials"), 1),
                failure("renewals", Some("mail failed"), 4),
            ]
        );
    }
}
