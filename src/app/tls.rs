//! The certificates of both listeners. What is in force can be replaced while connections go on: each handshake takes what is there then.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use super::settings::Settings;

/// Why a listener can't use what the settings name.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{certificate} and {key} must both be set, or neither")]
    Half { certificate: &'static str, key: &'static str },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{}: it expired on {}", path.display(), since.format("%F %T UTC"))]
    Expired { path: PathBuf, since: DateTime<Utc> },
}

/// The files of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority whose certificates clients must show.
    pub client_ca: Option<PathBuf>,
}

/// What a listener speaks TLS with.
pub struct Loaded {
    pub config: Arc<ServerConfig>,
    key: Arc<CertifiedKey>,
    pub expires: DateTime<Utc>,
}

impl Files {
    /// Those of the switch listener, if it is to speak TLS.
    pub fn of_switches(settings: &Settings) -> Result<Option<Self>, TlsError> {
        let names = ("switch_tls_certificate", "switch_tls_key");
        let files = pair(names, settings.switch_tls_certificate.as_ref(), settings.switch_tls_key.as_ref())?;
        Ok(files.map(|files| Self { client_ca: settings.switch_tls_client_ca.clone(), ..files }))
    }

    /// Those of the app listener, if it is to speak TLS.
    pub fn of_people(settings: &Settings) -> Result<Option<Self>, TlsError> {
        let names = ("app_tls_certificate", "app_tls_key");
        pair(names, settings.app_tls_certificate.as_ref(), settings.app_tls_key.as_ref())
    }

    /// Reads them; they must fit together.
    pub fn load(&self) -> Result<Loaded, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|e| in_file(&self.key, e))?;
        let chain = certificates(&self.certificate)?;
        let Some(first) = chain.first() else { return Err(in_file(&self.certificate, "it holds no certificate")) };
        let expires = expiry(first).ok_or_else(|| in_file(&self.certificate, "it is no X.509 certificate"))?;
        let builder = ServerConfig::builder();
        // Whether the two belong together is checked here.
        let certified = CertifiedKey::from_der(chain, key, builder.crypto_provider());
        let certified = Arc::new(certified.map_err(|e| in_file(&self.certificate, e))?);
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(authority)? {
                    roots.add(certificate).map_err(|e| in_file(authority, e))?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| in_file(authority, e))?)
            }
        };
        let config = builder.with_cert_resolver(Arc::new(Fixed(Arc::clone(&certified))));
        Ok(Loaded { config: Arc::new(config), key: certified, expires })
    }

    /// The same for a listener that serves already: what has expired doesn't take the place of what is in force.
    pub fn load_anew(&self) -> Result<Loaded, TlsError> {
        let loaded = self.load()?;
        if loaded.expires < Utc::now() {
            return Err(TlsError::Expired { path: self.certificate.clone(), since: loaded.expires });
        }
        Ok(loaded)
    }
}

/// What is in force, for a listener whose framework takes one configuration for good.
#[derive(Debug)]
pub struct Swapped(ArcSwap<CertifiedKey>);

impl Swapped {
    pub fn new(loaded: &Loaded) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(Arc::clone(&loaded.key))))
    }

    pub fn replace(&self, loaded: &Loaded) {
        self.0.store(Arc::clone(&loaded.key));
    }

    pub fn config(self: &Arc<Self>) -> ServerConfig {
        ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>)
    }
}

impl ResolvesServerCert for Swapped {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn pair(
    names: (&'static str, &'static str),
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
) -> Result<Option<Files>, TlsError> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(Files { certificate: certificate.clone(), key: key.clone(), client_ca: None }))
        }
        _ => Err(TlsError::Half { certificate: names.0, key: names.1 }),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|e| in_file(path, e))?;
    if found.is_empty() { Err(in_file(path, "it holds no certificate")) } else { Ok(found) }
}

/// Until when a certificate is valid.
fn expiry(certificate: &CertificateDer<'_>) -> Option<DateTime<Utc>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    DateTime::from_timestamp(parsed.validity().not_after.timestamp(), 0)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|e| in_file(path, e))
}

fn in_file(path: &Path, error: impl fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: error.to_string() }
}
