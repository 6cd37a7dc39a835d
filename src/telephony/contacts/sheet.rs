//! Contacts as CSV.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Contact, MOST_NUMBERS, NewContact, Said, check, fit, made, store};
use crate::{
    http::{
        labels::Labelled,
        labels_many::{self, Claims},
        problem::{Problem, Reason},
    },
    model::{
        error::{Error, Result},
        label_column::{self, LabelColumn},
        labels::{Kind, Labels, LabelsPatch},
        settings::Words,
    },
    node::changes::{Audit, Change},
    telephony::history,
    text::{Code, E164, Email, table_file},
};

/// The most lines of one file.
const MOST_LINES: usize = 50_000;

/// The result of one line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ContactLine {
    /// The line's number in the file, as editors count.
    pub line: usize,
    /// Who it is about.
    pub name: String,
    /// Absent if nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Reason>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ContactsReport {
    /// Contacts that were added, or would be.
    pub created: usize,
    /// Lines with errors.
    pub refused: usize,
    /// What became of each line.
    pub lines: Vec<ContactLine>,
}

pub use ContactsReport as Report;

/// A line as it was read.
pub struct ReadLine {
    at: usize,
    name: String,
    read: std::result::Result<(Contact, Labels), Error>,
}

/// What a column means.
#[derive(Clone)]
enum Column {
    Name,
    Company,
    Email,
    Number,
    Tags,
    Notes,
    DoNotCall,
    Consent,
    /// As an export writes them: `name=value; name=value`.
    Fields,
    Label(LabelColumn),
    Field(String),
}

impl Column {
    fn of(head: &str) -> Self {
        if let Some(label) = LabelColumn::of(head) {
            return Self::Label(label);
        }
        match table_file::plain(head).trim_end_matches(|c: char| c.is_ascii_digit()) {
            "name" | "fullname" | "kontakt" => Self::Name,
            "company" | "organization" | "organisation" | "firma" => Self::Company,
            "email" | "mail" | "emailaddress" => Self::Email,
            "number" | "phone" | "phonenumber" | "telephone" | "mobile" | "nummer" | "telefon" | "rufnummer"
            | "mobil" => Self::Number,
            "tags" | "labels" | "schlagworte" => Self::Tags,
            "notes" | "note" | "notizen" => Self::Notes,
            "donotcall" => Self::DoNotCall,
            "consent" => Self::Consent,
            "fields" => Self::Fields,
            _ => Self::Field(head.trim().to_owned()),
        }
    }
}

/// Reads the lines of a file, in whatever encoding spreadsheets write it. Nothing of it is left out silently.
pub fn read(tenant: Uuid, file: &[u8]) -> Result<Vec<ReadLine>> {
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
    let (mut lines, mut columns) = (Vec::new(), None);
    for record in reader.records() {
        let record = record.map_err(|error| Error::invalid("file", Code::NotCsv.with("reason", error)))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let Some(columns) = &columns else {
            let heads = record.iter().map(Column::of).collect::<Vec<_>>();
            if !heads.iter().any(|head| matches!(head, Column::Name)) {
                return Err(Error::invalid(
                    "file",
                    Code::UnknownColumn.with("column", record.get(0).unwrap_or_default()),
                ));
            }
            columns = Some(heads);
            continue;
        };
        if lines.len() == MOST_LINES {
            return Err(Error::invalid("file", Code::TooManyLines.with("most", MOST_LINES)));
        }
        let cells = || columns.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
        let name = cells()
            .find(|(column, _)| matches!(column, Column::Name))
            .map_or(String::new(), |(_, cell)| cell.to_owned());
        let read = contact(cells()).and_then(|(new, said)| {
            let contact = made(tenant, new);
            check(&contact)?;
            Ok((contact, label_column::of_new(said)?))
        });
        lines.push(ReadLine { at: before + table_file::line_of(rows, &record), name, read });
    }
    if lines.is_empty() {
        return Err(Error::invalid("file", Code::NoLines));
    }
    Ok(lines)
}

