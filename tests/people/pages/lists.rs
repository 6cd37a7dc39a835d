//! Lists and forms of subjects: adding, changing, deleting, several at once, sorting, export, and what each role sees.

use super::*;

#[actix_web::test]
async fn a_group_is_added_changed_and_deleted_by_pages_alone() {
    let stage = Stage::new().await;
    let (ada, grace) = (stage.phone("1000", "Ada").await, stage.phone("1001", "Grace").await);
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let none = tab.get("/app/groups").await.text();
    assert!(none.contains("No groups yet.") && none.contains("href=\"/app/groups/new\""), "{none}");
    // A row more, without JavaScript: what was typed stays.
    let mut new = form(&tab.get("/app/groups/new").await.text());
    set(&mut new, "name", "sales");
    set(&mut new, "members.0", &ada);
    set(&mut new, "_do", "add:members");
    let more = tab.post("/app/groups/new", &refs(&new)).await;
    assert_eq!(more.status, 200);
    let mut new = form(&more.text());
    assert_eq!((of(&new, "name"), of(&new, "members.0"), of(&new, "members.1")), ("sales", ada.as_str(), ""));
    set(&mut new, "members.1", &grace);
    set(&mut new, "number", "x");
    // What is wrong stands at its field, and the input is kept.
    let refused = tab.post("/app/groups/new", &refs(&new)).await;
    let text = refused.text();
    assert!(refused.status == 422 && text.contains("id=\"number-error\""), "{}: {text}", refused.status);
    assert!(text.contains("must be 2 to 15 digits") && text.contains("href=\"#number\""), "{text}");
    assert_eq!(of(&form(&text), "members.1"), grace);
    set(&mut new, "number", "700");
    let page = tab.does("/app/groups/new", &refs(&new)).await;
    assert!(page.starts_with("/app/groups/"), "{page}");
    let shown = tab.get(&page).await.text();
    assert!(shown.contains("Added.") && shown.contains("<h1>sales</h1>"), "{shown}");
    let id = page.rsplit('/').next().unwrap().to_owned();
    let get = || async {
        let path = format!("/v1/tenants/{}/groups/{id}", stage.tenant);
        stage.owner.ask(&stage.node, "GET", &path, Value::Null).await.json()
    };
    assert_eq!(get().await["members"], json!([ada, grace]));
    let list = tab.get("/app/groups").await.text();
    assert!(list.contains(&page) && list.contains(">700<"), "{list}");

    // Two tabs: the second one is shown what the first one saved.
    let (mut one, mut two) = (form(&tab.get(&page).await.text()), form(&tab.get(&page).await.text()));
    set(&mut one, "name", "sales-north");
    set(&mut one, "ring_seconds", "31");
    tab.does(&page, &refs(&one)).await;
    set(&mut two, "name", "sales-south");
    let told = tab.post(&page, &refs(&two)).await;
    let text = told.text();
    assert_eq!(told.status, 409, "{text}");
    assert!(text.contains("<strong>sales-north</strong>") && text.contains("value=\"sales-south\""), "{text}");
    let both = form(&text);
    assert_eq!(of(&both, "ring_seconds"), "31", "what only they changed is taken over");
    tab.does(&page, &refs(&both)).await;
    let now = get().await;
    assert_eq!((&now["name"], &now["ring_seconds"]), (&json!("sales-south"), &json!(31)));
    // A form that changes nothing changes nothing.
    let version = now["version"].clone();
    let untouched = form(&tab.get(&page).await.text());
    tab.does(&page, &refs(&untouched)).await;
    assert_eq!(get().await["version"], version);
    // A form without its version is refused.
    let mut stale = form(&tab.get(&page).await.text());
    stale.retain(|(name, _)| name != "version");
    assert_eq!(tab.post(&page, &refs(&stale)).await.status, 400);

    // What leads to it is named before it can be deleted, with a link.
    let menu = json!({ "name": "Main menu", "kind": "ivr", "config": { "greeting": { "text": "Hello" },
        "entries": { "1": { "kind": "group", "id": id } } } });
    let path = format!("/v1/tenants/{}/destinations", stage.tenant);
    let menu = stage.owner.ask(&stage.node, "POST", &path, menu).await.id();
    let delete = format!("{page}/delete");
    let question = fields(&tab.get(&delete).await.text());
    let refused = tab.post(&delete, &refs(&question)).await;
    let text = refused.text();
    assert!(
        refused.status == 422 && text.contains(&format!("/app/menus/{menu}")) && text.contains("Main menu"),
        "{text}"
    );
    let menu = format!("/app/menus/{menu}");
    let question = fields(&tab.get(&format!("{menu}/delete")).await.text());
    assert!(tab.sees_after(&format!("{menu}/delete"), &refs(&question)).await.contains("Deleted."));
    let question = fields(&tab.get(&delete).await.text());
    assert_eq!(tab.does(&delete, &refs(&question)).await, "/app/groups");
    assert_eq!(tab.get(&page).await.status, 404);
    stage.node.stop().await;
}

