//! Calls that somebody has transferred: whose rights count, and where such a call goes if nobody takes it.
//!
//! A switch does not say who transferred a call (`sofia_handle_sip_i_refer` in sofia.c): Referred-By is the phone's own text. So each phone's
//! channel says who it is to the channel that it is connected with, whatever connected them: an application that runs before the media
//! do copies a variable to the partner (`audio_bridge_thread` in switch_ivr_bridge.c, `transfer_vars_function` in mod_dptools.c). It
//! copies under the same name, so phones that make calls use one name ([`channel::MADE_BY`]) and phones that take them another
//! ([`channel::TAKEN_BY`]). A transferred call makes calls from then on, whatever it was before.

use super::{
    Action, Hops, Ring, Route, Tenant, Then,
    action::{action, set},
    diverted, withheld,
};
use crate::{
    model::{channel, language::Language},
    text::{CallerName, DeviceId, Domain, SipUsername},
};

/// A suffix: `NAME~back` is the phone of `NAME`, who transferred a call that nobody took, or parked one that nobody fetched.
pub const BACK: &str = "~back";

/// The variable whose applications run when a channel is connected (`SWITCH_CHANNEL_EXECUTE_ON_PRE_BRIDGE_VARIABLE` in switch_types.h).
const ON_CONNECTION: &str = "execute_on_pre_bridge";

/// The variables by which a channel tells its partners that it is this phone. `role`: [`channel::MADE_BY`] or [`channel::TAKEN_BY`]. A
/// colon, not a space, as dial strings can't hold one (`switch_channel_execute_on_value` in switch_channel.c takes either).
#[must_use]
pub fn introduces(role: &'static str, user: &SipUsername, home: &Domain) -> [(&'static str, String); 2] {
    [(role, format!("{user}@{home}")), (ON_CONNECTION, format!("transfer_vars:{role}"))]
}

/// A call that was transferred and that nobody took since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Who did it.
    pub by: SipUsername,
    /// The transferred phone, if it is one of the tenant.
    pub phone: Option<SipUsername>,
    /// Whether this is the first question about the call since.
    pub is_new: bool,
}

impl Transfer {
    /// What a switch runs before the route: from now on the call is on behalf of whoever transferred it, and it forgets with whom it was
    /// connected.
    #[must_use]
    pub fn before(&self, home: &Domain) -> Vec<Action> {
        if !self.is_new {
            return Vec::new();
        }
        let mut actions = vec![
            set(channel::ON_BEHALF, &self.by),
            set(channel::BACK, &self.by),
            action("unset", channel::TAKEN_BY),
            diverted::forgotten(),
        ];
        match &self.phone {
            Some(phone) => {
                let set_all = introduces(channel::MADE_BY, phone, home).map(|(name, value)| set(name, value));
                actions.extend(set_all);
            }
            None => actions.extend([channel::MADE_BY, ON_CONNECTION].map(|name| action("unset", name))),
        }
        actions
    }

    /// Has the call go back to whoever transferred it, if the route's applications end without anybody taking it.
    #[must_use]
    pub fn or_back(&self, mut actions: Vec<Action>, home: &Domain) -> Vec<Action> {
        go_on(&mut actions);
        if actions.last().is_some_and(|last| last.application == "hangup") {
            actions.pop();
        }
        actions.push(back_to(&self.by, home));
        actions
    }
}

/// Whether a call may end by this route without anybody having taken it.
#[must_use]
pub fn may_fail(route: &Route) -> bool {
    match route {
        Route::Ring(ring) => ring.then == Then::Hangup,
        Route::RingGroup(group) => group.then.is_none(),
        Route::Intercom { .. }
        | Route::Pickup { .. }
        | Route::PickupAny { .. }
        | Route::Refused(_)
        | Route::Outside(_) => true,
        _ => false,
    }
}

/// Sends a call to whoever transferred or parked it.
#[must_use]
pub fn back_to(by: &SipUsername, home: &Domain) -> Action {
    action("transfer", format!("{by}{BACK} XML {home}"))
}

/// What a switch runs before a phone takes a call that waits or rings elsewhere: that call is connected with a channel that made one.
#[must_use]
pub fn takes(phone: &SipUsername, home: &Domain) -> Vec<Action> {
    let mut actions = vec![action("unset", channel::MADE_BY)];
    actions.extend(introduces(channel::TAKEN_BY, phone, home).map(|(name, value)| set(name, value)));
    actions
}

