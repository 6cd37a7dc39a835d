//! `/v1/admin/agents`: a tenant's people and their phones.

use actix_web::{
    HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Agent, AgentPatch, CreatedAgent, Maker, NewAgent,
    bulk::{self, NewAgents, Report},
    create, delete, detach, store, update,
};
use crate::{
    http::{
        bulk::{self as of_many, Changes, Deletions},
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{Page, PageQuery},
        put::Put,
        sorting::{CREATED, SortQuery},
        used::UsedKind,
        user::UserStatus,
        which::Which,
    },
    node::{apart::apart, changes::Change},
    tenancy::{
        Api, DetachQuery, TenantQuery,
        auth::{actor::Actor, rules::Role},
        many::Many,
        users::User,
    },
    text::Code,
};

labels::labelled!(User, Agent, |it| it.tenant_id);
labels::labelled!(Agent.user);
labels::labelled!(CreatedAgent.user);

fn maker<'a>(api: &'a Api, actor: &Actor) -> Maker<'a> {
    Maker { is_scoped: !actor.is_unlimited, ..Maker::new(&api.auth.public_url, actor.role) }
}

/// Create an agent: user, extensions, mailboxes, and a mail with a link
///
/// Only this answer shows the SIP passwords and voicemail PINs.
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = NewAgent, responses((status = 201, body = CreatedAgent), (status = 409, body = Problem)))]
#[post("/v1/admin/agents")]
pub async fn create_agent(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let With { body: new, labels }: With<NewAgent> = input::parse(&body)?;
    let work = async |change: &mut Change| {
        if let Some(known) = store::by_email(change.db(), tenant, new.email.as_str()).await? {
            let why = Code::EmailTaken.with("email", &new.email);
            return Err(Error::taken(why, UsedKind::Agent, known.user.id, &known.user.email).into());
        }
        let made = create(change, maker(&api, &actor), tenant, new).await?;
        let made = labels::made(change, made, labels).await?;
        let location = actor.place(tenant, &format!("/v1/admin/agents/{}", made.user.id));
        Outcome::created(&made, made.user.version, location)
    };
    request.run(&api, &actor, &body, work).await
}

