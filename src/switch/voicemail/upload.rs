//! Where switches send the sound of messages: `PUT /fs/voicemail/DOMAIN/MAILBOX/FILE`, and `HEAD` to ask first whether a file is wanted. The path is
//! that of the file below mod_voicemail's folder.

use actix_http::{HttpMessage as _, Method, Payload, Request as HttpRequest, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use uuid::Uuid;

use super::arrival::{MAX_MESSAGE, NotTaken};
use crate::{
    switch::fetch::{
        credentials::Switch,
        served::{Served, why_not_kept},
        upload::{SHA256, SILENCE, brings_much, plain, refused},
    },
    text::{Domain, SipUsername, keyring::hex},
};

/// Below this path.
pub const PATH: &str = "/fs/voicemail/";

type HttpAnswer = Response<Bytes>;

/// The file of a message below mod_voicemail's folder: domain, mailbox and `msg_…wav`. `None` for any other.
#[must_use]
pub fn parse(path: &str) -> Option<(&str, &str, &str)> {
    let mut parts = path.split('/');
    let (domain, user, file) = (parts.next()?, parts.next()?, parts.next()?);
    let stem = file.strip_prefix("msg_")?.strip_suffix(".wav")?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let fine = parts.next().is_none() && (1..=240).contains(&stem.len()) && stem.bytes().all(is_plain);
    (fine && Domain::parse(domain).is_ok() && SipUsername::parse(user).is_ok()).then_some((domain, user, file))
}

/// Answers a switch that has shown its token.
pub async fn serve(served: &Served, switch: &Switch, request: &HttpRequest, payload: Payload) -> HttpAnswer {
    let Some(named) = request.path().strip_prefix(PATH).and_then(parse) else {
        let said = "a message is called DOMAIN/MAILBOX/msg_….wav\n";
        return refused(payload, plain(StatusCode::BAD_REQUEST, said)).await;
    };
    let found = match served.messages.of_file(switch.id, named).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "a message could not be taken");
            return refused(payload, plain(StatusCode::SERVICE_UNAVAILABLE, "the database can't be asked\n")).await;
        }
    };
    let Some((tenant, message, known)) = found.and_then(|found| Some((found.tenant, found.message?, found.sha256)))
    else {
        let answer =
            plain(StatusCode::NOT_FOUND, "unknown_message: the switch has not said yet that there is such a message\n");
        return refused(payload, answer).await;
    };
    match (request.method(), known) {
        (&Method::HEAD | &Method::PUT, Some(hash)) => {
            let mut answer = plain(StatusCode::OK, "");
            if let Ok(hash) = header::HeaderValue::from_str(&hex(&hash)) {
                answer.headers_mut().insert(header::HeaderName::from_static(SHA256), hash);
            }
            refused(payload, answer).await
        }
        (&Method::HEAD, None) => plain(StatusCode::NO_CONTENT, ""),
        (&Method::PUT, None) => take(served, request, payload, tenant, message).await,
        _ => refused(payload, plain(StatusCode::METHOD_NOT_ALLOWED, "send messages with PUT\n")).await,
    }
}

async fn take(served: &Served, request: &HttpRequest, mut payload: Payload, tenant: Uuid, message: Uuid) -> HttpAnswer {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_MESSAGE) {
        return refused(payload, http_answer(&NotTaken::TooLarge)).await;
    }
    let mut coming = match served.messages.begin(tenant, message).await {
        Ok(coming) => coming,
        Err(why) => return refused(payload, http_answer(&why)).await,
    };
    brings_much();
    loop {
        match timeout(SILENCE, payload.next()).await {
            Ok(Some(Ok(bytes))) => match coming.take(&bytes).await {
                Ok(goes_on) => coming = goes_on,
                Err(why) => return refused(payload, http_answer(&why)).await,
            },
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => {
                coming.abandon().await;
                return plain(StatusCode::REQUEST_TIMEOUT, "the message did not come whole\n");
            }
        }
    }
    match coming.finish().await {
        Ok(()) => plain(StatusCode::CREATED, ""),
        Err(why) => http_answer(&why),
    }
}

fn http_answer(why: &NotTaken) -> HttpAnswer {
    tracing::warn!(%why, "a message was not taken");
    match why {
        NotTaken::NotWav => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is no WAV file\n"),
        NotTaken::TooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE, "this is longer than a message can be\n"),
        NotTaken::Busy => plain(StatusCode::SERVICE_UNAVAILABLE, "this node takes other messages right now\n"),
        NotTaken::Store(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the store can't be written\n"),
        NotTaken::Database(error) => plain(StatusCode::SERVICE_UNAVAILABLE, why_not_kept(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_messages_are_taken() {
        let own = "acme.test/u7k/msg_f70a3b66-5105-4e1e-8913-485896181d48.wav";
        assert_eq!(parse(own).map(|(domain, user, _)| (domain, user)), Some(("acme.test", "u7k")));
        assert!(parse("acme.test/u7k/msg_1_broadcast_msg_2.wav").is_some());
        for bad in [
            "",
            "acme.test/u7k",
            "acme.test/u7k/greeting_1.wav",
            "acme.test/u7k/msg_.wav",
            "acme.test/u7k/msg_1.mp3",
            "acme.test/../msg_1.wav",
            "acme.test/u7k/x/msg_1.wav",
            "acme.test/u7k/msg_%2e.wav",
            "acme test/u7k/msg_1.wav",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
