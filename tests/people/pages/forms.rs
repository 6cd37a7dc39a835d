//! Forms: what is shown once, two tabs, a session that ends, reloads.

use super::*;

#[actix_web::test]
async fn a_secret_is_shown_once_and_survives_a_reload_for_five_minutes_in_its_own_session() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let made = tab.does("/app/agents/new", &ADA).await;
    let first = tab.get(&made).await.text();
    let secret = password(&first);
    assert!(secret.len() >= 12, "{first}");
    assert_eq!(password(&tab.get(&made).await.text()), secret, "a reload shows it again");
    assert_eq!(stage.count("select count(*) from users where role = 'agent'").await, 1, "and makes nobody");

    // Nobody else sees the secret, not even the same person in another session, and a guessed id shows nothing.
    let mut elsewhere = Tab::of(&stage.node, &stage.owner).await;
    let other = elsewhere.get(&made).await;
    assert!(other.status == 200 && !other.text().contains(&secret) && other.text().contains("No longer shown"));
    assert!(!Tab::new(&stage.node).get(&made).await.text().contains(&secret));
    // The kept secret is sealed.
    assert_eq!(
        stage.count("select count(*) from kept_pages where position('Hopper'::bytea in sealed) > 0").await,
        0,
        "nothing of it can be read in the database"
    );

    // For a new one, the page asks first, and shows it the same way.
    let agent = stage.owner.ask(&stage.node, "GET", "/v1/admin/agents?search=grace", Value::Null).await.json();
    let (agent, numbered) = (agent["items"][0]["id"].clone(), agent["items"][0]["extensions"][0].clone());
    let extension = numbered["id"].clone();
    let rotate = format!("/app/agents/{}/extensions/{}/rotate", agent.as_str().unwrap(), extension.as_str().unwrap());
    let question = tab.get(&rotate).await.text();
    assert!(question.contains("Make a new SIP password?") && question.contains("signed off"), "{question}");
    let answer = fields(&question);
    let renewed = tab.does(&rotate, &refs(&answer)).await;
    let text = tab.get(&renewed).await.text();
    let (second, number) = (password(&text), numbered["number"].as_str().unwrap());
    assert_ne!(second, secret);
    assert!(text.contains(&format!("Extension {number}")), "by its number: {text}");
    assert_eq!(password(&tab.get(&renewed).await.text()), second, "a reload makes no other");
    // Another tab with the same question is confirmed, too: it gets the same answer, and no second secret is made.
    let again = tab.post(&rotate, &refs(&answer)).await;
    assert!(again.status == 409 && again.text().contains("Somebody else has changed it"), "{}", again.text());

    stage.execute("update kept_pages set expires_at = now()").await;
    let gone = tab.get(&renewed).await.text();
    assert!(gone.contains("No longer shown") && !gone.contains(&second), "{gone}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn every_form_that_did_something_leads_to_another_page() {
    let stage = Stage::new().await;
    let (node, agent) = (&stage.node, stage.agent("joan@acme.test").await["id"].as_str().unwrap().to_owned());
    let mut tab = Tab::of(node, &stage.owner).await;
    tab.does("/app/agents/new", &ADA).await;
    let at = |rest: &str| format!("/app/agents/{agent}{rest}");
    let shown = fields(&tab.get(&at("")).await.text());
    tab.does(&at(""), &refs(&shown)).await;
    for rest in ["/suspend", "/activate", "/invite"] {
        tab.does(&at(rest), &[]).await;
    }
    let extension = stage.owner.ask(node, "GET", &format!("/v1/admin/agents/{agent}"), Value::Null).await.json();
    let extension = extension["extensions"][0]["id"].as_str().unwrap().to_owned();
    let rotate = at(&format!("/extensions/{extension}/rotate"));
    let question = fields(&tab.get(&rotate).await.text());
    tab.does(&rotate, &refs(&question)).await;
    let group = json!({ "name": "sales", "members": [extension] });
    let path = format!("/v1/tenants/{}/groups", stage.tenant);
    let group = stage.owner.ask(node, "POST", &path, group).await.id();
    tab.does(&at(&format!("/groups/{group}/leave")), &[]).await;
    let question = fields(&tab.get(&at("/delete")).await.text());
    tab.does(&at("/delete"), &refs(&question)).await;
    tab.does("/account/two-factor", &[]).await;
    tab.does("/account/password", &[("old_password", PASSWORD), ("password", "seven copper kettles sing")]).await;

    // For a file, the preview and the import are separate pages.
    let csv = "first_name,last_name,email\r\nKatherine,Johnson,kj@acme.test\r\nNo,Address,nothing\r\n";
    let part = |name: &str, more: &str, text: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
    };
    let body = part("csrf", "", &tab.csrf()) + &part("file", "; filename=\"a.csv\"", csv) + "--x--\r\n";
    let preview = tab.ask("POST", "/app/agents/import", "multipart/form-data; boundary=x", &body).await;
    assert_eq!(preview.status, 303, "{}", preview.text());
    let preview = preview.header("Location").unwrap().to_owned();
    let page = tab.get(&preview).await.text();
    assert!(page.contains("1 ready, 1 with errors.") && page.contains("must be an e-mail address"), "{page}");
    let done = tab.does(&preview, &[]).await;
    for _ in 0..2 {
        let page = tab.get(&done).await.text();
        assert!(page.contains("1 added, 1 with errors."), "{page}");
    }

    let mut admin = Tab::of(node, &stage.admin).await;
    admin.does("/platform/clusters", &[("name", "west"), ("region", "us"), ("max_tenants", "5")]).await;
    let cluster = node.api("GET", "/v1/clusters", Value::Null).await.json()["items"][0]["id"].clone();
    let new = [("name", "fs-9"), ("cluster", cluster.as_str().unwrap())];
    let setup = admin.does("/platform/switches/new", &new).await;
    for _ in 0..2 {
        assert!(admin.get(&setup).await.text().contains("fs-9:dps_"), "shown, and again by a reload");
    }
    let switch = setup.split('/').nth(3).unwrap().to_owned();
    let token = format!("/platform/switches/{switch}/token");
    let question = fields(&admin.get(&token).await.text());
    admin.does(&token, &refs(&question)).await;
    let tenant = [
        ("name", "Beta"),
        ("domain", "beta.test"),
        ("template", "default"),
        ("first_name", "B"),
        ("last_name", "B"),
        ("email", "b@beta.test"),
    ];
    admin.does("/platform/tenants/new", &tenant).await;
    let suspend = format!("/platform/tenants/{}/suspend", stage.tenant);
    let question = fields(&admin.get(&suspend).await.text());
    admin.does(&suspend, &refs(&question)).await;
    admin.does(&format!("/platform/tenants/{}/activate", stage.tenant), &[]).await;

    let mut nobody = Tab::new(node);
    let sent = [
        ("company", "New"),
        ("domain", "new.test"),
        ("first_name", "N"),
        ("last_name", "N"),
        ("email", "n@new.test"),
        ("password", PASSWORD),
    ];
    assert!(nobody.sees_after("/sign-up", &sent).await.contains("Check your inbox"));
    assert!(nobody.sees_after("/forgot", &[("email", "n@new.test")]).await.contains("Check your inbox"));
    assert!(nobody.sees_after("/verify/again", &[("email", "n@new.test")]).await.contains("Check your inbox"));
    let signed_in = [("email", "admin@platform.test"), ("password", PASSWORD)];
    nobody.does("/sign-in", &signed_in).await;
    assert!(nobody.sees_after("/sign-out", &[]).await.contains("You are signed out."));
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_second_of_two_tabs_shows_what_the_first_saved() {
    let stage = Stage::new().await;
    let agent = stage.agent("grace@acme.test").await["id"].as_str().unwrap().to_owned();
    let path = format!("/app/agents/{agent}");
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let (mut one, mut two) = (fields(&tab.get(&path).await.text()), fields(&tab.get(&path).await.text()));
    let set = |fields: &mut Vec<(String, String)>, name: &str, value: &str| {
        fields.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
    };
    set(&mut one, "last_name", "Brewster");
    set(&mut one, "role", "manager");
    tab.does(&path, &refs(&one)).await;
    set(&mut two, "last_name", "Murray");
    let told = tab.post(&path, &refs(&two)).await;
    assert_eq!(told.status, 409, "{}", told.text());
    let page = told.text();
    assert!(page.contains("Somebody else saved changes"), "{page}");
    assert!(page.contains("value=\"Murray\"") && page.contains("<strong>Brewster</strong>"), "both values: {page}");
    let shown = fields(&page);
    assert_eq!(of(&shown, "role"), "manager", "what only they changed is taken over");
    let get = || async { stage.owner.ask(&stage.node, "GET", &format!("/v1/admin/agents/{agent}"), Value::Null).await };
    assert_eq!(get().await.json()["last_name"], "Brewster", "nothing is undone silently");
    // After seeing both, the user chooses one.
    tab.does(&path, &refs(&shown)).await;
    let now = get().await.json();
    assert_eq!((&now["last_name"], &now["role"]), (&json!("Murray"), &json!("manager")));

    // If somebody else changed the thing before the answer, the page asks again.
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    for (path, change, body) in [(
        format!("/platform/tenants/{}/suspend", stage.tenant),
        format!("/v1/tenants/{}", stage.tenant),
        json!({ "name": "Acme Ltd" }),
    )] {
        let question = fields(&admin.get(&path).await.text());
        assert_eq!(stage.node.api("PATCH", &change, body).await.status, 200);
        let again = admin.post(&path, &refs(&question)).await;
        assert!(again.status == 409 && again.text().contains("Somebody else has changed it"), "{}", again.text());
        admin.does(&path, &refs(&fields(&again.text()))).await;
    }
    stage.node.stop().await;
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
