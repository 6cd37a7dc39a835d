//! `/v1/tenants/{tenant_id}/groups`: extensions that ring together.

use actix_web::{
    HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Group, GroupPatch, NewGroup, create, delete, store, update};
use crate::{
    http::{
        bulk::{self, Changes, Deletions},
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{Page, PageQuery},
        put::Put,
        sorting::{CREATED, SortQuery},
        which::Which,
    },
    node::changes::Change,
    tenancy::{Api, auth::actor::Actor, many::Many},
    text::{Code, GroupName},
};

labels::labelled!(Group, Group, |it| Some(it.tenant_id));

/// Create a group
#[utoipa::path(tag = "groups", request_body = NewGroup, responses((status = 201, body = Group), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/groups")]
pub async fn create_group(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let With { body: new, labels }: With<NewGroup> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let group = create(change, tenant, new).await?;
        let group = labels::made(change, group, labels).await?;
        Outcome::created(&group, group.version, format!("/v1/tenants/{tenant}/groups/{}", group.id))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
    /// Only the one with this number.
    number: Option<String>,
}

/// What the list can be sorted by.
const SORTS: [&str; 3] = [CREATED, "name", "number"];

/// List a tenant's groups
///
/// It can be sorted by `created_at`, `name` or `number`.
#[utoipa::path(tag = "groups", params(ListQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Group>)))]
#[get("/v1/tenants/{tenant_id}/groups")]
pub async fn list_groups(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<ListQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Group>>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    crate::tenancy::tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let sorted = named.sorted(&mut db, Kind::Group, Some(tenant), sorted).await?;
    let ListQuery { name, number } = query.into_inner();
    let groups = store::list(&mut *db, tenant, &store::Filter { name, number }, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(groups, |group| group.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(group: &Group, by: &str) -> String {
    match by {
        "name" => group.name.to_string(),
        "number" => group.number.as_ref().map(ToString::to_string).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Show a group
#[utoipa::path(tag = "groups", responses((status = 200, body = Group), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/groups/{id}")]
pub async fn show_group(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let mut db = api.read(&actor).await?;
    let group = store::get(&mut *db, actor.in_tenant(tenant)?, id).await?;
    let group = group.ok_or_else(|| Problem::not_found("group"))?;
    let group = labels::of(&mut db, group).await?;
    Ok(change::shown(&group, group.version))
}

/// Change a group
#[utoipa::path(tag = "groups", request_body = GroupPatch, responses((status = 200, body = Group), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/groups/{id}")]
pub async fn update_group(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let With { body: patch, labels } = input::patch::<With<GroupPatch>, Group>(&body)?;
    let work = async |change: &mut _| {
        let group = update(change, tenant, id, patch, request.if_match).await?;
        let group = labels::changed(change, group, labels).await?;
        Outcome::changed(&group, group.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a group
#[utoipa::path(tag = "groups", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/groups/{id}")]
pub async fn delete_group(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let work = async |change: &mut _| {
        delete(change, tenant, id, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Look a group up by its name
#[utoipa::path(tag = "groups", responses((status = 200, body = Group), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/groups/by-name/{name}")]
pub async fn group_by_name(api: Data<Api>, actor: Actor, path: Path<(Uuid, String)>) -> Result<HttpResponse, Problem> {
    let (tenant, name) = path.into_inner();
    let name = GroupName::parse(&name).map_err(|_| Problem::not_found("group"))?;
    let mut db = api.read(&actor).await?;
    let group = store::by_name(&mut db, actor.in_tenant(tenant)?, &name).await?;
    let group = group.ok_or_else(|| Problem::not_found("group"))?;
    let group = labels::of(&mut db, group).await?;
    Ok(change::shown(&group, group.version))
}

/// Make a group equal to this, by its name
///
/// Creates it if there is none. Absent fields get the value that a new group has.
#[utoipa::path(tag = "groups", request_body = NewGroup, responses((status = 200, body = Group), (status = 201, body = Group), (status = 412, body = Problem)))]
#[put("/v1/tenants/{tenant_id}/groups/by-name/{name}")]
pub async fn put_group(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, name) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let With { body: new, labels }: With<NewGroup> = input::parse(&body)?;
    if GroupName::parse(&name).ok().map(|name| name.folded()) != Some(new.name.folded()) {
        return Err(Error::invalid("name", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let put = super::put(change, tenant, new, request.if_match).await?;
        let put = labels::put(change, put, labels).await?;
        let (Put::Made(group) | Put::Is(group)) = &put;
        Outcome::put(&put, group.version, format!("/v1/tenants/{tenant}/groups/{}", group.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// Change many groups, all or none unless asked otherwise
///
/// If nothing was changed because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "groups", request_body = Changes<GroupPatch>, responses((status = 200, body = bulk::Report), (status = 422, body = bulk::Report)))]
#[patch("/v1/tenants/{tenant_id}/groups/bulk")]
pub async fn update_groups(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, (which, with): (Which, With<GroupPatch>)| {
        let before = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("group"))?;
        let after = update(change, tenant, before.id, with.body, None).await?;
        let after = labels::changed(change, after, with.labels).await?;
        Ok((after.id, bulk::changed(before.version, after.version)))
    };
    many.change(one).await
}

/// Delete many groups, all or none unless asked otherwise
///
/// If nothing was deleted because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "groups", request_body = Deletions, responses((status = 200, body = bulk::Report), (status = 422, body = bulk::Report)))]
#[post("/v1/tenants/{tenant_id}/groups/bulk-delete")]
pub async fn delete_groups(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, which: Which, _| {
        let found = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("group"))?;
        delete(change, tenant, found.id, None).await?;
        Ok(found.id)
    };
    many.delete(|_| Ok(()), one).await
}
