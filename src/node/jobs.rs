//! What periodic jobs did, for `/metrics`: when each last succeeded on this node, how long it took, and how often it failed. The label is not
//! `job`, for Prometheus calls by that name what it asks.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use metrics::{counter, gauge};

use crate::model::{database_errors, error::Error};

/// The jobs that began once.
static KNOWN: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// Does one round of a job. A round that finds another node at it succeeds as well.
pub async fn round<T, E: Failure>(job: &'static str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    if KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(job) {
        // A counter that appears only with the first failure has no rate then. And a job that never succeeds is late from now on.
        counter!("dialplane_job_failures_total", "task" => job).increment(0);
        succeeded(job);
    }
    let began = Instant::now();
    let done = work.await;
    gauge!("dialplane_job_duration_seconds", "task" => job).set(began.elapsed().as_secs_f64());
    match &done {
        Ok(_) => succeeded(job),
        Err(error) => {
            error.note();
            counter!("dialplane_job_failures_total", "task" => job).increment(1);
        }
    }
    done
}

/// Why a round failed.
pub trait Failure {
    /// Counts what Postgres said, unless that was counted.
    fn note(&self);
}

impl Failure for sqlx::Error {
    fn note(&self) {
        database_errors::note(self);
    }
}

impl Failure for Error {
    fn note(&self) {}
}

fn succeeded(job: &'static str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!("dialplane_job_last_success_timestamp_seconds", "task" => job).set(now.as_secs_f64().round());
}
