//! Acting on calls by buttons, beside a played switch: menus, questions, refusals, supervising, click to call, and a switch out of service.

use std::time::Instant;

use fantoccini::Locator;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    chromium::Chromium,
    desk::{Ringing, fires, listens, registers},
    event_socket::EventSocket,
    gallery::{Gallery, company, pictures},
    harness::Database,
    journeys::{ADMIN, PASSWORD, Site},
};

/// The company, its owner Ada with a phone, and an agent with one, beside a switch that is heard.
struct Floor {
    site: Site,
    socket: EventSocket,
    tenant: Uuid,
    /// Ada's phone and number.
    own: (String, String),
    /// The agent's phone, number, name and address.
    agent: (String, String, String, String),
}

impl Floor {
    /// Ada is signed in. The agent serves a queue.
    async fn open(database: &Database, browser: &Chromium) -> Self {
        let site = Site::start(database).await;
        company(&site, browser).await;
        let tenant = site.tenant("acme.test").await;
        let phones = site.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
        let agents = site.node.api("GET", &format!("/v1/admin/agents?tenant_id={tenant}"), Value::Null).await.json();
        let person = |user: &Value| agents["items"].as_array().unwrap().iter().find(|one| one["id"] == *user).cloned();
        let text = |thing: &Value, field: &str| thing[field].as_str().unwrap_or_default().to_owned();
        let phone = |email: &str| {
            let is_theirs = |phone: &&Value| person(&phone["user_id"]).is_some_and(|person| person["email"] == email);
            let found = phones["items"].as_array().unwrap().iter().find(is_theirs);
            found.unwrap_or_else(|| panic!("{email} has no phone: {phones}")).clone()
        };
        let (own, other) = (phones["items"][0].clone(), phone("agent1@acme.test"));
        let tiers = json!([{ "extension_id": other["id"] }]);
        let queue = json!({ "name": "Support", "kind": "queue", "number": "750", "config": { "tiers": tiers } });
        let made = site.node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), queue).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let queue = made.id();
        let socket = EventSocket::open().await;
        {
            let (name, agent) =
                (format!("{}.acme.test", queue.simple()), format!("{}@acme.test", text(&other, "sip_username")));
            let mut has = socket.has();
            has.lists.insert("queue list", vec![json!({ "name": name })]);
            has.lists.insert("tier list", vec![json!({ "queue": name, "agent": agent })]);
            has.lists.insert("agent list", vec![json!({ "name": agent, "status": "Available", "state": "Waiting" })]);
        }
        listens(&site, &socket).await;
        Self {
            own: (text(&own, "sip_username"), text(&own, "number")),
            agent: (
                text(&other, "sip_username"),
                text(&other, "number"),
                text(&other, "display_name"),
                "agent1@acme.test".into(),
            ),
            site,
            socket,
            tenant,
        }
    }

    /// A caller from outside talks with the phone.
    fn talks(&self, phone: &str, number: &str) -> Ringing {
        let call = Ringing::begins(&self.socket, "acme.test", phone, number);
        call.is_answered(&self.socket);
        call
    }

    /// Waits until the switch was told a command that begins so, and returns it.
    async fn told(&self, begins: &str) -> String {
        let since = Instant::now();
        loop {
            let found = self.socket.has().told.iter().position(|command| command.starts_with(begins));
            if let Some(at) = found {
                return self.socket.has().told.remove(at);
            }
            assert!(since.elapsed().as_secs() < 20, "not told {begins}: {:?}", self.socket.has().told);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn settings(&self, patch: Value) {
        let path = format!("/v1/tenants/{}/settings", self.tenant);
        let answer = self.site.node.api("PATCH", &path, patch).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn stop(self, browser: Chromium) {
        browser.stop().await;
        self.site.node.stop().await;
    }
}

async fn goes(browser: &Chromium, site: &Site, path: &str) {
    browser.page.goto(&format!("{}{path}", site.url)).await.unwrap();
}

async fn find(browser: &Chromium, css: &str) -> fantoccini::elements::Element {
    let since = Instant::now();
    loop {
        if let Ok(found) = browser.page.find(Locator::Css(css)).await {
            return found;
        }
        assert!(since.elapsed().as_secs() < 15, "no {css} in {}", browser.text().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn clicks(browser: &Chromium, css: &str) {
    let thing = find(browser, css).await;
    browser.click_on(thing).await;
}

/// Opens the menu of the only call.
async fn opens(browser: &Chromium) {
    clicks(browser, "[data-rows=calls] td.acts summary").await;
    find(browser, "[data-rows=calls] details[open] [data-act=hangup]").await;
}

async fn chooses(browser: &Chromium, act: &str) {
    clicks(browser, &format!("[data-rows=calls] [data-act={act}]")).await;
}

/// What the page has below a selector.
async fn read(browser: &Chromium, script: &str) -> Value {
    browser.page.execute(script, vec![]).await.unwrap()
}

const FOCUS: &str = "return document.activeElement.dataset.act ?? document.activeElement.tagName";
const KEYS: [(&str, &str); 4] =
    [("enter", "\u{e007}"), ("escape", "\u{e00c}"), ("down", "\u{e015}"), ("tab", "\u{e004}")];

async fn presses(browser: &Chromium, name: &str) {
    let (_, key) = KEYS.iter().find(|(known, _)| *known == name).unwrap();
    browser.page.active_element().await.unwrap().send_keys(key).await.unwrap();
}

#[actix_web::test]
async fn a_call_is_held_transferred_and_ended_by_buttons_and_a_refusal_stands_beside_its_row() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let floor = Floor::open(&database, &browser).await;
    let mut gallery = Gallery { browser: &browser, site: &floor.site, pictures: pictures(), findings: Vec::new() };
    browser.size(1440, 900).await;
    goes(&browser, &floor.site, "/app/live").await;
    let call = floor.talks(&floor.agent.0, "+493012345678");
    browser.sees("Talking").await;
    opens(&browser).await;
    browser.sees("Your own phone rings first.").await;
    gallery.look_around("act-menu").await;
    browser.size(1440, 900).await;

    // By the keyboard; an event changes the row below it, and the menu and who stands where stay.
    browser.page.find(Locator::Css("[data-rows=calls] summary")).await.unwrap().send_keys(KEYS[2].1).await.unwrap();
    assert_eq!(read(&browser, FOCUS).await, json!("hold"));
    presses(&browser, "down").await;
    assert_eq!(read(&browser, FOCUS).await, json!("transfer"));
    fires(&floor.socket, "CHANNEL_HOLD", call.b, call.a, &json!({}));
    find(&browser, "[data-rows=calls] details[open] [data-act=resume]").await;
    assert!(browser.page.find(Locator::Css("[data-rows=calls] [data-act=hold]")).await.is_err());
    assert_eq!(read(&browser, FOCUS).await, json!("transfer"), "whoever stands on an entry stays there");
    fires(&floor.socket, "CHANNEL_UNHOLD", call.b, call.a, &json!({}));
    find(&browser, "[data-rows=calls] details[open] [data-act=hold]").await;
    assert_eq!(read(&browser, FOCUS).await, json!("transfer"));

    // It is done when the switch says so.
    chooses(&browser, "hold").await;
    assert_eq!(floor.told("uuid_hold").await, format!("uuid_hold {}", call.b));
    fires(&floor.socket, "CHANNEL_HOLD", call.b, call.a, &json!({}));
    browser.sees("On hold: the other side hears music.").await;
    assert_eq!(read(&browser, FOCUS).await, json!("SUMMARY"), "whoever chose goes on where the menu was");
    // A refusal, in words beside the row and for screen readers.
    floor.socket.has().refuses = Some("uuid_hold");
    opens(&browser).await;
    chooses(&browser, "resume").await;
    browser.sees("The switch refused: not today").await;
    let said = "return [document.getElementById('act-refused').textContent,
        document.querySelector('[data-rows=calls] tr[data-key] + tr.note-row .act-note.bad span').textContent]";
    let said = read(&browser, said).await;
    assert!(said[0].as_str().unwrap().contains("not today") && said[0] == said[1], "{said}");
    gallery.look_around("act-refused").await;
    browser.size(1440, 900).await;
    clicks(&browser, ".note-row [aria-label=Close]").await;
    assert!(browser.page.find(Locator::Css(".note-row")).await.is_err());
    floor.socket.has().refuses = None;
    // The browser logs the statuses of refusals.
    let _ = browser.complaints().await;

    // Where to is completed with colleagues; what can't be dialled is said beside the field.
    opens(&browser).await;
    chooses(&browser, "transfer").await;
    browser.sees("A name or a number, inside or outside.").await;
    let field = browser.page.find(Locator::Id("ask-to-number")).await.unwrap();
    field.send_keys("nobody of this name").await.unwrap();
    presses(&browser, "enter").await;
    browser.sees("must be 1 to 24 digits").await;
    field.clear().await.unwrap();
    field.send_keys(&floor.agent.2[..4]).await.unwrap();
    find(&browser, "#ask-to-hits [role=option]").await;
    browser.sees(&floor.agent.1).await;
    gallery.look_around("act-transfer").await;
    browser.size(1440, 900).await;
    field.send_keys("x").await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(&floor.agent.1).await.unwrap();
    presses(&browser, "enter").await;
    let command = floor.told("uuid_transfer").await;
    assert_eq!(command, format!("uuid_transfer {} -bleg {} XML acme.test", call.b, floor.agent.1));
    let pair = json!({ "Bridge-A-Unique-ID": call.a, "Bridge-B-Unique-ID": call.b });
    fires(&floor.socket, "CHANNEL_UNBRIDGE", call.a, call.a, &pair);
    browser.sees("Transferred.").await;
    fires(&floor.socket, "CHANNEL_BRIDGE", call.a, call.a, &pair);
    let _ = browser.complaints().await;

    opens(&browser).await;
    chooses(&browser, "queue").await;
    browser.sees("Send the call to a queue").await;
    clicks(&browser, "#ask-queue button[value=yes]").await;
    let command = floor.told("uuid_transfer").await;
    assert_eq!(command, format!("uuid_transfer {} -bleg 750 XML acme.test", call.b));
    fires(&floor.socket, "CHANNEL_UNBRIDGE", call.a, call.a, &pair);
    browser.sees("Sent to the queue.").await;
    fires(&floor.socket, "CHANNEL_BRIDGE", call.a, call.a, &pair);

    // Nobody's call ends without a question.
    opens(&browser).await;
    chooses(&browser, "hangup").await;
    browser.sees("It ends for everybody on it, at once.").await;
    gallery.look_around("act-hangup").await;
    browser.size(1440, 900).await;
    presses(&browser, "escape").await;
    assert!(floor.socket.has().told.iter().all(|command| !command.starts_with("uuid_kill")), "nothing was told");
    opens(&browser).await;
    chooses(&browser, "hangup").await;
    clicks(&browser, "#ask-hangup button[value=yes]").await;
    floor.told(&format!("uuid_kill {}", call.a)).await;
    call.ends(&floor.socket);
    browser.sees("Nobody is on the phone right now.").await;
    let since = Instant::now();
    while read(&browser, "return document.getElementById('act-said').textContent").await != "Hung up." {
        assert!(since.elapsed().as_secs() < 15);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    floor.stop(browser).await;
}

#[actix_web::test]
async fn a_third_is_asked_and_joins_a_phone_is_muted_and_keys_are_pressed_by_buttons() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let floor = Floor::open(&database, &browser).await;
    let mut gallery = Gallery { browser: &browser, site: &floor.site, pictures: pictures(), findings: Vec::new() };
    browser.size(1440, 900).await;
    let phones = floor.site.node.api("GET", &format!("/v1/tenants/{}/extensions", floor.tenant), Value::Null).await;
    let text = |phone: &Value, field: &str| phone[field].as_str().unwrap().to_owned();
    let mut others = phones.items().as_array().unwrap().clone();
    others.retain(|phone| ![&floor.own.1, &floor.agent.1].contains(&&text(phone, "number")));
    let (third, number) = (text(&others[0], "sip_username"), text(&others[0], "number"));
    goes(&browser, &floor.site, "/app/live").await;
    let call = floor.talks(&floor.agent.0, "+493012345678");
    browser.sees("Talking").await;

    // What is no key is said beside the field.
    opens(&browser).await;
    chooses(&browser, "dtmf").await;
    browser.sees("the other side hears them").await;
    presses(&browser, "enter").await;
    browser.sees("Say which keys.").await;
    let field = browser.page.find(Locator::Id("ask-keys-keys")).await.unwrap();
    field.send_keys("1x").await.unwrap();
    presses(&browser, "enter").await;
    browser.sees("must be 1 to 40").await;
    gallery.look_around("act-keys").await;
    browser.size(1440, 900).await;
    field.clear().await.unwrap();
    field.send_keys("12 #").await.unwrap();
    presses(&browser, "enter").await;
    assert_eq!(floor.told("uuid_send_dtmf").await, format!("uuid_send_dtmf {} 12#", call.a));
    browser.sees("The keys were pressed.").await;
    let _ = browser.complaints().await;

    let bug = |function: &str| json!({ "Media-Bug-Function": function });
    opens(&browser).await;
    chooses(&browser, "mute").await;
    assert_eq!(floor.told("uuid_audio").await, format!("uuid_audio {} start read mute 1", call.b));
    fires(&floor.socket, "MEDIA_BUG_START", call.b, call.a, &bug("audio"));
    browser.sees("The phone is muted.").await;
    opens(&browser).await;
    chooses(&browser, "unmute").await;
    assert_eq!(floor.told("uuid_audio").await, format!("uuid_audio {} stop", call.b));
    fires(&floor.socket, "MEDIA_BUG_STOP", call.b, call.a, &bug("audio"));
    browser.sees("The phone is heard again.").await;

    opens(&browser).await;
    chooses(&browser, "consult").await;
    browser.sees("Ask somebody first").await;
    browser.page.find(Locator::Id("ask-to-number")).await.unwrap().send_keys(&number).await.unwrap();
    presses(&browser, "enter").await;
    let command = floor.told("uuid_dual_transfer").await;
    assert!(command.starts_with(&format!("uuid_dual_transfer {} {}/XML/acme.test ", call.b, number)), "{command}");
    let pair = json!({ "Bridge-A-Unique-ID": call.a, "Bridge-B-Unique-ID": call.b });
    fires(&floor.socket, "CHANNEL_UNBRIDGE", call.a, call.a, &pair);
    browser.sees("The other side hears music while the phone asks.").await;
    // Whoever is asked answers.
    let asked = Uuid::new_v4();
    let called = json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{}@192.0.2.8", third),
        "Other-Leg-Unique-ID": call.b, "variable_dialplane_taken_by": format!("{}@acme.test", third) });
    fires(&floor.socket, "CHANNEL_CREATE", asked, call.a, &called);
    opens(&browser).await;
    find(&browser, "[data-rows=calls] details[open] [data-act=cancel]").await;
    for gone in ["consult", "complete", "conference"] {
        let css = format!("[data-rows=calls] [data-act={gone}]");
        assert!(browser.page.find(Locator::Css(&css)).await.is_err(), "{gone} while the third rings");
    }
    fires(&floor.socket, "CHANNEL_ANSWER", asked, call.a, &json!({}));
    let pair = json!({ "Bridge-A-Unique-ID": call.b, "Bridge-B-Unique-ID": asked });
    fires(&floor.socket, "CHANNEL_BRIDGE", call.b, call.a, &pair);
    find(&browser, "[data-rows=calls] details[open] [data-act=complete]").await;
    gallery.look_around("act-consulting").await;
    browser.size(1440, 900).await;
    if browser.page.find(Locator::Css("[data-rows=calls] details[open]")).await.is_err() {
        opens(&browser).await;
    }
    chooses(&browser, "conference").await;
    assert_eq!(floor.told("uuid_transfer").await, format!("uuid_transfer {} three_way:{} inline", call.a, call.b));
    fires(&floor.socket, "MEDIA_BUG_START", call.b, call.a, &bug("eavesdrop"));
    browser.sees("All three talk.").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    floor.stop(browser).await;
}

#[actix_web::test]
async fn a_call_that_a_button_ends_leaves_the_list_also_if_it_was_up_before_the_page() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let floor = Floor::open(&database, &browser).await;
    browser.size(1440, 900).await;
    let call = floor.talks(&floor.agent.0, "+493012345678");
    let path = format!("/v1/live/calls?tenant_id={}", floor.tenant);
    while floor.site.node.api("GET", &path, Value::Null).await.json()["items"][0]["state"] != "talking" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    goes(&browser, &floor.site, "/app/live").await;
    browser.sees("Talking").await;
    opens(&browser).await;
    chooses(&browser, "hangup").await;
    clicks(&browser, "#ask-hangup button[value=yes]").await;
    floor.told(&format!("uuid_kill {}", call.a)).await;
    // The first events since somebody looks.
    call.ends(&floor.socket);
    browser.sees("Nobody is on the phone right now.").await;
    let rows = "return document.querySelectorAll('[data-rows=calls] tr').length";
    assert_eq!(read(&browser, rows).await, json!(0));
    // Whoever stands at an old row is told in words.
    let form = format!(
        "const done = arguments[arguments.length - 1]; const body = new URLSearchParams({{ csrf: document.body.dataset.csrf, action: 'hold' }});
         fetch('/app/live/calls/{}/act', {{ method: 'POST', body }}).then(async (answer) => done([answer.status, await answer.json()]))",
        call.a
    );
    let refused = browser.page.execute_async(&form, vec![]).await.unwrap();
    assert_eq!(refused[1]["said"], "The call is over, or it is not yours.", "{refused}");
    let _ = browser.complaints().await;
    floor.stop(browser).await;
}

