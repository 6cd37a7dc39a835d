//! The log and the counters of a process, set up once.

use std::{io::IsTerminal as _, sync::OnceLock};

use actix_web::{
    Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::{Span, field::Empty};
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, registry, reload, util::SubscriberInitExt as _,
};

use super::{
    statements,
    traces::{self, TracesError},
};
use crate::{model::database_errors, node::trace};

/// Replaces the log's filter.
type Reload = Box<dyn Fn(EnvFilter) + Send + Sync>;
static LOG: OnceLock<Reload> = OnceLock::new();

/// Logs to standard error: lines on a terminal, JSON otherwise. `DIALPLANE_LOG` filters, such as `info` or
/// `dialplane=debug,sqlx=warn`.
pub fn init(default: &str) -> Result<(), LogError> {
    let wanted = std::env::var("DIALPLANE_LOG").unwrap_or_default();
    let filter = filter(if wanted.trim().is_empty() { default } else { &wanted })?;
    let (filter, handle) = reload::Layer::new(filter);
    // A log that can't be written, as its disk is full, must not keep a request from its answer: told of it, the writer would write the error to
    // stderr, where it panics (`eprintln!`).
    let log = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let log = if std::io::stderr().is_terminal() { log.boxed() } else { log.json().boxed() };
    let _ = LOG.set(Box::new(move |filter| drop(handle.reload(filter))));
    // The log's filter holds for the log alone.
    let all = registry().with(log.with_filter(filter)).with(statements::layer());
    // Fails only if a log was set up before.
    let _ = if traces::are_wanted() { all.with(traces::layer(module_path!())?).try_init() } else { all.try_init() };
    Ok(())
}

/// Sets what a node logs; `None` for the default.
pub fn set_level(wanted: Option<&str>) -> Result<(), BadFilter> {
    let filter = filter(wanted.filter(|wanted| !wanted.trim().is_empty()).unwrap_or(USUAL))?;
    if let Some(reload) = LOG.get() {
        reload(filter);
    }
    Ok(())
}

/// What a node logs by default.
pub const USUAL: &str = "info";

/// The log can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Filter(#[from] BadFilter),
    #[error(transparent)]
    Traces(#[from] TracesError),
}

/// The setting `log`, or `DIALPLANE_LOG`, can't be understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "log, or DIALPLANE_LOG: {0:?} is not a level: write trace, debug, info, warn, error or off, or a list such as dialplane=debug,sqlx=warn"
)]
pub struct BadFilter(String);

/// A single word must be a level: tracing would take a misspelt level for the name of a module, and log nothing else.
fn filter(wanted: &str) -> Result<EnvFilter, BadFilter> {
    let bad = |part: &str| BadFilter(part.to_owned());
    let levels = ["trace", "debug", "info", "warn", "error", "off"];
    let is_level = |word: &str| levels.iter().any(|level| word.eq_ignore_ascii_case(level));
    for part in wanted.split(',').map(str::trim).filter(|part| !part.contains('[')) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if !is_level(level) {
            return Err(bad(part));
        }
    }
    // tracing takes a space after a comma for part of the name.
    let parts = wanted.split(',').map(str::trim).collect::<Vec<_>>();
    EnvFilter::try_new(parts.join(",")).map_err(|_| bad(wanted))
}

/// The counters of this process, for `/metrics`.
pub fn counters() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .install_recorder()
            .unwrap_or_else(|_| PrometheusBuilder::new().build_recorder().handle())
    };
    let handle = HANDLE.get_or_init(install).clone();
    // What is described before the recorder is there is forgotten.
    describe();
    begin();
    statements::measure();
    handle
}

/// A counter that appears only with the first failure has no rate then: these are there from the start.
fn begin() {
    for outcome in ["sent", "delayed", "failed"] {
        metrics::counter!("dialplane_mails_total", "outcome" => outcome).increment(0);
    }
    for outcome in ["delivered", "delayed", "failed"] {
        metrics::counter!("dialplane_webhooks_total", "outcome" => outcome).increment(0);
    }
    for name in ["dialplane_changes_again_total", "dialplane_webhook_events_lost_total"] {
        metrics::counter!(name).increment(0);
    }
    database_errors::begin();
}

