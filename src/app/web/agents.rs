//! A tenant's start page and its agents.

use actix_web::{
    HttpResponse, get, post,
    web::{Path, Query, ServiceConfig},
};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::{Form, Page, Shell, Turned, Visitor, done, ok, sign_in::Sent, wrong};
use crate::{
    http::problem::Problem,
    model::user::UserStatus,
    model::{error::Error, paging::PageQuery},
    people::agents::{self, Agent, AgentPatch, Maker, NewAgent, NewPhone, store},
    telephony::{extensions, pools},
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource, Role},
        },
        tenants,
    },
    text::{Code, DisplayName, Email, ExtensionNumber, Why, codes::Kind},
};

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(home_page)
        .service(list)
        .service(new_page)
        .service(new_send)
        .service(delete_page)
        .service(delete_send)
        .service(suspend)
        .service(activate)
        .service(rotate)
        .service(show)
        .service(save);
}

#[derive(Template)]
#[template(path = "web/home.html")]
struct HomePage<'a> {
    s: &'a Shell,
    tenant: String,
    domain: String,
    agents: i64,
    invited: i64,
    suspended: i64,
    extensions: i64,
    free: i64,
    can_write: bool,
}

#[get("/app")]
async fn home_page(visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let mut db = visitor.api.read(&actor).await?;
    let home = tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let counts = store::counts(&mut *db, tenant).await?;
    let free = pools::store::usage(&mut db, tenant).await?.free;
    ok(&HomePage {
        s: &visitor.shell.on("home"),
        tenant: home.name.to_string(),
        domain: home.domain.to_string(),
        agents: counts.users,
        invited: counts.invited,
        suspended: counts.suspended,
        extensions: counts.extensions,
        free,
        can_write: actor.level == Level::Write,
    })
}

#[derive(Template)]
#[template(path = "web/agents.html")]
struct AgentsPage<'a> {
    s: &'a Shell,
    rows: Vec<Agent>,
    search: String,
    wanted: String,
    next: Option<String>,
    can_write: bool,
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    status: String,
    cursor: Option<String>,
}

/// Text within a URL's query.
pub fn in_query(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[get("/app/agents")]
async fn list(visitor: Visitor, query: Query<ListQuery>) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let status = match query.status.as_str() {
        "active" => Some(UserStatus::Active),
        "invited" => Some(UserStatus::Invited),
        "suspended" => Some(UserStatus::Suspended),
        _ => None,
    };
    let search = query.search.chars().take(100).collect::<String>();
    let filter =
        store::Filter { search: Some(search.clone()).filter(|text| !text.trim().is_empty()), status, role: None };
    let window = PageQuery { limit: Some(50), cursor: query.cursor.clone() }.window()?;
    let mut db = visitor.api.read(&actor).await?;
    let page = store::page(&mut db, tenant, &filter, window).await?;
    let next = page.next_cursor.map(|cursor| {
        let (search, status) = (in_query(&search), in_query(&query.status));
        format!("/app/agents?search={search}&status={status}&cursor={cursor}")
    });
    ok(&AgentsPage {
        s: &visitor.shell.on("agents"),
        rows: page.items,
        search: search.clone(),
        wanted: query.status.clone(),
        next,
        can_write: actor.level == Level::Write,
    })
}

fn roles(shell: &Shell, actor: &Actor) -> Vec<(String, String)> {
    let roles = [Role::Agent, Role::Manager, Role::Admin, Role::Owner];
    let given = roles.into_iter().filter(|role| actor.role.may_grant(*role));
    given.map(|role| (role.as_str().to_owned(), shell.t_of("role", role.as_str()))).collect()
}

#[derive(Template)]
#[template(path = "web/agent_new.html")]
struct NewPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    roles: Vec<(String, String)>,
}

#[get("/app/agents/new")]
async fn new_page(visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    Visitor::in_tenant(&actor)?;
    let form = Form::filled([("role", "agent"), ("extensions_count", "1")]);
    let roles = roles(&visitor.shell, &actor);
    ok(&NewPage { s: &visitor.shell.on("agents"), form: &form, roles })
}

