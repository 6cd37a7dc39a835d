//! What happens to the microphone and to the notes of calls of the phone in the browser.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    chromium::Chromium,
    harness::{Database, send},
    phone::Desk,
};

/// Keeps what the page opens: tracks of the microphone, and connections.
async fn watches(browser: &Chromium) {
    let script = "window.opened = []; window.connections = [];
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            if (window.refuses) throw new DOMException('', 'NotAllowedError');
            const stream = await ask(wanted);
            window.opened.push(...stream.getAudioTracks());
            return stream;
        };
        const Real = RTCPeerConnection;
        window.RTCPeerConnection = class extends Real { constructor(...all) { super(...all); window.connections.push(this); } };";
    browser.page.execute(script, vec![]).await.unwrap();
}

/// For each microphone that is open, whether it is on; and for each connection, what it sends: `microphone`, `mix` or `stopped`.
const MEDIA: &str = "const open = window.opened.filter((track) => track.readyState === 'live');
    const sent = window.connections.filter((one) => one.signalingState !== 'closed').map((one) => one.getSenders()[0].track);
    return [open.map((track) => track.enabled), sent.map((track) => track.readyState !== 'live' ? 'stopped' : open.includes(track) ? 'microphone' : 'mix')]";

/// Waits until a script returns this.
async fn until(browser: &Chromium, script: &str, expected: Value) {
    let began = Instant::now();
    loop {
        let now = browser.page.execute(script, vec![]).await.unwrap();
        if now == expected {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{now} is not {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// In how many calls the page says that nobody hears the agent.
async fn muted(browser: &Chromium, calls: usize) {
    until(browser, "return document.querySelectorAll('article.call .hint-line').length", json!(calls)).await;
}

async fn two_calls(desk: &Desk, browser: &Chromium) {
    for (name, number) in [("Hedy", "1999"), ("Joan", "1998")] {
        desk.switch.ring(name, number);
        browser.sees(&format!("{name} is calling.")).await;
        browser.click("Answer").await;
        browser.sees(&format!("You talk with {name}.")).await;
    }
    browser.sees("On hold").await;
}

/// Chooses another microphone in the settings, which are open meanwhile.
async fn changes_microphone(browser: &Chromium) {
    let settings = browser.page.find(Locator::Css("[data-part=settings] > summary")).await.unwrap();
    browser.click_on(settings.clone()).await;
    until(browser, "return document.querySelectorAll('[data-part=microphone] option').length > 2", json!(true)).await;
    let chooses = "const field = document.querySelector('[data-part=microphone]');
        field.selectedIndex = field.selectedIndex === 2 ? 1 : 2; field.dispatchEvent(new Event('change'));";
    browser.page.execute(chooses, vec![]).await.unwrap();
    browser.click_on(settings).await;
}

#[actix_web::test]
async fn whoever_mutes_a_conversation_of_three_is_heard_by_nobody_and_is_so_after_it() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    watches(&browser).await;
    desk.online(&browser).await;
    two_calls(&desk, &browser).await;
    browser.click("Three-way").await;
    until(&browser, MEDIA, json!([[true, true], ["mix", "mix"]])).await;
    browser.click("Mute").await;
    muted(&browser, 2).await;
    // Our voice is not in the mix, which goes on: the two hear each other.
    until(&browser, MEDIA, json!([[false, false], ["mix", "mix"]])).await;
    let mixes = "return window.connections.map((one) => one.getSenders()[0].track.enabled)";
    assert_eq!(browser.page.execute(mixes, vec![]).await.unwrap(), json!([true, true]));
    // Back to two parties: the page still says so.
    browser.click("End three-way").await;
    until(&browser, MEDIA, json!([[false, false], ["microphone", "microphone"]])).await;
    muted(&browser, 2).await;
    // One of them hears us again. Joining the calls does not unmute us for the other one.
    browser.click("Mute").await;
    muted(&browser, 1).await;
    browser.click("Three-way").await;
    muted(&browser, 2).await;
    until(&browser, MEDIA, json!([[false, false], ["mix", "mix"]])).await;
    browser.click("Mute").await;
    muted(&browser, 0).await;
    until(&browser, MEDIA, json!([[true, true], ["mix", "mix"]])).await;
    // Nobody in the conference can be held, not even with a key.
    crate::phone::presses(&browser, "o").await;
    until(&browser, "return document.querySelectorAll('article.call.on').length", json!(2)).await;
    // Another microphone is heard in the mix. Then one hangs up, and no microphone stays open that nobody needs.
    changes_microphone(&browser).await;
    until(&browser, MEDIA, json!([[true, true], ["mix", "mix"]])).await;
    browser.click("Mute").await;
    muted(&browser, 2).await;
    until(&browser, MEDIA, json!([[false, false], ["mix", "mix"]])).await;
    browser.click("Hang up").await;
    until(&browser, MEDIA, json!([[false], ["microphone"]])).await;
    muted(&browser, 1).await;
    browser.click("Hang up").await;
    until(&browser, MEDIA, json!([[], []])).await;
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_microphone_that_was_chosen_during_a_call_is_closed_with_it() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    watches(&browser).await;
    desk.online(&browser).await;
    desk.switch.ring("Hedy", "1999");
    browser.sees("Hedy is calling.").await;
    browser.click("Answer").await;
    browser.sees("You talk with Hedy.").await;
    browser.click("Mute").await;
    muted(&browser, 1).await;
    for _ in 0..2 {
        changes_microphone(&browser).await;
        until(&browser, MEDIA, json!([[false], ["microphone"]])).await;
    }
    browser.click("Mute").await;
    until(&browser, MEDIA, json!([[true], ["microphone"]])).await;
    // One that the browser refuses changes nothing.
    browser.page.execute("window.refuses = true", vec![]).await.unwrap();
    let chooses = "document.querySelector('[data-part=microphone]').dispatchEvent(new Event('change'))";
    browser.page.execute(chooses, vec![]).await.unwrap();
    browser.sees("This microphone can’t be used.").await;
    until(&browser, MEDIA, json!([[true], ["microphone"]])).await;
    browser.click("Hang up").await;
    until(&browser, MEDIA, json!([[], []])).await;
    desk.stop(vec![browser]).await;
}

/// A switch posts the record of a leg that just ended: of a call of this number to Grace's phone.
async fn records(desk: &Desk, phone: &str, call_id: &str) -> Uuid {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let (leg, now) = (Uuid::new_v4(), chrono::Utc::now().timestamp_micros());
    let variables = json!({
        "direction": "outbound", "call_uuid": leg, "dialed_user": phone, "dialed_domain": "acme.test", "sip_call_id": call_id,
        "sip_to_user": "%2B12025550143", "hangup_cause": "NORMAL_CLEARING", "start_uepoch": (now - 5_000_000).to_string(),
        "answer_uepoch": (now - 4_000_000).to_string(), "bridge_uepoch": (now - 4_000_000).to_string(), "end_uepoch": now.to_string(),
        "answer_epoch": (now / 1_000_000 - 4).to_string(), "bridge_epoch": (now / 1_000_000 - 4).to_string(),
        "end_epoch": (now / 1_000_000).to_string(),
    });
    let (name, token) = &desk.site.node.switch;
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "variables": variables }).to_string();
    let path = format!("/fs/cdr?uuid={leg}");
    let answer = send(desk.site.node.app.switch_address, "POST", &path, &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    dialplane::telephony::history::worker::fold_all(desk.site.node.app.changes.pool()).await.unwrap();
    leg
}

#[actix_web::test]
async fn notes_are_saved_with_the_call_of_this_phone_and_not_with_another_of_the_same_number() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let tenant = desk.site.tenant("acme.test").await;
    let all = desk.site.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
    let all = all["items"].as_array().unwrap().clone();
    let own = all.iter().find(|extension| extension["number"] == json!(desk.number)).unwrap();
    let phone = own["sip_username"].as_str().unwrap().to_owned();
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    let call_id = desk.switch.ring("Katherine Johnson", "+12025550143");
    browser.sees("Katherine Johnson is calling.").await;
    browser.click("Answer").await;
    browser.sees("You talk with Katherine Johnson.").await;
    let notes = browser.page.find(Locator::Id("phone-notes")).await.unwrap();
    notes.send_keys("Wants a telescope.").await.unwrap();
    // Somebody else of the same number calls as well, and that call's record is there first.
    records(&desk, &phone, "elsewhere").await;
    browser.click("Hang up").await;
    browser.sees("Waiting for the call’s record.").await;
    records(&desk, &phone, &call_id).await;
    browser.page.wait().for_element(Locator::Css("[data-part=save]:not([disabled])")).await.unwrap();
    // A tag is put on it meanwhile, so that it has another version.
    let found = async |call_id: &str| {
        let path = format!("/v1/calls?tenant_id={tenant}&sip_call_id={call_id}");
        desk.site.node.api("GET", &path, Value::Null).await.json()["items"][0].clone()
    };
    let path = format!("/v1/calls/{}?tenant_id={tenant}", found(&call_id).await["id"].as_str().unwrap());
    assert_eq!(desk.site.node.api("PATCH", &path, json!({ "tags": ["vip"] })).await.status, 200);
    browser.click("Save").await;
    browser.sees("Saved.").await;
    let (own, other) = (found(&call_id).await, found("elsewhere").await);
    assert_eq!((&own["notes"], &own["tags"]), (&json!("Wants a telescope."), &json!(["vip"])), "{own}");
    assert_eq!(other["notes"], Value::Null, "{other}");
    // What somebody wrote there meanwhile is not lost.
    assert_eq!(desk.site.node.api("PATCH", &path, json!({ "notes": "Mine." })).await.status, 200);
    notes.send_keys(" Two of them.").await.unwrap();
    browser.click("Save").await;
    browser
        .page
        .wait()
        .for_element(Locator::XPath("//*[@data-part='card-saved' and not(.='Saved.') and .!='']"))
        .await
        .unwrap();
    assert_eq!(found(&call_id).await["notes"], "Mine.");
    desk.stop(vec![browser]).await;
}
