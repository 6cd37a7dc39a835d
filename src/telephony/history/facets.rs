//! What calls are found by, each as one number: a hash of the tenant, the kind and the value. Calls that have two such things are found in
//! one index by both at once, however many calls have one of them.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Call, Direction, Party, State, fold::Folded, withheld::Hidden};

/// Talks of at least so many seconds are found by the largest of these.
const LASTING: [i32; 6] = [60, 300, 900, 1800, 3600, 7200];

/// One thing that calls are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet<'a> {
    Direction(Direction),
    State(State),
    Agent(Uuid),
    Extension(Uuid),
    Number(Uuid),
    Queue(Uuid),
    Carrier(Uuid),
    Country(&'a str),
    Cause(&'a str),
    Disposition(&'a str),
    Tag(&'a str),
    Recorded,
    /// A number outside.
    Party(&'a str),
    /// A talk of at least so many seconds.
    Lasting(i32),
    /// The Call-ID of a leg's SIP dialog.
    SipCall(&'a str),
    /// Something about a call that an agent on it may not know.
    Hides(Uuid),
    /// One of its facets that this agent may not find it by.
    Hidden(Uuid, i64),
    /// Whom people say that it was with.
    Contact(Uuid),
}

impl Facet<'_> {
    /// The facet that calls have whose talk lasted that long, and shorter ones don't have much more often.
    #[must_use]
    pub fn of_at_least(seconds: i32) -> Option<Self> {
        LASTING.into_iter().rev().find(|of| *of <= seconds).map(Self::Lasting)
    }

    #[must_use]
    pub fn number(self, tenant: Uuid) -> i64 {
        let mut hash = Sha256::new();
        hash.update(tenant.as_bytes());
        let mut add = |kind: u8, value: &[u8]| {
            hash.update([kind]);
            hash.update(value);
        };
        match self {
            Self::Direction(direction) => add(1, direction.as_str().as_bytes()),
            Self::State(state) => add(2, state.as_str().as_bytes()),
            Self::Agent(id) => add(3, id.as_bytes()),
            Self::Extension(id) => add(4, id.as_bytes()),
            Self::Number(id) => add(5, id.as_bytes()),
            Self::Queue(id) => add(6, id.as_bytes()),
            Self::Carrier(id) => add(7, id.as_bytes()),
            Self::Country(country) => add(8, country.as_bytes()),
            Self::Cause(cause) => add(9, cause.as_bytes()),
            Self::Disposition(disposition) => add(10, disposition.as_bytes()),
            Self::Tag(tag) => add(11, tag.as_bytes()),
            Self::Recorded => add(12, &[]),
            Self::Party(number) => add(14, number.as_bytes()),
            Self::SipCall(id) => add(15, id.as_bytes()),
            Self::Lasting(seconds) => add(13, &seconds.to_be_bytes()),
            Self::Hides(person) => add(16, person.as_bytes()),
            Self::Hidden(person, facet) => add(17, &[&person.as_bytes()[..], &facet.to_be_bytes()].concat()),
            Self::Contact(id) => add(18, id.as_bytes()),
        }
        let hash: [u8; 32] = hash.finalize().into();
        hash.iter().take(8).fold(0, |number, byte| (number << 8) | i64::from(*byte))
    }
}

/// What people wrote about a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written<'a> {
    pub disposition: Option<&'a str>,
    pub tags: &'a [String],
    pub contact: Option<Uuid>,
}

/// The facets of a call as its legs tell it, and which of them agents on it may not find it by.
#[must_use]
pub fn of_folded(tenant: Uuid, call: &Folded, written: Written<'_>) -> Vec<i64> {
    let all = numbers(tenant, told(call, None).into_iter());
    let mut hidden = Vec::new();
    for person in &call.agents {
        let known = numbers(tenant, told(call, Some(*person)).into_iter());
        let before = hidden.len();
        hidden.extend(all.iter().filter(|facet| !known.contains(facet)).map(|facet| Facet::Hidden(*person, *facet)));
        hidden.extend((hidden.len() > before).then_some(Facet::Hides(*person)));
    }
    let more = numbers(tenant, hidden.into_iter().chain(of_written(written)));
    let mut facets = [all, more].concat();
    facets.sort_unstable();
    facets.dedup();
    facets
}

/// The facets of a call that somebody may know.
fn told(call: &Folded, person: Option<Uuid>) -> Vec<Facet<'_>> {
    let hidden = person.map(|person| Hidden::from(person, &call.summary, Some(&call.story))).unwrap_or_default();
    let direction = call.direction;
    let mut facets = vec![Facet::Direction(direction), Facet::State(call.state)];
    facets.extend(call.agents.iter().copied().filter(|id| !hidden.agents.contains(id)).map(Facet::Agent));
    facets.extend(call.extensions.iter().copied().filter(|id| !hidden.extensions.contains(id)).map(Facet::Extension));
    facets.extend(call.number.filter(|_| !hidden.hides_number(direction)).map(Facet::Number));
    facets.extend(call.queue.map(Facet::Queue));
    facets.extend(call.carrier.map(Facet::Carrier));
    facets.extend(call.country.as_deref().filter(|_| !hidden.hides_country(direction)).map(Facet::Country));
    facets.extend(call.cause.as_deref().map(Facet::Cause));
    facets.extend(call.recorded.then_some(Facet::Recorded));
    let is_known = |party: &&Party| person.is_none_or(|person| !party.is_hidden_from(person));
    let parties = [Some(&call.summary.from), Some(&call.summary.to), call.summary.answered_by.as_ref()];
    let outside = parties.into_iter().flatten().filter(is_known).filter_map(|party| party.number.as_deref());
    facets.extend(outside.filter(|number| number.starts_with('+')).map(Facet::Party));
    facets.extend(call.sip_calls.iter().map(|id| Facet::SipCall(id)));
    facets.extend(LASTING.into_iter().filter(|of| i64::from(*of) * 1000 <= call.talk_ms).map(Facet::Lasting));
    facets
}

/// The facets of what people wrote.
fn of_written(written: Written<'_>) -> impl Iterator<Item = Facet<'_>> {
    let tags = written.tags.iter().map(|tag| Facet::Tag(tag));
    let contact = written.contact.map(Facet::Contact);
    written.disposition.map(Facet::Disposition).into_iter().chain(contact).chain(tags)
}

/// The facets of what people wrote about a call: before, and now.
#[must_use]
pub fn of_call(call: &Call) -> Vec<i64> {
    let written = Written { disposition: call.disposition.as_deref(), tags: &call.tags, contact: call.contact_id };
    numbers(call.tenant_id, of_written(written))
}

fn numbers<'a>(tenant: Uuid, facets: impl Iterator<Item = Facet<'a>>) -> Vec<i64> {
    let mut numbers = facets.map(|facet| facet.number(tenant)).collect::<Vec<_>>();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
