//! Pages while somebody looks at them or not: what a hidden page does, and where lists and figures lead.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    chromium::Chromium,
    desk::{fires, phone, switch},
    gallery::{Gallery, company, pictures},
    harness::Database,
    journeys::{ADMIN, Site},
};

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

#[actix_web::test]
async fn a_hidden_live_page_listens_to_nothing_and_goes_on_when_it_is_seen() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    company(&site, &browser).await;
    let (socket, _) = switch(&site).await;
    let phone = phone(&site).await;
    browser.page.goto(&format!("{}/app/live", site.url)).await.unwrap();
    browser.sees("Nobody is on the phone right now.").await;
    let hides = "window.closed_streams = 0; const close = EventSource.prototype.close;
        EventSource.prototype.close = function () { window.closed_streams += 1; close.call(this); };
        window.isHidden = true; Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.isHidden });
        document.dispatchEvent(new Event('visibilitychange'));";
    browser.page.execute(hides, vec![]).await.unwrap();
    until(&browser, "return window.closed_streams", json!(1)).await;
    // A caller from outside, whom nobody has taken yet.
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let caller = json!({ "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test",
        "Caller-Caller-ID-Number": "+493012345678", "Caller-Destination-Number": "+12025550123", "Caller-Context": "public" });
    fires(&socket, "CHANNEL_CREATE", a, a, &caller);
    let called = json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"),
        "Other-Leg-Unique-ID": a, "variable_dialplane_taken_by": format!("{phone}@acme.test") });
    fires(&socket, "CHANNEL_CREATE", b, a, &called);
    let tenant = site.tenant("acme.test").await;
    let began = Instant::now();
    loop {
        let shown = site.node.api("GET", &format!("/v1/live/calls?tenant_id={tenant}"), Value::Null).await.json();
        if shown["items"].as_array().is_some_and(|items| items.len() == 1) {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(browser.text().await.contains("Nobody is on the phone right now."));
    browser
        .page
        .execute("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))", vec![])
        .await
        .unwrap();
    browser.sees("+49 301").await;
    // The menu of a call, while it is open, says what it is now: the phone that rings, and then another one.
    let opens = "document.querySelector('[data-rows=calls] details.menu').open = true";
    browser.page.execute(opens, vec![]).await.unwrap();
    let leads = "return document.querySelectorAll('[data-rows=calls] details.menu a[href^=\"/app/agents/\"]').length";
    until(&browser, leads, json!(1)).await;
    fires(&socket, "CHANNEL_HANGUP_COMPLETE", b, b, &json!({ "Hangup-Cause": "NO_ANSWER" }));
    until(&browser, leads, json!(0)).await;
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn all_parked_calls_are_shown() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    company(&site, &browser).await;
    let (socket, _) = switch(&site).await;
    for slot in 0..60 {
        let parked = json!({ "Event-Subclass": "valet_parking::info", "Valet-Lot-Name": "lot@acme.test",
            "Valet-Extension": (700 + slot).to_string(), "Action": "hold" });
        let leg = Uuid::new_v4();
        fires(&socket, "CUSTOM", leg, leg, &parked);
    }
    browser.page.goto(&format!("{}/app/live", site.url)).await.unwrap();
    until(&browser, "return document.querySelectorAll('[data-rows=parked] tr').length", json!(60)).await;
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn the_figure_of_lost_calls_leads_to_just_these() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    company(&site, &browser).await;
    let tenant = site.tenant("acme.test").await;
    site.node.call(tenant).await;
    let end = chrono::Utc::now().timestamp_millis();
    let pool = site.node.app.changes.pool();
    for queue in [Value::Null, json!({ "id": Uuid::new_v4(), "joined": end - 900, "left": end, "why": "BREAK_OUT" })] {
        let leg = Uuid::new_v4();
        let mut told = json!({ "leg": leg, "call": leg, "start": end - 1000, "end": end, "from_number": "+4915112345678", "dialled": "+493012345678",
            "cause": "ORIGINATOR_CANCEL", "hangup": "recv_cancel" });
        if !queue.is_null() {
            told["queue"] = queue;
        }
        let insert = "insert into ended_legs (leg, tenant_id, cluster_id, told) select $1, id, cluster_id, $3 from tenants where id = $2";
        sqlx::query(insert).bind(leg).bind(tenant).bind(told).execute(pool).await.unwrap();
    }
    dialplane::telephony::history::worker::fold_all(pool).await.unwrap();
    browser.page.goto(&format!("{}/app", site.url)).await.unwrap();
    browser.sees("missed today").await;
    let figure = browser.page.find(Locator::XPath("//a[contains(., 'missed today')]")).await.unwrap();
    assert!(figure.text().await.unwrap().starts_with('2'), "{}", figure.text().await.unwrap());
    browser.click_on(figure).await;
    browser.sees("2 calls.").await;
    let text = browser.text().await;
    assert!(text.contains("Missed") && text.contains("Gave up waiting"), "{text}");
    let chosen = "return document.getElementById('state').selectedOptions[0].textContent";
    assert_eq!(browser.page.execute(chosen, vec![]).await.unwrap(), json!("Missed or gave up"));
    // The exact times are a filter of their own, which can be taken away.
    let url = browser.page.current_url().await.unwrap();
    assert!(url.query().unwrap().contains("since="), "{url}");
    let chip = browser.page.find(Locator::Css(".chips a")).await.unwrap();
    browser.click_on(chip).await;
    browser.sees("2 calls.").await;
    let url = browser.page.current_url().await.unwrap();
    assert_eq!(url.query(), Some("state=lost"), "{url}");
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn the_page_of_the_api_shows_operations_and_loads_nothing_that_its_policy_forbids() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    browser.page.goto(&format!("{}/docs", site.url)).await.unwrap();
    // What a tag is, an operation, and a code that it may answer.
    for text in ["Extensions that ring together.", "List a tenant's groups", "412"] {
        // WebDriver's own text of so long a page takes minutes, as it looks at what is visible.
        until(&browser, &format!("return document.body.textContent.includes({})", json!(text)), json!(true)).await;
    }
    // Redoc asks its maker's host for a picture, which the policy forbids. Nothing else is asked for elsewhere.
    let mut complaints = browser.complaints().await;
    complaints.retain(|complaint| !complaint.contains("'https://cdn.redoc.ly/redoc/logo-mini.svg' violates"));
    assert_eq!(complaints, Vec::<String>::new());
    browser.stop().await;
    site.node.stop().await;
}

/// Types into what has the focus.
async fn types(browser: &Chromium, keys: &str) {
    browser.page.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

/// Clicks on the first of what the switcher found.
async fn hits(browser: &Chromium, kind: &str) {
    let hit = browser.page.find(Locator::Css(&format!("#switcher .hits {kind}"))).await.unwrap();
    browser.click_on(hit).await;
}

const ESCAPE: &str = "\u{e00c}";
const ENTER: &str = "\u{e007}";

const LOOK: &str = "return Boolean(document.querySelector('#look[open] #look-facts'))";

#[actix_web::test]
async fn a_row_is_looked_at_beside_its_list_by_mouse_and_by_keys() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    company(&site, &browser).await;
    let made = site.routing("acme.test").await;
    let list = format!("{}/app/groups", site.url);
    browser.size(1440, 900).await;
    browser.page.goto(&list).await.unwrap();
    // A click on what is no link opens the panel, and Escape closes it: one is where one was.
    browser
        .page
        .execute("document.querySelector('td[data-label]:not(:has(a, input)):not(.acts)').click()", vec![])
        .await
        .unwrap();
    until(&browser, LOOK, json!(true)).await;
    assert_eq!(browser.page.current_url().await.unwrap().as_str(), list);
    let leads = format!(
        "return document.querySelector('#look .first').getAttribute('href') === '/app/groups/{}'",
        made["groups"]
    );
    until(&browser, &leads, json!(true)).await;
    gallery.look_around("look").await;
    let closed = "return document.getElementById('look').open";
    types(&browser, ESCAPE).await;
    until(&browser, closed, json!(false)).await;
    // The button of the row does the same from the keyboard, and has the focus again afterwards.
    browser.page.execute("document.querySelector('a[data-look]').focus()", vec![]).await.unwrap();
    types(&browser, ENTER).await;
    until(&browser, LOOK, json!(true)).await;
    types(&browser, ESCAPE).await;
    until(&browser, "return document.activeElement.matches('a[data-look]')", json!(true)).await;
    // What takes long has its shape first.
    let slow = "const real = window.fetch; window.goesOn = null;
        window.fetch = async (...asked) => { await new Promise((go) => { window.goesOn = go; }); return real(...asked); };
        document.querySelector('a[data-look]').click()";
    browser.page.execute(slow, vec![]).await.unwrap();
    until(&browser, "return Boolean(document.querySelector('#look .skeleton'))", json!(true)).await;
    gallery.look_around("look-waits").await;
    browser.page.execute("window.goesOn()", vec![]).await.unwrap();
    until(&browser, LOOK, json!(true)).await;
    assert!(
        !browser
            .page
            .execute("return Boolean(document.querySelector('#look .skeleton'))", vec![])
            .await
            .unwrap()
            .as_bool()
            .unwrap()
    );
    // Its link is the thing's own page, which opens where scripts do not run.
    let own = "return document.querySelector('tr a[data-look]').getAttribute('href')";
    assert_eq!(browser.page.execute(own, vec![]).await.unwrap(), json!(format!("/app/groups/{}", made["groups"])));
    for path in ["/app/agents", "/phone-numbers"] {
        browser.page.goto(&format!("{}{path}", site.url)).await.unwrap();
        browser.page.execute("document.querySelector('a[data-look]').click()", vec![]).await.unwrap();
        until(&browser, LOOK, json!(true)).await;
        gallery.look(&format!("look{}", path.replace('/', "-"))).await;
    }
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn a_platform_administrator_goes_from_tenant_to_tenant_by_the_bar_and_leaves_again() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    for (name, domain) in [("Acme", "acme.test"), ("Umbrella", "umbrella.test")] {
        site.node.api("POST", "/v1/tenants", json!({ "name": name, "domain": domain })).await.id();
    }
    site.sign_in(&browser, ADMIN).await;
    browser.sees("Tenants").await;
    browser.page.goto(&format!("{}/platform", site.url)).await.unwrap();
    let found = "return [...document.querySelectorAll('#switcher .hits button > span:first-of-type')].map((one) => one.textContent)";
    // By keys alone: open, type, choose.
    types(&browser, "gt").await;
    until(&browser, found, json!(["Acme", "Umbrella"])).await;
    gallery.look_around("switcher").await;
    types(&browser, "umb").await;
    until(&browser, found, json!(["Umbrella"])).await;
    types(&browser, ENTER).await;
    browser.sees("As platform administrator").await;
    let place = "return document.querySelector('[data-switcher] span').textContent";
    until(&browser, place, json!("Umbrella")).await;
    // From there to the next one by mouse, and away.
    browser.page.execute("document.querySelector('[data-switcher]').click()", vec![]).await.unwrap();
    until(&browser, found, json!(["Acme"])).await;
    hits(&browser, "button").await;
    until(&browser, place, json!("Acme")).await;
    gallery.look_around("switcher-acting").await;
    browser.page.goto(&format!("{}/audit", site.url)).await.unwrap();
    browser.sees("Came into the tenant").await;
    browser.page.execute("document.querySelector('[data-switcher]').click()", vec![]).await.unwrap();
    until(&browser, found, json!(["Umbrella"])).await;
    hits(&browser, "a").await;
    until(&browser, place, json!("Platform")).await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}
