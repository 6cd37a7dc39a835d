//! A session that ends: whoever signs in again continues where they were, with what they had typed.

use super::*;

impl Tab<'_> {
    /// Sends a form with a token of its own choice: pages that take a file send theirs in parts.
    pub async fn typed(&mut self, path: &str, typed: &[(&str, &str)], csrf: &str) -> Answer {
        let token = ("csrf", csrf);
        let all = typed.iter().chain([&token]);
        if path.ends_with("/many") || path.ends_with("/rates") {
            let part = |(name, text): &(&str, &str)| {
                format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
            };
            let body = all.map(part).collect::<String>() + "--x--\r\n";
            return self.ask("POST", path, "multipart/form-data; boundary=x", &body).await;
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
        self.ask("POST", path, "application/x-www-form-urlencoded", &body).await
    }

    /// Signs in on the page that a form led to. Returns the address that one is led back to.
    pub async fn signs_in(&mut self, page: &str) -> String {
        let mut sign_in = fields(page);
        set(&mut sign_in, "email", "owner@acme.test");
        set(&mut sign_in, "password", PASSWORD);
        self.does("/sign-in", &refs(&sign_in)).await
    }
}

#[actix_web::test]
async fn a_session_that_ends_keeps_what_was_typed_and_leads_back() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let csrf = tab.csrf();
    stage.execute("delete from sessions").await;
    let asked = tab.post("/app/agents/new", &ADA).await;
    let page = asked.text();
    assert_eq!(asked.status, 401, "{page}");
    assert!(page.contains("Your session has ended") && !page.contains("CSRF") && !page.contains(&csrf), "{page}");
    let mut sign_in = fields(&page);
    for (name, value) in [("email", "owner@acme.test"), ("password", "wrong")] {
        sign_in.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
    }
    // This also works after a wrong password.
    let wrong = tab.post("/sign-in", &refs(&sign_in)).await;
    assert_eq!(wrong.status, 422);
    let mut sign_in = fields(&wrong.text());
    sign_in.iter_mut().find(|(known, _)| known == "password").unwrap().1 = PASSWORD.to_owned();
    let back = tab.does("/sign-in", &refs(&sign_in)).await;
    assert!(back.starts_with("/app/agents/new?typed="), "{back}");
    let form = tab.get(&back).await.text();
    assert!(form.contains("Your input is still here"), "{form}");
    let typed = fields(&form);
    for (name, value) in ADA {
        assert_eq!(of(&typed, name), value, "{name}");
    }
    assert_eq!(stage.count("select count(*) from users where role = 'agent'").await, 0, "nothing was sent by itself");
    tab.does("/app/agents/new", &refs(&typed)).await;

    // A page that was opened before signing in again has the old token. Its form is kept as well.
    let stale = tab.csrf();
    tab.cookies.insert("dialplane_session".into(), browser(&stage.node, &stage.owner).await);
    let body =
        format!("csrf={stale}&first_name=Joan&last_name=Clarke&email=joan%40acme.test&role=agent&extensions_count=1");
    let kept = tab.ask("POST", "/app/agents/new", "application/x-www-form-urlencoded", &body).await;
    assert_eq!(kept.status, 303, "{}", kept.text());
    let form = tab.get(kept.header("Location").unwrap()).await.text();
    assert_eq!(of(&fields(&form), "email"), "joan@acme.test");
    // If it was only a button, the page says what happened.
    let body = format!("csrf={stale}");
    let path = format!("/app/agents/{}/suspend", stage.agent("hedy@acme.test").await["id"].as_str().unwrap());
    let told = tab.ask("POST", &path, "application/x-www-form-urlencoded", &body).await;
    assert_eq!(told.status, 303);
    let page = tab.get(told.header("Location").unwrap()).await.text();
    assert!(page.contains("Please repeat what you did") && page.contains("hedy@acme.test"), "{page}");

    // Somebody who only looked is led back, too. A part of a page sends the whole page to the sign-in.
    tab.cookies.remove("dialplane_session");
    let away = tab.get("/app/agents?search=hopper").await;
    assert_eq!((away.status, away.header("Location")), (303, Some("/sign-in?back=%2Fapp%2Fagents%3Fsearch%3Dhopper")));
    let signed_in =
        [("email", "owner@acme.test"), ("password", PASSWORD), ("back", "/app/agents?search=hopper"), ("typed", "")];
    assert_eq!(tab.does("/sign-in", &signed_in).await, "/app/agents?search=hopper");
    tab.cookies.remove("dialplane_session");
    let evil = [("email", "owner@acme.test"), ("password", PASSWORD), ("back", "//evil.test/app"), ("typed", "")];
    assert_eq!(tab.does("/sign-in", &evil).await, "/");
    let part = send(stage.node.app.app_address, "GET", "/app/agents", &[("HX-Request", "true")], b"").await;
    assert_eq!((part.status, part.header("HX-Redirect")), (401, Some("/sign-in?back=%2Fapp%2Fagents")));
    stage.node.stop().await;
}

