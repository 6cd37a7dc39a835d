//! One search over everything that the visitor may see: pages, people, extensions, numbers, and what calls are led to.

use actix_web::{get, web::ServiceConfig};
use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Page, Shell, Turned, Visitor,
    ask::{turned, with},
    in_query, ok,
    resource::{formatted, page_of},
};
use crate::tenancy::auth::rules::{Level, Resource, Role, level};

/// How many of each kind are shown.
const MOST: usize = 6;

pub fn pages(config: &mut ServiceConfig) {
    config.service(search);
}

struct Hit {
    href: String,
    text: String,
    more: String,
    /// Its own icon, if it has another than its group.
    icon: Option<&'static str>,
}

struct Group {
    heading: &'static str,
    icon: &'static str,
    hits: Vec<Hit>,
}

#[derive(Template)]
#[template(path = "web/search.html")]
struct SearchPage<'a> {
    s: &'a Shell,
    q: String,
    found: Vec<FoundGroup>,
}

struct FoundGroup {
    heading: String,
    icon: &'static str,
    hits: Vec<Hit>,
}

/// Whether each word of a search is in a text.
fn fits(text: &str, wanted: &str) -> bool {
    let text = text.to_lowercase();
    wanted.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

fn pages_of(s: &Shell, wanted: &str) -> Group {
    let items = s.nav().into_iter().flat_map(|section| section.items);
    let mut hits = items
        .map(|item| Hit {
            href: item.href.into_owned(),
            text: s.t(item.label).to_owned(),
            more: String::new(),
            icon: Some(item.icon),
        })
        .collect::<Vec<_>>();
    let account = s.t("nav.account").to_owned();
    hits.push(Hit { href: "/account".into(), text: account, more: String::new(), icon: Some("circle-user") });
    hits.retain(|hit| fits(&hit.text, wanted));
    hits.dedup_by(|one, other| one.href == other.href);
    Group { heading: "search.pages", icon: "arrow-right", hits }
}

/// Pages of help that say something about it.
fn help_of(s: &Shell, role: Role, wanted: &str) -> Group {
    let topics = super::help::topics(role).filter(|topic| fits(&topic.words(s.language), wanted));
    let hits = topics.take(MOST).map(|topic| Hit {
        href: format!("/help/{}", topic.name),
        text: topic.text(s.language).title.clone(),
        more: String::new(),
        icon: None,
    });
    Group { heading: "search.help", icon: "circle-help", hits: hits.collect() }
}

/// What can be added by this visitor, where they are.
fn actions_of(s: &Shell, role: Role, is_in_tenant: bool, wanted: &str) -> Group {
    let may = |resource| level(role, resource) >= Level::Write;
    let new = super::resources::ALL
        .iter()
        .filter(|spec| spec.new.is_some() && !spec.has_own_list && spec.of_tenant == is_in_tenant && may(spec.rights));
    // In a tenant, the platform's own keys and webhooks are not to be found.
    let new = new.filter(|spec| !spec.is_callers || s.acting.is_none());
    let mut hits = new
        .map(|spec| Hit {
            href: format!("{}/new", spec.base),
            text: s.t_of("things", &format!("{}.add", spec.name)),
            more: String::new(),
            icon: None,
        })
        .collect::<Vec<_>>();
    let hit = |href: &str, key: &str| Hit {
        href: href.to_owned(),
        text: s.t(key).to_owned(),
        more: String::new(),
        icon: None,
    };
    if is_in_tenant && may(Resource::Agents) {
        hits.extend([hit("/app/agents/import", "agents.import"), hit("/phone-numbers/many", "numbers.many")]);
    }
    if !is_in_tenant && may(Resource::Platform) {
        hits.extend([hit("/platform/tenants/new", "tenants.add"), hit("/platform/switches/new", "switches.add")]);
    }
    hits.retain(|hit| fits(&hit.text, wanted));
    hits.truncate(MOST);
    Group { heading: "search.actions", icon: "plus", hits }
}

struct Searching<'a> {
    visitor: &'a Visitor,
    role: Role,
    tenant: Uuid,
    wanted: &'a str,
}

