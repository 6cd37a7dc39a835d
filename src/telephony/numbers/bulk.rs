//! Many numbers at once: lines of `number,provider,country` and labels, as CSV or JSON, with a report of each.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NewNumber, Number, NumberStatus, Parsed, parse, store, taken, voice};
use crate::{
    http::{
        labels_many::{self, Claims},
        problem::Reason,
    },
    model::{
        error::{Error, Result},
        label_column::{self, LabelColumn},
        labels::{Kind, Labels, LabelsPatch, With},
        settings::{Country, Words},
    },
    node::changes::{Audit, Change},
    telephony::destinations,
    text::{Code, E164, Why, table_file},
};

/// The most lines of one upload.
pub const MOST_LINES: usize = 50_000;

/// The result of one line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = NumberLine)]
pub struct Line {
    /// The line's number in the file, as editors count.
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

/// One of many numbers.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkNumber {
    /// In E.164, or as it is dialled in the tenant's country.
    pub number: String,
    pub provider: Option<Words>,
    /// If given, it must be the country of the number.
    pub country: Option<Country>,
}

/// Many numbers.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkNumbers {
    /// 1 to 50,000 of them.
    #[schema(value_type = Vec<BulkNumber>)]
    pub numbers: Vec<serde_json::Value>,
}

type Read = std::result::Result<(NewNumber, Labels), Error>;

/// A line as it was read.
pub struct ReadLine {
    at: usize,
    number: String,
    read: Read,
}

/// The columns of a file without headings, and their names in one with headings.
const COLUMNS: [&[&str]; 3] = [
    &["number", "phonenumber", "telephonenumber", "did", "e164", "nummer", "rufnummer", "telefonnummer"],
    &["provider", "carrier", "anbieter"],
    &["country", "countrycode", "land"],
];

/// What stands where.
struct Columns {
    /// Number, provider and country.
    at: [Option<usize>; 3],
    labels: Vec<(usize, LabelColumn)>,
}

impl Columns {
    /// Those of a file without headings.
    fn usual() -> Self {
        Self { at: [Some(0), Some(1), Some(2)], labels: Vec::new() }
    }

    fn has(&self, at: usize) -> bool {
        self.at.contains(&Some(at)) || self.labels.iter().any(|(label, _)| *label == at)
    }
}

/// What stands where, by a line of headings. `None`: it is none.
fn headings(line: &csv::StringRecord) -> Option<Result<Columns>> {
    let plain = line.iter().map(table_file::plain).collect::<Vec<_>>();
    let at = COLUMNS.map(|names| plain.iter().position(|head| names.contains(&&**head)));
    at[0]?;
    let labels =
        line.iter().enumerate().filter_map(|(at, head)| Some((at, LabelColumn::of(head)?))).collect::<Vec<_>>();
    let is_known =
        |at: usize, head: &str| COLUMNS.concat().contains(&head) || labels.iter().any(|(label, _)| *label == at);
    let unknown = plain.iter().enumerate().find(|(at, head)| !head.is_empty() && !is_known(*at, head));
    Some(match unknown.and_then(|(at, _)| line.get(at)) {
        Some(head) => Err(Error::invalid("file", Code::UnknownColumn.with("column", head))),
        None => Ok(Columns { at, labels }),
    })
}

/// Reads numbers that are given as JSON.
pub fn from_json(values: Vec<serde_json::Value>) -> Result<Vec<ReadLine>> {
    if !(1..=MOST_LINES).contains(&values.len()) {
        return Err(Error::invalid("numbers", Code::lines(MOST_LINES)));
    }
    let lines = values.into_iter().enumerate().map(|(at, value)| {
        let number = value.get("number").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let read = serde_path_to_error::deserialize::<_, With<BulkNumber>>(value).map_err(|error| {
            let field = error.path().to_string();
            Error::InvalidAt { field, why: Why::of_serde(&error.into_inner().to_string()) }
        });
        let read = read.and_then(|With { body, labels }| {
            let new = NewNumber {
                provider: body.provider,
                country: body.country,
                ..NewNumber::as_written(body.number, None)
            };
            Ok((new, label_column::of_new(labels)?))
        });
        ReadLine { at: at + 1, number, read }
    });
    Ok(lines.collect())
}

