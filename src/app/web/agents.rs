//! A tenant's agents.

mod past;
mod phones;
mod reached;

use actix_web::{
    HttpResponse, get,
    http::StatusCode,
    post,
    web::{Path, Query, ServiceConfig},
};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    confirm::{Confirm, Obstacle, is_in_use, user_of},
    done, html,
    kept::Inverse,
    ok,
    phone_sheet::keep_phones,
    resource::{self, page_of as page_of_kind},
    resources::AGENTS,
    see_other,
    sign_in::Sent,
    undo::done_undoable,
    wrong,
};
use crate::{
    http::problem::Problem,
    model::destination::Target,
    model::error::Error,
    model::user::UserStatus,
    people::agents::{self, Agent, AgentPatch, Maker, NewAgent, store},
    telephony::{
        destinations,
        groups::{self, GroupPatch},
    },
    tenancy::auth::{
        actor::Actor,
        rules::{Level, Resource, Role},
    },
    text::{Code, DisplayName, Email, ExtensionNumber},
};

pub fn pages(config: &mut ServiceConfig) {
    // First, as its paths fit those with an id, too.
    resource::pages(config, &AGENTS);
    config
        .service(new_page)
        .service(new_send)
        .service(delete_page)
        .service(delete_send)
        .service(suspend)
        .service(activate)
        .service(invite)
        .service(leave_group)
        .service(show)
        .service(save)
        .configure(phones::pages);
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
async fn new_page(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    Visitor::in_tenant(&actor)?;
    let form = visitor.form(Form::filled([("role", "agent"), ("extensions_count", "1")])).await?;
    let roles = roles(&visitor.shell, &actor);
    arrive(&mut visitor, "agents.add");
    ok(&NewPage { s: &visitor.shell, form: &form, roles })
}

/// At a page below the list of agents.
pub fn arrive(visitor: &mut Visitor, label: &str) {
    visitor.shell.active = "agents";
    let name = visitor.shell.t(label).to_owned();
    visitor.shell.below("nav.agents", "/app/agents", name);
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
async fn new_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    if let Some(new) = read_new(&mut form) {
        let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match agents::create(&mut change, maker, tenant, new).await {
            Ok(made) => {
                let name = format!("{} {}", made.user.first_name, made.user.last_name);
                let keyring = change.keyring();
                let shown = keep_phones(change.db(), &keyring, visitor.session()?, name, made.extensions).await?;
                change.commit().await?;
                return Ok(see_other(&format!("/app/agents/{}/phones?shown={shown}", made.user.id)));
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(error.into()),
            Err(error) => form.refuse(error),
        }
    }
    let roles = roles(&visitor.shell, &actor);
    arrive(&mut visitor, "agents.add");
    wrong(&NewPage { s: &visitor.shell, form: &form, roles })
}

#[derive(Template)]
#[template(path = "web/agent.html")]
struct AgentPage<'a> {
    s: &'a Shell,
    agent: &'a Agent,
    groups: Vec<groups::store::Membership>,
    form: &'a Form,
    /// What was typed to add an extension.
    add: &'a Form,
    roles: Vec<(String, String)>,
    can_write: bool,
    /// How they were, the latest first.
    past: Vec<past::Past>,
    earlier: Option<String>,
    reached: reached::Reached,
}

impl AgentPage<'_> {
    fn may_have_more(&self) -> bool {
        self.can_write
            && self.agent.extensions.len() < agents::MOST_EXTENSIONS
            && self.agent.user.status != UserStatus::Suspended
    }

    fn may_have_less(&self) -> bool {
        self.can_write && self.agent.extensions.len() > 1
    }
}

async fn read(visitor: &Visitor, actor: &Actor, id: Uuid) -> Result<Agent, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let mut db = visitor.api.read(actor).await?;
    Ok(store::get(&mut db, tenant, id).await?.ok_or_else(|| Problem::not_found("agent"))?)
}

/// The groups that ring an agent's phones.
async fn groups_of(visitor: &Visitor, actor: &Actor, agent: &Agent) -> Result<Vec<groups::store::Membership>, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let extensions = agent.extensions.iter().map(|extension| extension.id).collect::<Vec<_>>();
    Ok(groups::store::of_extensions(&mut *visitor.api.read(actor).await?, tenant, &extensions).await?)
}

async fn page_of(visitor: &Visitor, actor: &Actor, agent: &Agent, form: &Form, status: StatusCode) -> Page {
    page_with(visitor, actor, agent, (form, &Form::default()), status).await
}

