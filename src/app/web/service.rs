//! A switch's page on whether it is in service: takes it out and puts it back, and says how many calls are still up there.

use actix_web::{
    get,
    http::{Method, StatusCode},
    post,
    web::{Data, Path, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    ask::{Ask, turned},
    done, html, ok,
    sign_in::Sent,
};
use crate::{
    http::problem::Problem,
    switch::live::Live,
    tenancy::{
        auth::rules::{Level, Resource},
        switches,
    },
    text::{Code, Why},
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(show).service(calls).service(drain).service(resume);
}

/// How many calls are up at a switch. `None`: it is not heard.
pub fn calls_at(live: &Live, switch: Uuid) -> Option<usize> {
    let watched = live.switches().into_iter().find(|watched| watched.switch == switch)?;
    let known = watched.known();
    known.unknown_since.is_none().then(|| known.state.calls.ids().count())
}

#[derive(Template)]
#[template(path = "web/switch_calls.html")]
struct CountedCalls<'a> {
    s: &'a Shell,
    id: Uuid,
    is_out: bool,
    calls: Option<usize>,
}

#[derive(Template)]
#[template(path = "web/switch_service.html")]
struct ServicePage<'a> {
    s: &'a Shell,
    id: Uuid,
    name: String,
    out_since: Option<DateTime<Utc>>,
    version: i64,
    is_out: bool,
    calls: Option<usize>,
    changed: bool,
    error: Option<Why>,
}

fn live(visitor: &Visitor) -> Result<Data<Live>, Turned> {
    Ok(visitor.request.app_data::<Data<Live>>().cloned().ok_or_else(Problem::unauthorized)?)
}

/// The page, which asks whether the other is wanted. `refused`: why a yes was not taken.
async fn page(mut visitor: Visitor, id: Uuid, refused: Option<Problem>) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Write)?;
    let switch = switches::store::get(&mut *visitor.api.read(&actor).await?, id).await?;
    let switch = switch.ok_or_else(|| Problem::not_found("switch"))?;
    let s = &mut visitor.shell;
    s.active = "clusters";
    s.crumbs = vec![
        (s.t("clusters.title").to_owned(), "/platform/clusters".to_owned()),
        (switch.name.to_string(), format!("/platform/switches/{id}")),
        (s.t("switches.service").to_owned(), String::new()),
    ];
    let code = refused.as_ref().map(|problem| problem.reason().why.code);
    let live = live(&visitor)?;
    let changed = code == Some(Code::Changed);
    let status = match &refused {
        None => StatusCode::OK,
        Some(_) if changed => StatusCode::CONFLICT,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let shown = ServicePage {
        id,
        name: switch.name.to_string(),
        out_since: switch.draining_since,
        version: switch.version,
        is_out: switch.draining_since.is_some(),
        calls: calls_at(&live, id),
        changed,
        error: refused.filter(|_| !changed).map(|problem| problem.reason().why),
        s: &visitor.shell,
    };
    html(status, &shown)
}

#[get("/platform/switches/{id}/service")]
async fn show(visitor: Visitor, id: Path<Uuid>) -> Page {
    page(visitor, *id, None).await
}

/// Only how many calls are up, which the page asks for every two seconds.
#[get("/platform/switches/{id}/service/calls")]
async fn calls(visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Read)?;
    let switch = switches::store::get(&mut *visitor.api.read(&actor).await?, *id).await?;
    let switch = switch.ok_or_else(|| Problem::not_found("switch"))?;
    let live = live(&visitor)?;
    let calls = calls_at(&live, *id);
    ok(&CountedCalls { s: &visitor.shell, id: *id, is_out: switch.draining_since.is_some(), calls })
}

async fn change(visitor: Visitor, id: Uuid, sent: Sent, what: &str, flash: &'static str) -> Page {
    let form = Form::of(sent.into_inner());
    visitor.sends(Resource::Switches, Level::Write, &form).await?;
    // What was seen: somebody else may have done it meanwhile.
    let version = match form.version() {
        Ok(version) => version,
        Err(error) => return page(visitor, id, Some(error.into())).await,
    };
    let ask = Ask::new(Method::POST, format!("/v1/switches/{id}/{what}")).if_match(Some(version));
    match visitor.ask(ask).await {
        Ok(_) => Ok(done(&format!("/platform/switches/{id}/service"), flash)),
        Err(problem) if problem.log_id().is_some() => Err(turned(problem)),
        Err(problem) if matches!(problem.reason().why.code, Code::Unauthorized | Code::NotFound) => {
            Err(turned(problem))
        }
        Err(problem) => page(visitor, id, Some(problem)).await,
    }
}

#[post("/platform/switches/{id}/service/drain")]
async fn drain(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    change(visitor, *id, sent, "drain", "switches.was_drained").await
}

#[post("/platform/switches/{id}/service/resume")]
async fn resume(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    change(visitor, *id, sent, "resume", "switches.was_resumed").await
}
