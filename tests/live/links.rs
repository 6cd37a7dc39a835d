//! The link to a switch, with a real one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::calls::{Stage, play};

#[actix_web::test]
async fn a_switch_is_told_within_a_second_and_says_at_once_how_its_gateways_are() {
    play(told).await;
}

/// Waits until something holds. Returns how long that took.
fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    since.elapsed()
}

fn told(stage: &Stage) {
    let switches = stage.api("GET", "/v1/switches", Value::Null).json();
    let path = format!("/v1/switches/{}", switches["items"][0]["id"].as_str().unwrap());
    let (address, password) = stage.switch.event_socket();
    let socket = json!({ "address": address, "password": password });
    assert_eq!(stage.api("PUT", &format!("{path}/event-socket"), socket).status, 200);
    let shown = || stage.api("GET", &format!("{path}/event-socket"), Value::Null).json();
    let up = until("the link is up", || shown()["linked_since"].is_string());
    until("all is given", || shown()["pending"] == 0 && shown()["booted_at"].is_string());

    let carrier = json!({ "name": "new", "config": { "host": "127.0.0.1:9" } });
    let made = stage.api("POST", "/v1/carriers", carrier).json();
    let gateway = format!("c{}", made["id"].as_str().unwrap().replace('-', ""));
    let has = || stage.switch.api("sofia status gateway").contains(&gateway);
    let given = until("the switch has the gateway", has);
    let known = || {
        let gateways = stage.api("GET", &format!("{path}/gateways"), Value::Null).text();
        gateways.contains(made["id"].as_str().unwrap())
    };
    let known = until("its state is known", known);
    println!("up after {up:?}, given after {given:?}, known {known:?} later");
    // Much less on a machine that does nothing else. By the clock, a switch is visited every ten seconds.
    assert!(given < Duration::from_secs(3), "{given:?}");
    assert!(known < Duration::from_secs(5), "{known:?}");

    // Somebody removes the gateway by hand. A visit starts it again, after the time that a gateway may take to appear.
    stage.switch.api(&format!("sofia profile external killgw {gateway}"));
    until("it goes", || !has());
    let back = until("the switch has it again", has);
    println!("back after {back:?}");
    assert!(shown()["error"].is_null(), "{}", shown());
}
