//! Call records that can't be read: how many there are, what is wrong with each, and to have them read again.

use actix_web::{get, post, web::ServiceConfig};
use askama::Template;
use chrono::DateTime;

use super::{Form, Page, Shell, Visitor, done, ok, sign_in::Sent};
use crate::{
    model::paging::Window,
    telephony::calls::{inbox, listed::UnreadableRecord, store},
    tenancy::{
        auth::rules::{Level, Resource},
        switches,
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(read_again);
}

/// Shown at once, the oldest first.
const MOST: i64 = 200;

/// A record, with the name of the switch that posted it.
struct Row {
    record: UnreadableRecord,
    switch: String,
}

#[derive(Template)]
#[template(path = "web/records.html")]
struct RecordsPage<'a> {
    s: &'a Shell,
    count: i64,
    rows: Vec<Row>,
    can_write: bool,
}

#[get("/platform/records")]
async fn list(visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Read)?;
    let mut db = visitor.api.read(&actor).await?;
    let records = store::unreadable(&mut *db, DateTime::UNIX_EPOCH, "", MOST).await?;
    let count = store::count_unreadable(&mut *db).await?;
    let known = switches::store::list(&mut *db, &switches::store::Filter::default(), &Window::ALL.into()).await?;
    let name = |id| known.iter().find(|switch| switch.id == id).map_or("–", |switch| switch.name.as_str()).to_owned();
    let rows = records.into_iter().map(|record| Row { switch: name(record.switch_id), record }).collect();
    let can_write = actor.level == Level::Write;
    ok(&RecordsPage { s: &visitor.shell.on("clusters"), count, rows, can_write })
}

/// Reads them once more: by a version that reads more than the one before, they are read by themselves as well.
#[post("/platform/records/read-again")]
async fn read_again(visitor: Visitor, sent: Sent) -> Page {
    visitor.sends(Resource::Switches, Level::Write, &Form::of(sent.into_inner())).await?;
    let pool = visitor.api.changes.pool();
    store::forget_readings(pool).await?;
    inbox::read_unread(pool).await?;
    Ok(done("/platform/records", "records.were_read"))
}
