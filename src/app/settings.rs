//! Settings: defaults, then a TOML file, then the environment (`DIALPLANE_…`, `DATABASE_URL`), then the command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format, Serialized},
};
use serde::{Deserialize, Serialize};

use super::reached;
use crate::{
    model::retention::Retention,
    node::poller,
    switch::fetch::Limits,
    telephony::recordings::{
        bucket::{Bucket, Where},
        vault::Vault,
    },
    tenancy::mail::deliver::Providers,
};

/// A settings file. figment's own feature takes an older parser that is three crates more to build.
struct Toml;

impl Format for Toml {
    type Error = toml::de::Error;
    const NAME: &'static str = "TOML";

    fn from_str<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Self::Error> {
        toml::from_str(text)
    }
}

/// How a node runs. Every field can be set in the file, and as an environment variable: `DIALPLANE_` and its name in capitals.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The folder of the private database with its log, and of the key file.
    pub data_dir: PathBuf,
    /// Postgres to use instead of a private one.
    pub database_url: Option<String>,
    /// The address for switches: `/fs/xml`, `/fs/cdr` and `/fs/recordings`.
    pub switch_listen: SocketAddr,
    /// Whether other nodes on this machine may listen at that address too. The kernel shares the connections among them.
    pub share_switch_address: bool,
    /// The address for people and scripts: pages and `/v1`.
    pub app_listen: SocketAddr,
    /// How many threads serve switches; 0 means one per core.
    pub switch_workers: usize,
    /// PEM files. If both are set, switches are served over TLS.
    pub switch_tls_certificate: Option<PathBuf>,
    pub switch_tls_key: Option<PathBuf>,
    /// PEM file of the authority whose client certificates switches must show.
    pub switch_tls_client_ca: Option<PathBuf>,
    /// PEM files; with both, people and scripts are served over TLS.
    pub app_tls_certificate: Option<PathBuf>,
    pub app_tls_key: Option<PathBuf>,
    /// For how many seconds a node may serve what it knows while the database can't be asked.
    pub stale_limit_seconds: u64,
    /// The most memory for kept answers, in MiB.
    pub cache_mib: u64,
    /// The most memory for kept answers about what doesn't exist, in MiB.
    pub stray_mib: u64,
    /// Connections for fetches that miss.
    pub fill_connections: usize,
    /// For how many seconds a stopping node keeps serving while it tells balancers to leave it out.
    pub drain_seconds: u64,
    /// How many milliseconds a statement of a fetch may take. A fetch waits at most half of that for its turn.
    pub fill_timeout_ms: u64,
    /// Connections for the API.
    pub api_connections: u32,
    /// The URL at which people reach this node, with which links in mails begin. Default: `http://` and the app listener's address.
    pub public_url: Option<String>,
    /// The URL at which switches reach this platform, for their configuration. Default: the switch listener's address.
    pub switch_url: Option<String>,
    /// Addresses of the proxies in front of the app listener. `X-Forwarded-For` is believed only from these.
    pub trusted_proxies: Vec<IpAddr>,
    /// Addresses that may read `/metrics` without the token.
    pub metrics_from: Vec<IpAddr>,
    /// SMTP servers, the preferred first, such as `smtps://user:password@host:465`. Without any, mails become files in the data
    /// directory.
    pub smtp: Providers,
    /// The sender of mails.
    pub mail_from: String,
    /// Whether webhooks may go to private addresses, and without TLS. Anybody who may make a webhook can then reach what this node can.
    pub webhooks_to_private_addresses: bool,
    /// For how many days entries of the audit log are kept.
    pub keep_audit_days: i32,
    /// The same for calls that left the platform, what they cost, and the counts of each day.
    pub keep_calls_days: i32,
    /// The same for call records as switches posted them.
    pub keep_records_days: i32,
    /// The same for recordings of calls that are not held.
    pub keep_recordings_days: i32,
    /// The same for mails that were sent, in the database and as files.
    pub keep_mails_days: i32,
    /// The shortest period that a tenant may set for itself, in days.
    pub keep_days_at_least: i32,
    /// The longest.
    pub keep_days_at_most: i32,
    /// The folder in which recordings of calls are kept, sealed. Default: `recordings` in the data directory. All nodes need the same one.
    pub recordings_dir: Option<PathBuf>,
    /// A bucket for recordings instead, as `s3://BUCKET` or `s3://BUCKET/FOLDER`. What is in the folder already stays there, and readable.
    pub recordings_bucket: Option<String>,
    /// The URL of the bucket's store, unless it is Amazon's.
    pub recordings_bucket_endpoint: Option<String>,
    /// The bucket's region.
    pub recordings_bucket_region: Option<String>,
    /// The file with the access key: its id, a colon, and its secret. Default: what Amazon's own tools would use, from the environment or the
    /// machine's role.
    pub recordings_bucket_key_file: Option<PathBuf>,
    /// The file with the keys that seal secrets. Default: `secret.key` in the data directory.
    pub key_file: Option<PathBuf>,
    /// The file with the token that `/metrics` asks for. Default: `metrics.token` in the data directory, made if missing.
    pub metrics_token_file: Option<PathBuf>,
    /// What is logged, as `info` or `dialplane=debug,sqlx=warn`; `info` when not given.
    pub log: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir(),
            database_url: None,
            switch_listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            share_switch_address: false,
            app_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            switch_workers: 0,
            switch_tls_certificate: None,
            switch_tls_key: None,
            switch_tls_client_ca: None,
            app_tls_certificate: None,
            app_tls_key: None,
            stale_limit_seconds: 24 * 3600,
            cache_mib: 256,
            stray_mib: 32,
            fill_connections: 8,
            drain_seconds: 0,
            fill_timeout_ms: 2000,
            api_connections: 8,
            public_url: None,
            switch_url: None,
            trusted_proxies: Vec::new(),
            metrics_from: Vec::new(),
            smtp: Providers::default(),
            mail_from: "Dialplane <dialplane@localhost>".into(),
            webhooks_to_private_addresses: false,
            keep_audit_days: Retention::default().audit_days,
            keep_calls_days: Retention::default().calls_days,
            keep_records_days: Retention::default().records_days,
            keep_recordings_days: Retention::default().recordings_days,
            keep_mails_days: Retention::default().mails_days,
            keep_days_at_least: Retention::default().shortest_days,
            keep_days_at_most: Retention::default().longest_days,
            recordings_dir: None,
            recordings_bucket: None,
            recordings_bucket_endpoint: None,
            recordings_bucket_region: None,
            recordings_bucket_key_file: None,
            key_file: None,
            metrics_token_file: None,
            log: None,
        }
    }
}

