//! `import` and `export`: a tenant from and to static FreeSWITCH files.

use std::path::PathBuf;

use clap::Args;

use super::{
    failure::Missing,
    local::{Local, author},
    print, progress,
    resources::tenant_id,
};
use crate::{
    app::settings::Settings,
    switch::{
        export,
        import::{self, Line, Report, Wish},
    },
    tenancy::tenants,
};

/// The most names on one line of a report.
const SHOWN: usize = 10;

#[derive(Args)]
pub struct ImportArgs {
    /// Id or domain
    #[arg(long)]
    tenant: String,
    /// The domain to import, if the files have several
    #[arg(long)]
    domain: Option<String>,
    /// Import a dialplan extension as an XML entry if no other kind of entry can do the same and its XML is allowed
    #[arg(long)]
    keep_xml: bool,
    /// Only show what would be imported
    #[arg(long)]
    dry_run: bool,
    /// A folder with freeswitch.xml, or with the subfolders directory and dialplan
    folder: PathBuf,
}

#[derive(Args)]
pub struct ExportArgs {
    /// Id or domain
    #[arg(long)]
    pub tenant: String,
    /// Print the tenant as one file for `dialplane apply`, instead of writing static files
    #[arg(long = "as", value_name = "FORMAT")]
    pub format: Option<Format>,
    /// A new or empty folder for static files; with --as, a file to write instead of standard output
    #[arg(required_unless_present = "format")]
    pub folder: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Format {
    Yaml,
    Json,
}

pub async fn import(settings: &Settings, json: bool, args: ImportArgs) -> anyhow::Result<()> {
    let files = import::read(&args.folder)?;
    let local = Local::open(settings).await?;
    let done = async {
        let tenant = tenant_id(&local, &args.tenant).await?;
        let home = tenants::store::get(local.changes.pool(), tenant).await?;
        let home = home.ok_or_else(|| Missing("there is no such tenant".into()))?;
        let domain = files.choose(args.domain.as_deref(), home.domain.as_str())?;
        let bar = progress::bar("users", 0);
        let mut change = local.changes.begin(author()).await?;
        let progress = |at: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(at as u64);
        };
        let wish = Wish { domain: &domain, keep_xml: args.keep_xml };
        let report = import::import(&mut change, tenant, &files, wish, progress).await?;
        bar.finish_and_clear();
        if !args.dry_run {
            change.commit().await?;
        }
        anyhow::Ok(report)
    };
    let report = done.await;
    local.close().await?;
    let report = report?;
    if json {
        return print::one(true, &report);
    }
    tell(&report, args.dry_run);
    Ok(())
}

fn tell(report: &Report, dry_run: bool) {
    for note in &report.files {
        println!("file       {note}");
    }
    told_alike("left", report.left.iter());
    told_alike("taken", report.taken.iter().filter(|line| !line.note.is_empty()));
    for made in report.made.iter().filter(|_| !dry_run) {
        let part =
            |name: &str, secret: &Option<String>| secret.as_ref().map(|s| format!(" {name} {s}")).unwrap_or_default();
        println!(
            "new secret {}:{}{}",
            made.number,
            part("password", &made.sip_password),
            part("PIN", &made.voicemail_pin)
        );
    }
    for dial in &report.dials {
        println!("call       {} went: {}", dial.dialled, dial.before);
        println!("           {:width$} goes: {}", "", dial.after, width = dial.dialled.len());
    }
    let verb = if dry_run { "would be taken" } else { "taken" };
    let from = if report.domain.is_empty() { String::new() } else { format!(" from the domain {}", report.domain) };
    println!("{} {verb}{from}, {} left.", report.taken.len(), report.left.len());
}

/// Merges lines with the same note, so that a note about a thousand users is printed once.
fn told_alike<'a>(what: &str, lines: impl Iterator<Item = &'a Line>) {
    let mut groups: Vec<(&str, &str, Vec<&Line>)> = Vec::new();
    for line in lines {
        match groups.iter_mut().find(|(kind, note, _)| (*kind, *note) == (line.kind, &line.note)) {
            Some((_, _, group)) => group.push(line),
            None => groups.push((line.kind, &line.note, vec![line])),
        }
    }
    for (kind, note, lines) in groups {
        let names = lines.iter().take(SHOWN).map(|line| line.name.as_str()).collect::<Vec<_>>().join(", ");
        let more = lines.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        println!("{what:<10} {kind} {names}{more} ({}): {note}", lines[0].place);
    }
}

pub async fn export(settings: &Settings, json: bool, args: ExportArgs) -> anyhow::Result<()> {
    let Some(target) = args.folder else { return Ok(()) };
    let is_empty =
        |folder: &std::path::Path| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    anyhow::ensure!(!target.exists() || is_empty(&target), "{} is not empty", target.display());
    let local = Local::open(settings).await?;
    let done = async {
        let tenant = tenant_id(&local, &args.tenant).await?;
        let mut db = local.changes.pool().acquire().await?;
        let spinner = progress::spinner("writing the tenant's files");
        let report = export::export(&mut db, local.changes.keyring(), tenant, &target).await;
        spinner.finish_and_clear();
        anyhow::Ok(report?)
    };
    let report = done.await;
    local.close().await?;
    let report = report?;
    if json {
        return print::one(true, &report);
    }
    println!("{} users and {} dialplan extensions in {} files.", report.users, report.dialplan, report.files);
    println!("They contain password hashes, PINs and carriers' passwords: keep them safe.");
    for missing in &report.missing {
        println!("missing    {missing}");
    }
    Ok(())
}
