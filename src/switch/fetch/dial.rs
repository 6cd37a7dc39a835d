//! What a switch dials to ring an extension.

use std::borrow::Cow;

use super::store::ExtensionRow;
use crate::{
    model::channel,
    routing::{carried::offered_codecs, transfers},
    switch::phones,
    text::{Contact, Domain, SipUsername},
};

/// What a switch rings that calls an extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ringing {
    /// The name that was asked for, if it says which device.
    pub asked: Option<String>,
    /// Which of the extension's devices is the first here, from 1; 0 if it gets a call back, for which there is no limit.
    pub first: u8,
    /// Whether this is one of several legs of a bridge.
    pub in_fork: bool,
    /// The domains and contacts of registered devices. None: what the switch finds.
    pub to: Vec<(Domain, Contact)>,
}

/// The domain under which somebody is shown, and those of their tenant.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The one that is asked for: the switch looks for it in the answer.
    pub asked: &'a Domain,
    pub home: &'a Domain,
    /// Phones may still be registered at these.
    pub former: &'a [Domain],
}

impl<'a> At<'a> {
    #[must_use]
    pub fn home(domain: &'a Domain) -> Self {
        Self { asked: domain, home: domain, former: &[] }
    }
}

/// Where an extension rings.
///
/// Without known devices, that is the registered contact that the switch finds for a name with `%` (`sofia_outgoing_channel` in mod_sofia.c):
/// one, however many are registered. While a tenant keeps former domains, the phone may be registered at any of them. All are tried at
/// once; those at which it is not registered fail at once.
///
/// Known devices are dialled at their contacts, all at once, as `${sofia_contact(…)}` would list them. That is an API call, which hardened
/// switches don't expand (`api-expansion` in switch.conf). A contact has all that leads to a phone behind NAT or at a WebSocket: `fs_path` is
/// the address that its REGISTER came from, which the INVITE is sent to (`sofia_glue_get_destination` in sofia_glue.c), and `transport` makes
/// it one for a browser.
pub fn string(at: At<'_>, row: &ExtensionRow, ringing: &Ringing) -> String {
    let At { home, former, .. } = at;
    let (user, number) = (&row.sip_username, &row.number);
    let mut all = vec![format!("presence_id={number}@{home}"), callee_id(row), NOT_ITS_OWN.to_owned()];
    all.extend(transfers::introduces(channel::TAKEN_BY, user, home).map(|(name, value)| format!("{name}={value}")));
    all.push(offered_codecs(row.codecs.as_ref()));
    // A leg to a phone gets its user's variables too late for this (`user_outgoing_channel` in mod_dptools.c). Should it get them before,
    // it is the same variable.
    if row.is_agent {
        all.push(format!("execute_on_answer_3=callcenter_track {user}@{home}"));
    }
    let mut limit = None;
    if row.calls.busy_on_busy {
        all.push("limit_ignore_transfer=true".to_owned());
        all.extend(counts(home, row).map(|(on, run)| format!("{on}={run}")));
        // `!`: a cause instead of a number to go on to (`limit_function` in mod_dptools.c).
        let most = most(row);
        let runs = if ringing.in_fork { IN_FORK } else { "" };
        limit = Some(move |place: usize| {
            format!("execute_on_originate={runs}limit hash {home} {} 1 !USER_BUSY", counter(user, place.min(most)))
        });
    }
    let places = usize::from(ringing.first)..;
    if let [(domain, contact)] = &ringing.to[..] {
        all.insert(0, format!("sip_invite_domain={domain}"));
        all.extend(limit.filter(|_| ringing.first > 0).map(|limit| limit(usize::from(ringing.first))));
        return format!("{{{}}}sofia/internal/{contact}", all.join(","));
    }
    if ringing.to.is_empty() {
        all.extend(limit.map(|limit| limit(1)));
        if former.is_empty() {
            all.insert(0, format!("sip_invite_domain={home}"));
            return format!("{{{}}}sofia/internal/{user}%{home}", all.join(","));
        }
        let legs = former.iter().chain([home]).map(|at| format!("[sip_invite_domain={at}]sofia/internal/{user}%{at}"));
        return format!("{{{}}}{}", all.join(","), legs.collect::<Vec<_>>().join(","));
    }
    // Otherwise, the first to play something before it is answered would be the only one (`switch_ivr_originate`).
    all.insert(0, "ignore_early_media=true".to_owned());
    let leg = |(place, (domain, contact)): (usize, &(Domain, Contact))| {
        let own = [format!("sip_invite_domain={domain}")].into_iter().chain(limit.as_ref().map(|limit| limit(place)));
        format!("[{}]sofia/internal/{contact}", own.collect::<Vec<_>>().join(","))
    };
    format!("{{{}}}{}", all.join(","), places.zip(&ringing.to).map(leg).collect::<Vec<_>>().join(","))
}

