//! `/v1/switches/{id}/event-socket`, and what event sockets tell: the state of gateways, and what switches were given.

use actix_web::{
    HttpResponse, delete, get, put,
    web::{Bytes, Data, Json, Path, Query},
};
use uuid::Uuid;

use super::{Cleanup, EventSocket, GatewayState, NewEventSocket, Push, store};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        sorting::{SortQuery, moment_key},
    },
    telephony::carriers,
    tenancy::{Api, auth::actor::Actor, switches},
};

/// Set a switch's event socket
#[utoipa::path(tag = "switches", request_body = NewEventSocket, responses((status = 200, body = EventSocket), (status = 404, body = Problem)))]
#[put("/v1/switches/{id}/event-socket")]
pub async fn put_event_socket(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let new: NewEventSocket = input::parse(&body)?;
    let work = async |change: &mut _| {
        let socket = super::put(change, *path, &new, request.if_match).await?;
        Outcome::changed(&socket, socket.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Show a switch's event socket, and whether it answers
#[utoipa::path(tag = "switches", responses((status = 200, body = EventSocket), (status = 404, body = Problem)))]
#[get("/v1/switches/{id}/event-socket")]
pub async fn show_event_socket(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let socket = store::get(&mut *api.read(&actor).await?, *path).await?;
    let socket = socket.ok_or_else(|| Problem::not_found("event socket"))?;
    Ok(change::shown(&socket, socket.version))
}

/// Forget a switch's event socket
#[utoipa::path(tag = "switches", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/switches/{id}/event-socket")]
pub async fn delete_event_socket(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        super::delete(change, *path, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// List a switch's gateways, as the switch sees them
///
/// They can be sorted by `seen_at`.
#[utoipa::path(tag = "switches", params(SortQuery, PageQuery), responses((status = 200, body = Page<GatewayState>)))]
#[get("/v1/switches/{id}/gateways")]
pub async fn list_switch_gateways(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<GatewayState>>, Problem> {
    let mut db = api.read(&actor).await?;
    switches::store::get(&mut *db, *path).await?.ok_or_else(|| Problem::not_found("switch"))?;
    let all = store::of_switch(&mut *db, *path).await?;
    Ok(Json(sort.of_all(&page, &["seen_at"], all, |gateway, by| seen_key(gateway, by, gateway.carrier_id))?))
}

/// List the gateways, addresses and queues that a switch was given
///
/// A switch reads them only when it loads. Later changes reach it over its event socket. They can be sorted by `thing` or `given_at`.
#[utoipa::path(tag = "switches", params(SortQuery, PageQuery), responses((status = 200, body = Page<Push>)))]
#[get("/v1/switches/{id}/pushes")]
pub async fn list_switch_pushes(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Push>>, Problem> {
    let mut db = api.read(&actor).await?;
    switches::store::get(&mut *db, *path).await?.ok_or_else(|| Problem::not_found("switch"))?;
    let all = store::pushes(&mut *db, *path).await?;
    Ok(Json(sort.of_all(&page, &["thing", "given_at"], all, |push, by| match by {
        "given_at" => format!("{} {}", moment_key(push.given_at), push.thing),
        _ => push.thing.clone(),
    })?))
}

/// List what a switch still has to remove of mailboxes that are gone, and of PINs chosen by phone
///
/// At most a thousand, the oldest first, or the newest with `sort=-since`. A switch without an event socket keeps what it has.
#[utoipa::path(tag = "switches", params(SortQuery, PageQuery), responses((status = 200, body = Page<Cleanup>)))]
#[get("/v1/switches/{id}/cleanups")]
pub async fn list_switch_cleanups(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Cleanup>>, Problem> {
    let mut db = api.read(&actor).await?;
    switches::store::get(&mut *db, *path).await?.ok_or_else(|| Problem::not_found("switch"))?;
    let all = store::cleanups(&mut *db, *path).await?;
    Ok(Json(sort.of_all(&page, &["since"], all, |order, _| {
        format!("{} {}@{} {}", order.since.to_rfc3339(), order.mailbox, order.domain, order.whole)
    })?))
}

/// The key of a gateway in this order. `id`: what tells those of the list apart.
fn seen_key(gateway: &GatewayState, by: &str, id: Uuid) -> String {
    if by == "seen_at" { format!("{} {id}", moment_key(Some(gateway.seen_at))) } else { id.to_string() }
}

/// List a carrier's gateways, as the switches see them
///
/// They can be sorted by `seen_at`.
#[utoipa::path(tag = "carriers", params(SortQuery, PageQuery), responses((status = 200, body = Page<GatewayState>)))]
#[get("/v1/carriers/{id}/gateways")]
pub async fn list_carrier_gateways(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<GatewayState>>, Problem> {
    let mut db = api.read(&actor).await?;
    carriers::store::get(&mut *db, *path).await?.ok_or_else(|| Problem::not_found("carrier"))?;
    let all = store::of_carrier(&mut *db, *path).await?;
    Ok(Json(sort.of_all(&page, &["seen_at"], all, |gateway, by| seen_key(gateway, by, gateway.switch_id))?))
}
