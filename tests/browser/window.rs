//! The small window that stays above all others, and the product as an installed application.

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    gallery::{Gallery, pictures},
    harness::{Database, send},
    phone::Desk,
};

/// What a button within the small window says, and clicks it if asked.
async fn within(browser: &Chromium, script: &str) -> Value {
    let script = format!("const pane = window.documentPictureInPicture.window; {script}");
    browser.page.execute(&script, vec![]).await.unwrap()
}

async fn clicks(browser: &Chromium, act: &str) {
    let script = format!("pane.document.querySelector('[data-act={act}]').click()");
    within(browser, &script).await;
}

async fn window_says(browser: &Chromium, wanted: &str) {
    let began = std::time::Instant::now();
    loop {
        let text = within(browser, "return pane?.document.body.innerText ?? ''").await;
        if text.as_str().is_some_and(|text| text.contains(wanted)) {
            return;
        }
        assert!(began.elapsed().as_secs() < 60, "the small window is to say {wanted}: {text}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn the_small_window_has_the_call_and_its_buttons_and_ends_with_the_page() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    browser.click("Small window above all others").await;
    window_says(&browser, "No call right now.").await;
    let opener = browser.page.find(Locator::Css("[data-part=small-window]")).await.unwrap();
    assert_eq!(opener.attr("aria-pressed").await.unwrap().as_deref(), Some("true"));

    // Its buttons are those of the call.
    desk.switch.ring("Katherine Johnson", "+12025550143");
    window_says(&browser, "Katherine Johnson").await;
    window_says(&browser, "Incoming").await;
    clicks(&browser, "answer").await;
    browser.sees("You talk with Katherine Johnson.").await;
    window_says(&browser, "Talking").await;
    clicks(&browser, "mute").await;
    browser.sees("Nobody hears you.").await;
    assert_eq!(within(&browser, "return pane.document.querySelector('[data-act=mute]').ariaPressed").await, "true");
    clicks(&browser, "mute").await;
    clicks(&browser, "hold").await;
    browser.sees("On hold").await;
    window_says(&browser, "On hold").await;
    clicks(&browser, "hold").await;
    window_says(&browser, "Talking").await;
    desk.switch.ring("Mary Jackson", "+12025550144");
    window_says(&browser, "Mary Jackson").await;
    window_says(&browser, "1 more").await;
    clicks(&browser, "reject").await;
    window_says(&browser, "Katherine Johnson").await;
    // It looks like the page, in both themes.
    for theme in ["light", "dark"] {
        let themed = format!("pane.document.documentElement.dataset.theme = '{theme}'; const call = pane.document.querySelector('.call');
            return [pane.document.styleSheets.length > 1, pane.getComputedStyle(call).borderTopWidth, pane.document.body.scrollWidth <= pane.innerWidth]");
        assert_eq!(within(&browser, &themed).await, json!([true, "1px", true]), "{theme}");
    }
    clicks(&browser, "end").await;
    desk.switch.hears("BYE", 1).await;
    window_says(&browser, "No call right now.").await;
    // A second click closes it.
    browser.click("Small window above all others").await;
    let began = std::time::Instant::now();
    while within(&browser, "return pane !== null").await == json!(true) {
        assert!(began.elapsed().as_secs() < 30, "the window is still there");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(opener.attr("aria-pressed").await.unwrap().as_deref(), Some("false"));
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn a_browser_without_small_windows_does_not_offer_one() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let without = json!({ "source": "delete window.documentPictureInPicture" });
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", without).await;
    desk.sign_in(&browser).await;
    desk.online(&browser).await;
    let opener = browser.page.find(Locator::Css("[data-part=small-window]")).await.unwrap();
    assert!(!opener.is_displayed().await.unwrap());
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    desk.stop(vec![browser]).await;
}

#[actix_web::test]
async fn the_product_can_be_installed_and_opens_with_the_phone() {
    let Some(browser) = Chromium::start_with_microphone().await else { return };
    let database = Database::new().await;
    let desk = Desk::new(&database).await;
    let address = desk.site.node.app.app_address;
    let manifest = send(address, "GET", "/manifest.webmanifest", &[], b"").await;
    assert_eq!((manifest.status, manifest.header("content-type")), (200, Some("application/manifest+json")));
    let manifest = manifest.json();
    let (scope, start) = (manifest["scope"].as_str().unwrap(), manifest["start_url"].as_str().unwrap());
    assert!(start.starts_with(scope), "{manifest}");
    for icon in manifest["icons"].as_array().unwrap() {
        let answer = send(address, "GET", icon["src"].as_str().unwrap(), &[], b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, icon["type"].as_str()), "{icon}");
        if icon["type"] == "image/png" {
            // The width and height of a PNG stand in its first chunk.
            let size = |at: usize| u32::from_be_bytes(answer.body[at..at + 4].try_into().unwrap());
            assert_eq!(format!("{}x{}", size(16), size(20)), icon["sizes"], "{icon}");
        }
    }
    let start = format!("{}{start}", desk.site.url);
    // Whoever is not signed in is asked to, and is at the phone then.
    browser.page.goto(&start).await.unwrap();
    browser.sees("Sign in").await;
    desk.sign_in(&browser).await;
    browser.page.goto(&start).await.unwrap();
    browser.sees("Calls don’t ring here.").await;
    let found = browser.devtools("Page.getAppManifest", json!({})).await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["url"].as_str().is_some_and(|url| url.ends_with("/manifest.webmanifest")), "{found}");
    let errors = browser.devtools("Page.getInstallabilityErrors", json!({})).await;
    assert_eq!(errors["installabilityErrors"], json!([]), "{errors}");
    let mut gallery = Gallery { browser: &browser, site: &desk.site, pictures: pictures(), findings: Vec::new() };
    gallery.look_around("phone-installed").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    desk.stop(vec![browser]).await;
}
