//! `/v1/erasures`: erasing what is kept of one person.

use actix_web::{
    HttpResponse, get, post,
    web::{Bytes, Data, Json, Path, Query},
};
use uuid::Uuid;

use super::{Erasure, NewErasure, create, store};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::paging::{Page, PageQuery},
    tenancy::{Api, TenantQuery, auth::actor::Actor},
};

/// List erasures
#[utoipa::path(tag = "erasures", params(TenantQuery, PageQuery), responses((status = 200, body = Page<Erasure>)))]
#[get("/v1/erasures")]
pub async fn list_erasures(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Erasure>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let window = page.window()?;
    let mut db = api.read(&actor).await?;
    let erasures = store::list(&mut *db, tenant, window).await?;
    Ok(Json(window.page(erasures, |erasure| erasure.id)))
}

/// Erase what is kept of a person
///
/// Their contact is deleted at once. Then a job takes their numbers and names out of calls, records, events and the audit log, and deletes
/// recordings of their calls and messages that they left; it looks again an hour later. Calls, their times and costs stay, so reports don't change. It is
/// refused while a recording of theirs is under a legal hold. Nothing of it can be taken back.
#[utoipa::path(tag = "erasures", params(TenantQuery), request_body = NewErasure, responses((status = 201, body = Erasure), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[post("/v1/erasures")]
pub async fn create_erasure(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let new: NewErasure = input::parse(&body)?;
    let work = async |change: &mut _| {
        let erasure = create(change, tenant, new).await?;
        let whose = actor.tenant.map_or(format!("?tenant_id={tenant}"), |_| String::new());
        Outcome::created(&erasure, erasure.version, format!("/v1/erasures/{}{whose}", erasure.id))
    };
    request.quietly().run(&api, &actor, &body, work).await
}

/// Show an erasure
#[utoipa::path(tag = "erasures", params(TenantQuery), responses((status = 200, body = Erasure), (status = 404, body = Problem)))]
#[get("/v1/erasures/{id}")]
pub async fn show_erasure(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let mut db = api.read(&actor).await?;
    let erasure = store::get(&mut *db, tenant, path.into_inner()).await?;
    let erasure = erasure.ok_or_else(|| Problem::not_found("erasure"))?;
    Ok(change::shown(&erasure, erasure.version))
}
