//! What tenants begin with: the platform's templates, their versions, and what each version changed, in words.

use std::collections::HashMap;

use actix_web::{
    get,
    http::{Method, StatusCode},
    post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use serde_json::Value;

use super::{
    Form, Page, Shell, Turned, Visitor,
    ask::{Ask, refusal, turned},
    audit::{Field, changes},
    calls::moment,
    confirm::Confirm,
    done, html, in_path, ok,
    sign_in::Sent,
};
use crate::{
    model::error::Error,
    tenancy::auth::rules::{Level, Resource},
    text::Code,
};

/// How many versions a page shows.
const MOST: usize = 50;

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(list)
        .service(new_page)
        .service(new_send)
        .service(delete_page)
        .service(delete_send)
        .service(show)
        .service(save);
}

struct Row {
    href: String,
    name: String,
    title: String,
    description: String,
    version: i64,
}

#[derive(Template)]
#[template(path = "web/templates.html")]
struct ListPage<'a> {
    s: &'a Shell,
    rows: Vec<Row>,
}

/// A version, with what it changed.
struct Version {
    number: i64,
    at: Option<chrono::DateTime<chrono::Utc>>,
    changes: Vec<Field>,
    is_first: bool,
}

#[derive(Template)]
#[template(path = "web/template.html")]
struct OnePage<'a> {
    s: &'a Shell,
    /// Empty for one that is to be added.
    name: String,
    title: String,
    description: String,
    form: &'a Form,
    versions: Vec<Version>,
}

impl OnePage<'_> {
    fn is_new(&self) -> bool {
        self.name.is_empty()
    }

    fn action(&self) -> String {
        if self.is_new() {
            "/platform/templates/new".into()
        } else {
            format!("/platform/templates/{}", in_path(&self.name))
        }
    }
}

fn text(thing: &Value, field: &str) -> String {
    thing[field].as_str().unwrap_or_default().to_owned()
}

/// A template as it is written: without its version, which the platform counts.
fn written(template: &Value) -> String {
    let mut template = template.clone();
    if let Value::Object(fields) = &mut template {
        fields.remove("version");
    }
    serde_json::to_string_pretty(&template).unwrap_or_default()
}

/// At one template, or a new one.
fn arrive(visitor: &mut Visitor, name: &str) {
    visitor.shell.active = "templates";
    visitor.shell.below("templates.title", "/platform/templates", name.to_owned());
}

#[get("/platform/templates")]
async fn list(mut visitor: Visitor) -> Page {
    visitor.needs(Resource::Templates, Level::Read)?;
    visitor.shell.active = "templates";
    let rows = visitor.all_of("/v1/templates").await.map_err(turned)?.items;
    let row = |template: &Value| Row {
        href: format!("/platform/templates/{}", in_path(&text(template, "name"))),
        name: text(template, "name"),
        title: text(template, "title"),
        description: text(template, "description"),
        version: template["version"].as_i64().unwrap_or_default(),
    };
    ok(&ListPage { s: &visitor.shell, rows: rows.iter().map(row).collect() })
}

async fn one(visitor: &Visitor, name: &str) -> Result<Value, Turned> {
    let path = format!("/v1/templates/{}", in_path(name));
    Ok(visitor.ask(Ask::get(path)).await.map_err(turned)?.body)
}

async fn versions(visitor: &Visitor, name: &str) -> Result<Vec<Version>, Turned> {
    let path = format!("/v1/templates/{}/versions", in_path(name));
    let mut found = visitor.page_of(&path, MOST, None).await.map_err(turned)?.items;
    found.sort_by_key(|version| -version["version"].as_i64().unwrap_or_default());
    let names = HashMap::new();
    let shown = found.iter().enumerate().map(|(at, version)| {
        let before = found.get(at + 1).map(|before| &before["template"]);
        Version {
            number: version["version"].as_i64().unwrap_or_default(),
            at: moment(&version["created_at"]),
            changes: before.map_or_else(Vec::new, |before| {
                changes(&visitor.shell, Some(before), Some(&version["template"]), &names)
            }),
            is_first: before.is_none(),
        }
    });
    Ok(shown.collect())
}

async fn page(visitor: &Visitor, template: &Value, form: &Form, status: StatusCode) -> Page {
    let name = text(template, "name");
    let versions = if name.is_empty() { Vec::new() } else { versions(visitor, &name).await? };
    let (title, description) = (text(template, "title"), text(template, "description"));
    html(status, &OnePage { s: &visitor.shell, name, title, description, form, versions })
}

