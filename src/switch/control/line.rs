//! A node's connections for commands that act on calls: one to each switch, opened when it is needed first.
//!
//! Other commands are for the node that holds a switch's link, so that two nodes don't do the same. These are done once for one request, on
//! the node that got it, which hears itself what comes of it.

use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

use super::command::Order;
use crate::{
    switch::{
        link::{
            place,
            socket::{Talk, Unanswered},
        },
        live::Watched,
    },
    text::keyring::Keyring,
};

#[derive(Default)]
pub struct Lines(Mutex<HashMap<Uuid, (String, Arc<Talk>)>>);

/// Why a switch did not take a command.
#[derive(Debug)]
pub enum Untaken {
    /// It can't be reached: it has done nothing.
    Away,
    /// It may have done it.
    Unanswered,
    /// What it answered.
    Refused(String),
}

impl Lines {
    async fn open(&self, watched: &Watched, keyring: &Keyring) -> Result<Arc<Talk>, Untaken> {
        if let Some((address, talk)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&watched.switch)
            && *address == watched.address
            && talk.is_open()
        {
            return Ok(Arc::clone(talk));
        }
        let password = keyring.open_sealed(place(watched.switch), &watched.password).map_err(|error| {
            tracing::error!(switch = %watched.switch, %error, "the password of a switch's event socket can't be opened");
            Untaken::Away
        })?;
        let talk = Talk::open(&watched.address, &password, None).await.map_err(|error| {
            tracing::warn!(switch = %watched.switch, %error, "a switch takes no commands");
            Untaken::Away
        })?;
        let talk = Arc::new(talk);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(watched.switch, (watched.address.clone(), Arc::clone(&talk)));
        Ok(talk)
    }

    fn close(&self, switch: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&switch);
    }

    fn failed(&self, watched: &Watched, error: &Unanswered) -> Untaken {
        tracing::warn!(switch = %watched.switch, %error, "a switch did not answer a command");
        self.close(watched.switch);
        Untaken::Unanswered
    }

    /// Gives a command, and returns what it answers.
    pub async fn ask(&self, watched: &Watched, keyring: &Keyring, order: &impl Display) -> Result<String, Untaken> {
        let talk = self.open(watched, keyring).await?;
        talk.ask(&order.to_string()).await.map_err(|error| self.failed(watched, &error))
    }

    /// Gives a command. That it was taken does not mean that it was done.
    pub async fn tell(&self, watched: &Watched, keyring: &Keyring, order: &impl Display) -> Result<(), Untaken> {
        let answer = self.ask(watched, keyring, order).await?;
        if answer.trim_start().starts_with("+OK") || answer.contains("\n+OK") {
            return Ok(());
        }
        let line = answer.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let line = line.trim_start_matches("-ERR").trim().chars().filter(|c| !c.is_control()).take(100).collect();
        tracing::info!(switch = %watched.switch, line, "a switch refused a command");
        Err(Untaken::Refused(line))
    }

    /// Gives a command that takes long. Returns the job, whose end is an event.
    pub async fn begin(&self, watched: &Watched, keyring: &Keyring, order: &Order) -> Result<Uuid, Untaken> {
        let talk = self.open(watched, keyring).await?;
        let job = talk.begin(&order.to_string()).await.map_err(|error| self.failed(watched, &error))?;
        job.ok_or_else(|| Untaken::Refused(String::new()))
    }
}
