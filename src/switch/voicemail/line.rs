//! A switch that is asked about mailboxes, and told what to do with them.

use std::sync::Arc;

use uuid::Uuid;

use super::command::{self, Mailbox, Order, Told};
use crate::{
    model::error::{Error, Result},
    switch::{
        control::Control,
        live::{Live, Watched},
    },
    text::{Code, keyring::Keyring},
};

/// A switch that this node hears.
pub struct Line<'a> {
    pub control: &'a Control,
    pub keyring: &'a Keyring,
    pub watched: Arc<Watched>,
}

/// The switch, if this node hears it. Otherwise it is not asked either: what can't be heard usually can't be reached, and people would wait.
pub fn heard(live: &Live, switch: Uuid) -> Option<Arc<Watched>> {
    let found = live.switches().into_iter().find(|watched| watched.switch == switch)?;
    let is_heard = found.known().unknown_since.is_none();
    is_heard.then_some(found)
}

impl Line<'_> {
    /// Asks it something.
    pub async fn ask(&self, order: &impl std::fmt::Display) -> Result<String> {
        let asked = self.control.ask(self.keyring, &self.watched, order).await;
        asked.map_err(|_| Code::VoicemailAway.into())
    }

    /// Tells it to do something. mod_voicemail says `+OK` or `-OK` of what it has done.
    pub async fn tell(&self, order: &Order<'_>) -> Result<()> {
        let answer = self.ask(order).await?;
        if answer.trim_start().starts_with("+OK") || answer.trim_start().starts_with("-OK") {
            return Ok(());
        }
        Err(self.strange(&answer))
    }

    fn strange(&self, answer: &str) -> Error {
        let line = answer.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(100);
        let line = line.collect::<String>();
        tracing::warn!(switch = %self.watched.switch, line, "a switch did not do what it was told with a mailbox");
        Code::VoicemailRefused.with("answer", line).into()
    }

    pub async fn list(&self, mailbox: &Mailbox, read: bool) -> Result<Vec<Uuid>> {
        let answer = self.ask(&Order::List { mailbox, read }).await?;
        command::listed(&answer).ok_or_else(|| self.strange(&answer))
    }

    /// `None` if there is no such message in this mailbox.
    pub async fn show(&self, mailbox: &Mailbox, message: Uuid) -> Result<Option<Told>> {
        Ok(command::told(&self.ask(&Order::Show { mailbox, message }).await?))
    }
}
