//! Recordings: the list with its players, and what can be done to one. The page of a call shows its own in the same way.

use actix_web::{
    get,
    http::Method,
    post,
    web::{Path, Query, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Visitor,
    ask::{Ask, turned, with},
    calls::{lasted, moment, named},
    confirm::Confirm,
    done, in_query,
    kept::{Kept, keep_apart},
    ok, see_other,
    sign_in::Sent,
    zone::{between, zone_of},
};
use crate::tenancy::auth::{
    actor::Actor,
    rules::{Level, Resource},
};

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(list)
        .service(hold)
        .service(release)
        .service(ask_to_delete)
        .service(delete)
        .service(share)
        .service(shared);
}

const SIZE: usize = 25;

/// A recording with its player.
pub struct Shown {
    pub id: String,
    /// The call's id; empty if it isn't known.
    pub call: String,
    pub at: Option<DateTime<Utc>>,
    pub lasted: String,
    pub size: String,
    /// Where nothing was recorded.
    pub silent: String,
    /// Why it must not be deleted.
    pub hold: Option<String>,
    pub version: String,
    pub audio: String,
    pub download: String,
}

impl Shown {
    pub fn of(recording: &Value, actor: &Actor, tenant: Uuid) -> Self {
        let text = |field: &str| recording[field].as_str().unwrap_or_default().to_owned();
        let number = |value: &Value| value.as_i64().unwrap_or_default();
        let audio = named(actor, tenant, &format!("/v1/recordings/{}/audio", text("id")));
        let silent = recording["silences"].as_array().into_iter().flatten().map(|silence| {
            format!("{}–{}", lasted(number(&silence["from"]) / 1000), lasted(number(&silence["to"]) / 1000))
        });
        let kilobytes = number(&recording["bytes"]) / 1000;
        Self {
            call: text("call_id"),
            at: moment(&recording["began_at"]),
            lasted: lasted(number(&recording["duration_ms"]) / 1000),
            size: if kilobytes < 1000 {
                format!("{} kB", kilobytes.max(1))
            } else {
                format!("{}.{} MB", kilobytes / 1000, kilobytes % 1000 / 100)
            },
            silent: silent.collect::<Vec<_>>().join(", "),
            hold: recording["legal_hold"].as_str().map(ToOwned::to_owned),
            version: recording["version"].to_string(),
            download: with(&audio, "download", "true"),
            audio,
            id: text("id"),
        }
    }
}

/// How far a visitor reaches into recordings.
pub fn level(visitor: &Visitor) -> Level {
    visitor.needs(Resource::Recordings, Level::None).map_or(Level::None, |actor| actor.level)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    from: String,
    to: String,
    held: String,
    min_seconds: String,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "web/recordings/list.html")]
struct RecordingsPage<'a> {
    s: &'a Shell,
    rows: Vec<Shown>,
    from: &'a str,
    to: &'a str,
    held: String,
    min_seconds: &'a str,
    next: Option<String>,
    is_search: bool,
    may_change: bool,
    may_share: bool,
    zone: String,
}

fn arrive(visitor: &mut Visitor) -> Result<(Actor, Uuid), super::Turned> {
    let actor = visitor.needs(Resource::Recordings, Level::Own)?;
    let tenant = Visitor::in_tenant(&actor)?;
    visitor.shell.active = "recordings";
    Ok((actor, tenant))
}

#[get("/app/recordings")]
async fn list(mut visitor: Visitor, asked: Query<Asked>) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let zone = zone_of(&visitor);
    let mut path = named(&actor, tenant, "/v1/recordings");
    let mut query = Vec::new();
    let (since, until) = between(&zone, "custom", &asked.from, &asked.to);
    for (name, value) in [("since", since), ("until", until)] {
        if let Some(value) = value {
            path = with(&path, name, &value);
        }
    }
    if ["true", "false"].contains(&asked.held.as_str()) {
        path = with(&path, "held", &asked.held);
    }
    if asked.min_seconds.parse::<u16>().is_ok() {
        path = with(&path, "min_seconds", &asked.min_seconds);
    }
    let filters =
        [("from", &asked.from), ("to", &asked.to), ("held", &asked.held), ("min_seconds", &asked.min_seconds)];
    for (name, value) in filters.into_iter().filter(|(_, value)| !value.is_empty()) {
        query.push(format!("{name}={}", in_query(value)));
    }
    let page = visitor.page_of(&path, SIZE, asked.cursor.as_deref()).await.map_err(turned)?;
    let after = |cursor: String| {
        let cursor = format!("cursor={}", in_query(&cursor));
        format!("/app/recordings?{}", query.iter().cloned().chain([cursor]).collect::<Vec<_>>().join("&"))
    };
    ok(&RecordingsPage {
        rows: page.items.iter().map(|one| Shown::of(one, &actor, tenant)).collect(),
        from: &asked.from,
        to: &asked.to,
        held: asked.held.clone(),
        min_seconds: &asked.min_seconds,
        next: page.next.map(after),
        is_search: !query.is_empty() || asked.cursor.is_some(),
        may_change: actor.level >= Level::Write,
        may_share: actor.level >= Level::Read,
        zone: zone.iana_name().unwrap_or("UTC").replace('_', " "),
        s: &visitor.shell,
    })
}

