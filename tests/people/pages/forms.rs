//! Forms: what is shown once, reloads, and what pages send of fields that nobody filled in.

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
    // Another tab in which the same was asked before makes no second secret.
    let mut other = answer.clone();
    set(&mut other, "once", "another");
    let again = tab.post(&rotate, &refs(&other)).await;
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
async fn a_number_is_assigned_at_its_page_without_naming_a_country() {
    let stage = Stage::new().await;
    let agent = stage.agent("grace@acme.test").await["id"].as_str().unwrap().to_owned();
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut new = form(&tab.get("/phone-numbers/new").await.text());
    set(&mut new, "number", "12025550123");
    let assign = tab.does("/phone-numbers/new", &refs(&new)).await + "/assign";
    let mut sent = form(&tab.get(&assign).await.text());
    assert_eq!(of(&sent, "allowed_countries"), "", "the field is there, and empty");
    set(&mut sent, "agent_id", &agent);
    assert!(tab.sees_after(&assign, &refs(&sent)).await.contains("The number is assigned."));
    let numbers = || async { stage.owner.ask(&stage.node, "GET", "/v1/phone-numbers", Value::Null).await.json() };
    let number = numbers().await["items"][0].clone();
    assert_eq!(number["assignment"]["agent_id"], json!(agent));
    assert!(number["assignment"]["allowed_countries"].is_null(), "all that the company allows: {number}");
    // To the API, an empty list is as good as none.
    let path = format!("/v1/phone-numbers/{}/assign", number["id"].as_str().unwrap());
    let assigned = json!({ "agent_id": agent, "daily_limit": 7, "allowed_countries": [] });
    let assigned = stage.owner.ask(&stage.node, "POST", &path, assigned).await;
    assert_eq!(assigned.status, 200, "{}", assigned.text());
    assert!(numbers().await["items"][0]["assignment"]["allowed_countries"].is_null());
    let many = json!({ "agent_id": agent, "allowed_countries": vec!["US"; 251] });
    let many = stage.owner.ask(&stage.node, "POST", &path, many).await;
    assert_eq!((many.status, many.json()["code"].clone()), (422, json!("too_many_entries")));
    stage.node.stop().await;
}

#[actix_web::test]
async fn an_entry_of_xml_is_made_and_changed_at_its_page() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.admin).await;
    tab.does(&format!("/platform/tenants/{}/enter", stage.tenant), &[]).await;
    let xml = "<extension name=\"x\"><condition field=\"destination_number\" expression=\"^1599$\">\
               <action application=\"sleep\" data=\"100\"/></condition></extension>";
    let mut new = form(&tab.get("/app/entries/new").await.text());
    set(&mut new, "name", "nights");
    set(&mut new, "xml", xml);
    let page = tab.does("/app/entries/new", &refs(&new)).await;
    let shown = form(&tab.get(&page).await.text());
    assert!(of(&shown, "xml").contains("sleep"), "{shown:?}");
    // One of conditions becomes one of XML as well.
    let path = format!("/v1/tenants/{}/dialplan-entries", stage.tenant);
    let step = json!({ "application": "sleep", "milliseconds": 100 });
    let condition = json!({ "field": "destination_number", "pattern": "^1$", "actions": [step] });
    let entry = json!({ "name": "days", "position": 5, "conditions": [condition] });
    let entry = stage.node.api("POST", &path, entry).await.id();
    let page = format!("/app/entries/{entry}");
    let mut sent = form(&tab.get(&page).await.text());
    sent.retain(|(name, _)| !name.starts_with("conditions"));
    set(&mut sent, "xml", xml);
    tab.does(&page, &refs(&sent)).await;
    let now = stage.node.api("GET", &format!("{path}/{entry}"), Value::Null).await.json();
    assert!(now["xml"].as_str().is_some_and(|xml| xml.contains("sleep")) && now.get("conditions").is_none(), "{now}");
    // Neither is refused still.
    let refused = stage.node.api("POST", &path, json!({ "name": "none", "position": 6 })).await;
    assert_eq!(refused.json()["code"], "conditions_or_xml");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_refusal_names_another_field_as_the_form_does() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut german = Tab::of(&stage.node, &stage.owner).await.german();
    for (tab, label) in [(&mut tab, "“First number”"), (&mut german, "„Erste Nummer“")] {
        let mut new = form(&tab.get("/app/pools/new").await.text());
        set(&mut new, "first_number", "3000");
        set(&mut new, "last_number", "2000");
        let refused = tab.post("/app/pools/new", &refs(&new)).await;
        let page = refused.text();
        assert!(refused.status == 422 && page.contains(label) && !page.contains("below first_number"), "{page}");
    }
    stage.node.stop().await;
}