/// The phone's settings, shown once.
#[derive(Template)]
#[template(path = "web/agent_created.html")]
struct CreatedPage<'a> {
    s: &'a Shell,
    name: String,
    phones: Vec<NewPhone>,
}

impl NewPhone {
    /// Key of the catalogue, id in the page, value.
    fn settings(&self) -> [(&'static str, &'static str, &str); 5] {
        [
            ("phone.user", "user", &self.sip_username),
            ("phone.password", "password", &self.sip_password),
            ("phone.domain", "domain", &self.domain),
            ("phone.display_name", "name", &self.display_name),
            ("phone.pin", "pin", &self.voicemail_pin),
        ]
    }
}

fn read_new(form: &mut Form) -> Option<NewAgent> {
    let first_name = form.read::<DisplayName>("first_name");
    let last_name = form.read::<DisplayName>("last_name");
    let email = form.read::<Email>("email");
    let role = form.read::<Role>("role");
    let numbers = form.value("numbers").split_whitespace().map(ExtensionNumber::parse).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.inspect_err(|error| form.wrong("numbers", *error)).ok()?;
    let count = match form.value("extensions_count") {
        _ if !numbers.is_empty() => Some(numbers.len()),
        "" => None,
        text => {
            let Ok(count) = text.parse() else {
                form.wrong("extensions_count", Code::range(1, 5));
                return None;
            };
            Some(count)
        }
    };
    Some(NewAgent {
        first_name: first_name?,
        last_name: last_name?,
        email: email?,
        role: role?,
        language: None,
        extensions_count: count,
        numbers: (!numbers.is_empty()).then_some(numbers),
    })
}

#[post("/app/agents/new")]
async fn new_send(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form)?;
    let tenant = Visitor::in_tenant(&actor)?;
    if let Some(new) = read_new(&mut form) {
        let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match agents::create(&mut change, maker, tenant, new).await {
            Ok(made) => {
                change.commit().await?;
                let name = format!("{} {}", made.user.first_name, made.user.last_name);
                return ok(&CreatedPage { s: &visitor.shell.on("agents"), name, phones: made.extensions });
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(error.into()),
            Err(error) => form.refuse(error),
        }
    }
    let roles = roles(&visitor.shell, &actor);
    wrong(&NewPage { s: &visitor.shell.on("agents"), form: &form, roles })
}

#[derive(Template)]
#[template(path = "web/agent.html")]
struct AgentPage<'a> {
    s: &'a Shell,
    agent: &'a Agent,
    form: &'a Form,
    roles: Vec<(String, String)>,
    can_write: bool,
}

async fn read(visitor: &Visitor, actor: &Actor, id: Uuid) -> Result<Agent, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let mut db = visitor.api.read(actor).await?;
    Ok(store::get(&mut db, tenant, id).await?.ok_or_else(|| Problem::not_found("agent"))?)
}

fn page_of(visitor: &Visitor, actor: &Actor, agent: &Agent, form: &Form) -> Page {
    let can_write = actor.level == Level::Write && actor.role.may_grant(agent.user.role);
    let roles = roles(&visitor.shell, actor);
    let view = AgentPage { s: &visitor.shell, agent, form, roles, can_write };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/app/agents/{id}")]
async fn show(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Read)?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, *id).await?;
    let user = &agent.user;
    let form = Form::filled([
        ("first_name", &user.first_name),
        ("last_name", &user.last_name),
        ("email", &user.email),
        ("role", user.role.as_str()),
    ]);
    page_of(&visitor, &actor, &agent, &form)
}

#[post("/app/agents/{id}")]
async fn save(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form)?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, *id).await?;
    let (first_name, last_name) = (form.read::<DisplayName>("first_name"), form.read::<DisplayName>("last_name"));
    let (email, role) = (form.read::<Email>("email"), form.read::<Role>("role"));
    if !form.has_errors() {
        let patch = AgentPatch { first_name, last_name, email, role, ..AgentPatch::default() };
        match change(&visitor, &actor, *id, patch).await {
            Ok(()) => return Ok(done(&format!("/app/agents/{id}"), "agents.was_saved")),
            Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error.into()),
            Err(error) => form.refuse(error),
        }
    }
    page_of(&visitor, &actor, &agent, &form)
}

