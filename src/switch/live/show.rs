//! Makes what is shown of live state, for whoever asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::{
    Live, Watched,
    leg::{Leg, Phase},
    names::{Extension, Names},
    queues::Queues,
    said::Micros,
    state::State,
    views::{self, AgentState, At, CallState, Direction, LegState, Unknown, time},
    whose::Whose,
};

/// Who asks, and for what.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only what concerns this tenant.
    pub tenant: Option<Uuid>,
    /// Only what is of this person.
    pub person: Option<Uuid>,
    /// The platform sees switches.
    pub is_platform: bool,
    pub switch: Option<Uuid>,
    pub cluster: Option<Uuid>,
}

/// The names of all tenants that are shown.
pub type NamesOf = HashMap<Uuid, Arc<Names>>;

/// Something that is a tenant's.
pub struct Of<T> {
    pub tenant: Uuid,
    pub at: At,
    pub it: T,
}

impl Scope {
    #[must_use]
    pub fn at(&self, watched: &Watched) -> At {
        if self.is_platform {
            At { switch_id: Some(watched.switch), switch: Some(watched.name.clone()) }
        } else {
            At::default()
        }
    }

    fn reaches(&self, tenant: Uuid) -> bool {
        self.tenant.is_none_or(|own| own == tenant)
    }

    /// The switches that may have something for whoever asks.
    #[must_use]
    pub fn switches(&self, live: &Live) -> Vec<Arc<Watched>> {
        let cluster = self.tenant.and_then(|tenant| live.generations().scope(tenant)).map(|slot| slot.cluster);
        let mut all = live.switches();
        all.retain(|watched| {
            self.switch.is_none_or(|switch| switch == watched.switch)
                && self.cluster.is_none_or(|cluster| cluster == watched.cluster)
                && (self.tenant.is_none() || cluster == Some(watched.cluster))
        });
        all
    }

    /// The switches of which nothing is known.
    #[must_use]
    pub fn unknown(&self, live: &Live) -> Vec<Unknown> {
        let unknown = |watched: &Arc<Watched>| {
            let since = watched.known().unknown_since?;
            Some(Unknown { since, at: self.at(watched) })
        };
        self.switches(live).iter().filter_map(unknown).collect()
    }

    /// Gathers something from all switches that are known.
    pub fn gather<T>(&self, live: &Live, mut take: impl FnMut(&State, &Whose, &At, &mut Vec<Of<T>>)) -> Vec<Of<T>> {
        let mut found = Vec::new();
        for watched in self.switches(live) {
            let (whose, at) = (live.whose(&watched), self.at(&watched));
            let known = watched.known();
            if known.unknown_since.is_none() {
                take(&known.state, &whose, &at, &mut found);
            }
        }
        found.retain(|of| self.reaches(of.tenant));
        found
    }
}

/// A call's legs, and where its first one waits.
#[derive(Debug, Clone)]
pub struct CallNow {
    pub id: Uuid,
    /// Without those that are no party.
    pub legs: Vec<Leg>,
    /// Of each leg, whose phone it is.
    pub owners: Vec<Option<Uuid>>,
    pub queue: Option<String>,
    pub waits: bool,
}

impl CallNow {
    #[must_use]
    pub fn of(id: Uuid, state: &State, whose: &Whose) -> Self {
        let all = state.calls.of(id);
        let queue = all.iter().find_map(|leg| leg.about.queue.clone());
        let waits = queue.as_ref().is_some_and(|queue| {
            state.queues.waiting(queue).iter().any(|member| all.iter().any(|leg| leg.id == member.leg))
        });
        let legs = all.into_iter().filter(|leg| !leg.is_inner()).cloned().collect::<Vec<_>>();
        let owners = legs.iter().map(|leg| whose.of_leg(leg)).collect();
        Self { id, legs, owners, queue, waits }
    }

    fn state(&self) -> (CallState, Micros) {
        let since = |phase: Phase| self.legs.iter().filter(|leg| leg.phase == phase).map(|leg| leg.since).max();
        let connected =
            |leg: &&Leg| leg.partner.is_some_and(|partner| self.legs.iter().any(|other| other.id == partner));
        let began = self.legs.first().map_or(0, |leg| leg.since);
        if let Some(since) = since(Phase::Parked) {
            (CallState::Parked, since)
        } else if let Some(since) = since(Phase::Held) {
            (CallState::Held, since)
        } else if let Some(leg) = self.legs.iter().find(connected) {
            (CallState::Talking, leg.connected_since())
        } else if self.waits {
            (CallState::Waiting, began)
        } else if self.legs.iter().any(|leg| leg.partner.is_some()) {
            // Through a leg of the switch's own.
            (CallState::Talking, began)
        } else if self.legs.iter().any(|leg| leg.phase == Phase::Ringing) {
            (CallState::Ringing, began)
        } else {
            (CallState::Connected, began)
        }
    }