/// Has the next `execute_on_originate` run what follows. A leg to a user is made by two originates, one inside the other. In a fork, the inner one
/// does not wait. If it ended the leg, the outer one could not lock it, and would give up the legs to everybody else (`switch_ivr_originate` in
/// switch_ivr_originate.c). The outer one goes on without a leg that it ended itself. Where there is one leg only, the inner one waits until
/// somebody answers, so that the outer one would come too late.
const IN_FORK: &str = "set execute_on_originate_2=";

/// A phone that answers does not choose whom the caller's phone shows (`sofia_update_callee_id` in sofia.c).
const NOT_ITS_OWN: &str = "sip_ignore_remote_cid=true";

/// Whom callers' phones show. Without this, a switch names every leg "Outbound Call", and its number is the SIP username
/// (`switch_ivr_originate` in switch_ivr_originate.c).
fn callee_id(row: &ExtensionRow) -> String {
    let name = row.display_name.in_dial_string();
    let name = if name.is_empty() { row.number.as_str() } else { &name };
    format!("origination_callee_id_name={name},origination_callee_id_number={}", row.number)
}

/// How many devices of an extension may ring at once.
fn most(row: &ExtensionRow) -> usize {
    usize::try_from(row.max_registrations).unwrap_or(1).clamp(1, phones::MOST)
}

/// What counts the legs to an extension's devices. Each device of a call that rings has one of its own, and the one that answers, all: so they
/// ring together, and none of them for a second call. No SIP username has a slash.
fn counter(user: &SipUsername, place: usize) -> Cow<'_, str> {
    if place < 2 { user.as_str().into() } else { format!("{user}/{place}").into() }
}

/// What the switch runs when a leg of a phone with a limit of one is answered: from then on, none of its devices rings.
fn counts<'a>(domain: &Domain, row: &'a ExtensionRow) -> impl Iterator<Item = (&'a str, String)> {
    /// For as many devices as may ring.
    const NAMES: [&str; phones::MOST] = [
        "execute_on_answer_4",
        "execute_on_answer_5",
        "execute_on_answer_6",
        "execute_on_answer_7",
        "execute_on_answer_8",
        "execute_on_answer_9",
        "execute_on_answer_10",
        "execute_on_answer_11",
        "execute_on_answer_12",
        "execute_on_answer_13",
    ];
    let count = move |(place, name)| (name, format!("limit hash {domain} {} -1", counter(&row.sip_username, place)));
    (1..).zip(NAMES).take(most(row)).map(count)
}

/// What the switch runs when a leg of this phone is answered. All variables that begin with
/// `execute_on_answer` are run (`switch_channel_execute_on` in switch_channel.c).
///
/// - Queues leave agents alone who have such a leg (`callcenter_track` in mod_callcenter.c). Run twice on a leg, it would count for two.
/// - A phone that is busy for a second call has a limit of one leg: the next one ends before its INVITE is sent. A leg counts once, and until
///   it ends, also if the call is transferred (`limit_state_handler` in switch_limit.c).
pub fn counted<'a>(domain: &Domain, row: &'a ExtensionRow) -> impl Iterator<Item = (&'a str, String)> {
    let user = &row.sip_username;
    let tracked = row.is_agent.then(|| ("execute_on_answer_3", format!("callcenter_track {user}@{domain}")));
    let limited =
        row.calls.busy_on_busy.then(|| counts(domain, row).chain([("limit_ignore_transfer", "true".to_owned())]));
    tracked.into_iter().chain(limited.into_iter().flatten())
}
