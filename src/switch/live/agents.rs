//! How agents are: what they chose, what switches say of them, their calls, and the time after these, in one state.
//!
//! mod_callcenter has no state and no event for the time after a call: it compares when the last call ended with how long an agent rests
//! (`agents_callback` in mod_callcenter.c). So that is counted here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Live,
    leg::Phase,
    names::{Extension, Names},
    queues,
    said::Micros,
    show::Scope,
    views::{self, AgentState, time},
    whose::id_of,
};
use crate::{
    model::agent_status::{Cause, Chosen, Status},
    text::Domain,
};

const SECOND: Micros = 1_000_000;

/// What a switch says that differs from what was chosen is a command under way, unless it is so much younger.
const UNDER_WAY: Micros = 2 * SECOND;

/// Whose state it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    Person(Uuid),
    /// An extension that nobody has, by its SIP username.
    Phone(String),
}

/// How somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub state: AgentState,
    pub since: Option<Micros>,
    pub reason: Option<String>,
    pub cause: Option<Cause>,
    pub set_by: Option<String>,
    /// When the time after a call ends.
    pub until: Option<Micros>,
}

impl Shown {
    #[must_use]
    pub fn plain(state: AgentState, since: Option<Micros>) -> Self {
        Self { state, since, reason: None, cause: None, set_by: None, until: None }
    }
}

/// What is known of somebody, from all switches that are heard.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Of a person: what they chose, if they ever did.
    pub chosen: Option<Option<Chosen>>,
    /// What switches say of their extensions as agents, with how many seconds they rest after a call.
    pub agents: Vec<(queues::Agent, u32)>,
    /// Since when they are in a call.
    pub call: Option<Micros>,
    /// When their last call ended.
    pub idle_since: Option<Micros>,
}

fn micros(at: DateTime<Utc>) -> Micros {
    at.timestamp_micros()
}

impl Parts {
    /// What is shown of them.
    #[must_use]
    pub fn shown(&self, now: Micros) -> Shown {
        let in_queue_call = self.agents.iter().filter_map(|(agent, _)| agent.state.as_ref());
        let in_queue_call = in_queue_call.filter(|(state, _)| state == "In a queue call").map(|(_, since)| *since);
        if let Some(since) = in_queue_call.chain(self.call).min() {
            return Shown::plain(AgentState::OnCall, Some(since));
        }
        let away = match &self.chosen {
            Some(chosen) => self.away_person(chosen.as_ref()),
            None => self.by_switches(None),
        };
        away.unwrap_or_else(|| self.at_work(now))
    }

    /// Why a person gets no calls of queues.
    fn away_person(&self, chosen: Option<&Chosen>) -> Option<Shown> {
        let Some(chosen) = chosen else { return self.by_switches(None) };
        let state = match chosen.status {
            Status::Offline => AgentState::Offline,
            Status::Away => AgentState::Away,
            Status::Busy => AgentState::Busy,
            Status::Available => {
                if let Some(gone) = chosen.gone_at {
                    let away = Shown::plain(AgentState::Away, Some(micros(gone)));
                    return Some(Shown { cause: Some(Cause::PhoneGone), ..away });
                }
                return self.by_switches(Some(micros(chosen.changed_at)));
            }
        };
        Some(Shown {
            state,
            since: Some(micros(chosen.since)),
            reason: chosen.reason.clone(),
            cause: chosen.cause,
            set_by: chosen.set_by.clone(),
            until: None,
        })
    }

