//! The status of agents on pages: the menu of the phone's page, the one for managers on the live page, and what happened on an agent's page.

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    desk::switch,
    gallery::{Gallery, company, pictures},
    harness::Database,
    journeys::Site,
};

/// Opens the menu within a part of the page, and takes a choice.
async fn chooses(browser: &Chromium, part: &str, status: &str, reason: &str) {
    let summary = browser.page.find(Locator::Css(&format!("{part} details.menu > summary"))).await.unwrap();
    browser.click_on(summary).await;
    let choice = format!("{part} button[data-status='{status}'][data-reason='{reason}']");
    let choice = browser.page.find(Locator::Css(&choice)).await.unwrap();
    browser.click_on(choice).await;
}

/// Waits until a part of the page says this.
async fn says(browser: &Chromium, part: &str, wanted: &str) {
    let began = std::time::Instant::now();
    loop {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = browser.page.execute(script, vec![json!(part)]).await.unwrap();
        if text.as_str().is_some_and(|text| text.contains(wanted)) {
            return;
        }
        assert!(began.elapsed().as_secs() < 30, "{part} is to say {wanted}: {text}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn agents_choose_their_status_and_managers_see_and_change_it() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    company(&site, &browser).await;
    let tenant = site.tenant("acme.test").await;
    let path = format!("/v1/admin/agents/by-email/agent1@acme.test?tenant_id={tenant}");
    let joan = site.node.api("GET", &path, Value::Null).await.id();
    let reasons = json!([{ "status": "away", "name": "Lunch" }, { "status": "busy", "name": "E-mails" }]);
    let settings = json!({ "agents": { "status_reasons": reasons } });
    let path = format!("/v1/tenants/{tenant}/settings");
    assert_eq!(site.node.api("PATCH", &path, settings).await.status, 200);
    let (_socket, _) = switch(&site).await;

    // One's own, on the phone's page.
    browser.page.goto(&format!("{}/app/phone", site.url)).await.unwrap();
    says(&browser, ".agent-status", "Available").await;
    chooses(&browser, ".agent-status", "away", "Lunch").await;
    says(&browser, ".agent-status", "Away").await;
    says(&browser, ".agent-status", "Lunch").await;
    says(&browser, ".agent-status", "00:0").await;
    gallery.look_around("phone-status").await;
    let summary = browser.page.find(Locator::Css(".agent-status details.menu > summary")).await.unwrap();
    browser.click_on(summary).await;
    gallery.look_around("phone-status-menu").await;
    // What is set elsewhere is seen at once, and said to screen readers.
    let keeps = "window.allSaid = []; const place = document.querySelector('[data-part=said]');
        new MutationObserver(() => window.allSaid.push(place.textContent)).observe(place, { childList: true, characterData: true, subtree: true });";
    browser.page.execute(keeps, vec![]).await.unwrap();
    let me = "return fetch('/v1/auth/me').then((answer) => answer.json()).then((me) => me.user.id)";
    let me = browser.page.execute(me, vec![]).await.unwrap();
    let path = format!("/v1/agents/{}/status?tenant_id={tenant}", me.as_str().unwrap());
    let set = site.node.api("PUT", &path, json!({ "status": "busy", "reason": "E-mails" })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    says(&browser, ".agent-status", "E-mails · set by").await;
    let all = browser.page.execute("return window.allSaid.join('\\n')", vec![]).await.unwrap();
    assert!(all.as_str().is_some_and(|all| all.contains("set your status to “Busy: E-mails”.")), "{all}");

    // A manager's menu on the live page.
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/app/live", site.url)).await.unwrap();
    let row = "[data-rows='agents'] tr";
    browser.sees("Joan Clarke").await;
    let mark = "for (const row of document.querySelectorAll(arguments[0])) if (row.innerText.includes('Joan')) row.id = 'joan'";
    browser.page.execute(mark, vec![json!(row)]).await.unwrap();
    says(&browser, "#joan", "Available").await;
    chooses(&browser, "#joan", "away", "Lunch").await;
    says(&browser, "#joan", "Lunch · set by ada@acme.test").await;
    gallery.show("live-agents", "/app/live").await;
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/app/live", site.url)).await.unwrap();
    browser.sees("Joan Clarke").await;
    browser.page.execute(mark, vec![json!(row)]).await.unwrap();
    let summary = browser.page.find(Locator::Css("#joan details.menu > summary")).await.unwrap();
    browser.click_on(summary).await;
    gallery.look_around("live-agents-menu").await;

    // What happened, on the agent's page.
    let log = format!("/v1/agents/{joan}/activity?tenant_id={tenant}");
    let began = std::time::Instant::now();
    while site.node.api("GET", &log, Value::Null).await.json()["items"][0]["state"] != "away" {
        assert!(began.elapsed().as_secs() < 30, "nothing is written down");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    browser.page.goto(&format!("{}/app/agents/{joan}", site.url)).await.unwrap();
    says(&browser, "#activity-part", "Lunch · set by ada@acme.test").await;
    says(&browser, "#activity-part", "now").await;
    gallery.show("agent-activity", &format!("/app/agents/{joan}")).await;
    browser.page.goto(&format!("{}/language/de", site.url)).await.unwrap();
    gallery.show_alike("phone-status-german", "/app/phone").await;
    says(&browser, ".agent-status", "Beschäftigt").await;
    gallery.show_alike("agent-activity-german", &format!("/app/agents/{joan}")).await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}
