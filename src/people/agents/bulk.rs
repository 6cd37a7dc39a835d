//! Many agents at once: from JSON or a CSV file, with a report of every line.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CreatedAgent, Maker, NewAgent, create_all};
use crate::{
    http::problem::Reason,
    model::error::{Error, Result},
    node::changes::Change,
    telephony::pools,
    tenancy::auth::rules::Role,
    text::{Code, DisplayName, Email, ExtensionNumber, Why},
};

/// Most lines of one request.
pub const MOST_LINES: usize = 10_000;
/// Most lines of a file that the operator imports by command line.
pub const MOST_IN_FILE: usize = 200_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgents {
    #[schema(value_type = Vec<NewAgent>)]
    pub agents: Vec<serde_json::Value>,
    /// `true`: those that can be made are made, whatever the others are. Otherwise all or none.
    #[serde(default)]
    pub partial: bool,
}

/// What became of one line.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Line {
    /// Counted from one, without a CSV file's head.
    pub line: usize,
    pub email: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Created {
        agent: Box<CreatedAgent>,
    },
    /// Nothing is wrong with it; others were, and it was all or none.
    NotCreated,
    Refused(Reason),
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Report {
    pub created: usize,
    pub refused: usize,
    pub lines: Vec<Line>,
}

/// A line as it was read: an agent, or why it is none.
pub type Read = std::result::Result<NewAgent, Error>;

/// Reads the lines of a request.
pub fn from_json(values: Vec<serde_json::Value>) -> Result<Vec<(String, Read)>> {
    check_count(values.len(), MOST_LINES)?;
    let lines = values.into_iter().map(|value| {
        let email = value.get("email").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let read = serde_path_to_error::deserialize(value).map_err(|error| {
            let field = error.path().to_string();
            Error::InvalidAt { field, why: Why::of_serde(&error.into_inner().to_string()) }
        });
        (email, read)
    });
    Ok(lines.collect())
}

/// A line of a CSV file. Columns by name; only the first three are needed.
#[derive(Deserialize)]
struct Columns {
    first_name: String,
    last_name: String,
    email: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    extensions: String,
    #[serde(default)]
    numbers: String,
}

/// Reads a CSV file: `first_name,last_name,email[,role][,extensions][,numbers]`, with `,` or `;` between, numbers with spaces.
pub fn from_csv(text: &[u8], most: usize) -> Result<Vec<(String, Read)>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let head = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if head.contains(&b';') && !head.contains(&b',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).flexible(true).from_reader(text);
    let wrong = |error: &csv::Error| Error::invalid("file", Code::NotCsv.with("reason", error));
    let head = reader.headers().map_err(|error| wrong(&error))?.clone();
    for needed in ["first_name", "last_name", "email"] {
        if !head.iter().any(|name| name == needed) {
            return Err(Error::invalid("file", Code::NoColumn.with("column", needed)));
        }
    }
    let mut lines = Vec::new();
    for row in reader.deserialize::<Columns>() {
        check_count(lines.len() + 1, most)?;
        lines.push(match row {
            Ok(columns) => (columns.email.clone(), agent(&columns)),
            Err(error) => (String::new(), Err(wrong(&error))),
        });
    }
    check_count(lines.len(), most)?;
    Ok(lines)
}

fn check_count(count: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid("agents", Code::lines(most)))
}

fn agent(columns: &Columns) -> Read {
    let name = |field, text: &str| DisplayName::parse(text).map_err(|e| Error::invalid(field, e));
    let numbers =
        columns.numbers.split_whitespace().map(ExtensionNumber::parse).collect::<std::result::Result<Vec<_>, _>>();
    let numbers = numbers.map_err(|e| Error::invalid("numbers", e))?;
    let role = match columns.role.to_ascii_lowercase().as_str() {
        "" | "agent" => Role::Agent,
        "manager" => Role::Manager,
        "admin" => Role::Admin,
        "owner" => Role::Owner,
        _ => return Err(Error::invalid("role", Code::UnknownRole)),
    };
    let count = match columns.extensions.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| Error::invalid("extensions", Code::range(1, 5)))?),
    };
    Ok(NewAgent {
        first_name: name("first_name", &columns.first_name)?,
        last_name: name("last_name", &columns.last_name)?,
        email: Email::parse(&columns.email).map_err(|e| Error::invalid("email", e))?,
        role,
        language: None,
        extensions_count: count,
        numbers: (!numbers.is_empty()).then_some(numbers),
    })
}

/// Takes the lines that can't be out of those to be made, and says why.
fn take_out(sound: &mut Vec<(usize, NewAgent)>, outcomes: &mut [Outcome], wrong: super::Wrong) -> Result<()> {
    let mut out = std::collections::HashSet::new();
    for (at, error) in wrong {
        let at = match &error {
            Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_) => return Err(error),
            _ => at,
        };
        if out.insert(at) {
            outcomes[sound[at].0] = refused(error);
        }
    }
    let mut at = 0;
    sound.retain(|_| {
        at += 1;
        !out.contains(&(at - 1))
    });
    Ok(())
}