    fn direction(&self) -> Direction {
        let is_outside = |leg: &Leg| leg.about.phone.is_none();
        match self.legs.first() {
            Some(first) if is_outside(first) && first.about.is_caller == Some(true) => Direction::Inbound,
            _ if self.legs.iter().any(|leg| leg.about.carrier.is_some() || is_outside(leg)) => Direction::Outbound,
            _ => Direction::Internal,
        }
    }

    /// What a tenant sees of it. Of others' phones, it sees the number and the name that they show.
    #[must_use]
    pub fn shown(&self, tenant: Uuid, at: At, names: &Names, person: Option<Uuid>) -> views::Call {
        let (state, since) = self.state();
        let leg = |(leg, owner): (&Leg, &Option<Uuid>)| {
            let extension = extension(leg, *owner == Some(tenant), names);
            let is_own = extension.is_some_and(|extension| person.is_some() && extension.user == person);
            show_leg(leg, extension, person.is_some() && !is_own)
        };
        let first = self.legs.first();
        let queue_id = self.queue.as_deref().and_then(id_of);
        views::Call {
            id: self.id,
            tenant_id: tenant,
            direction: self.direction(),
            state,
            since: time(since),
            began_at: time(first.map_or(0, Leg::began)),
            dialled: first.and_then(|leg| leg.about.dialled.clone()).map(|number| plain(&number)),
            queue_id,
            queue: queue_id.and_then(|id| names.of_place(id)).map(ToOwned::to_owned),
            carrier_id: self.legs.iter().find_map(|leg| leg.about.carrier),
            legs: self.legs.iter().zip(&self.owners).map(leg).collect(),
            at,
        }
    }
}

/// The extension whose phone a leg is.
fn extension<'n>(leg: &Leg, is_own: bool, names: &'n Names) -> Option<&'n Extension> {
    let (user, _) = leg.about.phone.as_ref().filter(|_| is_own)?;
    names.of_phone(user)
}

/// `hides`: whether whoever asks may not know who withholds their number.
fn show_leg(leg: &Leg, extension: Option<&Extension>, hides: bool) -> views::Leg {
    let about = &leg.about;
    let is_caller = about.is_caller == Some(true);
    // What a called phone shows as the caller's is not its own number.
    let (number, name) = if is_caller { (&about.number, &about.name) } else { (&about.callee, &None) };
    let extension = extension.filter(|_| !(about.is_withheld && is_caller && hides));
    let own =
        |text: Option<&str>, or: &Option<String>| text.map(ToOwned::to_owned).or_else(|| or.as_deref().map(plain));
    let is_hidden = about.is_withheld && is_caller && extension.is_none();
    let hidden = |text: Option<String>| text.filter(|_| !is_hidden);
    views::Leg {
        id: leg.id,
        caller: is_caller,
        state: match leg.phase {
            Phase::Ringing => LegState::Ringing,
            Phase::Up => LegState::Up,
            Phase::Held => LegState::Held,
            Phase::Parked => LegState::Parked,
        },
        since: time(leg.since),
        number: hidden(own(extension.map(|one| one.number.as_str()), number)),
        name: hidden(own(extension.map(|one| one.name.as_str()), name)),
        extension_id: extension.map(|one| one.id),
        extension: extension.map(|one| one.number.clone()),
        agent_id: extension.and_then(|one| one.user),
        connected_to: leg.partner,
    }
}

/// A number as people know it: the switch's own dial strings have `%DOMAIN` behind a user.
fn plain(number: &str) -> String {
    number.split('%').next().unwrap_or_default().to_owned()
}

/// The destination in `ID.DOMAIN`.
#[must_use]
pub fn id_of(name: &str) -> Option<Uuid> {
    Uuid::try_parse(name.split('.').next()?).ok()
}

