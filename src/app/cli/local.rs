//! The database from the command line: the configured one, or the private one, started for the time of the command if no node
//! has it running.

use std::{str::FromStr as _, sync::Arc};

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;

use crate::{
    app::{
        embedded::{Cluster, Durability},
        settings::Settings,
    },
    node::changes::{Author, Changes},
    text::keyring::Keyring,
};

/// The database that the settings name, and the private cluster if it is that.
pub struct Database {
    pub options: PgConnectOptions,
    cluster: Option<Cluster>,
}

impl Database {
    /// For a node: the private cluster is its own from here on.
    pub async fn own(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.database_url {
            return Self::external(url, settings);
        }
        let cluster = Cluster::start(&settings.data_dir, Durability::Full).await?;
        Ok(Self { options: cluster.options(), cluster: Some(cluster) })
    }

    /// For a command: the private cluster may be a running node's.
    pub async fn borrow(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.database_url {
            return Self::external(url, settings);
        }
        let cluster = Cluster::borrow(&settings.data_dir).await?;
        Ok(Self { options: cluster.options(), cluster: Some(cluster) })
    }

    fn external(url: &str, settings: &Settings) -> anyhow::Result<Self> {
        // The URL may hold a password: it is not in the message.
        let options =
            PgConnectOptions::from_str(url).map_err(|_| anyhow::anyhow!("DATABASE_URL is no Postgres URL"))?;
        std::fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("{} can't be made", settings.data_dir.display()))?;
        Ok(Self { options, cluster: None })
    }

    pub fn close(self) -> anyhow::Result<()> {
        self.cluster.map_or(Ok(()), |cluster| Ok(cluster.stop()?))
    }
}

/// A database open for changes.
pub struct Local {
    pub changes: Changes,
    database: Database,
}

impl Local {
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let database = Database::borrow(settings).await?;
        let keyring = Arc::new(Keyring::open(&settings.key_file())?);
        let pool = crate::node::database::open(database.options.clone(), 2, &keyring).await?;
        Ok(Self { changes: Changes::new(pool, None, keyring), database })
    }

    pub async fn close(self) -> anyhow::Result<()> {
        self.changes.pool().close().await;
        self.database.close()
    }
}

/// Who changes things by command line, for the audit log.
pub fn author() -> Author {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    Author {
        name: format!("cli:{}", user.map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name)),
        source: None,
        within: None,
    }
}
