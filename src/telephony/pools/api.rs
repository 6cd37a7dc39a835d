//! `/v1/tenants/{tenant_id}/pools` and `/reserved-numbers`: which extension numbers a tenant gives out.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{HeldNumber, NewPool, NewReservation, Pool, PoolPatch, create, delete, release, reserve, store, update};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        sorting::{CREATED, SortQuery},
    },
    tenancy::{Api, auth::actor::Actor, tenants},
};

labels::labelled!(Pool, Pool, |it| Some(it.tenant_id));

/// Create an extension pool
#[utoipa::path(tag = "pools", request_body = NewPool, responses((status = 201, body = Pool), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/pools")]
pub async fn create_pool(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let With { body: new, labels }: With<NewPool> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let pool = create(change, tenant, new).await?;
        let pool = labels::made(change, pool, labels).await?;
        Outcome::created(&pool, pool.version, format!("/v1/tenants/{tenant}/pools/{}", pool.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// What the list can be sorted by.
const SORTS: [&str; 2] = [CREATED, "first_number"];

/// List a tenant's extension pools, with how much of each is used
///
/// It can be sorted by `created_at` or `first_number`.
#[utoipa::path(tag = "pools", params(ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Pool>)))]
#[get("/v1/tenants/{tenant_id}/pools")]
pub async fn list_pools(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Pool>>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let sorted = named.sorted(&mut db, Kind::Pool, Some(tenant), sorted).await?;
    let pools = store::list(&mut *db, tenant, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(pools, |pool| pool.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(pool: &Pool, by: &str) -> String {
    match by {
        "first_number" => pool.first_number.to_string(),
        _ => String::new(),
    }
}

/// Show an extension pool
#[utoipa::path(tag = "pools", responses((status = 200, body = Pool), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/pools/{id}")]
pub async fn show_pool(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let mut db = api.read(&actor).await?;
    let pool = store::get(&mut *db, tenant, id).await?.ok_or_else(|| Problem::not_found("pool"))?;
    let pool = labels::of(&mut db, pool).await?;
    Ok(change::shown(&pool, pool.version))
}

/// Change an extension pool
#[utoipa::path(tag = "pools", request_body = PoolPatch, responses((status = 200, body = Pool), (status = 409, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/pools/{id}")]
pub async fn update_pool(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let With { body: patch, labels } = input::patch::<With<PoolPatch>, Pool>(&body)?;
    let work = async |change: &mut _| {
        let pool = update(change, tenant, id, patch, request.if_match).await?;
        let pool = labels::changed(change, pool, labels).await?;
        Outcome::changed(&pool, pool.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete an extension pool
///
/// Extensions keep the numbers that they have from it.
#[utoipa::path(tag = "pools", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/pools/{id}")]
pub async fn delete_pool(
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

/// Reserve a number, so that nobody gets it
#[utoipa::path(tag = "pools", request_body = NewReservation, responses((status = 201, body = HeldNumber)))]
#[post("/v1/tenants/{tenant_id}/reserved-numbers")]
pub async fn reserve_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let new: NewReservation = input::parse(&body)?;
    let work = async |change: &mut _| {
        let held = reserve(change, tenant, new).await?;
        let location = format!("/v1/tenants/{tenant}/reserved-numbers/{}", held.number);
        Outcome::made_at(&held, location)
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct HeldQuery {
    /// Only this number.
    number: Option<String>,
}

/// List reserved and resting numbers, by number
///
/// With `sort=-number`, the highest come first.
#[utoipa::path(tag = "pools", params(HeldQuery, SortQuery, PageQuery), responses((status = 200, body = Page<HeldNumber>)))]
#[get("/v1/tenants/{tenant_id}/reserved-numbers")]
pub async fn list_reserved_numbers(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<HeldQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<HeldNumber>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let way = sort.way(&page, "number")?;
    let mut db = api.read(&actor).await?;
    tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let held = store::held(&mut *db, tenant, query.number.as_deref(), way.is_down, way.after(), way.fetch()).await?;
    Ok(Json(way.page(held, |held| held.number.clone())))
}

/// Show a reserved or resting number
#[utoipa::path(tag = "pools", responses((status = 200, body = HeldNumber), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/reserved-numbers/{number}")]
pub async fn show_reserved_number(
    api: Data<Api>,
    actor: Actor,
    path: Path<(Uuid, String)>,
) -> Result<Json<HeldNumber>, Problem> {
    let (tenant, number) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let held = store::held_number(&mut *api.read(&actor).await?, tenant, &number).await?;
    held.map(Json).ok_or_else(|| Problem::not_found("reserved number"))
}

/// Release a reserved or resting number
#[utoipa::path(tag = "pools", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/reserved-numbers/{number}")]
pub async fn release_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, String)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, number) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let work = async |change: &mut _| {
        release(change, tenant, &number).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}
