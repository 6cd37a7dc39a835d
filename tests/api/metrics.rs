//! The metrics for Prometheus.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

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
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - value(&text, &asked)).abs() < 60.0, "{text}");
    assert!(value(&text, "dialplane_database_connections_limit{pool=\"api\"}") >= 4.0);
    assert!(value(&text, "process_resident_memory_bytes ") > 1e6);
    assert!(value(&text, "process_open_fds ") > 3.0);
    assert!((0.0..600.0).contains(&(now - value(&text, "process_start_time_seconds "))), "{text}");
    node.stop().await;
}

#[actix_web::test]
async fn all_metrics_are_documented_and_alerts_use_no_others() {
    let text = metrics().await;
    let read = |file: &str| {
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file)).unwrap()
    };
    let (docs, alerts) = (read("metrics.md"), read("examples/alerts.yml"));
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(docs.contains(&format!("`{name}`")), "{name}");
    }
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("dialplane_") || word.starts_with("process_"));
    for name in names {
        let name = name.trim_end_matches("_bucket");
        let name = if docs.contains(&format!("`{name}`")) { name } else { name.trim_end_matches("_count") };
        assert!(docs.contains(&format!("`{name}`")), "{name}");
    }
}
