//! `serve` and `migrate`.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::signal::unix::Signal;

use super::{
    local::Database,
    print,
    stop::{self, Stop},
};
use crate::{
    app::{
        App,
        renewal::Source,
        service::{self, Sockets},
        settings::Settings,
        telemetry,
    },
    node::{
        database,
        schema::{self, Step, rights},
        servers::Servers,
    },
};

/// Runs a node until SIGTERM or SIGINT. On SIGHUP, it reads certificates, keys and settings again.
pub async fn run(settings: &Settings, source: Source) -> anyhow::Result<()> {
    telemetry::set_level(settings.log.as_deref())?;
    let (hang_ups, mut stop) = (stop::hang_ups()?, Stop::catch()?);
    let sockets = Sockets::given().context("the sockets from the service manager can't be used")?;
    let Some(database) = Database::own(settings, &mut stop).await? else { return Ok(()) };
    let started = tokio::select! {
        app = App::start_on(sockets, settings, Some(source), database.servers.clone()) => Some(app),
        () = stop.told() => None,
    };
    let app = match started {
        Some(Ok(app)) => app,
        stopped => {
            database.close();
            return stopped.map_or(Ok(()), |failed| failed.map(drop)).map_err(Into::into);
        }
    };
    tracing::info!(switches = %app.switch_address, people = %app.app_address, "ready");
    service::is_ready();
    tokio::select! {
        () = stop.told() => {}
        () = service::keep_alive(&app) => {}
        () = renew_on(hang_ups, &app) => {}
    }
    leave(app, &mut stop).await;
    database.close();
    Ok(())
}

/// Tells balancers, gives them time to notice, and stops. A second signal cuts that time short.
pub async fn leave(app: App, stop: &mut Stop) {
    app.leave_soon();
    let seconds = app.renewal.settings().drain_seconds;
    if seconds > 0 {
        tracing::info!(seconds, "stopping soon: balancers are told to leave this node out");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            () = stop.told() => {}
            () = service::keep_alive(&app) => {}
        }
    }
    tracing::info!("stopping");
    service::is_stopping();
    app.stop().await;
}

/// Reads everything again that can be, on each SIGHUP, forever.
pub async fn renew_on(mut hang_ups: Signal, app: &App) {
    while hang_ups.recv().await.is_some() {
        app.renewal.ask();
    }
    std::future::pending::<()>().await;
}

#[derive(Args)]
pub struct MigrateArgs {
    /// Only print a script that an administrator of Postgres runs once if the database's user may not create roles
    #[arg(long)]
    print_roles: bool,
}

/// Brings the tables up to date and ends.
pub async fn migrate(settings: &Settings, json: bool, args: MigrateArgs) -> anyhow::Result<()> {
    if args.print_roles {
        return print_roles(settings);
    }
    let database = Database::borrow_or_make(settings).await?.awaited().await?;
    let done = bring_up_to_date(settings, &database.options, json).await;
    let place = database.place(settings);
    database.close();
    let applied = done.with_context(|| place.clone())?;
    let version = schema::own_version();
    if json {
        return print::one(true, &serde_json::json!({ "applied": applied, "version": version, "database": place }));
    }
    match applied {
        0 => println!("The tables were already up to date: {place}."),
        1 => println!("Applied one migration. The tables are up to date: {place}."),
        n => println!("Applied {n} migrations. The tables are up to date: {place}."),
    }
    Ok(())
}

/// Needs no database, since there may be none yet.
fn print_roles(settings: &Settings) -> anyhow::Result<()> {
    let url = settings.database_url.as_deref();
    let url = url.context("the private database needs no such script: set DATABASE_URL")?;
    let options = Servers::parse(url)?.options();
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    print!("{}", rights::script(options.get_username(), database));
    Ok(())
}

/// Applies missing migrations, and checks that tenants have the rights that they need.
pub async fn bring_up_to_date(settings: &Settings, options: &PgConnectOptions, quiet: bool) -> anyhow::Result<usize> {
    let tell = |step: Step<'_>| {
        if !quiet {
            tell(step);
        }
    };
    let applied = schema::migrate(options, tell).await?;
    let mut db = options.connect().await?;
    database::recognise(&mut db, &settings.key_file()).await?;
    let is_complete = rights::has_role(&mut db).await? && rights::missing(&mut db).await?.is_empty();
    anyhow::ensure!(
        is_complete,
        "the role {} or some of its policies and grants are missing, so tenants get no answers: `dialplane doctor` says which, and `dialplane migrate --print-roles` prints what an administrator of Postgres runs",
        rights::ROLE
    );
    db.close().await?;
    Ok(applied)
}

fn tell(step: Step<'_>) {
    match step {
        Step::Queued => eprintln!("Another node is bringing the tables up to date: waiting for it."),
        Step::Applies { version, name, at, total } => eprintln!("Migration {at} of {total}: {version} {name}"),
        Step::Locked { version } => {
            eprintln!("A long transaction holds a lock on a table that migration {version} changes: trying again.");
        }
        Step::Newer { found, own } => {
            eprintln!("The tables have version {found}, which is newer than this program ({own}) but works with it.");
        }
    }
}