/// Not a line's fault: the pools have too few numbers.
fn too_few_numbers(mut wrong: super::Wrong) -> std::result::Result<Error, super::Wrong> {
    match wrong.iter().position(|(_, error)| pools::are_exhausted(error)) {
        Some(at) => Ok(wrong.swap_remove(at).1),
        None => Err(wrong),
    }
}

/// The last ones go without, as many as there are no numbers for; one at least, so that this ends.
async fn go_without(
    change: &mut Change,
    tenant: Uuid,
    sound: &mut Vec<(usize, NewAgent)>,
    outcomes: &mut [Outcome],
    error: Error,
) -> Result<()> {
    let outcome = refused(error);
    let wanted = sound.iter().filter_map(|(_, agent)| agent.numbers.as_ref().map(Vec::len)).sum::<usize>();
    let free = usize::try_from(pools::store::usage(change.db(), tenant).await?.free).unwrap_or_default();
    let mut left = free.saturating_sub(wanted);
    let fit = sound.iter().take_while(|(_, agent)| {
        let count = agent.count().unwrap_or_default();
        let fits = count <= left;
        left = left.saturating_sub(count);
        fits
    });
    let fit = fit.count().min(sound.len() - 1);
    for (line, _) in sound.drain(fit..) {
        outcomes[line] = outcome.clone();
    }
    Ok(())
}

fn refused(error: Error) -> Outcome {
    Outcome::Refused(error.into())
}

/// Why what was made is not kept.
enum NotKept {
    Wrong(super::Wrong),
    /// Others can't be, and it is all or none.
    NotWhole,
}

/// Makes the agents of a file. What is wrong with the database itself is an `Err`; with the lines, the report's.
pub async fn create(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    lines: Vec<(String, Read)>,
    partial: bool,
) -> Result<Report> {
    let mut outcomes = Vec::with_capacity(lines.len());
    let mut emails = Vec::with_capacity(lines.len());
    let mut sound = Vec::new();
    for (line, (email, read)) in lines.into_iter().enumerate() {
        emails.push(email);
        match read {
            Ok(agent) => {
                outcomes.push(Outcome::NotCreated);
                sound.push((line, agent));
            }
            Err(error) => outcomes.push(refused(error)),
        }
    }
    // Lines that can't be are taken out until the rest can be made, so that the report knows them all.
    while !sound.is_empty() {
        let whole = sound.len() == outcomes.len();
        let agents = sound.iter().map(|(_, agent)| agent.clone()).collect::<Vec<_>>();
        let tried = change.attempt(async |change| {
            let created = create_all(change, maker, tenant, &agents).await.map_err(NotKept::Wrong)?;
            if whole || partial { Ok(created) } else { Err(NotKept::NotWhole) }
        });
        match tried.await? {
            Ok(created) => {
                for ((line, _), agent) in sound.iter().zip(created) {
                    outcomes[*line] = Outcome::Created { agent: Box::new(agent) };
                }
                break;
            }
            Err(NotKept::NotWhole) => break,
            Err(NotKept::Wrong(wrong)) => match too_few_numbers(wrong) {
                Ok(error) if !partial => return Err(error),
                Ok(error) => go_without(change, tenant, &mut sound, &mut outcomes, error).await?,
                Err(wrong) => take_out(&mut sound, &mut outcomes, wrong)?,
            },
        }
    }
    let lines = emails.into_iter().zip(outcomes).enumerate();
    let lines = lines.map(|(at, (email, outcome))| Line { line: at + 1, email, outcome }).collect::<Vec<_>>();
    let count = |wanted: fn(&Outcome) -> bool| lines.iter().filter(|line| wanted(&line.outcome)).count();
    Ok(Report {
        created: count(|outcome| matches!(outcome, Outcome::Created { .. })),
        refused: count(|outcome| matches!(outcome, Outcome::Refused(_))),
        lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_file_is_read_line_by_line() {
        let text = "\u{feff}email;first_name;last_name;role;extensions;numbers\r\nada@acme.test;Ada;Lovelace;;2;\r\nx;Grace;Hopper;;;\r\ngrace@acme.test;Grace;Hopper;Manager;;2001 2002\r\n";
        let lines = from_csv(text.as_bytes(), 3).unwrap();
        assert_eq!(lines.len(), 3);
        let ada = lines[0].1.as_ref().unwrap();
        assert_eq!((ada.role, ada.extensions_count), (Role::Agent, Some(2)));
        assert_eq!(
            lines[1].1.as_ref().unwrap_err().to_string(),
            "email must be an e-mail address such as ada@acme.example"
        );
        let grace = lines[2].1.as_ref().unwrap();
        assert_eq!((grace.role, grace.numbers.as_ref().unwrap().len()), (Role::Manager, 2));
        assert!(from_csv(b"name,mail\nx,y\n", 3).unwrap_err().to_string().contains("no column first_name"));
        assert!(from_csv(b"", 3).is_err());
        assert!(from_csv(text.as_bytes(), 2).unwrap_err().to_string().contains("1 to 2 lines"));
    }
}
