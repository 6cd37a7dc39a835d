//! What people notice every day: queues' agents, busy phones, forwards that nobody takes, menus, conferences, guessed passwords.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    calls::{Stage, play, wait},
    sipp::{self, Phone, Script},
    switch::{Switch, write_silence},
};

/// One more phone of the stage's tenant.
pub struct Desk<'a> {
    pub stage: &'a Stage,
    pub made: Value,
    pub place: u16,
}

impl<'a> Desk<'a> {
    /// An extension whose phone registers.
    fn new(stage: &'a Stage, number: &str, place: u16, more: &Value) -> Self {
        let desk = Self::absent(stage, number, place, more);
        assert!(desk.phone("register.xml", "-").succeeds(), "{number} registers");
        sipp::take_notify(place);
        desk
    }

    fn absent(stage: &'a Stage, number: &str, place: u16, more: &Value) -> Self {
        let mut new = json!({ "number": number, "ring_seconds": 5, "voicemail_enabled": false });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Self { stage, made: wait(stage.node.extension(stage.tenant, new)), place }
    }

    fn script<'s>(&'s self, scenario: &'s str, to: &'s str) -> Script<'s> {
        let text = |name: &str| self.made[name].as_str().unwrap();
        let (user, password) = (text("sip_username"), text("sip_password"));
        Script { scenario, target: self.stage.switch.internal, port: self.place, user, password, to }
    }

    pub fn phone(&self, scenario: &str, to: &str) -> Phone {
        Phone::start(&self.script(scenario, to))
    }

    /// Presses these keys, in groups that the scenario names d1, d2 … and e1, e2 ….
    fn presses(&self, scenario: &str, to: &str, keys: &[(&str, &str)]) -> Phone {
        let keys = keys.iter().flat_map(|(name, key)| ["-key", name, key]).collect::<Vec<_>>();
        Phone::start_at("127.0.0.1", &self.script(scenario, to), &keys)
    }

    pub fn id(&self) -> &Value {
        &self.made["id"]
    }

    fn set(&self, calls: &Value) {
        let path = format!("/v1/tenants/{}/extensions/{}", self.stage.tenant, self.id().as_str().unwrap());
        let set = self.stage.api("PATCH", &path, json!({ "calls": calls }));
        assert_eq!(set.status, 200, "{}", set.text());
    }
}

pub fn destination(stage: &Stage, number: &str, kind: &str, pin: Option<&str>, config: &Value) -> String {
    let mut new = json!({ "name": format!("{kind}-{number}"), "number": number, "kind": kind, "config": config });
    if let Some(pin) = pin {
        new["pin"] = pin.into();
    }
    let made = stage.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), new);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].as_str().unwrap().replace('-', "")
}

/// Sets the switch's event socket, so that the node visits it.
pub fn link(stage: &Stage) {
    let switches = stage.api("GET", "/v1/switches", Value::Null).json();
    let switch = switches["items"][0]["id"].as_str().unwrap().to_owned();
    let (address, password) = stage.switch.event_socket();
    let socket = json!({ "address": address, "password": password });
    let told = stage.api("PUT", &format!("/v1/switches/{switch}/event-socket"), socket);
    assert!((200..300).contains(&told.status), "{}", told.text());
}

#[actix_web::test]
async fn a_pin_may_end_with_a_hash_and_a_menu_asks_again_for_a_number_that_nobody_has() {
    play(keys).await;
}

fn keys(stage: &Stage) {
    let ada = Desk::new(stage, "1010", 60_100, &json!({}));
    let bob = Desk::new(stage, "1011", 60_200, &json!({}));
    // Without the prompt, the switch asks for no PIN and ends the call.
    write_silence(&stage.switch.folder.join("sounds/conference/conf-pin.wav"));
    destination(stage, "502", "conference", Some("8214"), &json!({}));
    let member =
        ada.presses("call-press-pin.xml", "502", &[("d1", "8"), ("d2", "2"), ("d3", "1"), ("d4", "4"), ("d5", "#")]);
    stage.until("she is in the room", |switch| switch.api("conference list").contains("sofia/internal"));
    assert!(member.succeeds(), "she stays until she hangs up:\n{}", stage.switch.log());

    let menu = json!({ "greeting": { "file": "digits/1.wav" }, "direct_dial": true,
                       "entries": { "9": { "kind": "extension", "id": ada.id() } } });
    destination(stage, "501", "ivr", None, &menu);
    let callee = bob.phone("answer.xml", "-");
    let keys = [("d1", "7"), ("d2", "7"), ("d3", "7"), ("d4", "7"), ("e1", "1"), ("e2", "0"), ("e3", "1"), ("e4", "1")];
    assert!(ada.presses("call-press-twice.xml", "501", &keys).succeeds(), "{}", stage.switch.log());
    assert!(callee.succeeds(), "the second number was one:\n{}", stage.switch.log());
}

