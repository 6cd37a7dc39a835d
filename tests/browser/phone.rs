//! The phone in the browser, at a played switch: every state that it can be in, and how it comes out of it.

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    gallery::{Gallery, pictures},
    harness::Database,
    journeys::{PASSWORD, Site},
    sip::Switch,
};

/// Grace Hopper, an agent with an extension, and her colleague Joan Clarke.
pub struct Desk {
    pub site: Site,
    pub switch: Switch,
    pub number: String,
    pub colleague: String,
}

impl Desk {
    pub async fn new(database: &Database) -> Self {
        let (site, switch) = (Site::start(database).await, Switch::start());
        let owner = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
        let tenant = json!({ "name": "Acme", "domain": "acme.test", "owner": owner });
        let tenant = site.node.api("POST", "/v1/tenants", tenant).await.id();
        let mut numbers = Vec::new();
        for (first, last) in [("Grace", "Hopper"), ("Joan", "Clarke")] {
            let email = format!("{}@acme.test", first.to_lowercase());
            let agent = json!({ "first_name": first, "last_name": last, "email": email });
            let made = site.node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
            assert_eq!(made.status, 201, "{}", made.text());
            numbers.push(made.json()["extensions"][0]["number"].as_str().unwrap().to_owned());
        }
        let contact = json!({ "name": "Katherine Johnson", "company": "Orbit", "numbers": ["+12025550143"] });
        let made = site.node.api("POST", &format!("/v1/contacts?tenant_id={tenant}"), contact).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let colleague = numbers.pop().unwrap();
        let desk = Self { site, switch, number: numbers.pop().unwrap(), colleague };
        let url = desk.switch.url.clone();
        desk.websocket(Some(&url)).await;
        desk
    }

    /// Sets the URL of the cluster's WebSocket.
    async fn websocket(&self, url: Option<&str>) {
        let clusters = self.site.node.api("GET", "/v1/clusters", Value::Null).await.json();
        let path = format!("/v1/clusters/{}", clusters["items"][0]["id"].as_str().unwrap());
        let set = self.site.node.api("PATCH", &path, json!({ "websocket_url": url })).await;
        assert_eq!(set.status, 200, "{}", set.text());
    }

    /// Grace follows the link in her mail, and opens the phone.
    pub async fn sign_in(&self, browser: &Chromium) {
        self.enter(browser, "grace@acme.test").await;
        self.open(browser).await;
    }

