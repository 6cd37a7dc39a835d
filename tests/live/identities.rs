//! A number goes from one extension to another, and a domain from one tenant to another. Nobody gets what a switch still has of the
//! previous ones.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    calls::{Stage, play},
    ports,
    sipp::{self, Phone, Script},
    switch::write_silence,
};

/// Makes an extension without naming a SIP username.
struct Desk {
    id: String,
    user: String,
    password: String,
    port: u16,
}

impl Desk {
    fn new(stage: &Stage, tenant: uuid::Uuid, new: Value) -> Self {
        let made = stage.api("POST", &format!("/v1/tenants/{tenant}/extensions"), new);
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Self { id: text("id"), user: text("sip_username"), password: text("sip_password"), port: ports::phone() }
    }

    fn path(&self, stage: &Stage) -> String {
        format!("/v1/tenants/{}/extensions/{}", stage.tenant, self.id)
    }

    fn plays(&self, stage: &Stage, scenario: &str, to: &str) -> Phone {
        let target = stage.switch.internal;
        let (user, password) = (self.user.as_str(), self.password.as_str());
        Phone::start(&Script { scenario, target, port: self.port, user, password, to })
    }

    fn registers(&self, stage: &Stage) {
        assert!(self.plays(stage, "register.xml", "-").succeeds(), "{}", self.user);
        sipp::take_notify(self.port);
    }

    /// Calls the phone's mailbox and presses these keys, with a pause after each group.
    fn in_mailbox(&self, stage: &Stage, keys: &[&str]) {
        let scenario = pressing(keys);
        assert!(self.plays(stage, scenario.to_str().unwrap(), "*97").succeeds(), "{keys:?}");
        std::fs::remove_file(scenario).unwrap();
    }

    /// The numbers of new and read messages, such as `1:0`.
    fn messages(&self, stage: &Stage) -> String {
        let count = stage.switch.api(&format!("vm_boxcount {}@acme.test|all", self.user));
        count.split(':').take(2).collect::<Vec<_>>().join(":")
    }

    /// Whether the switch would open the mailbox with this PIN.
    fn opens_with(&self, stage: &Stage, pin: &str) -> bool {
        stage.switch.api(&format!("vm_fsdb_auth_login default acme.test {} {pin}", self.user)).starts_with("-OK")
    }
}

/// Makes a scenario that presses these keys from the one that reads messages.
fn pressing(keys: &[&str]) -> PathBuf {
    let whole = include_str!("scenarios/call-read-messages.xml");
    let (head, rest) = whole.split_once("<pause milliseconds=\"2500\"/>\n").unwrap();
    let (info, _) = rest.split_once("<recv response=\"200\"/>").unwrap();
    let bye = &rest[rest.rfind("<send retrans").unwrap()..];
    let mut text = format!("{head}<pause milliseconds=\"2500\"/>\n");
    let mut sequence = 2;
    for group in keys {
        for key in group.chars() {
            sequence += 1;
            let info = info.replace("CSeq: 3 ", &format!("CSeq: {sequence} "));
            text += &info.replace("Signal=8", &format!("Signal={key}"));
            text += "<recv response=\"200\"/>\n<pause milliseconds=\"250\"/>\n";
        }
        text += "<pause milliseconds=\"3000\"/>\n";
    }
    text += &bye.replace("CSeq: 12 ", &format!("CSeq: {} ", sequence + 1));
    let path = std::env::temp_dir().join(format!("dialplane-press-{}.xml", uuid::Uuid::now_v7().simple()));
    std::fs::write(&path, text).unwrap();
    path
}

/// Tells Dialplane the switch's event socket. Returns the switch's path.
fn link(stage: &Stage) -> String {
    let switches = stage.api("GET", "/v1/switches", Value::Null).json();
    let path = format!("/v1/switches/{}", switches["items"][0]["id"].as_str().unwrap());
    let (address, password) = stage.switch.event_socket();
    let socket = json!({ "address": address, "password": password });
    assert_eq!(stage.api("PUT", &format!("{path}/event-socket"), socket).status, 200);
    path
}

