//! Where a call goes: a pure function of the dialled number, the caller, the time and what the tenant has, which returns a
//! [`Route`]. It uses no I/O, clock or switch, so routes can be explained and tested without a switch. `routing::actions`
//! turns a route into a switch's applications; `calls::admission` decides which calls may leave the platform.
//!
//! The rules in order: emergencies, suspended tenants, loops, blocked callers, feature codes, the tenant's own entries, what
//! the tenant has, numbers outside, "unallocated".

mod action;
mod actions;
pub mod applications;
pub mod callee;
pub mod carried;
mod destination;
mod devices;
mod dialled;
pub mod diverted;
pub mod emergency;
pub mod entries;
mod forwards;
pub mod gateways;
mod hops;
pub mod on_net;
pub mod outbound;
pub mod patterns;
pub mod plan;
pub mod raw;
mod route;
mod trace;
pub mod transfers;
mod trial;
pub mod withheld;

pub use self::{
    action::Action,
    actions::{CONSENT, NO_PIN, PARK, RECORDING, RINGING, address, on_behalf, recording_from_outside, sound},
    dialled::{AFTER, Dialled, Feature, IN_MENU, LEFT, MESSAGE, changes_extension},
    hops::{Hops, MOST_HOPS, MOST_LEADS},
    plan::Plan,
    route::{ByKey, Handle, Keep, Left, Pickup, Ring, RingGroup, Route, Routed, Then},
    trace::{Trace, Tried},
};
pub use crate::model::refusal::{Announcements, Refusal};

use jiff::Timestamp;
use uuid::Uuid;

use self::{callee::Callee, trial::Done};
use crate::{
    model::{call_handling::CallHandling, destination::Config, lamp::Lamp, settings::Feature as Switch},
    text::{DeviceId, DialNumber, Domain, E164, ExtensionNumber, Notation, Prefix, SipUsername},
};

/// What a tenant has under a name.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one per call, and mostly it is an extension")]
pub enum Found {
    Extension(Extension),
    Group(Group),
    /// One of the plan's destinations.
    Destination(Uuid),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    pub id: Uuid,
    pub number: ExtensionNumber,
    pub alias: Option<ExtensionNumber>,
    pub sip_username: SipUsername,
    pub active: bool,
    pub ring_seconds: u16,
    pub voicemail: bool,
    pub calls: CallHandling,
}

impl Extension {
    /// Whether it is reached by dialling this. A SIP username of digits is not dialled unless it is also the number or the alias:
    /// it may be the number that the extension had before. Others are dialled as in `sip:ada@acme.example`.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        let is_alias = self.alias.as_ref().is_some_and(|alias| alias.as_str() == name);
        self.number.as_str() == name || is_alias || !name.bytes().all(|b| b.is_ascii_digit())
    }
}

/// An extension in a group.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Member {
    pub extension: SipUsername,
    /// Where its calls are forwarded, if the group follows that. Its own phone does not ring then.
    pub forward: Option<DialNumber>,
    /// Whether it is busy for further callers while it is in a call.
    #[serde(default)]
    pub busy_on_busy: bool,
    /// Its devices that are known to be registered, if there are several.
    #[serde(skip)]
    pub devices: Vec<DeviceId>,
}

/// Extensions that ring together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub members: Vec<Member>,
    pub ring_seconds: u16,
    pub strategy: Strategy,
    /// Whoever answers must press 1 to take the call.
    pub confirm: bool,
    pub otherwise: Option<crate::model::destination::Target>,
    /// The group's id, if its members may pick up its calls.
    pub pickup: Option<Uuid>,
}

#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Strategy {
    #[default]
    All,
    InOrder,
    Random,
    /// Each call starts with the next member.
    RoundRobin,
}

/// The tenant a call is routed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub domain: Domain,
    pub active: bool,
    /// What callers hear when their call is refused.
    pub announcements: Announcements,
}

impl Tenant {
    #[must_use]
    pub fn of(plan: &Plan, domain: Domain, active: bool) -> Self {
        Self { domain, active, announcements: plan.settings.routing.announcements.clone() }
    }
}

