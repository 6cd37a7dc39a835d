//! All that is known of what goes on at one switch. Events and full reads change it; it does neither wait nor ask.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{
    calls::{self, Calls},
    change::Change,
    conferences::{self, Conferences, Lots},
    leg::Phase,
    queues::{self, Queues},
    registrations::{self, Registrations},
    said::{Beat, Micros, OfQueue, Said, What},
};
use crate::{routing::withheld, switch::link::gateways::Gateway};

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
    /// The SIP usernames and domains of channels that were there before anybody listened.
    pub phones: Vec<(Uuid, (String, String))>,
    /// The Call-IDs of these, and the pages of those that are in a browser.
    pub dialogs: Vec<(Uuid, String, Option<String>)>,
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
    /// The last heartbeat. There is none in the first seconds.
    pub beat: Option<Beat>,
    /// When the last call of a phone ended, by its domain and its SIP username.
    idle_since: HashMap<String, HashMap<String, Micros>>,
}

/// The most phones of a domain whose last call is remembered.
const MOST_IDLE: usize = 50_000;

impl State {
    /// When the last call of a phone ended, as far as anybody listened.
    #[must_use]
    pub fn idle_since(&self, user: &str, domain: &str) -> Option<Micros> {
        self.idle_since.get(domain)?.get(user).copied()
    }

    pub fn heard(&mut self, said: Said) -> Vec<Change> {
        let Said { at, what } = said;
        match what {
            What::Registered(said) => self.registrations.registered(at, &said),
            What::Unregistered(call_id) => self.registrations.unregistered(at, &call_id),
            What::Reached(call_id, is_reachable) => self.registrations.reached(&call_id, is_reachable),
            What::Leg(said) => {
                let mut changes = self.calls.heard(at, *said);
                self.let_go(&mut changes, at);
                changes
            }
            What::Queue(said) => {
                let mut changes = self.queues.heard(at, &said);
                match *said {
                    OfQueue::Joined { queue, leg, number, .. } => {
                        if number == withheld::NOBODY {
                            self.calls.hide(leg);
                        }
                        changes.extend(self.calls.note(leg, Some(&queue), None));
                    }
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
            What::Tapped(tapped) => self.calls.tapped(&tapped),
            What::Job(..) => Vec::new(),
            What::Beat(beat) => {
                self.beat = Some(beat);
                Vec::new()
            }
            What::Gateway { carrier, is_up, state } => {
                let known = self.gateways.get(&carrier);
                if known.is_some_and(|known| known.is_up == is_up && known.state == state || known.since > Some(at)) {
                    return Vec::new();
                }
                self.gateways.insert(carrier, GatewayNow { is_up, state, since: Some(at) });
                vec![Change::Gateway(carrier)]
            }
            What::GatewayIs { carrier, there: true } => {
                // One that registers says its state itself, perhaps before this.
                if self.gateways.contains_key(&carrier) {
                    return Vec::new();
                }
                let state = "NOREG".to_owned();
                self.gateways.insert(carrier, GatewayNow { is_up: true, state, since: Some(at) });
                vec![Change::Gateway(carrier)]
            }
            What::GatewayIs { carrier, there: false } => {
                self.gateways.remove(&carrier).map(|_| Change::Gateway(carrier)).into_iter().collect()
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
        for (leg, phone) in lists.phones {
            self.calls.of_phone_named(leg, phone);
        }
        for (leg, sip_call_id, page) in lists.dialogs {
            self.calls.of_dialog(leg, sip_call_id, page);
        }
        self.let_go(&mut changes, began);
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
        let gone = before.keys().filter(|carrier| !self.gateways.contains_key(carrier));
        changes.extend(gone.map(|carrier| Change::Gateway(*carrier)));
        changes
    }

    /// Legs that are over are in no conference and in no parking lot.
    fn let_go(&mut self, changes: &mut Vec<Change>, at: Micros) {
        for change in changes.iter() {
            if let Change::LegOver(leg) = change
                && leg.phase != Phase::Ringing
                && let Some((user, domain)) = &leg.about.phone
            {
                let of_domain = self.idle_since.entry(domain.clone()).or_default();
                if of_domain.len() >= MOST_IDLE {
                    of_domain.clear();
                }
                of_domain.insert(user.clone(), at);
            }
        }
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// In bytes.
    fn resident() -> u64 {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    #[test]
    fn a_large_switch_is_read_in_little_time_and_memory() {
        let seconds = 1_790_000_000_i64;
        let domain = |number: usize| format!("tenant-{}.example", number % 100);
        let registrations = (0..10_000).map(|number| {
            let (user, domain) = (1000 + number / 100, domain(number));
            serde_json::json!({
                "reg_user": user.to_string(), "realm": domain, "token": format!("3c26a5b1f9e8-{number}@192.168.1.20"),
                "url": format!("sofia/internal/sip:{user}@198.51.100.7:{};transport=tls;line=ab12cd34;fs_nat=yes;fs_path=sip%3A{user}%40198.51.100.7", 1024 + number),
                "expires": (seconds + 300).to_string(), "network_ip": "198.51.100.7", "network_port": "5061", "network_proto": "tls",
            })
        });
        let channels = (0..1000).map(|number| {
            let (user, domain, call) = (1000 + number / 100, domain(number), Uuid::from_u128(number as u128 / 2 * 2));
            serde_json::json!({
                "uuid": Uuid::from_u128(number as u128), "direction": if number % 2 == 0 { "inbound" } else { "outbound" },
                "created_epoch": seconds.to_string(), "name": format!("sofia/internal/{user}@{domain}"), "cid_name": "Ada Lovelace",
                "cid_num": "+493012345678", "dest": "+12025550123", "context": domain, "presence_id": format!("{user}@{domain}"),
                "callstate": "ACTIVE", "call_uuid": call.to_string(), "application": "bridge",
            })
        });
        let registrations = serde_json::json!(registrations.collect::<Vec<_>>()).to_string();
        let channels = serde_json::json!(channels.collect::<Vec<_>>()).to_string();
        let (before, began) = (resident(), Instant::now());
        let mut state = State::default();
        let lists = Lists {
            began: seconds * 1_000_000,
            registrations: serde_json::from_str(&registrations).unwrap(),
            channels: serde_json::from_str(&channels).unwrap(),
            ..Lists::default()
        };
        state.read(lists);
        println!("{:?}, {} kB", began.elapsed(), resident().saturating_sub(before) / 1024);
        assert_eq!((state.registrations.len(), state.calls.ids().count()), (10_000, 500));
        // A debug build on a busy machine; the lists that the switch writes take half a second themselves.
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }
}
