//! Makes what is shown of live state, for whoever asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::{
    Live, Watched,
    call_now::{self, CallNow},
    change::Aor,
    leg::Party,
    names::Names,
    presence::Presence,
    state::State,
    views::{self, At, Unknown, time},
    whose::{Whose, id_of},
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
pub struct Owned<T> {
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

    /// Where calls of sandboxes are played, as far as they may concern whoever asks.
    #[must_use]
    pub fn players(&self, live: &Live) -> Vec<Arc<Watched>> {
        let cluster = self.tenant.and_then(|tenant| live.generations().scope(tenant)).map(|slot| slot.cluster);
        let mut all = if self.switch.is_none() { live.players() } else { Vec::new() };
        all.retain(|watched| {
            self.cluster.is_none_or(|cluster| cluster == watched.cluster)
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
    pub fn gather<T>(
        &self,
        live: &Live,
        mut take: impl FnMut(&State, &Whose, &At, &mut Vec<Owned<T>>),
    ) -> Vec<Owned<T>> {
        let mut found = Vec::new();
        for watched in self.switches(live).into_iter().chain(self.players(live)) {
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

/// Whose leg it is.
fn party(state: &State, whose: &Whose, leg: Uuid) -> Option<Party> {
    let leg = state.calls.leg(leg)?;
    Some(Party { leg: leg.clone(), owner: whose.of_leg(leg) })
}

fn call_of(party: Option<&Party>) -> Option<Uuid> {
    party.map(|party| party.leg.call)
}

/// A number as mod_callcenter has it: of a phone, it is the SIP username (`callcenter_function` in mod_callcenter.c).
fn number(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| text.to_owned())
}

/// The calls of a switch, one for each tenant that they concern.
pub fn calls(scope: &Scope, live: &Live) -> Vec<Owned<CallNow>> {
    scope.gather(live, |state, whose, at, found| {
        for id in state.calls.ids() {
            let call = CallNow::of(id, state, whose);
            if call.legs.is_empty() {
                continue;
            }
            let tenants = whose.of_call(&state.calls.of(id));
            found.extend(tenants.into_iter().map(|tenant| Owned { tenant, at: at.clone(), it: call.clone() }));
        }
    })
}

pub fn registrations(scope: &Scope, live: &Live) -> Vec<Owned<views::Registration>> {
    registrations_of(scope, live, None)
}

/// `only`: of this phone.
pub fn registrations_of(scope: &Scope, live: &Live, only: Option<&Aor>) -> Vec<Owned<views::Registration>> {
    let now = chrono::Utc::now().timestamp();
    scope.gather(live, |state, whose, at, found| {
        let mut known = HashMap::new();
        let of_one = only.into_iter().flat_map(|aor| state.registrations.of_aor(aor).iter().map(move |one| (aor, one)));
        let all = only.is_none().then(|| state.registrations.iter()).into_iter().flatten();
        for ((user, domain), one) in of_one.chain(all) {
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
                round_trip_ms: one.round_trip.map(|micros| f64::from(micros) / 1000.0),
                at: at.clone(),
            };
            found.push(Owned { tenant, at: at.clone(), it });
        }
    })
}

/// Who waits in a queue of one switch.
fn waiting(state: &State, whose: &Whose, queue: &str, at: &At) -> Vec<views::Waiting> {
    let waits = |(before, member): (usize, &super::queues::Member)| {
        let party = party(state, whose, member.leg);
        let number = number(&member.number);
        views::Waiting {
            position: before + 1,
            call_id: call_of(party.as_ref()).unwrap_or(member.leg),
            since: time(member.joined),
            name: number.is_some().then(|| member.name.clone()),
            number,
            party,
            offered_to: member.agent.as_deref().map(|agent| agent.split('@').next().unwrap_or(agent).to_owned()),
            at: at.clone(),
        }
    };
    state.queues.waiting(queue).into_iter().enumerate().map(waits).collect()
}

/// Queues by tenant and id.
type QueuesOf = BTreeMap<(Uuid, Uuid), (views::Queue, BTreeSet<String>)>;

/// Queues without their names, and with the SIP usernames of who serves them.
pub fn queues(scope: &Scope, live: &Live) -> QueuesOf {
    queues_of(scope, live, None)
}

/// One of them, which costs no more where a switch has thousands: each event of a queue asks for it.
pub fn queue(scope: &Scope, live: &Live, id: Uuid) -> QueuesOf {
    queues_of(scope, live, Some(id))
}

fn queues_of(scope: &Scope, live: &Live, only: Option<Uuid>) -> QueuesOf {
    let found = scope.gather(live, |state, whose, at, found| {
        let one = only.into_iter().flat_map(|id| state.queues.names_of(id));
        let all = only.is_none().then(|| state.queues.names()).into_iter().flatten();
        for name in one.chain(all) {
            let (Some(tenant), Some(id)) = (whose.of_name(name), id_of(name)) else { continue };
            if !scope.reaches(tenant) {
                continue;
            }
            let agents = state.queues.of_queue(name).map(ToOwned::to_owned).collect::<Vec<_>>();
            found.push(Owned { tenant, at: at.clone(), it: (id, waiting(state, whose, name, at), agents) });
        }
    });
    let mut all = BTreeMap::<(Uuid, Uuid), (views::Queue, BTreeSet<String>)>::new();
    for Owned { tenant, it: (id, waiting, of_queue), .. } in found {
        let (queue, serve) = all.entry((tenant, id)).or_insert_with(|| {
            let (waiting, agents) = (Vec::new(), Vec::new());
            (
                views::Queue { tenant_id: tenant, queue_id: id, name: None, waiting, agents, today: None },
                BTreeSet::new(),
            )
        });
        queue.waiting.extend(waiting);
        serve.extend(of_queue.into_iter().map(|agent| agent.split('@').next().unwrap_or(&agent).to_owned()));
    }
    for (queue, _) in all.values_mut() {
        queue.waiting.sort_by_key(|one| (one.since, one.call_id));
    }
    all
}

/// The tenants that switches have agents of.
pub fn tenants_with_agents(scope: &Scope, live: &Live) -> BTreeSet<Uuid> {
    let found = scope.gather(live, |state, whose, at, found| {
        for (name, _) in state.queues.agents() {
            found.extend(whose.of_name(name).map(|tenant| Owned { tenant, at: at.clone(), it: () }));
        }
    });
    found.into_iter().map(|of| of.tenant).collect()
}

pub fn conferences(scope: &Scope, live: &Live) -> Vec<Owned<views::Conference>> {
    scope.gather(live, |state, whose, at, found| {
        for (name, conference) in state.conferences.iter() {
            // Not by its members: somebody of another tenant may have called in.
            let tenant = conference.profile.as_deref().and_then(|profile| whose.of_name(profile));
            let (Some(tenant), Ok(id)) = (tenant, Uuid::try_parse(name)) else { continue };
            let member = |(leg, member): (&Uuid, &super::conferences::Member)| {
                let party = party(state, whose, *leg);
                let (call_id, since) = (call_of(party.as_ref()), time(member.since));
                views::Member {
                    call_id,
                    leg_id: *leg,
                    number: None,
                    name: None,
                    extension_id: None,
                    since,
                    muted: member.is_muted,
                    party,
                }
            };
            let it = views::Conference {
                tenant_id: tenant,
                conference_id: id,
                name: None,
                since: time(conference.since),
                members: conference.members.iter().map(member).collect(),
                at: at.clone(),
            };
            found.push(Owned { tenant, at: at.clone(), it });
        }
    })
}

pub fn parked(scope: &Scope, live: &Live) -> Vec<Owned<views::Parked>> {
    scope.gather(live, |state, whose, at, found| {
        for (lot, slot, leg, since) in state.lots.iter() {
            let Some((_, domain)) = lot.split_once('@') else { continue };
            let Some(tenant) = whose.of_domain(domain) else { continue };
            let party = party(state, whose, leg);
            let it = views::Parked {
                tenant_id: tenant,
                slot: slot.to_owned(),
                call_id: call_of(party.as_ref()),
                number: None,
                name: None,
                since: since.map(time),
                party,
                at: at.clone(),
            };
            found.push(Owned { tenant, at: at.clone(), it });
        }
    })
}

/// How an extension is, on all switches.
#[must_use]
pub fn presence(scope: &Scope, live: &Live, aor: &Aor, names: &Names) -> Presence {
    let (mut phones, mut phases) = (0, Vec::new());
    for watched in scope.switches(live) {
        let known = watched.known();
        if known.unknown_since.is_none() {
            phones += known.state.registrations.of_aor(aor).len();
            phases.extend(known.state.calls.of_phone(&aor.0, &aor.1).map(|leg| leg.phase));
        }
    }
    Presence::new(scope.tenant.unwrap_or_default(), &aor.0, names, phones, phases.into_iter())
}

/// All phones that are registered or in a call.
#[must_use]
pub fn phones(scope: &Scope, live: &Live) -> BTreeSet<(Uuid, Aor)> {
    let found = scope.gather(live, |state, whose, at, found| {
        let in_calls = state.calls.legs().filter_map(|leg| leg.about.phone.as_ref());
        let in_calls = in_calls.map(|(user, domain)| (user.as_str().into(), domain.as_str().into()));
        let mut known = HashMap::new();
        for aor in state.registrations.iter().map(|(aor, _)| aor.clone()).chain(in_calls).collect::<BTreeSet<Aor>>() {
            let tenant = *known.entry(aor.1.clone()).or_insert_with(|| whose.of_domain(&aor.1));
            found.extend(tenant.map(|tenant| Owned { tenant, at: at.clone(), it: aor }));
        }
    });
    found.into_iter().map(|of| (of.tenant, of.it)).collect()
}

/// Writes the names of a phone's extension. Returns whose it is.
pub fn name_phone(phone: &mut views::Registration, names: Option<&Arc<Names>>) -> Option<Uuid> {
    let known = names?.of_phone(&phone.sip_username)?;
    phone.extension_id = Some(known.id);
    phone.extension = Some(known.number.clone());
    phone.name = Some(known.name.clone());
    known.user
}

/// `person`: whoever asks, if they may not know who withholds their number.
pub fn name_queue(queue: &mut views::Queue, names: Option<&Arc<Names>>, person: Option<Uuid>) {
    let tenant = queue.tenant_id;
    queue.name = names.and_then(|names| names.of_place(queue.queue_id)).map(ToOwned::to_owned);
    for waiting in &mut queue.waiting {
        let known = waiting.offered_to.take().and_then(|user| names?.of_phone(&user));
        waiting.offered_to = known.map(|extension| extension.number.clone());
        if let Some(party) = &waiting.party {
            let shown = call_now::named(party, tenant, names.map(|names| &**names), person);
            (waiting.number, waiting.name) = (shown.number, shown.name);
        }
    }
}

pub fn name_conference(conference: &mut views::Conference, names: Option<&Arc<Names>>, person: Option<Uuid>) {
    conference.name = names.and_then(|names| names.of_place(conference.conference_id)).map(ToOwned::to_owned);
    for member in &mut conference.members {
        if let Some(party) = &member.party {
            let shown = call_now::named(party, conference.tenant_id, names.map(|names| &**names), person);
            (member.number, member.name, member.extension_id) = (shown.number, shown.name, shown.extension_id);
        }
    }
}

pub fn name_parked(parked: &mut views::Parked, names: Option<&Arc<Names>>, person: Option<Uuid>) {
    if let Some(party) = &parked.party {
        let shown = call_now::named(party, parked.tenant_id, names.map(|names| &**names), person);
        (parked.number, parked.name) = (shown.number, shown.name);
    }
}
