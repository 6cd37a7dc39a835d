//! `mail`: sent, waiting and failed mails.

use clap::{Subcommand, ValueEnum};
use uuid::Uuid;

use super::{failure::Missing, local::Local, print};
use crate::{app::settings::Settings, tenancy::mail::store, text::id};

#[derive(Subcommand)]
pub enum MailCommand {
    /// List mails, newest first
    List {
        #[arg(long)]
        status: Option<Status>,
    },
    /// Send failed mails again
    Retry {
        /// The id of one mail, as `dialplane mail list` shows it
        #[arg(required_unless_present = "failed", value_parser = id)]
        mail: Option<Uuid>,
        /// All failed mails
        #[arg(long, conflicts_with = "mail")]
        failed: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Status {
    Queued,
    Sent,
    Failed,
}

pub async fn run(settings: &Settings, json: bool, command: MailCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let done = work(&local, json, command).await;
    let closed = local.close().await;
    done.and(closed)
}

async fn work(local: &Local, json: bool, command: MailCommand) -> anyhow::Result<()> {
    let pool = local.changes.pool();
    match command {
        MailCommand::List { status } => {
            let status = status.map(|status| match status {
                Status::Queued => "queued",
                Status::Sent => "sent",
                Status::Failed => "failed",
            });
            let mails = store::list(pool, status).await?;
            let columns = ["created_at", "recipient", "template", "status", "attempts", "last_error", "id"];
            print::many(json, &mails, &columns, &local.place)
        }
        MailCommand::Retry { mail, failed: _ } => {
            let count = store::retry(pool, mail).await?;
            if count == 0 && mail.is_some() {
                let detail = "there is no unsent mail with this id: `dialplane mail list` shows the ids";
                return Err(Missing(detail.into()).into());
            }
            if json {
                return print::one(true, &serde_json::json!({ "queued": count }));
            }
            println!("Queued again: {count}.");
            Ok(())
        }
    }
}
