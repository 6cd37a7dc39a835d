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
    /// When it was last written to, if that can be told: not later than it became another.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What a switch should have.
#[derive(Debug, Default)]
pub struct Wanted {
    pub things: BTreeMap<Thing, Want>,
    /// An address that is to be trusted, if any is.
    pub trusted: Option<String>,
    pub tiers: BTreeSet<Tier>,
}

/// What a switch was given, and when.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// `None`: it is being replaced, or was refused.
    pub fingerprint: Option<Fingerprint>,
    pub since: DateTime<Utc>,
    pub refused: bool,
}

/// What a switch says it has.
#[derive(Debug)]
pub struct Has {
    pub booted_at: DateTime<Utc>,
    pub gateways: BTreeSet<Uuid>,
    /// It trusts an address that it should.
    pub trusts: bool,
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
    /// Takes a gateway away; it is gone a second or two later (`sofia_reg_check_gateway` in sofia_reg.c).
    KillGateway(Uuid),
    /// Reads one gateway. A rescan would do more: look up the switch's own address, forget its counters (`config_sofia` in sofia.c).
    StartGateway(Uuid),
    ReloadAddresses,
    /// Reads a queue, also one that is there. `queue reload` takes it away first, and sends away who waits if the fetch fails
    /// (`members_callback` in mod_callcenter.c); this leaves the one before to those who are in it.
    LoadQueue(QueueName),
    UnloadQueue(QueueName),
    /// Loading adds and changes agents of a queue and takes none away (`load_tiers` in mod_callcenter.c).
    DeleteTier(Tier),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillGateway(carrier) => write!(f, "sofia profile external killgw {}", carried::gateway(*carrier)),
            Self::StartGateway(carrier) => write!(f, "sofia profile external startgw {}", carried::gateway(*carrier)),
            Self::ReloadAddresses => f.write_str("reloadacl"),
            Self::LoadQueue(queue) => write!(f, "callcenter_config queue load {queue}"),
            Self::UnloadQueue(queue) => write!(f, "callcenter_config queue unload {queue}"),
            Self::DeleteTier((queue, agent)) => write!(f, "callcenter_config tier del {queue} {}", agent.0),
        }
    }
}

/// One command, and what it is about.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub command: Command,
    /// What is known of a thing once the switch was told. `None`: nothing is kept of it.
    pub then: Option<Known>,
}

/// What is to be done on a switch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Errands {
    /// It has these as they are.
    pub known: Vec<Known>,
    pub steps: Vec<Step>,
    /// How many wait for something that was told before.
    pub waiting: usize,
}

/// A change may be seen by others this long after the time it bears, which is that of its transaction's beginning.
const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// What was refused, or asked for and did not come, is tried again after so long.
const PATIENCE: TimeDelta = TimeDelta::seconds(10);

/// How a thing that is on a switch stands there.
enum Standing {
    /// It was given what it should have.
    Current,
    /// Not by us, but it has it: it read it when it started, or was told by somebody else.
    Read,
    /// It was told to take another, or refused it, a moment ago.
    Waits,
    Old,
}

impl Errands {
    /// Compares what a switch should have with what it has.
    #[must_use]
    pub fn new(wanted: &Wanted, has: &Has, given: &BTreeMap<Thing, Given>, now: DateTime<Utc>) -> Self {
        let mut plan = Self::default();
        let compared = Compared { wanted, has, given, now };
        plan.gateways(&compared);
        plan.addresses(&compared);
        if let Some(queues) = &has.queues {
            plan.queues(&compared, queues);
        }
        plan
    }

