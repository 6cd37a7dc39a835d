//! `/v1/tenants/{tenant_id}/call-backs`: callers who are called back instead of waiting in a queue.

use actix_web::{
    HttpResponse, get, post,
    web::{Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{CallBackState, CallBackWish, cancel, store};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        sorting::{CREATED, SortQuery},
    },
    tenancy::{Api, auth::actor::Actor},
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallBackQuery {
    /// Only those of this queue.
    queue_id: Option<Uuid>,
    /// Only those in this state.
    #[param(inline)]
    state: Option<CallBackState>,
    /// Only those with this number.
    number: Option<String>,
}

/// List who is called back instead of waiting in a queue, in the order in which they asked for it
///
/// With `sort=-created_at`, the latest come first.
#[utoipa::path(tag = "destinations", params(CallBackQuery, SortQuery, PageQuery), responses((status = 200, body = Page<CallBackWish>)))]
#[get("/v1/tenants/{tenant_id}/call-backs")]
pub async fn list_call_backs(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<CallBackQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<CallBackWish>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let way = sort.way(&page, CREATED)?;
    let (after, mut db) = (way.after_id()?, api.read(&actor).await?);
    crate::tenancy::tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let CallBackQuery { queue_id, state, number } = query.into_inner();
    let filter = store::Filter { queue: queue_id, state, number };
    let wishes = store::list(&mut *db, tenant, &filter, way.is_down, after, way.fetch()).await?;
    Ok(Json(way.page(wishes, |wish| wish.id.to_string())))
}

/// Show somebody who is called back
#[utoipa::path(tag = "destinations", responses((status = 200, body = CallBackWish), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/call-backs/{id}")]
pub async fn show_call_back(
    api: Data<Api>,
    actor: Actor,
    path: Path<(Uuid, Uuid)>,
) -> Result<Json<CallBackWish>, Problem> {
    let (tenant, id) = path.into_inner();
    let mut db = api.read(&actor).await?;
    let wish = store::get(&mut *db, actor.in_tenant(tenant)?, id).await?;
    Ok(Json(wish.ok_or_else(|| Problem::not_found("call-back"))?))
}

/// Don't call somebody back any more
///
/// Only while nobody calls them: a call that is up can be ended like any other.
#[utoipa::path(tag = "destinations", responses((status = 200, body = CallBackWish), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/call-backs/{id}/cancel")]
pub async fn cancel_call_back(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let work = async |change: &mut _| {
        let wish = cancel(change, tenant, id).await?;
        Outcome::said(&wish)
    };
    request.quietly().run(&api, &actor, b"", work).await
}
