//! Voicemail: the messages of an extension with their players, what can be done to one, and the greetings.

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
    done, ok,
    resource::{dialled, formatted},
    sign_in::Sent,
    zone::zone_of,
};
use crate::{
    switch::voicemail::store,
    telephony::extensions,
    tenancy::auth::{
        actor::Actor,
        rules::{Level, Resource},
    },
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(greet).service(mark).service(forward).service(ask_to_delete).service(delete);
}

const SIZE: usize = 25;
/// The most mailboxes that are looked through for new messages.
const MOST_MAILBOXES: usize = 100;

/// A message with its player.
struct Shown {
    id: String,
    at: Option<DateTime<Utc>>,
    number: String,
    dial: String,
    name: String,
    lasted: String,
    is_read: bool,
    is_urgent: bool,
    forwarded_by: String,
    has_audio: bool,
    version: String,
    audio: String,
    download: String,
}

impl Shown {
    fn of(message: &Value, actor: &Actor, tenant: Uuid) -> Self {
        let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        let audio = named(actor, tenant, &format!("/v1/voicemail/{}/audio", text("id")));
        let number = text("caller_number");
        let name = Some(text("caller_name")).filter(|name| *name != number).unwrap_or_default();
        Self {
            id: text("id"),
            at: moment(&message["received_at"]),
            dial: dialled(&number).to_owned(),
            number: formatted(&number),
            name,
            lasted: lasted(message["seconds"].as_i64().unwrap_or_default()),
            is_read: message["is_read"].as_bool().unwrap_or_default(),
            is_urgent: message["is_urgent"].as_bool().unwrap_or_default(),
            forwarded_by: text("forwarded_by"),
            has_audio: message["has_audio"].as_bool().unwrap_or_default(),
            version: message["version"].to_string(),
            download: with(&audio, "download", "true"),
            audio,
        }
    }
}

/// An extension whose messages can be shown.
struct Choice {
    id: Uuid,
    number: String,
    is_chosen: bool,
}

/// A mailbox that has messages.
struct Mailbox {
    extension_id: String,
    number: String,
    name: String,
    new: i64,
    urgent: i64,
    is_chosen: bool,
}

/// A greeting that was recorded.
struct Greeting {
    number: u64,
    is_chosen: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    extension_id: String,
    number: String,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "web/voicemail.html")]
struct VoicemailPage<'a> {
    s: &'a Shell,
    own: Vec<Choice>,
    /// Whether other extensions' messages may be shown as well.
    sees_all: bool,
    number: String,
    /// The extension whose messages are shown.
    chosen: Option<Uuid>,
    rows: Vec<Shown>,
    greetings: Vec<Greeting>,
    /// Those with new messages, for whoever sees several.
    mailboxes: Vec<Mailbox>,
    /// Whether the switch can't be asked.
    is_away: bool,
    next: Option<String>,
    zone: String,
}

fn arrive(visitor: &mut Visitor) -> Result<(Actor, Uuid), super::Turned> {
    let actor = visitor.needs(Resource::Voicemail, Level::Own)?;
    let tenant = Visitor::in_tenant(&actor)?;
    visitor.shell.active = "voicemail";
    Ok((actor, tenant))
}

#[get("/app/voicemail")]
async fn list(mut visitor: Visitor, asked: Query<Asked>) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let zone = zone_of(&visitor);
    let mut db = visitor.api.read(&actor).await?;
    let user = visitor.shell.me.as_ref().map(|me| me.user).unwrap_or_default();
    let own = extensions::store::phones_of(&mut *db, tenant, user).await?;
    let sees_all = actor.level >= Level::Read;
    let typed = asked.number.trim();
    let chosen = match asked.extension_id.parse::<Uuid>() {
        Ok(id) => store::owner(&mut *db, tenant, id, actor.only_own()).await?,
        Err(_) if !typed.is_empty() => store::owner_of_number(&mut *db, tenant, typed, actor.only_own()).await?,
        Err(_) => match own.first() {
            Some(first) => store::owner(&mut *db, tenant, first.id, actor.only_own()).await?,
            None => None,
        },
    };
    drop(db);
    let mut page = VoicemailPage {
        own: own
            .into_iter()
            .map(|one| Choice {
                id: one.id,
                number: one.number.to_string(),
                is_chosen: chosen.as_ref().is_some_and(|chosen| chosen.extension == one.id),
            })
            .collect(),
        sees_all,
        number: chosen.as_ref().map_or_else(|| typed.to_owned(), |chosen| chosen.number.clone()),
        chosen: chosen.as_ref().map(|chosen| chosen.extension),
        rows: Vec::new(),
        greetings: Vec::new(),
        mailboxes: Vec::new(),
        is_away: false,
        next: None,
        zone: zone.iana_name().unwrap_or("UTC").replace('_', " "),
        s: &visitor.shell,
    };
    if sees_all || page.own.len() > 1 {
        let counts = visitor.page_of(&named(&actor, tenant, "/v1/mailboxes"), MOST_MAILBOXES, None).await;
        let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
        let with_new = counts.map_err(turned)?.items.into_iter().filter(|one| one["new"].as_i64() > Some(0));
        page.mailboxes = with_new
            .map(|one| Mailbox {
                is_chosen: chosen.as_ref().is_some_and(|chosen| one["extension_id"] == chosen.extension.to_string()),
                extension_id: text(&one, "extension_id"),
                number: text(&one, "extension"),
                name: text(&one, "name"),
                new: one["new"].as_i64().unwrap_or_default(),
                urgent: one["urgent"].as_i64().unwrap_or_default(),
            })
            .collect();
    }
    if let Some(chosen) = chosen {
        let extension = chosen.extension.to_string();
        let path = with(&named(&actor, tenant, "/v1/voicemail"), "extension_id", &extension);
        match visitor.page_of(&path, SIZE, asked.cursor.as_deref()).await {
            Ok(found) => {
                page.rows = found.items.iter().map(|one| Shown::of(one, &actor, tenant)).collect();
                page.next = found
                    .next
                    .map(|cursor| with(&with("/app/voicemail", "extension_id", &extension), "cursor", &cursor));
            }
            Err(problem) if problem.is(Code::VoicemailAway) => page.is_away = true,
            Err(problem) => return Err(turned(problem)),
        }
        if !page.is_away {
            let path = named(&actor, tenant, &format!("/v1/voicemail-greetings/{extension}"));
            if let Ok(found) = visitor.ask(Ask::get(path)).await {
                let recorded = found.body["recorded"].as_array().cloned().unwrap_or_default();
                let numbers = recorded.iter().filter_map(Value::as_u64);
                let is_chosen = |number: u64| found.body["greeting"].as_u64() == Some(number);
                page.greetings = numbers.map(|number| Greeting { number, is_chosen: is_chosen(number) }).collect();
            }
        }
    }
    ok(&page)
}

