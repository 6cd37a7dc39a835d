//! `doctor`: checks what a node and a switch need, and says what is wrong and what to do about it.

mod database;
mod store;
mod switch;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Serialize;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{failure, local::Database};
use crate::{
    app::{
        settings::Settings,
        tls::{Files, TlsError},
    },
    node::{
        epoch_store, fitness,
        schema::{self, SchemaError, Standing},
        seals_store,
    },
    switch::fetch::exchange::XML_PATH,
    telephony::recordings::sealed::Whose,
    text::keyring::{Keyring, hex, retired_file},
};

#[derive(Args)]
pub struct DoctorArgs {
    /// Also check a switch's configuration, in the folder that contains autoload_configs
    #[arg(long, value_name = "DIR")]
    switch_conf: Option<PathBuf>,
}

/// One result.
#[derive(Serialize)]
struct Check {
    what: String,
    ok: bool,
    /// What was seen, or what is wrong and what to do.
    detail: String,
}

/// What was seen, or what is wrong and what to do.
type Seen = Result<String, String>;

#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn add(&mut self, what: impl Into<String>, seen: Seen) -> bool {
        let ok = seen.is_ok();
        self.0.push(Check { what: what.into(), ok, detail: seen.unwrap_or_else(|problem| problem) });
        ok
    }
}

