//! A call, as a switch describes it.

use std::{borrow::Cow, net::Ipv4Addr};

use super::{Fields, Once, Request, text};
use crate::routing::MOST_HOPS;

/// Who calls, as the switch authenticated it. Never taken from From, P-Asserted-Identity or the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller<'a> {
    pub user: Cow<'a, str>,
    pub domain: Cow<'a, str>,
}

/// How a call reached the switch, and where else the number called may stand.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// The gateway whose registration it came by (`sofia_handle_sip_i_invite` in sofia.c).
    pub gateway: Option<Cow<'a, str>>,
    pub address: Option<Ipv4Addr>,
    /// The user in To.
    pub to: Option<Cow<'a, str>>,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl Arrival<'_> {
    /// A header of the INVITE. `None`: it is not there, or there with two values.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut value = Once::default();
        for (_, found) in self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name.as_bytes())) {
            value.set(found);
        }
        text(value.get())
    }
}

/// A call, as the switch describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Dialplan<'a> {
    pub context: Cow<'a, str>,
    pub destination: Cow<'a, str>,
    /// Who signed in to make it, or who was called by it.
    pub caller: Option<Caller<'a>>,
    /// On whose behalf it goes on: an extension that forwards or transfers it. Set by Dialplane's own routes.
    pub on_behalf: Option<Cow<'a, str>>,
    /// As the caller shows it.
    pub caller_number: Option<Cow<'a, str>>,
    pub hops: u8,
    /// How ringing ended, when it did.
    pub disposition: Option<Cow<'a, str>>,
    pub call: Option<uuid::Uuid>,
    pub arrival: Arrival<'a>,
}

pub(super) fn read<'a>(fields: &Fields<'a>) -> Request<'a> {
    // In execute_extension the Hunt profile is the new one, Caller the old (switch_core_session.c).
    let context = text(fields.hunt_context).or_else(|| text(fields.caller_context));
    let destination = text(fields.hunt_destination).or_else(|| text(fields.caller_destination));
    let Some(context) = context else { return Request::NotOurs { kind: "dialplan" } };
    let pair = |user: Once<'a>, domain: Once<'a>| match (text(user.get()), text(domain.get())) {
        (Some(user), Some(domain)) => Some(Caller { user, domain }),
        _ => None,
    };
    // A leg to a phone knows whom it was called for (user_outgoing_channel in mod_dptools.c).
    let caller = pair(fields.user_name, fields.domain_name).or_else(|| pair(fields.dialed_user, fields.dialed_domain));
    Request::Dialplan(Box::new(Dialplan {
        context,
        destination: destination.unwrap_or_default(),
        caller,
        on_behalf: text(fields.on_behalf.get()),
        caller_number: text(fields.caller_number),
        // What can't be read is as far as a call goes, and nothing goes further.
        hops: text(fields.hops.get()).map_or(0, |hops| hops.parse().unwrap_or(u8::MAX).min(MOST_HOPS + 1)),
        disposition: text(fields.disposition),
        call: text(fields.call).and_then(|call| call.parse().ok()),
        arrival: Arrival {
            gateway: text(fields.gateway.get()),
            address: text(fields.network_ip.get()).and_then(|address| address.parse().ok()),
            to: text(fields.called_in_to),
            headers: fields.headers.clone(),
        },
    }))
}
