//! What a running node takes anew without a restart: certificates, the keys that seal secrets, and those settings that can change.
//!
//! On SIGHUP, and when one of the files changes. Files are looked at each second rather than watched with inotify: certificates are often
//! symbolic links into folders that are replaced (certbot, Kubernetes), for which every folder on the way would have to be watched, and
//! some file systems report nothing. A look is a `stat` of less than ten files.
//!
//! What is broken doesn't take the place of what is in force. It is logged and counted, `/readyz` names it, and `doctor` says what is wrong
//! with it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::{counter, gauge};
use rustls::ServerConfig;
use tokio::sync::Notify;

use super::{
    metrics_token::MetricsToken,
    settings::Settings,
    telemetry,
    tls::{Files, Loaded, Swapped, TlsError},
};
use crate::{switch::fetch::Fetch, tenancy::mail::deliver::Outlet, text::keyring::Keyring};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The settings that a running node reads again. Any other needs a restart.
pub const RENEWED: [&str; 14] = [
    "log",
    "switch_tls_certificate",
    "switch_tls_key",
    "switch_tls_client_ca",
    "app_tls_certificate",
    "app_tls_key",
    "metrics_token_file",
    "smtp",
    "mail_from",
    "trusted_proxies",
    "metrics_from",
    "stale_limit_seconds",
    "drain_seconds",
    "key_file",
];

/// A part that is renewed, and may fail, independently of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Settings,
    Log,
    SwitchCertificate,
    AppCertificate,
    MetricsToken,
    Mail,
    KeyFile,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Settings,
        Self::Log,
        Self::SwitchCertificate,
        Self::AppCertificate,
        Self::MetricsToken,
        Self::Mail,
        Self::KeyFile,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Log => "log",
            Self::SwitchCertificate => "switch_certificate",
            Self::AppCertificate => "app_certificate",
            Self::MetricsToken => "metrics_token",
            Self::Mail => "mail",
            Self::KeyFile => "key_file",
        }
    }
}

/// How the settings are read again.
pub struct Source {
    /// The file that is checked for changes.
    pub file: PathBuf,
    pub read: Box<dyn Fn() -> Result<Settings, String> + Send + Sync>,
}

/// What is in force, shared with whatever uses it.
pub struct InForce {
    pub switch_tls: Option<Arc<ArcSwap<ServerConfig>>>,
    pub app_tls: Option<Arc<Swapped>>,
    pub outlet: Arc<ArcSwap<Outlet>>,
    pub token: Arc<ArcSwap<MetricsToken>>,
    pub proxies: Arc<ArcSwap<Vec<IpAddr>>>,
    pub metrics_from: Arc<ArcSwap<Vec<IpAddr>>>,
    pub fetch: Arc<Fetch>,
    pub keyring: Arc<Keyring>,
}

/// The renewal of one node.
pub struct Renewal {
    in_force: InForce,
    source: Option<Source>,
    settings: Mutex<Settings>,
    /// What could not be renewed, and why.
    failed: Mutex<BTreeMap<Part, String>>,
    wanted: Notify,
}

/// The state of a file when it was checked; `None` if it was missing.
type Look = Option<(u64, u64, u64, i64, i64)>;

