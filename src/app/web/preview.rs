//! The preview or result of a file of agents, line by line.

use serde::{Deserialize, Serialize};

use super::{Shell, catalogue};
use crate::{
    model::language::Language,
    people::agents::bulk::{Line, Outcome, Report},
};

/// A file, with its preview or result.
#[derive(Debug, Serialize, Deserialize)]
pub struct Preview {
    pub(super) rows: Vec<Row>,
    pub(super) made: usize,
    pub(super) refused: usize,
    /// Columns of the file that are not used.
    #[serde(default)]
    pub(super) unused_columns: Vec<String>,
    /// The file's text; empty after the import.
    pub(super) csv: String,
    pub(super) done: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    pub(super) line: usize,
    pub(super) email: String,
    pub(super) state: State,
    pub(super) numbers: Vec<String>,
    /// Why it was refused, in English and German.
    why: Option<[String; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Created,
    Waits,
    Refused,
}

impl Row {
    fn of(line: Line) -> Self {
        let Line { line, email, outcome } = line;
        let row = |state, numbers, why| Self { line, email, state, numbers, why };
        match outcome {
            Outcome::Created { agent } => {
                row(State::Created, agent.extensions.iter().map(|phone| phone.number.clone()).collect(), None)
            }
            Outcome::NotCreated => row(State::Waits, vec![], None),
            Outcome::Refused(reason) => {
                let why = [Language::En, Language::De].map(|language| catalogue::reason(&reason, language));
                row(State::Refused, vec![], Some(why))
            }
        }
    }

    pub(super) fn why(&self, s: &Shell) -> &str {
        let Some([english, german]) = &self.why else { return "" };
        match s.language {
            Language::En => english,
            Language::De => german,
        }
    }
}

impl Preview {
    pub(super) fn of(report: Report, csv: String, done: bool) -> Self {
        let Report { created, refused, lines, unused_columns } = report;
        Self { rows: lines.into_iter().map(Row::of).collect(), made: created, refused, unused_columns, csv, done }
    }
}