/// Waits for visits of the switch, which come every ten seconds.
fn visited(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[actix_web::test]
async fn whoever_gets_a_number_gets_neither_messages_nor_pin_of_its_last_owner() {
    play(mailboxes).await;
}

fn mailboxes(stage: &Stage) {
    let ada = Desk::new(stage, stage.tenant, json!({ "number": "1700", "voicemail_pin": "493827", "ring_seconds": 5 }));
    // Ada chooses a PIN by phone. Later an administrator gives her another one, and only that counts. The event socket is not set in
    // Dialplane, so the switch still has the first PIN when she calls, and forgets it before it asks.
    ada.in_mailbox(stage, &["493827#", "5", "6", "271828#"]);
    assert!(ada.opens_with(stage, "271828") && !ada.opens_with(stage, "493827"), "{}", stage.switch.log());
    assert_eq!(stage.api("PATCH", &ada.path(stage), json!({ "voicemail_pin": "802411" })).status, 200);
    assert!(ada.opens_with(stage, "271828"), "the switch has a PIN of its own");
    assert!(stage.leaves_message(0, 60_000, "1700"), "1000 leaves a message");
    stage.until("the message is in the box", |_| ada.messages(stage) == "1:0");
    ada.in_mailbox(stage, &["271828#"]);
    assert!(!ada.opens_with(stage, "271828") && ada.opens_with(stage, "802411"));
    assert_eq!(ada.messages(stage), "1:0", "new messages are played to whoever gets in, and this one was not");

    // Bob does the same. Now the switch forgets its copy on command, and the PIN that he chose still works, because Dialplane has it.
    let bob = Desk::new(stage, stage.tenant, json!({ "number": "1701", "voicemail_pin": "802411" }));
    bob.in_mailbox(stage, &["802411#", "5", "6", "314159#"]);
    assert!(bob.opens_with(stage, "314159"));
    let switch = link(stage);
    let waiting = || stage.api("GET", &format!("{switch}/cleanups"), Value::Null).json()["items"].clone();
    visited("the switch forgets its own PINs", || waiting() == json!([]));
    assert!(bob.opens_with(stage, "314159"));
    assert_eq!(stage.api("PATCH", &bob.path(stage), json!({ "voicemail_pin": "602214" })).status, 200);
    assert!(!bob.opens_with(stage, "314159") && bob.opens_with(stage, "602214"), "at once");

    // Both have said who they are, and Ada began to say it anew. mod_voicemail has no command that deletes such files.
    let spoken = |of: &Desk, name: &str| {
        stage.switch.folder.join(format!("storage/voicemail/default/acme.test/{}/{name}.wav", of.user))
    };
    let adas = ["greeting_1", "greeting_9", "greeting_2_TMP", "recorded_name"].map(|name| spoken(&ada, name));
    let bobs = spoken(&bob, "greeting_1");
    adas.iter().chain([&bobs]).for_each(|path| write_silence(path));

    // Ada is deleted, and Grace gets her number.
    assert_eq!(stage.api("DELETE", &ada.path(stage), Value::Null).status, 204);
    let reserved = format!("/v1/tenants/{}/reserved-numbers/1700", stage.tenant);
    assert_eq!(stage.api("DELETE", &reserved, Value::Null).status, 204);
    let grace = Desk::new(stage, stage.tenant, json!({ "number": "1700", "voicemail_pin": "602214" }));
    assert_eq!(grace.messages(stage), "0:0");
    for pin in ["271828", "314159", "802411", "493827"] {
        assert!(!grace.opens_with(stage, pin), "{pin}");
    }
    assert!(grace.opens_with(stage, "602214"));
    visited("nothing is left of Ada's mailbox", || ada.messages(stage) == "0:0" && waiting() == json!([]));
    let left = adas.iter().filter(|path| path.exists()).collect::<Vec<_>>();
    assert!(left.is_empty() && bobs.exists(), "{left:?}, {}", bobs.exists());
    assert!(stage.leaves_message(0, 60_000, "1700"), "1000 leaves a message for Grace");
    stage.until("it is in her box", |_| grace.messages(stage) == "1:0");
    assert_eq!(ada.messages(stage), "0:0");
}

#[actix_web::test]
async fn a_phone_rings_by_its_present_number_only_and_lamps_watch_that() {
    play(renumbered).await;
}

fn renumbered(stage: &Stage) {
    let ada =
        Desk::new(stage, stage.tenant, json!({ "number": "1700", "ring_seconds": 5, "voicemail_enabled": false }));
    ada.registers(stage);
    let rings = |number: &str| {
        let callee = ada.plays(stage, "answer.xml", "-");
        assert!(stage.phone(0, "call.xml", 60_000, number).succeeds(), "1000 calls {number}");
        assert!(callee.succeeds(), "{number} rang the phone");
    };
    rings("1700");
    assert_eq!(stage.api("PATCH", &ada.path(stage), json!({ "number": "1900" })).status, 200);
    rings("1900");
    assert!(stage.phone(0, "call-refused-404.xml", 60_000, "1700").succeeds(), "nobody has the old number");

    // While it rings and while it calls, the switch records the number for lamps.
    let watched = |what: &str| {
        stage.until(what, |switch| switch.api("show channels as json").contains("\"presence_id\":\"1900@acme.test\""));
    };
    let (to, from) = (ada.plays(stage, "answer.xml", "-"), stage.phone(0, "call-long.xml", 60_000, "1900"));
    watched("a call to it");
    assert!(from.succeeds() && to.succeeds());
    let from = ada.plays(stage, "call-long.xml", "9196");
    watched("a call by it");
    from.ends();
    assert!(stage.phone(1, "watch.xml", 60_100, "1900").succeeds(), "a colleague's lamp watches the number");
}

#[actix_web::test]
async fn whoever_gets_a_domain_does_not_call_the_phones_of_those_who_had_it() {
    play(domains).await;
}

fn domains(stage: &Stage) {
    // Phones that register with their number, as all did before. The switch is not told that they may no longer be registered.
    assert!(stage.register(0, 60_000) && stage.register(1, 60_100));
    let at = format!("/v1/tenants/{}", stage.tenant);
    assert_eq!(stage.api("PATCH", &at, json!({ "domain": "renamed.test", "keep_former_days": 0 })).status, 200);
    let beta = json!({ "domain": "acme.test", "reuse": true });
    let beta = stage.api("POST", "/v1/tenants", beta);
    assert_eq!(beta.status, 201, "{}", beta.text());
    let beta = beta.id();
    let quiet = json!({ "number": "1000", "ring_seconds": 5, "voicemail_enabled": false });
    let same = json!({ "number": "1001", "sip_username": "1001" });
    assert_eq!(stage.api("POST", &format!("/v1/tenants/{beta}/extensions"), same).status, 409);
    Desk::new(stage, beta, quiet);
    let caller = Desk::new(stage, beta, json!({ "number": "1001" }));
    caller.registers(stage);
    let registered = stage.switch.api("sofia status profile internal reg");
    assert!(registered.contains("1000@acme.test"), "the old registration is still there: {registered}");
    assert!(caller.plays(stage, "call-refused-480.xml", "1000").succeeds(), "it does not ring");
    let (user, password) = ("1000", stage.phones[0]["sip_password"].as_str().unwrap());
    let old = Script {
        scenario: "register-refused.xml",
        target: stage.switch.internal,
        port: 60_000,
        user,
        password,
        to: "-",
    };
    assert!(Phone::start(&old).succeeds(), "nor does it register again");
}
