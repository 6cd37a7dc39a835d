//! The server's process: whether it runs, and how to end it. The pid file alone doesn't tell: a killed server leaves it behind,
//! and another process may have its number by now.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a fast shutdown may take, which writes everything to disk. Cutting it short loses nothing: the next start recovers
/// from the WAL.
const FAST: Duration = Duration::from_secs(4);
/// The same for an immediate shutdown, before the processes are killed.
const IMMEDIATE: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The server of a cluster: one that this process started, or one that an earlier process left running.
pub struct Postmaster {
    cluster: PathBuf,
    child: Option<Child>,
}

impl Postmaster {
    pub fn of(cluster: &Path) -> Self {
        Self { cluster: cluster.to_owned(), child: None }
    }

    pub fn started(&mut self, child: Child) {
        self.child = Some(child);
    }

    /// The running server's process. A child that has ended is reaped first: as a zombie it would count as running, for Postgres
    /// too.
    pub fn pid(&mut self) -> Option<Pid> {
        if let Some(child) = &mut self.child {
            if matches!(child.try_wait(), Ok(None)) {
                return i32::try_from(child.id()).ok().map(Pid::from_raw);
            }
            self.child = None;
        }
        let pid = fs::read_to_string(self.pid_file()).ok()?.lines().next()?.trim().parse().ok().map(Pid::from_raw)?;
        runs_in(pid, &self.folder()).then_some(pid)
    }

    /// Ends the processes that an old server left behind: a new one does not start while the old one's shared memory is in use.
    pub fn clear(&mut self) {
        if self.pid().is_some() {
            return;
        }
        let since = Instant::now();
        loop {
            let left = processes_in(&self.folder());
            if left.is_empty() || since.elapsed() > IMMEDIATE {
                break;
            }
            signal_all(&left, Signal::SIGKILL);
            thread::sleep(LOOK_EVERY);
        }
        let _ = fs::remove_file(self.pid_file());
    }

    /// Ends the server within five seconds, whatever its state.
    pub fn stop(&mut self) {
        for (signal, patience) in [(Signal::SIGINT, FAST), (Signal::SIGQUIT, IMMEDIATE)] {
            let Some(pid) = self.pid() else { break };
            if signal != Signal::SIGINT {
                tracing::warn!("Postgres takes too long to stop: stopping it at once; it will recover when it starts");
            }
            let _ = kill(pid, signal);
            let since = Instant::now();
            while self.pid().is_some() && since.elapsed() < patience {
                thread::sleep(LOOK_EVERY);
            }
        }
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGKILL);
            if let Some(mut child) = self.child.take() {
                let _ = child.wait();
            }
        }
        // After an orderly shutdown there is no pid file and nothing left to clear.
        if self.pid_file().exists() {
            self.clear();
        }
    }

    /// The folder under the name that the system gives as a process's working directory.
    fn folder(&self) -> PathBuf {
        self.cluster.canonicalize().unwrap_or_else(|_| self.cluster.clone())
    }

    fn pid_file(&self) -> PathBuf {
        self.cluster.join("postmaster.pid")
    }
}

/// Whether that process is a server of this cluster. Postgres's working directory is its data directory (`ChangeToDataDir` in
/// postmaster.c). A zombie has none.
fn runs_in(pid: Pid, cluster: &Path) -> bool {
    match kill(pid, None) {
        Ok(()) => {}
        Err(Errno::EPERM) if has_proc() => {}
        Err(_) => return false,
    }
    !has_proc() || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == cluster)
}

/// Without /proc, as on macOS, the pid file is believed.
fn has_proc() -> bool {
    Path::new("/proc/self/cwd").exists()
}

/// The server's processes. Their working directory is the data directory too.
fn processes_in(cluster: &Path) -> Vec<Pid> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    let is_postgres =
        |pid: &Pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "postgres");
    pids.filter(|pid| runs_in(*pid, cluster) && is_postgres(pid)).collect()
}

fn signal_all(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _ = kill(*pid, signal);
    }
}
