//! The API over the network.

use std::{sync::Arc, time::Duration};

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Call;
use crate::app::cli::failure::{Refused, Unreachable};

/// Long enough for a large upload.
const PATIENCE: Duration = Duration::from_mins(2);
/// The largest answer that is read: a page of 500 things is far smaller.
const MOST: u64 = 64 << 20;

pub struct Remote {
    base: String,
    key: Option<String>,
    agent: ureq::Agent,
}

impl Remote {
    pub fn new(url: &str, key: Option<String>) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Refused::because(format!("{url} is not a URL: it begins with https:// or http://")).into());
        }
        let mut config =
            ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).max_redirects(0);
        if base.starts_with("https://") {
            // This machine's authorities, which may include a company's own.
            let found = rustls_native_certs::load_native_certs().certs;
            let roots = found.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect::<Vec<_>>();
            config = config.tls_config(TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots))).build());
        }
        Ok(Self { base, key, agent: config.build().into() })
    }

    /// The status and the body of the answer.
    pub fn call(&self, call: &Call) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut request = ureq::http::Request::builder().method(call.method).uri(format!("{}{}", self.base, call.path));
        if let Some(key) = &self.key {
            request = request.header("X-API-Key", key);
        }
        let body = match call.content()? {
            None => Vec::new(),
            Some((body, kind)) => {
                request = request.header("Content-Type", kind);
                body
            }
        };
        let request = request
            .body(body)
            .map_err(|_| Refused::because("the URL or the key has characters that neither can have"))?;
        let unreachable = |error: ureq::Error| Unreachable(format!("{} does not answer: {error}", self.base));
        let mut response = self.agent.run(request).map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MOST).read_to_vec().map_err(unreachable)?;
        Ok((status, body))
    }
}