#[actix_web::test]
async fn a_forwarded_call_that_nobody_takes_reaches_the_mailbox_of_whoever_forwarded() {
    play(own_mailbox).await;
}

fn own_mailbox(stage: &Stage) {
    assert!(stage.register(0, 60_000));
    let ada = Desk::absent(stage, "1010", 60_100, &json!({ "voicemail_enabled": true }));
    let bob = Desk::new(stage, "1011", 60_200, &json!({}));
    let messages = |count: &str| {
        stage.until("the message is in her box", |switch| {
            switch.api("vm_boxcount 1010@acme.test|all").starts_with(count)
        });
    };
    // To a phone that is busy.
    ada.set(&json!({ "forward_always": "1011" }));
    let busy = bob.phone("carrier-486.xml", "-");
    assert!(stage.leaves_message(0, 60_000, "1010"), "{}", stage.switch.log());
    assert!(busy.succeeds(), "it was called");
    messages("1:");
    // To one on do not disturb, when hers is not registered.
    bob.set(&json!({ "do_not_disturb": true }));
    ada.set(&json!({ "forward_not_registered": "1011" }));
    assert!(stage.leaves_message(0, 60_000, "1010"), "{}", stage.switch.log());
    messages("2:");
    // Whoever calls it directly hears that it is busy.
    assert!(stage.phone(0, "call-refused-486.xml", 60_000, "1011").succeeds(), "{}", stage.switch.log());
}

#[actix_web::test]
async fn a_phone_without_call_waiting_is_busy_while_it_is_in_a_call() {
    play(busy_on_busy).await;
}

