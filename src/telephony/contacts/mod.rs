//! Contacts: whom a tenant calls and is called by.

pub mod api;
pub mod sheet;
pub mod store;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::used::UsedKind;
use crate::{
    model::{
        error::{Error, Result, same_version},
        patch::patch,
        same::is_same,
        settings::{ContactSettings, Words},
    },
    node::changes::{Audited, Change},
    telephony::history::{facets::Facet, written_store},
    text::{Code, E164, Email},
};

const MOST_NUMBERS: usize = 20;
const MOST_TAGS: usize = 50;
const MOST_FIELDS: usize = 50;
const LONGEST_NOTES: usize = 10_000;

/// What somebody said about calls to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Where it was said, such as "on the phone" or "form on the web".
    pub source: Words,
    /// When.
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Contact {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Who it is.
    pub name: Words,
    /// Where they work.
    pub company: Option<Words>,
    /// Their mail address.
    pub email: Option<Email>,
    /// Each belongs to one contact of the tenant only.
    pub numbers: Vec<E164>,
    /// By which people find it.
    pub tags: Vec<Words>,
    /// What else is known, by names of the tenant's choice. What may stand in them is in its settings (`contacts.fields`).
    pub fields: BTreeMap<String, Words>,
    /// What people wrote about them.
    pub notes: Option<String>,
    /// They don't want to be called: who said so, and when.
    pub do_not_call: Option<Said>,
    /// They agreed to be called: where they said so, and when.
    pub consent: Option<Said>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    /// Who it is.
    pub name: Words,
    /// Where they work.
    pub company: Option<Words>,
    /// Their mail address.
    pub email: Option<Email>,
    /// At most 20.
    #[serde(default)]
    pub numbers: Vec<E164>,
    /// At most 50.
    #[serde(default)]
    pub tags: Vec<Words>,
    /// At most 50.
    #[serde(default)]
    pub fields: BTreeMap<String, Words>,
    /// At most 10,000 characters.
    pub notes: Option<String>,
    /// They don't want to be called.
    pub do_not_call: Option<Said>,
    /// They agreed to be called.
    pub consent: Option<Said>,
}

/// A merge patch: absent fields stay as they are, and `null` empties a field. Lists and `fields` are replaced as a whole.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactPatch {
    /// Who it is.
    pub name: Option<Words>,
    /// Where they work.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Words>)]
    pub company: Option<Option<Words>>,
    /// Their mail address.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Email>)]
    pub email: Option<Option<Email>>,
    /// At most 20.
    pub numbers: Option<Vec<E164>>,
    /// At most 50.
    pub tags: Option<Vec<Words>>,
    /// At most 50.
    pub fields: Option<BTreeMap<String, Words>>,
    /// At most 10,000 characters.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>)]
    pub notes: Option<Option<String>>,
    /// They don't want to be called.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Said>)]
    pub do_not_call: Option<Option<Said>>,
    /// They agreed to be called.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Said>)]
    pub consent: Option<Option<Said>>,
}

impl Audited for Contact {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("contacts/{}", self.id)
    }

    /// Who it is, is not in the log: the log stays when a person's data is erased.
    fn shown(&self) -> serde_json::Value {
        serde_json::json!({ "numbers": self.numbers.len(), "do_not_call": self.do_not_call, "consent": self.consent })
    }
}