/// Reads the lines of a file: `+12025550123,telnyx,US` or just the number, in whatever encoding spreadsheets write it, with or without
/// headings. Nothing of it is left out silently.
pub fn read(file: &[u8]) -> Result<Vec<ReadLine>> {
    let text = table_file::text(file).map_err(|why| Error::invalid("file", why))?;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (rows, delimiter) = table_file::rows(&text);
    table_file::check_quotes(rows, delimiter).map_err(|why| Error::invalid("file", why))?;
    let before = text[..text.len() - rows.len()].matches('\n').count();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(rows.as_bytes());
    let mut lines = Vec::new();
    let mut columns = None;
    for record in reader.records() {
        let record = record.map_err(|error| Error::invalid("file", Code::NotCsv.with("reason", error)))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let columns = if let Some(columns) = &columns {
            columns
        } else {
            let heads = headings(&record).transpose()?;
            let is_head = heads.is_some();
            let known = columns.insert(heads.unwrap_or_else(Columns::usual));
            if is_head {
                continue;
            }
            known
        };
        if lines.len() == MOST_LINES {
            return Err(Error::invalid("file", Code::TooManyLines.with("most", MOST_LINES)));
        }
        let column = |at: usize| columns.at[at].and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        let number = column(0).unwrap_or_default().to_owned();
        let further = record.iter().enumerate().find(|(at, text)| !text.is_empty() && !columns.has(*at));
        let read = match further {
            Some((_, text)) => Err(Error::invalid("file", Code::FurtherColumn.with("value", text))),
            None => line(number.clone(), column(1), column(2)).and_then(|new| {
                let mut said = LabelsPatch::default();
                for (at, label) in &columns.labels {
                    label.read(record.get(*at).unwrap_or_default(), &mut said)?;
                }
                Ok((new, label_column::of_new(said)?))
            }),
        };
        lines.push(ReadLine { at: before + table_file::line_of(rows, &record), number, read });
    }
    if lines.is_empty() {
        return Err(Error::invalid("file", Code::NoLines));
    }
    Ok(lines)
}

fn line(number: String, provider: Option<&str>, country: Option<&str>) -> Result<NewNumber> {
    let country = country.map(|country| Country::parse(&country.to_ascii_uppercase()));
    let country = country.transpose().map_err(|_| Error::invalid("country", Code::CountryUnknown))?;
    // A second number on the line is nobody's name.
    if provider.is_some_and(|text| E164::parse(&text.replace(' ', "")).is_ok()) {
        return Err(Error::invalid("provider", Code::FurtherColumn.with("value", provider.unwrap_or_default())));
    }
    let provider = provider.map(Words::parse).transpose().map_err(|error| Error::invalid("provider", error))?;
    Ok(NewNumber { country, provider, ..NewNumber::as_written(number, None) })
}

/// A valid line. It can be added unless somebody has the number.
struct Sound {
    id: Uuid,
    parsed: Parsed,
    provider: Option<Words>,
    labels: Labels,
}

type Judged = (usize, String, std::result::Result<Sound, Error>);

