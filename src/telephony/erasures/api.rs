//! `/v1/erasures`: erasing what is kept of one person.

use actix_web::{
    HttpResponse, get, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Erasure, ErasureState, NewErasure, create, store};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        sorting::{CREATED, SortQuery},
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct StateQuery {
    /// Only erasures in this state.
    #[param(inline)]
    state: Option<ErasureState>,
}

/// List erasures, oldest first
///
/// With `sort=-created_at`, the newest come first.
#[utoipa::path(tag = "erasures", params(TenantQuery, StateQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Erasure>)))]
#[get("/v1/erasures")]
pub async fn list_erasures(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<StateQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Erasure>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let way = sort.way(&page, CREATED)?;
    let (after, mut db) = (way.after_id()?, api.read(&actor).await?);
    let erasures = store::list(&mut *db, tenant, filter.state, way.is_down, after, way.fetch()).await?;
    Ok(Json(way.page(erasures, |erasure| erasure.id.to_string())))
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