impl Settings {
    /// Reads the settings. A named `file` must exist; `dialplane.toml` in the working directory need not.
    pub fn read(file: Option<&Path>) -> Result<Self, Box<figment::Error>> {
        let figment = Figment::from(Serialized::defaults(Self::default()));
        let figment = match file {
            Some(file) => figment.merge(Toml::file_exact(file)),
            None => figment.merge(Toml::file("dialplane.toml")),
        };
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        if let Some(unknown) = names.into_iter().find_map(|name| unknown_variable(&name)) {
            return Err(Box::new(unknown.into()));
        }
        let known = Env::prefixed("DIALPLANE_").filter(|name| FIELDS.iter().any(|field| name == *field));
        let settings: Self =
            figment.merge(known).merge(Env::raw().only(&["DATABASE_URL"])).extract().map_err(in_words)?;
        match settings.retention().fault() {
            Some(fault) => Err(Box::new(fault.into())),
            None => Ok(settings),
        }
    }

    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data_dir.join("secret.key"))
    }

    #[must_use]
    pub fn recordings_dir(&self) -> PathBuf {
        self.recordings_dir.clone().unwrap_or_else(|| self.data_dir.join("recordings"))
    }

    /// Where recordings are kept.
    ///
    /// # Errors
    ///
    /// If the bucket is not named as one, or the file with its key can't be read. The store is not asked.
    pub fn vault(&self) -> std::io::Result<Vault> {
        let bucket = self.recordings_bucket.as_ref().map(|url| {
            let key = self.recordings_bucket_key_file.as_deref().map(access_key).transpose()?;
            Bucket::open(&Where {
                url: url.clone(),
                endpoint: self.recordings_bucket_endpoint.clone(),
                region: self.recordings_bucket_region.clone(),
                key,
            })
        });
        Ok(Vault::new(self.recordings_dir(), bucket.transpose()?))
    }

    #[must_use]
    pub fn metrics_token_file(&self) -> PathBuf {
        self.metrics_token_file.clone().unwrap_or_else(|| self.data_dir.join("metrics.token"))
    }

    /// The URL with which links in mails begin.
    #[must_use]
    pub fn public_url(&self) -> String {
        let url = self.public_url.clone().unwrap_or_else(|| self.app_url(self.app_listen));
        url.trim_end_matches('/').to_owned()
    }

    /// The app listener itself.
    #[must_use]
    pub fn app_url(&self, listener: SocketAddr) -> String {
        let scheme = if self.app_tls_certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", reached::authority(listener, self.app_tls_certificate.as_deref()))
    }

    /// The URL at which switches reach this node: the setting, or else the listener's address with its protocol.
    #[must_use]
    pub fn switch_url(&self, listener: SocketAddr) -> String {
        let certificate = self.switch_tls_certificate.as_deref();
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{}", reached::authority(listener, certificate));
        let url = self.switch_url.clone().unwrap_or_else(own);
        url.trim_end_matches('/').to_owned()
    }

    /// Whether no switch believes the URL of this node, because its certificate names no host and `switch_url` is not set.
    #[must_use]
    pub fn switch_url_is_missing(&self) -> bool {
        self.switch_url.is_none() && self.switch_tls_certificate.as_deref().is_some_and(reached::is_without_name)
    }

    /// What the binding of a switch needs besides, so that it checks who answers at this URL.
    #[must_use]
    pub fn switch_checks(&self, url: &str) -> Vec<(&'static str, String)> {
        reached::checks(url, self.switch_tls_certificate.as_deref(), self.switch_tls_client_ca.is_some())
    }

    #[must_use]
    pub fn workers(&self) -> usize {
        if self.switch_workers > 0 {
            return self.switch_workers;
        }
        std::thread::available_parallelism().map_or(2, usize::from)
    }

    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            lease: poller::LEASE,
            stale: Duration::from_secs(self.stale_limit_seconds),
            cache_bytes: self.cache_mib << 20,
            stray_bytes: self.stray_mib << 20,
        }
    }

    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention {
            audit_days: self.keep_audit_days,
            calls_days: self.keep_calls_days,
            records_days: self.keep_records_days,
            mails_days: self.keep_mails_days,
            recordings_days: self.keep_recordings_days,
            shortest_days: self.keep_days_at_least,
            longest_days: self.keep_days_at_most,
        }
    }

    #[must_use]
    pub fn fill_timeout(&self) -> Duration {
        Duration::from_millis(self.fill_timeout_ms)
    }
}

