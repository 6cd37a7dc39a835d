//! Pages as a browser gets them: the results of forms, reloads, two tabs, input that is kept when a session ends, and errors.

mod again;
mod audit;
mod buttons;
mod forms;
mod lists;
mod meanwhile;
mod overview;
mod phones;
mod recordings;
mod reports;
mod said;
mod subjects;
mod twice;
mod undo;
mod voicemail;

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
#[derive(Clone)]
pub struct Tab<'a> {
    node: &'a Node,
    cookies: HashMap<String, String>,
}

impl<'a> Tab<'a> {
    pub fn new(node: &'a Node) -> Self {
        Self { node, cookies: HashMap::new() }
    }

    pub async fn of(node: &'a Node, who: &Person) -> Self {
        let mut tab = Self::new(node);
        tab.cookies.insert("dialplane_session".into(), browser(node, who).await);
        tab
    }

    pub fn german(mut self) -> Self {
        self.cookies.insert("dialplane_language".into(), "de".into());
        self
    }

    pub async fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
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
    pub async fn does(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, 303, "{path}: {}", answer.text());
        answer.header("Location").unwrap().to_owned()
    }

    /// The same, but returns the page.
    pub async fn sees_after(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let page = self.does(path, fields).await;
        let page = self.get(&page).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        page.text()
    }
}

/// Text without the references that pages write.
fn decoded(text: &str) -> String {
    let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">");
    text.replace("&#38;", "&").replace("&amp;", "&")
}

/// The values of a page's fields, by name.
pub fn fields(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let rest = tag.split(&format!(" {name}=\"")).nth(1)?;
        Some(decoded(rest.split('"').next()?))
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

fn set(fields: &mut Vec<(String, String)>, name: &str, value: &str) {
    match fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => value.clone_into(old),
        None => fields.push((name.to_owned(), value.to_owned())),
    }
}

/// A page's form for one thing, without its buttons' names and boxes that aren't checked.
fn form(page: &str) -> Vec<(String, String)> {
    let main = page.split("<main").nth(1).unwrap().split("</main>").next().unwrap();
    let is_its_own = |form: &&str| {
        let tag = form.split('>').next().unwrap();
        tag.contains("method=\"post\"") && !tag.contains("action=\"/undo\"")
    };
    let form = main.split("<form ").find(is_its_own).unwrap();
    let boxes = form.split('<').filter(|tag| tag.starts_with("input type=\"checkbox\"") && !tag.contains(" checked"));
    let attribute =
        |tag: &str, name: &str| Some(tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.to_owned());
    let off = boxes.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?))).collect::<Vec<_>>();
    let mut found = fields(form);
    found.retain(|field| !off.contains(field));
    for area in form.split("<textarea ").skip(1) {
        let name = area.split(" name=\"").nth(1).unwrap().split('"').next().unwrap();
        let text = area.split_once('>').unwrap().1.split("</textarea>").next().unwrap();
        found.push((name.to_owned(), decoded(text.trim_start_matches('\n'))));
    }
    found.retain(|(name, _)| !name.is_empty());
    found
}

fn of<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

pub fn refs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().filter(|(name, _)| name != "csrf").map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

const ADA: [(&str, &str); 5] = [
    ("first_name", "Grace"),
    ("last_name", "Hopper"),
    ("email", "grace@acme.test"),
    ("role", "agent"),
    ("extensions_count", "1"),
];

pub struct Stage {
    pub node: Node,
    database: Database,
    pub tenant: Uuid,
    pub owner: Person,
    pub admin: Person,
}

impl Stage {
    pub async fn new() -> Self {
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("acme.test").await;
        let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
        let admin = person(&node, None, Role::PlatformAdmin, "admin@platform.test").await;
        Self { node, database, tenant, owner, admin }
    }

    pub async fn agent(&self, email: &str) -> Value {
        let new = json!({ "first_name": "Grace", "last_name": "Hopper", "email": email });
        let path = format!("/v1/admin/agents?tenant_id={}", self.tenant);
        let made = self.node.api("POST", &path, new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    }

    /// An extension's id.
    async fn phone(&self, number: &str, name: &str) -> String {
        let extension = self.node.extension(self.tenant, json!({ "number": number, "display_name": name })).await;
        extension["id"].as_str().unwrap().to_owned()
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        let mut db = self.database.connect().await;
        sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
    }

    pub async fn execute(&self, sql: &'static str) {
        let mut db = self.database.connect().await;
        sqlx::query(sql).execute(&mut db).await.unwrap();
    }
}

/// The value beside a label on the settings page.
fn password(page: &str) -> String {
    let at = page.find("id=\"password-").unwrap_or_else(|| panic!("no password in {page}"));
    page[at..].split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()
}
