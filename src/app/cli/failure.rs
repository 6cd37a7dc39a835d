//! Why a command failed: a line for a person, or a problem (RFC 9457) for a script, as over the API. Scripts should only rely on its
//! `code` and on the exit code.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::{
    reader::{self, Left},
    sure::Unsure,
};
use crate::{
    app::{
        StartError,
        backup::BackupError,
        embedded::ClusterError,
        telemetry::{BadFilter, LogError},
    },
    http::problem::Problem,
    model::error::Error,
    node::{database::DatabaseError, fitness::Unfit, schema::SchemaError},
    switch::import::{ChoiceError, TreeError},
    text::{Code, keyring::KeyringError},
};

/// How a command ended, for the process that called it. The help and README.md list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Conflict = 4,
    /// It may work later: a database or a node doesn't answer, or asks to wait.
    Unavailable = 5,
}

impl Exit {
    fn of_status(status: u16) -> Self {
        match status {
            404 => Self::NotFound,
            409 | 412 => Self::Conflict,
            429 | 502..=504 => Self::Unavailable,
            _ => Self::Failed,
        }
    }

    /// The status and title of a problem that has no answer over HTTP.
    fn status(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Failed => None,
            Self::Usage => Some((400, "Bad Request")),
            Self::NotFound => Some((404, "Not Found")),
            Self::Conflict => Some((409, "Conflict")),
            Self::Unavailable => Some((503, "Service Unavailable")),
        }
    }
}

/// What `--help` says about exit codes.
pub const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 unavailable (try again later).";

/// A problem that the API answered with.
#[derive(Debug, thiserror::Error)]
#[error("{}", detail(problem))]
pub struct Answered {
    status: u16,
    problem: Value,
    report: Option<Value>,
}

impl Answered {
    pub fn new(status: u16, body: &[u8]) -> Self {
        let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
        if body["detail"].is_string() {
            return Self { status, problem: body, report: None };
        }
        let detail = refused_lines(&body)
            .unwrap_or_else(|| format!("the answer has the status {status} and is not Dialplane's: check the URL"));
        let problem =
            json!({ "type": "about:blank", "title": "Error", "status": status, "code": "failed", "detail": detail });
        let report = body["lines"].is_array().then_some(body);
        Self { status, problem, report }
    }

    /// The code of the problem.
    pub fn code(&self) -> &str {
        self.problem["code"].as_str().unwrap_or_default()
    }

    /// The report on the lines of an upload, if it was refused for them.
    pub fn report(&self) -> Option<&Value> {
        self.report.as_ref()
    }

    pub fn status(&self) -> u16 {
        self.status
    }
}

/// What is wrong with the lines of an upload, of which nothing was taken.
fn refused_lines(report: &Value) -> Option<String> {
    const SHOWN: usize = 5;
    let lines = report["lines"].as_array()?.iter().filter_map(|line| {
        let what = line["email"].as_str().or(line["number"].as_str());
        let what = what.map_or_else(|| format!("line {}", line["line"]), ToOwned::to_owned);
        Some(format!("{what}: {}", line["reason"].as_str()?))
    });
    let lines = lines.collect::<Vec<_>>();
    let more = lines.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{}{more}", lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ")))
}

/// The API takes the tenant in the query; commands have an option for it.
const WHICH_TENANT: &str = "which_tenant";

fn detail(problem: &Value) -> String {
    if problem["code"] == WHICH_TENANT {
        return "name the tenant with --tenant".to_owned();
    }
    let detail = problem["detail"].as_str().unwrap_or_default().trim_end_matches('.');
    let things = problem["used_by"].as_array().into_iter().flatten();
    let used = things.filter_map(|used| Some(format!("{} {}", used["kind"].as_str()?, used["name"].as_str()?)));
    let used = used.filter(|used| !detail.contains(used.split_once(' ').map_or("", |(_, name)| name)));
    let used = used.take(5).collect::<Vec<_>>();
    if used.is_empty() { detail.to_owned() } else { format!("{detail} ({})", used.join(", ")) }
}

/// Something that doesn't answer now, and may later.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// A value on the command line that is not valid.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    detail: String,
    field: Option<String>,
    /// Whether the command line itself is wrong.
    is_usage: bool,
}

impl Refused {
    pub fn because(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), field: None, is_usage: true }
    }
}

/// Something named on the command line that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let reason = problem.reason();
        Self { detail: reason.reason, field: reason.field, is_usage: false }
    }
}

