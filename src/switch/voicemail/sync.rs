//! Takes over what a switch says of a mailbox.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Message, VoicemailPatch,
    command::{Caller, Order, Told},
    line::Line,
    store::{self, Owner},
};
use crate::{
    model::error::{Error, Result},
    text::Code,
};

/// The most messages of a mailbox that are known here: far more than anybody keeps.
const MOST: usize = 1000;

/// Asks the switch what is in a mailbox, and notes it. Nobody else does so meanwhile. Returns how many messages there are.
pub async fn sync(db: &mut PgConnection, line: &Line<'_>, owner: &Owner) -> Result<usize> {
    let switch = line.watched.switch;
    store::hold(&mut *db, owner, switch).await?;
    for message in store::erased(&mut *db, owner, switch).await? {
        // What the switch does not delete, it is told to the next time that it is asked.
        if let Err(error) = delete(line, owner, message).await {
            tracing::warn!(%switch, %message, %error, "a switch did not delete the message of somebody who was erased");
        }
    }
    let mut there = BTreeMap::new();
    for read in [false, true] {
        there.extend(line.list(&owner.mailbox, read).await?.into_iter().take(MOST).map(|message| (message, read)));
    }
    let known = store::known(&mut *db, owner, switch).await?;
    let gone = known.iter().filter(|one| !there.contains_key(&one.message)).map(|one| one.id).collect::<Vec<_>>();
    store::remove(&mut *db, owner.tenant, &gone).await?;
    for (message, read) in &there {
        let known = known.iter().find(|one| one.message == *message);
        if known.is_some_and(|known| known.is_read == *read) {
            continue;
        }
        // It may have gone a moment ago: the next question says so.
        let Some(told) = line.show(&owner.mailbox, *message).await? else { continue };
        match known {
            Some(known) => store::read(&mut *db, owner.tenant, known.id, told.read_at).await?,
            None => store::insert(&mut *db, owner, switch, &told, None).await?,
        }
    }
    Ok(there.len())
}

/// What the switch has of a message now.
async fn now(line: &Line<'_>, owner: &Owner, message: Uuid) -> Result<Told> {
    line.show(&owner.mailbox, message).await?.ok_or(Error::NotFound("voicemail"))
}

/// Marks a message.
pub async fn mark(
    db: &mut PgConnection,
    line: &Line<'_>,
    owner: &Owner,
    before: &Message,
    patch: &VoicemailPatch,
) -> Result<()> {
    store::hold(&mut *db, owner, line.watched.switch).await?;
    let told = now(line, owner, before.message).await?;
    let mut message = before.message;
    let is_read = patch.is_read.unwrap_or(told.read_at.is_some());
    if let Some(urgent) = patch.is_urgent.filter(|urgent| *urgent != told.is_urgent) {
        // No command changes a message's flag. A copy can be put in with another, and then the first one goes.
        let copy = put(&mut *db, line, owner, owner, &told, urgent).await?;
        store::replace(&mut *db, owner.tenant, before.id, &copy).await?;
        delete(line, owner, message).await?;
        message = copy.message;
        if is_read {
            line.tell(&Order::Mark { mailbox: &owner.mailbox, message, read: true }).await?;
        }
    } else if is_read != told.read_at.is_some() {
        line.tell(&Order::Mark { mailbox: &owner.mailbox, message, read: is_read }).await?;
    }
    let told = now(line, owner, message).await?;
    store::read(&mut *db, owner.tenant, before.id, told.read_at).await?;
    Ok(())
}

/// Puts a copy of a message into a mailbox, and returns what the switch says of the copy.
async fn put(
    db: &mut PgConnection,
    line: &Line<'_>,
    from: &Owner,
    into: &Owner,
    told: &Told,
    urgent: bool,
) -> Result<Told> {
    let known = store::known(&mut *db, into, line.watched.switch).await?;
    let (mark, caller) = (Uuid::new_v4(), Caller::of(&told.caller_number, &told.caller_name));
    tracing::debug!(from = %from.extension, into = %into.extension, "a message is copied");
    line.tell(&Order::Put { into: &into.mailbox, file: &told.path, caller: &caller, mark, urgent }).await?;
    // A copy is new, so nobody has heard it.
    for message in line.list(&into.mailbox, false).await? {
        if known.iter().any(|one| one.message == message) {
            continue;
        }
        if let Some(copy) = line.show(&into.mailbox, message).await?.filter(|copy| copy.mark == Some(mark)) {
            return Ok(copy);
        }
    }
    // `vm_inject` copies nothing if the disk is full, and says that all is well (`deliver_vm` in mod_voicemail.c).
    Err(Code::VoicemailRefused.with("answer", "no copy").into())
}

/// Puts a copy of a message into the mailbox of another extension. Returns its id.
pub async fn forward(
    db: &mut PgConnection,
    line: &Line<'_>,
    owner: &Owner,
    before: &Message,
    to: &Owner,
) -> Result<Uuid> {
    store::hold(&mut *db, to, line.watched.switch).await?;
    let told = now(line, owner, before.message).await?;
    let copy = put(&mut *db, line, owner, to, &told, told.is_urgent).await?;
    // The whole name of whoever left it, and when they did.
    let copy = Told {
        caller_name: before.caller_name.clone(),
        caller_number: before.caller_number.clone(),
        received_at: before.received_at,
        ..copy
    };
    store::insert(&mut *db, to, line.watched.switch, &copy, Some(&owner.number)).await?;
    let id = store::of_message(&mut *db, to, line.watched.switch, copy.message).await?;
    id.ok_or(Error::Fault("a forwarded message is not known"))
}

/// Has the switch delete a message. The lamp follows.
pub async fn delete(line: &Line<'_>, owner: &Owner, message: Uuid) -> Result<()> {
    line.tell(&Order::Delete { mailbox: &owner.mailbox, message }).await?;
    line.tell(&Order::Purge { mailbox: &owner.mailbox }).await
}