/// One call, with what the switch vouches for.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub dialled: &'a str,
    /// The extension that calls or on whose behalf the call is made. Authenticated, and of this tenant.
    pub caller: Option<&'a SipUsername>,
    /// The number that the caller shows. Rules may compare it, but it gives no rights.
    pub caller_number: Option<&'a str>,
    /// A number of the caller's that others outside may see, if they are one of the tenant.
    pub own_number: Option<&'a E164>,
    /// The area code of the caller's extension, if it has one of its own.
    pub area: Option<&'a Prefix>,
    /// How often routes have already led the call on.
    pub hops: Hops,
    /// [`Call::dialled`] was rung and did not take the call, for this reason.
    pub after: Option<Failure>,
    /// It comes back to [`Call::dialled`], who transferred or parked it.
    pub comes_back: bool,
    /// Who transferred it.
    pub sent_by: Option<&'a SipUsername>,
    pub at: Timestamp,
    /// The menu that it was dialled in.
    pub menu: Option<Uuid>,
    /// The extension that forwarded the call here, if its mailbox takes what nobody here does.
    pub forwarder: Option<&'a SipUsername>,
    /// Whether the caller's number is withheld.
    pub withheld: bool,
    /// How the caller has left [`Call::dialled`], a queue that calls back.
    pub left: Option<Left>,
    /// Where a caller who waited there is called back.
    pub call_back: Option<&'a DialNumber>,
    /// Rises by one with each call, so that the members of a group can take turns.
    pub turn: u64,
}

impl Call<'_> {
    /// A call from nobody in particular.
    #[must_use]
    pub fn dialling(dialled: &str, at: Timestamp) -> Call<'_> {
        Call {
            dialled,
            caller: None,
            caller_number: None,
            own_number: None,
            area: None,
            hops: Hops::default(),
            after: None,
            menu: None,
            forwarder: None,
            comes_back: false,
            sent_by: None,
            at,
            withheld: false,
            left: None,
            call_back: None,
            turn: 0,
        }
    }
}

/// Why a phone did not take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    Busy,
    NoAnswer,
    NotRegistered,
    Other,
}

impl Failure {
    /// Reads `originate_disposition`, a name in CAUSE_CHART of switch_channel.c.
    #[must_use]
    pub fn of(disposition: &str) -> Self {
        match disposition {
            "USER_BUSY" | "CALL_REJECTED" => Self::Busy,
            "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" | "PROGRESS_TIMEOUT" | "RECOVERY_ON_TIMER_EXPIRE" => {
                Self::NoAnswer
            }
            "USER_NOT_REGISTERED" | "SUBSCRIBER_ABSENT" | "DESTINATION_OUT_OF_ORDER" => Self::NotRegistered,
            _ => Self::Other,
        }
    }
}

/// Routes a call inside a tenant. `found` is what the tenant has under [`Dialled::needs`].
#[must_use]
pub fn route(tenant: &Tenant, plan: &Plan, call: &Call<'_>, found: Option<&Found>, trace: &mut Trace) -> Routed {
    let dialled = Dialled::read(call.dialled, plan);
    let found = found.filter(|found| is_dialled_as(found, &dialled, call));
    let mut router = Router {
        plan,
        call,
        looked: trial::Looked { at_caller: dialled.is_about_caller(), ..Default::default() },
        trace,
        is_for_this_call: false,
    };
    let route = router.route(tenant, &dialled, found);
    let route = router.dialled_in_menu(route);
    let route = router.forwarded(route);
    router.routed(route)
}

/// Whether what was found under the dialled name is reached by it. A route that asks what follows the ringing dials the SIP username.
fn is_dialled_as(found: &Found, dialled: &Dialled, call: &Call<'_>) -> bool {
    match (found, dialled.by_name()) {
        (Found::Extension(extension), Some(name)) => {
            call.after.is_some() || call.comes_back || extension.answers_to(name)
        }
        _ => true,
    }
}

/// Routes a call from outside to one of the tenant's phone numbers. `record`: whether calls to that number are recorded.
#[must_use]
pub fn inbound(
    tenant: &Tenant,
    plan: &Plan,
    call: &Call<'_>,
    found: Option<&Found>,
    record: bool,
    trace: &mut Trace,
) -> Routed {
    let mut router = Router { plan, call, looked: trial::Looked::default(), trace, is_for_this_call: false };
    let route = if tenant.active {
        router.blocked().unwrap_or_else(|| router.internal(found, Some(record)))
    } else {
        Route::Refused(Refusal::TenantSuspended)
    };
    router.routed(route)
}

/// How long a call is parked before it comes back, if the tenant says nothing else.
const PARKED_SECONDS: u16 = 120;

struct Router<'a, 'c> {
    plan: &'a Plan,
    call: &'a Call<'c>,
    looked: trial::Looked,
    trace: &'a mut Trace,
    /// Whether the answer is for this call only.
    is_for_this_call: bool,
}

