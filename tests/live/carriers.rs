//! Carriers on a real switch: numbers in national form, and the charge for a call whose caller's name is in Latin-1.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    freeswitch,
    harness::{Database, Node, send},
    ports,
    sipp::{Phone, Script},
    switch::Switch,
};

async fn made(node: &Node, path: &str, new: Value) -> Value {
    let made = node.api("POST", path, new).await;
    assert!(matches!(made.status, 200 | 201), "{path}: {}", made.text());
    made.json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[actix_web::test]
async fn numbers_are_read_as_the_carrier_writes_them_and_a_name_in_latin_1_is_charged() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let port = ports::phone();
    let inbound = json!({ "format": "national", "country": "US", "number_in": "header", "header": "X-DID" });
    let carrier = json!({ "name": "carrier", "config": { "host": format!("127.0.0.1:{port}"), "inbound": inbound } });
    let carrier = made(&node, "/v1/carriers", carrier).await;
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/carriers/{}/rates", text(&carrier["id"]));
    assert_eq!(send(node.app.app_address, "PUT", &path, &headers, b"49,0.01\n").await.status, 201);
    // A tenant in Egypt has the number that the other tenant's looks like.
    let other = node.tenant("beta.test").await;
    let extension = node.extension(other, json!({ "number": "1000" })).await;
    let leads = |number: &str, extension: &Value| json!({ "number": number, "destination": { "kind": "extension", "id": extension["id"] } });
    made(&node, &format!("/v1/phone-numbers?tenant_id={other}"), leads("+2025550100", &extension)).await;
    let tenant = node.tenant("acme.test").await;
    let settings = json!({ "country": "DE", "time_zone": "Europe/Berlin" });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await.status, 200);
    let agent = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
    let agent = made(&node, &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
    let phone = agent["extensions"][0].clone();
    let numbers = format!("/v1/phone-numbers?tenant_id={tenant}");
    made(&node, &numbers, leads("+12025550100", &phone)).await;
    let own = made(&node, &numbers, json!({ "number": "+493012345678" })).await;
    let assign = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", text(&own["id"]));
    made(&node, &assign, json!({ "agent_id": agent["id"] })).await;

    let played = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot(&binary, &node);
        let (user, password) = (text(&phone["sip_username"]), text(&phone["sip_password"]));
        let script = |scenario, target, port, to| Script { scenario, target, port, user, password, to };
        let at = ports::phone();
        let own = |scenario, to| Phone::start(&script(scenario, switch.internal, at, to));
        assert!(own("register.xml", "-").succeeds(), "the phone registers");
        let callee = own("answer.xml", "-");
        let outside = script("outside-header.xml", switch.external, ports::phone(), "trunk");
        assert!(Phone::start(&outside).succeeds(), "the carrier calls 2025550100:\n{}", switch.log());
        assert!(callee.succeeds(), "the one in America rang");
        let carrier = Phone::start(&script("answer.xml", 9, port, "-"));
        assert!(own("call-latin-1.xml", "+498912345678").succeeds(), "a call out:\n{}", switch.log());
        assert!(carrier.succeeds(), "the carrier took it");
        node
    });
    let node = played.await.unwrap();
    let mut db = database.connect().await;
    let since = Instant::now();
    loop {
        let cost = "select cost from admissions where ended_at is not null";
        let cost = sqlx::query_scalar::<_, Option<i64>>(cost).fetch_optional(&mut db).await.unwrap();
        if cost.flatten() == Some(10_000) {
            break;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{cost:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let bodies = sqlx::query_scalar::<_, Vec<u8>>("select body from cdr_inbox").fetch_all(&mut db).await.unwrap();
    let latin = bodies.iter().filter(|body| std::str::from_utf8(body).is_err()).count();
    println!("{latin} of {} records are no UTF-8", bodies.len());
    assert!(latin > 0, "the name stands in a record as it was sent");
    let unreadable = node.api("GET", "/v1/unreadable-records", Value::Null).await.items();
    assert_eq!(unreadable, serde_json::json!([]));
    node.stop().await;
}
