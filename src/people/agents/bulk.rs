//! Creates many agents at once, with a report on every line.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CreatedAgent, Maker, NewAgent, create_all};
use crate::{
    http::{
        labels::{self, Labelled, With},
        problem::Reason,
    },
    model::error::{Error, Result},
    node::changes::Change,
    telephony::pools,
    text::{Code, Why},
};

/// The most lines of one request.
pub const MOST_LINES: usize = 10_000;
/// The most lines of a file that the operator imports on the command line.
pub const MOST_IN_FILE: usize = 200_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgents {
    #[schema(value_type = Vec<NewAgent>)]
    pub agents: Vec<serde_json::Value>,
    /// `true` creates the agents whose lines are valid, even if other lines have errors. Otherwise it is all or none.
    #[serde(default)]
    pub partial: bool,
}

/// The result of one line.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = AgentLine)]
pub struct Line {
    /// Its place in the request, from one; of a file, the line as editors count.
    pub line: usize,
    pub email: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[schema(as = AgentOutcome)]
pub enum Outcome {
    Created {
        #[schema(value_type = CreatedAgent)]
        agent: Box<Labelled<CreatedAgent>>,
    },
    /// The line is valid, but others are not, and it was all or none.
    NotCreated,
    Refused(Reason),
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = AgentsReport)]
pub struct Report {
    pub created: usize,
    pub refused: usize,
    pub lines: Vec<Line>,
    /// The columns of a file that were not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unused_columns: Vec<String>,
}

impl Report {
    /// With the lines' places in their file.
    #[must_use]
    pub fn of_file(mut self, at: &[usize]) -> Self {
        for (line, at) in self.lines.iter_mut().zip(at) {
            line.line = *at;
        }
        self
    }
}

/// A line as it was read: an agent, or what is wrong with it.
pub type Read = std::result::Result<With<NewAgent>, Error>;

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

pub(super) fn check_count(count: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid("agents", Code::lines(most)))
}

/// Removes the lines with errors, and notes the errors.
fn take_out(sound: &mut Vec<(usize, With<NewAgent>)>, outcomes: &mut [Outcome], wrong: super::Wrong) -> Result<()> {
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

/// Whether the pools have too few numbers, which is no error of a line.
fn too_few_numbers(mut wrong: super::Wrong) -> std::result::Result<Error, super::Wrong> {
    match wrong.iter().position(|(_, error)| pools::are_exhausted(error)) {
        Some(at) => Ok(wrong.swap_remove(at).1),
        None => Err(wrong),
    }
}

/// Refuses as many of the last lines as there are no numbers for. It is at least one, so that the loop ends.
async fn go_without(
    change: &mut Change,
    tenant: Uuid,
    sound: &mut Vec<(usize, With<NewAgent>)>,
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

/// Why the agents created are not kept.
enum NotKept {
    Wrong(super::Wrong),
    /// Other lines have errors, and it is all or none.
    NotWhole,
}

/// The agents with what their lines say of labels.
async fn with_labels(
    change: &mut Change,
    created: Vec<CreatedAgent>,
    lines: &[(usize, With<NewAgent>)],
) -> std::result::Result<Vec<Labelled<CreatedAgent>>, super::Wrong> {
    let (mut all, mut wrong) = (Vec::with_capacity(created.len()), Vec::new());
    for (at, (agent, (_, line))) in created.into_iter().zip(lines).enumerate() {
        if line.labels.is_empty() {
            all.push(Labelled::plain(agent));
            continue;
        }
        match labels::made(change, agent, line.labels.clone()).await {
            Ok(agent) => all.push(agent),
            Err(error) => wrong.push((at, error)),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong) }
}

/// Creates the agents of a file. Errors of the database are `Err`; errors of lines are in the report.
pub async fn create(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    lines: Vec<(String, Read)>,
    partial: bool,
) -> Result<Report> {
    change.hold(tenant).await?;
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
    // Lines with errors are removed until the rest can be created, so that the report has all errors.
    while !sound.is_empty() {
        let whole = sound.len() == outcomes.len();
        let agents = sound.iter().map(|(_, agent)| agent.body.clone()).collect::<Vec<_>>();
        let tried = change.attempt(async |change| {
            let created = create_all(change, maker, tenant, &agents).await.map_err(NotKept::Wrong)?;
            let created = with_labels(change, created, &sound).await.map_err(NotKept::Wrong)?;
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
        unused_columns: Vec::new(),
    })
}
