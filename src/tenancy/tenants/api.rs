//! `/v1/tenants`: the platform's customers.

use actix_web::{
    HttpResponse, delete, get, patch,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Purge, Purged, Tenant, TenantPatch, TenantStatus, delete,
    domains::{self, FormerDomain},
    store, update,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        sorting::{CREATED, SortQuery, moment_key},
    },
    node::changes::Change,
    tenancy::{Api, auth::actor::Actor},
    text::Domain,
};

labels::labelled!(Tenant, Tenant, |it| Some(it.id));

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only the one that has this domain.
    domain: Option<String>,
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
    #[param(inline)]
    status: Option<TenantStatus>,
    /// Only those of this cluster.
    cluster_id: Option<Uuid>,
}

/// What the list can be sorted by.
const SORTS: [&str; 3] = [CREATED, "name", "domain"];

/// List tenants
///
/// It can be sorted by `created_at`, `name` or `domain`.
#[utoipa::path(tag = "tenants", params(ListQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Tenant>)))]
#[get("/v1/tenants")]
pub async fn list_tenants(
    api: Data<Api>,
    actor: Actor,
    query: Query<ListQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Tenant>>>, Problem> {
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    let sorted = named.sorted(&mut db, Kind::Tenant, None, sorted).await?;
    let ListQuery { domain, name, status, cluster_id } = query.into_inner();
    let filter = store::Filter { domain, name, status, cluster: cluster_id };
    let tenants = store::list(&mut *db, actor.tenant, &filter, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(tenants, |tenant| tenant.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(tenant: &Tenant, by: &str) -> String {
    match by {
        "name" => tenant.name.to_string(),
        "domain" => tenant.domain.to_string(),
        _ => String::new(),
    }
}

/// Show a tenant
#[utoipa::path(tag = "tenants", responses((status = 200, body = Tenant), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}")]
pub async fn show_tenant(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let id = actor.in_tenant(path.into_inner())?;
    let mut db = api.read(&actor).await?;
    let tenant = store::get(&mut *db, id).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let tenant = labels::of(&mut db, tenant).await?;
    Ok(change::shown(&tenant, tenant.version))
}

/// Show what a purge removed, and which switches still have mailboxes of the tenant's
#[utoipa::path(tag = "tenants", responses((status = 200, body = Purged), (status = 404, body = Problem)))]
#[get("/v1/purges/{tenant_id}")]
pub async fn show_purge(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<Json<Purged>, Problem> {
    let purged = store::purged(&mut *api.read(&actor).await?, *path).await?;
    purged.map(Json).ok_or_else(|| Problem::not_found("purge"))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FormerFilter {
    /// Part of the domain, whatever its case.
    domain: Option<String>,
}

/// List the domains that a tenant had and that still work
///
/// Each with the extensions whose phones still use it, as far as known. They can be sorted by `domain` or `since`.
#[utoipa::path(tag = "tenants", params(FormerFilter, SortQuery, PageQuery), responses((status = 200, body = Page<FormerDomain>), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/former-domains")]
pub async fn list_former_domains(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    filter: Query<FormerFilter>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<FormerDomain>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let mut db = api.read(&actor).await?;
    store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let mut all = domains::store::list(&mut *db, tenant).await?;
    if let Some(domain) = filter.domain.as_ref().map(|domain| domain.to_lowercase()) {
        all.retain(|former| former.domain.as_str().to_lowercase().contains(&domain));
    }
    Ok(Json(sort.of_all(&page, &["domain", "since"], all, |former, by| match by {
        "since" => format!("{} {}", moment_key(Some(former.since)), former.domain),
        _ => former.domain.to_string(),
    })?))
}

/// End the time of a former domain
///
/// Phones that still use it are refused from now on. Switches forget the mailboxes that they have under it.
#[utoipa::path(tag = "tenants", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/former-domains/{domain}")]
pub async fn end_former_domain(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, String)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, domain) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let domain = Domain::parse(&domain).map_err(|_| Problem::not_found("former domain"))?;
    let work = async |change: &mut _| {
        domains::end(change, tenant, &domain).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Look a tenant up by its domain, or by one that it had and that still works
#[utoipa::path(tag = "tenants", responses((status = 200, body = Tenant), (status = 404, body = Problem)))]
#[get("/v1/tenants/by-domain/{domain}")]
pub async fn tenant_by_domain(api: Data<Api>, actor: Actor, path: Path<String>) -> Result<HttpResponse, Problem> {
    let domain = Domain::parse(&path).map_err(|_| Problem::not_found("tenant"))?;
    let mut db = api.read(&actor).await?;
    let tenant = store::by_domain(&mut *db, &domain).await?;
    let tenant = tenant.ok_or_else(|| Problem::not_found("tenant"))?;
    actor.in_tenant(tenant.id)?;
    let tenant = labels::of(&mut db, tenant).await?;
    Ok(change::shown(&tenant, tenant.version))
}

/// Change a tenant
#[utoipa::path(tag = "tenants", request_body = TenantPatch, responses((status = 200, body = Tenant), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}")]
pub async fn update_tenant(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: patch, labels } = input::patch::<With<TenantPatch>, Tenant>(&body)?;
    let work = async |change: &mut _| {
        let tenant = update(change, *path, patch, request.if_match).await?;
        let tenant = labels::changed(change, tenant, labels).await?;
        Outcome::changed(&tenant, tenant.version)
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    /// Also delete the tenant's extensions, groups and numbers.
    #[serde(default)]
    cascade: bool,
    /// `later` suspends the tenant now and deletes it after 30 days; until then this can be undone. `now` deletes it at once.
    #[serde(default = "later")]
    #[param(inline)]
    purge: Purge,
}

fn later() -> Purge {
    Purge::Later
}

/// Delete a tenant
#[utoipa::path(tag = "tenants", params(DeleteQuery), responses((status = 200, body = Tenant, description = "Suspended, and gone at purge_at"), (status = 204), (status = 409, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}")]
pub async fn delete_tenant(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    query: Query<DeleteQuery>,
) -> Result<HttpResponse, Problem> {
    let work =
        async |change: &mut Change| match delete(change, *path, query.cascade, query.purge, request.if_match).await? {
            None => Ok(Outcome::deleted()),
            Some(tenant) => {
                let tenant = labels::of(change.db(), tenant).await?;
                Outcome::changed(&tenant, tenant.version)
            }
        };
    request.run(&api, &actor, b"", work).await
}
