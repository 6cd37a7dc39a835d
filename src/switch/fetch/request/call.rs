//! A call, as a switch describes it.

use std::{borrow::Cow, net::IpAddr};

use super::{Fields, Once, Request, text};
use crate::{
    model::channel,
    routing::{AFTER, Hops, withheld},
};

/// The caller as the switch authenticated it. Never taken from headers such as From or P-Asserted-Identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller<'a> {
    pub user: Cow<'a, str>,
    pub domain: Cow<'a, str>,
}

/// How a call reached the switch, with the other places where the called number may be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// The gateway that the call came in on (`sofia_handle_sip_i_invite` in sofia.c).
    pub gateway: Option<Cow<'a, str>>,
    pub address: Option<IpAddr>,
    /// The user in To.
    pub to: Option<Cow<'a, str>>,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl Arrival<'_> {
    /// A header of the INVITE; `None` if it is missing or has two different values.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut value = Once::default();
        for (_, found) in self.headers.iter().filter(|(header, _)| is_header(header, name)) {
            value.set(found);
        }
        text(value.get())
    }

    /// Does the switch send it at all?
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| is_header(header, name))
    }
}

/// Is the variable that header? The second one of a name is called `NAME-1`, the third `NAME-2`
/// (`sofia_handle_sip_i_invite` in sofia.c).
fn is_header(variable: &[u8], name: &str) -> bool {
    let Some((start, rest)) = variable.split_at_checked(name.len()) else { return false };
    let is_repeated =
        || matches!(rest, [b'-', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    start.eq_ignore_ascii_case(name.as_bytes()) && (rest.is_empty() || is_repeated())
}

/// What the directory said of the phone that calls, as its channel still has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Phone<'a> {
    pub help_only: bool,
    pub own_number: Option<Cow<'a, str>>,
    pub area: Option<Cow<'a, str>>,
    /// A number of whoever calls, on a leg that rings elsewhere.
    pub original: Option<Cow<'a, str>>,
    /// The number that this call is to show.
    pub shows: Option<Cow<'a, str>>,
    pub extension: Option<uuid::Uuid>,
}

/// The phones at both ends of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Connected<'a> {
    pub made_by: Option<Caller<'a>>,
    pub taken_by: Option<Caller<'a>>,
}

/// What a queue has left on a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Waited<'a> {
    /// Where the caller is called back. Dialplane's own routes set it.
    pub call_back: Option<Cow<'a, str>>,
    /// Whether a key ended the waiting.
    pub is_by_key: bool,
    /// Since when they waited, in seconds since 1970, and by how many seconds they came before others.
    pub joined: Option<i64>,
    pub ahead: u16,
}

/// A call, as the switch describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Dialplan<'a> {
    pub context: Cow<'a, str>,
    pub destination: Cow<'a, str>,
    /// Who signed in to make the call or, on a leg to a phone, whom it was for.
    pub caller: Option<Caller<'a>>,
    /// The extension that forwards or transfers the call. Dialplane's own routes set it.
    pub on_behalf: Option<Cow<'a, str>>,
    /// The extension that forwarded the call here. Dialplane's own routes set it.
    pub forwarder: Option<Cow<'a, str>>,
    /// Whom the call was connected with last, and so may have been transferred by: the phone that made that connection, and the one that took
    /// it. Either may be the channel's own.
    pub connected: Connected<'a>,
    /// Who gets the call back if nobody takes it.
    pub back: Option<Cow<'a, str>>,
    /// The number that the caller shows.
    pub caller_number: Option<Cow<'a, str>>,
    /// The name that the caller shows.
    pub caller_name: Option<Cow<'a, str>>,
    /// Whether the switch shows what the caller wrote into `P-Preferred-Identity`, which nobody vouches for.
    pub is_preferred: bool,
    /// Whether the caller wants the number withheld.
    pub withheld: bool,
    pub hops: Hops,
    /// Of a caller who waited in a queue.
    pub waited: Waited<'a>,
    /// How ringing ended, if it has.
    pub disposition: Option<Cow<'a, str>>,
    pub call: Option<uuid::Uuid>,
    pub phone: Phone<'a>,
    pub arrival: Arrival<'a>,
    /// The switch that asks. It is no part of the form.
    pub switch: Option<uuid::Uuid>,
}

/// Whoever forwarded the call to this destination. If it is somewhere else, a person has sent it there.
fn forwarder_to(value: &str, destination: &str) -> Option<Cow<'static, str>> {
    let (forwarder, to) = value.split_once(':')?;
    (destination.strip_suffix(AFTER).unwrap_or(destination) == to).then(|| Cow::Owned(forwarder.to_owned()))
}

