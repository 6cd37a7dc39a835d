//! A connection to a switch's event socket that only listens.
//!
//! A client that reads too slowly does not only lose events: it stops the event socket for everybody, then the switch
//! (`kill_listener` in mod_event_socket.c writes to the full socket while it holds the mutex that all others need). So a task of the
//! crate's reads and never waits. If this node can't take in the events in time, it notices and closes.
//!
//! What was lost on the way can't be seen in the events (FreeSWITCH also counts those that it never fires). So whoever listens reads
//! everything at first and from time to time, and [`Ear::listen`] ends as soon as something may be missing.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use freeswitch_esl_tokio::{
    ConnectionStatus, EslClient, EslConnectOptions, EslError, EslEvent, EslEventStream, EventFormat,
};
use tokio::sync::Notify;

use super::socket::{LATEST, PATIENCE, Unanswered, in_time, split};

/// The events that the holder of a link needs. Those of `CUSTOM` come last.
pub const OF_LINKS: &str = "BACKGROUND_JOB HEARTBEAT SHUTDOWN PRESENCE_PROBE CUSTOM sofia::gateway_state sofia::gateway_add sofia::gateway_delete callcenter::info vm::maintenance";

/// How many events may wait in this node. Enough for a burst; more would only make them late.
const MOST_WAITING: usize = 8192;

/// A switch that is well sends a heartbeat every 20 s (`event-heartbeat-interval`).
const SILENCE: Duration = Duration::from_secs(45);
const PROBE_EVERY: Duration = Duration::from_secs(15);

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub silence: Duration,
    pub probe_every: Duration,
    pub latest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { silence: SILENCE, probe_every: PROBE_EVERY, latest: LATEST }
    }
}

/// What an event says. Its text was partly written by strangers.
pub struct Heard(EslEvent);

impl Heard {
    /// The value of a header. Names are compared without case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.header_str(name);
        value.or_else(|| {
            self.0.headers().iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.get("Event-Name").unwrap_or_default()
    }

    /// What a `BACKGROUND_JOB` printed.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.0.body()
    }

    /// Of a `CUSTOM` event.
    #[must_use]
    pub fn subclass(&self) -> &str {
        self.get("Event-Subclass").unwrap_or_default()
    }
}

pub struct Ear {
    client: EslClient,
    events: EslEventStream,
    pace: Pace,
}

impl Ear {
    /// Connects and subscribes to these events, of which `BACKGROUND_JOB`, `HEARTBEAT` and `SHUTDOWN` must be some. From now on, none is
    /// missed that [`Ear::listen`] does not report.
    pub async fn open(address: &str, password: &str, events: &str, pace: Pace) -> Result<Self, Unanswered> {
        let (host, port) = split(address);
        let options = EslConnectOptions::new().with_event_queue_size(MOST_WAITING);
        let (client, heard) = in_time(Box::pin(EslClient::connect_with_options(host, port, password, options))).await?;
        client.set_liveness_timeout(pace.silence);
        in_time(client.subscribe_events_raw(EventFormat::Json, events)).await?;
        Ok(Self { client, events: heard, pace })
    }

    /// Hands over each event, until the link ends or something may be missing. `take` must not wait.
    pub async fn listen(self, mut take: impl FnMut(&Heard)) -> Unanswered {
        let Self { client, mut events, pace } = self;
        let jobs = Jobs::default();
        let hear = async {
            let mut core = None;
            loop {
                let event = match events.recv().await {
                    Some(Ok(event)) => Heard(event),
                    Some(Err(EslError::QueueFull)) => return Unanswered::Lost,
                    Some(Err(error)) if client.is_connected() => {
                        tracing::warn!(%error, "a switch's event can't be read");
                        return Unanswered::Strange(error.to_string());
                    }
                    Some(Err(_)) | None => return ended(&client),
                };
                if client.dropped_event_count() > 0 {
                    return Unanswered::Lost;
                }
                let of = event.get("Core-UUID").map(ToOwned::to_owned);
                if core.is_some() && of.is_some() && core != of {
                    return Unanswered::Restarted;
                }
                core = core.or(of);
                match event.name() {
                    "BACKGROUND_JOB" => jobs.done(event.get("Job-UUID").unwrap_or_default()),
                    "SHUTDOWN" => return Unanswered::Leaving,
                    _ => {}
                }
                take(&event);
            }
        };
        tokio::select! {
            biased;
            ended = hear => ended,
            late = probe(&client, &jobs, pace) => late,
        }
    }
}

/// Why a connection ended.
fn ended(client: &EslClient) -> Unanswered {
    match client.status() {
        ConnectionStatus::Disconnected(freeswitch_esl_tokio::DisconnectReason::HeartbeatExpired) => Unanswered::Silent,
        ConnectionStatus::Disconnected(reason) => Unanswered::Connection(reason.to_string()),
        _ => Unanswered::Connection("the connection ended".into()),
    }
}

/// Asks something in the background from time to time. The answer passes the same queue as the events, so it says how late these are.
async fn probe(client: &EslClient, jobs: &Jobs, pace: Pace) -> Unanswered {
    loop {
        tokio::time::sleep(pace.probe_every).await;
        let asked = async {
            let job = client.bgapi("strepoch").await?.job_uuid().map(ToOwned::to_owned);
            if let Some(job) = job {
                jobs.await_end_of(&job).await;
            }
            Ok::<_, EslError>(())
        };
        match tokio::time::timeout(pace.latest.min(PATIENCE), asked).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if client.is_connected() => return error.into(),
            Ok(Err(_)) => return ended(client),
            Err(_) => return Unanswered::Lagging,
        }
    }
}

/// The last jobs that ended. They may be others', and may have ended before their ids are known here.
#[derive(Default)]
struct Jobs {
    ended: Mutex<VecDeque<String>>,
    news: Notify,
}

impl Jobs {
    const MOST: usize = 100;

    fn done(&self, job: &str) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() == Self::MOST {
            ended.pop_front();
        }
        ended.push_back(job.to_owned());
        self.news.notify_one();
    }

    async fn await_end_of(&self, job: &str) {
        while !self.ended.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|ended| ended == job) {
            self.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
