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
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{Page, PageQuery},
        put::Put,
        sorting::{CREATED, SortQuery},
    },
    tenancy::{Api, auth::actor::Actor},
    text::{Code, DisplayName},
};

labels::labelled!(Destination, Destination, |it| Some(it.tenant_id));
labels::labelled!(CreatedDestination.destination);

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
    let With { body: new, labels }: With<NewDestination> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let made = create(change, tenant, new).await?;
        let made = labels::made(change, made, labels).await?;
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
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
    /// Only the one with this number.
    number: Option<String>,
}

/// What the list can be sorted by.
const SORTS: [&str; 4] = [CREATED, "name", "number", "kind"];

/// List a tenant's destinations
///
/// It can be sorted by `created_at`, `name`, `number` or `kind`.
#[utoipa::path(tag = "destinations", params(KindQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Destination>)))]
#[get("/v1/tenants/{tenant_id}/destinations")]
pub async fn list_destinations(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<KindQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Destination>>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    crate::tenancy::tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let sorted = named.sorted(&mut db, Kind::Destination, Some(tenant), sorted).await?;
    let KindQuery { kind, name, number } = query.into_inner();
    let destinations = store::list(&mut *db, tenant, &store::Filter { kind, name, number }, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(destinations, |destination| destination.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(destination: &Destination, by: &str) -> String {
    match by {
        "name" => destination.name.to_string(),
        "number" => destination.number.as_ref().map(ToString::to_string).unwrap_or_default(),
        "kind" => destination.config.kind().as_str().to_owned(),
        _ => String::new(),
    }
}

/// Show a destination
#[utoipa::path(tag = "destinations", responses((status = 200, body = Destination), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/destinations/{id}")]
pub async fn show_destination(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let mut db = api.read(&actor).await?;
    let destination = store::get(&mut *db, actor.in_tenant(tenant)?, id).await?;
    let destination = destination.ok_or_else(|| Problem::not_found("destination"))?;
    let destination = labels::of(&mut db, destination).await?;
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
    let With { body: patch, labels } = input::patch::<With<DestinationPatch>, Destination>(&body)?;
    let work = async |change: &mut _| {
        let destination = update(change, tenant, id, patch, request.if_match).await?;
        let destination = labels::changed(change, destination, labels).await?;
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
    let mut db = api.read(&actor).await?;
    let found = equal::only(&mut db, actor.in_tenant(tenant)?, kind, &name).await?;
    let destination = found.ok_or_else(|| Problem::not_found("destination"))?;
    let destination = labels::of(&mut db, destination).await?;
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
    let With { body: new, labels }: With<NewDestination> = input::parse(&body)?;
    if TargetKind::named(&kind) != Some(new.kind) {
        return Err(Error::invalid("kind", Code::NotThePathsName).into());
    }
    if new.name.as_str() != name {
        return Err(Error::invalid("name", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let put = equal::put(change, tenant, new, request.if_match).await?;
        let put = labels::put(change, put, labels).await?;
        let destination: &Destination = match &put {
            Put::Made(made) => &made.destination,
            Put::Is(destination) => destination,
        };
        Outcome::put(&put, destination.version, format!("/v1/tenants/{tenant}/destinations/{}", destination.id))
    };
    request.run(&api, &actor, &body, work).await
}
