//! Many numbers at once: lines of `number,provider,country`, with a report of each.

use std::collections::HashSet;

use serde::Serialize;
use uuid::Uuid;

use super::{NewNumber, Number, NumberStatus, Parsed, parse, store, taken, voice};
use crate::{
    http::problem::Reason,
    model::{
        error::{Error, Result},
        settings::{Country, Words},
    },
    node::changes::{Audit, Change},
    telephony::destinations,
    text::Code,
};

/// The most lines of one upload.
pub const MOST_LINES: usize = 50_000;

/// The result of one line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = NumberLine)]
pub struct Line {
    /// Counted from one, not counting a heading.
    pub line: usize,
    pub number: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[schema(as = NumberOutcome)]
pub enum Outcome {
    Created {
        id: Uuid,
    },
    /// The line is valid, but others are not, and it was all or none.
    NotCreated,
    Refused(Reason),
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = NumbersReport)]
pub struct Report {
    pub created: usize,
    pub refused: usize,
    pub lines: Vec<Line>,
}

type Read = std::result::Result<NewNumber, Error>;

/// Reads the lines of a file: `+12025550123,telnyx,US` or just the number; separated by `,` or `;`, with or without a heading.
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
        let record = record.map_err(|error| Error::invalid("file", Code::NotCsv.with("reason", error)))?;
        let column = |at| record.get(at).filter(|text: &&str| !text.is_empty());
        let number = column(0).unwrap_or_default().to_owned();
        if at == 0 && number.eq_ignore_ascii_case("number") {
            continue;
        }
        if lines.len() == MOST_LINES {
            return Err(Error::invalid("file", Code::TooManyLines.with("most", MOST_LINES)));
        }
        lines.push((number.clone(), line(number, column(1), column(2))));
    }
    if lines.is_empty() {
        return Err(Error::invalid("file", Code::NoLines));
    }
    Ok(lines)
}

fn line(number: String, provider: Option<&str>, country: Option<&str>) -> Read {
    let country = country.map(|country| Country::parse(&country.to_ascii_uppercase()));
    let country = country.transpose().map_err(|_| Error::invalid("country", Code::CountryUnknown))?;
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

/// A valid line. It can be added unless somebody has the number.
struct Sound {
    id: Uuid,
    parsed: Parsed,
    provider: Option<Words>,
}

type Judged = (String, std::result::Result<Sound, Error>);

/// Checks the lines without asking the database. `own`: the tenant's country.
fn judge(lines: Vec<(String, Read)>, own: Option<&str>) -> Vec<Judged> {
    let (mut seen, mut meant) = (HashSet::new(), HashSet::new());
    let judged = lines.into_iter().map(|(number, read)| {
        if !number.is_empty() && !seen.insert(number.clone()) {
            return (number, Err(Error::from(Code::LineTwice)));
        }
        let sound = read.and_then(|new| {
            let parsed = parse(&new, own)?;
            // The same number, perhaps written in another way.
            if !meant.insert(parsed.number.clone()) {
                return Err(taken(&parsed.number));
            }
            Ok(Sound { id: Uuid::now_v7(), parsed, provider: new.provider })
        });
        (number, sound)
    });
    judged.collect()
}

/// Why nothing of an upload is kept.
enum NotKept {
    Failed(Error),
    /// Not all numbers could be added, only these.
    NotWhole(HashSet<Uuid>),
}

/// Adds the numbers, all or none unless `partial`, with one statement.
pub async fn add(change: &mut Change, tenant: Uuid, lines: Vec<(String, Read)>, partial: bool) -> Result<Report> {
    let plan = destinations::store::plan(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let own = plan.country().map(ToOwned::to_owned);
    // Reading fifty thousand numbers is work for a thread of its own.
    let judging = tokio::task::spawn_blocking(move || judge(lines, own.as_deref()));
    let lines = judging.await.map_err(|_| Error::Fault("reading the numbers was broken off"))?;
    change.hold(tenant).await?;
    // Even if nothing will be kept, so that the report has all errors.
    let tried = change.attempt(async |change| {
        let made = insert(change, tenant, &lines).await.map_err(NotKept::Failed)?;
        if partial || made.len() == lines.len() { Ok(made) } else { Err(NotKept::NotWhole(made)) }
    });
    let (made, kept) = match tried.await? {
        Ok(made) => (made, true),
        Err(NotKept::NotWhole(made)) => (made, false),
        Err(NotKept::Failed(error)) => return Err(error),
    };
    let mut report = Report { created: 0, refused: 0, lines: Vec::with_capacity(lines.len()) };
    for (at, (number, judged)) in lines.into_iter().enumerate() {
        let outcome = match judged {
            Err(error) => refused(error),
            Ok(sound) if !made.contains(&sound.id) => refused(taken(&sound.parsed.number)),
            Ok(sound) if kept => Outcome::Created { id: sound.id },
            Ok(_) => Outcome::NotCreated,
        };
        report.created += usize::from(matches!(outcome, Outcome::Created { .. }));
        report.refused += usize::from(matches!(outcome, Outcome::Refused(_)));
        report.lines.push(Line { line: at + 1, number, outcome });
    }
    Ok(report)
}

/// Inserts the numbers that nobody has, with their audit entries. Returns which.
async fn insert(change: &mut Change, tenant: Uuid, lines: &[Judged]) -> Result<HashSet<Uuid>> {
    let sound = lines.iter().filter_map(|(_, judged)| judged.as_ref().ok()).collect::<Vec<_>>();
    let mut columns = store::Columns::default();
    for line in &sound {
        columns.push(line.id, &line.parsed.number, line.parsed.country.as_ref(), line.provider.as_ref());
    }
    let inserted = store::insert_all(change.db(), tenant, &columns).await?;
    let Some(created_at) = inserted.first().map(|row| row.created_at) else { return Ok(HashSet::new()) };
    let made = inserted.into_iter().map(|row| row.id).collect::<HashSet<_>>();
    let entries = sound.into_iter().filter(|line| made.contains(&line.id)).map(|line| {
        let after = Number {
            id: line.id,
            tenant_id: tenant,
            number: line.parsed.number.clone(),
            country: line.parsed.country.clone(),
            provider: line.provider.clone(),
            status: NumberStatus::Active,
            capabilities: voice(),
            record: false,
            destination: None,
            assignment: None,
            version: 1,
            created_at,
            updated_at: created_at,
        };
        Audit::of("create", None, Some(&after))
    });
    change.audit_all(entries.flatten()).await?;
    Ok(made)
}

fn refused(error: Error) -> Outcome {
    Outcome::Refused(error.into())
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
        let judged = judge(lines.into_iter().skip(2).collect(), Some("US"));
        assert_eq!(judged[0].1.as_ref().unwrap().parsed.number.as_str(), "+12025550123", "as it is dialled there");
        assert!(judged[1].1.is_err());
        assert!(read(b"").is_err());
        assert_eq!(read(b"+12025550123;a;US\n").unwrap().len(), 1);
    }
}
