//! What the phone in the browser calls, and what it doesn't: links, clicks in other pages, names, and keys.

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    harness::Database,
    phone::{Desk, presses, types},
};

async fn field(browser: &Chromium) -> String {
    let field = browser.page.find(Locator::Id("phone-number")).await.unwrap();
    field.prop("value").await.unwrap().unwrap_or_default()
}

async fn enters(browser: &Chromium) {
    let field = browser.page.find(Locator::Id("phone-number")).await.unwrap();
    field.send_keys("\u{e007}").await.unwrap();
}

/// Leaves the field for a button, as the tabulator does. A pointer can't reach it while the list is over it.
async fn leaves_for(browser: &Chromium, part: &str) {
    let script =
        "document.getElementById('phone-number').blur(); document.querySelector(`[data-part=${arguments[0]}]`).click()";
    browser.page.execute(script, vec![json!(part)]).await.unwrap();
}

#[actix_web::test]
async fn a_link_from_anywhere_puts_a_number_into_the_field_and_calls_nobody() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    // To somebody who is not online, it does not even open the microphone.
    browser.page.goto(&format!("{}/app/phone?dial=%2B4990012345", desk.site.url)).await.unwrap();
    browser.sees("+4990012345 waits in the field.").await;
    browser.sees("Calls don’t ring here.").await;
    desk.online(&browser).await;
    // Somebody who is online comes back by themselves after a link, and calls nobody either. An id that no page of ours waits for is nothing.
    for link in ["dial=%2B4990012345", "dial=%2B4990012345&for=0f8fad5b-d9cb-469f-a165-70867728950e"] {
        browser.page.goto(&format!("{}/app/phone?{link}", desk.site.url)).await.unwrap();
        browser.sees(&format!("Calls for {} ring here.", desk.number)).await;
        assert_eq!(field(&browser).await, "+4990012345");
        assert_eq!(browser.page.current_url().await.unwrap().query(), None, "a reload does not repeat it");
    }
    // A number that can't be decoded is what it says.
    browser.page.goto(&format!("{}/app/phone?dial=%25ff", desk.site.url)).await.unwrap();
    browser.sees(&format!("Calls for {} ring here.", desk.number)).await;
    assert_eq!(field(&browser).await, "%ff");
    // What is called first is what somebody typed.
    types(&browser, "7001").await;
    browser.click("Call").await;
    browser.sees("You talk with 7001.").await;
    let invite = desk.switch.hears("INVITE ", 1).await;
    assert!(invite.starts_with("INVITE sip:7001@acme.test"), "{invite}");
    assert_eq!(desk.switch.heard("INVITE "), 1, "{invite}");
    browser.click("Hang up").await;
    browser.sees("has ended").await;
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_number_that_is_clicked_in_a_page_of_ours_is_called_by_a_phone_that_opens_for_it() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    browser.page.goto(&format!("{}/account", desk.site.url)).await.unwrap();
    browser.sees("Your account").await;
    let link =
        "const link = document.createElement('a'); link.href = 'tel:' + arguments[0]; link.textContent = arguments[1];
        document.querySelector('main').prepend(link);";
    browser.page.execute(link, vec![json!("+49 30 901820"), json!("Town hall")]).await.unwrap();
    browser.page.execute(link, vec![json!("7002"), json!("Workshop")]).await.unwrap();
    browser.click("Town hall").await;
    // No phone of hers can ring first, so the one in the browser is offered.
    browser.sees("Call in the browser").await;
    let offered = browser.page.find(Locator::Css("#dialling [data-part=browser]")).await.unwrap();
    browser.click_on(offered).await;
    let account = browser.page.window().await.unwrap();
    let began = std::time::Instant::now();
    let phone = loop {
        let windows = browser.page.windows().await.unwrap();
        if let Some(other) = windows.into_iter().find(|window| *window != account) {
            break other;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "the phone opens");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    browser.page.switch_to_window(phone.clone()).await.unwrap();
    browser.sees("You talk with").await;
    let invite = desk.switch.hears("INVITE ", 1).await;
    assert!(invite.starts_with("INVITE sip:+4930901820@acme.test"), "{invite}");
    browser.click("Hang up").await;
    browser.sees("has ended").await;
    // The next one is called by the same phone.
    browser.page.switch_to_window(account).await.unwrap();
    browser.click("Workshop").await;
    let invite = desk.switch.hears("INVITE ", 2).await;
    assert!(invite.starts_with("INVITE sip:7002@acme.test"), "{invite}");
    assert_eq!(browser.page.windows().await.unwrap().len(), 2);
    browser.page.switch_to_window(phone).await.unwrap();
    browser.click("Hang up").await;
    browser.sees("has ended").await;
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_tab_that_lost_the_phone_does_not_answer_for_it() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    // A tab that asked the first one for the phone and got no answer takes it.
    let steals = "const done = arguments[arguments.length - 1];
        window.said = []; window.channel = new BroadcastChannel('dialplane-phone'); window.channel.onmessage = ({ data }) => window.said.push(data.said);
        const user = document.getElementById('phone').dataset.user;
        navigator.locks.request(`dialplane-phone:${user}`, { steal: true }, () => { done(user); return new Promise(() => {}); });";
    let user = browser.page.execute_async(steals, vec![]).await.unwrap();
    browser.sees("Another tab has taken the phone.").await;
    // Messages come in their order: whatever the first one led to is said before the third.
    let dials = "const done = arguments[arguments.length - 1]; const other = new BroadcastChannel('dialplane-phone');
        const last = new BroadcastChannel('dialplane-phone'); last.onmessage = ({ data }) => {
            if (data.said === 'last') other.postMessage({ said: 'end', user: arguments[0] });
        };
        const end = new BroadcastChannel('dialplane-phone'); end.onmessage = ({ data }) => { if (data.said === 'end') setTimeout(() => done(window.said), 0); };
        other.postMessage({ said: 'dial', user: arguments[0], number: '7001', id: 'x' });
        other.postMessage({ said: 'last', user: arguments[0] });";
    let said = browser.page.execute_async(dials, vec![user]).await.unwrap();
    assert_eq!(said, json!(["dial", "last", "end"]));
    browser.sees("Another tab has taken the phone.").await;
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_name_is_called_only_if_it_fits_one() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let tenant = desk.site.tenant("acme.test").await;
    let contact = json!({ "name": "Joan of Arc", "numbers": ["+12025550199"] });
    let made = desk.site.node.api("POST", &format!("/v1/contacts?tenant_id={tenant}"), contact).await;
    assert_eq!(made.status, 201, "{}", made.text());
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    // A colleague is known at once, and a contact some time later; both count.
    types(&browser, "joan").await;
    enters(&browser).await;
    browser.sees("“joan” fits several. Choose one.").await;
    types(&browser, "nobody").await;
    leaves_for(&browser, "call").await;
    browser.sees("Nobody is called “nobody” here.").await;
    assert_eq!(desk.switch.heard("INVITE "), 0);
    // The chosen person is called.
    types(&browser, "joan").await;
    browser.sees("Joan of Arc").await;
    let field = browser.page.find(Locator::Id("phone-number")).await.unwrap();
    field.send_keys("\u{e015}\u{e015}").await.unwrap();
    leaves_for(&browser, "call").await;
    let invite = desk.switch.hears("INVITE ", 1).await;
    assert!(invite.starts_with("INVITE sip:+12025550199@acme.test"), "{invite}");
    browser.sees("Talking").await;
    browser.click("Hang up").await;
    browser.sees("has ended").await;
    // A click on the button takes the focus out of the field, and means what was typed; at once, before contacts were looked up.
    types(&browser, "Clarke").await;
    leaves_for(&browser, "call").await;
    let invite = desk.switch.hears("INVITE ", 2).await;
    assert!(invite.starts_with(&format!("INVITE sip:{}@acme.test", desk.colleague)), "{invite}");
    browser.sees("You talk with Joan Clarke.").await;
    browser.click("Transfer").await;
    types(&browser, "kath").await;
    leaves_for(&browser, "transfer-now").await;
    let refer = desk.switch.hears("REFER ", 1).await;
    assert!(refer.contains("Refer-To: <sip:+12025550143@acme.test>"), "{refer}");
    browser.click("Hang up").await;
    browser.sees("has ended").await;
    desk.stop(vec![browser]).await;
}

