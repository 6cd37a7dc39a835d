//! `/v1/switches`: the FreeSWITCH servers that may fetch.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use uuid::Uuid;

use super::{NewSwitch, Switch, SwitchPatch, SwitchWithToken, create, delete, store, update};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::paging::{Page, PageQuery},
    tenancy::{Api, auth::actor::Actor},
};

/// Create a switch
///
/// Only this answer shows the token.
#[utoipa::path(tag = "switches", request_body = NewSwitch, responses((status = 201, body = SwitchWithToken), (status = 409, body = Problem)))]
#[post("/v1/switches")]
pub async fn create_switch(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let new: NewSwitch = input::parse(&body)?;
    let work = async |change: &mut _| {
        let created = create(change, new).await?;
        Outcome::created(&created, created.switch.version, format!("/v1/switches/{}", created.switch.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// List switches
#[utoipa::path(tag = "switches", params(PageQuery), responses((status = 200, body = Page<Switch>)))]
#[get("/v1/switches")]
pub async fn list_switches(
    api: Data<Api>,
    actor: Actor,
    page: Query<PageQuery>,
) -> Result<Json<Page<Switch>>, Problem> {
    let window = page.window()?;
    let switches = store::list(&mut *api.read(&actor).await?, window).await?;
    Ok(Json(window.page(switches, |switch| switch.id)))
}

/// Show a switch
#[utoipa::path(tag = "switches", responses((status = 200, body = Switch), (status = 404, body = Problem)))]
#[get("/v1/switches/{id}")]
pub async fn show_switch(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let switch = store::get(&mut *api.read(&actor).await?, *path).await?.ok_or_else(|| Problem::not_found("switch"))?;
    Ok(change::shown(&switch, switch.version))
}

/// Change a switch
#[utoipa::path(tag = "switches", request_body = SwitchPatch, responses((status = 200, body = SwitchWithToken), (status = 412, body = Problem)))]
#[patch("/v1/switches/{id}")]
pub async fn update_switch(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let patch = input::patch::<SwitchPatch, Switch>(&body)?;
    let work = async |change: &mut _| {
        let changed = update(change, *path, patch, request.if_match).await?;
        Outcome::changed(&changed, changed.switch.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a switch
#[utoipa::path(tag = "switches", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/switches/{id}")]
pub async fn delete_switch(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        delete(change, *path, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Take a switch out of service
///
/// From now on, no call is made there by a click that another switch of its cluster can make. Calls that are up go on: `/v1/live/calls?switch_id=`
/// shows them until the last one has ended. Phones and carriers send their calls where they are told to.
#[utoipa::path(tag = "switches", responses((status = 200, body = Switch), (status = 404, body = Problem)))]
#[post("/v1/switches/{id}/drain")]
pub async fn drain_switch(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        let switch = super::drain(change, *path, true, request.if_match).await?;
        Outcome::changed(&switch, switch.version)
    };
    request.run(&api, &actor, b"", work).await
}

/// Put a switch back into service
#[utoipa::path(tag = "switches", responses((status = 200, body = Switch), (status = 404, body = Problem)))]
#[post("/v1/switches/{id}/resume")]
pub async fn resume_switch(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        let switch = super::drain(change, *path, false, request.if_match).await?;
        Outcome::changed(&switch, switch.version)
    };
    request.run(&api, &actor, b"", work).await
}
