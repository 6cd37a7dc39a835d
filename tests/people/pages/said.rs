//! What pages say: errors, used links, empty searches, lights, the audit log.

use super::*;

#[actix_web::test]
async fn what_goes_wrong_is_a_page_with_the_navigation_and_never_json() {
    let stage = Stage::new().await;
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let mut manager = Tab::of(&stage.node, &manager).await;
    let id = Uuid::now_v7();
    let sound = |answer: &Answer, status: u16, what: &str| {
        let page = answer.text();
        assert_eq!(answer.status, status, "{what}: {page}");
        assert!(answer.header("Content-Type").unwrap().starts_with("text/html"), "{what}");
        assert!(page.contains("<nav ") && page.contains("/sign-out") && page.contains("@acme.test"), "{what}: {page}");
        for never in ["CSRF", "X-API-Key", "{\"", "Json", "UUID", "deserialize"] {
            assert!(!page.split("<main").nth(1).unwrap().contains(never), "{what}: {never} in {page}");
        }
    };
    for path in [
        "/app/agents/not-a-uuid",
        "/app/agents/not-a-uuid/delete",
        "/platform/switches/not-a-uuid/setup",
        "/nothing/here",
        "/app/agents/import/not-a-uuid",
        "/problems/no_such_code",
    ] {
        let answer = owner.get(path).await;
        sound(&answer, 404, path);
        assert!(answer.text().contains("Not found"), "{path}: {}", answer.text());
    }
    sound(&owner.get(&format!("/app/agents/{id}")).await, 404, "nobody");
    sound(&owner.post(&format!("/app/agents/{id}/suspend"), &[]).await, 404, "nobody to suspend");
    sound(&owner.get("/app/agents?cursor=nonsense").await, 400, "a cursor");
    sound(&owner.get("/audit?cursor=nonsense").await, 400, "a cursor");
    sound(&owner.get("/account?shown=nonsense").await, 400, "a query that is none");
    sound(&owner.get("/platform/tenants").await, 403, "the platform's");
    sound(&manager.get("/app/agents/new").await, 403, "an administrator's");
    let broken = owner.ask("POST", "/app/agents/new", "application/x-www-form-urlencoded", "%ff=%ff&").await;
    assert!(broken.status < 500 && broken.header("Content-Type").unwrap_or("text/html").starts_with("text/html"));
    sound(&owner.ask("POST", "/app/agents/new", "application/json", "{}").await, 400, "no form");
    sound(&owner.ask("POST", "/app/agents/import", "text/plain", "x").await, 400, "no file");
    let large = "x".repeat(5 * 1024 * 1024);
    sound(&owner.ask("POST", "/app/agents/new", "application/x-www-form-urlencoded", &large).await, 413, "too much");
    // The last owner can't be removed, and the page says so.
    let own = fields(&owner.get(&format!("/app/agents/{}", stage.owner.id)).await.text());
    let mut own = own.into_iter().filter(|(name, _)| name != "role").collect::<Vec<_>>();
    own.push(("role".into(), "admin".into()));
    let stays = owner.post(&format!("/app/agents/{}", stage.owner.id), &refs(&own)).await;
    sound(&stays, 422, "the last owner");
    assert!(stays.text().contains("last owner"), "{}", stays.text());
    sound(&owner.post(&format!("/app/agents/{}/suspend", stage.owner.id), &[]).await, 409, "the last owner");
    // The page is in the user's own language, whatever the cookie says.
    stage.execute("update users set language = 'de'").await;
    assert!(owner.get(&format!("/app/agents/{id}")).await.text().contains("Nicht gefunden"));
    // The API still answers with problems.
    let api = stage.node.api("GET", "/v1/admin/agents/not-a-uuid", Value::Null).await;
    assert_eq!(api.header("Content-Type"), Some("application/problem+json"));
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_link_that_was_used_offers_a_new_one_and_nothing_to_press_in_vain() {
    let stage = Stage::new().await;
    let mut nobody = Tab::new(&stage.node);
    for (path, press, new) in [
        ("/verify?token=dpo_used", ">Confirm<", "/verify/again"),
        ("/reset?token=dpo_used", ">Set the password<", "/forgot"),
    ] {
        let page = nobody.get(path).await;
        assert_eq!(page.status, 422);
        assert!(page.text().contains("This link has expired") && page.text().contains(new), "{}", page.text());
        assert!(!page.text().contains(press), "{}", page.text());
    }
    let used = nobody.post("/verify", &[("token", "dpo_used")]).await.text();
    assert!(used.contains("This link has expired") && !used.contains(">Confirm<"), "{used}");

    // A second invitation makes the first link void.
    let agent = stage.agent("grace@acme.test").await["id"].as_str().unwrap().to_owned();
    let mails = "select count(*) from mail_outbox where template = 'welcome'";
    assert_eq!(stage.count(mails).await, 1);
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    assert!(owner.get(&format!("/app/agents/{agent}")).await.text().contains("Resend invitation"));
    let page = owner.sees_after(&format!("/app/agents/{agent}/invite"), &[]).await;
    assert!(page.contains("The invitation was sent again."), "{page}");
    assert_eq!(stage.count(mails).await, 2);
    assert_eq!(stage.count("select count(*) from one_time_tokens where purpose = 'welcome'").await, 1);
    // Somebody who has accepted gets no other invitation.
    stage.execute("update users set status = 'active' where email = 'grace@acme.test'").await;
    assert!(!owner.get(&format!("/app/agents/{agent}")).await.text().contains("Resend invitation"));
    assert_eq!(owner.post(&format!("/app/agents/{agent}/invite"), &[]).await.status, 409);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_search_without_hits_says_so_and_a_manager_is_offered_nothing_forbidden() {
    let stage = Stage::new().await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let none = owner.get("/app/agents?q=nobody+of+this+name").await.text();
    assert!(none.contains("Nothing matches this search.") && !none.contains("Nobody here yet"), "{none}");
    assert!(owner.get("/app/agents?status=suspended").await.text().contains("Nothing matches this search."));
    let audit = owner.get("/audit?actor=nobody").await.text();
    assert!(audit.contains("No entries found."), "{audit}");
    // Every link on a manager's pages works.
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let agent = stage.agent("grace@acme.test").await["id"].as_str().unwrap().to_owned();
    let mut manager = Tab::of(&stage.node, &manager).await;
    for page in ["/app".to_owned(), "/app/agents".into(), format!("/app/agents/{agent}"), "/account".into()] {
        let text = manager.get(&page).await.text();
        assert!(!text.contains("/app/agents/new") && !text.contains("/import"), "{page}: {text}");
        for link in text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            if link.starts_with("/app") || link.starts_with("/account") || link.starts_with("/audit") {
                assert_eq!(manager.get(&link.replace("&#38;", "&")).await.status, 200, "{link} on {page}");
            }
        }
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn an_agent_in_a_group_is_taken_out_of_it_on_the_way_to_being_deleted() {
    let stage = Stage::new().await;
    let made = stage.agent("grace@acme.test").await;
    let (agent, extension) = (made["id"].as_str().unwrap(), made["extensions"][0]["id"].as_str().unwrap());
    let path = format!("/v1/tenants/{}/groups", stage.tenant);
    let group = json!({ "name": "sales-team", "number": "700", "members": [extension] });
    assert_eq!(stage.owner.ask(&stage.node, "POST", &path, group).await.status, 201);
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let page = owner.get(&format!("/app/agents/{agent}")).await.text();
    assert!(page.contains("sales-team") && page.contains("Remove from group"), "{page}");
    let delete = format!("/app/agents/{agent}/delete");
    let question = owner.get(&delete).await.text();
    assert!(question.contains("sales-team") && question.contains("still in use"), "{question}");
    let refused = owner.post(&delete, &[]).await;
    assert!(refused.status == 422 && refused.text().contains("sales-team"), "{}", refused.text());
    let leave = question.split("action=\"").find(|rest| rest.contains("/leave\"")).unwrap().split('"').next().unwrap();
    let question = owner.sees_after(leave, &[("next", "delete")]).await;
    assert!(question.contains("Delete this agent?") && !question.contains("sales-team"), "{question}");
    owner.does(&delete, &refs(&fields(&question))).await;
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_light_is_green_only_for_the_token_that_is_in_force() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let stage = Stage::new().await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let cluster = stage.node.api("GET", "/v1/clusters", Value::Null).await.json()["items"][0]["id"].clone();
    let setup = admin.does("/platform/switches/new", &[("name", "fs-9"), ("cluster", cluster.as_str().unwrap())]).await;
    let switch = setup.split('/').nth(3).unwrap().to_owned();
    let credentials = |page: &str| {
        let rest = page.split("dialplane_credentials=").nth(1).unwrap();
        rest.split(['"', '&']).next().unwrap().to_owned()
    };
    let fetch = async |credentials: &str| {
        let basic = format!("Basic {}", STANDARD.encode(credentials));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let body = crate::harness::sign_in_form("1000", "acme.test");
        send(stage.node.app.switch_address, "POST", "/fs/xml", &headers, body.as_bytes()).await.status
    };
    assert!(admin.get("/platform/clusters").await.text().contains("Never asked"));
    let first = credentials(&admin.get(&setup).await.text());
    let light = format!("/platform/switches/{switch}/light");
    assert!(admin.get(&light).await.text().contains("waiting"));
    let shines = async |admin: &mut Tab<'_>| {
        let began = std::time::Instant::now();
        while !admin.get(&light).await.text().contains("It works.") {
            assert!(began.elapsed().as_secs() < 20, "the light stays off");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    assert_eq!(fetch(&first).await, 200);
    shines(&mut admin).await;
    assert!(!admin.get("/platform/clusters").await.text().contains("fs-9</td><td data-label=\"Last request\">never"));
    let token = format!("/platform/switches/{switch}/token");
    let question = admin.get(&token).await.text();
    assert!(question.contains("Make a new token?"), "{question}");
    let renewed = admin.does(&token, &refs(&fields(&question))).await;
    let page = admin.get(&renewed).await.text();
    assert!(page.contains("Waiting for the switch") && !page.contains("It works."), "{page}");
    // Fetches with the old token say nothing about the new one.
    assert_eq!(fetch(&first).await, 401);
    assert!(!admin.get(&light).await.text().contains("It works."));
    assert_eq!(fetch(&credentials(&page)).await, 200);
    shines(&mut admin).await;
    // Nor does a switch work whose requests are refused because it is disabled.
    let switch = format!("/v1/switches/{switch}");
    assert_eq!(stage.node.api("PATCH", &switch, json!({ "status": "disabled" })).await.status, 200);
    for path in [&light, &setup] {
        let page = admin.get(path).await.text();
        assert!(page.contains("This switch is disabled") && !page.contains("It works."), "{page}");
    }
    assert_eq!(stage.node.api("PATCH", &switch, json!({ "status": "active" })).await.status, 200);
    assert!(admin.get(&light).await.text().contains("It works."));
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_switch_is_in_the_same_state_on_every_page() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let stage = Stage::new().await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let made = stage.node.api("POST", "/v1/switches", json!({ "name": "fs-9" })).await.json();
    let switch = made["id"].as_str().unwrap();
    let shows = async |admin: &mut Tab<'_>, state: &str, words: &str, light: &str| {
        let list = admin.get("/platform/clusters").await.text();
        let row = list.split("<tr>").find(|row| row.contains(">fs-9</a>")).unwrap().to_owned();
        let own = admin.get(&format!("/platform/switches/{switch}")).await.text();
        for page in [&row, &own] {
            assert!(page.contains(&format!("<span class=\"state {state}\">{words}</span>")), "{state}: {page}");
        }
        for path in ["setup", "light"] {
            let page = admin.get(&format!("/platform/switches/{switch}/{path}")).await.text();
            assert!(page.contains(&format!("class=\"light {state}\"")) && page.contains(light), "{state}: {page}");
        }
    };
    shows(&mut admin, "waiting", "Never asked", "Waiting for the switch").await;
    let basic = format!("Basic {}", STANDARD.encode(format!("fs-9:{}", made["token"].as_str().unwrap())));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let body = crate::harness::sign_in_form("1000", "acme.test");
    assert_eq!(send(stage.node.app.switch_address, "POST", "/fs/xml", &headers, body.as_bytes()).await.status, 200);
    let began = std::time::Instant::now();
    while stage.count("select count(*) from switch_sightings").await == 0 {
        assert!(began.elapsed().as_secs() < 20, "nobody noted that it asked");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    shows(&mut admin, "active", "Active", "It works.").await;
    // It asked last an hour ago: it worked once.
    stage.execute("update switch_sightings set first_seen_at = now() - interval '9 days', last_seen_at = now() - interval '1 hour'").await;
    shows(&mut admin, "silent", "Silent", "has stopped sending requests").await;
    let act = async |act: &str| {
        let answer = stage.node.api("POST", &format!("/v1/switches/{switch}/{act}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    act("drain").await;
    shows(&mut admin, "out_of_service", "Out of service", "is out of service").await;
    act("resume").await;
    shows(&mut admin, "silent", "Silent", "has stopped sending requests").await;
    let path = format!("/v1/switches/{switch}");
    assert_eq!(stage.node.api("PATCH", &path, json!({ "status": "disabled" })).await.status, 200);
    shows(&mut admin, "disabled", "Disabled", "its requests are refused").await;
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_audit_log_calls_people_who_are_gone_by_their_names() {
    let stage = Stage::new().await;
    let made = stage.agent("grace@acme.test").await;
    let agent = made["id"].as_str().unwrap();
    let path = format!("/v1/phone-numbers?tenant_id={}", stage.tenant);
    let number = stage.node.api("POST", &path, json!({ "number": "+493012345678" })).await;
    let number = number.json()["id"].as_str().unwrap().to_owned();
    let act = async |act: &str, body: Value| {
        let path = format!("/v1/phone-numbers/{number}/{act}?tenant_id={}", stage.tenant);
        let answer = stage.node.api("POST", &path, body).await;
        assert!(matches!(answer.status, 200 | 204), "{act}: {}", answer.text());
    };
    act("assign", json!({ "agent_id": agent })).await;
    act("unassign", json!({ "agent_id": agent })).await;
    let path = format!("/v1/admin/agents/{agent}?tenant_id={}", stage.tenant);
    let gone = stage.node.api("DELETE", &path, Value::Null).await;
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let tail = format!("…{}", &agent[agent.len() - 6..]);
    for path in ["/audit", "/audit?resource=numbers%2F", "/audit?action=assign"] {
        let page = owner.get(path).await.text();
        assert!(page.contains("Grace Hopper") && !page.contains(&tail), "{path}: {page}");
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_audit_log_calls_things_by_their_names_whether_they_are_there_or_gone() {
    let stage = Stage::new().await;
    let make = async |path: String, body: Value| {
        let made = stage.node.api("POST", &path, body).await;
        assert_eq!(made.status, 201, "{path}: {}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    };
    let tenant = &stage.tenant;
    let pool = json!({ "first_number": 7000, "last_number": 7099 });
    let (kept, gone) = (pool.clone(), json!({ "first_number": 7100, "last_number": 7199 }));
    make(format!("/v1/tenants/{tenant}/pools"), kept).await;
    let gone = make(format!("/v1/tenants/{tenant}/pools"), gone).await;
    let hook = json!({ "url": "https://hooks.acme.test/calls", "topics": ["call:ended"] });
    let hook = stage.owner.ask(&stage.node, "POST", "/v1/webhooks", hook).await.json()["id"].clone();
    let hook = format!("/v1/webhooks/{}", hook.as_str().unwrap());
    let described = stage.owner.ask(&stage.node, "PATCH", &hook, json!({ "description": "x" })).await;
    assert_eq!(described.status, 200, "{}", described.text());
    let contact = make(format!("/v1/contacts?tenant_id={tenant}"), json!({ "name": "Mary Somerville" })).await;
    let change = async |method, path: String, body| {
        let answer = stage.node.api(method, &path, body).await;
        assert!(matches!(answer.status, 200 | 204), "{path}: {}", answer.text());
    };
    change("PATCH", format!("/v1/contacts/{contact}?tenant_id={tenant}"), json!({ "notes": "x" })).await;
    change("DELETE", format!("/v1/tenants/{tenant}/pools/{gone}"), Value::Null).await;
    let shown = |page: String| page.split("<ul class=\"log\">").nth(1).unwrap().to_owned();
    let tail = regex::Regex::new("…[0-9a-f]{6}").unwrap();
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let log = shown(owner.get("/audit").await.text());
    for name in ["7000–7099", "7100–7199", "https://hooks.acme.test/calls", "Mary Somerville"] {
        assert!(log.contains(name), "{name}: {log}");
    }
    assert_eq!(tail.find(&log).map(|found| found.as_str()), None, "{log}");
    // The name of a contact is not kept: it would outlast the erasure of what is known of somebody.
    change("DELETE", format!("/v1/contacts/{contact}?tenant_id={tenant}"), Value::Null).await;
    let log = shown(owner.get("/audit?resource=contacts%2F").await.text());
    assert!(!log.contains("Mary") && log.contains("without a name …"), "{log}");
    // A switch's cluster that is gone, among what only the platform sees.
    let cluster = make("/v1/clusters".into(), json!({ "name": "wandering", "region": "us", "max_tenants": 5 })).await;
    let switch = make("/v1/switches".into(), json!({ "name": "fs-gone", "cluster_id": cluster })).await;
    change("DELETE", format!("/v1/switches/{switch}"), Value::Null).await;
    change("DELETE", format!("/v1/clusters/{cluster}"), Value::Null).await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let log = shown(admin.get("/audit?resource=switches%2F").await.text());
    assert!(log.contains("wandering") && tail.find(&log).is_none(), "{log}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_field_says_what_it_takes_and_not_what_a_parser_thinks_of_it() {
    let stage = Stage::new().await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let mut german = Tab::of(&stage.node, &stage.owner).await.german();
    let whole = ("must be a whole number", "muss eine ganze Zahl sein");
    let large = ("is larger or smaller than anything", "ist größer oder kleiner als alles");
    for (typed, says) in [("abc", whole), ("1e3", whole), ("1.5", whole), ("99999999999999999999", large)] {
        for (tab, says) in [(&mut owner, says.0), (&mut german, says.1)] {
            let mut sent = form(&tab.get("/app/pools/new").await.text());
            set(&mut sent, "first_number", typed);
            set(&mut sent, "last_number", "2000");
            let page = tab.post("/app/pools/new", &refs(&sent)).await;
            assert_eq!(page.status, 422, "{typed}");
            let page = page.text();
            assert!(page.contains(says) && !page.contains("i64") && !page.contains("expected"), "{typed}: {page}");
        }
    }
    // What a thing's kind needs is missed at its field.
    for (path, field) in [("/app/announcements/new", "config.prompt"), ("/app/schedules/new", "config.open")] {
        let mut sent = form(&owner.get(path).await.text());
        set(&mut sent, "name", "Main");
        let page = owner.post(path, &refs(&sent)).await;
        assert_eq!(page.status, 422, "{path}");
        let page = page.text();
        assert!(page.contains("is missing") && !page.contains("missing field"), "{path}: {page}");
        assert!(page.contains(&format!("href=\"#{field}")), "{path}, {field}: {page}");
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_audit_log_is_read_by_people() {
    let stage = Stage::new().await;
    let made = stage.agent("grace@acme.test").await;
    let (agent, extension) = (made["id"].as_str().unwrap(), made["extensions"][0]["id"].as_str().unwrap());
    let path = format!("/v1/admin/agents/{agent}");
    assert_eq!(stage.owner.ask(&stage.node, "PATCH", &path, json!({ "last_name": "Murray" })).await.status, 200);
    let path = format!("/v1/tenants/{}/groups", stage.tenant);
    stage.owner.ask(&stage.node, "POST", &path, json!({ "name": "sales", "members": [extension] })).await;
    let path = format!("/v1/tenants/{}/extensions/{extension}", stage.tenant);
    let calls = json!({ "calls": { "do_not_disturb": true } });
    assert_eq!(stage.owner.ask(&stage.node, "PATCH", &path, calls).await.status, 200);
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let mut german = Tab::of(&stage.node, &stage.owner).await.german();
    let page = owner.get("/audit").await.text();
    let log = page.split("<ul class=\"log\">").nth(1).unwrap();
    for told in ["<b>Changed</b> Agent", "Grace Murray", "owner@acme.test", "<b>Created</b> Group", "Hopper", "Murray"]
    {
        assert!(log.contains(told), "{told}: {log}");
    }
    let raw = regex::Regex::new("[0-9a-f]{8}-[0-9a-f]{4}|&#34;|\\{|\\}").unwrap();
    assert_eq!(raw.find(log).map(|found| &log[found.start().saturating_sub(80)..found.end()]), None);
    let page = german.get("/audit").await.text();
    assert!(page.contains("<b>Geändert</b> Mitarbeiter") && page.contains("Nachname"), "{page}");
    // The filters find what they say.
    let groups = owner.get("/audit?resource=groups%2F&action=create").await.text();
    assert!(groups.contains("Created</b> Group") && !groups.contains("</b> Agent"), "{groups}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn every_codes_page_says_what_happened_and_what_to_do_in_both_languages() {
    let stage = Stage::new().await;
    let (mut english, mut german) = (Tab::new(&stage.node), Tab::new(&stage.node).german());
    for code in dialplane::text::Code::ALL {
        let path = format!("/problems/{code}");
        let (en, de) = (english.get(&path).await, german.get(&path).await);
        assert_eq!((en.status, de.status), (200, 200), "{code}");
        let heading = |page: &str| page.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap().to_owned();
        let (en, de) = (en.text(), de.text());
        assert_ne!(heading(&en), heading(&de), "{code}");
        assert!(heading(&en).ends_with('.') && heading(&de).ends_with('.'), "{code}: {}", heading(&en));
        assert!(en.contains("What to do") && de.contains("Was zu tun ist") && en.contains(code.name()), "{code}");
    }
    stage.node.stop().await;
}
