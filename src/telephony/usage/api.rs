//! `/v1/usage`: what a tenant used in a month. `/v1/tenants/{id}/usage-limits`: how much it means to use.

use actix_web::{
    HttpResponse, get, patch,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Usage, UsageLimits, UsageLimitsPatch, first_of, of_month, store, update};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    telephony::reports,
    tenancy::{Api, TenantQuery, auth::actor::Actor},
};

#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// Such as `2026-11`; this month if absent.
    pub month: Option<String>,
}

/// Show what a tenant used in a month
#[utoipa::path(tag = "reports", params(TenantQuery, UsageQuery), responses((status = 200, body = Usage), (status = 404, body = Problem)))]
#[get("/v1/usage")]
pub async fn show_usage(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<UsageQuery>,
) -> Result<Json<Usage>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let mut db = api.snapshot(&actor).await?;
    let whose = reports::store::whose(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let first = first_of(query.month.as_deref(), whose.today)?;
    Ok(Json(of_month(&mut db, tenant, &whose, first).await?))
}

/// Show how much a tenant means to use in a month
#[utoipa::path(tag = "tenants", responses((status = 200, body = UsageLimits), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/usage-limits")]
pub async fn show_usage_limits(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let limits = store::limits(&mut *api.read(&actor).await?, tenant).await?;
    let limits = limits.ok_or_else(|| Problem::not_found("tenant"))?;
    let version = limits.version;
    Ok(change::shown(&limits, version))
}

/// Change how much a tenant means to use in a month
///
/// At 80 and 100 % of a limit, owners and administrators get a mail, and webhooks with the topic `usage:alert` an event: each once a month, and again
/// if the limit changes. Nothing is refused because of it.
#[utoipa::path(tag = "tenants", request_body = UsageLimitsPatch, responses((status = 200, body = UsageLimits), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/usage-limits")]
pub async fn update_usage_limits(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let patch: UsageLimitsPatch = input::parse(&body)?;
    let if_match = request.if_match;
    let work = async |change: &mut _| {
        let limits = update(change, tenant, patch, if_match).await?;
        let version = limits.version;
        Outcome::changed(&limits, version)
    };
    request.quietly().run(&api, &actor, &body, work).await
}
