//! The metrics for Prometheus.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::harness::{Database, Node, skipped};

async fn metrics() -> String {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, serde_json::json!({ "number": "1000" })).await;
    assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    let text = node.metrics().await;
    node.stop().await;
    text
}

#[actix_web::test]
async fn every_metric_says_what_it_means() {
    let text = metrics().await;
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let kinds = kinds.collect::<Vec<_>>();
    assert!(kinds.len() > 8, "{text}");
    for name in kinds {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} in src/app/telemetry.rs: {text}");
    }
    assert!(text.contains("dialplane_build_info{version=\"0."), "{text}");
    // Prometheus has labels of these names, and would rename ours.
    for label in ["job=\"", "instance=\""] {
        assert!(!text.contains(&format!("{{{label}")) && !text.contains(&format!(",{label}")), "{text}");
    }
}

#[actix_web::test]
async fn prometheus_lint_finds_nothing() {
    let text = metrics().await;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = promtool.spawn() else { return skipped("there is no promtool") };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// In seconds since 1970.
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The value in the line that begins with this.
fn value(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|seen| seen.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{line}: {text}"))
}

#[actix_web::test]
async fn fetches_requests_switches_pools_and_the_process_are_measured() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, serde_json::json!({ "number": "1000" })).await;
    for _ in 0..3 {
        assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    }
    let refused = node.api("GET", "/v1/tenants/nobody", serde_json::Value::Null).await;
    assert_eq!(refused.status, 404);
    let text = node.metrics().await;
    let fetched = "dialplane_fetch_duration_seconds";
    assert!(value(&text, &format!("{fetched}_count{{kind=\"user\",source=\"filled\"}}")) >= 1.0);
    assert!(value(&text, &format!("{fetched}_bucket{{kind=\"user\",source=\"filled\",le=\"10\"}}")) >= 1.0);
    assert!(value(&text, &format!("{fetched}_sum{{kind=\"user\",source=\"filled\"}}")) > 0.0);
    let requested = "dialplane_http_request_duration_seconds_count";
    assert!(value(&text, &format!("{requested}{{part=\"api\",method=\"POST\",status=\"2xx\"}}")) >= 2.0);
    assert!(value(&text, &format!("{requested}{{part=\"api\",method=\"GET\",status=\"4xx\"}}")) >= 1.0);
    let asked = format!("dialplane_switch_last_fetch_timestamp_seconds{{switch=\"{}\"}}", node.switch.0);
    assert!((now() - value(&text, &asked)).abs() < 60.0, "{text}");
    assert!(value(&text, "dialplane_database_connections_limit{pool=\"api\"}") >= 4.0);
    let stated = "dialplane_database_statement_duration_seconds";
    for kind in ["select", "insert", "commit"] {
        assert!(value(&text, &format!("{stated}_count{{kind=\"{kind}\"}}")) >= 1.0);
        assert!(value(&text, &format!("{stated}_sum{{kind=\"{kind}\"}}")) > 0.0);
    }
    assert!(value(&text, "process_resident_memory_bytes ") > 1e6);
    assert!(value(&text, "process_open_fds ") > 3.0);
    assert!((0.0..86_400.0).contains(&(now() - value(&text, "process_start_time_seconds "))), "{text}");
    node.stop().await;
}

/// Asks for the metrics until this is true of them.
async fn until(node: &Node, is: impl Fn(&str) -> bool) -> String {
    let since = Instant::now();
    loop {
        let text = node.metrics().await;
        if is(&text) {
            return text;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn a_periodic_job_that_fails_is_counted_by_its_name_and_is_late_until_it_succeeds() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    // Those that run in the same process are counted together, but only here does one of them lack its table.
    let (failures, success) = (
        "dialplane_job_failures_total{task=\"erasures\"}",
        "dialplane_job_last_success_timestamp_seconds{task=\"usage\"}",
    );
    let text = until(&node, |text| text.contains(success) && text.contains(failures)).await;
    assert!((now() - value(&text, success)).abs() < 3600.0, "{text}");
    assert!(value(&text, "dialplane_job_duration_seconds{task=\"usage\"}") >= 0.0);
    let errors = "dialplane_database_errors_total{reason=\"other\"}";
    let before = (value(&text, failures), value(&text, errors));
    let mut db = database.connect().await;
    sqlx::query("alter table erasures rename to elsewhere").execute(&mut db).await.unwrap();
    until(&node, |text| value(text, failures) > before.0 && value(text, errors) > before.1).await;
    sqlx::query("alter table elsewhere rename to erasures").execute(&mut db).await.unwrap();
    // To the second.
    let again = now().floor();
    until(&node, |text| value(text, "dialplane_job_last_success_timestamp_seconds{task=\"erasures\"}") >= again).await;
    node.stop().await;
}

#[actix_web::test]
async fn a_change_that_the_tables_refuse_is_counted_as_such() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let refused = "dialplane_database_errors_total{reason=\"constraint\"}";
    let before = value(&node.metrics().await, refused);
    // Only the tables' foreign key says that there is no such cluster.
    let new = serde_json::json!({ "name": "somewhere", "cluster_id": uuid::Uuid::new_v4() });
    let answer = node.api("POST", "/v1/switches", new).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(value(&node.metrics().await, refused) > before);
    node.stop().await;
}

fn docs(file: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file)).unwrap()
}

/// The expressions of the dashboard, with what Grafana puts in.
fn shown_on_the_dashboard() -> Vec<String> {
    let dashboard = serde_json::from_str::<Value>(&docs("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(expressions.len() > 30);
    let filled = |expression: String| {
        let filled = expression.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$switch", ".*");
        assert!(!filled.contains('$'), "{filled}");
        filled
    };
    expressions.into_iter().map(filled).collect()
}

#[actix_web::test]
async fn all_metrics_are_documented_and_neither_alerts_nor_the_dashboard_use_others() {
    let text = metrics().await;
    let (explained, alerts) = (docs("metrics.md"), docs("monitoring/alerts.yml"));
    let is_explained = |name: &str| explained.contains(&format!("`{name}`"));
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(is_explained(name), "{name}");
    }
    let used = [vec![alerts], shown_on_the_dashboard()].concat().join("\n");
    let words = used.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("dialplane_") || word.starts_with("process_"));
    for name in names {
        let name = name.trim_end_matches("_bucket");
        let name = if is_explained(name) { name } else { name.trim_end_matches("_count") };
        assert!(is_explained(name), "{name}");
    }
}

#[test]
fn prometheus_understands_the_alerts_and_what_the_dashboard_asks() {
    let rules = shown_on_the_dashboard()
        .into_iter()
        .enumerate()
        .map(|(at, expression)| serde_json::json!({ "record": format!("shown:{at}"), "expr": expression }));
    let rules = serde_json::json!({ "groups": [{ "name": "shown", "rules": rules.collect::<Vec<_>>() }] });
    for rules in [docs("monitoring/alerts.yml"), rules.to_string()] {
        let file = std::env::temp_dir().join(format!("dialplane-rules-{}", uuid::Uuid::new_v4()));
        std::fs::write(&file, rules).unwrap();
        let checked = Command::new("promtool").args(["check", "rules"]).arg(&file).output();
        std::fs::remove_file(&file).unwrap();
        let Ok(output) = checked else { return skipped("there is no promtool") };
        assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    }
}

fn said(output: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(output)
}
