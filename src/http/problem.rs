//! Problem details (RFC 9457): what an API caller is told when something doesn't work.
//!
//! What the caller did wrong is a 4xx that names the field and what to do. What we did wrong is a 500 with an id that stands in
//! the log; that the database can't be asked is a 503.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde::Serialize;
use uuid::Uuid;

use crate::model::error::Error;

/// One problem, as `application/problem+json`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says which kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "status_as_number")]
    #[schema(value_type = u16, example = 422)]
    status: StatusCode,
    /// What is wrong and what to do, for a person.
    detail: String,
    /// The field of the request that is wrong, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Names this problem in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// Seconds, for the header.
    #[serde(skip)]
    retry_after: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn status_as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status, detail: detail.into(), field: None, id: None, retry_after: None }
    }

    /// What is wrong, for a page.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    #[must_use]
    pub fn field_name(&self) -> Option<&str> {
        self.field.as_deref()
    }

    #[must_use]
    pub fn log_id(&self) -> Option<Uuid> {
        self.id
    }

    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "Sign in, or show an API key: as X-API-Key, or an access token as Authorization: Bearer.";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    #[must_use]
    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "The request does not come from one of our pages: X-CSRF-Token is missing or wrong.",
        )
    }

    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Your role, or your API key's scopes, do not allow that.")
    }

    /// Too many uploads at once.
    #[must_use]
    pub fn uploads_wait() -> Self {
        let detail = "Other uploads are being worked on. Try again in a minute.";
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.retry_after = Some(60);
        problem
    }

    /// Ours: the cause goes to the log under an id, the id to the caller.
    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let id = Uuid::now_v7();
        tracing::error!(%id, error, "a request failed");
        let mut problem =
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here. The log says more under this id.");
        problem.id = Some(id);
        problem
    }

    fn unavailable(error: &sqlx::Error) -> Self {
        tracing::warn!(%error, "a request could not be served: no database");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The database can't be asked right now. Try again in a moment.")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => Self::not_found(what),
            Error::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
            Error::Invalid { field, message } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field} {message}.")).field(field)
            }
            Error::Query { field, message } => Self::bad_request(format!("{field} {message}.")).field(field),
            Error::InvalidAt { field, message } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field} {message}.")).field(field)
            }
            Error::Refused(detail) => Self::new(StatusCode::UNAUTHORIZED, detail),
            Error::SecondFactor => {
                Self::new(StatusCode::UNAUTHORIZED, "A code of your authenticator app is needed as well.").field("code")
            }
            Error::Forbidden(detail) => Self::new(StatusCode::FORBIDDEN, detail),
            Error::TooMany { seconds } => {
                let detail = format!("Too many attempts. Try again in {seconds} seconds.");
                let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, detail);
                problem.retry_after = Some(seconds);
                problem
            }
            Error::Busy => {
                let mut problem =
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, "Too many sign-ins at once. Try again in a moment.");
                problem.retry_after = Some(2);
                problem
            }
            Error::Changed(_) => Self::new(StatusCode::PRECONDITION_FAILED, format!("Read it again: {error}.")),
            Error::Sql(error) => error.into(),
            Error::Keyring(error) => Self::internal(&error),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Protocol(_) => {
                Self::unavailable(&error)
            }
            // 57P: the server is shutting down or starting up; 57014: it took longer than a request may; 25006: it became a replica.
            sqlx::Error::Database(e)
                if e.code().is_some_and(|c| c.starts_with("57P") || c == "57014" || c == "25006") =>
            {
                Self::unavailable(&error)
            }
            sqlx::Error::Database(e) => match e.code().as_deref().and_then(unfit) {
                Some(detail) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
                None => Self::internal(&error),
            },
            _ => Self::internal(&error),
        }
    }
}

/// What the database can't hold of what was sent: that is the sender's, whichever field it was.
fn unfit(code: &str) -> Option<&'static str> {
    match code {
        // A NUL: Postgres knows none in text, nor in JSON.
        "22021" | "22P05" => Some("What was sent must not hold control characters."),
        "54000" => Some("Something that was sent is too long."),
        _ => None,
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header(("WWW-Authenticate", "Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        response.content_type("application/problem+json").json(self)
    }
}
