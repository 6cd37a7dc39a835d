//! `/v1/agents/{id}/…`: an agent's status, the time after a call, and how they were.

use std::collections::BTreeSet;

use actix_web::{
    HttpResponse, get, put,
    web::{Bytes, Data, Json, Path, Query},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    AgentActivity, AgentStatus, LONGEST_WRAP_UP, NewStatus, NewWrapUp, set, set_wrap_up,
    store::{self, Span},
};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        agent_status::Chosen,
        error::Error,
        moment,
        paging::{self, Page, PageQuery},
        sorting::SortQuery,
    },
    switch::live::{
        Live,
        agents::{self, AgentNow},
        show::Scope,
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::Code,
};

/// Whose status is meant: an agent's own, unless somebody may see or set everybody's.
fn whose(actor: &Actor, tenant: &TenantQuery, agent: Uuid) -> Result<Uuid, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    match actor.only_own() {
        Some(own) if own != agent => Err(Problem::not_found("agent")),
        _ => Ok(tenant),
    }
}

/// Who sets it, if not the agent.
fn setter(actor: &Actor, agent: Uuid) -> Option<String> {
    (actor.user().ok() != Some(agent)).then(|| actor.name.chars().take(200).collect())
}

/// How somebody is right now. `chosen`: what is about to be kept of them.
async fn entry(api: &Api, live: &Live, tenant: Uuid, agent: Uuid, chosen: Option<&Chosen>) -> Option<AgentNow> {
    let names = live.names.of(tenant, live.generations(), api.pool()).await;
    let scope = Scope { tenant: Some(tenant), ..Scope::default() };
    let username = names.people(None).remove(&agent)?.first()?.sip_username.clone();
    let mut all = agents::of_tenant(&scope, live, tenant, &names, Some(&BTreeSet::from([username]))).entries;
    let at = all.iter().position(|entry| entry.person() == Some(agent))?;
    let mut entry = all.swap_remove(at);
    if let Some(chosen) = chosen {
        entry.parts.chosen = Some(Some(chosen.clone()));
        entry.shown = entry.parts.shown(Utc::now().timestamp_micros());
    }
    Some(entry)
}

fn status(tenant: Uuid, agent: Uuid, chosen: Option<Chosen>, entry: Option<&AgentNow>) -> AgentStatus {
    AgentStatus {
        tenant_id: tenant,
        agent_id: agent,
        status: chosen.as_ref().map(|one| one.status).unwrap_or_default(),
        cause: chosen.as_ref().and_then(|one| one.cause),
        since: chosen.as_ref().map(|one| one.since),
        set_by: chosen.as_ref().and_then(|one| one.set_by.clone()),
        reason: chosen.and_then(|one| one.reason),
        now: entry.map(AgentNow::view),
    }
}

/// Show an agent's status, and how they are right now
///
/// Whoever never chose a status is available.
#[utoipa::path(tag = "agents", params(TenantQuery), responses((status = 200, body = AgentStatus), (status = 404, body = Problem)))]
#[get("/v1/agents/{id}/status")]
pub async fn show_agent_status(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    id: Path<Uuid>,
    query: Query<TenantQuery>,
) -> Result<Json<AgentStatus>, Problem> {
    let tenant = whose(&actor, &query, *id)?;
    let mut db = api.read(&actor).await?;
    if !store::is_there(&mut *db, tenant, *id).await? {
        return Err(Problem::not_found("agent"));
    }
    let chosen = store::get(&mut *db, tenant, *id).await?;
    drop(db);
    let entry = entry(&api, &live, tenant, *id, chosen.as_ref()).await;
    Ok(Json(status(tenant, *id, chosen, entry.as_ref())))
}

/// Set an agent's status
///
/// Agents set their own; managers, administrators and owners anybody's in their tenant. Switches are told within a second. Being in a
/// call, and the time after it, follow the calls: they can't be set.
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = NewStatus, responses((status = 200, body = AgentStatus), (status = 404, body = Problem)))]
#[put("/v1/agents/{id}/status")]
pub async fn set_agent_status(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    request: ChangeRequest,
    id: Path<Uuid>,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = whose(&actor, &query, *id)?;
    let new: NewStatus = input::parse(&body)?;
    let mut kept = None;
    let work = async |change: &mut _| {
        let chosen = set(change, tenant, *id, &new, setter(&actor, *id)).await?;
        let entry = entry(&api, &live, tenant, *id, Some(&chosen)).await;
        kept = Some(chosen.clone());
        Outcome::said(&status(tenant, *id, Some(chosen), entry.as_ref()))
    };
    let answer = request.quietly().run(&api, &actor, &body, work).await?;
    take_over(&live, kept);
    Ok(answer)
}

