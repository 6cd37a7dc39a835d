//! The command line. Only here are errors `anyhow`, because they go straight to a person.

mod backup;
mod bench;
mod bench_data;
mod carriers;
mod company;
mod demo;
mod doctor;
mod failure;
mod file;
mod key_file;
mod local;
mod mail;
mod manual;
mod next;
mod nouns;
mod people;
mod print;
mod progress;
mod reader;
mod recordings;
mod records;
mod render;
mod resources;
mod restored;
mod serve;
mod stop;
mod sure;
mod transfer;
mod usage;
mod wire;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::nouns::Description;
use crate::app::{renewal::Source, settings::Settings, telemetry, traces};

/// What `--version` prints: the version, with its commit and date.
pub const VERSION: &str = env!("PROGRAM_VERSION");

/// The control plane of a FreeSWITCH fleet.
#[derive(Parser)]
#[command(version = VERSION, max_term_width = 110, after_help = failure::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Settings that can be given on the command line. The settings file and the environment have more.
#[derive(Args, Debug, Default, Clone)]
struct Common {
    /// Settings file [default: dialplane.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the private database and the key file
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on for switches
    #[arg(long, global = true, value_name = "ADDR")]
    switch_listen: Option<SocketAddr>,
    /// Address to listen on for people and scripts
    #[arg(long, global = true, value_name = "ADDR")]
    app_listen: Option<SocketAddr>,
    /// Print JSON for scripts
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    place: wire::Place,
}

#[derive(Subcommand)]
enum Command {
    /// Keep a node's URL and an API key, so that commands work over its API
    Login,
    /// Forget what `login` kept
    Logout,
    /// Make a tenant equal to a file, which `export --as yaml` writes
    Apply(company::ApplyArgs),
    /// Serve switches and the API until SIGTERM
    Serve,
    /// Serve with a sample tenant, two phones and a switch's credentials
    Demo,
    /// Bring the database's tables up to date
    Migrate(serve::MigrateArgs),
    /// Write the whole database into one file; nodes keep running
    Backup(backup::BackupArgs),
    /// Replace the database's content with a backup
    Restore(backup::RestoreArgs),
    /// Make every node read everything anew, after you restored a dump or a snapshot of the database
    Restored,
    /// Tenants: each owns one SIP domain
    #[command(subcommand)]
    Tenant(resources::TenantCommand),
    /// Agents: people of a tenant and their phones
    #[command(subcommand)]
    Agent(people::AgentCommand),
    /// Administrators of the platform
    #[command(subcommand)]
    Admin(people::AdminCommand),
    /// Switches: the FreeSWITCH servers that fetch from Dialplane
    #[command(subcommand)]
    Switch(resources::SwitchCommand),
    /// Carriers: their rates and health
    #[command(subcommand)]
    Carrier(carriers::CarrierCommand),
    /// Routes: why a call goes where it goes, and what it costs
    #[command(subcommand)]
    Route(carriers::RouteCommand),
    /// Call records: those that can't be read, and those that a switch could not post
    #[command(subcommand, visible_alias = "cdr")]
    Record(records::RecordCommand),
    /// Recordings of calls: found, held and deleted, and sent from a switch
    #[command(subcommand, visible_alias = "recordings")]
    Recording(recordings::RecordingCommand),
    /// The key file, whose keys seal secrets: replace a key while nodes run
    #[command(subcommand)]
    KeyFile(key_file::KeyFileCommand),
    /// Mails: sent, waiting and failed
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Import users, groups and dialplan from static FreeSWITCH files into a tenant
    Import(transfer::ImportArgs),
    /// Export a tenant as static files from which FreeSWITCH starts without Dialplane
    Export(transfer::ExportArgs),
    /// Show what a switch gets for a request, and why
    Render(render::RenderArgs),
    /// Send a switch listener as many requests as switches would, and measure it
    Bench(bench::BenchArgs),
    /// Create many tenants and extensions for measurements
    #[command(hide = true)]
    BenchData(bench_data::BenchDataArgs),
    /// Show how many bytes the tables and the tenants take
    Usage(usage::UsageArgs),
    /// Check the database, the keys, the switch listener, and a switch's configuration
    Doctor(doctor::DoctorArgs),
    /// Print the script with which a shell completes dialplane's commands
    Completions(manual::CompletionsArgs),
    /// Print the manual page, or write one per command
    Man(manual::ManArgs),
}

impl Command {
    /// Whether somebody who works over the API could expect it to work there, too.
    fn is_for_people(&self) -> bool {
        matches!(self, Self::Tenant(_) | Self::Agent(_) | Self::Admin(_) | Self::Switch(_) | Self::Import(_))
            || matches!(self, Self::Export(args) if args.format.is_none())
    }

    /// Whether it uses the API, over the network or in this process.
    fn is_over_the_api(&self) -> bool {
        match self {
            Self::Apply(_) | Self::Carrier(_) | Self::Route(_) => true,
            Self::Export(args) => args.format.is_some(),
            _ => false,
        }
    }
}

impl Common {
    /// Whether the command line or the environment names a node's own settings.
    fn at_database(&self) -> bool {
        let named = ["DATABASE_URL", "DIALPLANE_DATABASE_URL", "DIALPLANE_DATA_DIR"];
        self.data_dir.is_some() || self.config.is_some() || named.iter().any(|name| std::env::var_os(name).is_some())
    }

