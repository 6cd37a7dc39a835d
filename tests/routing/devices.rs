//! Which of an extension's phones a switch rings, as it has them registered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    event_socket::PASSWORD,
    live::{fires, known, now, registers},
    pushes::Fleet,
};

/// Characters that are written as references.
fn plain(document: &str) -> String {
    let mut text = String::new();
    let mut rest = document;
    while let Some((before, after)) = rest.split_once("&#") {
        let (code, after) = after.split_once(';').unwrap();
        text.push_str(before);
        text.push(char::from_u32(code.parse().unwrap()).unwrap());
        rest = after;
    }
    text + rest
}

struct Phones {
    fleet: Fleet,
}

impl Phones {
    async fn new() -> Self {
        let fleet = Fleet::new().await;
        known(&fleet).await;
        Self { fleet }
    }

    fn user(&self) -> &str {
        &self.fleet.stage.phone
    }

    /// A phone registers; again with another Call-ID if it was started again.
    fn registers(&self, user: &str, call_id: &str, contact: &str) {
        let mut event = registers("acme.test", user, call_id);
        event["profile-name"] = "internal".into();
        event["contact"] = format!("\"x\" <{contact}>").into();
        fires(&self.fleet.socket, event, now());
    }

    fn unregisters(&self, call_id: &str) {
        let event = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::unregister", "call-id": call_id });
        fires(&self.fleet.socket, event, now());
    }

    async fn fetch(&self, asked: &str) -> String {
        let form = format!(
            "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=REQUEST_PARAMS&as_channel=true\
             &action=user_call&key=id&user={asked}&domain=acme.test"
        );
        let answer = self.fleet.stage.node.fetch(&form).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        plain(&answer.text())
    }

    /// What the switch dials for `user/ASKED@acme.test`. `None`: it finds nobody.
    async fn dials(&self, asked: &str) -> Option<String> {
        let document = self.fetch(asked).await;
        let (_, value) = document.split_once("name=\"dial-string\" value=\"")?;
        Some(value.split('"').next()?.to_owned())
    }

    /// The contacts in it.
    async fn rings(&self, asked: &str) -> Vec<String> {
        let dials = self.dials(asked).await.unwrap_or_default();
        dials.split("sofia/internal/").skip(1).map(|leg| leg.split(",[").next().unwrap().to_owned()).collect()
    }

