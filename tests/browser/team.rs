//! Work in a team at the phone in the browser: queues, scripts, recording, the caller's page in another system, messages and notices.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    chromium::Chromium,
    desk::{fires, now},
    gallery::{Gallery, pictures},
    harness::Database,
    phone::Desk,
    phone_returns::{Heard, Legs, online},
};

/// Waits until a part of the page says this.
async fn says(browser: &Chromium, part: &str, wanted: &str) {
    let began = Instant::now();
    loop {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = browser.page.execute(script, vec![json!(part)]).await.unwrap();
        if text.as_str().is_some_and(|text| text.contains(wanted)) {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{part} is to say {wanted}: {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Keeps what the page says, which fades after some seconds.
async fn keeps_what_is_said(browser: &Chromium) {
    let script = "window.allSaid = []; const place = document.querySelector('[data-part=said]');
        new MutationObserver(() => window.allSaid.push(place.textContent)).observe(place, { childList: true, characterData: true, subtree: true });";
    browser.page.execute(script, vec![]).await.unwrap();
}

/// Waits until the page has said this, once more than `before`.
async fn said(browser: &Chromium, text: &str, times: usize) {
    let began = Instant::now();
    loop {
        let all = browser.page.execute("return window.allSaid", vec![]).await.unwrap();
        let count =
            all.as_array().unwrap().iter().filter(|one| one.as_str().is_some_and(|one| one.contains(text))).count();
        if count >= times {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{text}: {all}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn click(browser: &Chromium, part: &str) {
    let thing = browser.page.find(Locator::Css(part)).await.unwrap();
    browser.click_on(thing).await;
}

async fn types(browser: &Chromium, part: &str, text: &str) {
    let field = browser.page.find(Locator::Css(part)).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

impl Heard {
    /// A queue that Grace serves, as the switch has it. Returns its ID.
    async fn queue(&self, config: Value) -> Uuid {
        let node = &self.desk.site.node;
        let tenant = self.desk.site.tenant("acme.test").await;
        let all = node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
        let own = all["items"].as_array().unwrap().iter().find(|one| one["number"] == self.desk.number.as_str());
        let mut whole = json!({ "tiers": [{ "extension_id": own.unwrap()["id"] }] });
        whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let queue = json!({ "name": "Support", "number": "500", "kind": "queue", "config": whole });
        let made = node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), queue).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.id();
        let (name, agent) = (format!("{}.acme.test", id.simple()), format!("{}@acme.test", self.phone));
        let mut has = self.socket.has();
        has.lists.insert("queue list", vec![json!({ "name": name })]);
        has.lists.insert("tier list", vec![json!({ "queue": name, "agent": agent })]);
        has.lists.insert("agent list", vec![json!({ "name": agent, "status": "Available", "state": "Waiting" })]);
        drop(has);
        // Another core means that the switch has restarted: its lists are read again.
        for core in ["b", "a"] {
            self.socket.fires(&json!({ "Event-Name": "HEARTBEAT", "Core-UUID": core }));
        }
        id
    }

    fn waits(&self, queue: Uuid, caller: Uuid, number: &str) {
        let joins = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "member-queue-start",
            "CC-Queue": format!("{}.acme.test", queue.simple()), "CC-Member-UUID": Uuid::new_v4(), "CC-Member-Session-UUID": caller,
            "CC-Member-CID-Number": number, "CC-Member-CID-Name": number, "Core-UUID": "a", "Event-Date-Timestamp": now().to_string() });
        self.socket.fires(&joins);
    }

    /// A call rings at her page as the switch tells of it, before she answers.
    async fn rings(&self, browser: &Chromium, name: &str, number: &str, queue: Option<Uuid>) -> Legs {
        let dialog = self.desk.switch.ring(name, number);
        browser.sees(&format!("{name} is calling.")).await;
        let legs = Legs { caller: Uuid::new_v4(), page: Uuid::new_v4() };
        let mut caller = json!({ "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test",
            "Caller-Caller-ID-Number": number, "Caller-Destination-Number": "+12025550123", "Caller-Context": "public" });
        let mut own = self.own(&dialog);
        own["Other-Leg-Unique-ID"] = json!(legs.caller);
        if let Some(queue) = queue {
            let name = json!(format!("{}.acme.test", queue.simple()));
            caller["variable_cc_queue"] = name.clone();
            own["variable_cc_queue"] = name;
            own["variable_cc_side"] = json!("agent");
        }
        fires(&self.socket, "CHANNEL_CREATE", legs.caller, legs.caller, &caller);
        fires(&self.socket, "CHANNEL_CREATE", legs.page, legs.caller, &own);
        legs
    }

    fn is_answered(&self, legs: Legs) {
        fires(&self.socket, "CHANNEL_ANSWER", legs.page, legs.caller, &json!({}));
        fires(&self.socket, "CHANNEL_ANSWER", legs.caller, legs.caller, &json!({}));
        let bridge = json!({ "Bridge-A-Unique-ID": legs.caller, "Bridge-B-Unique-ID": legs.page });
        fires(&self.socket, "CHANNEL_BRIDGE", legs.caller, legs.caller, &bridge);
    }

    /// Waits until the switch was told this.
    async fn is_told(&self, what: &str) {
        let began = Instant::now();
        while !self.socket.has().told.iter().any(|one| one.starts_with(what)) {
            assert!(began.elapsed() < Duration::from_mins(1), "{:?}", self.socket.has().told);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[actix_web::test]
async fn the_desk_shows_who_waits_in_the_queues_that_one_serves() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    heard.desk.sign_in(&browser).await;
    // Without a queue, there is nothing of queues.
    let part = browser.page.find(Locator::Css("[data-part=queues-part]")).await.unwrap();
    assert!(!part.is_displayed().await.unwrap());
    let queue = heard.queue(json!({})).await;
    browser.page.refresh().await.unwrap();
    says(&browser, "[data-part=queues]", "Support").await;
    says(&browser, "[data-part=queues]", "no call yet today").await;
    says(&browser, "[data-part=queues] .waits", "0").await;
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    heard.waits(queue, one, "+12025550143");
    says(&browser, "[data-part=queues] .waits", "1").await;
    heard.waits(queue, other, "+12025550144");
    says(&browser, "[data-part=queues] .waits.some", "2").await;
    // The longest wait goes on by itself.
    says(&browser, "[data-longest]", "00:0").await;
    says(&browser, "[data-longest]", "00:02").await;
    let mut gallery = Gallery { browser: &browser, site: &heard.desk.site, pictures: pictures(), findings: Vec::new() };
    gallery.look_around("phone-queues").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    let leaves = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "member-queue-end", "CC-Cause": "Cancel",
        "CC-Queue": format!("{}.acme.test", queue.simple()), "CC-Member-Session-UUID": one, "Core-UUID": "a", "Event-Date-Timestamp": now().to_string() });
    heard.socket.fires(&leaves);
    says(&browser, "[data-part=queues] .waits.some", "1").await;
    heard.stop(browser).await;
}

#[actix_web::test]
async fn a_queues_script_is_there_at_the_ring_and_the_callers_page_elsewhere_is_one_click_away() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    let node = &heard.desk.site.node;
    let tenant = heard.desk.site.tenant("acme.test").await;
    let path = format!("/v1/tenants/{tenant}/settings");
    let page = "https://crm.example.com/search?phone={number}&name={name}&id={external_id}";
    let set = node.api("PATCH", &path, json!({ "agents": { "caller_page": page } })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    for wrong in ["http://crm.example.com/{number}", "javascript:alert(1)", "https://crm.example.com/{secret}"] {
        let refused = node.api("PATCH", &path, json!({ "agents": { "caller_page": wrong } })).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text());
    }
    let contact = json!({ "name": "Mary & \"Co\" Jackson", "numbers": ["+12025550144"], "external_id": "c/4 2" });
    let made = node.api("POST", &format!("/v1/contacts?tenant_id={tenant}"), contact).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let script = "1. Say <b>hello</b>.\n2. Ask for the order's number.";
    let queue = heard.queue(json!({ "script": script })).await;
    online(&heard, &browser).await;

    let legs = heard.rings(&browser, "Mary", "+12025550144", Some(queue)).await;
    says(&browser, "[data-part=script]", "Script: Support").await;
    says(&browser, "[data-part=script-text]", script).await;
    browser.sees("Mary & \"Co\" Jackson").await;
    let link = browser.page.find(Locator::LinkText("Open in the CRM")).await.unwrap();
    let href = link.attr("href").await.unwrap().unwrap();
    let wanted =
        "https://crm.example.com/search?phone=%2B12025550144&name=Mary%20%26%20%22Co%22%20Jackson&id=c%2F4%202";
    assert_eq!(href, wanted);
    assert_eq!(link.attr("rel").await.unwrap().as_deref(), Some("noopener noreferrer"));
    assert_eq!(link.attr("target").await.unwrap().as_deref(), Some("_blank"));
    browser.size(1440, 900).await;
    // The name stands in one line, also on a wide screen.
    let high = "return document.querySelector('article.call h2').getBoundingClientRect().height";
    assert!(browser.page.execute(high, vec![]).await.unwrap().as_f64().unwrap() < 50.0);
    // It stays while they talk.
    browser.click("Answer").await;
    heard.is_answered(legs);
    browser.sees("Talking").await;
    says(&browser, "[data-part=script-text]", script).await;
    let mut gallery = Gallery { browser: &browser, site: &heard.desk.site, pictures: pictures(), findings: Vec::new() };
    gallery.look_around("phone-script").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    heard.ends(legs);
    browser.click("Hang up").await;
    browser.sees("No call right now.").await;
    // The next call is of no queue.
    let legs = heard.rings(&browser, "Hedy", "1999", None).await;
    browser.sees("Hedy is calling.").await;
    let script = browser.page.find(Locator::Css("[data-part=script]")).await.unwrap();
    assert!(!script.is_displayed().await.unwrap());
    heard.ends(legs);
    heard.stop(browser).await;
}

#[actix_web::test]
async fn a_recording_is_begun_paused_and_ended_from_the_phone_where_the_company_records() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    let tenant = heard.desk.site.tenant("acme.test").await;
    let path = format!("/v1/tenants/{tenant}/settings");
    let records = async |is_on: bool| {
        let settings = json!({ "features": { "call_recording": is_on } });
        assert_eq!(heard.desk.site.node.api("PATCH", &path, settings).await.status, 200);
    };
    records(false).await;
    online(&heard, &browser).await;
    let legs = heard.answers(&browser, "Hedy", "1999").await;
    assert!(browser.page.find(Locator::Css("[data-act=record]")).await.is_err(), "the company does not record");
    heard.ends(legs);
    browser.click("Hang up").await;
    browser.sees("No call right now.").await;
    records(true).await;
    browser.page.refresh().await.unwrap();
    browser.sees(&format!("Calls for {} ring here.", heard.desk.number)).await;
    heard.registers();
    keeps_what_is_said(&browser).await;

    let legs = heard.answers(&browser, "Hedy", "1999").await;
    browser.page.wait().for_element(Locator::Css("[data-act=record]")).await.unwrap();
    click(&browser, "[data-act=record]").await;
    heard.is_told(&format!("uuid_record {} start ", legs.page)).await;
    let file = format!("recordings/{}-1790000000.wav", legs.page);
    fires(&heard.socket, "RECORD_START", legs.page, legs.caller, &json!({ "Record-File-Path": file }));
    said(&browser, "This call is recorded.", 1).await;
    let button = async |act: &str| {
        let script = "return document.querySelector(`[data-act=${arguments[0]}]`)?.ariaPressed ?? null";
        browser.page.execute(script, vec![json!(act)]).await.unwrap()
    };
    let becomes = async |act: &str, wanted: Value| {
        let began = Instant::now();
        while button(act).await != wanted {
            assert!(began.elapsed() < Duration::from_mins(1), "{act} is not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    becomes("record", json!("true")).await;
    becomes("pause_recording", json!("false")).await;
    click(&browser, "[data-act=pause_recording]").await;
    heard.is_told(&format!("uuid_record {} mask ", legs.page)).await;
    said(&browser, "The recording is paused.", 1).await;
    becomes("pause_recording", json!("true")).await;
    let mut gallery = Gallery { browser: &browser, site: &heard.desk.site, pictures: pictures(), findings: Vec::new() };
    gallery.look_around("phone-recorded").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    click(&browser, "[data-act=pause_recording]").await;
    heard.is_told(&format!("uuid_record {} unmask ", legs.page)).await;
    becomes("pause_recording", json!("false")).await;
    click(&browser, "[data-act=record]").await;
    heard.is_told(&format!("uuid_record {} stop ", legs.page)).await;
    fires(&heard.socket, "RECORD_STOP", legs.page, legs.caller, &json!({ "Record-File-Path": file }));
    said(&browser, "This call is not recorded any more.", 1).await;
    becomes("record", json!("false")).await;
    becomes("pause_recording", Value::Null).await;

    // One that a policy began may be paused, and not ended by an agent.
    let file = format!("recordings/{}.wav", legs.page);
    fires(&heard.socket, "RECORD_START", legs.page, legs.caller, &json!({ "Record-File-Path": file }));
    becomes("record", json!("true")).await;
    click(&browser, "[data-act=record]").await;
    said(&browser, "only a manager can stop it", 1).await;
    assert_eq!(button("record").await, json!("true"));
    heard.ends(legs);
    heard.stop(browser).await;
}

#[actix_web::test]
async fn colleagues_write_to_each_other_and_what_they_write_is_shown_as_text() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let Some(second) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    desk.enter(&second, "joan@acme.test").await;
    second.page.goto(&format!("{}/app/phone", desk.site.url)).await.unwrap();
    second.sees("No messages yet.").await;

    let evil = "<img src=x onerror=\"window.hacked = 1\"><script>window.hacked = 2</script> javascript:alert(1)";
    types(&browser, "[data-part=chat-find]", "joan").await;
    browser.page.wait().for_element(Locator::Css("[data-part=chat-people] button")).await.unwrap();
    click(&browser, "[data-part=chat-people] button").await;
    says(&browser, "[data-part=chat-name]", "Joan Clarke").await;
    types(&browser, "[data-part=chat-text]", evil).await;
    click(&browser, "[data-part=chat-send]").await;
    says(&browser, "[data-part=chat-log] .own", evil).await;

    // Joan is told, and sees that something is new, before she opens it.
    second.sees("New message from Grace Hopper.").await;
    says(&second, "[data-part=chat-unread]", "1 new").await;
    says(&second, "[data-part=chat-people]", "<img src=x onerror=").await;
    let mut gallery = Gallery { browser: &second, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    gallery.look_around("phone-messages").await;
    click(&second, "[data-part=chat-people] button").await;
    says(&second, "[data-part=chat-log]", evil).await;
    for one in [&browser, &second] {
        assert_eq!(one.page.execute("return window.hacked ?? null", vec![]).await.unwrap(), Value::Null);
        let made = "return document.querySelectorAll('.chat img, .chat script, .chat a').length";
        assert_eq!(one.page.execute(made, vec![]).await.unwrap(), json!(0));
    }
    let badge = second.page.find(Locator::Css("[data-part=chat-unread]")).await.unwrap();
    let began = Instant::now();
    while badge.is_displayed().await.unwrap() {
        assert!(began.elapsed() < Duration::from_secs(30), "it is still new");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // She answers with the keyboard, and it comes at once.
    types(&second, "[data-part=chat-text]", "Nice try.\u{e007}").await;
    says(&second, "[data-part=chat-log] .own", "Nice try.").await;
    says(&browser, "[data-part=chat-log]", "Nice try.").await;
    gallery.look_around("phone-conversation").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    // It is there again after a reload, and counts as seen.
    browser.page.refresh().await.unwrap();
    says(&browser, "[data-part=chat-people]", "Nice try.").await;
    let badge = browser.page.find(Locator::Css("[data-part=chat-unread]")).await.unwrap();
    assert!(!badge.is_displayed().await.unwrap());
    // What can't be sent is said, and stays in the field.
    second.page.execute("document.querySelector('[data-part=chat-text]').maxLength = 5000", vec![]).await.unwrap();
    let long = "arguments[0].value = 'x'.repeat(2001)";
    let field = second.page.find(Locator::Css("[data-part=chat-text]")).await.unwrap();
    second.page.execute(long, vec![serde_json::to_value(&field).unwrap()]).await.unwrap();
    click(&second, "[data-part=chat-send]").await;
    says(&second, "[data-part=chat-error]", "2000").await;
    desk.stop(vec![browser, second]).await;
}

#[actix_web::test]
async fn a_supervisor_tells_the_team_something_and_it_is_on_their_desks() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let Some(second) = Chromium::start_with_microphone().await else { return };
    let Some(boss) = Chromium::start().await else { return };
    let database = Database::new().await;
    let heard = Heard::new(&database).await;
    let desk = &heard.desk;
    heard.queue(json!({})).await;
    desk.sign_in(&browser).await;
    desk.enter(&second, "joan@acme.test").await;
    second.page.goto(&format!("{}/app/phone", desk.site.url)).await.unwrap();
    second.sees("No messages yet.").await;
    browser.sees("No messages yet.").await;
    desk.enter(&boss, "ada@acme.test").await;
    boss.size(1440, 900).await;
    boss.page.goto(&format!("{}/app/live", desk.site.url)).await.unwrap();
    let tells = async |to: &str, text: &str| {
        boss.click("Message to the team").await;
        let choice = format!(
            "const field = document.getElementById('ask-notice-to'); field.value = [...field.options].find((one) => one.text === {}).value",
            json!(to)
        );
        boss.page.execute(&choice, vec![]).await.unwrap();
        types(&boss, "#ask-notice-text", text).await;
        click(&boss, "#ask-notice [data-part=yes]").await;
        boss.sees("The message was sent.").await;
    };
    boss.sees("Nobody is on the phone right now.").await;
    boss.click("Message to the team").await;
    let mut gallery = Gallery { browser: &boss, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    gallery.look_around("live-notice").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    // Nothing is no message.
    click(&boss, "#ask-notice [data-part=yes]").await;
    says(&boss, "#ask-notice [data-part=error]", "must not be empty").await;
    click(&boss, "#ask-notice [data-part=no]").await;
    boss.size(1440, 900).await;
    tells("Everybody", "The fire drill is at <b>three</b>.").await;
    says(&browser, "[data-part=notices]", "The fire drill is at <b>three</b>.").await;
    says(&second, "[data-part=notices]", "The fire drill is at <b>three</b>.").await;
    says(&second, "[data-part=notices]", "to the team").await;
    tells("Agents of Support", "The line is long.").await;
    says(&browser, "[data-part=notices]", "The line is long.").await;
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    gallery.look_around("phone-notices").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    // It is gone when it is closed, also after a reload. What was not closed is there again.
    browser.size(1440, 900).await;
    click(&browser, "[data-notice]:first-child button").await;
    browser.page.refresh().await.unwrap();
    says(&browser, "[data-part=notices]", "The fire drill").await;
    let text = browser.text().await;
    assert!(!text.contains("The line is long."), "{text}");
    // Joan does not serve that queue.
    second.page.refresh().await.unwrap();
    says(&second, "[data-part=notices]", "The fire drill").await;
    assert!(!second.text().await.contains("The line is long."));
    browser.stop().await;
    second.stop().await;
    heard.stop(boss).await;
}
