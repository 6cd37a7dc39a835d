//! The documents that a switch gets, built from validated texts by the templates in `templates/xml`.
//!
//! They have one element per line and no prolog: the switch preprocesses them line by line, and drops lines with `<?`.

use std::borrow::Cow;

use askama::Template;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use uuid::Uuid;

pub use super::dial::{At, Ringing};
use super::{
    dial,
    store::{ExtensionRow, MailboxRow, MemberRow},
};
use crate::{
    model::channel,
    node::generations::Standing,
    routing::{
        Action,
        carried::{INHERIT_CODEC, OWN_HEADERS},
        transfers, withheld,
    },
    text::{
        Domain,
        keyring::{Keyring, KeyringError, hex},
    },
};

/// Sends the switch on to its other bindings and its static files. FreeSWITCH looks for exactly these words.
pub const NOT_FOUND: &str = "<document type=\"freeswitch/xml\">\n<section name=\"result\">\n<result status=\"not found\"/>\n</section>\n</document>\n";

/// No gateways in the directory: they belong to carriers.
pub const NO_GATEWAYS: &str =
    "<document type=\"freeswitch/xml\">\n<section name=\"directory\">\n</section>\n</document>\n";

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("a document could not be rendered: {0}")]
    Template(#[from] askama::Error),
    #[error(transparent)]
    Secret(#[from] KeyringError),
}

/// A user as shown; its secrets are already opened or hashed.
struct User<'a> {
    id: &'a str,
    number_alias: &'a str,
    params: Vec<(&'static str, Cow<'a, str>)>,
    variables: Vec<(&'a str, Cow<'a, str>)>,
}

#[derive(Template)]
#[template(path = "xml/user.xml")]
struct Users<'a> {
    domain: &'a str,
    group: &'a str,
    members: &'a [User<'a>],
}

/// The shortest form of a user: `switch_xml_locate_user` (switch_xml.c) also finds a user outside any group.
#[derive(Template)]
#[template(path = "xml/registration.xml")]
struct Registration<'a> {
    domain: &'a str,
    user: &'a User<'a>,
}

#[derive(Template)]
#[template(path = "xml/nobody.xml")]
struct Nobody<'a> {
    domain: &'a str,
}

#[derive(Template)]
#[template(path = "xml/pin.xml")]
struct Pin<'a> {
    domain: &'a str,
    id: &'a str,
    number_alias: &'a str,
    success: bool,
}

#[derive(Template)]
#[template(path = "xml/dialplan.xml")]
struct Dialplan<'a> {
    context: &'a str,
    name: &'static str,
    actions: &'a [Action],
    before: &'a [String],
}

#[derive(Template)]
#[template(path = "xml/chatplan.xml")]
struct Chatplan<'a> {
    context: &'a str,
}

pub(super) fn xml(template: &impl Template) -> Result<Bytes, RenderError> {
    let mut text = String::with_capacity(1024);
    template.render_into(&mut text)?;
    text.push('\n');
    // Shrunk to the exact size, since a kept answer holds its buffer for long.
    Ok(Bytes::from(text.into_boxed_str().into_boxed_bytes()))
}

/// The domain without a user.
#[must_use]
pub fn nobody(domain: &Domain) -> Bytes {
    // A domain consists of letters, digits, '.' and '-', so rendering can't fail.
    xml(&Nobody { domain: domain.as_str() }).unwrap_or_default()
}

/// The parts of a digest besides the password. A switch ignores case when it looks up domain and user, but hashes user
/// and realm as the phone spells them: an answer for one spelling refuses a phone that uses another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest<'a> {
    pub user: Cow<'a, str>,
    pub realm: Cow<'a, str>,
}

impl Digest<'_> {
    /// Whether it is spelt as by nearly all phones: in lower case, with the domain as realm. Anybody can ask for other
    /// spellings in endless variations.
    #[must_use]
    pub fn is_usual(&self, domain: &str) -> bool {
        let is_lower = |text: &str| !text.bytes().any(|b| b.is_ascii_uppercase());
        is_lower(&self.user) && is_lower(&self.realm) && self.realm.eq_ignore_ascii_case(domain)
    }

    #[must_use]
    pub fn into_owned(self) -> Digest<'static> {
        Digest { user: self.user.into_owned().into(), realm: self.realm.into_owned().into() }
    }
}