    /// Waits until a name rings these. An event takes its time.
    async fn rings_at_last(&self, asked: &str, contacts: &[&str]) {
        let since = Instant::now();
        loop {
            let rings = self.rings(asked).await;
            if rings == contacts {
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{rings:?}, not {contacts:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn fills(&self) -> u64 {
        self.fleet.stage.node.app.fetch.fills()
    }

    /// Which legs the switch makes for a call.
    async fn legs(&self, number: &str) -> Vec<String> {
        let document = plain(&self.fleet.stage.calls_as("", number, uuid::Uuid::new_v4()).await);
        let bridge = document
            .lines()
            .find(|line| line.contains("application=\"bridge\""))
            .unwrap_or_else(|| panic!("{document}"));
        bridge.split("data=\"").nth(1).unwrap().split('"').next().unwrap().split(',').map(ToOwned::to_owned).collect()
    }

    async fn change(&self, method: &str, path: &str, body: Value) -> Value {
        self.fleet.change(method, &format!("/v1/tenants/{}/{path}", self.fleet.stage.tenant), body).await
    }

    /// Sets how the agent's extension handles calls.
    async fn set(&self, calls: Value) {
        let id = self.fleet.extension().await;
        self.change("PATCH", &format!("extensions/{id}"), json!({ "calls": calls })).await;
    }
}

const DESK: &str = "sip:desk@192.0.2.1:5060";
const MOBILE: &str =
    "sip:mobile@10.0.0.7:5060;transport=TCP;fs_nat=yes;fs_path=sip%3Amobile%40198.51.100.7%3A1024%3Btransport%3DTCP";
const PAGE: &str =
    "sip:page@x1.invalid;transport=ws;fs_nat=yes;fs_path=sip%3Apage%40198.51.100.9%3A48398%3Btransport%3Dws";

#[actix_web::test]
async fn all_registered_phones_ring_and_what_rings_is_what_is_registered_then() {
    let phones = Phones::new().await;
    let user = phones.user().to_owned();
    let found = format!("{user}%acme.test");
    assert_eq!(phones.rings(&user).await, [found.as_str()], "nobody is registered: the switch says so itself");
    phones.registers(&user, "desk", DESK);
    phones.registers(&user, "mobile", MOBILE);
    phones.rings_at_last(&user, &[DESK, MOBILE]).await;
    let dialled = phones.dials(&user).await.unwrap();
    assert!(dialled.starts_with("{ignore_early_media=true,presence_id="), "{dialled}");
    assert!(
        dialled.contains(&format!("}}[sip_invite_domain=acme.test]sofia/internal/{DESK},[sip_invite_domain")),
        "{dialled}"
    );
    phones.registers(&user, "page", PAGE);
    phones.rings_at_last(&user, &[DESK, MOBILE, PAGE]).await;
    // By its number, too, as tenants' own entries dial.
    let number =
        phones.change("GET", "extensions", Value::Null).await["items"][0]["number"].as_str().unwrap().to_owned();
    assert_eq!(phones.rings(&number).await, [DESK, MOBILE, PAGE]);
    // The page is closed: the event has nothing but the Call-ID.
    phones.unregisters("page");
    phones.rings_at_last(&user, &[DESK, MOBILE]).await;
    phones.unregisters("mobile");
    phones.rings_at_last(&user, &[&found]).await;
    // If a dial string could misread one of the contacts, the switch looks all of them up itself.
    phones.registers(&user, "mobile", MOBILE);
    phones.rings_at_last(&user, &[DESK, MOBILE]).await;
    phones.registers(&user, "strange", "sip:x@192.0.2.9,error/USER_BUSY");
    phones.rings_at_last(&user, &[&found]).await;
    phones.unregisters("strange");
    phones.rings_at_last(&user, &[DESK, MOBILE]).await;
    // Nothing is known any more.
    let nowhere = json!({ "address": "127.0.0.1:9", "password": PASSWORD });
    phones.fleet.change("PUT", &format!("{}/event-socket", phones.fleet.switch), nowhere).await;
    phones.rings_at_last(&user, &[&found]).await;
    phones.fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_storm_of_registers_leaves_answers_as_they_are_and_a_phone_that_comes_changes_its_own() {
    let phones = Phones::new().await;
    let user = phones.user().to_owned();
    for number in ["1010", "1011"] {
        phones.change("POST", "extensions", json!({ "number": number, "sip_username": format!("u{number}") })).await;
    }
    let members = phones.change("GET", "extensions", Value::Null).await;
    let ids = members["items"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    phones.change("POST", "groups", json!({ "name": "all", "number": "2500", "members": ids })).await;
    for (call_id, contact) in [("desk", DESK), ("mobile", MOBILE)] {
        phones.registers(&user, call_id, contact);
    }
    phones.registers("u1010", "other", "sip:u1010@192.0.2.10:5060");
    phones.rings_at_last(&user, &[DESK, MOBILE]).await;
    let ask = async || {
        let (legs, others) = (phones.legs("2500").await, phones.dials("u1010").await);
        (legs, others, phones.dials(&user).await, phones.dials("u1011").await)
    };
    let before = ask().await;
    assert_eq!(before.0.len(), 4, "{:?}", before.0);
    let fills = phones.fills();
    // Everybody refreshes, and phones of one come and go.
    for round in 0..100 {
        for (user, call_id, contact) in
            [(&*user, "desk", DESK), (&*user, "mobile", MOBILE), ("u1010", "other", "sip:u1010@192.0.2.10:5060")]
        {
            phones.registers(user, call_id, contact);
        }
        phones.registers("u1011", "roaming", &format!("sip:u1011@192.0.2.11:{}", 1024 + round));
    }
    phones.registers("u1010", "mark", "sip:mark@192.0.2.12:5060");
    phones.rings_at_last("u1010", &["sip:mark@192.0.2.12:5060", "sip:u1010@192.0.2.10:5060"]).await;
    phones.unregisters("mark");
    phones.rings_at_last("u1010", &["u1010%acme.test"]).await;
    let filled = phones.fills();
    assert_eq!(ask().await, before);
    assert_eq!(phones.fills(), filled, "all of it was kept");
    assert_eq!(filled, fills + 1, "only the two phones of one were new");
    // A second phone: the group rings one leg more, at once.
    phones.registers("u1011", "desk", "sip:u1011@192.0.2.99:5060");
    phones.rings_at_last("u1011", &["sip:u1011@192.0.2.11:1123", "sip:u1011@192.0.2.99:5060"]).await;
    assert_eq!(phones.legs("2500").await.len(), 5);
    phones.fleet.stage.stop().await;
}

#[actix_web::test]
async fn in_a_fork_each_phone_has_a_leg_and_one_that_is_gone_costs_nothing() {
    let phones = Phones::new().await;
    let user = phones.user().to_owned();
    let number =
        phones.change("GET", "extensions", Value::Null).await["items"][0]["number"].as_str().unwrap().to_owned();
    phones.registers(&user, "desk", DESK);
    phones.registers(&user, "page", PAGE);
    phones.rings_at_last(&user, &[DESK, PAGE]).await;
    // Alone, its dial string has both.
    assert_eq!(phones.legs(&number).await, [format!("user/{user}@acme.test")]);
    phones.set(json!({ "pickup": true })).await;
    let legs = phones.legs(&number).await;
    assert_eq!(legs.len(), 3, "{legs:?}");
    assert_eq!(legs[2], format!("pickup/{user}@acme.test"));
    let names = legs[..2].iter().map(|leg| leg["user/".len()..].split('@').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(phones.rings(names[0]).await, [DESK]);
    assert_eq!(phones.rings(names[1]).await, [PAGE]);
    // The switch looks for whom it asked for, and calls them by the SIP username.
    let document = phones.fetch(names[1]).await;
    assert!(
        document.contains(&format!("id=\"{user}\"")) && document.contains(&format!("number-alias=\"{}\"", names[1])),
        "{document}"
    );
    let dialled = phones.dials(names[0]).await.unwrap();
    assert!(!dialled.contains("ignore_early_media") && dialled.contains("sip_invite_domain=acme.test"), "{dialled}");
    // Gone since the call was routed.
    phones.unregisters("page");
    phones.rings_at_last(&user, &[&format!("{user}%acme.test")]).await;
    assert_eq!(phones.dials(names[1]).await, None);
    assert_eq!(phones.rings(names[0]).await, [DESK]);
    assert_eq!(phones.legs(&number).await.len(), 2);
    // Nothing is known any more: the first leg is for whatever the switch finds.
    let nowhere = json!({ "address": "127.0.0.1:9", "password": PASSWORD });
    phones.fleet.change("PUT", &format!("{}/event-socket", phones.fleet.switch), nowhere).await;
    phones.rings_at_last(names[0], &[&format!("{user}%acme.test")]).await;
    assert_eq!(phones.dials(names[1]).await, None);
    // Names that nobody has.
    for wrong in ["~any", "nobody~any", "nobody~1.0000000000000000", "x~1", "x~0.0000000000000000"] {
        assert_eq!(phones.dials(wrong).await, None, "{wrong}");
    }
    assert_eq!(phones.rings(&format!("{user}~any")).await, [format!("{user}%acme.test")]);
    phones.fleet.stage.stop().await;
}

#[actix_web::test]
async fn an_extension_that_is_busy_for_second_calls_counts_all_its_phones() {
    let phones = Phones::new().await;
    let user = phones.user().to_owned();
    phones.set(json!({ "busy_on_busy": true })).await;
    let limit = |id: &str| format!("execute_on_originate=limit hash acme.test {id} 1 !USER_BUSY");
    let one = phones.dials(&user).await.unwrap();
    assert!(one.contains(&limit(&user)), "{one}");
    // Until it is answered, a leg has only the variables in the braces.
    assert!(one.contains(&format!("execute_on_answer_5=limit hash acme.test {user}/2 -1,")), "{one}");
    // In a fork, the switch must have the leg before the limit may end it.
    let late = format!("execute_on_originate=set execute_on_originate_2=limit hash acme.test {user} 1 !USER_BUSY");
    let forked = phones.dials(&format!("{user}~fork")).await.unwrap();
    assert!(forked.contains(&late) && forked.contains(&format!("sofia/internal/{user}%acme.test")), "{forked}");
    phones.registers(&user, "desk", DESK);
    phones.registers(&user, "mobile", MOBILE);
    phones.rings_at_last(&user, &[DESK, MOBILE]).await;
    let both = phones.dials(&user).await.unwrap();
    assert!(both.contains(&format!("[sip_invite_domain=acme.test,{}]sofia/internal/{DESK}", limit(&user))), "{both}");
    let second = format!("[sip_invite_domain=acme.test,{}]sofia/internal/{MOBILE}", limit(&format!("{user}/2")));
    assert!(both.contains(&second), "{both}");
    // Whichever answers holds all places, as does a phone that calls.
    let document = phones.fetch(&user).await;
    for place in ["", "/2", "/3", "/4", "/5"] {
        let counts = format!("limit hash acme.test {user}{place} -1");
        assert!(document.contains(&counts), "{counts}: {document}");
    }
    phones.fleet.stage.stop().await;
}
