//! Pages of one subject: extensions, files of people, call records, retention.

use super::*;

#[actix_web::test]
async fn an_extension_is_added_at_an_agents_page_and_given_back() {
    let stage = Stage::new().await;
    let node = &stage.node;
    let agent = stage.agent("joan@acme.test").await;
    let id = agent["id"].as_str().unwrap().to_owned();
    let first = agent["extensions"][0]["number"].as_str().unwrap().to_owned();
    let page = format!("/app/agents/{id}");
    let mut tab = Tab::of(node, &stage.owner).await;
    // An agent's only extension can't be given back.
    assert!(!tab.get(&page).await.text().contains("/give-back"));
    // The agent gets the lowest free number, and its passwords are shown once.
    let shown = tab.does(&format!("{page}/extensions"), &[("number", "")]).await;
    let text = tab.get(&shown).await.text();
    let second = (first.parse::<u32>().unwrap() + 1).to_string();
    assert!(text.contains(&format!("Extension {second}")) && password(&text).len() >= 12, "{text}");
    assert_eq!(node.sign_in(&second, "acme.test").await.status, 200, "its phone may register");
    // An extension without an agent, with its own SIP username.
    let free = node.extension(stage.tenant, json!({ "number": "77", "sip_username": "lobby" })).await;
    let shown = tab.does(&format!("{page}/extensions"), &[("number", "77")]).await;
    assert!(tab.get(&shown).await.text().contains("lobby"), "its phones know it by that");
    // A number in use, and text that is not a number, are refused by name, and the input is kept.
    for (number, why) in [(first.as_str(), &first[..]), ("x", "2 to 15 digits")] {
        let refused = tab.post(&format!("{page}/extensions"), &[("number", number)]).await;
        let text = refused.text();
        assert!(refused.status == 422 && text.contains(why), "{}: {text}", refused.status);
        assert!(text.contains(&format!("value=\"{number}\"")), "{text}");
    }
    let of = async || {
        let agent = stage.owner.ask(node, "GET", &format!("/v1/admin/agents/{id}"), Value::Null).await.json();
        let of = agent["extensions"].as_array().unwrap().iter().map(|one| one["number"].as_str().unwrap().to_owned());
        of.collect::<Vec<_>>()
    };
    let mut numbers = of().await;
    numbers.sort();
    let mut wanted = vec![first.clone(), second.clone(), "77".to_owned()];
    wanted.sort();
    assert_eq!(numbers, wanted);
    // The page asks before it gives one back, in German as well.
    let give_back = format!("{page}/extensions/{}/give-back", free["id"].as_str().unwrap());
    let question = tab.get(&give_back).await.text();
    assert!(question.contains("Give back this extension?") && question.contains("77"), "{question}");
    let mut german = Tab::of(node, &stage.owner).await.german();
    assert!(german.get(&give_back).await.text().contains("Diese Nebenstelle zurückgeben?"));
    assert!(german.get(&page).await.text().contains("Nebenstelle hinzufügen"));
    let answer = fields(&question);
    let back = tab.sees_after(&give_back, &refs(&answer)).await;
    assert!(back.contains("The extension was given back."), "{back}");
    assert!(!of().await.contains(&"77".to_owned()));
    // An agent with five gets no more.
    for _ in 0..3 {
        tab.does(&format!("{page}/extensions"), &[("number", "")]).await;
    }
    assert!(!tab.get(&page).await.text().contains("Add an extension"));
    let more = tab.post(&format!("{page}/extensions"), &[("number", "")]).await;
    assert!(more.status == 422 && of().await.len() == 5, "{}", more.text());
    // Nor does a suspended agent, and nobody who may only look can add one.
    tab.does(&format!("{page}/suspend"), &[]).await;
    assert!(!tab.get(&page).await.text().contains("Add an extension"));
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_file_of_an_old_spreadsheet_keeps_its_umlauts_by_the_page() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let part = |name: &str, more: &str, text: &[u8]| {
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        [head.as_bytes(), text, b"\r\n"].concat()
    };
    let csv = b"First Name;Last Name;Email Address\r\nJ\xf6rg;M\xfcller \x96 Stra\xdfe;joerg@acme.test\r\n";
    let parts = [
        part("csrf", "", tab.csrf().as_bytes()),
        part("file", "; filename=\"people.csv\"", csv),
        b"--x--\r\n".to_vec(),
    ];
    let sent = tab.send("POST", "/app/agents/import", "multipart/form-data; boundary=x", &parts.concat()).await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    let preview = sent.header("Location").unwrap().to_owned();
    let page = tab.get(&preview).await.text();
    assert!(page.contains("1 ready, 0 with errors"), "{page}");
    tab.does(&preview, &[]).await;
    let agents = stage.owner.ask(&stage.node, "GET", "/v1/admin/agents?search=joerg", Value::Null).await.json();
    let agent = &agents["items"][0];
    assert_eq!((&agent["first_name"], &agent["last_name"]), (&json!("Jörg"), &json!("Müller – Straße")), "{agents}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn unreadable_call_records_are_counted_shown_and_read_again_at_a_page() {
    let stage = Stage::new().await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    assert!(!admin.get("/platform/clusters").await.text().contains("/platform/records"));
    assert!(admin.get("/platform/records").await.text().contains("Every call record can be read."));
    // One record that can never be read, and one that an earlier version could not read.
    let keep = "insert into cdr_inbox (leg, switch_id, body, received_at, unreadable, reader)
                select l.leg, w.id, l.body::bytea, now() - interval '1 hour', 'not_a_record', 32767
                  from switches w, (values ('00000000-0000-4000-8000-000000000001', 'nope'),
                                           ('00000000-0000-4000-8000-000000000002', '{\"variables\": {\"hangup_cause\": \"NORMAL_CLEARING\"}}'))
                                   l (leg, body)
                 limit 2";
    stage.execute(keep).await;
    let clusters = admin.get("/platform/clusters").await.text();
    assert!(clusters.contains("2 call records can") && clusters.contains("/platform/records"), "{clusters}");
    let list = admin.get("/platform/records").await.text();
    for part in ["2 in all", "000000000001", "000000000002", "not_a_record", "Read again"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let body = admin.get("/v1/unreadable-records/00000000-0000-4000-8000-000000000001").await;
    assert_eq!((body.status, body.text().as_str()), (200, "nope"));
    let after = admin.sees_after("/platform/records/read-again", &[]).await;
    assert!(after.contains("1 in all") && !after.contains("000000000002"), "{after}");
    assert!(
        Tab::of(&stage.node, &stage.admin)
            .await
            .german()
            .get("/platform/records")
            .await
            .text()
            .contains("Noch einmal lesen")
    );
    // They belong to all tenants, so only the platform sees them.
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    assert_eq!(owner.get("/platform/records").await.status, 403);
    assert_eq!(owner.post("/platform/records/read-again", &[]).await.status, 403);
    stage.node.stop().await;
}

#[actix_web::test]
async fn an_owner_sets_for_how_long_things_are_kept_and_a_manager_is_not_asked() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let mut tab = Tab::of(&node, &owner).await;
    assert!(tab.get("/audit").await.text().contains("href=\"/retention\""));
    let shown = tab.get("/retention").await.text();
    assert!(shown.contains("Platform: 730 days."), "{shown}");
    let mut form = fields(&shown);
    form.retain(|(name, _)| name != "audit_days" && name != "csrf");
    form.push(("audit_days".into(), "5".into()));
    let refused = tab.post("/retention", &refs(&form)).await;
    assert!(refused.status == 422 && refused.text().contains("audit_days-error"), "{}", refused.text());
    form.retain(|(name, _)| name != "audit_days");
    form.push(("audit_days".into(), "1000".into()));
    let saved = tab.sees_after("/retention", &refs(&form)).await;
    assert!(saved.contains("value=\"1000\"") && saved.contains("Saved."), "{saved}");
    // A form that was opened before that: somebody else was quicker.
    form.retain(|(name, _)| name != "once");
    let again = tab.post("/retention", &refs(&form)).await;
    assert_ne!(again.status, 303, "{}", again.text());
    assert!(tab.german().get("/retention").await.text().contains("Plattform: 730 Tage."));

    let manager = person(&node, Some(tenant), Role::Manager, "manager@acme.test").await;
    let mut tab = Tab::of(&node, &manager).await;
    assert!(!tab.get("/audit").await.text().contains("href=\"/retention\""));
    assert_eq!(tab.get("/retention").await.status, 403);
    node.stop().await;
}
