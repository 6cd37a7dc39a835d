//! What a node measures, for the operator's eye: calls and phones now, fetches and requests with how long they took, problems, and work that
//! waits. Dashboards over time read `/metrics`.

use actix_web::{get, web::ServiceConfig};
use askama::Template;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Page, Shell, Visitor,
    ask::{Ask, turned},
    calls::moment,
    fields::word,
    ok,
};
use crate::tenancy::auth::rules::{Level, Resource};

pub fn pages(config: &mut ServiceConfig) {
    config.service(show);
}

struct Figure {
    value: String,
    label: &'static str,
}

/// How often something was, and how long it took.
struct Line {
    kind: String,
    source: String,
    count: u64,
    /// Of all, in percent.
    share: u64,
    half: String,
    most: String,
}

struct Problem {
    code: String,
    status: i64,
    count: u64,
    at: Option<DateTime<Utc>>,
}

struct Failure {
    what: String,
    count: u64,
}

#[derive(Template)]
#[template(path = "web/monitoring.html")]
struct MonitoringPage<'a> {
    s: &'a Shell,
    node: String,
    since: Option<DateTime<Utc>>,
    figures: Vec<Figure>,
    fetches: Vec<Line>,
    requests: Vec<Line>,
    problems: Vec<Problem>,
    failures: Vec<Failure>,
    waiting: Vec<Failure>,
}

fn text(thing: &Value, field: &str) -> String {
    thing[field].as_str().unwrap_or_default().to_owned()
}

fn number(thing: &Value, field: &str) -> u64 {
    thing[field].as_u64().unwrap_or_default()
}

/// Seconds as people read them.
fn took(s: &Shell, seconds: &Value) -> String {
    match seconds.as_f64() {
        None => s.t("monitoring.long").to_owned(),
        Some(seconds) if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

fn lines(s: &Shell, all: &Value, named: impl Fn(&Value) -> (String, String)) -> Vec<Line> {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = all.iter().map(|line| number(line, "count")).sum::<u64>().max(1);
    let mut lines = all
        .iter()
        .filter(|line| number(line, "count") > 0)
        .map(|line| {
            let (kind, source) = named(line);
            let count = number(line, "count");
            let (half, most) = (took(s, &line["p50_seconds"]), took(s, &line["p99_seconds"]));
            Line { kind, source, count, share: count * 100 / sum, half, most }
        })
        .collect::<Vec<_>>();
    lines.sort_by_key(|line| std::cmp::Reverse(line.count));
    lines
}

#[get("/platform/monitoring")]
async fn show(mut visitor: Visitor) -> Page {
    visitor.needs(Resource::Platform, Level::Read)?;
    visitor.shell.active = "monitoring";
    let read = async |path: &str| visitor.ask(Ask::get(path)).await.map_err(turned).map(|answer| answer.body);
    let (stats, errors) = (read("/v1/monitoring/stats").await?, read("/v1/monitoring/errors").await?);
    let health = read("/v1/monitoring/health").await?;
    let s = &visitor.shell;
    let since = moment(&stats["since"]);
    let live = &stats["live"];
    let fetched = stats["fetches"].as_array().into_iter().flatten().map(|line| number(line, "count")).sum::<u64>();
    let up = since.map_or(0, |since| (Utc::now() - since).num_seconds()).max(1);
    let per_second =
        f64::from(u32::try_from(fetched).unwrap_or(u32::MAX)) / f64::from(i32::try_from(up).unwrap_or(i32::MAX));
    let memory =
        stats["memory_bytes"].as_u64().map_or_else(|| "–".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    let figures = vec![
        Figure { value: number(live, "calls").to_string(), label: "monitoring.calls" },
        Figure { value: number(live, "callers_waiting").to_string(), label: "monitoring.waiting" },
        Figure { value: number(live, "registrations").to_string(), label: "monitoring.phones" },
        Figure {
            value: format!("{} / {}", number(live, "switches_heard"), number(live, "switches")),
            label: "monitoring.heard",
        },
        Figure { value: format!("{per_second:.1}"), label: "monitoring.per_second" },
        Figure { value: memory, label: "monitoring.memory" },
    ];
    let problems = errors["problems"].as_array().into_iter().flatten().map(|problem| Problem {
        code: text(problem, "code"),
        status: problem["status"].as_i64().unwrap_or_default(),
        count: number(problem, "count"),
        at: moment(&problem["last_at"]),
    });
    let failures = errors["failures"].as_array().into_iter().flatten().map(|failure| Failure {
        what: format!("{} {}", text(failure, "what"), text(failure, "how")).trim().replace('_', " "),
        count: number(failure, "count"),
    });
    let waiting = health["backlogs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|backlog| Failure { what: word(s, "work", &text(backlog, "kind")), count: number(backlog, "waiting") });
    ok(&MonitoringPage {
        s,
        node: text(&stats, "node_id"),
        since,
        figures,
        fetches: lines(s, &stats["fetches"], |line| (text(line, "kind"), text(line, "source").replace('_', " "))),
        requests: lines(s, &stats["requests"], |line| {
            (text(line, "part"), format!("{} {}", text(line, "method"), text(line, "status")))
        }),
        problems: problems.collect(),
        failures: failures.filter(|failure| failure.count > 0).collect(),
        waiting: waiting.filter(|waiting| waiting.count > 0).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_most_often_stands_first_with_its_share() {
        let all = json!([
            { "kind": "directory", "source": "hit", "count": 3, "p50_seconds": 0.0001, "p99_seconds": 0.002 },
            { "kind": "dialplan", "source": "hit", "count": 0, "p50_seconds": 0.0001, "p99_seconds": 0.002 },
            { "kind": "dialplan", "source": "filled", "count": 9, "p50_seconds": 1.5, "p99_seconds": null },
        ]);
        let lines = lines(&Shell::default(), &all, |line| (text(line, "kind"), text(line, "source")));
        let said = lines.iter().map(|line| (line.kind.as_str(), line.share, line.half.as_str(), line.most.as_str()));
        assert_eq!(
            said.collect::<Vec<_>>(),
            [("dialplan", 75, "1.5 s", "over 10 s"), ("directory", 25, "100 µs", "2 ms")]
        );
    }
}
