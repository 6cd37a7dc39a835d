//! `import` and `export`: between a tenant and static FreeSWITCH files.

use std::path::PathBuf;

use clap::Args;

use super::{
    local::{Local, author},
    print, progress,
    resources::tenant_id,
};
use crate::{
    app::settings::Settings,
    switch::{export, import},
};

#[derive(Args)]
pub struct ImportArgs {
    /// Id or domain
    #[arg(long)]
    tenant: String,
    /// Keep extensions of the dialplan that entries can't say as XML, where that passes the check
    #[arg(long)]
    keep_xml: bool,
    /// Only say what would be taken
    #[arg(long)]
    dry_run: bool,
    /// A folder with freeswitch.xml, or with the folders directory and dialplan
    folder: PathBuf,
}

#[derive(Args)]
pub struct ExportArgs {
    /// Id or domain
    #[arg(long)]
    tenant: String,
    /// A folder that is new or empty
    folder: PathBuf,
}

pub async fn import(settings: &Settings, json: bool, args: ImportArgs) -> anyhow::Result<()> {
    let (tree, refused) = import::read(&args.folder)?;
    let local = Local::open(settings).await?;
    let done = async {
        let tenant = tenant_id(&local, &args.tenant).await?;
        let bar = progress::bar("users", 0);
        let mut change = local.changes.begin(author()).await?;
        let progress = |at: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(at as u64);
        };
        let report = import::import(&mut change, tenant, &tree, args.keep_xml, progress).await?;
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
    for note in refused {
        println!("not run    {note}");
    }
    for line in &report.left {
        println!("left       {} {}: {}", line.kind, line.name, line.note);
    }
    for line in report.taken.iter().filter(|line| !line.note.is_empty()) {
        println!("taken      {} {}: {}", line.kind, line.name, line.note);
    }
    for made in report.made.iter().filter(|_| !args.dry_run) {
        let part =
            |name: &str, secret: &Option<String>| secret.as_ref().map(|s| format!(" {name} {s}")).unwrap_or_default();
        println!(
            "new secret {}:{}{}",
            made.number,
            part("password", &made.sip_password),
            part("PIN", &made.voicemail_pin)
        );
    }
    let taken = report.taken.len();
    let verb = if args.dry_run { "would be taken" } else { "taken" };
    println!("{taken} {verb}, {} left.", report.left.len());
    Ok(())
}

pub async fn export(settings: &Settings, json: bool, args: ExportArgs) -> anyhow::Result<()> {
    let is_empty =
        |folder: &std::path::Path| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    anyhow::ensure!(!args.folder.exists() || is_empty(&args.folder), "{} is not empty", args.folder.display());
    let local = Local::open(settings).await?;
    let done = async {
        let tenant = tenant_id(&local, &args.tenant).await?;
        let mut db = local.changes.pool().acquire().await?;
        let spinner = progress::spinner("writing the tenant's files");
        let report = export::export(&mut db, local.changes.keyring(), tenant, &args.folder).await;
        spinner.finish_and_clear();
        anyhow::Ok(report?)
    };
    let report = done.await;
    local.close().await?;
    let report = report?;
    if json {
        return print::one(true, &report);
    }
    println!("{} users and {} extensions of the dialplan in {} files.", report.users, report.dialplan, report.files);
    println!("They hold password hashes, PINs and carriers' passwords: keep them as you keep those.");
    for missing in &report.missing {
        println!("missing    {missing}");
    }
    Ok(())
}
