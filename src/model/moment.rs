//! Times in requests. A year with more than four digits is a typo, and Postgres, calendars and switches have different limits.

use chrono::{DateTime, Datelike as _, Utc};

use super::error::{Error, Result};
use crate::text::Code;

fn is_of_this_age(at: DateTime<Utc>) -> bool {
    (1900..=9999).contains(&at.year())
}

/// Refuses a field of a body with a time that nobody means.
pub fn check(field: &'static str, at: Option<DateTime<Utc>>) -> Result<()> {
    if at.is_none_or(is_of_this_age) { Ok(()) } else { Err(Error::invalid(field, Code::NotAMoment)) }
}

/// The same for a parameter of a query.
pub fn check_query(field: &'static str, at: Option<DateTime<Utc>>) -> Result<()> {
    if at.is_none_or(is_of_this_age) { Ok(()) } else { Err(Error::query(field, Code::NotAMoment)) }
}