impl Router<'_, '_> {
    fn routed(self, route: Route) -> Routed {
        let keep = if self.is_for_this_call || matches!(route, Route::Handle { .. } | Route::CallBack { .. }) {
            Keep::Never
        } else if self.looked.at_time {
            // Schedules have whole minutes, and minutes begin at the same moment in all time zones.
            Keep::Until(next_minute(self.call.at))
        } else {
            Keep::WhileCurrent
        };
        Routed { route, varies_by_caller: self.looked.at_caller, varies_by_number: self.looked.at_number, keep }
    }

    fn route(&mut self, tenant: &Tenant, dialled: &Dialled, found: Option<&Found>) -> Route {
        if let Dialled::Emergency(number) = dialled {
            self.trace.note("emergency", true, || format!("{number} is an emergency number here"));
            return Route::Emergency { number: number.clone() };
        }
        self.trace.note("emergency", false, String::new);
        if !tenant.active {
            self.trace.note("tenant", false, || "the tenant is suspended".into());
            return Route::Refused(Refusal::TenantSuspended);
        }
        if self.call.hops.is_circle() {
            self.trace.note("loop", true, || format!("the call was led on {} times", self.call.hops.count()));
            return Route::Refused(Refusal::Loop);
        }
        if self.call.comes_back {
            return self.comes_back(found);
        }
        if let Some(refused) = self.blocked() {
            return refused;
        }
        if let Dialled::Feature(feature) = dialled {
            self.trace.note("feature code", true, || format!("{feature:?}"));
            return self.feature(feature, found);
        }
        self.trace.note("feature code", false, String::new);
        if self.call.after.is_none()
            && let Some(done) = trial::run(self.plan, self.call, &mut self.looked, self.trace)
        {
            return self.custom(done);
        }
        if found.is_some() {
            return self.internal(found, None);
        }
        self.trace.note("internal", false, || "the tenant has nothing under this name".into());
        self.outside()
    }

    /// What callers dial in a menu is a number inside. They may try again.
    fn dialled_in_menu(&mut self, route: Route) -> Route {
        let Some(menu) = self.call.menu else { return route };
        if !matches!(route, Route::Refused(Refusal::Unallocated) | Route::Outside(_)) {
            return route;
        }
        let Some(Config::Ivr(ivr)) = self.plan.destinations.get(&menu).map(|planned| &planned.config) else {
            return Route::Refused(Refusal::Unallocated);
        };
        self.trace.note("menu", true, || "nobody has the number that was dialled in it".into());
        Route::Again { menu, prompt: ivr.invalid.clone() }
    }

    /// If nobody takes a call that an extension forwarded, that extension's mailbox does.
    fn forwarded(&mut self, route: Route) -> Route {
        let Some(forwarder) = self.call.forwarder else { return route };
        let lost = |refusal: Refusal| {
            matches!(refusal, Refusal::DoNotDisturb | Refusal::Absent | Refusal::Unallocated | Refusal::NoVoicemail)
        };
        match route {
            Route::Ring(ring) if ring.then == Then::Hangup => {
                Route::Ring(Ring { then: Then::MessageFor(forwarder.clone()), ..ring })
            }
            Route::RingGroup(group) if group.then.is_none() => {
                Route::RingGroup(RingGroup { then: Some(format!("{forwarder}{MESSAGE}")), ..group })
            }
            Route::Refused(refusal) if lost(refusal) => {
                self.trace.note("forward", true, || format!("to the mailbox of {forwarder}, which forwarded the call"));
                Route::to_mailbox(forwarder)
            }
            route => route,
        }
    }

    fn blocked(&mut self) -> Option<Route> {
        let rules = &self.plan.settings.routing.blocked_callers;
        if rules.is_empty() {
            return None;
        }
        self.looked.at_number = true;
        let is_blocked = self.call.caller_number.is_some_and(|number| begins_with(number, rules, self.plan.country()));
        self.trace.note("blocked callers", is_blocked, || self.call.caller_number.unwrap_or_default().to_owned());
        is_blocked.then_some(Route::Refused(Refusal::BlockedCaller))
    }

