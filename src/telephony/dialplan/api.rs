//! `/v1/tenants/{tenant_id}/dialplan-entries`: a tenant's own rules, tried before the built-in ones.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{ChangedEntry, DialplanEntry, EntryPatch, NewEntry, create, delete, store, update};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        sorting::{self, CREATED, SortQuery},
    },
    tenancy::{Api, auth::actor::Actor},
};

labels::labelled!(DialplanEntry, DialplanEntry, |it| Some(it.tenant_id));
labels::labelled!(ChangedEntry.entry);

/// Create a dialplan entry
#[utoipa::path(tag = "dialplan", request_body = NewEntry, responses((status = 201, body = ChangedEntry), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/dialplan-entries")]
pub async fn create_entry(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let With { body: new, labels }: With<NewEntry> = input::parse(&body)?;
    let platform = actor.tenant.is_none();
    let work = async |change: &mut _| {
        let entry = create(change, tenant, new, platform).await?;
        let entry = labels::made(change, entry, labels).await?;
        Outcome::created(
            &entry,
            entry.entry.version,
            format!("/v1/tenants/{tenant}/dialplan-entries/{}", entry.entry.id),
        )
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
const SORTS: [&str; 3] = [CREATED, "name", "position"];

/// List a tenant's dialplan entries
///
/// It can be sorted by `created_at`, `name` or `position`.
#[utoipa::path(tag = "dialplan", params(NameQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<DialplanEntry>)))]
#[get("/v1/tenants/{tenant_id}/dialplan-entries")]
pub async fn list_entries(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<NameQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<DialplanEntry>>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    crate::tenancy::tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let sorted = named.sorted(&mut db, Kind::DialplanEntry, Some(tenant), sorted).await?;
    let entries = store::list(&mut *db, tenant, query.name.as_deref(), &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(entries, |entry| entry.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(entry: &DialplanEntry, by: &str) -> String {
    match by {
        "name" => entry.name.to_string(),
        "position" => sorting::number_key(entry.position),
        _ => String::new(),
    }
}

/// Show a dialplan entry
#[utoipa::path(tag = "dialplan", responses((status = 200, body = DialplanEntry), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/dialplan-entries/{id}")]
pub async fn show_entry(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let mut db = api.read(&actor).await?;
    let entry = store::get(&mut *db, actor.in_tenant(tenant)?, id).await?;
    let entry = entry.ok_or_else(|| Problem::not_found("entry"))?;
    let entry = labels::of(&mut db, entry).await?;
    Ok(change::shown(&entry, entry.version))
}

/// Change a dialplan entry
#[utoipa::path(tag = "dialplan", request_body = EntryPatch, responses((status = 200, body = DialplanEntry), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/dialplan-entries/{id}")]
pub async fn update_entry(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let With { body: patch, labels } = input::patch::<With<EntryPatch>, DialplanEntry>(&body)?;
    let platform = actor.tenant.is_none();
    let work = async |change: &mut _| {
        let entry = update(change, tenant, id, patch, platform, request.if_match).await?;
        let entry = labels::changed(change, entry, labels).await?;
        Outcome::changed(&entry, entry.entry.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a dialplan entry
#[utoipa::path(tag = "dialplan", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/dialplan-entries/{id}")]
pub async fn delete_entry(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let platform = actor.tenant.is_none();
    let work = async |change: &mut _| {
        delete(change, tenant, id, platform, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}
