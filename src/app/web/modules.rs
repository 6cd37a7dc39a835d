//! The configuration of modules on a cluster's switches: what a cluster sets itself, as XML, and what a change of it changed.

use actix_web::{
    get,
    http::{Method, StatusCode},
    post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    ask::{Ask, refusal, turned},
    calls::moment,
    confirm::Confirm,
    done, html,
    kept::{Kept, keep_apart},
    ok, see_other,
    sign_in::Sent,
};
use crate::{
    http::problem::Problem,
    model::error::Error,
    tenancy::{
        auth::rules::{Level, Resource},
        clusters::configuration::FILES,
    },
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(show).service(save).service(reset_page).service(reset);
}

struct Row {
    name: &'static str,
    at: Option<DateTime<Utc>>,
    is_set: bool,
}

#[derive(Template)]
#[template(path = "web/modules.html")]
struct ListPage<'a> {
    s: &'a Shell,
    id: Uuid,
    cluster: String,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "web/module.html")]
struct OnePage<'a> {
    s: &'a Shell,
    id: Uuid,
    name: &'static str,
    is_set: bool,
    form: &'a Form,
    /// What the last change changed.
    diff: String,
}

fn name_of(name: &str) -> Result<&'static str, Turned> {
    let known = FILES.into_iter().find(|known| *known == name);
    known.ok_or_else(|| Problem::from(Code::PageNotFound).into())
}

/// At a cluster's modules. Returns the cluster's name.
async fn arrive(visitor: &mut Visitor, id: Uuid, level: Level, module: Option<&str>) -> Result<String, Turned> {
    visitor.needs(Resource::Clusters, level)?;
    let cluster = visitor.ask(Ask::get(format!("/v1/clusters/{id}"))).await.map_err(turned)?.body;
    let name = cluster["name"].as_str().unwrap_or_default().to_owned();
    let s = &mut visitor.shell;
    s.active = "clusters";
    s.crumbs = vec![
        (s.t("nav.clusters").to_owned(), "/platform/clusters".to_owned()),
        (name.clone(), format!("/platform/clusters/{id}")),
        (s.t("modules.title").to_owned(), format!("/platform/clusters/{id}/modules")),
    ];
    s.crumbs.extend(module.map(|module| (module.to_owned(), String::new())));
    Ok(name)
}

/// What the cluster sets, if it does.
async fn set(visitor: &Visitor, id: Uuid, name: &str) -> Result<Option<Value>, Turned> {
    let all = visitor.all_of(&format!("/v1/clusters/{id}/configuration")).await.map_err(turned)?.items;
    Ok(all.into_iter().find(|one| one["name"] == name))
}

#[get("/platform/clusters/{id}/modules")]
async fn list(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let cluster = arrive(&mut visitor, *id, Level::Read, None).await?;
    let all = visitor.all_of(&format!("/v1/clusters/{id}/configuration")).await.map_err(turned)?.items;
    let rows = FILES.map(|name| {
        let own = all.iter().find(|one| one["name"] == name);
        Row { name, at: own.and_then(|own| moment(&own["updated_at"])), is_set: own.is_some() }
    });
    ok(&ListPage { s: &visitor.shell, id: *id, cluster, rows: rows.into() })
}

#[get("/platform/clusters/{id}/modules/{name}")]
async fn show(mut visitor: Visitor, path: Path<(Uuid, String)>) -> Page {
    let (id, name) = path.into_inner();
    let name = name_of(&name)?;
    arrive(&mut visitor, id, Level::Read, Some(name)).await?;
    let own = set(&visitor, id, name).await?;
    let xml = own
        .as_ref()
        .and_then(|own| own["xml"].as_str())
        .map_or_else(|| format!("<configuration name=\"{name}\">\n</configuration>\n"), ToOwned::to_owned);
    let version = own.as_ref().and_then(|own| own["version"].as_i64()).unwrap_or_default();
    let form = visitor.form(Form::opened([("xml", &xml)], version)).await?;
    let shown = visitor.in_query("shown").and_then(|id| id.parse().ok());
    let diff = match visitor.kept(shown).await? {
        Some(Kept::Told(told)) => told.into_iter().map(|(_, diff)| diff).collect(),
        _ => String::new(),
    };
    ok(&OnePage { s: &visitor.shell, id, name, is_set: own.is_some(), form: &form, diff })
}