/// The caller's number and name, as far as they may be shown.
fn caller(state: &State, leg: Uuid) -> (Option<Uuid>, Option<String>, Option<String>) {
    let Some(leg) = state.calls.leg(leg) else { return (None, None, None) };
    let shown = show_leg(leg, None, true);
    (Some(leg.call), shown.number, shown.name)
}

/// The calls of a switch, one for each tenant that they concern.
pub fn calls(scope: &Scope, live: &Live) -> Vec<Of<CallNow>> {
    scope.gather(live, |state, whose, at, found| {
        for id in state.calls.ids() {
            let call = CallNow::of(id, state, whose);
            if call.legs.is_empty() {
                continue;
            }
            let tenants = whose.of_call(&state.calls.of(id));
            found.extend(tenants.into_iter().map(|tenant| Of { tenant, at: at.clone(), it: call.clone() }));
        }
    })
}

pub fn registrations(scope: &Scope, live: &Live) -> Vec<Of<views::Registration>> {
    let now = chrono::Utc::now().timestamp();
    scope.gather(live, |state, whose, at, found| {
        let mut known = HashMap::new();
        for ((user, domain), one) in state.registrations.iter() {
            // The switch itself forgets them about a minute after they ran out (`sofia_reg_check_expire` in sofia_reg.c).
            if one.expires + 90 < now {
                continue;
            }
            let tenant = *known.entry(domain.as_ref()).or_insert_with(|| whose.of_domain(domain));
            let Some(tenant) = tenant.filter(|tenant| scope.reaches(*tenant)) else { continue };
            let it = views::Registration {
                tenant_id: tenant,
                extension_id: None,
                extension: None,
                name: None,
                sip_username: user.to_string(),
                domain: domain.to_string(),
                call_id: one.call_id.clone(),
                contact: one.contact.clone(),
                device: one.device.clone(),
                address: one.address.clone(),
                transport: one.transport.clone(),
                since: one.since.map(time),
                expires_at: time(one.expires.saturating_mul(1_000_000)),
                reachable: one.is_reachable,
                at: at.clone(),
            };
            found.push(Of { tenant, at: at.clone(), it });
        }
    })
}

/// How an agent is, by what the switch says and by their own calls.
fn agent_state(state: &State, agent: &str, known: &super::queues::Agent) -> (AgentState, Option<Micros>) {
    let (user, domain) = agent.split_once('@').unwrap_or((agent, ""));
    let of_agent = |leg: &&Leg| leg.about.phone.as_ref().is_some_and(|(of, at)| of == user && at == domain);
    let call = state.calls.legs().filter(of_agent).filter(|leg| leg.phase != Phase::Ringing).map(|leg| leg.since).min();
    let status = known.status.as_ref().map(|(status, since)| (status.as_str(), *since));
    let now = known.state.as_ref().map(|(now, since)| (now.as_str(), *since));
    match (status, now, call) {
        (_, Some(("In a queue call", since)), _) | (_, _, Some(since)) => (AgentState::OnCall, Some(since)),
        (Some(("Logged Out", since)), ..) => (AgentState::Offline, Some(since)),
        (Some(("On Break", since)), ..) => (AgentState::Away, Some(since)),
        (Some(_), Some(("Receiving" | "Reserved", since)), _) => (AgentState::Busy, Some(since)),
        (Some(("Available" | "Available (On Demand)", since)), now, _) => {
            (AgentState::Available, Some(now.map_or(since, |(_, now)| now.max(since))))
        }
        _ => (AgentState::Unknown, None),
    }
}

fn show_agent(state: &State, tenant: Uuid, agent: &str, known: &super::queues::Agent) -> views::Agent {
    let (now, since) = agent_state(state, agent, known);
    let queues = state.queues.of_agent(agent).filter_map(id_of).collect();
    views::Agent {
        tenant_id: tenant,
        extension_id: None,
        extension: Some(agent.split('@').next().unwrap_or(agent).to_owned()),
        agent_id: None,
        name: None,
        state: now,
        since: since.map(time),
        queues,
    }
}