#[get("/platform/templates/new")]
async fn new_page(mut visitor: Visitor) -> Page {
    visitor.needs(Resource::Templates, Level::Write)?;
    let label = visitor.shell.t("templates.add").to_owned();
    arrive(&mut visitor, &label);
    // One begins with what all have.
    let mut begun = one(&visitor, "default").await?;
    (begun["name"], begun["title"], begun["description"]) = ("".into(), "".into(), Value::Null);
    let form = visitor.form(Form::filled([("template", &written(&begun))])).await?;
    page(&visitor, &Value::Null, &form, StatusCode::OK).await
}

/// What was typed, as JSON.
fn read(form: &mut Form) -> Option<Value> {
    match serde_json::from_str::<Value>(form.raw("template")) {
        Ok(template) if template.is_object() => Some(template),
        Ok(_) => {
            form.wrong("template", Code::NotJson.with("reason", "{ … }"));
            None
        }
        Err(error) => {
            form.wrong("template", Code::NotJson.with("reason", error));
            None
        }
    }
}

#[post("/platform/templates/new")]
async fn new_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    visitor.sends(Resource::Templates, Level::Write, &form).await?;
    let label = visitor.shell.t("templates.add").to_owned();
    arrive(&mut visitor, &label);
    if let Some(template) = read(&mut form) {
        match visitor.ask(Ask::new(Method::POST, "/v1/templates").json(&template)).await {
            Ok(made) => {
                let to = format!("/platform/templates/{}", in_path(&text(&made.body, "name")));
                return Ok(done(&to, "thing.was_added"));
            }
            Err(problem) => form.refuse_for(refusal(problem)?),
        }
    }
    page(&visitor, &Value::Null, &form, StatusCode::UNPROCESSABLE_ENTITY).await
}

#[get("/platform/templates/{name}")]
async fn show(mut visitor: Visitor, name: Path<String>) -> Page {
    visitor.needs(Resource::Templates, Level::Read)?;
    let template = one(&visitor, &name).await?;
    arrive(&mut visitor, &text(&template, "title"));
    let opened = Form::opened([("template", &written(&template))], template["version"].as_i64().unwrap_or_default());
    let form = visitor.form(opened).await?;
    page(&visitor, &template, &form, StatusCode::OK).await
}

#[post("/platform/templates/{name}")]
async fn save(mut visitor: Visitor, name: Path<String>, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    visitor.sends(Resource::Templates, Level::Write, &form).await?;
    let template = one(&visitor, &name).await?;
    arrive(&mut visitor, &text(&template, "title"));
    let opened = form.version();
    match (opened, read(&mut form)) {
        (Err(error), _) => form.refuse(error),
        (Ok(version), Some(changed)) => {
            let path = format!("/v1/templates/{}", in_path(&name));
            let ask = Ask::new(Method::PUT, path).json(&changed).if_match(Some(version));
            match visitor.ask(ask).await {
                Ok(_) => return Ok(done(&format!("/platform/templates/{}", in_path(&name)), "thing.was_saved")),
                Err(problem) => form.refuse_for(refusal(problem)?),
            }
        }
        (Ok(_), None) => {}
    }
    page(&visitor, &template, &form, StatusCode::UNPROCESSABLE_ENTITY).await
}

fn question<'a>(visitor: &'a Visitor, template: &Value) -> Confirm<'a> {
    let name = in_path(&text(template, "name"));
    Confirm {
        s: &visitor.shell,
        title: "thing.delete_title",
        what: text(template, "title"),
        text: "templates.delete_text",
        obstacles: vec![],
        action: format!("/platform/templates/{name}/delete"),
        submit: "agents.delete",
        back: format!("/platform/templates/{name}"),
        version: template["version"].as_i64().unwrap_or_default(),
        error: None,
        changed: false,
    }
}

#[get("/platform/templates/{name}/delete")]
async fn delete_page(mut visitor: Visitor, name: Path<String>) -> Page {
    visitor.needs(Resource::Templates, Level::Write)?;
    let template = one(&visitor, &name).await?;
    arrive(&mut visitor, &text(&template, "title"));
    question(&visitor, &template).ask()
}

#[post("/platform/templates/{name}/delete")]
async fn delete_send(mut visitor: Visitor, name: Path<String>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    visitor.sends(Resource::Templates, Level::Write, &form).await?;
    let template = one(&visitor, &name).await?;
    arrive(&mut visitor, &text(&template, "title"));
    let version = match form.version() {
        Ok(version) => version,
        Err(error) => return question(&visitor, &template).again(error),
    };
    let path = format!("/v1/templates/{}", in_path(&name));
    match visitor.ask(Ask::new(Method::DELETE, path).if_match(Some(version))).await {
        Ok(_) => Ok(done("/platform/templates", "thing.was_deleted")),
        Err(problem) => question(&visitor, &template).again(Error::Refused(refusal(problem)?.why)),
    }
}
