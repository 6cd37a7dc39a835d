//! `/v1/tenants/{id}/retention`: how long a tenant's data is kept.

use actix_web::{
    HttpResponse, get, patch,
    web::{Bytes, Data, Path},
};
use uuid::Uuid;

use super::{PeriodsPatch, ShownPeriods, store, update};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    tenancy::{Api, auth::actor::Actor},
};

/// Show how long a tenant's data is kept
#[utoipa::path(tag = "tenants", responses((status = 200, body = ShownPeriods), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/retention")]
pub async fn show_retention(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let own = store::get(&mut *api.read(&actor).await?, tenant).await?;
    let own = own.ok_or_else(|| Problem::not_found("tenant"))?;
    let version = own.version;
    Ok(change::shown(&ShownPeriods { own, platform: api.retention.into() }, version))
}

/// Change how long a tenant's data is kept, within the platform's bounds
#[utoipa::path(tag = "tenants", request_body = PeriodsPatch, responses((status = 200, body = ShownPeriods), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/retention")]
pub async fn update_retention(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let patch: PeriodsPatch = input::parse(&body)?;
    let retention = api.retention;
    let work = async |change: &mut _| {
        let own = update(change, tenant, patch, &retention, request.if_match).await?;
        let version = own.version;
        Outcome::changed(&ShownPeriods { own, platform: retention.into() }, version)
    };
    request.run(&api, &actor, &body, work).await
}
