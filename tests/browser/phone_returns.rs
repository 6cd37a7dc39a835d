//! Calls that come back to the phone in the browser after a reload or a lost connection, at a played switch: what the page asks for, which
//! calls it answers by itself, and what it says if nothing comes back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    chromium::Chromium,
    desk::{fires, listens, now},
    event_socket::EventSocket,
    harness::Database,
    phone::Desk,
};

/// Grace, whose calls a node hears of.
pub struct Heard {
    pub desk: Desk,
    pub socket: EventSocket,
    pub phone: String,
}

/// A call as the event socket has it.
#[derive(Clone, Copy)]
pub struct Legs {
    pub caller: Uuid,
    pub page: Uuid,
}

impl Heard {
    pub async fn new(database: &Database) -> Self {
        let desk = Desk::new(database).await;
        let socket = EventSocket::open().await;
        listens(&desk.site, &socket).await;
        let tenant = desk.site.tenant("acme.test").await;
        let all = desk.site.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
        let own = all["items"].as_array().unwrap().iter().find(|one| one["number"] == desk.number.as_str()).unwrap();
        let phone = own["sip_username"].as_str().unwrap().to_owned();
        Self { desk, socket, phone }
    }

    /// The event socket says that the page is registered as the switch has it now.
    pub fn registers(&self) {
        let contact = self.desk.switch.contact();
        self.socket.fires(&json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::register", "from-user": self.phone,
            "from-host": "acme.test", "profile-name": "internal", "call-id": contact, "expires": "120", "network-ip": "127.0.0.1",
            "contact": format!("\"x\" <{contact};fs_nat=yes;fs_path=sip%3Ax%40127.0.0.1%3A4711%3Btransport%3Dws>"),
            "network-port": "4711", "status": "Registered(WS-NAT)", "Core-UUID": "a", "Event-Date-Timestamp": now().to_string() }));
    }

    pub fn own(&self, dialog: &str) -> Value {
        let name = self.desk.switch.contact();
        let name = name.trim_start_matches("sip:").split(';').next().unwrap_or_default().to_owned();
        json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{name}"), "variable_sip_call_id": dialog,
            "variable_dialplane_taken_by": format!("{}@acme.test", self.phone) })
    }

    /// Somebody calls, and she answers. The page keeps the call from then on.
    pub async fn answers(&self, browser: &Chromium, name: &str, number: &str) -> Legs {
        let dialog = self.desk.switch.ring(name, number);
        browser.sees(&format!("{name} is calling.")).await;
        browser.click("Answer").await;
        browser.sees(&format!("You talk with {name}.")).await;
        let legs = Legs { caller: Uuid::new_v4(), page: Uuid::new_v4() };
        let caller = json!({ "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test",
            "Caller-Caller-ID-Number": number, "Caller-Destination-Number": "+12025550123", "Caller-Context": "public" });
        fires(&self.socket, "CHANNEL_CREATE", legs.caller, legs.caller, &caller);
        let mut own = self.own(&dialog);
        own["Other-Leg-Unique-ID"] = json!(legs.caller);
        fires(&self.socket, "CHANNEL_CREATE", legs.page, legs.caller, &own);
        fires(&self.socket, "CHANNEL_ANSWER", legs.page, legs.caller, &own);
        fires(&self.socket, "CHANNEL_ANSWER", legs.caller, legs.caller, &json!({}));
        let bridge = json!({ "Bridge-A-Unique-ID": legs.caller, "Bridge-B-Unique-ID": legs.page });
        fires(&self.socket, "CHANNEL_BRIDGE", legs.caller, legs.caller, &bridge);
        let kept = "return JSON.parse(sessionStorage.getItem('dialplane-phone') ?? '{}').calls?.length ?? 0";
        let began = Instant::now();
        while browser.page.execute(kept, vec![]).await.unwrap() == json!(0) {
            assert!(began.elapsed() < Duration::from_mins(1), "the page does not keep its call");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        legs
    }

    /// Waits until the page was asked to be called, and returns its mark and the new leg.
    async fn is_called(&self, times: usize) -> (String, Uuid) {
        let began = Instant::now();
        loop {
            let all =
                self.socket.has().told.iter().filter(|one| one.starts_with("originate")).cloned().collect::<Vec<_>>();
            if let Some(command) = all.get(times - 1) {
                let part =
                    |name: &str| command.split(name).nth(1).unwrap().split([',', '}']).next().unwrap().to_owned();
                let (mark, leg) = (part("sip_h_X-Dialplane-Call="), part("origination_uuid="));
                return (mark, leg.parse().unwrap());
            }
            assert!(began.elapsed() < Duration::from_mins(1), "{:?}", self.socket.has().told);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The switch calls the page with this mark, which answers by itself, and connects it.
    async fn comes_back(&self, legs: Legs, mark: &str, new: Uuid) -> Legs {
        let answered = self.desk.switch.heard("SIP/2.0 200");
        let dialog = self.desk.switch.ring_with("1000", "1000", &format!("X-Dialplane-Call: {mark}\r\n"));
        self.desk.switch.hears("SIP/2.0 200", answered + 1).await;
        let own = self.own(&dialog);
        fires(&self.socket, "CHANNEL_CREATE", new, new, &own);
        fires(&self.socket, "CHANNEL_ANSWER", new, new, &own);
        let began = Instant::now();
        let wanted = format!("uuid_bridge {new} {}", legs.caller);
        while !self.socket.has().told.contains(&wanted) {
            assert!(began.elapsed() < Duration::from_mins(1), "{:?}", self.socket.has().told);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let bridge = json!({ "Bridge-A-Unique-ID": new, "Bridge-B-Unique-ID": legs.caller });
        fires(&self.socket, "CHANNEL_BRIDGE", new, new, &bridge);
        fires(
            &self.socket,
            "CHANNEL_HANGUP_COMPLETE",
            legs.page,
            legs.page,
            &json!({ "Hangup-Cause": "NORMAL_CLEARING" }),
        );
        Legs { page: new, ..legs }
    }

    pub fn ends(&self, legs: Legs) {
        for leg in [legs.page, legs.caller] {
            fires(&self.socket, "CHANNEL_HANGUP_COMPLETE", leg, leg, &json!({ "Hangup-Cause": "NORMAL_CLEARING" }));
        }
    }

    pub async fn stop(self, browser: Chromium) {
        self.desk.stop(vec![browser]).await;
    }
}

pub async fn online(heard: &Heard, browser: &Chromium) {
    heard.desk.sign_in(browser).await;
    heard.desk.online(browser).await;
    heard.registers();
}

#[actix_web::test]
async fn after_a_reload_the_page_answers_the_call_it_asked_for_and_no_other() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    online(&heard, &browser).await;
    let legs = heard.answers(&browser, "Hedy", "1999").await;
    let notes = browser.page.find(fantoccini::Locator::Id("phone-notes")).await.unwrap();
    notes.send_keys("Wants a desk lamp.").await.unwrap();
    browser.click("Mute").await;
    browser.sees("Nobody hears you.").await;
    let before = heard.desk.switch.heard("REGISTER");
    browser.page.refresh().await.unwrap();
    // No BYE: the call goes on.
    browser.sees("Coming back").await;
    browser.sees("Hedy").await;
    heard.desk.switch.hears("REGISTER", before + 2).await;
    browser.sees(&format!("Calls for {} ring here.", heard.desk.number)).await;
    assert_eq!(heard.desk.switch.heard("BYE"), 0);
    heard.registers();
    let (mark, new) = heard.is_called(1).await;
    // Somebody who names another mark is a caller like any other.
    let stranger = heard.desk.switch.ring_with("Mallory", "1998", &format!("X-Dialplane-Call: {}\r\n", Uuid::new_v4()));
    browser.sees("Mallory is calling.").await;
    heard.desk.switch.gives_up(&stranger);
    let legs = heard.comes_back(legs, &mark, new).await;
    browser.sees("Hedy is back on the line.").await;
    browser.sees("Nobody hears you.").await;
    let text = browser.text().await;
    assert!(text.contains("Talking") && !text.contains("Coming back") && !text.contains("Incoming"), "{text}");
    let notes = browser.page.find(fantoccini::Locator::Id("phone-notes")).await.unwrap();
    assert_eq!(notes.prop("value").await.unwrap().unwrap(), "Wants a desk lamp.");
    // The mark was for once.
    heard.desk.switch.ring_with("Mallory", "1998", &format!("X-Dialplane-Call: {mark}\r\n"));
    browser.sees("Mallory is calling.").await;
    browser.click("Reject").await;
    heard.ends(legs);
    heard.stop(browser).await;
}

#[actix_web::test]
async fn what_is_noted_while_they_talk_is_kept_by_the_platform_and_not_by_the_tab() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    online(&heard, &browser).await;
    let legs = heard.answers(&browser, "Hedy", "1999").await;
    let node = &heard.desk.site.node;
    let path = format!("/v1/calls/{}?tenant_id={}", legs.caller, heard.desk.site.tenant("acme.test").await);
    // Somebody else has written before.
    assert_eq!(node.api("PATCH", &path, json!({ "notes": "VIP" })).await.status, 202);
    let notes = browser.page.find(fantoccini::Locator::Id("phone-notes")).await.unwrap();
    notes.send_keys("Wants a desk lamp.").await.unwrap();
    browser.sees("Saved.").await;
    let kept = node.api("GET", &path, Value::Null).await;
    assert_eq!((kept.status, &kept.json()["notes"]), (202, &json!("VIP\nWants a desk lamp.")), "{}", kept.text());
    assert_eq!(notes.prop("value").await.unwrap().unwrap(), "VIP\nWants a desk lamp.");
    // What is typed a moment before the end is saved as well.
    notes.send_keys(" Two.").await.unwrap();
    browser.click("Hang up").await;
    let began = Instant::now();
    while node.api("GET", &path, Value::Null).await.json()["notes"] != "VIP\nWants a desk lamp. Two." {
        assert!(began.elapsed() < Duration::from_mins(1), "{}", node.api("GET", &path, Value::Null).await.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    heard.ends(legs);
    heard.stop(browser).await;
}

#[actix_web::test]
async fn after_a_lost_connection_the_page_asks_for_its_call_and_sees_it_end() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    online(&heard, &browser).await;
    let legs = heard.answers(&browser, "Hedy", "1999").await;
    let before = heard.desk.switch.heard("REGISTER");
    heard.desk.switch.cut();
    heard.desk.switch.hears("REGISTER", before + 2).await;
    heard.registers();
    let (mark, new) = heard.is_called(1).await;
    // It is the same call all the time.
    browser.sees("Talking").await;
    let legs = heard.comes_back(legs, &mark, new).await;
    browser.sees("Hedy is back on the line.").await;
    // The other side hangs up while the connection is lost again.
    heard.desk.switch.cut();
    heard.ends(legs);
    browser.sees("The call with Hedy ended while this page was away.").await;
    browser.sees("No call right now.").await;
    heard.stop(browser).await;
}

#[actix_web::test]
async fn a_call_that_ended_meanwhile_or_can_not_be_brought_back_is_said_in_words() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    online(&heard, &browser).await;
    let legs = heard.answers(&browser, "Hedy", "1999").await;
    heard.ends(legs);
    browser.page.refresh().await.unwrap();
    browser.sees("The call with Hedy ended while this page was away.").await;
    browser.sees("No call right now.").await;
    browser.sees(&format!("Calls for {} ring here.", heard.desk.number)).await;
    heard.registers();

    // The other side is in no conversation any more: the page's old leg is ended.
    let legs = heard.answers(&browser, "Joan", "1998").await;
    let parted = json!({ "Bridge-A-Unique-ID": legs.caller, "Bridge-B-Unique-ID": legs.page });
    fires(&heard.socket, "CHANNEL_UNBRIDGE", legs.caller, legs.caller, &parted);
    fires(
        &heard.socket,
        "CHANNEL_HANGUP_COMPLETE",
        legs.caller,
        legs.caller,
        &json!({ "Hangup-Cause": "NORMAL_CLEARING" }),
    );
    browser.page.refresh().await.unwrap();
    browser.sees("Coming back").await;
    let began = Instant::now();
    let kills = format!("uuid_kill {}", legs.page);
    while !heard.socket.has().told.iter().any(|one| one.starts_with(&kills)) {
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", heard.socket.has().told);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fires(
        &heard.socket,
        "CHANNEL_HANGUP_COMPLETE",
        legs.page,
        legs.page,
        &json!({ "Hangup-Cause": "NORMAL_CLEARING" }),
    );
    browser.sees("The call with Joan ended while this page was away.").await;
    heard.stop(browser).await;
}

#[actix_web::test]
async fn a_call_that_no_node_hears_of_ends_with_its_page() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    desk.switch.ring("Hedy", "1999");
    browser.sees("Hedy is calling.").await;
    browser.click("Answer").await;
    browser.sees("You talk with Hedy.").await;
    browser.page.refresh().await.unwrap();
    desk.switch.hears("BYE", 1).await;
    browser.sees(&format!("Calls for {} ring here.", desk.number)).await;
    browser.sees("No call right now.").await;
    desk.stop(vec![browser]).await;
}
