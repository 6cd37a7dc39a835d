//! `/v1/switches`: the FreeSWITCH servers that may fetch.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{NewSwitch, Switch, SwitchPatch, SwitchStatus, SwitchWithToken, create, delete, store, update};
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
    node::changes::Change,
    tenancy::{Api, auth::actor::Actor},
};

labels::labelled!(Switch, Switch, |_| None);
labels::labelled!(SwitchWithToken.switch);

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
    let With { body: new, labels }: With<NewSwitch> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let created = create(change, new).await?;
        let created = labels::made(change, created, labels).await?;
        Outcome::created(&created, created.switch.version, format!("/v1/switches/{}", created.switch.id))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
    #[param(inline)]
    status: Option<SwitchStatus>,
    /// Only those of this cluster.
    cluster_id: Option<Uuid>,
}

/// What the list can be sorted by.
const SORTS: [&str; 2] = [CREATED, "name"];

/// List switches
///
/// It can be sorted by `created_at` or `name`.
#[utoipa::path(tag = "switches", params(ListQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Switch>)))]
#[get("/v1/switches")]
pub async fn list_switches(
    api: Data<Api>,
    actor: Actor,
    query: Query<ListQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Switch>>>, Problem> {
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    let sorted = named.sorted(&mut db, Kind::Switch, None, sorted).await?;
    let query = query.into_inner();
    let filter = store::Filter { name: query.name, status: query.status, cluster: query.cluster_id };
    let switches = store::list(&mut *db, &filter, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(switches, |switch| switch.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(switch: &Switch, by: &str) -> String {
    match by {
        "name" => switch.name.to_string(),
        _ => String::new(),
    }
}

/// Show a switch
#[utoipa::path(tag = "switches", responses((status = 200, body = Switch), (status = 404, body = Problem)))]
#[get("/v1/switches/{id}")]
pub async fn show_switch(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let mut db = api.read(&actor).await?;
    let switch = store::get(&mut *db, *path).await?.ok_or_else(|| Problem::not_found("switch"))?;
    let switch = labels::of(&mut db, switch).await?;
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
    let With { body: patch, labels } = input::patch::<With<SwitchPatch>, Switch>(&body)?;
    let work = async |change: &mut _| {
        let changed = update(change, *path, patch, request.if_match).await?;
        let changed = labels::changed(change, changed, labels).await?;
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
    let work = async |change: &mut Change| {
        let switch = super::drain(change, *path, true, request.if_match).await?;
        let switch = labels::of(change.db(), switch).await?;
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
    let work = async |change: &mut Change| {
        let switch = super::drain(change, *path, false, request.if_match).await?;
        let switch = labels::of(change.db(), switch).await?;
        Outcome::changed(&switch, switch.version)
    };
    request.run(&api, &actor, b"", work).await
}