/// Checks the lines without asking the database. `own`: the tenant's country.
fn judge(lines: Vec<ReadLine>, own: Option<&str>) -> Vec<Judged> {
    let (mut seen, mut meant) = (HashSet::new(), HashSet::new());
    let judged = lines.into_iter().map(|ReadLine { at, number, read }| {
        if !number.is_empty() && !seen.insert(number.clone()) {
            return (at, number, Err(Error::from(Code::LineTwice)));
        }
        let sound = read.and_then(|(new, labels)| {
            let parsed = parse(&new, own)?;
            // The same number, perhaps written in another way.
            if !meant.insert(parsed.number.clone()) {
                return Err(taken(&parsed.number));
            }
            Ok(Sound { id: Uuid::now_v7(), parsed, provider: new.provider, labels })
        });
        (at, number, sound)
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
pub async fn add(change: &mut Change, tenant: Uuid, lines: Vec<ReadLine>, partial: bool) -> Result<Report> {
    let plan = destinations::store::plan(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let own = plan.country().map(ToOwned::to_owned);
    // Reading fifty thousand numbers is work for a thread of its own.
    let judging = tokio::task::spawn_blocking(move || judge(lines, own.as_deref()));
    let mut lines = judging.await.map_err(|_| Error::Fault("reading the numbers was broken off"))?;
    change.hold(tenant).await?;
    let wanted = lines.iter().filter_map(|(_, _, judged)| judged.as_ref().ok()).map(|sound| &sound.labels);
    let mut claims = Claims::look_up(change, Kind::Number, tenant, wanted).await?;
    for (_, _, judged) in &mut lines {
        if let Err(error) = judged.as_ref().map_or(Ok(()), |sound| claims.claim(&sound.labels)) {
            *judged = Err(error);
        }
    }
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
    for (line, number, judged) in lines {
        let outcome = match judged {
            Err(error) => refused(error),
            Ok(sound) if !made.contains(&sound.id) => refused(taken(&sound.parsed.number)),
            Ok(sound) if kept => Outcome::Created { id: sound.id },
            Ok(_) => Outcome::NotCreated,
        };
        report.created += usize::from(matches!(outcome, Outcome::Created { .. }));
        report.refused += usize::from(matches!(outcome, Outcome::Refused(_)));
        report.lines.push(Line { line, number, outcome });
    }
    Ok(report)
}

/// Inserts the numbers that nobody has, with their audit entries. Returns which.
async fn insert(change: &mut Change, tenant: Uuid, lines: &[Judged]) -> Result<HashSet<Uuid>> {
    let sound = lines.iter().filter_map(|(_, _, judged)| judged.as_ref().ok()).collect::<Vec<_>>();
    let mut columns = store::Columns::default();
    for line in &sound {
        columns.push(line.id, &line.parsed.number, line.parsed.country.as_ref(), line.provider.as_ref());
    }
    let inserted = store::insert_all(change.db(), tenant, &columns).await?;
    let Some(created_at) = inserted.first().map(|row| row.created_at) else { return Ok(HashSet::new()) };
    let made = inserted.into_iter().map(|row| row.id).collect::<HashSet<_>>();
    let noted = sound.iter().filter(|line| made.contains(&line.id)).map(|line| (line.id, &line.labels));
    labels_many::keep(change, Kind::Number, tenant, noted).await?;
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
            leads_to: None,
            version: 1,
            created_at,
            updated_at: created_at,
        };
        let entry = Audit::of("create", None, Some(&after))?;
        Some(labels_many::audited(entry, Kind::Number, &line.labels))
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
        let (first, _) = lines[0].read.as_ref().unwrap();
        assert_eq!(
            (first.provider.as_ref().unwrap().as_str(), first.country.as_ref().unwrap().as_str()),
            ("telnyx", "US")
        );
        assert!(lines[1].read.is_ok());
        let judged = judge(lines.into_iter().skip(2).collect(), Some("US"));
        assert_eq!(judged[0].2.as_ref().unwrap().parsed.number.as_str(), "+12025550123", "as it is dialled there");
        assert!(judged[1].2.is_err());
        assert!(read(b"").is_err());
        assert_eq!(read(b"+12025550123;a;US\n").unwrap().len(), 1);
    }

    #[test]
    fn columns_of_labels_are_read_from_files_and_json() {
        let file =
            b"number;metadata.team;External ID\n+493012345678;north;crm-1\n+493012345679;;\n+493012345680;x;\xc2\xa0\n";
        let value = |value: serde_json::Value| from_json(value.as_array().unwrap().clone()).unwrap();
        let json = value(serde_json::json!([
            { "number": "+493012345678", "external_id": "crm-1", "metadata": { "team": "north" } },
            { "number": "+493012345679", "provider": "telnyx" },
            { "number": "+493012345680", "external_id": 7 },
            { "number": "+493012345681", "status": "active" },
        ]));
        for lines in [read(file).unwrap(), json] {
            let (_, labels) = lines[0].read.as_ref().unwrap();
            assert_eq!(labels.external_id.as_ref().unwrap().as_str(), "crm-1");
            assert_eq!(labels.metadata["team"], "north");
            assert_eq!(lines[1].read.as_ref().unwrap().1, Labels::default());
            assert!(lines[3..].iter().all(|line| line.read.is_err()), "only what many numbers have");
        }
        assert!(read(b"number,metadata\n+493012345678,{\n").unwrap()[0].read.is_err());
        assert!(from_json(Vec::new()).is_err());
    }

    #[test]
    fn nothing_of_a_file_is_left_out_and_lines_are_those_of_the_file() {
        let told = |file: &[u8]| match read(file) {
            Ok(lines) => {
                let told = judge(lines, Some("DE")).into_iter().map(|(at, _, judged)| match judged {
                    Ok(sound) => format!("{at} {}", sound.parsed.number),
                    Err(error) => format!("{at} {error}"),
                });
                told.collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        };
        let utf16 = "\u{feff}+493012345678\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for (file, says) in [
            (&b"sep=;\r\nLand;Rufnummer;Anbieter\r\n\r\nDE;030 12345678;M\xfcller\r\n"[..], "4 +493012345678"),
            (b"\n\n+493012345678\r+493012345679\r", "3 +493012345678, 4 +493012345679"),
            (&utf16, "1 +493012345678"),
            (b"+493012345678;+493012345679\n", "+493012345679"),
            (b"+493012345678,x,DE,1000\n", "1000"),
            (b"number,destination\n+493012345678,1000\n", "destination"),
            (b"PK\x03\x04\x14", "spreadsheet"),
        ] {
            let told = told(file);
            assert!(told.contains(says), "{says}: {told}");
        }
    }
}
