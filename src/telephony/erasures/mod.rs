//! Erasing what is kept of one person, because they asked for it.
//!
//! Their contact goes at once. The rest is found and erased by a job (`work`), which looks twice: records of calls that are up come later. `person`
//! is how their numbers are recognised, `found_store` where they can be. Nothing that reports are computed from is changed: a call stays a call.

pub mod api;
pub mod found_store;
pub mod person;
pub mod store;
pub mod work;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::person::Person;
use super::contacts;
use crate::{
    model::error::{Error, Result},
    node::changes::{Audited, Change},
    text::{Code, E164},
};

const MOST_NUMBERS: usize = 20;
/// Each of them reads all of the tenant's calls.
const MOST_AT_ONCE: i64 = 20;

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ErasureState {
    /// It begins in a moment.
    Waiting,
    /// Everything was looked through. It is once more at `next_at`, because records of calls can come late.
    Looked,
    /// Nothing is left, and the numbers are forgotten.
    Finished,
}

/// How much was erased, or changed so that it says nothing of the person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Erased {
    /// Contacts that had one of the numbers. They are deleted.
    pub contacts: i64,
    /// Calls in which the numbers, names and notes are gone.
    pub calls: i64,
    /// Recordings of these calls. They are deleted.
    pub recordings: i64,
    /// Messages that the person left. They are deleted, on their switches too.
    pub messages: i64,
    /// Call records as switches posted them. They are emptied.
    pub records: i64,
    /// Everything else: legs, outbound calls, call-backs, events for webhooks, entries of the audit log, notes of other contacts.
    pub others: i64,
}

/// Settings that still name one of the numbers. They work as before: whoever wants to change them does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct StillSet {
    /// Extensions, such as with a forward.
    pub extensions: i64,
    /// Groups that lead there when nobody answers.
    pub groups: i64,
    /// Destinations, such as numbers outside.
    pub destinations: i64,
    /// Dialplan entries.
    pub dialplan_entries: i64,
    /// Whether the tenant's own settings do.
    pub tenant: bool,
}

/// A request to erase what is kept of a person. It doesn't say who that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Erasure {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// How many numbers the person has.
    pub numbers: i32,
    /// How far it is.
    pub state: ErasureState,
    /// How much was erased until now.
    pub erased: Erased,
    /// Settings that still name one of the numbers.
    pub settings: StillSet,
    /// What could not be erased yet: recordings that have come under a legal hold, calls that are up.
    pub remaining: i32,
    /// When everything is looked through the next time; absent when it is done.
    pub next_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// When nothing was left.
    pub finished_at: Option<DateTime<Utc>>,
}

impl Audited for Erasure {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("erasures/{}", self.id)
    }

    fn shown(&self) -> serde_json::Value {
        serde_json::json!({ "numbers": self.numbers, "state": self.state, "erased": self.erased })
    }
}

/// Whose data is erased: numbers, or a contact with theirs. Contacts that have one of the numbers belong to the person with all of theirs.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// The person's numbers, in E.164; at most 20 with those of their contacts.
    #[serde(default)]
    pub numbers: Vec<E164>,
    /// The person's contact.
    pub contact_id: Option<Uuid>,
}

/// Begins to erase what is kept of a person.
pub async fn create(change: &mut Change, tenant: Uuid, new: NewErasure) -> Result<Erasure> {
    change.hold(tenant).await?;
    let given = new.numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let owners = contacts::store::owners(change.db(), tenant, &given).await?;
    let ids = owners.into_iter().map(|(_, contact)| contact).chain(new.contact_id).collect::<BTreeSet<_>>();
    let mut numbers = given.into_iter().collect::<BTreeSet<_>>();
    let mut theirs = Vec::new();
    for id in ids {
        let contact = contacts::store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("contact"))?;
        numbers.extend(contact.numbers.iter().map(ToString::to_string));
        theirs.push(contact);
    }
    let numbers = numbers.into_iter().collect::<Vec<_>>();
    if numbers.is_empty() {
        return Err(Error::invalid("numbers", Code::Missing));
    }
    if numbers.len() > MOST_NUMBERS {
        return Err(Error::invalid("numbers", Code::entries(MOST_NUMBERS)));
    }
    if store::has_own(change.db(), tenant, &numbers).await? {
        return Err(Error::invalid("numbers", Code::OwnNumber));
    }
    if store::open(change.db(), tenant).await? >= MOST_AT_ONCE {
        return Err(Error::from(Code::ErasuresUnderWay.with("most", MOST_AT_ONCE)));
    }
    let id = Uuid::now_v7();
    let person = person(id, &numbers)?;
    let held = found_store::held(change.db(), tenant, &person.patterns()).await?;
    let held = held.iter().filter(|told| person.is_in(told)).count();
    if held > 0 {
        return Err(Error::from(Code::ErasureHeld.with("recordings", held)));
    }
    for contact in &theirs {
        contacts::remove(change, tenant, contact.id).await?;
        change.audit_of("delete", Some(contact), None).await?;
    }
    let erased = Erased { contacts: i64::try_from(theirs.len()).unwrap_or(i64::MAX), ..Erased::default() };
    store::insert(change.db(), tenant, id, &numbers, &erased).await?;
    let erasure = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("erasure"))?;
    change.audit_of("create", None, Some(&erasure)).await?;
    Ok(erasure)
}

/// The person with these numbers, which were checked when the erasure was asked for.
fn person(erasure: Uuid, numbers: &[String]) -> Result<Person> {
    let numbers = numbers.iter().filter_map(|number| E164::parse(number).ok()).collect::<Vec<_>>();
    Person::new(erasure, &numbers).map_err(|_| Error::Fault("a number makes no pattern"))
}
