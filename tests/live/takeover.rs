//! An INVITE with Replaces takes a call over, and FreeSWITCH does not check who sends it. So strangers must not get in.

use serde_json::json;

use crate::{
    calls::{Stage, play, wait},
    ports,
    sipp::{Phone, Script},
};

const CALL_ID: &str = "known-to-a-stranger";

#[actix_web::test]
async fn a_stranger_takes_no_call_over() {
    play(strangers).await;
}

/// A call from 1000 to 1001, with a Call-ID that others know. Both phones continue until somebody hangs up.
pub fn call(stage: &Stage, ports: [u16; 2]) -> (Phone, Phone) {
    let callee = stage.phone(1, "answer.xml", ports[1], "-");
    let text = |which: usize, name: &str| stage.phones[which][name].as_str().unwrap().to_owned();
    let (user, password) = (text(0, "sip_username"), text(0, "sip_password"));
    let script = Script {
        scenario: "call-until-bye.xml",
        target: stage.switch.internal,
        port: ports[0],
        user: &user,
        password: &password,
        to: "1001",
    };
    let caller = Phone::start_at("127.0.0.1", &script, &["-cid_str", CALL_ID]);
    stage.until("they talk", |switch| switch.api("show bridged_calls count").contains("1 total"));
    (caller, callee)
}

fn strangers(stage: &Stage) {
    let ports = [ports::phone(), ports::phone()];
    assert!(stage.register(0, ports[0]) && stage.register(1, ports[1]));
    let (_caller, _callee) = call(stage, ports);
    let uuid = uuids(stage).remove(0);

    // A stranger is not let in: not with the Call-ID, not with any tags, not with a channel's UUID.
    let stranger = |scenario: &str, replaces: &str| {
        let script = Script {
            scenario,
            target: stage.switch.external,
            port: ports::phone(),
            user: "stranger",
            password: "-",
            to: "9196",
        };
        Phone::start_at("127.0.0.2", &script, &["-key", "replaces", replaces])
    };
    for replaces in [format!("{CALL_ID};to-tag=1;from-tag=2"), format!("{uuid};to-tag=1;from-tag=2")] {
        assert!(stranger("outside-takes-over-403.xml", &replaces).succeeds(), "{replaces}:\n{}", stage.switch.log());
        stage.until("the call goes on", |switch| switch.api("show bridged_calls count").contains("1 total"));
    }

    // FreeSWITCH lets in somebody who is signed in at another tenant and knows the Call-ID, but connected calls are left alone.
    let other = signed_in_elsewhere(stage);
    for more in ["", ";a-leg=true", ";early-only=false"] {
        other.takes_over(stage, &format!("{CALL_ID};to-tag=1;from-tag=2{more}"));
        stage.until(&format!("the call goes on {more}"), |switch| {
            switch.api("show bridged_calls count").contains("1 total")
        });
    }
    other.takes_over(stage, &format!("{uuid};to-tag=1;from-tag=2"));
    stage.until("the call goes on", |switch| switch.api("show bridged_calls count").contains("1 total"));
    for uuid in uuids(stage) {
        let bridged = stage.switch.api(&format!("uuid_getvar {uuid} bridge_to"));
        assert!(!bridged.contains("_undef_"), "each leg talks to the other: {bridged}");
    }
    assert!(!stage.switch.api("show application").contains("sofia_sla"), "nor can anybody barge in");
}

/// What remains possible, as freeswitch-conf/README.md says: somebody who is signed in anywhere on the switch, and knows the Call-ID of a
/// call with only one party, ends that call and takes its place. If FreeSWITCH changes that, this test fails, and the README must follow.
#[actix_web::test]
async fn who_knows_the_call_id_of_a_lone_caller_takes_their_place_and_gets_no_further() {
    play(lone_callers).await;
}