/// Has this node know at once what it has just committed.
fn take_over(live: &Live, chosen: Option<Chosen>) {
    let news = live.chosen.put(chosen.into_iter().collect());
    live.stirred.tenants(news);
}

/// End the time after a call, or make it longer
///
/// It ends in so many seconds from now. With the next call, it is as long as usual again.
#[utoipa::path(tag = "agents", params(TenantQuery), request_body = NewWrapUp, responses((status = 200, body = AgentStatus), (status = 409, body = Problem)))]
#[put("/v1/agents/{id}/wrap-up")]
pub async fn set_agent_wrap_up(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    request: ChangeRequest,
    id: Path<Uuid>,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = whose(&actor, &query, *id)?;
    let new: NewWrapUp = input::parse(&body)?;
    if new.seconds > LONGEST_WRAP_UP {
        return Err(Error::invalid("seconds", Code::range(0, LONGEST_WRAP_UP)).into());
    }
    if !store::is_there(&mut *api.read(&actor).await?, tenant, *id).await? {
        return Err(Problem::not_found("agent"));
    }
    let known = entry(&api, &live, tenant, *id, None).await;
    // Only right after a call: what is longer ago is over.
    let now = Utc::now().timestamp_micros();
    let ended = known.and_then(|entry| entry.parts.wrap_up()).filter(|(_, until)| *until > now);
    let of = ended.map(|(ended, _)| ended).ok_or(Code::NoWrapUp)?;
    let mut kept = None;
    let work = async |change: &mut _| {
        let chosen = set_wrap_up(change, tenant, *id, of, new).await?;
        let entry = entry(&api, &live, tenant, *id, Some(&chosen)).await;
        kept = Some(chosen.clone());
        Outcome::said(&status(tenant, *id, Some(chosen), entry.as_ref()))
    };
    let answer = request.quietly().run(&api, &actor, &body, work).await?;
    take_over(&live, kept);
    Ok(answer)
}

/// Which time is asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Only what lasted until this time or longer.
    from: Option<DateTime<Utc>>,
    /// Only what began before this time.
    to: Option<DateTime<Utc>>,
}

fn key(at: DateTime<Utc>, id: Uuid) -> String {
    format!("{} {id}", at.timestamp_micros())
}

fn read_key(key: &str) -> Result<(DateTime<Utc>, Uuid), Error> {
    let (at, id) = key.split_once(' ').ok_or_else(paging::wrong_cursor)?;
    let at = at.parse().ok().and_then(DateTime::from_timestamp_micros).ok_or_else(paging::wrong_cursor)?;
    Ok((at, id.parse().map_err(|_| paging::wrong_cursor())?))
}

/// List how an agent was, the latest first
///
/// Every change of what `/v1/live/agents` shows: what was chosen, calls, and the time after them. An entry without an end is how they are
/// now. With `sort=started_at`, the first come first.
#[utoipa::path(tag = "agents", params(TenantQuery, ActivityQuery, SortQuery, PageQuery), responses((status = 200, body = Page<AgentActivity>), (status = 404, body = Problem)))]
#[get("/v1/agents/{id}/activity")]
pub async fn list_agent_activity(
    api: Data<Api>,
    actor: Actor,
    id: Path<Uuid>,
    query: Query<TenantQuery>,
    span: Query<ActivityQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<AgentActivity>>, Problem> {
    let tenant = whose(&actor, &query, *id)?;
    moment::check_query("from", span.from)?;
    moment::check_query("to", span.to)?;
    let way = sort.way(&page, "-started_at")?;
    let after = way.after().map(read_key).transpose()?;
    let mut db = api.read(&actor).await?;
    if !store::is_there(&mut *db, tenant, *id).await? {
        return Err(Problem::not_found("agent"));
    }
    let span = Span { from: span.from, to: span.to, is_down: way.is_down, after, limit: way.fetch() };
    let found = store::activity(&mut *db, tenant, *id, span).await?;
    Ok(Json(way.page(found, |one| key(one.started_at, one.id))))
}
