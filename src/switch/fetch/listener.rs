//! The switch listener: HTTP as mod_xml_curl speaks it.
//!
//! Every fetch is a new TCP connection, so most of the cost of an answer is accepting the connection. Each worker thread
//! has its own listening socket on the shared port (SO_REUSEPORT) and serves what it accepts: there is no accepting
//! thread, no hand-over and no wake-up of another core. A connection is accepted when its request arrives, not before.
//! A request that arrived whole is answered at once ([`whole`](super::whole)), any other by the HTTP framework
//! ([`exchange`]). docs/performance.md has the measurements.

use std::{
    future::Future, io, net::SocketAddr, os::fd::AsFd, panic::AssertUnwindSafe, rc::Rc, sync::Arc, thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use nix::{
    libc,
    sys::socket::{setsockopt, sockopt::SetStruct},
};
use rustls::ServerConfig;
use socket2::{Domain as SocketDomain, Protocol as SocketProtocol, SockRef, Socket, Type};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;

use super::{
    exchange,
    replayed::Replayed,
    served::Served,
    whole::{Came, Desk},
};

const SHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections one worker serves at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: u32 = 8192;
/// How many connections are accepted in a row before those under way get their turn.
const BURST: usize = 16;

/// What is in force is taken with each handshake, so it may be replaced meanwhile.
pub type Tls = Arc<ArcSwap<ServerConfig>>;

/// The running listener. It ends when the sender of `stop` is dropped.
pub struct Listener {
    pub address: SocketAddr,
    workers: Vec<JoinHandle<()>>,
}

/// Where to listen.
pub enum Place {
    Address(SocketAddr),
    /// An address that other processes may listen on as well, each with a share of the connections.
    Shared(SocketAddr),
    /// A socket that is open already and stays open when this process ends. The workers share it: if each had its own,
    /// closing it would drop the connections waiting on it.
    Socket(std::net::TcpListener),
}

impl Place {
    /// A socket for each worker.
    fn sockets(self, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
        match self {
            Self::Address(address) => {
                let first = socket(address)?;
                // Alone up to here: the kernel refuses the second process that listens without SO_REUSEPORT. Set afterwards, the
                // workers' sockets may join this one.
                let first = listen(first, address)?;
                SockRef::from(&first).set_reuse_port(true)?;
                beside(first, workers)
            }
            Self::Shared(address) => beside(listen_shared(address)?, workers),
            Self::Socket(socket) => {
                prepare(&socket)?;
                let others = (1..workers).map(|_| socket.try_clone()).collect::<io::Result<Vec<_>>>()?;
                Ok(std::iter::once(socket).chain(others).collect())
            }
        }
    }
}

impl Listener {
    /// Starts serving with this many threads.
    pub fn start(
        place: Place,
        workers: usize,
        tls: Option<&Tls>,
        served: &Served,
        stop: &watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let sockets = place.sockets(workers.max(1))?;
        // There is at least one.
        let address = sockets[0].local_addr()?;
        let start = |(number, socket)| {
            let worker = Worker { socket, tls: tls.cloned(), served: served.clone(), stop: stop.clone() };
            std::thread::Builder::new().name(format!("switch-{number}")).spawn(move || worker.run())
        };
        let workers = sockets.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { address, workers })
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.workers.iter().all(|worker| !worker.is_finished())
    }

    /// Waits until every worker has ended.
    pub fn join(self) {
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker of the switch listener panicked");
            }
        }
    }
}

fn beside(first: std::net::TcpListener, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let address = first.local_addr()?;
    let others = (1..workers).map(|_| listen_shared(address)).collect::<io::Result<Vec<_>>>()?;
    Ok(std::iter::once(first).chain(others).collect())
}

