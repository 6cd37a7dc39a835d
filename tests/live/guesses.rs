//! A node that starts again has forgotten where accounts signed in. Owners whose phones are registered are known all the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    freeswitch,
    harness::{Database, Node},
    phone::Phone,
    switch::Switch,
};

/// More than the ten wrong passwords that an account has from one address.
const GUESSES: u8 = 12;

#[actix_web::test]
async fn a_node_that_starts_again_brakes_whoever_guesses_and_not_the_owner_of_a_registered_phone() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let mut users = Vec::new();
    for number in ["1000", "1001"] {
        let made = node.extension(tenant, json!({ "number": number })).await;
        users.push(["sip_username", "sip_password"].map(|name| made[name].as_str().unwrap().to_owned()));
    }
    let (switch, node) = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &node), node)).await.unwrap();
    let phone = |which: usize, password: &str| Phone::new(switch.internal, &users[which][0], "acme.test", password);
    let owner = phone(0, &users[0][1]);
    owner.registers().await;
    let id = node.api("GET", "/v1/switches", Value::Null).await.items()[0]["id"].as_str().unwrap().to_owned();
    let (address, password) = switch.event_socket();
    let socket = json!({ "address": address, "password": password });
    let told = node.api("PUT", &format!("/v1/switches/{id}/event-socket"), socket).await;
    assert!(told.status < 300, "{}", told.text());

    let at = node.app.switch_address;
    node.stop().await;
    let node = Node::with(&database, |settings| settings.switch_listen = at).await;
    // The switch tells who is registered.
    let path = format!("/v1/live/registrations?tenant_id={tenant}");
    let since = Instant::now();
    while node.api("GET", &path, Value::Null).await.items().as_array().is_none_or(Vec::is_empty) {
        assert!(since.elapsed() < Duration::from_mins(1), "{}", switch.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for which in [0, 1] {
        let guesser = phone(which, "a guess");
        for guess in 0..GUESSES {
            assert_eq!(guesser.registers_for(300).await, 403, "{which}: {guess}");
        }
    }
    assert_eq!(phone(1, &users[1][1]).registers_for(300).await, 403, "the right one comes too late");
    assert_eq!(owner.registers_for(300).await, 200, "the owner's phone:\n{}", switch.log());
    tokio::task::spawn_blocking(move || drop(switch)).await.unwrap();
    node.stop().await;
}
