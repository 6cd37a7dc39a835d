//! What a switch reads only when it loads is given to it: gateways, trusted addresses, queues. What there should be is compared with
//! what there is on the switch and what it was given before; the difference is worked off until there is none. So nothing is
//! forgotten, whoever made a change, and a switch that was away has everything when it is back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    routing::carried,
    text::{Domain, SipUsername},
};

/// One thing that a switch reads only when it loads, or when it is told to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Gateway(Uuid),
    /// The addresses that calls of carriers come from.
    Addresses,
    Queue(QueueName),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(carrier) => write!(f, "gateway/{carrier}"),
            Self::Addresses => f.write_str("acl"),
            Self::Queue(name) => write!(f, "queue/{name}"),
        }
    }
}

impl FromStr for Thing {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once('/') {
            None if text == "acl" => Ok(Self::Addresses),
            Some(("gateway", carrier)) => carrier.parse().map(Self::Gateway).map_err(drop),
            Some(("queue", name)) => name.parse().map(Self::Queue),
            _ => Err(()),
        }
    }
}

/// A queue's name on the switches ([`crate::routing::address`]). A name of another form is not ours, and left alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueName(String);

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for QueueName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, domain) = text.split_once('.').ok_or(())?;
        Uuid::try_parse(id).ok().filter(|_| id.len() == 32).ok_or(())?;
        Domain::parse(domain).map_err(drop)?;
        Ok(Self(text.to_owned()))
    }
}

/// An agent's name on the switches: an extension's address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentName(String);

impl FromStr for AgentName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (user, domain) = text.split_once('@').ok_or(())?;
        SipUsername::parse(user).map_err(drop)?;
        Domain::parse(domain).map_err(drop)?;
        Ok(Self(text.to_owned()))
    }
}

/// An agent in a queue.
pub type Tier = (QueueName, AgentName);
pub type Fingerprint = [u8; 32];

/// A thing, and what the switch has of it; `None`: it is to be read again.
pub type Known = (Thing, Option<Fingerprint>);

/// What a thing should be.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    pub fingerprint: Fingerprint,
    /// When it last became another; `None`: that can't be told.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What a switch should have.
#[derive(Debug, Default)]
pub struct Wanted {
    pub things: BTreeMap<Thing, Want>,
    pub tiers: BTreeSet<Tier>,
}

/// What a switch was given, and when.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// `None`: it did not take it.
    pub fingerprint: Option<Fingerprint>,
    pub since: DateTime<Utc>,
}

/// What a switch says it has.
#[derive(Debug)]
pub struct Has {
    pub booted_at: DateTime<Utc>,
    pub gateways: BTreeSet<Uuid>,
    /// `None`: it has no mod_callcenter.
    pub queues: Option<Queues>,
}

#[derive(Debug, Default)]
pub struct Queues {
    pub names: BTreeSet<QueueName>,
    pub tiers: BTreeSet<Tier>,
}

/// A command of the switch's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Takes a gateway away; it is gone about a second later (`sofia_reg_check_gateway` in sofia_reg.c).
    KillGateway(Uuid),
    /// Adds the gateways that are missing, and leaves those that are there as they are.
    Rescan,
    ReloadAddresses,
    LoadQueue(QueueName),
    ReloadQueue(QueueName),
    UnloadQueue(QueueName),
    /// A reload adds and changes agents of a queue and takes none away (`load_tiers` in mod_callcenter.c).
    DeleteTier(Tier),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillGateway(carrier) => write!(f, "sofia profile external killgw {}", carried::gateway(*carrier)),
            Self::Rescan => f.write_str("sofia profile external rescan"),
            Self::ReloadAddresses => f.write_str("reloadacl"),
            Self::LoadQueue(queue) => write!(f, "callcenter_config queue load {queue}"),
            Self::ReloadQueue(queue) => write!(f, "callcenter_config queue reload {queue}"),
            Self::UnloadQueue(queue) => write!(f, "callcenter_config queue unload {queue}"),
            Self::DeleteTier((queue, agent)) => write!(f, "callcenter_config tier del {queue} {}", agent.0),
        }
    }
}

/// One command, and what is known once the switch has taken it.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub command: Command,
    pub then: Vec<Known>,
}

/// What is to be done on a switch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// It has read these as they are when it started.
    pub known: Vec<Known>,
    pub steps: Vec<Step>,
}

