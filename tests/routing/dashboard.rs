//! The dashboard and the alerts of docs/monitoring, against what a node with a switch really has in `/metrics`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    harness::Node,
    live::{fires, known, now, of_gateway},
    pushes::Fleet,
};

/// What a node has only if a listener has TLS, with its label.
const WITH_TLS: (&str, &str) = ("dialplane_certificate_expiry_timestamp_seconds", "listener");
/// What Prometheus adds to each series.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];
/// Kinds of panels that each Grafana has.
const PANELS: [&str; 5] = ["row", "stat", "timeseries", "gauge", "table"];
/// Grafana 11 wrote 39, and newer ones read it and write 41 or 42.
const VERSIONS: std::ops::RangeInclusive<i64> = 39..=42;

fn docs(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring").join(file)).unwrap()
}

/// The labels of each series of a scrape with their values, by the metric's name.
#[derive(Debug, Default)]
struct Scrape(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Scrape {
    fn read(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, _)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let known = all.0.entry(name.to_owned()).or_default();
            for (label, value) in matchers(labels) {
                known.entry(label).or_default().insert(value);
            }
        }
        all
    }

    fn has(&self, name: &str, label: &str) -> bool {
        let is_shown = self.0.get(name).is_some_and(|labels| labels.contains_key(label));
        OF_PROMETHEUS.contains(&label) || is_shown || (name, label) == WITH_TLS
    }
}

/// `a="b",c=~"d"` and what follows.
fn matchers(text: &str) -> Vec<(String, String)> {
    let text = text.split('}').next().unwrap();
    let parts = text.split('"').collect::<Vec<_>>();
    let pairs = parts.chunks_exact(2).map(|pair| {
        let label = pair[0].trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        (label.to_owned(), pair[1].to_owned())
    });
    pairs.collect()
}