#[actix_web::test]
async fn every_kind_of_destination_is_made_by_its_form_and_comes_back_unchanged() {
    let stage = Stage::new().await;
    let phone = stage.phone("1000", "Ada").await;
    let group = json!({ "name": "sales", "members": [phone] });
    let group = stage.owner.ask(&stage.node, "POST", &format!("/v1/tenants/{}/groups", stage.tenant), group).await.id();
    let target = format!("group:{group}");
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    for (page, typed) in [
        ("/app/queues", vec![("config.tiers.0.extension_id", phone.as_str()), ("config.overflow", &target)]),
        (
            "/app/menus",
            vec![
                ("config.greeting.value", "Hello"),
                ("config.entries.0.key", "1"),
                ("config.entries.0.value", &target),
            ],
        ),
        (
            "/app/schedules",
            vec![
                ("config.open", target.as_str()),
                ("config.closed", &target),
                ("config.hours._on", "on"),
                ("config.hours.monday", "9-12:30, 13:30–17"),
                ("config.hours.holidays", "2026-12-25 Christmas Day"),
            ],
        ),
        ("/app/announcements", vec![("config.prompt.value", "We are closed."), ("config.then", target.as_str())]),
        ("/app/conferences", vec![("config.moderator", phone.as_str()), ("pin", "4711")]),
        ("/app/mailboxes", vec![("config.email", "team@acme.test")]),
        ("/app/outside-numbers", vec![("config.number", "+12025550199"), ("config.on_behalf_of", phone.as_str())]),
        ("/app/paging", vec![("config.members.0", phone.as_str()), ("config.two_way", "on")]),
        ("/app/entries", vec![("position", "7")]),
    ] {
        let new = format!("{page}/new");
        let mut sent = form(&tab.get(&new).await.text());
        set(&mut sent, "name", "<b>\"'</b>");
        let refused = tab.post(&new, &refs(&sent)).await;
        let text = refused.text();
        assert!(refused.status == 422 && text.contains("id=\"name-error\""), "{page}");
        assert!(
            text.contains("value=\"&#60;b&#62;&#34;&#39;&#60;/b&#62;\"") && !text.contains("<b>\""),
            "{page}: {text}"
        );
        set(&mut sent, "name", "O'Brien & Co");
        for (name, value) in typed {
            set(&mut sent, name, value);
        }
        if page == "/app/entries" {
            set(&mut sent, "conditions.0.pattern", "^5(5)5$");
            set(&mut sent, "conditions.0.field", "destination_number");
            set(&mut sent, "conditions.0.actions.0.application", "go");
            set(&mut sent, "conditions.0.actions.0.target", &target);
        }
        let answer = tab.post(&new, &refs(&sent)).await;
        let why =
            answer.text().split("class=\"notice bad\"").nth(1).map(|rest| rest.chars().take(600).collect::<String>());
        assert_eq!(answer.status, 303, "{page}: {why:?}");
        let one = answer.header("Location").unwrap().split('?').next().unwrap().to_owned();
        let shown = tab.get(&one).await.text();
        // An untouched form saves nothing, so it has understood everything that it shows.
        let api = match page {
            "/app/entries" => "dialplan-entries",
            _ => "destinations",
        };
        let path = format!("/v1/tenants/{}/{api}/{}", stage.tenant, one.rsplit('/').next().unwrap());
        let before = stage.owner.ask(&stage.node, "GET", &path, Value::Null).await.json();
        tab.does(&one, &refs(&form(&shown))).await;
        assert_eq!(stage.owner.ask(&stage.node, "GET", &path, Value::Null).await.json(), before, "{page}");
        let list = tab.get(page).await.text();
        assert!(list.contains(&one) && list.contains("O&#39;Brien &#38; Co"), "{page}: {list}");
        // A queue is no menu.
        if page == "/app/queues" {
            assert_eq!(tab.get(&one.replace("queues", "menus")).await.status, 404);
        }
        // In German as well.
        let mut german = Tab::of(&stage.node, &stage.owner).await.german();
        assert!(german.get(&one).await.text().contains("Speichern"), "{page}");
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_list_is_sorted_filtered_exported_and_comes_back_as_it_was_left() {
    let stage = Stage::new().await;
    for (number, name) in [("1000", "Zoe"), ("1002", "Ada"), ("1001", "=cmd()")] {
        stage.phone(number, name).await;
    }
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let at = |page: &str, text: &str| page.find(text).unwrap_or_else(|| panic!("no {text} in {page}"));
    let sorted = tab.get("/app/extensions?sort=-number&col=number,display_name,sip_username").await.text();
    assert!(at(&sorted, ">1002<") < at(&sorted, ">1001<") && at(&sorted, ">1001<") < at(&sorted, ">1000<"));
    assert!(sorted.contains("aria-sort=\"descending\"") && sorted.contains("SIP user"), "{sorted}");
    let again = tab.get("/app/extensions").await.text();
    assert!(at(&again, ">1002<") < at(&again, ">1000<") && again.contains("SIP user"), "as it was left: {again}");
    let found = tab.get("/app/extensions?q=zoe").await.text();
    assert!(found.contains(">1000<") && !found.contains(">1002<") && found.contains("1 to 1 of 1"), "{found}");
    let nobody = tab.get("/app/extensions?q=nobody").await.text();
    assert!(nobody.contains("Nothing matches this search.") && nobody.contains("Show all"), "{nobody}");
    let file = tab.get("/app/extensions/export.csv?sort=number&col=number,display_name").await;
    assert!(file.header("Content-Type").unwrap().starts_with("text/csv"));
    let file = file.text();
    assert_eq!(file, "\u{feff}Extension,Display name\r\n1000,Zoe\r\n1001,'=cmd()\r\n1002,Ada\r\n");
    // Pages of a long list.
    for number in 2000..2030 {
        stage.phone(&number.to_string(), "Room").await;
    }
    let first = tab.get("/app/extensions?size=25").await.text();
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let second = tab.get(&next).await.text();
    assert!(!second.contains(">1000<") && second.contains(">2029<") && second.contains("rel=\"prev\""), "{second}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn several_are_changed_at_once_and_each_refusal_is_told() {
    let stage = Stage::new().await;
    let (ada, grace) = (stage.phone("1000", "Ada").await, stage.phone("1001", "Grace").await);
    let group = json!({ "name": "sales", "members": [ada] });
    stage.owner.ask(&stage.node, "POST", &format!("/v1/tenants/{}/groups", stage.tenant), group).await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let list = tab.get("/app/extensions").await.text();
    let picks = list.split("name=\"pick\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let picks = picks.collect::<Vec<_>>();
    assert_eq!(picks.len(), 2, "{list}");
    let sent = |act: &'static str, sure: bool| {
        let mut sent = vec![("act", act)];
        sent.extend(picks.iter().map(|pick| ("pick", pick.as_str())));
        if sure {
            sent.push(("sure", "1"));
        }
        sent
    };
    let question = tab.post("/app/extensions/bulk", &sent("delete", false)).await;
    assert!(question.status == 200 && question.text().contains("This applies to 2"), "{}", question.text());
    let told = tab.sees_after("/app/extensions/bulk", &sent("delete", true)).await;
    assert!(told.contains("1000 Ada") && told.contains("still uses it") | told.contains("sales"), "{told}");
    let path = format!("/v1/tenants/{}/extensions", stage.tenant);
    let left = stage.owner.ask(&stage.node, "GET", &path, Value::Null).await.json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "{left}");
    assert!(!left.to_string().contains(&grace));
    assert_eq!(tab.does("/app/extensions/bulk", &[("act", "delete")]).await, "/app/extensions");
    assert_eq!(tab.post("/app/extensions/bulk", &[("act", "evil"), ("pick", "1|x|y")]).await.status, 404);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_number_is_added_assigned_and_taken_back() {
    let stage = Stage::new().await;
    let agent = stage.agent("grace@acme.test").await["id"].as_str().unwrap().to_owned();
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut new = form(&tab.get("/phone-numbers/new").await.text());
    set(&mut new, "number", "12025550123");
    let page = tab.does("/phone-numbers/new", &refs(&new)).await;
    let shown = tab.get(&page).await.text();
    assert!(shown.contains("+12025550123") && !shown.contains("/unassign\""), "{shown}");
    let assign = format!("{page}/assign");
    let mut sent = form(&tab.get(&assign).await.text());
    assert_eq!(of(&sent, "daily_limit"), "100");
    set(&mut sent, "daily_limit", "many");
    set(&mut sent, "agent_id", "Grace Hopper");
    let refused = tab.post(&assign, &refs(&sent)).await;
    assert!(refused.status == 422 && refused.text().contains("daily_limit-error"), "{}", refused.text());
    set(&mut sent, "daily_limit", "20");
    set(&mut sent, "allowed_countries", "US\r\nCA");
    assert!(tab.sees_after(&assign, &refs(&sent)).await.contains("The number is assigned."));
    let list = tab.get("/phone-numbers").await.text();
    assert!(list.contains("Grace Hopper"), "{list}");
    assert!(!tab.get("/phone-numbers?assigned=false").await.text().contains("Grace Hopper"));
    let number = stage.owner.ask(&stage.node, "GET", "/v1/phone-numbers", Value::Null).await.json();
    let assignment = &number["items"][0]["assignment"];
    assert_eq!(assignment["agent_id"], json!(agent));
    assert_eq!((&assignment["daily_limit"], &assignment["allowed_countries"]), (&json!(20), &json!(["US", "CA"])));
    // It can be deleted only when it is free.
    let delete = format!("{page}/delete");
    let question = fields(&tab.get(&delete).await.text());
    assert_eq!(tab.post(&delete, &refs(&question)).await.status, 422);
    let unassign = format!("{page}/unassign");
    let question = form(&tab.get(&unassign).await.text());
    assert!(tab.sees_after(&unassign, &refs(&question)).await.contains("The number is free."));
    let question = fields(&tab.get(&delete).await.text());
    assert_eq!(tab.does(&delete, &refs(&question)).await, "/phone-numbers");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_secret_of_a_new_extension_is_shown_once() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut new = form(&tab.get("/app/extensions/new").await.text());
    set(&mut new, "number", "1000");
    set(&mut new, "display_name", "Lobby");
    let page = tab.does("/app/extensions/new", &refs(&new)).await;
    let shown = tab.get(&page).await.text();
    let secret = shown.split("id=\"once-2\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(secret.len() >= 12 && shown.contains("never again"), "{shown}");
    assert!(!tab.get(page.split('?').next().unwrap()).await.text().contains(&secret));
    let rotate = format!("{}/rotate", page.split('?').next().unwrap());
    let question = form(&tab.get(&rotate).await.text());
    let renewed = tab.does(&rotate, &refs(&question)).await;
    let shown = tab.get(&renewed).await.text();
    assert!(shown.contains("id=\"once-2\"") && !shown.contains(&secret), "{shown}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_manager_reads_and_an_agent_sees_none_of_it() {
    let stage = Stage::new().await;
    let phone = stage.phone("1000", "Ada").await;
    let path = format!("/v1/tenants/{}/groups", stage.tenant);
    let group = json!({ "name": "sales", "members": [phone] });
    let group = stage.owner.ask(&stage.node, "POST", &path, group).await.id();
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut manager = Tab::of(&stage.node, &manager).await;
    let page = format!("/app/groups/{group}");
    let list = manager.get("/app/groups").await.text();
    assert!(list.contains(&page) && !list.contains("/app/groups/new") && !list.contains("name=\"pick\""), "{list}");
    let shown = manager.get(&page).await.text();
    assert!(shown.contains("1000 Ada") && !shown.contains("/delete") && !shown.contains("name=\"version\""), "{shown}");
    let refused = [
        ("POST", page.as_str()),
        ("GET", "/app/groups/new"),
        ("GET", &format!("{page}/delete")),
        ("POST", "/app/groups/bulk"),
    ]
    .map(|(method, path)| (method, path.to_owned()));
    for (method, path) in refused {
        let answer =
            if method == "GET" { manager.get(&path).await } else { manager.post(&path, &[("version", "1")]).await };
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    let empty = manager.get("/app/queues").await.text();
    assert!(empty.contains("Ask an administrator"), "{empty}");
    let agent = person(&stage.node, Some(stage.tenant), Role::Agent, "agent@acme.test").await;
    let mut agent = Tab::of(&stage.node, &agent).await;
    for path in ["/app/groups", &page, "/app/extensions", "/phone-numbers"] {
        assert_eq!(agent.get(path).await.status, 403, "{path}");
    }
    assert!(!agent.get("/search?q=sales").await.text().contains("/app/groups"));
    // Another tenant's things are not there.
    let other = stage.node.tenant("other.test").await;
    let other = person(&stage.node, Some(other), Role::Owner, "owner@other.test").await;
    let mut other = Tab::of(&stage.node, &other).await;
    assert_eq!((other.get(&page).await.status, other.get(&format!("{page}/look")).await.status), (404, 404));
    let found = other.get("/search?q=sales").await.text();
    assert!(!found.contains(&page), "{found}");
    assert!(manager.get("/search?q=sales").await.text().contains(&page));
    // Who may only read looks, and is not offered to delete.
    let look = manager.get(&format!("{page}/look")).await.text();
    assert!(
        look.contains("look-facts") && look.contains("sales") && !look.contains(&format!("{page}/delete")),
        "{look}"
    );
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_platform_administrator_works_in_a_tenant_under_a_banner_and_the_log_says_so() {
    let stage = Stage::new().await;
    stage.phone("1000", "Ada").await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let sent_away = admin.get("/app/groups").await;
    assert_eq!((sent_away.status, sent_away.header("Location")), (303, Some("/platform/tenants")));
    assert!(admin.get("/platform/tenants").await.text().contains("Open a tenant"));
    let enter = format!("/platform/tenants/{}/enter", stage.tenant);
    assert_eq!(admin.does(&enter, &[]).await, "/app");
    let home = admin.get("/app").await;
    assert!(home.status == 200 && home.text().contains("As platform administrator"), "{}", home.text());
    let mut new = form(&admin.get("/app/groups/new").await.text());
    set(&mut new, "name", "by-the-platform");
    set(&mut new, "members.0", "1000 Ada");
    let made = admin.does("/app/groups/new", &refs(&new)).await;
    assert_eq!(admin.get(&made).await.status, 200);
    let mut number = form(&admin.get("/phone-numbers/new").await.text());
    set(&mut number, "number", "+12025550123");
    let number = admin.does("/phone-numbers/new", &refs(&number)).await;
    assert_eq!(admin.get(&number).await.status, 200);
    assert!(admin.get("/app/agents").await.status == 200);
    let log = admin.get("/audit").await.text();
    assert!(log.contains("Came into the tenant") && log.contains("admin@platform.test"), "{log}");
    // The owner can read it, too.
    let log = Tab::of(&stage.node, &stage.owner).await.get("/audit").await.text();
    assert!(log.contains("Came into the tenant"), "{log}");
    // The bar says where they are; the choice of another tenant leaves this one out, and says how to leave.
    let choose = "/platform/tenants/choose";
    let elsewhere = stage.node.tenant("elsewhere.test").await;
    assert!(home.text().contains(choose));
    let chosen = admin.get(&format!("{choose}?q=elsewhere.test")).await.text();
    assert!(chosen.contains(&format!("/platform/tenants/{elsewhere}/enter")) && chosen.contains("/leave"), "{chosen}");
    assert!(!admin.get(choose).await.text().contains(&enter));
    assert!(admin.get(&format!("{choose}?q=nobody.test")).await.text().contains("No tenant found."));
    // The platform's own pages are the platform's.
    assert!(!admin.get("/platform/tenants").await.text().contains("As platform administrator"));
    assert_eq!(admin.get("/leave").await.header("Location"), Some("/platform/tenants"));
    assert_eq!(admin.get("/app/groups").await.status, 303);
    // A cookie of an earlier session, or of somebody who is no platform administrator, opens nothing.
    let mut again = Tab::of(&stage.node, &stage.admin).await;
    admin.does(&enter, &[]).await;
    let cookie = admin.cookies["dialplane_tenant"].clone();
    again.cookies.insert("dialplane_tenant".into(), cookie.clone());
    assert_eq!(again.get("/app/groups").await.status, 303);
    let other = stage.node.tenant("other.test").await;
    let owner = person(&stage.node, Some(other), Role::Owner, "owner@other.test").await;
    let mut owner = Tab::of(&stage.node, &owner).await;
    owner.cookies.insert("dialplane_tenant".into(), cookie);
    assert!(!owner.get("/app/groups").await.text().contains("by-the-platform"));
    assert_eq!(owner.post(&enter, &[]).await.status, 403);
    assert_eq!(owner.get(choose).await.status, 403);
    assert!(!owner.get("/app").await.text().contains(choose));
    stage.node.stop().await;
}

#[actix_web::test]
async fn settings_are_one_form_that_sends_only_what_changed() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let get = || async { stage.owner.ask(&stage.node, "GET", &path, Value::Null).await };
    let before = get().await;
    let opened = form(&tab.get("/app/company").await.text());
    assert!(tab.sees_after("/app/company", &refs(&opened)).await.contains("Saved."));
    assert_eq!(get().await.header("ETag"), before.header("ETag"), "an untouched form changes nothing");
    let mut one = opened.clone();
    set(&mut one, "currency", "EUR");
    set(&mut one, "routing.outbound.countries", "US\r\nCA");
    set(&mut one, "routing.speed_dials.0.key", "07");
    set(&mut one, "routing.speed_dials.0.value", "1000");
    tab.does("/app/company", &refs(&one)).await;
    let now = get().await.json();
    assert_eq!((&now["currency"], &now["routing"]["outbound"]["countries"]), (&json!("EUR"), &json!(["US", "CA"])));
    assert_eq!(now["routing"]["speed_dials"], json!({ "07": "1000" }));
    // An entry that is removed from a map is deleted.
    let mut two = form(&tab.get("/app/company").await.text());
    two.retain(|(name, _)| !name.starts_with("routing.speed_dials"));
    tab.does("/app/company", &refs(&two)).await;
    assert!(get().await.json()["routing"].get("speed_dials").is_none_or(|dials| dials == &json!({})));
    // The first form was opened before that change.
    let mut stale = opened;
    set(&mut stale, "currency", "CHF");
    let told = tab.post("/app/company", &refs(&stale)).await;
    assert!(told.status == 409 && told.text().contains("<strong>EUR</strong>"), "{}: {}", told.status, told.text());
    let mut wrong = form(&tab.get("/app/company").await.text());
    set(&mut wrong, "time_zone", "Nowhere/Land");
    let refused = tab.post("/app/company", &refs(&wrong)).await;
    assert!(refused.status == 422 && refused.text().contains("id=\"time_zone-error\""), "{}", refused.text());
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut manager = Tab::of(&stage.node, &manager).await;
    let shown = manager.get("/app/company").await.text();
    assert!(shown.contains("EUR") && !shown.contains("name=\"version\""), "{shown}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_key_and_a_pool_are_made_by_pages_and_a_token_is_shown_once() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let mut new = form(&tab.get("/app/keys/new").await.text());
    set(&mut new, "name", "reports");
    set(&mut new, "scopes", "agents:read\nnumbers:read");
    let page = tab.does("/app/keys/new", &refs(&new)).await;
    let shown = tab.get(&page).await.text();
    let token = shown.split("id=\"once-1\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(token.starts_with("dpk_"), "{shown}");
    let asked = |token: String| async move {
        let key = [("X-API-Key", token.as_str())];
        send(stage.node.app.app_address, "GET", "/v1/admin/agents", &key, b"").await.status
    };
    assert_eq!(asked(token.clone()).await, 200);
    let one = page.split('?').next().unwrap().to_owned();
    let mut rotate = form(&tab.get(&format!("{one}/rotate")).await.text());
    set(&mut rotate, "overlap_seconds", "3600");
    let renewed = tab.does(&format!("{one}/rotate"), &refs(&rotate)).await;
    let shown = tab.get(&renewed).await.text();
    assert!(shown.contains("dpk_") && !shown.contains(&token), "{shown}");
    let mut pool = form(&tab.get("/app/pools/new").await.text());
    set(&mut pool, "first_number", "7000");
    set(&mut pool, "last_number", "7099");
    let page = tab.does("/app/pools/new", &refs(&pool)).await;
    let mut longer = form(&tab.get(&page).await.text());
    set(&mut longer, "last_number", "7199");
    assert!(tab.sees_after(&page, &refs(&longer)).await.contains("Saved."));
    let mut held = form(&tab.get("/app/reserved-numbers/new").await.text());
    set(&mut held, "number", "7042");
    set(&mut held, "reason", "Somebody's <birthday>");
    let refused = tab.post("/app/reserved-numbers/new", &refs(&held)).await;
    assert!(refused.status == 422 && refused.text().contains("reason-error"));
    set(&mut held, "reason", "Somebody's birthday");
    assert!(tab.sees_after("/app/reserved-numbers/new", &refs(&held)).await.contains("7042"));
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut manager = Tab::of(&stage.node, &manager).await;
    assert_eq!(manager.get("/app/keys").await.status, 403);
    assert!(manager.get("/app/pools").await.text().contains("7000"));
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_way_of_a_call_is_said_in_words() {
    let stage = Stage::new().await;
    stage.phone("1000", "Ada").await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let asked = tab.get("/app/route-tester").await.text();
    assert!(asked.contains("Dialled number") && !asked.contains("What happens, step by step"), "{asked}");
    let way = tab.get("/app/route-tester?number=1000").await.text();
    assert!(
        way.contains("An extension rings") && way.contains("Internal number") && way.contains("&#60;document"),
        "{way}"
    );
    let refused = tab.get("/app/route-tester?number=4711&caller=1000").await.text();
    assert!(refused.contains("Refused:"), "{refused}");
    let nobody = tab.get("/app/route-tester?number=1000&caller=%3Cb%3Ex").await;
    let text = nobody.text();
    assert!(nobody.status == 422 && text.contains("id=\"caller-error\"") && !text.contains("<b>x"), "{text}");
    let mut german = Tab::of(&stage.node, &stage.owner).await.german();
    assert!(german.get("/app/route-tester?number=1000").await.text().contains("Eine Nebenstelle klingelt"));
    assert_eq!(tab.get("/app/route-tester?number=1000&at=nonsense").await.status, 422);
    stage.node.stop().await;
}

#[actix_web::test]
async fn assignments_are_read_by_managers_and_each_agent_sees_their_own() {
    let stage = Stage::new().await;
    let agent = person(&stage.node, Some(stage.tenant), Role::Agent, "agent@acme.test").await;
    let mut own = Tab::of(&stage.node, &agent).await;
    assert!(own.get("/agent-assignments").await.text().contains("You have no number"));
    for (number, to) in [("+12025550123", agent.id.to_string()), ("+12025550124", stage.owner.id.to_string())] {
        let made = stage.owner.ask(&stage.node, "POST", "/v1/phone-numbers", json!({ "number": number })).await.id();
        let path = format!("/v1/phone-numbers/{made}/assign");
        let to = json!({ "agent_id": to, "daily_limit": 20 });
        assert_eq!(stage.owner.ask(&stage.node, "POST", &path, to).await.status, 200);
    }
    let shown = own.get("/agent-assignments").await.text().replace('\u{a0}', " ");
    assert!(shown.contains("+1 202 555 0123") && !shown.contains("0124") && shown.contains("0 of 20"), "{shown}");
    assert!(!shown.contains("/unassign") && !shown.contains("/app/agents/"), "{shown}");
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut manager = Tab::of(&stage.node, &manager).await;
    let all = manager.get("/agent-assignments").await.text();
    assert!(all.contains("0123") && all.contains("0124") && !all.contains("/unassign"), "{all}");
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let choice = format!("/agent-assignments/{}/choice", agent.id);
    assert!(
        owner
            .sees_after(&choice, &[("choice", "round_robin"), ("was_choice", "fixed")])
            .await
            .contains("The choice is saved.")
    );
    assert_eq!(manager.post(&choice, &[("choice", "fixed")]).await.status, 403);
    assert_eq!(owner.post(&choice, &[("choice", "evil"), ("was_choice", "round_robin")]).await.status, 422);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_new_company_is_told_what_comes_next_until_it_is_done() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let start = tab.get("/app").await.text();
    assert!(start.contains("What comes next") && start.contains("0 of 5 done"), "{start}");
    stage.agent("grace@acme.test").await;
    let number =
        stage.owner.ask(&stage.node, "POST", "/v1/phone-numbers", json!({ "number": "+12025550123" })).await.id();
    let later = tab.get("/app").await.text();
    assert!(later.contains("2 of 5 done") && later.contains("leads nowhere"), "{later}");
    let phone = stage.phone("77", "Door").await;
    let lead = json!({ "destination": { "kind": "extension", "id": phone } });
    stage.owner.ask(&stage.node, "PATCH", &format!("/v1/phone-numbers/{number}"), lead).await;
    stage.execute("update users set status = 'active'").await;
    let later = tab.get("/app").await.text();
    assert!(later.contains("4 of 5 done") && later.contains("Make a call"), "{later}");
    stage.node.call(stage.tenant).await;
    let done = tab.get("/app").await.text();
    assert!(!done.contains("What comes next") && !done.contains("leads nowhere"), "{done}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn many_numbers_are_added_at_once_and_what_is_wrong_is_named_by_its_line() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let sent = |tab: &Tab<'_>, lines: &str, partial: bool| {
        let part = |name: &str, text: &str| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let partial = if partial { part("partial", "on") } else { String::new() };
        part("csrf", &tab.csrf()) + &part("lines", lines) + &partial + "--x--\r\n"
    };
    let kind = "multipart/form-data; boundary=x";
    assert!(tab.get("/phone-numbers").await.text().contains("No phone numbers yet."));
    let body = sent(&tab, "+12025550123,telnyx,US\n<b>nothing,x,US\n+12025550124", false);
    let refused = tab.ask("POST", "/phone-numbers/many", kind, &body).await;
    let text = refused.text();
    assert!(refused.status == 422 && text.contains("<strong>2</strong>") && !text.contains("<b>nothing"), "{text}");
    assert!(text.contains("+12025550123,telnyx,US"), "the input is kept: {text}");
    let body = sent(&tab, "+12025550123,telnyx,US\nnothing\n+12025550124", true);
    let some = tab.ask("POST", "/phone-numbers/many", kind, &body).await;
    assert_eq!(some.status, 303, "{}", some.text());
    let list = tab.get(some.header("Location").unwrap()).await.text();
    assert!(
        list.contains("These were left as they are") && list.contains("2: nothing") && list.contains("telnyx"),
        "{list}"
    );
    let body = sent(&tab, "+12025550125", false);
    let added = tab.ask("POST", "/phone-numbers/many", kind, &body).await;
    assert!(tab.get(added.header("Location").unwrap()).await.text().contains("The numbers were added."));
    let mut german = Tab::of(&stage.node, &stage.owner).await.german();
    let body = sent(&german, "nothing", false);
    let told = german.ask("POST", "/phone-numbers/many", kind, &body).await.text();
    assert!(told.contains("Diese Zeilen haben Fehler") && !told.contains("must "), "{told}");
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    assert_eq!(Tab::of(&stage.node, &manager).await.get("/phone-numbers/many").await.status, 403);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_carrier_gets_its_rates_after_a_look_at_their_columns() {
    let stage = Stage::new().await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let mut new = form(&admin.get("/platform/carriers/new").await.text());
    set(&mut new, "name", "Telnyx");
    let refused = admin.post("/platform/carriers/new", &refs(&new)).await;
    assert!(refused.status == 422 && refused.text().contains("config.host-error"), "{}", refused.text());
    set(&mut new, "config.host", "sip.telnyx.example");
    let carrier = admin.does("/platform/carriers/new", &refs(&new)).await;
    let untouched = form(&admin.get(&carrier).await.text());
    admin.does(&carrier, &refs(&untouched)).await;
    let rates = format!("{carrier}/rates");
    assert!(admin.get("/platform").await.text().contains("has no rates"));
    let sent = |tab: &Tab<'_>, sheet: &str, sure: bool| {
        let part = |name: &str, text: &str| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let sure = if sure { part("sure", "1") } else { String::new() };
        part("csrf", &tab.csrf()) + &part("lines", sheet) + &sure + "--x--\r\n"
    };
    let kind = "multipart/form-data; boundary=x";
    let sheet = "prefix,price\n1202,0.007\n44,0.01\n";
    let body = sent(&admin, sheet, false);
    let look = admin.ask("POST", &rates, kind, &body).await;
    assert_eq!(look.status, 303, "{}", look.text());
    let text = admin.get(look.header("Location").unwrap()).await.text();
    assert!(text.contains("2 rates, 0 lines with errors") && text.contains("Put in force"), "{text}");
    assert!(admin.get(&rates).await.text().contains("No rates yet."), "nothing is in force");
    let body = sent(&admin, sheet, true);
    let done = admin.ask("POST", &rates, kind, &body).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let shown = admin.get(&rates).await.text();
    assert!(shown.contains("The rates are in force.") && shown.contains("0.007") && shown.contains("1202"), "{shown}");
    assert!(!admin.get(&format!("{rates}?prefix=44")).await.text().contains("0.007"));
    let body = sent(&admin, "prefix,price\nx<b>,y\n", false);
    let wrong = admin.ask("POST", &rates, kind, &body).await;
    assert!(wrong.status == 422 && !wrong.text().contains("x<b>"), "{}", wrong.text());
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    for path in ["/platform", "/platform/carriers", &rates, "/platform/carriers/new"] {
        assert_eq!(owner.get(path).await.status, 403, "{path}");
    }
    let question = fields(&admin.get(&format!("{carrier}/delete")).await.text());
    assert_eq!(admin.does(&format!("{carrier}/delete"), &refs(&question)).await, "/platform/carriers");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_rate_of_exchange_is_set_seen_and_deleted_by_platform_administrators_alone() {
    let stage = Stage::new().await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    assert!(admin.get("/platform").await.text().contains("/platform/exchange-rates"));
    let mut new = form(&admin.get("/platform/exchange-rates/new").await.text());
    for (field, value) in [("from_currency", "EUR"), ("to_currency", "EUR"), ("day", "2026-11-01"), ("rate", "1.0843")]
    {
        set(&mut new, field, value);
    }
    let refused = admin.post("/platform/exchange-rates/new", &refs(&new)).await;
    assert!(refused.status == 422 && refused.text().contains("to_currency-error"), "{}", refused.text());
    set(&mut new, "to_currency", "USD");
    admin.does("/platform/exchange-rates/new", &refs(&new)).await;
    let rates = stage.node.api("GET", "/v1/exchange-rates", Value::Null).await.json();
    let id = rates["items"][0]["id"].as_str().unwrap().to_owned();
    let list = admin.get("/platform/exchange-rates").await.text();
    assert!(list.contains("1.0843") && list.contains("2026-11-01") && list.contains("EUR"), "{list}");
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    for path in ["/platform/exchange-rates", "/platform/exchange-rates/new"] {
        assert_eq!(owner.get(path).await.status, 403, "{path}");
    }
    let delete = format!("/platform/exchange-rates/{id}/delete");
    let question = fields(&admin.get(&delete).await.text());
    assert_eq!(admin.does(&delete, &refs(&question)).await, "/platform/exchange-rates");
    let rates = stage.node.api("GET", "/v1/exchange-rates", Value::Null).await.json();
    assert_eq!(rates["items"], json!([]));
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_tenant_a_cluster_and_a_switch_are_changed_by_their_forms() {
    let stage = Stage::new().await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let tenant = format!("/platform/tenants/{}", stage.tenant);
    let mut sent = form(&admin.get(&tenant).await.text());
    set(&mut sent, "name", "Acme Ltd");
    assert!(admin.sees_after(&tenant, &refs(&sent)).await.contains("Acme Ltd"));
    let cluster = stage.node.api("GET", "/v1/clusters", Value::Null).await.json()["items"][0]["id"].clone();
    let cluster = format!("/platform/clusters/{}", cluster.as_str().unwrap());
    let mut sent = form(&admin.get(&cluster).await.text());
    set(&mut sent, "max_tenants", "77");
    set(&mut sent, "sip_domains", "sip.acme.example");
    assert!(admin.sees_after(&cluster, &refs(&sent)).await.contains("value=\"77\""));
    let switch = stage.node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
    let switch = format!("/platform/switches/{}", switch.as_str().unwrap());
    let socket = format!("{switch}/event-socket");
    let mut sent = form(&admin.get(&socket).await.text());
    set(&mut sent, "address", "192.0.2.7:8021");
    set(&mut sent, "password", "short");
    let answer = admin.post(&socket, &refs(&sent)).await;
    if answer.status == 422 {
        set(&mut sent, "password", "a much longer password");
        admin.does(&socket, &refs(&sent)).await;
    }
    let kept = stage
        .node
        .api("GET", &format!("/v1/switches/{}/event-socket", switch.rsplit('/').next().unwrap()), Value::Null)
        .await;
    assert!(kept.text().contains("192.0.2.7"), "{}", kept.text());
    // Every link on these pages leads somewhere.
    for page in [&tenant, &cluster, &switch, &socket] {
        let text = admin.get(page).await.text();
        for link in text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            if link.starts_with("/platform") || link.starts_with("/audit") {
                assert_eq!(admin.get(link).await.status, 200, "{link} on {page}");
            }
        }
    }
    let mut sent = form(&admin.get(&switch).await.text());
    set(&mut sent, "status", "disabled");
    assert!(admin.sees_after(&switch, &refs(&sent)).await.contains("Disabled"));
    // A deleted tenant is gone in thirty days.
    let question = fields(&admin.get(&format!("{tenant}/delete")).await.text());
    admin.does(&format!("{tenant}/delete"), &refs(&question)).await;
    assert!(admin.get("/platform").await.text().contains("is deleted for good"));
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_map_shows_every_end_of_a_call_and_ends_where_it_would_go_in_a_circle() {
    let stage = Stage::new().await;
    let phone = stage.phone("1000", "Ada").await;
    let post = async |path: &str, body: Value| {
        let path = format!("/v1/tenants/{}/{path}", stage.tenant);
        let answer = stage.owner.ask(&stage.node, "POST", &path, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.id()
    };
    let group = post("groups", json!({ "name": "sales", "members": [phone] })).await;
    let menu = json!({ "name": "Main menu", "kind": "ivr", "config": { "greeting": { "text": "Hello" },
        "entries": { "1": { "kind": "group", "id": group } } } });
    let menu = post("destinations", menu).await;
    // Callers may come back to the menu that they came from.
    let again = json!({ "name": "Back", "kind": "ivr", "config": { "greeting": { "text": "Again" },
        "entries": { "9": { "kind": "ivr", "id": menu } } } });
    let again = post("destinations", again).await;
    let path = format!("/v1/tenants/{}/destinations/{menu}", stage.tenant);
    let both = json!({ "config": { "greeting": { "text": "Hello" }, "entries": {
        "1": { "kind": "group", "id": group }, "2": { "kind": "ivr", "id": again } } } });
    assert_eq!(stage.owner.ask(&stage.node, "PATCH", &path, both).await.status, 200);
    let number = json!({ "number": "+12025550123", "destination": { "kind": "ivr", "id": menu } });
    let number = stage.owner.ask(&stage.node, "POST", "/v1/phone-numbers", number).await.id();
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut tab = Tab::of(&stage.node, &manager).await;
    for path in [format!("/app/menus/{menu}/map"), format!("/phone-numbers/{number}/map")] {
        let map = tab.get(&path).await;
        let text = map.text();
        assert_eq!(map.status, 200, "{text}");
        for part in ["Main menu", "sales", "1000 Ada", "Back", &format!("/app/groups/{group}")] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let other = stage.node.tenant("other.test").await;
    let other = person(&stage.node, Some(other), Role::Owner, "owner@other.test").await;
    assert_eq!(Tab::of(&stage.node, &other).await.get(&format!("/app/menus/{menu}/map")).await.status, 404);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_role_is_changed_on_the_teams_page_and_no_extension_is_lost_by_it() {
    let stage = Stage::new().await;
    let agent = stage.agent("grace@acme.test").await;
    let (id, number) = (agent["id"].as_str().unwrap(), agent["extensions"][0]["number"].clone());
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    assert!(!tab.get("/app/team?role=owner").await.text().contains("grace@acme.test"));
    let list = tab.get("/app/team?role=agent").await.text();
    assert!(list.contains("grace@acme.test") && list.contains(">Agent<"), "{list}");
    let page = format!("/app/team/{id}");
    let mut sent = form(&tab.get(&page).await.text());
    set(&mut sent, "role", "manager");
    tab.does(&page, &refs(&sent)).await;
    let now = stage.owner.ask(&stage.node, "GET", &format!("/v1/admin/agents/{id}"), Value::Null).await.json();
    assert_eq!((&now["role"], &now["extensions"][0]["number"]), (&json!("manager"), &number));
    // Nobody can give somebody more rights than their own.
    let admin = person(&stage.node, Some(stage.tenant), Role::Admin, "second@acme.test").await;
    let mut second = Tab::of(&stage.node, &admin).await;
    let mut sent = form(&second.get(&page).await.text());
    set(&mut sent, "role", "owner");
    let refused = second.post(&page, &refs(&sent)).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_company_says_what_its_contacts_fields_are_and_who_gets_reports_and_a_wrong_entry_is_told_at_its_row() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let people = stage.owner.ask(&stage.node, "GET", "/v1/admin/agents", Value::Null).await.items();
    let owner = people.as_array().unwrap().iter().find(|one| one["role"] == "owner").unwrap();
    let called = format!("{} {}", owner["first_name"].as_str().unwrap(), owner["last_name"].as_str().unwrap());
    let mut company = form(&tab.get("/app/company").await.text());
    set(&mut company, "contacts.fields.0.name", "O'Brien no.");
    set(&mut company, "contacts.fields.0.kind", "decimal");
    set(&mut company, "reports.mails.0.name", "Sales, each day");
    set(&mut company, "reports.mails.0.every", "day");
    set(&mut company, "reports.mails.0.by", "agent");
    set(&mut company, "reports.mails.0.recipients.0", called.trim());
    tab.does("/app/company", &refs(&company)).await;
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let now = stage.owner.ask(&stage.node, "GET", &path, Value::Null).await.json();
    assert_eq!(now["contacts"], json!({ "fields": [{ "name": "O'Brien no.", "kind": "decimal" }] }));
    let mail = json!({ "name": "Sales, each day", "every": "day", "by": "agent", "recipients": [owner["id"]] });
    assert_eq!(now["reports"], json!({ "mails": [mail] }));
    let mut new = form(&tab.get("/app/contacts/new").await.text());
    set(&mut new, "name", "Bea");
    set(&mut new, "fields.0.key", "Nick");
    set(&mut new, "fields.0.value", "B");
    set(&mut new, "fields.1.key", "O'Brien no.");
    set(&mut new, "fields.1.value", "seven");
    let answer = tab.post("/app/contacts/new", &refs(&new)).await;
    let told = answer.text();
    // Rows are in the order in which they were sent, and the summary leads to the one that is wrong.
    assert!(answer.status == 422 && told.contains("href=\"#fields.1.value\""), "{}: {told}", answer.status);
    assert!(told.contains("id=\"fields.1.value-error\""), "{told}");
    set(&mut new, "fields.1.value", "7");
    assert_eq!(tab.post("/app/contacts/new", &refs(&new)).await.status, 303);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_contact_is_kept_by_a_manager_and_read_by_an_agent_and_what_is_in_it_is_no_html() {
    let stage = Stage::new().await;
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut tab = Tab::of(&stage.node, &manager).await;
    let mut new = form(&tab.get("/app/contacts/new").await.text());
    set(&mut new, "name", "Bea");
    set(&mut new, "numbers", "+12025550123");
    set(&mut new, "notes", "<script>alert(1)</script>\nsecond line");
    set(&mut new, "do_not_call._on", "on");
    set(&mut new, "do_not_call.source", "by mail");
    set(&mut new, "do_not_call.at", "2026-11-26T10:00");
    let answer = tab.post("/app/contacts/new", &refs(&new)).await;
    let why = answer.text().split("class=\"notice bad\"").nth(1).map(|rest| rest.chars().take(400).collect::<String>());
    assert_eq!(answer.status, 303, "{why:?}");
    let page = answer.header("Location").unwrap().to_owned();
    let shown = tab.get(&page).await.text();
    assert!(shown.contains("&#60;script&#62;") && !shown.contains("<script>alert"), "{shown}");
    let untouched = form(&shown);
    let version = of(&untouched, "version").to_owned();
    tab.does(&page, &refs(&untouched)).await;
    assert_eq!(of(&form(&tab.get(&page).await.text()), "version"), version, "an untouched form changes nothing");
    let agent = person(&stage.node, Some(stage.tenant), Role::Agent, "agent@acme.test").await;
    let mut agent = Tab::of(&stage.node, &agent).await;
    let read = agent.get(&page).await.text();
    assert!(read.contains("Bea") && !read.contains("<script>alert") && !read.contains("name=\"version\""), "{read}");
    assert!(agent.get("/app/contacts").await.text().contains("Bea"));
    assert_eq!(agent.get("/app/contacts/new").await.status, 403);
    stage.node.stop().await;
}
