//! "Set up a switch": its configuration to copy, and a light that turns green at its first fetch.

use std::{borrow::Cow, sync::Arc};

use actix_web::{
    get, post,
    web::{Path, Query, ServiceConfig},
};
use askama::Template;
use chrono::Utc;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    confirm::Confirm,
    kept::{Kept, keep},
    ok, see_other,
    sign_in::Sent,
    wrong,
};
use crate::{
    http::problem::Problem,
    model::{error::Error, paging::Window},
    node::changes::Change,
    switch::{
        fetch::exchange::{CDR_PATH, XML_PATH},
        link,
    },
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
        clusters,
        switches::{self, NewSwitch, Sighting, State, SwitchPatch, SwitchWithToken},
    },
    text::SwitchName,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(new_page).service(new_send).service(setup).service(token_page).service(new_token).service(light);
}

#[derive(Template)]
#[template(path = "web/switch_new.html")]
struct NewPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    clusters: Vec<(String, String)>,
}

async fn form_page(visitor: &Visitor, actor: &Actor, form: &Form) -> Page {
    let clusters = clusters::store::list(
        &mut *visitor.api.read(actor).await?,
        &clusters::store::Filter::default(),
        &Window::FIRST.into(),
    )
    .await?;
    let clusters = clusters.into_iter().map(|cluster| (cluster.id.to_string(), cluster.name)).collect();
    let view = NewPage { s: &visitor.shell, form, clusters };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/platform/switches/new")]
async fn new_page(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Write)?;
    visitor.shell.active = "clusters";
    let form = visitor.form(Form::default()).await?;
    form_page(&visitor, &actor, &form).await
}

/// The page that shows a switch's token for a few minutes.
async fn shown(visitor: &Visitor, change: &mut Change, made: &SwitchWithToken) -> Result<String, Turned> {
    let switch = made.switch.id;
    let kept = Kept::Token { switch, token: made.token.clone().unwrap_or_default() };
    let keyring = change.keyring();
    let id = keep(change.db(), &keyring, visitor.session()?, &kept).await?;
    Ok(format!("/platform/switches/{switch}/setup?shown={id}"))
}

#[derive(Template)]
#[template(path = "web/switch_setup.html")]
struct SetupPage<'a> {
    s: &'a Shell,
    id: Uuid,
    name: String,
    /// Only if it was just made.
    token: Option<String>,
    url: String,
    cdr_url: String,
    /// Further parameters of its bindings.
    checks: Arc<[(&'static str, String)]>,
    url_is_missing: bool,
    state: State,
    seen: Option<Sighting>,
    /// How many mailboxes that are gone it may still have.
    leftovers: i64,
}

impl SetupPage<'_> {
    /// A value as it stands in the switch's XML, which is copied from the page.
    fn xml(value: &str) -> Cow<'_, str> {
        quick_xml::escape::escape(value)
    }

    /// The file with which the switch checks the certificate.
    fn authority(&self) -> Option<&str> {
        self.checks.iter().find(|(name, _)| *name == "ssl-cacert-file").map(|(_, file)| file.as_str())
    }
}

#[derive(Template)]
#[template(path = "web/switch_light.html")]
struct Light<'a> {
    s: &'a Shell,
    id: Uuid,
    state: State,
    seen: Option<Sighting>,
}

async fn setup_page(visitor: &Visitor, actor: &Actor, switch: SwitchWithToken) -> Page {
    let sighting = switches::store::sighting(&mut *visitor.api.read(actor).await?, switch.switch.id).await?;
    let leftovers = link::store::mailboxes_left(&mut *visitor.api.read(actor).await?, switch.switch.id).await?;
    let base = visitor.api.switch_url.as_ref();
    ok(&SetupPage {
        s: &visitor.shell,
        id: switch.switch.id,
        name: switch.switch.name.to_string(),
        token: switch.token,
        url: format!("{base}{XML_PATH}"),
        cdr_url: format!("{base}{CDR_PATH}"),
        checks: Arc::clone(&visitor.api.switch_checks),
        url_is_missing: visitor.api.switch_url_is_missing,
        state: switch.switch.state(sighting, Utc::now()),
        seen: sighting,
        leftovers,
    })
}