/// The page that a form came from: the call's, or the list.
fn back(call: &str) -> String {
    call.parse::<Uuid>().map_or_else(|_| "/app/recordings".to_owned(), |call| format!("/app/calls/{call}"))
}

async fn patch(visitor: &Visitor, id: Uuid, form: &Form, body: &Value) -> Page {
    let actor = visitor.sends(Resource::Recordings, Level::Write, form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/recordings/{id}"));
    let ask = Ask::new(Method::PATCH, path).json(body).if_match(form.raw("version").parse().ok());
    visitor.ask(ask).await.map_err(turned)?;
    Ok(done(&back(form.raw("call")), "thing.was_saved"))
}

#[post("/app/recordings/{id}/hold")]
async fn hold(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let why = json!({ "legal_hold": form.raw("why").trim() });
    patch(&visitor, *id, &form, &why).await
}

#[post("/app/recordings/{id}/release")]
async fn release(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    patch(&visitor, *id, &form, &json!({ "legal_hold": null })).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct From {
    call: String,
}

#[get("/app/recordings/{id}/delete")]
async fn ask_to_delete(mut visitor: Visitor, id: Path<Uuid>, from: Query<From>) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let path = named(&actor, tenant, &format!("/v1/recordings/{id}"));
    let found = visitor.ask(Ask::get(path)).await.map_err(turned)?;
    let shown = Shown::of(&found.body, &actor, tenant);
    let at = shown.at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    let call = from.call.parse::<Uuid>().map(|call| call.to_string()).unwrap_or_default();
    Confirm {
        s: &visitor.shell,
        title: "recordings.delete_title",
        what: format!("{at} · {}", shown.lasted),
        text: "recordings.delete_text",
        obstacles: Vec::new(),
        action: format!("/app/recordings/{id}/delete?call={call}"),
        submit: "recordings.delete",
        back: back(&call),
        version: found.version.unwrap_or_default(),
        error: None,
        changed: false,
    }
    .ask()
}

#[post("/app/recordings/{id}/delete")]
async fn delete(visitor: Visitor, id: Path<Uuid>, from: Query<From>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Recordings, Level::Write, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/recordings/{id}"));
    let ask = Ask::new(Method::DELETE, path).if_match(form.raw("version").parse().ok());
    visitor.ask(ask).await.map_err(turned)?;
    Ok(done(&back(&from.call), "thing.was_deleted"))
}

#[derive(Template)]
#[template(path = "web/recordings/link.html")]
struct LinkPage<'a> {
    s: &'a Shell,
    link: Vec<(String, String)>,
    ends: Option<DateTime<Utc>>,
}

/// Makes a link, and leads to the page that shows it: a reload makes no other.
#[post("/app/recordings/{id}/link")]
async fn share(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Recordings, Level::Read, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/recordings/{id}/links"));
    let made = visitor.ask(Ask::new(Method::POST, path).json(&json!({}))).await.map_err(turned)?.body;
    let url = made["url"].as_str().unwrap_or_default().to_owned();
    let link = Kept::Link { recording: *id, url, ends: moment(&made["expires_at"]) };
    let shown = keep_apart(&visitor.api, visitor.session()?, &link).await?;
    Ok(see_other(&format!("/app/recordings/{id}/link?shown={shown}")))
}

#[get("/app/recordings/{id}/link")]
async fn shared(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    visitor.needs(Resource::Recordings, Level::Read)?;
    visitor.shell.active = "recordings";
    let shown = visitor.in_query("shown").and_then(|id| id.parse().ok());
    let Some(Kept::Link { recording, url, ends }) = visitor.kept(shown).await? else {
        return Ok(see_other("/app/recordings"));
    };
    if recording != *id {
        return Ok(see_other("/app/recordings"));
    }
    let s = &visitor.shell;
    ok(&LinkPage { s, link: vec![(s.t("recordings.link").to_owned(), url)], ends })
}
