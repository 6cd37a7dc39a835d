//! Keeps a node's private cluster running: restarts a server that ended.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::Cluster;

/// How often the server's process is checked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The first try comes at once. Each failure doubles the pause.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A server that has run for this long counts as healthy again.
const WELL: Duration = Duration::from_secs(10);

/// A cluster that is started again whenever its server ends.
pub struct Keeper {
    thread: JoinHandle<Cluster>,
    stop: mpsc::Sender<()>,
}

impl Keeper {
    /// Watches from a thread of its own, so that a busy node notices as well.
    pub fn of(cluster: Cluster) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("postgres-keeper".into()).spawn(move || keep(cluster, &stopped))?;
        Ok(Self { thread, stop })
    }

    /// Stops watching, then the server.
    pub fn stop(self) {
        let _ = self.stop.send(());
        // If the thread panicked, Postgres stays, and the next node takes it over.
        if let Ok(cluster) = self.thread.join() {
            cluster.stop();
        }
    }
}

/// Watches until it is told to stop, or the other end is gone.
fn keep(mut cluster: Cluster, stopped: &mpsc::Receiver<()>) -> Cluster {
    let mut pauses = Pauses::new();
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let now = Instant::now();
        if cluster.is_running() || !pauses.may_try(now) {
            continue;
        }
        tracing::warn!(log = %cluster.log().display(), "Postgres ended unexpectedly: starting it again");
        if let Err(error) = cluster.spawn() {
            tracing::error!(%error, "Postgres can't be started");
        }
    }
    cluster
}

/// When a server that ended may be started again.
struct Pauses {
    pause: Duration,
    tried: Option<Instant>,
}

impl Pauses {
    fn new() -> Self {
        Self { pause: FIRST_PAUSE, tried: None }
    }

    /// Whether it is time to try again; if so, notes the try. Call it only while the server doesn't run.
    fn may_try(&mut self, now: Instant) -> bool {
        match self.tried.map(|tried| now.duration_since(tried)) {
            Some(since) if since < self.pause => return false,
            Some(since) if since < WELL => self.pause = (self.pause * 2).min(LONGEST_PAUSE),
            _ => self.pause = FIRST_PAUSE,
        }
        self.tried = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_again_and_again_is_started_with_growing_pauses() {
        let mut pauses = Pauses::new();
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let tries = (0..30_000).step_by(50).filter(|ms| pauses.may_try(at(*ms))).collect::<Vec<_>>();
        assert_eq!(tries, [0, 250, 750, 1750, 3750, 7750, 12_750, 17_750, 22_750, 27_750]);
        // One that ran for a while is started at once.
        assert!(pauses.may_try(at(40_000)) && pauses.may_try(at(40_250)) && !pauses.may_try(at(40_500)));
    }
}