#[actix_web::test]
async fn a_supervisor_listens_with_one_click_and_is_told_before_and_after_what_it_means() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let floor = Floor::open(&database, &browser).await;
    let mut gallery = Gallery { browser: &browser, site: &floor.site, pictures: pictures(), findings: Vec::new() };
    browser.size(1440, 900).await;
    goes(&browser, &floor.site, "/app/live").await;
    browser.sees("Support").await;
    let call = floor.talks(&floor.agent.0, "+493012345678");
    // Beside the agent who is in the call.
    let listen = "[data-rows=agents] [data-act=listen]";
    find(&browser, listen).await;
    browser.sees("Listen: nobody hears you.").await;
    browser.sees("Nobody on the call is told.").await;
    clicks(&browser, listen).await;
    browser.sees(&format!("No phone of {} is registered at the switch that has the call.", floor.own.1)).await;
    find(&browser, "[data-rows=agents] tr.note-row .bad").await;
    let _ = browser.complaints().await;
    registers(&floor.socket, &floor.own.0);
    let phones = format!("/v1/live/registrations?tenant_id={}", floor.tenant);
    while floor.site.node.api("GET", &phones, Value::Null).await.json()["items"].as_array().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    clicks(&browser, "[data-rows=agents] [data-act=whisper]").await;
    let command = floor.told("originate").await;
    let job = command.split("origination_uuid=").nth(1).unwrap().split(',').next().unwrap().parse::<Uuid>().unwrap();
    assert!(command.contains(&format!("user/{}@acme.test", floor.own.0)), "{command}");
    browser.sees("Your phone is called.").await;
    let own = json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{}@192.0.2.7", floor.own.0),
        "variable_dialplane_taken_by": format!("{}@acme.test", floor.own.0) });
    fires(&floor.socket, "CHANNEL_CREATE", job, job, &own);
    browser.sees("Your phone rings: answer it.").await;
    gallery.look_around("act-supervise").await;
    browser.size(1440, 900).await;
    fires(&floor.socket, "CHANNEL_ANSWER", job, job, &own);
    browser.sees("You are being connected to the call.").await;
    fires(&floor.socket, "CHANNEL_HANGUP_COMPLETE", job, job, &json!({ "Hangup-Cause": "NORMAL_CLEARING" }));
    browser.sees("It is over.").await;

    // The caller is taken over: they go to the supervisor's own number.
    clicks(&browser, "[data-rows=agents] [data-act=take_over]").await;
    let command = floor.told("uuid_transfer").await;
    assert_eq!(command, format!("uuid_transfer {} -bleg {} XML acme.test", call.b, floor.own.1));
    let pair = json!({ "Bridge-A-Unique-ID": call.a, "Bridge-B-Unique-ID": call.b });
    fires(&floor.socket, "CHANNEL_UNBRIDGE", call.a, call.a, &pair);
    browser.sees("Transferred.").await;
    fires(&floor.socket, "CHANNEL_BRIDGE", call.a, call.a, &pair);

    // What the company wants is said before.
    floor.settings(json!({ "calling": { "supervision": "announced" } })).await;
    goes(&browser, &floor.site, "/app/live").await;
    browser.sees("Both sides hear a tone first").await;
    find(&browser, "[data-rows=agents] [data-act=barge]").await;
    floor.settings(json!({ "calling": { "supervision": "forbidden" } })).await;
    // The page was opened before: the API still refuses, in words.
    clicks(&browser, "[data-rows=agents] [data-act=barge]").await;
    find(&browser, "[data-rows=agents] tr.note-row .bad").await;
    browser.sees("Your company does not want calls to be listened to.").await;
    goes(&browser, &floor.site, "/app/live").await;
    browser.sees("Your company does not want calls to be listened to.").await;
    find(&browser, "[data-rows=agents] [data-act=take_over]").await;
    assert!(browser.page.find(Locator::Css("[data-act=listen]")).await.is_err(), "nothing to press in vain");
    let _ = browser.complaints().await;

    // The page of the call while it goes on.
    goes(&browser, &floor.site, &format!("/app/calls/{}", call.a)).await;
    browser.sees("Call going on").await;
    find(&browser, ".act-bar [data-act=transfer]").await;
    gallery.look_around("call-now").await;
    browser.size(1440, 900).await;
    // What is written about it is there when the page is opened again.
    browser.fill("notes", "Wants a lamp.").await;
    browser.click("Save").await;
    browser.sees("Call going on").await;
    let written = "return document.getElementById('notes').value";
    assert_eq!(browser.page.execute(written, vec![]).await.unwrap(), json!("Wants a lamp."));
    clicks(&browser, ".act-bar [data-act=hold]").await;
    floor.told("uuid_hold").await;
    fires(&floor.socket, "CHANNEL_HOLD", call.b, call.a, &json!({}));
    browser.sees("On hold: the other side hears music.").await;
    find(&browser, ".act-bar [data-act=resume]").await;
    goes(&browser, &floor.site, "/language/de").await;
    goes(&browser, &floor.site, &format!("/app/calls/{}", call.a)).await;
    browser.sees("Zurückholen").await;
    gallery.look_around("call-now-german").await;
    call.ends(&floor.socket);
    browser.sees("Der Anruf ist vorbei.").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    floor.stop(browser).await;
}

