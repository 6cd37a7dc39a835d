//! Removes files of a switch. No command does, but a recording that ends at once: the switch throws away a file in which there is less than three
//! seconds (`record_callback` in switch_ivr_async.c), whatever was in it before. So a leg without a phone is made, which begins and ends a
//! recording in each of these files.

use std::time::Duration;

use uuid::Uuid;

use super::socket::{Talk, Unanswered};

/// How often it is looked whether a file has gone, and the pause between.
const TRIES: usize = 60;
const PAUSE: Duration = Duration::from_millis(100);

/// A switch that can be asked.
pub trait Asks {
    type Error;

    fn ask(&self, command: &str) -> impl Future<Output = Result<String, Self::Error>> + Send;
}

impl Asks for Talk {
    type Error = Unanswered;

    fn ask(&self, command: &str) -> impl Future<Output = Result<String, Unanswered>> + Send {
        Self::ask(self, command)
    }
}

/// Those of these files that the switch has.
pub async fn there<A: Asks>(switch: &A, files: Vec<String>) -> Result<Vec<String>, A::Error> {
    let mut there = Vec::new();
    for file in files {
        if switch.ask(&format!("file_exists {file}")).await?.trim() == "true" {
            there.push(file);
        }
    }
    Ok(there)
}

/// Removes files that the switch has. Returns why some are left.
pub async fn erase<A: Asks>(switch: &A, files: Vec<String>) -> Result<Option<String>, A::Error> {
    let Some(first) = files.first() else { return Ok(None) };
    if first.contains(char::is_whitespace) {
        return Ok(Some(format!("{first} can't be named in a command: remove it by hand")));
    }
    // It is no call: it has no record, and ends by itself.
    let leg = Uuid::new_v4();
    let made = format!("originate {{origination_uuid={leg},process_cdr=false,park_timeout=60}}null/greetings &park()");
    let answer = switch.ask(&made).await?;
    if !answer.contains("+OK") {
        return Ok(Some(super::first_line(&answer)));
    }
    for file in &files {
        switch.ask(&format!("uuid_record {leg} start {file}")).await?;
        switch.ask(&format!("uuid_record {leg} stop {file}")).await?;
    }
    switch.ask(&format!("uuid_kill {leg}")).await?;
    // A thread of the recording closes the file, and throws it away, a moment later (`recording_thread` in switch_ivr_async.c).
    let mut left = there(switch, files).await?;
    for _ in 0..TRIES {
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        left = there(switch, left).await?;
    }
    Ok(left.first().map(|file| format!("{file} is still there")))
}