    /// What switches say to the contrary. `changed`: when a person chose to be available.
    fn by_switches(&self, changed: Option<Micros>) -> Option<Shown> {
        let is_person = self.chosen.is_some();
        let of_status = |wanted: &'static str| {
            self.agents.iter().filter(move |(agent, _)| agent.status.as_ref().is_some_and(|(now, _)| now == wanted))
        };
        let did_not_answer = of_status("On Break").filter_map(|(agent, _)| agent.did_not_answer).max();
        if let Some(at) = did_not_answer.filter(|at| changed.is_none_or(|changed| *at > changed)) {
            let away = Shown::plain(AgentState::Away, Some(at));
            return Some(Shown { cause: Some(Cause::DidNotAnswer), ..away });
        }
        let statuses = self.agents.iter().filter_map(|(agent, _)| agent.status.as_ref()).collect::<Vec<_>>();
        let (status, since) = statuses.iter().max_by_key(|(_, since)| *since)?;
        if statuses.iter().any(|(status, _)| status.starts_with("Available")) {
            return None;
        }
        // A switch that has them logged out since it knows them was not told yet.
        if is_person && (*since == 0 || changed.is_some_and(|changed| *since < changed + UNDER_WAY)) {
            return None;
        }
        let since = Some(*since).filter(|since| *since > 0);
        match status.as_str() {
            "Logged Out" => Some(Shown::plain(AgentState::Offline, since)),
            "On Break" => Some(Shown::plain(AgentState::Away, since)),
            _ => Some(Shown::plain(AgentState::Unknown, None)),
        }
    }

    /// Available, or about to be.
    fn at_work(&self, now: Micros) -> Shown {
        if self.chosen.is_none() && self.agents.iter().all(|(agent, _)| agent.status.is_none()) {
            return Shown::plain(AgentState::Unknown, None);
        }
        let states = self.agents.iter().filter_map(|(agent, _)| agent.state.as_ref());
        let rings = states.clone().filter(|(state, _)| matches!(state.as_str(), "Receiving" | "Reserved"));
        if let Some(since) = rings.map(|(_, since)| *since).min() {
            return Shown::plain(AgentState::Ringing, Some(since));
        }
        let wrap_up = self.wrap_up();
        if let Some((since, until)) = wrap_up.filter(|(_, until)| *until > now) {
            return Shown { until: Some(until), ..Shown::plain(AgentState::WrapUp, Some(since)) };
        }
        let statuses = self.agents.iter().filter_map(|(agent, _)| agent.status.as_ref()).map(|(_, since)| *since);
        let since = statuses
            .chain(states.map(|(_, since)| *since))
            .chain(self.idle_since)
            .chain(self.chosen.iter().flatten().map(|chosen| micros(chosen.since)))
            .chain(wrap_up.map(|(_, until)| until));
        Shown::plain(AgentState::Available, since.max().filter(|since| *since > 0))
    }

    /// The time after their last call of a queue: from when to when.
    #[must_use]
    pub fn wrap_up(&self) -> Option<(Micros, Micros)> {
        let changed = self.chosen.iter().flatten().find_map(|chosen| chosen.wrap_up);
        let all = self.agents.iter().filter_map(|(agent, seconds)| {
            let ended = agent.ended?;
            let usual = ended + Micros::from(*seconds) * SECOND;
            let until = changed.filter(|one| one.is_of(ended)).map(|one| micros(one.ends));
            Some((ended, until.unwrap_or(usual))).filter(|(ended, until)| until > ended)
        });
        all.max_by_key(|(_, until)| *until)
    }
}

/// Somebody, and how they are.
#[derive(Debug, Clone)]
pub struct AgentNow {
    pub tenant: Uuid,
    pub who: Who,
    /// The one that is shown: of several, one that serves queues.
    pub extension: Option<Extension>,
    /// All SIP usernames.
    pub usernames: Vec<String>,
    pub queues: BTreeSet<Uuid>,
    pub parts: Parts,
    pub shown: Shown,
    /// How many phones of theirs are registered.
    pub phones: usize,
}

impl AgentNow {
    #[must_use]
    pub fn view(&self) -> views::Agent {
        let extension = self.extension.as_ref();
        let username = || self.usernames.first().cloned();
        let name = extension.map(|one| one.person.clone().unwrap_or_else(|| one.name.clone()));
        views::Agent {
            tenant_id: self.tenant,
            extension_id: extension.map(|one| one.id),
            extension: extension.map(|one| one.number.clone()).or_else(username),
            agent_id: self.person(),
            name,
            state: self.shown.state,
            since: self.shown.since.map(time),
            reason: self.shown.reason.clone(),
            cause: self.shown.cause,
            set_by: self.shown.set_by.clone(),
            until: self.shown.until.map(time),
            queues: self.queues.iter().copied().collect(),
        }
    }

    #[must_use]
    pub fn person(&self) -> Option<Uuid> {
        match self.who {
            Who::Person(id) => Some(id),
            Who::Phone(_) => None,
        }
    }
}

/// The agents of a tenant.
#[derive(Debug, Default)]
pub struct Agents {
    /// Without any switch that is heard, nobody is here.
    pub entries: Vec<AgentNow>,
    /// Whether any switch of the tenant is heard.
    pub is_heard: bool,
    /// Whether every one is.
    pub is_whole: bool,
}

impl Agents {
    /// Whoever has this SIP username.
    #[must_use]
    pub fn of_phone(&self, username: &str) -> Option<&AgentNow> {
        self.entries.iter().find(|entry| entry.usernames.iter().any(|one| one == username))
    }

    #[must_use]
    pub fn of_person(&self, person: Uuid) -> Option<&AgentNow> {
        self.entries.iter().find(|entry| entry.who == Who::Person(person))
    }
}

/// What switches say of one SIP username.
#[derive(Default)]
struct OfPhone {
    agents: Vec<queues::Agent>,
    queues: BTreeSet<Uuid>,
    call: Option<Micros>,
    idle_since: Option<Micros>,
    phones: usize,
}