async fn has(browser: &Chromium, selector: &str) -> bool {
    browser.page.find(Locator::Css(selector)).await.is_ok()
}

#[actix_web::test]
async fn shortcuts_of_a_single_key_can_be_switched_off() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    let switch = browser.page.find(Locator::Id("phone-single-keys")).await.unwrap();
    browser.click_on(switch).await;
    // It stays off, here and in the list of shortcuts on every page.
    desk.open(&browser).await;
    let all = "return [...document.querySelectorAll('[data-single-keys]')].map((box) => box.checked)";
    assert_eq!(browser.page.execute(all, vec![]).await.unwrap(), json!([false, false]));
    desk.online(&browser).await;
    desk.switch.ring("Hedy", "1999");
    browser.sees("Hedy is calling.").await;
    browser.click("Answer").await;
    browser.sees("You talk with Hedy.").await;
    for key in ["m", "e", "r", "k", "t", "?"] {
        presses(&browser, key).await;
    }
    // Keys are looked at as they come.
    assert!(has(&browser, "article.call.talking").await);
    assert!(!has(&browser, "article.call .hint-line, article.call .keypad, dialog[open]").await);
    assert!(!has(&browser, "[aria-keyshortcuts]").await, "nobody is told of any");
    // The keypad takes digits where the focus is on it.
    browser.click("Keypad").await;
    let types =
        "document.querySelector(arguments[0]).dispatchEvent(new KeyboardEvent('keydown', { key: '5', bubbles: true }));
        return document.querySelector('.keys-sent').textContent.trim()";
    assert_eq!(browser.page.execute(types, vec![json!("body")]).await.unwrap(), json!(""));
    assert_eq!(browser.page.execute(types, vec![json!("article .keypad button")]).await.unwrap(), json!("5"));
    let switch = browser.page.find(Locator::Id("phone-single-keys")).await.unwrap();
    browser.click_on(switch).await;
    assert!(has(&browser, "[aria-keyshortcuts=m]").await);
    presses(&browser, "m").await;
    browser.sees("Nobody hears you.").await;
    presses(&browser, "e").await;
    desk.switch.hears("BYE ", 1).await;
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn the_extension_that_was_chosen_rings_again_in_a_new_tab() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let tenant = desk.site.tenant("acme.test").await;
    let agents = desk.site.node.api("GET", &format!("/v1/admin/agents?tenant_id={tenant}"), Value::Null).await.json();
    let agents = agents["items"].as_array().unwrap().clone();
    let grace = agents.iter().find(|agent| agent["email"] == "grace@acme.test").unwrap()["id"].clone();
    let second = json!({ "number": "3500", "display_name": "Headset", "ring_seconds": 20, "voicemail_enabled": false });
    let made = desk.site.node.extension(tenant, second).await;
    let given = "update extensions set user_id = $1 where id = $2";
    let id = |value: &Value| value.as_str().unwrap().parse::<uuid::Uuid>().unwrap();
    let pool = desk.site.node.app.changes.pool();
    sqlx::query(given).bind(id(&grace)).bind(id(&made["id"])).execute(pool).await.unwrap();
    desk.sign_in(&browser).await;
    browser.click("Go online").await;
    browser.sees(&format!("Calls for {} ring here.", desk.number)).await;
    // Whoever is online changes at once.
    let choice = browser.page.find(Locator::Id("phone-extension")).await.unwrap();
    choice.select_by_value(made["id"].as_str().unwrap()).await.unwrap();
    browser.sees("Calls for 3500 ring here.").await;
    browser.click("Go offline").await;
    let second = browser.page.new_window(true).await.unwrap().handle;
    browser.page.switch_to_window(second).await.unwrap();
    desk.open(&browser).await;
    browser.click("Go online").await;
    browser.sees("Calls for 3500 ring here.").await;
    desk.stop(vec![browser]).await;
}
