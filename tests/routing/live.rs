//! The live state of switches, as `/v1/live` shows it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{event_socket::EventSocket, events::Listener, harness::Node, own_calls::joins, pushes::Fleet};

/// Asks until an answer is as wanted, and returns it.
async fn until(node: &Node, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let answer = node.api("GET", path, Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let shown = answer.json();
        if wanted(&shown) {
            return shown;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{path}: {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_known(shown: &Value) -> bool {
    shown["unknown"].as_array().is_some_and(Vec::is_empty)
}

/// Waits until the node knows what goes on at its switch.
pub async fn known(fleet: &Fleet) {
    known_at(&fleet.socket, &fleet.stage.node).await;
}

pub async fn known_at(socket: &EventSocket, node: &Node) {
    // Whoever holds the link signs in twice, and whoever follows what goes on twice.
    let since = Instant::now();
    while socket.has().sign_ins < 4 {
        assert!(since.elapsed() < Duration::from_mins(1), "nobody listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until(node, "/v1/live/calls", is_known).await;
}

fn count(shown: &Value) -> usize {
    shown["items"].as_array().unwrap().len()
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

pub fn fires(socket: &EventSocket, mut event: Value, at: i64) {
    event["Event-Date-Timestamp"] = at.to_string().into();
    event["Core-UUID"] = "a".into();
    socket.fires(&event);
}

pub fn registers(domain: &str, user: &str, call_id: &str) -> Value {
    json!({
        "Event-Name": "CUSTOM", "Event-Subclass": "sofia::register", "from-user": user, "from-host": domain,
        "contact": format!("\"x\" <sip:{user}@192.0.2.7:5060;transport=tcp;line={call_id}>"), "call-id": call_id, "expires": "300",
        "network-ip": "192.0.2.7", "network-port": "5060", "user-agent": "Desk phone \u{fffd}", "status": "Registered(TCP)",
        "variable_password": "secret", "a1-hash": "secret",
    })
}

/// A leg's event.
pub fn leg(name: &str, leg: Uuid, call: Uuid, more: &Value) -> Value {
    let mut event = json!({ "Event-Name": name, "Unique-ID": leg, "Channel-Call-UUID": call });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

#[actix_web::test]
async fn registrations_are_shown_to_their_tenant_and_gone_when_the_phone_is() {
    let fleet = Fleet::new().await;
    let (node, domain, phone) = (&fleet.stage.node, &fleet.stage.domain, &fleet.stage.phone);
    let path = format!("/v1/live/registrations?tenant_id={}", fleet.stage.tenant);
    known(&fleet).await;
    fires(&fleet.socket, registers(domain, phone, "one"), now());
    fires(&fleet.socket, registers(&domain.to_uppercase(), phone, "two"), now());
    fires(&fleet.socket, registers("elsewhere.test", phone, "three"), now());
    let shown = until(node, &path, |shown| count(shown) == 2).await;
    let first = &shown["items"][0];
    assert_eq!(first["contact"], format!("sip:{phone}@192.0.2.7:5060;transport=tcp;line=one"));
    assert_eq!((first["transport"].as_str(), first["address"].as_str()), (Some("tcp"), Some("192.0.2.7:5060")));
    assert!(first["extension_id"].is_string() && first["since"].is_string(), "{first}");
    assert!(!shown.to_string().contains("secret"), "{shown}");
    let of_extension = format!("{path}&extension={phone}&limit=1");
    let page = until(node, &of_extension, |shown| count(shown) == 1).await;
    let next = format!("{of_extension}&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(until(node, &next, |_| true).await["items"][0]["call_id"], "two");
    assert_eq!(count(&until(node, &format!("{path}&extension=9999"), |_| true).await), 0);
    fires(
        &fleet.socket,
        json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::unregister", "call-id": "one" }),
        now(),
    );
    until(node, &path, |shown| count(shown) == 1).await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_call_is_shown_with_both_sides_and_nothing_of_it_stays_when_the_switch_crashes() {
    let fleet = Fleet::new().await;
    let (node, domain, phone) = (&fleet.stage.node, &fleet.stage.domain, &fleet.stage.phone);
    let path = format!("/v1/live/calls?tenant_id={}", fleet.stage.tenant);
    known(&fleet).await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let caller = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/+493012345678@carrier.test", "Caller-Caller-ID-Number": "+493012345678",
        "Caller-Caller-ID-Name": "O'Brien, \"Ann\" <b>", "Caller-Destination-Number": "+12025550123", "Caller-Context": "public",
    });
    let called = json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7:5060"), "Other-Leg-Unique-ID": a,
        "variable_dialplane_taken_by": format!("{phone}@{domain}"),
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &caller), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, a, &called), now());
    let ringing = until(node, &path, |shown| count(shown) == 1).await;
    assert_eq!(
        (ringing["items"][0]["state"].as_str(), ringing["items"][0]["direction"].as_str()),
        (Some("ringing"), Some("inbound"))
    );
    let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
    for (name, of, more) in
        [("CHANNEL_ANSWER", b, json!({})), ("CHANNEL_ANSWER", a, json!({})), ("CHANNEL_BRIDGE", a, pair)]
    {
        fires(&fleet.socket, leg(name, of, a, &more), now());
    }
    let talking = until(node, &format!("{path}&state=talking&extension=2000"), |shown| count(shown) == 1).await;
    let legs = &talking["items"][0]["legs"];
    assert_eq!(
        (legs[0]["number"].as_str(), legs[1]["extension"].as_str()),
        (Some("+493012345678"), Some("2000")),
        "{legs}"
    );
    assert_eq!((&legs[0]["connected_to"], &legs[1]["agent_id"]), (&json!(b), &json!(fleet.stage.agent)));
    fires(&fleet.socket, leg("CHANNEL_HOLD", b, a, &json!({})), now());
    until(node, &path, |shown| shown["items"][0]["state"] == "held").await;

    // The switch crashes: it hangs up on everybody, and comes back with nothing.
    fleet.socket.has().hangs_up = true;
    fires(&fleet.socket, json!({ "Event-Name": "SHUTDOWN" }), now());
    let unknown = until(node, &path, |shown| count(shown) == 0).await;
    assert!(unknown["unknown"][0]["since"].is_string(), "{unknown}");
    fleet.socket.has().hangs_up = false;
    until(node, &path, |shown| is_known(shown) && count(shown) == 0).await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_call_is_over_soon_after_its_legs_hang_up_also_if_their_records_can_t_be_posted() {
    let fleet = Fleet::new().await;
    let (node, domain, phone) = (&fleet.stage.node, &fleet.stage.domain, &fleet.stage.phone);
    let path = format!("/v1/live/calls?tenant_id={}", fleet.stage.tenant);
    known(&fleet).await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let caller = json!({ "Call-Direction": "inbound", "Channel-Name": "sofia/external/+493012345678@carrier.test", "Caller-Context": "public" });
    let called = json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7:5060"), "Other-Leg-Unique-ID": a,
        "variable_dialplane_taken_by": format!("{phone}@{domain}"),
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &caller), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, a, &called), now());
    until(node, &path, |shown| count(shown) == 1).await;
    for of in [b, a] {
        fires(&fleet.socket, leg("CHANNEL_HANGUP", of, a, &json!({ "Hangup-Cause": "NORMAL_CLEARING" })), now());
    }
    until(node, &path, |shown| count(shown) == 0).await;
    // They are over only when their records are on disk, long after.
    for of in [b, a] {
        fires(
            &fleet.socket,
            leg("CHANNEL_HANGUP_COMPLETE", of, of, &json!({ "Hangup-Cause": "NORMAL_CLEARING" })),
            now(),
        );
    }
    let other = Uuid::new_v4();
    fires(&fleet.socket, leg("CHANNEL_CREATE", other, other, &caller), now());
    let called = json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7:5060"), "Other-Leg-Unique-ID": other,
        "variable_dialplane_taken_by": format!("{phone}@{domain}") });
    fires(&fleet.socket, leg("CHANNEL_CREATE", Uuid::new_v4(), other, &called), now());
    let shown = until(node, &path, |shown| count(shown) > 0).await;
    assert_eq!((count(&shown), &shown["items"][0]["id"]), (1, &json!(other)), "{shown}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn what_goes_on_already_is_read_when_a_node_comes_and_lost_events_are_made_up_for_by_the_next_reading() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (domain, phone) = (fleet.stage.domain.clone(), fleet.stage.phone.clone());
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let channel = |id: Uuid, direction: &str, user: &str| {
        json!({
            "uuid": id, "direction": direction, "created_epoch": "1789999990", "name": format!("sofia/internal/{user}@{domain}"),
            "presence_id": format!("9{user}@{domain}"), "callstate": "ACTIVE", "call_uuid": a, "context": domain, "cid_num": user, "dest": phone,
        })
    };
    let registration = json!({
        "reg_user": phone, "realm": domain, "token": "one", "url": format!("sofia/internal/sip:{phone}@192.0.2.7:5060;transport=ws"),
        "expires": (now() / 1_000_000 + 600).to_string(), "network_ip": "192.0.2.7", "network_port": "5060", "network_proto": "tcp",
    });
    {
        let mut has = fleet.socket.has();
        has.lists.insert("channels", vec![channel(a, "inbound", &phone), channel(b, "outbound", "1099")]);
        has.lists.insert("bridged_calls", vec![json!({ "uuid": a, "b_uuid": b })]);
        has.lists.insert("registrations", vec![registration]);
        has.described = "Call-ID:    \tone\nAgent:      \tSnom D785\nPing-Time:\t23.50\n\n".into();
        // A list has the extensions' numbers only.
        for (name, value) in [("dialplane_extension", "x"), ("user_name", &*phone), ("domain_name", &*domain)] {
            has.variables.insert((a, name), value.to_owned());
        }
        has.variables.insert((b, "dialplane_taken_by"), format!("1099@{domain}"));
    }
    let second = Node::start(&fleet.stage.database).await;
    let calls = format!("/v1/live/calls?tenant_id={}", fleet.stage.tenant);
    let shown = until(&second, &calls, |shown| count(shown) == 1).await;
    assert_eq!(shown["items"][0]["state"], "talking", "{shown}");
    assert_eq!(shown["items"][0]["direction"], "internal", "{shown}");
    let agents = shown["items"][0]["legs"].as_array().unwrap().iter().map(|leg| leg["agent_id"].clone());
    assert_eq!(agents.collect::<Vec<_>>(), [json!(fleet.stage.agent), Value::Null], "{shown}");
    let phones = format!("/v1/live/registrations?tenant_id={}", fleet.stage.tenant);
    let registered = &until(&second, &phones, |shown| count(shown) == 1).await["items"][0];
    assert_eq!(registered["transport"], "ws");
    assert_eq!((&registered["device"], &registered["round_trip_ms"]), (&json!("Snom D785"), &json!(23.5)));
    // The first node has the state of before: it was told nothing. When its link breaks, it reads everything again.
    assert_eq!(count(&until(&fleet.stage.node, &calls, |_| true).await), 0);
    for core in ["a", "b"] {
        fleet.socket.fires(&json!({ "Event-Name": "HEARTBEAT", "Core-UUID": core }));
    }
    until(&fleet.stage.node, &calls, |shown| count(shown) == 1).await;
    second.stop().await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn queues_show_who_waits_and_who_serves() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let (queue, name) = fleet.queue().await;
    let id = queue.rsplit('/').next().unwrap();
    known(&fleet).await;
    let agent = format!("{}@{}", fleet.stage.phone, fleet.stage.domain);
    {
        let mut has = fleet.socket.has();
        has.lists.insert("queue list", vec![json!({ "name": name })]);
        has.lists.insert("tier list", vec![json!({ "queue": name, "agent": agent })]);
        has.lists.insert("agent list", vec![json!({ "name": agent, "status": "Available", "state": "Waiting" })]);
    }
    for core in ["a", "b"] {
        fleet.socket.fires(&json!({ "Event-Name": "HEARTBEAT", "Core-UUID": core }));
    }
    let path = format!("/v1/live/queues?tenant_id={}&queue_id={id}", fleet.stage.tenant);
    // The queue itself is known as soon as the switch was told of it.
    let is_read = |shown: &Value| shown["items"][0]["agents"].as_array().is_some_and(|agents| agents.len() == 1);
    let shown = until(node, &path, is_read).await;
    assert_eq!(shown["items"][0]["agents"][0]["state"], "available", "{shown}");
    assert_eq!(shown["items"][0]["agents"][0]["agent_id"], json!(fleet.stage.agent));
    for (number, at) in [("1", now()), ("2", now() + 10)] {
        let joins = json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "member-queue-start", "CC-Queue": name,
            "CC-Member-UUID": Uuid::new_v4(), "CC-Member-Session-UUID": Uuid::new_v4(), "CC-Member-CID-Number": number,
        });
        let mut joins = joins;
        joins["Event-Date-Timestamp"] = at.to_string().into();
        fleet.socket.fires(&joins);
    }
    let shown =
        until(node, &path, |shown| shown["items"][0]["waiting"].as_array().is_some_and(|all| all.len() == 2)).await;
    assert_eq!(
        (&shown["items"][0]["waiting"][0]["number"], &shown["items"][0]["waiting"][1]["position"]),
        (&json!("1"), &json!(2))
    );
    let paused = json!({
        "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "agent-status-change", "CC-Agent": agent,
        "CC-Agent-Status": "On Break", "Event-Date-Timestamp": now().to_string(),
    });
    fleet.socket.fires(&paused);
    let agents = format!("/v1/live/agents?tenant_id={}&state=away", fleet.stage.tenant);
    until(node, &agents, |shown| count(shown) == 1).await;
    fleet.stage.stop().await;
}

