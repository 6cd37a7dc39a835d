//! `record`: call records that can't be read.

use chrono::DateTime;
use clap::Subcommand;

use super::{failure::Missing, local::Local, print, reader};
use crate::{app::settings::Settings, telephony::calls::store};

#[derive(Subcommand)]
pub enum RecordCommand {
    /// List call records that can't be read, oldest first
    ///
    /// Their calls keep what was reserved for them. To replace an unreadable record, post a corrected one of the same leg to
    /// /fs/cdr?uuid=LEG. A newer version of Dialplane that can read it does so by itself.
    List,
    /// Print a call record as the switch posted it
    Show {
        /// The channel's UUID, as `list` shows it
        leg: String,
    },
}

pub async fn record(settings: &Settings, json: bool, command: RecordCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let done = async {
        match command {
            RecordCommand::List => {
                let records =
                    store::unreadable(local.changes.pool(), DateTime::UNIX_EPOCH, "", i64::from(i32::MAX)).await?;
                print::many(json, &records, &["leg", "received_at", "bytes", "reason"], &local.place)
            }
            RecordCommand::Show { leg } => {
                let body = store::unreadable_body(local.changes.pool(), &leg).await?;
                let body =
                    body.ok_or_else(|| Missing(format!("there is no unreadable call record for the leg {leg}")))?;
                reader::write(&body)
            }
        }
    };
    let done = done.await;
    local.close().await?;
    done
}
