//! `/v1/events`: what happens, over WebSockets and as server-sent events.

use std::time::{Duration, Instant};

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use crate::{
    event_socket::{EventSocket, PASSWORD},
    harness::{Cluster, Database, Node},
    live::{fires, known, known_at, leg, now, registers},
    people::person,
    pushes::Fleet,
};

/// A client that listens.
pub struct Listener {
    stream: TcpStream,
    is_websocket: bool,
    read: Vec<u8>,
    /// The answer's status and headers.
    head: String,
}

impl Listener {
    /// Returns the status if the stream is refused.
    pub async fn open(node: &Node, key: &str, query: &str, is_websocket: bool) -> Result<Self, u16> {
        Self::open_with(node, key, query, is_websocket, "").await
    }

    /// `more`: another header, with the end of its line.
    pub async fn open_with(node: &Node, key: &str, query: &str, is_websocket: bool, more: &str) -> Result<Self, u16> {
        let stream = TcpStream::connect(node.app.app_address).await.unwrap();
        Self::over(stream, key, query, is_websocket, more).await
    }

    /// The same over a connection on whose way little waits, so that the node notices soon when nobody reads.
    pub async fn open_narrow(node: &Node, key: &str, query: &str) -> Result<Self, u16> {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::over(socket.connect(node.app.app_address).await.unwrap(), key, query, true, "").await
    }

    async fn over(mut stream: TcpStream, key: &str, query: &str, is_websocket: bool, more: &str) -> Result<Self, u16> {
        let how = if is_websocket {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        } else {
            "Accept: text/event-stream"
        };
        let key = if key.is_empty() { String::new() } else { format!("X-API-Key: {key}\r\n") };
        let request = format!("GET /v1/events?{query} HTTP/1.1\r\nHost: x\r\n{key}{more}{how}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self { stream, is_websocket, read: Vec::new(), head: String::new() };
        let head = loop {
            if let Some(end) = listener.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break listener.read.drain(..end + 4).collect::<Vec<_>>();
            }
            assert!(listener.more().await, "{}", String::from_utf8_lossy(&listener.read));
        };
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse::<u16>().unwrap();
        listener.head = head;
        if status == if is_websocket { 101 } else { 200 } { Ok(listener) } else { Err(status) }
    }

    /// Reads more. `false` if the connection is closed.
    async fn more(&mut self) -> bool {
        let mut part = vec![0; 65536];
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut part));
        let read = read.await.expect("nothing came").unwrap_or(0);
        self.read.extend_from_slice(&part[..read]);
        read > 0
    }

    /// The next message that is whole.
    fn whole(&mut self) -> Option<String> {
        if !self.is_websocket {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            let start = text.find("data: ")?;
            let end = start + text[start..].find("\n\n")?;
            let message = text[start + 6..end].to_owned();
            self.read.drain(..end + 2);
            return Some(message);
        }
        let (opcode, short) = (*self.read.first()? & 0x0f, usize::from(*self.read.get(1)? & 0x7f));
        let (head, length) = match short {
            126 => (4, usize::from(u16::from_be_bytes(self.read.get(2..4)?.try_into().unwrap()))),
            127 => (10, usize::try_from(u64::from_be_bytes(self.read.get(2..10)?.try_into().unwrap())).unwrap()),
            length => (2, length),
        };
        if self.read.len() < head + length {
            return None;
        }
        let frame = self.read.drain(..head + length).skip(head).collect::<Vec<_>>();
        if opcode == 1 { Some(String::from_utf8(frame).unwrap()) } else { self.whole() }
    }

    async fn next(&mut self) -> Option<Value> {
        Some(serde_json::from_str(&self.next_text().await?).unwrap())
    }

    async fn next_text(&mut self) -> Option<String> {
        loop {
            if let Some(message) = self.whole() {
                return Some(message);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next message, as it came.
    pub async fn text(&mut self) -> String {
        self.next_text().await.expect("the stream ended")
    }

    pub async fn message(&mut self) -> Value {
        self.next().await.expect("the stream ended")
    }
}

fn bridge(a: Uuid, b: Uuid) -> Value {
    json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b })
}

