//! Why something came to nothing, told apart by type.

use crate::text::keyring::KeyringError;

/// Why a change, or a question about what there is, came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or it is another tenant's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Something else has it already.
    #[error("{0}")]
    Conflict(String),
    #[error("{field} {message}")]
    Invalid { field: &'static str, message: String },
    /// Like `Invalid`, of a field whose name is made up as it is read: one of a list, one deep inside.
    #[error("{field} {message}")]
    InvalidAt { field: String, message: String },
    /// A parameter of a request's query.
    #[error("{field} {message}")]
    Query { field: &'static str, message: String },
    /// Who asks is not who they say, or not any more.
    #[error("{0}")]
    Refused(&'static str),
    /// The password is right, and a code of the second factor is missing.
    #[error("a code of the second factor is needed")]
    SecondFactor,
    #[error("{0}")]
    Forbidden(String),
    /// Too many attempts: to be tried again after so many seconds.
    #[error("too many attempts, to be tried again in {seconds} s")]
    TooMany { seconds: i64 },
    /// Too much at once.
    #[error("too much at once")]
    Busy,
    /// `If-Match` names another version than the one there is.
    #[error("it was changed meanwhile: it has version {0} now")]
    Changed(i64),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn invalid(field: &'static str, message: impl std::fmt::Display) -> Self {
        Self::Invalid { field, message: message.to_string() }
    }

    pub fn query(field: &'static str, message: impl std::fmt::Display) -> Self {
        Self::Query { field, message: message.to_string() }
    }

    /// The constraint of the database that was violated, if one was.
    #[must_use]
    pub fn violated(&self) -> Option<(&str, String)> {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return None };
        let detail = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|e| e.detail());
        Some((error.constraint()?, detail.unwrap_or_default().to_owned()))
    }
}

/// Is it the version that the caller has read? `None`: whichever there is.
pub fn same_version(if_match: Option<i64>, version: i64) -> Result<()> {
    if if_match.is_none_or(|read| read == version) { Ok(()) } else { Err(Error::Changed(version)) }
}
