//! All that is known of what goes on at one switch. Events and full reads change it; it does neither wait nor ask.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    calls::{self, Calls},
    change::Change,
    conferences::{self, Conferences, Lots},
    queues::{self, Queues},
    registrations::{self, Registrations},
    said::{Micros, OfQueue, Said, What},
};
use crate::switch::link::gateways::Gateway;

/// How a switch sees a carrier's gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayNow {
    pub is_up: bool,
    pub state: String,
    /// Since when, as far as anybody listened.
    pub since: Option<Micros>,
}

/// Everything that a switch lists.
#[derive(Debug, Default)]
pub struct Lists {
    /// When it was asked, by its own clock.
    pub began: Micros,
    pub registrations: Vec<registrations::Row>,
    pub channels: Vec<calls::Row>,
    pub pairs: Vec<calls::Pair>,
    /// The tenants of channels whose list does not say it.
    pub tenants: Vec<(Uuid, Uuid)>,
    pub queues: queues::Lists,
    pub conferences: Vec<conferences::Row>,
    pub parked: Vec<(String, String, Uuid)>,
    pub gateways: Vec<Gateway>,
}

#[derive(Debug, Default)]
pub struct State {
    pub registrations: Registrations,
    pub calls: Calls,
    pub queues: Queues,
    pub conferences: Conferences,
    pub lots: Lots,
    pub gateways: BTreeMap<Uuid, GatewayNow>,
}

impl State {
    pub fn heard(&mut self, said: Said) -> Vec<Change> {
        let Said { at, what } = said;
        match what {
            What::Registered(said) => self.registrations.registered(at, &said),
            What::Unregistered(call_id) => self.registrations.unregistered(at, &call_id),
            What::Reached(call_id, is_reachable) => self.registrations.reached(&call_id, is_reachable),
            What::Leg(said) => {
                let mut changes = self.calls.heard(at, *said);
                self.let_go(&mut changes);
                changes
            }
            What::Queue(said) => {
                let mut changes = self.queues.heard(at, &said);
                match *said {
                    OfQueue::Joined { queue, leg, .. } => changes.extend(self.calls.note(leg, Some(&queue), None)),
                    OfQueue::Served { queue, agent, agent_leg, .. } => {
                        let noted = agent_leg.map(|leg| self.calls.note(leg, Some(&queue), Some(&agent)));
                        changes.extend(noted.into_iter().flatten());
                    }
                    _ => {}
                }
                changes
            }
            What::Conference(said) => self.conferences.heard(at, &said),
            What::Parked(said) => {
                let mut changes = self.lots.heard(at, &said);
                changes.extend(self.calls.park(said.leg, at, said.is_there));
                changes
            }
            What::Gateway { carrier, is_up, state } => {
                let known = self.gateways.get(&carrier);
                if known.is_some_and(|known| known.is_up == is_up && known.state == state || known.since > Some(at)) {
                    return Vec::new();
                }
                self.gateways.insert(carrier, GatewayNow { is_up, state, since: Some(at) });
                vec![Change::Gateway(carrier)]
            }
        }
    }

    /// Takes over what the switch lists. What it said since it was asked must be heard again after this.
    pub fn read(&mut self, lists: Lists) -> Vec<Change> {
        let began = lists.began;
        let mut changes = self.registrations.read(lists.registrations, began);
        changes.extend(self.calls.read(lists.channels, &lists.pairs, began));
        for (leg, tenant) in lists.tenants {
            self.calls.of_tenant(leg, tenant);
        }
        self.let_go(&mut changes);
        changes.extend(self.queues.read(lists.queues, began));
        for member in self.queues.names().map(ToOwned::to_owned).collect::<Vec<_>>() {
            for leg in self.queues.waiting(&member).into_iter().map(|one| one.leg).collect::<Vec<_>>() {
                self.calls.note(leg, Some(&member), None);
            }
        }
        self.conferences.read(lists.conferences, began);
        self.lots.read(lists.parked);
        let before = std::mem::take(&mut self.gateways);
        for Gateway { carrier, up, state } in lists.gateways {
            let known = before.get(&carrier).filter(|known| known.is_up == up && known.state == state);
            let since = known.and_then(|known| known.since);
            if known.is_none() {
                changes.push(Change::Gateway(carrier));
            }
            self.gateways.insert(carrier, GatewayNow { is_up: up, state, since });
        }
        changes
    }

    /// Legs that are over are in no conference and in no parking lot.
    fn let_go(&mut self, changes: &mut Vec<Change>) {
        let over = changes.iter().filter_map(|change| match change {
            Change::LegOver(leg) => Some(leg.id),
            _ => None,
        });
        for leg in over.collect::<Vec<_>>() {
            changes.extend(self.conferences.left(leg));
            changes.extend(self.lots.left(leg));
        }
    }
}
