//! Sandboxes: tenants of which nothing is dialled or mailed outside, and whose calls are played.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    events::Listener,
    harness::{Answer, Node, call_form},
    stage::{Stage, bridges, cause, hang, route},
};

const MUNICH: &str = "+498912345678";
const OUTSIDE: &str = "+4915112345678";

impl Stage {
    /// The agent's extension.
    async fn own_extension(&self) -> Value {
        let path = format!("/v1/tenants/{}/extensions", self.tenant);
        let all = self.node.api("GET", &path, Value::Null).await.items();
        all.as_array().unwrap().iter().find(|one| one["sip_username"] == json!(self.phone)).unwrap().clone()
    }

    /// Where the tenant's phone number leads.
    async fn leads(&self, kind: &str, id: &Value) {
        let path = format!("/v1/phone-numbers/{}?tenant_id={}", self.number, self.tenant);
        let to = json!({ "destination": { "kind": kind, "id": id } });
        let answer = self.node.api("PATCH", &path, to).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn plays(&self, call: Value) -> Answer {
        self.node.makes(&format!("/v1/sandbox/calls?tenant_id={}", self.tenant), call).await
    }

    /// Plays a call to its end, and returns it as it stands among the tenant's calls, with how it was played.
    async fn played(&self, call: Value) -> (Value, Value) {
        let made = self.plays(call).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let path = made.header("Location").unwrap().to_owned();
        let since = Instant::now();
        loop {
            let now = self.node.api("GET", &path, Value::Null).await.json();
            if now["over"] == json!(true) {
                let calls = self.found("").await;
                let call = calls.into_iter().find(|call| call["id"] == now["id"]);
                return (call.unwrap_or_else(|| panic!("{now:#}")), now);
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{now:#}");
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[actix_web::test]
async fn nothing_of_a_sandbox_is_dialled_outside_not_even_an_emergency_number() {
    let stage = Stage::sandbox().await;
    let own = json!({ "name": "own", "tenant_id": stage.tenant, "config": { "host": "own.carrier.test", "emergency": true } });
    let own = stage.node.makes("/v1/carriers", own).await;
    assert_eq!(own.status, 201, "{}", own.text());
    assert_eq!(stage.rates(own.id(), "49,0.001\n").await.status, 201);
    let stays = |document: &str| {
        assert!(bridges(document).is_empty() && !document.contains("gateway"), "{document}");
        assert_eq!(cause(document).as_deref(), Some("OUTGOING_CALL_BARRED"), "{document}");
    };
    for number in [MUNICH, "08912345678", "112", "110"] {
        let document = stage.dials(number).await;
        assert_eq!(route(&document), "sandbox", "{number}: {document}");
        stays(&document);
    }
    // What the tenant's rules refuse is refused as for everybody.
    assert_eq!(route(&stage.dials("+882161234567").await), "premium_number");
    let path = format!("/v1/tenants/{}/outbound-calls?reason=sandbox", stage.tenant);
    assert_eq!(stage.node.api("GET", &path, Value::Null).await.items().as_array().unwrap().len(), 2);
    // A number of another tenant is outside, too; one of its own is not.
    let other = stage.node.tenant("other.test").await;
    let number = json!({ "number": "+493087654321" });
    assert_eq!(stage.node.makes(&format!("/v1/phone-numbers?tenant_id={other}"), number).await.status, 201);
    assert_eq!(route(&stage.dials("+493087654321").await), "sandbox");
    assert_eq!(route(&stage.dials("+493012345678").await), "on_net");
    // Forwards to the outside end there as well.
    let extension = stage.own_extension().await;
    let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, extension["id"].as_str().unwrap());
    let forward = json!({ "calls": { "forward_always": MUNICH } });
    assert_eq!(stage.node.api("PATCH", &path, forward).await.status, 200);
    let forwarded = call_form(MUNICH, &stage.domain) + &format!("&variable_dialplane_on_behalf={}", stage.phone);
    stays(&stage.node.fetch(&forwarded).await.text());
    // Switches get none of its carriers: they would register there.
    let form = "section=configuration&tag_name=configuration&key_name=name&key_value=sofia.conf&Event-Name=X";
    let sofia = stage.node.fetch(form).await.text().replace("&#45;", "-");
    assert!(sofia.contains("cheap.carrier.test") && !sofia.contains("own.carrier.test"), "{sofia}");
    // Explanations say the same, and which carriers it would have been.
    for (number, result) in [(MUNICH, "sandbox"), ("112", "emergency")] {
        let ask = json!({ "tenant": stage.tenant, "caller": stage.phone, "number": number });
        let told = stage.node.api("POST", "/v1/routes/explain", ask).await.json();
        assert_eq!((&told["result"], &told["cause"]), (&json!(result), &json!("OUTGOING_CALL_BARRED")), "{told:#}");
        assert!(!told["steps"].to_string().contains("gateway"), "{told:#}");
    }
    // Nor without the database.
    let mut db = stage.database.connect().await;
    hang(&mut db).await;
    for number in ["112", "110"] {
        let document = stage.dials(number).await;
        assert!(bridges(&document).is_empty() && !document.contains("gateway"), "{document}");
    }
    drop(db);
    stage.stop().await;
}

#[actix_web::test]
async fn no_xml_entry_of_a_sandbox_dials_over_a_gateway() {
    let stage = Stage::sandbox().await;
    let path = format!("/v1/tenants/{}/dialplan-entries", stage.tenant);
    let xml = |data: &str| {
        format!(
            "<extension name=\"raw\"><condition field=\"destination_number\" expression=\"^(\\d+)$\"><action application=\"bridge\" data=\"{data}\"/></condition></extension>"
        )
    };
    let out = [
        "sofia/gateway/trunk/$1",
        "user/1000@acme.test|sofia/gateway/trunk/112",
        "[leg_timeout=9]sofia/gateway/trunk/112",
    ];
    for data in out {
        let refused = stage.node.api("POST", &path, json!({ "name": "Out", "xml": xml(data) })).await;
        let told = refused.json();
        assert_eq!((refused.status, &told["code"]), (422, &json!("gateway_in_sandbox")), "{data}: {told}");
        assert_eq!(told["field"], "xml", "{told}");
    }
    let made = stage.node.api("POST", &path, json!({ "name": "In", "xml": xml("user/1000@acme.test") })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let entry = format!("{path}/{}", made.json()["id"].as_str().unwrap());
    let refused = stage.node.api("PATCH", &entry, json!({ "xml": xml(out[0]) })).await;
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("gateway_in_sandbox")), "{}", refused.text());
    // One that is kept from before leads nowhere: for names, for what nobody has, for calls to the outside and to emergency services.
    let kept =
        dialplane::routing::raw::canonical(&xml(out[0]).replace("raw", "old"), &"acme.test".parse().unwrap()).unwrap();
    let old = "update dialplan_entries set body = jsonb_build_object('xml', $1::text) where tenant_id = $2";
    let old = sqlx::query(old).bind(&kept).bind(stage.tenant).execute(stage.node.app.changes.pool()).await.unwrap();
    assert_eq!(old.rows_affected(), 1);
    for number in ["1000", "5000", "112", MUNICH, "+882161234567"] {
        let document = stage.dials(number).await;
        assert!(!document.contains("gateway") && !document.contains("name=\"old\""), "{number}: {document}");
    }
    // Elsewhere, such an entry is the platform's to write, and is tried.
    let other = Stage::new().await;
    let path = format!("/v1/tenants/{}/dialplan-entries", other.tenant);
    let made = other.node.api("POST", &path, json!({ "name": "Out", "xml": xml(out[0]) })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(other.dials("5000").await.contains("gateway"));
    other.stop().await;
    stage.stop().await;
}

#[actix_web::test]
async fn mails_of_a_sandbox_are_kept_and_their_links_work() {
    let stage = Stage::sandbox().await;
    let tenant = stage.tenant;
    let path = format!("/v1/sandbox/mails?tenant_id={tenant}");
    let mails = stage.node.api("GET", &path, Value::Null).await;
    assert_eq!(mails.status, 200, "{}", mails.text());
    let mail = mails.items()[0].clone();
    assert_eq!(
        (&mail["to"], &mail["template"], &mail["status"]),
        (&json!("ada@acme.test"), &json!("welcome"), &json!("not sent: sandbox")),
        "{mail:#}"
    );
    let one = format!("/v1/sandbox/mails/{}?tenant_id={tenant}", mail["id"].as_str().unwrap());
    assert_eq!(stage.node.api("GET", &one, Value::Null).await.json(), mail);
    let text = mail["text"].as_str().unwrap();
    let token = text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap();
    let chosen = json!({ "token": token, "password": "correct horse battery staple" });
    assert_eq!(stage.node.api_with("POST", "/v1/auth/reset-password", &[], chosen).await.status, 204);
    let sign_in = json!({ "email": "ada@acme.test", "password": "correct horse battery staple" });
    assert_eq!(stage.node.api_with("POST", "/v1/auth/login", &[], sign_in).await.status, 200);
    assert_eq!(
        stage.database.count("select count(*) from mail_outbox where status <> 'failed' or not sandbox").await,
        0
    );
    // Another tenant's administrators read none of them, and others have none.
    let other = stage.node.tenant("other.test").await;
    let other_path = format!("/v1/sandbox/mails?tenant_id={other}");
    assert_eq!(stage.node.api("GET", &other_path, Value::Null).await.json()["code"], "not_a_sandbox");
    let key = json!({ "name": "theirs", "tenant_id": other, "scopes": ["*"] });
    let key = stage.node.makes("/v1/keys", key).await.json()["token"].as_str().unwrap().to_owned();
    let read = async |path: &str| stage.node.api_with("GET", path, &[("X-API-Key", &key)], Value::Null).await.status;
    assert_eq!((read(&path).await, read(&one).await), (404, 404));
    stage.stop().await;
}

/// A switch mails messages by itself, to the address in `vm-mailto`.
#[actix_web::test]
async fn no_switch_is_told_an_address_to_mail_a_sandboxs_messages_to() {
    for (sandbox, told) in [(true, false), (false, true)] {
        let stage = if sandbox { Stage::sandbox().await } else { Stage::new().await };
        let path = format!("/v1/tenants/{}/destinations", stage.tenant);
        let mailbox =
            json!({ "name": "Post", "number": "5100", "kind": "mailbox", "config": { "email": "post@acme.test" } });
        let mailbox = stage.node.makes(&path, mailbox).await;
        assert_eq!(mailbox.status, 201, "{}", mailbox.text());
        let group = json!({ "name": "team", "members": [stage.own_extension().await["id"]] });
        let group = stage.node.makes(&format!("/v1/tenants/{}/groups", stage.tenant), group).await;
        assert_eq!(group.status, 201, "{}", group.text());
        let asks = |rest: &str| {
            format!(
                "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value={0}&Event-Name=GENERAL&domain={0}&{rest}",
                stage.domain
            )
        };
        let lookup = |name: &str| asks(&format!("action=voicemail-lookup&key=id&user={name}"));
        let publish = |whom: &str| asks(&format!("purpose=publish-vm&{whom}"));
        for form in [lookup(&stage.phone), lookup("5100"), publish("group=team"), publish("user=_all_")] {
            let document = stage.node.fetch(&form).await.text();
            assert_eq!(document.contains("vm-mailto"), told, "{form}: {document}");
        }
        stage.stop().await;
    }
}

/// Hears all of a call, and returns the topics with what they said.
async fn hears(listener: &mut Listener, call: &Value) -> Vec<(String, Value)> {
    let mut heard = Vec::<(String, Value)>::new();
    while heard.last().is_none_or(|(topic, _)| topic != "call:ended") {
        let message = listener.message().await;
        if message["data"]["id"] == *call {
            heard.push((message["topic"].as_str().unwrap().to_owned(), message["data"].clone()));
        }
    }
    heard
}

#[actix_web::test]
async fn a_played_call_is_told_by_every_node_and_is_a_call_like_others_at_its_end() {
    let stage = Stage::sandbox().await;
    let extension = stage.own_extension().await;
    stage.leads("extension", &extension["id"]).await;
    let second = Node::start(&stage.database).await;
    let query = format!("tenant_id={}&topics=call:incoming,call:state:changed,call:ended", stage.tenant);
    let mut listeners = Vec::new();
    for node in [&stage.node, &second] {
        let mut listener = Listener::open(node, &stage.node.key, &query, true).await.unwrap();
        assert_eq!(listener.message().await["type"], "snapshot");
        listeners.push(listener);
    }
    let call = json!({ "direction": "inbound", "from": OUTSIDE, "to": "+493012345678", "outcome": "answered", "ring_seconds": 1, "talk_seconds": 2 });
    let (kept, played) = stage.played(call).await;
    assert_eq!((&played["route"], &played["answered_by"]), (&json!("extension"), &extension["number"]), "{played:#}");
    assert_eq!(played["rings"], json!([extension["number"]]));
    let mut all = Vec::new();
    for listener in &mut listeners {
        let heard = hears(listener, &played["id"]).await;
        let topics = heard.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>();
        assert!(topics.contains(&"call:incoming") && topics.contains(&"call:state:changed"), "{topics:?}");
        let states = heard.iter().map(|(_, data)| data["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert!(states.contains(&"ringing".to_owned()) && states.contains(&"talking".to_owned()), "{states:?}");
        assert!(heard.iter().all(|(_, data)| data["simulated"] == json!(true) && data["direction"] == "inbound"));
        assert_eq!(heard.last().unwrap().1["cause"], "NORMAL_CLEARING");
        all.push(heard);
    }
    assert_eq!(all[0], all[1], "both nodes say the same");
    assert_eq!(
        (&kept["direction"], &kept["state"], &kept["simulated"], &kept["legs"]),
        (&json!("inbound"), &json!("answered"), &json!(true), &json!(2)),
        "{kept:#}"
    );
    assert_eq!((&kept["wait_seconds"], &kept["talk_seconds"]), (&json!(1), &json!(2)));
    assert_eq!((&kept["from"]["number"], &kept["country"]), (&json!(OUTSIDE), &json!("DE")));
    assert_eq!((&kept["agent_id"], &kept["number_id"]), (&json!(stage.agent), &json!(stage.number)));
    let usage = stage.node.api("GET", &format!("/v1/usage?tenant_id={}", stage.tenant), Value::Null).await.json();
    assert_eq!(
        (&usage["sandbox"], &usage["calls_in"], &usage["cost"]),
        (&json!(true), &json!(1), &json!(0)),
        "{usage:#}"
    );
    second.stop().await;
    stage.stop().await;
}

#[actix_web::test]
async fn routing_decides_who_rings_and_the_outcome_what_becomes_of_it() {
    let stage = Stage::sandbox().await;
    let extension = stage.own_extension().await;
    let number = extension["number"].as_str().unwrap().to_owned();
    stage.leads("extension", &extension["id"]).await;
    let bob = stage.node.extension(stage.tenant, json!({ "number": "77" })).await;
    let from_bob = |outcome: &str| json!({ "direction": "internal", "from": "77", "to": number, "outcome": outcome, "ring_seconds": 0, "talk_seconds": 1 });
    for (outcome, state, cause) in [
        ("answered", "answered", "NORMAL_CLEARING"),
        ("busy", "busy", "USER_BUSY"),
        ("no_answer", "missed", "NO_ANSWER"),
        ("declined", "missed", "CALL_REJECTED"),
        ("unreachable", "missed", "USER_NOT_REGISTERED"),
        ("failed", "failed", "NORMAL_TEMPORARY_FAILURE"),
    ] {
        let (call, _) = stage.played(from_bob(outcome)).await;
        assert_eq!(
            (&call["direction"], &call["state"], &call["cause"]),
            (&json!("internal"), &json!(state), &json!(cause)),
            "{outcome}: {call:#}"
        );
        assert_eq!(call["extension_id"], bob["id"], "{call:#}");
    }
    // A mailbox takes a message if the extension has one.
    let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, extension["id"].as_str().unwrap());
    assert_eq!(stage.node.api("PATCH", &path, json!({ "voicemail_enabled": true })).await.status, 200);
    let (call, _) = stage.played(from_bob("voicemail")).await;
    assert_eq!(call["state"], "voicemail", "{call:#}");
    // To the outside, no carrier and no cost; and what routing refuses comes first.
    let out = |to: &str| json!({ "direction": "outbound", "from": stage.phone, "to": to, "outcome": "answered", "ring_seconds": 0, "talk_seconds": 1 });
    let (call, played) = stage.played(out(MUNICH)).await;
    assert_eq!(
        (&call["direction"], &call["state"], &call["to"]["number"], &call["carrier_id"], &call["cost"]),
        (&json!("outbound"), &json!("answered"), &json!(MUNICH), &Value::Null, &Value::Null),
        "{call:#}"
    );
    assert_eq!(played["answered_by"], MUNICH);
    let (call, played) = stage.played(out("+882161234567")).await;
    assert_eq!((&call["state"], &call["refusal"]), (&json!("refused"), &json!("premium_number")), "{call:#}");
    assert_eq!((&played["route"], &played["answered_by"]), (&json!("premium_number"), &Value::Null));
    // In a queue, somebody gives up or is served.
    let queue = json!({ "kind": "queue", "name": "Sales", "number": "600", "config": { "tiers": [{ "extension_id": extension["id"] }] } });
    let queue = stage.node.makes(&format!("/v1/tenants/{}/destinations", stage.tenant), queue).await;
    assert_eq!(queue.status, 201, "{}", queue.text());
    let waits = |outcome: &str| json!({ "direction": "inbound", "queue_id": queue.id(), "outcome": outcome, "ring_seconds": 2, "talk_seconds": 1 });
    let (call, _) = stage.played(waits("answered")).await;
    assert_eq!(
        (&call["state"], &call["queue_id"], &call["agent_id"], &call["wait_seconds"]),
        (&json!("answered"), &json!(queue.id()), &json!(stage.agent), &json!(2)),
        "{call:#}"
    );
    let (call, _) = stage.played(waits("no_answer")).await;
    assert_eq!((&call["state"], &call["queue_id"]), (&json!("abandoned"), &json!(queue.id())), "{call:#}");
    stage.stop().await;
}

#[actix_web::test]
async fn only_sandboxes_play_calls_and_not_too_many_of_them() {
    let stage = Stage::sandbox().await;
    let tenant = stage.tenant;
    let number = stage.own_extension().await["number"].clone();
    stage.node.extension(tenant, json!({ "number": "77" })).await;
    let other = stage.node.tenant("other.test").await;
    let call = json!({ "direction": "internal", "from": "77", "to": number, "outcome": "busy", "ring_seconds": 0 });
    let refused = stage.node.makes(&format!("/v1/sandbox/calls?tenant_id={other}"), call.clone()).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("not_a_sandbox")));
    for (field, value, code) in [
        ("ring_seconds", json!(121), "out_of_range"),
        ("talk_seconds", json!(3601), "out_of_range"),
        ("from", json!("4711"), "no_such_caller"),
        ("from", Value::Null, "missing"),
        ("to", Value::Null, "missing"),
        ("agent_id", json!(Uuid::new_v4()), "not_rung"),
    ] {
        let mut wrong = call.clone();
        wrong["outcome"] = json!("answered");
        wrong[field] = value;
        let refused = stage.plays(wrong).await;
        assert_eq!((refused.status, &refused.json()["code"]), (422, &json!(code)), "{field}: {}", refused.text());
        assert_eq!(refused.json()["field"], field);
    }
    let closed = json!({ "kind": "announcement", "name": "Closed", "number": "650", "config": { "prompt": { "text": "Closed" } } });
    let closed = stage.node.makes(&format!("/v1/tenants/{tenant}/destinations"), closed).await;
    assert_eq!(closed.status, 201, "{}", closed.text());
    let nobody = stage.plays(json!({ "direction": "internal", "from": "77", "to": "650", "outcome": "busy" })).await;
    assert_eq!((nobody.status, &nobody.json()["code"]), (422, &json!("rings_nobody")), "{}", nobody.text());
    // Whether it is one never changes.
    for (id, value) in [(tenant, false), (other, true)] {
        let path = format!("/v1/tenants/{id}");
        let before = stage.node.api("GET", &path, Value::Null).await.json();
        let same = stage.node.api("PATCH", &path, json!({ "sandbox": before["sandbox"] })).await;
        assert_eq!((same.status, same.json()), (200, before));
        let refused = stage.node.api("PATCH", &path, json!({ "sandbox": value })).await;
        assert_eq!(
            (refused.status, &refused.json()["code"], &refused.json()["field"]),
            (422, &json!("cant_change"), &json!("sandbox"))
        );
    }
    let mut db = stage.database.connect().await;
    assert!(sqlx::query("update tenants set sandbox = not sandbox").execute(&mut db).await.is_err());
    let mut left = Vec::new();
    for _ in 0..60 {
        let made = stage.plays(call.clone()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        left.push(
            made.header("RateLimit")
                .unwrap()
                .split("r=")
                .nth(1)
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .parse::<i64>()
                .unwrap(),
        );
        assert_eq!(made.header("RateLimit-Policy"), Some("\"sandbox-calls\";q=60;w=60"));
    }
    assert!(left.is_sorted_by(|one, next| one >= next) || left.len() == 60, "{left:?}");
    let refused = stage.plays(call).await;
    if refused.status == 429 {
        assert_eq!(refused.json()["code"], "too_many_played");
        let wait = refused.header("Retry-After").unwrap().parse::<i64>().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(
            refused.header("RateLimit").unwrap().starts_with("\"sandbox-calls\";r=0;t="),
            "{:?}",
            refused.header("RateLimit")
        );
    } else {
        // More than a minute has passed on a busy machine.
        assert_eq!(refused.status, 201);
    }
    stage.stop().await;
}

/// Waits until a call is in a state, and returns it.
async fn state(stage: &Stage, call: Uuid, wanted: &str) -> Value {
    let path = format!("/v1/live/calls?tenant_id={}", stage.tenant);
    let since = Instant::now();
    loop {
        let calls = stage.node.api("GET", &path, Value::Null).await.items();
        let found = calls.as_array().unwrap().iter().find(|one| one["id"] == json!(call)).cloned();
        if let Some(call) = found.filter(|call| call["state"] == wanted) {
            return call;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{wanted}: {calls:#}");
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn acts(stage: &Stage, call: Uuid, body: Value) -> Answer {
    stage.node.api("POST", &format!("/v1/live/calls/{call}/actions?tenant_id={}", stage.tenant), body).await
}

/// A call as it stands among the tenant's calls when it is over.
async fn kept(stage: &Stage, call: Uuid) -> Value {
    let since = Instant::now();
    loop {
        if let Some(call) = stage.found("").await.into_iter().find(|one| one["id"] == json!(call)) {
            return call;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "not kept");
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn a_played_call_is_acted_on_like_a_real_one_and_every_node_says_the_same() {
    let stage = Stage::sandbox().await;
    let extension = stage.own_extension().await;
    stage.leads("extension", &extension["id"]).await;
    let bob = stage.node.extension(stage.tenant, json!({ "number": "77", "display_name": "Bob" })).await;
    let second = Node::start(&stage.database).await;
    let query = format!("tenant_id={}&topics=call:incoming,call:state:changed,call:ended", stage.tenant);
    let mut listeners = Vec::new();
    for node in [&stage.node, &second] {
        let mut listener = Listener::open(node, &stage.node.key, &query, true).await.unwrap();
        assert_eq!(listener.message().await["type"], "snapshot");
        listeners.push(listener);
    }
    let new = |talk: u32| json!({ "direction": "inbound", "from": OUTSIDE, "to": "+493012345678", "outcome": "answered", "ring_seconds": 0, "talk_seconds": talk });
    let call = stage.plays(new(600)).await.id();
    let talking = state(&stage, call, "talking").await;
    assert_eq!(talking["simulated"], true);
    for (action, now) in [("hold", "held"), ("resume", "talking")] {
        let done = acts(&stage, call, json!({ "action": action })).await;
        assert_eq!((done.status, &done.json()["call"]["state"]), (200, &json!(now)), "{action}: {}", done.text());
        // So it is already: nothing happens.
        let again = acts(&stage, call, json!({ "action": action })).await;
        assert_eq!((again.status, &again.json()["call"]), (200, &done.json()["call"]), "{action}: {}", again.text());
    }
    for (action, member, is_so) in [("mute", "muted", true), ("unmute", "muted", false)] {
        let done = acts(&stage, call, json!({ "action": action })).await;
        assert_eq!(done.status, 200, "{action}: {}", done.text());
        let legs = done.json()["call"]["legs"].clone();
        let phone = legs.as_array().unwrap().iter().find(|leg| leg["extension_id"] == extension["id"]).cloned();
        assert_eq!(phone.unwrap()[member], is_so, "{action}: {legs:#}");
    }
    let keys = acts(&stage, call, json!({ "action": "dtmf", "digits": "12#" })).await;
    assert_eq!(keys.status, 200, "{}", keys.text());
    // What needs a phone that calls somebody is said to be missing, and the call goes on.
    let consult = acts(&stage, call, json!({ "action": "consult", "to": "77" })).await;
    assert_eq!((consult.status, &consult.json()["code"]), (409, &json!("cant_be_played")), "{}", consult.text());
    let refused = acts(&stage, call, json!({ "action": "transfer", "to": "1 2" })).await;
    assert_eq!(refused.status, 422, "{}", refused.text());

    // To Bob: the first phone leaves, Bob's rings and takes it.
    let sent = acts(&stage, call, json!({ "action": "transfer", "to": "77" })).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let since = Instant::now();
    let with_bob = loop {
        let now = state(&stage, call, "talking").await;
        if now["legs"].as_array().unwrap().iter().any(|leg| leg["extension_id"] == bob["id"] && leg["state"] == "up") {
            break now;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{now:#}");
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(!with_bob["legs"].to_string().contains(extension["id"].as_str().unwrap()), "{with_bob:#}");

    // Bob parks it, and then it is hung up.
    let parked = acts(&stage, call, json!({ "action": "park" })).await;
    assert_eq!((parked.status, &parked.json()["slot"]), (200, &json!("1")), "{}", parked.text());
    let lot = stage.node.api("GET", &format!("/v1/live/parked?tenant_id={}", stage.tenant), Value::Null).await.items();
    assert_eq!((lot.as_array().unwrap().len(), &lot[0]["slot"]), (1, &json!("1")), "{lot:#}");
    let over = acts(&stage, call, json!({ "action": "hangup" })).await;
    assert_eq!((over.status, &over.json()["call"]), (200, &Value::Null), "{}", over.text());
    let lot = stage.node.api("GET", &format!("/v1/live/parked?tenant_id={}", stage.tenant), Value::Null).await.items();
    assert_eq!(lot, json!([]));
    assert_eq!(acts(&stage, call, json!({ "action": "hold" })).await.status, 404, "it is over");

    let kept = kept(&stage, call).await;
    assert_eq!(
        (&kept["state"], &kept["simulated"], &kept["legs"], &kept["cause"]),
        (&json!("answered"), &json!(true), &json!(3), &json!("NORMAL_CLEARING")),
        "{kept:#}"
    );
    assert!(kept["talk_seconds"].as_i64().unwrap() < 300, "not what was planned: {kept:#}");
    let id = json!(call);
    let (one, other) = (hears(&mut listeners[0], &id).await, hears(&mut listeners[1], &id).await);
    let states = |heard: &[(String, Value)]| {
        let mut states = heard.iter().map(|(_, data)| data["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        states.dedup();
        states
    };
    assert_eq!(states(&one), states(&other), "both nodes say the same");
    let last = |heard: &[(String, Value)]| heard.last().unwrap().1["cause"].clone();
    assert_eq!((last(&one), last(&other)), (json!("NORMAL_CLEARING"), json!("NORMAL_CLEARING")));
    for wanted in ["held", "parked"] {
        assert!(states(&one).iter().any(|state| state == wanted), "{:?}", states(&one));
    }
    // Who did it is in the audit log.
    let acted = stage.database.count("select count(*) from audit_log where action = 'act'").await;
    assert!(acted >= 7, "{acted}");
    second.stop().await;
    stage.stop().await;
}

#[actix_web::test]
async fn a_played_call_that_is_hung_up_while_it_rings_was_never_answered() {
    let stage = Stage::sandbox().await;
    let extension = stage.own_extension().await;
    stage.leads("extension", &extension["id"]).await;
    let new = json!({ "direction": "inbound", "from": OUTSIDE, "to": "+493012345678", "outcome": "answered", "ring_seconds": 100, "talk_seconds": 100 });
    let call = stage.plays(new).await.id();
    state(&stage, call, "ringing").await;
    let hold = acts(&stage, call, json!({ "action": "hold" })).await;
    assert_eq!((hold.status, &hold.json()["code"]), (409, &json!("not_answered_yet")), "{}", hold.text());
    let over = acts(&stage, call, json!({ "action": "hangup" })).await;
    assert_eq!(over.status, 200, "{}", over.text());
    let kept = kept(&stage, call).await;
    assert_eq!((&kept["talk_seconds"], &kept["legs"]), (&json!(0), &json!(2)), "{kept:#}");
    assert!(["missed", "abandoned"].contains(&kept["state"].as_str().unwrap()), "{kept:#}");
    assert!(kept["wait_seconds"].as_i64().unwrap() < 90, "{kept:#}");
    // Another tenant's call is not found.
    let other = stage.node.tenant("other.test").await;
    let path = format!("/v1/live/calls/{call}/actions?tenant_id={other}");
    assert_eq!(stage.node.api("POST", &path, json!({ "action": "hangup" })).await.status, 404);
    stage.stop().await;
}
