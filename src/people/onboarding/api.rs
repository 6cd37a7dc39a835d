//! `/v1/templates`, and a tenant's settings and setup.

use actix_web::{
    HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{NewTenancy, Setup, Tenancy, change_settings, store};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, With},
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{Page, PageQuery, Window},
        put::Put,
        settings::{self, Settings, Template},
        sorting::SortQuery,
        used::UsedKind,
    },
    node::changes::Change,
    telephony::pools,
    tenancy::{
        Api,
        auth::actor::Actor,
        tenants::{
            self, Tenant,
            templates::{self, TemplateVersion},
        },
    },
    text::{Code, Domain},
};

labels::labelled!(Tenancy.tenant);

/// Create a tenant with everything it starts with: owner, pool, settings, and what is not in use yet
#[utoipa::path(tag = "tenants", request_body = NewTenancy, responses((status = 201, body = Tenancy), (status = 409, body = Problem)))]
#[post("/v1/tenants")]
pub async fn create_tenant(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: new, labels }: With<NewTenancy> = input::parse(&body)?;
    let work = async |change: &mut Change| {
        if let Some(known) = tenants::store::by_domain(change.db(), &new.domain).await? {
            let why = Code::DomainTaken.with("domain", &new.domain);
            return Err(Error::taken(why, UsedKind::Tenant, known.id, &known.domain).into());
        }
        let made = super::create(&api.auth.public_url, change, new, None).await?;
        let made = labels::made(change, made, labels).await?;
        Outcome::created(&made, made.tenant.version, format!("/v1/tenants/{}", made.tenant.id))
    };
    request.run(&api, &actor, &body, work).await
}

fn template(body: &[u8]) -> Result<Template, Problem> {
    let body: Value = input::parse(body)?;
    Ok(Template::parse(&body).map_err(templates::wrong_setting)?)
}