/// A call from outside to the agent's phone, from its beginning to its end.
pub fn call(fleet: &Fleet, a: Uuid, b: Uuid) -> Vec<Value> {
    call_to(&fleet.stage.domain, &fleet.stage.phone, a, b)
}

/// The same to any phone.
pub fn call_to(domain: &str, phone: &str, a: Uuid, b: Uuid) -> Vec<Value> {
    let caller = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test", "Caller-Caller-ID-Number": "+493012345678",
        "Caller-Destination-Number": "+12025550123", "Caller-Context": "public",
    });
    let called = json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"), "Other-Leg-Unique-ID": a,
        "variable_dialplane_taken_by": format!("{phone}@{domain}"),
    });
    let ends = json!({ "Hangup-Cause": "NORMAL_CLEARING" });
    vec![
        leg("CHANNEL_CREATE", a, a, &caller),
        leg("CHANNEL_CREATE", b, a, &called),
        leg("CHANNEL_ANSWER", b, a, &json!({})),
        leg("CHANNEL_ANSWER", a, a, &json!({})),
        leg("CHANNEL_BRIDGE", a, a, &bridge(a, b)),
        leg("CHANNEL_HANGUP_COMPLETE", b, b, &ends),
        leg("CHANNEL_HANGUP_COMPLETE", a, a, &ends),
    ]
}

