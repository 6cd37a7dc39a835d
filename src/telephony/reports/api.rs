//! `/v1/reports`: figures of calls.

use actix_web::{
    HttpResponse, get,
    web::{Data, Json, Query},
};
use chrono::{Datelike as _, NaiveDate};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    By, CallReport, LEVEL_WITHIN, Per, WITHIN,
    make::{make, table},
    store::{self, Asked, Whose},
};
use crate::{
    http::problem::Problem,
    model::{error::Error, settings::Feature},
    telephony::{destinations, history::Direction},
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::Code,
};

/// The longest time that a report may cover.
const MOST_DAYS: i64 = 800;

/// What is added to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportExpand {
    Times,
}

#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// The first day, in the tenant's zone; the first of this month if absent.
    pub since: Option<NaiveDate>,
    /// The last day; today if absent.
    pub until: Option<NaiveDate>,
    /// What each row is about; `all` if absent.
    #[serde(default)]
    #[param(inline)]
    pub by: By,
    /// A row for each hour, day, week or month.
    #[param(inline)]
    pub per: Option<Per>,
    /// Only calls that went this way.
    pub direction: Option<Direction>,
    /// `times`: of a report by agent, how long each was available, on calls and so on, with occupancy and availability.
    #[param(inline)]
    pub expand: Option<ReportExpand>,
    /// Within how many seconds a call should be answered: 5, 10, 15, 20, 30, 45, 60, 90 or 120; 20 if absent.
    pub within_seconds: Option<i32>,
}

/// Show figures of calls
///
/// They are right after late records too, and compared with those of as many days before.
#[utoipa::path(tag = "reports", params(TenantQuery, ReportQuery), responses((status = 200, body = CallReport), (status = 409, body = Problem)))]
#[get("/v1/reports/calls")]
pub async fn report_calls(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<ReportQuery>,
) -> Result<Json<CallReport>, Problem> {
    Ok(Json(report(&api, &actor, tenant.tenant_id, &query).await?))
}

/// Show figures of calls as CSV
///
/// If there are more than 10,000 rows, the others are left out, and the answer has the header `Dialplane-More: true`.
#[utoipa::path(tag = "reports", params(TenantQuery, ReportQuery), responses((status = 200, body = String, content_type = "text/csv"), (status = 409, body = Problem)))]
#[get("/v1/reports/calls.csv")]
pub async fn export_report(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<ReportQuery>,
) -> Result<HttpResponse, Problem> {
    let report = report(&api, &actor, tenant.tenant_id, &query).await?;
    let mut answer = HttpResponse::Ok();
    if report.more {
        answer.insert_header(("Dialplane-More", "true"));
    }
    answer.insert_header(("Content-Disposition", "attachment; filename=\"report.csv\""));
    Ok(answer.content_type("text/csv; charset=utf-8").body(table(&report)))
}

async fn report(api: &Api, actor: &Actor, named: Option<Uuid>, query: &ReportQuery) -> Result<CallReport, Problem> {
    let tenant = actor.tenant_or(named)?;
    // Rows and totals are of the same moment, however many calls end meanwhile.
    let mut db = api.snapshot(actor).await?;
    let whose = allowed(&mut db, actor, tenant).await?;
    let until = query.until.unwrap_or(whose.today);
    let since = query.since.unwrap_or_else(|| until.with_day(1).unwrap_or(until));
    let days = (until - since).num_days();
    for (field, day) in [("since", since), ("until", until)] {
        if !(1970..=9000).contains(&day.year()) || !(0..=MOST_DAYS).contains(&days) {
            return Err(Error::query(field, Code::NotAPeriod.with("days", MOST_DAYS)).into());
        }
    }
    let within_seconds = query.within_seconds.unwrap_or(LEVEL_WITHIN);
    if !WITHIN.contains(&within_seconds) {
        return Err(Error::query("within_seconds", Code::NotAThreshold).into());
    }
    if query.expand.is_some() && query.by != By::Agent {
        return Err(Error::query("expand", Code::OnlyByAgent).into());
    }
    let asked = Asked {
        by: query.by,
        per: query.per,
        direction: query.direction,
        since,
        until,
        zone: whose.zone.clone(),
        within_seconds,
        currency: whose.currency.clone(),
    };
    Ok(make(&mut db, tenant, &asked, query.expand.is_some()).await?)
}

/// Whose reports these are, if they have the feature. The platform sees them in any case.
async fn allowed(db: &mut sqlx::PgConnection, actor: &Actor, tenant: Uuid) -> Result<Whose, Problem> {
    let whose = store::whose(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    if actor.tenant.is_some() {
        let rules = destinations::store::rules(db, tenant).await?;
        rules.map(|plan| plan.settings.features).unwrap_or_default().need(Feature::Reports)?;
    }
    Ok(whose)
}
