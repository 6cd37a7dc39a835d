//! Pages that the gallery's companies have nothing on by themselves: voicemail, help, what is kept of people, and the platform's templates
//! and measurements. Looked at like the others.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    chromium::Chromium,
    desk::switch,
    event_socket::EventSocket,
    gallery::{Gallery, company, pictures},
    harness::Database,
    journeys::{ADMIN, Site},
};

/// Messages in the mailboxes of the owner's extension and of another one. Returns one of the owner's.
async fn messages(site: &Site, socket: &EventSocket) -> Uuid {
    let pool = site.node.app.changes.pool();
    let own = "select e.id from extensions e join users u on u.id = e.user_id and u.tenant_id = e.tenant_id where u.email = 'ada@acme.test'";
    let own = sqlx::query_scalar::<_, Uuid>(own).fetch_one(pool).await.unwrap();
    let other = "select id from extensions where id <> $1 and user_id is not null order by number limit 1";
    let other = sqlx::query_scalar::<_, Uuid>(other).bind(own).fetch_one(pool).await.unwrap();
    let insert = "insert into voicemail_messages (tenant_id, id, extension_id, switch_id, message, file, caller_number, caller_name, received_at,
                      seconds, is_urgent, read_at, forwarded_by, content_id, store, key, bytes, sha256, stored_at)
                  select e.tenant_id, $1, e.id, s.id, $1, 'msg_1.wav', $3, $4, now() - make_interval(mins => $5), $6, $7,
                      case when $8 then now() end, $9, $1, 'folder', '\\x00', 1, decode(repeat('00', 32), 'hex'), now()
                    from extensions e, switches s where e.id = $2 limit 1";
    let all = [
        (own, "+493012345678", "Meyer & Söhne <script>", 3, 65, true, false, None),
        (own, "2001", "Joan Clarke", 90, 7, false, false, Some("2001")),
        (own, "+442079460958", "+442079460958", 3000, 184, false, true, None),
        (own, "anonymous", "", 4000, 9, false, true, None),
        (other, "anonymous", "", 5, 12, false, false, None),
    ];
    let mut first = None;
    for (extension, number, name, minutes, seconds, urgent, read, by) in all {
        let message = Uuid::now_v7();
        let query = sqlx::query(insert).bind(message).bind(extension).bind(number).bind(name).bind(minutes);
        query.bind(seconds).bind(urgent).bind(read).bind(by).execute(pool).await.unwrap();
        if extension == own {
            socket.has().messages.push((message, read));
            first.get_or_insert(message);
        }
    }
    first.unwrap()
}

#[actix_web::test]
async fn further_pages_of_a_tenant_are_sound() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let agent = company(&site, &browser).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    // Nobody can be asked before a switch is heard.
    gallery.show_alike("voicemail-away", "/app/voicemail").await;
    let (socket, _) = switch(&site).await;
    gallery.show_alike("voicemail-none", "/app/voicemail").await;
    let message = messages(&site, &socket).await;
    gallery.show("voicemail", "/app/voicemail").await;
    assert!(browser.text().await.contains("Meyer & Söhne <script>"), "{}", browser.text().await);
    gallery.show_alike("voicemail-delete", &format!("/app/voicemail/{message}/delete")).await;
    let script = "document.querySelectorAll('details.more').forEach((one) => { one.open = true; })";
    browser.page.goto(&format!("{}/app/voicemail", site.url)).await.unwrap();
    browser.page.execute(script, vec![]).await.unwrap();
    gallery.look_around("voicemail-forward").await;
    for (name, path) in [
        ("help", "/help"),
        ("help-agents", "/help/agents"),
        ("help-trouble", "/help/trouble?extension=2001"),
        ("help-nobody", "/help/trouble?extension=4711"),
        ("contacts", "/app/contacts"),
        ("contact-new", "/app/contacts/new"),
        ("erasures", "/app/erasures"),
        ("erasure-new", "/app/erasures/new"),
        ("retention", "/retention"),
        ("recordings", "/app/recordings"),
        ("call-backs", "/app/call-backs"),
        ("usage-limits", "/app/usage-limits"),
        ("search-actions", "/search?q=add"),
    ] {
        gallery.show_alike(name, path).await;
    }
    assert!(browser.text().await.contains("Add agent"), "{}", browser.text().await);
    for topic in ["start", "extensions", "numbers"] {
        gallery.show_alike(&format!("help-{topic}"), &format!("/help/{topic}")).await;
    }
    // The help is that of the page that one is at.
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/app/agents", site.url)).await.unwrap();
    let to = "return document.querySelector('.bar a[aria-label=\"Help\"]').getAttribute('href')";
    assert_eq!(browser.page.execute(to, vec![]).await.unwrap(), json!("/help/agents"));
    // A row's menu can be seen, whatever is below it.
    let opens = "const menu = document.querySelector('#list details.menu'); menu.open = true;
        const box = menu.querySelector('a.danger').getBoundingClientRect();
        const seen = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return menu.contains(seen)";
    browser.page.goto(&format!("{}/app/agents?q=lovelace", site.url)).await.unwrap();
    assert_eq!(browser.page.execute(opens, vec![]).await.unwrap(), json!(true));
    gallery.look("agents-menu-light-1440").await;
    browser.page.goto(&format!("{}/language/de", site.url)).await.unwrap();
    for (name, path) in [
        ("voicemail-german", "/app/voicemail".to_owned()),
        ("help-german", "/help/trouble".into()),
        ("agent-german", format!("/app/agents/{agent}")),
        ("today-german", "/app".into()),
    ] {
        gallery.show_alike(name, &path).await;
    }
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

