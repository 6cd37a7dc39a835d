//! `/v1/keys`: API keys for scripts.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{CreatedKey, Key, KeyPatch, Maker, NewKey, Rotation, create_by, delete, rotate, store, update};
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
    tenancy::{Api, OfTenantQuery, auth::actor::Actor},
};

labels::labelled!(Key, Key, |it| it.tenant_id);
labels::labelled!(CreatedKey.key);

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
    let With { body: mut new, labels }: With<NewKey> = input::parse(&body)?;
    // Users of a tenant make keys for their own tenant only.
    new.tenant_id = if actor.tenant.is_some() { Some(actor.tenant_or(new.tenant_id)?) } else { new.tenant_id };
    let maker = maker(&actor)?;
    let work = async |change: &mut _| {
        let created = create_by(change, maker, new).await?;
        let created = labels::made(change, created, labels).await?;
        Outcome::created(&created, created.key.version, format!("/v1/keys/{}", created.key.id))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
}

/// What the list can be sorted by.
const SORTS: [&str; 2] = [CREATED, "name"];

/// List keys
///
/// It can be sorted by `created_at` or `name`.
#[utoipa::path(tag = "keys", params(OfTenantQuery, NameQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Key>)))]
#[get("/v1/keys")]
pub async fn list_keys(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<OfTenantQuery>,
    query: Query<NameQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Key>>>, Problem> {
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    let tenant = tenant.of(&actor);
    let only = named.ids(&mut db, Kind::Key, tenant).await?;
    let keys = store::list(&mut *db, tenant, only.as_deref(), query.name.as_deref(), &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(keys, |key| key.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(key: &Key, by: &str) -> String {
    match by {
        "name" => key.name.to_string(),
        _ => String::new(),
    }
}

/// Show a key
#[utoipa::path(tag = "keys", responses((status = 200, body = Key), (status = 404, body = Problem)))]
#[get("/v1/keys/{id}")]
pub async fn show_key(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let mut db = api.read(&actor).await?;
    let key = store::get(&mut *db, actor.tenant, *path).await?.ok_or_else(|| Problem::not_found("key"))?;
    let key = labels::of(&mut db, key).await?;
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
    let With { body: patch, labels } = input::patch::<With<KeyPatch>, Key>(&body)?;
    let maker = maker(&actor)?;
    let work = async |change: &mut _| {
        let changed = update(change, maker, actor.tenant, *path, patch, request.if_match).await?;
        let changed = labels::changed(change, changed, labels).await?;
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
    let work = async |change: &mut Change| {
        let rotated = rotate(change, maker, actor.tenant, *path, &rotation, request.if_match).await?;
        let rotated = labels::of(change.db(), rotated).await?;
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
