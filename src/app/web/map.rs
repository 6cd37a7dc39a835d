//! Where calls go from one place: as a tree, from the ring to every possible end. Each box leads to its page.

use std::collections::HashMap;

use actix_web::{
    get,
    web::{Path, ServiceConfig},
};
use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Page, Shell, Turned, Visitor,
    ask::{Ask, turned, with},
    ok,
    resource::{formatted, page_of},
};
use crate::tenancy::{
    audit,
    auth::{
        actor::Actor,
        rules::{Level, Resource, Role},
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(of_menu).service(of_number);
}

/// How deep a tree is drawn. What is deeper is reached by its boxes.
const DEEPEST: usize = 8;
/// How many boxes a tree has at most.
const MOST: usize = 400;

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<li>{% if !by.is_empty() %}<span class="by">{{ by }}</span>{% endif %}{% if href.is_empty() %}<span class="box">{% else %}<a class="box" href="{{ href }}">{% endif %}{{ s.icon(icon)|safe }}<span>{{ name }}<small>{{ kind }}</small></span>{% if href.is_empty() %}</span>{% else %}</a>{% endif %}{% if !children.is_empty() %}<ul>{% for child in children %}{{ child|safe }}{% endfor %}</ul>{% endif %}</li>"#
)]
struct Node<'a> {
    s: &'a Shell,
    by: String,
    icon: &'static str,
    name: String,
    kind: String,
    href: String,
    children: Vec<String>,
}

#[derive(Template)]
#[template(path = "web/map.html")]
struct MapPage<'a> {
    s: &'a Shell,
    title: String,
    tree: String,
    back: String,
}

/// All that calls can be led to, by id.
struct Known {
    things: HashMap<String, Value>,
    names: HashMap<Uuid, String>,
}

fn icon(kind: &str) -> &'static str {
    match kind {
        "group" => "users-round",
        "queue" => "headphones",
        "ivr" => "list-tree",
        "conference" => "presentation",
        "mailbox" => "voicemail",
        "schedule" => "calendar-clock",
        "announcement" => "megaphone",
        "external" => "phone-forwarded",
        "page" => "volume-2",
        _ => "phone",
    }
}

/// Where something leads by itself or by a caller's choice: by what, and to what.
fn leads<'v>(s: &Shell, kind: &str, thing: &'v Value) -> Vec<(String, &'v Value)> {
    let config = &thing["config"];
    let word = |name: &str| s.t_of("field", name);
    let mut found = Vec::new();
    match kind {
        "ivr" => {
            let entries = config["entries"].as_object().into_iter().flatten();
            found.extend(entries.map(|(key, target)| (key.clone(), target)));
            found.push((word("otherwise"), &config["otherwise"]));
        }
        "schedule" => {
            found.push((s.t("label.when_open").to_owned(), &config["open"]));
            found.push((s.t("label.when_closed").to_owned(), &config["closed"]));
            for dates in config["dates"].as_array().into_iter().flatten() {
                let text = |field: &str| dates[field].as_str().unwrap_or_default();
                found.push((format!("{}–{}", text("from"), text("to")), &dates["target"]));
            }
        }
        "queue" => found.push((word("overflow"), &config["overflow"])),
        "announcement" => found.push((word("then"), &config["then"])),
        "group" => found.push((word("otherwise"), &thing["otherwise"])),
        _ => {}
    }
    found.retain(|(_, target)| target["id"].is_string());
    found
}

/// Who is rung by a group or a queue.
fn rung<'v>(kind: &str, thing: &'v Value) -> Vec<&'v str> {
    match kind {
        "group" => thing["members"].as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        "queue" => {
            let tiers = thing["config"]["tiers"].as_array().into_iter().flatten();
            tiers.filter_map(|tier| tier["extension_id"].as_str()).collect()
        }
        _ => Vec::new(),
    }
}

