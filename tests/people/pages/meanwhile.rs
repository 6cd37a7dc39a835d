//! Two who change the same at the same time: in two tabs, or one of them signs in again in between.

use super::*;

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

/// A form that gets another row, or is drawn anew, stays as old as it is: what was saved since it was opened is seen when it is saved.
#[actix_web::test]
async fn a_form_that_is_drawn_anew_undoes_nothing_that_was_saved_since_it_was_opened() {
    let stage = Stage::new().await;
    let (node, tenant) = (&stage.node, stage.tenant);
    let mut tab = Tab::of(node, &stage.owner).await;
    let group =
        node.api("POST", &format!("/v1/tenants/{tenant}/groups"), json!({ "name": "sales", "members": [] })).await;
    assert_eq!(group.status, 201, "{}", group.text());
    let id = group.id();
    let parks = |seconds: u32| json!({ "routing": { "park_seconds": seconds } });
    for (page, path, theirs, field, value, act) in [
        (
            format!("/app/groups/{id}"),
            format!("/v1/tenants/{tenant}/groups/{id}"),
            json!({ "ring_seconds": 44 }),
            "ring_seconds",
            "44",
            "add:members",
        ),
        (
            "/app/company".to_owned(),
            format!("/v1/tenants/{tenant}/settings"),
            parks(88),
            "routing.park_seconds",
            "88",
            "refresh",
        ),
    ] {
        let opened = fields(&tab.get(&page).await.text());
        assert_ne!(of(&opened, field), value);
        assert_eq!(node.api("PATCH", &path, theirs).await.status, 200);
        let mut sent = opened.clone();
        sent.push(("_do".into(), act.into()));
        let anew = tab.post(&page, &refs(&sent)).await;
        assert_eq!(anew.status, 200, "{}", anew.text());
        let told = tab.post(&page, &refs(&fields(&anew.text()))).await;
        assert_eq!(told.status, 409, "{page}: {}", told.text());
        assert_eq!(of(&fields(&told.text()), field), value, "{page}");
    }
    stage.node.stop().await;
}

impl Stage {
    /// A call's page, and its path in the API.
    async fn call_page(&self) -> (String, String) {
        let call = self.node.call(self.tenant).await;
        (format!("/app/calls/{call}"), format!("/v1/calls/{call}"))
    }
}

#[actix_web::test]
async fn notes_of_a_call_that_two_write_at_once_are_both_shown_and_none_is_undone() {
    let stage = Stage::new().await;
    let (page, path) = stage.call_page().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let (mut one, mut two) = (form(&tab.get(&page).await.text()), form(&tab.get(&page).await.text()));
    set(&mut one, "notes", "FIRST\r\nTAB");
    set(&mut one, "tags", "a");
    tab.does(&page, &refs(&one)).await;
    set(&mut two, "notes", "SECOND-TAB");
    let told = tab.post(&page, &refs(&two)).await;
    let text = told.text();
    assert_eq!(told.status, 409, "{text}");
    assert!(text.contains("Somebody else saved changes") && text.contains("<strong>FIRST\nTAB</strong>"), "{text}");
    let shown = form(&text);
    assert_eq!((of(&shown, "notes"), of(&shown, "tags")), ("SECOND-TAB", "a"), "what only the other changed is taken");
    let get = || async { stage.owner.ask(&stage.node, "GET", &path, Value::Null).await.json() };
    let now = get().await;
    assert_eq!((&now["notes"], &now["tags"]), (&json!("FIRST\nTAB"), &json!(["a"])), "nothing is undone yet");
    tab.does(&page, &refs(&shown)).await;
    let now = get().await;
    assert_eq!((&now["notes"], &now["tags"]), (&json!("SECOND-TAB"), &json!(["a"])));
    // A form that does not say which version it changes, changes nothing.
    let mut old = form(&tab.get(&page).await.text());
    old.retain(|(name, _)| name != "version");
    set(&mut old, "notes", "THIRD");
    let refused = tab.post(&page, &refs(&old)).await;
    assert!(refused.status == 422 && refused.text().contains("THIRD"), "{}", refused.text());
    assert_eq!(get().await["notes"], "SECOND-TAB");
    stage.node.stop().await;
}

