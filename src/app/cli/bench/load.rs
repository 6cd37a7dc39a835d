//! The load itself: many connections at once, each for one request.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::{LoadPlan, keys::Key};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many loopback addresses connections come from in turn. Each closed connection keeps its port for a while, and one
/// address would run out of ports.
const SOURCES: u32 = 32;

/// The result of a load.
pub struct Outcome {
    /// Microseconds from before connecting to the complete answer.
    pub latency: Histogram<u64>,
    pub errors: BTreeMap<String, u64>,
    pub bytes: u64,
}

impl Outcome {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3).expect("a minute in microseconds is a valid range");
        Self { latency, errors: BTreeMap::new(), bytes: 0 }
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latency.add(&other.latency)?;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.bytes += other.bytes;
        Ok(())
    }
}

/// A running load.
pub struct Running(Vec<JoinHandle<Outcome>>);

impl Running {
    pub fn is_finished(&self) -> bool {
        self.0.iter().all(JoinHandle::is_finished)
    }

    pub fn join(self) -> anyhow::Result<Outcome> {
        let mut all = Outcome::new();
        for thread in self.0 {
            all.add(&thread.join().map_err(|_| anyhow::anyhow!("a thread of the load panicked"))?)?;
        }
        Ok(all)
    }
}

pub fn start(plan: &Arc<LoadPlan>, threads: u32, connections: u32) -> Running {
    let threads = threads.max(1);
    let start = |_| {
        let plan = Arc::clone(plan);
        std::thread::spawn(move || thread(&plan, (connections / threads).max(1)))
    };
    Running((0..threads).map(start).collect())
}

fn thread(plan: &Arc<LoadPlan>, connections: u32) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime only needs an epoll descriptor");
    let tasks = tokio::task::LocalSet::new();
    runtime.block_on(tasks.run_until(async {
        let running =
            (0..connections).map(|_| tokio::task::spawn_local(connection(Arc::clone(plan)))).collect::<Vec<_>>();
        let mut all = Outcome::new();
        for task in running {
            if let Ok(outcome) = task.await {
                // Histograms with the same bounds can be added.
                let _ = all.add(&outcome);
            }
        }
        all
    }))
}

/// Sends one request after the other, each on a connection of its own.
async fn connection(plan: Arc<LoadPlan>) -> Outcome {
    let mut outcome = Outcome::new();
    let (mut request, mut body, mut answer) = (Vec::new(), Vec::new(), Vec::with_capacity(8192));
    while !plan.stop.load(Ordering::Relaxed) {
        let Some(key) = plan.keys.next() else { break };
        let began = Instant::now();
        let asked = ask(&plan, key, &mut request, &mut body, &mut answer);
        let asked = tokio::time::timeout(TIMEOUT, asked).await.unwrap_or_else(|_| Err("timeout".into()));
        match asked.and_then(|()| check(&answer, &plan.expect)) {
            Ok(()) => {
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                outcome.latency.saturating_record(micros);
                outcome.bytes += answer.len() as u64;
            }
            Err(kind) => *outcome.errors.entry(kind).or_default() += 1,
        }
    }
    outcome
}

async fn ask(
    plan: &LoadPlan,
    key: Key,
    request: &mut Vec<u8>,
    body: &mut Vec<u8>,
    answer: &mut Vec<u8>,
) -> Result<(), String> {
    plan.requests.write(key, request, body);
    let mut stream = connect(plan.target).await.map_err(|e| format!("connect: {}", e.kind()))?;
    stream.write_all(request).await.map_err(|e| format!("write: {}", e.kind()))?;
    answer.clear();
    stream.read_to_end(answer).await.map_err(|e| format!("read: {}", e.kind()))?;
    Ok(())
}

async fn connect(target: SocketAddr) -> std::io::Result<TcpStream> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let socket = Socket::new(Domain::for_address(target), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if target.ip().is_loopback() && target.is_ipv4() {
        let turn = TURN.fetch_add(1, Ordering::Relaxed) % SOURCES;
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 1)) + turn);
        // Has the kernel choose the port when connecting, when both addresses are known.
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    TcpSocket::from_std_stream(socket.into()).connect(target).await
}

/// Checks that an answer is complete, has status 200 and contains the expected text.
fn check(answer: &[u8], expect: &str) -> Result<(), String> {
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("none");
    if status != "200" {
        return Err(format!("status {status}"));
    }
    let gap = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("cut answer")?;
    let (head, body) = (&answer[..gap], &answer[gap + 4..]);
    let length = std::str::from_utf8(head).ok().and_then(|head| {
        let line = head.lines().find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:"))?;
        line[15..].trim().parse::<usize>().ok()
    });
    if length != Some(body.len()) {
        return Err("cut answer".into());
    }
    if memchr::memmem::find(body, expect.as_bytes()).is_none() {
        return Err("wrong body".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_with_the_expected_body_counts() {
        let good = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<xml>";
        assert_eq!(check(good, "<xml>"), Ok(()));
        assert_eq!(check(good, "<other>"), Err("wrong body".into()));
        assert_eq!(check(&good[..good.len() - 1], "<xml"), Err("cut answer".into()));
        assert_eq!(check(b"HTTP/1.1 401 Unauthorized\r\n\r\n", ""), Err("status 401".into()));
        assert_eq!(check(b"", ""), Err("status none".into()));
    }
}
