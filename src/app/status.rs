//! Is it alive, is it in step, what does it count.

use std::sync::Arc;

use actix_web::{HttpResponse, get, web::Data};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::switch::fetch::Fetch;

/// The process answers.
#[get("/healthz")]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// 200: in step with the database. 503: detached, serving what was known.
#[get("/readyz")]
pub async fn readyz(fetch: Data<Arc<Fetch>>) -> HttpResponse {
    let (kept, strays) = fetch.cache.len();
    let tenants = fetch.generations.tenants();
    if fetch.generations.is_fresh() {
        return HttpResponse::Ok()
            .json(json!({ "status": "fresh", "tenants": tenants, "cached": kept, "cached_strays": strays }));
    }
    let seconds = fetch.generations.detached_for().as_secs();
    HttpResponse::ServiceUnavailable()
        .json(json!({ "status": "detached", "detached_seconds": seconds, "tenants": tenants, "cached": kept }))
}

/// Counters, in Prometheus' text format.
#[get("/metrics")]
pub async fn metrics(fetch: Data<Arc<Fetch>>, handle: Data<PrometheusHandle>) -> HttpResponse {
    let (kept, strays) = fetch.cache.len();
    ::metrics::gauge!("dialplane_cached_answers").set(count(kept));
    ::metrics::gauge!("dialplane_cached_strays").set(count(strays));
    ::metrics::gauge!("dialplane_fresh").set(if fetch.generations.is_fresh() { 1.0 } else { 0.0 });
    ::metrics::gauge!("dialplane_tenants").set(count(fetch.generations.tenants() as u64));
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(handle.render())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and counts are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}
