//! `/v1/tenants/{tenant_id}/extensions`: the SIP accounts of a tenant.

use actix_web::{
    HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    CreatedExtension, Extension, ExtensionPatch, ExtensionStatus, NewExtension, RotatedSecret, check_own, create,
    delete, store, update,
};
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
    telephony::groups,
    tenancy::{Api, DetachQuery, auth::actor::Actor, many::Many},
    text::{Code, ExtensionNumber},
};

labels::labelled!(Extension, Extension, |it| Some(it.tenant_id));
labels::labelled!(CreatedExtension.extension);

/// Create an extension
///
/// Only this answer shows its SIP password and voicemail PIN.
#[utoipa::path(tag = "extensions", request_body = NewExtension, responses((status = 201, body = CreatedExtension), (status = 409, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/extensions")]
pub async fn create_extension(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let With { body: new, labels }: With<NewExtension> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let created = create(change, tenant, new).await?;
        let created = labels::made(change, created, labels).await?;
        let location = format!("/v1/tenants/{tenant}/extensions/{}", created.extension.id);
        Outcome::created(&created, created.extension.version, location)
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// Only the extension with this number, alias or SIP username.
    name: Option<String>,
    /// Only the extension with this number.
    number: Option<String>,
    /// Only those with this in their display name, in any case of its letters.
    display_name: Option<String>,
    #[param(inline)]
    status: Option<ExtensionStatus>,
    /// Only those of this agent.
    user_id: Option<Uuid>,
}

/// What the list can be sorted by.
const SORTS: [&str; 3] = [CREATED, "number", "display_name"];

/// List a tenant's extensions
///
/// It can be sorted by `created_at`, `number` or `display_name`.
#[utoipa::path(tag = "extensions", params(NameQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Extension>)))]
#[get("/v1/tenants/{tenant_id}/extensions")]
pub async fn list_extensions(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<NameQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Extension>>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    crate::tenancy::tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let own = actor.only_own();
    if own.is_some() && query.user_id.is_some_and(|wanted| Some(wanted) != own) {
        return Ok(Json(Page { items: Vec::new(), next_cursor: None }));
    }
    let filter = store::Filter {
        name: query.name.as_deref(),
        user: own.or(query.user_id),
        number: query.number.as_deref(),
        display_name: query.display_name.as_deref(),
        status: query.status,
    };
    let sorted = named.sorted(&mut db, Kind::Extension, Some(tenant), sorted).await?;
    let extensions = store::list(&mut *db, tenant, filter, &sorted).await?;
    Ok(Json(
        labels::page(
            &mut db,
            sorted.page(
                extensions,
                |extension| extension.id,
                |extension, by| match by {
                    "display_name" => extension.display_name.to_string(),
                    _ => extension.number.to_string(),
                },
            ),
        )
        .await?,
    ))
}

/// Show an extension
#[utoipa::path(tag = "extensions", responses((status = 200, body = Extension), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/extensions/{id}")]
pub async fn show_extension(api: Data<Api>, actor: Actor, path: Path<(Uuid, Uuid)>) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let mut db = api.read(&actor).await?;
    let extension = store::get(&mut *db, actor.in_tenant(tenant)?, id).await?;
    let own = actor.only_own();
    let extension = extension.filter(|extension| {
        extension.status != ExtensionStatus::Deleted && own.is_none_or(|own| extension.user_id == Some(own))
    });
    let extension = extension.ok_or_else(|| Problem::not_found("extension"))?;
    let extension = labels::of(&mut db, extension).await?;
    Ok(change::shown(&extension, extension.version))
}