/// The meaning of each counter and gauge, as `# HELP` lines. The test that reads `/metrics` fails if one is missing here.
fn describe() {
    let counters = [
        ("dialplane_fetches_total", "Fetches from switches, by where the answer came from."),
        ("dialplane_fetches_refused_total", "Fetches that were refused, by reason."),
        ("dialplane_fetches_not_ours_total", "Fetches that Dialplane leaves to the switch's own files, by kind."),
        ("dialplane_fills_failed_total", "Answers that could not be read from the database."),
        ("dialplane_fills_found_less_total", "Answers for which the database had less than this node knew."),
        (
            "dialplane_calls_lacking_total",
            "Calls from outside that came without a field by which their carrier's numbers are read: see enable-post-var in xml_curl.conf.xml.",
        ),
        ("dialplane_call_records_total", "Call records from switches, by result."),
        ("dialplane_voicemail_messages_total", "Messages whose sound switches sent, by result."),
        ("dialplane_recordings_total", "Recordings that switches sent, by result."),
        ("dialplane_changes_again_total", "Requests done again because their change gave way to another."),
        (
            "dialplane_database_errors_total",
            "Statements of requests, fetches and periodic jobs that Postgres refused or did not carry out, by reason.",
        ),
        ("dialplane_job_failures_total", "Rounds of this node's periodic jobs that failed, by job."),
        ("dialplane_database_waits_total", "Times that all connections of a pool were in use when one was wanted."),
        (
            "dialplane_problems_total",
            "Requests of people and scripts that were refused or failed, by the problem's code.",
        ),
        ("dialplane_mails_total", "Attempts to send a mail, by result."),
        ("dialplane_webhooks_total", "Attempts to send an event to a webhook, by result."),
        (
            "dialplane_webhook_events_lost_total",
            "Events that webhooks will not be told of, because the database was away for too long or was too slow.",
        ),
        (
            "dialplane_renewals_total",
            "Attempts to read certificates, settings and so on again while the node runs, by result.",
        ),
    ];
    let gauges = [
        ("dialplane_cached_answers", "Answers kept in memory."),
        ("dialplane_cached_strays", "Answers kept in memory about what does not exist."),
        ("dialplane_fresh", "1 while this node is in step with the database, 0 while it serves what it knew."),
        ("dialplane_generations_age_seconds", "How old what this node knows of changes is at most."),
        ("dialplane_database_full", "1 while the database's disk is full and nothing can be changed."),
        ("dialplane_tenants", "Tenants that this node knows."),
        ("dialplane_call_records_unreadable", "Call records that are kept and can't be read yet."),
        ("dialplane_renewal_failed", "1 while a part could not be renewed and its last good version is in force."),
        ("dialplane_certificate_expiry_timestamp_seconds", "When the certificate in force expires, by listener."),
        ("dialplane_database_connections", "Connections to the database, by pool and state."),
        ("dialplane_database_connections_limit", "Most connections to the database of a pool."),
        (
            "dialplane_job_last_success_timestamp_seconds",
            "When a periodic job last succeeded on this node, or began for the first time, in seconds since 1970.",
        ),
        ("dialplane_job_duration_seconds", "How long the last round of a periodic job took on this node."),
        ("dialplane_build_info", "1; the label says which version this node runs."),
    ];
    for (name, help) in counters {
        metrics::describe_counter!(name, help);
    }
    for (name, help) in gauges {
        metrics::describe_gauge!(name, help);
    }
}

/// What is logged about a request: method, path and result. Of the path, what the route says: `/v1/phone-numbers/by-number/{number}`. The path
/// itself may have a person's number or mail address, and the query a link's token.
pub struct Requests;

/// In place of a path that no route has.
const NO_ROUTE: &str = "no route";

