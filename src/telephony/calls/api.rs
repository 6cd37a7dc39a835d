//! `/v1/tenants/{tenant_id}/outbound-calls`: what was decided about calls that leave the platform.

use actix_web::{
    get,
    web::{Data, Json, Path, Query},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store;
use crate::{
    http::problem::Problem,
    model::error::Error,
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
    /// The number that was shown.
    pub number_id: Option<Uuid>,
    pub caller_id: Option<String>,
    /// Who took it; until its record says, who was tried first.
    pub carrier_id: Option<Uuid>,
    pub emergency: bool,
    pub admitted: bool,
    /// Why it was refused.
    pub reason: Option<String>,
    /// For a minute, in millionths of the currency.
    pub price: i64,
    pub at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub seconds: Option<i32>,
    /// In millionths of the currency.
    pub cost: Option<i64>,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutboundFilter {
    /// Those before this moment: `at` of the last one of the page before.
    pub before: Option<DateTime<Utc>>,
    pub admitted: Option<bool>,
    /// As daily_limit.
    pub reason: Option<String>,
    /// 1 to 500; 50 when not given.
    pub limit: Option<i64>,
}

/// List calls that left the platform, or were refused and why, the newest first
#[utoipa::path(tag = "routes", params(OutboundFilter), responses((status = 200, body = Vec<OutboundCall>)))]
#[get("/v1/tenants/{tenant_id}/outbound-calls")]
pub async fn list_outbound_calls(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    filter: Query<OutboundFilter>,
) -> Result<Json<Vec<OutboundCall>>, Problem> {
    let tenant = actor.in_tenant(path.into_inner())?;
    let limit = filter.limit.unwrap_or(50);
    if !(1..=500).contains(&limit) {
        return Err(Error::query("limit", Code::range(1, 500)).into());
    }
    Ok(Json(store::outbound_calls(&mut *api.read(&actor).await?, tenant, &filter, limit).await?))
}