fn listen_shared(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    listen(socket, address)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(SocketDomain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    prepare(&socket)?;
    Ok(socket)
}

fn listen(socket: Socket, address: SocketAddr) -> io::Result<std::net::TcpListener> {
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn prepare(socket: &impl AsFd) -> io::Result<()> {
    let options = SockRef::from(socket);
    options.set_nonblocking(true)?;
    // Accepted sockets inherit this from the listening one, which saves a system call per connection.
    options.set_tcp_nodelay(true)?;
    // A connection that sends nothing is accepted after this many seconds.
    setsockopt(socket, DeferAccept, &1).map_err(io::Error::from)
}

// Safe from outside: nix checks nothing but the length of what the option takes.
#[derive(Clone, Copy)]
struct DeferAccept;
nix::setsockopt_impl!(DeferAccept, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, i32, SetStruct<i32>);

struct Worker {
    socket: std::net::TcpListener,
    tls: Option<Tls>,
    served: Served,
    stop: watch::Receiver<bool>,
}

impl Worker {
    fn run(self) {
        crate::routing::patterns::serve_here();
        actix_rt::System::new().block_on(async move {
            if let Err(error) = self.serve().await {
                tracing::error!(%error, "a worker of the switch listener ended");
            }
        });
    }

    async fn serve(self) -> io::Result<()> {
        let Self { socket, tls, served, stop } = self;
        match tls {
            None => {
                let plain = Plain::new(served).await?;
                accept(socket, stop, |accepted| plain.begin(accepted)).await
            }
            Some(tls) => {
                let encrypted = Encrypted::new(tls, served).await?;
                accept(socket, stop, |accepted| std::future::ready(encrypted.begin(accepted))).await
            }
        }
    }
}

/// An accepted connection that is in no event loop yet.
struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    /// Held for as long as the connection lives.
    permit: OwnedSemaphorePermit,
}

/// Accepts connections until told to stop, then lets those under way end.
async fn accept<F: Future<Output = io::Result<()>>>(
    socket: std::net::TcpListener,
    mut stop: watch::Receiver<bool>,
    begin: impl Fn(Accepted) -> F,
) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "sound here: a std listener keeps its descriptor; what replaces it must be called unsafe"
    )]
    let listener = AsyncFd::with_interest(socket, Interest::READABLE)?;
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    loop {
        let mut ready = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            ready = listener.readable() => ready?,
        };
        for _ in 0..BURST {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
            let accepted = match ready.try_io(|listener| listener.get_ref().accept()) {
                Ok(Ok((stream, peer))) => begin(Accepted { stream, peer, permit }).await,
                Ok(Err(error)) => Err(error),
                Err(_would_block) => break,
            };
            if let Err(error) = accepted {
                // Usually there are no file descriptors left: pause for a moment, so that some are closed.
                tracing::warn!(%error, "a connection of a switch could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        // However many come, the other tasks get their turn.
        tokio::task::yield_now().await;
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIMEOUT, permits.acquire_many(MAX_CONNECTIONS)).await;
    Ok(())
}

/// Connections without TLS: whole requests take the short way, others the framework's.
struct Plain<H> {
    desk: Rc<Desk>,
    http: Rc<H>,
}

impl Plain<()> {
    async fn new(served: Served) -> io::Result<Plain<impl exchange::Http<Replayed> + 'static>> {
        let http = Rc::new(exchange::service(served.clone()).await?);
        Ok(Plain { desk: Rc::new(Desk::new(served)), http })
    }
}

impl<H: exchange::Http<Replayed> + 'static> Plain<H> {
    /// Serves a connection at once if it can; otherwise spawns a task that does.
    async fn begin(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { stream, peer, permit } = accepted;
        match self.desk.read(&stream) {
            Came::Nothing => {}
            Came::Part(read) => {
                let (http, stream) = (Rc::clone(&self.http), registered(stream)?);
                actix_rt::spawn(async move {
                    // actix-http forgets to close a connection that receives more while it waits to write
                    // (`read_available` in its dispatcher.rs). It need not wait once the stream is known to be writable.
                    if stream.writable().await.is_ok() {
                        exchange::serve(&*http, Replayed::new(read, stream), peer).await;
                    }
                    drop(permit);
                });
            }
            Came::Whole(fetched) => {
                let desk = Rc::clone(&self.desk);
                let answering = async move { desk.serve(fetched, stream, peer).await };
                // A panic ends its own connection, not this worker.
                let mut answering = Box::pin(AssertUnwindSafe(answering).catch_unwind());
                if futures_util::poll!(answering.as_mut()).is_pending() {
                    actix_rt::spawn(async move {
                        if tokio::time::timeout(exchange::LIFE, answering).await.is_err() {
                            tracing::debug!(%peer, "a switch's connection was held open");
                        }
                        drop(permit);
                    });
                }
            }
        }
        Ok(())
    }
}

/// Connections with TLS.
struct Encrypted<H> {
    tls: Tls,
    http: Rc<H>,
}

impl Encrypted<()> {
    async fn new(tls: Tls, served: Served) -> io::Result<Encrypted<impl exchange::Http<Shaken> + 'static>> {
        Ok(Encrypted { tls, http: Rc::new(exchange::service(served).await?) })
    }
}

type Shaken = tokio_rustls::server::TlsStream<TcpStream>;

impl<H: exchange::Http<Shaken> + 'static> Encrypted<H> {
    fn begin(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { stream, peer, permit } = accepted;
        let tls = TlsAcceptor::from(self.tls.load_full());
        let (http, shaking) = (Rc::clone(&self.http), tls.accept(registered(stream)?));
        actix_rt::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(SHAKE_TIMEOUT, shaking).await {
                exchange::serve(&*http, stream, peer).await;
            }
            drop(permit);
        });
        Ok(())
    }
}

/// Puts the stream into this worker's event loop.
fn registered(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}