/// The list that a form came from.
fn back(extension: &str) -> String {
    match extension.parse::<Uuid>() {
        Ok(extension) => with("/app/voicemail", "extension_id", &extension.to_string()),
        Err(_) => "/app/voicemail".to_owned(),
    }
}

#[post("/app/voicemail/{id}/mark")]
async fn mark(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Voicemail, Level::Own, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let patch = match form.raw("mark") {
        "read" => json!({ "is_read": true }),
        "unread" => json!({ "is_read": false }),
        "urgent" => json!({ "is_urgent": true }),
        _ => json!({ "is_urgent": false }),
    };
    let path = named(&actor, tenant, &format!("/v1/voicemail/{id}"));
    let ask = Ask::new(Method::PATCH, path).json(&patch).if_match(form.raw("version").parse().ok());
    visitor.ask(ask).await.map_err(turned)?;
    Ok(done(&back(form.raw("extension")), "thing.was_saved"))
}

#[post("/app/voicemail/{id}/forward")]
async fn forward(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Voicemail, Level::Own, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/voicemail/{id}/forwards"));
    let to = json!({ "to": form.raw("to").trim() });
    visitor.ask(Ask::new(Method::POST, path).json(&to)).await.map_err(turned)?;
    Ok(done(&back(form.raw("extension")), "voicemail.was_forwarded"))
}

#[post("/app/voicemail/{id}/greeting")]
async fn greet(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Voicemail, Level::Own, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/voicemail-greetings/{id}"));
    let number = form.raw("greeting").parse::<u8>().unwrap_or_default();
    let ask = if form.raw("do") == "remove" {
        Ask::new(Method::DELETE, with(&path, "greeting", &number.to_string()))
    } else {
        Ask::new(Method::PUT, path).json(&json!({ "greeting": number }))
    };
    visitor.ask(ask).await.map_err(turned)?;
    Ok(done(&back(&id.to_string()), "thing.was_saved"))
}

#[get("/app/voicemail/{id}/delete")]
async fn ask_to_delete(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let path = named(&actor, tenant, &format!("/v1/voicemail/{id}"));
    let found = visitor.ask(Ask::get(path)).await.map_err(turned)?;
    let shown = Shown::of(&found.body, &actor, tenant);
    let at = shown.at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    Confirm {
        s: &visitor.shell,
        title: "voicemail.delete_title",
        what: format!("{at} · {} · {}", shown.number, shown.lasted),
        text: "voicemail.delete_text",
        obstacles: Vec::new(),
        action: format!("/app/voicemail/{id}/delete"),
        submit: "recordings.delete",
        back: back(found.body["extension_id"].as_str().unwrap_or_default()),
        version: found.version.unwrap_or_default(),
        error: None,
        changed: false,
    }
    .ask()
}

#[post("/app/voicemail/{id}/delete")]
async fn delete(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Voicemail, Level::Own, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/voicemail/{id}"));
    let found = visitor.ask(Ask::get(path.clone())).await.map_err(turned)?;
    let ask = Ask::new(Method::DELETE, path).if_match(form.raw("version").parse().ok());
    visitor.ask(ask).await.map_err(turned)?;
    Ok(done(&back(found.body["extension_id"].as_str().unwrap_or_default()), "thing.was_deleted"))
}
