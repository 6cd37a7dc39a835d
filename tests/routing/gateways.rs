//! The state of gateways, as switches report it over an event socket that this test simulates.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    event_socket::{EventSocket, PASSWORD},
    harness::Answer,
    stage::{Stage, bridges},
};

const MUNICH: &str = "+498912345678";

/// The result of asking the switch.
async fn asked(stage: &Stage, path: &str) -> Answer {
    loop {
        let shown = stage.node.api("GET", path, Value::Null).await;
        if !shown.json()["answered_at"].is_null() || !shown.json()["error"].is_null() {
            return shown;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn a_gateway_that_the_switches_take_to_be_down_drops_back_and_recovers() {
    let stage = Stage::new().await;
    let [cheap, dear] = [stage.carriers[0], stage.carriers[1]];
    let socket = EventSocket::open().await;
    socket.says(&[(cheap, "FAIL_WAIT", "DOWN"), (dear, "NOREG", "UP"), (Uuid::new_v4(), "NOREG", "UP")]);
    let switches = stage.node.api("GET", "/v1/switches", Value::Null).await.json();
    let switch = switches["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/switches/{switch}/event-socket");
    assert_eq!(stage.node.api("GET", &path, Value::Null).await.status, 404);

    // A wrong password is reported, but shown nowhere.
    let wrong = json!({ "address": socket.address, "password": "something-else" });
    assert_eq!(stage.node.api("PUT", &path, wrong).await.status, 200);
    let shown = asked(&stage, &path).await;
    assert_eq!(
        (&shown.json()["error"], &shown.json()["answered_at"]),
        (&json!("the password is refused"), &Value::Null)
    );
    assert!(!shown.text().contains("something-else"));

    let order = async || {
        let document = stage.calls(MUNICH, Uuid::new_v4()).await;
        bridges(&document).iter().map(|leg| leg.0).collect::<Vec<_>>()
    };
    let ask = async |address: &str| {
        let new = json!({ "address": address, "password": PASSWORD });
        // The same again would change nothing, and nobody would ask the switch for it.
        stage.node.api("DELETE", &path, Value::Null).await;
        let put = stage.node.api("PUT", &path, new).await;
        assert_eq!(put.status, 200, "{}", put.text());
        asked(&stage, &path).await.json()
    };
    assert_eq!(order().await, [cheap, dear]);
    let shown = ask(&socket.address).await;
    assert!(shown["error"].is_null() && shown["answered_at"].is_string(), "{shown}");
    assert_eq!(order().await, [dear, cheap], "the cheap one is down");
    let states = stage.node.api("GET", &format!("/v1/carriers/{cheap}/gateways"), Value::Null).await.json();
    let state = &states["items"][0];
    assert_eq!(
        (&state["state"], &state["up"], &state["switch_id"]),
        (&json!("FAIL_WAIT"), &json!(false), &json!(switch))
    );
    let of_switch = stage.node.api("GET", &format!("/v1/switches/{switch}/gateways"), Value::Null).await.json();
    assert_eq!(of_switch["items"].as_array().unwrap().len(), 2, "a carrier that is not ours is none: {of_switch}");
    let preview = format!("/v1/routes/preview?number=%2B498912345678&tenant_id={}", stage.tenant);
    let preview = stage.node.api("GET", &preview, Value::Null).await.json();
    assert_eq!((&preview["carriers"][0]["sick"], &preview["carriers"][1]["sick"]), (&json!(false), &json!(true)));

    // The gateway is up again, and then removed from the switch.
    socket.says(&[(cheap, "REGED", "UP")]);
    ask(&socket.address).await;
    assert_eq!(order().await, [cheap, dear]);
    let gone = stage.node.api("GET", &format!("/v1/carriers/{dear}/gateways"), Value::Null).await.json();
    assert_eq!(gone["items"], json!([]));

    // Old reports, and switches that can't be reached, exclude no carrier.
    socket.says(&[(cheap, "TIMEOUT", "DOWN"), (dear, "NOREG", "UP")]);
    ask(&socket.address).await;
    assert_eq!(order().await, [dear, cheap]);
    let mut db = stage.database.connect().await;
    sqlx::query("update gateway_states set seen_at = now() - interval '2 minutes'").execute(&mut db).await.unwrap();
    assert_eq!(order().await, [cheap, dear]);
    let shown = ask("127.0.0.1:1").await;
    assert!(shown["error"].as_str().unwrap().contains("refused"), "{shown}");
    assert_eq!(order().await, [cheap, dear]);

    // The error is shown, and nothing secret is recorded.
    let audit = stage.node.api("GET", "/v1/audit", Value::Null).await;
    assert!(audit.text().contains("event-socket") && !audit.text().contains(PASSWORD));
    for (body, field) in [
        (json!({ "address": "not a host", "password": "x" }), "address"),
        (json!({ "address": "fs.test", "password": "two\nlines" }), "password"),
    ] {
        assert_eq!(stage.node.api("PUT", &path, body).await.json()["field"], field);
    }
    assert_eq!(stage.node.api("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(stage.node.api("GET", &path, Value::Null).await.status, 404);
    stage.stop().await;
}
