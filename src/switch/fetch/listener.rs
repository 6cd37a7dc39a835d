//! The switch listener: HTTP as mod_xml_curl speaks it.
//!
//! Every fetch is a new TCP connection, so the cost of accepting one is most of the cost of an answer. Each worker thread
//! has a listening socket of its own on the shared port (SO_REUSEPORT) and serves what it accepts itself: no accepting
//! thread in between, no hand-over, no wake-up of another core. Measured in docs/performance.md.

use std::{future::Future, io, net::SocketAddr, rc::Rc, sync::Arc, thread::JoinHandle, time::Duration};

use actix_codec::{AsyncRead, AsyncWrite};
use socket2::{Domain as SocketDomain, Protocol as SocketProtocol, Socket, Type};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;

use super::{Fetch, exchange};
use crate::telephony::calls;

const SHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections one worker serves at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: u32 = 8192;

/// What the listener serves from.
#[derive(Clone)]
pub struct Served {
    pub fetch: Arc<Fetch>,
    pub calls: calls::Inbox,
}

/// The running listener. Dropping `stop`'s sender ends it.
pub struct Listener {
    pub address: SocketAddr,
    workers: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Binds the address once per worker and starts serving.
    pub fn start(
        address: SocketAddr,
        workers: usize,
        tls: Option<&TlsAcceptor>,
        served: &Served,
        stop: &watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let first = bind(address)?;
        let address = first.local_addr()?;
        let mut sockets = vec![first];
        for _ in 1..workers.max(1) {
            sockets.push(bind(address)?);
        }
        let start = |(number, socket)| {
            let worker = Worker { socket, tls: tls.cloned(), served: served.clone(), stop: stop.clone() };
            std::thread::Builder::new().name(format!("switch-{number}")).spawn(move || worker.run())
        };
        let workers = sockets.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { address, workers })
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

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(SocketDomain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // On the listening socket: accepted ones inherit it, at no call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

struct Worker {
    socket: std::net::TcpListener,
    tls: Option<TlsAcceptor>,
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
        let listener = tokio::net::TcpListener::from_std(socket)?;
        match tls {
            None => accept(listener, stop, &served, |stream| std::future::ready(Some(stream))).await,
            Some(tls) => {
                let shake = move |stream| {
                    let shaking = tls.accept(stream);
                    async move { tokio::time::timeout(SHAKE_TIMEOUT, shaking).await.ok()?.ok() }
                };
                accept(listener, stop, &served, shake).await
            }
        }
    }
}

/// Accepts until told to stop; then lets what is under way end.
async fn accept<T, F, S>(
    listener: tokio::net::TcpListener,
    mut stop: watch::Receiver<bool>,
    served: &Served,
    shake: S,
) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Future<Output = Option<T>> + 'static,
    S: Fn(TcpStream) -> F,
{
    let http = Rc::new(exchange::service(served.clone()).await?);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: a moment without accepting lets some close.
                tracing::warn!(%error, "a connection of a switch could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let (http, shaking) = (Rc::clone(&http), shake(stream));
        actix_rt::spawn(async move {
            if let Some(stream) = shaking.await {
                exchange::serve(&*http, stream, peer).await;
            }
            drop(permit);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIMEOUT, permits.acquire_many(MAX_CONNECTIONS)).await;
    Ok(())
}
