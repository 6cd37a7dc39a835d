//! A fetch's form, read into one typed request.
//!
//! The form contains text that strangers chose (the digest realm, SIP header names, channel variables), and FreeSWITCH
//! does not encode all of it. These rules keep that text from being read as something else:
//! - of a repeated base field, the first counts: base fields lead the form, so a repetition was injected;
//! - `action`, `purpose` and other event headers count only after the first `Event-Name`;
//! - of `key`, `user` and `domain`, the last counts: the switch appends them after everything that callers control;
//! - `domain` must equal `key_value`, which is truncated and not encoded (`xml_url_fetch` in mod_xml_curl.c);
//! - the caller's identity counts only if the form has no two different values of it;
//! - a REGISTER may bind an address only in the domain that its sender signs in to, and only to where it comes from.

mod call;
mod config;
mod contact;

use std::borrow::Cow;

use uuid::Uuid;

pub use self::{
    call::{Arrival, Caller, Connected, Dialplan, Phone},
    config::{Address, ConfigFile},
};
use super::{
    form::{decode, pairs},
    guesses::Proof,
};
use crate::{
    model::{channel, device::Only},
    routing::emergency,
};

/// One question of a switch. Its texts are as they came, not yet checked against a type.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A user of a domain, and how much of the user to show.
    User { domain: Cow<'a, str>, user: Cow<'a, str>, view: View<'a>, proof: Proof<'a> },
    /// A domain without users: for `domain_exists`, address lists and gateways, and for everything that is refused.
    Domain { domain: Cow<'a, str> },
    /// A domain with one group and its members.
    Group { domain: Cow<'a, str>, group: Cow<'a, str>, view: GroupView },
    /// A domain with all its users: for dial-by-name and voicemail to everybody.
    Everyone { domain: Cow<'a, str>, view: GroupView },
    /// The gateways of all domains (`<domain name="all">` in a profile).
    AllGateways,
    /// A mailbox's owner chose a new PIN by phone.
    ChangePin { domain: Cow<'a, str>, user: Cow<'a, str>, pin: Cow<'a, str> },
    /// Where a call goes.
    Dialplan(Box<Dialplan<'a>>),
    /// A module's configuration that Dialplane provides.
    Configuration { file: ConfigFile<'a> },
    /// Where a text message goes.
    Chatplan { context: Cow<'a, str> },
    /// A question that Dialplane leaves to the switch; `kind` labels its counter.
    NotOurs { kind: &'static str },
}

/// What kinds of requests there are, for how long each takes.
pub const KINDS: [&str; 6] = ["user", "domain", "group", "dialplan", "configuration", "other"];

impl Request<'_> {
    /// Its place in [`KINDS`].
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            Self::User { .. } | Self::ChangePin { .. } => 0,
            Self::Domain { .. } | Self::AllGateways => 1,
            Self::Group { .. } | Self::Everyone { .. } => 2,
            Self::Dialplan(_) => 3,
            Self::Configuration { .. } => 4,
            Self::Chatplan { .. } | Self::NotOurs { .. } => 5,
        }
    }

    /// The domain that the request is about, if there is one.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        match self {
            Self::User { domain, .. }
            | Self::Domain { domain }
            | Self::Group { domain, .. }
            | Self::Everyone { domain, .. }
            | Self::ChangePin { domain, .. } => Some(domain),
            Self::Dialplan(dialplan) => Some(&dialplan.context),
            Self::Chatplan { context } => Some(context),
            Self::Configuration { file } => file.domain(),
            Self::AllGateways | Self::NotOurs { .. } => None,
        }
    }
}

/// How much of a user an answer shows: only as much as the purpose needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View<'a> {
    /// To check a digest for this realm, for a call.
    Auth { realm: &'a [u8] },
    /// The same for a call to what may be an emergency number, which does not wait for the database.
    Help { realm: &'a [u8] },
    /// The same on a switch of a cluster that the tenant has left.
    Moved { realm: &'a [u8] },
    /// The same for what makes no call, such as SUBSCRIBE and MESSAGE.
    Other { realm: &'a [u8] },
    /// The same for a REGISTER, which makes no channel and so needs no variables.
    Register { realm: &'a [u8] },
    /// The same at a switch that is being taken out of service: phones look again soon.
    Leaving { realm: &'a [u8] },
    /// To leave or read voicemail: everything but the SIP secret.
    Profile,
    /// The same to ring, at the switch that asks.
    Ring { only: Option<Only>, switch: Option<Uuid> },
    /// To check a login of mod_verto.
    Verto,
    /// To answer the phone's own digest challenge.
    ReverseAuth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupView {
    /// To ring the members: ids only, since each leg fetches its own user.
    Ring,
    /// To leave the members a message: voicemail parameters.
    Voicemail,
    /// To find the members by name.
    ByName,
}

/// A form that can't be a request of mod_xml_curl.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("no section")]
    NoSection,
    #[error("more than {MAX_FIELDS} fields")]
    TooManyFields,
}

/// A real dialplan request has fewer than 200 fields; a call with many variables has some hundreds.
const MAX_FIELDS: usize = 4000;

/// The prefix of channel variables that hold SIP headers (`SOFIA_SIP_HEADER_PREFIX` in mod_sofia.h).
const HEADER: &[u8] = b"variable_sip_h_";

/// More than a carrier sends.
const MOST_HEADERS: usize = 64;

/// A field that counts only if all its values are the same.
#[derive(Default, Clone, Copy)]
struct Once<'a> {
    value: Option<&'a [u8]>,
    twice: bool,
}

impl<'a> Once<'a> {
    fn set(&mut self, value: &'a [u8]) {
        self.twice |= self.value.is_some_and(|known| known != value);
        self.value = Some(value);
    }

    fn get(self) -> Option<&'a [u8]> {
        if self.twice { None } else { self.value }
    }
}

/// The fields that matter, still encoded.
#[derive(Default)]
struct Fields<'a> {
    section: Option<&'a [u8]>,
    tag_name: Option<&'a [u8]>,
    key_name: Option<&'a [u8]>,
    key_value: Option<&'a [u8]>,
    event_name: Option<&'a [u8]>,
    calling_function: Option<&'a [u8]>,
    action: Option<&'a [u8]>,
    /// Whether `action=user_call` came before the first `Event-Name`.
    rings_early: bool,
    purpose: Option<&'a [u8]>,
    realm: Option<&'a [u8]>,
    auth_method: Option<&'a [u8]>,
    proof: Proof<'a>,
    contact_host: Once<'a>,
    contact_user: Once<'a>,
    to_host: Option<&'a [u8]>,
    to_user: Option<&'a [u8]>,
    group: Option<&'a [u8]>,
    group_name: Option<&'a [u8]>,
    vm_action: Option<&'a [u8]>,
    vm_user: Option<&'a [u8]>,
    vm_password: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    domain: Option<&'a [u8]>,
    context: Option<&'a [u8]>,
    hunt_context: Option<&'a [u8]>,
    hunt_destination: Option<&'a [u8]>,
    caller_context: Option<&'a [u8]>,
    caller_destination: Option<&'a [u8]>,
    user_name: Once<'a>,
    domain_name: Once<'a>,
    dialed_user: Once<'a>,
    dialed_domain: Once<'a>,
    on_behalf: Once<'a>,
    forwarder: Once<'a>,
    made_by: Once<'a>,
    taken_by: Once<'a>,
    back: Once<'a>,
    help_only: Once<'a>,
    own_number: Once<'a>,
    number: Once<'a>,
    name: Once<'a>,
    area: Once<'a>,
    extension: Once<'a>,
    hops: Once<'a>,
    withhold: Once<'a>,
    shows: Once<'a>,
    original: Once<'a>,
    hides_number: Once<'a>,
    from_user: Option<&'a [u8]>,
    asserted: Option<&'a [u8]>,
    preferred: Option<&'a [u8]>,
    from_display: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    call_back: Once<'a>,
    why_left: Option<&'a [u8]>,
    queue_joined: Option<&'a [u8]>,
    queue_ahead: Option<&'a [u8]>,
    caller_number: Option<&'a [u8]>,
    caller_name: Option<&'a [u8]>,
    call: Option<&'a [u8]>,
    gateway: Once<'a>,
    network_ip: Once<'a>,
    called_in_to: Option<&'a [u8]>,
    headers: Vec<(&'a [u8], &'a [u8])>,
    queue: Option<&'a [u8]>,
    menu: Option<&'a [u8]>,
    conference_profile: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(form: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Self::default();
        let mut count = 0_usize;
        for (name, value) in pairs(form) {
            count += 1;
            if count > MAX_FIELDS {
                return Err(Malformed::TooManyFields);
            }
            fields.take(name, value);
        }
        Ok(fields)
    }

    fn take(&mut self, name: &'a [u8], value: &'a [u8]) {
        let in_event = self.event_name.is_some();
        match name {
            b"section" => first(&mut self.section, value),
            b"tag_name" => first(&mut self.tag_name, value),
            b"key_name" => first(&mut self.key_name, value),
            b"key_value" => first(&mut self.key_value, value),
            b"Event-Name" => first(&mut self.event_name, value),
            b"key" => self.key = Some(value),
            b"user" => self.user = Some(value),
            b"domain" => self.domain = Some(value),
            b"action" if !in_event => self.rings_early |= value == b"user_call",
            _ if !in_event => {}
            b"Event-Calling-Function" => first(&mut self.calling_function, value),
            b"action" => first(&mut self.action, value),
            b"purpose" => first(&mut self.purpose, value),
            b"sip_auth_realm" => first(&mut self.realm, value),
            b"sip_auth_method" => first(&mut self.auth_method, value),
            b"sip_auth_nonce" => self.proof.nonce = value,
            b"sip_auth_uri" => self.proof.uri = value,
            b"sip_auth_qop" => self.proof.qop = value,
            b"sip_auth_cnonce" => self.proof.cnonce = value,
            b"sip_auth_nc" => self.proof.count = value,
            b"sip_auth_response" => self.proof.response = value,
            // Appended after everything that callers control.
            b"ip" => self.proof.address = value,
            b"sip_contact_host" => self.contact_host.set(value),
            b"sip_contact_user" => self.contact_user.set(value),
            b"sip_to_host" => first(&mut self.to_host, value),
            b"sip_to_user" => first(&mut self.to_user, value),
            b"group" => first(&mut self.group, value),
            b"group_name" => first(&mut self.group_name, value),
            b"VM-Action" => first(&mut self.vm_action, value),
            b"VM-User" => first(&mut self.vm_user, value),
            b"VM-User-Password" => first(&mut self.vm_password, value),
            b"context" => first(&mut self.context, value),
            // Appended after all channel data (dialplan_xml_locate in mod_dialplan_xml.c).
            b"Hunt-Context" => self.hunt_context = Some(value),
            b"Hunt-Destination-Number" => self.hunt_destination = Some(value),
            b"Caller-Context" => first(&mut self.caller_context, value),
            b"Caller-Destination-Number" => first(&mut self.caller_destination, value),
            b"variable_user_name" => self.user_name.set(value),
            b"variable_domain_name" => self.domain_name.set(value),
            b"variable_dialed_user" => self.dialed_user.set(value),
            b"variable_dialed_domain" => self.dialed_domain.set(value),
            b"variable_originate_disposition" => first(&mut self.disposition, value),
            // What mod_callcenter leaves on a caller (`callcenter_function` in mod_callcenter.c).
            b"variable_cc_cancel_reason" => first(&mut self.why_left, value),
            b"variable_cc_queue_joined_epoch" => first(&mut self.queue_joined, value),
            b"variable_cc_base_score" => first(&mut self.queue_ahead, value),
            b"Caller-Caller-ID-Number" => first(&mut self.caller_number, value),
            b"Caller-Caller-ID-Name" => first(&mut self.caller_name, value),
            b"Caller-Privacy-Hide-Number" => self.hides_number.set(value),
            b"variable_sip_from_user" => first(&mut self.from_user, value),
            b"variable_sip_from_display" => first(&mut self.from_display, value),
            b"variable_sip_P-Asserted-Identity" => first(&mut self.asserted, value),
            b"variable_sip_P-Preferred-Identity" => first(&mut self.preferred, value),
            b"Unique-ID" => first(&mut self.call, value),
            b"variable_sip_gateway" => self.gateway.set(value),
            b"variable_sip_network_ip" => self.network_ip.set(value),
            b"variable_sip_to_user" => first(&mut self.called_in_to, value),
            b"CC-Queue" => first(&mut self.queue, value),
            b"Menu-Name" => first(&mut self.menu, value),
            b"profile_name" | b"Conf-Profile" => first(&mut self.conference_profile, value),
            name if name.starts_with(HEADER) && self.headers.len() < MOST_HEADERS => {
                self.headers.push((&name[HEADER.len()..], value));
            }
            name if is_variable(name, channel::ON_BEHALF) => self.on_behalf.set(value),
            name if is_variable(name, channel::MADE_BY) => self.made_by.set(value),
            name if is_variable(name, channel::TAKEN_BY) => self.taken_by.set(value),
            name if is_variable(name, channel::BACK) => self.back.set(value),
            name if is_variable(name, channel::HELP_ONLY) => self.help_only.set(value),
            name if is_variable(name, channel::OWN_NUMBER) => self.own_number.set(value),
            name if is_variable(name, channel::NUMBER) => self.number.set(value),
            name if is_variable(name, channel::NAME) => self.name.set(value),
            name if is_variable(name, channel::FORWARDER) => self.forwarder.set(value),
            name if is_variable(name, channel::AREA) => self.area.set(value),
            name if is_variable(name, channel::EXTENSION) => self.extension.set(value),
            name if is_variable(name, channel::WITHHOLD) => self.withhold.set(value),
            name if is_variable(name, channel::CALL_BACK) => self.call_back.set(value),
            name if is_variable(name, channel::ORIGINAL) => self.original.set(value),
            name if is_variable(name, channel::SHOWS) => self.shows.set(value),
            name if is_variable(name, channel::HOPS) => self.hops.set(value),
            _ => {}
        }
    }
}

/// Whether this is the field of the channel variable `name`.
fn is_variable(field: &[u8], name: &str) -> bool {
    field.strip_prefix(b"variable_").is_some_and(|rest| rest == name.as_bytes())
}

fn first<'a>(field: &mut Option<&'a [u8]>, value: &'a [u8]) {
    field.get_or_insert(value);
}

/// An empty field counts as absent: FreeSWITCH deletes headers without data.
fn text(field: Option<&[u8]>) -> Option<Cow<'_, str>> {
    field.filter(|value| !value.is_empty()).and_then(decode)
}

fn is(field: Option<&[u8]>, value: &str) -> bool {
    field.is_some_and(|field| field == value.as_bytes())
}

impl<'a> Request<'a> {
    /// Reads one form. Any bytes yield a request or a named error.
    pub fn read(form: &'a [u8]) -> Result<Self, Malformed> {
        let fields = Fields::read(form)?;
        match fields.section {
            Some(b"directory") => Ok(directory(&fields)),
            Some(b"dialplan") => Ok(call::read(&fields)),
            Some(b"chatplan") => Ok(chatplan(&fields)),
            Some(b"configuration") => Ok(config::read(&fields)),
            Some(b"languages" | b"phrases") => Ok(Self::NotOurs { kind: "languages" }),
            Some(b"channels") => Ok(Self::NotOurs { kind: "channels" }),
            Some(section) if !section.is_empty() => Ok(Self::NotOurs { kind: "unknown" }),
            _ => Err(Malformed::NoSection),
        }
    }
}

fn directory<'a>(fields: &Fields<'a>) -> Request<'a> {
    const NOT_OURS: Request<'static> = Request::NotOurs { kind: "directory" };
    // FreeSWITCH does not encode key_value, so it is not decoded either.
    let Some(key_value) = fields.key_value.filter(|v| !v.is_empty()) else {
        return if is(fields.purpose, "gateways") { Request::AllGateways } else { NOT_OURS };
    };
    let Ok(key_value) = std::str::from_utf8(key_value) else { return NOT_OURS };
    let domain = match text(fields.domain) {
        Some(domain) if domain == key_value => domain,
        Some(_) => return NOT_OURS,
        None if fields.domain.is_some_and(|d| !d.is_empty()) => return NOT_OURS,
        None => Cow::Borrowed(key_value),
    };
    if !is(fields.tag_name, "domain") || !is(fields.key_name, "name") {
        return NOT_OURS;
    }
    in_domain(fields, domain)
}

