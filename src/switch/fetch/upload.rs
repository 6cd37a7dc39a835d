//! Where switches send recordings: `PUT /fs/recordings/NAME`, and `HEAD` to ask first whether a file is wanted.
//!
//! Whose a recording is, is decided by the records of its leg, never by what the request says. A recording may take long to come: its connection
//! lives longer than others, as long as bytes come.

use std::{cell::Cell, future::Future, pin::pin, time::Duration};

use actix_http::{HttpMessage as _, Method, Payload, Request as HttpRequest, Response, StatusCode, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use tokio::time::{error::Elapsed, timeout};
use uuid::Uuid;

use super::{
    credentials::Switch,
    served::{Served, why_not_kept},
};
use crate::telephony::recordings::{
    arrival::{MAX_RECORDING, NotTaken, Taken},
    name::FileName,
};

/// Below this path.
pub const PATH: &str = "/fs/recordings/";
/// Unix seconds at which the switch wrote the file last.
pub const UNTIL: &str = "dialplane-recorded-until";
/// The SHA-256 of a recording that is there.
pub const SHA256: &str = "dialplane-sha256";

/// How long nothing may come.
pub const SILENCE: Duration = Duration::from_secs(20);
/// The longest that a recording may take to come.
const LONGEST: Duration = Duration::from_hours(1);
/// For how long what nobody wants is read, so that the switch sees the answer.
const DRAIN: Duration = Duration::from_secs(5);

type HttpAnswer = Response<Bytes>;

tokio::task_local! {
    /// Whether this connection brings a recording.
    static BRINGS: Cell<bool>;
}

/// Serves a connection for as long as a connection may live: one that brings a recording, longer.
pub async fn within<T>(life: Duration, serving: impl Future<Output = T>) -> Result<T, Elapsed> {
    let bounded = async {
        let mut serving = pin!(serving);
        match timeout(life, &mut serving).await {
            Err(_) if BRINGS.with(Cell::get) => timeout(LONGEST, serving).await,
            done => done,
        }
    };
    BRINGS.scope(Cell::new(false), bounded).await
}

/// An answer in words.
#[must_use]
pub fn plain(status: StatusCode, said: &'static str) -> HttpAnswer {
    let body = Bytes::from_static(said.as_bytes());
    let answer = Response::build(status).content_type("text/plain; charset=utf-8").message_body(body);
    // The builder fails only on invalid headers, and ours are constants.
    answer.unwrap_or_else(|_| Response::with_body(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()))
}

/// This connection brings something that may take long to come.
pub fn brings_much() {
    // Without this, a test of the connection's life alone would find it here.
    let _ = BRINGS.try_with(|brings| brings.set(true));
}

/// Answers a switch that has shown its token.
pub async fn serve(served: &Served, switch: &Switch, request: &HttpRequest, payload: Payload) -> HttpAnswer {
    let Some(name) = request.path().strip_prefix(PATH).and_then(FileName::parse) else {
        return refused(payload, plain(StatusCode::BAD_REQUEST, "a recording is called LEG.wav or LEG-MORE.wav\n"))
            .await;
    };
    let domain = domain(request.uri().query().unwrap_or_default());
    let tenant = match served.recordings.whose(switch.id, name.leg, domain.as_deref()).await {
        Ok(Some(tenant)) => tenant,
        Ok(None) => {
            let answer =
                plain(StatusCode::NOT_FOUND, "unknown_call: no record of this leg has come from this cluster yet\n");
            return refused(payload, answer).await;
        }
        Err(error) => {
            tracing::warn!(%error, "a recording could not be taken");
            return refused(payload, plain(StatusCode::SERVICE_UNAVAILABLE, "the database can't be asked\n")).await;
        }
    };
    match *request.method() {
        Method::HEAD => known(served, tenant, &name).await,
        Method::PUT => take(served, switch, request, payload, (tenant, name)).await,
        _ => refused(payload, plain(StatusCode::METHOD_NOT_ALLOWED, "send recordings with PUT\n")).await,
    }
}

/// Whether a recording is there (200, with its SHA-256) or wanted (204).
async fn known(served: &Served, tenant: Uuid, name: &FileName) -> HttpAnswer {
    match served.recordings.known(tenant, name).await {
        Ok(Some(hash)) => {
            let mut answer = plain(StatusCode::OK, "");
            if let Ok(hash) = header::HeaderValue::from_str(&hash) {
                answer.headers_mut().insert(header::HeaderName::from_static(SHA256), hash);
            }
            answer
        }
        Ok(None) => plain(StatusCode::NO_CONTENT, ""),
        Err(error) => {
            tracing::warn!(%error, "it is not known whether a recording is there");
            plain(StatusCode::SERVICE_UNAVAILABLE, "")
        }
    }
}

async fn take(
    served: &Served,
    switch: &Switch,
    request: &HttpRequest,
    mut payload: Payload,
    (tenant, name): (Uuid, FileName),
) -> HttpAnswer {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_RECORDING) {
        return refused(payload, http_answer(&Err(NotTaken::TooLarge))).await;
    }
    let until = header(UNTIL).and_then(|until| DateTime::<Utc>::from_timestamp(until.parse().ok()?, 0));
    let mut coming = match served.recordings.begin(tenant, switch.id, name.clone()).await {
        Ok(coming) => coming,
        Err(why) => {
            tracing::warn!(%why, %name, switch = %switch.id, "a recording was not taken");
            return refused(payload, http_answer(&Err(why))).await;
        }
    };
    brings_much();
    loop {
        match timeout(SILENCE, payload.next()).await {
            Ok(Some(Ok(bytes))) => match coming.take(&bytes).await {
                Ok(goes_on) => coming = goes_on,
                Err(why) => {
                    tracing::warn!(%why, %name, switch = %switch.id, "a recording was not taken");
                    return refused(payload, http_answer(&Err(why))).await;
                }
            },
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => {
                coming.abandon().await;
                return plain(StatusCode::REQUEST_TIMEOUT, "the recording did not come whole\n");
            }
        }
    }
    let taken = coming.finish(until).await;
    match &taken {
        Ok(Taken::Stored) => tracing::info!(%name, %tenant, switch = %switch.id, "a recording was stored"),
        Ok(Taken::Known) => {}
        Err(why) => tracing::warn!(%why, %name, switch = %switch.id, "a recording was not taken"),
    }
    http_answer(&taken)
}

