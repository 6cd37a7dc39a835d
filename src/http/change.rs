//! A change over HTTP: `If-Match`, `Idempotency-Key`, and `Dialplane-Visible` in the answer.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::problem::Problem;
use crate::{
    model::{error::Error, put::Put},
    node::changes::{Author, Change, Changes},
    text::{Code, keyring::Place},
};

/// Who makes a change, as far as HTTP needs to know.
pub trait Maker {
    /// The id that idempotency keys belong to.
    fn id(&self) -> Uuid;
    fn author(&self, request: &HttpRequest) -> Author;
}

/// What can begin a change for a handler.
pub trait Begins {
    fn changes(&self) -> &Changes;
}

/// A request that changes something, with its headers.
#[derive(Debug, Clone)]
pub struct ChangeRequest {
    method_and_path: String,
    idempotency_key: Option<String>,
    /// The version that the caller has read.
    pub if_match: Option<i64>,
    /// Whether no node has anything to learn of it.
    is_quiet: bool,
    request: HttpRequest,
}

/// When an answer was given first.
enum Given {
    /// With how many nodes have the change, if they have something to learn.
    Now(Option<String>),
    /// It is a repetition.
    Before,
}

/// The answer to a change.
#[derive(Debug)]
pub struct Outcome {
    status: StatusCode,
    body: Vec<u8>,
    version: Option<i64>,
    location: Option<String>,
}

impl Outcome {
    /// 201 with the location.
    pub fn created(body: &impl Serialize, version: i64, location: String) -> Result<Self, Problem> {
        Ok(Self { status: StatusCode::CREATED, body: json(body)?, version: Some(version), location: Some(location) })
    }

    pub fn changed(body: &impl Serialize, version: i64) -> Result<Self, Problem> {
        Ok(Self { status: StatusCode::OK, body: json(body)?, version: Some(version), location: None })
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// 201 with the location for what a PUT made, 200 for what was there.
    pub fn put<Is: Serialize, Made: Serialize>(
        put: &Put<Is, Made>,
        version: i64,
        location: String,
    ) -> Result<Self, Problem> {
        match put {
            Put::Made(made) => Self::created(made, version, location),
            Put::Is(is) => Self::changed(is, version),
        }
    }

    /// A report on many things: 201 if any was created, else 422.
    pub fn report(body: &impl Serialize, made: bool) -> Result<Self, Problem> {
        let status = if made { StatusCode::CREATED } else { StatusCode::UNPROCESSABLE_ENTITY };
        Ok(Self { status, body: json(body)?, version: None, location: None })
    }

    /// A report on many changes: 200 if any was made, else 422.
    pub fn bulk(body: &impl Serialize, made: bool) -> Result<Self, Problem> {
        let status = if made { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        Ok(Self { status, body: json(body)?, version: None, location: None })
    }

    /// 201 for what can't be read by itself, and so has neither a version nor a place.
    pub fn made(body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self { status: StatusCode::CREATED, body: json(body)?, version: None, location: None })
    }

    /// 201 for what nobody changes, and so has no version.
    pub fn made_at(body: &impl Serialize, location: String) -> Result<Self, Problem> {
        Ok(Self { status: StatusCode::CREATED, body: json(body)?, version: None, location: Some(location) })
    }

    /// 200 with a body but no version.
    pub fn said(body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self { status: StatusCode::OK, body: json(body)?, version: None, location: None })
    }

    #[must_use]
    pub fn deleted() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Vec::new(), version: None, location: None }
    }

    fn response(self, given: Given) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(version) = self.version {
            response.insert_header((header::ETAG, etag(version)));
        }
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        match given {
            Given::Now(Some(visible)) => {
                response.insert_header(("Dialplane-Visible", visible));
            }
            Given::Now(None) => {}
            Given::Before => {
                response.insert_header(("Idempotency-Replayed", "true"));
            }
        }
        if self.body.is_empty() { response.finish() } else { response.content_type("application/json").body(self.body) }
    }
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(|error| Problem::internal(&error))
}

/// The entity tag of a version.
#[must_use]
pub fn etag(version: i64) -> String {
    format!("\"v{version}\"")
}

/// A read resource with its version.
pub fn shown(body: &impl Serialize, version: i64) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, etag(version))).json(body)
}

