//! `/v1/keys`: API keys for scripts.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use uuid::Uuid;

use super::{CreatedKey, Key, KeyPatch, Maker, NewKey, Rotation, create_by, delete, rotate, store, update};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::paging::{Page, PageQuery},
    tenancy::{Api, auth::actor::Actor},
};

/// Create a key
///
/// The token is shown in this answer only.
#[utoipa::path(tag = "keys", request_body = NewKey, responses((status = 201, body = CreatedKey), (status = 409, body = Problem)))]
#[post("/v1/keys")]
pub async fn create_key(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let mut new: NewKey = input::parse(&body)?;
    // Users of a tenant make keys for their own tenant only.
    new.tenant_id = if actor.tenant.is_some() { Some(actor.tenant_or(new.tenant_id)?) } else { new.tenant_id };
    let maker = maker(&actor)?;
    let work = async |change: &mut _| {
        let created = create_by(change, maker, new).await?;
        Outcome::created(&created, created.key.version, format!("/v1/keys/{}", created.key.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// List keys
#[utoipa::path(tag = "keys", params(PageQuery), responses((status = 200, body = Page<Key>)))]
#[get("/v1/keys")]
pub async fn list_keys(api: Data<Api>, actor: Actor, page: Query<PageQuery>) -> Result<Json<Page<Key>>, Problem> {
    let window = page.window()?;
    let keys = store::list(&mut *api.read(&actor).await?, actor.tenant, window).await?;
    Ok(Json(window.page(keys, |key| key.id)))
}

/// Show a key
#[utoipa::path(tag = "keys", responses((status = 200, body = Key), (status = 404, body = Problem)))]
#[get("/v1/keys/{id}")]
pub async fn show_key(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let key = store::get(&mut *api.read(&actor).await?, actor.tenant, *path)
        .await?
        .ok_or_else(|| Problem::not_found("key"))?;
    Ok(change::shown(&key, key.version))
}

/// Change a key
#[utoipa::path(tag = "keys", request_body = KeyPatch, responses((status = 200, body = Key), (status = 412, body = Problem)))]
#[patch("/v1/keys/{id}")]
pub async fn update_key(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let patch = input::patch::<KeyPatch, Key>(&body)?;
    let maker = maker(&actor)?;
    let work = async |change: &mut _| {
        let changed = update(change, maker, actor.tenant, *path, patch, request.if_match).await?;
        Outcome::changed(&changed, changed.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Make a new token for a key
///
/// The token is shown in this answer only. The previous one works until the overlap ends.
#[utoipa::path(tag = "keys", request_body = Rotation, responses((status = 200, body = CreatedKey), (status = 404, body = Problem)))]
#[post("/v1/keys/{id}/rotate")]
pub async fn rotate_key(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let rotation: Rotation = input::parse(&body)?;
    let maker = maker(&actor)?;
    let work = async |change: &mut _| {
        let rotated = rotate(change, maker, actor.tenant, *path, &rotation, request.if_match).await?;
        Outcome::changed(&rotated, rotated.key.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// A signed-in user, or a key with all scopes. A key with some scopes can't make or change keys, as it could give itself more.
fn maker(actor: &Actor) -> Result<Maker, Problem> {
    if actor.session.is_none() && !actor.is_unlimited {
        return Err(Problem::forbidden());
    }
    Ok(Maker { user: actor.person, role: actor.role })
}

/// Delete a key
#[utoipa::path(tag = "keys", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/keys/{id}")]
pub async fn delete_key(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let maker = maker(&actor)?;
    let work = async |change: &mut _| {
        delete(change, maker, actor.tenant, *path, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}