#[actix_web::test]
async fn fields_of_several_values_come_back_whole() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut sent = form(&tab.get("/phone-numbers/new").await.text());
    sent.retain(|(known, _)| known != "capabilities");
    set(&mut sent, "number", "12025550199");
    sent.extend(["sms", "fax"].map(|value| ("capabilities".to_owned(), value.to_owned())));
    stage.execute("delete from sessions").await;
    let asked = tab.post("/phone-numbers/new", &refs(&sent)).await;
    assert_eq!(asked.status, 401, "{}", asked.text());
    let back = tab.signs_in(&asked.text()).await;
    let shown = form(&tab.get(&back).await.text());
    let all = shown.iter().filter(|(known, _)| known == "capabilities").map(|(_, value)| value.as_str());
    assert_eq!(all.collect::<Vec<_>>(), ["sms", "fax"], "{shown:?}");
    assert_eq!(of(&shown, "number"), "12025550199");
    stage.node.stop().await;
}

/// A secret must not wait until somebody signs in, and whoever typed one must not think that it is still there.
#[actix_web::test]
async fn a_page_says_that_a_pin_was_not_kept() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    for (pin, said) in [("493827", "passwords and PINs are not kept"), ("", "check it and send it")] {
        let mut sent = form(&tab.get("/app/conferences/new").await.text());
        set(&mut sent, "name", "room");
        set(&mut sent, "pin", pin);
        stage.execute("delete from sessions").await;
        let asked = tab.post("/app/conferences/new", &refs(&sent)).await;
        assert!(asked.status == 401 && (pin.is_empty() || !asked.text().contains(pin)), "{}", asked.text());
        let back = tab.signs_in(&asked.text()).await;
        let page = tab.get(&back).await.text();
        assert!(page.contains(said), "{pin:?}: {page}");
        let shown = form(&page);
        assert_eq!((of(&shown, "name"), of(&shown, "pin")), ("room", ""));
    }
    stage.node.stop().await;
}

/// Where a form is, what is typed, and what is looked for.
type Case<'a> = (String, Vec<(&'a str, &'a str)>, &'a str);

