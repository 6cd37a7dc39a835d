//! The database that commands use: the configured one, or the private one, which is started for the duration of the command
//! if no node has it running.

use std::{
    str::FromStr as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sqlx::{PgPool, postgres::PgConnectOptions};

use crate::{
    app::{
        embedded::{Cluster, Durability, Keeper},
        settings::Settings,
    },
    node::{
        changes::{Author, Changes},
        database::{self, DatabaseError},
    },
    text::keyring::Keyring,
};

/// How long a private cluster may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database that the settings name, with the private cluster if it is in one.
pub struct Database {
    pub options: PgConnectOptions,
    private: Option<Private>,
}

/// A private cluster.
enum Private {
    /// A node's cluster, which is kept running.
    Kept(Keeper),
    /// A cluster that a command uses.
    Borrowed(Cluster),
}

impl Database {
    /// For a node, which owns the private cluster from here on.
    pub async fn own(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.database_url {
            return Self::external(url, settings);
        }
        let cluster = Cluster::start(&settings.data_dir, Durability::Full).await?;
        let options = cluster.options();
        let keeper = Keeper::of(cluster).context("the thread that looks after Postgres can't be started")?;
        Ok(Self { options, private: Some(Private::Kept(keeper)) })
    }

    /// For a command. The private cluster may belong to a running node; a missing one is not created.
    pub async fn borrow(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.database_url {
            return Self::external(url, settings);
        }
        let cluster = Cluster::borrow(&settings.data_dir).await?;
        Ok(Self { options: cluster.options(), private: Some(Private::Borrowed(cluster)) })
    }

    /// [`Self::borrow`], and a connection after checking that the tables are up to date.
    pub async fn open(settings: &Settings) -> anyhow::Result<(Self, PgPool, Keyring)> {
        let since = Instant::now();
        loop {
            let database = Self::borrow(settings).await?;
            let opened = database::open(database.options.clone(), &settings.key_file()).await;
            let place = database.place(settings);
            let is_private = database.private.is_some();
            let error = match opened {
                Ok((pool, keyring)) => return Ok((database, pool, keyring)),
                Err(error) => error,
            };
            database.close();
            // The process that has the private cluster may just be starting or stopping it.
            if is_private && matches!(error, DatabaseError::Sql(_)) && since.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            return Err(anyhow::Error::from(error).context(place));
        }
    }

    /// For commands that create a missing private cluster.
    pub async fn borrow_or_make(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.database_url {
            return Self::external(url, settings);
        }
        let cluster = Cluster::borrow_or_make(&settings.data_dir).await?;
        Ok(Self { options: cluster.options(), private: Some(Private::Borrowed(cluster)) })
    }

    /// Describes the database to a person.
    pub fn place(&self, settings: &Settings) -> String {
        if self.private.is_some() {
            return format!("the private database in the data directory {}", settings.data_dir.display());
        }
        let host =
            self.options.get_socket().map_or_else(|| self.options.get_host().into(), |path| path.to_string_lossy());
        format!("the database {} on {host} (DATABASE_URL)", self.options.get_database().unwrap_or_default())
    }

    fn external(url: &str, settings: &Settings) -> anyhow::Result<Self> {
        // The URL may contain a password, so the message must not.
        let options =
            PgConnectOptions::from_str(url).map_err(|_| anyhow::anyhow!("DATABASE_URL is not a Postgres URL"))?;
        std::fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("{} can't be created", settings.data_dir.display()))?;
        Ok(Self { options, private: None })
    }

    /// Stops the private cluster, if this process started it.
    pub fn close(self) {
        match self.private {
            Some(Private::Kept(keeper)) => keeper.stop(),
            Some(Private::Borrowed(cluster)) => cluster.stop_after_others(PATIENCE),
            None => {}
        }
    }
}

/// A database open for changes.
pub struct Local {
    pub changes: Changes,
    /// Describes the database to a person.
    pub place: String,
    database: Database,
}

impl Local {
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let (database, pool, keyring) = Database::open(settings).await?;
        let place = database.place(settings);
        Ok(Self { changes: Changes::new(pool, None, Arc::new(keyring)), place, database })
    }

    pub async fn close(self) -> anyhow::Result<()> {
        self.changes.pool().close().await;
        self.database.close();
        Ok(())
    }
}

/// The author of changes made on the command line, for the audit log.
pub fn author() -> Author {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    Author {
        name: format!("cli:{}", user.map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name)),
        source: None,
        within: None,
    }
}
