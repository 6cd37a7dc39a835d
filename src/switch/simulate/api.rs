//! `/v1/routes`: what a call to a number costs, and explanations of calls.

use actix_web::{
    get, post,
    web::{Bytes, Data, Json, Query},
};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    http::{input, problem::Problem},
    model::{error::Error, moment},
    switch::simulate::{
        explain::{self, Explanation},
        preview::{self, Preview},
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::{Code, Domain},
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// The number in E.164, or as it is dialled in the tenant's country.
    number: Option<String>,
}

/// Show what a call to a number costs over each carrier, in the order they would be tried
#[utoipa::path(tag = "routes", params(TenantQuery, PreviewQuery), responses((status = 200, body = Preview), (status = 422, body = Problem)))]
#[get("/v1/routes/preview")]
pub async fn preview_route(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<PreviewQuery>,
) -> Result<Json<Preview>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    // Carriers belong to the platform, and this is the only place where tenants see their prices. So it reads as the platform.
    let mut db = api.pool().begin().await?;
    // An unencoded plus sign in a query means a space.
    let asked = query.number.as_deref().unwrap_or_default();
    let number = asked.trim();
    let number = if asked.starts_with(' ') { format!("+{number}") } else { number.to_owned() };
    let preview = preview::preview(&mut db, tenant, &number).await?;
    Ok(Json(preview.ok_or_else(|| Problem::not_found("tenant"))?))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The id or domain of the tenant. If absent, the caller's own tenant, or the one in the query.
    pub tenant: Option<String>,
    /// The number, alias or SIP username of the extension that calls. If absent, somebody who is not registered.
    pub caller: Option<String>,
    /// The caller ID number that the caller sends.
    pub caller_number: Option<String>,
    /// The number that is dialled.
    pub number: String,
    /// The time of the call; now if absent.
    pub at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Explain where a call would go and why, with every rule that was tried. Nothing is counted or changed
#[utoipa::path(tag = "routes", params(TenantQuery), request_body = Explain, responses((status = 200, body = Explanation), (status = 404, body = Problem)))]
#[post("/v1/routes/explain")]
pub async fn explain_route(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<Json<Explanation>, Problem> {
    // This check comes first, so that a question about another tenant reveals nothing, not even what is wrong with it.
    let asked = tenant.tenant_id.map(|id| actor.in_tenant(id)).transpose()?;
    let ask: Explain = input::parse(&body)?;
    let mut db = api.pool().begin().await?;
    let tenant = match &ask.tenant {
        Some(named) => actor.in_tenant(tenant_named(&mut db, named).await?)?,
        None => actor.tenant_or(asked)?,
    };
    if ask.number.is_empty() || ask.number.len() > 100 {
        return Err(Error::query("number", Code::LengthOutOfRange.with("least", 1).with("most", 100)).into());
    }
    moment::check("at", ask.at)?;
    let caller = match &ask.caller {
        Some(name) => {
            Some(crate::switch::simulate::caller(&mut *db, tenant, name).await?.ok_or_else(|| no_such_caller(name))?)
        }
        None => None,
    };
    let at = ask.at.and_then(|at| jiff::Timestamp::from_second(at.timestamp()).ok());
    let question = explain::Question {
        tenant,
        number: &ask.number,
        caller: caller.as_ref(),
        caller_number: ask.caller_number.as_deref(),
        at: at.unwrap_or_else(jiff::Timestamp::now),
    };
    let explanation = explain::explain(&mut db, &question).await?;
    explanation.map(Json).ok_or_else(|| Problem::not_found("tenant"))
}

/// The tenant with this id or domain. The next check answers alike for one that doesn't exist and one that the caller may not see.
async fn tenant_named(db: &mut PgConnection, named: &str) -> Result<Uuid, Problem> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let domain = Domain::parse(named).map_err(|_| Problem::not_found("tenant"))?;
    let tenant = crate::tenancy::tenants::store::by_domain(db, &domain).await?;
    Ok(tenant.ok_or_else(|| Problem::not_found("tenant"))?.id)
}

fn no_such_caller(name: &str) -> Problem {
    Problem::from(Code::NoSuchCaller.with("caller", name)).field("caller")
}
