//! `/v1/admin/agents`: a tenant's people and their phones.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Agent, AgentPatch, CreatedAgent, Maker, NewAgent,
    bulk::{self, NewAgents, Report},
    create, delete, store, update,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::paging::{Page, PageQuery},
    model::user::UserStatus,
    node::apart::apart,
    tenancy::{
        Api, TenantQuery,
        auth::{actor::Actor, rules::Role},
    },
};

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
    let new: NewAgent = input::parse(&body)?;
    let work = async |change: &mut _| {
        let made = create(change, maker(&api, &actor), tenant, new).await?;
        Outcome::created(&made, made.user.version, format!("/v1/admin/agents/{}", made.user.id))
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
    #[param(inline)]
    status: Option<UserStatus>,
    #[param(inline)]
    role: Option<Role>,
}

/// List agents
#[utoipa::path(tag = "agents", params(TenantQuery, ListQuery, PageQuery), responses((status = 200, body = Page<Agent>)))]
#[get("/v1/admin/agents")]
pub async fn list_agents(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<ListQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Agent>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let window = page.window()?;
    let query = query.into_inner();
    let filter = store::Filter { search: query.search, status: query.status, role: query.role };
    Ok(Json(store::page(&mut *api.read(&actor).await?, tenant, &filter, window).await?))
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
    let agent = store::get(&mut *api.read(&actor).await?, tenant, *path).await?;
    let agent = agent.ok_or_else(|| Problem::not_found("agent"))?;
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
    let patch: AgentPatch = input::parse(&body)?;
    let work = async |change: &mut _| {
        let agent = update(change, maker(&api, &actor), tenant, *path, patch, request.if_match).await?;
        Outcome::changed(&agent, agent.user.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete an agent; the numbers rest for 30 days
#[utoipa::path(tag = "agents", params(TenantQuery), responses((status = 204), (status = 409, body = Problem)))]
#[delete("/v1/admin/agents/{id}")]
pub async fn delete_agent(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let work = async |change: &mut _| {
        delete(change, maker(&api, &actor), tenant, *path, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}
