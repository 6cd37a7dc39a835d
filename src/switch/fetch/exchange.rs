//! One exchange with a switch: an HTTP request in, a document out.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};

use actix_codec::{AsyncRead, AsyncWrite};
use actix_http::{
    HttpMessage as _, HttpService, KeepAlive, Method, Payload, Protocol, Request as HttpRequest, Response, StatusCode,
    error::DispatchError, header,
};
use actix_service::{Service, ServiceFactory as _, fn_service};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Reply,
    credentials::Switch,
    render,
    request::{KINDS, Request, View},
    served::{Served, why_not_kept},
    upload,
};
use crate::{
    node::trace,
    switch::voicemail::upload as messages,
    telephony::calls::posted::{MAX_RECORD, Posted},
};

/// Where switches ask.
pub const XML_PATH: &str = "/fs/xml";
/// Where switches post their call records.
pub const CDR_PATH: &str = "/fs/cdr";

/// Where a balancer asks whether this node may be given fetches. It needs no credentials and says only yes or no.
pub const READY_PATH: &str = "/readyz/switches";

/// Names the node that refuses a token (a random id per process), so that `doctor` can tell whether it reached another
/// installation.
pub const NODE_HEADER: &str = "dialplane-node";

/// In bytes. Real dialplan requests have 6 to 14 kB.
const MAX_FORM: usize = 256 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that one request and its answer may take, however slowly the peer sends or reads.
pub const LIFE: Duration = Duration::from_secs(20);

type HttpAnswer = Response<Bytes>;

/// The framework, for connections of one kind.
pub trait Http<T>: Service<(T, Protocol, Option<SocketAddr>), Response = (), Error = DispatchError> {}
impl<T, S: Service<(T, Protocol, Option<SocketAddr>), Response = (), Error = DispatchError>> Http<T> for S {}

/// HTTP/1.1 with one request per connection, as mod_xml_curl does it.
pub async fn service<T>(served: Served) -> io::Result<impl Http<T>>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    HttpService::build()
        .keep_alive(KeepAlive::Disabled)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(Duration::from_secs(1))
        .finish(fn_service(move |request: HttpRequest| {
            let served = served.clone();
            async move { Ok::<_, Infallible>(handle(&served, request).await) }
        }))
        .new_service(())
        .await
        .map_err(|()| io::Error::other("the HTTP service could not be made"))
}

/// Serves one connection. Errors on it are the peer's: it went away, or did not speak HTTP.
pub async fn serve<T>(http: &impl Http<T>, stream: T, peer: SocketAddr) {
    match upload::within(LIFE, http.call((stream, Protocol::Http1, Some(peer)))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, %peer, "a switch's connection ended early"),
        Err(_) => tracing::debug!(%peer, "a switch's connection was held open"),
    }
}

async fn handle(served: &Served, mut request: HttpRequest) -> HttpAnswer {
    let path = request.path();
    if path == READY_PATH {
        return readiness(served);
    }
    let (is_recording, is_message) = (path.starts_with(upload::PATH), path.starts_with(messages::PATH));
    if path != XML_PATH && path != CDR_PATH && !is_recording && !is_message {
        let known = "switches fetch from /fs/xml, post call records to /fs/cdr, and send recordings to /fs/recordings and messages to /fs/voicemail\n";
        return plain(StatusCode::NOT_FOUND, known);
    }
    let payload = request.take_payload();
    let authorization = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    // A token that was revoked while this process was stopped no longer works, so the node has to be fresh first. Only a call for help by a
    // switch that was known does not wait long for that.
    let mut body = Body::Coming(payload);
    if !served.fetch.generations.is_fresh() {
        if request.path() == XML_PATH && served.fetch.credentials.check(authorization).is_some() {
            body = body.read(&request, MAX_FORM).await;
        }
        served.fetch.settle_before(body.form()).await;
    }
    let Some(switch) = served.fetch.credentials.check(authorization) else {
        served.fetch.metrics.unauthorized.increment(1);
        return unauthorized(served.fetch.node);
    };
    if is_message {
        let Body::Coming(payload) = body else { return plain(StatusCode::BAD_REQUEST, "send messages with PUT\n") };
        messages::serve(served, &switch, &request, payload).await
    } else if is_recording {
        let Body::Coming(payload) = body else { return plain(StatusCode::BAD_REQUEST, "send recordings with PUT\n") };
        upload::serve(served, &switch, &request, payload).await
    } else if request.path() == CDR_PATH {
        record(served, &switch, &request, body).await
    } else {
        document(served, &switch, &request, body).await
    }
}