fn contact<'a>(cells: impl Iterator<Item = (&'a Column, &'a str)>) -> Result<(NewContact, LabelsPatch)> {
    let mut said_of_labels = LabelsPatch::default();
    let (mut do_not_call, mut consent) = (None, None);
    let (mut name, mut company, mut email, mut notes) = (None, None, None, None);
    let (mut numbers, mut tags, mut fields) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (column, cell) in cells {
        match column {
            Column::Name => name = Some(words("name", cell)?),
            Column::Company => company = Some(words("company", cell)?),
            Column::Email => email = Some(Email::parse(cell).map_err(|why| Error::invalid("email", why))?),
            Column::Number => {
                let plain = cell.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>();
                numbers.push(E164::from_dialled(&plain).ok_or_else(|| Error::invalid("numbers", Code::NotE164))?);
            }
            Column::Tags => {
                // With semicolons, spaces belong to tags.
                let signs: &[char] = if cell.contains(';') { &[';'] } else { &[' '] };
                for tag in cell.split(signs).map(str::trim).filter(|tag| !tag.is_empty()) {
                    tags.push(words("tags", tag)?);
                }
            }
            Column::Notes => notes = Some(cell.to_owned()),
            Column::DoNotCall => do_not_call = said("do_not_call", cell)?,
            Column::Consent => consent = said("consent", cell)?,
            Column::Fields => {
                for pair in cell.split("; ").filter(|pair| !pair.is_empty()) {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    fields.insert(name.trim().to_owned(), words("fields", value)?);
                }
            }
            Column::Label(label) => label.read(cell, &mut said_of_labels)?,
            Column::Field(head) => {
                fields.insert(head.clone(), words("fields", cell)?);
            }
        }
    }
    let name = name.ok_or_else(|| Error::invalid("name", Code::Missing))?;
    Ok((NewContact { name, company, email, numbers, tags, fields, notes, do_not_call, consent }, said_of_labels))
}

fn words(field: &'static str, cell: &str) -> Result<Words> {
    Words::parse(cell).map_err(|why| Error::invalid(field, why))
}

/// What somebody said about being called, as an export writes it: when, and where. Without a time, it is known since now.
fn said(field: &'static str, cell: &str) -> Result<Option<Said>> {
    if cell.is_empty() || ["no", "false", "0", "nein"].iter().any(|no| cell.eq_ignore_ascii_case(no)) {
        return Ok(None);
    }
    let (first, rest) = cell.split_once(' ').unwrap_or((cell, ""));
    let (at, source) = match DateTime::parse_from_rfc3339(first) {
        Ok(at) => (at.to_utc(), rest),
        Err(_) => (Utc::now(), cell),
    };
    Ok(Some(Said { source: words(field, source)?, at }))
}

/// Adds the contacts whose lines are right. With `preview`, none.
pub async fn add(change: &mut Change, tenant: Uuid, lines: Vec<ReadLine>, preview: bool) -> Result<Report> {
    change.hold(tenant).await?;
    let sound = || lines.iter().filter_map(|line| line.read.as_ref().ok());
    let mut claims = Claims::look_up(change, Kind::Contact, tenant, sound().map(|(_, labels)| labels)).await?;
    let wanted = sound().flat_map(|(contact, _)| &contact.numbers);
    let wanted = wanted.map(ToString::to_string).collect::<Vec<_>>();
    let owners = store::owners(change.db(), tenant, &wanted).await?;
    let settings = store::settings(change.db(), tenant).await?;
    let mut taken = owners.into_iter().map(|(number, _)| number).collect::<BTreeSet<_>>();
    let (mut contacts, mut report) = (Vec::new(), Report { created: 0, refused: 0, lines: Vec::new() });
    for ReadLine { at, name, read } in lines {
        let read = read.and_then(|(contact, labels)| {
            fit(&contact, &settings)?;
            let numbers = contact.numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
            if let Some(number) = numbers.iter().find(|number| taken.contains(*number)) {
                return Err(Error::Refused(Code::NumberOfAnotherContact.with("number", number)));
            }
            claims.claim(&labels)?;
            taken.extend(numbers);
            Ok((contact, labels))
        });
        match read {
            Ok(read) => {
                contacts.push(read);
                report.lines.push(ContactLine { line: at, name, refused: None });
            }
            Err(why) => {
                report.refused += 1;
                report.lines.push(ContactLine { line: at, name, refused: Some(Reason::from(Problem::from(why))) });
            }
        }
    }
    report.created = contacts.len();
    if !preview {
        let (contacts, labels): (Vec<_>, Vec<_>) = contacts.into_iter().unzip();
        for part in contacts.chunks(1000) {
            store::insert(change.db(), part).await?;
        }
        let noted = contacts.iter().map(|contact| contact.id).zip(&labels);
        labels_many::keep(change, Kind::Contact, tenant, noted).await?;
        let entries = contacts.iter().zip(&labels).filter_map(|(contact, labels)| {
            let entry = Audit::of("create", None, Some(contact))?;
            Some(labels_many::audited(entry, Kind::Contact, labels))
        });
        change.audit_all(entries).await?;
    }
    Ok(report)
}

