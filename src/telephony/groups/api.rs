//! `/v1/tenants/{tenant_id}/groups`: extensions that ring together.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use uuid::Uuid;

use super::{Group, GroupPatch, NewGroup, create, delete, store, update};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::paging::{Page, PageQuery},
    tenancy::{Api, auth::actor::Actor},
};

/// Create a group
#[utoipa::path(tag = "groups", request_body = NewGroup, responses((status = 201, body = Group), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/groups")]
pub async fn create_group(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let new: NewGroup = input::parse(&body)?;
    let work = async |change: &mut _| {
        let group = create(change, tenant, new).await?;
        Outcome::created(&group, group.version, format!("/v1/tenants/{tenant}/groups/{}", group.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// List a tenant's groups
#[utoipa::path(tag = "groups", params(PageQuery), responses((status = 200, body = Page<Group>)))]
#[get("/v1/tenants/{tenant_id}/groups")]
pub async fn list_groups(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Group>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let window = page.window()?;
    crate::tenancy::tenants::store::get(&mut *api.read(&actor).await?, tenant)
        .await?
        .ok_or_else(|| Problem::not_found("tenant"))?;
    let groups = store::list(&mut *api.read(&actor).await?, tenant, window).await?;
    Ok(Json(window.page(groups, |group| group.id)))
}

/// Show a group
#[utoipa::path(tag = "groups", responses((status = 200, body = Group), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/groups/{id}")]
pub async fn show_group(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let group = store::get(&mut *api.read(&actor).await?, actor.in_tenant(tenant)?, id).await?;
    let group = group.ok_or_else(|| Problem::not_found("group"))?;
    Ok(change::shown(&group, group.version))
}

/// Change a group
#[utoipa::path(tag = "groups", request_body = GroupPatch, responses((status = 200, body = Group), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/groups/{id}")]
pub async fn update_group(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let patch: GroupPatch = input::parse(&body)?;
    let work = async |change: &mut _| {
        let group = update(change, tenant, id, patch, request.if_match).await?;
        Outcome::changed(&group, group.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a group
#[utoipa::path(tag = "groups", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/groups/{id}")]
pub async fn delete_group(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let work = async |change: &mut _| {
        delete(change, tenant, id, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}