    /// A gateway that changed is killed, and started when it is gone. One that is there is killed only for what is known to be
    /// another: a row that is missing is no reason, for a carrier that works is worth more than a price list's date.
    fn gateways(&mut self, compared: &Compared<'_>) {
        for (thing, want) in &compared.wanted.things {
            let Thing::Gateway(carrier) = thing else { continue };
            if !compared.has.gateways.contains(carrier) {
                if compared.was_started(thing, want) {
                    self.waiting += 1;
                } else {
                    // Noted before it is told: should the answer be late, the gateway is seen to be there.
                    self.step(Command::StartGateway(*carrier), Some((thing.clone(), Some(want.fingerprint))));
                }
                continue;
            }
            match compared.standing(thing, want) {
                Standing::Current => {}
                Standing::Read => self.known.push((thing.clone(), Some(want.fingerprint))),
                Standing::Waits => self.waiting += 1,
                Standing::Old => self.step(Command::KillGateway(*carrier), Some((thing.clone(), None))),
            }
        }
        for carrier in &compared.has.gateways {
            if !compared.wanted.things.contains_key(&Thing::Gateway(*carrier)) {
                self.step(Command::KillGateway(*carrier), None);
            }
        }
    }

    fn addresses(&mut self, compared: &Compared<'_>) {
        let thing = Thing::Addresses;
        let Some(want) = compared.wanted.things.get(&thing) else { return };
        match compared.standing(&thing, want) {
            Standing::Waits => self.waiting += 1,
            Standing::Current if compared.has.trusts => {}
            // It says that it has read them also when it could not (`reload_acl_function` in mod_commands.c).
            Standing::Current if compared.was_started(&thing, want) => self.waiting += 1,
            _ => self.step(Command::ReloadAddresses, Some((thing, Some(want.fingerprint)))),
        }
    }

    fn queues(&mut self, compared: &Compared<'_>, queues: &Queues) {
        let lacking = compared.wanted.tiers.difference(&queues.tiers).map(|(queue, _)| queue).collect::<BTreeSet<_>>();
        for (thing, want) in &compared.wanted.things {
            let Thing::Queue(name) = thing else { continue };
            let is_whole = queues.names.contains(name) && !lacking.contains(name);
            let then = (thing.clone(), Some(want.fingerprint));
            match compared.standing(thing, want) {
                Standing::Current if is_whole => {}
                Standing::Read if is_whole => self.known.push(then),
                Standing::Waits => self.waiting += 1,
                Standing::Current if compared.was_started(thing, want) => self.waiting += 1,
                _ => self.step(Command::LoadQueue(name.clone()), Some(then)),
            }
        }
        for name in &queues.names {
            if !compared.wanted.things.contains_key(&Thing::Queue(name.clone())) {
                self.step(Command::UnloadQueue(name.clone()), None);
            }
        }
        for tier in queues.tiers.difference(&compared.wanted.tiers) {
            self.step(Command::DeleteTier(tier.clone()), None);
        }
    }

    fn step(&mut self, command: Command, then: Option<Known>) {
        self.steps.push(Step { command, then });
    }
}

struct Compared<'a> {
    wanted: &'a Wanted,
    has: &'a Has,
    given: &'a BTreeMap<Thing, Given>,
    now: DateTime<Utc>,
}

impl Compared<'_> {
    fn standing(&self, thing: &Thing, want: &Want) -> Standing {
        let Some(given) = self.given.get(thing) else {
            return if *thing == Thing::Addresses { Standing::Old } else { Standing::Read };
        };
        let is_recent = given.since > self.now - PATIENCE;
        match given.fingerprint {
            None if is_recent => Standing::Waits,
            Some(print) if print == want.fingerprint && given.since >= self.has.booted_at => Standing::Current,
            // In an earlier life; it has read the same again since.
            Some(print) if print == want.fingerprint => Standing::Read,
            _ if self.was_read(given, want) => Standing::Read,
            _ => Standing::Old,
        }
    }

    /// Has the switch started since the thing changed?
    fn was_read(&self, given: &Given, want: &Want) -> bool {
        let booted_at = self.has.booted_at;
        given.since < booted_at && want.changed_at.is_some_and(|at| at < booted_at - MARGIN)
    }

    fn was_started(&self, thing: &Thing, want: &Want) -> bool {
        let is_this = |given: &Given| given.refused || given.fingerprint == Some(want.fingerprint);
        self.given.get(thing).is_some_and(|given| is_this(given) && given.since > self.now - PATIENCE)
    }
}

#[cfg(test)]
mod tests;
