//! A call at a glance, beside the list.

use actix_web::{get, web::Path};
use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Party, arrive, moment, named, names, one::facts};
use crate::{
    app::web::{
        Page, Shell, Visitor,
        ask::{Ask, turned},
        ok,
    },
    http::problem::Problem,
    tenancy::auth::rules::Level,
};

#[derive(Template)]
#[template(path = "web/calls/look.html")]
struct LookPage<'a> {
    s: &'a Shell,
    id: Uuid,
    title: String,
    state: &'a str,
    at: Option<DateTime<Utc>>,
    facts: Vec<(String, String)>,
}

#[get("/app/calls/{id}/look")]
pub async fn look(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let path = named(&actor, tenant, &format!("/v1/calls/{id}"));
    let call = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let at = moment(&call["started_at"]);
    if at.is_none() {
        // It is still going on, and not in the list.
        return Err(turned(Problem::not_found("call")));
    }
    let names = names(&visitor, &actor, tenant, std::slice::from_ref(&call)).await?;
    let s = &mut visitor.shell;
    let party = |side: &str| Party::of(s, &call[side], &names).name;
    let title = format!("{} → {}", party("from"), party("to"));
    s.crumbs = vec![(s.t("nav.calls").to_owned(), "/app/calls".to_owned()), (title.clone(), String::new())];
    let facts = facts(s, &call, &names, actor.level >= Level::Write);
    let state = call["state"].as_str().unwrap_or_default();
    ok(&LookPage { s: &visitor.shell, id: *id, title, state, at, facts })
}