/// Agents on several switches of a cluster: what was said last counts.
pub fn agents(scope: &Scope, live: &Live) -> BTreeMap<(Uuid, String), views::Agent> {
    let found = scope.gather(live, |state, whose, at, found| {
        for (name, known) in state.queues.agents() {
            let Some(tenant) = whose.of_name(name) else { continue };
            let it = (name.to_owned(), show_agent(state, tenant, name, known));
            found.push(Of { tenant, at: at.clone(), it });
        }
    });
    let mut all = BTreeMap::new();
    for Of { tenant, it: (name, agent), .. } in found {
        let newer = |other: &views::Agent| {
            (agent.state == AgentState::OnCall, agent.since) > (other.state == AgentState::OnCall, other.since)
        };
        let key = (tenant, name);
        if all.get(&key).is_none_or(newer) {
            all.insert(key, agent);
        }
    }
    all
}

/// Who waits in a queue of one switch.
fn waiting(state: &State, queues: &Queues, queue: &str, at: &At) -> Vec<views::Waiting> {
    let waits = |(before, member): (usize, &super::queues::Member)| {
        let (call, number, name) = caller(state, member.leg);
        let (number, name) =
            if call.is_some() { (number, name) } else { (Some(member.number.clone()), Some(member.name.clone())) };
        views::Waiting {
            position: before + 1,
            call_id: call.unwrap_or(member.leg),
            since: time(member.joined),
            number,
            name,
            offered_to: member.agent.as_deref().map(|agent| agent.split('@').next().unwrap_or(agent).to_owned()),
            at: at.clone(),
        }
    };
    queues.waiting(queue).into_iter().enumerate().map(waits).collect()
}

pub fn queues(scope: &Scope, live: &Live) -> BTreeMap<(Uuid, Uuid), views::Queue> {
    let found = scope.gather(live, |state, whose, at, found| {
        for name in state.queues.names() {
            let (Some(tenant), Some(id)) = (whose.of_name(name), id_of(name)) else { continue };
            let agents = state.queues.of_queue(name).map(ToOwned::to_owned).collect::<Vec<_>>();
            found.push(Of { tenant, at: at.clone(), it: (id, waiting(state, &state.queues, name, at), agents) });
        }
    });
    let agents = agents(scope, live);
    let mut all = BTreeMap::<(Uuid, Uuid), views::Queue>::new();
    for Of { tenant, it: (id, waiting, of_queue), .. } in found {
        let queue = all.entry((tenant, id)).or_insert_with(|| views::Queue {
            tenant_id: tenant,
            queue_id: id,
            name: None,
            waiting: Vec::new(),
            agents: Vec::new(),
        });
        queue.waiting.extend(waiting);
        for agent in of_queue {
            let Some(agent) = agents.get(&(tenant, agent)) else { continue };
            if !queue.agents.iter().any(|other| other.extension == agent.extension) {
                queue.agents.push(agent.clone());
            }
        }
    }
    for queue in all.values_mut() {
        queue.waiting.sort_by_key(|one| (one.since, one.call_id));
    }
    all
}

pub fn conferences(scope: &Scope, live: &Live) -> Vec<Of<views::Conference>> {
    scope.gather(live, |state, whose, at, found| {
        for (name, conference) in state.conferences.iter() {
            let by_profile = || whose.of_name(conference.profile.as_deref()?);
            let by_members = || conference.members.keys().find_map(|leg| whose.of_leg(state.calls.leg(*leg)?));
            let (Some(tenant), Ok(id)) = (by_profile().or_else(by_members), Uuid::try_parse(name)) else { continue };
            let member = |(leg, member): (&Uuid, &super::conferences::Member)| {
                let (call_id, number, name) = caller(state, *leg);
                let since = time(member.since);
                views::Member { call_id, leg_id: *leg, number, name, extension_id: None, since, muted: member.is_muted }
            };
            let it = views::Conference {
                tenant_id: tenant,
                conference_id: id,
                name: None,
                since: time(conference.since),
                members: conference.members.iter().map(member).collect(),
                at: at.clone(),
            };
            found.push(Of { tenant, at: at.clone(), it });
        }
    })
}

pub fn parked(scope: &Scope, live: &Live) -> Vec<Of<views::Parked>> {
    scope.gather(live, |state, whose, at, found| {
        for (lot, slot, leg, since) in state.lots.iter() {
            let Some((_, domain)) = lot.split_once('@') else { continue };
            let Some(tenant) = whose.of_domain(domain) else { continue };
            let (call_id, number, name) = caller(state, leg);
            let since = since.map(time);
            let it = views::Parked {
                tenant_id: tenant,
                slot: slot.to_owned(),
                call_id,
                number,
                name,
                since,
                at: at.clone(),
            };
            found.push(Of { tenant, at: at.clone(), it });
        }
    })
}
