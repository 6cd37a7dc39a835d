//! Acting on calls of a real switch: phones hear the result of each request to the API, and a WebSocket gets the events.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Answer, Database, Node},
    phone::{Call, PATIENCE, Phone},
    switch::Switch,
};

/// A tenant with four phones, the first of which is an agent's, at a switch that the node listens to.
pub struct Desk {
    pub node: Arc<Node>,
    pub switch: Arc<Switch>,
    pub tenant: Uuid,
    pub phones: Vec<Phone>,
    pub extensions: Vec<Value>,
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

impl Desk {
    pub async fn open() -> Option<Self> {
        let binary = freeswitch()?;
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("desk.test").await;
        let mut extensions = Vec::new();
        for n in 0..4 {
            let new = json!({ "number": format!("100{n}"), "display_name": format!("Phone {n}"), "ring_seconds": 20, "voicemail_enabled": false });
            extensions.push(node.extension(tenant, new).await);
        }
        let (switch, node) = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &node), node)).await.unwrap();
        let id = node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
        let (address, password) = switch.event_socket();
        let path = format!("/v1/switches/{}/event-socket", text(&id));
        let socket = json!({ "address": address, "password": password });
        assert_eq!(node.api("PUT", &path, socket).await.status, 200);
        let phones = extensions.iter().map(|extension| {
            let (user, password) = (text(&extension["sip_username"]), text(&extension["sip_password"]));
            Phone::new(switch.internal, user, "desk.test", password)
        });
        let phones = phones.collect::<Vec<_>>();
        let desk = Self { node: Arc::new(node), switch: Arc::new(switch), tenant, phones, extensions };
        // A node that begins to listen reads a list that lags behind, so a phone that registers meanwhile is known only by its next REGISTER.
        // That one comes much later: a switch that gets two within milliseconds may lose both, as it removes older ones by a queue
        // (`sofia_reg_handle_register_token` in sofia_reg.c).
        let (since, mut again) = (Instant::now(), Duration::ZERO);
        while desk.get("/v1/live/registrations").await["items"].as_array().unwrap().len() < 4 {
            assert!(since.elapsed() < PATIENCE, "not all phones are known\n{}", desk.switch.log());
            if since.elapsed() >= again {
                again = since.elapsed() + Duration::from_secs(3);
                for phone in &desk.phones {
                    phone.registers().await;
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Some(desk)
    }

    pub fn id(&self, which: usize) -> &str {
        text(&self.extensions[which]["id"])
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.node.api("GET", &format!("{path}?tenant_id={}", self.tenant), Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub async fn until(&self, path: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let shown = self.get(path).await;
            if holds(&shown) {
                return shown;
            }
            assert!(since.elapsed() < PATIENCE, "{what}: {shown}\n{}", self.switch.log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub async fn asks(&self, path: &str, body: Value) -> Answer {
        self.node.api("POST", &format!("{path}?tenant_id={}", self.tenant), body).await
    }

    /// Does something to a call, which must be possible.
    pub async fn does(&self, call: &str, body: Value) -> Value {
        let asked = body.to_string();
        let answer = self.asks(&format!("/v1/live/calls/{call}/actions"), body).await;
        assert_eq!(answer.status, 200, "{asked}: {}\n{}", answer.text(), self.switch.log());
        answer.json()
    }

    /// Why something can't be done to a call.
    pub async fn refused(&self, call: &str, body: Value) -> (u16, String) {
        let answer = self.asks(&format!("/v1/live/calls/{call}/actions"), body).await;
        (answer.status, text(&answer.json()["code"]).to_owned())
    }

    /// Has the first phone call a number by a click, and answers it there. Returns the job, and the first phone's call.
    pub async fn clicks(&self, to: &str, more: Value) -> (String, Call) {
        let mut new = json!({ "extension_id": self.id(0), "to": to });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.asks("/v1/calls", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let job = text(&made.json()["id"]).to_owned();
        let rings = self.phones[0].rings().await;
        (job, rings.answers().await)
    }

    pub async fn is_in_state(&self, job: &str, state: &str) -> Value {
        self.until(&format!("/v1/call-jobs/{job}"), state, |job| job["state"] == state).await
    }

    /// A call by a click from the first phone to the second, in which both talk.
    pub async fn talk(&self) -> (String, Call, Call) {
        let (job, first) = self.clicks("1001", json!({})).await;
        let second = self.phones[1].rings().await.answers().await;
        self.hear_each_other((&first, 0), (&second, 1)).await;
        self.is_in_state(&job, "answered").await;
        (job, first, second)
    }

    pub async fn hear_each_other(&self, one: (&Call, usize), other: (&Call, usize)) {
        one.0.hears_only(&[&self.phones[other.1]]).await;
        other.0.hears_only(&[&self.phones[one.1]]).await;
    }

    /// The leg of a phone in a call.
    pub async fn leg(&self, call: &str, which: usize) -> String {
        let number = format!("100{which}");
        let of = |shown: &Value| {
            let calls = shown["items"].as_array().unwrap();
            let call = calls.iter().find(|one| one["id"] == call)?;
            let leg = call["legs"].as_array().unwrap().iter().find(|leg| leg["extension"] == number.as_str())?;
            Some(text(&leg["id"]).to_owned())
        };
        let shown = self.until("/v1/live/calls", "the leg is there", |shown| of(shown).is_some()).await;
        of(&shown).unwrap()
    }

    pub async fn closes(self) {
        let Self { node, switch, .. } = self;
        drop(switch);
        Arc::into_inner(node).unwrap().stop().await;
    }
}

/// A client's WebSocket.
pub struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Socket {
    pub async fn open(desk: &Desk) -> Self {
        let mut stream = TcpStream::connect(desk.node.app.app_address).await.unwrap();
        let topics = "call:incoming,call:state:changed,call:ended";
        let (tenant, key) = (desk.tenant, &desk.node.key);
        let request = format!(
            "GET /v1/events?tenant_id={tenant}&topics={topics} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut socket = Self { stream, read: Vec::new() };
        loop {
            if let Some(end) = socket.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = socket.read.drain(..end + 4).collect::<Vec<_>>();
                assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
                break;
            }
            socket.more().await;
        }
        let first = socket.next().await;
        assert_eq!(first["type"], "snapshot", "{first}");
        socket
    }

    async fn more(&mut self) {
        let mut part = vec![0; 65_536];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut part)).await.expect("nothing comes").unwrap();
        assert!(read > 0, "the stream ended");
        self.read.extend_from_slice(&part[..read]);
    }

    pub async fn next(&mut self) -> Value {
        loop {
            let short = self.read.get(1).map(|byte| usize::from(byte & 0x7f));
            let (head, length) = match short {
                Some(126) if self.read.len() >= 4 => {
                    (4, usize::from(u16::from_be_bytes(self.read[2..4].try_into().unwrap())))
                }
                Some(length) if length < 126 => (2, length),
                _ => (2, usize::MAX / 2),
            };
            if self.read.len() < head + length {
                self.more().await;
                continue;
            }
            let is_text = self.read[0] & 0x0f == 1;
            let frame = self.read.drain(..head + length).skip(head).collect::<Vec<_>>();
            if is_text {
                return serde_json::from_slice(&frame).unwrap();
            }
        }
    }

    /// The states of a call from now to its end, each once.
    async fn states(&mut self, call: &str) -> Vec<String> {
        let mut states = Vec::<String>::new();
        loop {
            let event = self.next().await;
            if event["data"]["id"] != call {
                continue;
            }
            let is_over = event["topic"] == "call:ended";
            let state = if is_over { "ended" } else { text(&event["data"]["state"]) };
            if states.last().is_none_or(|last| last != state) {
                states.push(state.to_owned());
            }
            if is_over {
                return states;
            }
        }
    }
}

#[actix_web::test]
async fn a_click_calls_the_agents_phone_first_and_then_the_number_through_the_dialplan() {
    let Some(desk) = Desk::open().await else { return };
    let mut socket = Socket::open(&desk).await;
    let made = desk.asks("/v1/calls", json!({ "extension_id": desk.id(0), "to": "1001" })).await;
    assert_eq!((made.status, &made.json()["state"]), (201, &json!("queued")), "{}", made.text());
    let job = text(&made.json()["id"]).to_owned();
    let rings = desk.phones[0].rings().await;
    assert_eq!(rings.invite().from().number, "1001", "the agent sees whom the click calls");
    desk.is_in_state(&job, "ringing_agent").await;
    let first = rings.answers().await;
    let rings = desk.phones[1].rings().await;
    // Not the switch's own name of the leg, with a percent sign in it.
    assert_eq!(rings.invite().from().to_string(), "Phone 0 <1000>");
    desk.is_in_state(&job, "ringing").await;
    let second = rings.answers().await;
    desk.hear_each_other((&first, 0), (&second, 1)).await;
    let answered = desk.is_in_state(&job, "answered").await;
    assert!(answered["answered_at"].is_string() && answered["cause"].is_null(), "{answered}");
    let shown = desk.get("/v1/live/calls").await;
    let call = &shown["items"][0];
    assert_eq!(
        (&call["id"], &call["dialled"], &call["direction"]),
        (&json!(job), &json!("1001"), &json!("internal")),
        "{shown}"
    );
    assert_eq!((&call["legs"][0]["extension"], &call["legs"][0]["caller"]), (&json!("1000"), &json!(true)), "{shown}");

    // One phone's hold is the other's music.
    let held = desk.does(&job, json!({ "action": "hold" })).await;
    assert_eq!(held["call"]["state"], "held", "{held}");
    second.does_not_hear(&desk.phones[0]).await;
    assert_eq!(desk.does(&job, json!({ "action": "hold" })).await["call"]["state"], "held", "it is so already");
    desk.does(&job, json!({ "action": "resume" })).await;
    desk.hear_each_other((&first, 0), (&second, 1)).await;

    let muted = desk.does(&job, json!({ "action": "mute" })).await;
    assert_eq!(muted["call"]["legs"][0]["muted"], true, "{muted}");
    second.does_not_hear(&desk.phones[0]).await;
    first.hears(&desk.phones[1]).await;
    desk.does(&job, json!({ "action": "unmute" })).await;
    desk.hear_each_other((&first, 0), (&second, 1)).await;

    desk.does(&job, json!({ "action": "dtmf", "digits": "42#" })).await;
    second.is_pressed("42#").await;

    // The company does not use recordings, and then it does.
    assert_eq!(desk.refused(&job, json!({ "action": "record" })).await, (409, "feature_off".into()));
    let path = format!("/v1/tenants/{}/settings", desk.tenant);
    let uses = desk.node.api("PATCH", &path, json!({ "features": { "call_recording": true } })).await;
    assert_eq!(uses.status, 200, "{}", uses.text());
    let recorded = desk.does(&job, json!({ "action": "record" })).await;
    assert_eq!(recorded["call"]["legs"][0]["recording"], true, "{recorded}");
    assert_eq!(desk.refused(&job, json!({ "action": "record" })).await, (409, "is_recorded".into()));
    desk.does(&job, json!({ "action": "pause_recording" })).await;
    desk.does(&job, json!({ "action": "resume_recording" })).await;
    let stopped = desk.does(&job, json!({ "action": "stop_recording" })).await;
    assert_eq!(stopped["call"]["legs"][0]["recording"], false, "{stopped}");
    assert_eq!(desk.refused(&job, json!({ "action": "stop_recording" })).await, (409, "not_recorded".into()));

    let over = desk.does(&job, json!({ "action": "hangup" })).await;
    assert_eq!(over["call"], Value::Null, "{over}");
    first.ended().await;
    second.ended().await;
    let ended = desk.is_in_state(&job, "ended").await;
    assert_eq!(ended["cause"], "NORMAL_CLEARING", "{ended}");
    assert_eq!(desk.refused(&job, json!({ "action": "hold" })).await, (404, "call_gone".into()));
    // A phone that has answered is connected with nobody for a moment, before the other rings and after it has left.
    let mut states = socket.states(&job).await;
    states.retain(|state| state != "connected");
    states.dedup();
    assert_eq!(states, ["ringing", "talking", "held", "talking", "ended"].map(String::from));
    desk.closes().await;
}

#[actix_web::test]
async fn a_job_ends_with_the_reason_when_nobody_takes_the_call() {
    let Some(desk) = Desk::open().await else { return };
    let made = desk.asks("/v1/calls", json!({ "extension_id": desk.id(0), "to": "1001" })).await;
    let job = text(&made.json()["id"]).to_owned();
    desk.phones[0].rings().await.declines(486).await;
    assert_eq!(desk.is_in_state(&job, "ended").await["cause"], "USER_BUSY");
    // It can be given up while the phone rings.
    let made = desk.asks("/v1/calls", json!({ "extension_id": desk.id(0), "to": "1001" })).await;
    let job = text(&made.json()["id"]).to_owned();
    let rings = desk.phones[0].rings().await;
    desk.is_in_state(&job, "ringing_agent").await;
    desk.does(&job, json!({ "action": "hangup" })).await;
    rings.ended().await;
    desk.is_in_state(&job, "ended").await;
    desk.closes().await;
}

#[actix_web::test]
async fn calls_are_transferred_blind_and_by_asking_first() {
    let Some(desk) = Desk::open().await else { return };
    // Blind: the second phone goes to the third, and the first leaves.
    let (job, first, second) = desk.talk().await;
    desk.does(&job, json!({ "action": "transfer", "to": "1002" })).await;
    let third = desk.phones[2].rings().await.answers().await;
    desk.hear_each_other((&second, 1), (&third, 2)).await;
    first.ended().await;
    second.hangs_up().await;
    third.ended().await;

    // A consultation, after which both are connected.
    let (job, first, second) = desk.talk().await;
    assert_eq!(desk.refused(&job, json!({ "action": "complete" })).await, (409, "nobody_aside".into()));
    desk.does(&job, json!({ "action": "consult", "to": "1002" })).await;
    let rings = desk.phones[2].rings().await;
    assert_eq!(rings.invite().from().number, "1000", "on behalf of whoever asks");
    assert_eq!(desk.refused(&job, json!({ "action": "complete" })).await.0, 409, "nobody has answered");
    let third = rings.answers().await;
    desk.hear_each_other((&first, 0), (&third, 2)).await;
    second.does_not_hear(&desk.phones[0]).await;
    desk.does(&job, json!({ "action": "complete" })).await;
    desk.hear_each_other((&second, 1), (&third, 2)).await;
    first.ended().await;
    second.hangs_up().await;
    third.ended().await;

    // A consultation that is cancelled.
    let (job, first, second) = desk.talk().await;
    desk.does(&job, json!({ "action": "consult", "to": "1002" })).await;
    let third = desk.phones[2].rings().await.answers().await;
    desk.hear_each_other((&first, 0), (&third, 2)).await;
    desk.does(&job, json!({ "action": "cancel" })).await;
    desk.hear_each_other((&first, 0), (&second, 1)).await;
    third.ended().await;

    // Another consultation: the consulted party hangs up, and the caller is back.
    desk.does(&job, json!({ "action": "consult", "to": "1002" })).await;
    let third = desk.phones[2].rings().await.answers().await;
    desk.hear_each_other((&first, 0), (&third, 2)).await;
    third.hangs_up().await;
    desk.hear_each_other((&first, 0), (&second, 1)).await;

    // A third consultation becomes a conference of three.
    desk.does(&job, json!({ "action": "consult", "to": "1002" })).await;
    let third = desk.phones[2].rings().await.answers().await;
    desk.hear_each_other((&first, 0), (&third, 2)).await;
    desk.does(&job, json!({ "action": "conference" })).await;
    for (call, own) in [(&first, 0), (&second, 1), (&third, 2)] {
        for other in (0..3).filter(|other| *other != own) {
            call.hears(&desk.phones[other]).await;
        }
    }
    first.hangs_up().await;
    second.ended().await;
    third.ended().await;
    desk.closes().await;
}

#[actix_web::test]
async fn whoever_waits_comes_back_when_the_phone_that_asked_hangs_up() {
    let Some(desk) = Desk::open().await else { return };
    let (job, first, second) = desk.talk().await;
    desk.does(&job, json!({ "action": "consult", "to": "1002" })).await;
    let rings = desk.phones[2].rings().await;
    // The consulted party does not take the call: the switch ends the leg of the phone that called.
    rings.declines(486).await;
    first.ended().await;
    let again = desk.phones[0].rings().await.answers().await;
    desk.hear_each_other((&again, 0), (&second, 1)).await;
    desk.closes().await;
}

#[actix_web::test]
async fn a_call_is_parked_and_picked_up_at_another_phone() {
    let Some(desk) = Desk::open().await else { return };
    let (job, first, second) = desk.talk().await;
    let parked = desk.does(&job, json!({ "action": "park" })).await;
    let slot = text(&parked["slot"]).to_owned();
    first.ended().await;
    assert_eq!(desk.get("/v1/live/parked").await["items"][0]["slot"], slot.as_str());
    let call = text(&desk.get("/v1/live/parked").await["items"][0]["call_id"]).to_owned();
    let picks = desk.does(&call, json!({ "action": "pick_up", "extension_id": desk.id(3) })).await;
    assert_eq!(picks["slot"], slot.as_str(), "{picks}");
    let fourth = desk.phones[3].rings().await.answers().await;
    desk.hear_each_other((&second, 1), (&fourth, 3)).await;
    let gone = desk.refused(&call, json!({ "action": "pick_up", "extension_id": desk.id(3) })).await;
    assert_eq!(gone, (409, "not_parked".into()));
    desk.closes().await;
}

#[actix_web::test]
async fn a_supervisor_hears_both_and_is_heard_by_whom_the_mode_says() {
    let Some(desk) = Desk::open().await else { return };
    let (job, agent, customer) = desk.talk().await;
    let leg = desk.leg(&job, 0).await;
    for mode in ["listen", "whisper", "barge"] {
        let new = json!({ "mode": mode, "leg_id": leg, "extension_id": desk.id(3) });
        let made = desk.asks(&format!("/v1/live/calls/{job}/supervise"), new).await;
        assert_eq!((made.status, &made.json()["kind"]), (201, &json!(mode)), "{}", made.text());
        let part = text(&made.json()["id"]).to_owned();
        let supervisor = desk.phones[3].rings().await.answers().await;
        desk.is_in_state(&part, "answered").await;
        supervisor.hears(&desk.phones[0]).await;
        supervisor.hears(&desk.phones[1]).await;
        match mode {
            "listen" => {
                agent.does_not_hear(&desk.phones[3]).await;
                customer.does_not_hear(&desk.phones[3]).await;
            }
            "whisper" => {
                agent.hears(&desk.phones[3]).await;
                customer.does_not_hear(&desk.phones[3]).await;
            }
            _ => {
                agent.hears(&desk.phones[3]).await;
                customer.hears(&desk.phones[3]).await;
            }
        }
        desk.does(&part, json!({ "action": "hangup" })).await;
        supervisor.ended().await;
        desk.hear_each_other((&agent, 0), (&customer, 1)).await;
    }
    let audit = desk.get("/v1/audit").await.to_string();
    assert!(audit.contains("whisper") && audit.contains(&format!("calls/{job}")), "{audit}");

    // The company forbids it.
    let path = format!("/v1/tenants/{}/settings", desk.tenant);
    let forbids = desk.node.api("PATCH", &path, json!({ "calling": { "supervision": "forbidden" } })).await;
    assert_eq!(forbids.status, 200, "{}", forbids.text());
    let new = json!({ "mode": "listen", "leg_id": leg, "extension_id": desk.id(3) });
    let refused = desk.asks(&format!("/v1/live/calls/{job}/supervise"), new).await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("supervision_forbidden")));
    desk.closes().await;
}