/// What a switch runs before a phone picks up a call that rings elsewhere. The switch gives the phone's channel the profile of a leg that was
/// called: the caller's name and number in `caller_id_…`, and its own former ones in `callee_id_…` (`pickup_function` in mod_dptools.c). Once
/// both are connected, each phone is told of the other by these (`send_display` in switch_ivr_bridge.c).
///
/// - `name`, `number`: whom the caller sees. By the phone's From, that would be the SIP username.
/// - The phone must not write its own name over the caller's when it is answered ([`withheld::TELLS`]).
/// - The answer to its INVITE would name its own `callee_id_…` (`generate_pai_str` in mod_sofia.c).
#[must_use]
pub fn picks_up(name: Option<&CallerName>, number: Option<&str>) -> Vec<Action> {
    let mut actions = withheld::TELLS.map(|variable| action("unset", variable)).to_vec();
    actions.push(set("sip_cid_in_1xx", false));
    if let Some(number) = plain(number) {
        let name = name.map_or(number, CallerName::as_str);
        actions.push(action("set_profile_var", format!("caller_id_name={name}")));
        actions.push(action("set_profile_var", format!("caller_id_number={number}")));
    }
    actions
}

/// A number that an argument can hold.
fn plain(number: Option<&str>) -> Option<&str> {
    number.filter(|number| number.bytes().all(|b| b.is_ascii_alphanumeric() || b"+*#._-".contains(&b)))
}

/// A leg that was called has no name of its own (`switch_ivr_originate` in switch_ivr_originate.c).
fn own_name(name: Option<&CallerName>) -> Option<&str> {
    name.map(CallerName::as_str).filter(|name| !name.eq_ignore_ascii_case("Outbound Call"))
}

/// What a switch runs before a page: whom its phones show. That would be `conference <0000000000>` otherwise (`conference_new` in
/// mod_conference.c), as no channel calls them (`conference_loop_output` in conference_loop.c).
#[must_use]
pub fn pages(name: Option<&CallerName>, number: Option<&str>) -> [Action; 2] {
    let (name, number) = match (own_name(name), plain(number)) {
        (name, Some(number)) => (name.unwrap_or(number), number),
        (_, None) => (withheld::NAMED, withheld::NOBODY),
    };
    [set("conference_auto_outcall_caller_id_name", name), set("conference_auto_outcall_caller_id_number", number)]
}

/// What a switch runs before a phone rings for a call that comes back: the phone shows whose call that is, and nobody else gets it back.
#[must_use]
pub fn comes_back(language: Language, name: Option<&CallerName>, number: Option<&str>) -> Vec<Action> {
    let mut actions = vec![action("unset", channel::BACK)];
    let (name, number) = (own_name(name), plain(number));
    let word = match language {
        Language::En => "Recall",
        Language::De => "R\u{fc}ckruf",
    };
    // It may come back again.
    let name = name.map(|name| name.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')).unwrap_or(name));
    // Without a colon: what stands before one does not reach the phone.
    let shown = name.or(number).map_or(word.to_owned(), |shown| format!("{word} {shown}"));
    actions.push(set("effective_caller_id_name", shown));
    actions
}

/// What a switch runs before the route of a number from which somebody called for help a moment ago: whoever calls back reaches the phone
/// that did, whatever it forwards or blocks. If it does not take the call, the number leads where it always does.
#[must_use]
pub fn calls_back(extension: &SipUsername, devices: Vec<DeviceId>, seconds: u16, tenant: &Tenant) -> Vec<Action> {
    let ring = Ring {
        extension: extension.clone(),
        devices,
        // Not known here: a leg of a fork may always be called as one that is.
        busy_on_busy: true,
        seconds,
        follow_me: Vec::new(),
        original: None,
        then: Then::Hangup,
        pickup: true,
        record: false,
        consent_tone: false,
        hops: Hops::default(),
    };
    let mut actions = Route::Ring(ring).actions(tenant, Hops::default());
    go_on(&mut actions);
    actions.push(action("unset", channel::ON_BEHALF));
    actions
}

/// Has the applications that follow run if nobody answers.
fn go_on(actions: &mut [Action]) {
    for action in actions {
        if action.application == "set" && action.data == "continue_on_fail=false" {
            "continue_on_fail=true".clone_into(&mut action.data);
        }
    }
}