/// The id of an access key, and its secret.
fn access_key(file: &Path) -> std::io::Result<(String, String)> {
    let wrong =
        |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error.to_string()))?;
    let (id, secret) =
        text.trim().split_once(':').ok_or_else(|| wrong("it must be the key's id, a colon, and its secret"))?;
    Ok((id.to_owned(), secret.to_owned()))
}

const FIELDS: [&str; 40] = [
    "data_dir",
    "switch_listen",
    "share_switch_address",
    "app_listen",
    "switch_workers",
    "switch_tls_certificate",
    "switch_tls_key",
    "switch_tls_client_ca",
    "app_tls_certificate",
    "app_tls_key",
    "stale_limit_seconds",
    "cache_mib",
    "stray_mib",
    "fill_connections",
    "drain_seconds",
    "fill_timeout_ms",
    "api_connections",
    "public_url",
    "switch_url",
    "trusted_proxies",
    "metrics_from",
    "smtp",
    "mail_from",
    "webhooks_to_private_addresses",
    "keep_audit_days",
    "keep_calls_days",
    "keep_records_days",
    "keep_recordings_days",
    "keep_mails_days",
    "keep_days_at_least",
    "keep_days_at_most",
    "recordings_dir",
    "recordings_bucket",
    "recordings_bucket_endpoint",
    "recordings_bucket_region",
    "recordings_bucket_key_file",
    "key_file",
    "metrics_token_file",
    "database_url",
    "log",
];

