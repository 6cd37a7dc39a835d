//! Importing agents from a CSV file: first a preview of every line, then the import.

use actix_multipart::Multipart;
use actix_web::{
    get, post,
    web::{BytesMut, ServiceConfig},
};
use askama::Template;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{Form, Page, Shell, Visitor, ok, sign_in::Sent, wrong};
use crate::{
    http::problem::{Problem, Reason},
    model::error::Error,
    node::apart::apart,
    people::agents::{
        CreatedAgent, Maker,
        bulk::{self, Line, Outcome, Report},
    },
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
        tenants,
    },
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(import_page).service(preview).service(run);
}

const MAX_FILE: usize = 2 * 1024 * 1024;

#[derive(Template)]
#[template(path = "web/import.html")]
struct ImportPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    domain: String,
    report: Option<&'a Report>,
    /// How many lines were, or can be, made.
    made: usize,
    csv: String,
    done: bool,
}

impl Line {
    fn agent(&self) -> Option<&CreatedAgent> {
        if let Outcome::Created { agent } = &self.outcome { Some(agent) } else { None }
    }

    fn reason(&self) -> Option<&Reason> {
        if let Outcome::Refused(reason) = &self.outcome { Some(reason) } else { None }
    }
}

async fn page(visitor: &Visitor, actor: &Actor, form: &Form, report: Option<&Report>, csv: String, done: bool) -> Page {
    let tenant = Visitor::in_tenant(actor)?;
    let home = tenants::store::get(&mut *visitor.api.read(actor).await?, tenant).await?;
    let domain = home.map(|home| home.domain.to_string()).unwrap_or_default();
    let made = report.map_or(0, |report| report.created);
    let view = ImportPage { s: &visitor.shell, form, domain, report, made, csv, done };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/app/agents/import")]
async fn import_page(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    visitor.shell.active = "agents";
    page(&visitor, &actor, &Form::default(), None, String::new(), false).await
}

/// What came of the file, without keeping any of it.
#[post("/app/agents/import")]
async fn preview(mut visitor: Visitor, mut sent: Multipart) -> Page {
    let mut fields = std::collections::HashMap::new();
    let mut file = BytesMut::new();
    while let Some(mut field) = sent.try_next().await.map_err(|_| Problem::from(Code::FormIncomplete))? {
        let name = field.name().unwrap_or_default().to_owned();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = field.next().await {
            bytes.extend_from_slice(&chunk.map_err(|_| Problem::from(Code::FormIncomplete))?);
            if bytes.len() > MAX_FILE {
                return Err(Problem::from(Code::FileTooLarge.with("mebibytes", MAX_FILE >> 20)).field("file").into());
            }
        }
        if name == "file" {
            file = bytes;
        } else {
            fields.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    fields.insert("file".to_owned(), String::new());
    let mut form = Form::of(fields);
    let actor = visitor.sends(Resource::Agents, Level::Write, &form)?;
    visitor.shell.active = "agents";
    let tenant = Visitor::in_tenant(&actor)?;
    let csv = String::from_utf8_lossy(&file).into_owned();
    let _turn = visitor.api.turn().await?;
    let report = async {
        let text = csv.clone();
        let lines = apart(move || bulk::from_csv(text.as_bytes(), bulk::MOST_LINES)).await??;
        let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        // Never committed: what it says is what would be.
        bulk::create(&mut change, maker, tenant, lines, true).await
    };
    match report.await {
        Ok(report) => page(&visitor, &actor, &form, Some(&report), csv, false).await,
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            form.refuse(error);
            page(&visitor, &actor, &form, None, String::new(), false).await
        }
    }
}

#[post("/app/agents/import/run")]
async fn run(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form)?;
    visitor.shell.active = "agents";
    let tenant = Visitor::in_tenant(&actor)?;
    let partial = form.value("partial") == "yes";
    let _turn = visitor.api.turn().await?;
    let work = async {
        let text = form.raw("csv").to_owned();
        let lines = apart(move || bulk::from_csv(text.as_bytes(), bulk::MOST_LINES)).await??;
        let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        let report = bulk::create(&mut change, maker, tenant, lines, partial).await?;
        change.commit().await?;
        Ok(report)
    };
    let report: Result<Report, Error> = work.await;
    match report {
        Ok(report) => page(&visitor, &actor, &form, Some(&report), String::new(), true).await,
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            form.refuse(error);
            page(&visitor, &actor, &form, None, String::new(), false).await
        }
    }
}
