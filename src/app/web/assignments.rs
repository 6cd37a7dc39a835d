//! Assignments: which numbers each agent calls out with, how often a day and to where, and how often today. Managers read; agents see
//! their own.

use std::collections::BTreeMap;

use actix_web::{
    get,
    http::{Method, StatusCode},
    post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    ask::{Ask, turned, with},
    done,
    fields::word,
    html,
    resource::formatted,
    sign_in::Sent,
};
use crate::{
    http::problem::Problem,
    tenancy::auth::{
        actor::Actor,
        rules::{Level, Resource, Role},
    },
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(choose);
}

/// How many numbers are on a page.
const SIZE: usize = 50;
const CHOICES: [&str; 3] = ["fixed", "round_robin", "match_country"];

struct Line {
    id: String,
    number: String,
    status: String,
    used: i64,
    limit: i64,
    countries: String,
}

struct Person {
    id: Uuid,
    name: String,
    choice: String,
    /// What was chosen in the form, and differs from what somebody else has saved since then.
    chosen: Option<String>,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "web/assignments.html")]
struct AssignmentsPage<'a> {
    s: &'a Shell,
    people: Vec<Person>,
    choices: Vec<(&'static str, String)>,
    next: Option<String>,
    can_write: bool,
    is_own: bool,
    meanwhile: bool,
}

impl Person {
    fn is_chosen(&self, choice: &str) -> bool {
        self.chosen.as_deref().unwrap_or(&self.choice) == choice
    }
}

/// The platform names the tenant where a path doesn't.
fn named(actor: &Actor, tenant: Uuid, path: &str) -> String {
    if actor.role == Role::PlatformAdmin { with(path, "tenant_id", &tenant.to_string()) } else { path.to_owned() }
}

async fn person(visitor: &Visitor, actor: &Actor, tenant: Uuid, id: Uuid, name: String) -> Result<Person, Turned> {
    let path = named(actor, tenant, &format!("/v1/phone-numbers/agent/{id}"));
    let body = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let s = &visitor.shell;
    let lines = body["numbers"].as_array().into_iter().flatten().map(|number| {
        let text = |field: &str| number[field].as_str().unwrap_or_default();
        let countries = number["allowed_countries"]
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
        Line {
            id: text("id").to_owned(),
            number: formatted(text("number")),
            status: text("status").to_owned(),
            used: number["calls_made_today"].as_i64().unwrap_or_default(),
            limit: number["daily_limit"].as_i64().unwrap_or_default(),
            countries: countries.unwrap_or_else(|| s.t("assignments.all_countries").to_owned()),
        }
    });
    let choice = body["outbound"]["choice"].as_str().unwrap_or_default().to_owned();
    Ok(Person { id, name, choice, chosen: None, lines: lines.collect() })
}

/// A choice that was sent, for whom.
struct Sending<'a> {
    agent: Uuid,
    form: &'a Form,
}

#[get("/agent-assignments")]
async fn list(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Numbers, Level::Own)?;
    // What was chosen before the session had ended, and for whom.
    let typed = visitor.typed().await?.map(|typed| Form::of_sent(&typed));
    let typed = typed.as_ref().and_then(|form| Some(Sending { agent: form.value("agent").parse().ok()?, form }));
    page(visitor, &actor, typed, StatusCode::OK).await
}

async fn page(mut visitor: Visitor, actor: &Actor, sent: Option<Sending<'_>>, status: StatusCode) -> Page {
    let tenant = Visitor::in_tenant(actor)?;
    visitor.shell.active = "assignments";
    let is_own = actor.level == Level::Own;
    let mut next = None;
    let mut people = Vec::new();
    if is_own {
        let name = visitor.shell.me.as_ref().map(|me| me.name.clone()).unwrap_or_default();
        people.push(person(&visitor, actor, tenant, actor.id, name).await?);
        people.retain(|person| !person.lines.is_empty());
    } else {
        let path = with(&named(actor, tenant, "/v1/phone-numbers"), "assigned", "true");
        let cursor = visitor.in_query("cursor");
        let page = visitor.page_of(&path, SIZE, cursor.as_deref()).await.map_err(turned)?;
        next = page.next.map(|cursor| format!("/agent-assignments?cursor={}", super::in_query(&cursor)));
        let ids =
            page.items.iter().filter_map(|number| number["assignment"]["agent_id"].as_str()?.parse::<Uuid>().ok());
        // Whom a form was about is there as well, on whatever page.
        let mut ids = ids.chain(sent.as_ref().map(|sent| sent.agent)).collect::<Vec<_>>();
        ids.sort_unstable();
        ids.dedup();
        let names = crate::tenancy::audit::store::names(&mut *visitor.api.read(actor).await?, &[tenant], &ids).await?;
        let names = names.into_iter().map(|(id, name)| ((name.to_lowercase(), id), name)).collect::<BTreeMap<_, _>>();
        for ((_, id), name) in names {
            people.push(person(&visitor, actor, tenant, id, name).await?);
        }
    }
    let mut meanwhile = false;
    if let Some(Sending { agent, form }) = sent
        && let Some(person) = people.iter_mut().find(|person| person.id == agent)
    {
        person.chosen = Some(form.value("choice").to_owned()).filter(|choice| CHOICES.contains(&choice.as_str()));
        meanwhile = person.choice != form.was("choice");
    }
    let choices = CHOICES.map(|choice| (choice, word(&visitor.shell, "value", choice))).into();
    let can_write = actor.level >= Level::Write;
    html(status, &AssignmentsPage { s: &visitor.shell, people, choices, next, can_write, is_own, meanwhile })
}

/// Chooses which of their numbers an agent's calls show.
#[post("/agent-assignments/{id}/choice")]
async fn choose(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Numbers, Level::Write, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/phone-numbers/agent/{id}"));
    // A form without what it was opened with would undo what somebody else has saved.
    if !form.holds("was_choice") {
        return Err(Problem::from(Code::FormIncomplete).into());
    }
    let now = visitor.ask(Ask::get(path.clone())).await.map_err(turned)?.body;
    let now = now["outbound"]["choice"].as_str().unwrap_or_default();
    if now == form.value("choice") {
        return Ok(done("/agent-assignments", "assignments.saved"));
    }
    if now != form.was("choice") {
        return page(visitor, &actor, Some(Sending { agent: *id, form: &form }), StatusCode::CONFLICT).await;
    }
    let body = json!({ "choice": form.value("choice") });
    visitor.ask(Ask::new(Method::PATCH, path).json(&body)).await.map_err(turned)?;
    Ok(done("/agent-assignments", "assignments.saved"))
}
