//! `/v1/switches/{id}/event-socket`, and what event sockets tell: the state of gateways, and what switches were given.

use actix_web::{
    HttpResponse, delete, get, put,
    web::{Bytes, Data, Json, Path},
};
use uuid::Uuid;

use super::{Cleanup, EventSocket, GatewayState, NewEventSocket, Push, store};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::paging::Page,
    tenancy::{Api, auth::actor::Actor},
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
    let work = async |change: &mut _| Outcome::changed(&super::put(change, *path, &new).await?, 1);
    request.run(&api, &actor, &body, work).await
}

/// Show a switch's event socket, and whether it answers
#[utoipa::path(tag = "switches", responses((status = 200, body = EventSocket), (status = 404, body = Problem)))]
#[get("/v1/switches/{id}/event-socket")]
pub async fn show_event_socket(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<Json<EventSocket>, Problem> {
    let socket = store::get(&mut *api.read(&actor).await?, *path).await?;
    socket.map(Json).ok_or_else(|| Problem::not_found("event socket"))
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
        super::delete(change, *path).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// List a switch's gateways, as the switch sees them
#[utoipa::path(tag = "switches", responses((status = 200, body = Page<GatewayState>)))]
#[get("/v1/switches/{id}/gateways")]
pub async fn list_switch_gateways(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
) -> Result<Json<Page<GatewayState>>, Problem> {
    let items = store::of_switch(&mut *api.read(&actor).await?, *path).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// List the gateways, addresses and queues that a switch was given
///
/// A switch reads them only when it loads. Later changes reach it over its event socket.
#[utoipa::path(tag = "switches", responses((status = 200, body = Page<Push>)))]
#[get("/v1/switches/{id}/pushes")]
pub async fn list_switch_pushes(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<Json<Page<Push>>, Problem> {
    let items = store::pushes(&mut *api.read(&actor).await?, *path).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// List what a switch still has to remove of mailboxes that are gone, and of PINs chosen by phone
///
/// At most a thousand, the oldest first. A switch without an event socket keeps what it has.
#[utoipa::path(tag = "switches", responses((status = 200, body = Page<Cleanup>)))]
#[get("/v1/switches/{id}/cleanups")]
pub async fn list_switch_cleanups(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
) -> Result<Json<Page<Cleanup>>, Problem> {
    let items = store::cleanups(&mut *api.read(&actor).await?, *path).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// List a carrier's gateways, as the switches see them
#[utoipa::path(tag = "carriers", responses((status = 200, body = Page<GatewayState>)))]
#[get("/v1/carriers/{id}/gateways")]
pub async fn list_carrier_gateways(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
) -> Result<Json<Page<GatewayState>>, Problem> {
    let items = store::of_carrier(&mut *api.read(&actor).await?, *path).await?;
    Ok(Json(Page { items, next_cursor: None }))
}