#[actix_web::test]
async fn every_event_of_a_call_comes_in_its_order_and_a_client_that_comes_back_misses_none() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let node = &fleet.stage.node;
    let query = format!("tenant_id={}&topics=call:incoming,call:state:changed,call:ended", fleet.stage.tenant);
    let mut socket = Listener::open(node, &node.key, &query, true).await.unwrap();
    let mut sent = Listener::open(node, &node.key, &query, false).await.unwrap();
    for listener in [&mut socket, &mut sent] {
        let first = listener.message().await;
        assert_eq!((&first["type"], &first["reason"]), (&json!("snapshot"), &json!("start")), "{first}");
        assert_eq!(first["data"]["calls"], json!([]));
        assert!(first["data"].get("gateways").is_none(), "only what it listens to");
    }
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    for event in call(&fleet, a, b) {
        fires(&fleet.socket, event, now());
    }
    let mut heard = Vec::new();
    let mut after_the_second = Value::Null;
    while heard.last().is_none_or(|(topic, _)| topic != "call:ended") {
        let message = socket.message().await;
        heard.push((
            message["topic"].as_str().unwrap().to_owned(),
            message["data"]["state"].as_str().unwrap().to_owned(),
        ));
        assert_eq!(message["data"]["id"], json!(a), "{message}");
        if heard.len() == 2 {
            after_the_second = message["cursor"].clone();
        }
        if message["topic"] == "call:incoming" {
            assert_eq!(message["data"]["extension"], "2000", "{message}");
        }
        if message["topic"] == "call:ended" {
            assert_eq!(message["data"]["cause"], "NORMAL_CLEARING", "{message}");
        }
    }
    let topics = heard.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>();
    assert_eq!(topics.first(), Some(&"call:incoming"), "{heard:?}");
    assert_eq!(topics.iter().filter(|topic| **topic == "call:ended").count(), 1, "{heard:?}");
    let states = heard.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>();
    let talks = states.iter().position(|state| *state == "talking").unwrap();
    assert!(states[..talks].contains(&"ringing"), "{heard:?}");
    // Server-sent events say the same.
    for (topic, state) in &heard {
        let message = sent.message().await;
        assert_eq!(
            (message["topic"].as_str(), message["data"]["state"].as_str()),
            (Some(topic.as_str()), Some(state.as_str()))
        );
    }
    // After a broken connection, it goes on where it was.
    drop(socket);
    let again = format!("{query}&cursor={}", after_the_second.as_str().unwrap());
    let mut socket = Listener::open(node, &node.key, &again, true).await.unwrap();
    assert_eq!(socket.message().await["type"], "resumed");
    for (topic, _) in &heard[2..] {
        assert_eq!(socket.message().await["topic"], json!(topic));
    }
    // A browser that connects again by itself keeps the address, and says in the header which event it had last.
    let last = heard.len() - 1;
    let mut ids = Vec::new();
    let mut before = Listener::open(node, &node.key, &again, false).await.unwrap();
    assert_eq!(before.message().await["type"], "resumed");
    for _ in &heard[2..] {
        ids.push(before.message().await["cursor"].as_str().unwrap().to_owned());
    }
    let header = format!("Last-Event-ID: {}\r\n", ids[last - 3]);
    let mut sent = Listener::open_with(node, &node.key, &again, false, &header).await.unwrap();
    assert_eq!(sent.message().await["type"], "resumed");
    let first = sent.message().await;
    assert_eq!((&first["topic"], &first["cursor"]), (&json!(heard[last].0), &json!(ids[last - 2])), "{first}");
    // A cursor of another node, or of long ago.
    for cursor in ["000000000000-1", "x", "-", "0"] {
        let mut other = Listener::open(node, &node.key, &format!("{query}&cursor={cursor}"), true).await.unwrap();
        let first = other.message().await;
        assert_eq!((&first["type"], &first["reason"]), (&json!("snapshot"), &json!("unknown_cursor")), "{cursor}");
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_call_that_is_up_before_anybody_listens_is_over_for_its_tenant_when_the_leg_of_its_phone_ends() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let mut events = call(&fleet, a, b);
    let ends = events.split_off(5);
    for event in events {
        fires(&fleet.socket, event, now());
    }
    let since = Instant::now();
    let path = format!("/v1/live/calls?tenant_id={tenant}");
    while node.api("GET", &path, Value::Null).await.json()["items"][0]["state"] != "talking" {
        assert!(since.elapsed() < Duration::from_mins(1), "nobody talks");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let query = format!("tenant_id={tenant}&topics=call:state:changed,call:ended");
    let mut own = Listener::open(node, &node.key, &query, true).await.unwrap();
    let mut all = Listener::open(node, &node.key, "topics=call:state:changed,call:ended", true).await.unwrap();
    for listener in [&mut own, &mut all] {
        let first = listener.message().await;
        assert_eq!(first["data"]["calls"][0]["id"], json!(a), "{first}");
    }
    // The first that anybody hears of the call. The caller's leg is nobody's: the call was the tenant's by its phone alone.
    fires(&fleet.socket, ends[0].clone(), now());
    for listener in [&mut own, &mut all] {
        let message = listener.message().await;
        assert_eq!(
            (&message["topic"], &message["data"]["id"], &message["data"]["tenant_id"]),
            (&json!("call:ended"), &json!(a), &json!(tenant)),
            "{message}"
        );
        assert_eq!(message["data"]["cause"], "NORMAL_CLEARING", "{message}");
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn the_platform_hears_on_which_switch_a_phone_registered_and_its_tenant_does_not() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let node = &fleet.stage.node;
    let mut platform = Listener::open(node, &node.key, "topics=registration:changed", true).await.unwrap();
    let of_tenant = format!("tenant_id={}&topics=registration:changed", fleet.stage.tenant);
    let key = json!({ "name": "desk", "tenant_id": fleet.stage.tenant, "scopes": ["live:read"] });
    let key = node.api("POST", "/v1/keys", key).await.json();
    let mut tenant = Listener::open(node, key["token"].as_str().unwrap(), &of_tenant, true).await.unwrap();
    for listener in [&mut platform, &mut tenant] {
        assert_eq!(listener.message().await["type"], "snapshot");
    }
    fires(&fleet.socket, registers(&fleet.stage.domain, &fleet.stage.phone, "one"), now());
    let (all, own) = (platform.message().await, tenant.message().await);
    let phone = &all["data"]["phones"][0];
    assert_eq!(phone["call_id"], "one", "{all}");
    assert_eq!(phone["switch"], json!(node.switch.0), "{all}");
    assert!(phone["switch_id"].is_string(), "{all}");
    assert_eq!(own["data"]["phones"][0]["call_id"], "one", "{own}");
    assert!(!own.to_string().contains("\"switch"), "{own}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_tenant_hears_of_its_own_and_a_stream_ends_within_a_second_after_its_key() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let node = &fleet.stage.node;
    let other = node.tenant("other.test").await;
    let key = async |tenant: Uuid| {
        let new = json!({ "name": "listens", "tenant_id": tenant, "scopes": ["live:read"] });
        let made = node.api("POST", "/v1/keys", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        (made.id(), made.json()["token"].as_str().unwrap().to_owned())
    };
    let ((id, own), (_, others)) = (key(fleet.stage.tenant).await, key(other).await);
    let mut listener = Listener::open(node, &own, "", true).await.unwrap();
    let mut stranger = Listener::open(node, &others, "", true).await.unwrap();
    for listener in [&mut listener, &mut stranger] {
        assert_eq!(listener.message().await["type"], "snapshot");
    }
    let foreign = format!("tenant_id={}", fleet.stage.tenant);
    assert_eq!(Listener::open(node, &others, &foreign, true).await.err(), Some(404));
    assert_eq!(Listener::open(node, "dpk_wrong", "", true).await.err(), Some(401));
    assert_eq!(Listener::open(node, &own, "topics=call:nothing", true).await.err(), Some(400));
    assert_eq!(node.api("GET", "/v1/events", Value::Null).await.json()["code"], "how_to_listen");

    fires(&fleet.socket, registers(&fleet.stage.domain, &fleet.stage.phone, "one"), now());
    let mut topics = [listener.message().await, listener.message().await].map(|message| {
        assert!(!message.to_string().contains("switch_id"), "only the platform sees switches: {message}");
        message["topic"].as_str().unwrap().to_owned()
    });
    topics.sort();
    assert_eq!(topics, ["presence:update", "registration:changed"]);
    fires(&fleet.socket, registers("other.test", "1000", "two"), now());
    // The other's first event is its own.
    let message = stranger.message().await;
    assert_eq!(message["data"]["tenant_id"], json!(other), "{message}");

    let gone = node.api("DELETE", &format!("/v1/keys/{id}"), Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let since = Instant::now();
    let last = listener.message().await;
    assert_eq!((&last["type"], &last["reason"]), (&json!("ended"), &json!("access_ended")), "{last}");
    assert!(listener.next().await.is_none());
    println!("ended after {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_stream_says_how_many_more_its_key_may_have() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let query = format!("tenant_id={}", fleet.stage.tenant);
    let left = |listener: &Listener| {
        let head = listener.head.to_ascii_lowercase();
        assert!(head.contains("\r\nratelimit-policy: \"streams\";q=1200\r\n"), "{head}");
        let left = head.split("\r\nratelimit: \"streams\";r=").nth(1).unwrap_or_else(|| panic!("{head}"));
        left.split("\r\n").next().unwrap().parse::<i64>().unwrap()
    };
    let mut open = Vec::new();
    for n in 1..=4 {
        let listener = Listener::open(node, &node.key, &query, n % 2 == 0).await.unwrap();
        assert_eq!(left(&listener), 1200 - n, "each kind of stream counts");
        open.push(listener);
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_switch_that_breaks_off_or_comes_back_is_told_by_a_snapshot() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let node = &fleet.stage.node;
    let query = format!("tenant_id={}&topics=registration:changed", fleet.stage.tenant);
    let mut listener = Listener::open(node, &node.key, &query, true).await.unwrap();
    assert_eq!(listener.message().await["type"], "snapshot");
    fleet.socket.has().hangs_up = true;
    fires(&fleet.socket, json!({ "Event-Name": "SHUTDOWN" }), now());
    let lost = loop {
        let message = listener.message().await;
        if message["type"] == "snapshot" {
            break message;
        }
    };
    assert_eq!((&lost["reason"], &lost["data"]["registrations"]), (&json!("switch"), &json!([])), "{lost}");
    assert!(lost["data"]["unknown"][0]["since"].is_string(), "{lost}");
    fleet.socket.has().hangs_up = false;
    let back = listener.message().await;
    assert_eq!((&back["reason"], &back["data"]["unknown"]), (&json!("switch"), &json!([])), "{back}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_client_hears_what_happens_while_postgres_is_away() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&cluster).await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "1000", "display_name": "Ada" })).await;
    let phone = extension["sip_username"].as_str().unwrap();
    let socket = EventSocket::open().await;
    let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
    let path = format!("/v1/switches/{}/event-socket", switches["items"][0]["id"].as_str().unwrap());
    let put = node.api("PUT", &path, json!({ "address": socket.address, "password": PASSWORD })).await;
    assert_eq!(put.status, 200, "{}", put.text());
    known_at(&socket, &node).await;
    let query = format!("tenant_id={tenant}&topics=registration:changed");
    let mut listener = Listener::open(&node, &node.key, &query, true).await.unwrap();
    assert_eq!(listener.message().await["type"], "snapshot");
    fires(&socket, registers("acme.test", phone, "before"), now());
    let named = listener.message().await;
    assert_eq!(named["data"]["extension"], "1000", "{named}");
    cluster.kill();
    for call_id in ["after", "later"] {
        let since = Instant::now();
        fires(&socket, registers("acme.test", phone, call_id), now());
        let message = listener.message().await;
        println!("heard after {:?}", since.elapsed());
        assert_eq!(message["data"]["extension"], "1000", "{message}");
        assert!(message["data"]["phones"].to_string().contains(call_id), "{message}");
    }
    drop(listener);
    node.stop().await;
}

#[actix_web::test]
async fn whoever_came_a_short_time_ago_looks_at_what_goes_on_and_listens_anew_while_postgres_is_away() {
    const LIST: &str = "/v1/live/registrations";
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&cluster).await;
    let node = Node::start(&database).await;
    let (tenant, other) = (node.tenant("acme.test").await, node.tenant("other.test").await);
    let extension = node.extension(tenant, json!({ "number": "1000", "display_name": "Ada" })).await;
    let phone = extension["sip_username"].as_str().unwrap();
    let socket = EventSocket::open().await;
    let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
    let path = format!("/v1/switches/{}/event-socket", switches["items"][0]["id"].as_str().unwrap());
    let put = node.api("PUT", &path, json!({ "address": socket.address, "password": PASSWORD })).await;
    assert_eq!(put.status, 200, "{}", put.text());
    known_at(&socket, &node).await;
    fires(&socket, registers("acme.test", phone, "before"), now());
    let made = async |name: &str| {
        let new = json!({ "name": name, "tenant_id": tenant, "scopes": ["live:read"] });
        let made = node.api("POST", "/v1/keys", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        (made.id(), made.json()["token"].as_str().unwrap().to_owned())
    };
    let ((_, stays), (revoked, gone), (_, never_shown)) = (made("stays").await, made("gone").await, made("new").await);
    let manager = person(&node, Some(tenant), Role::Manager, "manager@acme.test").await;
    let ended = person(&node, Some(tenant), Role::Manager, "ended@acme.test").await;
    let with_key = async |key: &str, path: &str| node.api_with("GET", path, &[("X-API-Key", key)], Value::Null).await;
    let since = Instant::now();
    while with_key(&stays, LIST).await.json()["items"][0]["extension"] != "1000" {
        assert!(since.elapsed() < Duration::from_mins(1), "the phone is not there");
    }
    assert_eq!(with_key(&gone, LIST).await.status, 200);
    for person in [&manager, &ended] {
        assert_eq!(person.ask(&node, "GET", LIST, Value::Null).await.status, 200);
    }
    let remembered = &node.app.auth.remembered;
    let all = remembered.all().len();
    // Both are revoked behind this node's back, as another node does it.
    let mut db = database.connect().await;
    sqlx::query("delete from api_keys where id = $1").bind(revoked).execute(&mut db).await.unwrap();
    sqlx::query("update users set status = 'suspended' where id = $1").bind(ended.id).execute(&mut db).await.unwrap();
    drop(db);
    let since = Instant::now();
    while remembered.all().len() > all - 2 {
        assert!(since.elapsed() < Duration::from_secs(20), "what was revoked is remembered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("revoked credentials are forgotten after {:?}", since.elapsed());
    cluster.kill();

    let since = Instant::now();
    for list in ["registrations", "calls", "queues", "agents", "conferences", "parked", "gateways"] {
        let answer = with_key(&stays, &format!("/v1/live/{list}")).await;
        assert_eq!(answer.status, 200, "{list}: {}", answer.text());
    }
    println!("seven lists in {:?}", since.elapsed());
    let shown = with_key(&stays, LIST).await.json();
    assert_eq!(shown["items"][0]["extension"], "1000", "{shown}");
    let by_session = manager.ask(&node, "GET", LIST, Value::Null).await;
    assert_eq!(by_session.status, 200, "{}", by_session.text());
    // The platform's key names a tenant; none is found that is none.
    let named = |tenant: Uuid| format!("{LIST}?tenant_id={tenant}");
    let by_platform = node.api("GET", &named(tenant), Value::Null).await.json();
    assert_eq!(by_platform["items"][0]["call_id"], shown["items"][0]["call_id"], "{by_platform}");
    assert_eq!(node.api("GET", &named(Uuid::new_v4()), Value::Null).await.status, 404);
    assert_eq!(with_key(&stays, &named(other)).await.status, 404, "another tenant is as ever");
    // A new stream, which goes on.
    let mut listener = Listener::open(&node, &stays, "topics=registration:changed", true).await.unwrap();
    let first = listener.message().await;
    assert_eq!(first["data"]["registrations"][0]["extension"], "1000", "{first}");
    fires(&socket, registers("acme.test", phone, "after"), now());
    let message = listener.message().await;
    assert!(message["data"]["phones"].to_string().contains("after"), "{message}");
    // Whoever was not there, or not any more, can't be checked; and nothing else is opened by this.
    for key in [&gone, &never_shown] {
        assert_eq!(with_key(key, LIST).await.status, 503);
        assert_eq!(Listener::open(&node, key, "", true).await.err(), Some(503));
    }
    assert_eq!(ended.ask(&node, "GET", LIST, Value::Null).await.status, 503);
    for path in ["/v1/switches", "/v1/tenants"] {
        assert_eq!(node.api("GET", path, Value::Null).await.status, 503, "{path}");
    }
    let path = format!("/v1/live/calls/{}/actions", Uuid::new_v4());
    let acts = node.api("POST", &path, json!({ "action": "hangup" })).await;
    assert_eq!(acts.status, 503, "{}", acts.text());
    drop(listener);
    node.stop().await;
}

/// The topics of what is kept for webhooks about a call.
async fn kept(database: &Database, call: Uuid) -> Vec<String> {
    let mut db = database.connect().await;
    let of_call = "select topic from webhook_events where (body::jsonb)->'data'->>'id' = $1 order by created_at, topic";
    sqlx::query_scalar(of_call).bind(call.to_string()).fetch_all(&mut db).await.unwrap()
}

#[actix_web::test]
async fn webhooks_are_told_of_a_call_once_although_two_nodes_hear_it() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let database = &fleet.stage.database;
    let hook = json!({ "url": "https://hooks.invalid/", "tenant_id": fleet.stage.tenant, "topics": ["call:incoming", "call:ended"] });
    let made = fleet.stage.node.api("POST", "/v1/webhooks", hook).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let second = Node::start(database).await;
    let plays = async || {
        let a = Uuid::new_v4();
        for event in call(&fleet, a, Uuid::new_v4()) {
            fires(&fleet.socket, event, now());
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            let topics = kept(database, a).await;
            if topics.len() > 1 {
                return Some(topics);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    };
    // Nodes look from time to time whether anybody wants to be told.
    let began = Instant::now();
    while plays().await.is_none() {
        assert!(began.elapsed() < Duration::from_mins(1), "nothing is told");
    }
    for _ in 0..5 {
        assert_eq!(plays().await.unwrap(), ["call:ended", "call:incoming"]);
    }
    let twice = "select count(*) from (select 1 from webhook_events group by (body::jsonb)->'data'->>'id', topic having count(*) > 1) t";
    assert_eq!(database.count(twice).await, 0);
    second.stop().await;
    fleet.stage.stop().await;
}
