//! Probes a carrier with one OPTIONS over UDP or TCP, as a SIP peer would.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};

use crate::model::carrier::{CarrierConfig, Transport};

const PATIENCE: Duration = Duration::from_secs(3);

/// What a carrier said.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Probe {
    /// Whether it answered at all.
    pub reachable: bool,
    /// Such as `200 OK`. Many healthy carriers answer 404 or 405.
    pub answer: Option<String>,
    pub milliseconds: u64,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// Probes a carrier.
pub async fn options(config: &CarrierConfig) -> Probe {
    let began = Instant::now();
    let asked = tokio::time::timeout(PATIENCE, ask(config)).await;
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match asked {
        Ok(Ok(answer)) => Probe { reachable: true, answer: Some(answer), milliseconds, error: None },
        Ok(Err(error)) => Probe { reachable: false, answer: None, milliseconds, error: Some(error.to_string()) },
        Err(_) => {
            let error = Some(format!("no answer within {} s", PATIENCE.as_secs()));
            Probe { reachable: false, answer: None, milliseconds, error }
        }
    }
}

async fn ask(config: &CarrierConfig) -> std::io::Result<String> {
    let host = config.host.as_str();
    let port = if config.transport == Transport::Tls { 5061 } else { 5060 };
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    match config.transport {
        Transport::Udp => {
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            socket.connect(&address).await?;
            let request = request(host, &socket.local_addr()?, "UDP");
            let mut answer = vec![0; 4096];
            loop {
                socket.send(request.as_bytes()).await?;
                // SIP over UDP sends once more after half a second.
                if let Ok(read) = tokio::time::timeout(Duration::from_millis(500), socket.recv(&mut answer)).await {
                    return status(&answer[..read?]);
                }
            }
        }
        Transport::Tcp => {
            let mut stream = TcpStream::connect(&address).await?;
            let request = request(host, &stream.local_addr()?, "TCP");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = vec![0; 4096];
            let read = stream.read(&mut answer).await?;
            status(&answer[..read])
        }
        // Without its certificates, all that can be seen is that it accepts connections.
        Transport::Tls => TcpStream::connect(&address).await.map(|_| "accepts connections".to_owned()),
    }
}

fn request(host: &str, local: &std::net::SocketAddr, transport: &str) -> String {
    let tag = uuid::Uuid::new_v4().simple().to_string();
    format!(
        "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};rport;branch=z9hG4bK{tag}\r\nMax-Forwards: 70\r\n\
         From: <sip:dialplane@{local}>;tag={}\r\nTo: <sip:{host}>\r\nCall-ID: {tag}@dialplane\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:dialplane@{local}>\r\nAccept: application/sdp\r\nUser-Agent: Dialplane\r\nContent-Length: 0\r\n\r\n",
        &tag[..8]
    )
}

fn status(answer: &[u8]) -> std::io::Result<String> {
    let text = String::from_utf8_lossy(answer);
    let line = text.lines().next().unwrap_or_default();
    let status = line.strip_prefix("SIP/2.0 ").map(|rest| rest.chars().filter(|c| !c.is_control()).take(80).collect());
    status.ok_or_else(|| std::io::Error::other("the answer is not SIP"))
}
