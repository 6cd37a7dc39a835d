//! What Prometheus is told.

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
async fn prometheus_own_lint_has_nothing_to_say() {
    let text = metrics().await;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = promtool.spawn() else { return skipped("there is no promtool") };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