/// What a request brings with it: the body of a POST, or else the query.
enum Body {
    Coming(Payload),
    Read(Result<Bytes, HttpAnswer>),
}

impl Body {
    async fn read(self, request: &HttpRequest, limit: usize) -> Self {
        match self {
            Self::Coming(payload) if *request.method() == Method::POST => Self::Read(read(payload, limit).await),
            Self::Coming(_) => {
                Self::Read(Ok(Bytes::copy_from_slice(request.uri().query().unwrap_or_default().as_bytes())))
            }
            read @ Self::Read(_) => read,
        }
    }

    fn form(&self) -> Option<&[u8]> {
        match self {
            Self::Read(Ok(form)) => Some(form),
            _ => None,
        }
    }

    async fn whole(self, request: &HttpRequest, limit: usize) -> Result<Bytes, HttpAnswer> {
        match self.read(request, limit).await {
            Self::Read(read) => read,
            // `read` leaves nothing to come.
            Self::Coming(_) => Ok(Bytes::new()),
        }
    }
}

fn readiness(served: &Served) -> HttpAnswer {
    if served.fetch.takes_fetches() {
        plain(StatusCode::OK, "this node takes fetches\n")
    } else if !served.fetch.missing_keys().is_empty() {
        plain(StatusCode::SERVICE_UNAVAILABLE, "this node takes no fetches: its key file lacks a key in use\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "this node takes no fetches\n")
    }
}

/// Answers a fetch. Its form is the body of a POST, or else the query (`method` in xml_curl.conf).
async fn document(served: &Served, switch: &Switch, request: &HttpRequest, body: Body) -> HttpAnswer {
    match body.whole(request, MAX_FORM).await {
        Ok(form) => page(ask(served, switch, &form).await).into(),
        Err(refused) => refused,
    }
}

/// Answers the form of a switch that has shown its token.
pub async fn ask(served: &Served, switch: &Switch, form: &[u8]) -> Reply {
    match Request::read(form) {
        Ok(mut asked) => {
            match &mut asked {
                Request::Dialplan(dialplan) => dialplan.switch = Some(switch.id),
                Request::User { view: View::Ring { switch: at, .. }, .. } => *at = Some(switch.id),
                Request::User { view, .. } if switch.is_leaving => {
                    if let View::Register { realm } = *view {
                        *view = View::Leaving { realm };
                    }
                }
                _ => {}
            }
            served.fetch.saw(switch);
            let call = match &asked {
                Request::Dialplan(dialplan) => dialplan.call,
                _ => None,
            };
            let span = trace::fetch(KINDS[asked.kind()], call);
            let (reply, source) = served.fetch.answer(asked, Some(switch.cluster)).instrument(span.clone()).await;
            span.record("source", tracing::field::debug(source));
            reply
        }
        Err(malformed) => {
            served.fetch.metrics.malformed.increment(1);
            tracing::debug!(%malformed, "a switch sent a form that is not a fetch");
            Reply::NotFound
        }
    }
}

/// An answer as HTTP status, content type and body.
pub struct Page {
    pub status: StatusCode,
    /// The content type.
    pub kind: &'static str,
    pub body: Bytes,
}

/// A reply as HTTP.
pub fn page(reply: Reply) -> Page {
    let xml = |body| Page { status: StatusCode::OK, kind: "text/xml", body };
    match reply {
        Reply::Document(document) => xml(document),
        Reply::NotFound => xml(Bytes::from_static(render::NOT_FOUND.as_bytes())),
        Reply::Unavailable => text(StatusCode::SERVICE_UNAVAILABLE, "the database can't be asked\n"),
    }
}

/// Keeps a call record whole, once per leg.
async fn record(served: &Served, switch: &Switch, request: &HttpRequest, body: Body) -> HttpAnswer {
    if *request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "send call records with POST\n");
    }
    let Some(leg) = Posted::leg(request.uri().query().unwrap_or_default()) else {
        tracing::warn!(switch = %switch.id, "a call record was refused: its URL names no leg");
        return plain(StatusCode::BAD_REQUEST, "the URL must name the leg: ?uuid=…\n");
    };
    let body = match body.whole(request, MAX_RECORD).await {
        Ok(body) => body,
        Err(refused) => {
            // mod_json_cdr then writes the record to its err-log-dir.
            tracing::warn!(%leg, switch = %switch.id, status = %refused.status(), "a call record was refused");
            return refused;
        }
    };
    let kept = served.calls.keep(&Posted { leg, switch: switch.id, body }).instrument(trace::record(leg)).await;
    match kept {
        Ok(_) => plain(StatusCode::OK, ""),
        Err(error) => {
            // Nothing is lost: mod_json_cdr writes the record to its err-log-dir.
            tracing::warn!(%error, "a call record could not be kept");
            plain(StatusCode::SERVICE_UNAVAILABLE, why_not_kept(&error))
        }
    }
}

