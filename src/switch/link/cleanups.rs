//! Removes what a switch keeps of mailboxes that are gone, and the PINs that people chose by phone.
//!
//! mod_voicemail keeps messages, greetings and a PIN of its own by user and domain, and asks nobody before it takes that PIN
//! (`voicemail_check_main` in mod_voicemail.c). Its commands delete messages (`vm_delete`) and set the PIN
//! (`vm_fsdb_pref_password_set`), but none deletes a greeting or a recorded name: [`erase`](super::erase) does.

use super::{
    VisitError,
    erase::{erase, there},
    socket::Talk,
    store::{self, Due, Order},
};
use crate::{node::changes::Changes, routing::NO_PIN};

/// The most orders in one visit. The next visit continues.
const MOST: i64 = 200;

/// Works off a switch's orders. Those that the switch does not carry out are tried again.
pub(super) async fn clean_up(changes: &Changes, talk: &Talk, due: &Due) -> Result<(), VisitError> {
    for order in store::orders(changes.pool(), due.switch, MOST).await? {
        match carry_out(talk, &order).await? {
            None => store::cleaned_up(changes.pool(), &order).await?,
            Some(answer) => {
                tracing::warn!(switch = %due.switch, mailbox = %order.mailbox, domain = %order.domain, answer, "a switch did not clean up a mailbox");
                store::not_cleaned_up(changes.pool(), &order, &answer).await?;
            }
        }
    }
    Ok(())
}

/// Carries out an order. Returns what the switch answered if it refused.
async fn carry_out(talk: &Talk, order: &Order) -> Result<Option<String>, VisitError> {
    for command in commands(order) {
        let answer = talk.ask(&command).await?;
        // `+OK` of vm_delete, `-OK` of the others. A switch without mod_voicemail has no mailboxes.
        if !answer.contains("OK") && !answer.contains("Command not found") {
            return Ok(Some(super::first_line(&answer)));
        }
    }
    if order.whole { remove_greetings(talk, order).await } else { Ok(None) }
}

/// Removes greetings and recorded names. Returns why some are left.
async fn remove_greetings(talk: &Talk, order: &Order) -> Result<Option<String>, VisitError> {
    let storage = talk.ask("global_getvar storage_dir").await?;
    let storage = storage.trim();
    if !storage.starts_with('/') {
        return Ok(None);
    }
    let files = there(talk, greetings(storage, order)).await?;
    Ok(erase(talk, files).await?)
}

/// Where mod_voicemail keeps what somebody said about themselves, and what they began to say (`voicemail_check_main` and
/// `VM_MAX_GREETINGS` in mod_voicemail.c). `file-extension` of freeswitch-conf is wav.
fn greetings(storage: &str, order: &Order) -> Vec<String> {
    let Order { mailbox, domain, .. } = order;
    let names = (1..=9).map(|n| format!("greeting_{n}")).chain(["recorded_name".to_owned()]);
    let names = names.flat_map(|name| [format!("{name}_TMP"), name]);
    names.map(|name| format!("{storage}/voicemail/default/{domain}/{mailbox}/{name}.wav")).collect()
}

/// The commands always name a mailbox, and `default` is the profile that all routes use.
fn commands(order: &Order) -> Vec<String> {
    let Order { mailbox, domain, whole, .. } = order;
    let mut commands = Vec::new();
    if *whole {
        commands.push(format!("vm_delete {mailbox}@{domain}/default"));
    }
    commands.push(format!("vm_fsdb_pref_password_set default {domain} {mailbox} {NO_PIN}"));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Domain, SipUsername};

    #[test]
    fn a_mailbox_that_is_gone_loses_its_messages_and_another_only_the_pin_chosen_by_phone() {
        let mut order = Order {
            id: 1,
            mailbox: SipUsername::parse("u7kq3mxzd").unwrap(),
            domain: Domain::parse("acme.test").unwrap(),
            whole: false,
            since: chrono::DateTime::UNIX_EPOCH,
        };
        let pin = "vm_fsdb_pref_password_set default acme.test u7kq3mxzd -";
        assert_eq!(commands(&order), [pin]);
        order.whole = true;
        assert_eq!(commands(&order), ["vm_delete u7kq3mxzd@acme.test/default", pin]);
        let files = greetings("/var/lib/freeswitch/storage", &order);
        let own = "/var/lib/freeswitch/storage/voicemail/default/acme.test/u7kq3mxzd/";
        assert!(files.len() == 20 && files.iter().all(|file| file.starts_with(own)), "{files:?}");
        assert!(files.contains(&format!("{own}greeting_9.wav")) && files.contains(&format!("{own}recorded_name.wav")));
    }
}
