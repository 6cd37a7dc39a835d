//! `key-file`: the keys that seal secrets, and their replacement while nodes run.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

use super::{
    local::{Local, author},
    print, progress,
};
use crate::{
    app::settings::Settings,
    node::{
        changes::Audit,
        seals::{self, Pass},
        seals_store as store,
    },
    text::keyring::{self, hex},
};

const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Subcommand)]
pub enum KeyFileCommand {
    /// List the keys: which one seals, how many nodes have it, which have retired
    List,
    /// Replace the key: seal everything with a new one, and retire the old one. After an interruption, run it again to continue
    Rotate(RotateArgs),
    /// Move retired keys from this machine's key file to the file beside it whose name ends with .retired
    Retire,
}

#[derive(Args)]
pub struct RotateArgs {
    /// How long to wait for nodes that lack the new key, or still seal with the old one
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
}

#[derive(Serialize)]
struct Shown {
    key: String,
    state: &'static str,
    in_this_file: bool,
    /// How many live nodes have it.
    nodes: String,
}

pub async fn run(settings: &Settings, json: bool, command: KeyFileCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let done = match command {
        KeyFileCommand::List => list(&local, json).await,
        KeyFileCommand::Rotate(args) => rotate(settings, &local, json, &args).await,
        KeyFileCommand::Retire => retire(settings, &local, json).await,
    };
    let closed = local.close().await;
    done.and(closed)
}

async fn list(local: &Local, json: bool) -> anyhow::Result<()> {
    let (pool, keyring) = (local.changes.pool(), local.changes.keyring());
    let mut shown = Vec::new();
    for (at, key) in store::known(pool).await?.into_iter().enumerate() {
        let spread = store::spread(pool, &key.id).await?;
        shown.push(Shown {
            state: if !key.is_used {
                "offered"
            } else if at == 0 {
                "seals"
            } else {
                "sealed_before"
            },
            in_this_file: keyring.has(&key.id),
            nodes: format!("{}/{}", spread.have, spread.live),
            key: hex(&key.id),
        });
    }
    for id in store::retired(pool).await? {
        let spread = store::spread(pool, &id).await?;
        let nodes = format!("{}/{}", spread.have, spread.live);
        shown.push(Shown { state: "retired", in_this_file: keyring.has(&id), nodes, key: hex(&id) });
    }
    print::many(json, &shown, &["key", "state", "in_this_file", "nodes"], &local.place)
}

async fn rotate(settings: &Settings, local: &Local, json: bool, args: &RotateArgs) -> anyhow::Result<()> {
    let (pool, keyring, file) = (local.changes.pool(), local.changes.keyring(), settings.key_file());
    let patience = Patience { until: Instant::now() + Duration::from_secs(args.wait) };
    let known = store::known(pool).await?;
    let offered = known.iter().find(|key| !key.is_used && keyring.has(&key.id));
    let is_under_way = known.iter().filter(|key| key.is_used).count() > 1;
    let new = match offered {
        Some(key) => {
            eprintln!("Going on with the key {}, which {} has already.", hex(&key.id), file.display());
            key.id.clone()
        }
        None if is_under_way => {
            eprintln!("Going on with the key {}, which seals already.", hex(&keyring.seals_with()));
            keyring.seals_with().to_vec()
        }
        None => {
            let id = keyring::add_key(&file)?;
            keyring.take(&file)?;
            eprintln!("{} has a new key, {}.", file.display(), hex(&id));
            id.to_vec()
        }
    };
    let mut db = pool.acquire().await?;
    let all = store::left(&mut db, &new).await?;
    drop(db);
    if offered.is_some() || !is_under_way {
        store::offer(pool, std::slice::from_ref(&new)).await?;
        every_node_has(pool, &new, &file.display().to_string(), &patience).await?;
        let mut change = local.changes.begin(author()).await?;
        if !store::promote(change.db(), &new).await? && !keyring.seal_with(&new) {
            anyhow::bail!("the new key could not be taken into use: run `dialplane key-file rotate` again");
        }
        let after = Some(json!({ "seals_with": hex(&new) }));
        let resource = format!("keys/{}", hex(&new));
        change.audit(Audit { tenant: None, action: "key_file.rotated", resource, before: None, after }).await?;
        change.commit().await?;
    }
    keyring.seal_with(&new);
    every_node_seals(pool, &new, &patience).await?;
    seal_anew(pool, local, &new, all, &patience).await?;
    let retired = store::retired(pool).await?;
    let moved = keyring::remove_keys(&file, &retired)?;
    if json {
        let told = json!({ "key": hex(&new), "sealed": all, "moved_out": moved, "retired": hex_all(&retired) });
        return print::one(true, &told);
    }
    println!("Everything is sealed with the key {}; the old one has retired.", hex(&new));
    say_moved(&file, moved);
    println!("On machines with a key file of their own: `dialplane key-file retire`.");
    Ok(())
}

