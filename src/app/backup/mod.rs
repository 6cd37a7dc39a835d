//! A database in one file, and back.
//!
//! The file is a tar archive of `database.dump`, as `pg_dump` writes it, and `manifest.json`, which says what the dump needs and what must
//! be there after a restore. Without Dialplane, it can be unpacked and restored with `pg_restore`. It contains sealed secrets and password
//! hashes, but none of the keys.
//!
//! Postgres's own programs do the work. A restore is one transaction that removes what was there, inserts the file's content, counts it,
//! and begins a new epoch.

mod archive;
mod store;
mod tools;

use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use uuid::Uuid;

pub use self::tools::Place;
use self::{archive::Hashing, tools::Tools};
use crate::{
    node::schema::{self, SchemaError, rights},
    text::keyring::{Keyring, KeyringError, hex},
};

/// The layout of the file that this program writes.
const FORMAT: u32 = 1;
const DUMP: &str = "database.dump";
const MANIFEST: &str = "manifest.json";

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path} can't be written or read: {1}", path = .0.display())]
    File(PathBuf, io::Error),
    #[error("{} already exists: name another file, or replace it with --yes", .0.display())]
    Exists(PathBuf),
    #[error("{path} is not a backup of Dialplane, or is incomplete: {1}", path = .0.display())]
    NotABackup(PathBuf, String),
    #[error(
        "found no {program} of Postgres {version} or newer on PATH or in the distribution's folders: install it (Debian: apt-get install postgresql-client-{version})"
    )]
    NoTool { program: &'static str, version: u32 },
    #[error("{program} failed: {output}")]
    Tool { program: &'static str, output: String },
    #[error(
        "the database is encoded in {0}, but only UTF8 can store every name: create one with `create database … encoding 'UTF8' template template0`"
    )]
    Encoding(String),
    #[error(
        "the database already has tables, of {0}: restore into another database, or replace them with --yes. This can't be undone: make a backup first"
    )]
    Occupied(String),
    #[error("the database has tables that are not Dialplane's ({0}): restore into a database of its own")]
    ForeignTables(String),
    #[error(
        "the backup's tables are newer than this program: they have version {found}, but this program has {own}. Use the dialplane that made the backup ({program}) or a newer one"
    )]
    Newer { found: i64, own: i64, program: String },
    #[error(
        "the backup's secrets were sealed with the key {key}, which {} does not have: put the key file of the backup there. Without it, nobody can read phones' passwords, PINs and carriers' passwords",
        .file.display()
    )]
    Key { key: String, file: PathBuf },
    #[error(
        "the role {role} is missing in this Postgres cluster, and {user} may not create it. Have an administrator of the database run: create role {role} nologin; grant {role} to \"{user}\";"
    )]
    Role { role: &'static str, user: String },
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("the database can't be used: {0}")]
    Sql(#[from] sqlx::Error),
}

/// What a backup says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The version of the program that made it.
    pub program: String,
    /// The newest migration of its tables.
    pub schema: i64,
    pub made_at: DateTime<Utc>,
    /// The server that it was made from.
    pub server: String,
    pub epoch: Option<Uuid>,
    /// The ids of the keys that seal its secrets. The keys themselves are only in the key file.
    pub keys: Vec<String>,
    pub roles: Vec<String>,
    /// The number of rows per table.
    pub tables: BTreeMap<String, i64>,
    /// The number of policies, triggers and grants that a restore must yield.
    pub policies: i64,
    pub triggers: i64,
    pub grants: i64,
    pub bytes: u64,
    pub sha256: String,
}

/// Reports progress: bytes done, and the total if it is known.
pub type Progress<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// Writes the database into a file. `overwrite`: replaces an existing file, once the new one is complete.
pub async fn backup(
    options: &PgConnectOptions,
    place: &Place,
    file: &Path,
    overwrite: bool,
    progress: Progress<'_>,
) -> Result<Manifest, BackupError> {
    if !overwrite && file.try_exists().map_err(|error| BackupError::File(file.to_owned(), error))? {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let mut db = options.connect().await?;
    schema::check(&mut db).await?;
    let tools = Tools::for_server(store::server_version(&mut db).await?)?;
    // The rows are counted and dumped in the same snapshot.
    let mut tx = db.begin().await?;
    let snapshot = store::export_snapshot(&mut tx).await?;
    let mut manifest = store::manifest(&mut tx).await?;
    let partial = file.with_extension("partial");
    let written = tools.dump(place, &snapshot, |dump| write(&partial, dump, &mut manifest, progress));
    let done =
        written.and_then(|()| fs::rename(&partial, file).map_err(|error| BackupError::File(file.to_owned(), error)));
    if done.is_err() {
        let _ = fs::remove_file(&partial);
    }
    tx.rollback().await?;
    let _ = db.close().await;
    done.map(|()| manifest)
}

fn write(
    path: &Path,
    dump: &mut dyn io::Read,
    manifest: &mut Manifest,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    let failed = |error| BackupError::File(path.to_owned(), error);
    let mut file =
        fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    // The header needs the size, so it is written at the end.
    file.write_all(&[0; archive::BLOCK]).map_err(failed)?;
    let mut hashing = Hashing::new(dump);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = hashing.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(failed)?;
        progress(hashing.bytes, None);
    }
    (manifest.bytes, manifest.sha256) = hashing.finish();
    archive::pad(&mut file, manifest.bytes).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.write_all(archive::header(DUMP, manifest.bytes, manifest.made_at).as_bytes()).map_err(failed)?;
    file.seek(SeekFrom::End(0)).map_err(failed)?;
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| failed(error.into()))?;
    file.write_all(archive::header(MANIFEST, text.len() as u64, manifest.made_at).as_bytes()).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    archive::pad(&mut file, text.len() as u64).map_err(failed)?;
    // Two empty blocks end an archive.
    file.write_all(&[0; 2 * archive::BLOCK]).and_then(|()| file.sync_all()).map_err(failed)
}

