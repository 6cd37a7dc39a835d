//! Agents' status: the commands that switches get, and the states that are shown during calls and wrap-up.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    event_socket::EventSocket,
    events::Listener,
    harness::{Answer, Node, example},
    live::{known, now, registers},
    pushes::Fleet,
};

/// An agent of a queue, at a played switch.
struct Desk {
    fleet: Fleet,
    /// The agent's name on the switch.
    name: String,
    queue: String,
}

impl Desk {
    /// The queue leaves an agent a minute after each call.
    async fn new() -> Self {
        let fleet = Fleet::new().await;
        let (path, queue) = fleet.queue().await;
        let tiers = json!([{ "extension_id": fleet.extension().await }]);
        fleet.change("PATCH", &path, json!({ "config": { "tiers": tiers, "wrap_up_seconds": 60 } })).await;
        known(&fleet).await;
        let name = format!("{}@{}", fleet.stage.phone, fleet.stage.domain);
        let desk = Self { fleet, name, queue };
        {
            let mut has = desk.fleet.socket.has();
            has.lists.insert("queue list", vec![json!({ "name": desk.queue })]);
            has.lists.insert("tier list", vec![json!({ "queue": desk.queue, "agent": desk.name })]);
            let agent = json!({ "name": desk.name, "status": "Available", "state": "Waiting", "wrap_up_time": "60" });
            has.lists.insert("agent list", vec![agent]);
        }
        // The lists are read again when the link is new.
        for core in ["a", "b"] {
            desk.fleet.socket.fires(&json!({ "Event-Name": "HEARTBEAT", "Core-UUID": core }));
        }
        // Whoever never chose is available, also before that.
        let since = Instant::now();
        while desk.live().await["queues"].as_array().is_none_or(Vec::is_empty) {
            assert!(since.elapsed() < Duration::from_mins(1), "the lists are not read");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        desk.shows("available").await;
        desk
    }

    fn node(&self) -> &Node {
        &self.fleet.stage.node
    }

    fn path(&self, what: &str) -> String {
        format!("/v1/agents/{}/{what}?tenant_id={}", self.fleet.stage.agent, self.fleet.stage.tenant)
    }

    /// Sends an event about the agent, a little later than the one before.
    fn says(&self, action: &str, more: &Value) {
        let mut event = json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": action, "CC-Agent": self.name,
            "CC-Queue": self.queue, "CC-Member-UUID": Uuid::new_v4(),
        });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event["Core-UUID"] = "b".into();
        event["Event-Date-Timestamp"] = now().to_string().into();
        self.fleet.socket.fires(&event);
    }

    fn has_status(&self, status: &str) {
        self.says("agent-status-change", &json!({ "CC-Agent-Status": status }));
    }

    fn has_state(&self, state: &str) {
        self.says("agent-state-change", &json!({ "CC-Agent-State": state }));
    }

    /// A call from the queue that is over.
    async fn has_call(&self) {
        self.has_state("Receiving");
        self.shows("ringing").await;
        self.logged("ringing").await;
        self.has_state("In a queue call");
        self.shows("on_call").await;
        self.logged("on_call").await;
        self.says("bridge-agent-end", &json!({}));
        self.has_state("Waiting");
    }

    async fn live(&self) -> Value {
        let path = format!("/v1/live/agents?tenant_id={}&agent_id={}", self.fleet.stage.tenant, self.fleet.stage.agent);
        let answer = self.node().api("GET", &path, Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["items"][0].clone()
    }

    /// Waits until the agent is shown so.
    async fn shows(&self, state: &str) -> Value {
        let since = Instant::now();
        loop {
            let shown = self.live().await;
            if shown["state"] == state {
                return shown;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "not {state}: {shown}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn put(&self, what: &str, body: Value) -> Answer {
        self.node().api("PUT", &self.path(what), body).await
    }

    async fn chooses(&self, body: Value) -> Value {
        let answer = self.put("status", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn status(&self) -> Value {
        self.node().api("GET", &self.path("status"), Value::Null).await.json()
    }

    /// Waits until the switch was told this of the agent, and returns all that it was told of agents until then.
    async fn told(&self, command: &str) -> Vec<String> {
        told(&self.fleet.socket, &format!("callcenter_config agent set {command}")).await
    }

    /// Waits until the log goes on with this. What is over before the node looks is not in it.
    async fn logged(&self, state: &str) {
        let since = Instant::now();
        loop {
            let list = self.node().api("GET", &self.path("activity"), Value::Null).await.json();
            if list["items"][0]["state"] == state {
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "not {state}: {list}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The log, the earliest first, once it has so many entries.
    async fn activity(&self, entries: usize) -> Vec<Value> {
        let since = Instant::now();
        loop {
            let list = self.node().api("GET", &self.path("activity"), Value::Null).await;
            assert_eq!(list.status, 200, "{}", list.text());
            let mut items = list.json()["items"].as_array().unwrap().clone();
            if items.len() >= entries {
                items.reverse();
                return items;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{entries} entries: {items:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn told(socket: &EventSocket, command: &str) -> Vec<String> {
    let since = Instant::now();
    loop {
        let all = socket.has().told.clone();
        if all.iter().any(|told| told.contains(command)) {
            socket.told();
            return all.into_iter().filter(|told| told.contains(" agent set ")).collect();
        }
        assert!(since.elapsed() < Duration::from_mins(1), "not told {command}: {all:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn a_switch_is_told_what_an_agent_chooses_and_only_if_it_differs() {
    let desk = Desk::new().await;
    let settings = json!({ "agents": { "status_reasons": [{ "status": "away", "name": "Lunch" }] } });
    let path = format!("/v1/tenants/{}/settings", desk.fleet.stage.tenant);
    desk.fleet.change("PATCH", &path, settings).await;
    desk.fleet.socket.told();
    let status = format!("status {}", desk.name);

    let chosen = desk.chooses(json!({ "status": "away", "reason": "Lunch" })).await;
    assert_eq!(
        (&chosen["status"], &chosen["reason"], &chosen["now"]["state"]),
        (&json!("away"), &json!("Lunch"), &json!("away"))
    );
    assert_eq!(desk.told(&format!("{status} 'On Break'")).await.len(), 1);
    desk.has_status("On Break");
    let shown = desk.shows("away").await;
    assert_eq!((&shown["reason"], &shown["cause"]), (&json!("Lunch"), &Value::Null), "{shown}");
    assert!(shown["set_by"].as_str().is_some(), "a key set it: {shown}");
    // It has what it should have: nothing is told, also when it is visited.
    desk.fleet.visited().await;
    assert!(!desk.fleet.socket.told().iter().any(|told| told.contains(" agent set ")));

    // Busy is the same for the switch.
    desk.chooses(json!({ "status": "busy" })).await;
    assert_eq!(desk.shows("busy").await["reason"], Value::Null);
    desk.chooses(json!({ "status": "offline" })).await;
    assert_eq!(desk.told(&format!("{status} 'Logged Out'")).await.len(), 1);
    desk.has_status("Logged Out");
    desk.shows("offline").await;
    desk.chooses(json!({ "status": "available" })).await;
    desk.told(&format!("{status} 'Available'")).await;
    desk.has_status("Available");
    desk.shows("available").await;

    // A new agent is logged out at the switch until it is told.
    desk.has_status("Logged Out");
    desk.told(&format!("{status} 'Available'")).await;
    desk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn whom_a_switch_paused_for_not_answering_is_away_until_they_are_back() {
    let desk = Desk::new().await;
    desk.fleet.socket.told();
    desk.says("agent-max-no-answer", &json!({ "CC-Agent-No-Answer-Count": "3" }));
    desk.has_status("On Break");
    assert_eq!(desk.shows("away").await["cause"], "did_not_answer");
    let since = Instant::now();
    while desk.status().await["cause"] != "did_not_answer" {
        assert!(since.elapsed() < Duration::from_mins(1), "{}", desk.status().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(desk.status().await["status"], "away");
    desk.fleet.visited().await;
    assert!(!desk.fleet.socket.told().iter().any(|told| told.contains(" agent set ")), "it is left alone");
    // A code at the phone brings them back.
    let answer = desk.fleet.stage.calls("*44", Uuid::new_v4()).await;
    assert!(answer.contains("agent set status"), "{answer}");
    desk.told(&format!("status {} 'Available'", desk.name)).await;
    desk.has_status("Available");
    assert_eq!(desk.shows("available").await["cause"], Value::Null);
    assert_eq!(desk.status().await["status"], "available");
    desk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn feature_codes_change_the_same_status() {
    let desk = Desk::new().await;
    for (code, status, on_switch) in
        [("*46", "away", "On Break"), ("*45", "offline", "Logged Out"), ("*44", "available", "Available")]
    {
        desk.fleet.stage.calls(code, Uuid::new_v4()).await;
        desk.told(&format!("status {} '{on_switch}'", desk.name)).await;
        desk.has_status(on_switch);
        let shown = desk.shows(status).await;
        assert_eq!(shown["set_by"], Value::Null, "{shown}");
        assert_eq!(desk.status().await["status"], status);
    }
    let audit = format!("/v1/audit?tenant_id={}", desk.fleet.stage.tenant);
    let audit = desk.node().api("GET", &audit, Value::Null).await.json();
    let by_phone = audit["items"].as_array().unwrap().iter().filter(|entry| entry["actor"] == "phone");
    assert_eq!(by_phone.count(), 3, "{audit}");
    desk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn the_time_after_a_call_is_shown_and_can_be_ended_or_made_longer() {
    let desk = Desk::new().await;
    desk.logged("available").await;
    let early = desk.put("wrap-up", json!({ "seconds": 0 })).await;
    assert_eq!((early.status, &early.json()["code"]), (409, &json!("no_wrap_up")), "{}", early.text());
    desk.has_call().await;
    let shown = desk.shows("wrap_up").await;
    desk.logged("wrap_up").await;
    let times =
        ["since", "until"].map(|name| shown[name].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap());
    assert_eq!((times[1] - times[0]).num_seconds(), 60, "{shown}");
    desk.fleet.socket.told();

    // Wrap-up is ended early: the switch has no wrap-up time for them until the next call.
    let ended = desk.put("wrap-up", json!({ "seconds": 0 })).await;
    assert_eq!((ended.status, &ended.json()["now"]["state"]), (200, &json!("available")), "{}", ended.text());
    assert_eq!(desk.told(&format!("wrap_up_time {} 0", desk.name)).await.len(), 1);
    desk.shows("available").await;
    desk.logged("available").await;
    desk.has_state("In a queue call");
    assert_eq!(desk.told(&format!("wrap_up_time {} 60", desk.name)).await.len(), 1);
    desk.logged("on_call").await;
    desk.says("bridge-agent-end", &json!({}));
    desk.has_state("Waiting");
    desk.shows("wrap_up").await;

    let as_described = desk.put("wrap-up", example("PUT /v1/agents/{agent}/wrap-up")).await;
    assert_eq!(as_described.status, 200, "{}", as_described.text());
    let wrong = desk.put("wrap-up", json!({ "seconds": 4000 })).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    let longer = desk.put("wrap-up", json!({ "seconds": 600 })).await;
    assert_eq!(longer.status, 200, "{}", longer.text());
    let until = longer.json()["now"]["until"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!((until - chrono::Utc::now()).num_seconds() > 500, "{}", longer.text());
    desk.told(&format!("ready_time {} {}", desk.name, until.timestamp())).await;

    let log = desk.activity(7).await;
    let states = log.iter().map(|entry| entry["state"].as_str().unwrap()).collect::<Vec<_>>();
    let wanted = ["available", "ringing", "on_call", "wrap_up", "available", "on_call", "wrap_up"];
    assert!(states.ends_with(&wanted), "{states:?}");
    // Each begins where the one before ended, and the last one goes on.
    for pair in log.windows(2) {
        assert_eq!(pair[0]["ended_at"], pair[1]["started_at"], "{pair:?}");
    }
    assert_eq!(log.last().unwrap()["ended_at"], Value::Null);
    desk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn whose_phone_is_gone_for_too_long_is_away_until_it_is_back() {
    let desk = Desk::new().await;
    let (domain, phone) = (desk.fleet.stage.domain.clone(), desk.fleet.stage.phone.clone());
    let fires_now = |mut event: Value| {
        event["Core-UUID"] = "b".into();
        event["Event-Date-Timestamp"] = now().to_string().into();
        desk.fleet.socket.fires(&event);
    };
    fires_now(registers(&domain, &phone, "one"));
    // Shorter than anybody may set, so that nobody has to wait.
    desk.fleet
        .sql("update tenants set settings = jsonb_set(settings, '{agents}', '{\"phone_gone_seconds\": 2}') where domain = 'acme.test'")
        .await;
    desk.shows("available").await;
    desk.fleet.socket.told();
    fires_now(json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::unregister", "call-id": "one" }));
    let shown = desk.shows("away").await;
    assert_eq!(shown["cause"], "phone_gone", "{shown}");
    desk.told(&format!("status {} 'On Break'", desk.name)).await;
    desk.has_status("On Break");
    assert_eq!(desk.status().await["status"], "available", "what they chose stays");
    fires_now(registers(&domain, &phone, "two"));
    assert_eq!(desk.shows("available").await["cause"], Value::Null);
    desk.told(&format!("status {} 'Available'", desk.name)).await;
    desk.has_status("Available");

    // While the switch is not heard, nobody's phone is gone.
    desk.fleet.socket.has().hangs_up = true;
    desk.fleet.socket.fires(&json!({ "Event-Name": "SHUTDOWN", "Core-UUID": "b" }));
    let path = format!("/v1/live/agents?tenant_id={}", desk.fleet.stage.tenant);
    let since = Instant::now();
    loop {
        let shown = desk.node().api("GET", &path, Value::Null).await.json();
        // Nothing is guessed. A switch that goes while it is read may be in both.
        if shown["unknown"][0]["since"].is_string() && shown["items"] == json!([]) {
            break;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let gone = "select count(*) from agent_statuses where gone_at is not null";
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        assert_eq!(desk.fleet.stage.database.count(gone).await, 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let now = desk.status().await;
    assert_eq!((&now["status"], &now["now"]), (&json!("available"), &Value::Null), "{now}");
    desk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn what_happened_is_written_down_once_also_when_another_node_takes_over() {
    let desk = Desk::new().await;
    let second = Node::start(&desk.fleet.stage.database).await;
    let since = Instant::now();
    loop {
        let live = format!("/v1/live/agents?tenant_id={}", desk.fleet.stage.tenant);
        let shown = second.api("GET", &live, Value::Null).await.json();
        if shown["unknown"] == json!([]) && shown["items"][0]["state"] == "available" {
            break;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    desk.has_call().await;
    desk.shows("wrap_up").await;
    let before = desk.activity(4).await;
    // The node that writes stops during a call; the other one goes on.
    desk.has_state("In a queue call");
    desk.shows("on_call").await;
    desk.logged("on_call").await;
    let Desk { fleet, name, .. } = desk;
    let Fleet { stage, socket, .. } = fleet;
    let (agent, tenant) = (stage.agent, stage.tenant);
    let crate::stage::Stage { database, node, .. } = stage;
    node.stop().await;
    let mut waits = json!({
        "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "agent-state-change", "CC-Agent": name,
        "CC-Agent-State": "Waiting",
    });
    waits["Core-UUID"] = "b".into();
    waits["Event-Date-Timestamp"] = now().to_string().into();
    socket.fires(&waits);
    let path = format!("/v1/agents/{agent}/activity?tenant_id={tenant}");
    let since = Instant::now();
    let log = loop {
        let list = second.api("GET", &path, Value::Null).await.json();
        let mut items = list["items"].as_array().unwrap().clone();
        items.reverse();
        if items.len() > before.len() + 1 && items.last().unwrap()["state"] != "on_call" {
            break items;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{items:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let states = log.iter().map(|entry| entry["state"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "nothing twice: {states:?}");
    assert_eq!(states.iter().filter(|state| **state == "on_call").count(), 2, "{states:?}");
    for pair in log.windows(2) {
        assert_eq!(pair[0]["ended_at"], pair[1]["started_at"], "{pair:?}");
    }
    assert_eq!(database.count("select count(*) from agent_activity where ended_at is null").await, 1);
    second.stop().await;
}

#[actix_web::test]
async fn clients_hear_of_a_status_that_somebody_sets() {
    let desk = Desk::new().await;
    let query = format!("tenant_id={}&topics=agent:status:updated", desk.fleet.stage.tenant);
    let mut stream = Listener::open(desk.node(), &desk.node().key, &query, false).await.unwrap();
    let snapshot = stream.message().await;
    assert_eq!(snapshot["data"]["agents"][0]["state"], "available", "{snapshot}");
    desk.chooses(json!({ "status": "busy" })).await;
    let event = stream.message().await;
    assert_eq!((&event["topic"], &event["data"]["state"]), (&json!("agent:status:updated"), &json!("busy")), "{event}");
    assert_eq!(event["data"]["agent_id"], json!(desk.fleet.stage.agent));
    desk.fleet.stage.stop().await;
}