/// Variables that are not settings: single commands, the build and the tests read them.
const OTHERS: [&str; 10] = [
    "url",
    "key",
    "profile",
    "password",
    "event_socket_password",
    "bench_credentials",
    "commit",
    "skipped",
    "screenshots",
    "test_alone",
];

/// Complains about a `DIALPLANE_` variable that nothing reads, since a typo would otherwise go unnoticed.
fn unknown_variable(name: &str) -> Option<String> {
    let own = name.strip_prefix("DIALPLANE_")?.to_ascii_lowercase();
    // Kubernetes sets these in every Pod where a Service is called dialplane.
    let of_a_service = ["port", "service_host", "service_port"].contains(&own.as_str())
        || ["port_", "service_port_"].iter().any(|prefix| own.starts_with(prefix));
    if of_a_service || FIELDS.contains(&own.as_str()) || OTHERS.contains(&own.as_str()) {
        return None;
    }
    let hint = near(&own).map(|near| format!("; did you mean DIALPLANE_{}?", near.to_ascii_uppercase()));
    Some(format!("the environment has {name}, which is not a setting{}", hint.unwrap_or_default()))
}

/// The setting that a misspelt one looks like.
fn near(name: &str) -> Option<&'static str> {
    similar::get_close_matches(name, &FIELDS, 1, 0.7).first().copied()
}

/// Says where a setting is wrong, and what it may be. figment's own sentence lists all settings.
fn in_words(error: figment::Error) -> Box<figment::Error> {
    let place = error.metadata.as_ref().map(|from| match &from.source {
        Some(source) => source.to_string(),
        None => from.name.to_string(),
    });
    let place = place.unwrap_or_else(|| "the settings".to_owned());
    let name = error.path.last().cloned().unwrap_or_default();
    match &error.kind {
        Kind::UnknownField(name, _) => {
            let hint = near(name).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            Box::new(format!("{place} has {name}, which is not a setting{hint}").into())
        }
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            let wanted = match wanted.as_str() {
                "u16" | "u32" | "u64" | "usize" => "a whole number",
                "a boolean" => "true or false",
                other => other,
            };
            Box::new(format!("{place}: {name} must be {wanted}, not {found}").into())
        }
        _ => Box::new(error),
    }
}

fn default_data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return "/var/lib/dialplane".into();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    std::env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from).join("dialplane")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_ours_that_nobody_reads_is_an_error() {
        for name in ["PATH", "DIALPLANE_LOG", "DIALPLANE_CACHE_MIB", "DIALPLANE_SERVICE_PORT_HTTP", "DIALPLANE_PORT"] {
            assert_eq!(unknown_variable(name), None);
        }
        let said = unknown_variable("DIALPLANE_CACHE_MB").unwrap();
        assert!(said.ends_with("which is not a setting; did you mean DIALPLANE_CACHE_MIB?"), "{said}");
        assert!(unknown_variable("DIALPLANE_OF_SOMEBODY_ELSE").unwrap().ends_with("which is not a setting"));
    }

    #[test]
    fn a_wrong_line_of_the_file_is_named_with_what_it_may_be() {
        let said = |text: &str| {
            let folder = std::env::temp_dir().join(format!("dialplane-settings-{}", uuid::Uuid::now_v7()));
            std::fs::write(&folder, text).unwrap();
            let said = Settings::read(Some(&folder)).unwrap_err().to_string();
            std::fs::remove_file(&folder).unwrap();
            let folder = folder.display().to_string();
            assert!(said.starts_with(&folder), "{said}");
            said[folder.len()..].to_owned()
        };
        assert_eq!(
            said("fill_conections = 3"),
            " has fill_conections, which is not a setting; did you mean fill_connections?"
        );
        assert_eq!(said("tea = 3"), " has tea, which is not a setting");
        assert_eq!(said("fill_connections = \"x\""), ": fill_connections must be a whole number, not string \"x\"");
    }

    #[test]
    fn every_setting_can_come_from_the_environment() {
        let settings = serde_json::to_value(Settings::default()).unwrap();
        for name in settings.as_object().unwrap().keys() {
            assert!(FIELDS.contains(&name.as_str()), "{name}");
        }
    }
}
