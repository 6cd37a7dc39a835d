//! Making an extension equal to a description, by its number.

use uuid::Uuid;

use super::{CreatedExtension, Extension, ExtensionPatch, NewExtension, create, store, update};
use crate::{
    model::{
        error::{Error, NOT_THERE, Result, same_version},
        put::Put,
    },
    node::changes::Change,
    tenancy::tenants::templates,
    text::{Code, DisplayName},
};

/// Makes the extension of this number equal to what is wanted, or creates it. Absent fields get the value that a new extension has. Its
/// secrets stay as they are unless they are given, and so do its status and its owner.
pub async fn put(
    change: &mut Change,
    tenant: Uuid,
    new: NewExtension,
    if_match: Option<i64>,
) -> Result<Put<Extension, CreatedExtension>> {
    change.hold(tenant).await?;
    let Some(extension) = store::by_number(change.db(), tenant, &new.number).await? else {
        same_version(if_match, NOT_THERE)?;
        return create(change, tenant, new).await.map(Put::Made);
    };
    let NewExtension {
        number,
        alias,
        sip_username,
        sip_password,
        display_name,
        caller_id_name,
        caller_id_number,
        ring_seconds,
        voicemail_enabled,
        voicemail_pin,
        voicemail_email,
        codecs,
        max_registrations,
        variables,
        calls,
    } = new;
    if sip_username.is_some_and(|wanted| wanted != extension.sip_username) {
        return Err(Error::invalid("sip_username", Code::CantChange));
    }
    let usual = templates::usual(change.db(), tenant).await?;
    let named = DisplayName::parse(number.as_str()).map_err(|error| Error::invalid("number", error))?;
    let patch = ExtensionPatch {
        number: None,
        alias: Some(alias),
        sip_password,
        display_name: Some(display_name.unwrap_or(named)),
        caller_id_name: Some(caller_id_name),
        caller_id_number: Some(caller_id_number),
        ring_seconds: Some(ring_seconds.unwrap_or(usual.calling.ring_seconds)),
        voicemail_enabled: Some(voicemail_enabled.unwrap_or(usual.voicemail)),
        voicemail_pin,
        voicemail_email: Some(voicemail_email),
        codecs: Some(codecs.or(usual.calling.codecs)),
        max_registrations: Some(max_registrations.unwrap_or(usual.calling.max_registrations)),
        status: None,
        variables: Some(variables),
        calls: Some(calls),
    };
    update(change, tenant, extension.id, patch, if_match).await.map(Put::Is)
}