/// A backup whose file was checked.
pub struct Opened {
    pub manifest: Manifest,
    path: PathBuf,
    /// Where the dump begins.
    offset: u64,
}

/// The part of a manifest that all layouts share.
#[derive(Deserialize)]
struct Layout {
    format: u32,
}

/// Opens a file and checks that it is complete.
pub fn open(path: &Path, progress: Progress<'_>) -> Result<Opened, BackupError> {
    let not_one = |why: String| BackupError::NotABackup(path.to_owned(), why);
    let found = archive::find(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => BackupError::File(path.to_owned(), error),
        _ => not_one(error.to_string()),
    })?;
    let manifest = found.manifest.ok_or_else(|| not_one(format!("it has no {MANIFEST}")))?;
    let layout: Layout = serde_json::from_slice(&manifest).map_err(|error| not_one(error.to_string()))?;
    if layout.format != FORMAT {
        return Err(not_one(format!(
            "its layout is {}, but this program reads {FORMAT}: use a newer dialplane",
            layout.format
        )));
    }
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| not_one(error.to_string()))?;
    let offset = found.dump.ok_or_else(|| not_one(format!("it has no {DUMP}")))?;
    let opened = Opened { manifest, path: path.to_owned(), offset };
    let failed = |error| BackupError::File(path.to_owned(), error);
    let mut hashing = Hashing::new(opened.dump().map_err(failed)?);
    let mut buffer = vec![0; 1 << 16];
    while hashing.read(&mut buffer).map_err(failed)? > 0 {
        progress(hashing.bytes, Some(opened.manifest.bytes));
    }
    let (bytes, sha256) = hashing.finish();
    if (bytes, &sha256) != (opened.manifest.bytes, &opened.manifest.sha256) {
        return Err(not_one("its content was cut off or damaged".into()));
    }
    Ok(opened)
}

impl Opened {
    fn dump(&self) -> io::Result<impl io::Read + Send + use<>> {
        let mut file = fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.manifest.bytes))
    }

    /// Replaces the database's content with the backup. `overwrite`: even if there is any.
    pub async fn restore(
        &self,
        options: &PgConnectOptions,
        place: &Place,
        key_file: &Path,
        overwrite: bool,
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let manifest = &self.manifest;
        let own = schema::own_version();
        if manifest.schema > own {
            return Err(BackupError::Newer { found: manifest.schema, own, program: manifest.program.clone() });
        }
        self.check_keys(key_file)?;
        let mut db = options.connect().await?;
        let encoding = store::encoding(&mut db).await?;
        if encoding != "UTF8" {
            return Err(BackupError::Encoding(encoding));
        }
        match store::occupants(&mut db).await? {
            store::Occupants::Foreign(tables) => return Err(BackupError::ForeignTables(tables.join(", "))),
            store::Occupants::Dialplane(tenants) if !overwrite => {
                return Err(BackupError::Occupied(format!("a Dialplane with {tenants} tenants")));
            }
            store::Occupants::None | store::Occupants::Dialplane(_) => {}
        }
        if !store::make_role(&mut db).await? {
            let user = store::user(&mut db).await?;
            return Err(BackupError::Role { role: rights::ROLE, user });
        }
        let tools = Tools::for_server(store::server_version(&mut db).await?)?;
        let _ = db.close().await;
        let failed = |error| BackupError::File(self.path.clone(), error);
        let dump = Hashing::new(self.dump().map_err(failed)?);
        tools.restore(place, dump, manifest.bytes, &store::before(), &store::after(manifest), progress)
    }

    /// Checks, before anything is replaced, that all keys that seal the backup's secrets are there.
    fn check_keys(&self, key_file: &Path) -> Result<(), BackupError> {
        let lacks = |key: &String| BackupError::Key { key: key.clone(), file: key_file.to_owned() };
        let Some(first) = self.manifest.keys.first() else { return Ok(()) };
        if !key_file.exists() {
            return Err(lacks(first));
        }
        let own = Keyring::read(key_file)?.ids().iter().map(|id| hex(id)).collect::<Vec<_>>();
        match self.manifest.keys.iter().find(|key| !own.contains(key)) {
            Some(missing) => Err(lacks(missing)),
            None => Ok(()),
        }
    }
}
