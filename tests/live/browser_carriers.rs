//! The phone in the browser and a carrier: each hears the other, whoever calls and whichever law the carrier speaks. Browsers prefer Opus.

use serde_json::{Value, json};

use crate::{
    browser_phone::Office,
    harness::{Database, send},
    phone::Phone,
};

const NUMBER: &str = "+493022000001";
const OUTSIDE: &str = "+493022000009";

/// A carrier with a rate, and a number of ours that leads to the person with this agent's id and number inside.
async fn carrier(office: &Office, agent: &str, extension: &Value, config: Value) -> Phone {
    let (node, tenant) = (&office.site.node, office.tenant);
    let make = async |method: &str, path: &str, body: Value| {
        let made = node.api(method, path, body).await;
        assert!(matches!(made.status, 200 | 201), "{path}: {}", made.text());
        made.json()
    };
    make("PATCH", &format!("/v1/tenants/{tenant}/settings"), json!({ "country": "DE" })).await;
    let phone = Phone::carrier(office.switch.external);
    let mut whole = json!({ "host": format!("127.0.0.1:{}", phone.port()), "number_format": "digits" });
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let id = make("POST", "/v1/carriers", json!({ "name": "trunk", "config": whole })).await["id"].clone();
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let rates = format!("/v1/carriers/{}/rates", id.as_str().unwrap());
    assert_eq!(send(node.app.app_address, "PUT", &rates, &headers, b"49,0.01\n").await.status, 201);
    let leads = json!({ "number": NUMBER, "destination": { "kind": "extension", "id": extension["id"] } });
    let number = make("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), leads).await;
    let assign = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", number["id"].as_str().unwrap());
    make("POST", &assign, json!({ "agent_id": agent })).await;
    // The node tells the switch of the carrier.
    let switch = node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
    let (address, password) = office.switch.event_socket();
    let path = format!("/v1/switches/{}/event-socket", switch.as_str().unwrap());
    make("PUT", &path, json!({ "address": address, "password": password })).await;
    let since = std::time::Instant::now();
    while !office.switch.api("sofia status").contains("external::c") {
        assert!(since.elapsed() < crate::phone::PATIENCE, "{}", office.switch.api("sofia status"));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    phone
}

async fn hear_each_other(config: Value, laws: &[&'static str]) {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    let Some(grace) = office.person("Grace").await else { return };
    let carrier = carrier(&office, &grace.id, &grace.extension, config).await;
    for law in laws {
        carrier.speaks(&[*law]);
        grace.calls(OUTSIDE).await;
        let taken = carrier.rings().await;
        assert_eq!((taken.invite().called(), &*taken.invite().from().number), (&OUTSIDE[1..], NUMBER), "{law}");
        let taken = taken.answers().await;
        grace.sees("Talking").await;
        taken.hears_something().await;
        grace.hears().await;
        taken.hangs_up().await;
        grace.has_no_call().await;

        let call = carrier.calls_with(NUMBER, &["From: \"Eve\" <sip:+4915112345678@carrier.test>"]);
        grace.sees("is calling.").await;
        grace.click("Answer").await;
        call.answered().await;
        call.hears_something().await;
        grace.hears().await;
        call.hangs_up().await;
        grace.has_no_call().await;
    }
    office.close(vec![grace]).await;
}

#[actix_web::test]
async fn a_browser_and_a_carrier_with_either_law_hear_each_other_both_ways() {
    hear_each_other(json!({}), &["PCMA", "PCMU"]).await;
}

#[actix_web::test]
async fn a_browser_and_a_carrier_with_a_list_of_its_own_hear_each_other_both_ways() {
    hear_each_other(json!({ "codecs": "PCMU" }), &["PCMU"]).await;
}
