//! Problem details (RFC 9457): what an API caller is told when something doesn't work.
//!
//! A mistake of the caller is a 4xx that names the field and what to do. A bug of ours is a 500 with an id that is also in the log. If the
//! database can't be asked, it is a 503.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use uuid::Uuid;

use crate::{
    http::seen,
    model::{
        database_errors,
        error::Error,
        used::{self, Used},
    },
    text::{Code, Why},
};

/// Below this path, each code has a page that says what it means and what to do.
pub const PAGES: &str = "/problems";

/// One problem, as `application/problem+json`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Names the kind of problem: the address of a page below `/problems` that says what it means and what to do.
    #[serde(rename = "type")]
    #[schema(example = "/problems/number_taken")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "status_as_number")]
    #[schema(value_type = u16, example = 422)]
    status: StatusCode,
    /// What is wrong and what to do, for a person, in English. Programs compare `code`.
    detail: String,
    /// The kind of problem, for programs: it never changes. `/problems` lists all of them.
    #[schema(value_type = CodeName)]
    code: &'static str,
    /// The values in the sentence, by name. A code's page lists them.
    #[schema(example = json!({"number": "+12025550123"}))]
    params: BTreeMap<&'static str, String>,
    /// The field of the request that is wrong, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Identifies this problem in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// What is in the way, if something is: what uses it and has to change first, or what has the name already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    used_by: Vec<Used>,
    /// Seconds, for the header.
    #[serde(skip)]
    retry_after: Option<i64>,
    /// Whether the database ended this change in favour of another that it waited for.
    #[serde(skip)]
    gave_way: bool,
    /// Code and parameters, for pages.
    #[serde(skip)]
    why: Why,
}

/// Why a line of many was refused.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Reason {
    pub field: Option<String>,
    /// For a person, in English.
    pub reason: String,
    /// As in a problem.
    #[schema(value_type = CodeName)]
    pub code: &'static str,
    pub params: BTreeMap<&'static str, String>,
    /// Code and parameters, for pages.
    #[serde(skip)]
    pub why: Why,
}

/// All codes, for the description of the API.
struct CodeName;

impl utoipa::PartialSchema for CodeName {
    fn schema() -> RefOr<Schema> {
        let names = Code::ALL.iter().map(|code| code.name());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names))
            .description(Some(
                "Why something was refused. New codes may be added: treat an unknown code by its status.",
            ))
            .into()
    }
}

impl utoipa::ToSchema for CodeName {}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn status_as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Why::from(code).into()
    }
}

impl From<Why> for Problem {
    fn from(why: Why) -> Self {
        let status = StatusCode::from_u16(why.code.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let seconds =
            why.parameters.iter().find(|(name, _)| *name == "seconds").and_then(|(_, text)| text.parse().ok());
        Self {
            kind: format!("{PAGES}/{}", why.code),
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: why.english().into_owned(),
            code: why.code.name(),
            params: why.parameters.iter().cloned().collect(),
            field: None,
            id: None,
            used_by: Vec::new(),
            // Who has to come again is told when, also where nobody knows exactly.
            retry_after: matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
                .then(|| seconds.unwrap_or(2)),
            gave_way: false,
            why,
        }
    }
}

impl From<Problem> for Reason {
    fn from(problem: Problem) -> Self {
        let Problem { field, detail: reason, code, params, why, .. } = problem;
        Self { field, reason, code, params, why }
    }
}

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

impl Problem {
    /// What is wrong with a field.
    pub fn of_field(field: impl Into<String>, why: Why) -> Self {
        let field = field.into();
        let detail = format!("{field} {why}.");
        Self { detail, ..Self::from(why) }.field(field)
    }

    /// What is wrong with a field as read from JSON, before any rule was checked.
    pub fn of_json(field: impl Into<String>, why: Why) -> Self {
        let field = field.into();
        let detail = format!("{field}: {why}.");
        Self { detail, ..Self::from(why) }.field(field)
    }

    fn with_status(mut self, status: StatusCode) -> Self {
        self.title = status.canonical_reason().unwrap_or("Error");
        self.status = status;
        self
    }

    fn retry_after(mut self, seconds: i64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What is wrong, for a page.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.clone().into()
    }

    /// Whether it came to nothing only because another change was under way at the same moment: the same request may succeed at once.
    #[must_use]
    pub fn gave_way(&self) -> bool {
        self.gave_way
    }

    /// What uses the thing that can't go, or can't change, because of that.
    #[must_use]
    pub fn used_by(&self) -> &[Used] {
        &self.used_by
    }

    /// The field that is wrong, if one is.
    #[must_use]
    pub fn named(&self) -> Option<&str> {
        self.field.as_deref()
    }

    #[must_use]
    pub fn is(&self, code: Code) -> bool {
        self.why.code == code
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

    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Code::NotFound.with("what", what).into()
    }

    #[must_use]
    pub fn unauthorized() -> Self {
        Code::Unauthorized.into()
    }