/// The line of headings of an export.
#[must_use]
pub fn head() -> String {
    let numbers = (2..=MOST_NUMBERS).map(|at| format!("number{at}")).collect::<Vec<_>>().join(",");
    format!("name,company,email,number,{numbers},tags,notes,do_not_call,consent,fields,external_id,metadata\r\n")
}

/// A contact as a line.
#[must_use]
pub fn line(contact: &Labelled<Contact>) -> String {
    let shown = |said: &Option<Said>| {
        said.as_ref().map(|said| format!("{} {}", said.at.to_rfc3339(), said.source)).unwrap_or_default()
    };
    let numbers = contact.numbers.iter().map(ToString::to_string).chain(std::iter::repeat(String::new()));
    let mut tags = contact.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(";");
    if tags.contains(' ') {
        tags.push(';');
    }
    let first = [
        contact.name.to_string(),
        contact.company.as_ref().map(ToString::to_string).unwrap_or_default(),
        contact.email.as_ref().map(ToString::to_string).unwrap_or_default(),
    ];
    let last = [
        tags,
        contact.notes.clone().unwrap_or_default(),
        shown(&contact.do_not_call),
        shown(&contact.consent),
        contact.fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; "),
    ];
    let labels = label_column::written(contact.labels());
    history::csv::joined(first.into_iter().chain(numbers.take(MOST_NUMBERS)).chain(last).chain(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_is_imported_as_it_was() {
        let said = |source: &str| {
            Some(Said { source: Words::parse(source).unwrap(), at: "2026-11-26T10:00:00Z".parse().unwrap() })
        };
        let file = "name,number,number2,tags,vip level,metadata.Region\nAda,+12025550101,+12025550102,gold customer;old;,high,a;b\n";
        let read_one = |file: &str| read(Uuid::nil(), file.as_bytes()).unwrap().pop().unwrap().read.unwrap();
        let (mut contact, labels) = read_one(file);
        assert_eq!((contact.fields.len(), labels.metadata["Region"].as_str()), (1, "a;b"));
        contact.do_not_call = said("on the phone");
        contact.consent = said("form on the web");
        let shown = Labelled::new(contact.clone(), labels.clone());
        let (again, labels_again) = read_one(&format!("{}{}", head(), line(&shown)));
        assert_eq!(labels_again, labels);
        assert_eq!(again.tags, contact.tags);
        assert_eq!(again.tags.len(), 2);
        assert_eq!((again.numbers, again.fields), (contact.numbers, contact.fields));
        for (again, was) in [(again.do_not_call, contact.do_not_call), (again.consent, contact.consent)] {
            let (again, was) = (again.unwrap(), was.unwrap());
            assert_eq!((again.at, again.source), (was.at, was.source));
        }
        let (plain, _) = read_one("name,do not call\nAda,asked not to be\n");
        assert_eq!(plain.do_not_call.unwrap().source.as_str(), "asked not to be");
        assert!(read_one("name,do not call\nAda,no\n").0.do_not_call.is_none());
    }
}
