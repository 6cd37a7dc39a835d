//! Liveness, readiness and metrics.
//!
//! There are two kinds of readiness. While the database is down, a node still has answers for switches, and no other node has
//! better ones, so a balancer must not take it out. But it can't take people's changes.

use std::{net::IpAddr, sync::Arc};

use ::metrics::gauge;
use actix_web::{
    HttpRequest, HttpResponse, ResponseError as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    get,
    http::StatusCode,
    middleware::Next,
    web::Data,
};
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

use super::{
    metrics_token::MetricsToken,
    process,
    renewal::Renewal,
    scrape::{self, Backlogs, Sources},
    statements,
    timing::Timing,
};
use crate::{
    http::problem::Problem,
    node::{database::Pools, disk::Disk},
    switch::{fetch::Fetch, link::states::LinkStates, live::Live},
    tenancy::auth::actor,
    text::keyring::hex,
};

/// What a node knows about itself.
#[derive(Clone)]
pub struct Health {
    pub fetch: Arc<Fetch>,
    pub disk: Arc<Disk>,
    pub renewal: Arc<Renewal>,
}

impl Health {
    /// Why this node can't take changes, if it can't.
    fn obstacle(&self) -> Option<&'static str> {
        if self.fetch.is_leaving() {
            return Some("stopping");
        }
        if !self.fetch.generations.is_fresh() {
            return Some("detached");
        }
        if !self.fetch.missing_keys().is_empty() {
            return Some("key_missing");
        }
        self.disk.is_full().then_some("database_full")
    }

    /// `fresh`, or why it takes no changes.
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.obstacle().unwrap_or("fresh")
    }

    /// Anybody may ask, so it does not say how many customers there are.
    fn report(&self) -> Value {
        let fresh = self.fetch.generations.is_fresh();
        let mut report = json!({
            "status": self.state(),
            "switches": self.fetch.takes_fetches(),
            "people": self.obstacle().is_none(),
        });
        let missing = self.fetch.missing_keys();
        if !missing.is_empty() {
            report["missing_keys"] = missing.iter().map(|id| hex(id)).collect();
        }
        let failed = self.renewal.failed();
        if !failed.is_empty() {
            report["not_renewed"] = failed.iter().map(|(part, _)| part.name()).collect();
        }
        if !fresh {
            report["detached_seconds"] = self.fetch.generations.detached_for().as_secs().into();
        }
        report
    }

    fn answer(&self, yes: bool) -> HttpResponse {
        let status = if yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        HttpResponse::build(status).json(self.report())
    }
}

/// Says that the process answers.
#[get("/healthz")]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Whether it may be given switches' fetches: yes while it has answers. The switch listener answers the same path.
#[get("/readyz/switches")]
pub async fn ready_for_switches(health: Data<Health>) -> HttpResponse {
    health.answer(health.fetch.takes_fetches())
}

/// Whether it may be given people's changes: yes while it is in step with a database that has room.
#[get("/readyz/people")]
pub async fn ready_for_people(health: Data<Health>) -> HttpResponse {
    health.answer(health.obstacle().is_none())
}

/// Whether all is well, for people and alarms. Balancers ask one of the two above.
#[get("/readyz")]
pub async fn readyz(health: Data<Health>) -> HttpResponse {
    health.answer(health.obstacle().is_none())
}

/// When something could not be changed, checks at once whether the database's disk is full.
pub async fn notice_refusals(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let disk = request.app_data::<Data<Health>>().map(|health| Arc::clone(&health.disk));
    let answer = next.call(request).await?;
    if answer.status() == StatusCode::SERVICE_UNAVAILABLE
        && let Some(disk) = disk
    {
        disk.doubt();
    }
    Ok(answer)
}

/// The counters, and the token to read them.
#[derive(Clone)]
pub struct Counters {
    pub handle: PrometheusHandle,
    pub token: Arc<ArcSwap<MetricsToken>>,
    /// Who needs none.
    pub from: Arc<ArcSwap<Vec<IpAddr>>>,
    pub pools: Pools,
    pub links: Arc<LinkStates>,
    pub backlogs: Arc<Backlogs>,
}

/// The metrics in Prometheus' text format, for whoever shows the token or asks from an address that is named.
#[get("/metrics")]
pub async fn metrics(
    request: HttpRequest,
    health: Data<Health>,
    counters: Data<Counters>,
    timing: Data<Timing>,
    live: Data<Live>,
) -> HttpResponse {
    let is_named = || actor::peer(&request).is_some_and(|peer| counters.from.load().contains(&peer));
    if !counters.token.load().is_shown(&request) && !is_named() {
        return Problem::unauthorized().error_response();
    }
    let fetch = &health.fetch;
    let (kept, strays) = fetch.cache.len();
    gauge!("dialplane_build_info", "version" => env!("PROGRAM_VERSION")).set(1.0);
    gauge!("dialplane_cached_answers").set(count(kept));
    gauge!("dialplane_cached_strays").set(count(strays));
    gauge!("dialplane_fresh").set(if fetch.generations.is_fresh() { 1.0 } else { 0.0 });
    gauge!("dialplane_generations_age_seconds").set(fetch.generations.age().as_secs_f64());
    gauge!("dialplane_database_full").set(if health.disk.is_full() { 1.0 } else { 0.0 });
    gauge!("dialplane_tenants").set(count(fetch.generations.tenants() as u64));
    for (name, pool) in counters.pools.named() {
        let (open, idle) = (u64::from(pool.size()), pool.num_idle() as u64);
        let connections =
            |state: &'static str| gauge!("dialplane_database_connections", "pool" => name, "state" => state);
        connections("idle").set(count(idle));
        connections("in_use").set(count(open.saturating_sub(idle)));
        let most = f64::from(pool.options().get_max_connections());
        gauge!("dialplane_database_connections_limit", "pool" => name).set(most);
    }
    let mut text = counters.handle.render();
    fetch.metrics.write(&mut text);
    timing.write(&mut text);
    statements::write(&mut text);
    let Counters { links, backlogs, .. } = &**counters;
    scrape::write(&Sources { fetch, links, live: &live, backlogs }, &mut text);
    process::write(&mut text);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and counts are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}
