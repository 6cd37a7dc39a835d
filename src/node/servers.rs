//! The Postgres servers: one, or several of which one accepts changes, as in `postgres://user@a:5432,b:5432/name`.
//!
//! sqlx knows only one host (`parse_from_url` in its options/parse.rs does not accept a list), so the list is parsed here. A node uses
//! one server at a time. Its poll notices within a quarter of a second if this server is gone or no longer accepts changes, and tries
//! the next. Once it has switched to another, every connection to the old one is dropped.

use std::{
    str::FromStr as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::watch;

use super::servers_store::{self as store, State};

/// How long a server may take to answer a new connection, unless the URL's `connect_timeout` says otherwise.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a pool's users wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(3);
/// The pause between two attempts at the start.
const PAUSE: Duration = Duration::from_secs(1);

/// The settings of a new connection.
#[derive(Debug, Clone, Default)]
pub struct Session(String);

impl Session {
    /// After this time, the server ends a statement.
    #[must_use]
    pub fn within(limit: Duration) -> Self {
        Self::default().with("statement_timeout", &format!("{}ms", limit.as_millis()))
    }

    /// `name` and `value` never come from outside.
    #[must_use]
    pub fn with(self, name: &'static str, value: &str) -> Self {
        Self(format!("{}set {name} = '{value}';", self.0))
    }
}

/// What is wrong with `DATABASE_URL`. The message does not contain the URL, because it may have a password.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    #[error(
        "DATABASE_URL is not a Postgres URL: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with commas between several hosts"
    )]
    NotAUrl,
    #[error("DATABASE_URL names {ports} ports for {hosts} hosts: name one for each, or one for all")]
    Ports { hosts: usize, ports: usize },
    #[error(
        "DATABASE_URL: a node can't use target_session_attrs={0}, because it changes data: write read-write or primary, or leave it out"
    )]
    Target(String),
    #[error("DATABASE_URL: connect_timeout={0} is not a number of seconds")]
    Timeout(String),
}

/// Why a server can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("it does not answer within {0:?}")]
    Silent(Duration),
    #[error("it is a standby, which takes no changes")]
    Standby,
    #[error("it takes no changes (transaction_read_only is on)")]
    ReadOnly,
    #[error("{}", in_words(.0))]
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for ServerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl ServerError {
    /// Whether waiting may help. It does not for a wrong password.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Standby | Self::ReadOnly => true,
            Self::Sql(error) => may_pass(error),
        }
    }
}

/// Whether waiting may help against an error of a connection.
#[must_use]
pub fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        // 57P03: it is starting up or shutting down; 53300: no connection is free; 08: errors of the connection.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "53300")
        }
        error => matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_)),
    }
}

/// The message of the server or the system, without sqlx's prefixes.
fn in_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}

/// No server could be used within the time that a start may take.
#[derive(Debug, thiserror::Error)]
#[error("no Postgres could be used within {} s: {}. Start Postgres or correct DATABASE_URL, and try again", .waited.as_secs(), .said.join("; "))]
pub struct Unreachable {
    waited: Duration,
    /// The name and last error of each server.
    said: Vec<String>,
}

/// What to log while waiting: which server can't be used, why, and which is next.
#[derive(Debug)]
pub struct Waiting {
    pub server: String,
    pub error: ServerError,
    pub next: String,
    pub seconds_left: u64,
}

/// The servers, and which of them this node uses.
#[derive(Debug, Clone)]
pub struct Servers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    candidates: Vec<PgConnectOptions>,
    patience: Duration,
    /// The one that is tried next.
    next: AtomicUsize,
    /// A server no longer accepts changes, so connections to it must not be used, even if they are open.
    doubted: AtomicBool,
    now: watch::Sender<Now>,
    /// Whether the database is being restored, as the last poll saw it.
    restoring: watch::Sender<bool>,
    pools: Mutex<Vec<PgPool>>,
}

/// What a pool does while the database is being restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuringRestore {
    /// It gives connections as always.
    Goes,
    /// It gives none, so that whoever wants one waits or fails as without a database. During `pg_restore`, rows can be written before there
    /// are keys, and then the restore fails. It asks the database when it connects, and goes by the polls after that.
    Holds,
    /// The same, and it asks the database each time. A poll notices a restore within a quarter of a second; a job needs less.
    HoldsAtOnce,
}

