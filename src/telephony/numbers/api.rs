//! `/v1/phone-numbers`: a tenant's numbers, where they lead, and who calls out with them.

use actix_web::{
    HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    NewNumber, Number, NumberPatch, NumberStatus, Outbound,
    assignments::{self, AgentNumbers, Assign},
    bulk::{self, BulkNumbers, Report},
    create, delete, store, update,
};
use crate::{
    http::{
        bulk::{self as of_many, Changes, Deletions},
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
    node::{apart::apart, changes::Change},
    tenancy::{Api, TenantQuery, auth::actor::Actor, many::Many},
    text::E164,
};

labels::labelled!(Number, Number, |it| Some(it.tenant_id));

/// Add a phone number
#[utoipa::path(tag = "phone numbers", params(TenantQuery), request_body = NewNumber, responses((status = 201, body = Number), (status = 409, body = Problem)))]
#[post("/v1/phone-numbers")]
pub async fn create_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let With { body: new, labels }: With<NewNumber> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let number = create(change, tenant, new).await?;
        let number = labels::made(change, number, labels).await?;
        Outcome::created(&number, number.version, actor.place(tenant, &format!("/v1/phone-numbers/{}", number.id)))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BulkQuery {
    /// Add the valid numbers even if others have errors; otherwise all or none.
    #[serde(default)]
    partial: bool,
}

/// Add many phone numbers: lines of `+12025550123,provider,US`, as CSV or plain text, or JSON
///
/// CSV may have a line of headings: `number`, `provider`, `country`, `external_id`, and `metadata.KEY` for each key of their metadata. Without `partial`, if some lines have errors, nothing is added, and the answer is a 422 with the report.
#[utoipa::path(tag = "phone numbers", params(TenantQuery, BulkQuery), request_body(content((BulkNumbers = "application/json"), (String = "text/csv"))), responses((status = 201, body = Report), (status = 422, body = Report)))]
#[post("/v1/phone-numbers/bulk")]
pub async fn create_numbers(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    how: Query<BulkQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    add_many(&api, &actor, &request, query.tenant_id, how.partial, &body).await
}

/// Add many phone numbers, at another path
///
/// The same as `POST /v1/phone-numbers/bulk`.
#[utoipa::path(tag = "phone numbers", params(TenantQuery, BulkQuery), request_body(content((BulkNumbers = "application/json"), (String = "text/csv"))), responses((status = 201, body = Report), (status = 422, body = Report)))]
#[post("/v1/phone-numbers/bulk-upload")]
pub async fn upload_numbers(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    how: Query<BulkQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    add_many(&api, &actor, &request, query.tenant_id, how.partial, &body).await
}

async fn add_many(
    api: &Data<Api>,
    actor: &Actor,
    request: &ChangeRequest,
    tenant: Option<Uuid>,
    partial: bool,
    body: &Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant)?;
    let text = body.clone();
    let lines = if request.is_json() {
        bulk::from_json(input::parse_apart::<BulkNumbers>(body).await?.numbers)?
    } else {
        apart(move || bulk::read(&text)).await??
    };
    let _turn = api.turn().await?;
    let work = async |change: &mut Change| {
        let report = bulk::add(change, tenant, lines, partial).await?;
        Outcome::report(&report, report.created > 0)
    };
    request.run(api, actor, body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    #[param(inline)]
    status: Option<NumberStatus>,
    /// Only numbers that are assigned to an agent, or only those that aren't.
    assigned: Option<bool>,
    /// Such as DE.
    country: Option<String>,
    provider: Option<String>,
    /// Part of the number, or of its provider.
    search: Option<String>,
    /// Only this number, in E.164.
    number: Option<String>,
    /// Only numbers that are assigned to this agent.
    agent_id: Option<Uuid>,
    /// Only numbers that lead to the extension, group or destination with this id.
    destination_id: Option<Uuid>,
}

/// What may be shown with each number.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NumberExpand)]
enum Expand {
    Destination,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ExpandQuery {
    /// `destination` adds name and number of what each of them leads to.
    #[param(inline)]
    expand: Option<Expand>,
}

/// What the list can be sorted by.
const SORTS: [&str; 2] = [CREATED, "number"];

/// List phone numbers
///
/// It can be sorted by `created_at` or `number`.
#[utoipa::path(tag = "phone numbers", params(TenantQuery, ListQuery, ExpandQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Number>)))]
#[get("/v1/phone-numbers")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn list_numbers(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<ListQuery>,
    expand: Query<ExpandQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Number>>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let query = query.into_inner();
    let filter = store::Filter {
        id: None,
        status: query.status,
        assigned: query.assigned,
        country: query.country,
        provider: query.provider,
        search: query.search,
        user: actor.only_own(),
        number: query.number,
        agent: query.agent_id,
        leads_to: query.destination_id,
    };
    let mut db = api.read(&actor).await?;
    let sorted = named.sorted(&mut db, Kind::Number, Some(tenant), sorted).await?;
    let mut numbers = store::list(&mut *db, tenant, &filter, &sorted).await?;
    if let Some(Expand::Destination) = expand.expand {
        store::with_names(&mut db, tenant, &mut numbers).await?;
    }
    Ok(Json(
        labels::page(&mut db, sorted.page(numbers, |number| number.id, |number, _| number.number.to_string())).await?,
    ))
}

/// Show a phone number
#[utoipa::path(tag = "phone numbers", params(TenantQuery), responses((status = 200, body = Number), (status = 404, body = Problem)))]
#[get("/v1/phone-numbers/{id}")]
pub async fn show_number(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let filter = store::Filter { id: Some(path.into_inner()), user: actor.only_own(), ..store::Filter::default() };
    let mut db = api.read(&actor).await?;
    let found = store::list(&mut *db, tenant, &filter, &crate::model::paging::Window::FIRST.into()).await?;
    let number = found.into_iter().next().ok_or_else(|| Problem::not_found("number"))?;
    let number = labels::of(&mut db, number).await?;
    Ok(change::shown(&number, number.version))
}

/// Change a phone number: where it leads, its status, provider, capabilities
#[utoipa::path(tag = "phone numbers", params(TenantQuery), request_body = NumberPatch, responses((status = 200, body = Number), (status = 412, body = Problem)))]
#[patch("/v1/phone-numbers/{id}")]
pub async fn update_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let With { body: patch, labels } = input::patch::<With<NumberPatch>, Number>(&body)?;
    let work = async |change: &mut _| {
        let number = update(change, tenant, path.into_inner(), patch, request.if_match).await?;
        let number = labels::changed(change, number, labels).await?;
        Outcome::changed(&number, number.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a phone number that is not assigned
#[utoipa::path(tag = "phone numbers", params(TenantQuery), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[delete("/v1/phone-numbers/{id}")]
pub async fn delete_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let work = async |change: &mut _| {
        delete(change, tenant, path.into_inner(), request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Assign a phone number to an agent, who calls out with it
#[utoipa::path(tag = "phone numbers", params(TenantQuery), request_body = Assign, responses((status = 200, body = Number), (status = 422, body = Problem)))]
#[post("/v1/phone-numbers/{id}/assign")]
pub async fn assign_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let to: Assign = input::parse(&body)?;
    let work = async |change: &mut Change| {
        let number = assignments::assign(change, tenant, path.into_inner(), to, request.if_match).await?;
        let number = labels::of(change.db(), number).await?;
        Outcome::changed(&number, number.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Take a phone number back from its agent
#[utoipa::path(tag = "phone numbers", params(TenantQuery), responses((status = 200, body = Number), (status = 409, body = Problem)))]
#[post("/v1/phone-numbers/{id}/unassign")]
pub async fn unassign_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let work = async |change: &mut Change| {
        let number = assignments::unassign(change, tenant, path.into_inner(), request.if_match).await?;
        let number = labels::of(change.db(), number).await?;
        Outcome::changed(&number, number.version)
    };
    request.run(&api, &actor, b"", work).await
}

/// Show the numbers that an agent calls out with, and how often each was used today
#[utoipa::path(tag = "phone numbers", params(TenantQuery), responses((status = 200, body = AgentNumbers), (status = 404, body = Problem)))]
#[get("/v1/phone-numbers/agent/{agent_id}")]
pub async fn show_agent_numbers(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<Json<AgentNumbers>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let agent = path.into_inner();
    if actor.only_own().is_some_and(|own| own != agent) {
        return Err(Problem::not_found("agent"));
    }
    let mut db = api.read(&actor).await?;
    let outbound = store::choice(&mut db, tenant, agent).await?.ok_or_else(|| Problem::not_found("agent"))?;
    let numbers = store::numbers_of_agent(&mut db, tenant, agent).await?;
    Ok(Json(AgentNumbers { agent_id: agent, outbound, numbers }))
}

/// Choose which of their numbers an agent's calls show
#[utoipa::path(tag = "phone numbers", params(TenantQuery), request_body = Outbound, responses((status = 200, body = Outbound), (status = 422, body = Problem)))]
#[patch("/v1/phone-numbers/agent/{agent_id}")]
pub async fn choose_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let outbound: Outbound = input::parse(&body)?;
    let work = async |change: &mut _| {
        assignments::choose(change, tenant, path.into_inner(), &outbound).await?;
        Outcome::said(&outbound)
    };
    request.run(&api, &actor, &body, work).await
}

/// Look a phone number up by the number, in E.164
#[utoipa::path(tag = "phone numbers", params(TenantQuery), responses((status = 200, body = Number), (status = 404, body = Problem)))]
#[get("/v1/phone-numbers/by-number/{number}")]
pub async fn number_by_number(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let number = E164::parse(&path).map_err(|_| Problem::not_found("number"))?;
    let mut db = api.read(&actor).await?;
    let number = store::by_number(&mut db, tenant, &number).await?;
    let own = actor.only_own();
    let is_own = |number: &Number| {
        own.is_none_or(|own| number.assignment.as_ref().is_some_and(|assignment| assignment.agent_id == own))
    };
    let number = number.filter(is_own).ok_or_else(|| Problem::not_found("number"))?;
    let number = labels::of(&mut db, number).await?;
    Ok(change::shown(&number, number.version))
}

/// Make a phone number equal to this, by the number in E.164
///
/// Adds it if the tenant doesn't have it. Absent fields get the value that a new number has; who calls out with it stays as it is.
#[utoipa::path(tag = "phone numbers", params(TenantQuery), request_body = NewNumber, responses((status = 200, body = Number), (status = 201, body = Number), (status = 409, body = Problem), (status = 412, body = Problem)))]
#[put("/v1/phone-numbers/by-number/{number}")]
pub async fn put_number(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let With { body: new, labels }: With<NewNumber> = input::parse(&body)?;
    let key = E164::parse(&path).map_err(|error| Error::query("number", error))?;
    let work = async |change: &mut _| {
        let put = super::put(change, tenant, &key, new, request.if_match).await?;
        let put = labels::put(change, put, labels).await?;
        let (Put::Made(number) | Put::Is(number)) = &put;
        Outcome::put(&put, number.version, actor.place(tenant, &format!("/v1/phone-numbers/{}", number.id)))
    };
    request.run(&api, &actor, &body, work).await
}

/// Change many phone numbers, all or none unless asked otherwise
///
/// If nothing was changed because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "phone numbers", params(TenantQuery), request_body = Changes<NumberPatch>, responses((status = 200, body = of_many::Report), (status = 422, body = of_many::Report)))]
#[patch("/v1/phone-numbers/bulk")]
pub async fn update_numbers(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, (which, with): (Which, With<NumberPatch>)| {
        let before = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("number"))?;
        let after = update(change, tenant, before.id, with.body, None).await?;
        let after = labels::changed(change, after, with.labels).await?;
        Ok((after.id, of_many::changed(before.version, after.version)))
    };
    many.change(one).await
}

/// Delete many phone numbers, all or none unless asked otherwise
///
/// `detach` takes them back from their agents. If nothing was deleted because of errors, the answer is a 422 with the report.
#[utoipa::path(tag = "phone numbers", params(TenantQuery), request_body = Deletions, responses((status = 200, body = of_many::Report), (status = 422, body = of_many::Report)))]
#[post("/v1/phone-numbers/bulk-delete")]
pub async fn delete_numbers(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(query.tenant_id)?;
    let many = Many { api: &api, actor: &actor, request: &request, tenant, body: &body };
    let one = async |change: &mut Change, which: Which, detach| {
        let found = store::which(change.db(), tenant, &which).await?.ok_or(Error::NotFound("number"))?;
        if detach && found.assignment.is_some() {
            assignments::unassign(change, tenant, found.id, None).await?;
        }
        delete(change, tenant, found.id, None).await?;
        Ok(found.id)
    };
    many.delete(|_| Ok(()), one).await
}
