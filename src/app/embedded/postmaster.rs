//! The server's process: is it there, and how it ends. The pid file alone doesn't tell: a server that was killed leaves it behind, and its
//! number may be another process's by now.

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

/// A fast shutdown writes everything down first. One that takes longer is cut short: the log has everything, and is read at the next start.
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

    /// The running server's process. A child that has ended is collected on the way: as a zombie it would count as running, for Postgres
    /// as well.
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

    /// Makes room for a new server once the old one is gone: ends what it left behind, for a new server does not start as long as the
    /// shared memory of the old one is in use.
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

    /// Ends the server within five seconds, whatever state it is in.
    pub fn stop(&mut self) {
        for (signal, patience) in [(Signal::SIGINT, FAST), (Signal::SIGQUIT, IMMEDIATE)] {
            let Some(pid) = self.pid() else { break };
            if signal != Signal::SIGINT {
                tracing::warn!(
                    "Postgres takes too long to stop: it is stopped at once, and will recover when it starts"
                );
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
        // After a shutdown in order there is nothing left to clear, and no pid file.
        if self.pid_file().exists() {
            self.clear();
        }
    }

    /// As the system names it to those who ask where a process works.
    fn folder(&self) -> PathBuf {
        self.cluster.canonicalize().unwrap_or_else(|_| self.cluster.clone())
    }

    fn pid_file(&self) -> PathBuf {
        self.cluster.join("postmaster.pid")
    }
}

/// Is that process a server of this cluster? Postgres works in its data directory (`ChangeToDataDir` in postmaster.c). A zombie works
/// nowhere.
fn runs_in(pid: Pid, cluster: &Path) -> bool {
    match kill(pid, None) {
        Ok(()) => {}
        Err(Errno::EPERM) if has_proc() => {}
        Err(_) => return false,
    }
    !has_proc() || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == cluster)
}

/// Where there is no /proc, as on macOS, the pid file is believed.
fn has_proc() -> bool {
    Path::new("/proc/self/cwd").exists()
}

/// The server's processes. They work in the data directory as well.
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
