//! Groups: whom a switch rings, for how long, and where the call goes afterwards.

use serde_json::{Value, json};

use crate::{
    calls::{Stage, play, wait},
    sipp::{self, Phone, Script},
};

/// Further phones of the stage's tenant, which register and ring at places of their own.
struct Crew<'a> {
    stage: &'a Stage,
    members: Vec<(Value, u16)>,
}

impl<'a> Crew<'a> {
    fn gather(stage: &'a Stage) -> Self {
        assert!(stage.register(0, 60_000));
        let members = [("1010", 60_100), ("1011", 60_200), ("1012", 60_300)].map(|(number, place)| {
            let new = json!({ "number": number, "voicemail_enabled": false });
            (wait(stage.node.extension(stage.tenant, new)), place)
        });
        let crew = Self { stage, members: members.to_vec() };
        // The third never registers.
        for which in [0, 1] {
            assert!(crew.phone(which, "register.xml").succeeds());
            sipp::take_notify(crew.members[which].1);
        }
        crew
    }

    fn phone(&self, which: usize, scenario: &str) -> Phone {
        let (extension, port) = &self.members[which];
        let (user, password) = (extension["sip_username"].as_str(), extension["sip_password"].as_str());
        let (user, password) = (user.unwrap(), password.unwrap());
        Phone::start(&Script { scenario, target: self.stage.switch.internal, port: *port, user, password, to: "-" })
    }

    fn id(&self, which: usize) -> &Value {
        &self.members[which].0["id"]
    }

    fn group(&self, number: &str, members: &[usize], more: &Value) {
        let members = members.iter().map(|which| self.id(*which)).collect::<Vec<_>>();
        let mut group = json!({ "name": format!("group-{number}"), "number": number, "ring_seconds": 5,
                                "strategy": "in_order", "members": members });
        group.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.stage.api("POST", &format!("/v1/tenants/{}/groups", self.stage.tenant), group);
        assert_eq!(made.status, 201, "{}", made.text());
    }

    fn calls(&self, number: &str) -> Phone {
        self.stage.phone(0, "call.xml", 60_000, number)
    }

    fn set(&self, which: usize, calls: &Value) {
        let path = format!("/v1/tenants/{}/extensions/{}", self.stage.tenant, self.id(which).as_str().unwrap());
        let set = self.stage.api("PATCH", &path, json!({ "calls": calls }));
        assert_eq!(set.status, 200, "{}", set.text());
    }
}

#[actix_web::test]
async fn in_a_group_in_order_everybody_rings_in_turn_whatever_the_one_before_did() {
    play(in_turn).await;
}

fn in_turn(stage: &Stage) {
    let crew = Crew::gather(stage);
    crew.group("2000", &[0, 1], &json!({}));
    // The first rings for five seconds and does not answer.
    let (first, second) = (crew.phone(0, "ring.xml"), crew.phone(1, "answer.xml"));
    assert!(crew.calls("2000").succeeds(), "the second answers");
    assert!(first.succeeds(), "the first rang until its time was over");
    assert!(second.succeeds(), "the second was called");

    // The first declines.
    let (first, second) = (crew.phone(0, "carrier-486.xml"), crew.phone(1, "answer.xml"));
    assert!(crew.calls("2000").succeeds(), "the second answers after a busy one");
    assert!(first.succeeds() && second.succeeds());

    // The first is not registered.
    crew.group("2001", &[2, 1], &json!({}));
    let second = crew.phone(1, "answer.xml");
    assert!(crew.calls("2001").succeeds(), "the second answers after one that is not registered");
    assert!(second.succeeds());

    // The first is on do not disturb: no phone of theirs rings.
    crew.set(0, &json!({ "do_not_disturb": true }));
    let second = crew.phone(1, "answer.xml");
    assert!(crew.calls("2000").succeeds(), "the second answers at once");
    assert!(second.succeeds());

    // The first forwards all calls to the second. The group follows that, or it does not.
    crew.set(0, &json!({ "forward_always": "1011" }));
    crew.group("2002", &[0], &json!({ "follow_forwards": true }));
    let second = crew.phone(1, "answer.xml");
    assert!(crew.calls("2002").succeeds(), "the forward is followed");
    assert!(second.succeeds());
    crew.group("2003", &[0], &json!({}));
    let first = crew.phone(0, "answer.xml");
    assert!(crew.calls("2003").succeeds(), "the member's own phone rings");
    assert!(first.succeeds());

    // Nobody answers, and everybody rang: the call goes on.
    crew.set(0, &json!({}));
    crew.group("2004", &[0, 2], &json!({ "otherwise": { "kind": "extension", "id": crew.id(1) } }));
    let (first, last) = (crew.phone(0, "ring.xml"), crew.phone(1, "answer.xml"));
    assert!(crew.calls("2004").succeeds(), "what follows answers");
    assert!(first.succeeds() && last.succeeds());
}

#[actix_web::test]
async fn phones_with_no_codec_in_common_are_connected_however_the_call_gets_there() {
    play(without_a_common_codec).await;
}

fn without_a_common_codec(stage: &Stage) {
    let crew = Crew::gather(stage);
    // The caller has PCMU alone, the other PCMA alone.
    let called = crew.phone(0, "answer-pcma.xml");
    assert!(crew.calls("1010").succeeds(), "directly");
    assert!(called.succeeds(), "offered PCMA");
    let has = json!({ "codecs": "PCMA" });
    let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, crew.id(1).as_str().unwrap());
    assert_eq!(stage.api("PATCH", &path, has).status, 200);
    let called = crew.phone(1, "answer-pcma.xml");
    assert!(crew.calls("1011").succeeds(), "by its own list");
    assert!(called.succeeds(), "offered PCMA");
    // After an announcement, the caller's channel has one codec.
    let greeted = json!({ "kind": "announcement", "name": "greeting", "number": "3000", "config": {
        "prompt": { "text": "Hello" }, "then": { "kind": "extension", "id": crew.id(0) } } });
    let made = stage.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), greeted);
    assert_eq!(made.status, 201, "{}", made.text());
    let called = crew.phone(0, "answer-pcma.xml");
    assert!(crew.calls("3000").succeeds(), "after an announcement");
    assert!(called.succeeds(), "offered PCMA");
    // By a forward, through a loopback.
    crew.set(0, &json!({ "follow_me": [{ "number": "1011" }] }));
    let (first, second) = (crew.phone(0, "ring.xml"), crew.phone(1, "answer-pcma.xml"));
    assert!(crew.calls("1010").succeeds(), "by follow-me");
    assert!(first.succeeds() && second.succeeds());
}