    /// Somebody follows the link in their mail, and signs in.
    pub async fn enter(&self, browser: &Chromium, email: &str) {
        browser.page.goto(&self.site.link_for(email).await).await.unwrap();
        browser.fill("password", PASSWORD).await;
        browser.click("Set the password").await;
        browser.sees("Your password is set").await;
        self.site.sign_in(browser, email).await;
        let began = std::time::Instant::now();
        while !browser.page.current_url().await.unwrap().path().starts_with("/app")
            && !browser.text().await.contains("Your account")
        {
            assert!(began.elapsed().as_secs() < 60, "{}", browser.text().await);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub async fn open(&self, browser: &Chromium) {
        browser.page.goto(&format!("{}/app/phone", self.site.url)).await.unwrap();
        browser.sees("Calls don’t ring here.").await;
    }

    pub async fn online(&self, browser: &Chromium) {
        browser.click("Go online").await;
        browser.sees(&format!("Calls for {} ring here.", self.number)).await;
    }

    pub async fn stop(self, browsers: Vec<Chromium>) {
        for browser in browsers {
            browser.stop().await;
        }
        self.switch.stop().await;
        self.site.node.stop().await;
    }
}

pub async fn types(browser: &Chromium, text: &str) {
    let field = browser.page.find(Locator::Id("phone-number")).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// Presses a key where nobody types.
pub async fn presses(browser: &Chromium, key: &str) {
    let script = "document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', { key: arguments[0], bubbles: true }))";
    browser.page.execute(script, vec![key.into()]).await.unwrap();
}

#[actix_web::test]
async fn one_click_takes_calls_in_the_browser_and_every_state_is_said_in_words() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    desk.sign_in(&browser).await;
    gallery.look_around("phone-offline").await;
    desk.online(&browser).await;
    gallery.look_around("phone-ready").await;

    // It rings; she answers, mutes, holds, presses keys, and hangs up.
    let call = desk.switch.ring("Katherine Johnson", "+12025550143");
    browser.sees("Katherine Johnson is calling.").await;
    assert!(browser.page.title().await.unwrap().contains("Katherine Johnson is calling"));
    // Who it is, and what was said before.
    browser.sees("Orbit").await;
    browser.sees("This is the first call.").await;
    gallery.look_around("phone-rings").await;
    browser.click("Answer").await;
    browser.sees("You talk with Katherine Johnson.").await;
    browser.click("Mute").await;
    browser.sees("Nobody hears you.").await;
    gallery.look_around("phone-muted").await;
    browser.click("Mute").await;
    browser.click("Hold").await;
    browser.sees("On hold").await;
    let offer = desk.switch.hears("INVITE sip:played", 1).await;
    assert!(offer.contains("a=sendonly") || offer.contains("a=inactive"), "{offer}");
    browser.click("Hold").await;
    browser.sees("You talk again.").await;
    browser.click("Keypad").await;
    gallery.look_around("phone-keypad").await;

    // A second call waits; she answers it, which holds the first, and swaps.
    desk.switch.ring("", "+4930901820");
    browser.sees("+4930901820").await;
    gallery.look_around("phone-second-rings").await;
    browser.click("Answer").await;
    browser.sees("On hold").await;
    gallery.look_around("phone-two-calls").await;
    browser.click("Swap").await;
    desk.switch.hears("INVITE sip:played", 5).await;
    // Both are connected by a transfer with Replaces.
    browser.click("Connect both").await;
    let refer = desk.switch.hears("REFER ", 1).await;
    assert!(refer.contains("Replaces"), "{refer}");
    assert!(refer.contains(&call) || refer.contains("call"), "{refer}");
    browser.click("Hang up").await;
    browser.sees("has ended").await;
    presses(&browser, "e").await;
    desk.switch.hears("BYE ", 2).await;

    // If nobody takes the transferred call, the page says so.
    let missed = desk.switch.ring("Hedy", "1999");
    browser.sees("Hedy is calling.").await;
    desk.switch.gives_up(&missed);
    browser.sees("You missed a call from Hedy.").await;
    desk.switch.ring("Hedy", "1999");
    browser.sees("Hedy is calling.").await;
    presses(&browser, "r").await;
    desk.switch.hears("SIP/2.0 486", 1).await;

    browser.click("Go offline").await;
    browser.sees("Calls don’t ring here.").await;
    desk.switch.hears("REGISTER", 3).await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_click_on_a_number_is_dialled_by_the_tab_that_has_the_phone() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    let other = browser.page.new_window(true).await.unwrap();
    browser.page.switch_to_window(other.handle).await.unwrap();
    browser.page.goto(&format!("{}/app/contacts", desk.site.url)).await.unwrap();
    browser.sees("Katherine Johnson").await;
    let number = browser.page.find(Locator::Css("a[href='tel:+12025550143']")).await.unwrap();
    browser.click_on(number).await;
    let invite = desk.switch.hears("INVITE ", 1).await;
    assert!(invite.starts_with("INVITE sip:+12025550143@acme.test"), "{invite}");
    let shown = "return document.getElementById('dialling').hidden";
    let shown = browser.page.execute(shown, vec![]).await.unwrap();
    assert_eq!(shown, Value::Bool(true), "no other phone rings");
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_name_or_number_is_called_and_why_a_call_failed_is_said() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    // Colleagues and contacts complete what is typed.
    types(&browser, "kath").await;
    browser.sees("Katherine Johnson").await;
    types(&browser, "jo").await;
    browser.sees("Joan Clarke").await;
    gallery.look_around("phone-completion").await;
    types(&browser, "joan").await;
    let field = browser.page.find(Locator::Id("phone-number")).await.unwrap();
    field.send_keys("\u{e007}").await.unwrap();
    let invite = desk.switch.hears("INVITE ", 1).await;
    assert!(invite.starts_with(&format!("INVITE sip:{}@acme.test", desk.colleague)), "{invite}");
    browser.sees("You talk with Joan Clarke.").await;
    gallery.look_around("phone-talking").await;
    // A transfer without asking.
    browser.click("Transfer").await;
    browser.sees("Transfer Joan Clarke to:").await;
    gallery.look_around("phone-transfer").await;
    types(&browser, "030 901820").await;
    browser.click("Transfer now").await;
    let refer = desk.switch.hears("REFER ", 1).await;
    assert!(refer.contains("Refer-To: <sip:030901820@acme.test>"), "{refer}");
    browser.click("Hang up").await;
    browser.sees("has ended").await;

    for (status, sentence) in [
        (486, "is busy."),
        (404, "Nobody has this number."),
        (480, "did not answer."),
        (403, "A limit may be reached"),
        (488, "no common way to talk"),
        (503, "failed at the switch"),
    ] {
        let number = format!("7{status}");
        desk.switch.calls(&number, status);
        types(&browser, &number).await;
        browser.click("Call").await;
        browser.sees(sentence).await;
    }
    gallery.look_around("phone-failed").await;
    // A call that rings is given up.
    desk.switch.calls("7180", 180);
    types(&browser, "7180").await;
    browser.click("Call").await;
    browser.sees("Ringing").await;
    browser.click("Hang up").await;
    desk.switch.hears("CANCEL ", 1).await;
    browser.click("Redial").await;
    let field = browser.page.find(Locator::Id("phone-number")).await.unwrap();
    assert_eq!(field.prop("value").await.unwrap().as_deref(), Some("7180"));
    // Devices and the level of the microphone.
    let settings = browser.page.find(Locator::Css("[data-part=settings] > summary")).await.unwrap();
    settings.click().await.unwrap();
    browser.sees("Speak: the bar moves.").await;
    gallery.look_around("phone-settings").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_registration_is_tried_again_whatever_happened_to_it() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    desk.sign_in(&browser).await;
    // A switch that still loads answers 503, and one whose limit is reached 403.
    desk.switch.registers(&[503]);
    browser.click("Go online").await;
    browser.sees("Connection lost").await;
    gallery.look_around("phone-lost").await;
    browser.sees("Calls for").await;
    desk.switch.registers(&[403]);
    desk.switch.cut();
    browser.sees("Refused").await;
    gallery.look_around("phone-refused").await;
    browser.sees("Calls for").await;
    // A connection that is open but dead is noticed and replaced.
    let before = desk.switch.connections();
    desk.switch.is_dumb(true);
    let began = std::time::Instant::now();
    while desk.switch.connections() == before {
        assert!(began.elapsed() < std::time::Duration::from_mins(2), "a dead connection is noticed");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    desk.switch.is_dumb(false);
    browser.sees("Calls for").await;
    // A reload comes back by itself.
    browser.page.refresh().await.unwrap();
    browser.sees("Calls for").await;
    let _ = browser.complaints().await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_second_tab_is_told_who_has_the_phone_and_can_take_it_over() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    let first = browser.page.window().await.unwrap();
    let second = browser.page.new_window(true).await.unwrap().handle;
    browser.page.switch_to_window(second.clone()).await.unwrap();
    desk.open(&browser).await;
    browser.click("Go online").await;
    browser.sees("Another tab of this browser has the phone.").await;
    gallery.look_around("phone-elsewhere").await;
    // Not while the other phone is in a call.
    desk.switch.ring("Hedy", "1999");
    desk.switch.hears("SIP/2.0 180", 1).await;
    browser.click("Use it here").await;
    browser.sees("The other tab is in a call.").await;
    browser.page.switch_to_window(first.clone()).await.unwrap();
    browser.click("Reject").await;
    desk.switch.hears("SIP/2.0 486", 1).await;
    browser.page.switch_to_window(second).await.unwrap();
    browser.click("Use it here").await;
    browser.sees(&format!("Calls for {} ring here.", desk.number)).await;
    browser.page.switch_to_window(first).await.unwrap();
    browser.sees("Another tab has taken the phone.").await;
    gallery.look_around("phone-taken").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn without_microphone_address_or_extension_it_is_said_what_helps() {
    let refused = json!({ "profile.default_content_setting_values.media_stream_mic": 2 });
    let Some(browser) = Chromium::start_with(&["--use-fake-device-for-media-stream"], refused).await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    desk.sign_in(&browser).await;
    browser.click("Go online").await;
    browser.sees("The browser does not allow the microphone.").await;
    gallery.look_around("phone-microphone-refused").await;
    let mut findings = std::mem::take(&mut gallery.findings);
    drop(gallery);
    browser.stop().await;

    let browser = Chromium::start_with_microphone().await.unwrap();
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    desk.site.sign_in(&browser, "grace@acme.test").await;
    browser.sees("Your account").await;
    desk.websocket(None).await;
    desk.open(&browser).await;
    browser.click("Go online").await;
    browser.sees("the cluster has no WebSocket URL").await;
    gallery.look_around("phone-not-set-up").await;
    let none = "update extensions set user_id = null where number = $1";
    sqlx::query(none).bind(&desk.number).execute(desk.site.node.app.changes.pool()).await.unwrap();
    browser.page.goto(&format!("{}/app/phone", desk.site.url)).await.unwrap();
    browser.sees("You have no extension").await;
    assert!(browser.page.find(Locator::Css(".side a[href='/app/phone']")).await.is_err(), "nobody is led there");
    gallery.look_around("phone-no-extension").await;
    findings.append(&mut gallery.findings);
    assert!(findings.is_empty(), "{findings:#?}");
    desk.stop(vec![browser]).await;
}