pub fn of_gateway(subclass: &str, carrier: &str, more: &[(&str, &str)]) -> Value {
    let name = format!("c{}", carrier.replace('-', ""));
    let mut event = json!({ "Event-Name": "CUSTOM", "Event-Subclass": format!("sofia::{subclass}"), "Gateway": name });
    for (name, value) in more {
        event[*name] = json!(value);
    }
    event
}

#[actix_web::test]
async fn a_gateway_is_shown_from_its_start_to_its_end_with_its_state() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    known(&fleet).await;
    let carrier = Uuid::new_v4().to_string();
    let query = "topics=gateway:changed";
    let mut listener = Listener::open(node, &node.key, query, true).await.unwrap();
    assert_eq!(listener.message().await["type"], "snapshot");
    let states = async |wanted: &[(&str, bool)]| {
        let is = |shown: &Value| {
            let all = shown["items"].as_array().unwrap().iter();
            let own = all.filter(|one| one["carrier_id"] == json!(carrier));
            let own = own.map(|one| (one["state"].as_str().unwrap().to_owned(), one["up"].as_bool().unwrap()));
            own.collect::<Vec<_>>() == wanted.iter().map(|(state, up)| ((*state).to_owned(), *up)).collect::<Vec<_>>()
        };
        until(node, "/v1/live/gateways", is).await;
    };
    // Of one that does not register, nothing else is said.
    fires(&fleet.socket, of_gateway("gateway_add", &carrier, &[]), now());
    states(&[("NOREG", true)]).await;
    let down = [("State", "FAIL_WAIT"), ("Ping-Status", "DOWN")];
    fires(&fleet.socket, of_gateway("gateway_state", &carrier, &down), now());
    states(&[("FAIL_WAIT", false)]).await;
    let scraped = node.metrics().await;
    let line = scraped.lines().find(|line| line.starts_with("dialplane_switch_gateway_up{") && line.contains(&carrier));
    let line = line.unwrap_or_else(|| panic!("{scraped}"));
    assert!(line.contains("state=\"FAIL_WAIT\"") && line.ends_with(" 0"), "{line}");
    fires(&fleet.socket, of_gateway("gateway_delete", &carrier, &[]), now());
    states(&[]).await;
    for (state, up) in [("NOREG", true), ("FAIL_WAIT", false), ("DELETED", false)] {
        let message = listener.message().await;
        let told =
            (&message["topic"], &message["data"]["carrier_id"], &message["data"]["state"], &message["data"]["up"]);
        assert_eq!(told, (&json!("gateway:changed"), &json!(carrier), &json!(state), &json!(up)), "{message}");
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn whoever_listens_to_a_queue_hears_of_its_agents_and_of_no_others() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let (queue, name) = fleet.queue().await;
    let id = queue.rsplit('/').next().unwrap();
    known(&fleet).await;
    let agent = format!("{}@{}", fleet.stage.phone, fleet.stage.domain);
    {
        let mut has = fleet.socket.has();
        has.lists.insert("queue list", vec![json!({ "name": name })]);
        has.lists.insert("tier list", vec![json!({ "queue": name, "agent": agent })]);
        has.lists.insert("agent list", vec![json!({ "name": agent, "status": "Available", "state": "Waiting" })]);
    }
    for core in ["a", "b"] {
        fleet.socket.fires(&json!({ "Event-Name": "HEARTBEAT", "Core-UUID": core }));
    }
    let path = format!("/v1/live/queues?tenant_id={}&queue_id={id}", fleet.stage.tenant);
    until(node, &path, |shown| shown["items"][0]["agents"].as_array().is_some_and(|agents| agents.len() == 1)).await;
    let query = |queue: &str| format!("tenant_id={}&topics=agent:status:updated&queue_id={queue}", fleet.stage.tenant);
    let mut own = Listener::open(node, &node.key, &query(id), true).await.unwrap();
    let mut other = Listener::open(node, &node.key, &query(&Uuid::new_v4().to_string()), true).await.unwrap();
    for listener in [&mut own, &mut other] {
        assert_eq!(listener.message().await["type"], "snapshot");
    }
    let path = format!("/v1/agents/{}/status?tenant_id={}", fleet.stage.agent, fleet.stage.tenant);
    let set = async |status: &str| {
        let answer = node.api("PUT", &path, json!({ "status": status })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    set("away").await;
    // A snapshot may come once more after the link began anew.
    let told = async |listener: &mut Listener| loop {
        let message = listener.message().await;
        if message["type"] == "event" && message["data"]["state"] == "away" {
            return message;
        }
    };
    let message = told(&mut own).await;
    assert_eq!(message["topic"], "agent:status:updated", "{message}");
    assert_eq!(message["data"]["agent_id"], json!(fleet.stage.agent), "{message}");
    let nothing = tokio::time::timeout(Duration::from_millis(500), told(&mut other)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_switch_speaks_of_its_own_clusters_tenants_only() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    // Another cluster, and a tenant there.
    let cluster =
        node.api("POST", "/v1/clusters", json!({ "name": "elsewhere", "region": "there", "max_tenants": 10 })).await;
    assert_eq!(cluster.status, 201, "{}", cluster.text());
    let other = node.tenant("other.test").await;
    let moved = node.api("PATCH", &format!("/v1/tenants/{other}"), json!({ "cluster_id": cluster.id() })).await;
    assert_eq!(moved.status, 200, "{}", moved.text());
    let their_agent = json!({ "first_name": "Max", "last_name": "Born", "email": "max@other.test" });
    let their_agent = node.makes(&format!("/v1/admin/agents?tenant_id={other}"), their_agent).await.json();
    let extension = &their_agent["extensions"][0];
    let tiers = json!([{ "extension_id": extension["id"] }]);
    let queue = json!({ "name": "Support", "kind": "queue", "config": { "tiers": tiers } });
    let queue = node.makes(&format!("/v1/tenants/{other}/destinations"), queue).await.id();
    let their_phone = format!("{}@other.test", extension["sip_username"].as_str().unwrap());
    known(&fleet).await;
    fires(&fleet.socket, registers("other.test", "1000", "one"), now());
    // Its queue with a caller and somebody who is there, its conference, and its parking lot.
    let their_queue = format!("{}.other.test", queue.simple());
    joins(&fleet.socket, &their_queue, Uuid::new_v4(), "+498912345678");
    for (name, value) in [("CC-Agent-Status", "Available"), ("CC-Agent-State", "In a queue call")] {
        let action = if name == "CC-Agent-Status" { "agent-status-change" } else { "agent-state-change" };
        let mut says = json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": action, "CC-Agent": their_phone, "CC-Queue": their_queue,
        });
        says[name] = json!(value);
        fires(&fleet.socket, says, now());
    }
    let room = Uuid::new_v4();
    let enters = json!({
        "Event-Name": "CUSTOM", "Event-Subclass": "conference::maintenance", "Action": "add-member", "Conference-Name": room.simple().to_string(),
        "Conference-Profile-Name": format!("{}.other.test", room.simple()), "Unique-ID": Uuid::new_v4(), "Member-ID": "1",
    });
    fires(&fleet.socket, enters, now());
    let parks = json!({
        "Event-Name": "CUSTOM", "Event-Subclass": "valet_parking::info", "Action": "hold", "Valet-Lot-Name": "park@other.test",
        "Valet-Extension": "1", "Unique-ID": Uuid::new_v4(),
    });
    fires(&fleet.socket, parks, now());
    let a = Uuid::new_v4();
    let lies = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/internal/1000@other.test", "variable_dialplane_tenant": other,
        "variable_dialplane_extension": Uuid::new_v4(), "variable_user_name": "1000", "variable_domain_name": "other.test",
        "Caller-Context": "other.test",
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &lies), now());
    // A header that a caller wrote, on a call that is nobody's yet.
    let b = Uuid::new_v4();
    let writes = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@y", "Caller-Context": "public",
        "variable_sip_h_X-dialplane_tenant": fleet.stage.tenant, "Channel-Presence-ID": format!("{}@{}", fleet.stage.phone, fleet.stage.domain),
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, b, &writes), now());
    // Gateways: of a carrier that is that tenant's alone, and of one that is this tenant's.
    let carrier = async |tenant: Uuid, host: &str| {
        let new = json!({ "name": host, "tenant_id": tenant, "config": { "host": host } });
        let made = node.api("POST", "/v1/carriers", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.id().to_string()
    };
    let theirs = carrier(other, "theirs.carrier.test").await;
    let ours = carrier(fleet.stage.tenant, "ours.carrier.test").await;
    let mut listener = Listener::open(node, &node.key, "topics=gateway:changed", true).await.unwrap();
    assert_eq!(listener.message().await["type"], "snapshot");
    for carrier in [&theirs, &ours] {
        let down = [("State", "FAIL_WAIT"), ("Ping-Status", "DOWN")];
        fires(&fleet.socket, of_gateway("gateway_state", carrier, &down), now());
    }
    let first = loop {
        let message = listener.message().await;
        if message["type"] == "event" && message["data"]["state"] == "FAIL_WAIT" {
            break message;
        }
    };
    assert_eq!(first["data"]["carrier_id"], json!(ours), "{first}");
    // What comes last is shown, so the others were heard.
    fires(&fleet.socket, registers(&fleet.stage.domain, &fleet.stage.phone, "last"), now());
    until(node, "/v1/live/registrations", |shown| count(shown) == 1).await;
    for list in ["calls", "conferences", "parked"] {
        assert_eq!(count(&until(node, &format!("/v1/live/{list}"), |_| true).await), 0, "{list}");
        assert_eq!(count(&until(node, &format!("/v1/live/{list}?tenant_id={other}"), |_| true).await), 0, "{list}");
    }
    let queues = until(node, &format!("/v1/live/queues?tenant_id={other}"), |_| true).await.to_string();
    assert!(!queues.contains("+498912345678"), "{queues}");
    let agents = until(node, &format!("/v1/live/agents?tenant_id={other}"), |_| true).await;
    let states = agents["items"].as_array().unwrap().iter().map(|agent| agent["state"].clone()).collect::<Vec<_>>();
    assert!(!states.contains(&json!("available")) && !states.contains(&json!("on_call")), "{agents}");
    let gateways = until(node, &format!("/v1/live/gateways?tenant_id={other}"), |_| true).await;
    assert_eq!(count(&gateways), 0, "{gateways}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_scrape_tells_how_each_switch_is_and_nothing_of_one_that_is_not_heard() {
    let fleet = Fleet::new().await;
    let (node, domain, phone) = (&fleet.stage.node, &fleet.stage.domain, &fleet.stage.phone);
    known(&fleet).await;
    fires(&fleet.socket, registers(domain, phone, "one"), now());
    let beat = json!({
        "Event-Name": "HEARTBEAT", "Session-Count": "7", "Max-Sessions": "1000", "Session-Per-Sec": "30", "Session-Per-Sec-Last": "2",
        "Session-Since-Startup": "1234", "Idle-CPU": "87.466667", "Uptime-msec": "60500",
    });
    fires(&fleet.socket, beat, now());
    let since = Instant::now();
    let text = loop {
        let text = node.metrics().await;
        if text.contains("dialplane_switch_idle_ratio{") || since.elapsed() > Duration::from_mins(1) {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let of = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("dialplane_switch_{name}{{")));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned())
    };
    let is = |name: &str, value: &str| assert_eq!(of(name).as_deref(), Some(value), "{name}: {text}");
    is("heard", "1");
    is("registrations", "1");
    is("calls", "0");
    is("sessions", "7");
    is("sessions_limit", "1000");
    is("sessions_begun_total", "1234");
    is("idle_ratio", "0.875");
    is("uptime_seconds", "60.5");
    assert!(text.contains("dialplane_backlog{kind=\"webhooks\"} 0"), "{text}");
    let gaps = of("gaps_total").unwrap().parse::<u32>().unwrap();
    // Nothing is shown of a switch that no node hears.
    fleet.socket.has().hangs_up = true;
    fires(&fleet.socket, json!({ "Event-Name": "SHUTDOWN" }), now());
    let since = Instant::now();
    let text = loop {
        let text = node.metrics().await;
        let heard = text.lines().find(|line| line.starts_with("dialplane_switch_heard{"));
        if heard.is_some_and(|line| line.ends_with(" 0")) || since.elapsed() > Duration::from_mins(1) {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(
        !text.contains("dialplane_switch_registrations{") && !text.contains("dialplane_switch_sessions{"),
        "{text}"
    );
    let after = text.lines().find(|line| line.starts_with("dialplane_switch_gaps_total{")).unwrap();
    assert_eq!(after.rsplit_once(' ').unwrap().1.parse::<u32>().unwrap(), gaps + 1);
    fleet.stage.stop().await;
}
