//! The extensions of an agent: one more, one given back, a new password, and what a phone is set up with.

use actix_web::{
    get,
    http::StatusCode,
    post,
    web::{Path, Query, ServiceConfig},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    super::{
        Form, Message, Page, Turned, Visitor,
        confirm::Confirm,
        done,
        kept::Kept,
        ok,
        phone_sheet::{Onward, SheetPage, keep_phones},
        see_other,
        sign_in::Sent,
    },
    change, fields, page_with, read,
};
use crate::{
    http::problem::Problem,
    model::{error::Error, settings::Features},
    people::agents::{self, Agent, AgentPatch, Maker, NewPhone},
    telephony::{
        destinations,
        extensions::{self, ExtensionStatus},
    },
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
        tenants,
    },
    text::ExtensionNumber,
};

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(phones)
        .service(rotate_page)
        .service(rotate)
        .service(add_extension)
        .service(give_back_page)
        .service(give_back);
}

#[derive(Deserialize)]
struct ShownQuery {
    shown: Option<Uuid>,
}

/// What the tenant may use.
async fn features(visitor: &Visitor, actor: &Actor) -> Result<Features, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let rules = destinations::store::rules(&mut *visitor.api.read(actor).await?, tenant).await?;
    Ok(rules.map(|plan| plan.settings.features).unwrap_or_default())
}

/// Shows the passwords of an agent's phones for a few minutes after they were made.
#[get("/app/agents/{id}/phones")]
async fn phones(mut visitor: Visitor, id: Path<Uuid>, query: Query<ShownQuery>) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    Visitor::in_tenant(&actor)?;
    visitor.shell.active = "agents";
    if let Some(Kept::Phones { name, mut phones, tokens }) = visitor.kept(query.shown).await? {
        let no_voicemail = !features(&visitor, &actor).await?.voicemail;
        if no_voicemail {
            for phone in &mut phones {
                phone.voicemail_pin.clear();
            }
        }
        let onward = Onward::Agent(*id);
        return ok(&SheetPage::of(&visitor, onward, name, phones, tokens, no_voicemail)?);
    }
    let (address, text) = (format!("/app/agents/{id}"), visitor.shell.t("created.gone_text"));
    let next = Some((address.as_str(), "created.to_agent"));
    ok(&Message { s: &visitor.shell, title: "created.gone", text, id: None, next })
}

/// Asks before something is done to one of an agent's extensions.
fn question<'a>(
    visitor: &'a Visitor,
    agent: &Agent,
    (extension, number): (Uuid, &str),
    version: i64,
    [title, text, submit, action]: [&'static str; 4],
) -> Confirm<'a> {
    let user = &agent.user;
    Confirm {
        s: &visitor.shell,
        title,
        what: format!("{number} · {} {}", user.first_name, user.last_name),
        text,
        obstacles: vec![],
        action: format!("/app/agents/{}/extensions/{extension}/{action}", user.id),
        submit,
        back: format!("/app/agents/{}", user.id),
        version,
        error: None,
        changed: false,
    }
}

async fn rotate_question<'a>(
    visitor: &'a Visitor,
    actor: &Actor,
    agent: &Agent,
    extension: Uuid,
) -> Result<Confirm<'a>, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let found = extensions::store::get(&mut *visitor.api.read(actor).await?, tenant, extension).await?;
    let own = found.filter(|found| agent.extensions.iter().any(|own| own.id == found.id));
    let own = own.ok_or_else(|| Problem::not_found("extension"))?;
    let words = ["rotate.title", "rotate.text", "agent.rotate", "rotate"];
    Ok(question(visitor, agent, (extension, own.number.as_str()), own.version, words))
}

#[get("/app/agents/{id}/extensions/{extension}/rotate")]
async fn rotate_page(mut visitor: Visitor, path: Path<(Uuid, Uuid)>) -> Page {
    let (id, extension) = path.into_inner();
    let actor = visitor.needs(Resource::Extensions, Level::Write)?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, id).await?;
    rotate_question(&visitor, &actor, &agent, extension).await?.ask()
}

