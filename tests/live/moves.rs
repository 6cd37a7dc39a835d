//! A tenant gets another domain, and is moved to another cluster, while its phones are registered and call.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    calls::{Stage, play, wait},
    freeswitch,
    harness::{Database, Node},
    ports,
    sipp::{self, Phone, Script},
    switch::Switch,
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Tells Dialplane the event socket of its only switch.
fn link(node: &Node, switch: &Switch) {
    let switches = wait(node.api("GET", "/v1/switches", Value::Null)).json();
    let path = format!("/v1/switches/{}/event-socket", text(&switches["items"][0]["id"]));
    let (address, password) = switch.event_socket();
    let put = wait(node.api("PUT", &path, json!({ "address": address, "password": password })));
    assert_eq!(put.status, 200, "{}", put.text());
}

/// Waits for a visit of the switch.
fn visited(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[actix_web::test]
async fn phones_work_at_the_former_domain_until_its_time_is_over() {
    play(renamed).await;
}

fn renamed(stage: &Stage) {
    let path = format!("/v1/tenants/{}", stage.tenant);
    // With several registrations, a switch keeps the mailbox that a phone had when it came first (`sofia_reg_handle_register_token` in
    // sofia_reg.c updates a row, but not its mwi_host).
    let extension = format!("{path}/extensions/{}", text(&stage.phones[0]["id"]));
    assert_eq!(stage.api("PATCH", &extension, json!({ "max_registrations": 1 })).status, 200);
    assert!(stage.register(0, 60_000) && stage.register(1, 60_100), "both register at the domain that they know");
    assert_eq!(stage.api("PATCH", &path, json!({ "domain": "renamed.test" })).status, 200);
    let registered = || stage.switch.api("sofia status profile internal reg");

    // What was registered before rings, and so does what registers there again.
    for again in [false, true] {
        if again {
            assert!(stage.register(0, 60_000) && stage.register(1, 60_100), "both register there again");
            // The switch tells them of their mailboxes at the new domain.
            [60_000, 60_100].into_iter().for_each(sipp::take_notify);
        }
        let callee = stage.phone(1, "answer.xml", 60_100, "-");
        assert!(stage.phone(0, "call.xml", 60_000, "1001").succeeds(), "1000 calls 1001:\n{}", stage.switch.log());
        assert!(callee.succeeds(), "1001 answered");
    }
    let busy = stage.phone(1, "carrier-486.xml", 60_100, "-");
    let quiet = json!({ "voicemail_enabled": false });
    let extension = format!("{path}/extensions/{}", text(&stage.phones[1]["id"]));
    assert_eq!(stage.api("PATCH", &extension, quiet).status, 200);
    assert!(stage.phone(0, "call-refused-486.xml", 60_000, "1001").succeeds(), "it is busy:\n{}", stage.switch.log());
    assert!(busy.succeeds());
    assert!(registered().contains("1000@renamed.test"), "the lamp shows the mailbox at home: {}", registered());

    // One is changed to the new domain, and both call each other.
    stage.switch.api("sofia profile internal flush_inbound_reg 1001@acme.test");
    let password = text(&stage.phones[1]["sip_password"]);
    let changed = |scenario, to| {
        let script = Script { scenario, target: stage.switch.internal, port: 60_100, user: "1001", password, to };
        Phone::start_at("127.0.0.1", &script, &["-key", "domain", "renamed.test"])
    };
    assert!(changed("register.xml", "-").succeeds(), "it registers at the new domain");
    sipp::take_notify(60_100);
    let callee = changed("answer.xml", "-");
    assert!(stage.phone(0, "call.xml", 60_000, "1001").succeeds(), "the former domain calls the new one");
    assert!(callee.succeeds());
    let callee = stage.phone(0, "answer.xml", 60_000, "-");
    assert!(changed("call.xml", "1000").succeeds(), "the new domain calls the former one:\n{}", stage.switch.log());
    assert!(callee.succeeds());
    let listed = stage.api("GET", &format!("{path}/former-domains"), Value::Null).json();
    assert_eq!(listed["items"][0]["phones"].as_array().unwrap().len(), 2, "{listed}");

    // The time is over.
    link(&stage.node, &stage.switch);
    let ended = stage.api("DELETE", &format!("{path}/former-domains/acme.test"), Value::Null);
    assert_eq!(ended.status, 204, "{}", ended.text());
    assert!(stage.phone(0, "register-refused.xml", 60_000, "-").succeeds(), "the former domain is unknown");
    visited("the registration at the former domain ends", || !registered().contains("1000@acme.test"));
    assert!(registered().contains("1001@renamed.test"), "{}", registered());
}

#[actix_web::test]
async fn a_call_goes_on_when_its_tenant_moves_and_the_switch_that_it_left_still_connects_112() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let port = ports::phone();
    let carrier = json!({ "name": "carrier", "config": { "host": format!("127.0.0.1:{port}") } });
    assert_eq!(node.api("POST", "/v1/carriers", carrier).await.status, 201);
    let tenant = node.tenant("acme.test").await;
    let settings = json!({ "country": "DE", "routing": { "emergency": { "caller_id": "+4930999" } } });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await.status, 200);
    let phone = node.extension(tenant, json!({ "number": "1000" })).await;
    let cluster = json!({ "name": "there", "region": "eu", "max_tenants": 5 });
    let cluster = node.api("POST", "/v1/clusters", cluster).await.id();
    let played = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot(&binary, &node);
        moved(&node, &switch, &phone, tenant, (cluster, port));
        node
    });
    played.await.unwrap().stop().await;
}

