//! The log and the counters of a process, set up once.

use std::{io::IsTerminal as _, sync::OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
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