fn lone_callers(stage: &Stage) {
    let port = ports::phone();
    assert!(stage.register(0, port));
    let room = json!({ "name": "Room", "number": "502", "kind": "conference", "config": {} });
    let made = stage.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), room);
    assert_eq!(made.status, 201, "{}", made.text());
    let other = signed_in_elsewhere(stage);
    let text = |name: &str| stage.phones[0][name].as_str().unwrap().to_owned();
    let (user, password) = (text("sip_username"), text("sip_password"));
    // An echo test, a conference, and one's own mailbox, which asks for the PIN.
    for (to, application) in [("9196", "echo"), ("502", "conference"), ("*97", "voicemail")] {
        let script = Script {
            scenario: "call-until-bye.xml",
            target: stage.switch.internal,
            port,
            user: &user,
            password: &password,
            to,
        };
        let call_id = format!("alone-in-{application}");
        let caller = Phone::start_at("127.0.0.1", &script, &["-cid_str", &call_id]);
        let is_in = |switch: &crate::switch::Switch| switch.api("show channels").contains(&format!(",{application},"));
        stage.until(application, is_in);
        let mine = uuids(stage).remove(0);
        // A guess does nothing.
        other.takes_over(stage, "alone-in-something;to-tag=1;from-tag=2");
        stage.until("the caller is still in", |_| uuids(stage) == std::slice::from_ref(&mine));
        assert!(
            other.takes_over(stage, &format!("{call_id};to-tag=1;from-tag=2")),
            "{application}:\n{}",
            stage.switch.log()
        );
        assert!(caller.succeeds(), "{application}: the caller was hung up on");
        stage.until("nobody is left", |switch| switch.api("show channels count").contains("0 total"));
    }
}

struct Elsewhere {
    user: String,
    password: String,
}

fn signed_in_elsewhere(stage: &Stage) -> Elsewhere {
    let beta = wait(stage.node.tenant("beta.test"));
    let theirs = wait(stage.node.extension(beta, json!({ "number": "1000" })));
    let text = |name: &str| theirs[name].as_str().unwrap().to_owned();
    Elsewhere { user: text("sip_username"), password: text("sip_password") }
}

impl Elsewhere {
    /// Whether the other side stays in the call after the answer.
    fn takes_over(&self, stage: &Stage, replaces: &str) -> bool {
        let script = Script {
            scenario: "call-takes-over.xml",
            target: stage.switch.internal,
            port: ports::phone(),
            user: &self.user,
            password: &self.password,
            to: "9196",
        };
        Phone::start_at("127.0.0.1", &script, &["-key", "home", "beta.test", "-key", "replaces", replaces]).succeeds()
    }
}

fn uuids(stage: &Stage) -> Vec<String> {
    let channels = serde_json::from_str::<serde_json::Value>(&stage.switch.api("show channels as json")).unwrap();
    let rows = channels["rows"].as_array().unwrap();
    rows.iter().map(|row| row["uuid"].as_str().unwrap().to_owned()).collect()
}

/// Proof that the test above works: without the guards, the same calls are taken over.
#[actix_web::test]
async fn without_its_guards_a_switch_hands_calls_to_strangers() {
    play(unguarded).await;
}

fn unguarded(stage: &Stage) {
    let cluster = format!("/v1/clusters/{}", dialplane::tenancy::clusters::DEFAULT);
    assert_eq!(stage.api("PATCH", &cluster, json!({ "accepts_calls_from": "anyone" })).status, 200);
    assert!(stage.switch.api("reloadacl").contains("+OK"));
    let ports = [ports::phone(), ports::phone()];
    assert!(stage.register(0, ports[0]) && stage.register(1, ports[1]));
    let (_caller, callee) = call(stage, ports);
    let script = Script {
        scenario: "outside-takes-over.xml",
        target: stage.switch.external,
        port: ports::phone(),
        user: "stranger",
        password: "-",
        to: "9196",
    };
    let replaces = format!("{CALL_ID};to-tag=1;from-tag=2");
    let stranger = |port| Phone::start_at("127.0.0.2", &Script { port, ..script }, &["-key", "replaces", &replaces]);
    assert!(!stranger(ports::phone()).succeeds(), "let in, and left with nobody");
    stage.until("the call goes on", |switch| switch.api("show bridged_calls count").contains("1 total"));
    assert!(stage.switch.api("global_setvar intercept_unbridged_only=false").contains("+OK"));
    assert!(stranger(ports::phone()).succeeds(), "answered without a dialplan:\n{}", stage.switch.log());
    assert!(callee.succeeds(), "1001 talked to the stranger, who hung up");
}
