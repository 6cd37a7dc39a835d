//! The limits of the app listener: how long a request's head, its body and a slow reader may take, and how large a body may
//! be. The switch listener has its own limits (`switch::fetch::exchange`).

use std::{
    any::Any,
    cell::RefCell,
    future::Future as _,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::BoxedPayloadStream;
use actix_web::rt::net::TcpStream;
use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Extensions, Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{ConnectionType, header},
    middleware::Next,
    web::Bytes,
};
use futures_util::Stream as _;
use tokio::time::{Instant, Sleep};

use crate::{
    http::{input::MAX_BODY, problem::Problem},
    text::Code,
};

/// How long a request's head may take.
pub const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may take to close after the answer.
pub const CLOSE: Duration = Duration::from_secs(2);
/// The most connections at once, for each of the two workers.
pub const MOST_CONNECTIONS: usize = 2048;
/// How long a body may take, plus a second for each [`BYTES_A_SECOND`] that came: enough for an upload over a slow line, but
/// not for one that drips.
const BODY: Duration = Duration::from_secs(10);
const BYTES_A_SECOND: usize = 16 << 10;
/// When a reader has acknowledged nothing for this long, the kernel closes the connection (tcp(7), TCP_USER_TIMEOUT).
const SILENCE_MS: u32 = 30_000;

/// The largest body on routes that are open to everybody.
const OPEN_TO_ALL: usize = 64 << 10;
/// The largest body of other requests, except lists of many things.
const USUAL: usize = 1 << 20;

/// The largest body on this path. Bodies that are read in parts have limits of their own.
fn most(path: &str) -> usize {
    let has = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    if has(&["/v1/auth/", "/sign-", "/forgot", "/reset", "/verify"]) {
        OPEN_TO_ALL
    } else if path.ends_with("/rates") || path.ends_with("/rates/bulk") || path.starts_with("/app/agents/import") {
        usize::MAX
    } else if path.ends_with("/bulk") || path.ends_with("/bulk-upload") {
        MAX_BODY
    } else {
        USUAL
    }
}

/// A body whose time and size are checked as it comes.
struct Watched {
    payload: Payload,
    most: usize,
    taken: usize,
    began: Instant,
    timer: Pin<Box<Sleep>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Comes,
    Ended,
    TooSlow,
    TooLarge,
}

impl Watched {
    fn new(payload: Payload, most: usize) -> Self {
        let (began, timer) = (Instant::now(), Box::pin(tokio::time::sleep(BODY)));
        Self { payload, most, taken: 0, began, timer, state: State::Comes }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        match Pin::new(&mut self.payload).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.taken += bytes.len();
                if self.taken > self.most {
                    self.state = State::TooLarge;
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(None) => {
                self.state = State::Ended;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Pending => {
                let earned = Duration::from_secs((self.taken / BYTES_A_SECOND) as u64);
                self.timer.as_mut().reset(self.began + BODY + earned);
                if self.timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.state = State::TooSlow;
                Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))))
            }
        }
    }
}

/// Reads each body within its limits. If the rest of a body may still come, the connection is closed after the answer.
pub async fn bodies(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // What a WebSocket says is no body. Its handler has limits of its own.
    if request.path() == "/v1/events" && request.headers().contains_key(header::UPGRADE) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let payload = request.parts_mut().1.take();
    if matches!(payload, Payload::None) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let most = most(request.path());
    let watched = Rc::new(RefCell::new(Watched::new(payload, most)));
    let stream = Rc::clone(&watched);
    let stream: BoxedPayloadStream = Box::pin(futures_util::stream::poll_fn(move |cx| stream.borrow_mut().poll(cx)));
    request.set_payload(stream.into());
    let done = next.call(request).await;
    let state = watched.borrow().state;
    if state == State::Ended {
        return Ok(done?.map_into_boxed_body());
    }
    // As long as somebody holds the body, the framework does not read the unwanted rest, which might take forever.
    actix_web::rt::spawn(async move {
        tokio::time::sleep(BODY).await;
        drop(watched);
    });
    let problem = match state {
        State::TooSlow => Some(Problem::from(Code::BodyTooSlow)),
        State::TooLarge if most < USUAL => Some(Problem::from(Code::BodyTooLargeHere.with("kibibytes", most >> 10))),
        State::TooLarge => Some(Problem::from(Code::BodyTooLarge.with("mebibytes", most >> 20))),
        State::Comes | State::Ended => None,
    };
    let mut answer = match (done, problem) {
        (Ok(answer), None) => answer.map_into_boxed_body(),
        (Ok(answer), Some(problem)) => answer.into_response(HttpResponse::from_error(problem)),
        (Err(_), Some(problem)) => return Err(problem.into()),
        (Err(error), None) => return Err(error),
    };
    answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    Ok(answer)
}

/// Sets the time after which a connection ends whose peer does not read the answer.
pub fn on_connect(connection: &dyn Any, _: &mut Extensions) {
    let plain = connection.downcast_ref::<TcpStream>();
    let encrypted = connection.downcast_ref::<actix_tls::accept::rustls_0_23::TlsStream<TcpStream>>();
    if let Some(stream) = plain.or_else(|| encrypted.map(|stream| stream.get_ref().0)) {
        // If the system can't do this, the listener serves all the same.
        let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::TcpUserTimeout, &SILENCE_MS);
    }
}
