//! The log and the counters of a process, set up once.

use std::{io::IsTerminal as _, sync::OnceLock};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::{Span, field::Empty};
use tracing_actix_web::RootSpanBuilder;
use tracing_subscriber::{EnvFilter, fmt};

/// Logs to standard error: lines for a person on a terminal, JSON otherwise. `DIALPLANE_LOG` filters, as `info` or
/// `dialplane=debug,sqlx=warn`.
pub fn init(default: &str) {
    let filter = EnvFilter::try_from_env("DIALPLANE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when a log was set up before, as tests do.
    let _ = if std::io::stderr().is_terminal() { log.try_init() } else { log.json().try_init() };
}

/// The counters of this process, for `/metrics`.
pub fn counters() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .install_recorder()
            .unwrap_or_else(|_| PrometheusBuilder::new().build_recorder().handle())
    };
    HANDLE.get_or_init(install).clone()
}

/// What the log says of a request: how and where it went, and what became of it. Not its query, which may hold a link's token.
pub struct Requests;

impl RootSpanBuilder for Requests {
    fn on_request_start(request: &ServiceRequest) -> Span {
        tracing::info_span!("request", method = %request.method(), path = request.uri().path(), status = Empty)
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// A log that is kept.
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
    fn requests_are_logged_without_their_query() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || {
            let request = actix_web::test::TestRequest::get().uri("/reset?token=dpo_secret").to_srv_request();
            let span = Requests::on_request_start(&request);
            let response = request.into_response(actix_web::HttpResponse::NoContent());
            Requests::on_request_end(span.clone(), &Ok(response));
            span.in_scope(|| tracing::info!("something"));
        });
        let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        for part in ["\"GET\"", "\"/reset\"", "204"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("dpo_secret"), "{said}");
    }
}