async fn page_with(
    visitor: &Visitor,
    actor: &Actor,
    agent: &Agent,
    (form, add): (&Form, &Form),
    status: StatusCode,
) -> Page {
    let can_write = actor.level == Level::Write && actor.role.may_grant(agent.user.role);
    let roles = roles(&visitor.shell, actor);
    let groups = groups_of(visitor, actor, agent).await?;
    let cursor = Query::<PastQuery>::from_query(visitor.request.query_string()).ok();
    let cursor = cursor.and_then(|query| query.into_inner().cursor);
    let (past, earlier) = past::of(visitor, actor, agent.user.id, cursor.as_deref()).await?;
    let reached = reached::of(visitor, actor, agent).await?;
    html(status, &AgentPage { s: &visitor.shell, agent, groups, form, add, roles, can_write, past, earlier, reached })
}

#[derive(Deserialize)]
struct PastQuery {
    cursor: Option<String>,
}

/// The present values of what the form changes.
fn fields(agent: &Agent) -> [(&'static str, &str); 4] {
    let user = &agent.user;
    [
        ("first_name", &user.first_name),
        ("last_name", &user.last_name),
        ("email", &user.email),
        ("role", user.role.as_str()),
    ]
}

#[get("/app/agents/{id}")]
async fn show(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Read)?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, *id).await?;
    let name = format!("{} {}", agent.user.first_name, agent.user.last_name);
    visitor.shell.below("nav.agents", "/app/agents", name);
    let mut form = Form::opened(fields(&agent), agent.user.version);
    let mut add = Form::default();
    if actor.level == Level::Write
        && let Some(typed) = visitor.typed().await?
    {
        // The page has two forms, of which one was sent.
        let typed_in = if typed.iter().any(|(name, _)| name == "number") { &mut add } else { &mut form };
        typed_in.type_in(typed);
    }
    page_with(&visitor, &actor, &agent, (&form, &add), StatusCode::OK).await
}

#[post("/app/agents/{id}")]
async fn save(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form).await?;
    visitor.shell.active = "agents";
    let mut agent = read(&visitor, &actor, *id).await?;
    let name = format!("{} {}", agent.user.first_name, agent.user.last_name);
    visitor.shell.below("nav.agents", "/app/agents", name);
    let opened = form.version();
    if !matches!(opened, Ok(version) if version == agent.user.version) {
        form.meet(fields(&agent), agent.user.version);
    }
    match opened {
        Err(error) => form.refuse(error),
        // Somebody else has saved since the form was opened.
        Ok(_) if form.has_others() => {
            return page_of(&visitor, &actor, &agent, &form, StatusCode::CONFLICT).await;
        }
        Ok(_) => {}
    }
    let (first_name, last_name) = (form.read::<DisplayName>("first_name"), form.read::<DisplayName>("last_name"));
    let (email, role) = (form.read::<Email>("email"), form.read::<Role>("role"));
    if !form.has_errors() {
        let patch = AgentPatch { first_name, last_name, email, role, ..AgentPatch::default() };
        match change(&visitor, &actor, *id, patch, Some(agent.user.version)).await {
            Ok(()) => return Ok(done(&format!("/app/agents/{id}"), "agents.was_saved")),
            Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error.into()),
            // Somebody else saved at this very moment.
            Err(Error::Changed(_)) => {
                agent = read(&visitor, &actor, *id).await?;
                form.meet(fields(&agent), agent.user.version);
                return page_of(&visitor, &actor, &agent, &form, StatusCode::CONFLICT).await;
            }
            Err(error) => form.refuse(error),
        }
    }
    page_of(&visitor, &actor, &agent, &form, StatusCode::UNPROCESSABLE_ENTITY).await
}

async fn change(
    visitor: &Visitor,
    actor: &Actor,
    id: Uuid,
    patch: AgentPatch,
    if_match: Option<i64>,
) -> Result<(), Error> {
    let tenant = actor.tenant.ok_or(Error::NotFound("agent"))?;
    let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    agents::update(&mut change, maker, tenant, id, patch, if_match).await?;
    change.commit().await.map(|_| ())
}