/// The metrics of an expression, with their matchers.
fn metrics(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("dialplane_").chain(expression.match_indices("process_")) {
        // Not a word in a matcher, and not the middle of a name.
        let before = expression[..at].chars().next_back();
        if before.is_some_and(|c| is_part(c) || c == '"') {
            continue;
        }
        let rest = &expression[at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let of = rest[end..].strip_prefix('{').map(matchers).unwrap_or_default();
        found.push((rest[..end].to_owned(), of));
    }
    found
}

/// The labels that an expression groups or joins by.
fn groups(expression: &str) -> Vec<String> {
    let words = ["by (", "on (", "without ("];
    let lists = words.iter().flat_map(|word| expression.match_indices(word).map(|(at, _)| at + word.len()));
    let lists = lists.map(|at| expression[at..].split(')').next().unwrap());
    lists.flat_map(|list| list.split(',').map(|label| label.trim().to_owned())).collect()
}

/// What is wrong with an expression.
fn wrong(scrape: &Scrape, expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let all = metrics(expression);
    for (name, matchers) in &all {
        if !scrape.0.contains_key(name) && name != WITH_TLS.0 {
            found.push(format!("{name} is not in /metrics: {expression}"));
            continue;
        }
        let grouped = groups(expression);
        for label in matchers.iter().map(|(label, _)| label).chain(&grouped) {
            if !scrape.has(name, label) {
                found.push(format!("{name} has no label {label}: {expression}"));
            }
        }
    }
    found
}

/// What a node has that hears a switch, was asked by it, and refused somebody something.
async fn scraped(fleet: &Fleet) -> Scrape {
    let node: &Node = &fleet.stage.node;
    known(fleet).await;
    let beat = json!({
        "Event-Name": "HEARTBEAT", "Session-Count": "7", "Max-Sessions": "1000", "Session-Per-Sec": "30", "Session-Per-Sec-Last": "2",
        "Session-Since-Startup": "1234", "Idle-CPU": "87.5", "Uptime-msec": "60500",
    });
    fires(&fleet.socket, beat, now());
    fires(&fleet.socket, of_gateway("gateway_add", &uuid::Uuid::new_v4().to_string(), &[]), now());
    node.sign_in("1000", "nowhere.test").await;
    assert_eq!(node.api("GET", "/v1/tenants/nobody", Value::Null).await.status, 404);
    let since = Instant::now();
    loop {
        let text = node.metrics().await;
        if ["switch_idle_ratio", "backlog", "switch_pending_commands", "switch_gateway_up", "job_failures_total"]
            .iter()
            .all(|name| text.contains(&format!("dialplane_{name}{{")))
        {
            return Scrape::read(&text);
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn every_query_of_the_dashboard_and_the_alerts_finds_its_metric_with_its_labels() {
    let fleet = Fleet::new().await;
    let scrape = scraped(&fleet).await;
    let dashboard = serde_json::from_str::<Value>(&docs("dashboard.json")).unwrap();
    let mut found = Vec::new();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            asked += 1;
            found.extend(wrong(&scrape, expression));
            let all = metrics(expression);
            assert!(!all.is_empty(), "{expression}");
            // A state that is named is one that there is.
            for (name, matchers) in &all {
                for (label, value) in matchers.iter().filter(|(_, value)| !value.contains('$')) {
                    let values = scrape.0.get(name).and_then(|labels| labels.get(label));
                    let is_there =
                        OF_PROMETHEUS.contains(&label.as_str()) || values.is_some_and(|all| all.contains(value));
                    assert!(is_there, "{name} never has {label}={value}: {values:?}");
                }
            }
            // What the legend names.
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            for label in legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim()) {
                let grouped = groups(expression);
                let stays = grouped.is_empty() || grouped.iter().any(|by| by == label);
                if !stays || !all.iter().any(|(name, _)| scrape.has(name, label)) {
                    found.push(format!("the legend {legend} names {label}, which is not left: {expression}"));
                }
            }
        }
    }
    assert!(asked > 30, "{asked}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"].as_str().unwrap();
        if let Some(list) = query.strip_prefix("label_values(") {
            let (name, label) = list.trim_end_matches(')').split_once(", ").unwrap();
            if !scrape.0.contains_key(name) || !scrape.has(name, label) {
                found.push(format!("the variable {query} finds nothing"));
            }
        }
    }
    let alerts = serde_saphyr::from_str::<Value>(&docs("alerts.yml")).unwrap();
    let rules = alerts["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let expressions = rules.map(|rule| rule["expr"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(expressions.len() > 15);
    for expression in expressions {
        found.extend(wrong(&scrape, expression));
    }
    assert!(found.is_empty(), "{found:#?}");
    fleet.stage.stop().await;
}

#[test]
fn the_dashboard_is_one_that_a_present_grafana_reads() {
    let dashboard = serde_json::from_str::<Value>(&docs("dashboard.json")).unwrap();
    assert!(VERSIONS.contains(&dashboard["schemaVersion"].as_i64().unwrap()));
    let uid = dashboard["uid"].as_str().unwrap();
    assert!(!uid.is_empty() && uid.len() <= 40 && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{uid}");
    assert!(dashboard["title"].is_string() && dashboard["id"].is_null(), "an id is the installation's own");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect::<BTreeSet<_>>();
    let text = dashboard.to_string();
    for (at, _) in text.match_indices('$') {
        let name = text[at + 1..].trim_start_matches('{');
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap()];
        assert!(name.starts_with("__") || variables.contains(name), "${name} is not defined");
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let ids = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(ids.len(), panels.len(), "an id stands twice");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let kind = panel["type"].as_str().unwrap();
        assert!(PANELS.contains(&kind), "{kind}");
        let place = |field: &str| panel["gridPos"][field].as_i64().unwrap();
        for x in place("x")..place("x") + place("w") {
            assert!((0..24).contains(&x), "{panel}");
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "two panels lie over each other: {panel}");
            }
        }
        if kind == "row" {
            continue;
        }
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let targets = panel["targets"].as_array().unwrap();
        let names = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect::<BTreeSet<_>>();
        assert!(!targets.is_empty() && names.len() == targets.len(), "{panel}");
        for part in targets.iter().chain([panel]) {
            assert_eq!(part["datasource"], json!({ "type": "prometheus", "uid": "${datasource}" }), "{part}");
        }
    }
}

#[test]
fn a_query_of_what_is_not_there_is_found() {
    let scrape = Scrape::read("# TYPE dialplane_a gauge\ndialplane_a{state=\"up\",le=\"+Inf\"} 1\n");
    assert!(wrong(&scrape, "sum by (state) (rate(dialplane_a{instance=~\"$instance\",state=\"up\"}[5m]))").is_empty());
    assert_eq!(wrong(&scrape, "sum by (kind) (dialplane_a)").len(), 1);
    assert_eq!(wrong(&scrape, "dialplane_a{kind=\"x\"}").len(), 1);
    assert_eq!(wrong(&scrape, "rate(dialplane_b[5m])").len(), 1);
}