impl Renewal {
    pub fn new(settings: &Settings, source: Option<Source>, in_force: InForce) -> Arc<Self> {
        for part in Part::ALL {
            gauge!("dialplane_renewal_failed", "part" => part.name()).set(0.0);
            for outcome in ["done", "failed"] {
                counter!("dialplane_renewals_total", "part" => part.name(), "outcome" => outcome).increment(0);
            }
        }
        let (settings, failed) = (Mutex::new(settings.clone()), Mutex::default());
        Arc::new(Self { in_force, source, settings, failed, wanted: Notify::new() })
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// What could not be renewed. The last good version is in force.
    #[must_use]
    pub fn failed(&self) -> Vec<(Part, String)> {
        lock(&self.failed).iter().map(|(part, reason)| (*part, reason.clone())).collect()
    }

    /// Asks for a renewal, as SIGHUP does.
    pub fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Runs forever.
    pub async fn run(self: Arc<Self>) {
        // Everything is read once after the start, because a file may have changed since it was read for the start.
        let (mut known, mut before) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                () = self.wanted.notified() => {
                    tracing::info!("reading certificates and settings again");
                    self.renew_apart().await;
                    (known, before) = { let now = self.look().await; (now.clone(), now) };
                }
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let now = self.look().await;
                    // A file that is still changing may be incomplete.
                    if now != known && now == before {
                        self.renew_apart().await;
                        // The settings may now name other files.
                        known = self.look().await;
                        before.clone_from(&known);
                    } else {
                        before = now;
                    }
                }
            }
        }
    }

    async fn renew_apart(self: &Arc<Self>) {
        let renewal = Arc::clone(self);
        let _ = tokio::task::spawn_blocking(move || renewal.renew()).await;
    }

    async fn look(self: &Arc<Self>) -> Vec<(PathBuf, Look)> {
        let renewal = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            renewal.files().into_iter().map(|file| (file.clone(), look(&file))).collect()
        })
        .await
        .unwrap_or_default()
    }

    fn files(&self) -> Vec<PathBuf> {
        let settings = lock(&self.settings);
        let named = [
            &settings.switch_tls_certificate,
            &settings.switch_tls_key,
            &settings.switch_tls_client_ca,
            &settings.app_tls_certificate,
            &settings.app_tls_key,
        ];
        let mut files = named.into_iter().flatten().cloned().collect::<Vec<_>>();
        files.extend([settings.metrics_token_file(), settings.key_file()]);
        files.extend(self.source.as_ref().map(|source| source.file.clone()));
        files
    }

    /// Renews everything that can be renewed.
    pub fn renew(&self) {
        let before = self.settings();
        let mut now = before.clone();
        if let Some(source) = &self.source {
            let read = (source.read)();
            self.note(Part::Settings, read.as_ref().map(|_| ()).map_err(Clone::clone));
            now = read.unwrap_or(now);
        }
        let changed = changed(&before, &now);
        let needing = changed.iter().filter(|name| !RENEWED.contains(&name.as_str()));
        for setting in needing {
            tracing::warn!(setting, "this setting has changed, but takes effect only after a restart");
        }
        let has_changed = |names: &[&str]| names.iter().any(|name| changed.iter().any(|changed| changed == name));
        let mut kept = before.clone();
        if has_changed(&["log"]) && self.note(Part::Log, telemetry::set_level(now.log.as_deref())) {
            kept.log.clone_from(&now.log);
        }
        if has_changed(&["smtp", "mail_from"]) {
            let outlet = Outlet::new(&now.mail_from, &now.smtp).map(|outlet| self.in_force.outlet.store(outlet.into()));
            if self.note(Part::Mail, outlet) {
                (kept.smtp, kept.mail_from) = (now.smtp.clone(), now.mail_from.clone());
            }
        } else {
            // The mail settings are what they were before, so an earlier failure no longer counts.
            lock(&self.failed).remove(&Part::Mail);
        }
        let token = MetricsToken::open(&now.metrics_token_file()).map(|token| self.in_force.token.store(token.into()));
        if self.note(Part::MetricsToken, token) {
            kept.metrics_token_file.clone_from(&now.metrics_token_file);
        }
        if self.note(Part::KeyFile, self.in_force.keyring.take(&now.key_file())) {
            kept.key_file.clone_from(&now.key_file);
        }
        if self.renew_switch_tls(&now) {
            kept.switch_tls_certificate.clone_from(&now.switch_tls_certificate);
            kept.switch_tls_key.clone_from(&now.switch_tls_key);
            kept.switch_tls_client_ca.clone_from(&now.switch_tls_client_ca);
        }
        if self.renew_app_tls(&now) {
            kept.app_tls_certificate.clone_from(&now.app_tls_certificate);
            kept.app_tls_key.clone_from(&now.app_tls_key);
        }
        self.in_force.proxies.store(now.trusted_proxies.clone().into());
        self.in_force.metrics_from.store(now.metrics_from.clone().into());
        self.in_force.fetch.set_stale_limit(now.limits().stale);
        kept.trusted_proxies = now.trusted_proxies;
        kept.metrics_from = now.metrics_from;
        kept.stale_limit_seconds = now.stale_limit_seconds;
        kept.drain_seconds = now.drain_seconds;
        *lock(&self.settings) = kept;
    }

    fn renew_switch_tls(&self, settings: &Settings) -> bool {
        let Some(in_force) = &self.in_force.switch_tls else {
            return self.stays_plain(settings.switch_tls_certificate.as_deref(), "switch_tls_certificate");
        };
        let loaded = load(Files::of_switches(settings), "switch_tls_certificate");
        let taken = loaded.map(|loaded| {
            note_expiry("switch", &loaded);
            in_force.store(loaded.config);
        });
        self.note(Part::SwitchCertificate, taken)
    }

    fn renew_app_tls(&self, settings: &Settings) -> bool {
        let Some(in_force) = &self.in_force.app_tls else {
            return self.stays_plain(settings.app_tls_certificate.as_deref(), "app_tls_certificate");
        };
        let loaded = load(Files::of_people(settings), "app_tls_certificate");
        let taken = loaded.map(|loaded| {
            note_expiry("app", &loaded);
            in_force.replace(&loaded);
        });
        self.note(Part::AppCertificate, taken)
    }

    /// Whether a listener has no TLS. It can get TLS only by a restart.
    #[expect(clippy::unused_self, reason = "beside its siblings")]
    fn stays_plain(&self, wanted: Option<&Path>, setting: &str) -> bool {
        if wanted.is_some() {
            tracing::warn!(setting, "a listener can start to use TLS only after a restart");
        }
        false
    }

    /// Notes the result. Returns whether it succeeded.
    fn note<E: fmt::Display>(&self, part: Part, came: Result<(), E>) -> bool {
        let done = came.is_ok();
        let outcome = if done { "done" } else { "failed" };
        counter!("dialplane_renewals_total", "part" => part.name(), "outcome" => outcome).increment(1);
        gauge!("dialplane_renewal_failed", "part" => part.name()).set(if done { 0.0 } else { 1.0 });
        match came {
            Ok(()) => {
                if lock(&self.failed).remove(&part).is_some() {
                    tracing::info!(part = part.name(), "renewed again, after it had failed");
                }
            }
            Err(reason) => {
                let reason = reason.to_string();
                tracing::error!(
                    part = part.name(),
                    reason,
                    "could not be renewed: the previous version stays in force"
                );
                lock(&self.failed).insert(part, reason);
            }
        }
        done
    }
}

