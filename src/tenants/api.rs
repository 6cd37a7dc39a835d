//! `/v1/tenants`: the platform's customers.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{NewTenant, Tenant, TenantPatch, create, delete, store, update};
use crate::http::{
    Api,
    actor::Actor,
    input,
    page::{Page, PageQuery},
    problem::Problem,
    write::{self, Outcome, Write},
};

/// Create a tenant
#[utoipa::path(tag = "tenants", request_body = NewTenant, responses((status = 201, body = Tenant), (status = 409, body = Problem)))]
#[post("/v1/tenants")]
pub async fn create_tenant(api: Data<Api>, actor: Actor, write: Write, body: Bytes) -> Result<HttpResponse, Problem> {
    actor.platform()?;
    let new: NewTenant = input::parse(&body)?;
    let work = async |change: &mut _| {
        let tenant = create(change, new).await?;
        Outcome::created(&tenant, tenant.version, format!("/v1/tenants/{}", tenant.id))
    };
    write.run(&api, &actor, &body, work).await
}

/// List tenants
#[utoipa::path(tag = "tenants", params(PageQuery), responses((status = 200, body = Page<Tenant>)))]
#[get("/v1/tenants")]
pub async fn list_tenants(api: Data<Api>, actor: Actor, page: Query<PageQuery>) -> Result<Json<Page<Tenant>>, Problem> {
    let window = page.window()?;
    let tenants = store::list(api.pool(), actor.tenant, window).await?;
    Ok(Json(window.page(tenants, |tenant| tenant.id)))
}

/// Show a tenant
#[utoipa::path(tag = "tenants", responses((status = 200, body = Tenant), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}")]
pub async fn show_tenant(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let id = actor.in_tenant(path.into_inner())?;
    let tenant = store::get(api.pool(), id).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    Ok(write::shown(&tenant, tenant.version))
}

/// Change a tenant
#[utoipa::path(tag = "tenants", request_body = TenantPatch, responses((status = 200, body = Tenant), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}")]
pub async fn update_tenant(
    api: Data<Api>,
    actor: Actor,
    write: Write,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    actor.platform()?;
    let patch: TenantPatch = input::parse(&body)?;
    let work = async |change: &mut _| {
        let tenant = update(change, *path, patch, write.if_match).await?;
        Outcome::changed(&tenant, tenant.version)
    };
    write.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    /// Also delete the tenant's extensions, groups and numbers.
    #[serde(default)]
    cascade: bool,
}

/// Delete a tenant
#[utoipa::path(tag = "tenants", params(DeleteQuery), responses((status = 204), (status = 409, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}")]
pub async fn delete_tenant(
    api: Data<Api>,
    actor: Actor,
    write: Write,
    path: Path<Uuid>,
    query: Query<DeleteQuery>,
) -> Result<HttpResponse, Problem> {
    actor.platform()?;
    let work = async |change: &mut _| {
        delete(change, *path, query.cascade, write.if_match).await?;
        Ok(Outcome::deleted())
    };
    write.run(&api, &actor, b"", work).await
}
