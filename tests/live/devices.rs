//! Several phones of one extension: all ring, whatever they are connected by, and the first to answer wins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Database, Node},
    phone::{Call, PATIENCE, Phone},
    switch::Switch,
};

/// A tenant at a switch that the node listens to, with a caller's phone.
struct Home {
    node: Arc<Node>,
    switch: Arc<Switch>,
    path: String,
    tenant: Uuid,
    caller: Phone,
}

/// An extension, of which everybody has several phones.
struct Line {
    id: String,
    user: String,
    password: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

impl Home {
    async fn open() -> Option<Self> {
        let binary = freeswitch()?;
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("home.test").await;
        let (switch, node) = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &node), node)).await.unwrap();
        let id = text(&node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"]);
        let path = format!("/v1/switches/{id}/event-socket");
        let caller = Phone::new(switch.internal, "", "", "");
        let mut home = Self { node: Arc::new(node), switch: Arc::new(switch), path, tenant, caller };
        home.listens_at(&home.switch.event_socket().0).await;
        let line = home.line("1000", json!({})).await;
        home.caller = home.phone(&line);
        home.registers(&[&home.caller]).await;
        Some(home)
    }

    /// Where the node looks for the switch's event socket.
    async fn listens_at(&self, address: &str) {
        let socket = json!({ "address": address, "password": self.switch.event_socket().1 });
        assert_eq!(self.node.api("PUT", &self.path, socket).await.status, 200);
    }

    async fn line(&self, number: &str, calls: Value) -> Line {
        let new = json!({ "number": number, "ring_seconds": 20, "voicemail_enabled": false, "calls": calls });
        let made = self.node.extension(self.tenant, new).await;
        assert_eq!(made["max_registrations"], 5, "{made}");
        Line { id: text(&made["id"]), user: text(&made["sip_username"]), password: text(&made["sip_password"]) }
    }

    fn phone(&self, line: &Line) -> Phone {
        Phone::new(self.switch.internal, &line.user, "home.test", &line.password)
    }

    fn tcp_phone(&self, line: &Line) -> Phone {
        Phone::over_tcp(self.switch.internal, &line.user, "home.test", &line.password)
    }

    async fn shown(&self) -> Value {
        let path = format!("/v1/live/registrations?tenant_id={}", self.tenant);
        self.node.api("GET", &path, Value::Null).await.json()
    }

    async fn known(&self) -> usize {
        self.shown().await["items"].as_array().unwrap().len()
    }

    /// Waits until the node does not hear the switch any more.
    async fn until_unknown(&self) {
        let since = Instant::now();
        while self.shown().await["unknown"].as_array().unwrap().is_empty() {
            assert!(since.elapsed() < PATIENCE, "the node hears the switch");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Registers phones, and waits until the node knows of them. A node that begins to listen may miss the first REGISTER. The next one
    /// comes much later: a switch that gets two within milliseconds may lose both, as it removes older ones by a queue
    /// (`sofia_reg_handle_register_token` in sofia_reg.c).
    async fn registers(&self, phones: &[&Phone]) {
        let (before, since) = (self.known().await, Instant::now());
        let mut again = Duration::ZERO;
        while self.known().await < before + phones.len() {
            assert!(since.elapsed() < PATIENCE, "not all phones are known\n{}", self.switch.log());
            if since.elapsed() >= again {
                again = since.elapsed() + Duration::from_secs(3);
                for phone in phones {
                    phone.registers().await;
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until the node knows of so many phones.
    async fn until_known(&self, count: usize) {
        let since = Instant::now();
        while self.known().await != count {
            assert!(
                since.elapsed() < PATIENCE,
                "{} phones are known, not {count}\n{}",
                self.known().await,
                self.switch.log()
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// A number rings all these phones; the one answers and talks, and the others stop.
    async fn one_answers(&self, number: &str, phones: &[&Phone], which: usize) -> (Call, Call) {
        let call = self.caller.calls(number);
        let mut rings = Vec::new();
        for phone in phones {
            rings.push(phone.rings().await);
        }
        call.is_ringing().await;
        let taken = rings.remove(which).answers().await;
        call.answered().await;
        for other in &rings {
            assert_eq!(other.ended().await.status, 487, "it got a CANCEL: {}", other.invite().first);
            assert!(other.received().iter().any(|message| message.method() == "CANCEL"));
        }
        call.hears_only(&[phones[which]]).await;
        taken.hears_only(&[&self.caller]).await;
        (call, taken)
    }

    async fn one_answers_and_hangs_up(&self, number: &str, phones: &[&Phone], which: usize) {
        let (call, taken) = self.one_answers(number, phones, which).await;
        call.hangs_up().await;
        taken.ended().await;
        for phone in phones {
            assert!(phone.rang().is_none(), "nobody rings twice");
        }
    }

    async fn made(&self, path: &str, body: Value) -> String {
        let made = self.node.api("POST", &format!("/v1/tenants/{}/{path}", self.tenant), body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        text(&made.json()["id"])
    }

    async fn close(self) {
        let Self { node, switch, caller, .. } = self;
        drop(caller);
        let errors = switch.log().lines().filter(|line| line.contains("[CRIT]")).map(str::to_owned).collect::<Vec<_>>();
        tokio::task::spawn_blocking(move || drop(switch)).await.unwrap();
        Arc::into_inner(node).unwrap().stop().await;
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[actix_web::test]
async fn two_phones_of_an_extension_both_ring_over_udp_and_tcp_and_behind_nat() {
    let Some(home) = Home::open().await else { return };
    // Nobody listens at the port in the second phone's contact: it is reached at the address that its REGISTER came from.
    for (number, connected) in
        [("1001", "udp"), ("1002", "udp behind nat"), ("1003", "tcp"), ("1004", "tcp behind nat")]
    {
        let line = home.line(number, json!({})).await;
        let desk = home.phone(&line);
        let other = if connected.starts_with("tcp") { home.tcp_phone(&line) } else { home.phone(&line) };
        if connected.ends_with("nat") {
            other.says_it_is_at("10.9.9.9:5060");
        }
        home.registers(&[&desk, &other]).await;
        let found = home.switch.api(&format!("sofia_contact internal/{}@home.test", line.user));
        assert_eq!(found.split(',').count(), 2, "{connected}: {found}");
        assert_eq!(found.contains("fs_path="), connected.ends_with("nat"), "{found}");
        println!("{connected}: {found}");
        home.one_answers_and_hangs_up(number, &[&desk, &other], 0).await;
        home.one_answers_and_hangs_up(number, &[&desk, &other], 1).await;
    }
    home.close().await;
}

#[actix_web::test]
async fn all_phones_ring_in_a_group_by_follow_me_with_pickup_and_as_an_agents() {
    let Some(home) = Home::open().await else { return };
    let (line, colleague) = (home.line("1001", json!({})).await, home.line("1002", json!({})).await);
    let (desk, mobile, third) = (home.phone(&line), home.tcp_phone(&line), home.phone(&colleague));
    home.registers(&[&desk, &mobile, &third]).await;
    let members = json!([line.id, colleague.id]);
    home.made("groups", json!({ "name": "all", "number": "2000", "members": members })).await;
    home.one_answers_and_hangs_up("2000", &[&desk, &mobile, &third], 1).await;
    home.one_answers_and_hangs_up("2000", &[&desk, &mobile, &third], 2).await;
    let turns = json!({ "name": "turns", "number": "2001", "members": members, "strategy": "in_order" });
    home.made("groups", turns).await;
    home.one_answers_and_hangs_up("2001", &[&desk, &mobile], 1).await;
    home.line("1003", json!({ "follow_me": [{ "number": "1001" }] })).await;
    home.one_answers_and_hangs_up("1003", &[&desk, &mobile], 0).await;
    let path = format!("/v1/tenants/{}/extensions/{}", home.tenant, line.id);
    let set = json!({ "calls": { "pickup": true } });
    assert_eq!(home.node.api("PATCH", &path, set).await.status, 200);
    home.one_answers_and_hangs_up("1001", &[&desk, &mobile], 1).await;
    let tiers = json!([{ "extension_id": line.id }]);
    home.made(
        "destinations",
        json!({ "name": "Support", "kind": "queue", "number": "3000", "config": { "tiers": tiers } }),
    )
    .await;
    let since = Instant::now();
    while !home.switch.api("callcenter_config agent list").contains(&line.user) {
        assert!(since.elapsed() < PATIENCE, "the agent is not known\n{}", home.switch.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    home.one_answers_and_hangs_up("3000", &[&desk, &mobile], 0).await;
    home.close().await;
}

#[actix_web::test]
async fn a_phone_that_has_left_costs_nothing_and_without_a_link_the_switch_finds_one() {
    let Some(home) = Home::open().await else { return };
    let line = home.line("1001", json!({})).await;
    let (desk, mobile) = (home.phone(&line), home.tcp_phone(&line));
    home.registers(&[&desk, &mobile]).await;
    // The node no longer hears the switch: one of the two rings, as the switch chooses.
    home.listens_at("127.0.0.1:9").await;
    home.until_unknown().await;
    let call = home.caller.calls("1001");
    call.is_ringing().await;
    let rings = tokio::select! { rings = desk.rings() => rings, rings = mobile.rings() => rings };
    let rings = rings.answers().await;
    call.answered().await;
    call.hangs_up().await;
    rings.ended().await;
    assert!(desk.rang().is_none() && mobile.rang().is_none(), "the other did not ring");
    home.listens_at(&home.switch.event_socket().0).await;
    home.until_known(3).await;
    home.one_answers_and_hangs_up("1001", &[&desk, &mobile], 0).await;
    // One leaves: the other rings alone.
    assert_eq!(mobile.registers_for(0).await, 200);
    home.until_known(2).await;
    home.one_answers_and_hangs_up("1001", &[&desk], 0).await;
    assert!(mobile.rang().is_none());
    // Both leave: the caller is told at once, and not after the twenty seconds that a phone would ring.
    assert_eq!(desk.registers_for(0).await, 200);
    home.until_known(1).await;
    let call = home.caller.calls("1001");
    assert_eq!(call.ended().await.status, 480);
    assert!(call.received().iter().all(|message| !matches!(message.status(), Some(180 | 183))), "nothing rang");
    assert!(desk.rang().is_none() && mobile.rang().is_none());
    home.close().await;
}

#[actix_web::test]
async fn an_extension_that_is_busy_for_second_calls_rings_all_its_phones_for_the_first() {
    let Some(home) = Home::open().await else { return };
    let line = home.line("1001", json!({ "busy_on_busy": true })).await;
    let (desk, mobile) = (home.phone(&line), home.phone(&line));
    home.registers(&[&desk, &mobile]).await;
    for which in [0, 1] {
        let (call, taken) = home.one_answers("1001", &[&desk, &mobile], which).await;
        let second = home.caller.calls("1001");
        assert_eq!(second.ended().await.status, 486, "busy");
        assert!(desk.rang().is_none() && mobile.rang().is_none(), "neither rings");
        call.hangs_up().await;
        taken.ended().await;
    }
    // While one of them calls, the other does not ring either.
    let calls = desk.calls("9196");
    calls.answered().await;
    let second = home.caller.calls("1001");
    assert_eq!(second.ended().await.status, 486, "busy");
    assert!(mobile.rang().is_none());
    calls.hangs_up().await;
    calls.ended().await;
    home.close().await;
}
