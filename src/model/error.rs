//! Errors, distinguished by type and code.

use crate::{
    model::{
        database_errors,
        used::{self, Used, UsedKind},
    },
    text::{Code, Why, keyring::KeyringError},
};

/// Why a change or a read failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not exist, or belongs to another tenant.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A rule refuses it. The code decides the status.
    #[error("{0}")]
    Refused(Why),
    /// Something still uses it, and has to change first.
    #[error("{}", used::why(.0))]
    InUse(Vec<Used>),
    /// These are in the way: one that has the name already, or the first of those that it still has.
    #[error("{0}")]
    Taken(Why, Vec<Used>),
    #[error("{field} {why}")]
    Invalid { field: &'static str, why: Why },
    /// Like `Invalid`, for a field whose name is only known when it is read, such as an element of a list.
    #[error("{field} {why}")]
    InvalidAt { field: String, why: Why },
    /// A parameter of a request's query.
    #[error("{field} {why}")]
    Query { field: &'static str, why: Why },
    /// The password is right, but the code of the second factor is missing.
    #[error("a code of the second factor is needed")]
    SecondFactor,
    /// Too many attempts: try again after this many seconds.
    #[error("too many attempts, to be tried again in {seconds} s")]
    TooMany { seconds: i64 },
    /// Waiting for other changes took too long: try again after this many seconds.
    #[error("other changes are under way, to be tried again in {seconds} s")]
    ChangesUnderWay { seconds: i64 },
    /// Too much at once.
    #[error("too much at once")]
    Busy,
    /// `If-Match` names another version than the present one.
    #[error("it was changed meanwhile: it has version {0} now")]
    Changed(i64),
    /// A bug of ours that has nothing to do with SQL.
    #[error("{0}")]
    Fault(&'static str),
    #[error(transparent)]
    Sql(sqlx::Error),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

pub type Result<T> = std::result::Result<T, Error>;

/// The SQLSTATE with which our own trigger refuses (`refuse_in_deleted` in 0020_sign_ups.sql).
const TENANT_IS_BEING_DELETED: &str = "DPL01";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        database_errors::note(&error);
        match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
            Some(TENANT_IS_BEING_DELETED) => Self::Refused(Code::TenantIsBeingDeleted.into()),
            _ => Self::Sql(error),
        }
    }
}

impl From<Why> for Error {
    fn from(why: Why) -> Self {
        Self::Refused(why)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl Error {
    pub fn invalid(field: &'static str, why: impl Into<Why>) -> Self {
        Self::Invalid { field, why: why.into() }
    }

    /// Something else has this name already: this one.
    pub fn taken(why: impl Into<Why>, kind: UsedKind, id: uuid::Uuid, name: &impl ToString) -> Self {
        Self::Taken(why.into(), vec![Used { kind, id, name: name.to_string() }])
    }

    pub fn query(field: &'static str, why: impl Into<Why>) -> Self {
        Self::Query { field, why: why.into() }
    }

    /// Whether Postgres ended this change in favour of another that it waited for: nothing of it is kept, and the same may succeed at once.
    #[must_use]
    pub fn gave_way(&self) -> bool {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("40001" | "40P01"))
    }

    /// The database constraint that was violated, if any.
    #[must_use]
    pub fn violated(&self) -> Option<(&str, String)> {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return None };
        let detail = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|e| e.detail());
        Some((error.constraint()?, detail.unwrap_or_default().to_owned()))
    }
}

/// The version of what isn't there, which nobody can have read.
pub const NOT_THERE: i64 = 0;

/// Checks that this is the version that the caller has read. `None` accepts any.
pub fn same_version(if_match: Option<i64>, version: i64) -> Result<()> {
    if if_match.is_none_or(|read| read == version) { Ok(()) } else { Err(Error::Changed(version)) }
}
