//! Extensions: SIP accounts of a tenant, each with a number, a mailbox and variables for its calls.
//!
//! People dial the number, which may change and be given to another extension. A switch knows an extension by its SIP username: it
//! keeps registrations and mailboxes under it, and may keep them for longer than there is the extension. So a SIP username is given
//! out once in a domain.

pub mod api;
mod owner;
mod put;
mod rules;
pub mod store;

use self::rules::{
    check, dials_none_that_rests, free_names, may_be_active, may_have, names_of, no_circle, pin_is_no_name,
};
pub use self::{
    owner::{Free, Owner, free_among, give, give_anew, give_back},
    put::put,
    rules::{check_own, check_pin},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::call_handling::CallHandling;
use crate::{
    model::{
        destination::Target,
        error::{Error, Result, same_version},
        patch::patch,
        same::is_same,
    },
    node::changes::{Audit, Audited, Change},
    telephony::{destinations, names},
    tenancy::tenants::templates::{self, Usual},
    text::{
        CallerName, CallerNumber, Code, Codecs, DisplayName, Email, ExtensionNumber, SipSecret, SipUsername, Variables,
        VoicemailPin,
        keyring::{Keyring, Place},
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ExtensionStatus {
    Active,
    /// Its phone is refused at the next REGISTER or INVITE, and calls to it are refused.
    Suspended,
    /// It no longer exists for switches, and its names are free again.
    Deleted,
}

impl ExtensionStatus {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Extension {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// The agent who has it.
    pub user_id: Option<Uuid>,
    pub number: ExtensionNumber,
    pub alias: Option<ExtensionNumber>,
    /// What its phones register as, and its mailbox on a switch. It stays when the number changes.
    pub sip_username: SipUsername,
    pub display_name: DisplayName,
    /// The name shown outside; the display name if absent.
    pub caller_id_name: Option<CallerName>,
    /// The number shown outside; the extension's number if absent.
    pub caller_id_number: Option<CallerNumber>,
    /// How many seconds it rings before voicemail answers.
    pub ring_seconds: i16,
    pub voicemail_enabled: bool,
    pub voicemail_email: Option<Email>,
    pub codecs: Option<Codecs>,
    pub max_registrations: i16,
    pub status: ExtensionStatus,
    pub variables: Variables,
    /// How it handles calls: forwards, do not disturb, follow-me.
    pub calls: CallHandling,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A new extension with its secrets, which are never shown again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedExtension {
    #[serde(flatten)]
    pub extension: Extension,
    pub sip_password: String,
    pub voicemail_pin: String,
}

#[derive(Debug, Clone, Deserialize, clap::Args, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExtension {
    /// The number that reaches it: 2 to 15 digits
    #[arg(long)]
    pub number: ExtensionNumber,
    /// A second number
    #[arg(long)]
    pub alias: Option<ExtensionNumber>,
    /// A random one if absent. For a phone that is set up already: the name that it registers with, which no extension of the
    /// domain has had before.
    #[arg(long)]
    pub sip_username: Option<SipUsername>,
    /// A random one if absent.
    #[arg(long)]
    pub sip_password: Option<SipSecret>,
    /// The number if absent.
    #[arg(long)]
    pub display_name: Option<DisplayName>,
    /// The name shown outside; by default the display name
    #[arg(long)]
    pub caller_id_name: Option<CallerName>,
    /// The number shown outside; by default the extension's number
    #[arg(long)]
    pub caller_id_number: Option<CallerNumber>,
    /// How many seconds it rings before voicemail answers, 5 to 300; by default 25
    #[arg(long)]
    pub ring_seconds: Option<i16>,
    /// Whether it has a mailbox; by default true
    #[arg(long)]
    pub voicemail_enabled: Option<bool>,
    /// A random one if absent.
    #[arg(long)]
    pub voicemail_pin: Option<VoicemailPin>,
    /// An e-mail address that messages are sent to as well
    #[arg(long)]
    pub voicemail_email: Option<Email>,
    /// Codecs in order of preference, such as OPUS,PCMA
    #[arg(long)]
    pub codecs: Option<Codecs>,
    /// How many phones may be registered at once, 1 to 20; with 1, a new one replaces the old
    #[arg(long)]
    pub max_registrations: Option<i16>,
    #[serde(default)]
    #[arg(skip)]
    pub variables: Variables,
    #[serde(default)]
    #[arg(skip)]
    pub calls: CallHandling,
}

impl NewExtension {
    /// An extension with defaults for everything else.
    #[must_use]
    pub fn with_number(number: ExtensionNumber, display_name: DisplayName) -> Self {
        Self {
            number,
            alias: None,
            sip_username: None,
            sip_password: None,
            display_name: Some(display_name),
            caller_id_name: None,
            caller_id_number: None,
            ring_seconds: None,
            voicemail_enabled: None,
            voicemail_pin: None,
            voicemail_email: None,
            codecs: None,
            max_registrations: None,
            variables: Variables::default(),
            calls: CallHandling::default(),
        }
    }
}

/// A merge patch: absent fields stay as they are, and `null` empties a field.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionPatch {
    pub number: Option<ExtensionNumber>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<ExtensionNumber>)]
    pub alias: Option<Option<ExtensionNumber>>,
    pub sip_password: Option<SipSecret>,
    pub display_name: Option<DisplayName>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<CallerName>)]
    pub caller_id_name: Option<Option<CallerName>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<CallerNumber>)]
    pub caller_id_number: Option<Option<CallerNumber>>,
    pub ring_seconds: Option<i16>,
    pub voicemail_enabled: Option<bool>,
    pub voicemail_pin: Option<VoicemailPin>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Email>)]
    pub voicemail_email: Option<Option<Email>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Codecs>)]
    pub codecs: Option<Option<Codecs>>,
    pub max_registrations: Option<i16>,
    pub status: Option<ExtensionStatus>,
    pub variables: Option<Variables>,
    pub calls: Option<CallHandling>,
}