    /// The API that the command line names.
    async fn api(&self) -> anyhow::Result<wire::Api> {
        wire::Api::open(&self.place, self.at_database(), || self.settings()).await
    }

    /// How a running node reads them again.
    fn source(&self) -> Source {
        let file = self.config.clone().unwrap_or_else(|| "dialplane.toml".into());
        let common = self.clone();
        let read = move || common.settings().map_err(|error| format!("{error:#}"));
        Source { file, read: Box::new(read) }
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = Settings::read(self.config.as_deref())?;
        if let Some(data_dir) = &self.data_dir {
            settings.data_dir.clone_from(data_dir);
        }
        settings.switch_listen = self.switch_listen.unwrap_or(settings.switch_listen);
        settings.app_listen = self.app_listen.unwrap_or(settings.app_listen);
        Ok(settings)
    }
}

/// The whole command line: commands written by hand, and those made from the API's description.
fn definition(description: &Description) -> clap::Command {
    nouns::add(Cli::command(), description)
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // Choose the TLS provider before anything else can choose another.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reader::or_left(read_and_run)
}

fn read_and_run() -> ExitCode {
    let usage = |error: clap::Error| failure::usage(std::env::args_os().any(|word| word == "--json"), &error);
    let description = Description::own();
    let matches = match definition(&description).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage(error),
    };
    let system = actix_web::rt::System::new();
    if let Some(chosen) = nouns::chosen(&description, &Cli::command(), &matches) {
        let common = match Common::from_arg_matches(&matches) {
            Ok(common) => common,
            Err(error) => return usage(error),
        };
        let run = async {
            let api = common.api().await?;
            let done = nouns::run(&api, &description, common.json, chosen).await;
            let closed = api.close().await;
            done.and(closed)
        };
        return match telemetry::init("warn").map_err(Into::into).and_then(|()| system.block_on(run)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failure::report(common.json, &error),
        };
    }
    // Only commands need it, and a node runs for long.
    drop(description);
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(error),
    };
    let json = cli.common.json;
    let quiet = !matches!(cli.command, Command::Serve | Command::Demo);
    if let Err(error) = telemetry::init(if quiet { "warn" } else { telemetry::USUAL }) {
        return failure::report(json, &error.into());
    }
    let done = system.block_on(run(cli));
    traces::end();
    match done {
        Ok(code) => code,
        Err(error) => failure::report(json, &error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { command, common } = cli;
    match &command {
        // These need no settings, so invalid settings must not stop them.
        Command::Completions(args) => {
            manual::completions(args);
            return Ok(ExitCode::SUCCESS);
        }
        Command::Man(args) => {
            manual::man(args)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Login => {
            wire::login(&common.place, common.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Logout => {
            wire::logout(&common.place, common.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        // Runs on a switch's machine, where a node has no settings.
        Command::Recording(command) => {
            recordings::run(common.json, command)?;
            return Ok(ExitCode::SUCCESS);
        }
        command if command.is_for_people() => common.place.refuse(common.at_database())?,
        _ => {}
    }
    if command.is_over_the_api() {
        let api = common.api().await?;
        let done = run_over_the_api(&api, common.json, command).await;
        let closed = api.close().await;
        return done.and(closed).map(|()| ExitCode::SUCCESS);
    }
    let settings = common.settings()?;
    match command {
        Command::Serve => serve::run(&settings, common.source()).await?,
        Command::Demo => demo::run(&settings, common.source(), common.json).await?,
        Command::Migrate(args) => serve::migrate(&settings, common.json, args).await?,
        Command::Backup(args) => backup::backup(&settings, common.json, args).await?,
        Command::Restore(args) => backup::restore(&settings, common.json, args).await?,
        Command::Restored => restored::run(&settings, common.json).await?,
        Command::Tenant(command) => resources::tenant(&settings, common.json, command).await?,
        Command::Switch(command) => resources::switch(&settings, common.json, command).await?,
        Command::Record(command) => records::record(&settings, common.json, command).await?,
        Command::Agent(command) => people::agent(&settings, common.json, command).await?,
        Command::Admin(command) => people::admin(&settings, common.json, command).await?,
        Command::KeyFile(command) => key_file::run(&settings, common.json, command).await?,
        Command::Mail(command) => mail::run(&settings, common.json, command).await?,
        Command::Usage(args) => usage::run(&settings, common.json, args).await?,
        Command::Import(args) => transfer::import(&settings, common.json, args).await?,
        Command::Export(args) => transfer::export(&settings, common.json, args).await?,
        Command::Render(args) => render::run(&settings, common.json, args).await?,
        Command::Bench(args) => bench::run(common.json, args).await?,
        Command::BenchData(args) => bench_data::run(&settings, args).await?,
        // These were run above.
        Command::Completions(_)
        | Command::Man(_)
        | Command::Login
        | Command::Logout
        | Command::Recording(_)
        | Command::Apply(_)
        | Command::Carrier(_)
        | Command::Route(_) => {}
        Command::Doctor(args) => return doctor::run(&settings, common.json, args).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_over_the_api(api: &wire::Api, json: bool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Apply(args) => company::apply(api, json, &args).await,
        Command::Carrier(command) => carriers::carrier(api, json, &command).await,
        Command::Route(command) => carriers::route(api, json, command).await,
        Command::Export(args) => company::export(api, &args).await,
        _ => Ok(()),
    }
}