/// Change an extension
#[utoipa::path(tag = "extensions", request_body = ExtensionPatch, responses((status = 200, body = Extension), (status = 412, body = Problem)))]
#[patch("/v1/tenants/{tenant_id}/extensions/{id}")]
pub async fn update_extension(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let With { body: mut patch, labels } = input::patch::<With<ExtensionPatch>, Extension>(&body)?;
    let work = async |change: &mut _| {
        if let Some(own) = actor.only_own() {
            if let Some(field) = labels.first() {
                return Err(Error::from(Code::FieldNotYours.with("field", field)).into());
            }
            check_own(change, tenant, id, own, &mut patch).await?;
        }
        let extension = update(change, tenant, id, patch, request.if_match).await?;
        let extension = labels::changed(change, extension, labels).await?;
        Outcome::changed(&extension, extension.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Make a new SIP password
///
/// Only this answer shows it. The old password is refused at once.
#[utoipa::path(tag = "extensions", responses((status = 200, body = RotatedSecret), (status = 404, body = Problem)))]
#[post("/v1/tenants/{tenant_id}/extensions/{id}/rotate-secret")]
pub async fn rotate_secret(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let work = async |change: &mut _| {
        let rotated = super::rotate_secret(change, tenant, id, request.if_match).await?;
        Outcome::changed(&rotated, rotated.version)
    };
    request.run(&api, &actor, b"", work).await
}

/// Delete an extension
///
/// What rings it is in the way, unless `detach` is asked for.
#[utoipa::path(tag = "extensions", params(DetachQuery), responses((status = 204), (status = 409, body = Problem)))]
#[delete("/v1/tenants/{tenant_id}/extensions/{id}")]
pub async fn delete_extension(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
    how: Query<DetachQuery>,
) -> Result<HttpResponse, Problem> {
    let (tenant, id) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    actor.may_detach(how.detach)?;
    let work = async |change: &mut _| {
        if how.detach {
            groups::detach(change, tenant, &[id]).await?;
        }
        delete(change, tenant, id, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Look an extension up by its number
#[utoipa::path(tag = "extensions", responses((status = 200, body = Extension), (status = 404, body = Problem)))]
#[get("/v1/tenants/{tenant_id}/extensions/by-number/{number}")]
pub async fn extension_by_number(
    api: Data<Api>,
    actor: Actor,
    path: Path<(Uuid, String)>,
) -> Result<HttpResponse, Problem> {
    let (tenant, number) = path.into_inner();
    let number = ExtensionNumber::parse(&number).map_err(|_| Problem::not_found("extension"))?;
    let mut db = api.read(&actor).await?;
    let extension = store::by_number(&mut db, actor.in_tenant(tenant)?, &number).await?;
    let own = actor.only_own();
    let extension = extension.filter(|extension| own.is_none_or(|own| extension.user_id == Some(own)));
    let extension = extension.ok_or_else(|| Problem::not_found("extension"))?;
    let extension = labels::of(&mut db, extension).await?;
    Ok(change::shown(&extension, extension.version))
}

/// Make an extension equal to this, by its number
///
/// Creates it if there is none, and only then shows its SIP password and voicemail PIN. Absent fields get the value that a new extension
/// has; an existing extension keeps its status, its owner and, unless new ones are given, its secrets.
#[utoipa::path(tag = "extensions", request_body = NewExtension, responses((status = 200, body = Extension), (status = 201, body = CreatedExtension), (status = 412, body = Problem)))]
#[put("/v1/tenants/{tenant_id}/extensions/by-number/{number}")]
pub async fn put_extension(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, number) = path.into_inner();
    let tenant = actor.in_tenant(tenant)?;
    let With { body: new, labels }: With<NewExtension> = input::parse(&body)?;
    if new.number.as_str() != number {
        return Err(Error::invalid("number", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let put = super::put(change, tenant, new, request.if_match).await?;
        let put = labels::put(change, put, labels).await?;
        let extension: &Extension = match &put {
            Put::Made(made) => &made.extension,
            Put::Is(extension) => extension,
        };
        Outcome::put(&put, extension.version, format!("/v1/tenants/{tenant}/extensions/{}", extension.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// Change many extensions, all or none unless asked otherwise
///
/// If nothing was changed because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "extensions", request_body = Changes<ExtensionPatch>, responses((status = 200, body = bulk::Report), (status = 422, body = bulk::Report)))]
#[patch("/v1/tenants/{tenant_id}/extensions/bulk")]
pub async fn update_extensions(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, (which, with): (Which, With<ExtensionPatch>)| {
        let before = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("extension"))?;
        let after = update(change, tenant, before.id, with.body, None).await?;
        let after = labels::changed(change, after, with.labels).await?;
        Ok((after.id, bulk::changed(before.version, after.version)))
    };
    many.change(one).await
}

/// Delete many extensions, all or none unless asked otherwise
///
/// If nothing was deleted because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "extensions", request_body = Deletions, responses((status = 200, body = bulk::Report), (status = 422, body = bulk::Report)))]
#[post("/v1/tenants/{tenant_id}/extensions/bulk-delete")]
pub async fn delete_extensions(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, which: Which, detach| {
        let found = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("extension"))?;
        if detach {
            groups::detach(change, tenant, &[found.id]).await?;
        }
        delete(change, tenant, found.id, None).await?;
        Ok(found.id)
    };
    many.delete(|detach| actor.may_detach(detach), one).await
}
