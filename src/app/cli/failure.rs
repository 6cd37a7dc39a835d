//! Why a command failed: a line for a person, or JSON for a script. The JSON has `code` and `detail` and, if one value is to
//! blame, its `field`. Scripts should only rely on the code.

use std::process::ExitCode;

use serde::Serialize;

use super::sure::Unsure;
use crate::{
    app::{StartError, backup::BackupError, embedded::ClusterError, telemetry::BadFilter},
    http::problem::Problem,
    model::error::Error,
    node::{database::DatabaseError, fitness::Unfit, schema::SchemaError},
    switch::import::{ChoiceError, TreeError},
    text::{Code, keyring::KeyringError},
};

#[derive(Serialize)]
struct Failure {
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// A value on the command line that is not valid.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    detail: String,
    field: Option<String>,
}

impl Refused {
    pub fn because(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), field: None }
    }
}

/// Something named on the command line that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let reason = problem.reason();
        Self { detail: reason.reason, field: reason.field }
    }
}

/// Prints why a command failed.
pub fn report(json: bool, error: &anyhow::Error) -> ExitCode {
    if json {
        let code = error.chain().find_map(code).unwrap_or("failed");
        print(&Failure { code, detail: said(error), field: error.chain().find_map(field) });
    } else {
        eprintln!("dialplane: {}", said(error));
    }
    if error.chain().any(|error| matches!(error.downcast_ref(), Some(DatabaseError::Unreachable(_)))) {
        return ExitCode::from(NO_DATABASE);
    }
    ExitCode::FAILURE
}

/// The exit code when there is no Postgres: `EX_UNAVAILABLE` of sysexits.h. It may be there the next time.
const NO_DATABASE: u8 = 69;

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
        error.exit();
    }
    let said = error.to_string();
    // The first paragraph says what is wrong; usage and help follow.
    let first = said.split("\n\n").next().unwrap_or_default();
    let detail = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    print(&Failure { code: "usage", detail, field: None });
    ExitCode::from(2)
}

fn print(failure: &Failure) {
    // These are strings, so this can't fail.
    eprintln!("{}", serde_json::to_string(failure).unwrap_or_default());
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
    if error.is::<sqlx::Error>() {
        return Some("database_unavailable");
    }
    if error.is::<KeyringError>() {
        return Some("keys");
    }
    (error.is::<figment::Error>() || error.is::<BadFilter>()).then_some("settings")
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
        Error::Refused(why) | Error::Invalid { why, .. } | Error::InvalidAt { why, .. } | Error::Query { why, .. } => {
            why.code.name()
        }
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
        StartError::Mail(_) | StartError::Tls { .. } | StartError::MetricsToken { .. } => "settings",
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