impl Extension {
    /// A new extension of which only the number is given. It is named after the number, and the rest comes from the tenant's settings.
    pub fn usual(tenant: Uuid, id: Uuid, number: ExtensionNumber, usual: &Usual) -> Result<Self> {
        let now = Utc::now();
        // Two to fifteen digits are also a valid display name.
        let display_name = DisplayName::parse(number.as_str()).map_err(|e| Error::invalid("number", e))?;
        Ok(Self {
            id,
            tenant_id: tenant,
            user_id: None,
            number,
            alias: None,
            sip_username: SipUsername::generate(),
            display_name,
            caller_id_name: None,
            caller_id_number: None,
            ring_seconds: usual.calling.ring_seconds,
            voicemail_enabled: usual.voicemail,
            voicemail_email: None,
            codecs: usual.calling.codecs.clone(),
            max_registrations: usual.calling.max_registrations,
            status: ExtensionStatus::Active,
            variables: Variables::default(),
            calls: CallHandling::default(),
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }
}

/// The secrets of an extension, sealed for its row.
pub struct Sealed {
    sip_secret: Vec<u8>,
    voicemail_pin: Vec<u8>,
}

impl Sealed {
    #[must_use]
    pub fn new(keyring: &Keyring, tenant: Uuid, id: Uuid, secret: &SipSecret, pin: &VoicemailPin) -> Self {
        let seal = |column, plain: &str| keyring.seal(Place { column, tenant, row: id }, plain);
        Self { sip_secret: seal("sip_secret", secret.reveal()), voicemail_pin: seal("voicemail_pin", pin.reveal()) }
    }
}

pub async fn create(change: &mut Change, tenant: Uuid, new: NewExtension) -> Result<CreatedExtension> {
    change.hold(tenant).await?;
    let id = Uuid::now_v7();
    let secret = new.sip_password.unwrap_or_else(SipSecret::generate);
    let pin = new.voicemail_pin.unwrap_or_else(|| VoicemailPin::generate_but(&[new.number.as_str()]));
    let sealed = Sealed::new(&change.keyring(), tenant, id, &secret, &pin);
    let usual = templates::usual(change.db(), tenant).await?;
    let default = Extension::usual(tenant, id, new.number, &usual)?;
    let extension = Extension {
        alias: new.alias,
        sip_username: new.sip_username.unwrap_or(default.sip_username),
        display_name: new.display_name.unwrap_or(default.display_name),
        caller_id_name: new.caller_id_name,
        caller_id_number: new.caller_id_number,
        ring_seconds: new.ring_seconds.unwrap_or(default.ring_seconds),
        voicemail_enabled: new.voicemail_enabled.unwrap_or(default.voicemail_enabled),
        voicemail_email: new.voicemail_email,
        codecs: new.codecs.or(default.codecs),
        max_registrations: new.max_registrations.unwrap_or(default.max_registrations),
        variables: new.variables,
        calls: new.calls,
        ..default
    };
    check(&extension)?;
    may_have(change, None, &extension).await?;
    pin_is_no_name(change, None, &extension, Some(&pin)).await?;
    free_names(change, None, &extension).await?;
    dials_none_that_rests(change, None, &extension).await?;
    let mut rows = store::NewRows::default();
    rows.push(extension, sealed);
    insert(change, tenant, &rows).await?;
    let extension = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("extension"))?;
    no_circle(change, &extension).await?;
    change.audit_of("create", None, Some(&extension)).await?;
    let (sip_password, voicemail_pin) = (secret.reveal().to_owned(), pin.reveal().to_owned());
    Ok(CreatedExtension { extension, sip_password, voicemail_pin })
}

/// Inserts extensions, all or none. Every extension is created here. If two changes want the same name at once, one gets it and
/// the other is refused.
pub async fn insert(change: &mut Change, tenant: Uuid, new: &store::NewRows) -> Result<()> {
    change.hold(tenant).await?;
    // One domain has one tenant, whose changes wait for each other here.
    if let Some(name) = store::used_before(change.db(), tenant, new).await? {
        return Err(Code::SipUsernameUsed.with("name", name).into());
    }
    store::insert(change.db(), tenant, new).await.map_err(names::taken)
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    mut patch: ExtensionPatch,
    if_match: Option<i64>,
) -> Result<Extension> {
    if patch.status == Some(ExtensionStatus::Deleted) {
        return Err(Error::invalid("status", Code::DeleteInstead));
    }
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    let keyring = change.keyring();
    if patch.sip_password.is_some() || patch.voicemail_pin.is_some() {
        let kept = store::sealed(change.db(), tenant, id).await?.ok_or(Error::NotFound("extension"))?;
        // One that can't be opened any more is another one: this is how it is put right.
        let is_kept = |column, sealed: &[u8], said: &str| {
            let kept = keyring.open_sealed(Place { column, tenant, row: id }, sealed);
            kept.is_ok_and(|kept| kept.as_str() == said)
        };
        patch.sip_password.take_if(|said| is_kept("sip_secret", &kept.sip_secret, said.reveal()));
        patch.voicemail_pin.take_if(|said| is_kept("voicemail_pin", &kept.voicemail_pin, said.reveal()));
    }
    let seal = |column, plain: &str| keyring.seal(Place { column, tenant, row: id }, plain);
    let secret = patch.sip_password.as_ref().map(|secret| seal("sip_secret", secret.reveal()));
    let pin = patch.voicemail_pin.as_ref().map(|pin| seal("voicemail_pin", pin.reveal()));
    let mut secrets = Vec::new();
    secrets.extend(secret.as_ref().map(|_| "sip_password"));
    secrets.extend(pin.as_ref().map(|_| "voicemail_pin"));
    let new_pin = patch.voicemail_pin.clone();
    let after = patched(before.clone(), patch);
    if secrets.is_empty() && is_same(&before, &after) {
        return Ok(before);
    }
    check(&after)?;
    may_have(change, Some(&before), &after).await?;
    pin_is_no_name(change, Some(&before), &after, new_pin.as_ref()).await?;
    free_names(change, Some(&before), &after).await?;
    dials_none_that_rests(change, Some(&before), &after).await?;
    may_be_active(change, &before, &after).await?;
    destinations::not_dialled(change, tenant, id, names_of(&before), names_of(&after)).await?;
    let updated = store::update(change.db(), &after, secret.as_deref(), pin.as_deref()).await;
    let after = updated.map_err(names::taken)?;
    give_up_numbers(change, &before, Some(&after)).await?;
    if secret.is_some() {
        store::expel_registrations(change.db(), tenant, id).await?;
    }
    no_circle(change, &after).await?;
    let mut entry = Audit::of("update", Some(&before), Some(&after));
    if let Some(serde_json::Value::Object(after)) = entry.as_mut().and_then(|entry| entry.after.as_mut()) {
        after.extend(secrets.into_iter().map(|name| (name.to_owned(), "(changed)".into())));
    }
    change.audit_all(entry).await?;
    Ok(after)
}

/// A new SIP password.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RotatedSecret {
    pub id: Uuid,
    pub number: ExtensionNumber,
    pub sip_username: SipUsername,
    pub sip_password: String,
    pub version: i64,
}