#[actix_web::test]
async fn further_pages_of_the_platform_are_sound() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    for (name, domain, number) in
        [("Acme", "acme.test", "+12025550123"), ("Umbrella", "umbrella.test", "+493012345678")]
    {
        let tenant = site.node.api("POST", "/v1/tenants", json!({ "name": name, "domain": domain })).await.id();
        let path = format!("/v1/phone-numbers?tenant_id={tenant}");
        let number = json!({ "number": number, "provider": "Telnyx" });
        assert_eq!(site.node.api("POST", &path, number).await.status, 201);
    }
    let mut template = site.node.api("GET", "/v1/templates/default", Value::Null).await.json();
    (template["name"], template["title"]) = ("hotel".into(), "A hotel <b>".into());
    template["description"] = "A reception and many rooms.".into();
    assert_eq!(site.node.api("POST", "/v1/templates", template.clone()).await.status, 201);
    site.sign_in(&browser, ADMIN).await;
    browser.sees("Tenants").await;
    for (name, path) in [
        ("tenants-found", "/platform/tenants?q=umb"),
        ("tenants-no-match", "/platform/tenants?q=nobody"),
        ("platform-numbers", "/platform/numbers"),
        ("platform-numbers-no-match", "/platform/numbers?q=4711"),
        ("monitoring", "/platform/monitoring"),
        ("templates", "/platform/templates"),
        ("template-new", "/platform/templates/new"),
        ("template-delete", "/platform/templates/hotel/delete"),
        ("help-switch", "/help/switch"),
        ("help-moving", "/help/moving"),
    ] {
        gallery.show_alike(name, path).await;
    }
    let clusters = site.node.api("GET", "/v1/clusters", Value::Null).await.json();
    let cluster = format!("/platform/clusters/{}/modules", clusters["items"][0]["id"].as_str().unwrap());
    gallery.show_alike("modules", &cluster).await;
    gallery.show_alike("module-new", &format!("{cluster}/local_stream.conf")).await;
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}{cluster}/local_stream.conf", site.url)).await.unwrap();
    let xml = "document.getElementById('xml').value = arguments[0]";
    browser.page.execute(xml, vec!["<configuration".into()]).await.unwrap();
    browser.click("Save").await;
    browser.sees("Please check these fields").await;
    let _ = browser.complaints().await;
    let jazz =
        "<configuration name=\"local_stream.conf\"><directory name=\"jazz\" path=\"/srv/music/jazz\"/></configuration>";
    browser.page.execute(xml, vec![jazz.into()]).await.unwrap();
    browser.click("Save").await;
    browser.sees("It is in force for new fetches.").await;
    browser.sees("+<directory name=\"jazz\"").await;
    gallery.look("module-light-1440").await;
    browser.click("Go back to the installed one").await;
    browser.sees("Go back to the installed configuration?").await;
    browser.click("Go back to the installed one").await;
    browser.sees("Saved.").await;
    // A template is changed as JSON: what can't be read is said, and what changed is shown.
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/platform/templates/hotel", site.url)).await.unwrap();
    let typed = "document.getElementById('template').value = arguments[0]";
    browser.page.execute(typed, vec!["{ nothing".into()]).await.unwrap();
    browser.click("Save").await;
    browser.sees("Please check these fields").await;
    let _ = browser.complaints().await;
    gallery.look("template-wrong-light-1440").await;
    template["settings"]["country"] = "AT".into();
    browser.page.execute(typed, vec![template.to_string().into()]).await.unwrap();
    browser.click("Save").await;
    browser.sees("Saved.").await;
    browser.sees("Country").await;
    let now = site.node.api("GET", "/v1/templates/hotel", Value::Null).await.json();
    assert_eq!(now["settings"]["country"], "AT");
    gallery.show_alike("template", "/platform/templates/hotel").await;
    browser.page.goto(&format!("{}/platform/templates/hotel/delete", site.url)).await.unwrap();
    browser.click("Delete").await;
    browser.sees("Deleted.").await;
    assert_eq!(site.node.api("GET", "/v1/templates/hotel", Value::Null).await.status, 404);
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}
