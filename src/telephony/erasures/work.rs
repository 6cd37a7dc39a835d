//! The job that erases. One node at a time does it. It keeps no place: what it has erased it does not find again, so a crash costs only reading.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{
    Erased, Erasure, ErasureState,
    found_store::{self as found, Known, Leg, Posted},
    person::Person,
    store::{self, Due, Looked},
};
use crate::{
    model::error::{Error, Result},
    node::{
        changes::{Author, Changes},
        jobs::round,
    },
    telephony::{
        calls::record,
        history::{Summary, facets::Facet, fold_store, withheld},
    },
};

const EVERY: Duration = Duration::from_secs(5);
/// The pause after each part, for other work.
const PAUSE: Duration = Duration::from_millis(20);
/// Until then, calls that were up are over, and what was on its way has come.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// Runs forever. What fails is tried again the next time.
pub async fn run(changes: Changes) {
    loop {
        if let Err(error) = round("erasures", pass(&changes, Utc::now())).await {
            tracing::warn!(%error, "a person's data could not be erased yet, and will be later");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Works on the erasures that are due as of `now`. Returns how many; `None` if another node is doing this.
pub async fn pass(changes: &Changes, now: DateTime<Utc>) -> Result<Option<usize>> {
    let pool = changes.pool();
    let due = store::due(pool, now).await?;
    if due.is_empty() {
        return Ok(Some(0));
    }
    let mut turn = pool.acquire().await?.detach();
    if !store::take_turn(&mut turn).await? {
        return Ok(None);
    }
    // The lock ends with its connection, even if this is interrupted.
    let mut done = Ok(Some(due.len()));
    for due in &due {
        if let Err(error) = one(changes, due, now).await {
            done = Err(error);
        }
    }
    let _ = store::end_turn(&mut turn).await;
    done
}

async fn one(changes: &Changes, due: &Due, now: DateTime<Utc>) -> Result<()> {
    let person = super::person(due.id, &due.numbers)?;
    let mut look =
        Look { pool: changes.pool(), due, patterns: person.patterns(), person, erased: due.erased, remaining: 0 };
    look.all().await?;
    let settings = found::settings(look.pool, due.tenant, &look.patterns).await?;
    let is_done = due.state == ErasureState::Looked && look.remaining == 0;
    let looked = Looked {
        erased: look.erased,
        settings,
        remaining: i32::try_from(look.remaining).unwrap_or(i32::MAX),
        next_at: (!is_done).then(|| now + AGAIN),
        now,
    };
    let mut change = changes.begin(Author { name: "erasure".into(), source: None, within: None }).await?;
    change.hold(due.tenant).await?;
    store::looked(change.db(), due, &looked).await?;
    // The tenant may be gone.
    let after = store::get(change.db(), due.tenant, due.id).await?;
    if let Some(after) = after.filter(|_| is_done) {
        change.audit_of::<Erasure>("update", None, Some(&after)).await?;
    }
    change.commit_quietly().await
}

/// One look at everything that is kept.
struct Look<'a> {
    pool: &'a PgPool,
    due: &'a Due,
    person: Person,
    patterns: Vec<String>,
    erased: Erased,
    /// What can't be erased yet.
    remaining: i64,
}

impl Look<'_> {
    async fn all(&mut self) -> Result<()> {
        // Legs come first: calls are made of them.
        self.legs().await?;
        self.waiting().await?;
        let (calls, legs) = self.calls().await?;
        self.records(&legs).await?;
        self.numbers().await?;
        self.messages().await?;
        self.events().await?;
        self.audit(&calls).await?;
        self.contacts().await?;
        self.chat().await?;
        self.plays().await?;
        Ok(())
    }

    /// A transaction in which nobody makes calls of legs.
    async fn undisturbed(&self) -> Result<Transaction<'static, Postgres>> {
        loop {
            let mut tx = self.pool.begin().await?;
            if fold_store::take_turn(&mut tx).await? {
                return Ok(tx);
            }
            drop(tx);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn legs(&mut self) -> Result<()> {
        let mut tx = self.undisturbed().await?;
        let new = found::new_legs(&mut tx, self.due.tenant, &self.patterns).await?;
        self.tell(&mut tx, new).await?;
        tx.commit().await?;
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let mut tx = self.undisturbed().await?;
            let part = found::legs(&mut tx, self.due.tenant, &self.patterns, after).await?;
            let Some(last) = part.last().map(|leg| (leg.call, leg.leg)) else { return Ok(()) };
            self.tell(&mut tx, part).await?;
            tx.commit().await?;
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tell(&mut self, tx: &mut Transaction<'static, Postgres>, legs: Vec<Leg>) -> Result<()> {
        let mut changed = Vec::new();
        for Leg { leg, told, .. } in legs {
            let Some(mut told) = told else { continue };
            // The name is that of whoever has this number, and of nobody else on the leg.
            let is_caller = told["from_number"].as_str().is_some_and(|number| self.person.is_in(number));
            if self.person.take_out(&mut told) {
                if is_caller {
                    told["from_name"] = Value::Null;
                }
                changed.push(json!({ "leg": leg, "told": told }));
            }
        }
        self.count(changed.len());
        Ok(found::tell(tx, self.due.tenant, &Value::Array(changed)).await?)
    }

    fn count(&mut self, others: usize) {
        self.erased.others += i64::try_from(others).unwrap_or(i64::MAX);
    }

    /// Returns the person's calls, as the audit log names them, and their legs.
    async fn calls(&mut self) -> Result<(Vec<String>, Vec<String>)> {
        let (mut calls, mut legs) = (Vec::new(), BTreeSet::new());
        let mut after = (DateTime::UNIX_EPOCH, Uuid::nil());
        loop {
            let part = found::calls(self.pool, self.due.tenant, &self.patterns, after).await?;
            let Some(last) = part.last().map(|call| (call.started_at, call.id)) else { break };
            let meant = part.iter().filter(|call| call.is_meant).map(|call| (call.started_at, call.id));
            let meant = meant.collect::<Vec<_>>();
            if !meant.is_empty() {
                let (theirs, of_calls) = self.erase_calls(&meant).await?;
                calls.extend(theirs.into_iter().map(|id| format!("calls/{id}")));
                legs.extend(of_calls);
            }
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
        Ok((calls, legs.into_iter().map(|leg| leg.to_string()).collect()))
    }

    /// What people write about calls that are up. What is written about the person's own goes with their records.
    async fn waiting(&mut self) -> Result<()> {
        let mut tx = self.undisturbed().await?;
        let mut changed = 0;
        for found::Waiting { id, notes, tags } in found::waiting(&mut tx, self.due.tenant, &self.patterns).await? {
            let masked = |text: &str| self.person.masked_in_prose(text).unwrap_or_else(|| text.to_owned());
            let (now, tags_now) =
                (notes.as_deref().map(masked), tags.iter().map(|tag| masked(tag)).collect::<Vec<_>>());
            if (&now, &tags_now) != (&notes, &tags) {
                found::write_waiting(&mut tx, self.due.tenant, id, now.as_deref(), &tags_now).await?;
                changed += 1;
            }
        }
        tx.commit().await?;
        self.count(changed);
        Ok(())
    }

    async fn erase_calls(&mut self, meant: &[(DateTime<Utc>, Uuid)]) -> Result<(Vec<Uuid>, Vec<Uuid>)> {
        let tenant = self.due.tenant;
        let mut tx = self.undisturbed().await?;
        let (mut rows, mut calls, mut legs) = (Vec::new(), Vec::new(), Vec::new());
        for call in found::lock_calls(&mut tx, tenant, meant).await? {
            let id = call.id;
            let Some((row, is_theirs)) = self.without(call)? else { continue };
            if is_theirs {
                calls.push(id);
                let told = row["story"]["legs"].as_array().into_iter().flatten().filter_map(|leg| leg["leg"].as_str());
                legs.extend(told.filter_map(|leg| leg.parse::<Uuid>().ok()));
            }
            rows.push(row);
        }
        legs.extend(found::legs_of(&mut tx, tenant, &calls).await?);
        let (gone, held) = found::delete_recordings(&mut tx, tenant, &calls, &legs).await?;
        self.erased.calls += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.erased.recordings += gone;
        self.remaining += held;
        found::write_calls(&mut tx, tenant, &Value::Array(rows)).await?;
        tx.commit().await?;
        Ok((calls, legs))
    }

    /// A call without the person, and whether they were on it; `None` if it does not name them.
    fn without(&self, call: Known) -> Result<Option<(Value, bool)>> {
        let Known { started_at, id, direction, agents, mut summary, mut story, notes, tags, contact } = call;
        let is_theirs = self.person.take_out_with_names(&mut summary) | self.person.take_out_with_names(&mut story);
        let told = serde_json::from_value::<Summary>(summary.clone());
        let told = told.map_err(|_| Error::Fault("a call's summary can't be read"))?;
        // What people wrote about a call with somebody is about them.
        let masked = notes.as_deref().and_then(|notes| self.person.masked_in_prose(notes));
        let is_noted = masked.is_some() || is_theirs && notes.is_some();
        let notes = if is_theirs { None } else { masked.or(notes) };
        let mut is_tagged = false;
        let tags = tags.into_iter().map(|tag| match self.person.masked_in_prose(&tag) {
            Some(masked) => {
                is_tagged = true;
                masked
            }
            None => tag,
        });
        let tags = tags.collect::<Vec<_>>();
        if !is_theirs && !is_noted && !is_tagged {
            return Ok(None);
        }
        let tenant = self.due.tenant;
        let parties = self.due.numbers.iter().map(|number| Facet::Party(number).number(tenant)).collect::<Vec<_>>();
        let hidden =
            agents.iter().flat_map(|agent| parties.iter().map(|party| Facet::Hidden(*agent, *party).number(tenant)));
        // A contact of several people may still be there.
        let (kept, left) = if is_theirs { (None, contact) } else { (contact, None) };
        let left = left.map(|contact| Facet::Contact(contact).number(tenant));
        let facets = parties.iter().copied().chain(hidden).chain(left).collect::<Vec<_>>();
        let row = json!({
            "started_at": started_at, "id": id, "sought": withheld::sought(&told, direction), "summary": summary, "story": story, "notes": notes,
            "tags": tags, "contact_id": kept, "facets": facets,
        });
        Ok(Some((row, is_theirs)))
    }

    async fn records(&mut self, legs: &[String]) -> Result<()> {
        let tenant = self.due.tenant;
        let mut after = String::new();
        loop {
            let part = found::new_records(self.pool, tenant, legs, &after).await?;
            let Some(last) = part.last().map(|record| record.leg.clone()) else { break };
            let theirs = self.theirs(part, legs).await?;
            // What it says has to be read before, which takes a minute at most.
            let (noted, unread): (Vec<_>, Vec<_>) = theirs.into_iter().partition(|record| record.is_noted);
            self.remaining += i64::try_from(unread.len()).unwrap_or(i64::MAX);
            self.erased.records += i64::try_from(noted.len()).unwrap_or(i64::MAX);
            let noted = noted.into_iter().map(|record| record.leg).collect::<Vec<_>>();
            found::empty_new_records(self.pool, &noted).await?;
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
        let mut after = (DateTime::UNIX_EPOCH, String::new());
        loop {
            let part = found::records(self.pool, tenant, (after.0, &after.1)).await?;
            let Some(last) = part.last().map(|record| (record.received_at, record.leg.clone())) else { break };
            let theirs = self.theirs(part, legs).await?;
            self.erased.records += i64::try_from(theirs.len()).unwrap_or(i64::MAX);
            let theirs = theirs.into_iter().map(|record| (record.received_at, record.leg)).collect::<Vec<_>>();
            found::empty_records(self.pool, &theirs).await?;
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
        if !legs.is_empty() {
            let emptied = found::empty_nobodys_records(self.pool, legs).await?;
            self.erased.records += i64::try_from(emptied).unwrap_or(i64::MAX);
        }
        Ok(())
    }

    /// The records that are of the person's calls or name them, in whatever encoding.
    async fn theirs(&mut self, part: Vec<Posted>, legs: &[String]) -> Result<Vec<Posted>> {
        let mut theirs = Vec::new();
        for record in part {
            let Some(body) = &record.body else { continue };
            if legs.binary_search(&record.leg).is_ok() || self.person.is_in(&record::plain(body)) {
                theirs.push(record);
            }
            tokio::task::consume_budget().await;
        }
        Ok(theirs)
    }

    async fn numbers(&mut self) -> Result<()> {
        let (spellings, masks) = self.person.spellings();
        let mut tx = self.pool.begin().await?;
        let (changed, left) = found::numbers(&mut tx, self.due.tenant, &spellings, &masks).await?;
        tx.commit().await?;
        self.erased.others += i64::try_from(changed).unwrap_or(i64::MAX);
        self.remaining += left;
        Ok(())
    }

    async fn messages(&mut self) -> Result<()> {
        let meant = found::messages(self.pool, self.due.tenant, &self.patterns).await?;
        let theirs = meant.into_iter().filter(|(_, number)| self.person.is_in(number)).map(|(id, _)| id);
        let theirs = theirs.collect::<Vec<_>>();
        let mut tx = self.pool.begin().await?;
        found::erase_messages(&mut tx, self.due.tenant, &theirs).await?;
        tx.commit().await?;
        self.erased.messages += i64::try_from(theirs.len()).unwrap_or(i64::MAX);
        // A switch that is away keeps them until it is back.
        self.remaining += found::messages_left(self.pool, self.due.tenant).await?;
        Ok(())
    }

    async fn events(&mut self) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let part = found::events(self.pool, self.due.tenant, &self.patterns, after).await?;
            let Some(last) = part.last().map(|event| event.id) else { break };
            for event in part {
                let Some(body) = event.one else { continue };
                let masked = match serde_json::from_str::<Value>(&body) {
                    Ok(mut told) => self.person.take_out_with_names(&mut told).then(|| told.to_string()),
                    Err(_) => self.person.masked(&body),
                };
                if let Some(masked) = masked {
                    found::write_event(self.pool, event.id, &masked).await?;
                    self.count(1);
                }
            }
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
        let forgotten = found::forget_answers(self.pool, self.due.tenant, &self.patterns).await?;
        self.erased.others += i64::try_from(forgotten).unwrap_or(i64::MAX);
        Ok(())
    }

    async fn audit(&mut self, calls: &[String]) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let part = found::audit(self.pool, self.due.tenant, &self.patterns, calls, after).await?;
            let Some(last) = part.last().map(|entry| entry.id) else { return Ok(()) };
            for entry in part {
                let [before, since] = [entry.before, entry.after].map(|said| self.said(said?, entry.is_of_call));
                if before.is_some() || since.is_some() {
                    found::write_audit(self.pool, entry.id, before, since).await?;
                    self.count(1);
                }
            }
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What an entry of the audit log says without the person; `None` if it doesn't name them. Notes about their calls are about them.
    fn said(&self, mut said: Value, is_of_call: bool) -> Option<Value> {
        let mut is_changed = self.person.take_out(&mut said);
        if let Some(notes) = said.get_mut("notes")
            && let Some(text) = notes.as_str()
        {
            if is_of_call {
                *notes = Value::Null;
                is_changed = true;
            } else if let Some(masked) = self.person.masked_in_prose(text) {
                *notes = masked.into();
                is_changed = true;
            }
        }
        is_changed.then_some(said)
    }

    async fn contacts(&mut self) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let part = found::contacts(self.pool, self.due.tenant, &self.patterns, after).await?;
            let Some(last) = part.last().map(|contact| contact.id) else { return Ok(()) };
            for contact in part {
                let notes = contact.one.as_deref().and_then(|notes| self.person.masked_in_prose(notes));
                let fields = contact.other.and_then(|fields| serde_json::from_str::<Value>(&fields).ok());
                let fields = fields.and_then(|fields| self.fields(fields));
                if notes.is_some() || fields.is_some() {
                    found::write_contact(self.pool, self.due.tenant, contact.id, notes.as_deref(), fields).await?;
                    self.count(1);
                }
            }
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What people wrote into fields, without the person's numbers; `None` if it has none.
    fn fields(&self, mut fields: Value) -> Option<Value> {
        let mut is_changed = false;
        for field in fields.as_object_mut()?.values_mut() {
            if let Some(masked) = field.as_str().and_then(|text| self.person.masked_in_prose(text)) {
                *field = masked.into();
                is_changed = true;
            }
        }
        is_changed.then_some(fields)
    }

    async fn chat(&mut self) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let part = found::chat(self.pool, self.due.tenant, &self.patterns, after).await?;
            let Some(last) = part.last().map(|message| message.id) else { return Ok(()) };
            for message in part {
                if let Some(body) = message.one.and_then(|body| self.person.masked_in_prose(&body)) {
                    found::write_chat(self.pool, self.due.tenant, message.id, &body).await?;
                    self.count(1);
                }
            }
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn plays(&mut self) -> Result<()> {
        for kept in found::plays(self.pool, self.due.tenant, &self.patterns).await? {
            let play = kept.one.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if let Some(mut play) = play
                && self.person.take_out_with_names(&mut play)
            {
                found::write_play(self.pool, self.due.tenant, kept.id, &play).await?;
                self.count(1);
            }
            let metadata = kept.other.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if let Some(metadata) = metadata.and_then(|metadata| self.fields(metadata)) {
                found::write_label(self.pool, self.due.tenant, kept.id, &metadata).await?;
                self.count(1);
            }
        }
        Ok(())
    }
}