#[actix_web::test]
async fn an_agent_has_buttons_at_own_calls_only() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let floor = Floor::open(&database, &browser).await;
    let mut gallery = Gallery { browser: &browser, site: &floor.site, pictures: pictures(), findings: Vec::new() };
    let others = floor.talks(&floor.own.0, "+442079460958");
    let own = floor.talks(&floor.agent.0, "+493012345678");
    floor.settings(json!({ "features": { "call_recording": true } })).await;
    browser.click("Sign out").await;
    goes(&browser, &floor.site, floor.site.link_for(&floor.agent.3).await.strip_prefix(&floor.site.url).unwrap()).await;
    browser.fill("password", PASSWORD).await;
    browser.click("Set the password").await;
    browser.sees("Your password is set").await;
    floor.site.sign_in(&browser, &floor.agent.3).await;
    browser.sees("Your account").await;
    browser.size(1440, 900).await;
    goes(&browser, &floor.site, "/app/live").await;
    browser.sees("Talking").await;
    let shown = browser.text().await;
    assert!(!shown.contains("+44\u{a0}207") && !shown.contains("Parked calls"), "{shown}");
    opens(&browser).await;
    for act in ["hold", "transfer", "voicemail", "park", "record", "hangup"] {
        find(&browser, &format!("[data-rows=calls] [data-act={act}]")).await;
    }
    for act in ["listen", "whisper", "barge", "take_over", "queue"] {
        assert!(browser.page.find(Locator::Css(&format!("[data-act={act}]"))).await.is_err(), "{act}");
    }
    gallery.look_around("act-agent").await;
    browser.size(1440, 900).await;
    // The page was opened before recordings were switched off: the API refuses, in words. A new page does not offer them.
    floor.settings(json!({ "features": { "call_recording": false } })).await;
    chooses(&browser, "record").await;
    browser.sees("Your company does not use recordings.").await;
    find(&browser, "[data-rows=calls] tr.note-row .bad").await;
    let _ = browser.complaints().await;
    goes(&browser, &floor.site, "/app/live").await;
    browser.sees("Talking").await;
    opens(&browser).await;
    assert!(browser.page.find(Locator::Css("[data-act=record]")).await.is_err(), "nothing to press in vain");
    // Their own leg ends, not the caller's.
    chooses(&browser, "hangup").await;
    browser.sees("You leave the call.").await;
    clicks(&browser, "#ask-hangup button[value=yes]").await;
    assert_eq!(floor.told("uuid_kill").await, format!("uuid_kill {} NORMAL_CLEARING", own.b));
    own.ends(&floor.socket);
    browser.sees("Nobody is on the phone right now.").await;
    // Others' calls are not there for them, by their pages or by a form.
    goes(&browser, &floor.site, &format!("/app/calls/{}", others.a)).await;
    browser.sees("Not found").await;
    let form = format!(
        "const done = arguments[arguments.length - 1]; const body = new URLSearchParams({{ csrf: document.body.dataset.csrf, action: 'hangup' }});
         fetch('/app/live/calls/{}/act', {{ method: 'POST', body }}).then(async (answer) => done([answer.status, await answer.json()]))",
        others.a
    );
    let refused = browser.page.execute_async(&form, vec![]).await.unwrap();
    assert_eq!((&refused[0], &refused[1]["code"]), (&json!(404), &json!("call_gone")), "{refused}");
    assert!(floor.socket.has().told.iter().all(|command| !command.starts_with("uuid_kill")));
    let _ = browser.complaints().await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    floor.stop(browser).await;
}

