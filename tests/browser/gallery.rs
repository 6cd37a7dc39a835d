//! Every page in both themes and two widths, without errors in the browser and without findings of axe-core. If
//! DIALPLANE_SCREENSHOTS names a folder, screenshots go there (`script/screenshots`).

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    harness::Database,
    journeys::{ADMIN, PASSWORD, Site},
};

struct Gallery<'a> {
    browser: &'a Chromium,
    site: &'a Site,
    pictures: Option<PathBuf>,
    findings: Vec<String>,
}

impl Gallery<'_> {
    async fn show(&mut self, name: &str, path: &str) {
        for theme in ["light", "dark"] {
            let base = &self.site.url;
            self.browser.page.goto(&format!("{base}/theme/{theme}")).await.unwrap();
            for (width, height) in [(1440, 900), (390, 844)] {
                self.browser.size(width, height).await;
                self.browser.page.goto(&format!("{base}{path}")).await.unwrap();
                self.look(&format!("{name}-{theme}-{width}")).await;
            }
        }
    }

    /// Checks the page as it is.
    async fn look(&mut self, name: &str) {
        let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let over = self.browser.page.execute(wide, vec![]).await.unwrap().as_i64().unwrap();
        if over > 0 {
            self.findings.push(format!("{name}: {over} px wider than the screen"));
        }
        let axe = self.browser.axe().await;
        let complaints = self.browser.complaints().await;
        self.findings.extend(axe.into_iter().chain(complaints).map(|finding| format!("{name}: {finding}")));
        if let Some(folder) = &self.pictures {
            let picture = self.browser.page.screenshot().await.unwrap();
            std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
        }
    }
}

#[actix_web::test]
async fn every_page_is_sound_in_both_themes_and_two_widths() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let pictures = std::env::var_os("DIALPLANE_SCREENSHOTS").map(PathBuf::from);
    if let Some(folder) = &pictures {
        std::fs::create_dir_all(folder).unwrap();
    }
    let mut gallery = Gallery { browser: &browser, site: &site, pictures, findings: Vec::new() };
    for (name, path) in [
        ("sign-in", "/sign-in"),
        ("sign-up", "/sign-up"),
        ("forgot", "/forgot"),
        ("link-expired", "/reset?token=x"),
        ("verify-again", "/verify/again"),
        ("sent", "/forgot/sent"),
        ("problems", "/problems"),
        ("problem", "/problems/pool_exhausted"),
    ] {
        gallery.show(name, path).await;
    }
    links(&mut gallery).await;
    gallery.show("not-found", "/nothing/here").await;
    let agent = company(&site, &browser).await;
    for (name, path) in [
        ("home", "/app".to_owned()),
        ("agents", "/app/agents".into()),
        ("agent-new", "/app/agents/new".into()),
        ("agent", format!("/app/agents/{agent}")),
        ("agent-delete", format!("/app/agents/{agent}/delete")),
        ("import", "/app/agents/import".into()),
        ("audit", "/audit".into()),
        ("account", "/account".into()),
    ] {
        gallery.show(name, &path).await;
    }
    let account = browser.page.source().await.unwrap();
    assert!(account.contains("SIP password") && account.contains("id=\"password-"), "{account}");
    created(&mut gallery).await;
    asked(&mut gallery, &agent).await;
    gallery.browser.page.goto(&format!("{}/language/de", site.url)).await.unwrap();
    gallery.show("agents-german", "/app/agents").await;
    gallery.browser.page.goto(&format!("{}/nothing/here", site.url)).await.unwrap();
    gallery.browser.sees("Diese Seite gibt es nicht.").await;
    gallery.browser.page.goto(&format!("{}/language/en", site.url)).await.unwrap();
    gallery.browser.click("Sign out").await;
    site.sign_in(&browser, ADMIN).await;
    browser.sees("Tenants").await;
    let switch = site.node.api("GET", "/v1/switches", Value::Null).await.json();
    let switch = switch["items"][0]["id"].as_str().unwrap().to_owned();
    for (name, path) in [
        ("tenants", "/platform/tenants".to_owned()),
        ("tenant-new", "/platform/tenants/new".into()),
        ("clusters", "/platform/clusters".into()),
        ("records", "/platform/records".into()),
        ("switch-new", "/platform/switches/new".into()),
        ("switch-setup", format!("/platform/switches/{switch}/setup")),
        ("switch-token", format!("/platform/switches/{switch}/token")),
        ("tenant-suspend", format!("/platform/tenants/{}/suspend", site.tenant("acme.test").await)),
    ] {
        gallery.show(name, &path).await;
    }
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

/// The pages behind links in mails.
async fn links(gallery: &mut Gallery<'_>) {
    let site = gallery.site;
    let path = |link: &str| link.strip_prefix(&site.url).unwrap().to_owned();
    site.node.api("POST", "/v1/auth/forgot-password", json!({ "email": ADMIN })).await;
    let reset = site.link_for(ADMIN).await;
    gallery.show("reset", &path(&reset)).await;
    let new = json!({ "company": "New", "domain": "new.test", "first_name": "N", "last_name": "N", "email": "n@new.test",
        "password": PASSWORD });
    assert_eq!(site.node.api("POST", "/v1/auth/register", new).await.status, 202);
    let verify = site.link_for("n@new.test").await;
    gallery.show("verify", &path(&verify)).await;
}