#[actix_web::test]
async fn which_number_somebodys_calls_show_is_not_undone_by_an_older_tab() {
    let stage = Stage::new().await;
    let agent = stage.agent("grace@acme.test").await["id"].as_str().unwrap().to_owned();
    let number = json!({ "number": "+12025550123", "country": "US" });
    let number = stage.owner.ask(&stage.node, "POST", "/v1/phone-numbers", number).await.id();
    let assigned = json!({ "agent_id": agent });
    let path = format!("/v1/phone-numbers/{number}/assign");
    assert_eq!(stage.owner.ask(&stage.node, "POST", &path, assigned).await.status, 200);
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let (mut one, mut two) =
        (form(&tab.get("/agent-assignments").await.text()), form(&tab.get("/agent-assignments").await.text()));
    let choice = format!("/agent-assignments/{agent}/choice");
    set(&mut one, "choice", "match_country");
    tab.does(&choice, &refs(&one)).await;
    set(&mut two, "choice", "round_robin");
    let told = tab.post(&choice, &refs(&two)).await;
    let text = told.text();
    assert_eq!(told.status, 409, "{text}");
    assert!(text.contains("Somebody else saved changes") && text.contains("Saved by somebody else:"), "{text}");
    let path = format!("/v1/phone-numbers/agent/{agent}");
    let get = || async { stage.owner.ask(&stage.node, "GET", &path, Value::Null).await.json() };
    assert_eq!(get().await["outbound"]["choice"], "match_country", "nothing is undone yet");
    let shown = form(&text);
    assert_eq!(of(&shown, "choice"), "round_robin", "what was chosen here is still chosen");
    tab.does(&choice, &refs(&shown)).await;
    assert_eq!(get().await["outbound"]["choice"], "round_robin");
    // Both chose the same: there is nothing to ask.
    tab.does(&choice, &refs(&shown)).await;
    stage.node.stop().await;
}

#[actix_web::test]
async fn whoever_signs_in_again_does_not_undo_what_was_saved_meanwhile() {
    let stage = Stage::new().await;
    let agent = stage.agent("grace@acme.test").await;
    let id = agent["id"].as_str().unwrap();
    let extension = stage.phone("1500", "Ada").await;
    let settings = format!("/v1/tenants/{}/settings", stage.tenant);
    // The page, the API's path and patch of somebody else, what was typed, and the fields with what they have then.
    let cases = [
        (
            format!("/app/extensions/{extension}"),
            format!("/v1/tenants/{}/extensions/{extension}", stage.tenant),
            json!({ "ring_seconds": 44, "caller_id_name": "Theirs" }),
            [("caller_id_name", "Mine"), ("ring_seconds", "44")],
        ),
        (
            format!("/app/agents/{id}"),
            format!("/v1/admin/agents/{id}?tenant_id={}", stage.tenant),
            json!({ "last_name": "Theirs", "first_name": "Other" }),
            [("first_name", "Mine"), ("last_name", "Theirs")],
        ),
        (
            "/app/company".to_owned(),
            settings,
            json!({ "routing": { "park_seconds": 77 }, "time_zone": "Europe/Berlin" }),
            [("routing.park_seconds", "61"), ("time_zone", "Europe/Berlin")],
        ),
        (
            "/retention".to_owned(),
            format!("/v1/tenants/{}/retention", stage.tenant),
            json!({ "audit_days": 500, "calls_days": 501 }),
            [("audit_days", "400"), ("calls_days", "501")],
        ),
    ];
    for (page, path, theirs, [mine, merged]) in cases {
        let mut tab = Tab::of(&stage.node, &stage.owner).await;
        let shown = tab.get(&page).await;
        assert_eq!(shown.status, 200, "{page}: {}", shown.text());
        let all = shown.text();
        let at = all.rfind(&format!("name=\"{}\"", mine.0)).unwrap_or_else(|| panic!("{page}: no {}", mine.0));
        let mut sent = form(&format!("<main{}", &all[all[..at].rfind("<form method=\"post\"").unwrap()..]));
        set(&mut sent, mine.0, mine.1);
        stage.execute("delete from sessions").await;
        let changed = stage.node.api("PATCH", &path, theirs).await;
        assert_eq!(changed.status, 200, "{path}: {}", changed.text());
        let asked = tab.post(&page, &refs(&sent)).await;
        assert_eq!(asked.status, 401, "{page}: {}", asked.text());
        let back = tab.signs_in(&asked.text()).await;
        let shown = tab.get(&back).await.text();
        assert!(shown.contains("Somebody else saved changes"), "{page}: {shown}");
        assert!(shown.contains("Saved by somebody else:"), "{page}: both values of {} are there: {shown}", mine.0);
        let now = fields(&shown);
        assert_eq!(of(&now, mine.0), mine.1, "{page}: what was typed is still there");
        assert_eq!(of(&now, merged.0), merged.1, "{page}: what only they changed is theirs");
    }
    stage.node.stop().await;
}