async fn retire(settings: &Settings, local: &Local, json: bool) -> anyhow::Result<()> {
    let retired = store::retired(local.changes.pool()).await?;
    let file = settings.key_file();
    let moved = keyring::remove_keys(&file, &retired)?;
    if json {
        return print::one(true, &json!({ "moved_out": moved }));
    }
    match moved {
        0 => println!("{} holds no key that has retired.", file.display()),
        _ => say_moved(&file, moved),
    }
    Ok(())
}

fn say_moved(file: &std::path::Path, moved: usize) {
    if moved > 0 {
        let aside = keyring::retired_file(file);
        println!(
            "{moved} retired moved to {}: backups from before need it. Destroy it together with the last of them.",
            aside.display()
        );
    }
}

struct Patience {
    until: Instant,
}

impl Patience {
    async fn pause(&self, what: &str) -> anyhow::Result<()> {
        if Instant::now() >= self.until {
            anyhow::bail!(
                "{what}: see to it, and run `dialplane key-file rotate` again, which goes on where this stopped"
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }
}

/// A node that lacks the key could not open what others seal with it.
async fn every_node_has(pool: &PgPool, key: &[u8], file: &str, patience: &Patience) -> anyhow::Result<()> {
    let mut told = Vec::new();
    loop {
        let lacking = store::lacking(pool, key).await?;
        if lacking.is_empty() {
            return Ok(());
        }
        let names = lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if told != lacking {
            eprintln!(
                "Waiting for {} of the nodes to have it ({names}). Where they don't share the file: copy {file} there.",
                lacking.len()
            );
            told = lacking;
        }
        patience.pause(&format!("these nodes lack the new key: {names}; copy {file} to their key files")).await?;
    }
}

async fn every_node_seals(pool: &PgPool, key: &[u8], patience: &Patience) -> anyhow::Result<()> {
    loop {
        let spread = store::spread(pool, key).await?;
        if spread.seal >= spread.live {
            return Ok(());
        }
        let others = spread.live - spread.seal;
        patience.pause(&format!("{others} nodes still seal with the old key")).await?;
    }
}

/// Seals everything anew, or looks on while a node does; ends when the old keys have retired.
async fn seal_anew(pool: &PgPool, local: &Local, new: &[u8], all: i64, patience: &Patience) -> anyhow::Result<()> {
    let keyring = local.changes.keyring();
    let bar = progress::bar("secrets sealed anew", usize::try_from(all).unwrap_or_default());
    loop {
        let pass = seals::anew(pool, keyring, |sealed| bar.set_position(sealed)).await?;
        if let Pass::Done { damaged: 1.., .. } = pass {
            anyhow::bail!("some secrets can't be opened, so the old key stays in use: the log above names their rows");
        }
        seals::retire_old(pool, keyring).await?;
        let known = store::known(pool).await?;
        if known.iter().filter(|key| key.is_used).count() <= 1 {
            bar.finish_and_clear();
            return Ok(());
        }
        if pass == Pass::Busy {
            let mut db = pool.acquire().await?;
            let left = store::left(&mut db, new).await?;
            bar.set_position(u64::try_from(all - left).unwrap_or_default());
        }
        patience.pause("some secrets are still sealed with the old key").await?;
    }
}

fn hex_all(ids: &[Vec<u8>]) -> Vec<String> {
    ids.iter().map(|id| hex(id)).collect()
}
