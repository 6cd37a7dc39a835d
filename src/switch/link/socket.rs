//! A connection to a switch's event socket, for commands.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use freeswitch_esl_tokio::{EslClient, EslError, EslEvent, EslEventStream, EslEventType};

/// How long to wait for an answer. The next visit asks again soon enough.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How late an event may come.
pub(super) const LATEST: Duration = Duration::from_secs(5);
const PORT: u16 = 8021;

/// Why a switch did not answer, in words for its operator, without secrets.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("the password is refused")]
    Refused,
    #[error("its ACL refuses this node: apply-inbound-acl in event_socket.conf must allow the node's address")]
    Barred,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("its answers took too long, so the visit was ended")]
    Slow,
    #[error("it says nothing any more")]
    Silent,
    #[error("its events come {} s late", LATEST.as_secs())]
    Lagging,
    #[error("it sent more events than this node could take in, so some were lost")]
    Lost,
    #[error("it shuts down")]
    Leaving,
    #[error("another switch answers at its address, or it was started again")]
    Restarted,
    #[error("another node has the link")]
    NotHeld,
    #[error("{0}")]
    Connection(String),
    #[error("its answer can't be read: {0}")]
    Strange(String),
}

impl From<EslError> for Unanswered {
    fn from(error: EslError) -> Self {
        match error {
            EslError::AuthenticationFailed { .. } => Self::Refused,
            EslError::AccessDenied { .. } => Self::Barred,
            EslError::Timeout { .. } => Self::Late,
            error => Self::Connection(error.to_string()),
        }
    }
}

/// Until when this node holds the link to a switch. Renewed from the moment that the renewal began, so that no other node has the link
/// before this node knows that it lost it, also if it was stopped for a while.
#[derive(Debug)]
pub struct Hold(Mutex<Instant>);

impl Hold {
    #[must_use]
    pub fn until(until: Instant) -> Arc<Self> {
        Arc::new(Self(Mutex::new(until)))
    }

    pub fn renew(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    #[must_use]
    pub fn lasts(&self) -> bool {
        Instant::now() < *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open event socket.
pub struct Talk {
    client: EslClient,
    _events: EslEventStream,
    hold: Option<Arc<Hold>>,
}

impl Talk {
    /// Opens a connection for commands, which are given as long as the link is held; without a hold, for questions that change nothing.
    pub async fn open(address: &str, password: &str, hold: Option<Arc<Hold>>) -> Result<Self, Unanswered> {
        let (host, port) = split(address);
        let (client, events) = in_time(Box::pin(EslClient::connect(host, port, password))).await?;
        Ok(Self { client, _events: events, hold })
    }

    /// Runs one API command of the switch and returns what it printed.
    pub async fn ask(&self, command: &str) -> Result<String, Unanswered> {
        if self.hold.as_ref().is_some_and(|hold| !hold.lasts()) {
            return Err(Unanswered::NotHeld);
        }
        let answer = in_time(self.client.api(command)).await?;
        Ok(answer.body().unwrap_or_default().to_owned())
    }
}

impl Talk {
    /// Has the switch fire a `PRESENCE_IN` with these headers, which must hold no line breaks, or a `PRESENCE_OUT`.
    pub(super) async fn fire_presence(&self, is_in: bool, headers: &[(&str, String)]) -> Result<(), Unanswered> {
        if self.hold.as_ref().is_some_and(|hold| !hold.lasts()) {
            return Err(Unanswered::NotHeld);
        }
        let kind = if is_in { EslEventType::PresenceIn } else { EslEventType::PresenceOut };
        let mut event = EslEvent::with_type(kind);
        for (name, value) in headers {
            event.set_header(*name, value.as_str());
        }
        in_time(self.client.sendevent(event)).await.map(drop)
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.client.is_connected()
    }

    /// Runs a command in the background, and returns its job. What comes of it is an event.
    pub async fn begin(&self, command: &str) -> Result<Option<uuid::Uuid>, Unanswered> {
        let answer = in_time(self.client.bgapi(command)).await?;
        Ok(answer.job_uuid().and_then(|job| job.parse().ok()))
    }
}

pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, EslError>>) -> Result<T, Unanswered> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Unanswered::Late),
    }
}

pub(super) fn split(address: &str) -> (&str, u16) {
    let with_port = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    with_port.unwrap_or((address, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_8021_unless_the_address_has_another() {
        assert_eq!(split("192.0.2.1"), ("192.0.2.1", 8021));
        assert_eq!(split("fs1.example:9021"), ("fs1.example", 9021));
    }
}
