//! Forms that are sent twice: by a double click, or because a browser gave up.

use super::*;

impl Stage {
    /// Waits until a count is this.
    async fn until(&self, sql: &'static str, count: i64) {
        while self.count(sql).await != count {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn first_cluster(&self) -> String {
        let cluster = self.node.api("GET", "/v1/clusters", Value::Null).await.json()["items"][0]["id"].clone();
        cluster.as_str().unwrap().to_owned()
    }
}

type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'static str, bool);

#[actix_web::test]
async fn a_form_that_is_sent_twice_does_its_work_once_and_leads_both_times_to_the_same_page() {
    let stage = Stage::new().await;
    let cluster = stage.first_cluster().await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let tests: [Case; 7] = [
        ("/app/extensions/new", &[("number", "1500")], "select count(*) from extensions", true),
        ("/app/agents/new", &ADA, "select count(*) from users where role = 'agent'", true),
        ("/app/keys/new", &[("name", "k")], "select count(*) from api_keys", true),
        (
            "/app/webhooks/new",
            &[("url", "https://hooks.acme.test/x"), ("topics", "call:ended")],
            "select count(*) from webhooks",
            true,
        ),
        (
            "/app/contacts/new",
            &[("name", "Grace"), ("numbers", "+12025550111")],
            "select count(*) from contacts",
            false,
        ),
        ("/platform/switches/new", &[("name", "fs-9"), ("cluster", &cluster)], "select count(*) from switches", true),
        (
            "/platform/clusters",
            &[("name", "west"), ("region", "us"), ("max_tenants", "5")],
            "select count(*) from clusters",
            false,
        ),
    ];
    for (page, typed, counted, is_shown) in tests {
        let tab = if page.starts_with("/platform") { &mut admin } else { &mut owner };
        let shown = tab.get(page).await;
        assert_eq!(shown.status, 200, "{page}: {}", shown.text());
        let mut sent = form(&shown.text());
        for (name, value) in typed {
            set(&mut sent, name, value);
        }
        let before = stage.count(counted).await;
        // At the same time, as a double click does it, and once more.
        let (one, two) = {
            let (mut one, mut two, sent) = (tab.clone(), tab.clone(), refs(&sent));
            tokio::join!(one.post(page, &sent), two.post(page, &sent))
        };
        assert_eq!((one.status, two.status), (303, 303), "{page}: {} {}", one.text(), two.text());
        let to = one.header("Location").unwrap().to_owned();
        assert_eq!(two.header("Location"), Some(&*to), "{page}");
        assert_eq!(tab.does(page, &refs(&sent)).await, to, "{page}");
        assert_eq!(to.contains("shown="), is_shown, "{page}: {to}");
        assert_eq!(stage.count(counted).await, before + 1, "{page}");
        assert_eq!(tab.get(&to).await.status, 200, "{to}");
        // What was corrected is another form, and so is the same form on a page that was opened anew.
        let mut anew = form(&tab.get(page).await.text());
        assert_ne!(of(&anew, "once"), of(&sent, "once"));
        for (name, value) in typed {
            set(&mut anew, name, value);
        }
        if is_shown {
            let again = tab.post(page, &refs(&anew)).await;
            assert_ne!(again.header("Location"), Some(&*to), "{page}: {}", again.text());
        }
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_form_that_was_refused_is_looked_at_again_and_one_with_other_input_is_another() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut sent = form(&tab.get("/app/extensions/new").await.text());
    set(&mut sent, "number", "1500");
    stage.phone("1500", "Ada").await;
    for _ in 0..2 {
        let refused = tab.post("/app/extensions/new", &refs(&sent)).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
    assert_eq!(stage.count("select count(*) from kept_pages").await, 0, "nothing is kept of what was refused");
    stage.execute("delete from extensions").await;
    stage.execute("delete from held_numbers").await;
    let made = tab.does("/app/extensions/new", &refs(&sent)).await;
    set(&mut sent, "number", "1501");
    assert_ne!(tab.does("/app/extensions/new", &refs(&sent)).await, made, "who goes back and corrects something");
    assert_eq!(stage.count("select count(*) from extensions").await, 2);
    // Somebody else who sends the same is somebody else.
    let mut other = Tab::of(&stage.node, &stage.owner).await;
    let refused = other.post("/app/extensions/new", &refs(&sent)).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    // Five minutes later, it is a new form.
    stage.execute("update kept_pages set expires_at = now()").await;
    let late = tab.post("/app/extensions/new", &refs(&sent)).await;
    assert_eq!(late.status, 422, "{}", late.text());
    stage.node.stop().await;
}

#[actix_web::test]
async fn what_somebody_had_done_to_a_thing_twice_is_done_once_and_in_another_tab_it_is_asked_about() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let extension = stage.phone("1500", "Ada").await;
    let rotate = format!("/app/extensions/{extension}/rotate");
    let question = form(&tab.get(&rotate).await.text());
    let older = form(&tab.get(&rotate).await.text());
    let to = tab.does(&rotate, &refs(&question)).await;
    assert_eq!(tab.does(&rotate, &refs(&question)).await, to);
    let rotated = "select count(*) from audit_log where action = 'update' and resource like '%extensions/%'";
    assert_eq!(stage.count(rotated).await, 1);
    let told = tab.post(&rotate, &refs(&older)).await;
    let page = told.text();
    assert!(told.status == 409 && page.contains("Check that you still want this"), "{page}");
    assert!(!page.contains("Read it again") && !page.contains("it now has version"), "no words for programs: {page}");
    // Who still wants it says so on the page that asks.
    assert_ne!(tab.does(&rotate, &refs(&form(&page))).await, to);
    assert_eq!(stage.count(rotated).await, 2);
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_work_for_a_form_goes_on_when_its_browser_hangs_up() {
    use sqlx::Connection as _;
    use std::io::Write as _;

    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut sent = form(&tab.get("/app/keys/new").await.text());
    set(&mut sent, "name", "mine");
    // A browser sends the form and closes the connection at once. Its person's second click asks for the answer.
    let csrf = tab.csrf();
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(refs(&sent)).append_pair("csrf", &csrf);
    let body = body.finish();
    let cookie = &tab.cookies["dialplane_session"];
    let request = format!(
        "POST /app/keys/new HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nCookie: dialplane_session={cookie}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // The key waits for this, so that the first is surely at work when its browser hangs up.
    let mut db = stage.database.connect().await;
    let mut lock = db.begin().await.unwrap();
    sqlx::query("lock table api_keys in exclusive mode").execute(&mut *lock).await.unwrap();
    let mut first = std::net::TcpStream::connect(stage.node.app.app_address).unwrap();
    first.write_all(request.as_bytes()).unwrap();
    stage.until("select count(*) from pg_locks where not granted and relation = 'api_keys'::regclass", 1).await;
    drop(first);
    // The node hears of that while it waits.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    lock.rollback().await.unwrap();
    let to = tab.does("/app/keys/new", &refs(&sent)).await;
    assert!(to.contains("shown="), "{to}");
    assert_eq!(stage.count("select count(*) from api_keys where name = 'mine'").await, 1);
    assert!(tab.get(&to).await.text().contains("dpk_"), "the secret is shown");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_look_at_a_carriers_rates_can_be_loaded_again() {
    let stage = Stage::new().await;
    let carrier = json!({ "name": "c", "config": { "host": "sip.c.test" } });
    let carrier = stage.node.api("POST", "/v1/carriers", carrier).await.id();
    let path = format!("/platform/carriers/{carrier}/rates");
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let csrf = admin.csrf();
    let looked = admin.typed(&path, &[("lines", "33,0.54\n331,0.6")], &csrf).await;
    assert_eq!(looked.status, 303, "{}", looked.text());
    let to = looked.header("Location").unwrap().to_owned();
    let mut form_of_it = Vec::new();
    for _ in 0..2 {
        let page = admin.get(&to).await.text();
        assert!(page.contains("331,0.6") && page.contains("name=\"sure\""), "{page}");
        form_of_it = form(&page);
    }
    assert_eq!(stage.count("select count(*) from rates").await, 0, "a look changes nothing");
    let sure = refs(&form_of_it).into_iter().filter(|(name, _)| *name != "csrf").collect::<Vec<_>>();
    let done = admin.typed(&path, &sure, &csrf).await;
    assert_eq!((done.status, done.header("Location")), (303, Some(&*path)), "{}", done.text());
    assert_eq!(stage.count("select count(*) from rates").await, 2);
    // A sheet with an error is shown with it, as every form that is refused.
    let refused = admin.typed(&path, &[("lines", "x,y")], &csrf).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    stage.node.stop().await;
}
