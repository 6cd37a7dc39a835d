//! `/v1/reports`: figures of calls.

use std::collections::HashMap;

use actix_web::{
    HttpResponse, get,
    web::{Data, Json, Query},
};
use chrono::{Datelike as _, Days, NaiveDate};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    By, CallReport, Figures, LEVEL_WITHIN, Per, ReportRow, Sums, WITHIN,
    store::{self, Asked, Row, Whose},
};
use crate::{
    http::problem::Problem,
    model::{error::Error, settings::Feature},
    telephony::{
        destinations,
        history::{Direction, csv},
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::Code,
};

/// The most rows of a report.
const MOST: i64 = 10_000;
/// The longest time that a report may cover.
const MOST_DAYS: i64 = 800;

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
    let mut text = csv::joined(COLUMNS.iter().map(ToString::to_string));
    text.extend(report.rows.iter().map(line));
    let mut answer = HttpResponse::Ok();
    if report.more {
        answer.insert_header(("Dialplane-More", "true"));
    }
    answer.insert_header(("Content-Disposition", "attachment; filename=\"report.csv\""));
    Ok(answer.content_type("text/csv; charset=utf-8").body(text))
}

/// In the order of `line`.
const COLUMNS: [&str; 20] = [
    "begins_at",
    "key",
    "name",
    "calls",
    "answered",
    "voicemail",
    "abandoned",
    "missed",
    "busy",
    "failed",
    "refused",
    "answer_rate",
    "average_wait_seconds",
    "longest_wait_seconds",
    "service_level",
    "talk_seconds",
    "average_talk_seconds",
    "billed_seconds",
    "cost",
    "average_ringing_after_seconds",
];

fn line(row: &ReportRow) -> String {
    let of = &row.figures;
    let share = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    csv::joined([
        row.begins_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        row.key.clone().unwrap_or_default(),
        row.name.clone().unwrap_or_default(),
        of.calls.to_string(),
        of.answered.to_string(),
        of.voicemail.to_string(),
        of.abandoned.to_string(),
        of.missed.to_string(),
        of.busy.to_string(),
        of.failed.to_string(),
        of.refused.to_string(),
        share(of.answer_rate),
        share(of.average_wait_seconds),
        of.longest_wait_seconds.to_string(),
        share(of.service_level),
        of.talk_seconds.to_string(),
        share(of.average_talk_seconds),
        of.billed_seconds.to_string(),
        of.cost.to_string(),
        share(of.average_ringing_after_seconds),
    ])
}

async fn report(api: &Api, actor: &Actor, named: Option<Uuid>, query: &ReportQuery) -> Result<CallReport, Problem> {
    let tenant = actor.tenant_or(named)?;
    let mut db = api.read(actor).await?;
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
    let asked = Asked {
        by: query.by,
        per: query.per,
        direction: query.direction,
        since,
        until,
        zone: whose.zone.clone(),
        within_seconds,
    };
    let mut rows = store::sums(&mut *db, tenant, &asked, MOST + 1).await?;
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let whole = Asked { by: if query.by == By::Carrier { By::Carrier } else { By::All }, per: None, ..asked.clone() };
    let total = together(store::sums(&mut *db, tenant, &whole, MOST).await?);
    let length = Days::new(u64::try_from(days + 1).unwrap_or(1));
    let before = Asked { since: since - length, until: until - length, ..whole };
    let before = together(store::sums(&mut *db, tenant, &before, MOST).await?);
    let ids = rows.iter().filter_map(|(_, key, _)| key.parse().ok()).collect::<Vec<Uuid>>();
    let names = store::names(&mut *db, tenant, &ids).await?;
    let names = names.into_iter().map(|(id, name)| (id.to_string(), name)).collect::<HashMap<_, _>>();
    let name = |key: &str| names.get(key).cloned();
    let rows = rows.into_iter().map(|(begins_at, key, sums)| ReportRow {
        begins_at,
        name: name(&key),
        key: Some(key).filter(|key| !key.is_empty()),
        figures: Figures::from(&sums),
    });
    Ok(CallReport { time_zone: whose.zone, since, until, within_seconds, total, before, rows: rows.collect(), more })
}

/// Of all rows.
fn together(rows: Vec<Row>) -> Figures {
    let mut all = Sums::default();
    for (_, _, sums) in rows {
        all.calls += sums.calls;
        all.answered += sums.answered;
        all.voicemail += sums.voicemail;
        all.abandoned += sums.abandoned;
        all.missed += sums.missed;
        all.busy += sums.busy;
        all.failed += sums.failed;
        all.refused += sums.refused;
        all.wait_ms += sums.wait_ms;
        all.longest_ms = all.longest_ms.max(sums.longest_ms);
        all.within += sums.within;
        all.talk_ms += sums.talk_ms;
        all.billed_seconds += sums.billed_seconds;
        all.cost += sums.cost;
        all.rang += sums.rang;
        all.ringing_ms += sums.ringing_ms;
    }
    Figures::from(&all)
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