fn in_domain<'a>(fields: &Fields<'a>, domain: Cow<'a, str>) -> Request<'a> {
    match fields.purpose {
        Some(b"publish-vm") => return publish_voicemail(fields, domain),
        // No other purpose needs a user: address lists contain none of ours, and gateways belong to carriers.
        Some(_) => return Request::Domain { domain },
        None => {}
    }
    if reaches_elsewhere(fields, &domain) || (is_register(fields) && contact::is_strange(fields)) {
        return Request::Domain { domain };
    }
    let view = match fields.action {
        Some(b"sip_auth") if is_register(fields) => View::Register { realm: fields.realm.unwrap_or_default() },
        Some(b"sip_auth") if !makes_a_call(fields) => View::Other { realm: fields.realm.unwrap_or_default() },
        Some(b"sip_auth") if is_for_help(fields) => View::Help { realm: fields.realm.unwrap_or_default() },
        Some(b"sip_auth") => View::Auth { realm: fields.realm.unwrap_or_default() },
        Some(b"jsonrpc-authenticate") => View::Verto,
        Some(b"reverse-auth-lookup") => View::ReverseAuth,
        // Nobody logs in to a switch's event socket as a user of the directory.
        Some(b"event_socket_auth") => return Request::Domain { domain },
        // `user/…` in a dial string (`user_outgoing_channel` in mod_dptools.c). Who calls without a channel, such as a queue, has an event of
        // its own, whose name replaces the fetch's and so comes after what was added before (`EF_UNIQ_HEADERS` in switch_event.c). That
        // may be believed: it shows no more than without it.
        Some(b"user_call") => rings(fields),
        None if fields.rings_early => rings(fields),
        _ => View::Profile,
    };
    if let Some(group) = text(fields.group_name) {
        return Request::Group { domain, group, view: GroupView::Ring };
    }
    if is(fields.calling_function, "populate_database") {
        return Request::Everyone { domain, view: GroupView::ByName };
    }
    let Some(user) = text(fields.user) else { return Request::Domain { domain } };
    if changes_pin(fields) {
        let pin = text(fields.vm_password).unwrap_or_default();
        return Request::ChangePin { domain, user, pin };
    }
    match fields.key {
        // One answer serves both: the switch itself looks for the name in the attribute it means.
        Some(b"id" | b"number-alias") => Request::User { domain, user, view, proof: proof(fields) },
        // user_exists and find_user_xml may look by any attribute; our users have only these two.
        _ => Request::Domain { domain },
    }
}

