//! Calls to an extension: its forwards, do not disturb, follow-me, voicemail.

use super::{Extension, Failure, Found, Ring, Route, Router, Then, begins_with};
use crate::{
    model::{refusal::Refusal, settings::Feature},
    text::DialNumber,
};

impl Router<'_, '_> {
    pub(super) fn extension(&mut self, extension: &Extension, from_outside: Option<bool>) -> Route {
        if !extension.active {
            self.trace.note("extension", false, || "it is suspended".into());
            return Route::Refused(Refusal::Absent);
        }
        let calls = &extension.calls;
        if !calls.blocked_callers.is_empty() {
            self.looked.at_number = true;
            if self
                .call
                .caller_number
                .is_some_and(|number| begins_with(number, &calls.blocked_callers, self.plan.country()))
            {
                self.trace.note("blocked callers", true, || "of the extension".into());
                return Route::Refused(Refusal::BlockedCaller);
            }
        }
        if let Some(failure) = self.call.after {
            return self.after(extension, failure);
        }
        if let Some(to) = &calls.forward_always {
            self.trace.note("forward", true, || format!("always, to {to}"));
            return self.forward(extension, to);
        }
        if calls.do_not_disturb {
            self.trace.note("do not disturb", true, String::new);
            return self.after(extension, Failure::Busy);
        }
        let has_forwards =
            calls.forward_busy.is_some() || calls.forward_no_answer.is_some() || calls.forward_not_registered.is_some();
        let voicemail = extension.voicemail && self.may_use(Feature::Voicemail);
        let then = match (has_forwards, voicemail) {
            (true, _) => Then::Ask,
            (false, true) => Then::Voicemail(self.greeting(extension)),
            (false, false) => Then::Hangup,
        };
        // Colleagues who ring each other besides their own phones would multiply the call.
        let follow_me = if self.call.hops.follows() { Vec::new() } else { calls.follow_me.clone() };
        let original = if follow_me.is_empty() { None } else { self.original() };
        let policy = &self.plan.settings.routing.record;
        let wanted = calls.record || from_outside.map_or(policy.internal, |by_number| by_number || policy.inbound);
        let record = self.records(wanted);
        Route::Ring(Ring {
            extension: extension.sip_username.clone(),
            devices: Vec::new(),
            busy_on_busy: extension.calls.busy_on_busy,
            seconds: extension.ring_seconds,
            follow_me,
            original,
            then,
            pickup: calls.pickup,
            record,
            consent_tone: record && policy.consent_tone,
            hops: self.call.hops,
        })
    }

    fn forward(&mut self, extension: &Extension, to: &DialNumber) -> Route {
        let own_mailbox = extension.voicemail && self.may_use(Feature::Voicemail);
        let shows = (!extension.calls.withhold_number).then(|| extension.number.clone());
        Route::Lead { to: to.to_string(), on_behalf_of: Some(extension.sip_username.clone()), own_mailbox, shows }
    }

    /// The greeting of its mailbox at this time, if not the usual one.
    fn greeting(&mut self, extension: &Extension) -> Option<u8> {
        let greeting = extension.calls.closed_greeting?;
        self.looked.at_time = true;
        let zone = self.plan.zone(None);
        (!self.plan.settings.business_hours.is_open(self.call.at, &zone)).then_some(greeting)
    }

    /// A call comes back to who transferred or parked it. Their phone rings whatever they forward, as it is their own call.
    pub(super) fn comes_back(&mut self, found: Option<&Found>) -> Route {
        let Some(Found::Extension(extension)) = found.filter(|found| matches!(found, Found::Extension(e) if e.active))
        else {
            self.trace.note("comes back", false, || "whoever transferred it is no longer there".into());
            return Route::Refused(Refusal::Absent);
        };
        self.trace.note("comes back", true, || format!("to {}", extension.sip_username));
        let voicemail = extension.voicemail && self.may_use(Feature::Voicemail);
        Route::Ring(Ring {
            extension: extension.sip_username.clone(),
            devices: Vec::new(),
            busy_on_busy: extension.calls.busy_on_busy,
            seconds: extension.ring_seconds,
            follow_me: Vec::new(),
            original: None,
            then: if voicemail { Then::Voicemail(self.greeting(extension)) } else { Then::Hangup },
            pickup: extension.calls.pickup,
            record: false,
            consent_tone: false,
            hops: self.call.hops,
        })
    }

    /// The phone did not take the call.
    fn after(&mut self, extension: &Extension, failure: Failure) -> Route {
        let calls = &extension.calls;
        let forward = match failure {
            Failure::Busy => &calls.forward_busy,
            Failure::NoAnswer => &calls.forward_no_answer,
            Failure::NotRegistered => &calls.forward_not_registered,
            Failure::Other => &None,
        };
        if let Some(to) = forward {
            self.trace.note("forward", true, || format!("{failure:?}, to {to}"));
            return self.forward(extension, to);
        }
        if extension.voicemail && self.may_use(Feature::Voicemail) {
            self.trace.note("voicemail", true, String::new);
            let greeting = self.greeting(extension);
            return Route::Message { mailbox: extension.sip_username.to_string(), greeting };
        }
        Route::Refused(match failure {
            Failure::Busy => Refusal::DoNotDisturb,
            _ => Refusal::Absent,
        })
    }
}