#[post("/platform/clusters/{id}/modules/{name}")]
async fn save(mut visitor: Visitor, path: Path<(Uuid, String)>, sent: Sent) -> Page {
    let (id, name) = path.into_inner();
    let name = name_of(&name)?;
    let mut form = Form::of(sent.into_inner());
    visitor.sends(Resource::Clusters, Level::Write, &form).await?;
    arrive(&mut visitor, id, Level::Write, Some(name)).await?;
    match form.version() {
        Err(error) => form.refuse(error),
        Ok(version) => {
            let path = format!("/v1/clusters/{id}/configuration/{name}");
            let ask = Ask::new(Method::PUT, path).json(&json!({ "xml": form.raw("xml") }));
            match visitor.ask(ask.if_match(Some(version))).await {
                Ok(answer) => {
                    let diff = answer.body["diff"].as_str().unwrap_or_default().to_owned();
                    let told = Kept::Told(vec![(name.to_owned(), diff)]);
                    let shown = keep_apart(&visitor.api, visitor.session()?, &told).await?;
                    return Ok(see_other(&format!("/platform/clusters/{id}/modules/{name}?shown={shown}")));
                }
                Err(problem) => form.refuse_for(refusal(problem)?),
            }
        }
    }
    let is_set = set(&visitor, id, name).await?.is_some();
    let page = OnePage { s: &visitor.shell, id, name, is_set, form: &form, diff: String::new() };
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn question<'a>(visitor: &'a Visitor, id: Uuid, name: &'static str) -> Result<Confirm<'a>, Turned> {
    let own = set(visitor, id, name).await?.ok_or_else(|| Problem::from(Code::PageNotFound))?;
    Ok(Confirm {
        s: &visitor.shell,
        title: "modules.reset_title",
        what: name.to_owned(),
        text: "modules.reset_text",
        obstacles: vec![],
        action: format!("/platform/clusters/{id}/modules/{name}/reset"),
        submit: "modules.reset",
        back: format!("/platform/clusters/{id}/modules/{name}"),
        version: own["version"].as_i64().unwrap_or_default(),
        error: None,
        changed: false,
    })
}

#[get("/platform/clusters/{id}/modules/{name}/reset")]
async fn reset_page(mut visitor: Visitor, path: Path<(Uuid, String)>) -> Page {
    let (id, name) = path.into_inner();
    let name = name_of(&name)?;
    arrive(&mut visitor, id, Level::Write, Some(name)).await?;
    question(&visitor, id, name).await?.ask()
}

#[post("/platform/clusters/{id}/modules/{name}/reset")]
async fn reset(mut visitor: Visitor, path: Path<(Uuid, String)>, sent: Sent) -> Page {
    let (id, name) = path.into_inner();
    let name = name_of(&name)?;
    let form = Form::of(sent.into_inner());
    visitor.sends(Resource::Clusters, Level::Write, &form).await?;
    arrive(&mut visitor, id, Level::Write, Some(name)).await?;
    let question = question(&visitor, id, name).await?;
    let version = match form.version() {
        Ok(version) => version,
        Err(error) => return question.again(error),
    };
    let ask = Ask::new(Method::DELETE, format!("/v1/clusters/{id}/configuration/{name}")).if_match(Some(version));
    match visitor.ask(ask).await {
        Ok(_) => Ok(done(&format!("/platform/clusters/{id}/modules"), "thing.was_saved")),
        Err(problem) => question.again(Error::Refused(refusal(problem)?.why)),
    }
}