fn http_answer(taken: &Result<Taken, NotTaken>) -> HttpAnswer {
    match taken {
        Ok(Taken::Stored) => plain(StatusCode::CREATED, ""),
        Ok(Taken::Known) => plain(StatusCode::OK, ""),
        Err(NotTaken::Differs) => plain(StatusCode::CONFLICT, "another recording has this name\n"),
        Err(NotTaken::NotWav) => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is no WAV file\n"),
        Err(NotTaken::TooLarge) => plain(StatusCode::PAYLOAD_TOO_LARGE, "this is longer than a recording can be\n"),
        Err(NotTaken::Busy) => plain(StatusCode::SERVICE_UNAVAILABLE, "this node takes other recordings right now\n"),
        Err(NotTaken::Store(_)) => plain(StatusCode::SERVICE_UNAVAILABLE, "the store can't be written\n"),
        Err(NotTaken::Database(error)) => plain(StatusCode::SERVICE_UNAVAILABLE, why_not_kept(error)),
    }
}

/// Reads what still comes, for a moment: if the connection were closed at once, the switch might not see the answer.
pub async fn refused(mut payload: Payload, answer: HttpAnswer) -> HttpAnswer {
    let rest = async { while let Some(Ok(_)) = payload.next().await {} };
    let _ = timeout(DRAIN, rest).await;
    answer
}

/// `domain` of a query, for recordings whose call left no record.
fn domain(query: &str) -> Option<String> {
    let named = query.split('&').find_map(|pair| pair.strip_prefix("domain="))?;
    let fine = (1..=253).contains(&named.len())
        && named.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    fine.then(|| named.to_owned())
}
