//! `apply` and `export --as`: what a tenant has as one file. Things are named by what people know them by, never by ids, so the same
//! file serves another tenant, too. Fields that the file does not have stay as they are.

mod apply;
mod compare;
mod file;
mod plan;
mod references;
mod state;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use self::{
    file::{Company, SECTIONS, SINGLES},
    state::State,
};
use super::{
    nouns::{Description, read, tenant_id},
    print, progress, reader,
    sure::Sure,
    transfer::{ExportArgs, Format},
    wire::Api,
};

#[derive(Args)]
pub struct ApplyArgs {
    /// A YAML or JSON file as `dialplane export --as yaml` writes it, or `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// The tenant to change, by its id or domain; by default the one that the file names, which is created if there is none
    #[arg(long)]
    tenant: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Also delete what the file does not name (asks first)
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    sure: Sure,
}

pub async fn apply(api: &Api, json: bool, args: &ApplyArgs) -> anyhow::Result<()> {
    let description = Description::own();
    let mut company = Company::read(&description, read(&args.file)?)?;
    let tenant = match (&args.tenant, company.domain()) {
        (Some(named), _) => Some(tenant_id(api, named).await?),
        (None, Some(domain)) => state::tenant_by_domain(api, domain).await?,
        (None, None) => None,
    };
    let spinner = progress::spinner("reading what the tenant has");
    let state = State::read(api, &description, tenant, Some(&company)).await;
    spinner.finish_and_clear();
    let state = state?;
    // An external id is one tenant's alone. Another that is made like it keeps its own.
    if args.tenant.is_some() && company.domain().is_some_and(|domain| state.own("domain").as_str() != Some(domain)) {
        company.tenant.remove("external_id");
    }
    let plan = plan::plan(&company, &state, args.prune)?;
    if args.dry_run {
        return tell(json, &plan.report(), true);
    }
    if plan.suspends() {
        args.sure.ask("The tenant's phones will be refused, and its calls will end.")?;
    }
    let doomed = plan.deletions();
    if doomed > 0 {
        args.sure.ask(&format!("{doomed} things that the file does not name will be deleted."))?;
    }
    let bar = progress::bar("changes", plan.steps());
    let done = apply::carry_out(api, &description, plan, || bar.inc(1)).await;
    bar.finish_and_clear();
    tell(json, &done?, false)
}

fn tell(json: bool, report: &plan::Report, dry_run: bool) -> anyhow::Result<()> {
    if json {
        return print::one(true, report);
    }
    for line in &report.created {
        println!("+ {line}");
    }
    for line in &report.updated {
        println!("~ {line}");
    }
    for line in &report.deleted {
        println!("- {line}");
    }
    let plan::Report { created, updated, deleted, kept, .. } = report;
    let would = if dry_run { "would be " } else { "" };
    println!(
        "{} {would}created, {} changed, {} deleted, {} as they are.",
        created.len(),
        updated.len(),
        deleted.len(),
        report.unchanged
    );
    if *kept > 0 {
        println!("The tenant has {kept} more that the file does not name; --prune deletes them.");
    }
    Ok(())
}

pub async fn export(api: &Api, args: &ExportArgs) -> anyhow::Result<()> {
    let description = Description::own();
    let tenant = tenant_id(api, &args.tenant).await?;
    let spinner = progress::spinner("reading what the tenant has");
    let state = State::read(api, &description, Some(tenant), None).await;
    spinner.finish_and_clear();
    let value = Value::from(state?.export());
    let text = match args.format {
        Some(Format::Json) => format!("{value:#}\n"),
        _ => yaml(&value)?,
    };
    match args.folder.as_deref().filter(|file| *file != Path::new("-")) {
        None => reader::write(text.as_bytes()),
        Some(file) => std::fs::write(file, text).with_context(|| format!("{} can't be written", file.display())),
    }
}

/// A file as YAML, with what is about the tenant first.
fn yaml(value: &Value) -> anyhow::Result<String> {
    let mut text = String::new();
    let singles = SINGLES.iter().map(|single| single.name);
    let sections = ["tenant"].into_iter().chain(singles).chain(SECTIONS.iter().map(|section| section.name));
    for name in sections.filter(|name| value.get(name).is_some()) {
        text.push_str(&written(&serde_json::json!({ name: value[name] }))?);
    }
    Ok(text)
}

fn written(value: &Value) -> anyhow::Result<String> {
    let mut text = serde_saphyr::to_string(value).context("the tenant can't be written as YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_that_look_like_something_else_in_yaml_come_back_as_texts() {
        for text in [
            "1000",
            "0100",
            "+4930123456",
            "no",
            "NO",
            "yes",
            "on",
            "off",
            "y",
            "true",
            "null",
            "~",
            "",
            " a ",
            "1e3",
            "0x1f",
            "1_000",
            "12:30",
            "12:30:45",
            "2026-11-26",
            "- a",
            "a: b",
            "a #b",
            "#a",
            "*81",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{a",
            "[a",
            "|",
            ">",
            "'",
            "\"",
            "\\",
            "a\nb",
            "a\n",
            "\na",
            "a\tb",
            "<<",
            "=",
            ".inf",
            ".nan",
            "\u{85}",
            "\u{2028}",
            "\u{7f}",
            "ä",
            "😀",
            "---",
            "...",
            "?",
            ": ",
            "-",
        ] {
            let value = json!({ "a": text, "b": [text, { "c": text }], text: 1 });
            let written = written(&value).unwrap();
            let read = serde_saphyr::from_str::<Value>(&written)
                .unwrap_or_else(|error| panic!("{text:?}: {error}: {written}"));
            assert_eq!(read, value, "{written}");
        }
        let value = json!({ "n": null, "t": true, "f": false, "i": -5, "e": [], "o": {}, "l": [[1, 2], []], "d": 1.5 });
        assert_eq!(serde_saphyr::from_str::<Value>(&written(&value).unwrap()).unwrap(), value);
    }
}