/// A wish for this call or of the extension counts before what the phone or the carrier wrote into the INVITE. If the wish is twofold, the
/// number is withheld.
fn is_withheld(fields: &Fields<'_>) -> bool {
    let is_anonymous = |user: &[u8]| user.eq_ignore_ascii_case(withheld::NOBODY.as_bytes());
    match (fields.withhold.value, fields.withhold.get()) {
        (Some(_), Some(b"false")) => false,
        (Some(_), _) => true,
        // Privacy and Remote-Party-ID (`sofia_handle_sip_i_invite` in sofia.c), or an anonymous From (RFC 3323).
        (None, _) => fields.hides_number.value == Some(b"true") || fields.from_user.is_some_and(is_anonymous),
    }
}

/// Whether a caller who is no phone of ours has said whom they would like to be taken for. The switch takes that before what the carrier
/// vouches for (`sofia_handle_sip_i_invite` in sofia.c).
fn is_preferred(fields: &Fields<'_>) -> bool {
    fields.number.value.is_none() && fields.preferred.is_some_and(|preferred| !preferred.is_empty())
}

/// Of a phone, its extension's number. Of others, what they show; once that is withheld, the profile no longer has it.
fn caller_number<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    if let Some(number) = text(fields.number.get()) {
        return Some(number);
    }
    let shown = text(fields.caller_number);
    if shown.as_deref() != Some(withheld::NOBODY) && !is_preferred(fields) {
        return shown;
    }
    text(fields.asserted).or_else(|| text(fields.from_user)).or(shown)
}

/// The name beside that number.
fn caller_name<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    if !is_preferred(fields) {
        return text(fields.name.get()).or_else(|| text(fields.caller_name));
    }
    let name = text(fields.from_display)?;
    let name = name.trim_matches('"').trim();
    (!name.is_empty()).then(|| Cow::Owned(name.to_owned()))
}

pub(super) fn read<'a>(fields: &Fields<'a>) -> Request<'a> {
    // In execute_extension, Hunt-* is the new caller profile and Caller-* the old one (switch_core_session.c).
    let context = text(fields.hunt_context).or_else(|| text(fields.caller_context));
    let destination = text(fields.hunt_destination).or_else(|| text(fields.caller_destination));
    let Some(context) = context else { return Request::NotOurs { kind: "dialplan" } };
    let pair = |user: Once<'a>, domain: Once<'a>| match (text(user.get()), text(domain.get())) {
        (Some(user), Some(domain)) => Some(Caller { user, domain }),
        _ => None,
    };
    // A leg to a phone knows which user it was made for, and has what the directory says of that one. A caller's leg has the last phone that
    // it rang, and that is somebody else (user_outgoing_channel in mod_dptools.c).
    let is_phone = fields.extension.get().is_some();
    let rung = || pair(fields.dialed_user, fields.dialed_domain).filter(|_| is_phone);
    let caller = pair(fields.user_name, fields.domain_name).or_else(rung);
    let phone = |phone: Once<'a>| {
        let phone = text(phone.get())?;
        let (user, domain) = phone.split_once('@')?;
        Some(Caller { user: user.to_owned().into(), domain: domain.to_owned().into() })
    };
    let destination = destination.unwrap_or_default();
    let hops = Hops::read(text(fields.hops.get()).as_deref(), &destination);
    let forwarder = text(fields.forwarder.get()).and_then(|forwarder| forwarder_to(&forwarder, &destination));
    Request::Dialplan(Box::new(Dialplan {
        context,
        destination,
        caller,
        on_behalf: text(fields.on_behalf.get()),
        forwarder,
        connected: Connected { made_by: phone(fields.made_by), taken_by: phone(fields.taken_by) },
        back: text(fields.back.get()),
        caller_name: caller_name(fields),
        is_preferred: is_preferred(fields),
        caller_number: caller_number(fields),
        withheld: is_withheld(fields),
        hops,
        waited: Waited {
            call_back: text(fields.call_back.get()),
            is_by_key: fields.why_left == Some(b"EXIT_WITH_KEY"),
            joined: text(fields.queue_joined).and_then(|at| at.parse().ok()),
            ahead: text(fields.queue_ahead).and_then(|ahead| ahead.parse().ok()).unwrap_or_default(),
        },
        disposition: text(fields.disposition),
        call: text(fields.call).and_then(|call| call.parse().ok()),
        phone: Phone {
            // Whatever it says, and also if it says two things.
            help_only: fields.help_only.value.is_some() || fields.hops.value == Some(channel::HELP_HOPS.as_bytes()),
            own_number: text(fields.own_number.get()),
            area: text(fields.area.get()),
            original: text(fields.original.get()),
            shows: text(fields.shows.get()),
            extension: text(fields.extension.get()).and_then(|id| id.parse().ok()),
        },
        arrival: Arrival {
            gateway: text(fields.gateway.get()),
            address: text(fields.network_ip.get())
                .and_then(|address| address.parse().ok())
                .map(|address: IpAddr| address.to_canonical()),
            to: text(fields.called_in_to),
            headers: fields.headers.clone(),
        },
        switch: None,
    }))
}
