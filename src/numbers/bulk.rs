//! Many numbers at once: lines of `number,provider,country`, with a report of each.

use serde::Serialize;
use uuid::Uuid;

use super::{NewNumber, NumberStatus, create, voice};
use crate::{
    changes::{Change, Error, Result},
    http::problem::Problem,
    tenants::settings::{Country, Words},
    text::E164,
};

/// Most lines of one upload.
pub const MOST_LINES: usize = 10_000;

/// What became of one line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Line {
    /// Counted from one, without a head.
    pub line: usize,
    pub number: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Created {
        id: Uuid,
    },
    /// Nothing is wrong with it; others were, and it was all or none.
    NotCreated,
    Refused {
        reason: String,
    },
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Report {
    pub created: usize,
    pub refused: usize,
    pub lines: Vec<Line>,
}

type Read = std::result::Result<NewNumber, Error>;

/// Reads the lines of a file: `+12025550123,telnyx,US`, or the number alone; with `,` or `;` between, with or without a head.
pub fn read(text: &[u8]) -> Result<Vec<(String, Read)>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text);
    let mut lines = Vec::new();
    for (at, record) in reader.records().enumerate() {
        let record = record.map_err(|error| Error::invalid("file", format!("is no CSV: {error}")))?;
        let column = |at| record.get(at).filter(|text: &&str| !text.is_empty());
        let number = column(0).unwrap_or_default().to_owned();
        if at == 0 && number.eq_ignore_ascii_case("number") {
            continue;
        }
        if lines.len() == MOST_LINES {
            return Err(Error::invalid("file", format!("must have at most {MOST_LINES} lines")));
        }
        lines.push((number.clone(), line(number, column(1), column(2))));
    }
    if lines.is_empty() {
        return Err(Error::invalid("file", "has no lines"));
    }
    Ok(lines)
}

fn line(number: String, provider: Option<&str>, country: Option<&str>) -> Read {
    E164::parse(&number).map_err(|_| Error::invalid("number", "is not E.164, such as +12025550123"))?;
    let country = country.map(|country| Country::parse(&country.to_ascii_uppercase()));
    let country = country.transpose().map_err(|_| Error::invalid("country", "is unknown"))?;
    let provider = provider.map(Words::parse).transpose().map_err(|error| Error::invalid("provider", error))?;
    Ok(NewNumber {
        number,
        country,
        provider,
        status: NumberStatus::Active,
        capabilities: voice(),
        record: false,
        destination: None,
    })
}

/// Adds the numbers: all or none, unless `partial`.
pub async fn add(change: &mut Change, tenant: Uuid, lines: Vec<(String, Read)>, partial: bool) -> Result<Report> {
    let mut report = Report { created: 0, refused: 0, lines: Vec::with_capacity(lines.len()) };
    let mut seen = std::collections::HashSet::new();
    for (at, (number, read)) in lines.into_iter().enumerate() {
        let outcome = match read {
            _ if !number.is_empty() && !seen.insert(number.clone()) => {
                refused(Error::Conflict("It stands there twice.".into()))
            }
            Err(error) => refused(error),
            Ok(new) => {
                change.savepoint().await?;
                match create(change, tenant, new).await {
                    Ok(made) => Outcome::Created { id: made.id },
                    Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error),
                    Err(error) => {
                        change.back_to_savepoint().await?;
                        refused(error)
                    }
                }
            }
        };
        match outcome {
            Outcome::Created { .. } => report.created += 1,
            Outcome::Refused { .. } => report.refused += 1,
            Outcome::NotCreated => {}
        }
        report.lines.push(Line { line: at + 1, number, outcome });
    }
    if report.refused > 0 && !partial {
        report.created = 0;
        for line in &mut report.lines {
            if matches!(line.outcome, Outcome::Created { .. }) {
                line.outcome = Outcome::NotCreated;
            }
        }
    }
    Ok(report)
}

fn refused(error: Error) -> Outcome {
    Outcome::Refused { reason: Problem::from(error).detail().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_and_without_head_and_columns() {
        let lines = read(
            b"\xef\xbb\xbfnumber,provider,country\n+12025550123, telnyx ,us\n+493012345678\n12025550123\n+1202,x,XX\n",
        )
        .unwrap();
        assert_eq!(lines.len(), 4);
        let first = lines[0].1.as_ref().unwrap();
        assert_eq!(
            (first.provider.as_ref().unwrap().as_str(), first.country.as_ref().unwrap().as_str()),
            ("telnyx", "US")
        );
        assert!(lines[1].1.is_ok());
        assert!(lines[2].1.is_err() && lines[3].1.is_err());
        assert!(read(b"").is_err());
        assert_eq!(read(b"+12025550123;a;US\n").unwrap().len(), 1);
    }
}