/// How much of a user to show: [`super::request::View`] with what to hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// For a call. Whoever is suspended is shown too, marked.
    Auth(Digest<'static>),
    /// The same on a switch that the tenant has left: everybody is marked.
    Moved(Digest<'static>),
    /// For anything else but a REGISTER.
    Other(Digest<'static>),
    Register(Digest<'static>),
    /// The same at a switch that is being taken out of service.
    Leaving(Digest<'static>),
    Profile,
    /// The same with what rings.
    Ring(Ringing),
    Verto(Digest<'static>),
    ReverseAuth,
}

impl Shown {
    #[must_use]
    pub fn digest(&self) -> Option<&Digest<'static>> {
        match self {
            Self::Auth(digest)
            | Self::Moved(digest)
            | Self::Other(digest)
            | Self::Register(digest)
            | Self::Leaving(digest)
            | Self::Verto(digest) => Some(digest),
            Self::Profile | Self::Ring(_) | Self::ReverseAuth => None,
        }
    }
}

/// One user of a domain.
///
/// The switch looks for the requested name in `id` and `number-alias`. `id` is the SIP username, `number-alias` the alias
/// if that was requested, else the number.
pub fn user(
    at: At<'_>,
    row: &ExtensionRow,
    asked: &str,
    shown: &Shown,
    keyring: &Keyring,
) -> Result<Bytes, RenderError> {
    let registers = matches!(shown, Shown::Register(_) | Shown::Leaving(_));
    let domain = at.asked;
    let mut params = match shown {
        Shown::Auth(digest)
        | Shown::Moved(digest)
        | Shown::Other(digest)
        | Shown::Register(digest)
        | Shown::Leaving(digest) => auth_params(row, digest, keyring)?,
        Shown::Verto(digest) => verto_params(at.home, row, digest, keyring)?,
        Shown::ReverseAuth => reverse_auth_params(row, keyring)?,
        Shown::Profile => profile_params(at, row, &Ringing::default(), keyring)?,
        Shown::Ring(ringing) => profile_params(at, row, ringing, keyring)?,
    };
    if registers && at.asked != at.home {
        // The mailbox is at home (`sofia_reg_handle_register_token` in sofia_reg.c).
        params.push(("mwi-account", format!("{}@{}", row.sip_username, at.home).into()));
    }
    let named = match shown {
        Shown::Ring(Ringing { asked: Some(asked), .. }) => asked,
        _ => alias(row, asked),
    };
    let user = User {
        id: row.sip_username.as_str(),
        number_alias: named,
        params,
        variables: match shown {
            Shown::Register(_) => of_registrations(row),
            Shown::Leaving(_) => of_brief_registrations(row),
            Shown::Auth(_) | Shown::Moved(_) | Shown::Verto(_) => of_callers(at.home, row),
            // A switch also puts these on the leg to a phone (`user_outgoing_channel` in mod_dptools.c).
            Shown::Other(_) | Shown::Profile | Shown::Ring(_) | Shown::ReverseAuth => variables(at.home, row),
        },
    };
    if registers {
        return xml(&Registration { domain: domain.as_str(), user: &user });
    }
    xml(&Users { domain: domain.as_str(), group: "default", members: &[user] })
}

fn alias<'a>(row: &'a ExtensionRow, asked: &str) -> &'a str {
    match &row.alias {
        Some(alias) if alias.as_str() == asked => alias.as_str(),
        _ => row.number.as_str(),
    }
}

/// `a1-hash` is MD5(user:realm:password) for SIP, with user and realm as the phone wrote them (`sofia_reg_parse_auth` in
/// sofia_reg.c), and MD5(id:domain:password) for mod_verto, as the client wrote them (`check_auth` in mod_verto.c).
fn a1_hash(row: &ExtensionRow, digest: &Digest<'_>, keyring: &Keyring) -> Result<String, KeyringError> {
    let secret = row.open_secret(keyring)?;
    let mut hash = Md5::new();
    for part in [&digest.user, ":", &digest.realm, ":", secret.as_str()] {
        hash.update(part.as_bytes());
    }
    Ok(hex(&hash.finalize()))
}

/// Without this, a user that has neither password nor `a1-hash` is let in (`allow-empty-password` defaults to true in
/// sofia_reg.c).
const NO_EMPTY_PASSWORD: (&str, Cow<'static, str>) = ("allow-empty-password", Cow::Borrowed("false"));

type Params<'a> = Vec<(&'static str, Cow<'a, str>)>;

fn auth_params<'a>(row: &'a ExtensionRow, digest: &Digest<'_>, keyring: &Keyring) -> Result<Params<'a>, RenderError> {
    Ok(vec![("a1-hash", a1_hash(row, digest, keyring)?.into()), NO_EMPTY_PASSWORD, registrations(row)])
}

/// With one registration allowed, a new one replaces the old. The switch's own limit would lock out a phone that restarts
/// until its old registration expires, because the new REGISTER has another Call-ID (`sofia_reg_parse_auth` in
/// sofia_reg.c).
fn registrations(row: &ExtensionRow) -> (&'static str, Cow<'static, str>) {
    match row.max_registrations {
        1 => ("sip-allow-multiple-registrations", "false".into()),
        limit => ("max-registrations-per-extension", limit.to_string().into()),
    }
}

fn verto_params<'a>(
    domain: &'a Domain,
    row: &'a ExtensionRow,
    digest: &Digest<'_>,
    keyring: &Keyring,
) -> Result<Params<'a>, RenderError> {
    Ok(vec![
        ("a1-hash", a1_hash(row, digest, keyring)?.into()),
        NO_EMPTY_PASSWORD,
        ("verto-context", domain.as_str().into()),
        ("verto-dialplan", "XML".into()),
        ("jsonrpc-allowed-methods", "verto".into()),
    ])
}

fn reverse_auth_params<'a>(row: &'a ExtensionRow, keyring: &Keyring) -> Result<Params<'a>, RenderError> {
    let secret = row.open_secret(keyring)?;
    Ok(vec![
        NO_EMPTY_PASSWORD,
        ("reverse-auth-user", row.sip_username.as_str().into()),
        ("reverse-auth-pass", secret.as_str().to_owned().into()),
    ])
}

