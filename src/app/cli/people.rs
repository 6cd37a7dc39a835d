//! `agent` and `admin`: people, created by the operator.

use std::path::PathBuf;

use clap::Subcommand;
use uuid::Uuid;

use super::{
    file,
    local::{Local, author},
    next, print, progress,
    resources::tenant_id,
    sure::Sure,
};
use crate::{
    app::settings::Settings,
    people::agents::{
        Maker,
        bulk::{self, Outcome},
        file as people_file,
    },
    tenancy::{
        auth::{
            password::{self, Passwords},
            rules::Role,
            store::account_by_email,
        },
        users,
    },
    text::Email,
};

#[derive(Subcommand)]
pub enum AgentCommand {
    /// Create many from a CSV file: `first_name,last_name,email[,role][,extensions][,numbers]`, or an export of 3CX, FreePBX or FusionPBX
    Import {
        #[arg(long)]
        tenant: String,
        /// A CSV file, or `-` for standard input
        file: PathBuf,
        /// Create the agents whose lines are valid, even if other lines have errors
        #[arg(long)]
        partial: bool,
        /// Only show what would happen to each line, without creating anything
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Subcommand)]
pub enum AdminCommand {
    /// Create a platform administrator, or set a new password for an existing one (asks first)
    Create {
        #[arg(long)]
        email: Email,
        #[command(flatten)]
        sure: Sure,
    },
}

pub async fn admin(settings: &Settings, json: bool, command: AdminCommand) -> anyhow::Result<()> {
    let AdminCommand::Create { email, sure } = command;
    let local = Local::open(settings).await?;
    let done = async {
        let known = account_by_email(local.changes.pool(), email.as_str()).await?;
        if known.is_some_and(|known| known.role == Role::PlatformAdmin) {
            sure.ask(&format!("{email} will get a new password and be signed out everywhere."))?;
        }
        let password = match std::env::var("DIALPLANE_PASSWORD") {
            Ok(password) => {
                password::check("password", &password, &[email.as_str()])?;
                password
            }
            Err(_) => crate::text::token::generate("admin").to_string(),
        };
        let mut change = local.changes.begin(author()).await?;
        users::create_platform_admin(&mut change, &Passwords::default(), email.as_str(), &password).await?;
        change.commit_quietly().await?;
        print::one(json, &serde_json::json!({ "email": email, "password": password }))?;
        if !json {
            next::admin(settings);
        }
        Ok(())
    };
    let done = done.await;
    let closed = local.close().await;
    done.and(closed)
}

pub async fn agent(settings: &Settings, json: bool, command: AgentCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let public_url = settings.public_url();
    let done = work(&local, &public_url, json, command).await;
    let closed = local.close().await;
    done.and(closed)
}

async fn work(local: &Local, public_url: &str, json: bool, command: AgentCommand) -> anyhow::Result<()> {
    // The operator may create every role that an owner may create.
    let maker = Maker::new(public_url, Role::Owner);
    match command {
        AgentCommand::Import { tenant, file, partial, dry_run } => {
            let tenant = tenant_id(local, &tenant).await?;
            let text = file::read(&file)?;
            let sheet = people_file::read(&text, bulk::MOST_IN_FILE)?;
            import(local, maker, tenant, sheet, How { partial, dry_run, json }).await
        }
    }
}

#[derive(Clone, Copy)]
struct How {
    partial: bool,
    dry_run: bool,
    json: bool,
}

/// How many lines one transaction creates with `--partial`. Few enough that the tenant's other changes get their turn in
/// between, and that memory stays small.
const AT_ONCE: usize = 2_000;

async fn import(
    local: &Local,
    maker: Maker<'_>,
    tenant: Uuid,
    sheet: people_file::Sheet,
    how: How,
) -> anyhow::Result<()> {
    let people_file::Sheet { lines, at, unused } = sheet;
    let bar = progress::bar("agents", lines.len());
    let on_made = || bar.inc(1);
    let maker = Maker { on_made: Some(&on_made), ..maker };
    // All or nothing is one transaction. So is a dry run: otherwise two lines would be promised the same number.
    let at_once = if how.partial && !how.dry_run { AT_ONCE } else { lines.len() };
    let mut told = Told { how, unused, created: 0, refused: 0, lines: 0 };
    let mut lines = lines.into_iter().peekable();
    let mut result = Ok(());
    while lines.peek().is_some() && result.is_ok() {
        let some = lines.by_ref().take(at_once).collect();
        result = match import_some(local, maker, tenant, some, how).await {
            Ok(report) => {
                let report = report.of_file(&at[told.lines..]);
                bar.set_position(u64::try_from(told.lines + report.lines.len())?);
                bar.suspend(|| told.tell(report))
            }
            Err(error) => Err(error),
        };
    }
    bar.finish_and_clear();
    // Even after an error: the agents created before it stay, so their passwords must be shown.
    told.end();
    result?;
    anyhow::ensure!(told.refused == 0 || told.created > 0, "no agents were created");
    Ok(())
}

async fn import_some(
    local: &Local,
    maker: Maker<'_>,
    tenant: Uuid,
    lines: Vec<(String, bulk::Read)>,
    how: How,
) -> anyhow::Result<bulk::Report> {
    let mut change = local.changes.begin(author()).await?;
    let report = bulk::create(&mut change, maker, tenant, lines, how.partial || how.dry_run).await?;
    if !how.dry_run {
        change.commit().await?;
    }
    Ok(report)
}

/// Prints each line as it is done. With `--json` the output is still one report.
struct Told {
    how: How,
    /// Columns of the file that are not used.
    unused: Vec<String>,
    created: usize,
    refused: usize,
    lines: usize,
}

impl Told {
    fn tell(&mut self, report: bulk::Report) -> anyhow::Result<()> {
        self.created += report.created;
        self.refused += report.refused;
        for line in report.lines {
            let before = if self.lines == 0 { "{\"lines\":[" } else { "," };
            self.lines += 1;
            if self.how.json {
                print!("{before}{}", serde_json::to_string(&line)?);
            } else {
                println!("{:>5}  {}  {}", line.line, line.email, self.outcome(&line.outcome));
            }
        }
        Ok(())
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Created { agent } => {
                // Passwords can only be shown now, to whoever imports.
                let phones = agent.extensions.iter();
                let phones = phones.map(|phone| format!("{} {}", phone.sip_username, phone.sip_password));
                let made = if self.how.dry_run { "would be created" } else { "created" };
                format!("{made}  {}", phones.collect::<Vec<_>>().join("  "))
            }
            Outcome::NotCreated => "not created, because other lines have errors".to_owned(),
            Outcome::Refused(why) => format!("refused: {}", why.reason),
        }
    }

    fn end(&self) {
        match (self.how.json, self.lines) {
            (true, 0) => {}
            (true, _) => {
                let unused = serde_json::Value::from(self.unused.clone());
                println!("],\"created\":{},\"refused\":{},\"unused_columns\":{unused}}}", self.created, self.refused);
            }
            (false, _) => {
                if !self.unused.is_empty() {
                    println!("These columns were not used: {}.", self.unused.join(", "));
                }
                let made = if self.how.dry_run { 0 } else { self.created };
                println!("{made} created, {} refused.", self.refused);
            }
        }
    }
}