/// Reads a whole body. Usually it came with the head in one piece, and is not copied.
async fn read(mut payload: Payload, limit: usize) -> Result<Bytes, HttpAnswer> {
    let too_large = || plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n");
    let reading = async {
        let Some(first) = next(&mut payload).await? else { return Ok(Bytes::new()) };
        let Some(second) = next(&mut payload).await? else {
            return if first.len() > limit { Err(too_large()) } else { Ok(first) };
        };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while whole.len() <= limit {
            match next(&mut payload).await? {
                Some(chunk) => whole.extend_from_slice(&chunk),
                None => return Ok(whole.freeze()),
            }
        }
        Err(too_large())
    };
    in_time(reading).await
}

/// Polls once before it makes a timer: most bodies are there already.
async fn in_time(reading: impl Future<Output = Result<Bytes, HttpAnswer>>) -> Result<Bytes, HttpAnswer> {
    let mut reading = std::pin::pin!(reading);
    if let std::task::Poll::Ready(read) = futures_util::poll!(&mut reading) {
        return read;
    }
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(read) => read,
        Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n")),
    }
}

async fn next(payload: &mut Payload) -> Result<Option<Bytes>, HttpAnswer> {
    let chunk = payload.next().await.transpose();
    chunk.map_err(|_| plain(StatusCode::BAD_REQUEST, "the body is incomplete\n"))
}

fn text(status: StatusCode, text: &'static str) -> Page {
    Page { status, kind: "text/plain; charset=utf-8", body: Bytes::from_static(text.as_bytes()) }
}

fn plain(status: StatusCode, text: &'static str) -> HttpAnswer {
    self::text(status, text).into()
}

impl From<Page> for HttpAnswer {
    fn from(page: Page) -> Self {
        Response::build(page.status).content_type(page.kind).message_body(page.body).unwrap_or_else(unbuilt)
    }
}

fn unauthorized(node: Uuid) -> HttpAnswer {
    let mut answer = plain(StatusCode::UNAUTHORIZED, "sign in with the switch's name and token\n");
    let challenge = header::HeaderValue::from_static("Basic realm=\"dialplane\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    if let Ok(node) = header::HeaderValue::from_str(&node.to_string()) {
        answer.headers_mut().insert(header::HeaderName::from_static(NODE_HEADER), node);
    }
    answer
}

/// The builder fails only on invalid headers, and ours are constants.
fn unbuilt<E>(_: E) -> HttpAnswer {
    Response::with_body(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
}