#[actix_web::test]
async fn a_click_on_a_number_has_ones_own_phone_call_it_and_says_how_far_it_is() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let floor = Floor::open(&database, &browser).await;
    let mut gallery = Gallery { browser: &browser, site: &floor.site, pictures: pictures(), findings: Vec::new() };
    let contact =
        json!({ "name": "Katherine Johnson", "company": "Orbit", "numbers": ["+12025550143", "+4930901820"] });
    let made = floor.site.node.api("POST", &format!("/v1/contacts?tenant_id={}", floor.tenant), contact).await;
    assert_eq!(made.status, 201, "{}", made.text());
    gallery.show("contacts-called", "/app/contacts").await;
    browser.size(1440, 900).await;
    goes(&browser, &floor.site, "/app/contacts").await;
    clicks(&browser, "a[href='tel:+12025550143']").await;
    browser.sees(&format!("No phone of the extension {} is registered.", floor.own.1)).await;
    browser.sees("Call in the browser").await;
    gallery.look_around("dial-refused").await;
    browser.size(1440, 900).await;
    let _ = browser.complaints().await;
    registers(&floor.socket, &floor.own.0);
    let phones = format!("/v1/live/registrations?tenant_id={}", floor.tenant);
    while floor.site.node.api("GET", &phones, Value::Null).await.json()["items"].as_array().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Also at the page of one, at agents and at their extensions.
    goes(&browser, &floor.site, &format!("/app/contacts/{}", made.id())).await;
    find(&browser, ".row-actions a[href='tel:+4930901820']").await;
    goes(&browser, &floor.site, "/app/extensions").await;
    find(&browser, &format!(".menu a[href='tel:{}']", floor.agent.1)).await;
    goes(&browser, &floor.site, "/app/agents").await;
    clicks(&browser, &format!("a[href='tel:{}']", floor.agent.1)).await;
    let command = floor.told("originate").await;
    let job = command.split("origination_uuid=").nth(1).unwrap().split(',').next().unwrap().parse::<Uuid>().unwrap();
    assert!(command.contains(&format!("user/{}@acme.test", floor.own.0)), "{command}");
    browser.sees("Your phone is called.").await;
    let own = json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{}@192.0.2.7", floor.own.0),
        "variable_dialplane_taken_by": format!("{}@acme.test", floor.own.0), "variable_dialplane_places": floor.agent.1 });
    fires(&floor.socket, "CHANNEL_CREATE", job, job, &own);
    browser.sees("Your phone rings: answer it.").await;
    gallery.look_around("dial-rings").await;
    browser.size(1440, 900).await;
    // On the next page, too.
    goes(&browser, &floor.site, "/app/contacts").await;
    browser.sees("Your phone rings: answer it.").await;
    fires(&floor.socket, "CHANNEL_ANSWER", job, job, &own);
    browser.sees("You have answered.").await;
    let other = Uuid::new_v4();
    let called = json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{}@192.0.2.8", floor.agent.0),
        "Other-Leg-Unique-ID": job, "variable_dialplane_taken_by": format!("{}@acme.test", floor.agent.0) });
    fires(&floor.socket, "CHANNEL_CREATE", other, job, &called);
    fires(&floor.socket, "CHANNEL_ANSWER", other, job, &called);
    fires(
        &floor.socket,
        "CHANNEL_BRIDGE",
        job,
        job,
        &json!({ "Bridge-A-Unique-ID": job, "Bridge-B-Unique-ID": other }),
    );
    browser.sees("Connected.").await;
    clicks(&browser, "#dialling [data-part=hangup]").await;
    floor.told(&format!("uuid_kill {job}")).await;
    for leg in [other, job] {
        fires(&floor.socket, "CHANNEL_HANGUP_COMPLETE", leg, leg, &json!({ "Hangup-Cause": "USER_BUSY" }));
    }
    browser.sees("It is over: busy.").await;
    clicks(&browser, "#dialling [data-part=close]").await;
    goes(&browser, &floor.site, "/app/contacts").await;
    let shown = read(&browser, "return document.getElementById('dialling').hidden").await;
    assert_eq!(shown, json!(true));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    floor.stop(browser).await;
}

