//! Routes to what a tenant has: extensions, groups, destinations.

use uuid::Uuid;

use super::{ByKey, Found, Group, Left, RingGroup, Route, Router, Strategy, begins_with};
use crate::model::destination::{CallBack, Config, Priority, Schedule, Target};
use crate::model::refusal::Refusal;
use crate::model::settings::Feature;
use crate::text::{DialNumber, E164, ExtensionNumber, Notation};

impl Router<'_, '_> {
    /// `from_outside`: for a call from outside, whether calls to its number are recorded.
    pub(super) fn internal(&mut self, found: Option<&Found>, from_outside: Option<bool>) -> Route {
        match found {
            None => Route::Refused(Refusal::Unallocated),
            Some(Found::Extension(extension)) => {
                self.trace.note("internal", true, || format!("extension {}", extension.sip_username));
                self.extension(extension, from_outside)
            }
            Some(Found::Group(group)) => {
                self.trace.note("internal", true, || format!("a group of {}", group.members.len()));
                self.group(group)
            }
            Some(Found::Destination(id)) => self.destination(*id),
        }
    }

    fn group(&mut self, group: &Group) -> Route {
        let then = group.otherwise.and_then(|target| self.plan.name_of(target));
        if group.members.is_empty() {
            return then.map_or(Route::Refused(Refusal::Absent), Route::lead);
        }
        let mut members = group.members.clone();
        // Members who forward to groups of each other would multiply the call.
        if self.call.hops.is_spread() {
            for member in &mut members {
                member.forward = None;
            }
        }
        match group.strategy {
            Strategy::All | Strategy::InOrder => {}
            Strategy::RoundRobin => {
                self.is_for_this_call = true;
                // The remainder is smaller than a `usize`.
                let first = usize::try_from(self.call.turn % members.len() as u64).unwrap_or_default();
                members.rotate_left(first);
            }
            Strategy::Random => {
                self.is_for_this_call = true;
                shuffle(&mut members, self.call.turn);
            }
        }
        let forwards = members.iter().any(|member| member.forward.is_some());
        let original = if forwards { self.original() } else { None };
        Route::RingGroup(RingGroup {
            members,
            seconds: group.ring_seconds,
            in_order: group.strategy != Strategy::All,
            confirm: group.confirm,
            pickup: group.pickup,
            original,
            then,
        })
    }

    fn lead(&self, target: Target) -> Route {
        let to = self.plan.name_of(target);
        to.map_or(Route::Refused(Refusal::Unallocated), Route::lead)
    }

    fn destination(&mut self, id: Uuid) -> Route {
        let plan = self.plan;
        let Some(planned) = plan.destinations.get(&id) else { return Route::Refused(Refusal::Unallocated) };
        self.trace.note("internal", true, || format!("{} {}", planned.config.kind().as_str(), planned.name));
        if let Some(feature) = Feature::of_kind(planned.config.kind())
            && !self.may_use(feature)
        {
            return Route::Refused(Refusal::SwitchedOff);
        }
        let name_of = |target: Option<Target>| target.and_then(|target| plan.name_of(target));
        match &planned.config {
            Config::Queue(queue) => {
                let then = name_of(queue.overflow);
                match (self.call.left, &queue.call_back, self.call.call_back) {
                    (Some(Left::ByKey), Some(call_back), Some(number)) => {
                        Route::CallBack { queue: id, number: number.clone(), prompt: call_back.prompt.clone() }
                    }
                    (Some(_), ..) => Route::Left { then },
                    (None, call_back, _) => {
                        let call_back = call_back.as_ref().and_then(|call_back| self.call_back(call_back));
                        let ahead = self.ahead(&queue.priorities);
                        Route::Queue { id, record: self.records(queue.record), ahead, call_back, then }
                    }
                }
            }
            Config::Ivr(ivr) => Route::Ivr { id, then: name_of(ivr.otherwise) },
            Config::Conference(conference) => {
                let moderator = conference.moderator.and_then(|id| plan.targets.get(&id));
                self.looked.at_caller |= moderator.is_some();
                let moderator = moderator.is_some_and(|number| self.call.caller.is_some_and(|c| c.as_str() == number));
                Route::Conference { id, moderator }
            }
            Config::Mailbox(_) => Route::Message { mailbox: id.simple().to_string(), greeting: None },
            Config::Schedule(schedule) => self.schedule(schedule),
            Config::Announcement(announcement) => {
                Route::Announce { prompt: announcement.prompt.clone(), then: name_of(announcement.then) }
            }
            Config::External(external) => {
                let on_behalf_of = plan.targets.get(&external.on_behalf_of);
                let on_behalf_of = on_behalf_of.and_then(|number| crate::text::SipUsername::parse(number).ok());
                Route::Lead { to: external.number.to_string(), on_behalf_of, own_mailbox: false, shows: None }
            }
            Config::Page(page) => {
                // The pager is named to the phones.
                self.is_for_this_call = true;
                // Phones answer a page by themselves, so those on do not disturb are left out.
                let audible = page.members.iter().filter(|id| !plan.quiet.contains(id));
                let members = audible.filter_map(|id| plan.targets.get(id).cloned()).collect();
                Route::Page { id, members, two_way: page.two_way }
            }
        }
    }

    /// Whether the caller can be called back: an extension of the tenant, or somebody outside who shows a whole number.
    fn call_back(&mut self, call_back: &CallBack) -> Option<ByKey> {
        (self.looked.at_caller, self.looked.at_number) = (true, true);
        let number = self.call.caller_number.filter(|_| !self.call.withheld)?;
        // A phone shows the number of its extension: the switch has it from the directory.
        let own = self.call.caller.and_then(|_| ExtensionNumber::parse(number).ok());
        let number = match own {
            Some(own) => own.to_string(),
            None => E164::read(number, Notation::International(self.plan.country()))?.to_string(),
        };
        Some(ByKey { key: call_back.key.clone(), number: DialNumber::parse(&number).ok()? })
    }

    /// How many seconds the caller comes before others in a queue.
    fn ahead(&mut self, priorities: &[Priority]) -> u16 {
        self.looked.at_number |= priorities.iter().any(|priority| priority.callers.is_some());
        let country = self.plan.country();
        let fits = |priority: &&Priority| match (&priority.callers, self.call.caller_number) {
            (None, _) => true,
            (Some(prefix), Some(number)) => begins_with(number, std::slice::from_ref(prefix), country),
            (Some(_), None) => false,
        };
        priorities.iter().find(fits).map_or(0, |priority| priority.seconds)
    }

    fn schedule(&mut self, schedule: &Schedule) -> Route {
        self.looked.at_time = true;
        let zone = self.plan.zone(schedule.time_zone.as_ref());
        let today = zone.to_datetime(self.call.at).date();
        if let Some(dates) = schedule.dates.iter().find(|dates| (dates.from..=dates.to).contains(&today)) {
            self.trace.note("schedule", true, || format!("{today} is a special date"));
            return self.lead(dates.target);
        }
        let hours = schedule.hours.as_ref().unwrap_or(&self.plan.settings.business_hours);
        let open = hours.is_open(self.call.at, &zone);
        self.trace.note("schedule", true, || {
            format!("{} it is {}", zone.to_datetime(self.call.at), if open { "open" } else { "closed" })
        });
        self.lead(if open { schedule.open } else { schedule.closed })
    }
}

/// Shuffles members by the call's turn, so the result is deterministic.
fn shuffle<T>(members: &mut [T], seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    for at in (1..members.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = usize::try_from(state % (at as u64 + 1)).unwrap_or_default();
        members.swap(at, other);
    }
}
