//! What whoever asks may see of live state, with names.

use sqlx::PgPool;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

use super::{
    Live,
    agents::{self, Agents},
    call_now::CallNow,
    levels::{self, Today},
    names::Names,
    presence::Presence,
    show::{self, NamesOf, Owned, Scope},
    views::{self, Agent, LiveGateway, Queue, Registration},
};

/// Somebody who asks.
pub struct Asker<'a> {
    pub live: &'a Live,
    pub pool: &'a PgPool,
    pub scope: &'a Scope,
}

impl Asker<'_> {
    pub async fn names(&self, tenants: impl Iterator<Item = Uuid>) -> NamesOf {
        let mut all = NamesOf::new();
        for tenant in tenants.collect::<BTreeSet<_>>() {
            all.insert(tenant, self.live.names.of(tenant, self.live.generations(), self.pool).await);
        }
        all
    }

    /// Whether something of this person may be shown.
    fn may_see(&self, user: Option<Uuid>) -> bool {
        self.scope.person.is_none() || user == self.scope.person
    }

    pub async fn registrations(&self) -> Vec<Registration> {
        let found = show::registrations(self.scope, self.live);
        let names = self.names(found.iter().map(|of| of.tenant)).await;
        let shown = found.into_iter().filter_map(|Owned { tenant, it: mut phone, .. }| {
            let user = show::name_phone(&mut phone, names.get(&tenant));
            self.may_see(user).then_some(phone)
        });
        shown.collect()
    }

    pub async fn calls(&self) -> Vec<views::Call> {
        self.calls_with(None).await
    }

    /// Those in which a leg's dialog has this Call-ID.
    pub async fn calls_with(&self, sip_call_id: Option<&str>) -> Vec<views::Call> {
        let mut found = show::calls(self.scope, self.live);
        let has = |call: &CallNow, id: &str| call.legs.iter().any(|leg| leg.about.sip_call_id.as_deref() == Some(id));
        found.retain(|of| sip_call_id.is_none_or(|id| has(&of.it, id)));
        let names = self.names(found.iter().map(|of| of.tenant)).await;
        let shown = found.into_iter().filter_map(|Owned { tenant, at, it }| {
            let call = it.shown(tenant, at, names.get(&tenant)?, self.scope.person);
            let is_own = self.scope.person.is_none() || call.legs.iter().any(|leg| leg.agent_id == self.scope.person);
            is_own.then_some(call)
        });
        shown.collect()
    }

    pub async fn queues(&self) -> Vec<Queue> {
        let found = show::queues(self.scope, self.live);
        let names = self.names(found.keys().map(|(tenant, _)| *tenant)).await;
        let agents = names.iter().map(|(tenant, names)| (*tenant, self.of_tenant(*tenant, names)));
        let agents = agents.collect::<HashMap<_, _>>();
        let mut levels = HashMap::new();
        for tenant in names.keys() {
            levels.insert(*tenant, self.live.levels.of(*tenant, self.live.generations(), self.pool).await);
        }
        let shown = found.into_values().filter_map(|(mut queue, serve)| {
            let names = names.get(&queue.tenant_id);
            show::name_queue(&mut queue, names, self.scope.person);
            queue.agents = serving(&serve, agents.get(&queue.tenant_id)?);
            queue.today = today(levels.get(&queue.tenant_id)?.as_deref(), queue.queue_id);
            let serves = |person| names.is_some_and(|names| names.serves(person, queue.queue_id));
            self.scope.person.is_none_or(serves).then_some(queue)
        });
        shown.collect()
    }

    pub async fn conferences(&self) -> Vec<views::Conference> {
        let found = show::conferences(self.scope, self.live);
        let names = self.names(found.iter().map(|of| of.tenant)).await;
        let shown = found.into_iter().map(|Owned { tenant, it: mut conference, .. }| {
            show::name_conference(&mut conference, names.get(&tenant), self.scope.person);
            conference
        });
        shown.collect()
    }

    pub async fn parked(&self) -> Vec<views::Parked> {
        let found = show::parked(self.scope, self.live);
        let names = self.names(found.iter().map(|of| of.tenant)).await;
        let shown = found.into_iter().map(|Owned { tenant, it: mut parked, .. }| {
            show::name_parked(&mut parked, names.get(&tenant), self.scope.person);
            parked
        });
        shown.collect()
    }

    fn of_tenant(&self, tenant: Uuid, names: &Names) -> Agents {
        agents::of_tenant(self.scope, self.live, tenant, names, None)
    }

    /// With what tells them apart in their tenant. Those of all tenants are only those who serve queues.
    pub async fn agents(&self) -> Vec<(String, Agent)> {
        let tenants = match self.scope.tenant {
            Some(tenant) => BTreeSet::from([tenant]),
            None => show::tenants_with_agents(self.scope, self.live),
        };
        let names = self.names(tenants.into_iter()).await;
        let mut shown = Vec::new();
        for (tenant, names) in &names {
            for entry in self.of_tenant(*tenant, names).entries {
                if self.may_see(entry.person()) && (self.scope.tenant.is_some() || !entry.queues.is_empty()) {
                    let agent = entry.view();
                    shown.push((agent.extension.clone().unwrap_or_default(), agent));
                }
            }
        }
        shown
    }

    pub async fn presence(&self) -> Vec<Presence> {
        let found = show::phones(self.scope, self.live);
        let names = self.names(found.iter().map(|(tenant, _)| *tenant)).await;
        let mut shown = Vec::new();
        for (tenant, aor) in found {
            let Some(names) = names.get(&tenant) else { continue };
            if self.may_see(names.of_phone(&aor.0).and_then(|one| one.user)) {
                let scope = Scope { tenant: Some(tenant), ..self.scope.clone() };
                shown.push(show::presence(&scope, self.live, &aor, names));
            }
        }
        shown
    }

    /// With the switches that see them.
    pub async fn gateways(&self) -> Vec<(Uuid, LiveGateway)> {
        let carriers = self.live.carriers.all(self.pool).await;
        let mut shown = Vec::new();
        for watched in self.scope.switches(self.live) {
            let known = watched.known();
            if known.unknown_since.is_some() {
                continue;
            }
            for (id, gateway) in &known.state.gateways {
                let carrier = carriers.iter().find(|carrier| carrier.id == *id);
                let owner = carrier.and_then(|carrier| carrier.tenant);
                if self.scope.tenant.is_some() && owner != self.scope.tenant {
                    continue;
                }
                let shown_as = LiveGateway {
                    carrier_id: *id,
                    carrier: carrier.map(|carrier| carrier.name.clone()),
                    tenant_id: owner,
                    up: gateway.is_up,
                    state: gateway.state.clone(),
                    since: gateway.since.map(views::time),
                    at: self.scope.at(&watched),
                };
                shown.push((watched.switch, shown_as));
            }
        }
        shown
    }
}

/// What is known of a queue's calls of today.
#[must_use]
pub fn today(levels: Option<&levels::Queues>, queue: Uuid) -> Option<Today> {
    levels.map(|levels| levels.get(&queue).cloned().unwrap_or_else(levels::none_yet))
}

/// How those are who serve a queue.
#[must_use]
pub fn serving(usernames: &BTreeSet<String>, agents: &Agents) -> Vec<Agent> {
    let mut shown = Vec::<Agent>::new();
    for entry in usernames.iter().filter_map(|username| agents.of_phone(username)) {
        let agent = entry.view();
        if !shown.iter().any(|other| other.extension == agent.extension) {
            shown.push(agent);
        }
    }
    shown
}