/// A change may be seen by others this long after the time it bears, which is that of its transaction's beginning.
const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// A gateway that was asked for and does not come is asked for again after so long.
const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// How a thing stands on a switch.
enum Standing {
    /// It was given what it should have.
    Current,
    /// It has read it itself when it started.
    Read,
    Old,
}

impl Plan {
    /// Compares what a switch should have with what it has.
    #[must_use]
    pub fn new(wanted: &Wanted, has: &Has, given: &BTreeMap<Thing, Given>, now: DateTime<Utc>) -> Self {
        let mut plan = Self::default();
        let compared = Compared { wanted, has, given };
        plan.gateways(&compared, now);
        plan.addresses(&compared);
        if let Some(queues) = &has.queues {
            plan.queues(&compared, queues);
        }
        plan
    }

    fn gateways(&mut self, compared: &Compared<'_>, now: DateTime<Utc>) {
        let mut missing = Vec::new();
        for (thing, want) in &compared.wanted.things {
            let Thing::Gateway(carrier) = thing else { continue };
            let asked_for = |given: &Given| given.fingerprint == Some(want.fingerprint) && given.since > now - PATIENCE;
            match (compared.has.gateways.contains(carrier), compared.standing(thing, want)) {
                (true, Standing::Current) => {}
                (true, Standing::Read) => self.known.push((thing.clone(), Some(want.fingerprint))),
                (true, Standing::Old) => self.step(Command::KillGateway(*carrier), vec![(thing.clone(), None)]),
                (false, _) if compared.given.get(thing).is_some_and(asked_for) => {}
                (false, _) => missing.push((thing.clone(), Some(want.fingerprint))),
            }
        }
        for carrier in &compared.has.gateways {
            if !compared.wanted.things.contains_key(&Thing::Gateway(*carrier)) {
                self.step(Command::KillGateway(*carrier), Vec::new());
            }
        }
        if !missing.is_empty() {
            self.step(Command::Rescan, missing);
        }
    }

    fn addresses(&mut self, compared: &Compared<'_>) {
        let thing = Thing::Addresses;
        if let Some(want) = compared.wanted.things.get(&thing)
            && !matches!(compared.standing(&thing, want), Standing::Current)
        {
            self.step(Command::ReloadAddresses, vec![(thing, Some(want.fingerprint))]);
        }
    }

    fn queues(&mut self, compared: &Compared<'_>, queues: &Queues) {
        for (thing, want) in &compared.wanted.things {
            let Thing::Queue(name) = thing else { continue };
            let whole = |tier: &&Tier| tier.0 != *name || queues.tiers.contains(*tier);
            let lacks_agents = !compared.wanted.tiers.iter().all(|tier| whole(&tier));
            let then = vec![(thing.clone(), Some(want.fingerprint))];
            match (queues.names.contains(name), compared.standing(thing, want)) {
                (false, _) => self.step(Command::LoadQueue(name.clone()), then),
                (true, Standing::Current) if !lacks_agents => {}
                (true, Standing::Read) if !lacks_agents => self.known.extend(then),
                (true, _) => self.step(Command::ReloadQueue(name.clone()), then),
            }
        }
        for name in &queues.names {
            if !compared.wanted.things.contains_key(&Thing::Queue(name.clone())) {
                self.step(Command::UnloadQueue(name.clone()), Vec::new());
            }
        }
        for tier in queues.tiers.difference(&compared.wanted.tiers) {
            self.step(Command::DeleteTier(tier.clone()), Vec::new());
        }
    }

    fn step(&mut self, command: Command, then: Vec<Known>) {
        self.steps.push(Step { command, then });
    }
}

struct Compared<'a> {
    wanted: &'a Wanted,
    has: &'a Has,
    given: &'a BTreeMap<Thing, Given>,
}

impl Compared<'_> {
    fn standing(&self, thing: &Thing, want: &Want) -> Standing {
        // What it was given before it started is forgotten there.
        match self.given.get(thing).filter(|given| given.since >= self.has.booted_at) {
            Some(given) if given.fingerprint == Some(want.fingerprint) => Standing::Current,
            None if want.changed_at.is_some_and(|at| at < self.has.booted_at - MARGIN) => Standing::Read,
            _ => Standing::Old,
        }
    }
}

#[cfg(test)]
mod tests;
