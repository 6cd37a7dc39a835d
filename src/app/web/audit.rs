//! The audit log, for administrators.

use actix_web::{
    get,
    web::{Query, ServiceConfig},
};
use askama::Template;
use serde::Deserialize;

use super::{Page, Shell, Visitor, agents::in_query, ok};
use crate::{
    model::paging::PageQuery,
    tenancy::{
        audit::{self, Entry, Filter},
        auth::rules::{Level, Resource},
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list);
}

#[derive(Template)]
#[template(path = "web/audit.html")]
struct AuditPage<'a> {
    s: &'a Shell,
    rows: Vec<Entry>,
    actor: String,
    action: String,
    resource: String,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    resource: String,
    cursor: Option<String>,
}

#[get("/audit")]
async fn list(visitor: Visitor, query: Query<ListQuery>) -> Page {
    let actor = visitor.needs(Resource::Audit, Level::Read)?;
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = Filter {
        actor: given(&query.actor),
        action: given(&query.action),
        resource: given(&query.resource),
        ..Filter::default()
    };
    let window = PageQuery { limit: Some(50), cursor: query.cursor.clone() }.window()?;
    let entries = audit::store::list(&mut *visitor.api.read(&actor).await?, actor.tenant, &filter, window).await?;
    let page = window.page(entries, |entry| entry.id);
    let next = page.next_cursor.map(|cursor| {
        let (who, action, resource) = (in_query(&query.actor), in_query(&query.action), in_query(&query.resource));
        format!("/audit?actor={who}&action={action}&resource={resource}&cursor={cursor}")
    });
    let ListQuery { actor, action, resource, .. } = query.into_inner();
    ok(&AuditPage { s: &visitor.shell.on("audit"), rows: page.items, actor, action, resource, next })
}