#[derive(Debug, Clone, Copy)]
struct Now {
    at: usize,
    /// Goes up with each change of the server.
    era: u64,
    since: Instant,
}

impl From<PgConnectOptions> for Servers {
    fn from(options: PgConnectOptions) -> Self {
        Self::of(vec![options], CONNECT)
    }
}

impl Servers {
    fn of(candidates: Vec<PgConnectOptions>, patience: Duration) -> Self {
        // pgbouncer refuses extra_float_digits. Numbers are sent in binary, so nothing depends on it.
        let named = |options: PgConnectOptions| options.application_name("dialplane").extra_float_digits(None);
        let (now, _) = watch::channel(Now { at: 0, era: 0, since: Instant::now() });
        let (restoring, _) = watch::channel(false);
        Self(Arc::new(Inner {
            candidates: candidates.into_iter().map(named).collect(),
            patience,
            next: AtomicUsize::new(0),
            doubted: AtomicBool::new(false),
            now,
            restoring,
            pools: Mutex::default(),
        }))
    }

    /// The servers of a URL, in its order.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let Parts { hosts, base, patience } = Parts::of(url)?;
        let candidate = |host: &String| PgConnectOptions::from_str(&base(host)).map_err(|_| UrlError::NotAUrl);
        let candidates = hosts.iter().map(candidate).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(candidates, patience))
    }

    /// How to connect to the server that this node uses.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.candidate(self.0.now.borrow().at).clone()
    }

    fn candidate(&self, at: usize) -> &PgConnectOptions {
        // There is at least one server, and the remainder is less than their number.
        &self.0.candidates[at % self.0.candidates.len()]
    }

    /// The names of all servers, for people.
    #[must_use]
    pub fn names(&self) -> String {
        self.0.candidates.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Goes up when the node changes to another server. Older connections must not be used.
    #[must_use]
    pub fn era(&self) -> u64 {
        self.0.now.borrow().era
    }

    /// Waits until the node uses another server than in that era.
    pub async fn left(&self, era: u64) {
        let mut now = self.0.now.subscribe();
        // The sender lives as long as self.
        let _ = now.wait_for(|now| now.era != era).await;
    }

    /// Opens a connection to the server that this node uses.
    pub async fn connect(&self, session: &Session) -> sqlx::Result<PgConnection> {
        let mut db = self.options().connect().await?;
        store::apply(&mut db, &session.0).await?;
        Ok(db)
    }

    /// A pool of connections to it. The pool follows the node to another server.
    pub fn pool(&self, connections: u32, session: Session, restore: DuringRestore) -> PgPool {
        let (servers, fresh) = (self.clone(), self.clone());
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            // This replaces the pool's own test, which would first ask the old server.
            .test_before_acquire(false)
            .before_acquire(move |db, connection| {
                let was_left = servers.0.now.borrow().since.elapsed() < connection.age && servers.era() > 0;
                let servers = servers.clone();
                // This replaces a ping: the node may have left the server while this connection was being opened.
                Box::pin(async move { Ok(!was_left && servers.may_be_used(db, restore).await) })
            })
            .after_connect(move |db, _| {
                let (session, servers) = (session.clone(), fresh.clone());
                Box::pin(async move {
                    store::apply(db, &session.0).await?;
                    // A database that was made anew under the same name ended all connections. Whoever connects to it may come before
                    // the next poll, which pauses for longer after a failure, and would find tables without rows.
                    if restore != DuringRestore::Goes {
                        servers.may_be_used(db, DuringRestore::HoldsAtOnce).await;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(self.options());
        self.0.pools.lock().unwrap_or_else(PoisonError::into_inner).push(pool.clone());
        pool
    }

    /// Whether a pool's connection can be used. Waits while the database is being restored; the pool ends that after [`ACQUIRE`].
    async fn may_be_used(&self, db: &mut PgConnection, restore: DuringRestore) -> bool {
        loop {
            if restore != DuringRestore::Goes {
                // The sender lives as long as self.
                let _ = self.0.restoring.subscribe().wait_for(|restoring| !*restoring).await;
            }
            match store::state(db, restore == DuringRestore::HoldsAtOnce).await {
                State::TakesChanges => return true,
                State::Unusable => return false,
                State::BeingRestored => tokio::time::sleep(PAUSE / 4).await,
            }
        }
    }

    /// Notes whether a poll found that the database is being restored.
    pub fn note_restore(&self, restoring: bool) {
        self.0.restoring.send_if_modified(|before| std::mem::replace(before, restoring) != restoring);
    }

    /// Notes that a connection found that its server no longer accepts changes.
    pub fn doubt(&self) {
        self.0.doubted.store(true, Ordering::Relaxed);
    }

    /// Tries one server: the one that this node uses, or the next if that failed the last time. If another one can be used, the node
    /// changes to it.
    pub async fn attempt(&self, session: &Session) -> Result<PgConnection, ServerError> {
        let at = self.0.next.load(Ordering::Relaxed);
        match self.look(at, session).await {
            Ok(db) => {
                self.settle_on(at);
                Ok(db)
            }
            Err(error) => {
                if matches!(error, ServerError::Standby | ServerError::ReadOnly) {
                    self.doubt();
                }
                self.pass();
                Err(error)
            }
        }
    }

    /// Makes the next attempt use the server after this one.
    pub fn pass(&self) {
        let at = self.0.next.load(Ordering::Relaxed);
        self.0.next.store((at + 1) % self.0.candidates.len(), Ordering::Relaxed);
    }

    async fn look(&self, at: usize, session: &Session) -> Result<PgConnection, ServerError> {
        let look = async {
            let mut db = self.candidate(at).connect().await?;
            let kind = store::apply_and_look(&mut db, &session.0).await?;
            Ok((db, kind))
        };
        let patience = self.0.patience;
        let (db, kind) = tokio::time::timeout(patience, look).await.unwrap_or(Err(ServerError::Silent(patience)))?;
        match kind {
            store::Kind { is_standby: true, .. } => Err(ServerError::Standby),
            store::Kind { is_read_only: true, .. } => Err(ServerError::ReadOnly),
            store::Kind { .. } => Ok(db),
        }
    }

    fn settle_on(&self, at: usize) {
        let doubted = self.0.doubted.swap(false, Ordering::Relaxed);
        let has_moved = self.0.now.send_if_modified(|now| {
            let has_moved = now.at != at || doubted;
            if has_moved {
                *now = Now { at, era: now.era + 1, since: Instant::now() };
            }
            has_moved
        });
        if has_moved {
            tracing::info!(server = name(self.candidate(at)), "this node now uses this server");
            let pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
            for pool in &*pools {
                pool.set_connect_options(self.candidate(at).clone());
            }
        }
    }

    /// Tries each server once, for a command.
    pub async fn choose(&self) -> Result<PgConnection, ServerError> {
        let mut tried = 1;
        loop {
            match self.attempt(&Session::default()).await {
                Err(_) if tried < self.0.candidates.len() => tried += 1,
                found => return found,
            }
        }
    }

    /// Waits up to this long until one of them can be used. Errors that waiting does not help end it at once.
    pub async fn wait(&self, limit: Duration, mut tell: impl FnMut(Waiting)) -> Result<(), Unreachable> {
        let began = Instant::now();
        let mut said = vec![None; self.0.candidates.len()];
        loop {
            let at = self.0.next.load(Ordering::Relaxed);
            let error = match self.attempt(&Session::default()).await {
                Ok(db) => {
                    let _ = db.close().await;
                    return Ok(());
                }
                Err(error) => error,
            };
            let server = name(self.candidate(at));
            if let Some(said) = said.get_mut(at) {
                *said = Some(format!("{server}: {error}"));
            }
            let next = self.0.next.load(Ordering::Relaxed);
            let waited = began.elapsed();
            let is_round = next == 0;
            if waited + PAUSE > limit || (is_round && !error.may_pass()) {
                return Err(Unreachable { waited, said: said.into_iter().flatten().collect() });
            }
            let next = match self.0.candidates.len() {
                1 => "the same again in a second".to_owned(),
                _ if is_round => format!("{} in a second", name(self.candidate(next))),
                _ => name(self.candidate(next)),
            };
            tell(Waiting { server, error, next, seconds_left: limit.saturating_sub(waited).as_secs() });
            if is_round {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Host and port, or the socket.
fn name(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(folder) => format!("{}/.s.PGSQL.{}", folder.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// A URL with several hosts, parsed.
struct Parts<F> {
    hosts: Vec<String>,
    /// The URLs with one host each.
    base: F,
    patience: Duration,
}

impl Parts<()> {
    /// Parses a URL as libpq does (`conninfo_uri_parse_options` in fe-connect.c): hosts and ports are separated by commas in the
    /// authority, or in the parameters `host` and `port`.
    fn of(url: &str) -> Result<Parts<impl Fn(&str) -> String>, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::NotAUrl)?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = address.find('/').map_or((address, ""), |at| address.split_at(at));
        let (user, listed) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
        let (mut parameters, mut named, mut ports, mut patience) = (Vec::new(), None, Vec::new(), CONNECT);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("target_session_attrs", "any" | "read-write" | "primary")) => {}
                Some(("target_session_attrs", other)) => return Err(UrlError::Target(other.to_owned())),
                Some(("connect_timeout", seconds)) => {
                    let seconds = seconds.parse::<u32>().map_err(|_| UrlError::Timeout(seconds.to_owned()))?;
                    // For libpq, 0 means forever, but a node always tries the next.
                    patience = if seconds == 0 { CONNECT } else { Duration::from_secs(seconds.into()) };
                }
                Some(("host", hosts)) => named = Some(split(hosts)),
                Some(("port", list)) => ports = split(list),
                _ => parameters.push(pair),
            }
        }
        let hosts = match named {
            // `host=` replaces the hosts of the authority.
            Some(named) => named.into_iter().map(|host| in_authority(&host)).collect(),
            None => split(listed),
        };
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(UrlError::Ports { hosts: hosts.len(), ports: ports.len() });
        }
        let with_port = |(at, host): (usize, String)| match ports.get(at).or(ports.first()) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let hosts = hosts.into_iter().enumerate().map(with_port).collect();
        let (before, after) = (format!("{scheme}://{user}"), path.to_owned());
        let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        let base = move |host: &str| format!("{before}{host}{after}{query}");
        Ok(Parts { hosts, base, patience })
    }
}

/// A host in the form of a URL's authority: a socket's folder is escaped, and an IPv6 address is in brackets.
fn in_authority(host: &str) -> String {
    let host = host.replace("%3A", ":").replace("%3a", ":");
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.replace('/', "%2F") }
}

fn split(list: &str) -> Vec<String> {
    list.replace("%2C", ",").replace("%2c", ",").split(',').map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> String {
        Servers::parse(url).unwrap().names()
    }

    #[test]
    fn a_url_may_name_several_hosts_as_it_may_for_libpq() {
        assert_eq!(names("postgres://u:p@a.test/d"), "a.test:5432");
        assert_eq!(names("postgres://u:p@a.test:1,b.test:2/d?target_session_attrs=read-write"), "a.test:1, b.test:2");
        assert_eq!(names("postgresql://u:p%40,x@[::1]:1,10.0.0.2/d?sslmode=disable"), "[::1]:1, 10.0.0.2:5432");
        assert_eq!(names("postgres:///d?host=a,b&port=5433"), "a:5433, b:5433");
        assert_eq!(names("postgres://u@/d?host=a,b&port=1,2&connect_timeout=2"), "a:1, b:2");
        assert_eq!(names("postgres://u@%2Frun%2Fpg/d"), "/run/pg/.s.PGSQL.5432");
        assert_eq!(names("postgres://u@/d?host=/run/pg&port=7"), "/run/pg/.s.PGSQL.7");
        let options = Servers::parse("postgres://u:p@a:1,b:2/d?options=-c%20geqo%3Doff").unwrap().options();
        assert_eq!((options.get_database(), options.get_options()), (Some("d"), Some("-c geqo=off")));
    }

    #[test]
    fn what_a_node_can_t_do_with_a_url_is_said() {
        let said = |url: &str| Servers::parse(url).unwrap_err().to_string();
        assert!(said("mysql").contains("not a Postgres URL"));
        assert!(said("postgres://u@a:x/d").contains("not a Postgres URL"));
        assert!(said("postgres://a,b/d?target_session_attrs=standby").contains("read-write or primary"));
        assert!(said("postgres:///d?host=a,b,c&port=1,2").contains("2 ports for 3 hosts"));
        assert!(!said("postgres://u:secret@a:b/d").contains("secret"));
    }
}
