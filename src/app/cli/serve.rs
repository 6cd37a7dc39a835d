//! `serve` and `migrate`.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::local::Database;
use crate::{
    app::{App, settings::Settings},
    text::keyring::Keyring,
};

/// Runs a node until SIGTERM or SIGINT.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let database = Database::own(settings).await?;
    let app = App::start(settings, database.options.clone()).await;
    let app = match app {
        Ok(app) => app,
        Err(error) => {
            database.close()?;
            return Err(error.into());
        }
    };
    tracing::info!(switches = %app.switch_address, people = %app.app_address, "ready");
    until_told().await?;
    tracing::info!("stopping");
    app.stop().await;
    database.close()
}

/// Waits for the signal to stop.
pub async fn until_told() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be waited for")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Brings the tables up to date and ends.
pub async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let database = Database::borrow(settings).await?;
    let keyring = Keyring::open(&settings.key_file())?;
    let pool = crate::node::database::open(database.options.clone(), 2, &keyring).await?;
    pool.close().await;
    println!("The tables are up to date.");
    database.close()
}
