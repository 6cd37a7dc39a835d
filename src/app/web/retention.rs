//! The page on which a tenant's users set how long its data is kept.

use actix_web::{get, post, web::ServiceConfig};
use askama::Template;

use super::{Form, Page, Shell, Visitor, done, ok, sign_in::Sent, wrong};
use crate::{
    http::problem::Problem,
    model::{error::Error, retention::Retention},
    tenancy::{
        auth::rules::{Level, Resource},
        retention::{self, Periods, PeriodsPatch},
    },
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(show).service(send);
}

#[derive(Template)]
#[template(path = "web/retention.html")]
struct RetentionPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    platform: Retention,
}

fn page(visitor: &Visitor, form: &Form) -> Page {
    let view = RetentionPage { s: &visitor.shell, form, platform: visitor.api.retention };
    if form.has_errors() || form.has_others() { wrong(&view) } else { ok(&view) }
}

/// The form's fields. An empty one means the platform's period.
fn fields(periods: &Periods) -> [(&'static str, String); 5] {
    let text = |days: Option<i32>| days.map(|days| days.to_string()).unwrap_or_default();
    [
        ("audit_days", text(periods.audit_days)),
        ("calls_days", text(periods.calls_days)),
        ("records_days", text(periods.records_days)),
        ("recordings_days", text(periods.recordings_days)),
        ("mails_days", text(periods.mails_days)),
    ]
}

#[get("/retention")]
async fn show(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Tenant, Level::Write)?;
    visitor.shell.active = "audit";
    let tenant = actor.tenant.ok_or_else(|| Problem::not_found("tenant"))?;
    let periods = retention::store::get(&mut *visitor.api.read(&actor).await?, tenant).await?;
    let periods = periods.ok_or_else(|| Problem::not_found("tenant"))?;
    let opened = fields(&periods);
    let form = Form::opened(opened.each_ref().map(|(name, text)| (*name, text.as_str())), periods.version);
    let form = visitor.form(form).await?;
    page(&visitor, &form)
}

#[post("/retention")]
async fn send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Tenant, Level::Write, &form).await?;
    visitor.shell.active = "audit";
    let tenant = actor.tenant.ok_or_else(|| Problem::not_found("tenant"))?;
    let bounds = visitor.api.retention;
    let mut days = |name: &'static str| -> Option<Option<i32>> {
        let text = form.value(name).to_owned();
        // A field that did not arrive is not an empty one.
        if !form.holds(name) {
            form.refuse(Code::FormIncomplete.into());
        }
        if text.is_empty() {
            return Some(None);
        }
        let days = text.parse().ok();
        if days.is_none() {
            form.wrong(name, Code::range(bounds.shortest_days, bounds.longest_days));
        }
        days.map(Some)
    };
    let patch = PeriodsPatch {
        audit_days: days("audit_days"),
        calls_days: days("calls_days"),
        records_days: days("records_days"),
        mails_days: days("mails_days"),
        recordings_days: days("recordings_days"),
    };
    let version = form.version().map_err(|error| form.refuse(error));
    let (false, Ok(version)) = (form.has_errors(), version) else { return page(&visitor, &form) };
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    match retention::update(&mut change, tenant, patch, &bounds, Some(version)).await {
        Ok(_) => {
            change.commit_quietly().await?;
            Ok(done("/retention", "retention.was_saved"))
        }
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(Error::Changed(_)) => {
            drop(change);
            let now = retention::store::get(&mut *visitor.api.read(&actor).await?, tenant).await?;
            let now = now.ok_or_else(|| Problem::not_found("tenant"))?;
            let theirs = fields(&now);
            form.meet(theirs.each_ref().map(|(name, text)| (*name, text.as_str())), now.version);
            page(&visitor, &form)
        }
        Err(error) => {
            form.refuse(error);
            page(&visitor, &form)
        }
    }
}