    #[must_use]
    pub fn cross_site() -> Self {
        Code::NotFromOurPage.into()
    }

    #[must_use]
    pub fn forbidden() -> Self {
        Code::Forbidden.into()
    }

    /// Too many uploads at once.
    #[must_use]
    pub fn uploads_wait() -> Self {
        Self::from(Code::UploadsWait).retry_after(60)
    }

    /// A bug of ours: the log gets the cause under an id, and the caller gets the id.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let id = Uuid::now_v7();
        tracing::error!(%id, error, "a request failed");
        let mut problem = Self::from(Code::Internal);
        problem.id = Some(id);
        problem
    }

    fn unavailable(error: &sqlx::Error) -> Self {
        tracing::warn!(%error, "a request could not be served: no database");
        Code::DatabaseUnavailable.into()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => Self::not_found(what),
            Error::Refused(why) => why.into(),
            Error::InUse(used_by) => {
                let why = used::why(&used_by);
                Self { used_by, ..why.into() }
            }
            Error::Taken(why, used_by) => Self { used_by, ..why.into() },
            Error::Invalid { field, why } => Self::of_field(field, why),
            Error::InvalidAt { field, why } => Self::of_field(field, why),
            Error::Query { field, why } => Self::of_field(field, why).with_status(StatusCode::BAD_REQUEST),
            Error::SecondFactor => Self::from(Code::SecondFactorNeeded).field("code"),
            Error::ChangesUnderWay { seconds } => {
                Self::from(Code::ChangesUnderWay.with("seconds", seconds)).retry_after(seconds)
            }
            Error::TooMany { seconds } => {
                Self::from(Code::TooManyAttempts.with("seconds", seconds)).retry_after(seconds)
            }
            Error::Busy => Self::from(Code::TooManySignIns).retry_after(2),
            Error::Changed(version) => Code::Changed.with("version", version).into(),
            Error::Fault(_) => Self::internal(&error),
            Error::Sql(error) => Self::of_database(&error),
            Error::Keyring(error) => Self::internal(&error),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        database_errors::note(&error);
        Self::of_database(&error)
    }
}

impl Problem {
    /// The same for an error that was counted.
    fn of_database(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut if super::pressed::is_only_that() => Error::ChangesUnderWay { seconds: 5 }.into(),
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Protocol(_) => {
                Self::unavailable(error)
            }
            // 57P: the server is shutting down or starting up; 57014: it took longer than a request may; 25006: it became a replica.
            sqlx::Error::Database(e)
                if e.code().is_some_and(|c| c.starts_with("57P") || c == "57014" || c == "25006") =>
            {
                Self::unavailable(error)
            }
            // A table, function, column or key that our statements name is missing: they are checked when they are compiled, so the database
            // is being restored.
            sqlx::Error::Database(e)
                if e.code().is_some_and(|c| matches!(&*c, "42P01" | "42883" | "42703" | "42P10")) =>
            {
                Self::unavailable(error)
            }
            sqlx::Error::Database(e) => match e.code().as_deref().and_then(|state| unfit(state, e.constraint())) {
                Some(problem) => problem,
                None => Self::internal(error),
            },
            // A value for which the database's protocol has no form, such as a time before its calendar begins.
            sqlx::Error::Encode(_) => Code::BeyondLimits.into(),
            _ => Self::internal(error),
        }
    }
}

/// What the database refuses because of the request, or because somebody else was quicker. It is no bug of ours. Usually a subject has
/// already named the field.
fn unfit(sqlstate: &str, constraint: Option<&str>) -> Option<Problem> {
    match sqlstate {
        // Postgres allows no NUL in text or JSON.
        "22021" | "22P05" => Some(Code::ControlCharacters.into()),
        "54000" => Some(Code::TooLong.into()),
        // A number or a time that is out of range.
        "22003" | "22008" | "22015" => Some(Code::BeyondLimits.into()),
        "23503" if constraint.is_some_and(|name| name.ends_with("tenant_id_fkey")) => {
            Some(Problem::not_found("tenant"))
        }
        "23503" => Some(Code::RefersToNothing.into()),
        "23505" | "23P01" => Some(Code::ExistsAlready.into()),
        "23514" => Some(Code::BreaksARule.with("rule", constraint.unwrap_or_default()).into()),
        "53100" => Some(Problem::from(Code::DatabaseFull).retry_after(60)),
        // The server has no memory or no connection left.
        "53200" | "53300" | "53400" => Some(Code::DatabaseUnavailable.into()),
        // A deadlock of two changes, which this one lost.
        "40001" | "40P01" => Some(Problem { gave_way: true, ..Error::ChangesUnderWay { seconds: 1 }.into() }),
        "55P03" => Some(Error::ChangesUnderWay { seconds: 1 }.into()),
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
        metrics::counter!("dialplane_problems_total", "code" => self.code).increment(1);
        seen::note(self.why.code);
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