#[actix_web::test]
async fn a_switch_is_taken_out_of_service_by_a_page_that_counts_the_calls_that_are_left() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let floor = Floor::open(&database, &browser).await;
    let mut gallery = Gallery { browser: &browser, site: &floor.site, pictures: pictures(), findings: Vec::new() };
    let call = floor.talks(&floor.agent.0, "+493012345678");
    browser.click("Sign out").await;
    floor.site.sign_in(&browser, ADMIN).await;
    browser.sees("Clusters").await;
    gallery.show("clusters-with-calls", "/platform/clusters").await;
    browser.size(1440, 900).await;
    goes(&browser, &floor.site, "/platform/clusters").await;
    clicks(&browser, "a[href$='/service']").await;
    browser.sees("Take this switch out of service?").await;
    browser.sees("Calls that are up: 1").await;
    gallery.look_around("switch-in-service").await;
    browser.size(1440, 900).await;
    browser.click("Take out of service").await;
    browser.sees("The switch is out of service.").await;
    let switches = floor.site.node.api("GET", "/v1/switches", Value::Null).await.json();
    assert!(switches["items"][0]["draining_since"].is_string(), "{switches}");
    browser.sees("Calls that are up: 1").await;
    gallery.look_around("switch-out-of-service").await;
    browser.size(1440, 900).await;
    call.ends(&floor.socket);
    browser.sees("No call is up: it can be stopped.").await;
    browser.click("Put back into service").await;
    browser.sees("The switch is in service again.").await;
    let switches = floor.site.node.api("GET", "/v1/switches", Value::Null).await.json();
    assert!(switches["items"][0]["draining_since"].is_null(), "{switches}");
    // On the platform's own page, a call of any tenant is ended.
    let call = floor.talks(&floor.agent.0, "+493012345678");
    goes(&browser, &floor.site, "/platform/live").await;
    browser.sees("Talking").await;
    opens(&browser).await;
    chooses(&browser, "hangup").await;
    clicks(&browser, "#ask-hangup button[value=yes]").await;
    floor.told(&format!("uuid_kill {}", call.a)).await;
    call.ends(&floor.socket);
    browser.sees("Nobody is on the phone right now.").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    floor.stop(browser).await;
}
