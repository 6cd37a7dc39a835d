//! `/v1/clusters`: groups of switches that serve the same tenants.

use actix_web::{
    HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Cluster, ClusterPatch, ClusterStatus, Configuration, NewCluster,
    configuration::{self, ChangedConfiguration, NewConfiguration},
    create, delete, store, update,
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
        sorting::{self, CREATED, SortQuery},
    },
    tenancy::{Api, auth::actor::Actor},
};

labels::labelled!(Cluster, Cluster, |_| None);

/// Create a cluster
#[utoipa::path(tag = "clusters", request_body = NewCluster, responses((status = 201, body = Cluster), (status = 409, body = Problem)))]
#[post("/v1/clusters")]
pub async fn create_cluster(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: new, labels }: With<NewCluster> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let created = create(change, new).await?;
        let created = labels::made(change, created, labels).await?;
        Outcome::created(&created, created.version, format!("/v1/clusters/{}", created.id))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
    #[param(inline)]
    status: Option<ClusterStatus>,
}

/// What the list can be sorted by.
const SORTS: [&str; 2] = [CREATED, "name"];

/// List clusters
///
/// It can be sorted by `created_at` or `name`.
#[utoipa::path(tag = "clusters", params(ListQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Cluster>)))]
#[get("/v1/clusters")]
pub async fn list_clusters(
    api: Data<Api>,
    actor: Actor,
    query: Query<ListQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Cluster>>>, Problem> {
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    let sorted = named.sorted(&mut db, Kind::Cluster, None, sorted).await?;
    let ListQuery { name, status } = query.into_inner();
    let clusters = store::list(&mut *db, &store::Filter { name, status }, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(clusters, |cluster| cluster.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(cluster: &Cluster, by: &str) -> String {
    match by {
        "name" => cluster.name.clone(),
        _ => String::new(),
    }
}

/// Show a cluster
#[utoipa::path(tag = "clusters", responses((status = 200, body = Cluster), (status = 404, body = Problem)))]
#[get("/v1/clusters/{id}")]
pub async fn show_cluster(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let mut db = api.read(&actor).await?;
    let cluster = store::get(&mut *db, *path).await?.ok_or_else(|| Problem::not_found("cluster"))?;
    let cluster = labels::of(&mut db, cluster).await?;
    Ok(change::shown(&cluster, cluster.version))
}

/// Change a cluster
#[utoipa::path(tag = "clusters", request_body = ClusterPatch, responses((status = 200, body = Cluster), (status = 412, body = Problem)))]
#[patch("/v1/clusters/{id}")]
pub async fn update_cluster(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: patch, labels } = input::patch::<With<ClusterPatch>, Cluster>(&body)?;
    let work = async |change: &mut _| {
        let changed = update(change, *path, patch, request.if_match).await?;
        let changed = labels::changed(change, changed, labels).await?;
        Outcome::changed(&changed, changed.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a cluster
#[utoipa::path(tag = "clusters", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/clusters/{id}")]
pub async fn delete_cluster(
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

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ConfigurationFilter {
    /// Part of the name, whatever its case.
    name: Option<String>,
}

/// List the module configurations that a cluster sets for its switches, by name
///
/// It can be sorted by `name` or `updated_at`.
#[utoipa::path(tag = "clusters", params(ConfigurationFilter, SortQuery, PageQuery), responses((status = 200, body = Page<Configuration>)))]
#[get("/v1/clusters/{id}/configuration")]
pub async fn list_configurations(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    filter: Query<ConfigurationFilter>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Configuration>>, Problem> {
    let mut db = api.read(&actor).await?;
    store::get(&mut *db, *path).await?.ok_or_else(|| Problem::not_found("cluster"))?;
    let mut all = store::configurations(&mut *db, *path).await?;
    if let Some(name) = filter.name.as_ref().map(|name| name.to_lowercase()) {
        all.retain(|configuration| configuration.name.to_lowercase().contains(&name));
    }
    Ok(Json(sort.of_all(&page, &["name", "updated_at"], all, |configuration, by| match by {
        "updated_at" => format!("{} {}", sorting::moment_key(Some(configuration.updated_at)), configuration.name),
        _ => configuration.name.clone(),
    })?))
}

/// Show the configuration of a module that a cluster sets
#[utoipa::path(tag = "clusters", responses((status = 200, body = Configuration), (status = 404, body = Problem)))]
#[get("/v1/clusters/{id}/configuration/{name}")]
pub async fn show_configuration(
    api: Data<Api>,
    actor: Actor,
    path: Path<(Uuid, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, name) = path.into_inner();
    let found = store::configuration(&mut *api.read(&actor).await?, id, &name).await?;
    let found = found.ok_or_else(|| Problem::not_found("configuration"))?;
    Ok(change::shown(&found, found.version))
}

/// Set the configuration of a module on a cluster's switches
///
/// The XML is checked, and the answer shows what changed. `name` is sofia.conf, voicemail.conf, local_stream.conf,
/// json_cdr.conf or post_load_modules.conf.
#[utoipa::path(tag = "clusters", request_body = NewConfiguration, responses((status = 200, body = ChangedConfiguration), (status = 422, body = Problem)))]
#[put("/v1/clusters/{id}/configuration/{name}")]
pub async fn put_configuration(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let new: NewConfiguration = input::parse(&body)?;
    let (id, name) = path.into_inner();
    let work = async |change: &mut _| {
        let changed = configuration::put(change, id, &name, &new, request.if_match).await?;
        Outcome::changed(&changed, changed.configuration.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Go back to the configuration that the switches were installed with
#[utoipa::path(tag = "clusters", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/clusters/{id}/configuration/{name}")]
pub async fn delete_configuration(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, name) = path.into_inner();
    let work = async |change: &mut _| {
        configuration::delete(change, id, &name, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}
