//! `/v1/carriers`: carriers, their rates, and whether they answer.

use actix_web::{
    HttpRequest, HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Payload, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Carrier, CarrierPatch, CarrierStatus, NewCarrier, create, delete,
    probe::{self, Probe},
    rates::{self, Report},
    store::{self, Rate},
    update,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{self, Page, PageQuery},
        put::Put,
        settings::Words,
        sorting::{self, CREATED, SortQuery},
    },
    tenancy::{Api, OfTenantQuery, auth::actor::Actor},
    text::Code,
};

labels::labelled!(Carrier, Carrier, |it| it.tenant_id);

/// The largest rate sheet, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// Create a carrier
#[utoipa::path(tag = "carriers", request_body = NewCarrier, responses((status = 201, body = Carrier), (status = 409, body = Problem)))]
#[post("/v1/carriers")]
pub async fn create_carrier(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: new, labels }: With<NewCarrier> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let carrier = create(change, new).await?;
        let carrier = labels::made(change, carrier, labels).await?;
        Outcome::created(&carrier, carrier.version, format!("/v1/carriers/{}", carrier.id))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those with this in their name, in any case of its letters.
    name: Option<String>,
    #[param(inline)]
    status: Option<CarrierStatus>,
}

/// What the list can be sorted by.
const SORTS: [&str; 3] = [CREATED, "name", "priority"];

