//! Is it alive, may it be given work, what does it count.
//!
//! Two kinds of work need two answers. While the database is away a node has answers for switches, and no other node has better ones: a
//! balancer that took it out would throw them away. People's changes it can't take.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    get,
    http::StatusCode,
    middleware::Next,
    web::Data,
};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

use crate::{node::disk::Disk, switch::fetch::Fetch};

/// What a node knows of itself.
#[derive(Clone)]
pub struct Health {
    pub fetch: Arc<Fetch>,
    pub disk: Arc<Disk>,
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
        self.disk.is_full().then_some("database_full")
    }

    fn report(&self) -> Value {
        let (kept, strays) = self.fetch.cache.len();
        let fresh = self.fetch.generations.is_fresh();
        let mut report = json!({
            "status": self.obstacle().unwrap_or("fresh"),
            "switches": self.fetch.takes_fetches(),
            "people": self.obstacle().is_none(),
            "tenants": self.fetch.generations.tenants(),
            "cached": kept,
            "cached_strays": strays,
        });
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

/// The process answers.
#[get("/healthz")]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// May it be given switches' fetches? Yes while it has answers. The switch listener says so as well, at the same path.
#[get("/readyz/switches")]
pub async fn ready_for_switches(health: Data<Health>) -> HttpResponse {
    health.answer(health.fetch.takes_fetches())
}

/// May it be given people's changes? Yes while it is in step with a database that has room.
#[get("/readyz/people")]
pub async fn ready_for_people(health: Data<Health>) -> HttpResponse {
    health.answer(health.obstacle().is_none())
}

/// Is all well? For a person, and for an alarm; a balancer asks one of the two above.
#[get("/readyz")]
pub async fn readyz(health: Data<Health>) -> HttpResponse {
    health.answer(health.obstacle().is_none())
}

/// Something could not be changed: for want of room, perhaps. Whether it is so is looked at now, not by the clock.
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

/// Counters, in Prometheus' text format.
#[get("/metrics")]
pub async fn metrics(health: Data<Health>, handle: Data<PrometheusHandle>) -> HttpResponse {
    let fetch = &health.fetch;
    let (kept, strays) = fetch.cache.len();
    ::metrics::gauge!("dialplane_cached_answers").set(count(kept));
    ::metrics::gauge!("dialplane_cached_strays").set(count(strays));
    ::metrics::gauge!("dialplane_fresh").set(if fetch.generations.is_fresh() { 1.0 } else { 0.0 });
    ::metrics::gauge!("dialplane_database_full").set(if health.disk.is_full() { 1.0 } else { 0.0 });
    ::metrics::gauge!("dialplane_tenants").set(count(fetch.generations.tenants() as u64));
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(handle.render())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and counts are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}
