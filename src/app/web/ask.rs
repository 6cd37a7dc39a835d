//! A page asks the API as a script would, with its visitor's session: rights, checks and texts are the API's own.

use actix_http::Payload;
use actix_web::{
    body,
    http::{
        Method, StatusCode, Uri,
        header::{self, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH},
    },
    web::{Bytes, Data},
};
use serde_json::Value;

use super::{Turned, Visitor};
use crate::{
    app::inside::Inside,
    http::problem::{Problem, Reason},
    tenancy::auth::{
        actor::{COOKIE, CSRF_HEADER},
        session,
    },
    text::Code,
};

/// The most things that a page reads to sort, search or export them.
pub const MOST: usize = 10_000;
/// The largest page of a list that the API gives.
const PAGE: usize = 500;

/// What a page asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    body: Vec<u8>,
    media: &'static str,
    if_match: Option<i64>,
}

/// What the API answers if it does what it was asked.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub body: Value,
    /// What was answered if it is no JSON.
    pub text: String,
    /// The version in the entity tag.
    pub version: Option<i64>,
}

/// All of a list, or its beginning.
#[derive(Debug, Default)]
pub struct Listed {
    pub items: Vec<Value>,
    pub next: Option<String>,
}

impl Ask {
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: Vec::new(), media: "application/json", if_match: None }
    }

    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self
    }

    #[must_use]
    pub fn text(mut self, body: impl Into<Vec<u8>>, media: &'static str) -> Self {
        (self.body, self.media) = (body.into(), media);
        self
    }

    /// Only if it still has this version.
    #[must_use]
    pub fn if_match(mut self, version: Option<i64>) -> Self {
        self.if_match = version;
        self
    }
}

/// A path with a parameter more.
#[must_use]
pub fn with(path: &str, name: &str, value: &str) -> String {
    let between = if path.contains('?') { '&' } else { '?' };
    format!("{path}{between}{name}={}", super::in_query(value))
}

impl Visitor {
    /// Asks the API. A refusal is a problem whose text the page can show in the visitor's language.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, Problem> {
        let inside = self.request.app_data::<Data<Inside>>().ok_or_else(Problem::unauthorized)?;
        let mut request = actix_http::Request::with_payload(Payload::from(Bytes::from(ask.body)));
        let own = self.request.head();
        let head = request.head_mut();
        head.method = ask.method;
        head.uri = ask.path.parse::<Uri>().map_err(|_| Problem::from(Code::PageNotFound))?;
        head.peer_addr = own.peer_addr;
        let headers = head.headers_mut();
        for name in ["User-Agent", "X-Forwarded-For", "Host"].map(HeaderName::try_from).into_iter().flatten() {
            own.headers().get_all(&name).for_each(|value| headers.append(name.clone(), value.clone()));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(ask.media));
        let text = |value: String| HeaderValue::try_from(value).map_err(|_| Problem::unauthorized());
        if let Some(cookie) = self.request.cookie(COOKIE) {
            headers.insert(header::COOKIE, text(format!("{COOKIE}={}", cookie.value()))?);
            // The page has already checked that its form is ours.
            if let Ok(name) = HeaderName::try_from(CSRF_HEADER) {
                headers.insert(name, text(session::csrf_token(cookie.value()))?);
            }
        }
        if let Some(version) = ask.if_match {
            headers.insert(IF_MATCH, text(crate::http::change::etag(version))?);
        }
        let answer = inside.call(request).await;
        let answer = answer.map_err(|error| problem(&error, error.as_response_error().status_code()))?;
        if let Some(error) = answer.response().error() {
            return Err(problem(error, answer.status()));
        }
        // A report of lines may say that none was taken; the page shows which.
        let status = answer.status();
        let media = answer.response().headers().get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
        let is_json = media.is_none_or(|media| media.contains("json"));
        let version = answer.response().headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let version = version.and_then(|tag| tag.strip_prefix("\"v")?.strip_suffix('"')?.parse().ok());
        let body = body::to_bytes(answer.into_body()).await.map_err(|_| Problem::from(Code::FormIncomplete))?;
        if !status.is_success() && status != StatusCode::UNPROCESSABLE_ENTITY {
            return Err(if status == StatusCode::NOT_FOUND { Code::PageNotFound } else { Code::FormIncomplete }.into());
        }
        let json = if is_json { serde_json::from_slice(&body).ok() } else { None };
        let text = if json.is_some() { String::new() } else { String::from_utf8_lossy(&body).into_owned() };
        Ok(Answer { body: json.unwrap_or_default(), text, version })
    }

    /// One page of a list.
    pub async fn page_of(&self, path: &str, limit: usize, cursor: Option<&str>) -> Result<Listed, Problem> {
        let mut path = with(path, "limit", &limit.to_string());
        if let Some(cursor) = cursor {
            path = with(&path, "cursor", cursor);
        }
        let mut body = self.ask(Ask::get(path)).await?.body;
        let next = body["next_cursor"].as_str().map(ToOwned::to_owned);
        let items = if let Value::Array(items) = body["items"].take() { items } else { Vec::new() };
        Ok(Listed { items, next })
    }

    /// A whole list, as far as pages read one.
    pub async fn all_of(&self, path: &str) -> Result<Listed, Problem> {
        let mut all = Listed::default();
        loop {
            let page = self.page_of(path, PAGE, all.next.as_deref()).await?;
            all.items.extend(page.items);
            all.next = page.next;
            if all.next.is_none() || all.items.len() >= MOST {
                return Ok(all);
            }
        }
    }
}

/// The problem within an error of the framework.
fn problem(error: &actix_web::Error, status: StatusCode) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None if status.is_server_error() => Problem::internal(error),
        None => Code::FormIncomplete.into(),
    }
}

/// What a page says of a refusal beside its form. A refusal that no form could change is a page of its own.
pub fn refusal(problem: Problem) -> Result<Reason, Turned> {
    let reason = problem.reason();
    if reason.why.code == Code::Unauthorized || problem.log_id().is_some() { Err(turned(problem)) } else { Ok(reason) }
}

/// A refusal as a page: whoever isn't signed in (any more) is led to the sign-in.
#[must_use]
pub fn turned(problem: Problem) -> Turned {
    if problem.reason().why.code == Code::Unauthorized { Turned::Away } else { Turned::from(problem) }
}