/// List carriers
///
/// It can be sorted by `created_at`, `name` or `priority`.
#[utoipa::path(tag = "carriers", params(OfTenantQuery, ListQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Carrier>)))]
#[get("/v1/carriers")]
pub async fn list_carriers(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<OfTenantQuery>,
    query: Query<ListQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Carrier>>>, Problem> {
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    let tenant = tenant.of(&actor);
    let only = named.ids(&mut db, Kind::Carrier, tenant).await?;
    let ListQuery { name, status } = query.into_inner();
    let filter = store::Filter { name, status, tenant };
    let carriers = store::list(&mut *db, only.as_deref(), &filter, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(carriers, |carrier| carrier.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(carrier: &Carrier, by: &str) -> String {
    match by {
        "name" => carrier.name.to_string(),
        "priority" => sorting::number_key(carrier.priority),
        _ => String::new(),
    }
}

/// Show a carrier
#[utoipa::path(tag = "carriers", responses((status = 200, body = Carrier), (status = 404, body = Problem)))]
#[get("/v1/carriers/{id}")]
pub async fn show_carrier(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let mut db = api.read(&actor).await?;
    let carrier = store::get(&mut *db, path.into_inner()).await?;
    let carrier = carrier.ok_or_else(|| Problem::not_found("carrier"))?;
    let carrier = labels::of(&mut db, carrier).await?;
    Ok(change::shown(&carrier, carrier.version))
}

/// Look a carrier up by its name
#[utoipa::path(tag = "carriers", responses((status = 200, body = Carrier), (status = 404, body = Problem)))]
#[get("/v1/carriers/by-name/{name}")]
pub async fn carrier_by_name(api: Data<Api>, actor: Actor, path: Path<String>) -> Result<HttpResponse, Problem> {
    let mut db = api.read(&actor).await?;
    let carrier = store::by_name(&mut db, &path).await?;
    let carrier = carrier.ok_or_else(|| Problem::not_found("carrier"))?;
    let carrier = labels::of(&mut db, carrier).await?;
    Ok(change::shown(&carrier, carrier.version))
}

/// Make a carrier equal to this, by its name
///
/// Creates it if there is none. Its tenant can't change. A password stays as it is unless one is given.
#[utoipa::path(tag = "carriers", request_body = NewCarrier, responses((status = 200, body = Carrier), (status = 201, body = Carrier), (status = 412, body = Problem)))]
#[put("/v1/carriers/by-name/{name}")]
pub async fn put_carrier(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: new, labels }: With<NewCarrier> = input::parse(&body)?;
    if Words::parse(&path).ok().as_ref() != Some(&new.name) {
        return Err(Error::invalid("name", Code::NotThePathsName).into());
    }
    let work = async |change: &mut _| {
        let put = super::put(change, new, request.if_match).await?;
        let put = labels::put(change, put, labels).await?;
        let (Put::Made(carrier) | Put::Is(carrier)) = &put;
        Outcome::put(&put, carrier.version, format!("/v1/carriers/{}", carrier.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// Change a carrier
#[utoipa::path(tag = "carriers", request_body = CarrierPatch, responses((status = 200, body = Carrier), (status = 412, body = Problem)))]
#[patch("/v1/carriers/{id}")]
pub async fn update_carrier(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let With { body: patch, labels } = input::patch::<With<CarrierPatch>, Carrier>(&body)?;
    let work = async |change: &mut _| {
        let carrier = update(change, path.into_inner(), patch, request.if_match).await?;
        let carrier = labels::changed(change, carrier, labels).await?;
        Outcome::changed(&carrier, carrier.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a carrier
#[utoipa::path(tag = "carriers", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/carriers/{id}")]
pub async fn delete_carrier(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        delete(change, path.into_inner(), request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Replace a carrier's rates with a CSV file
///
/// Columns are recognised by their headings, in any order: `prefix`, `price` (per minute), `first_seconds`, `step_seconds`,
/// `effective_date`, and the names that other systems use. Without headings they are
/// `prefix,price[,first_seconds,step_seconds][,effective_date]`. It is all or nothing: if a line has an error, the rates in force
/// stay, and the answer is a 422 with the report. Prefixes whose first rate begins later keep their present rate until then, and so do longer
/// prefixes below them that the file does not name, which then get the rate of the shorter one.
/// `/rates/preview` shows what a file would do.
#[utoipa::path(tag = "carriers", request_body(content = String, content_type = "text/csv"), responses((status = 200, body = Report, description = "It changes no price: the sheet in force stays."), (status = 201, body = Report), (status = 422, body = Report)))]
#[put("/v1/carriers/{id}/rates")]
pub async fn replace_rates(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    replace(&api, &actor, &request, path.into_inner(), payload).await
}

/// Replace a carrier's rates with a CSV file, at another path
///
/// The same as `PUT /v1/carriers/{id}/rates`.
#[utoipa::path(tag = "carriers", request_body(content = String, content_type = "text/csv"), responses((status = 200, body = Report, description = "It changes no price: the sheet in force stays."), (status = 201, body = Report), (status = 422, body = Report)))]
#[post("/v1/carriers/{id}/rates/bulk")]
pub async fn upload_rates(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    replace(&api, &actor, &request, path.into_inner(), payload).await
}

async fn replace(
    api: &Data<Api>,
    actor: &Actor,
    request: &ChangeRequest,
    carrier: Uuid,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let body = sheet_of(payload).await?;
    let _turn = api.turn().await?;
    let now = chrono::Utc::now();
    let sheet = read_apart(body.clone(), now).await?;
    let work = async |change: &mut _| {
        let report = rates::replace(change, carrier, sheet, now, |_| ()).await?;
        if report.refused == 0 && !report.changed {
            Outcome::said(&report)
        } else {
            Outcome::report(&report, report.changed)
        }
    };
    request.run(api, actor, &body, work).await
}

/// Show what a CSV file of rates would do, without doing it
///
/// The answer says how each column is read, which lines have errors, and which prefixes would have no price.
#[utoipa::path(tag = "carriers", request_body(content = String, content_type = "text/csv"), responses((status = 200, body = Report), (status = 404, body = Problem)))]
#[post("/v1/carriers/{id}/rates/preview")]
pub async fn preview_rates(
    api: Data<Api>,
    actor: Actor,
    request: HttpRequest,
    path: Path<Uuid>,
    payload: Payload,
) -> Result<Json<Report>, Problem> {
    let body = sheet_of(payload).await?;
    let _turn = api.turn().await?;
    let now = chrono::Utc::now();
    let sheet = read_apart(body, now).await?;
    // The change is really made and then undone, so the preview says exactly what would happen.
    let mut change = api.changes.begin(actor.author(&request)).await?;
    Ok(Json(rates::replace(&mut change, path.into_inner(), sheet, now, |_| ()).await?))
}

async fn sheet_of(payload: Payload) -> Result<Bytes, Problem> {
    let too_large = || Problem::from(Code::RatesTooLarge.with("mebibytes", 64));
    payload.to_bytes_limited(MOST_BYTES).await.map_err(|_| too_large())?.map_err(|_| too_large())
}

/// Reading a hundred thousand lines is work for a thread of its own.
async fn read_apart(file: Bytes, now: chrono::DateTime<chrono::Utc>) -> Result<rates::Sheet, Problem> {
    let read = actix_web::web::block(move || rates::read(&file, now)).await;
    Ok(read.map_err(|_| Problem::from(Code::RatesUnread))??)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RatesQuery {
    /// Only rates whose prefix begins with this.
    #[serde(default)]
    prefix: String,
    /// 1 to 500; 50 if absent.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List a carrier's rates, by prefix and time
///
/// With `sort=-prefix`, the last come first.
#[utoipa::path(tag = "carriers", params(RatesQuery, SortQuery), responses((status = 200, body = Page<Rate>)))]
#[get("/v1/carriers/{id}/rates")]
pub async fn list_rates(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<RatesQuery>,
    sort: Query<SortQuery>,
) -> Result<Json<Page<Rate>>, Problem> {
    if !query.prefix.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::query("prefix", Code::NotDigits).into());
    }
    let RatesQuery { prefix, limit, cursor } = query.into_inner();
    let way = sort.way(&PageQuery { limit, cursor }, "prefix")?;
    let place_of = |key: &str| {
        let place = key.split_once(' ').and_then(|(prefix, at)| Some((prefix.to_owned(), at.parse().ok()?)));
        place.ok_or_else(paging::wrong_cursor)
    };
    let after = way.after().map(place_of).transpose()?;
    let (carrier, mut db) = (path.into_inner(), api.read(&actor).await?);
    store::get(&mut *db, carrier).await?.ok_or_else(|| Problem::not_found("carrier"))?;
    let rates = store::rates(&mut *db, carrier, &prefix, way.is_down, after.as_ref(), way.fetch()).await?;
    Ok(Json(way.page(rates, |rate| format!("{} {}", rate.prefix, rate.effective_at.to_rfc3339()))))
}

/// Probe a carrier with one SIP OPTIONS
#[utoipa::path(tag = "carriers", responses((status = 200, body = Probe), (status = 404, body = Problem)))]
#[post("/v1/carriers/{id}/test-connection")]
pub async fn test_carrier(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<Json<Probe>, Problem> {
    let carrier = store::get(&mut *api.read(&actor).await?, path.into_inner()).await?;
    let carrier = carrier.ok_or_else(|| Problem::not_found("carrier"))?;
    Ok(Json(probe::options(&carrier.config).await))
}
