//! `/v1/monitoring`, as the platform asks it beside a switch.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    harness::Node,
    live::{fires, known, now, registers},
    pushes::Fleet,
};

async fn get(node: &Node, what: &str) -> Value {
    let answer = node.api("GET", &format!("/v1/monitoring/{what}"), Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Asks until it is as wanted.
async fn until(node: &Node, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let shown = get(node, what).await;
        if wanted(&shown) {
            return shown;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn troubles(shown: &Value) -> Vec<&str> {
    shown["troubles"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn the_platform_is_told_what_is_wrong_since_when_and_that_it_is_over() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    known(&fleet).await;
    let well = until(node, "health", |shown| shown["switches"][0]["takes_commands"] == true).await;
    assert_eq!((&well["ok"], &well["node"]["state"]), (&json!(true), &json!("fresh")), "{well}");
    let switch = &well["switches"][0];
    assert_eq!((&switch["switch"], &switch["heard"]), (&json!(node.switch.0), &json!(true)), "{well}");
    assert_eq!((&switch["gateways_up"], &switch["gateways_down"]), (&json!(2), &json!(0)), "{well}");
    assert!(well["node"]["pools"].as_array().unwrap().iter().any(|pool| pool["name"] == "api"), "{well}");
    // A gateway goes down; then the switch is heard no longer.
    let gateway = format!("c{}", fleet.stage.carriers[0].simple());
    let down = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::gateway_state", "Gateway": gateway, "State": "FAILED", "Ping-Status": "DOWN" });
    fires(&fleet.socket, down, now());
    let ill = until(node, "health", |shown| shown["ok"] == false).await;
    assert_eq!(troubles(&ill), ["gateways_down"], "{ill}");
    assert_eq!((&ill["troubles"][0]["subject"], &ill["troubles"][0]["count"]), (&json!(node.switch.0), &json!(1)));
    fleet.socket.has().hangs_up = true;
    fires(&fleet.socket, json!({ "Event-Name": "SHUTDOWN" }), now());
    let lost = until(node, "health", |shown| troubles(shown).contains(&"switch_unheard")).await;
    assert!(lost["switches"][0]["unknown_since"].is_string(), "{lost}");
    assert!(lost["switches"][0]["gateways_down"].is_null(), "what is not known is not shown: {lost}");
    assert_eq!(lost["troubles"][0]["since"], lost["switches"][0]["unknown_since"], "{lost}");
    fleet.socket.has().hangs_up = false;
    until(node, "health", |shown| shown["ok"] == true).await;
    // A tenant's key is told nothing of the platform.
    let new = json!({ "name": "of a tenant", "tenant_id": fleet.stage.tenant, "scopes": ["live:read"] });
    let key = node.api("POST", "/v1/keys", new).await.json()["token"].as_str().unwrap().to_owned();
    for what in ["health", "stats", "errors"] {
        let path = format!("/v1/monitoring/{what}");
        assert_eq!(node.api_with("GET", &path, &[("X-API-Key", &key)], Value::Null).await.status, 403, "{what}");
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn figures_and_failures_are_those_of_the_node_that_answers() {
    let fleet = Fleet::new().await;
    let (node, domain, phone) = (&fleet.stage.node, &fleet.stage.domain, &fleet.stage.phone);
    known(&fleet).await;
    fires(&fleet.socket, registers(domain, phone, "one"), now());
    let beat = json!({
        "Event-Name": "HEARTBEAT", "Session-Count": "7", "Max-Sessions": "1000", "Session-Per-Sec": "30", "Session-Per-Sec-Last": "2",
        "Session-Since-Startup": "1234", "Idle-CPU": "87.5", "Uptime-msec": "60500",
    });
    fires(&fleet.socket, beat, now());
    node.sign_in(phone, domain).await;
    let stats = until(node, "stats", |shown| shown["switches"][0]["legs"] == 7).await;
    let switch = &stats["switches"][0];
    assert_eq!((&switch["registrations"], &switch["legs_limit"]), (&json!(1), &json!(1000)), "{stats}");
    assert_eq!((&switch["idle_ratio"], &switch["legs_begun"]), (&json!(0.875), &json!(1234)), "{stats}");
    assert_eq!((&stats["live"]["switches_heard"], &stats["live"]["registrations"]), (&json!(1), &json!(1)), "{stats}");
    let fetched = stats["fetches"].as_array().unwrap().iter().find(|one| one["kind"] == "user").unwrap();
    assert!(fetched["count"].as_u64().unwrap() >= 1 && fetched["seconds"].as_f64().unwrap() > 0.0, "{stats}");
    let asked = stats["requests"].as_array().unwrap().iter();
    let asked = asked.filter(|one| one["part"] == "api" && one["method"] == "GET" && one["status"] == "2xx");
    assert_eq!(asked.count(), 1, "{stats}");
    assert!(stats["memory_bytes"].as_u64().unwrap() > 1_000_000 && stats["since"].is_string(), "{stats}");
    let before = get(node, "errors").await;
    let count = |shown: &Value| {
        let all = shown["problems"].as_array().unwrap().iter();
        all.filter(|one| one["code"] == "not_a_month").map(|one| one["count"].as_u64().unwrap()).sum::<u64>()
    };
    let wrong = format!("/v1/usage?tenant_id={}&month=never", fleet.stage.tenant);
    assert_eq!(node.api("GET", &wrong, Value::Null).await.json()["code"], "not_a_month");
    let after = get(node, "errors").await;
    assert!(count(&after) > count(&before), "{after}");
    let seen = after["problems"].as_array().unwrap().iter().find(|one| one["code"] == "not_a_month").unwrap();
    assert!(seen["status"].as_u64().unwrap() >= 400 && seen["last_at"].is_string(), "{seen}");
    assert_eq!(after["node_id"], stats["node_id"]);
    fleet.stage.stop().await;
}