/// A new SIP password, shown once.
#[post("/app/agents/{id}/extensions/{extension}/rotate")]
async fn rotate(mut visitor: Visitor, path: Path<(Uuid, Uuid)>, sent: Sent) -> Page {
    let (id, extension) = path.into_inner();
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Extensions, Level::Write, &form).await?;
    visitor.shell.active = "agents";
    let tenant = Visitor::in_tenant(&actor)?;
    let agent = read(&visitor, &actor, id).await?;
    let question = rotate_question(&visitor, &actor, &agent, extension).await?;
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let rotated = match form.version() {
        Ok(version) => extensions::rotate_secret(&mut change, tenant, extension, Some(version)).await,
        Err(error) => Err(error),
    };
    let rotated = match rotated {
        Ok(rotated) => rotated,
        Err(error) => return question.again(error),
    };
    let home = tenants::store::get(change.db(), tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let name = format!("{} {}", agent.user.first_name, agent.user.last_name);
    let phone = NewPhone {
        id: extension,
        number: rotated.number.to_string(),
        sip_username: rotated.sip_username.to_string(),
        sip_password: rotated.sip_password,
        domain: home.domain.to_string(),
        display_name: name.clone(),
        voicemail_pin: String::new(),
        status: agent
            .extensions
            .iter()
            .find(|phone| phone.id == extension)
            .map_or(ExtensionStatus::Active, |phone| phone.status),
    };
    let keyring = change.keyring();
    let shown = keep_phones(change.db(), &keyring, visitor.session()?, name, vec![phone]).await?;
    change.commit().await?;
    Ok(see_other(&format!("/app/agents/{id}/phones?shown={shown}")))
}

/// One more extension: of a number that is typed, or of the lowest free one. Its passwords are shown once.
#[post("/app/agents/{id}/extensions")]
async fn add_extension(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let mut add = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &add).await?;
    visitor.shell.active = "agents";
    let tenant = Visitor::in_tenant(&actor)?;
    let number = if add.value("number").is_empty() { None } else { add.read::<ExtensionNumber>("number") };
    if !add.has_errors() {
        let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match agents::add_extension(&mut change, maker, tenant, *id, number).await {
            Ok(phone) => {
                let keyring = change.keyring();
                let name = phone.display_name.clone();
                let shown = keep_phones(change.db(), &keyring, visitor.session()?, name, vec![phone]).await?;
                change.commit().await?;
                return Ok(see_other(&format!("/app/agents/{id}/phones?shown={shown}")));
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error.into()),
            Err(error) => add.refuse(error),
        }
    }
    let agent = read(&visitor, &actor, *id).await?;
    let form = Form::opened(fields(&agent), agent.user.version);
    page_with(&visitor, &actor, &agent, (&form, &add), StatusCode::UNPROCESSABLE_ENTITY).await
}

fn give_back_question<'a>(visitor: &'a Visitor, agent: &Agent, extension: Uuid) -> Result<Confirm<'a>, Turned> {
    let own = agent.extensions.iter().find(|own| own.id == extension);
    let own = own.ok_or_else(|| Problem::not_found("extension"))?;
    let words = ["give_back.title", "give_back.text", "agent.give_back", "give-back"];
    Ok(question(visitor, agent, (extension, own.number.as_str()), agent.user.version, words))
}

#[get("/app/agents/{id}/extensions/{extension}/give-back")]
async fn give_back_page(mut visitor: Visitor, path: Path<(Uuid, Uuid)>) -> Page {
    let (id, extension) = path.into_inner();
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, id).await?;
    give_back_question(&visitor, &agent, extension)?.ask()
}

/// An extension that is nobody's from now on.
#[post("/app/agents/{id}/extensions/{extension}/give-back")]
async fn give_back(mut visitor: Visitor, path: Path<(Uuid, Uuid)>, sent: Sent) -> Page {
    let (id, extension) = path.into_inner();
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form).await?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, id).await?;
    let question = give_back_question(&visitor, &agent, extension)?;
    let kept = agent.extensions.iter().filter(|own| own.id != extension);
    let kept = kept.map(|own| ExtensionNumber::parse(&own.number)).collect::<Result<Vec<_>, _>>();
    // What it has, it was given as a number.
    let Ok(kept) = kept else { return Err(Problem::not_found("extension").into()) };
    let patch = AgentPatch { extensions: Some(kept), ..AgentPatch::default() };
    let given_back = match form.version() {
        Ok(version) => change(&visitor, &actor, id, patch, Some(version)).await,
        Err(error) => Err(error),
    };
    match given_back {
        Ok(()) => Ok(done(&format!("/app/agents/{id}"), "agents.gave_back")),
        Err(error) => question.again(error),
    }
}
