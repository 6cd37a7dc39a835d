//! `/v1/tenants/{tenant_id}/numbers`: phone numbers and where they lead.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use uuid::Uuid;

use super::{NewNumber, Number, NumberPatch, create, delete, store, update};
use crate::http::{
    Api,
    actor::Actor,
    input,
    page::{Page, PageQuery},
    problem::Problem,
    write::{self, Outcome, Write},
};

/// Create a number
#[utoipa::path(tag = "numbers", request_body = NewNumber, responses((status = 201, body = Number), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/numbers")]
pub async fn create_number(
    api: Data<Api>,
    actor: Actor,
    write: Write,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let new: NewNumber = input::parse(&body)?;
    let work = async |change: &mut _| {
        let number = create(change, tenant, new).await?;
        Outcome::created(&number, number.version, format!("/v1/tenants/{tenant}/numbers/{}", number.id))
    };
    write.run(&api, &actor, &body, work).await
}

/// List a tenant's numbers
#[utoipa::path(tag = "numbers", params(PageQuery), responses((status = 200, body = Page<Number>)))]
#[get("/v1/tenants/{tenant_id}/numbers")]
pub async fn list_numbers(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Number>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let window = page.window()?;
    crate::tenants::store::get(&mut *api.read(&actor).await?, tenant)
        .await?
        .ok_or_else(|| Problem::not_found("tenant"))?;
    let numbers = store::list(&mut *api.read(&actor).await?, tenant, actor.only_own(), window).await?;
    Ok(Json(window.page(numbers, |number| number.id)))
}

/// Show a number
#[utoipa::path(tag = "numbers", responses((status = 200, body = Number), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/numbers/{id}")]
pub async fn show_number(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let mut db = api.read(&actor).await?;
    let number = match actor.only_own() {
        Some(user) if !store::leads_to(&mut *db, tenant, id, user).await? => None,
        _ => store::get(&mut *db, tenant, id).await?,
    };
    let number = number.ok_or_else(|| Problem::not_found("number"))?;
    Ok(write::shown(&number, number.version))
}

/// Change a number
#[utoipa::path(tag = "numbers", request_body = NumberPatch, responses((status = 200, body = Number), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/numbers/{id}")]
pub async fn update_number(
    api: Data<Api>,
    actor: Actor,
    write: Write,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let patch: NumberPatch = input::parse(&body)?;
    let work = async |change: &mut _| {
        let number = update(change, tenant, id, patch, write.if_match).await?;
        Outcome::changed(&number, number.version)
    };
    write.run(&api, &actor, &body, work).await
}

/// Delete a number
#[utoipa::path(tag = "numbers", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/numbers/{id}")]
pub async fn delete_number(
    api: Data<Api>,
    actor: Actor,
    write: Write,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let work = async |change: &mut _| {
        delete(change, tenant, id, write.if_match).await?;
        Ok(Outcome::deleted())
    };
    write.run(&api, &actor, b"", work).await
}
