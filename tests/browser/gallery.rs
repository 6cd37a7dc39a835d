//! Every page in both themes and three widths, without errors in the browser and without findings of axe-core. If
//! DIALPLANE_SCREENSHOTS names a folder, screenshots go there (`script/screenshots`).

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    harness::Database,
    journeys::{ADMIN, PASSWORD, Site},
};

/// The numbers of a page, and names beside them, that can be clicked and are smaller than 24 by 24 px (WCAG 2.2, 2.5.8).
const NUMBERS: &str = "return [...document.querySelectorAll('a[href^=\"tel:\"], .party a')].filter((link) => link.checkVisibility()).map((link) => [link, link.getBoundingClientRect()])
    .filter(([, box]) => box.width < 24 || box.height < 24).map(([link, box]) => `${link.textContent}: ${box.width} x ${box.height}`)";

/// Of a phone, a notebook, and a large screen.
const fn height(width: u32) -> u32 {
    match width {
        ..500 => 844,
        500..1900 => 900,
        _ => 1080,
    }
}

pub struct Gallery<'a> {
    pub browser: &'a Chromium,
    pub site: &'a Site,
    pub pictures: Option<PathBuf>,
    pub findings: Vec<String>,
}

impl Gallery<'_> {
    pub async fn show(&mut self, name: &str, path: &str) {
        self.show_in(name, path, &[("light", 1440), ("light", 390), ("light", 1920), ("dark", 1440), ("dark", 390)])
            .await;
    }

    /// The same for pages that are made like others that are shown in every way.
    pub async fn show_alike(&mut self, name: &str, path: &str) {
        self.show_in(name, path, &[("light", 1440), ("dark", 390)]).await;
    }

    async fn show_in(&mut self, name: &str, path: &str, ways: &[(&str, u32)]) {
        let base = &self.site.url;
        for (theme, width) in ways {
            self.browser.page.goto(&format!("{base}/theme/{theme}")).await.unwrap();
            self.browser.size(*width, height(*width)).await;
            self.browser.page.goto(&format!("{base}{path}")).await.unwrap();
            self.look(&format!("{name}-{theme}-{width}")).await;
        }
    }

    /// The page as it is, in every way, without loading it again.
    pub async fn look_around(&mut self, name: &str) {
        for (theme, width) in [("dark", 390), ("dark", 1440), ("light", 390), ("light", 1440)] {
            let script = "document.documentElement.dataset.theme = arguments[0]";
            self.browser.page.execute(script, vec![theme.into()]).await.unwrap();
            self.browser.size(width, height(width)).await;
            // The bar at the top lies over what is scrolled below it.
            let top = "window.scrollTo({ top: 0, behavior: 'instant' })";
            self.browser.page.execute(top, vec![]).await.unwrap();
            self.look(&format!("{name}-{theme}-{width}")).await;
        }
    }

    /// Checks the page as it is.
    pub async fn look(&mut self, name: &str) {
        let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let over = self.browser.page.execute(wide, vec![]).await.unwrap().as_i64().unwrap();
        if over > 0 {
            self.findings.push(format!("{name}: {over} px wider than the screen"));
        }
        for small in self.browser.page.execute(NUMBERS, vec![]).await.unwrap().as_array().unwrap() {
            self.findings.push(format!("{name}: a number that is hard to hit: {small}"));
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

/// Where screenshots go.
pub fn pictures() -> Option<PathBuf> {
    let folder = std::env::var_os("DIALPLANE_SCREENSHOTS").map(PathBuf::from)?;
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

#[actix_web::test]
async fn every_page_is_sound_in_both_themes_and_three_widths() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
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
        ("today-new", "/app".to_owned()),
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
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn every_subject_of_a_tenant_is_sound() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    company(&site, &browser).await;
    subjects(&mut gallery).await;
    gallery.browser.page.goto(&format!("{}/language/de", site.url)).await.unwrap();
    gallery.show_alike("company-german", "/app/company").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn every_page_of_the_platform_is_sound() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    let tenant = json!({ "name": "Acme", "domain": "acme.test" });
    let tenant = site.node.api("POST", "/v1/tenants", tenant).await.id();
    let carrier = json!({ "name": "Telnyx", "config": { "host": "sip.telnyx.example" } });
    let carrier = site.node.api("POST", "/v1/carriers", carrier).await.id();
    let first = async |path: &str| {
        let all = site.node.api("GET", path, Value::Null).await.json();
        all["items"][0]["id"].as_str().unwrap().to_owned()
    };
    let (cluster, switch) = (first("/v1/clusters").await, first("/v1/switches").await);
    site.sign_in(&browser, ADMIN).await;
    browser.sees("Tenants").await;
    for (name, path) in [
        ("overview", "/platform".to_owned()),
        ("tenants", "/platform/tenants".into()),
        ("platform-live", "/platform/live".into()),
        ("clusters", "/platform/clusters".into()),
        ("switch-setup", format!("/platform/switches/{switch}/setup")),
    ] {
        gallery.show(name, &path).await;
    }
    for (name, path) in [
        ("tenant", format!("/platform/tenants/{tenant}")),
        ("tenant-suspend", format!("/platform/tenants/{tenant}/suspend")),
        ("tenant-new", "/platform/tenants/new".into()),
        ("carriers", "/platform/carriers".into()),
        ("carrier-new", "/platform/carriers/new".into()),
        ("carrier", format!("/platform/carriers/{carrier}")),
        ("rates", format!("/platform/carriers/{carrier}/rates")),
        ("cluster", format!("/platform/clusters/{cluster}")),
        ("records", "/platform/records".into()),
        ("switch", format!("/platform/switches/{switch}")),
        ("switch-new", "/platform/switches/new".into()),
        ("switch-token", format!("/platform/switches/{switch}/token")),
        ("event-socket", format!("/platform/switches/{switch}/event-socket")),
    ] {
        gallery.show_alike(name, &path).await;
    }
    gallery.show("tenant-choose", "/platform/tenants/choose").await;
    gallery.show_alike("tenant-look", &format!("/platform/tenants/{tenant}/look")).await;
    // In a tenant, under the banner.
    browser.page.goto(&format!("{}/platform/tenants", site.url)).await.unwrap();
    browser.click("Open").await;
    browser.sees("As platform administrator").await;
    gallery.show_alike("acting", "/app").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

/// The subjects of a tenant: their lists, empty and not, and their forms.
async fn subjects(gallery: &mut Gallery<'_>) {
    let site = gallery.site;
    let lists = [
        ("groups", "/app/groups"),
        ("queues", "/app/queues"),
        ("menus", "/app/menus"),
        ("schedules", "/app/schedules"),
        ("announcements", "/app/announcements"),
        ("conferences", "/app/conferences"),
        ("mailboxes", "/app/mailboxes"),
        ("outside-numbers", "/app/outside-numbers"),
        ("paging", "/app/paging"),
        ("entries", "/app/entries"),
        ("phone-numbers", "/phone-numbers"),
    ];
    gallery.show("groups-none", "/app/groups").await;
    let made = site.routing("acme.test").await;
    for (name, path) in lists {
        gallery.show_alike(&format!("{name}-new"), &format!("{path}/new")).await;
        gallery.show_alike(name, path).await;
        let one = format!("{path}/{}", made[name]);
        if matches!(name, "groups" | "menus" | "phone-numbers") {
            gallery.show(&format!("{name}-one"), &one).await;
        } else {
            gallery.show_alike(&format!("{name}-one"), &one).await;
        }
    }
    gallery.show("extensions", "/app/extensions").await;
    gallery.show_alike("extension-new", "/app/extensions/new").await;
    gallery.show_alike("groups-no-match", "/app/groups?q=nothing+of+this+name").await;
    gallery.show_alike("group-delete", &format!("/app/groups/{}/delete", made["groups"])).await;
    gallery.show_alike("number-assign", &format!("/phone-numbers/{}/assign", made["phone-numbers"])).await;
    gallery.show("group-look", &format!("/app/groups/{}/look", made["groups"])).await;
    gallery.show("search", "/search?q=sales").await;
    gallery.show("menu-map", &format!("/app/menus/{}/map", made["menus"])).await;
    gallery.show_alike("number-map", &format!("/phone-numbers/{}/map", made["phone-numbers"])).await;
    gallery.show_alike("team", "/app/team").await;
    for (name, path) in [
        ("today", "/app"),
        ("assignments", "/agent-assignments"),
        ("company", "/app/company"),
        ("keys", "/app/keys"),
        ("key-new", "/app/keys/new"),
        ("pools", "/app/pools"),
        ("numbers-many", "/phone-numbers/many"),
        ("reserved-numbers", "/app/reserved-numbers"),
        ("route-tester", "/app/route-tester?number=555&caller=2001"),
        ("route-tester-refused", "/app/route-tester?number=4711"),
    ] {
        gallery.show_alike(name, path).await;
    }
    opened(gallery).await;
}

/// What opens on a page: the navigation on a narrow screen, a row's menu, the search, the shortcuts.
async fn opened(gallery: &mut Gallery<'_>) {
    let (browser, site) = (gallery.browser, gallery.site);
    for (theme, width) in [("light", 1440), ("dark", 390)] {
        browser.page.goto(&format!("{}/theme/{theme}", site.url)).await.unwrap();
        browser.size(width, 844).await;
        for (name, script) in [
            ("navigation", "document.querySelector('.menu-open').click()"),
            ("row-menu", "document.querySelector('td.acts summary').click()"),
            ("columns", "document.querySelector('.toolbar .menu summary').click()"),
            ("selected", "document.querySelector('[data-all]').click()"),
            ("shortcuts", "document.querySelector('[data-shortcuts]').click()"),
        ] {
            browser.page.goto(&format!("{}/app/groups", site.url)).await.unwrap();
            browser.page.execute(script, vec![]).await.unwrap();
            gallery.look(&format!("{name}-{theme}-{width}")).await;
        }
        browser.page.goto(&format!("{}/app/groups", site.url)).await.unwrap();
        browser.page.execute("document.querySelector('[data-palette]').click()", vec![]).await.unwrap();
        browser.sees("Phone numbers").await;
        gallery.look(&format!("palette-{theme}-{width}")).await;
    }
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
    gallery.show("agents-no-match", "/app/agents?q=nobody+of+this+name").await;
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
pub async fn company(site: &Site, browser: &Chromium) -> String {
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
    // The sheet of one's own phone, by the account.
    browser.page.goto(&format!("{}/account", gallery.site.url)).await.unwrap();
    browser.click("Settings and QR codes").await;
    browser.sees("This page is there for five minutes").await;
    gallery.look("account-sheet-dark-1440").await;
    let sheet = browser.page.current_url().await.unwrap();
    browser.page.goto(&format!("{}/theme/light", gallery.site.url)).await.unwrap();
    browser.size(390, 844).await;
    browser.page.goto(sheet.as_str()).await.unwrap();
    gallery.look("account-sheet-light-390").await;
    // What was saved can be undone.
    for (theme, width, country) in [("light", 390, "DE"), ("dark", 1440, "FR")] {
        browser.page.goto(&format!("{}/theme/{theme}", gallery.site.url)).await.unwrap();
        browser.size(width, 844).await;
        browser.page.goto(&format!("{}/app/company", gallery.site.url)).await.unwrap();
        browser.fill("country", country).await;
        browser.click("Save").await;
        browser.sees("Saved.").await;
        gallery.look(&format!("undo-{theme}-{width}")).await;
    }
    browser.click("Undo").await;
    browser.sees("Undone: it is as it was before.").await;
}
