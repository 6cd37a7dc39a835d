//! `carrier rates` and `route`: what outbound calls cost, and why calls go where they go.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    failure::Answered,
    file,
    nouns::{self, Description, encoded, tenant_id},
    print, progress,
    resources::moment,
    wire::{Api, Call},
};
use crate::telephony::carriers::rates::WarningKind;

#[derive(Subcommand)]
pub enum CarrierCommand {
    /// Replace a carrier's rates with a CSV file
    ///
    /// Columns are recognised by their headings, in any order: prefix, price, first_seconds, step_seconds, effective_date, and the names
    /// that other systems use for them.
    Rates {
        /// Id or name
        carrier: String,
        /// A CSV file, or `-` for standard input
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

pub async fn carrier(api: &Api, json: bool, command: &CarrierCommand) -> anyhow::Result<()> {
    let CarrierCommand::Rates { carrier, file, preview } = command;
    let text = file::read(file)?;
    let path = nouns::path_of(api, &Description::own(), "carrier", carrier).await?;
    let call = if *preview {
        Call::csv("POST", format!("{path}/rates/preview"), text)
    } else {
        Call::csv("PUT", format!("{path}/rates"), text)
    };
    let spinner = progress::spinner("reading and storing the rates");
    let answer = api.call(&call).await;
    spinner.finish_and_clear();
    // A sheet with errors is answered with what is wrong in it.
    let (report, refused) = match answer {
        Ok(report) => (report, None),
        Err(error) => match error.downcast_ref::<Answered>().and_then(Answered::report) {
            Some(report) => (report.clone(), Some(error)),
            None => return Err(error),
        },
    };
    if json {
        print::one(true, &report)?;
    } else {
        report_on(&report, *preview);
    }
    if let Some(error) = refused {
        return Err(error);
    }
    let wrong = report["refused"].as_u64().unwrap_or_default();
    anyhow::ensure!(wrong == 0, "{wrong} lines have errors; the carrier keeps its rates");
    Ok(())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A report for a person.
fn report_on(report: &Value, is_preview: bool) {
    for column in items(&report["columns"]) {
        let head = column["head"].as_str().unwrap_or("(no heading)");
        let example = match (column["example"].as_str(), column["read_as"].as_str()) {
            (Some(example), Some(read_as)) => format!(": {example:?} is read as {read_as}"),
            _ => String::new(),
        };
        println!("column {} {head:?}: {}{example}", column["column"], text(&column["meaning"]));
    }
    for line in items(&report["lines"]) {
        eprintln!("line {}: {}", line["line"], text(&line["reason"]));
    }
    for warning in items(&report["warnings"]) {
        let first = items(&warning["prefixes"]).take(10).map(text).collect::<Vec<_>>().join(", ");
        let kinds = [
            ("priced_as_before", WarningKind::PricedAsBefore),
            ("no_longer_priced", WarningKind::NoLongerPriced),
            ("not_yet_priced", WarningKind::NotYetPriced),
        ];
        let kind = kinds.into_iter().find(|(name, _)| warning["kind"] == *name);
        let sentence = kind.map(|(_, kind)| kind.sentence()).unwrap_or_default();
        eprintln!("{} prefixes {sentence}: {first}", warning["count"]);
    }
    if report["refused"] == 0 {
        let done = if is_preview { "would be in force" } else { "are in force" };
        println!(
            "{} rates {done}; {} earlier rates stay until their replacements begin",
            report["rates"], report["kept"]
        );
    }
}

pub async fn route(api: &Api, json: bool, command: RouteCommand) -> anyhow::Result<()> {
    match command {
        RouteCommand::Explain { tenant, caller, caller_number, at, number } => {
            let tenant = tenant_id(api, &tenant).await?;
            let question = json!({ "number": number, "caller": caller, "caller_number": caller_number, "at": at });
            let path = format!("/v1/routes/explain?tenant_id={tenant}");
            let explanation = api.call(&Call::new("POST", path, Some(question))).await?;
            if json {
                return print::one(true, &explanation);
            }
            told(&explanation);
            Ok(())
        }
        RouteCommand::Preview { tenant, number } => {
            let tenant = tenant_id(api, &tenant).await?;
            let path = format!("/v1/routes/preview?tenant_id={tenant}&number={}", encoded(&number));
            let preview = api.call(&Call::get(path)).await?;
            if json {
                return print::one(true, &preview);
            }
            if let Some(refusal) = preview["refusal"].as_str() {
                println!("The tenant's rules refuse {}: {refusal}.", text(&preview["number"]));
            }
            let carriers = items(&preview["carriers"]).collect::<Vec<_>>();
            print::many(false, &carriers, &["rank", "carrier", "prefix", "price", "sick", "dialled"], &api.place)
        }
    }
}

/// Prints an explanation for a person: every rule that was tried, what the switch runs, and the XML.
fn told(explanation: &Value) {
    for step in items(&explanation["steps"]) {
        println!("Dialled: {}", text(&step["dialled"]));
        for tried in items(&step["tried"]) {
            let mark = if tried["matched"] == true { "+" } else { "-" };
            println!("  {mark} {:16} {}", text(&tried["rule"]), text(&tried["detail"]));
        }
        println!("  = {}", text(&step["route"]));
        for action in items(&step["actions"]) {
            println!("    {} {}", text(&action["application"]), text(&action["data"]));
        }
    }
    let result = text(&explanation["result"]);
    match explanation["cause"].as_str() {
        Some(cause) => println!("Refused: {result}, which the caller hears as {cause}."),
        None => println!("Result: {result}"),
    }
    if let Some(last) = items(&explanation["steps"]).last() {
        println!("\n{}", text(&last["xml"]).trim_end());
    }
}