/// The agents of a tenant, by what this node hears. `scope`: which switches count. `only`: whoever has one of these SIP
/// usernames.
#[must_use]
pub fn of_tenant(scope: &Scope, live: &Live, tenant: Uuid, names: &Names, only: Option<&BTreeSet<String>>) -> Agents {
    let Some(slot) = live.generations().scope(tenant) else { return Agents::default() };
    let domains = slot.home.iter().chain(&slot.domain).chain(&slot.former.domains);
    let domains = domains.map(Domain::as_str).collect::<BTreeSet<_>>();
    let people = names.people(only);
    // With the other extensions of the same people.
    let wanted = only.map(|only| {
        let others = people.values().flatten().map(|one| one.sip_username.as_str());
        only.iter().map(String::as_str).chain(others).collect::<HashSet<_>>()
    });
    let is_wanted = |user: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(user));
    let mut phones = HashMap::<String, OfPhone>::new();
    let (mut heard, mut is_whole) = (false, true);
    for watched in (Scope { tenant: Some(tenant), ..scope.clone() }).switches(live) {
        let known = watched.known();
        if known.unknown_since.is_some() {
            is_whole = false;
            continue;
        }
        heard = true;
        let (state, now) = (&known.state, Utc::now().timestamp());
        for (name, agent) in state.queues.agents() {
            let Some((user, _)) = name.split_once('@').filter(|(_, domain)| domains.contains(domain)) else { continue };
            if !is_wanted(user) {
                continue;
            }
            let phone = phones.entry(user.to_owned()).or_default();
            phone.agents.push(agent.clone());
            phone.queues.extend(state.queues.of_agent(name).filter_map(id_of));
        }
        for leg in state.calls.legs().filter(|leg| leg.phase != Phase::Ringing) {
            let Some((user, _)) = leg.about.phone.as_ref().filter(|(_, at)| domains.contains(at.as_str())) else {
                continue;
            };
            if !is_wanted(user) {
                continue;
            }
            let phone = phones.entry(user.clone()).or_default();
            phone.call = Some(phone.call.map_or(leg.since, |since| since.min(leg.since)));
        }
        for extension in people.values().flatten() {
            let user = &extension.sip_username;
            for domain in &domains {
                let registered = state.registrations.of(user, domain);
                // As in what is shown of registrations.
                let registered = registered.iter().filter(|one| one.expires + 90 >= now).count();
                let idle_since = state.idle_since(user, domain);
                if registered > 0 || idle_since.is_some() {
                    let phone = phones.entry(user.clone()).or_default();
                    phone.phones += registered;
                    phone.idle_since = phone.idle_since.max(idle_since);
                }
            }
        }
    }
    if !heard {
        return Agents::default();
    }
    let now = Utc::now().timestamp_micros();
    let mut entries = Vec::new();
    for (person, extensions) in people {
        let chosen = Some(live.chosen.of(tenant, person));
        let own = extensions.iter().filter_map(|one| Some((*one, phones.remove(&one.sip_username)?))).collect();
        entries.push(entry(tenant, Who::Person(person), &extensions, own, chosen, names, now));
    }
    for (user, phone) in phones.into_iter().filter(|(_, phone)| !phone.agents.is_empty()).collect::<BTreeMap<_, _>>() {
        // Those of people who are suspended serve nobody.
        let extension = names.of_phone(&user);
        if extension.is_some_and(|one| one.user.is_some()) {
            continue;
        }
        let mut made = AgentNow {
            tenant,
            who: Who::Phone(user.clone()),
            extension: extension.cloned(),
            usernames: vec![user],
            queues: phone.queues,
            parts: Parts::default(),
            shown: Shown::plain(AgentState::Unknown, None),
            phones: phone.phones,
        };
        let seconds = extension.map_or(0, |one| names.wrap_up(one.id));
        made.parts.agents = phone.agents.into_iter().map(|agent| (agent, seconds)).collect();
        (made.parts.call, made.parts.idle_since) = (phone.call, phone.idle_since);
        made.shown = made.parts.shown(now);
        entries.push(made);
    }
    Agents { entries, is_heard: true, is_whole }
}

#[expect(clippy::option_option, reason = "nobody has it, or whoever has it never chose")]
fn entry(
    tenant: Uuid,
    who: Who,
    extensions: &[&Extension],
    own: Vec<(&Extension, OfPhone)>,
    chosen: Option<Option<Chosen>>,
    names: &Names,
    now: Micros,
) -> AgentNow {
    let at_queues = own.iter().find(|(_, phone)| !phone.queues.is_empty()).map(|(extension, _)| *extension);
    let extension = at_queues.or_else(|| extensions.first().copied()).cloned();
    let (mut parts, mut queues, mut phones) = (Parts { chosen, ..Parts::default() }, BTreeSet::new(), 0);
    for (extension, phone) in own {
        let seconds = names.wrap_up(extension.id);
        parts.agents.extend(phone.agents.into_iter().map(|agent| (agent, seconds)));
        parts.call = [parts.call, phone.call].into_iter().flatten().min();
        parts.idle_since = parts.idle_since.max(phone.idle_since);
        queues.extend(phone.queues);
        phones += phone.phones;
    }
    let usernames = extensions.iter().map(|one| one.sip_username.clone()).collect();
    let shown = parts.shown(now);
    AgentNow { tenant, who, extension, usernames, queues, parts, shown, phones }
}

#[cfg(test)]
mod tests;