/// Prints why a command failed.
pub fn report(json: bool, error: &anyhow::Error) -> ExitCode {
    if error.is::<Left>() {
        return reader::left();
    }
    let exit = error.chain().find_map(exit).unwrap_or(Exit::Failed);
    if !json {
        eprintln!("dialplane: {}", said(error));
    } else if let Some(answered) = error.chain().find_map(|error| error.downcast_ref::<Answered>()) {
        eprintln!("{}", answered.problem);
    } else {
        let code = error.chain().find_map(code).unwrap_or("failed");
        eprintln!("{}", problem(exit, code, said(error), error.chain().find_map(field)));
    }
    ExitCode::from(exit as u8)
}

fn problem(exit: Exit, code: &str, detail: String, field: Option<String>) -> Value {
    let mut problem = Map::new();
    let known = Code::ALL.iter().any(|known| known.name() == code);
    problem.insert(
        "type".into(),
        if known { format!("{}/{code}", crate::http::problem::PAGES) } else { "about:blank".into() }.into(),
    );
    let (status, title) = exit.status().map_or((None, "Failed"), |(status, title)| (Some(status), title));
    problem.insert("title".into(), title.into());
    if let Some(status) = status {
        problem.insert("status".into(), status.into());
    }
    problem.insert("detail".into(), detail.into());
    problem.insert("code".into(), code.into());
    if let Some(field) = field {
        problem.insert("field".into(), field.into());
    }
    Value::from(problem)
}

fn exit(error: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(answered) = error.downcast_ref::<Answered>() {
        return Some(if answered.code() == WHICH_TENANT { Exit::Usage } else { Exit::of_status(answered.status) });
    }
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(exit_of_change(error));
    }
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return Some(if refused.is_usage { Exit::Usage } else { Exit::Failed });
    }
    if error.is::<ChoiceError>() {
        return Some(Exit::Usage);
    }
    if error.is::<Missing>() {
        return Some(Exit::NotFound);
    }
    if error.is::<Unreachable>() || error.is::<sqlx::Error>() {
        return Some(Exit::Unavailable);
    }
    // Of a database, a start or a backup: those that are about reaching it.
    let away = ["database_unavailable", "no_database", "database_incomplete"];
    let clash = ["in_use", "would_overwrite", "schema_locked"];
    match code(error)? {
        code if away.contains(&code) => Some(Exit::Unavailable),
        code if clash.contains(&code) => Some(Exit::Conflict),
        _ => None,
    }
}

fn exit_of_change(error: &Error) -> Exit {
    match error {
        Error::NotFound(_) => Exit::NotFound,
        Error::InUse(_) | Error::Taken(..) | Error::Changed(_) => Exit::Conflict,
        Error::Refused(why) => Exit::of_status(why.code.kind().status()),
        Error::TooMany { .. } | Error::ChangesUnderWay { .. } | Error::Busy | Error::Sql(_) => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

/// An error and its causes, each said once: many errors repeat their cause.
pub fn said(error: &anyhow::Error) -> String {
    let mut all = String::new();
    for part in error.chain().map(ToString::to_string) {
        if all.is_empty() {
            all = part;
        } else if !all.contains(&part) {
            all = format!("{all}: {part}");
        }
    }
    all
}

/// Prints why a command line could not be parsed.
pub fn usage(json: bool, error: &clap::Error) -> ExitCode {
    if !json || !error.use_stderr() {
        // Whoever asked for help may leave before its end.
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(Exit::Usage as u8) } else { ExitCode::SUCCESS };
    }
    let said = error.to_string();
    // The first paragraph says what is wrong; usage and help follow.
    let first = said.split("\n\n").next().unwrap_or_default();
    let detail = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    eprintln!("{}", problem(Exit::Usage, "usage", detail, None));
    ExitCode::from(Exit::Usage as u8)
}

fn code(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(of_change(error));
    }
    if let Some(error) = error.downcast_ref::<StartError>() {
        return Some(of_start(error));
    }
    if let Some(error) = error.downcast_ref::<DatabaseError>() {
        return Some(of_database(error));
    }
    if let Some(error) = error.downcast_ref::<SchemaError>() {
        return Some(of_schema(error));
    }
    if let Some(error) = error.downcast_ref::<ClusterError>() {
        return Some(match error {
            ClusterError::Absent(_) => "no_database",
            ClusterError::Denied(_) => "no_permission",
            ClusterError::InUse(_) => "in_use",
            _ => "database_unavailable",
        });
    }
    if let Some(error) = error.downcast_ref::<BackupError>() {
        return Some(of_backup(error));
    }
    if error.is::<TreeError>() {
        return Some("files");
    }
    if error.is::<Refused>() || error.is::<ChoiceError>() {
        return Some("invalid");
    }
    if error.is::<Unsure>() {
        return Some("not_confirmed");
    }
    if error.is::<Missing>() {
        return Some("not_found");
    }
    if error.is::<Unreachable>() {
        return Some("unavailable");
    }
    if error.is::<sqlx::Error>() {
        return Some("database_unavailable");
    }
    if error.is::<KeyringError>() {
        return Some("keys");
    }
    (error.is::<figment::Error>() || error.is::<BadFilter>() || error.is::<LogError>()).then_some("settings")
}

