//! Money on a real switch: a call is cut before it costs more than its tenant may spend, and its caller is warned.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Database, Node, send},
    ports,
    sipp::{Phone, Script},
    switch::Switch,
};

async fn made(node: &Node, method: &str, path: &str, new: Value) -> Value {
    let made = node.api(method, path, new).await;
    assert!(matches!(made.status, 200 | 201), "{path}: {}", made.text());
    made.json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Waits for the switch to play the warning on some leg.
fn warned(switch: &Switch) -> std::thread::JoinHandle<Option<Instant>> {
    let (address, password) = switch.event_socket();
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    stream.get_mut().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream.get_mut(), "auth {password}\n\nevent plain CHANNEL_EXECUTE\n\n").unwrap();
    std::thread::spawn(move || {
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line.starts_with("Application-Data: tone_stream") && line.contains("150") {
                return Some(Instant::now());
            }
            line.clear();
        }
        None
    })
}

/// A carrier that charges 0.06 a minute by the second, and an agent who may spend twelve seconds' worth of it a day. Returns the
/// node and the agent's phone.
async fn stage(database: &Database, port: u16) -> (Node, Value, Uuid) {
    let node = Node::start(database).await;
    let carrier = json!({ "name": "carrier", "config": { "host": format!("127.0.0.1:{port}") } });
    let carrier = made(&node, "POST", "/v1/carriers", carrier).await;
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/carriers/{}/rates", text(&carrier["id"]));
    let sheet = b"prefix,price,first,step\n49,0.06,1,1\n";
    assert_eq!(send(node.app.app_address, "PUT", &path, &headers, sheet).await.status, 201);
    let tenant = node.tenant("acme.test").await;
    let settings = json!({ "country": "DE", "routing": { "outbound": { "spend_per_day": 12_000 } } });
    made(&node, "PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await;
    let agent = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
    let agent = made(&node, "POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
    let numbers = format!("/v1/phone-numbers?tenant_id={tenant}");
    let own = made(&node, "POST", &numbers, json!({ "number": "+493012345678" })).await;
    let assign = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", text(&own["id"]));
    made(&node, "POST", &assign, json!({ "agent_id": agent["id"] })).await;
    (node, agent["extensions"][0].clone(), tenant)
}

/// The seconds and the cost of the only call, once its record has come.
async fn settled(database: &Database) -> (i32, i64) {
    let since = Instant::now();
    loop {
        let row = "select seconds, cost from admissions where cost is not null and ended_at is not null";
        let row = sqlx::query_as(row).fetch_optional(&mut database.connect().await).await.unwrap();
        if let Some(row) = row {
            return row;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "no record came");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[actix_web::test]
async fn a_call_is_cut_at_its_cap_with_a_tone_before_and_lasts_longer_while_there_is_money() {
    let Some(binary) = freeswitch() else { return };
    // Without an event socket, a call gets half of what is left; with it, the rest as well.
    for (is_visited, seconds) in [(false, 4..=6), (true, 9..=12)] {
        let database = Database::new().await;
        let port = ports::phone();
        let (node, phone, tenant) = stage(&database, port).await;
        let binary = binary.clone();
        let (node, switch) = tokio::task::spawn_blocking(move || {
            let switch = Switch::boot(&binary, &node);
            (node, switch)
        })
        .await
        .unwrap();
        if is_visited {
            let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
            let path = format!("/v1/switches/{}/event-socket", text(&switches["items"][0]["id"]));
            let (address, password) = switch.event_socket();
            made(&node, "PUT", &path, json!({ "address": address, "password": password })).await;
            let since = Instant::now();
            while node.api("GET", &path, Value::Null).await.json()["answered_at"].is_null() {
                assert!(since.elapsed() < Duration::from_mins(1), "the switch is not visited");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let played = tokio::task::spawn_blocking(move || {
            let (user, password) = (text(&phone["sip_username"]), text(&phone["sip_password"]));
            let script = |scenario, target, port, to| Script { scenario, target, port, user, password, to };
            let at = ports::phone();
            let own = |scenario, to| Phone::start(&script(scenario, switch.internal, at, to));
            assert!(own("register.xml", "-").succeeds(), "the phone registers");
            let warned = warned(&switch);
            let carrier = Phone::start(&script("answer.xml", 9, port, "-"));
            let caller = own("call-until-bye.xml", "+498912345678");
            assert!(caller.succeeds(), "the call ends by itself:\n{}", switch.log());
            let ended = Instant::now();
            assert!(carrier.succeeds(), "the carrier took it, and its leg ended");
            (warned.join().unwrap(), ended, switch)
        });
        let (warned, ended, switch) = played.await.unwrap();
        let before = warned.map(|warned| ended.duration_since(warned));
        let (lasted, cost) = settled(&database).await;
        println!("visited: {is_visited}: {lasted} seconds, {cost} of 12000, warned {before:?} before the end");
        assert!(seconds.contains(&lasted) && cost <= 12_000, "{lasted} seconds cost {cost}");
        assert!(before.is_some_and(|before| before > Duration::from_millis(500)), "{before:?}");
        let path = format!("/v1/tenants/{tenant}/outbound-calls");
        let listed = node.api("GET", &path, Value::Null).await.items();
        assert!(listed[0]["cost"].as_i64() == Some(cost), "{listed}");
        drop(switch);
        node.stop().await;
    }
}