impl Searching<'_> {
    fn may_read(&self, resource: Resource) -> bool {
        level(self.role, resource) >= Level::Read
    }

    /// The platform names the tenant where a path doesn't.
    fn named(&self, path: &str) -> String {
        if self.role == Role::PlatformAdmin {
            with(path, "tenant_id", &self.tenant.to_string())
        } else {
            path.to_owned()
        }
    }

    async fn items(&self, path: &str, most: usize) -> Result<Vec<Value>, Turned> {
        Ok(self.visitor.page_of(path, most, None).await.map_err(turned)?.items)
    }

    async fn agents(&self) -> Result<Group, Turned> {
        let path = with(&self.named("/v1/admin/agents"), "search", self.wanted);
        let hits = self.items(&path, MOST).await?.into_iter().map(|agent| {
            let text = |field: &str| agent[field].as_str().unwrap_or_default();
            Hit {
                href: format!("/app/agents/{}", text("id")),
                text: format!("{} {}", text("first_name"), text("last_name")),
                more: text("email").to_owned(),
                icon: None,
            }
        });
        Ok(Group { heading: "nav.agents", icon: "users", hits: hits.collect() })
    }

    async fn numbers(&self) -> Result<Group, Turned> {
        let digits = self.wanted.chars().filter(char::is_ascii_digit).collect::<String>();
        let wanted = if digits.len() >= 3 { digits.as_str() } else { self.wanted };
        let path = with(&self.named("/v1/phone-numbers"), "search", wanted);
        let hits = self.items(&path, MOST).await?.into_iter().map(|number| {
            let text = |field: &str| number[field].as_str().unwrap_or_default();
            Hit {
                href: format!("/phone-numbers/{}", text("id")),
                text: formatted(text("number")),
                more: text("provider").to_owned(),
                icon: None,
            }
        });
        Ok(Group { heading: "nav.numbers", icon: "hash", hits: hits.collect() })
    }

    /// Extensions by their number, alias or SIP username.
    async fn extensions(&self) -> Result<Group, Turned> {
        let path = format!("/v1/tenants/{}/extensions?name={}", self.tenant, in_query(self.wanted));
        let hits = self.items(&path, MOST).await?.into_iter().map(|extension| {
            let text = |field: &str| extension[field].as_str().unwrap_or_default();
            Hit {
                href: format!("/app/extensions/{}", text("id")),
                text: text("number").to_owned(),
                more: text("display_name").to_owned(),
                icon: None,
            }
        });
        Ok(Group { heading: "nav.extensions", icon: "phone", hits: hits.collect() })
    }

    /// Groups and destinations: rules keep them few.
    async fn routing(&self) -> Result<Group, Turned> {
        let mut hits = Vec::new();
        for (kind, path) in [("group", "groups"), ("", "destinations")] {
            for thing in self.items(&format!("/v1/tenants/{}/{path}", self.tenant), 500).await? {
                let text = |field: &str| thing[field].as_str().unwrap_or_default();
                let kind = if kind.is_empty() { text("kind") } else { kind };
                if let Some(page) = page_of(kind)
                    && fits(&format!("{} {}", text("name"), text("number")), self.wanted)
                    && hits.len() < MOST
                {
                    let more = format!("{} {}", self.visitor.shell.t_of("value", kind), text("number"));
                    hits.push(Hit {
                        href: format!("{page}/{}", text("id")),
                        text: text("name").to_owned(),
                        more,
                        icon: None,
                    });
                }
            }
        }
        Ok(Group { heading: "nav.routing", icon: "waypoints", hits })
    }
}

async fn tenants(visitor: &Visitor, wanted: &str) -> Result<Group, Turned> {
    let all = visitor.all_of("/v1/tenants").await.map_err(turned)?.items;
    let fitting = all.iter().filter(|tenant| {
        fits(
            &format!(
                "{} {}",
                tenant["name"].as_str().unwrap_or_default(),
                tenant["domain"].as_str().unwrap_or_default()
            ),
            wanted,
        )
    });
    let hits = fitting.take(MOST).map(|tenant| {
        let text = |field: &str| tenant[field].as_str().unwrap_or_default();
        Hit {
            href: format!("/platform/tenants/{}", text("id")),
            text: text("name").to_owned(),
            more: text("domain").to_owned(),
            icon: None,
        }
    });
    Ok(Group { heading: "nav.tenants", icon: "building-2", hits: hits.collect() })
}

#[get("/search")]
async fn search(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Account, Level::Own)?;
    let wanted = visitor.in_query("q").unwrap_or_default().trim().chars().take(100).collect::<String>();
    let mut groups = vec![pages_of(&visitor.shell, &wanted)];
    if !wanted.is_empty() {
        groups.push(actions_of(&visitor.shell, actor.role, actor.tenant.is_some(), &wanted));
    }
    if !wanted.is_empty() && actor.role != Role::Agent {
        match actor.tenant {
            Some(tenant) => {
                let searching = Searching { visitor: &visitor, role: actor.role, tenant, wanted: &wanted };
                if searching.may_read(Resource::Agents) {
                    groups.push(searching.agents().await?);
                }
                if searching.may_read(Resource::Extensions) {
                    groups.push(searching.extensions().await?);
                }
                if searching.may_read(Resource::Numbers) {
                    groups.push(searching.numbers().await?);
                }
                if searching.may_read(Resource::Destinations) {
                    groups.push(searching.routing().await?);
                }
            }
            None => groups.push(tenants(&visitor, &wanted).await?),
        }
    }
    if !wanted.is_empty() {
        groups.push(help_of(&visitor.shell, actor.role, &wanted));
    }
    visitor.shell.active = "search";
    let s = &visitor.shell;
    let found = groups.into_iter().filter(|group| !group.hits.is_empty());
    let found =
        found.map(|group| FoundGroup { heading: s.t(group.heading).to_owned(), icon: group.icon, hits: group.hits });
    ok(&SearchPage { s, q: wanted, found: found.collect() })
}