async fn set_status(visitor: &Visitor, id: Uuid, form: &Form, status: UserStatus) -> Result<HttpResponse, Turned> {
    let actor = visitor.sends(Resource::Agents, Level::Write, form).await?;
    let patch = AgentPatch { status: Some(status), ..AgentPatch::default() };
    change(visitor, &actor, id, patch, None).await?;
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

/// Sends the invitation once more.
#[post("/app/agents/{id}/invite")]
async fn invite(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let actor = visitor.sends(Resource::Agents, Level::Write, &Form::of(sent.into_inner())).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    agents::invite_again(&mut change, maker, tenant, *id).await?;
    change.commit_quietly().await?;
    Ok(done(&format!("/app/agents/{id}"), "agents.was_invited"))
}

/// Removes an agent's phones from a group.
#[post("/app/agents/{id}/groups/{group}/leave")]
async fn leave_group(visitor: Visitor, path: Path<(Uuid, Uuid)>, sent: Sent) -> Page {
    let (id, group) = path.into_inner();
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Groups, Level::Write, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let agent = read(&visitor, &actor, id).await?;
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let before = groups::store::get(change.db(), tenant, group).await?.ok_or_else(|| Problem::not_found("group"))?;
    let is_own = |member: &Uuid| agent.extensions.iter().any(|extension| extension.id == *member);
    let members = before.members.iter().filter(|member| !is_own(member)).copied().collect();
    let body = serde_json::json!({ "members": before.members });
    let patch = GroupPatch { members: Some(members), ..GroupPatch::default() };
    let after = groups::update(&mut change, tenant, group, patch, Some(before.version)).await?;
    change.commit().await?;
    // Back to the question that the group stood in the way of.
    let page = if form.value("next") == "delete" { "/delete" } else { "" };
    let to = format!("/app/agents/{id}{page}");
    let (method, path) = ("PATCH".into(), format!("/v1/tenants/{tenant}/groups/{group}"));
    let inverse = Inverse { method, path, body, version: Some(after.version), to: to.clone() };
    done_undoable(&visitor, &to, "agents.left_group", inverse).await
}

/// What leads to an agent's phones, and must lead elsewhere before they can be deleted.
async fn obstacles(visitor: &Visitor, actor: &Actor, agent: &Agent) -> Result<Vec<Obstacle>, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let mut obstacles = Vec::new();
    for group in groups_of(visitor, actor, agent).await? {
        let text = format!("{} {}", visitor.shell.t("kind.group"), group.name);
        obstacles.push(Obstacle {
            text,
            action: Some(format!("/app/agents/{}/groups/{}/leave", agent.user.id, group.id)),
            page: None,
        });
    }
    let mut db = visitor.api.read(actor).await?;
    let ids = agent.extensions.iter().map(|extension| extension.id).collect::<Vec<_>>();
    for id in &ids {
        for user in destinations::users_of(&mut db, tenant, Target::extension(*id), &ids).await? {
            let text = user_of(&visitor.shell, &user);
            if !obstacles.iter().any(|known| known.text == text) {
                let page = page_of_kind(user.kind.as_str()).map(|page| format!("{page}/{}", user.id));
                obstacles.push(Obstacle { text, action: None, page });
            }
        }
    }
    Ok(obstacles)
}

async fn delete_question<'a>(visitor: &'a Visitor, actor: &Actor, agent: &Agent) -> Result<Confirm<'a>, Turned> {
    Ok(Confirm {
        s: &visitor.shell,
        title: "agents.delete_title",
        what: format!("{} {} · {}", agent.user.first_name, agent.user.last_name, agent.user.email),
        text: "agents.delete_text",
        obstacles: obstacles(visitor, actor, agent).await?,
        action: format!("/app/agents/{}/delete", agent.user.id),
        submit: "agents.delete",
        back: format!("/app/agents/{}", agent.user.id),
        version: agent.user.version,
        error: None,
        changed: false,
    })
}

#[get("/app/agents/{id}/delete")]
async fn delete_page(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Write)?;
    visitor.shell.active = "agents";
    let agent = read(&visitor, &actor, *id).await?;
    delete_question(&visitor, &actor, &agent).await?.ask()
}

#[post("/app/agents/{id}/delete")]
async fn delete_send(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Agents, Level::Write, &form).await?;
    visitor.shell.active = "agents";
    let tenant = Visitor::in_tenant(&actor)?;
    let agent = read(&visitor, &actor, *id).await?;
    let maker = Maker::new(&visitor.api.auth.public_url, actor.role);
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let deleted = match form.version() {
        Ok(version) => agents::delete(&mut change, maker, tenant, *id, Some(version)).await,
        Err(error) => Err(error),
    };
    match deleted {
        Ok(()) => {
            change.commit().await?;
            Ok(done("/app/agents", "agents.was_deleted"))
        }
        Err(error) => {
            drop(change);
            let question = delete_question(&visitor, &actor, &agent).await?;
            // The list of obstacles already says this.
            if is_in_use(&error) && !question.obstacles.is_empty() {
                return wrong(&question);
            }
            question.again(error)
        }
    }
}