fn rings(fields: &Fields<'_>) -> View<'static> {
    let only = text(fields.user).and_then(|user| Only::part(&user).map(|(_, only)| only));
    View::Ring { only, switch: None }
}

/// What the switch checks when somebody signs in.
fn proof<'a>(fields: &Fields<'a>) -> Proof<'a> {
    if !is(fields.action, "sip_auth") || fields.proof.response.is_empty() {
        return Proof::default();
    }
    Proof { method: fields.auth_method.unwrap_or_default(), ..fields.proof }
}

/// Whether the user changes a PIN. Only mod_voicemail asks for that, in an event of type CUSTOM. The check matters because
/// a mod_verto client chooses names and values of fields when it logs in, and could otherwise set anybody's PIN
/// (`check_auth` in mod_verto.c).
fn changes_pin(fields: &Fields<'_>) -> bool {
    let by_voicemail = fields.action.is_none() && is(fields.event_name, "CUSTOM") && fields.vm_user == fields.user;
    by_voicemail && is(fields.vm_action, "change-password")
}

/// Whether somebody signs in to this domain to bind (REGISTER) or watch (SUBSCRIBE) an address in another one. The switch
/// compares user names at most (`inbound-reg-force-matching-username` in sofia_reg.c), and lets every authenticated user
/// watch any address (`sofia_presence_handle_sip_i_subscribe` in sofia_presence.c). So one tenant's 1001 could take
/// another's calls, or see who calls whom there.
///
/// A profile that forces a domain (then the realm differs from the domain) also forces it on registrations, so a REGISTER
/// passes. It does not force it on a watched address, and the client chooses the realm, so a SUBSCRIBE must name the
/// domain itself.
fn reaches_elsewhere(fields: &Fields<'_>, domain: &str) -> bool {
    let is_elsewhere = || text(fields.to_host).is_some_and(|host| !host.eq_ignore_ascii_case(domain));
    if is_sip_auth(fields, "SUBSCRIBE") {
        return is_elsewhere() || text(fields.to_user).is_none_or(|user| names_a_host(&user, domain));
    }
    let is_forced = || text(fields.realm).is_some_and(|realm| realm != domain);
    is_register(fields) && !is_forced() && is_elsewhere()
}

