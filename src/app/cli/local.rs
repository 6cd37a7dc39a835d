//! The database that commands use: the configured one, or the private one, which is started for the duration of the command
//! if no node has it running.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sqlx::{PgPool, postgres::PgConnectOptions};

use crate::{
    app::{
        cli::stop::Stop,
        embedded::{Cluster, Keeper},
        settings::Settings,
    },
    node::{
        changes::{Author, Changes},
        database::{self, DatabaseError, Incomplete},
        servers::{Servers, Waiting},
    },
    text::keyring::Keyring,
};

/// How long a private cluster may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a node waits for Postgres when it starts.
const WAIT: Duration = Duration::from_secs(30);

/// The database that the settings name, with the private cluster if it is in one.
pub struct Database {
    /// How to connect to the server that was found, or to the first.
    pub options: PgConnectOptions,
    pub servers: Servers,
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
    /// For a node, which owns the private cluster from here on. Waits until the database answers. Returns `None` if the node is
    /// told to stop meanwhile; then nothing runs.
    pub async fn own(settings: &Settings, stop: &mut Stop) -> anyhow::Result<Option<Self>> {
        if let Some(url) = &settings.database_url {
            return tokio::select! {
                database = Self::external(url, settings)?.awaited() => Ok(Some(database?)),
                () = stop.told() => Ok(None),
            };
        }
        let mut cluster = Cluster::of_node(&settings.data_dir)?;
        let runs = tokio::select! {
            runs = cluster.run() => runs.map(|()| true),
            () = stop.told() => Ok(false),
        };
        if !matches!(runs, Ok(true)) {
            cluster.stop();
            return Ok(runs.map(|_| None)?);
        }
        let options = cluster.options();
        let keeper = Keeper::of(cluster).context("the thread that looks after Postgres can't be started")?;
        Ok(Some(Self::of(options.into(), Some(Private::Kept(keeper)))))
    }

    /// For a command. The private cluster may belong to a running node; a missing one is not created.
    pub async fn borrow(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.database_url {
            return Self::external(url, settings);
        }
        let cluster = Cluster::borrow(&settings.data_dir).await?;
        Ok(Self::of(cluster.options().into(), Some(Private::Borrowed(cluster))))
    }

    /// [`Self::borrow`], and a connection after checking that the tables are up to date.
    pub async fn open(settings: &Settings, incomplete: Incomplete) -> anyhow::Result<(Self, PgPool, Keyring)> {
        let since = Instant::now();
        loop {
            let database = Self::borrow(settings).await?;
            let opened = database::open(&database.servers, &settings.key_file(), incomplete).await;
            let place = database.place(settings);
            let is_private = database.private.is_some();
            let error = match opened {
                Ok((pool, keyring)) => return Ok((database, pool, keyring)),
                Err(error) => error,
            };
            database.close();
            // The process that has the private cluster may just be starting or stopping it.
            if is_private
                && matches!(error, DatabaseError::Sql(_) | DatabaseError::Server { .. })
                && since.elapsed() < PATIENCE
            {
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
        Ok(Self::of(cluster.options().into(), Some(Private::Borrowed(cluster))))
    }

    /// Describes the database to a person.
    pub fn place(&self, settings: &Settings) -> String {
        if self.private.is_some() {
            return format!("the private database in the data directory {}", settings.data_dir.display());
        }
        let (name, servers) = (self.options.get_database().unwrap_or_default(), self.servers.names());
        format!("the database {name} on {servers} (DATABASE_URL)")
    }

    fn external(url: &str, settings: &Settings) -> anyhow::Result<Self> {
        let servers = Servers::parse(url)?;
        std::fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("{} can't be created", settings.data_dir.display()))?;
        Ok(Self::of(servers, None))
    }

    fn of(servers: Servers, private: Option<Private>) -> Self {
        Self { options: servers.options(), servers, private }
    }

    /// Waits until the configured database answers: a machine that has just been switched on may start this program before Postgres.
    pub async fn awaited(mut self) -> Result<Self, DatabaseError> {
        if self.private.is_none() {
            let tell = |waiting: Waiting| {
                let Waiting { server, error, next, seconds_left } = waiting;
                tracing::warn!(server, %error, next, seconds_left, "Postgres can't be used yet: trying on");
            };
            self.servers.wait(WAIT, tell).await?;
            self.options = self.servers.options();
        }
        Ok(self)
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
        Self::open_even(settings, Incomplete::Refuse).await
    }

    pub async fn open_even(settings: &Settings, incomplete: Incomplete) -> anyhow::Result<Self> {
        let (database, pool, keyring) = Database::open(settings, incomplete).await?;
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
