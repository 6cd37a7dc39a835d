//! Names: whatever can be dialled within a tenant. The numbers, aliases and SIP usernames of extensions, the names and numbers of
//! groups, and the numbers of destinations are unique among each other. A number that one of them gave up rests.

mod store;

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::{
    model::error::{Error, Result},
    node::changes::Change,
    text::{Code, ExtensionNumber},
};

/// For how many days nobody else gets a number that something gave up: people who dial it still mean that.
const REST_DAYS: i32 = 30;

/// Checks that something may have its names: those that it had not before are neither reserved, nor resting, nor something else's. Says who
/// has them, before the database would just refuse them.
pub async fn may_have(change: &mut Change, tenant: Uuid, had: &[String], has: &[String], id: Uuid) -> Result<()> {
    let new = has.iter().filter(|name| !had.contains(name)).cloned().collect::<Vec<_>>();
    if new.is_empty() {
        return Ok(());
    }
    change.hold(tenant).await?;
    if let Some(number) = store::held_among(change.db(), tenant, &new).await? {
        return Err(Code::NumberHeld.with("number", number).into());
    }
    are_free(change, tenant, &new, id).await
}

/// Lets the numbers rest that something has no more. Its other names have no meaning to people.
pub async fn give_up(change: &mut Change, tenant: Uuid, had: &[String], has: &[String]) -> Result<()> {
    let lost = had.iter().filter(|name| !has.contains(name) && ExtensionNumber::parse(name).is_ok());
    let lost = lost.cloned().collect::<Vec<_>>();
    if lost.is_empty() {
        return Ok(());
    }
    Ok(store::rest(change.db(), tenant, &lost, REST_DAYS).await?)
}

/// Refuses names that something other than `id` has, and says what. Free names stay free until the change ends.
async fn are_free(change: &mut Change, tenant: Uuid, names: &[String], id: Uuid) -> Result<()> {
    change.hold(tenant).await?;
    match owner(change, tenant, names, id).await? {
        None => Ok(()),
        Some(owner) => Err(owner.of(Code::NameTakenBy)),
    }
}

/// Refuses names that something has, because they would get another meaning.
pub async fn may_mean_else(change: &mut Change, tenant: Uuid, names: &[String]) -> Result<()> {
    match owner(change, tenant, names, Uuid::nil()).await? {
        None => Ok(()),
        Some(owner) => Err(owner.of(Code::NumberWouldMeanElse)),
    }
}

/// Refuses to newly dial a number that rests: who gets it next would get these calls. `had`: what was dialled before.
pub async fn none_rests<N: ToString>(
    change: &mut Change,
    tenant: Uuid,
    had: impl IntoIterator<Item = N>,
    has: impl IntoIterator<Item = N>,
) -> Result<()> {
    let had = had.into_iter().map(|number| number.to_string()).collect::<BTreeSet<_>>();
    let new = has.into_iter().map(|number| number.to_string()).filter(|number| !had.contains(number));
    let new = new.collect::<Vec<_>>();
    if new.is_empty() {
        return Ok(());
    }
    change.hold(tenant).await?;
    match store::resting_among(change.db(), tenant, &new).await? {
        None => Ok(()),
        Some(number) => Err(Code::NumberHeld.with("number", number).into()),
    }
}

async fn owner(change: &mut Change, tenant: Uuid, names: &[String], but: Uuid) -> Result<Option<store::NameOwner>> {
    Ok(store::owner_of_names(change.db(), tenant, names, but).await?)
}

impl store::NameOwner {
    fn of(self, code: Code) -> Error {
        let why = code.with("name", &self.name).with("kind", self.kind).with("id", self.id);
        Error::taken(why, self.used, self.id, &self.name)
    }
}

/// The error when the database refuses a name: somebody else was faster, or the tenant doesn't exist.
#[must_use]
pub fn taken(error: sqlx::Error) -> Error {
    let error = Error::from(error);
    match error.violated() {
        Some(("names_pkey", detail)) => {
            // "Key (tenant_id, name)=(…, 1000) already exists."
            let name = detail.rsplit(", ").next().and_then(|rest| rest.split(')').next()).unwrap_or("A name");
            Code::NameTaken.with("name", name).into()
        }
        // Only if somebody changed the group without holding its tenant.
        Some(("groups_shown_name", _)) => Code::NameTaken.with("name", "The group's name").into(),
        Some((constraint, _)) if constraint.ends_with("tenant_id_fkey") => Error::NotFound("tenant"),
        _ => error,
    }
}