#[actix_web::test]
async fn every_page_that_promises_to_keep_what_was_typed_shows_it_again() {
    let stage = Stage::new().await;
    let node = &stage.node;
    let agent = stage.agent("grace@acme.test").await["id"].as_str().unwrap().to_owned();
    let new = json!({ "number": "+12025550123", "country": "US" });
    let number = stage.owner.ask(node, "POST", "/v1/phone-numbers", new).await.id();
    let call = node.call(stage.tenant).await;
    let key = stage.owner.ask(node, "POST", "/v1/keys", json!({ "name": "k" })).await.json()["id"].clone();
    let key = key.as_str().unwrap();
    let assigned = json!({ "agent_id": agent });
    let path = format!("/v1/phone-numbers/{number}/assign");
    assert_eq!(stage.owner.ask(node, "POST", &path, assigned).await.status, 200);
    // Where a form is sent, what is typed, and the field that has it again.
    let cases: Vec<Case> = vec![
        (
            format!("/app/calls/{call}"),
            vec![("notes", "a long note"), ("tags", "x, y"), ("version", "0")],
            "a long note",
        ),
        ("/phone-numbers/many".into(), vec![("lines", "+12025550177,telnyx,US")], "+12025550177,telnyx,US"),
        (format!("/phone-numbers/{number}/assign"), vec![("daily_limit", "4711"), ("version", "1")], "value=\"4711\""),
        (format!("/app/keys/{key}/rotate"), vec![("overlap_seconds", "777"), ("version", "1")], "value=\"777\""),
        (format!("/app/agents/{agent}/extensions"), vec![("number", "1777")], "value=\"1777\""),
        (
            format!("/agent-assignments/{agent}/choice"),
            vec![("agent", &agent), ("choice", "round_robin"), ("was_choice", "fixed")],
            "value=\"round_robin\" selected",
        ),
    ];
    for (path, typed, again) in &cases {
        let mut tab = Tab::of(node, &stage.owner).await;
        let stale = tab.csrf();
        stage.execute("delete from sessions").await;
        let asked = tab.typed(path, typed, &stale).await;
        let page = asked.text();
        assert!(asked.status == 401 && page.contains("name=\"typed\""), "{path}: {page}");
        let back = tab.signs_in(&page).await;
        let shown = tab.get(&back).await;
        assert!(shown.status == 200 && shown.text().contains(again), "{path}: {}", shown.text());
        assert!(shown.text().contains("Your input is still here"), "{path}: {}", shown.text());
        // The same if the page was opened in an earlier session.
        let kept = tab.typed(path, typed, &stale).await;
        assert_eq!(kept.status, 303, "{path}: {}", kept.text());
        let shown = tab.get(kept.header("Location").unwrap()).await.text();
        assert!(shown.contains(again), "{path}: {shown}");
    }

    // A carrier's rates are the platform's.
    let carrier = json!({ "name": "c", "config": { "host": "sip.c.test" } });
    let carrier = node.api("POST", "/v1/carriers", carrier).await.id();
    let mut admin = Tab::of(node, &stage.admin).await;
    let path = format!("/platform/carriers/{carrier}/rates");
    let kept = admin.typed(&path, &[("lines", "33,0.0471")], "stale").await;
    assert_eq!(kept.status, 303, "{}", kept.text());
    assert!(admin.get(kept.header("Location").unwrap()).await.text().contains("33,0.0471"));

    // Where nothing is shown again, nothing is promised.
    let mut tab = Tab::of(node, &stage.owner).await;
    stage.execute("delete from sessions").await;
    for (path, typed) in [
        ("/app/extensions/bulk".to_owned(), vec![("act", "delete"), ("pick", "1|x|y")]),
        (format!("/app/agents/{agent}/suspend"), Vec::new()),
        (format!("/app/keys/{key}/delete"), vec![("version", "1")]),
        (format!("/app/recordings/{call}/hold"), vec![("why", "court")]),
    ] {
        let asked = tab.post(&path, &typed).await;
        assert_eq!((asked.status, asked.text().contains("typed=")), (303, false), "{path}: {}", asked.text());
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_button_of_a_page_that_has_no_address_of_its_own_leads_back_to_the_page() {
    let stage = Stage::new().await;
    let node = &stage.node;
    let webhook = json!({ "url": "https://hooks.acme.test/x", "topics": ["call:ended"] });
    let webhook = stage.owner.ask(node, "POST", "/v1/webhooks", webhook).await.json();
    let webhook = webhook["id"].as_str().unwrap_or_else(|| panic!("{webhook}"));
    let mut tab = Tab::of(node, &stage.owner).await;
    let told = tab.typed(&format!("/app/webhooks/{webhook}/test"), &[], "stale").await;
    assert_eq!((told.status, told.header("Location")), (303, Some(&*format!("/app/webhooks/{webhook}"))));
    let page = tab.get(told.header("Location").unwrap()).await;
    assert!(page.status == 200 && page.text().contains("Please repeat what you did"), "{}", page.text());
    let mut admin = Tab::of(node, &stage.admin).await;
    let told = admin.typed("/platform/records/read-again", &[], "stale").await;
    assert_eq!((told.status, told.header("Location")), (303, Some("/platform/records")));
    assert_eq!(admin.get("/platform/records").await.status, 200);
    // Also if one has to sign in first.
    stage.execute("delete from sessions").await;
    let mut stranger = Tab::new(node);
    let asked = stranger.post(&format!("/app/webhooks/{webhook}/test"), &[]).await;
    let to = asked.header("Location").unwrap().to_owned();
    let sign_in = stranger.get(&to).await.text();
    let back = stranger.signs_in(&sign_in).await;
    assert_eq!(back, format!("/app/webhooks/{webhook}"));
    let page = stranger.get(&back).await.text();
    assert!(page.contains("Please repeat what you did"), "{page}");
    // A page that was only asked for has nothing to repeat.
    stage.execute("delete from sessions").await;
    let mut stranger = Tab::new(node);
    let asked = stranger.get(&back).await;
    let sign_in = stranger.get(asked.header("Location").unwrap()).await.text();
    assert_eq!(stranger.signs_in(&sign_in).await, back);
    let page = stranger.get(&back).await.text();
    assert!(!page.contains("Please repeat"), "{page}");
    stage.node.stop().await;
}
