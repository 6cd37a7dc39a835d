//! Times in requests. A year with more than four digits is a typo, and Postgres, calendars and switches have different limits.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

use super::error::{Error, Result};
use crate::text::Code;

pub fn is_of_this_age(at: DateTime<Utc>) -> bool {
    // Postgres rounds, and takes a leap second for the next one.
    (1900..=9999).contains(&at.year()) && (at + TimeDelta::seconds(2)).year() <= 9999
}

/// Refuses a field of a body with a time that nobody means.
pub fn check(field: &'static str, at: Option<DateTime<Utc>>) -> Result<()> {
    if at.is_none_or(is_of_this_age) { Ok(()) } else { Err(Error::invalid(field, Code::NotAMoment)) }
}

/// The same for a parameter of a query.
pub fn check_query(field: &'static str, at: Option<DateTime<Utc>>) -> Result<()> {
    if at.is_none_or(is_of_this_age) { Ok(()) } else { Err(Error::query(field, Code::NotAMoment)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_second_of_the_last_year_does_not_become_the_next() {
        for (text, fine) in [
            ("1900-01-01T00:00:00Z", true),
            ("9999-12-31T23:59:57Z", true),
            ("9999-12-31T23:59:59.9999999Z", false),
            ("9999-12-31T23:59:60Z", false),
            ("0001-01-01T00:00:00+23:59", false),
        ] {
            let at = text.parse::<DateTime<Utc>>().unwrap();
            assert_eq!(check("until", Some(at)).is_ok(), fine, "{text}");
        }
        assert!(check_query("until", Some(DateTime::<Utc>::MAX_UTC)).is_err());
    }
}