impl Known {
    async fn read(visitor: &Visitor, actor: &Actor, tenant: Uuid) -> Result<Self, Turned> {
        let mut things = HashMap::new();
        for list in ["groups", "destinations"] {
            for thing in visitor.all_of(&format!("/v1/tenants/{tenant}/{list}")).await.map_err(turned)?.items {
                things.insert(thing["id"].as_str().unwrap_or_default().to_owned(), thing);
            }
        }
        let mut ids = Vec::new();
        for thing in things.values() {
            ids.extend(super::audit::mentioned(thing));
        }
        ids.sort_unstable();
        ids.dedup();
        let names = audit::store::names(&mut *visitor.api.read(actor).await?, &[tenant], &ids).await?;
        Ok(Self { things, names: names.into_iter().collect() })
    }

    fn draw(&self, s: &Shell, by: String, target: &Value, above: &mut Vec<String>, left: &mut usize) -> String {
        let text = |field: &str| target[field].as_str().unwrap_or_default();
        let (kind, id) = (text("kind"), text("id"));
        let name = |id: &str| id.parse::<Uuid>().ok().and_then(|id| self.names.get(&id).cloned());
        let thing = self.things.get(id);
        let own = thing.and_then(|thing| thing["name"].as_str()).map(ToOwned::to_owned);
        let mut node = Node {
            s,
            by,
            icon: icon(kind),
            name: own.or_else(|| name(id)).unwrap_or_else(|| "–".to_owned()),
            kind: s.t_of("value", kind),
            href: page_of(kind).map(|page| format!("{page}/{id}")).unwrap_or_default(),
            children: Vec::new(),
        };
        let is_circle = above.iter().any(|known| known == id);
        if let Some(thing) = thing.filter(|_| !is_circle && above.len() < DEEPEST) {
            above.push(id.to_owned());
            let rung = rung(kind, thing)
                .into_iter()
                .map(|id| (s.t("map.rings").to_owned(), serde_json::json!({ "kind": "extension", "id": id })));
            let rung = rung.collect::<Vec<_>>();
            let leads = leads(s, kind, thing);
            for (by, target) in rung.iter().map(|(by, to)| (by.clone(), to)).chain(leads) {
                if *left == 0 {
                    break;
                }
                *left -= 1;
                node.children.push(self.draw(s, by, target, above, left));
            }
            above.pop();
        }
        node.render().unwrap_or_default()
    }
}

async fn page(visitor: &Visitor, actor: &Actor, by: String, target: &Value, title: String, back: String) -> Page {
    let tenant = Visitor::in_tenant(actor)?;
    let known = Known::read(visitor, actor, tenant).await?;
    let s = &visitor.shell;
    let tree = if target["id"].is_string() {
        known.draw(s, by, target, &mut Vec::new(), &mut MOST.clone())
    } else {
        String::new()
    };
    ok(&MapPage { s, title, tree, back })
}

#[get("/app/menus/{id}/map")]
async fn of_menu(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Destinations, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = format!("/v1/tenants/{tenant}/destinations/{id}");
    let menu = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let name = menu["name"].as_str().unwrap_or_default().to_owned();
    let back = format!("/app/menus/{id}");
    let s = &mut visitor.shell;
    s.active = "menus";
    s.crumbs = vec![
        (s.t("nav.menus").to_owned(), "/app/menus".to_owned()),
        (name.clone(), back.clone()),
        (s.t("map.title").to_owned(), String::new()),
    ];
    let target = serde_json::json!({ "kind": "ivr", "id": id.to_string() });
    page(&visitor, &actor, String::new(), &target, name, back).await
}

#[get("/phone-numbers/{id}/map")]
async fn of_number(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Numbers, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let mut path = format!("/v1/phone-numbers/{id}");
    if actor.role == Role::PlatformAdmin {
        path = with(&path, "tenant_id", &tenant.to_string());
    }
    let number = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let name = formatted(number["number"].as_str().unwrap_or_default());
    let back = format!("/phone-numbers/{id}");
    let s = &mut visitor.shell;
    s.active = "phone-numbers";
    s.crumbs = vec![
        (s.t("nav.numbers").to_owned(), "/phone-numbers".to_owned()),
        (name.clone(), back.clone()),
        (s.t("map.title").to_owned(), String::new()),
    ];
    page(&visitor, &actor, name.clone(), &number["destination"], name, back).await
}
