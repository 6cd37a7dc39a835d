//! Importing agents from a CSV file: first a preview of every line, then the import.

use actix_multipart::Multipart;
use actix_web::{
    get, post,
    web::{BytesMut, Path, ServiceConfig},
};
use askama::Template;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Visitor,
    agents::arrive,
    kept::{self, Kept, keep},
    ok,
    preview::{Preview, State},
    see_other,
    sign_in::Sent,
    wrong,
};
use crate::{
    http::problem::Problem,
    model::error::Error,
    node::apart::apart,
    people::agents::{
        Maker,
        bulk::{self, Report},
        file as people_file,
    },
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
        tenants,
    },
    text::{Code, keyring::hex, table_file},
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(import_page).service(preview).service(report_page).service(run);
}

const MAX_FILE: usize = 2 * 1024 * 1024;

#[derive(Template)]
#[template(path = "web/import.html")]
struct ImportPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    domain: String,
}

#[derive(Template)]
#[template(path = "web/import_report.html")]
struct ReportPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    id: Uuid,
    report: &'a Preview,
}

async fn page(visitor: &Visitor, actor: &Actor, form: &Form) -> Page {
    let tenant = Visitor::in_tenant(actor)?;
    let home = tenants::store::get(&mut *visitor.api.read(actor).await?, tenant).await?;
    let domain = home.map(|home| home.domain.to_string()).unwrap_or_default();
    let view = ImportPage { s: &visitor.shell, form, domain };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/app/agents/import")]
async fn import_page(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    arrive(&mut visitor, "agents.import");
    page(&visitor, &actor, &Form::default()).await
}

/// The form's file and fields.
pub async fn read(mut sent: Multipart) -> Result<(BytesMut, Form), Problem> {
    let mut fields = std::collections::HashMap::new();
    let mut file = BytesMut::new();
    while let Some(mut field) = sent.try_next().await.map_err(|_| Problem::from(Code::FormIncomplete))? {
        let name = field.name().unwrap_or_default().to_owned();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = field.next().await {
            bytes.extend_from_slice(&chunk.map_err(|_| Problem::from(Code::FormIncomplete))?);
            if bytes.len() > MAX_FILE {
                return Err(Problem::from(Code::FileTooLarge.with("mebibytes", MAX_FILE >> 20)).field("file"));
            }
        }
        if name == "file" {
            file = bytes;
        } else {
            fields.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    // Which file it was, so that another one is not taken for the same form sent twice.
    fields.insert("file".to_owned(), hex(&Sha256::digest(&file)));
    Ok((file, Form::of(fields)))
}

/// Previews the file without creating anything.
#[post("/app/agents/import")]
async fn preview(mut visitor: Visitor, sent: Multipart) -> Page {
    let (file, mut form) = read(sent).await?;
    let actor = visitor.sends(Resource::Agents, Level::Write, &form).await?;
    arrive(&mut visitor, "agents.import");
    let tenant = Visitor::in_tenant(&actor)?;
    let _turn = visitor.api.turn().await?;
    let mut csv = String::new();
    let report = async {
        // The page keeps the text, in whatever encoding the file was.
        csv = table_file::text(&file).map_err(|why| Error::invalid("file", why))?.into_owned();
        let text = csv.clone();
        let sheet = apart(move || people_file::read(text.as_bytes(), bulk::MOST_LINES)).await??;
        let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        // Never committed, so the report says what would happen.
        let report = bulk::create(&mut change, maker, tenant, sheet.lines, true).await?.of_file(&sheet.at);
        Ok(Report { unused_columns: sheet.unused, ..report })
    };
    match report.await {
        Ok(report) => {
            let kept = Kept::Import(Box::new(Preview::of(report, csv, false)));
            let id = kept::keep_apart(&visitor.api, visitor.session()?, &kept).await?;
            Ok(see_other(&format!("/app/agents/import/{id}")))
        }
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            form.refuse(error);
            page(&visitor, &actor, &form).await
        }
    }
}

/// The result of each line, or its preview.
#[get("/app/agents/import/{id}")]
async fn report_page(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    Visitor::in_tenant(&actor)?;
    arrive(&mut visitor, "agents.import");
    match visitor.kept(Some(*id)).await? {
        Some(Kept::Import(report)) => {
            ok(&ReportPage { s: &visitor.shell, form: &Form::default(), id: *id, report: &report })
        }
        _ => Ok(see_other("/app/agents/import")),
    }
}

#[post("/app/agents/import/{id}")]
async fn run(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form).await?;
    arrive(&mut visitor, "agents.import");
    let tenant = Visitor::in_tenant(&actor)?;
    let session = visitor.session()?;
    let Some(Kept::Import(report)) = visitor.kept(Some(*id)).await? else { return Ok(see_other("/app/agents/import")) };
    let _turn = visitor.api.turn().await?;
    let work = async {
        let text = report.csv.clone();
        let sheet = apart(move || people_file::read(text.as_bytes(), bulk::MOST_LINES)).await??;
        let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        let made = bulk::create(&mut change, maker, tenant, sheet.lines, report.refused > 0).await?.of_file(&sheet.at);
        let keyring = change.keyring();
        let kept = Kept::Import(Box::new(Preview::of(made, String::new(), true)));
        let id = keep(change.db(), &keyring, session, &kept).await?;
        change.commit().await?;
        Ok(id)
    };
    let made: Result<Uuid, Error> = work.await;
    match made {
        Ok(id) => Ok(see_other(&format!("/app/agents/import/{id}"))),
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            form.refuse(error);
            wrong(&ReportPage { s: &visitor.shell, form: &form, id: *id, report: &report })
        }
    }
}
