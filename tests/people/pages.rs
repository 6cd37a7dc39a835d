//! Pages as a browser gets them: the results of forms, reloads, two tabs, input that is kept when a session ends, and errors.

use std::collections::HashMap;

use dialplane::tenancy::auth::{rules::Role, session::csrf_token};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    attacks::browser,
    harness::{Answer, Database, Node, send},
    people::{PASSWORD, Person, person},
};

/// Somebody with a browser.
pub struct Tab<'a> {
    node: &'a Node,
    cookies: HashMap<String, String>,
}

impl<'a> Tab<'a> {
    pub fn new(node: &'a Node) -> Self {
        Self { node, cookies: HashMap::new() }
    }

    async fn of(node: &'a Node, who: &Person) -> Self {
        let mut tab = Self::new(node);
        tab.cookies.insert("dialplane_session".into(), browser(node, who).await);
        tab
    }

    fn german(mut self) -> Self {
        self.cookies.insert("dialplane_language".into(), "de".into());
        self
    }

    async fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        self.send(method, path, kind, body.as_bytes()).await
    }

    async fn send(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let headers = [
            ("Accept", "text/html,application/xhtml+xml"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", kind),
            ("Cookie", &cookies),
        ];
        let answer = send(self.node.app.app_address, method, path, &headers, body).await;
        for (name, value) in &answer.headers {
            if name == "set-cookie"
                && let Some((name, value)) = value.split(';').next().and_then(|cookie| cookie.split_once('='))
            {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "text/plain", "").await
    }

    fn csrf(&self) -> String {
        self.cookies.get("dialplane_session").map(|cookie| csrf_token(cookie)).unwrap_or_default()
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf();
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields).append_pair("csrf", &csrf);
        self.ask("POST", path, "application/x-www-form-urlencoded", &body.finish()).await
    }

    /// Sends a form that must lead to another page. Returns the page's address.
    async fn does(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, 303, "{path}: {}", answer.text());
        answer.header("Location").unwrap().to_owned()
    }

    /// The same, but returns the page.
    async fn sees_after(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let page = self.does(path, fields).await;
        let page = self.get(&page).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        page.text()
    }
}

/// The values of a page's fields, by name.
fn fields(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let rest = tag.split(&format!(" {name}=\"")).nth(1)?;
        Some(rest.split('"').next()?.replace("&#38;", "&").replace("&#34;", "\"").replace("&amp;", "&"))
    };
    let mut found = Vec::new();
    for tag in page.split('<').filter(|tag| tag.starts_with("input ")) {
        if let Some(name) = attribute(tag, "name") {
            found.push((name, attribute(tag, "value").unwrap_or_default()));
        }
    }
    for select in page.split("<select ").skip(1) {
        let select = select.split("</select>").next().unwrap();
        let name = attribute(&format!("select {select}"), "name").unwrap();
        let chosen = select.split("<option ").skip(1).find(|option| option.contains(" selected"));
        let value = chosen.and_then(|option| attribute(&format!("option {option}"), "value")).unwrap_or_default();
        found.push((name, value));
    }
    found
}

fn of<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn refs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().filter(|(name, _)| name != "csrf").map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

const ADA: [(&str, &str); 5] = [
    ("first_name", "Grace"),
    ("last_name", "Hopper"),
    ("email", "grace@acme.test"),
    ("role", "agent"),
    ("extensions_count", "1"),
];

struct Stage {
    node: Node,
    database: Database,
    tenant: Uuid,
    owner: Person,
    admin: Person,
}

impl Stage {
    async fn new() -> Self {
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("acme.test").await;
        let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
        let admin = person(&node, None, Role::PlatformAdmin, "admin@platform.test").await;
        Self { node, database, tenant, owner, admin }
    }

    async fn agent(&self, email: &str) -> Value {
        let new = json!({ "first_name": "Grace", "last_name": "Hopper", "email": email });
        let path = format!("/v1/admin/agents?tenant_id={}", self.tenant);
        let made = self.node.api("POST", &path, new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let mut db = self.database.connect().await;
        sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
    }

    async fn execute(&self, sql: &'static str) {
        let mut db = self.database.connect().await;
        sqlx::query(sql).execute(&mut db).await.unwrap();
    }
}

/// The value beside a label on the settings page.
fn password(page: &str) -> String {
    let at = page.find("id=\"password-").unwrap_or_else(|| panic!("no password in {page}"));
    page[at..].split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()
}

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
    tab.does(&at(&format!("/extensions/{extension}/rotate")), &[]).await;
    let group = json!({ "name": "sales", "members": [extension] });
    let path = format!("/v1/tenants/{}/groups", stage.tenant);
    let group = stage.owner.ask(node, "POST", &path, group).await.id();
    tab.does(&at(&format!("/groups/{group}/leave")), &[]).await;
    tab.does(&at("/delete"), &[]).await;
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
    admin.does(&format!("/platform/switches/{switch}/token"), &[]).await;
    let tenant = [
        ("name", "Beta"),
        ("domain", "beta.test"),
        ("template", "default"),
        ("first_name", "B"),
        ("last_name", "B"),
        ("email", "b@beta.test"),
    ];
    admin.does("/platform/tenants/new", &tenant).await;
    for rest in ["suspend", "activate"] {
        admin.does(&format!("/platform/tenants/{}/{rest}", stage.tenant), &[]).await;
    }

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
    let none = owner.get("/app/agents?search=nobody+of+this+name").await.text();
    assert!(none.contains("No agents found.") && !none.contains("Nobody here yet"), "{none}");
    assert!(owner.get("/app/agents?status=suspended").await.text().contains("No agents found."));
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
    assert!(admin.get("/platform/records").await.text().contains("0 in all"));
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
    // A form of before that: somebody else was quicker.
    let again = tab.post("/retention", &refs(&form)).await;
    assert_ne!(again.status, 303, "{}", again.text());
    assert!(tab.german().get("/retention").await.text().contains("Plattform: 730 Tage."));

    let manager = person(&node, Some(tenant), Role::Manager, "manager@acme.test").await;
    let mut tab = Tab::of(&node, &manager).await;
    assert!(!tab.get("/audit").await.text().contains("href=\"/retention\""));
    assert_eq!(tab.get("/retention").await.status, 403);
    node.stop().await;
}
