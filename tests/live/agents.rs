//! Agents of queues on a real switch: the states that are shown from ringing to wrap-up, and the effect of a status.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    calls::{Stage, play},
    everyday::{Desk, destination, link},
    sipp,
};

#[actix_web::test]
async fn an_agents_state_follows_their_choice_and_their_calls() {
    play(states).await;
}

/// Somebody with an extension, whose phone registers.
struct Ada<'a> {
    desk: Desk<'a>,
    id: String,
    /// Her name on the switch.
    name: String,
}

impl<'a> Ada<'a> {
    fn new(stage: &'a Stage, place: u16) -> Self {
        let new = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
        let made = stage.api("POST", &format!("/v1/admin/agents?tenant_id={}", stage.tenant), new);
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        let extension = made["extensions"][0].clone();
        let name = format!("{}@acme.test", extension["sip_username"].as_str().unwrap());
        let desk = Desk { stage, made: extension, place };
        assert!(desk.phone("register.xml", "-").succeeds(), "her phone registers");
        sipp::take_notify(place);
        Self { desk, id: made["id"].as_str().unwrap().to_owned(), name }
    }

    fn ask(&self, method: &str, what: &str, body: Value) -> Value {
        let stage = self.desk.stage;
        let path = format!("/v1/agents/{}/{what}?tenant_id={}", self.id, stage.tenant);
        let answer = stage.api(method, &path, body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until she is shown so.
    fn is(&self, state: &str) {
        let since = Instant::now();
        loop {
            let status = self.ask("GET", "status", Value::Null);
            if status["now"]["state"] == state {
                return;
            }
            let list = self.desk.stage.switch.api("callcenter_config agent list");
            assert!(since.elapsed() < Duration::from_mins(1), "not {state}: {status} {list}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the switch has her so.
    fn is_at_switch(&self, status: &str) {
        self.desk.stage.until(status, |switch| {
            switch.api(&format!("callcenter_config agent get status {}", self.name)).trim() == status
        });
    }

    /// What the switch lists of her.
    fn column(&self, name: &str) -> String {
        let list = self.desk.stage.switch.api("callcenter_config agent list");
        let mut lines = list.lines();
        let at = lines.next().unwrap().split('|').position(|column| column == name).unwrap();
        let row = lines.find(|line| line.starts_with(&self.name)).unwrap();
        row.split('|').nth(at).unwrap().to_owned()
    }

    /// A call waits in vain until its time is over: she is offered none.
    fn is_left_alone(&self, caller: u16) {
        let before = self.column("last_offered_call");
        let stage = self.desk.stage;
        assert!(stage.phone(0, "call-until-bye.xml", caller, "500").succeeds(), "{}", stage.switch.log());
        assert_eq!(self.column("last_offered_call"), before);
    }

    fn answers(&self, caller: u16) {
        let stage = self.desk.stage;
        let agent = self.desk.phone("answer.xml", "-");
        let call = stage.phone(0, "call-long.xml", caller, "500");
        self.is("on_call");
        assert!(call.succeeds(), "{}", stage.switch.log());
        assert!(agent.succeeds(), "she answers:\n{}", stage.switch.api("callcenter_config agent list"));
    }
}

fn states(stage: &Stage) {
    link(stage);
    assert!(stage.register(0, 60_000));
    let ada = Ada::new(stage, 60_100);
    let queue = json!({ "tiers": [{ "extension_id": ada.desk.id() }], "ring_seconds": 5, "max_wait_seconds": 4, "wrap_up_seconds": 60 });
    let queue = destination(stage, "500", "queue", None, &queue);
    // A new agent is logged out at a switch until it is told of her.
    stage.until("she is an agent", |switch| switch.api("callcenter_config tier list").contains(&queue));
    ada.is_at_switch("Available");
    ada.is("available");

    ada.answers(60_000);
    ada.is("wrap_up");
    ada.is_left_alone(60_000);
    // She ends her wrap-up, and the next call comes at once.
    let shortened = ada.ask("PUT", "wrap-up", json!({ "seconds": 2 }));
    assert_eq!(shortened["now"]["state"], "wrap_up", "{shortened}");
    ada.is("available");
    stage.until("the switch lets her rest no more", |_| ada.column("wrap_up_time") == "0");
    ada.answers(60_000);
    ada.is("wrap_up");
    assert_eq!(ada.column("wrap_up_time"), "60", "as usual after the next call");
    ada.ask("PUT", "wrap-up", json!({ "seconds": 0 }));
    ada.is("available");

    // Paused: no call comes.
    ada.ask("PUT", "status", json!({ "status": "away" }));
    ada.is_at_switch("On Break");
    ada.is_left_alone(60_000);
    ada.is("away");
    // The codes at her phone say the same.
    for (code, at_switch, state) in
        [("*45", "Logged Out", "offline"), ("*46", "On Break", "away"), ("*44", "Available", "available")]
    {
        assert!(ada.desk.phone("call-until-bye.xml", code).succeeds(), "{code}: {}", stage.switch.log());
        ada.is_at_switch(at_switch);
        ada.is(state);
        let status = ada.ask("GET", "status", Value::Null);
        assert_eq!(status["status"], state, "{status}");
    }
    // What happened, in order, without a gap.
    let log = ada.ask("GET", "activity", Value::Null);
    let mut entries = log["items"].as_array().unwrap().clone();
    entries.reverse();
    let states = entries.iter().map(|entry| entry["state"].as_str().unwrap()).collect::<Vec<_>>().join(" ");
    assert!(states.contains("available ringing on_call wrap_up available"), "{states}");
    for pair in entries.windows(2) {
        assert_eq!(pair[0]["ended_at"], pair[1]["started_at"], "{pair:?}");
    }
    println!("{states}");
}