    fn feature(&mut self, feature: &Feature, found: Option<&Found>) -> Route {
        // Somebody sent this call here, and nobody's phone has dialled it.
        if feature.changes_extension() && self.call.sent_by.is_some() {
            return Route::Refused(Refusal::NotSignedIn);
        }
        match feature {
            Feature::Echo => Route::Echo,
            Feature::Voicemail(_) | Feature::OwnVoicemail if !self.may_use(Switch::Voicemail) => {
                Route::Refused(Refusal::SwitchedOff)
            }
            Feature::Voicemail(None) => Route::Voicemail { mailbox: None },
            Feature::OwnVoicemail
            | Feature::Forward(_)
            | Feature::ForwardOff
            | Feature::DoNotDisturb(_)
            | Feature::AtQueues(_)
            | Feature::PickupAny
                if self.call.caller.is_none() =>
            {
                Route::Refused(Refusal::NotSignedIn)
            }
            Feature::OwnVoicemail | Feature::Voicemail(Some(_)) => self.mailbox(found),
            Feature::Forward(number) => handle(found, Handle::Forward(Some(number.clone()))),
            Feature::ForwardOff => handle(found, Handle::Forward(None)),
            Feature::DoNotDisturb(on) => handle(found, Handle::DoNotDisturb(*on)),
            Feature::AtQueues(_) if !self.may_use(Switch::Queues) => Route::Refused(Refusal::SwitchedOff),
            Feature::AtQueues(state) => handle(found, Handle::AtQueues(*state)),
            Feature::Pickup(_) => {
                // The phone that picks up is named to the caller.
                self.is_for_this_call = true;
                with_extension(found, |extension| Route::Pickup { extension })
            }
            Feature::PickupAny => {
                self.is_for_this_call = true;
                with_extension(found, |_| Route::PickupAny { from: Vec::new() })
            }
            Feature::Key(lamp, number) => self.key(*lamp, number, found),
            Feature::Intercom(_) => match found {
                // The phone would answer by itself.
                Some(Found::Extension(extension)) if extension.active && extension.calls.do_not_disturb => {
                    Route::Refused(Refusal::DoNotDisturb)
                }
                _ => with_extension(found, |extension| Route::Intercom { extension }),
            },
            Feature::Park(slot) => {
                self.looked.at_caller = true;
                let seconds = self.plan.settings.routing.park_seconds.unwrap_or(PARKED_SECONDS);
                let back = self.call.sent_by.or(self.call.caller).cloned();
                Route::Park { slot: *slot, back, seconds, aloud: self.call.sent_by.is_none() }
            }
            Feature::Withhold { withholds, number } => {
                Route::Withhold { withholds: *withholds, to: number.to_string() }
            }
            Feature::SpeedDial(key) => match self.plan.settings.routing.speed_dials.get(key) {
                Some(number) => Route::lead(number.to_string()),
                None => Route::Refused(Refusal::Unallocated),
            },
        }
    }

    /// A key with a lamp. One's own switches what it shows on or off, if that is possible; others call whom they are about.
    fn key(&mut self, lamp: Lamp, number: &ExtensionNumber, found: Option<&Found>) -> Route {
        self.looked.at_caller = true;
        let own = match found {
            Some(Found::Extension(extension))
                if self.call.caller == Some(&extension.sip_username) && self.call.sent_by.is_none() =>
            {
                Some(extension)
            }
            _ => None,
        };
        match (lamp, own) {
            (Lamp::DoNotDisturb, Some(own)) => handle(found, Handle::DoNotDisturb(!own.calls.do_not_disturb)),
            (Lamp::Forward, Some(own)) if own.calls.forward_always.is_some() => handle(found, Handle::Forward(None)),
            // Where to, a key does not say.
            (Lamp::Forward, Some(_)) => Route::Refused(Refusal::Unallocated),
            _ => Route::lead(number.to_string()),
        }
    }

    /// Does the tenant use it? If not, the trace says so.
    fn may_use(&mut self, feature: Switch) -> bool {
        let is_on = self.plan.settings.features.has(feature);
        if !is_on {
            self.trace.note("features", false, || format!("{} is switched off for the tenant", feature.name()));
        }
        is_on
    }

    /// Is a call recorded for which somebody wants that?
    fn records(&mut self, wanted: bool) -> bool {
        wanted && self.may_use(Switch::CallRecording)
    }

    /// What a call shows outside that is forwarded there, if it is to show its caller.
    fn original(&mut self) -> Option<E164> {
        if !self.plan.settings.routing.outbound.forwards_show_caller {
            return None;
        }
        // Also where this caller has none: another one's answer is another.
        self.looked.at_caller = true;
        self.looked.at_number = true;
        self.call.own_number.cloned()
    }

