//! `/v1/tenants/{tenant_id}/outbound-calls`: the decisions about calls that leave the platform. `/v1/unreadable-records`: call
//! records that can't be read.

use actix_web::{
    HttpResponse, get,
    web::{Data, Json, Path, Query},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store;
use crate::{
    http::problem::Problem,
    model::{error::Error, moment, settings::Feature},
    telephony::destinations,
    tenancy::{Api, auth::actor::Actor},
    text::Code,
};

/// One decision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OutboundCall {
    /// The call's UUID on its switch.
    pub call_id: Uuid,
    pub callee: String,
    pub extension_id: Option<Uuid>,
    pub agent_id: Option<Uuid>,
    /// The number that was shown to the called party.
    pub number_id: Option<Uuid>,
    pub caller_id: Option<String>,
    /// The carrier that took the call; until its record says, the first that was tried.
    pub carrier_id: Option<Uuid>,
    pub emergency: bool,
    pub admitted: bool,
    /// Why it was refused.
    pub reason: Option<String>,
    /// That carrier's price per minute, in millionths of the currency.
    pub price: i64,
    /// Of the amounts. Absent in calls made under an earlier version.
    pub currency: Option<String>,
    pub at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub seconds: Option<i32>,
    /// In millionths of the currency.
    pub cost: Option<i64>,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutboundFilter {
    /// Only calls before this time. For the next page, the `at` of the last call.
    pub before: Option<DateTime<Utc>>,
    pub admitted: Option<bool>,
    /// Such as `daily_limit`.
    pub reason: Option<String>,
    /// 1 to 500; 50 if absent.
    pub limit: Option<i64>,
}

/// List calls that left the platform or were refused, newest first
#[utoipa::path(tag = "routes", params(OutboundFilter), responses((status = 200, body = Vec<OutboundCall>)))]
#[get("/v1/tenants/{tenant_id}/outbound-calls")]
pub async fn list_outbound_calls(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    filter: Query<OutboundFilter>,
) -> Result<Json<Vec<OutboundCall>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    moment::check_query("before", filter.before)?;
    let limit = filter.limit.unwrap_or(50);
    if !(1..=500).contains(&limit) {
        return Err(Error::query("limit", Code::range(1, 500)).into());
    }
    if actor.tenant.is_some() {
        let features = destinations::store::rules(&mut *api.read(&actor).await?, tenant).await?;
        features.map(|plan| plan.settings.features).unwrap_or_default().need(Feature::Reports)?;
    }
    Ok(Json(store::outbound_calls(&mut *api.read(&actor).await?, tenant, &filter, limit).await?))
}

/// Call records that can't be read. Their calls keep what was reserved for them until a readable record of the same leg is posted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UnreadableRecords {
    /// How many there are.
    pub count: i64,
    /// The oldest of them, at most 200.
    pub records: Vec<UnreadableRecord>,
}

/// One of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UnreadableRecord {
    /// The channel's UUID, as it was posted.
    pub leg: String,
    pub switch_id: Uuid,
    pub received_at: DateTime<Utc>,
    pub bytes: i32,
    /// A code, and what was found: `broken_json: EOF while parsing a string at line 1 column 80`.
    pub reason: String,
}

/// List call records that can't be read, oldest first
#[utoipa::path(tag = "switches", responses((status = 200, body = UnreadableRecords)))]
#[get("/v1/unreadable-records")]
pub async fn list_unreadable_records(api: Data<Api>, actor: Actor) -> Result<Json<UnreadableRecords>, Problem> {
    let mut db = api.read(&actor).await?;
    let records = store::unreadable(&mut *db, 200).await?;
    Ok(Json(UnreadableRecords { count: store::count_unreadable(&mut *db).await?, records }))
}

/// Show a call record that can't be read, as it was posted
#[utoipa::path(tag = "switches", responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
#[get("/v1/unreadable-records/{leg}")]
pub async fn show_unreadable_record(api: Data<Api>, actor: Actor, path: Path<String>) -> Result<HttpResponse, Problem> {
    let body = store::unreadable_body(&mut *api.read(&actor).await?, &path.into_inner()).await?;
    let body = body.ok_or_else(|| Problem::not_found("call record"))?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(body))
}
