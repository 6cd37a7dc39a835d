//! "Set up a switch": its configuration to copy, and a light that turns green at its first fetch.

use actix_web::{
    get, post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Form, Page, Shell, Visitor, ok, sign_in::Sent, wrong};
use crate::{
    http::problem::Problem,
    model::{error::Error, paging::Window},
    switch::fetch::exchange::{CDR_PATH, XML_PATH},
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
        clusters,
        switches::{self, NewSwitch, SwitchPatch, SwitchWithToken},
    },
    text::SwitchName,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(new_page).service(new_send).service(setup).service(new_token).service(light);
}

#[derive(Template)]
#[template(path = "web/switch_new.html")]
struct NewPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    clusters: Vec<(String, String)>,
}

async fn form_page(visitor: &Visitor, actor: &Actor, form: &Form) -> Page {
    let clusters = clusters::store::list(&mut *visitor.api.read(actor).await?, Window::FIRST).await?;
    let clusters = clusters.into_iter().map(|cluster| (cluster.id.to_string(), cluster.name)).collect();
    let view = NewPage { s: &visitor.shell, form, clusters };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/platform/switches/new")]
async fn new_page(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Write)?;
    visitor.shell.active = "clusters";
    form_page(&visitor, &actor, &Form::default()).await
}

#[derive(Template)]
#[template(path = "web/switch_setup.html")]
struct SetupPage<'a> {
    s: &'a Shell,
    id: Uuid,
    name: String,
    /// Only when it was just made.
    token: Option<String>,
    url: String,
    cdr_url: String,
    seen: Option<DateTime<Utc>>,
}

#[derive(Template)]
#[template(path = "web/switch_light.html")]
struct Light<'a> {
    s: &'a Shell,
    id: Uuid,
    seen: Option<DateTime<Utc>>,
}

async fn setup_page(visitor: &Visitor, actor: &Actor, switch: SwitchWithToken) -> Page {
    let sighting = switches::store::sighting(&mut *visitor.api.read(actor).await?, switch.switch.id).await?;
    let base = visitor.api.switch_url.as_ref();
    ok(&SetupPage {
        s: &visitor.shell,
        id: switch.switch.id,
        name: switch.switch.name.to_string(),
        token: switch.token,
        url: format!("{base}{XML_PATH}"),
        cdr_url: format!("{base}{CDR_PATH}"),
        seen: sighting.map(|sighting| sighting.first_seen_at),
    })
}

#[post("/platform/switches/new")]
async fn new_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Switches, Level::Write, &form)?;
    visitor.shell.active = "clusters";
    let name = form.read::<SwitchName>("name");
    let cluster = form.read::<Uuid>("cluster");
    if let (Some(name), Some(cluster)) = (name, cluster) {
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match switches::create(&mut change, NewSwitch { name, cluster_id: Some(cluster) }).await {
            Ok(made) => {
                change.commit().await?;
                return setup_page(&visitor, &actor, made).await;
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(error.into()),
            Err(error) => form.refuse(error),
        }
    }
    let clusters = clusters::store::list(&mut *visitor.api.read(&actor).await?, Window::FIRST).await?;
    let clusters = clusters.into_iter().map(|cluster| (cluster.id.to_string(), cluster.name)).collect();
    wrong(&NewPage { s: &visitor.shell, form: &form, clusters })
}

#[get("/platform/switches/{id}/setup")]
async fn setup(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Write)?;
    visitor.shell.active = "clusters";
    let switch = switches::store::get(&mut *visitor.api.read(&actor).await?, *id).await?;
    let switch = switch.ok_or_else(|| Problem::not_found("switch"))?;
    setup_page(&visitor, &actor, SwitchWithToken { switch, token: None }).await
}

#[post("/platform/switches/{id}/token")]
async fn new_token(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let actor = visitor.sends(Resource::Switches, Level::Write, &Form::of(sent.into_inner()))?;
    visitor.shell.active = "clusters";
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let patch = SwitchPatch { new_token: true, ..SwitchPatch::default() };
    let switch = switches::update(&mut change, *id, patch, None).await?;
    change.commit().await?;
    setup_page(&visitor, &actor, switch).await
}

/// The light alone, asked for every two seconds.
#[get("/platform/switches/{id}/light")]
async fn light(visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Read)?;
    let sighting = switches::store::sighting(&mut *visitor.api.read(&actor).await?, *id).await?;
    ok(&Light { s: &visitor.shell, id: *id, seen: sighting.map(|sighting| sighting.first_seen_at) })
}