fn profile_params<'a>(
    at: At<'_>,
    row: &'a ExtensionRow,
    ringing: &Ringing,
    keyring: &Keyring,
) -> Result<Params<'a>, RenderError> {
    let mut params = vec![NO_EMPTY_PASSWORD, ("dial-string", dial::string(at, row, ringing).into())];
    params.extend(voicemail_params(row, keyring)?);
    Ok(params)
}

/// Lamps on phones' keys watch an extension's number. A switch tells whoever watches `X@DOMAIN` of dialogs whose presence_id is that
/// (`do_dialog_probe` and `sofia_presence_event_handler` in sofia_presence.c). It takes the variable before it writes down the
/// dialog (`sofia_handle_sip_i_invite` in sofia.c); without one, it takes the user in From, which is the SIP username.
fn presence<'a>(domain: &Domain, row: &ExtensionRow) -> Option<(&'a str, Cow<'a, str>)> {
    let watched = || ("presence_id", format!("{}@{domain}", row.number).into());
    (row.number.as_str() != row.sip_username.as_str()).then(watched)
}

/// `vm-password` is always set: without it, mod_voicemail takes the SIP password as the PIN.
fn voicemail_params<'a>(row: &'a ExtensionRow, keyring: &Keyring) -> Result<Params<'a>, RenderError> {
    let mut params = vec![
        ("vm-enabled", row.voicemail_enabled.to_string().into()),
        ("vm-password", row.open_pin(keyring)?.as_str().to_owned().into()),
    ];
    params.extend(row.voicemail_email.iter().flat_map(mail_params));
    Ok(params)
}