/// Create many agents, all or none unless asked otherwise
///
/// Without `partial`, if some lines have errors, the answer is a 422 with the report.
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = NewAgents, responses((status = 201, body = Report), (status = 422, body = Report)))]
#[post("/v1/admin/agents/bulk")]
pub async fn create_agents(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let new: NewAgents = input::parse_apart(&body).await?;
    let partial = new.partial;
    let lines = apart(move || bulk::from_json(new.agents)).await??;
    let _turn = api.turn().await?;
    let work = async |change: &mut _| {
        let report = bulk::create(change, maker(&api, &actor), tenant, lines, partial).await?;
        Outcome::report(&report, report.created > 0)
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Part of a name, an e-mail address or a number.
    search: Option<String>,
    /// Only the one with this e-mail address.
    email: Option<String>,
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
    #[param(inline)]
    status: Option<UserStatus>,
    #[param(inline)]
    role: Option<Role>,
}

/// What may be shown with each agent.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AgentExpand)]
enum Expand {
    Numbers,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ExpandQuery {
    /// `numbers` adds the phone numbers that each of them calls out with.
    #[param(inline)]
    expand: Option<Expand>,
}

/// What the list can be sorted by.
const SORTS: [&str; 3] = [CREATED, "name", "email"];

/// List agents
///
/// It can be sorted by `created_at`, `name` (the last name first) or `email`.
#[utoipa::path(tag = "agents", params(TenantQuery, ListQuery, ExpandQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Agent>)))]
#[get("/v1/admin/agents")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn list_agents(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<ListQuery>,
    expand: Query<ExpandQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Agent>>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let ListQuery { search, email, name, status, role } = query.into_inner();
    let filter = store::Filter { search, email, name, status, role };
    let mut db = api.read(&actor).await?;
    let sorted = named.sorted(&mut db, Kind::Agent, Some(tenant), sorted).await?;
    let mut page = store::page(&mut db, tenant, &filter, sorted).await?;
    if let Some(Expand::Numbers) = expand.expand {
        store::with_numbers(&mut db, tenant, &mut page.items).await?;
    }
    Ok(Json(labels::page(&mut db, page).await?))
}

/// Show an agent
#[utoipa::path(tag = "agents", params(TenantQuery), responses((status = 200, body = Agent), (status = 404, body = Problem)))]
#[get("/v1/admin/agents/{id}")]
pub async fn show_agent(
    api: Data<Api>,
    actor: Actor,
    query: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let mut db = api.read(&actor).await?;
    let agent = store::get(&mut db, tenant, *path).await?;
    let agent = agent.ok_or_else(|| Problem::not_found("agent"))?;
    let agent = labels::of(&mut db, agent).await?;
    Ok(change::shown(&agent, agent.user.version))
}

/// Change, suspend or activate an agent
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = AgentPatch, responses((status = 200, body = Agent), (status = 412, body = Problem)))]
#[patch("/v1/admin/agents/{id}")]
pub async fn update_agent(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let With { body: patch, labels } = input::patch::<With<AgentPatch>, Agent>(&body)?;
    let work = async |change: &mut _| {
        let agent = update(change, maker(&api, &actor), tenant, *path, patch, request.if_match).await?;
        let agent = labels::changed(change, agent, labels).await?;
        Outcome::changed(&agent, agent.user.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete an agent; the numbers rest for 30 days
///
/// What rings their extensions is in the way, unless `detach` is asked for.
#[utoipa::path(tag = "agents", params(TenantQuery, DetachQuery), responses((status = 204), (status = 409, body = Problem)))]
#[delete("/v1/admin/agents/{id}")]
pub async fn delete_agent(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    how: Query<DetachQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    actor.may_detach(how.detach)?;
    let work = async |change: &mut _| {
        if how.detach {
            detach(change, tenant, *path).await?;
        }
        delete(change, maker(&api, &actor), tenant, *path, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Look an agent up by their e-mail address
#[utoipa::path(tag = "agents", params(TenantQuery), responses((status = 200, body = Agent), (status = 404, body = Problem)))]
#[get("/v1/admin/agents/by-email/{email}")]
pub async fn agent_by_email(
    api: Data<Api>,
    actor: Actor,
    query: Query<TenantQuery>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let mut db = api.read(&actor).await?;
    let agent = store::by_email(&mut db, tenant, &path).await?;
    let agent = agent.ok_or_else(|| Problem::not_found("agent"))?;
    let agent = labels::of(&mut db, agent).await?;
    Ok(change::shown(&agent, agent.user.version))
}

/// Make an agent equal to this, by their e-mail address
///
/// Creates them if there is none, and only then shows their SIP passwords and voicemail PINs. Without `numbers`, the extensions of an
/// agent who is there stay as they are.
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = NewAgent, responses((status = 200, body = Agent), (status = 201, body = CreatedAgent), (status = 409, body = Problem), (status = 412, body = Problem)))]
#[put("/v1/admin/agents/by-email/{email}")]
pub async fn put_agent(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    path: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let With { body: new, labels }: With<NewAgent> = input::parse(&body)?;
    if !new.email.as_str().eq_ignore_ascii_case(&path) {
        return Err(Error::invalid("email", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let put = super::put(change, maker(&api, &actor), tenant, new, request.if_match).await?;
        let put = labels::put(change, put, labels).await?;
        let user: &User = match &put {
            Put::Made(made) => &made.user,
            Put::Is(agent) => &agent.user,
        };
        Outcome::put(&put, user.version, actor.place(tenant, &format!("/v1/admin/agents/{}", user.id)))
    };
    request.run(&api, &actor, &body, work).await
}

/// Change many agents, all or none unless asked otherwise
///
/// If nothing was changed because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = Changes<AgentPatch>, responses((status = 200, body = of_many::Report), (status = 422, body = of_many::Report)))]
#[patch("/v1/admin/agents/bulk")]
pub async fn update_agents(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, (which, with): (Which, With<AgentPatch>)| {
        let before = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("agent"))?;
        let after = update(change, maker(&api, &actor), tenant, before.id, with.body, None).await?;
        let after = labels::changed(change, after, with.labels).await?;
        Ok((before.id, of_many::changed(before.version, after.user.version)))
    };
    many.change(one).await
}

/// Delete many agents, all or none unless asked otherwise
///
/// Their numbers rest for 30 days. If nothing was deleted because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = Deletions, responses((status = 200, body = of_many::Report), (status = 422, body = of_many::Report)))]
#[post("/v1/admin/agents/bulk-delete")]
pub async fn delete_agents(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, which: Which, wants_detach| {
        let agent = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("agent"))?;
        if wants_detach {
            detach(change, tenant, agent.id).await?;
        }
        delete(change, maker(&api, &actor), tenant, agent.id, None).await?;
        Ok(agent.id)
    };
    many.delete(|detach| actor.may_detach(detach), one).await
}
