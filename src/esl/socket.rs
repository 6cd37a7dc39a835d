//! One question to a switch over its event socket.

use std::time::Duration;

use freeswitch_esl_tokio::{EslClient, EslError};

/// A switch that does not answer is asked again soon enough.
const PATIENCE: Duration = Duration::from_secs(5);
const PORT: u16 = 8021;

/// Why a switch did not answer, in words for its operator: no secret is in them.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("the password is refused")]
    Refused,
    #[error("its ACL refuses us: apply-inbound-acl in event_socket.conf must let this node in")]
    Barred,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("{0}")]
    Connection(String),
    #[error("what it says can't be read: {0}")]
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

/// Runs one API command of the switch and returns what it printed.
pub async fn ask(address: &str, password: &str, command: &str) -> Result<String, Unanswered> {
    let (host, port) = split(address);
    let asked = async {
        let (client, _events) = Box::pin(EslClient::connect(host, port, password)).await?;
        let answer = client.api(command).await?;
        let text = answer.body().unwrap_or_default().to_owned();
        // It has answered; how it takes the farewell changes nothing.
        let _ = client.disconnect().await;
        Ok(text)
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Unanswered::Late))
}

fn split(address: &str) -> (&str, u16) {
    let with_port = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    with_port.unwrap_or((address, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_the_usual_one_unless_it_is_said() {
        assert_eq!(split("192.0.2.1"), ("192.0.2.1", 8021));
        assert_eq!(split("fs1.example:9021"), ("fs1.example", 9021));
    }
}