fn of_backup(error: &BackupError) -> &'static str {
    match error {
        BackupError::File(..) => "file",
        BackupError::NotABackup(..) => "not_a_backup",
        BackupError::Exists(_) | BackupError::Occupied(_) => "would_overwrite",
        BackupError::ForeignTables(_) | BackupError::Encoding(_) => "wrong_database",
        BackupError::Newer { .. } => "schema_newer",
        BackupError::Key { .. } | BackupError::Keyring(_) => "keys",
        BackupError::Role { .. } => "no_role",
        BackupError::NoTool { .. } | BackupError::Tool { .. } => "postgres_program",
        BackupError::Schema(error) => of_schema(error),
        BackupError::Sql(_) => "database_unavailable",
    }
}

fn of_change(error: &Error) -> &'static str {
    match error {
        Error::NotFound(_) => "not_found",
        Error::Refused(why)
        | Error::Taken(why, _)
        | Error::Invalid { why, .. }
        | Error::InvalidAt { why, .. }
        | Error::Query { why, .. } => why.code.name(),
        Error::InUse(_) => Code::InUse.name(),
        Error::SecondFactor => "refused",
        Error::TooMany { .. } | Error::ChangesUnderWay { .. } | Error::Busy => "too_many_requests",
        Error::Changed(_) => "changed",
        Error::Fault(_) => "failed",
        Error::Sql(_) => "database_unavailable",
        Error::Keyring(_) => "keys",
    }
}

fn of_start(error: &StartError) -> &'static str {
    match error {
        StartError::Listen { .. } | StartError::SwitchAddressInUse(_) => "in_use",
        StartError::Database(error) => of_database(error),
        StartError::Sql(_) => "database_unavailable",
        StartError::Webhooks(_)
        | StartError::Mail(_)
        | StartError::Tls { .. }
        | StartError::Vault(_)
        | StartError::MetricsToken { .. } => "settings",
        StartError::Changes(error) => of_change(error),
    }
}

fn of_database(error: &DatabaseError) -> &'static str {
    match error {
        DatabaseError::Sql(_) | DatabaseError::Unreachable(_) | DatabaseError::Server { .. } => "database_unavailable",
        DatabaseError::NotWhole => "database_incomplete",
        DatabaseError::Unfit(error) => of_unfit(error),
        DatabaseError::Schema(error) => of_schema(error),
        DatabaseError::Keyring(_) | DatabaseError::WrongKey(_) | DatabaseError::MissingKey(_) => "keys",
    }
}

fn of_unfit(error: &Unfit) -> &'static str {
    match error {
        Unfit::Pooler => "pooler",
        Unfit::Schema { .. } => "other_schema",
        Unfit::NoCreate(_) | Unfit::NoRole { .. } => "no_role",
        Unfit::Connections(_) => "too_few_connections",
    }
}

fn of_schema(error: &SchemaError) -> &'static str {
    match error {
        SchemaError::Unfit(error) => of_unfit(error),
        SchemaError::Partial => "database_incomplete",
        SchemaError::Empty => "schema_missing",
        SchemaError::Older { .. } => "schema_older",
        SchemaError::Newer { .. } => "schema_newer",
        SchemaError::Foreign(_) => "schema_foreign",
        SchemaError::Locked { .. } => "schema_locked",
        SchemaError::Failed { .. } => "migration_failed",
        SchemaError::Sql(_) => "database_unavailable",
    }
}

fn field(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    match error.downcast_ref::<Error>() {
        Some(Error::Invalid { field, .. } | Error::Query { field, .. }) => Some((*field).to_owned()),
        Some(Error::InvalidAt { field, .. }) => Some(field.clone()),
        _ => error.downcast_ref::<Refused>()?.field.clone(),
    }
}
