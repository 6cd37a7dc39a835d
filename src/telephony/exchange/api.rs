//! `/v1/exchange-rates`: rates of exchange, which the platform keeps by day.

use actix_web::{
    HttpResponse, delete, get, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{ExchangeRate, NewExchangeRate, delete, set, store};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        settings::Currency,
        sorting::SortQuery,
    },
    tenancy::{Api, auth::actor::Actor},
};

/// Set the rate of exchange of a day
///
/// It is in force from that day on, until the day of the next one. One that is there for the day is replaced. Figures of calls are converted with the
/// rate of the day of each call, also of calls before the rate was set.
#[utoipa::path(tag = "carriers", request_body = NewExchangeRate, responses((status = 201, body = ExchangeRate), (status = 422, body = Problem)))]
#[post("/v1/exchange-rates")]
pub async fn set_exchange_rate(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let new: NewExchangeRate = input::parse(&body)?;
    let work = async |change: &mut _| {
        let rate = set(change, new).await?;
        Outcome::made_at(&rate, format!("/v1/exchange-rates/{}", rate.id))
    };
    request.quietly().run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RatesQuery {
    /// Only those from this currency.
    #[param(inline)]
    from_currency: Option<Currency>,
    /// Only those into this currency.
    #[param(inline)]
    to_currency: Option<Currency>,
}

/// List rates of exchange, the newest day first
///
/// With `sort=day`, the oldest come first.
#[utoipa::path(tag = "carriers", params(RatesQuery, SortQuery, PageQuery), responses((status = 200, body = Page<ExchangeRate>)))]
#[get("/v1/exchange-rates")]
pub async fn list_exchange_rates(
    api: Data<Api>,
    actor: Actor,
    query: Query<RatesQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<ExchangeRate>>, Problem> {
    let way = sort.way(&page, "-day")?;
    let (from, to) = (&query.from_currency, &query.to_currency);
    let (from, to) = (from.as_ref().map(Currency::as_str), to.as_ref().map(Currency::as_str));
    let mut db = api.read(&actor).await?;
    let rates = store::list(&mut *db, from, to, way.is_down, way.after(), way.fetch()).await?;
    Ok(Json(way.page(rates, store::key)))
}

/// Show a rate of exchange
#[utoipa::path(tag = "carriers", responses((status = 200, body = ExchangeRate), (status = 404, body = Problem)))]
#[get("/v1/exchange-rates/{id}")]
pub async fn show_exchange_rate(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<Json<ExchangeRate>, Problem> {
    let rate = store::get(&mut *api.read(&actor).await?, path.into_inner()).await?;
    rate.map(Json).ok_or_else(|| Problem::not_found("exchange rate"))
}

/// Delete a rate of exchange
///
/// From its day on, the one before is in force, if there is one.
#[utoipa::path(tag = "carriers", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/exchange-rates/{id}")]
pub async fn delete_exchange_rate(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let id = path.into_inner();
    let work = async |change: &mut _| {
        delete(change, id).await?;
        Ok(Outcome::deleted())
    };
    request.quietly().run(&api, &actor, b"", work).await
}