fn busy_on_busy(stage: &Stage) {
    assert!(stage.register(0, 60_000));
    let ada = Desk::new(stage, "1010", 60_100, &json!({ "calls": { "busy_on_busy": true } }));
    let bob = Desk::new(stage, "1011", 60_200, &json!({}));
    let is_up = |count: usize| {
        stage.until("a call is up", move |switch| {
            switch.api("show channels").matches("sofia/internal/1010").count() >= count
        });
    };
    // She is called.
    let (callee, caller) = (ada.phone("answer.xml", "-"), stage.phone(0, "call-long.xml", 60_000, "1010"));
    is_up(1);
    assert!(bob.phone("call-refused-486.xml", "1010").succeeds(), "a second call:\n{}", stage.switch.log());
    assert!(caller.succeeds() && callee.succeeds(), "the first goes on");
    stage.until("it is over", |switch| switch.api("show channels").contains("0 total"));
    // She calls.
    let calls = ada.phone("call-long.xml", "9196");
    stage.until("she is answered", |switch| switch.api("show channels").contains("echo"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(bob.phone("call-refused-486.xml", "1010").succeeds(), "{}", stage.switch.log());
    assert!(calls.succeeds());
    stage.until("it is over", |switch| switch.api("show channels").contains("0 total"));
    // Then she can be reached again.
    let callee = ada.phone("answer.xml", "-");
    assert!(bob.phone("call.xml", "1010").succeeds(), "{}", stage.switch.log());
    assert!(callee.succeeds());
}

#[actix_web::test]
async fn queues_leave_agents_alone_who_are_busy_logged_out_or_on_do_not_disturb() {
    play(agents).await;
}

fn agents(stage: &Stage) {
    link(stage);
    assert!(stage.register(0, 60_000));
    let ada = Desk::new(stage, "1010", 60_100, &json!({}));
    let bob = Desk::new(stage, "1011", 60_200, &json!({}));
    let queue = json!({ "tiers": [{ "extension_id": ada.id() }], "ring_seconds": 5, "max_no_answers": 1, "max_wait_seconds": 4 });
    let queue = destination(stage, "500", "queue", None, &queue);
    let patient = json!({ "tiers": [{ "extension_id": ada.id() }], "ring_seconds": 5, "max_no_answers": 1, "max_wait_seconds": 12 });
    let patient = destination(stage, "505", "queue", None, &patient);
    let rings = |what: &str, wanted: bool| {
        let name = format!("{queue}.acme.test");
        let since = Instant::now();
        loop {
            let tiers = stage.switch.api(&format!("callcenter_config queue list tiers {name}"));
            let status = stage.switch.api("callcenter_config agent get status 1010@acme.test");
            if (tiers.contains("1010@acme.test") && status.trim() == "Available") == wanted {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(40), "{what}: {status} {tiers}");
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    rings("she is an agent", true);
    stage.until("of both", |switch| {
        switch.api(&format!("callcenter_config queue list tiers {patient}.acme.test")).contains("1010@acme.test")
    });
    let agent = ada.phone("answer.xml", "-");
    assert!(stage.phone(0, "call-long.xml", 60_000, "500").succeeds(), "{}", stage.switch.log());
    assert!(agent.succeeds(), "she answers:\n{}", stage.switch.api("callcenter_config agent list"));
    stage.until("it is over", |switch| switch.api("show channels").contains("0 total"));

    // The agent is in a call with somebody else: no phone rings until the time is over.
    let column = |name: &str| {
        let list = stage.switch.api("callcenter_config agent list");
        let mut lines = list.lines();
        let at = lines.next().unwrap().split('|').position(|column| column == name).unwrap();
        lines.next().and_then(|line| line.split('|').nth(at)).unwrap_or_default().to_owned()
    };
    let has_calls = |count: &str| {
        let since = Instant::now();
        while column("external_calls_count") != count {
            let list = stage.switch.api("callcenter_config agent list");
            assert!(since.elapsed() < Duration::from_mins(1), "{count} calls of her own: {list}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    has_calls("0");
    let (callee, caller) = (ada.phone("answer.xml", "-"), bob.phone("call-long.xml", "1010"));
    has_calls("1");
    assert!(stage.phone(0, "call-until-bye.xml", 60_000, "500").succeeds(), "{}", stage.switch.log());
    assert!(callee.succeeds() && caller.succeeds(), "{}", stage.switch.log());

    // By her own codes, and by do not disturb.
    assert!(ada.phone("call-until-bye.xml", "*45").succeeds(), "{}", stage.switch.log());
    rings("she logged out", false);
    let status = stage.switch.api("callcenter_config agent get status 1010@acme.test");
    assert_eq!(status.trim(), "Logged Out");
    assert!(ada.phone("call-until-bye.xml", "*44").succeeds(), "{}", stage.switch.log());
    rings("she logged in", true);
    ada.set(&json!({ "do_not_disturb": true }));
    rings("do not disturb", false);
    ada.set(&json!({}));
    rings("again", true);
    stage.until("of both", |switch| {
        switch.api(&format!("callcenter_config queue list tiers {patient}.acme.test")).contains("1010@acme.test")
    });

    has_calls("0");
    // She lets one call ring in vain, which pauses her, and logs in again.
    let vain = ada.phone("ring.xml", "-");
    assert!(stage.phone(0, "call-until-bye.xml", 60_000, "505").succeeds(), "{}", stage.switch.log());
    assert!(vain.succeeds(), "it rang: {}", stage.switch.api("callcenter_config agent list"));
    stage.until("she is paused", |switch| {
        switch.api("callcenter_config agent get status 1010@acme.test").contains("Break")
    });
    assert!(ada.phone("call-until-bye.xml", "*44").succeeds(), "{}", stage.switch.log());
    stage.until("she is back", |switch| {
        switch.api("callcenter_config agent get status 1010@acme.test").contains("Available")
    });
}

#[actix_web::test]
async fn callers_hear_at_which_place_they_wait() {
    play(places).await;
}

fn places(stage: &Stage) {
    link(stage);
    assert!(stage.register(0, 60_000));
    for sound in ["ivr/ivr-you_are_number", "ivr/ivr-estimated_hold_time", "time/minutes"] {
        write_silence(&stage.switch.folder.join(format!("sounds/{sound}.wav")));
    }
    let away = Desk::absent(stage, "1010", 60_100, &json!({ "calls": { "do_not_disturb": true } }));
    let queue = json!({ "tiers": [{ "extension_id": away.id() }], "max_wait_seconds": 22, "announce_place": true,
                        "announce_wait": true, "announcement_seconds": 10 });
    let queue = destination(stage, "500", "queue", None, &queue);
    stage.until("the switch has the queue", |switch| switch.api("callcenter_config queue list").contains(&queue));
    let caller = stage.phone(0, "call-until-bye.xml", 60_000, "500");
    let told = |switch: &Switch| {
        let channels: Value = serde_json::from_str(&switch.api("show channels as json")).unwrap_or_default();
        let call = channels["rows"][0]["uuid"].as_str().unwrap_or_default().to_owned();
        switch.api(&format!("uuid_getvar {call} dialplane_told")).trim().parse::<i64>().unwrap_or_default()
    };
    let since = Instant::now();
    let (mut first, mut again) = (0, 0);
    while again == first {
        again = told(&stage.switch);
        if first == 0 {
            first = again;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "told once at {first}:\n{}", stage.switch.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(again - first >= 5, "{first} {again}");
    assert!(!stage.switch.log().contains("Error Opening File"), "{}", stage.switch.log());
    assert!(caller.succeeds());
}

#[actix_web::test]
async fn whoever_guesses_passwords_is_braked_and_the_owner_is_not() {
    play(guesses).await;
}

fn guesses(stage: &Stage) {
    let ada = Desk::new(stage, "1010", 60_100, &json!({}));
    let bob = Desk::absent(stage, "1011", 60_200, &json!({}));
    let tries = |address: &str, scenario: &str, desk: &Desk<'_>, password: Option<&str>| {
        let mut script = desk.script(scenario, "-");
        script.password = password.unwrap_or(script.password);
        Phone::start_at(address, &script, &[]).succeeds()
    };
    for guess in 0..12 {
        let wrong = format!("a guess {guess}");
        assert!(tries("127.0.0.1", "register-refused.xml", &bob, Some(&wrong)), "{guess}");
        assert!(tries("127.0.0.1", "register-refused.xml", &ada, Some(&wrong)), "{guess}");
    }
    assert!(
        tries("127.0.0.1", "register-refused.xml", &bob, None),
        "the right one comes too late:\n{}",
        stage.switch.log()
    );
    assert!(tries("127.0.0.2", "register.xml", &bob, None), "the owner, elsewhere:\n{}", stage.switch.log());
    assert!(tries("127.0.0.1", "register.xml", &ada, None), "who is known here:\n{}", stage.switch.log());
}

#[actix_web::test]
async fn calls_end_whose_phones_no_longer_refresh_them() {
    play(refreshed).await;
}

#[actix_web::test]
async fn a_profile_that_restarts_is_back_in_seconds() {
    play(restarted).await;
}

/// Connections that nobody uses any more keep the profile's database in its mode, which the profile wants to change when it starts.
fn restarted(stage: &Stage) {
    link(stage);
    let tasks = |switch: &Switch| switch.api("show tasks").contains("dialplane_handles");
    stage.until("the switch closes what nobody uses", tasks);
    // A profile restarts only after it has been up for ten seconds (`sofia profile restart` in mod_sofia.c).
    let since = Instant::now();
    while stage.switch.api("sofia profile internal restart").contains("must be up") {
        assert!(since.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(500));
    }
    stage.until("it stops", |switch| switch.api("sofia status").matches("RUNNING").count() < 2);
    let since = Instant::now();
    while stage.switch.api("sofia status").matches("RUNNING").count() < 2 {
        assert!(since.elapsed() < Duration::from_secs(12), "{}", stage.switch.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(stage.register(0, 60_000), "phones register at once:\n{}", stage.switch.log());
    println!("out for {:?}", since.elapsed());
}

fn refreshed(stage: &Stage) {
    assert!(stage.register(0, 60_000));
    let ada = Desk::new(stage, "1010", 60_100, &json!({}));
    let callee = ada.phone("answer-timed.xml", "-");
    assert!(stage.phone(0, "call.xml", 60_000, "1010").succeeds(), "{}", stage.switch.log());
    assert!(callee.succeeds(), "its INVITE says for how long the call lasts without a refresh");
}