impl FromRequest for ChangeRequest {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready((|| {
            let headers = request.headers();
            Ok(Self {
                method_and_path: format!("{} {}", request.method(), request.uri()),
                idempotency_key: idempotency_key(headers)?,
                if_match: if_match(headers)?,
                is_quiet: false,
                request: request.clone(),
            })
        })())
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("Idempotency-Key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=200).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::from(Code::WrongIdempotencyKey)),
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let wrong = || Problem::from(Code::WrongIfMatch);
    let mut newest = None;
    for value in headers.get_all(header::IF_MATCH) {
        // A list may have empty elements (RFC 9110, 5.6.1).
        let tags = value.to_str().map_err(|_| wrong())?.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        let mut tags = tags.peekable();
        if tags.peek().is_none() {
            return Err(wrong());
        }
        for tag in tags {
            if tag == "*" {
                return Ok(None);
            }
            // Of several, the newest that was read: an older one can't be in force any more if that one was.
            newest = newest.max(Some(version_of(tag).ok_or_else(wrong)?));
        }
    }
    Ok(newest)
}

/// The version in an entity tag. Proxies that compress an answer make a tag weak.
fn version_of(tag: &str) -> Option<i64> {
    tag.strip_prefix("W/").unwrap_or(tag).strip_prefix("\"v")?.strip_suffix('"')?.parse().ok()
}

impl ChangeRequest {
    /// Nothing of the change is seen by switches, so nobody waits for the nodes.
    #[must_use]
    pub fn quietly(self) -> Self {
        Self { is_quiet: true, ..self }
    }

    /// Whether the body is said to be JSON, for what also takes files.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media = self.request.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
        let essence = media.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    }

    async fn commit(&self, change: Change) -> Result<Option<String>, Problem> {
        if self.is_quiet {
            change.commit_quietly().await?;
            return Ok(None);
        }
        Ok(Some(change.commit().await?.to_string()))
    }

    /// Runs a change, once per idempotency key.
    pub async fn run<W>(
        &self,
        api: &impl Begins,
        actor: &impl Maker,
        body: &[u8],
        work: W,
    ) -> Result<HttpResponse, Problem>
    where
        W: AsyncFnOnce(&mut Change) -> Result<Outcome, Problem>,
    {
        let mut change = api.changes().begin(actor.author(&self.request)).await?;
        let Some(key) = &self.idempotency_key else {
            let outcome = work(&mut change).await?;
            return Ok(outcome.response(Given::Now(self.commit(change).await?)));
        };
        let (actor, fingerprint) = (actor.id(), self.fingerprint(body));
        // If the same request comes twice at once, the second waits here and then finds the answer.
        super::store::hold_key(change.db(), actor, key).await?;
        if let Some(outcome) = replay(&mut change, actor, key, &fingerprint).await? {
            return Ok(outcome.response(Given::Before));
        }
        let outcome = work(&mut change).await?;
        remember(&mut change, actor, key, &fingerprint, &outcome).await?;
        Ok(outcome.response(Given::Now(self.commit(change).await?)))
    }

    fn fingerprint(&self, body: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(&self.method_and_path).chain_update([0]).chain_update(body).finalize().into()
    }
}

/// Where the answer to a key is kept, for sealing it: it may contain a secret that is shown once.
fn place(actor: Uuid) -> Place {
    Place { column: "idempotency_keys.body", tenant: Uuid::nil(), row: actor }
}

async fn replay(change: &mut Change, actor: Uuid, key: &str, fingerprint: &[u8]) -> Result<Option<Outcome>, Problem> {
    let keyring = change.keyring();
    let Some(kept) = super::store::answer_given(change.db(), actor, key).await? else { return Ok(None) };
    if kept.fingerprint != fingerprint {
        return Err(Code::IdempotencyKeyUsed.into());
    }
    let body = keyring.open_sealed(place(actor), &kept.body).map_err(Error::from)?;
    Ok(Some(Outcome {
        status: u16::try_from(kept.status).ok().and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(StatusCode::OK),
        body: body.as_bytes().to_vec(),
        version: kept.version,
        location: kept.location,
    }))
}

async fn remember(
    change: &mut Change,
    actor: Uuid,
    key: &str,
    fingerprint: &[u8],
    outcome: &Outcome,
) -> Result<(), Problem> {
    let body = change.keyring().seal(place(actor), &String::from_utf8_lossy(&outcome.body));
    let given = super::store::Given {
        tenants: change.held().to_vec(),
        fingerprint: fingerprint.to_vec(),
        status: i16::try_from(outcome.status.as_u16()).unwrap_or(200),
        version: outcome.version,
        location: outcome.location.clone(),
        body,
    };
    Ok(super::store::remember_answer(change.db(), actor, key, &given).await?)
}
