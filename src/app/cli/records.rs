//! `record`: call records that can't be read, and those that a switch could not post and wrote into files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::DateTime;
use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;

use super::{failure::Missing, local::Local, print, progress, reader};
use crate::{
    app::settings::Settings,
    telephony::calls::{
        inbox::{Inbox, Outcome},
        posted::{self, MAX_RECORD, Posted, channel},
        store,
    },
    tenancy::switches,
    text::SwitchName,
};

/// Where the files go whose records are kept.
const KEPT: &str = "kept";

#[derive(Subcommand)]
pub enum RecordCommand {
    /// List call records that can't be read, oldest first
    ///
    /// Their calls keep what was reserved for them. To replace an unreadable record, post a corrected one of the same leg to
    /// /fs/cdr?uuid=LEG. A newer version of Dialplane that can read it does so by itself.
    List,
    /// Print a call record as the switch posted it
    Show {
        /// The channel's UUID, as `list` shows it
        leg: String,
    },
    /// Import the records that a switch could not post
    ///
    /// mod_json_cdr and mod_xml_cdr write such records to files such as UUID.cdr.json in their err-log-dir. Once a record is saved, its file
    /// is moved to the folder `kept` in DIR; the other files stay. It does no harm to import a record twice.
    Import {
        /// The folder with the files
        dir: PathBuf,
        /// The switch that wrote them; not needed if there is only one
        #[arg(long)]
        switch: Option<SwitchName>,
    },
}

/// What became of the files.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Records that are new.
    kept: usize,
    /// Those among them that can't be read yet.
    unreadable: usize,
    /// Records that were there already.
    known: usize,
    /// Files that are no records.
    others: usize,
    /// Files that stay because of a fault.
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Failed {
    file: String,
    why: String,
}

pub async fn record(settings: &Settings, json: bool, command: RecordCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let done = async {
        match command {
            RecordCommand::List => {
                let records =
                    store::unreadable(local.changes.pool(), DateTime::UNIX_EPOCH, "", i64::from(i32::MAX)).await?;
                print::many(json, &records, &["leg", "received_at", "bytes", "reason"], &local.place)
            }
            RecordCommand::Show { leg } => {
                let body = store::unreadable_body(local.changes.pool(), &posted::names(&leg)).await?;
                let body =
                    body.ok_or_else(|| Missing(format!("there is no unreadable call record for the leg {leg}")))?;
                reader::write(&body)
            }
            RecordCommand::Import { dir, switch } => {
                let report = import(&local, &dir, switch.as_ref()).await?;
                let failed = report.failed.len();
                if json {
                    print::one(true, &report)?;
                } else {
                    for Failed { file, why } in &report.failed {
                        eprintln!("{file}: {why}");
                    }
                    let Report { kept, unreadable, known, others, .. } = report;
                    println!(
                        "{kept} kept ({unreadable} can't be read yet), {known} known before, {others} other files, {failed} failed"
                    );
                }
                anyhow::ensure!(failed == 0, "{failed} files stay where they are");
                Ok(())
            }
        }
    };
    let done = done.await;
    local.close().await?;
    done
}

async fn import(local: &Local, dir: &Path, switch: Option<&SwitchName>) -> anyhow::Result<Report> {
    let pool = local.changes.pool();
    let switch = match switch {
        Some(name) => switches::store::by_name(pool, name).await?.map(|switch| switch.id),
        None => {
            match &switches::store::list(
                pool,
                &switches::store::Filter::default(),
                &crate::model::paging::Window::FIRST.into(),
            )
            .await?[..]
            {
                [only] => Some(only.id),
                [] => None,
                _ => anyhow::bail!("say which switch wrote the records: --switch NAME"),
            }
        }
    };
    let switch = switch.ok_or_else(|| Missing("there is no such switch".into()))?;
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    fs::create_dir_all(dir.join(KEPT)).with_context(|| dir.join(KEPT).display().to_string())?;
    let inbox = Inbox::new(pool.clone());
    let bar = progress::bar("records", files.len());
    let mut report = Report::default();
    for file in files {
        match leg_of(&file) {
            None => report.others += 1,
            Some(leg) => match take(&inbox, leg, switch, &file).await {
                Ok(Outcome::Read) => report.kept += 1,
                Ok(Outcome::Unreadable) => (report.kept, report.unreadable) = (report.kept + 1, report.unreadable + 1),
                Ok(Outcome::Known) => report.known += 1,
                Err(why) => report.failed.push(Failed { file: file.display().to_string(), why: format!("{why:#}") }),
            },
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(report)
}

/// The leg in a file's name: `[a_]UUID.cdr.json` or `.xml` (`backup_cdr` in mod_json_cdr.c, `my_on_reporting_cb` in mod_xml_cdr.c).
fn leg_of(file: &Path) -> Option<Uuid> {
    let name = file.file_name()?.to_str()?;
    let name = name.strip_suffix(".json").or_else(|| name.strip_suffix(".xml"))?;
    channel(name.strip_suffix(".cdr").unwrap_or(name))
}

/// Keeps the record of one file, and only then moves the file away.
async fn take(inbox: &Inbox, leg: Uuid, switch: Uuid, file: &Path) -> anyhow::Result<Outcome> {
    let size = fs::metadata(file)?.len();
    anyhow::ensure!(size <= MAX_RECORD as u64, "it is larger than any record: {size} bytes");
    let body = fs::read(file)?;
    let outcome = inbox.keep(&Posted { leg, switch, body: body.into() }).await?;
    let kept = file.parent().unwrap_or(file).join(KEPT).join(file.file_name().unwrap_or_default());
    match fs::rename(file, &kept) {
        // Somebody else imports the same folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(outcome),
        moved => {
            moved.map(|()| outcome).with_context(|| format!("it is kept, but could not be moved to {}", kept.display()))
        }
    }
}
