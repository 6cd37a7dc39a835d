//! What a webhook was told, and what it answered; a test, and sending one more time.

use actix_web::{
    get,
    http::Method,
    post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    ask::{Ask, turned, with},
    calls::moment,
    done, in_query, ok, see_other,
    sign_in::Sent,
};
use crate::{
    http::problem::Problem,
    tenancy::auth::rules::{Level, Resource},
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(show).service(replay).service(test);
}

const SIZE: usize = 50;
const STATUSES: [&str; 3] = ["pending", "delivered", "failed"];

struct Row {
    id: String,
    topic: String,
    status: String,
    attempts: i64,
    answer: String,
    took: String,
    at: Option<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
}

fn row(delivery: &Value) -> Row {
    let text = |field: &str| delivery[field].as_str().unwrap_or_default().to_owned();
    let status = delivery["last_status"].as_i64().map(|status| status.to_string());
    Row {
        id: text("id"),
        topic: text("topic"),
        status: text("status"),
        attempts: delivery["attempts"].as_i64().unwrap_or_default(),
        answer: status.unwrap_or_else(|| text("last_error")),
        took: delivery["last_ms"].as_i64().map(|millis| format!("{millis} ms")).unwrap_or_default(),
        at: moment(&delivery["created_at"]),
        next_at: moment(&delivery["next_at"]),
    }
}

#[derive(Template)]
#[template(path = "web/deliveries.html")]
struct ListPage<'a> {
    s: &'a Shell,
    id: Uuid,
    url: String,
    statuses: Vec<(&'static str, bool)>,
    is_search: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "web/delivery.html")]
struct OnePage<'a> {
    s: &'a Shell,
    id: Uuid,
    one: Row,
    body: String,
    answer: Option<String>,
}

/// The visitor at a webhook. In a tenant, the platform would see its own.
async fn arrive(visitor: &mut Visitor, id: Uuid, level: Level) -> Result<String, Turned> {
    let actor = visitor.needs(Resource::Webhooks, level)?;
    if visitor.shell.acting.is_some() {
        return Err(Problem::from(Code::PageNotFound).into());
    }
    Visitor::in_tenant(&actor)?;
    let webhook = visitor.ask(Ask::get(format!("/v1/webhooks/{id}"))).await.map_err(turned)?.body;
    let url = webhook["url"].as_str().unwrap_or_default().to_owned();
    let s = &mut visitor.shell;
    s.active = "webhooks";
    s.crumbs = vec![
        (s.t("nav.webhooks").to_owned(), "/app/webhooks".to_owned()),
        (url.clone(), format!("/app/webhooks/{id}")),
        (s.t("webhooks.deliveries").to_owned(), format!("/app/webhooks/{id}/deliveries")),
    ];
    Ok(url)
}

#[get("/app/webhooks/{id}/deliveries")]
async fn list(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let url = arrive(&mut visitor, *id, Level::Read).await?;
    let wanted = visitor.in_query("status").unwrap_or_default();
    let wanted = STATUSES.into_iter().find(|status| *status == wanted);
    let mut path = format!("/v1/webhooks/{id}/deliveries");
    if let Some(wanted) = wanted {
        path = with(&path, "status", wanted);
    }
    let page = visitor.page_of(&path, SIZE, visitor.in_query("cursor").as_deref()).await.map_err(turned)?;
    let next = page.next.map(|cursor| {
        format!("/app/webhooks/{id}/deliveries?status={}&cursor={}", wanted.unwrap_or_default(), in_query(&cursor))
    });
    ok(&ListPage {
        s: &visitor.shell,
        id: *id,
        url,
        statuses: STATUSES.map(|status| (status, wanted == Some(status))).into(),
        is_search: wanted.is_some(),
        rows: page.items.iter().map(row).collect(),
        next,
    })
}

/// JSON, indented for people.
fn indented(body: &str) -> String {
    let json = serde_json::from_str::<Value>(body).ok();
    json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_else(|| body.to_owned())
}

#[get("/app/webhooks/{id}/deliveries/{delivery}")]
async fn show(mut visitor: Visitor, path: Path<(Uuid, Uuid)>) -> Page {
    let (id, delivery) = path.into_inner();
    arrive(&mut visitor, id, Level::Read).await?;
    let path = format!("/v1/webhooks/{id}/deliveries/{delivery}");
    let found = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let one = row(&found);
    visitor.shell.crumbs.push((one.topic.clone(), String::new()));
    let body = indented(found["body"].as_str().unwrap_or_default());
    let answer = found["last_answer"].as_str().map(indented);
    ok(&OnePage { s: &visitor.shell, id, one, body, answer })
}

#[post("/app/webhooks/{id}/deliveries/{delivery}/replay")]
async fn replay(mut visitor: Visitor, path: Path<(Uuid, Uuid)>, sent: Sent) -> Page {
    let (id, delivery) = path.into_inner();
    visitor.sends(Resource::Webhooks, Level::Write, &Form::of(sent.into_inner())).await?;
    arrive(&mut visitor, id, Level::Write).await?;
    let path = format!("/v1/webhooks/{id}/deliveries/{delivery}/replay");
    visitor.ask(Ask::new(Method::POST, path)).await.map_err(turned)?;
    Ok(done(&format!("/app/webhooks/{id}/deliveries/{delivery}"), "webhooks.was_replayed"))
}

/// Sends an event to try it, and shows what comes of it.
#[post("/app/webhooks/{id}/test")]
async fn test(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    visitor.sends(Resource::Webhooks, Level::Write, &Form::of(sent.into_inner())).await?;
    arrive(&mut visitor, *id, Level::Write).await?;
    let made = visitor.ask(Ask::new(Method::POST, format!("/v1/webhooks/{id}/test"))).await.map_err(turned)?.body;
    let delivery = made["id"].as_str().unwrap_or_default();
    Ok(see_other(&format!("/app/webhooks/{id}/deliveries/{delivery}")))
}