/// The variables on every channel of the user. `user_context` is the tenant's; it alone decides where a call may go.
fn variables<'a>(domain: &'a Domain, row: &'a ExtensionRow) -> Vec<(&'a str, Cow<'a, str>)> {
    let number = row.caller_id_number.as_ref().map_or(row.number.as_str(), |number| number.as_str());
    let name = row.caller_id_name.as_ref().map_or(row.display_name.as_str(), |name| name.as_str());
    let mut variables: Vec<(&str, Cow<'_, str>)> =
        row.variables.iter().map(|(name, value)| (name, value.into())).collect();
    variables.extend([
        ("user_context", domain.as_str().into()),
        ("effective_caller_id_name", row.display_name.as_str().into()),
        ("effective_caller_id_number", row.number.as_str().into()),
        ("outbound_caller_id_name", name.into()),
        ("outbound_caller_id_number", number.into()),
        (channel::TENANT, row.tenant_id.to_string().into()),
        (channel::EXTENSION, row.id.to_string().into()),
        (channel::NUMBER, row.number.as_str().into()),
        (channel::NAME, row.display_name.as_str().into()),
        // Whom a phone is connected with after a transfer, it is told by UPDATE if it takes that, whoever made it
        // (SWITCH_MESSAGE_INDICATE_DISPLAY in mod_sofia.c).
        ("update_ignore_ua", "true".into()),
        (OWN_HEADERS.0, OWN_HEADERS.1.into()),
    ]);
    variables.extend(presence(domain, row));
    if !row.active {
        variables.push((channel::HELP_ONLY, "true".into()));
        // Switches whose xml_curl.conf.xml is older don't send that variable, but this one.
        variables.push((channel::HOPS, channel::HELP_HOPS.into()));
    }
    if let Some(number) = &row.own_number {
        variables.push((channel::OWN_NUMBER, number.as_str().into()));
    }
    if let Some(area) = &row.calls.area_code {
        variables.push((channel::AREA, area.as_str().into()));
    }
    variables.extend(dial::counted(domain, row).map(|(on, run)| (on, run.into())));
    if row.calls.withhold_number {
        variables.push((channel::WITHHOLD, "true".into()));
    }
    if let Some(codecs) = &row.codecs {
        variables.push(("absolute_codec_string", codecs.as_str().into()));
    }
    variables
}

/// The variables on a channel of a phone that makes a call.
fn of_callers<'a>(domain: &'a Domain, row: &'a ExtensionRow) -> Vec<(&'a str, Cow<'a, str>)> {
    let mut variables = variables(domain, row);
    variables.push((INHERIT_CODEC.0, INHERIT_CODEC.1.into()));
    let known = transfers::introduces(channel::MADE_BY, &row.sip_username, domain);
    variables.extend(known.map(|(name, value)| (name, value.into())));
    // Whom others are told that they are connected with after a transfer: by the profile, that would be the SIP username (`send_display` in
    // switch_ivr_bridge.c). Routes take these back if the number is withheld. In an argument, a name has only plain characters.
    let name = row.display_name.in_dial_string();
    let name = if name.is_empty() { row.number.as_str() } else { &name };
    for (on, what, value) in [(withheld::TELLS[0], "name", name), (withheld::TELLS[1], "number", row.number.as_str())] {
        variables.push((on, format!("set_profile_var caller_id_{what}={value}").into()));
    }
    variables
}

/// Only the variables that `sofia_reg_handle_register_token` (sofia_reg.c) reads: each line of an answer costs the switch
/// time.
fn of_registrations(row: &ExtensionRow) -> Vec<(&str, Cow<'_, str>)> {
    let named = row.variables.iter().filter(|(name, _)| name.starts_with("sip-"));
    named.map(|(name, value)| (name, value.into())).collect()
}

/// The same at a switch that is being taken out of service. A phone then registers anew every minute, and with that looks up in the DNS, or asks its
/// proxy, where to: as soon as the switch is no longer named there, it is elsewhere. Nothing else that every phone understands tells it to go
/// (`sofia_reg_handle_register_token` in sofia_reg.c).
fn of_brief_registrations(row: &ExtensionRow) -> Vec<(&str, Cow<'_, str>)> {
    let mut variables = of_registrations(row);
    variables.retain(|(name, _)| !name.starts_with("sip-force-expires") && *name != "sip-expires-max-deviation");
    variables.push(("sip-force-expires", "60".into()));
    // The profile's own comes on top, which may be a minute: then some would be registered for no time at all, which ends their registration.
    variables.push(("sip-expires-max-deviation", "10".into()));
    variables
}