fn moved(node: &Node, switch: &Switch, phone: &Value, tenant: Uuid, (cluster, port): (Uuid, u16)) {
    link(node, switch);
    let (user, password) = (text(&phone["sip_username"]), text(&phone["sip_password"]));
    let at = ports::phone();
    let script = |scenario, port, to| Script { scenario, target: switch.internal, port, user, password, to };
    let own = |scenario, to| Phone::start(&script(scenario, at, to));
    let calls_help = |what: &str| {
        let carrier = Phone::start(&script("answer.xml", port, "-"));
        assert!(own("call.xml", "112").succeeds(), "{what}:\n{}", switch.log());
        assert!(carrier.succeeds(), "{what}: the carrier took it");
    };
    assert!(own("register.xml", "-").succeeds(), "it registers");
    let registered = || switch.api("sofia status profile internal reg").contains("1000@acme.test");
    assert!(registered());
    let up = Phone::start(&script("call-until-bye.xml", ports::phone(), "9196"));
    let lasts = || switch.api("show channels as json").contains("\"dest\":\"9196\"");
    visited("the call is up", lasts);
    let path = format!("/v1/tenants/{tenant}");
    let set = |patch: Value| assert_eq!(wait(node.api("PATCH", &path, patch)).status, 200);
    set(json!({ "cluster_id": cluster }));
    visited("its registration ends", || !registered());
    assert!(lasts(), "the call that is up goes on");
    assert!(own("register-refused.xml", "-").succeeds(), "it registers elsewhere");
    assert!(own("call-refused-403.xml", "9196").succeeds(), "nor may it call:\n{}", switch.log());
    assert!(lasts(), "the call that is up goes on");
    drop(up);
    calls_help("after the move");
    // Back here, and suspended.
    let first = Uuid::from_u128(2);
    set(json!({ "cluster_id": first }));
    assert!(own("register.xml", "-").succeeds(), "it registers here again");
    let extension = format!("{path}/extensions/{}", text(&phone["id"]));
    assert_eq!(wait(node.api("PATCH", &extension, json!({ "status": "suspended" }))).status, 200);
    // Once it was told to leave, the switch ends none of its calls.
    visited("it leaves", || !registered());
    assert!(own("register-refused.xml", "-").succeeds(), "it is suspended");
    assert!(own("call-refused-403.xml", "9196").succeeds(), "{}", switch.log());
    calls_help("suspended");
}