/// Publishes when a certificate expires, for alarms.
pub fn note_expiry(listener: &'static str, loaded: &Loaded) {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
    let at = loaded.expires.timestamp() as f64;
    gauge!("dialplane_certificate_expiry_timestamp_seconds", "listener" => listener).set(at);
    tracing::info!(listener, expires = %loaded.expires.format("%F %T UTC"), "the certificate in force");
}

fn load(files: Result<Option<Files>, TlsError>, setting: &'static str) -> Result<Loaded, String> {
    match files.map_err(|error| error.to_string())? {
        Some(files) => files.load_anew().map_err(|error| error.to_string()),
        None => Err(format!("{setting} is no longer set: a listener can stop using TLS only after a restart")),
    }
}

/// The names of the settings that differ.
fn changed(before: &Settings, now: &Settings) -> Vec<String> {
    let values = |settings| serde_json::to_value(settings).unwrap_or_default();
    let (before, now) = (values(before), values(now));
    let Some(now) = now.as_object() else { return Vec::new() };
    now.iter().filter(|(name, value)| before.get(name.as_str()) != Some(*value)).map(|(name, _)| name.clone()).collect()
}

fn look(file: &Path) -> Look {
    let seen = fs::metadata(file).ok()?;
    let changed = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    Some((
        seen.dev(),
        seen.ino(),
        seen.size(),
        changed(seen.mtime(), seen.mtime_nsec()),
        changed(seen.ctime(), seen.ctime_nsec()),
    ))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_is_renewed_is_one() {
        let settings = serde_json::to_value(Settings::default()).unwrap();
        for name in RENEWED {
            assert!(settings.get(name).is_some(), "{name}");
        }
        let other = Settings { log: Some("debug".into()), cache_mib: 1, ..Settings::default() };
        assert_eq!(changed(&Settings::default(), &other), ["cache_mib", "log"]);
    }
}
