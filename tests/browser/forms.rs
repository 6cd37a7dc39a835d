//! Forms in a real browser: a button that is pressed twice, and two who change the same.

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    gallery::{Gallery, company, pictures},
    harness::Database,
    journeys::Site,
};

async fn keys(site: &Site, name: &str) -> usize {
    let tenant = site.tenant("acme.test").await;
    let pool = site.node.app.changes.pool();
    let count = sqlx::query_scalar::<_, i64>("select count(*) from api_keys where tenant_id = $1 and name = $2");
    usize::try_from(count.bind(tenant).bind(name).fetch_one(pool).await.unwrap()).unwrap()
}

#[actix_web::test]
async fn a_button_that_is_pressed_twice_makes_one_thing_and_after_going_back_another() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    company(&site, &browser).await;
    browser.page.goto(&format!("{}/app/keys/new", site.url)).await.unwrap();
    browser.fill("name", "mine").await;
    let twice = "const form = document.querySelector('main form[method=post]');
        let sent = 0;
        form.addEventListener('submit', (event) => { setTimeout(() => { if (!event.defaultPrevented) sent += 1; }); });
        const button = form.querySelector('button.first');
        form.requestSubmit(button);
        form.requestSubmit(button);
        return new Promise((told) => setTimeout(() => told([sent, button.disabled]), 0));";
    // The page may be gone before it can tell.
    if let Ok(told) = browser.page.execute(twice, vec![]).await
        && !told.is_null()
    {
        assert_eq!(told, json!([1, true]), "one is sent, and the button waits");
    }
    browser.sees("dpk_").await;
    assert_eq!(keys(&site, "mine").await, 1);
    browser.page.back().await.unwrap();
    browser.fill("name", "mine").await;
    let button = browser.page.find(Locator::Css("main form[method=post] button.first")).await.unwrap();
    assert!(button.is_enabled().await.unwrap(), "whoever comes back may send it anew");
    browser.click_on(button).await;
    browser.sees("dpk_").await;
    assert_eq!(keys(&site, "mine").await, 2);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn what_somebody_else_saved_meanwhile_is_shown_in_both_themes_and_two_widths() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    company(&site, &browser).await;
    site.routing("acme.test").await;
    let tenant = site.tenant("acme.test").await;
    let call = site.node.call(tenant).await;

    browser.page.goto(&format!("{}/app/calls/{call}", site.url)).await.unwrap();
    browser.fill("notes", "They want the long contract, from January on").await;
    let theirs = json!({ "notes": "Call back on Monday.\nAsk for Grace.", "tags": ["sales", "hot"] });
    let changed = site.node.api("PATCH", &format!("/v1/calls/{call}?tenant_id={tenant}"), theirs).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    browser.click("Save").await;
    browser.sees("Somebody else saved changes").await;
    browser.sees("Ask for Grace.").await;
    gallery.look_around("call-meanwhile").await;

    browser.page.goto(&format!("{}/agent-assignments", site.url)).await.unwrap();
    let select = browser.page.find(Locator::Css("select[name=choice]")).await.unwrap();
    select.select_by_value("round_robin").await.unwrap();
    let agent = browser.page.find(Locator::Css("input[name=agent]")).await.unwrap();
    let agent = agent.attr("value").await.unwrap().unwrap();
    let path = format!("/v1/phone-numbers/agent/{agent}?tenant_id={tenant}");
    assert_eq!(site.node.api("PATCH", &path, json!({ "choice": "match_country" })).await.status, 200);
    let save = browser.page.find(Locator::Css("form.tools[action$=choice] button")).await.unwrap();
    browser.click_on(save).await;
    browser.sees("Saved by somebody else:").await;
    gallery.look_around("assignment-meanwhile").await;

    let phones = site.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
    let phone = phones["items"][0]["id"].as_str().unwrap();
    browser.page.goto(&format!("{}/app/extensions/{phone}/rotate", site.url)).await.unwrap();
    let path = format!("/v1/tenants/{tenant}/extensions/{phone}");
    assert_eq!(site.node.api("PATCH", &path, json!({ "ring_seconds": 44 })).await.status, 200);
    let send = browser.page.find(Locator::Css("main form[method=post] .actions button")).await.unwrap();
    browser.click_on(send).await;
    browser.sees("Check that you still want this").await;
    gallery.look_around("act-changed").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}
