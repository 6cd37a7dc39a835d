//! `/v1/sandbox/calls`: calls of a tenant that is there for tests, which are played.

use actix_web::{
    HttpResponse, get, post,
    web::{Bytes, Data, Json, Path, Query},
};
use uuid::Uuid;

use super::{NewSandboxCall, SandboxCall, begin, prepare, store};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        paging::{self, Page, PageQuery},
        sorting::SortQuery,
    },
    node::changes::Change,
    switch::live::Live,
    tenancy::{Api, TenantQuery, auth::actor::Actor, tenants},
    text::Code,
};

/// Play a call
///
/// Only for a tenant that was created as a sandbox. Routing decides who would be rung, as for every call, and `outcome` says what becomes of
/// it: events, webhooks, agents and live calls show it while it goes on, and calls, reports and usage when it is over. Nobody is called.
#[utoipa::path(tag = "sandbox", request_body = NewSandboxCall, params(TenantQuery), responses((status = 201, body = SandboxCall), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/sandbox/calls")]
pub async fn play_call(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let new: NewSandboxCall = input::parse(&body)?;
    let names = live.names.of(tenant, live.generations(), api.pool()).await;
    let play = prepare(&mut *api.pool().acquire().await?, &names, tenant, &new).await?;
    let place = actor.place(tenant, "");
    let work = async |change: &mut Change| {
        let call = begin(change.db(), &play).await?;
        let location = format!("/v1/sandbox/calls/{}{place}", call.id);
        Outcome::made_at(&call, location)
    };
    let answer = request.quietly().run(&api, &actor, &body, work).await?;
    live.plays.notify_one();
    Ok(answer)
}

/// List the calls that were played lately, newest first
///
/// With `sort=began_at`, the oldest come first.
#[utoipa::path(tag = "sandbox", params(TenantQuery, SortQuery, PageQuery), responses((status = 200, body = Page<SandboxCall>), (status = 409, body = Problem)))]
#[get("/v1/sandbox/calls")]
pub async fn list_played_calls(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<SandboxCall>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let way = sort.way(&page, "-began_at")?;
    let after = way.after().map(|key| {
        let place = key.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
        place.ok_or_else(paging::wrong_cursor)
    });
    let after: Option<(i64, Uuid)> = after.transpose()?;
    let mut db = api.read(&actor).await?;
    is_sandbox(tenants::store::get(&mut *db, tenant).await?)?;
    let calls = store::list(&mut *db, tenant, way.is_down, after, way.fetch()).await?;
    let calls = calls.iter().map(|kept| SandboxCall::of(&kept.play, kept.over)).collect();
    Ok(Json(way.page(calls, |call: &SandboxCall| format!("{} {}", call.began_at.timestamp_millis(), call.id))))
}

fn is_sandbox(tenant: Option<tenants::Tenant>) -> Result<(), Problem> {
    let tenant = tenant.ok_or_else(|| Problem::not_found("tenant"))?;
    if tenant.sandbox { Ok(()) } else { Err(Code::NotASandbox.into()) }
}

/// Show a call that was played
#[utoipa::path(tag = "sandbox", params(TenantQuery), responses((status = 200, body = SandboxCall), (status = 404, body = Problem)))]
#[get("/v1/sandbox/calls/{id}")]
pub async fn show_played_call(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    tenant: Query<TenantQuery>,
) -> Result<Json<SandboxCall>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let kept = store::get(&mut *api.read(&actor).await?, tenant, *path).await?;
    let kept = kept.ok_or_else(|| Problem::not_found("call"))?;
    Ok(Json(SandboxCall::of(&kept.play, kept.over)))
}
