//! Many changes or deletions in one request, with a report on each line: all or none of them, or those that can be made.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::problem::{Problem, Reason};
use crate::{
    model::{
        error::{Error, Result},
        which::Which,
    },
    node::changes::Change,
    text::{Code, Why},
};

/// The most lines of one request. Each is a change of its own, and what one tenant changes holds up its other changes.
pub const MOST_LINES: usize = 1_000;

/// One thing, and what is to change about it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeOf<P> {
    pub id: Option<Uuid>,
    /// Instead of the id: an agent's e-mail address, an extension's or phone number's number, a group's name.
    pub key: Option<String>,
    /// A merge patch, as for one thing by itself.
    pub set: P,
}

/// Many changes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes<P> {
    /// 1 to 1,000 of them.
    #[schema(value_type = Vec<ChangeOf<P>>)]
    pub changes: Vec<Value>,
    /// Makes the changes that can be made even if others can't. Otherwise it is all or none.
    #[serde(default)]
    pub partial: bool,
    #[serde(skip)]
    of: std::marker::PhantomData<P>,
}

/// Many deletions.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deletions {
    /// 1 to 1,000 of them.
    pub delete: Vec<Which>,
    /// Deletes what can be deleted even if others can't. Otherwise it is all or none.
    #[serde(default)]
    pub partial: bool,
    /// Takes them out of groups and queues first.
    #[serde(default)]
    pub detach: bool,
}

/// What came of one line.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[schema(as = BulkOutcome)]
pub enum Outcome {
    Changed,
    /// It was as wanted before.
    Unchanged,
    Deleted,
    /// The line is valid, but others are not, and it was all or none.
    NotDone,
    Refused(Reason),
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = BulkLine)]
pub struct Line {
    /// Its place in the request, from one.
    pub line: usize,
    pub id: Option<Uuid>,
    /// The key that the line gave.
    pub key: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = BulkReport)]
pub struct Report {
    /// How many were changed or deleted.
    pub done: usize,
    /// How many were as wanted before.
    pub unchanged: usize,
    pub refused: usize,
    pub lines: Vec<Line>,
}

impl Report {
    /// Whether the request came to something.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.done + self.unchanged > 0
    }
}

/// What a line came to: the thing's id, and whether it changed.
pub type Done = (Uuid, Outcome);

/// The outcome of a change that made this version of that.
#[must_use]
pub fn changed(before: i64, after: i64) -> Outcome {
    if before == after { Outcome::Unchanged } else { Outcome::Changed }
}

/// A line as it was read: what it means, or what is wrong with it.
pub struct Read<T> {
    id: Option<Uuid>,
    key: Option<String>,
    what: Result<T>,
}

impl<P: DeserializeOwned> Changes<P> {
    /// Its lines, each with what is wrong with it.
    pub fn read(self) -> Result<Vec<Read<(Which, P)>>> {
        check_count("changes", self.changes.len())?;
        let read = |line: Value| {
            let id = line.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
            let key = line.get("key").and_then(Value::as_str).map(ToOwned::to_owned);
            let what = serde_path_to_error::deserialize::<_, ChangeOf<P>>(line).map_err(|error| {
                let field = error.path().to_string();
                Error::InvalidAt { field, why: Why::of_serde(&error.into_inner().to_string()) }
            });
            let what = what.and_then(|ChangeOf { id, key, set }| Ok((which(Which { id, key })?, set)));
            Read { id, key, what }
        };
        Ok(self.changes.into_iter().map(read).collect())
    }
}

impl Deletions {
    pub fn read(self) -> Result<Vec<Read<Which>>> {
        check_count("delete", self.delete.len())?;
        let read = |line: Which| Read { id: line.id, key: line.key.clone(), what: which(line) };
        Ok(self.delete.into_iter().map(read).collect())
    }
}

fn check_count(field: &'static str, count: usize) -> Result<()> {
    if (1..=MOST_LINES).contains(&count) { Ok(()) } else { Err(Error::invalid(field, Code::lines(MOST_LINES))) }
}

fn which(line: Which) -> Result<Which> {
    match (&line.id, &line.key) {
        (Some(_), None) | (None, Some(_)) => Ok(line),
        _ => Err(Error::invalid("id", Code::IdOrKey)),
    }
}

/// Whether the database refused a line for what it holds: data that no column takes, or a rule that is broken.
fn is_refused(error: &Error) -> bool {
    let Error::Sql(sqlx::Error::Database(error)) = error else { return false };
    error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// Why lines that could be carried out are undone.
enum Undone {
    Error(Error),
    /// Others were refused, and it was all or none.
    NotWhole,
}

/// Carries out the lines, one after the other.
pub async fn run<T>(
    change: &mut Change,
    lines: Vec<Read<T>>,
    partial: bool,
    one: impl AsyncFn(&mut Change, T) -> Result<Done>,
) -> Result<Report> {
    let mut told = Vec::with_capacity(lines.len());
    let tried = change.attempt(async |change| {
        for Read { id, key, what } in lines {
            let done = match what {
                Ok(what) => change.attempt(async |change| one(change, what).await).await.map_err(Undone::Error)?,
                Err(error) => Err(error),
            };
            told.push(match done {
                Ok((id, outcome)) => (Some(id), key, outcome),
                // A fault of ours is no line's, but what the database refuses for what it holds is.
                Err(error @ (Error::Sql(_) | Error::Keyring(_))) if !is_refused(&error) => {
                    return Err(Undone::Error(error));
                }
                Err(error) => (id, key, Outcome::Refused(error.into())),
            });
        }
        let is_whole = !told.iter().any(|(_, _, outcome)| matches!(outcome, Outcome::Refused(_)));
        if is_whole || partial { Ok(()) } else { Err(Undone::NotWhole) }
    });
    match tried.await? {
        Ok(()) => {}
        Err(Undone::Error(error)) => return Err(error),
        Err(Undone::NotWhole) => {
            for (_, _, outcome) in &mut told {
                if !matches!(outcome, Outcome::Refused(_)) {
                    *outcome = Outcome::NotDone;
                }
            }
        }
    }
    let count = |wanted: fn(&Outcome) -> bool| told.iter().filter(|(_, _, outcome)| wanted(outcome)).count();
    Ok(Report {
        done: count(|outcome| matches!(outcome, Outcome::Changed | Outcome::Deleted)),
        unchanged: count(|outcome| matches!(outcome, Outcome::Unchanged)),
        refused: count(|outcome| matches!(outcome, Outcome::Refused(_))),
        lines: told
            .into_iter()
            .enumerate()
            .map(|(at, (id, key, outcome))| Line { line: at + 1, id, key, outcome })
            .collect(),
    })
}

/// The answer: 200 if anything is as wanted now, else 422.
pub fn answer(report: &Report) -> std::result::Result<super::change::Outcome, Problem> {
    super::change::Outcome::bulk(report, report.is_kept())
}