/// Whether a watched user names another host itself, as in `park+5900+other.test`. The switch splits it the same way.
fn names_a_host(user: &str, domain: &str) -> bool {
    let Some((protocol, rest)) = user.split_once('+') else { return false };
    let host = rest.split_once(['+', '@']).map(|(_, host)| host);
    !protocol.is_empty() && host.is_some_and(|host| !host.eq_ignore_ascii_case(domain))
}

fn is_register(fields: &Fields<'_>) -> bool {
    is_sip_auth(fields, "REGISTER")
}

/// A switch says the method of whatever it asks to be signed in for (`sofia_reg_parse_auth` in sofia_reg.c).
fn makes_a_call(fields: &Fields<'_>) -> bool {
    is(fields.auth_method, "INVITE")
}

/// Whether somebody calls what may be an emergency number. Only its wait depends on this, so that it does not matter if this is wrong.
fn is_for_help(fields: &Fields<'_>) -> bool {
    text(fields.to_user).is_some_and(|number| emergency::is_one_anywhere(&number))
}

fn is_sip_auth(fields: &Fields<'_>, method: &str) -> bool {
    is(fields.action, "sip_auth") && is(fields.auth_method, method)
}

/// mod_voicemail delivers or forwards a message (deliver_vm in mod_voicemail.c) and expects users in the domain.
fn publish_voicemail<'a>(fields: &Fields<'a>, domain: Cow<'a, str>) -> Request<'a> {
    match (text(fields.user), text(fields.group)) {
        (Some(user), _) if user == "_all_" => Request::Everyone { domain, view: GroupView::Voicemail },
        (Some(user), _) => Request::User { domain, user, view: View::Profile, proof: Proof::default() },
        (None, Some(group)) => Request::Group { domain, group, view: GroupView::Voicemail },
        (None, None) => Request::Domain { domain },
    }
}

fn chatplan<'a>(fields: &Fields<'a>) -> Request<'a> {
    match text(fields.context) {
        Some(context) => Request::Chatplan { context },
        None => Request::NotOurs { kind: "chatplan" },
    }
}

#[cfg(test)]
mod tests;