/// Makes a new SIP password. The old one is refused at once.
pub async fn rotate_secret(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    if_match: Option<i64>,
) -> Result<RotatedSecret> {
    let secret = SipSecret::generate();
    let sip_password = secret.reveal().to_owned();
    let patch = ExtensionPatch { sip_password: Some(secret), ..ExtensionPatch::default() };
    let extension = update(change, tenant, id, patch, if_match).await?;
    let Extension { number, sip_username, version, .. } = extension;
    Ok(RotatedSecret { id, number, sip_username, sip_password, version })
}

fn patched(mut extension: Extension, patch: ExtensionPatch) -> Extension {
    fn put<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    put(&mut extension.number, patch.number);
    put(&mut extension.alias, patch.alias);
    put(&mut extension.display_name, patch.display_name);
    put(&mut extension.caller_id_name, patch.caller_id_name);
    put(&mut extension.caller_id_number, patch.caller_id_number);
    put(&mut extension.ring_seconds, patch.ring_seconds);
    put(&mut extension.voicemail_enabled, patch.voicemail_enabled);
    put(&mut extension.voicemail_email, patch.voicemail_email);
    put(&mut extension.codecs, patch.codecs);
    put(&mut extension.max_registrations, patch.max_registrations);
    put(&mut extension.status, patch.status);
    put(&mut extension.variables, patch.variables);
    put(&mut extension.calls, patch.calls);
    extension
}

