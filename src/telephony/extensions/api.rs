//! `/v1/tenants/{tenant_id}/extensions`: the SIP accounts of a tenant.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    CreatedExtension, Extension, ExtensionPatch, ExtensionStatus, NewExtension, RotatedSecret, check_own, create,
    delete, store, update,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::paging::{Page, PageQuery},
    tenancy::{Api, auth::actor::Actor},
};

/// Create an extension
///
/// Only this answer shows its SIP password and voicemail PIN.
#[utoipa::path(tag = "extensions", request_body = NewExtension, responses((status = 201, body = CreatedExtension), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/extensions")]
pub async fn create_extension(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let new: NewExtension = input::parse(&body)?;
    let work = async |change: &mut _| {
        let created = create(change, tenant, new).await?;
        let location = format!("/v1/tenants/{tenant}/extensions/{}", created.extension.id);
        Outcome::created(&created, created.extension.version, location)
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// Only the extension with this number, alias or SIP username.
    name: Option<String>,
}

/// List a tenant's extensions
#[utoipa::path(tag = "extensions", params(NameQuery, PageQuery), responses((status = 200, body = Page<Extension>)))]
#[get("/v1/tenants/{tenant_id}/extensions")]
pub async fn list_extensions(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<NameQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Extension>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let window = page.window()?;
    crate::tenancy::tenants::store::get(&mut *api.read(&actor).await?, tenant)
        .await?
        .ok_or_else(|| Problem::not_found("tenant"))?;
    let filter = store::Filter { name: query.name.as_deref(), user: actor.only_own() };
    let extensions = store::list(&mut *api.read(&actor).await?, tenant, filter, window).await?;
    Ok(Json(window.page(extensions, |extension| extension.id)))
}

/// Show an extension
#[utoipa::path(tag = "extensions", responses((status = 200, body = Extension), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/extensions/{id}")]
pub async fn show_extension(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let extension = store::get(&mut *api.read(&actor).await?, actor.in_tenant(tenant)?, id).await?;
    let own = actor.only_own();
    let extension = extension.filter(|extension| {
        extension.status != ExtensionStatus::Deleted && own.is_none_or(|own| extension.user_id == Some(own))
    });
    let extension = extension.ok_or_else(|| Problem::not_found("extension"))?;
    Ok(change::shown(&extension, extension.version))
}

/// Change an extension
#[utoipa::path(tag = "extensions", request_body = ExtensionPatch, responses((status = 200, body = Extension), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/extensions/{id}")]
pub async fn update_extension(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let mut patch: ExtensionPatch = input::parse(&body)?;
    let work = async |change: &mut _| {
        if let Some(own) = actor.only_own() {
            check_own(change, tenant, id, own, &mut patch).await?;
        }
        let extension = update(change, tenant, id, patch, request.if_match).await?;
        Outcome::changed(&extension, extension.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Make a new SIP password
///
/// Only this answer shows it. The old password is refused at once.
#[utoipa::path(tag = "extensions", responses((status = 200, body = RotatedSecret), (status = 404, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/extensions/{id}/rotate-secret")]
pub async fn rotate_secret(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let work = async |change: &mut _| {
        let rotated = super::rotate_secret(change, tenant, id, request.if_match).await?;
        Outcome::changed(&rotated, rotated.version)
    };
    request.run(&api, &actor, b"", work).await
}

/// Delete an extension
#[utoipa::path(tag = "extensions", responses((status = 204), (status = 409, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/extensions/{id}")]
pub async fn delete_extension(
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
