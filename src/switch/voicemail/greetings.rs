//! The greetings of a mailbox. People record them by phone, up to nine (`VM_MAX_GREETINGS` in mod_voicemail.c), and callers hear the one that was
//! chosen, or the usual words.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    command::{self, Mailbox, Order},
    line::Line,
};
use crate::{
    model::error::{Error, Result},
    switch::link::erase::{Asks, erase, there},
    text::Code,
};

/// The most greetings of a mailbox.
pub const MOST: u8 = 9;

/// The greetings of an extension's mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = VoicemailGreetings)]
pub struct Greetings {
    /// Whose mailbox it is.
    pub extension_id: Uuid,
    /// The number of the greeting that callers hear; `null` for the usual words.
    pub greeting: Option<u8>,
    /// The numbers of those that were recorded, by phone.
    pub recorded: Vec<u8>,
}

/// Which greeting callers hear.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChosenGreeting {
    /// The number of a greeting that was recorded, 1 to 9.
    pub greeting: u8,
}

impl Asks for Line<'_> {
    type Error = Error;

    async fn ask(&self, command: &str) -> Result<String> {
        Line::ask(self, &command).await
    }
}

/// The file of a greeting, as mod_voicemail names it (`voicemail_check_main`). `file-extension` of freeswitch-conf is wav.
fn file(storage: &str, Mailbox { user, domain }: &Mailbox, number: u8) -> String {
    format!("{storage}/voicemail/default/{domain}/{user}/greeting_{number}.wav")
}

/// Those of these greetings that were recorded on this switch, with their files.
async fn recorded(line: &Line<'_>, mailbox: &Mailbox, numbers: impl Iterator<Item = u8>) -> Result<Vec<(u8, String)>> {
    let storage = line.ask(&"global_getvar storage_dir").await?;
    let storage = storage.trim();
    if !storage.starts_with('/') {
        return Ok(Vec::new());
    }
    let named = numbers.map(|number| (number, file(storage, mailbox, number))).collect::<Vec<_>>();
    let there = there(line, named.iter().map(|(_, file)| file.clone()).collect()).await?;
    Ok(named.into_iter().filter(|(_, file)| there.contains(file)).collect())
}

/// What there is on any of these switches.
pub async fn show(lines: &[Line<'_>], extension: Uuid, mailbox: &Mailbox) -> Result<Greetings> {
    let mut shown = Greetings { extension_id: extension, greeting: None, recorded: Vec::new() };
    for line in lines {
        let numbers =
            recorded(line, mailbox, 1..=MOST).await?.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        let chosen = command::greeting(&line.ask(&Order::Greeting { mailbox }).await?);
        // A greeting that was removed is not heard, though it stays chosen.
        shown.greeting = shown.greeting.or(chosen.filter(|number| numbers.contains(number)));
        shown.recorded.extend(numbers);
    }
    shown.recorded.sort_unstable();
    shown.recorded.dedup();
    Ok(shown)
}

/// Has callers hear one that was recorded, on every switch that has it.
pub async fn choose(lines: &[Line<'_>], mailbox: &Mailbox, number: u8) -> Result<()> {
    if !(1..=MOST).contains(&number) {
        return Err(Error::invalid("greeting", Code::range(1, MOST)));
    }
    let mut is_done = false;
    for line in lines {
        if !recorded(line, mailbox, std::iter::once(number)).await?.is_empty() {
            line.tell(&Order::Greet { mailbox, number }).await?;
            is_done = true;
        }
    }
    if is_done { Ok(()) } else { Err(Error::invalid("greeting", Code::GreetingNotRecorded)) }
}

/// Removes one that was recorded, or all. Callers who heard it hear the usual words.
pub async fn remove(lines: &[Line<'_>], mailbox: &Mailbox, number: Option<u8>) -> Result<()> {
    for line in lines {
        let numbers = (1..=MOST).filter(|one| number.is_none_or(|number| number == *one));
        let files = recorded(line, mailbox, numbers).await?.into_iter().map(|(_, file)| file).collect();
        if let Some(why) = erase(line, files).await? {
            return Err(Code::VoicemailRefused.with("answer", why).into());
        }
    }
    Ok(())
}
