//! Lamps on phones' keys for what is no call: a switch is told what they show.

use serde_json::json;

use crate::{
    live::{fires, known, now, registers},
    pushes::Fleet,
};

const ON: &str = "answer-state: confirmed";
const OFF: &str = "answer-state: terminated";

fn probe(key: &str, watch: &str) -> serde_json::Value {
    json!({ "Event-Name": "PRESENCE_PROBE", "to": key, "sub-call-id": watch, "proto": "sip" })
}

#[actix_web::test]
async fn a_phone_that_watches_a_key_is_told_what_is_so_and_every_phone_each_change() {
    let fleet = Fleet::new().await;
    fleet.visited().await;
    let tenant = fleet.stage.tenant;
    let extension = fleet.stage.node.extension(tenant, json!({ "number": "77" })).await;
    let path = format!("/v1/tenants/{tenant}/extensions/{}", extension["id"].as_str().unwrap());
    fleet.socket.fires(&probe("dnd-77@acme.test", "one"));
    fleet.socket.fired(&["from: dnd-77@acme.test", "call-id: one", OFF]).await;
    // Nobody's, and another tenant's.
    for (key, watch) in [("dnd-78@acme.test", "none"), ("dnd-77@other.test", "other")] {
        fleet.socket.fires(&probe(key, watch));
        fleet.socket.fired(&[&format!("call-id: {watch}"), OFF]).await;
    }

    fleet.change("PATCH", &path, json!({ "calls": { "do_not_disturb": true } })).await;
    let told = fleet.socket.fired(&["from: dnd-77@acme.test", ON]).await;
    assert!(!told.to_lowercase().contains("call-id"), "all who watch it: {told}");
    fleet.socket.fires(&probe("dnd-77@acme.test", "later"));
    fleet.socket.fired(&["call-id: later", ON]).await;

    fleet.change("PATCH", &path, json!({ "calls": { "forward_always": "1234" } })).await;
    fleet.socket.fired(&["from: forward-77@acme.test", ON]).await;
    fleet.socket.fires(&probe("dnd-77@acme.test", "last"));
    fleet.socket.fired(&["call-id: last", OFF]).await;
    // What else changes about an extension is no news, and what was told is not told again.
    fleet.visited().await;
    fleet.socket.has().fired.clear();
    fleet.change("PATCH", &path, json!({ "display_name": "Ada" })).await;
    fleet.visited().await;
    assert_eq!(fleet.socket.has().fired, [""; 0]);
    assert_eq!(fleet.stage.database.count("select count(*) from lamp_news").await, 0);
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_key_of_a_queue_shows_whether_somebody_waits_and_whether_an_agent_is_there() {
    let fleet = Fleet::new().await;
    let agent = format!("{}@acme.test", fleet.stage.phone);
    fleet.socket.has().agents.push(agent.clone());
    fleet.visited().await;
    let (path, name) = fleet.queue().await;
    fleet.change("PATCH", &path, json!({ "number": "500" })).await;
    fleet.settled().await;
    let happens = |action: &str| {
        let event = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": action, "CC-Queue": name });
        fleet.socket.fires(&event);
    };
    fleet.socket.has().waiting = 1;
    happens("member-queue-start");
    fleet.socket.fired(&["from: queue-500@acme.test", ON]).await;
    fleet.socket.fired(&["from: agents-500@acme.test", OFF]).await;
    fleet.socket.fires(&probe("queue-500@acme.test", "one"));
    fleet.socket.fired(&["call-id: one", ON]).await;

    // One who comes after the first changes nothing.
    fleet.socket.has().fired.clear();
    fleet.socket.has().waiting = 2;
    happens("member-queue-start");
    fleet.socket.has().waiting = 0;
    happens("member-queue-end");
    fleet.socket.fired(&["from: queue-500@acme.test", OFF]).await;
    assert_eq!(fleet.socket.has().fired.len(), 1);

    fleet.socket.has().serves = true;
    let event = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "agent-status-change", "CC-Agent": agent });
    fleet.socket.fires(&event);
    fleet.socket.fired(&["from: agents-500@acme.test", ON]).await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_key_of_a_number_that_leads_elsewhere_shows_what_is_there_now() {
    let fleet = Fleet::new().await;
    let agent = format!("{}@acme.test", fleet.stage.phone);
    fleet.socket.has().agents.push(agent.clone());
    fleet.socket.has().serves = true;
    fleet.visited().await;
    let tenant = fleet.stage.tenant;
    let extension = fleet.stage.node.extension(tenant, json!({ "number": "77", "sip_username": "ada" })).await;
    let path = format!("/v1/tenants/{tenant}/extensions/{}", extension["id"].as_str().unwrap());
    fleet.change("PATCH", &path, json!({ "calls": { "do_not_disturb": true } })).await;
    fleet.socket.fired(&["from: dnd-77@acme.test", ON]).await;
    fleet.change("PATCH", &path, json!({ "number": "78" })).await;
    fleet.socket.fired(&["from: dnd-77@acme.test", OFF]).await;
    fleet.socket.fired(&["from: dnd-78@acme.test", ON]).await;
    // Whoever has the number next is shown, and not that it is free.
    fleet.change("DELETE", &format!("/v1/tenants/{tenant}/reserved-numbers/77"), json!({})).await;
    let next = fleet.stage.node.extension(tenant, json!({ "number": "77", "sip_username": "eve" })).await;
    let next = format!("/v1/tenants/{tenant}/extensions/{}", next["id"].as_str().unwrap());
    fleet.change("PATCH", &next, json!({ "calls": { "do_not_disturb": true } })).await;
    fleet.socket.fired(&["from: dnd-77@acme.test", ON]).await;
    fleet.socket.has().fired.clear();
    fleet.change("DELETE", &path, json!({})).await;
    fleet.socket.fired(&["from: dnd-78@acme.test", OFF]).await;
    assert!(!fleet.socket.has().fired.iter().any(|event| event.contains("dnd-77@") && event.contains(OFF)));

    let (path, _) = fleet.queue().await;
    fleet.change("PATCH", &path, json!({ "number": "500" })).await;
    fleet.socket.fired(&["from: agents-500@acme.test", ON]).await;
    fleet.change("PATCH", &path, json!({ "number": "501" })).await;
    fleet.socket.fired(&["from: agents-500@acme.test", OFF]).await;
    fleet.socket.fired(&["from: agents-501@acme.test", ON]).await;
    fleet.change("DELETE", &path, json!({})).await;
    fleet.socket.fired(&["from: agents-501@acme.test", OFF]).await;
    fleet.visited().await;
    assert_eq!(fleet.stage.database.count("select count(*) from number_lamps").await, 0);
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn whoever_watches_a_presence_by_a_number_is_told_whether_its_phone_is_registered() {
    let fleet = Fleet::new().await;
    fleet.visited().await;
    let tenant = fleet.stage.tenant;
    let extension = fleet.stage.node.extension(tenant, json!({ "number": "77", "sip_username": "desk" })).await;
    fleet.stage.node.extension(tenant, json!({ "number": "79" })).await;
    let (domain, user) = (&fleet.stage.domain, extension["sip_username"].as_str().unwrap());
    known(&fleet).await;
    let asks = |key: &str| {
        fleet.socket.fires(&json!({ "Event-Name": "PRESENCE_PROBE", "to": key, "sub-call-id": "one", "proto": "sip" }));
    };
    let told = |event: &'static str, key: &str| {
        let (key, event) = (format!("from: {key}"), event.to_owned());
        let socket = &fleet.socket;
        async move { socket.fired(&[&event, &key, "presence-source: register"]).await }
    };
    asks("77@acme.test");
    told("PRESENCE_OUT", "77@acme.test").await;
    fires(&fleet.socket, registers(domain, user, "one"), now());
    let open = told("PRESENCE_IN", "77@acme.test").await.to_lowercase();
    assert!(open.contains("status: registered") && !open.contains("call-id"), "{open}");
    // The switch finds it by itself, it is another tenant's, or nobody's; a lamp is answered elsewhere.
    fleet.socket.has().fired.clear();
    for key in ["79@acme.test", "desk@acme.test", "77@other.test", "78@acme.test"] {
        asks(key);
    }
    fleet.socket.fires(
        &json!({ "Event-Name": "PRESENCE_PROBE", "to": "77@acme.test", "probe-type": "dialog", "sub-call-id": "one", "proto": "sip" }),
    );
    // Refreshed, and a second phone: no news.
    fires(&fleet.socket, registers(domain, user, "one"), now());
    fires(&fleet.socket, registers(domain, user, "two"), now());
    asks("77@acme.test");
    told("PRESENCE_IN", "77@acme.test").await;
    let gone = |call_id: &str| {
        let event = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::unregister", "call-id": call_id });
        fires(&fleet.socket, event, now());
    };
    gone("one");
    gone("two");
    told("PRESENCE_OUT", "77@acme.test").await;
    let fired = fleet.socket.has().fired.clone();
    assert_eq!(fired.len(), 2, "{fired:#?}");
    fleet.stage.stop().await;
}