#[post("/platform/switches/new")]
async fn new_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Switches, Level::Write, &form).await?;
    visitor.shell.active = "clusters";
    let name = form.read::<SwitchName>("name");
    let cluster = form.read::<Uuid>("cluster");
    if let (Some(name), Some(cluster)) = (name, cluster) {
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match switches::create(&mut change, NewSwitch { name, cluster_id: Some(cluster) }).await {
            Ok(made) => {
                let address = shown(&visitor, &mut change, &made).await?;
                change.commit().await?;
                return Ok(see_other(&address));
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(error.into()),
            Err(error) => form.refuse(error),
        }
    }
    form_page(&visitor, &actor, &form).await
}

#[derive(Deserialize)]
struct ShownQuery {
    shown: Option<Uuid>,
}

#[get("/platform/switches/{id}/setup")]
async fn setup(mut visitor: Visitor, id: Path<Uuid>, query: Query<ShownQuery>) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Write)?;
    visitor.shell.active = "clusters";
    let token = match visitor.kept(query.shown).await? {
        Some(Kept::Token { switch, token }) if switch == *id => Some(token),
        _ => None,
    };
    let switch = switches::store::get(&mut *visitor.api.read(&actor).await?, *id).await?;
    let switch = switch.ok_or_else(|| Problem::not_found("switch"))?;
    setup_page(&visitor, &actor, SwitchWithToken { switch, token }).await
}

async fn token_question<'a>(visitor: &'a Visitor, actor: &Actor, id: Uuid) -> Result<Confirm<'a>, Turned> {
    let switch = switches::store::get(&mut *visitor.api.read(actor).await?, id).await?;
    let switch = switch.ok_or_else(|| Problem::not_found("switch"))?;
    Ok(Confirm {
        s: &visitor.shell,
        title: "switches.new_token_title",
        what: switch.name.to_string(),
        text: "switches.new_token_text",
        obstacles: vec![],
        action: format!("/platform/switches/{id}/token"),
        submit: "switches.new_token",
        back: format!("/platform/switches/{id}/setup"),
        version: switch.version,
        error: None,
        changed: false,
    })
}

#[get("/platform/switches/{id}/token")]
async fn token_page(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Write)?;
    visitor.shell.active = "clusters";
    token_question(&visitor, &actor, *id).await?.ask()
}

#[post("/platform/switches/{id}/token")]
async fn new_token(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Switches, Level::Write, &form).await?;
    visitor.shell.active = "clusters";
    let question = token_question(&visitor, &actor, *id).await?;
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let patch = SwitchPatch { new_token: true, ..SwitchPatch::default() };
    let renewed = match form.version() {
        Ok(version) => switches::update(&mut change, *id, patch, Some(version)).await,
        Err(error) => Err(error),
    };
    match renewed {
        Ok(switch) => {
            let address = shown(&visitor, &mut change, &switch).await?;
            change.commit().await?;
            Ok(see_other(&address))
        }
        Err(error) => question.again(error),
    }
}

/// Only the light, which the page asks for every two seconds.
#[get("/platform/switches/{id}/light")]
async fn light(visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Switches, Level::Read)?;
    let switch = switches::store::get(&mut *visitor.api.read(&actor).await?, *id).await?;
    let switch = switch.ok_or_else(|| Problem::not_found("switch"))?;
    let sighting = switches::store::sighting(&mut *visitor.api.read(&actor).await?, *id).await?;
    let state = switch.state(sighting, Utc::now());
    ok(&Light { s: &visitor.shell, id: *id, state, seen: sighting })
}
