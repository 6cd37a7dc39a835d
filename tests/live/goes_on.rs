//! The live state of a real switch, as a node knows it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    calls::{Stage, play},
    ports,
    takeover::call,
};

#[actix_web::test]
async fn registrations_and_calls_of_a_real_switch_are_shown_and_gone_with_it() {
    play(shown).await;
}

/// Waits until something is shown. Returns it, and how long that took.
fn until(stage: &Stage, path: &str, what: &str, holds: impl Fn(&Value) -> bool) -> (Value, Duration) {
    let since = Instant::now();
    loop {
        let shown = stage.api("GET", &format!("/v1/live/{path}?tenant_id={}", stage.tenant), Value::Null).json();
        if holds(&shown) {
            return (shown, since.elapsed());
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{what}: {shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn count(shown: &Value) -> usize {
    shown["items"].as_array().unwrap().len()
}

fn shown(stage: &Stage) {
    // One phone is registered before anybody listens, and one after.
    let ports = [ports::phone(), ports::phone()];
    assert!(stage.register(0, ports[0]));
    let switches = stage.api("GET", "/v1/switches", Value::Null).json();
    let path = format!("/v1/switches/{}", switches["items"][0]["id"].as_str().unwrap());
    let (address, password) = stage.switch.event_socket();
    let socket = json!({ "address": address, "password": password });
    assert_eq!(stage.api("PUT", &format!("{path}/event-socket"), socket).status, 200);
    let (first, _) = until(stage, "registrations", "the first phone", |shown| count(shown) == 1);
    assert!(first["items"][0]["since"].is_null(), "nobody listened then: {first}");
    assert!(stage.register(1, ports[1]));
    let (second, _) = until(stage, "registrations", "the second phone", |shown| count(shown) == 2);
    let of =
        |number: &str| second["items"].as_array().unwrap().iter().find(|phone| phone["extension"] == number).cloned();
    let (one, two) = (of("1000").unwrap(), of("1001").unwrap());
    assert!(two["since"].is_string() && one["extension_id"].is_string(), "{second}");
    assert!(two["contact"].as_str().unwrap().starts_with("sip:") && two["transport"] == "udp", "{two}");

    let (_caller, _callee) = call(stage, ports);
    let (talking, _) = until(stage, "calls", "they talk", |shown| shown["items"][0]["state"] == "talking");
    let legs = &talking["items"][0]["legs"];
    assert_eq!((&legs[0]["extension"], &legs[1]["extension"]), (&json!("1000"), &json!("1001")), "{talking}");
    assert_eq!((count(&talking), &talking["items"][0]["direction"]), (1, &json!("internal")), "{talking}");
    assert_eq!((&legs[0]["caller"], &legs[1]["connected_to"]), (&json!(true), &legs[0]["id"]), "{talking}");

    stage.switch.kill();
    let (gone, took) = until(stage, "calls", "nothing stays", |shown| count(shown) == 0);
    println!("gone after {took:?}");
    assert!(gone["unknown"][0]["since"].is_string(), "{gone}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
