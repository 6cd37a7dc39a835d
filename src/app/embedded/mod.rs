//! A private Postgres cluster in the data directory: made, started and stopped by Dialplane itself, from the system's own
//! Postgres binaries. It listens on a Unix socket in a folder that only its own user can enter, and on nothing else.

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
        "there is no database in the data directory {} yet. Start a node there with `dialplane serve` (or `dialplane demo`), or name the data directory of the one you mean with --data-dir",
        .0.display()
    )]
    Absent(PathBuf),
    #[error("{} can't be read by this user: use the user who runs the node", .0.display())]
    Denied(PathBuf),
    #[error("another dialplane runs on the data directory {0}")]
    InUse(PathBuf),
    #[error("running as root needs an unprivileged user for Postgres, and there is neither 'postgres' nor 'nobody'")]
    NoUser,
    #[error(
        "{path} can't be entered by the user {user}, who runs Postgres: choose a data directory such as /var/lib/dialplane"
    )]
    Unreachable { path: PathBuf, user: String },
    #[error("{0} is not a folder of this user alone")]
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
/// For so long a server that doesn't start is tried again. One that recovers after a crash is waited for as long as it takes.
const START_TRIES: Duration = Duration::from_secs(30);
const PAUSE_BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// A running private cluster, owned by this process or, for short commands, by another.
pub struct Cluster {
    binaries: Binaries,
    directories: Directories,
    /// Held as long as the cluster is ours to stop.
    lock: Option<Flock<File>>,
    postmaster: Postmaster,
    durability: Durability,
}

/// What a try to connect says of the server.
enum Found {
    Answers,
    /// It starts, recovers or shuts down.
    Busy,
    Nothing,
}

/// Durability of a cluster: a real one, or one whose data nobody will miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    Full,
    None,
}

impl Cluster {
    /// Starts the cluster of a data directory, making it first if there is none. One that a crashed process left running
    /// is taken over.
    pub async fn start(data_dir: &Path, durability: Durability) -> Result<Self, ClusterError> {
        let mut cluster = Self::open(data_dir)?;
        if cluster.lock.is_none() {
            return Err(ClusterError::InUse(data_dir.to_owned()));
        }
        cluster.durability = durability;
        cluster.run().await?;
        Ok(cluster)
    }

    /// For commands that end soon: uses the cluster that a running node has started, or starts it for the time being. Makes none.
    pub async fn borrow(data_dir: &Path) -> Result<Self, ClusterError> {
        let Some(directories) = Directories::find(data_dir, Owner::choose()?)? else {
            return Err(ClusterError::Absent(data_dir.to_owned()));
        };
        Self::with(directories)?.join_or_run().await
    }

    /// Like [`Self::borrow`], and makes the cluster when there is none.
    pub async fn borrow_or_make(data_dir: &Path) -> Result<Self, ClusterError> {
        Self::open(data_dir)?.join_or_run().await
    }

    async fn join_or_run(mut self) -> Result<Self, ClusterError> {
        if self.lock.is_some() {
            // What is missing in the directories is made, and what is unsafe refused.
            self.directories = Directories::prepare(&self.directories.data, self.directories.owner.take())?;
            self.run().await?;
        } else {
            self.wait_for_socket().await?;
        }
        Ok(self)
    }

    /// The node whose cluster it is may just be starting it. Whether it answers is seen by who connects.
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
        let path = directories.data.join("lock");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ClusterError::Denied(path),
            _ => ClusterError::File { path, source },
        })?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok();
        let postmaster = Postmaster::of(&directories.cluster);
        Ok(Self { binaries, directories, lock, postmaster, durability: Durability::Full })
    }

    async fn run(&mut self) -> Result<(), ClusterError> {
        if !self.directories.cluster.join("PG_VERSION").exists() {
            self.initialise()?;
        }
        if self.is_running() {
            tracing::info!("taking over the private database that an earlier process left running");
        }
        self.wait().await?;
        self.create_database().await
    }

    /// Is there a server, whether it answers or not?
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

    /// Made aside and renamed, so that a crash in between leaves nothing half made.
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

    /// Starts a server where there is none.
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
        // Its machine code needs memory that is written and executed, which a hardened service may not have; and no statement here is
        // long enough to gain by it.
        command.args(["-c", "jit=off"]);
        if self.durability == Durability::None {
            command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        }
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        // Ctrl-C on a terminal is for us: we stop Postgres when nothing needs it any more.
        command.process_group(0);
        let child = command.spawn();
        let child = child.map_err(|source| ClusterError::File { path: self.binaries.path("postgres"), source })?;
        self.postmaster.started(child);
        Ok(())
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.path(name));
        command.current_dir("/").env_remove("PGDATA").env_remove("PGHOST").env_remove("PGPORT");
        // What a service manager hears of readiness is about this process, not about its Postgres.
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
            // cannot_connect_now: it starts, recovers or shuts down.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57P03") => Found::Busy,
            Err(_) => Found::Nothing,
        }
    }

    /// Until the server answers. It is started when there is none: also when one that was there ends meanwhile.
    async fn wait(&mut self) -> Result<(), ClusterError> {
        let mut since = Instant::now();
        let mut tried = None::<Instant>;
        loop {
            match self.look().await {
                Found::Answers => return Ok(()),
                // Recovery takes as long as there is to recover.
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

    /// What the server's log ends with.
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

    /// Stops the cluster if it is ours.
    pub fn stop(mut self) {
        if self.lock.is_some() {
            self.postmaster.stop();
        }
    }
}

/// An eighth of the machine's memory, 128 MiB to 2 GiB; it is taken as it is used.
fn shared_buffers_mib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    (total.unwrap_or_default() / 1024 / 8).clamp(128, 2048)
}

/// Runs a command to its end; what it printed is in the error.
fn run(what: &'static str, command: &mut Command) -> Result<(), ClusterError> {
    let failed = |output: String| ClusterError::Command { what, output };
    let output = command.stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))))
}
