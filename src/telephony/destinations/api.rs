//! `/v1/tenants/{tenant_id}/destinations`: what calls lead to besides extensions and groups.

use actix_web::{
    HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    CreatedDestination, Destination, DestinationPatch, NewDestination, create, delete, put as equal, store, update,
};
use crate::model::destination::TargetKind;
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{Page, PageQuery},
        put::Put,
    },
    tenancy::{Api, auth::actor::Actor},
    text::{Code, DisplayName},
};

/// Create a destination
#[utoipa::path(tag = "destinations", request_body = NewDestination, responses((status = 201, body = CreatedDestination), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/destinations")]
pub async fn create_destination(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let new: NewDestination = input::parse(&body)?;
    let work = async |change: &mut _| {
        let made = create(change, tenant, new).await?;
        let location = format!("/v1/tenants/{tenant}/destinations/{}", made.destination.id);
        Outcome::created(&made, made.destination.version, location)
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct KindQuery {
    /// Only those of this kind.
    #[param(inline)]
    kind: Option<TargetKind>,
}

/// List a tenant's destinations
#[utoipa::path(tag = "destinations", params(KindQuery, PageQuery), responses((status = 200, body = Page<Destination>)))]
#[get("/v1/tenants/{tenant_id}/destinations")]
pub async fn list_destinations(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<KindQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Destination>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let window = page.window()?;
    crate::tenancy::tenants::store::get(&mut *api.read(&actor).await?, tenant)
        .await?
        .ok_or_else(|| Problem::not_found("tenant"))?;
    let destinations = store::list(&mut *api.read(&actor).await?, tenant, query.kind, window).await?;
    Ok(Json(window.page(destinations, |destination| destination.id)))
}

/// Show a destination
#[utoipa::path(tag = "destinations", responses((status = 200, body = Destination), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/destinations/{id}")]
pub async fn show_destination(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let destination = store::get(&mut *api.read(&actor).await?, actor.in_tenant(tenant)?, id).await?;
    let destination = destination.ok_or_else(|| Problem::not_found("destination"))?;
    Ok(change::shown(&destination, destination.version))
}

/// Change a destination
#[utoipa::path(tag = "destinations", request_body = DestinationPatch, responses((status = 200, body = Destination), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/destinations/{id}")]
pub async fn update_destination(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let patch = input::patch::<DestinationPatch, Destination>(&body)?;
    let work = async |change: &mut _| {
        let destination = update(change, tenant, id, patch, request.if_match).await?;
        Outcome::changed(&destination, destination.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a destination
#[utoipa::path(tag = "destinations", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/destinations/{id}")]
pub async fn delete_destination(
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

/// Look a destination up by its kind and name
#[utoipa::path(tag = "destinations", responses((status = 200, body = Destination), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/destinations/by-name/{kind}/{name}")]
pub async fn destination_by_name(
    api: Data<Api>,
    actor: Actor,
    path: Path<(Uuid, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, kind, name) = path.into_inner();
    let name = DisplayName::parse(&name).map_err(|_| Problem::not_found("destination"))?;
    let kind = TargetKind::named(&kind).ok_or_else(|| Problem::not_found("destination"))?;
    let found = equal::only(&mut *api.read(&actor).await?, actor.in_tenant(tenant)?, kind, &name).await?;
    let destination = found.ok_or_else(|| Problem::not_found("destination"))?;
    Ok(change::shown(&destination, destination.version))
}

/// Make a destination equal to this, by its kind and name
///
/// Creates it if there is none. A PIN stays as it is unless one is given.
#[utoipa::path(tag = "destinations", request_body = NewDestination, responses((status = 200, body = Destination), (status = 201, body = CreatedDestination), (status = 409, body = Problem), (status = 412, body = Problem)))]
#[put("/v1/tenants/{tenant_id}/destinations/by-name/{kind}/{name}")]
pub async fn put_destination(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, kind, name) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let new: NewDestination = input::parse(&body)?;
    if TargetKind::named(&kind) != Some(new.kind) {
        return Err(Error::invalid("kind", Code::NotThePathsName).into());
    }
    if new.name.as_str() != name {
        return Err(Error::invalid("name", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let put = equal::put(change, tenant, new, request.if_match).await?;
        let destination = match &put {
            Put::Made(made) => &made.destination,
            Put::Is(destination) => destination,
        };
        Outcome::put(&put, destination.version, format!("/v1/tenants/{tenant}/destinations/{}", destination.id))
    };
    request.run(&api, &actor, &body, work).await
}
