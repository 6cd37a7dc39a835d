//! What people do, from the first page to a working phone.

use serde_json::{Value, json};

pub use crate::site::{ADMIN, PASSWORD, Site};
use crate::{chromium::Chromium, harness::Database};

#[actix_web::test]
async fn from_sign_up_to_a_phone_and_its_suspension() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    browser.page.goto(&format!("{}/sign-up", site.url)).await.unwrap();
    // The error is shown beside the field, and the input is kept.
    browser.fill("company", "Acme").await;
    browser.fill("domain", "no domain").await;
    browser.fill("first_name", "Ada").await;
    browser.fill("last_name", "Lovelace").await;
    browser.fill("email", "ada@acme.test").await;
    browser.fill("password", "password").await;
    browser.click("Sign up").await;
    browser.sees("must be a DNS name").await;
    browser.fill("domain", "acme.test").await;
    browser.fill("password", "password").await;
    browser.click("Sign up").await;
    browser.sees("must have 10 to 200 characters").await;
    browser.fill("password", PASSWORD).await;
    browser.click("Sign up").await;
    browser.sees("Check your inbox").await;

    browser.page.goto(&site.link_for("ada@acme.test").await).await.unwrap();
    // Somebody else may have entered the address.
    browser.fill("password", PASSWORD).await;
    browser.click("Confirm").await;
    browser.sees("Your address is confirmed").await;
    site.sign_in(&browser, "ada@acme.test").await;
    browser.sees("What comes next").await;

    browser.click("Add agent").await;
    browser.sees("the phone's settings").await;
    browser.fill("first_name", "Grace").await;
    browser.fill("last_name", "Hopper").await;
    browser.fill("email", "ada@acme.test").await;
    browser.click("Add agent").await;
    browser.sees("already in use").await;
    browser.fill("email", "grace@acme.test").await;
    browser.fill("extensions_count", "2").await;
    browser.click("Add agent").await;
    browser.sees("never again").await;
    let shown = browser.text().await;
    let user =
        shown.lines().skip_while(|line| *line != "SIP user").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(site.node.sign_in(&user, "acme.test").await.text().contains("<user "), "{user} in {shown}");

    browser.click("Back to the agents").await;
    browser.sees("grace@acme.test").await;
    // The live search does not load a new page.
    browser.fill("q", "nobody of this name").await;
    browser.sees("Nothing matches this search.").await;
    browser.fill("q", "hopper").await;
    browser.sees("1 to 1 of 1").await;
    // Each letter may replace the list once more, and with it what is about to be clicked.
    let menu = "//tr[contains(., 'grace@acme.test')]//summary";
    let suspend = "//tr[contains(., 'grace@acme.test')]//button[normalize-space()='Suspend']";
    let clicks = async |path: &str| {
        let found = browser.page.find(fantoccini::Locator::XPath(path)).await?;
        found.click().await
    };
    let since = std::time::Instant::now();
    while clicks(menu).await.is_err() || clicks(suspend).await.is_err() {
        assert!(since.elapsed().as_secs() < 60, "the row's menu can't be used");
    }
    browser.sees("the phones are refused from now on").await;
    assert!(!site.node.sign_in(&user, "acme.test").await.text().contains("<user "));
    assert_eq!(browser.complaints().await, Vec::<String>::new());

    // The agent's own steps: the link, a password, the account page.
    browser.click("Sign out").await;
    browser.sees("Sign in").await;
    browser.page.goto(&site.link_for("grace@acme.test").await).await.unwrap();
    browser.fill("password", PASSWORD).await;
    browser.click("Set the password").await;
    browser.sees("This account is suspended.").await;
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn many_agents_come_from_a_file_after_a_look_at_each_line() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let new =
        json!({ "domain": "acme.test", "owner": { "first_name": "Ada", "last_name": "L", "email": "ada@acme.test" } });
    assert_eq!(site.node.api("POST", "/v1/tenants", new).await.status, 201);
    browser.page.goto(&site.link_for("ada@acme.test").await).await.unwrap();
    browser.fill("password", PASSWORD).await;
    browser.click("Set the password").await;
    browser.sees("Your password is set").await;
    site.sign_in(&browser, "ada@acme.test").await;
    browser.sees("What comes next").await;
    let file = std::env::temp_dir().join(format!("agents-{}.csv", uuid::Uuid::now_v7().simple()));
    std::fs::write(
        &file,
        // A file as Excel writes it in Germany.
        b"First Name;Last Name;Email Address;Room\r\nJ\xf6rg;M\xfcller;joerg@acme.test;1\r\nNo;Address;nothing;2\r\nJoan;Clarke;joan@acme.test;3\r\n",
    )
    .unwrap();
    browser.page.goto(&format!("{}/app/agents/import", site.url)).await.unwrap();
    let field = browser.page.find(fantoccini::Locator::Css("input[type=file]")).await.unwrap();
    field.send_keys(file.to_str().unwrap()).await.unwrap();
    browser.click("Preview").await;
    browser.sees("2 ready, 1 with errors.").await;
    browser.sees("must be an e-mail address").await;
    browser.sees("Columns that are not used: Room").await;
    browser.click("Add 2 agents").await;
    browser.sees("2 added, 1 with errors.").await;
    browser.click("Back to the agents").await;
    browser.sees("joan@acme.test").await;
    browser.sees("Jörg Müller").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    // For a workbook, the page says what to do.
    std::fs::write(&file, b"PK\x03\x04\x14\x00\x06\x00").unwrap();
    browser.page.goto(&format!("{}/app/agents/import", site.url)).await.unwrap();
    let field = browser.page.find(fantoccini::Locator::Css("input[type=file]")).await.unwrap();
    field.send_keys(file.to_str().unwrap()).await.unwrap();
    browser.click("Preview").await;
    browser.sees("CSV UTF-8").await;
    std::fs::remove_file(file).unwrap();
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn a_switch_is_set_up_and_its_light_turns_green() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    site.sign_in(&browser, ADMIN).await;
    browser.sees("Clusters").await;
    browser.click("Tenants").await;
    browser.sees("No tenants yet.").await;
    browser.click("Clusters and switches").await;
    browser.click("Set up a switch").await;
    browser.fill("name", "fs-main").await;
    browser.click("Set up a switch").await;
    browser.sees("Waiting for the switch's first request").await;
    let shown = browser.text().await;
    let credentials = shown.split("dialplane_credentials=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(credentials.starts_with("fs-main:dps_"), "{credentials}");
    // A recorded request of a real switch.
    let recorded = include_str!("../captures/directory-sofia_reg_parse_auth-sip_auth-REGISTER.http");
    let body = recorded.split("\n\n").nth(1).or_else(|| recorded.split("\r\n\r\n").nth(1)).unwrap_or(recorded);
    let basic = format!("Basic {}", STANDARD.encode(credentials));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let fetched =
        crate::harness::send(site.node.app.switch_address, "POST", "/fs/xml", &headers, body.trim().as_bytes()).await;
    assert_eq!(fetched.status, 200);
    browser.sees("It works. Last request at").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn nothing_that_people_type_becomes_part_of_a_page() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let attack = "\"><script>window.pwned=1</script><img src=x onerror=window.pwned=1>'\"";
    // Texts that reach a switch refuse this; a page that repeats it shows it as text.
    browser.page.goto(&format!("{}/sign-up", site.url)).await.unwrap();
    for field in ["company", "domain", "first_name", "last_name", "email"] {
        browser.fill(field, attack).await;
    }
    browser.fill("password", PASSWORD).await;
    browser.click("Sign up").await;
    browser.sees("Please check these fields").await;
    let kept = browser.page.execute("return document.querySelector('[name=company]').value", vec![]).await.unwrap();
    assert_eq!(kept, Value::String(attack.into()), "what was typed is kept");
    site.sign_in(&browser, ADMIN).await;
    browser.sees("Clusters").await;
    browser.click("Tenants").await;
    browser.sees("No tenants yet.").await;
    // Texts that may contain anything: those of templates, key names in the audit log, searches.
    let mut template = site.node.api("GET", "/v1/templates/default", Value::Null).await.json();
    template["name"] = json!("hostile");
    template["title"] = json!(attack);
    assert_eq!(site.node.api("POST", "/v1/templates", template).await.status, 201);
    for path in [
        "/platform/tenants/new".to_owned(),
        format!("/audit?actor={}&resource={}", urlencode(attack), urlencode(attack)),
        "/audit?action=create".into(),
        format!("/verify?token={}", urlencode(attack)),
        format!("/reset?token={}", urlencode(attack)),
        format!("/nothing/{}", urlencode(attack)),
    ] {
        browser.page.goto(&format!("{}{path}", site.url)).await.unwrap();
        let pwned = browser.page.execute("return window.pwned === undefined", vec![]).await.unwrap();
        assert_eq!(pwned, Value::Bool(true), "{path}");
        let scripts = "return [...document.scripts].every((s) => s.src.startsWith(location.origin + '/assets/'))";
        assert_eq!(browser.page.execute(scripts, vec![]).await.unwrap(), Value::Bool(true), "{path}");
    }
    browser.stop().await;
    site.node.stop().await;
}

fn urlencode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
