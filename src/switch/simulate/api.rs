//! `/v1/routes`: prices of a number, and explanations of calls.

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
    /// As E.164, or as it is dialled in the tenant's country.
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
    // Carriers are the platform's, and tenants are shown their prices by this alone: so it reads as the platform.
    let mut db = api.pool().begin().await?;
    // A plus sign in a query is a space, unless it was encoded.
    let asked = query.number.as_deref().unwrap_or_default();
    let number = asked.trim();
    let number = if asked.starts_with(' ') { format!("+{number}") } else { number.to_owned() };
    let preview = preview::preview(&mut db, tenant, &number).await?;
    Ok(Json(preview.ok_or_else(|| Problem::not_found("tenant"))?))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// Whose dialplan, by id or domain; absent: one's own, or the one in the query.
    pub tenant: Option<String>,
    /// The extension that calls, by its number, alias or SIP username; absent: somebody who is not signed in.
    pub caller: Option<String>,
    /// The number that the caller shows.
    pub caller_number: Option<String>,
    /// What is dialled.
    pub number: String,
    /// Now, when not given.
    pub at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Explain where a call would go, and why: every rule that was tried. Nothing is counted or changed
#[utoipa::path(tag = "routes", params(TenantQuery), request_body = Explain, responses((status = 200, body = Explanation), (status = 404, body = Problem)))]
#[post("/v1/routes/explain")]
pub async fn explain_route(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<Json<Explanation>, Problem> {
    // First of all: of another tenant nobody learns even what is wrong with their question.
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

/// The tenant with this id or domain. One that isn't there and another's are told alike by what asks next.
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