/// A contact as it would be.
#[must_use]
pub fn made(tenant: Uuid, new: NewContact) -> Contact {
    // The database keeps no more.
    let now = Utc::now().trunc_subsecs(6);
    Contact {
        id: Uuid::now_v7(),
        tenant_id: tenant,
        name: new.name,
        company: new.company,
        email: new.email,
        numbers: new.numbers,
        tags: new.tags,
        fields: new.fields,
        notes: new.notes,
        do_not_call: new.do_not_call,
        consent: new.consent,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

pub async fn create(change: &mut Change, tenant: Uuid, new: NewContact) -> Result<Contact> {
    change.hold(tenant).await?;
    let contact = made(tenant, new);
    check(&contact)?;
    fit(&contact, &store::settings(change.db(), tenant).await?)?;
    is_free(change, &contact).await?;
    store::insert(change.db(), std::slice::from_ref(&contact)).await?;
    change.audit_of("create", None, Some(&contact)).await?;
    Ok(contact)
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: ContactPatch,
    if_match: Option<i64>,
) -> Result<Contact> {
    change.hold(tenant).await?;
    let before = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("contact"))?;
    same_version(if_match, before.version)?;
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = name;
    }
    if let Some(company) = patch.company {
        after.company = company;
    }
    if let Some(email) = patch.email {
        after.email = email;
    }
    if let Some(numbers) = patch.numbers {
        after.numbers = numbers;
    }
    if let Some(tags) = patch.tags {
        after.tags = tags;
    }
    if let Some(fields) = patch.fields {
        after.fields = fields;
    }
    if let Some(notes) = patch.notes {
        after.notes = notes;
    }
    if let Some(said) = patch.do_not_call {
        after.do_not_call = said;
    }
    if let Some(said) = patch.consent {
        after.consent = said;
    }
    if is_same(&before, &after) {
        return Ok(before);
    }
    check(&after)?;
    if after.fields != before.fields {
        fit(&after, &store::settings(change.db(), tenant).await?)?;
    }
    is_free(change, &after).await?;
    after.version += 1;
    after.updated_at = Utc::now();
    store::update(change.db(), &after).await?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Erases a contact. The audit log says that it was, and not whose it was.
pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    change.hold(tenant).await?;
    let before = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("contact"))?;
    same_version(if_match, before.version)?;
    remove(change, tenant, id).await?;
    change.audit_of("delete", Some(&before), None).await
}

/// Deletes a contact, which then is no more in the calls that people said were with it.
pub async fn remove(change: &mut Change, tenant: Uuid, id: Uuid) -> Result<()> {
    written_store::forget_contact(change.db(), tenant, id, Facet::Contact(id).number(tenant)).await?;
    Ok(store::delete(change.db(), tenant, id).await?)
}

/// What holds for every contact.
pub fn check(contact: &Contact) -> Result<()> {
    let distinct = contact.numbers.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    if distinct.len() != contact.numbers.len() {
        return Err(Error::invalid("numbers", Code::NamesOneTwice));
    }
    if contact.numbers.len() > MOST_NUMBERS {
        return Err(Error::invalid("numbers", Code::entries(MOST_NUMBERS)));
    }
    if contact.tags.len() > MOST_TAGS {
        return Err(Error::invalid("tags", Code::entries(MOST_TAGS)));
    }
    let is_name = |name: &String| (1..=50).contains(&name.chars().count()) && !name.contains(char::is_control);
    if contact.fields.len() > MOST_FIELDS || !contact.fields.keys().all(is_name) {
        return Err(Error::invalid("fields", Code::entries(MOST_FIELDS)));
    }
    let notes = contact.notes.as_deref().unwrap_or_default();
    if notes.chars().count() > LONGEST_NOTES || notes.contains('\0') {
        return Err(Error::invalid("notes", Code::LengthOutOfRange.with("least", 0).with("most", LONGEST_NOTES)));
    }
    for (field, said) in [("do_not_call.at", &contact.do_not_call), ("consent.at", &contact.consent)] {
        if said.as_ref().is_some_and(|said| !crate::model::moment::is_of_this_age(said.at)) {
            return Err(Error::invalid(field, Code::NotAMoment));
        }
    }
    Ok(())
}

/// What stands in the fields is what the tenant wants to stand there.
pub fn fit(contact: &Contact, settings: &ContactSettings) -> Result<()> {
    for (name, value) in &contact.fields {
        settings.fits(name, value.as_str()).map_err(|why| Error::InvalidAt { field: format!("fields.{name}"), why })?;
    }
    Ok(())
}

/// No other contact has these numbers.
async fn is_free(change: &mut Change, contact: &Contact) -> Result<()> {
    let numbers = contact.numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let owners = store::owners(change.db(), contact.tenant_id, &numbers).await?;
    match owners.iter().find(|(_, owner)| *owner != contact.id) {
        Some((number, owner)) => {
            let why = Code::NumberOfAnotherContact.with("number", number);
            Err(Error::taken(why, UsedKind::Contact, *owner, number))
        }
        None => Ok(()),
    }
}

/// What a contact is searched by.
#[must_use]
pub fn sought(contact: &Contact) -> String {
    let words = [Some(contact.name.to_string()), contact.company.as_ref().map(ToString::to_string)];
    let words = words.into_iter().chain([contact.email.as_ref().map(ToString::to_string)]).flatten();
    words
        .chain(contact.numbers.iter().map(ToString::to_string))
        .map(|word| word.to_lowercase())
        .collect::<Vec<_>>()
        .join("\n")
}