pub async fn run(settings: &Settings, json: bool, args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let (nodes, headers) = database(settings, &mut report).await;
    if settings.recordings_bucket.is_some() {
        report.add("bucket of recordings", bucket(settings).await);
    }
    certificate("switch", Files::of_switches(settings), &mut report);
    certificate("app", Files::of_people(settings), &mut report);
    let scheme = if settings.switch_tls_certificate.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}{XML_PATH}", settings.switch_listen);
    report.add("switch listener", switch::knocks(&url).and_then(|node| of_this_database(&url, node, nodes.as_deref())));
    if let Some(conf) = &args.switch_conf {
        switch::check(conf, nodes.as_deref(), &headers, &mut report);
    }
    let well = report.0.iter().all(|check| check.ok);
    if json {
        println!("{}", serde_json::json!({ "well": well, "checks": report.0 }));
    } else {
        for check in &report.0 {
            println!("{} {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.what, check.detail);
        }
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a small object can be written to the bucket, read again and removed.
async fn bucket(settings: &Settings) -> Seen {
    let try_all = async {
        let (vault, whose) = (settings.vault()?, Whose { tenant: Uuid::nil(), id: Uuid::now_v7() });
        vault.begin(whose).await?.write(b"doctor".to_vec()).await?.finish().await?;
        let read = vault.read(vault.store(), whose, 0..6).await;
        vault.remove(vault.store(), whose).await?;
        read.map(|read| read == b"doctor")
    };
    match try_all.await {
        Ok(true) => Ok("an object was written, read and removed".into()),
        Ok(false) => Err("an object that was written there was read with another content".into()),
        Err(error) => {
            Err(format!("{error}. Check recordings_bucket and the settings beside it, and what the key may do there"))
        }
    }
}

/// What a listener is to show: a running node that could not take it goes on with the one before.
fn certificate(listener: &str, files: Result<Option<Files>, TlsError>, report: &mut Report) {
    let loaded = match files {
        Ok(None) => return,
        Ok(Some(files)) => files.load_anew().map(|loaded| (files, loaded)),
        Err(error) => Err(error),
    };
    let seen = loaded.map(|(files, loaded)| {
        let (path, days) = (files.certificate.display(), (loaded.expires - chrono::Utc::now()).num_days());
        format!("{path} and its key fit together; valid for {days} days, until {}", loaded.expires.format("%F %T UTC"))
    });
    report.add(format!("certificate of the {listener} listener"), seen.map_err(|error| error.to_string()));
}

/// Checks that the listener belongs to this database: another installation may happen to have the port.
fn of_this_database(url: &str, node: Option<Uuid>, nodes: Option<&[Uuid]>) -> Seen {
    let Some(nodes) = nodes else {
        return Err(format!("{url} answers, but only the database can tell which installation it belongs to"));
    };
    match node {
        Some(node) if nodes.contains(&node) => Ok(format!("a node of this database answers at {url}")),
        Some(_) => Err(format!(
            "another dialplane, with another database, listens at {url}: start this one on another address with --switch-listen, or stop the other one"
        )),
        None => Err(format!(
            "{url} answers, but not like a node of this version: something else or an older Dialplane listens there"
        )),
    }
}

/// Checks the database. Returns the nodes that run on it, if it answers, and the headers in which carriers send numbers.
async fn database(settings: &Settings, report: &mut Report) -> (Option<Vec<Uuid>>, Vec<String>) {
    let (mut nodes, mut headers) = (None, Vec::new());
    let database = match Database::borrow(settings).await {
        Ok(database) => database,
        Err(error) => {
            report.add("database", Err(failure::said(&error)));
            return (None, headers);
        }
    };
    let connected = database.servers.choose().await;
    match connected {
        Err(error) => {
            report.add("database", Err(format!("{}: {error}", database.place(settings))));
        }
        Ok(mut db) => {
            let version = store::version(&mut db).await;
            nodes = store::live_nodes(&mut db).await.ok();
            headers = store::carriers_headers(&mut db).await.unwrap_or_default();
            let seen = version.map(|version| format!("{}: {version}", database.place(settings)));
            report.add("database", seen.map_err(|e| e.to_string()));
            report.add("tables", tables(&mut db).await);
            report.add("pooler", pooler(&database).await);
            if let Ok(standing @ (Standing::Current | Standing::Newer(_) | Standing::Older(_))) =
                schema::standing(&mut db).await
            {
                database::check(&mut db, standing == Standing::Current, report).await;
                if !matches!(standing, Standing::Older(_)) {
                    report.add("connections", database::connections(&mut db, settings).await);
                }
            }
            report.add("epoch", whole(&mut db).await);
            report.add("keys", keys(settings, &mut db).await);
            report.add("call records", records(&mut db).await);
            report.add("mailboxes that are gone", leftovers(&mut db).await);
            let _ = db.close().await;
        }
    }
    database.close();
    (nodes, headers)
}

/// Is a connection one to the same process of the server for as long as it lasts?
async fn pooler(database: &Database) -> Seen {
    match fitness::check_pooler(&database.servers).await {
        Ok(()) => Ok("none that changes the server's process between statements".into()),
        Err(error) => Err(error.to_string()),
    }
}

async fn tables(db: &mut sqlx::PgConnection) -> Seen {
    match schema::standing(db).await.map_err(|error| error.to_string())? {
        Standing::Current => Ok(format!("up to date, version {}", schema::own_version())),
        Standing::Newer(found) => Ok(format!(
            "version {found}, newer than this program ({}), which works with it: upgrade the program soon",
            schema::own_version()
        )),
        Standing::Empty => Err(SchemaError::Empty.to_string()),
        Standing::Older(found) => Err(SchemaError::Older { found, needed: schema::own_version() }.to_string()),
    }
}

async fn whole(db: &mut sqlx::PgConnection) -> Seen {
    let epoch = epoch_store::read(db).await.map_err(|e| e.to_string())?;
    let (wanted, there) = epoch.guards;
    if there < wanted {
        return Err(format!(
            "{} of {wanted} triggers, foreign keys and policies are missing, so no node trusts it: is it being restored? \
             `dialplane restored` accepts it as it is",
            wanted - there
        ));
    }
    let (id, since) = (epoch.epoch, epoch.since.format("%F %T UTC"));
    if epoch.is_same {
        return Ok(format!("{id}, since {since}"));
    }
    Ok(format!("{id}; the database was restored since, so the next node or command will give it a new epoch"))
}

async fn keys(settings: &Settings, db: &mut sqlx::PgConnection) -> Seen {
    let path = settings.key_file();
    let known = seals_store::known(db).await.map_err(|e| e.to_string())?;
    if !path.exists() {
        let path = path.display();
        let sealing = known.iter().filter(|key| key.is_used).map(|key| hex(&key.id)).collect::<Vec<_>>().join(", ");
        if sealing.is_empty() {
            return Err(format!("{path} is missing: start a node to make it"));
        }
        return Err(format!(
            "{path} is missing, and secrets are sealed with the key {sealing}: copy the file from another node, or from its backup"
        ));
    }
    let keyring = Keyring::read(&path).map_err(|e| e.to_string())?;
    keyring.note_used(seals_store::used(&known));
    if let Some(id) = keyring.missing().first() {
        return Err(format!(
            "{} lacks the key {} that sealed some of its secrets: put it in a line of its own, as other nodes' key files or {} have it",
            path.display(),
            hex(id),
            retired_file(&path).display()
        ));
    }
    let seen = format!("{} has every key that seals this database's secrets", path.display());
    match known.iter().filter(|key| key.is_used).count() {
        0 | 1 => Ok(seen),
        several => Ok(format!("{seen}; {several} are in use, until all is sealed with the newest")),
    }
}

async fn records(db: &mut sqlx::PgConnection) -> Seen {
    match store::unreadable_records(db).await {
        Ok(0) => Ok("all posted call records could be read".into()),
        Ok(count) => Err(format!(
            "{count} can't be read, so their calls keep what was reserved for them: `dialplane record list` says why"
        )),
        // The tables may have an older version.
        Err(error) => Err(error.to_string()),
    }
}

/// Switches keep mailboxes by themselves, until a visit removes them.
async fn leftovers(db: &mut sqlx::PgConnection) -> Seen {
    let all = store::leftovers(db).await.map_err(|error| error.to_string())?;
    if all.is_empty() {
        return Ok("no switch still has one".into());
    }
    let line = |one: &store::Leftovers| {
        let what = match &one.error {
            _ if !one.is_linked => {
                format!("tell Dialplane its event socket: `dialplane switch event-socket {}`", one.switch)
            }
            Some(error) => format!("it answered: {error}"),
            None => "its event socket did not answer".to_owned(),
        };
        format!("{} may still have {} of them ({what})", one.switch, one.mailboxes)
    };
    Err(all.iter().map(line).collect::<Vec<_>>().join("; "))
}