/// Lets the numbers rest that an extension has no more.
async fn give_up_numbers(change: &mut Change, before: &Extension, after: Option<&Extension>) -> Result<()> {
    let numbers = |extension: &Extension| {
        let alias = extension.alias.as_ref().map(ToString::to_string);
        std::iter::once(extension.number.to_string()).chain(alias).collect::<Vec<_>>()
    };
    let has = after.map(numbers).unwrap_or_default();
    names::give_up(change, before.tenant_id, &numbers(before), &has).await
}

/// Deletes an extension: it no longer exists for switches, and its numbers rest. What leads to it must lead elsewhere first, and
/// so must forwards and speed dials that name its number: whoever has that number next would get their calls.
pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    remove(change, &before, &[]).await
}

/// Deletes extensions that may lead to each other.
pub async fn delete_together(change: &mut Change, tenant: Uuid, ids: &[Uuid]) -> Result<()> {
    change.hold(tenant).await?;
    for id in ids {
        let before = locked(change, tenant, *id, None).await?;
        remove(change, &before, ids).await?;
    }
    Ok(())
}

async fn remove(change: &mut Change, before: &Extension, together: &[Uuid]) -> Result<()> {
    destinations::not_in_use(change, before.tenant_id, Target::extension(before.id), together).await?;
    let after = Extension { status: ExtensionStatus::Deleted, ..before.clone() };
    let after = store::update(change.db(), &after, None, None).await?;
    give_up_numbers(change, before, None).await?;
    change.audit_of("delete", Some(before), Some(&after)).await
}

async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Extension> {
    let extension = store::lock(change.db(), tenant, id).await?;
    let extension = extension.filter(|e| e.status != ExtensionStatus::Deleted).ok_or(Error::NotFound("extension"))?;
    same_version(if_match, extension.version)?;
    Ok(extension)
}

impl Audited for Extension {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("extensions/{}", self.id)
    }
}