    fn mailbox(&self, found: Option<&Found>) -> Route {
        let is_mailbox = |id| self.plan.destinations.get(id).is_some_and(|d| matches!(d.config, Config::Mailbox(_)));
        match found {
            Some(Found::Extension(extension)) if !extension.active => Route::Refused(Refusal::Absent),
            Some(Found::Extension(extension)) if !extension.voicemail => Route::Refused(Refusal::NoVoicemail),
            Some(Found::Extension(extension)) => Route::Voicemail { mailbox: Some(extension.sip_username.clone()) },
            Some(Found::Destination(id)) if is_mailbox(id) => {
                Route::Voicemail { mailbox: SipUsername::parse(&id.simple().to_string()).ok() }
            }
            Some(Found::Group(_) | Found::Destination(_)) | None => Route::Refused(Refusal::Unallocated),
        }
    }

    fn custom(&mut self, done: Vec<Done>) -> Route {
        let plan = self.plan;
        let led = |done: Done| {
            let name = match &done {
                Done::Dial(number) => Some(number.to_string()),
                Done::Step(entries::Step::Go { target }) => plan.name_of(*target),
                Done::Step(_) => None,
            };
            (done, name)
        };
        Route::Custom { steps: done.into_iter().map(led).collect() }
    }

    fn outside(&mut self) -> Route {
        let Some(number) = callee::outside(self.call.dialled, self.plan) else {
            self.trace.note("outside", false, || "numbers outside need the digits for an outside line first".into());
            return Route::Refused(Refusal::Unallocated);
        };
        let Some(callee) = Callee::dialled(number, self.plan, self.call.area) else {
            self.trace.note("outside", false, || "this is not a valid phone number".into());
            return Route::Refused(Refusal::Unallocated);
        };
        self.trace.note("outside", true, || callee.number.to_string());
        Route::Outside(callee)
    }
}

fn next_minute(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    // The present is far from both ends of a timestamp's range.
    Timestamp::from_second(second - second.rem_euclid(60) + 60).unwrap_or(at)
}

/// Whether a caller's number begins with one of these prefixes. Numbers are compared with their country code. A national
/// number, or a prefix that begins with 0, is taken to be in the tenant's country.
fn begins_with(number: &str, prefixes: &[Prefix], country: Option<&str>) -> bool {
    let read = E164::read(number, Notation::International(country));
    let digits = read.as_ref().map_or(number, |read| read.as_str().trim_start_matches('+'));
    let national = || match (&read, country) {
        (Some(read), Some(country)) => read.national_in(country),
        _ => None,
    };
    prefixes.iter().map(Prefix::as_str).any(|prefix| {
        // Written with the code for other countries. No number has a country's code that begins with 0.
        if let Some(international) = prefix.strip_prefix("00")
            && digits.starts_with(international)
        {
            return true;
        }
        let is_national = || number.starts_with(prefix) || national().is_some_and(|n| n.starts_with(prefix));
        digits.starts_with(prefix) || prefix.starts_with('0') && is_national()
    })
}

fn with_extension(found: Option<&Found>, route: impl FnOnce(SipUsername) -> Route) -> Route {
    match found {
        Some(Found::Extension(extension)) if !extension.active => Route::Refused(Refusal::Absent),
        Some(Found::Extension(extension)) => route(extension.sip_username.clone()),
        _ => Route::Refused(Refusal::Unallocated),
    }
}

fn handle(found: Option<&Found>, change: Handle) -> Route {
    match found {
        Some(Found::Extension(extension)) if extension.active => {
            Route::Handle { change, extension: extension.sip_username.clone() }
        }
        _ => Route::Refused(Refusal::NotSignedIn),
    }
}

/// Whether nothing of the tenant may have this number, because it is an emergency number or a feature code.
#[must_use]
pub fn is_reserved(number: &ExtensionNumber, plan: &Plan) -> bool {
    emergency::dialled(number.as_str(), plan).is_some()
        || plan.settings.routing.codes.that_are_numbers().any(|code| code == number.as_str())
}

/// A feature code that is an emergency number of the tenant. Dialling it would mean help, and never the feature.
#[must_use]
pub fn code_for_help(plan: &Plan) -> Option<&str> {
    plan.settings.routing.codes.that_are_numbers().find(|code| emergency::dialled(code, plan).is_some())
}

/// All such numbers.
#[must_use]
pub fn reserved(plan: &Plan) -> Vec<String> {
    let settings = &plan.settings.routing;
    let codes = settings.codes.that_are_numbers();
    let emergencies = emergency::numbers(plan.country()).iter().copied();
    let own = settings.emergency.numbers.iter().map(Prefix::as_str);
    let all = codes.chain(emergencies).chain(own).collect::<Vec<_>>();
    let behind_prefix =
        settings.outbound.prefix.iter().flat_map(|prefix| all.iter().map(move |number| format!("{prefix}{number}")));
    behind_prefix.chain(all.iter().map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests;
