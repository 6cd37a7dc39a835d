//! Is it alive, may it be given work, what does it count.
//!
//! Two kinds of work need two answers. While the database is away a node has answers for switches, and no other node has better ones: a
//! balancer that took it out would throw them away. People's changes it can't take.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    get,
    http::{StatusCode, header},
    middleware::Next,
    web::Data,
};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

use super::StartError;
use crate::{
    http::problem::Problem,
    node::disk::Disk,
    switch::fetch::Fetch,
    text::token::{self, TokenHash},
};

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

    /// Anybody may ask, so it says nothing of how many customers there are.
    fn report(&self) -> Value {
        let fresh = self.fetch.generations.is_fresh();
        let mut report = json!({
            "status": self.obstacle().unwrap_or("fresh"),
            "switches": self.fetch.takes_fetches(),
            "people": self.obstacle().is_none(),
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

/// What a scrape shows: a line of a file, so that counters can be read also when the database can't be asked.
#[derive(Clone, Copy)]
pub struct MetricsToken(TokenHash);

impl MetricsToken {
    /// Reads the file, or makes it.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        Self::read_or_make(path).map_err(|source| StartError::MetricsToken { path: path.to_owned(), source })
    }

    fn read_or_make(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = token::generate("dpm");
                let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                match file.and_then(|mut file| writeln!(file, "{}", made.as_str())) {
                    Ok(()) => made.to_string(),
                    // Another node on this machine was quicker.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path)?,
                    Err(error) => return Err(error),
                }
            }
            text => text?,
        };
        let token = text.trim();
        if token.len() < 16 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a token of at least 16 characters is needed"));
        }
        Ok(Self(TokenHash::of(token.as_bytes())))
    }

    fn is_shown(&self, request: &HttpRequest) -> bool {
        let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            value.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("Bearer"));
        token.is_some_and(|(_, token)| self.0.matches(token.trim().as_bytes()))
    }
}

/// The counters, and who may read them.
#[derive(Clone)]
pub struct Counters {
    handle: PrometheusHandle,
    token: MetricsToken,
}

impl Counters {
    pub fn new(handle: PrometheusHandle, token: MetricsToken) -> Self {
        Self { handle, token }
    }
}

/// Counters, in Prometheus' text format, for who shows the token of the file.
#[get("/metrics")]
pub async fn metrics(request: HttpRequest, health: Data<Health>, counters: Data<Counters>) -> HttpResponse {
    if !counters.token.is_shown(&request) {
        return Problem::unauthorized().error_response();
    }
    let fetch = &health.fetch;
    let (kept, strays) = fetch.cache.len();
    ::metrics::gauge!("dialplane_build_info", "version" => env!("PROGRAM_VERSION")).set(1.0);
    ::metrics::gauge!("dialplane_cached_answers").set(count(kept));
    ::metrics::gauge!("dialplane_cached_strays").set(count(strays));
    ::metrics::gauge!("dialplane_fresh").set(if fetch.generations.is_fresh() { 1.0 } else { 0.0 });
    ::metrics::gauge!("dialplane_database_full").set(if health.disk.is_full() { 1.0 } else { 0.0 });
    ::metrics::gauge!("dialplane_tenants").set(count(fetch.generations.tenants() as u64));
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(counters.handle.render())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and counts are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}
