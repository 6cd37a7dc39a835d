//! The rules that an extension must meet, and what its agent may change.

use uuid::Uuid;

use super::{Extension, ExtensionPatch, ExtensionStatus, store};
use crate::{
    model::{
        error::{Error, Result},
        settings::Feature,
    },
    node::changes::Change,
    telephony::{destinations, names},
    text::{Code, VoicemailPin, keyring::Place},
};

/// Checks that the extension is this user's own, and that the patch changes nothing that only administrators may decide.
pub async fn check_own(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    user: Uuid,
    patch: &mut ExtensionPatch,
) -> Result<()> {
    let extension = store::get(change.db(), tenant, id).await?;
    let extension =
        extension.filter(|extension| extension.user_id == Some(user)).ok_or(Error::NotFound("extension"))?;
    let theirs = [
        ("number", patch.number.is_some()),
        ("alias", patch.alias.is_some()),
        ("sip_password", patch.sip_password.is_some()),
        ("display_name", patch.display_name.is_some()),
        ("caller_id_name", patch.caller_id_name.is_some()),
        ("caller_id_number", patch.caller_id_number.is_some()),
        ("codecs", patch.codecs.is_some()),
        ("max_registrations", patch.max_registrations.is_some()),
        ("status", patch.status.is_some()),
        ("variables", patch.variables.is_some()),
        // The present value may be sent along, because `calls` is replaced as a whole.
        ("calls.record", patch.calls.as_ref().is_some_and(|calls| calls.record && !extension.calls.record)),
    ];
    match theirs.iter().find(|(_, changed)| *changed) {
        None => {
            // They may not switch recording off either.
            patch.calls.iter_mut().for_each(|calls| calls.record = extension.calls.record);
            Ok(())
        }
        Some((field, _)) => Err(Error::from(Code::FieldNotYours.with("field", field))),
    }
}

pub(super) fn check(extension: &Extension) -> Result<()> {
    if !(5..=300).contains(&extension.ring_seconds) {
        return Err(Error::invalid("ring_seconds", Code::range(5, 300)));
    }
    if !(1..=20).contains(&extension.max_registrations) {
        return Err(Error::invalid("max_registrations", Code::range(1, 20)));
    }
    extension.calls.check()
}

/// Refuses what it had not `before`, and what the tenant may not use.
pub(super) async fn may_have(change: &mut Change, before: Option<&Extension>, after: &Extension) -> Result<()> {
    let wants = [
        (Feature::Voicemail, after.voicemail_enabled && !before.is_some_and(|before| before.voicemail_enabled)),
        (Feature::CallRecording, after.calls.record && !before.is_some_and(|before| before.calls.record)),
    ];
    if wants.iter().all(|(_, is_wanted)| !is_wanted) {
        return Ok(());
    }
    let features = destinations::features(change, after.tenant_id).await?;
    wants.iter().filter(|(_, is_wanted)| *is_wanted).try_for_each(|(feature, _)| features.need(*feature))
}

/// Refuses circles of forwards of all calls. Forwards for busy or unanswered phones may form circles, because two colleagues may
/// stand in for each other; there, the limit of hops ends a call.
pub(super) async fn no_circle(change: &mut Change, extension: &Extension) -> Result<()> {
    if extension.calls.forward_always.is_some()
        && store::forwards_back(change.db(), extension.tenant_id, extension.id).await?
    {
        return Err(Error::invalid("calls.forward_always", Code::LeadsToThisExtension));
    }
    Ok(())
}

pub(super) fn names_of(extension: &Extension) -> Vec<String> {
    let mut names = vec![extension.number.to_string(), extension.sip_username.to_string()];
    names.extend(extension.alias.as_ref().map(ToString::to_string));
    names
}

/// Refuses a PIN that is the mailbox's number: everybody who knows the number could guess it.
pub fn check_pin(pin: &str, names: &[&str]) -> Result<()> {
    if names.contains(&pin) { Err(Error::invalid("voicemail_pin", Code::PinIsNumber)) } else { Ok(()) }
}

/// The same for an extension: checks a new PIN, or the present one if its names change.
pub(super) async fn pin_is_no_name(
    change: &mut Change,
    before: Option<&Extension>,
    extension: &Extension,
    pin: Option<&VoicemailPin>,
) -> Result<()> {
    let names = names_of(extension);
    let names = names.iter().map(String::as_str).collect::<Vec<_>>();
    if let Some(pin) = pin {
        return check_pin(pin.reveal(), &names);
    }
    if before.is_none_or(|before| names_of(before) == names) {
        return Ok(());
    }
    let Some(sealed) = store::sealed_pin(change.db(), extension.tenant_id, extension.id).await? else { return Ok(()) };
    let place = Place { column: "voicemail_pin", tenant: extension.tenant_id, row: extension.id };
    check_pin(&change.keyring().open_sealed(place, &sealed)?, &names)
}

/// Refuses to activate an extension whose agent is suspended.
pub(super) async fn may_be_active(change: &mut Change, before: &Extension, after: &Extension) -> Result<()> {
    let back = before.status != ExtensionStatus::Active && after.status == ExtensionStatus::Active;
    if back && store::is_of_a_suspended(change.db(), after.tenant_id, after.id).await? {
        return Err(Error::from(Code::OwnerSuspended));
    }
    Ok(())
}

/// Checks that new names are free, and says who has them, before the database would just refuse them.
pub(super) async fn free_names(change: &mut Change, before: Option<&Extension>, extension: &Extension) -> Result<()> {
    let wanted = names_of(extension);
    destinations::not_reserved(change, extension.tenant_id, &wanted).await?;
    let had = before.map(names_of).unwrap_or_default();
    names::may_have(change, extension.tenant_id, &had, &wanted, extension.id).await
}

/// Refuses forwards and follow-me to a number that rests. Its own old number is in nobody's way.
pub(super) async fn dials_none_that_rests(
    change: &mut Change,
    before: Option<&Extension>,
    after: &Extension,
) -> Result<()> {
    let had = before.into_iter().flat_map(|before| before.calls.dials());
    destinations::none_rests(change, after.tenant_id, had, after.calls.dials()).await
}
