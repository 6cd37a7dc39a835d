//! A private Postgres cluster in the data directory, which Dialplane creates, starts and stops with the system's Postgres
//! binaries. It listens only on a Unix socket, in a folder that only its user can enter.

mod binaries;
mod directories;
mod keeper;
mod postmaster;
mod store;

use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

pub use binaries::{Binaries, client_folders};
use directories::{Directories, Owner};
pub use keeper::Keeper;
use postmaster::Postmaster;

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(
        "no Postgres was found on PATH or in the distribution's folders: install it (Debian: apt-get install postgresql), or set DATABASE_URL"
    )]
    NoBinaries,
    #[error(
        "there is no database in the data directory {} yet. Start a node there with `dialplane serve` (or `dialplane demo`), or name another data directory with --data-dir",
        .0.display()
    )]
    Absent(PathBuf),
    #[error("{} can't be read by this user: use the user who runs the node", .0.display())]
    Denied(PathBuf),
    #[error("another dialplane runs on the data directory {0}")]
    InUse(PathBuf),
    #[error("running as root needs an unprivileged user for Postgres, but there is neither 'postgres' nor 'nobody'")]
    NoUser,
    #[error(
        "the user {user}, who runs Postgres, can't enter {path}: choose a data directory such as /var/lib/dialplane"
    )]
    Unreachable { path: PathBuf, user: String },
    #[error("{0} must belong to this user, and nobody else may enter it")]
    Unsafe(PathBuf),
    #[error("{what} failed: {output}")]
    Command { what: &'static str, output: String },
    #[error("Postgres did not come up within {waited:?}. Its log {} ends with: {said}", log.display())]
    Start { waited: Duration, log: PathBuf, said: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the private database can't be used: {0}")]
    Sql(#[from] sqlx::Error),
}

const USER: &str = "dialplane";
const DATABASE: &str = "dialplane";
/// How long to keep trying to start a server. One that recovers after a crash is waited for as long as it takes.
const START_TRIES: Duration = Duration::from_secs(30);
const PAUSE_BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// A running private cluster. It belongs to this process or, for short commands, to another.
pub struct Cluster {
    binaries: Binaries,
    directories: Directories,
    /// Held if this process must stop the cluster.
    lock: Option<Flock<File>>,
    /// Shared with all who use the cluster. Released after `lock`: who comes once the cluster has stopped finds both free.
    users: Option<Flock<File>>,
    postmaster: Postmaster,
}

/// What an attempt to connect says about the server.
enum Found {
    Answers,
    /// It is starting, recovering or shutting down.
    Busy,
    Nothing,
}

impl Cluster {
    /// The cluster of a data directory, which this process owns until it stops it.
    pub fn of_node(data_dir: &Path) -> Result<Self, ClusterError> {
        let cluster = Self::open(data_dir)?;
        if cluster.lock.is_none() {
            return Err(ClusterError::InUse(data_dir.to_owned()));
        }
        Ok(cluster)
    }

    /// For short commands: uses the cluster that a running node has started, or else starts it. Doesn't create one.
    pub async fn borrow(data_dir: &Path) -> Result<Self, ClusterError> {
        let Some(directories) = Directories::find(data_dir, Owner::choose()?)? else {
            return Err(ClusterError::Absent(data_dir.to_owned()));
        };
        Self::with(directories)?.join_or_run().await
    }

    /// Like [`Self::borrow`], but creates a missing cluster.
    pub async fn borrow_or_make(data_dir: &Path) -> Result<Self, ClusterError> {
        Self::open(data_dir)?.join_or_run().await
    }

    async fn join_or_run(mut self) -> Result<Self, ClusterError> {
        if self.lock.is_some() {
            // Creates missing directories, and refuses unsafe ones.
            self.directories = Directories::prepare(&self.directories.data, self.directories.owner.take())?;
            self.run().await?;
        } else {
            self.wait_for_socket().await?;
        }
        Ok(self)
    }

    /// Waits because the node that has the cluster may just be starting it. The caller finds out whether it answers.
    async fn wait_for_socket(&self) -> Result<(), ClusterError> {
        let socket = self.directories.socket.join(".s.PGSQL.5432");
        let since = Instant::now();
        while !socket.exists() {
            if since.elapsed() > START_TRIES {
                return Err(self.did_not_start(since));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn open(data_dir: &Path) -> Result<Self, ClusterError> {
        Self::with(Directories::prepare(data_dir, Owner::choose()?)?)
    }

    fn with(directories: Directories) -> Result<Self, ClusterError> {
        let binaries = Binaries::find(&directories.cluster).ok_or(ClusterError::NoBinaries)?;
        // Waits for one who is stopping the cluster, so that nobody joins one that is about to go.
        let users = Flock::lock(lock_file(directories.data.join("users"))?, FlockArg::LockShared).ok();
        let lock = Flock::lock(lock_file(directories.data.join("lock"))?, FlockArg::LockExclusiveNonblock).ok();
        let postmaster = Postmaster::of(&directories.cluster);
        Ok(Self { binaries, directories, lock, users, postmaster })
    }

    /// Starts the cluster, creating it first if it doesn't exist. One that a crashed process left running is taken over.
    pub async fn run(&mut self) -> Result<(), ClusterError> {
        if !self.directories.cluster.join("PG_VERSION").exists() {
            self.initialise()?;
        }
        if self.is_running() {
            tracing::info!("taking over the private database that an earlier process left running");
        }
        self.wait().await?;
        self.create_database().await
    }

    /// Whether there is a server, even if it doesn't answer.
    fn is_running(&mut self) -> bool {
        self.postmaster.pid().is_some()
    }

    fn log(&self) -> PathBuf {
        self.directories.log()
    }

    /// How to connect.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.to_database(DATABASE)
    }

    fn to_database(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.directories.socket)
            .port(5432)
            .username(USER)
            .database(database)
    }

    /// Creates the cluster under another name and renames it, so that a crash leaves nothing half made.
    fn initialise(&self) -> Result<(), ClusterError> {
        let (cluster, made) = (&self.directories.cluster, self.directories.cluster.with_extension("new"));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ClusterError::File { path, source }
        };
        if made.exists() {
            fs::remove_dir_all(&made).map_err(failed(&made))?;
        }
        self.directories.make_private(&made)?;
        let mut command = self.command("initdb");
        command.arg("-D").arg(&made);
        command.args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"]);
        run("initdb", &mut command)?;
        if cluster.exists() {
            fs::remove_dir(cluster).map_err(failed(cluster))?;
        }
        fs::rename(&made, cluster).map_err(failed(cluster))
    }

    /// Starts a server.
    fn spawn(&mut self) -> Result<(), ClusterError> {
        self.postmaster.clear();
        let log = self.directories.log();
        let failed = |source| ClusterError::File { path: log.clone(), source };
        let output = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.directories.cluster).arg("-k").arg(&self.directories.socket);
        command.args(["-c", "listen_addresses=", "-c", "port=5432", "-c", "unix_socket_permissions=0700"]);
        command.args(["-c", "max_connections=100", "-c", &format!("shared_buffers={}MB", shared_buffers_mib())]);
        // JIT code needs memory that is both writable and executable, which a hardened service may not have. Our statements are
        // too short to gain from it.
        command.args(["-c", "jit=off"]);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        // Ctrl-C on a terminal must only reach us: we stop Postgres when nothing needs it any more.
        command.process_group(0);
        let child = command.spawn();
        let child = child.map_err(|source| ClusterError::File { path: self.binaries.path("postgres"), source })?;
        self.postmaster.started(child);
        Ok(())
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.path(name));
        command.current_dir("/").env_remove("PGDATA").env_remove("PGHOST").env_remove("PGPORT");
        // A service manager must hear of this process's readiness, not of Postgres's.
        command
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_FDNAMES");
        if let Some(owner) = &self.directories.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    async fn look(&self) -> Found {
        match self.to_database("postgres").connect().await {
            Ok(connection) => {
                let _ = connection.close().await;
                Found::Answers
            }
            // cannot_connect_now: it is starting, recovering or shutting down.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57P03") => Found::Busy,
            Err(_) => Found::Nothing,
        }
    }

    /// Waits until the server answers. If there is none, or it ends meanwhile, it is started.
    async fn wait(&mut self) -> Result<(), ClusterError> {
        let mut since = Instant::now();
        let mut tried = None::<Instant>;
        loop {
            match self.look().await {
                Found::Answers => return Ok(()),
                // A recovery may take as long as it needs.
                Found::Busy => since = Instant::now(),
                Found::Nothing if since.elapsed() > START_TRIES => return Err(self.did_not_start(since)),
                Found::Nothing => {}
            }
            let may_try = tried.is_none_or(|tried| tried.elapsed() > PAUSE_BETWEEN_TRIES);
            if may_try && !self.is_running() {
                if tried.is_some() {
                    tracing::warn!(said = self.last_words(), "Postgres ended while it was starting: trying again");
                }
                self.spawn()?;
                tried = Some(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn did_not_start(&self, since: Instant) -> ClusterError {
        ClusterError::Start { waited: since.elapsed(), log: self.log(), said: self.last_words() }
    }

    /// The end of the server's log.
    fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        log.lines().rev().find(|line| line.contains("FATAL") || line.contains("PANIC")).unwrap_or_default().to_owned()
    }

    async fn create_database(&self) -> Result<(), ClusterError> {
        let mut db = self.to_database("postgres").connect().await?;
        if !store::has_database(&mut db, DATABASE).await? {
            store::create_database(&mut db).await?;
        }
        db.close().await?;
        Ok(())
    }

    /// Stops the cluster if this process owns it, once the other commands that use it have ended; it waits `patience` for them.
    pub fn stop_after_others(self, patience: Duration) {
        let since = Instant::now();
        let is_free = |users: &Flock<File>| users.relock(FlockArg::LockExclusiveNonblock).is_ok();
        while self.lock.is_some() && !self.users.as_ref().is_none_or(is_free) && since.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop();
    }

    /// Stops the cluster if this process owns it.
    pub fn stop(mut self) {
        if self.lock.is_some() {
            self.postmaster.stop();
        }
    }
}

fn lock_file(path: PathBuf) -> Result<File, ClusterError> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    file.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => ClusterError::Denied(path),
        _ => ClusterError::File { path, source },
    })
}

/// An eighth of the machine's memory, but 128 MiB to 2 GiB. The system provides it only as it is used.
fn shared_buffers_mib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    (total.unwrap_or_default() / 1024 / 8).clamp(128, 2048)
}

/// Runs a command to its end. The error contains its output.
fn run(what: &'static str, command: &mut Command) -> Result<(), ClusterError> {
    let failed = |output: String| ClusterError::Command { what, output };
    let output = command.stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))))
}