/// Make a tenant equal to this, by its domain
///
/// Creates it if there is none, as `POST /v1/tenants` does. What only counts when a tenant is created (its template, its region, its
/// owner) can't differ later. A name, a cluster and settings that are not given stay as they are; settings are a merge patch over those
/// that the tenant has.
#[utoipa::path(tag = "tenants", request_body = NewTenancy, responses((status = 200, body = Tenant), (status = 201, body = Tenancy), (status = 409, body = Problem), (status = 412, body = Problem)))]
#[put("/v1/tenants/by-domain/{domain}")]
pub async fn put_tenant(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: new, labels }: With<NewTenancy> = input::parse(&body)?;
    if Domain::parse(&path).ok().as_ref() != Some(&new.domain) {
        return Err(Error::invalid("domain", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let put = super::put(&api.auth.public_url, change, new, request.if_match).await?;
        let put = labels::put(change, put, labels).await?;
        let tenant: &Tenant = match &put {
            Put::Made(made) => &made.tenant,
            Put::Is(tenant) => tenant,
        };
        Outcome::put(&put, tenant.version, format!("/v1/tenants/{}", tenant.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// Create a template
#[utoipa::path(tag = "templates", request_body = Template, responses((status = 201, body = Template), (status = 409, body = Problem)))]
#[post("/v1/templates")]
pub async fn create_template(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let new = template(&body)?;
    let work = async |change: &mut _| {
        let made = templates::put(change, new, true, None).await?;
        Outcome::created(&made, i64::from(made.version), format!("/v1/templates/{}", made.name.as_str()))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct TemplateQuery {
    /// Only those with this in their name.
    name: Option<String>,
}

/// List templates, by name
///
/// With `sort=-name`, the last come first.
#[utoipa::path(tag = "templates", params(ExternalIdQuery, TemplateQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Template>)))]
#[get("/v1/templates")]
pub async fn list_templates(
    api: Data<Api>,
    actor: Actor,
    named: Query<ExternalIdQuery>,
    query: Query<TemplateQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Template>>, Problem> {
    let mut all = templates::list(&mut *api.read(&actor).await?).await?;
    if let Some(wanted) = &named.external_id {
        all.retain(|template| template.external_id.as_ref().is_some_and(|id| id.as_str() == wanted));
    }
    if let Some(wanted) = &query.name {
        let wanted = wanted.to_lowercase();
        all.retain(|template| template.name.as_str().contains(&wanted));
    }
    Ok(Json(sort.of_all(&page, &["name"], all, |template, _| template.name.to_string())?))
}

/// The JSON schema of templates
#[utoipa::path(tag = "templates", responses((status = 200, body = Object)))]
#[get("/v1/templates/schema")]
pub async fn template_schema(_actor: Actor) -> Json<Value> {
    Json(settings::schema())
}

#[derive(Deserialize, utoipa::IntoParams)]
pub struct VersionQuery {
    /// The version to show; the newest if absent.
    version: Option<i32>,
}

/// Show a template
#[utoipa::path(tag = "templates", params(VersionQuery), responses((status = 200, body = Template), (status = 404, body = Problem)))]
#[get("/v1/templates/{name}")]
pub async fn show_template(
    api: Data<Api>,
    actor: Actor,
    path: Path<String>,
    query: Query<VersionQuery>,
) -> Result<HttpResponse, Problem> {
    let mut db = api.read(&actor).await?;
    let template = match query.version {
        Some(version) => templates::at_version(&mut *db, &path, version).await?,
        None => templates::get(&mut *db, &path).await?,
    };
    let template = template.ok_or_else(|| Problem::not_found("template"))?;
    Ok(change::shown(&template, i64::from(template.version)))
}

/// List the versions of one of the platform's own templates, newest first
///
/// With `sort=version`, the first come first.
#[utoipa::path(tag = "templates", params(SortQuery, PageQuery), responses((status = 200, body = Page<TemplateVersion>)))]
#[get("/v1/templates/{name}/versions")]
pub async fn list_template_versions(
    api: Data<Api>,
    actor: Actor,
    path: Path<String>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<TemplateVersion>>, Problem> {
    let mut db = api.read(&actor).await?;
    templates::get(&mut *db, &path).await?.ok_or_else(|| Problem::not_found("template"))?;
    let all = templates::versions(&mut *db, &path).await?;
    // The newest first, unless another order is asked for.
    Ok(Json(sort.of_all(&page, &["version"], all, |kept, by| {
        format!("{:010}", if by.is_empty() { i32::MAX - kept.version } else { kept.version })
    })?))
}

/// Replace a template
///
/// Tenants that were set up from it stay as they are.
#[utoipa::path(tag = "templates", request_body = Template, responses((status = 200, body = Template), (status = 422, body = Problem)))]
#[put("/v1/templates/{name}")]
pub async fn put_template(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let new = template(&body)?;
    if new.name.as_str() != path.as_str() {
        return Err(Error::query("name", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let kept = templates::put(change, new, false, request.if_match).await?;
        Outcome::changed(&kept, i64::from(kept.version))
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete one of the platform's own templates
#[utoipa::path(tag = "templates", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/templates/{name}")]
pub async fn delete_template(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        templates::delete(change, &path, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Show a tenant's settings
#[utoipa::path(tag = "tenants", responses((status = 200, body = Settings), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/settings")]
pub async fn show_settings(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let kept = tenants::store::settings(&mut *api.read(&actor).await?, tenant).await?;
    let (settings, version) = kept.ok_or_else(|| Problem::not_found("tenant"))?;
    Ok(change::shown(&settings, version))
}

/// Change a tenant's settings
///
/// A JSON merge patch (RFC 7396): absent fields stay as they are, `null` removes one.
#[utoipa::path(tag = "tenants", request_body = Object, responses((status = 200, body = Settings), (status = 422, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/settings")]
pub async fn update_settings(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let patch: Value = input::parse(&body)?;
    let work = async |change: &mut _| {
        let (settings, version) = change_settings(change, tenant, &patch, request.if_match).await?;
        Outcome::changed(&settings, version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Show what a tenant started with: pools, pending phone numbers, channels, integrations
#[utoipa::path(tag = "tenants", responses((status = 200, body = Setup), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/setup")]
pub async fn show_setup(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<Json<Setup>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let mut db = api.read(&actor).await?;
    tenants::store::settings(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let pools = pools::store::list(&mut *db, tenant, &Window::FIRST.into()).await?;
    Ok(Json(Setup {
        pools: labels::of_all(&mut db, pools).await?,
        number_requests: store::number_requests(&mut *db, tenant).await?,
        channels: store::channels(&mut *db, tenant).await?,
        integrations: store::integrations(&mut *db, tenant).await?,
    }))
}
