//! A connection to a switch's event socket.

use std::time::Duration;

use freeswitch_esl_tokio::{EslClient, EslError, EslEventStream};

/// How long to wait for an answer. The next visit asks again soon enough.
const PATIENCE: Duration = Duration::from_secs(5);
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

/// An open event socket.
pub struct Talk {
    client: EslClient,
    _events: EslEventStream,
}

impl Talk {
    pub async fn open(address: &str, password: &str) -> Result<Self, Unanswered> {
        let (host, port) = split(address);
        let (client, events) = in_time(Box::pin(EslClient::connect(host, port, password))).await?;
        Ok(Self { client, _events: events })
    }

    /// Runs one API command of the switch and returns what it printed.
    pub async fn ask(&self, command: &str) -> Result<String, Unanswered> {
        let answer = in_time(self.client.api(command)).await?;
        Ok(answer.body().unwrap_or_default().to_owned())
    }

    pub async fn close(self) {
        // All answers are here, so an error no longer matters.
        let _ = in_time(self.client.disconnect()).await;
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, EslError>>) -> Result<T, Unanswered> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Unanswered::Late),
    }
}

fn split(address: &str) -> (&str, u16) {
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
