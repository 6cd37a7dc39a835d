//! Traces for an OpenTelemetry collector. Its standard variables say whether and where to: `OTEL_EXPORTER_OTLP_ENDPOINT`, or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER_ARG` and so on.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::web::Bytes;
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::node::trace;

/// For one batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what is still to be sent when the process ends.
const AT_THE_END: Duration = Duration::from_secs(3);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// A variable of OpenTelemetry can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("OTEL_TRACES_SAMPLER_ARG: {0:?} is not a share: write a number from 0 to 1")]
    Share(String),
    #[error("traces can't be exported, see the variables OTEL_EXPORTER_OTLP_…: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Is a collector set?
pub fn are_wanted() -> bool {
    let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].iter().any(|name| set(name))
}

/// The layer that exports spans, also those of the target `requests`. Of statements it has the text, not the values.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(requests: &str) -> Result<impl Layer<S> + use<S>, TracesError> {
    let share = match std::env::var("OTEL_TRACES_SAMPLER_ARG") {
        Ok(text) => match text.trim().parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => share,
            _ => return Err(TracesError::Share(text)),
        },
        Err(_) => 1.0,
    };
    let tracer = tracer()?;
    trace::begin(share);
    let exported = Targets::new()
        .with_target(trace::TARGET, Level::TRACE)
        .with_target(requests, Level::INFO)
        .with_target("sqlx", Level::DEBUG);
    Ok(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(exported))
}

fn tracer() -> Result<SdkTracer, TracesError> {
    let collector = Collector { agent: agent(), is_away: AtomicBool::new(false) };
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_http_client(collector).build()?;
    let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "dialplane".into());
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name(name).with_attribute(version).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("dialplane");
    let _ = PROVIDER.set(provider);
    Ok(tracer)
}

/// Sends what was not sent yet.
pub fn end() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(AT_THE_END)
    {
        tracing::warn!(%error, "the last traces could not be sent");
    }
}

fn agent() -> ureq::Agent {
    // This machine's authorities, which may include a company's own.
    let found = rustls_native_certs::load_native_certs().certs;
    let roots = found.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect::<Vec<_>>();
    let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots))).build();
    let config =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).tls_config(tls);
    config.build().into()
}

/// Sends batches. Spans are sent by a thread of their own, which may wait.
#[derive(Debug)]
struct Collector {
    agent: ureq::Agent,
    /// So that a collector that is away is in the log once, not with each batch.
    is_away: AtomicBool,
}

impl Collector {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.agent.run(request.map(|body| body.to_vec()))?;
        let body = answer.body_mut().read_to_vec()?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("it answered {status}").into());
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        Ok(response)
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        match &sent {
            Ok(_) if self.is_away.swap(false, Ordering::Relaxed) => tracing::info!("the collector of traces is back"),
            Err(error) if !self.is_away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "the collector does not take traces; they are lost until it does");
            }
            _ => {}
        }
        sent
    }
}