/// A mailbox's user and alias. The switch keeps messages under the user, so that is the mailbox's id, which never
/// changes.
fn mailbox_user(row: &MailboxRow) -> (String, String) {
    let id = row.id.simple().to_string();
    (id.clone(), row.number.as_ref().map_or(id, ToString::to_string))
}

/// A mailbox that belongs to no extension. Nobody can sign in with it, and nothing rings.
pub fn mailbox(domain: &Domain, row: &MailboxRow, keyring: &Keyring) -> Result<Bytes, RenderError> {
    let (id, number_alias) = mailbox_user(row);
    let mut params = vec![NO_EMPTY_PASSWORD, ("vm-enabled", Cow::Borrowed("true"))];
    if let Some(sealed) = &row.pin {
        let pin = keyring.open_sealed(crate::telephony::destinations::place(row.tenant_id, row.id), sealed)?;
        params.push(("vm-password", pin.to_string().into()));
    }
    params.extend(row.email.iter().flat_map(mail_params));
    let user = User { id: &id, number_alias: &number_alias, params, variables: Vec::new() };
    xml(&Users { domain: domain.as_str(), group: "default", members: &[user] })
}

/// Whether a PIN chosen by phone for a mailbox was accepted.
pub fn mailbox_pin(domain: &Domain, row: &MailboxRow, success: bool) -> Result<Bytes, RenderError> {
    let (id, number_alias) = mailbox_user(row);
    xml(&Pin { domain: domain.as_str(), id: &id, number_alias: &number_alias, success })
}

/// Has messages sent to this address as well.
fn mail_params(email: &crate::text::Email) -> [(&'static str, Cow<'_, str>); 3] {
    [("vm-mailto", email.as_str().into()), ("vm-email-all-messages", "true".into()), ("vm-attach-file", "true".into())]
}

/// A group to ring. Its members have no dial string, so the switch calls `user/ID@DOMAIN` (`group_call_function` in
/// mod_commands.c), and each leg fetches its own user.
pub fn ring_group(domain: &Domain, group: &str, members: &[MemberRow]) -> Result<Bytes, RenderError> {
    let users = members.iter().map(|member| bare(member, vec![])).collect::<Vec<_>>();
    xml(&Users { domain: domain.as_str(), group, members: &users })
}

/// Users as mod_directory reads them for dial-by-name (`populate_database` in mod_directory.c).
pub fn by_name(domain: &Domain, members: &[MemberRow]) -> Result<Bytes, RenderError> {
    let shown = |member| bare(member, vec![("directory_full_name", Cow::Borrowed(member.display_name.as_str()))]);
    let users = members.iter().map(shown).collect::<Vec<_>>();
    render_what_fits(domain, "default", &users)
}

/// As many users as fit into one answer: a switch discards an answer of more than 1 MiB (`XML_CURL_MAX_BYTES` in
/// mod_xml_curl.c).
fn render_what_fits(domain: &Domain, group: &str, mut members: &[User<'_>]) -> Result<Bytes, RenderError> {
    const MOST: usize = 1024 * 1024;
    loop {
        let document = xml(&Users { domain: domain.as_str(), group, members })?;
        if document.len() <= MOST {
            return Ok(document);
        }
        members = &members[..members.len() * (MOST - MOST / 20) / document.len()];
    }
}

fn bare<'a>(member: &'a MemberRow, variables: Vec<(&'a str, Cow<'a, str>)>) -> User<'a> {
    let number_alias = member.number.as_str();
    User { id: member.sip_username.as_str(), number_alias, params: vec![NO_EMPTY_PASSWORD], variables }
}

/// Users with their voicemail parameters, for a message to several of them (`deliver_vm` in mod_voicemail.c).
pub fn mailboxes(domain: &Domain, group: &str, rows: &[ExtensionRow], keyring: &Keyring) -> Result<Bytes, RenderError> {
    let mut users = Vec::with_capacity(rows.len());
    for row in rows {
        let mut params = vec![NO_EMPTY_PASSWORD];
        params.extend(voicemail_params(row, keyring)?);
        let (id, number_alias) = (row.sip_username.as_str(), row.number.as_str());
        users.push(User { id, number_alias, params, variables: vec![] });
    }
    render_what_fits(domain, group, &users)
}

