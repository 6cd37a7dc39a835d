//! `carrier` and `route`: what outbound calls cost, and why calls go where they go.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use uuid::Uuid;

use super::{
    failure::Missing,
    local::{Local, author},
    print, progress,
    resources::{moment, tenant_id},
};
use crate::{
    app::settings::Settings,
    model::paging::Window,
    switch::simulate::{
        explain::{self, Question},
        preview,
    },
    telephony::carriers::{rates, store},
};

#[derive(Subcommand)]
pub enum CarrierCommand {
    /// List carriers with their rates and health
    List,
    /// Replace a carrier's rates with a CSV file
    ///
    /// Columns are recognised by their headings, in any order: prefix, price, first_seconds, step_seconds, effective_date, and the names
    /// that other systems use for them.
    Rates {
        /// Id or name
        carrier: String,
        file: PathBuf,
        /// Only show how the file is read and what it would change
        #[arg(long)]
        preview: bool,
    },
}

#[derive(Subcommand)]
pub enum RouteCommand {
    /// Explain where a call would go and why, without counting or changing anything
    Explain {
        /// Id or domain
        #[arg(long)]
        tenant: String,
        /// The calling extension: its number, alias or SIP username
        #[arg(long)]
        caller: Option<String>,
        /// The number that the caller shows
        #[arg(long)]
        caller_number: Option<String>,
        /// When, such as 2026-12-24T18:00:00Z; by default now
        #[arg(long, value_parser = moment::<jiff::Timestamp>)]
        at: Option<jiff::Timestamp>,
        /// The number dialled
        number: String,
    },
    /// Show what a call to a number costs over each carrier
    Preview {
        /// Id or domain
        #[arg(long)]
        tenant: String,
        number: String,
    },
}

pub async fn carrier(settings: &Settings, json: bool, command: CarrierCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let done = async {
        match command {
            CarrierCommand::List => {
                let carriers = store::list(local.changes.pool(), Window::FIRST).await?;
                print::many(json, &carriers, &["name", "status", "gateway", "rates", "priority", "id"], &local.place)
            }
            CarrierCommand::Rates { carrier, file, preview } => upload(&local, json, &carrier, &file, preview).await,
        }
    };
    let done = done.await;
    local.close().await?;
    done
}

async fn upload(
    local: &Local,
    json: bool,
    carrier: &str,
    file: &std::path::Path,
    is_preview: bool,
) -> anyhow::Result<()> {
    let id = carrier_id(local, carrier).await?;
    let text = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    let now = chrono::Utc::now();
    let sheet = rates::read(&text, now)?;
    let bar = progress::bar("rates", sheet.len());
    let mut change = local.changes.begin(author()).await?;
    let report = rates::replace(&mut change, id, sheet, now, |done| bar.set_position(done as u64)).await?;
    bar.finish_and_clear();
    if json {
        print::one(true, &report)?;
    } else {
        report_on(&report, is_preview);
    }
    if report.refused > 0 {
        anyhow::bail!("{} lines have errors; the carrier keeps its rates", report.refused);
    }
    if !is_preview {
        change.commit().await?;
    }
    Ok(())
}

/// A report for a person.
fn report_on(report: &rates::Report, is_preview: bool) {
    for column in &report.columns {
        let head = column.head.as_deref().unwrap_or("(no heading)");
        let meaning = serde_json::to_value(column.meaning).unwrap_or_default();
        let example = match (&column.example, &column.read_as) {
            (Some(example), Some(read_as)) => format!(": {example:?} is read as {read_as}"),
            _ => String::new(),
        };
        println!("column {} {head:?}: {}{example}", column.column, meaning.as_str().unwrap_or_default());
    }
    for line in &report.lines {
        eprintln!("line {}: {}", line.line, line.reason);
    }
    for warning in &report.warnings {
        let first = warning.prefixes.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
        eprintln!("{} prefixes {}: {first}", warning.count, warning.kind.sentence());
    }
    if report.refused == 0 {
        let (rates, kept) = (report.rates, report.kept);
        let done = if is_preview { "would be in force" } else { "are in force" };
        println!("{rates} rates {done}; {kept} earlier rates stay until their replacements begin");
    }
}

async fn carrier_id(local: &Local, carrier: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = carrier.parse() {
        return Ok(id);
    }
    let all = store::list(local.changes.pool(), Window::FIRST).await?;
    let found = all.into_iter().find(|known| known.name.as_str() == carrier);
    Ok(found.ok_or_else(|| Missing(format!("there is no carrier named {carrier}")))?.id)
}

pub async fn route(settings: &Settings, json: bool, command: RouteCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let done = async {
        match command {
            RouteCommand::Explain { tenant, caller, caller_number, at, number } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let mut db = local.changes.pool().acquire().await?;
                let caller = match caller {
                    Some(name) => Some(
                        crate::switch::simulate::caller(&mut *db, tenant, &name)
                            .await?
                            .ok_or_else(|| Missing(format!("the tenant has no extension {name}")))?,
                    ),
                    None => None,
                };
                let question = Question {
                    tenant,
                    number: &number,
                    caller: caller.as_ref(),
                    caller_number: caller_number.as_deref(),
                    at: at.unwrap_or_else(jiff::Timestamp::now),
                };
                let explanation = explain::explain(&mut db, &question)
                    .await?
                    .ok_or_else(|| Missing("there is no such tenant".into()))?;
                if json {
                    return print::one(true, &explanation);
                }
                told(&explanation);
                Ok(())
            }
            RouteCommand::Preview { tenant, number } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let mut db = local.changes.pool().acquire().await?;
                let preview = preview::preview(&mut db, tenant, &number)
                    .await?
                    .ok_or_else(|| Missing("there is no such tenant".into()))?;
                if json {
                    return print::one(true, &preview);
                }
                if let Some(refusal) = preview.refusal {
                    println!("The tenant's rules refuse {}: {}.", preview.number, refusal.name());
                }
                print::many(
                    false,
                    &preview.carriers,
                    &["rank", "carrier", "prefix", "price", "sick", "dialled"],
                    &local.place,
                )
            }
        }
    };
    let done = done.await;
    local.close().await?;
    done
}

/// Prints an explanation for a person: every rule that was tried, what the switch runs, and the XML.
fn told(explanation: &explain::Explanation) {
    for step in &explanation.steps {
        println!("Dialled: {}", step.dialled);
        for tried in &step.tried {
            let mark = if tried.matched { "+" } else { "-" };
            println!("  {mark} {:16} {}", tried.rule, tried.detail);
        }
        println!("  = {}", step.route);
        for action in &step.actions {
            println!("    {} {}", action.application, action.data);
        }
    }
    match &explanation.cause {
        Some(cause) => println!("Refused: {}, which the caller hears as {cause}.", explanation.result),
        None => println!("Result: {}", explanation.result),
    }
    if let Some(last) = explanation.steps.last() {
        println!("\n{}", last.xml.trim_end());
    }
}