async fn change(visitor: &Visitor, actor: &Actor, id: Uuid, patch: AgentPatch) -> Result<(), Error> {
    let tenant = actor.tenant.ok_or(Error::NotFound("agent"))?;
    let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    agents::update(&mut change, maker, tenant, id, patch, None).await?;
    change.commit().await.map(|_| ())
}

async fn set_status(visitor: &Visitor, id: Uuid, form: &Form, status: UserStatus) -> Result<HttpResponse, Turned> {
    let actor = visitor.sends(Resource::Agents, Level::Write, form)?;
    let patch = AgentPatch { status: Some(status), ..AgentPatch::default() };
    change(visitor, &actor, id, patch).await?;
    let flash = if status == UserStatus::Suspended { "agents.was_suspended" } else { "agents.was_activated" };
    Ok(done("/app/agents", flash))
}

#[post("/app/agents/{id}/suspend")]
async fn suspend(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    set_status(&visitor, *id, &Form::of(sent.into_inner()), UserStatus::Suspended).await
}

#[post("/app/agents/{id}/activate")]
async fn activate(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    set_status(&visitor, *id, &Form::of(sent.into_inner()), UserStatus::Active).await
}

/// Asks once more.
#[derive(Template)]
#[template(path = "web/confirm.html")]
struct ConfirmPage<'a> {
    s: &'a Shell,
    title: &'static str,
    what: String,
    text: &'static str,
    error: Option<&'a Why>,
    action: String,
    submit: &'static str,
    back: &'static str,
}

fn confirm(visitor: &Visitor, agent: &Agent, error: Option<&Why>) -> Page {
    let view = ConfirmPage {
        s: &visitor.shell,
        title: "agents.delete_title",
        what: format!("{} {} · {}", agent.user.first_name, agent.user.last_name, agent.user.email),
        text: "agents.delete_text",
        error,
        action: format!("/app/agents/{}/delete", agent.user.id),
        submit: "agents.delete",
        back: "/app/agents",
    };
    if error.is_some() { wrong(&view) } else { ok(&view) }
}

#[get("/app/agents/{id}/delete")]
async fn delete_page(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, *id).await?;
    confirm(&visitor, &agent, None)
}

#[post("/app/agents/{id}/delete")]
async fn delete_send(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let actor = visitor.sends(Resource::Agents, Level::Write, &Form::of(sent.into_inner()))?;
    visitor.shell.active = "agents";
    let tenant = Visitor::in_tenant(&actor)?;
    let agent = read(&visitor, &actor, *id).await?;
    let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    match agents::delete(&mut change, maker, tenant, *id, None).await {
        Ok(()) => {
            change.commit().await?;
            Ok(done("/app/agents", "agents.was_deleted"))
        }
        Err(Error::Refused(why)) if why.code.kind() == Kind::Conflict => confirm(&visitor, &agent, Some(&why)),
        Err(error) => Err(error.into()),
    }
}

/// A new SIP password, shown once.
#[post("/app/agents/{id}/extensions/{extension}/rotate")]
async fn rotate(visitor: Visitor, path: Path<(Uuid, Uuid)>, sent: Sent) -> Page {
    let (id, extension) = path.into_inner();
    let actor = visitor.sends(Resource::Extensions, Level::Write, &Form::of(sent.into_inner()))?;
    let tenant = Visitor::in_tenant(&actor)?;
    let agent = read(&visitor, &actor, id).await?;
    if !agent.extensions.iter().any(|own| own.id == extension) {
        return Err(Problem::not_found("extension").into());
    }
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let rotated = extensions::rotate_secret(&mut change, tenant, extension, None).await?;
    let home = tenants::store::get(change.db(), tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    change.commit().await?;
    let name = format!("{} {}", agent.user.first_name, agent.user.last_name);
    let phone = NewPhone {
        id: extension,
        number: rotated.sip_username.to_string(),
        sip_username: rotated.sip_username.to_string(),
        sip_password: rotated.sip_password,
        domain: home.domain.to_string(),
        display_name: name.clone(),
        voicemail_pin: "····".into(),
    };
    ok(&CreatedPage { s: &visitor.shell.on("agents"), name, phones: vec![phone] })
}