/// Confirmations, two tabs, an open log entry, and a form whose session has ended.
async fn asked(gallery: &mut Gallery<'_>, agent: &str) {
    let (browser, site) = (gallery.browser, gallery.site);
    let tenant = site.tenant("acme.test").await;
    let path = format!("/v1/admin/agents/{agent}?tenant_id={tenant}");
    let extensions = site.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
    let own = extensions["items"].as_array().unwrap().iter().find(|own| !own["user_id"].is_null()).unwrap();
    let (user, extension) = (own["user_id"].as_str().unwrap(), own["id"].as_str().unwrap());
    let group = json!({ "name": "sales", "number": "700", "members": [extension] });
    assert_eq!(site.node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await.status, 201);
    gallery.show("agent-in-group", &format!("/app/agents/{user}")).await;
    gallery.show("agent-in-use", &format!("/app/agents/{user}/delete")).await;
    gallery.show("agent-rotate", &format!("/app/agents/{user}/extensions/{extension}/rotate")).await;
    gallery.show("agents-no-match", "/app/agents?search=nobody+of+this+name").await;
    for (theme, width) in [("light", 1440), ("dark", 390)] {
        browser.page.goto(&format!("{}/theme/{theme}", site.url)).await.unwrap();
        browser.size(width, 844).await;
        browser.page.goto(&format!("{}/app/agents/{agent}", site.url)).await.unwrap();
        site.node.api("PATCH", &path, json!({ "last_name": format!("Brewster {width}"), "role": "manager" })).await;
        browser.fill("last_name", "Murray").await;
        browser.click("Save").await;
        browser.sees("Somebody else saved changes").await;
        let _ = browser.complaints().await;
        gallery.look(&format!("agent-meanwhile-{theme}-{width}")).await;
        browser.page.goto(&format!("{}/audit", site.url)).await.unwrap();
        let open = "document.querySelectorAll('.log details').forEach((details) => { details.open = true; })";
        browser.page.execute(open, vec![]).await.unwrap();
        gallery.look(&format!("audit-open-{theme}-{width}")).await;
    }
    browser.page.goto(&format!("{}/app/agents/new", site.url)).await.unwrap();
    browser.fill("first_name", "Mary").await;
    sqlx::query("delete from sessions").execute(site.node.app.changes.pool()).await.unwrap();
    browser.click("Add agent").await;
    browser.sees("Your session has ended").await;
    let _ = browser.complaints().await;
    gallery.look("sign-in-kept-dark-390").await;
    browser.fill("email", "ada@acme.test").await;
    browser.fill("password", PASSWORD).await;
    browser.click("Sign in").await;
    browser.sees("Your input is still here").await;
    gallery.look("agent-new-kept-dark-390").await;
}

/// Makes a company with some people and signs its owner in. Returns an agent's id.
async fn company(site: &Site, browser: &Chromium) -> String {
    let owner = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
    let tenant = site
        .node
        .api("POST", "/v1/tenants", json!({ "name": "Acme", "domain": "acme.test", "owner": owner }))
        .await
        .id();
    let agents =
        [("Grace", "Hopper"), ("Joan", "Clarke"), ("Katherine", "Johnson"), ("Hedy", "Lamarr"), ("Радія", "Перлман")];
    let agents = agents.iter().enumerate().map(|(n, (first, last))| {
        json!({ "first_name": first, "last_name": last, "email": format!("agent{n}@acme.test"), "extensions_count": n % 3 + 1 })
    });
    let path = format!("/v1/admin/agents/bulk?tenant_id={tenant}");
    let report = site.node.api("POST", &path, json!({ "agents": agents.collect::<Vec<_>>() })).await.json();
    let suspended = report["lines"][2]["agent"]["id"].as_str().unwrap();
    let path = format!("/v1/admin/agents/{suspended}?tenant_id={tenant}");
    site.node.api("PATCH", &path, json!({ "status": "suspended" })).await;
    // The owner also has a phone, whose settings their account page shows.
    let phone = "update extensions set user_id = (select id from users where email = 'ada@acme.test')
                  where number = (select min(number) from extensions where user_id is not null)";
    sqlx::query(phone).execute(site.node.app.changes.pool()).await.unwrap();
    browser.page.goto(&site.link_for("ada@acme.test").await).await.unwrap();
    browser.fill("password", PASSWORD).await;
    browser.click("Set the password").await;
    browser.sees("Your password is set").await;
    site.sign_in(browser, "ada@acme.test").await;
    browser.sees("What comes next").await;
    report["lines"][0]["agent"]["id"].as_str().unwrap().to_owned()
}

/// Pages that only forms lead to.
async fn created(gallery: &mut Gallery<'_>) {
    let browser = gallery.browser;
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/app/agents/new", gallery.site.url)).await.unwrap();
    browser.fill("email", "not an address").await;
    browser.click("Add agent").await;
    browser.sees("Please check these fields").await;
    // The browser logs the status 422 of a refused form, which is not an error.
    let _ = browser.complaints().await;
    gallery.look("agent-new-wrong-dark-1440").await;
    browser.fill("first_name", "Mary").await;
    browser.fill("last_name", "Jackson").await;
    browser.fill("email", "mary@acme.test").await;
    browser.click("Add agent").await;
    browser.sees("never again").await;
    gallery.look("agent-created-dark-1440").await;
}
