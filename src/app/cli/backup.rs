//! `backup` and `restore`: write the whole database to one file, and restore it.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    local::{Database, Local},
    print, progress, restored, serve,
};
use crate::app::{
    backup::{self, Place},
    settings::Settings,
};

/// How long running nodes have to poll the restored database.
const HEARD: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct BackupArgs {
    /// Replace the file if there is one
    #[arg(long)]
    yes: bool,
    /// The file to write, such as dialplane-2026-11-26.backup
    file: PathBuf,
}

#[derive(Args)]
pub struct RestoreArgs {
    /// Replace the database's content; this can't be undone
    #[arg(long)]
    yes: bool,
    /// Only check that the file is complete, and say what is in it
    #[arg(long)]
    check: bool,
    /// A file that `dialplane backup` wrote
    file: PathBuf,
}

fn place(settings: &Settings, database: &Database) -> Place {
    match &settings.database_url {
        Some(url) => Place::of_url(url),
        None => Place::private(&database.options),
    }
}

pub async fn backup(settings: &Settings, json: bool, args: BackupArgs) -> anyhow::Result<()> {
    let database = Database::borrow(settings).await?;
    let bar = progress::bytes("written");
    let progress = |done: u64, _: Option<u64>| bar.set_position(done);
    let done = backup::backup(&database.options, &place(settings, &database), &args.file, args.yes, &progress).await;
    bar.finish_and_clear();
    database.close();
    let manifest = done?;
    if json {
        return print::one(true, &manifest);
    }
    let rows = manifest.tables.values().sum::<i64>();
    println!("{}: {rows} rows from {} tables, {} bytes.", args.file.display(), manifest.tables.len(), manifest.bytes);
    println!(
        "Its secrets are sealed with the key{} {}, which {} not in this file: keep a copy of {} elsewhere.",
        if manifest.keys.len() == 1 { "" } else { "s" },
        manifest.keys.join(", "),
        if manifest.keys.len() == 1 { "is" } else { "are" },
        settings.key_file().display()
    );
    Ok(())
}

pub async fn restore(settings: &Settings, json: bool, args: RestoreArgs) -> anyhow::Result<()> {
    let bar = progress::bytes("checked");
    let progress = |done: u64, all: Option<u64>| {
        bar.set_length(all.unwrap_or_default());
        bar.set_position(done);
    };
    let opened = backup::open(&args.file, &progress);
    bar.finish_and_clear();
    let opened = opened?;
    if args.check {
        if json {
            return print::one(true, &opened.manifest);
        }
        let manifest = &opened.manifest;
        let tenants = manifest.tables.get("tenants").copied().unwrap_or_default();
        println!(
            "{} is complete: {tenants} tenants, made at {} by dialplane {}.",
            args.file.display(),
            manifest.made_at.format("%F %T UTC"),
            manifest.program
        );
        return Ok(());
    }
    let database = Database::borrow_or_make(settings).await?;
    let bar = progress::bytes("restored");
    let progress = |done: u64, all: Option<u64>| {
        bar.set_length(all.unwrap_or_default());
        bar.set_position(done);
    };
    let to = place(settings, &database);
    let done = opened.restore(&database.options, &to, &settings.key_file(), args.yes, &progress).await;
    bar.finish_and_clear();
    let applied = match done {
        // The backup may be from an older version.
        Ok(()) => serve::bring_up_to_date(settings, &database.options, json).await,
        Err(error) => Err(error.into()),
    };
    let named = database.place(settings);
    database.close();
    let applied = applied?;
    // Nodes poll four times a second; after that, the restored database knows of them.
    tokio::time::sleep(HEARD).await;
    // Begin another epoch, now waiting for those nodes to drop what they knew.
    let local = Local::open(settings).await?;
    let begun = restored::begin(&local).await;
    local.close().await?;
    let begun = begun?;
    if json {
        let told = serde_json::json!({
            "database": named, "made_at": opened.manifest.made_at, "migrations": applied,
            "epoch": begun.epoch, "visible": begun.visible,
        });
        return print::one(true, &told);
    }
    println!("Restored into {named}, as it was at {}.", opened.manifest.made_at.format("%F %T UTC"));
    match begun.visible.as_str() {
        "0/0" => println!("A new epoch has begun. No node is running on this database."),
        visible => println!("A new epoch has begun, and {visible} nodes have read everything anew."),
    }
    Ok(())
}