impl RootSpanBuilder for Requests {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().copied();
        let request_id = id.map(tracing::field::display);
        let route = request.match_pattern();
        let path = route.as_deref().unwrap_or(NO_ROUTE);
        let span = tracing::info_span!("request", request_id, method = %request.method(), path, status = Empty);
        if let Some(id) = id {
            trace::belongs_to(&span, *id);
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
        // Whoever has an answer finds it in the log by its id, whatever else was logged about it.
        if outcome.as_ref().map_or(true, |response| response.request().path().starts_with("/v1/")) {
            span.in_scope(|| tracing::info!("answered"));
        }
    }
}

/// Says in each answer under which id the request is in the log.
pub async fn name_requests(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = request.extensions().get::<RequestId>().copied();
    let mut answer = next.call(request).await?;
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id.to_string()).ok()) {
        answer.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_level_that_is_misspelt_is_refused() {
        for good in ["info", "WARN", "dialplane=debug,sqlx=warn", "off", "info, actix_web=off"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["inof", "verbose", "dialplane=loud", "dialplane", "info,debg", "=,="] {
            let said = filter(bad).unwrap_err().to_string();
            assert!(said.contains("is not a level"), "{said}");
        }
    }

    #[actix_web::test]
    async fn requests_are_logged_by_their_route_without_what_is_in_their_path_or_query() {
        use actix_web::{App, HttpResponse, test, web};

        let kept = Kept::default();
        let writer = kept.clone();
        let log = fmt().json().with_writer(move || writer.clone()).finish();
        let _here = tracing::subscriber::set_default(log);
        let answers = async || {
            tracing::info!("something");
            HttpResponse::NoContent().finish()
        };
        let app = App::new()
            .wrap(tracing_actix_web::TracingLogger::<Requests>::new())
            .route("/reset", web::get().to(answers))
            .route("/v1/phone-numbers/by-number/{number}", web::get().to(answers))
            .service(web::scope("/v1/admin").route("/agents/by-email/{email}", web::get().to(answers)))
            .default_service(web::to(async || {
                tracing::info!("nothing");
                HttpResponse::NotFound().finish()
            }));
        let app = test::init_service(app).await;
        for path in [
            "/reset?token=dpo_secret",
            "/v1/phone-numbers/by-number/+12025550111",
            "/v1/admin/agents/by-email/ann@acme.example",
            "/links/dpo_secret",
        ] {
            let _ = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
        }
        let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let parts = ["\"GET\"", "\"/reset\"", "/by-number/{number}\"", "/v1/admin/agents/by-email/{email}\"", NO_ROUTE];
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
        for secret in ["dpo_secret", "12025550111", "acme.example"] {
            assert!(!said.contains(secret), "{said}");
        }
    }

    #[actix_web::test]
    async fn every_answer_of_the_api_is_in_the_log_by_its_id_and_without_its_query() {
        use actix_web::{App, HttpResponse, middleware::from_fn, test, web};

        let kept = Kept::default();
        let writer = kept.clone();
        let log = fmt().json().with_writer(move || writer.clone()).finish();
        let _listening = tracing::subscriber::set_default(log);
        let app = App::new()
            .wrap(from_fn(name_requests))
            .wrap(tracing_actix_web::TracingLogger::<Requests>::new())
            .route("/v1/keys", web::get().to(HttpResponse::Ok))
            .default_service(web::to(HttpResponse::NotFound));
        let app = test::init_service(app).await;
        for (path, status) in [("/v1/keys?name=secret", 200), ("/v1/nothing?name=secret", 404)] {
            let answer = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
            assert_eq!(answer.status().as_u16(), status);
            let id = answer.headers().get("x-request-id").unwrap().to_str().unwrap().to_owned();
            let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            let line = said.lines().find(|line| line.contains(&id)).unwrap_or_else(|| panic!("{id}: {said}"));
            assert!(line.contains("answered") && line.contains(&status.to_string()), "{line}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn a_request_is_logged_with_its_status() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || {
            let request = actix_web::test::TestRequest::get().uri("/reset").to_srv_request();
            let span = Requests::on_request_start(&request);
            let response = request.into_response(actix_web::HttpResponse::NoContent());
            Requests::on_request_end(span.clone(), &Ok(response));
            span.in_scope(|| tracing::info!("something"));
        });
        let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        for part in ["\"GET\"", NO_ROUTE, "204"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("answered"), "only those of the API: {said}");
    }
}