/// Whether a PIN chosen by phone was accepted (`vm_check` in mod_voicemail.c reads `result@success`).
pub fn pin(domain: &Domain, row: &ExtensionRow, asked: &str, success: bool) -> Result<Bytes, RenderError> {
    let id = row.sip_username.as_str();
    xml(&Pin { domain: domain.as_str(), id, number_alias: alias(row, asked), success })
}

/// A call's route, in the context that was asked for, as a document with one entry that runs these applications. `before`: the tenant's XML
/// entries, which the switch tries first.
pub fn actions(context: &str, name: &'static str, actions: &[Action], before: &[String]) -> Result<Bytes, RenderError> {
    xml(&Dialplan { context, name, actions, before })
}

/// Sets the variable that tells a call record's tenant.
#[must_use]
pub fn mark(tenant: Uuid) -> Action {
    Action { application: "set", data: format!("{}={tenant}", channel::TENANT) }
}

/// What every route of a tenant begins with: the mark, and that headers which others wrote don't go on.
#[must_use]
pub fn begins(tenant: Uuid) -> [Action; 2] {
    let (name, value) = OWN_HEADERS;
    [mark(tenant), Action { application: "set", data: format!("{name}={value}") }]
}

/// The answers that are known in advance about a tenant's domain, or about `public`.
#[must_use]
pub fn standing(domain: Option<&Domain>, scope: Uuid) -> Standing {
    Standing {
        nobody: domain.map(nobody).unwrap_or_default(),
        unallocated: unallocated(domain.map_or(super::PUBLIC, Domain::as_str), domain.map(|_| scope)),
    }
}

/// Nobody in this context has the number.
#[must_use]
pub fn unallocated(context: &str, tenant: Option<Uuid>) -> Bytes {
    let refusal = crate::model::refusal::Refusal::Unallocated;
    let hangup = Action { application: "hangup", data: refusal.cause().to_owned() };
    let actions = tenant.map(begins).into_iter().flatten().chain([hangup]).collect::<Vec<_>>();
    // As in `nobody`, rendering can't fail: the context is a domain or "public".
    xml(&Dialplan { context, name: refusal.name(), actions: &actions, before: &[] }).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "xml/extension.xml")]
struct StaticExtension<'a> {
    disposition_field: &'static str,
    disposition: Option<&'a str>,
    pattern: &'a str,
    actions: &'a [Action],
}

/// One entry of a static dialplan. `disposition`: how ringing must have ended before this entry applies.
pub fn static_extension(pattern: &str, disposition: Option<&str>, actions: &[Action]) -> Result<Bytes, RenderError> {
    // Nowhere else does a document have the switch evaluate a channel variable itself.
    let disposition_field = "${originate_disposition}";
    xml(&StaticExtension { disposition_field, disposition, pattern, actions })
}

/// The users of a static directory, with what both signing in and ringing need.
pub fn static_users<'a>(
    domain: &Domain,
    rows: impl Iterator<Item = &'a ExtensionRow>,
    keyring: &Keyring,
) -> Result<Bytes, RenderError> {
    let mut users = Vec::new();
    for row in rows {
        let digest = Digest { user: row.sip_username.as_str().into(), realm: domain.as_str().into() };
        let mut params = auth_params(row, &digest, keyring)?;
        params.extend(profile_params(At::home(domain), row, &Ringing::default(), keyring)?.into_iter().skip(1));
        let (id, number_alias) = (row.sip_username.as_str(), row.number.as_str());
        users.push(User { id, number_alias, params, variables: variables(domain, row) });
    }
    xml(&Users { domain: domain.as_str(), group: "default", members: &users })
}

/// Our context without entries: messages are not routed, and not left to static files either.
pub fn chatplan(domain: &Domain) -> Result<Bytes, RenderError> {
    xml(&Chatplan { context: domain.as_str() })
}
