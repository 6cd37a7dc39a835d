//! `/v1/tenants/{tenant_id}/outbound-calls`: the decisions about calls that leave the platform. `/v1/unreadable-records`: call
//! records that can't be read.

use std::str::FromStr;

use actix_web::{
    HttpResponse, get, post,
    web::{Data, Json, Path, Query},
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    inbox,
    listed::{OutboundCall, OutboundFilter, UnreadableRecord},
    posted, store,
};
use crate::{
    http::problem::Problem,
    model::{
        error::Error,
        moment,
        paging::{self, Page, PageQuery},
        settings::Feature,
    },
    telephony::destinations,
    tenancy::{Api, auth::actor::Actor, tenants},
};

/// List calls that left the platform or were refused, newest first
#[utoipa::path(tag = "routes", params(OutboundFilter), responses((status = 200, body = Page<OutboundCall>), (status = 409, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/outbound-calls")]
pub async fn list_outbound_calls(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    filter: Query<OutboundFilter>,
) -> Result<Json<Page<OutboundCall>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    moment::check_query("before", filter.before)?;
    let window = PageQuery { limit: filter.limit, cursor: filter.cursor.clone() }.key_window()?;
    let after = window.after.as_deref().map(|key| {
        let (at, call) = place_of::<String>(key)?;
        let (call, callee) = call.split_once(' ').ok_or_else(paging::wrong_cursor)?;
        Ok::<_, Error>((at, call.parse().map_err(|_| paging::wrong_cursor())?, callee.to_owned()))
    });
    let after = after.transpose()?;
    tenants::store::get(&mut *api.read(&actor).await?, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    if actor.tenant.is_some() {
        let features = destinations::store::rules(&mut *api.read(&actor).await?, tenant).await?;
        features.map(|plan| plan.settings.features).unwrap_or_default().need(Feature::Reports)?;
    }
    let calls = store::outbound_calls(&mut *api.read(&actor).await?, tenant, &filter, after, window.fetch()).await?;
    Ok(Json(window.page(calls, |call| format!("{} {} {}", call.at.to_rfc3339(), call.call_id, call.callee))))
}

/// A time and an id, by which lists in the order of time are paged.
fn place_of<T: FromStr>(key: &str) -> Result<(DateTime<Utc>, T), Error> {
    let place = key.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(paging::wrong_cursor)
}

/// List call records that can't be read, oldest first
#[utoipa::path(tag = "switches", params(PageQuery), responses((status = 200, body = Page<UnreadableRecord>)))]
#[get("/v1/unreadable-records")]
pub async fn list_unreadable_records(
    api: Data<Api>,
    actor: Actor,
    page: Query<PageQuery>,
) -> Result<Json<Page<UnreadableRecord>>, Problem> {
    unreadable(&api, &actor, &page).await
}

/// List call records that can't be read, at another path
///
/// The same as `GET /v1/unreadable-records`.
#[utoipa::path(tag = "switches", params(PageQuery), responses((status = 200, body = Page<UnreadableRecord>)))]
#[get("/v1/call-records/unreadable")]
pub async fn list_unreadable_call_records(
    api: Data<Api>,
    actor: Actor,
    page: Query<PageQuery>,
) -> Result<Json<Page<UnreadableRecord>>, Problem> {
    unreadable(&api, &actor, &page).await
}

async fn unreadable(api: &Api, actor: &Actor, page: &PageQuery) -> Result<Json<Page<UnreadableRecord>>, Problem> {
    let window = page.key_window()?;
    let (at, leg) = window.after.as_deref().map_or(Ok((DateTime::UNIX_EPOCH, String::new())), place_of)?;
    let records = store::unreadable(&mut *api.read(actor).await?, at, &leg, window.fetch()).await?;
    Ok(Json(window.page(records, |record| format!("{} {}", record.received_at.to_rfc3339(), record.leg))))
}

/// What came of reading records again.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ReadAgain {
    /// How many records still can't be read.
    pub unreadable: i64,
}

/// Read the call records again that can't be read
///
/// A new version of Dialplane does so by itself.
#[utoipa::path(tag = "switches", responses((status = 200, body = ReadAgain)))]
#[post("/v1/call-records/unreadable/read-again")]
pub async fn read_records_again(api: Data<Api>, _actor: Actor) -> Result<Json<ReadAgain>, Problem> {
    store::forget_readings(api.pool()).await?;
    inbox::read_unread(api.pool()).await?;
    Ok(Json(ReadAgain { unreadable: store::count_unreadable(api.pool()).await? }))
}

/// Show a call record that can't be read, as it was posted
#[utoipa::path(tag = "switches", responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
#[get("/v1/unreadable-records/{leg}")]
pub async fn show_unreadable_record(api: Data<Api>, actor: Actor, path: Path<String>) -> Result<HttpResponse, Problem> {
    let body = store::unreadable_body(&mut *api.read(&actor).await?, &posted::names(&path)).await?;
    let body = body.ok_or_else(|| Problem::not_found("call record"))?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(body))
}
