//! Giving an extension to an agent, and taking it back.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Extension, Sealed, locked, store};
use crate::{
    model::error::{Error, Result},
    node::changes::Change,
    telephony::names,
    text::{Code, DisplayName, Email, ExtensionNumber, SipSecret, SipUsername, VoicemailPin},
};

/// The agent who gets an extension.
pub struct Owner<'a> {
    pub id: Uuid,
    /// Shown instead of the number, if the extension has no other name.
    pub name: &'a DisplayName,
    /// Where its messages are sent, unless they are sent elsewhere.
    pub email: &'a Email,
}

/// An active extension without an agent.
pub struct Free {
    pub id: Uuid,
    pub sip_username: SipUsername,
}

/// The extensions without an agent that these numbers reach.
pub async fn free_among(change: &mut Change, tenant: Uuid, numbers: &[String]) -> Result<HashMap<String, Free>> {
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(store::free_among(change.db(), tenant, numbers).await?.into_iter().collect())
}

/// Gives somebody an extension without an agent, by its number. Its password stays, so the phone on the desk keeps working.
pub async fn give(change: &mut Change, tenant: Uuid, number: &ExtensionNumber, to: &Owner<'_>) -> Result<()> {
    let wanted = [number.to_string()];
    let mut free = free_among(change, tenant, &wanted).await?;
    if let Some(free) = free.remove(number.as_str()) {
        return set(change, tenant, free.id, Some(to), None, None).await.map(|_| ());
    }
    if store::has_number(change.db(), tenant, number.as_str()).await? {
        return Err(Code::ExtensionTaken.with("number", number).into());
    }
    Err(Error::invalid("extensions", Code::NoExtensionYet.with("number", number)))
}

/// Gives somebody an extension with new secrets.
pub async fn give_anew(change: &mut Change, tenant: Uuid, id: Uuid, to: &Owner<'_>, sealed: &Sealed) -> Result<()> {
    set(change, tenant, id, Some(to), Some(sealed), None).await.map(|_| ())
}

/// Takes an extension back. Its new secrets keep the former agent from registering with it, and its new SIP username keeps whoever
/// has it next from the former agent's messages.
pub async fn give_back(change: &mut Change, tenant: Uuid, id: Uuid) -> Result<()> {
    let (secret, pin) = (SipSecret::generate(), VoicemailPin::generate());
    let sealed = Sealed::new(&change.keyring(), tenant, id, &secret, &pin);
    change.hold(tenant).await?;
    let mut name = SipUsername::generate();
    while store::used_among(change.db(), tenant, &[name.to_string()]).await?.is_some() {
        name = SipUsername::generate();
    }
    set(change, tenant, id, None, Some(&sealed), Some(&name)).await.map(|_| ())
}

async fn set(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    to: Option<&Owner<'_>>,
    sealed: Option<&Sealed>,
    sip_username: Option<&SipUsername>,
) -> Result<Extension> {
    let before = locked(change, tenant, id, None).await?;
    store::set_owner(change.db(), tenant, id, to, sealed, sip_username).await.map_err(names::taken)?;
    if sealed.is_some() {
        store::expel_registrations(change.db(), tenant, id).await?;
    }
    let after = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("extension"))?;
    change.audit_of("assign", Some(&before), Some(&after)).await?;
    Ok(after)
}
