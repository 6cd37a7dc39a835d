//! Transferred and parked calls on a real switch: who pays for them, where they go if nobody takes them, and what lines they hold.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    calls::wait,
    freeswitch,
    harness::{Database, Node, send},
    ports,
    sipp::{self, Phone, Script},
    switch::Switch,
};

const MUNICH: &str = "+498912345678";
const DID: &str = "+493012345678";

/// An agent with a number, two phones without one, and a carrier.
struct Play {
    node: Node,
    switch: Switch,
    tenant: Uuid,
    phones: [Value; 3],
    carrier: u16,
}

async fn made(node: &Node, path: &str, new: Value) -> Value {
    let made = node.api("POST", path, new).await;
    assert!(matches!(made.status, 200 | 201), "{path}: {}", made.text());
    made.json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn play(run: fn(&Play)) {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let carrier = ports::phone();
    let config = json!({ "name": "carrier", "config": { "host": format!("127.0.0.1:{carrier}") } });
    let id = made(&node, "/v1/carriers", config).await;
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/carriers/{}/rates", text(&id["id"]));
    let sheet = b"prefix,price,first,step\n49,0.06,1,1\n";
    assert_eq!(send(node.app.app_address, "PUT", &path, &headers, sheet).await.status, 201);
    let tenant = node.tenant("acme.test").await;
    let settings = json!({ "country": "DE", "routing": { "park_seconds": 10, "outbound": { "concurrent_calls": 1 } } });
    let set = node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let agent = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
    let agent = made(&node, &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
    let mut phones = vec![agent["extensions"][0].clone()];
    for number in ["1001", "1002"] {
        let quiet =
            json!({ "number": number, "voicemail_enabled": false, "ring_seconds": 5, "display_name": "Somebody" });
        phones.push(node.extension(tenant, quiet).await);
    }
    let number = json!({ "number": DID, "destination": { "kind": "extension", "id": phones[0]["id"] } });
    let own = made(&node, &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await;
    let assign = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", text(&own["id"]));
    made(&node, &assign, json!({ "agent_id": agent["id"] })).await;
    let played = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot(&binary, &node);
        let play = Play { node, switch, tenant, phones: phones.try_into().unwrap(), carrier };
        for which in 0..3 {
            assert!(play.phone(which, "register.xml", "-", "-").succeeds());
            sipp::take_notify(Play::port(which));
        }
        run(&play);
        play.node
    });
    played.await.unwrap().stop().await;
}

impl Play {
    fn port(which: usize) -> u16 {
        [60_000, 60_100, 60_200][which]
    }

    /// Runs a scenario as a phone. `refer`: where it transfers the call.
    fn phone(&self, which: usize, scenario: &str, to: &str, refer: &str) -> Phone {
        let (user, password) = (text(&self.phones[which]["sip_username"]), text(&self.phones[which]["sip_password"]));
        let script = Script { scenario, target: self.switch.internal, port: Self::port(which), user, password, to };
        Phone::start_at("127.0.0.1", &script, &["-key", "refer", refer])
    }

    fn outside(&self, scenario: &str, port: u16, to: &str) -> Phone {
        let target = self.switch.external;
        Phone::start(&Script { scenario, target, port, user: "+4940111", password: "-", to })
    }

    fn carrier(&self, scenario: &str) -> Phone {
        self.outside(scenario, self.carrier, "-")
    }

    /// The calls that left the platform, the newest first.
    fn out(&self) -> Vec<Value> {
        let path = format!("/v1/tenants/{}/outbound-calls", self.tenant);
        wait(self.node.api("GET", &path, Value::Null)).items().as_array().unwrap().clone()
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let since = Instant::now();
        while !holds() {
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "{what}: {:?}\n{}\n{}\n{}",
                self.out(),
                self.switch.api("valet_info"),
                self.switch.api("show channels"),
                self.switch.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[actix_web::test]
async fn the_transferor_pays_and_gets_back_what_nobody_takes() {
    play(transferor_pays).await;
}

fn transferor_pays(play: &Play) {
    // A caller from outside is transferred out by the agent who took the call.
    let carrier = play.carrier("answer-hang-up.xml");
    let agent = play.phone(0, "answer-refers.xml", "-", MUNICH);
    let customer = play.outside("outside-long.xml", 60_300, DID);
    assert!(agent.succeeds(), "transferred:\n{}", play.switch.log());
    assert!(customer.succeeds() && carrier.succeeds(), "the carrier took it:\n{}", play.switch.log());
    assert_eq!(play.out()[0]["extension_id"], play.phones[0]["id"], "{:?}", play.out());

    // The agent calls a colleague, and transfers them.
    play.until("the line is free", || play.out().iter().all(|call| !call["ended_at"].is_null()));
    let carrier = play.carrier("answer-hang-up.xml");
    let colleague = play.phone(1, "answer.xml", "-", "-");
    assert!(play.phone(0, "call-refers.xml", "1001", MUNICH).succeeds(), "{}", play.switch.log());
    assert!(carrier.succeeds() && colleague.succeeds(), "{}", play.switch.log());
    assert_eq!((play.out().len(), &play.out()[0]["extension_id"]), (2, &play.phones[0]["id"]), "{:?}", play.out());

    // Somebody without a number transfers the agent: it does not get out, and comes back.
    play.until("the line is free", || play.out().iter().all(|call| !call["ended_at"].is_null()));
    let colleague = play.phone(1, "answer-refers.xml", "-", MUNICH);
    let agent = play.phone(0, "call-until-bye.xml", "1001", "-");
    assert!(colleague.succeeds(), "{}", play.switch.log());
    let back = play.phone(1, "answer-hang-up.xml", "-", "-");
    assert!(back.succeeds() && agent.succeeds(), "it comes back:\n{}", play.switch.log());
    assert_eq!(
        (&play.out()[0]["reason"], &play.out()[0]["extension_id"]),
        (&json!("no_number"), &play.phones[1]["id"])
    );
}

#[actix_web::test]
async fn a_transferred_call_holds_its_line_until_it_is_over() {
    play(holds_its_line).await;
}

fn holds_its_line(play: &Play) {
    // The agent calls outside, and transfers whoever answers to a colleague. One call may be up at a time.
    let carrier = play.carrier("answer.xml");
    let colleague = play.phone(1, "answer-late-hang-up.xml", "-", "-");
    assert!(play.phone(0, "call-refers.xml", MUNICH, "1001").succeeds(), "{}", play.switch.log());
    let records = || play.switch.api("show channels").matches("sofia/").count();
    play.until("the agent's leg is over", || records() == 2);
    std::thread::sleep(Duration::from_secs(1));
    assert!(play.out()[0]["ended_at"].is_null(), "{:?}", play.out());
    play.phone(0, "call-refused-403.xml", MUNICH, "-").ends();
    assert_eq!(play.out()[0]["reason"], "concurrent_calls");
    assert!(colleague.succeeds() && carrier.succeeds(), "{}", play.switch.log());
    play.until("the line is free", || !play.out()[1]["ended_at"].is_null());
}

#[actix_web::test]
async fn a_parked_call_is_taken_from_its_slot() {
    play(parked).await;
}

fn parked(play: &Play) {
    let slots = || play.switch.api("valet_info park@acme.test");
    let park = |customer: &str| {
        let agent = play.phone(0, "answer-refers.xml", "-", "*68");
        let customer = play.outside(customer, 60_300, DID);
        assert!(agent.succeeds(), "{}", play.switch.log());
        play.until("parked", || slots().contains("</extension>"));
        customer
    };
    let customer = park("outside-long.xml");
    assert!(play.phone(2, "call.xml", "park+1", "-").succeeds(), "{}", play.switch.log());
    play.until("nobody waits", || !slots().contains("</extension>"));
    assert!(customer.succeeds(), "the call ended");
}
