//! Gives a switch what it otherwise reads only when it loads: gateways, trusted addresses and queues.
//!
//! What the switch should have is compared with what it has and what it was given before, and the difference is worked off
//! until there is none. So no change is forgotten, whoever made it, and a switch that was away catches up.

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
    /// The addresses that carriers' calls come from.
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

/// A queue's name on the switches ([`crate::routing::address`]). A queue with a name of another form is not ours, and is
/// left alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(String);

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl QueueName {
    /// The queue's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        // It was read from there.
        self.0.split_once('.').and_then(|(id, _)| id.parse().ok()).unwrap_or_default()
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

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

/// A queue whose callers are told.
#[derive(Debug, Clone)]
pub struct Announcing {
    pub queue: QueueName,
    /// In seconds.
    pub every: u16,
    pub with_wait: bool,
}

/// A thing and the version that the switch has; `None` if it must read it again.
pub type Known = (Thing, Option<Fingerprint>);

/// The version that a thing should have.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    pub fingerprint: Fingerprint,
    /// When it was last written, if known. It has not changed after that.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What a switch should have.
#[derive(Debug, Default)]
pub struct Wanted {
    pub things: BTreeMap<Thing, Want>,
    /// One of the addresses to trust, if there are any.
    pub trusted: Option<String>,
    pub tiers: BTreeSet<Tier>,
    /// The queues whose callers are told their place.
    pub announcing: Vec<Announcing>,
}

/// What a switch was given, and when.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// `None` if it is being replaced, or the switch refused it.
    pub fingerprint: Option<Fingerprint>,
    pub since: DateTime<Utc>,
    pub refused: bool,
}

/// What a switch says it has.
#[derive(Debug)]
pub struct Has {
    pub booted_at: DateTime<Utc>,
    pub gateways: BTreeSet<Uuid>,
    /// Whether it trusts [`Wanted::trusted`].
    pub trusts: bool,
    /// `None` if it has no mod_callcenter.
    pub queues: Option<Queues>,
}

#[derive(Debug, Default)]
pub struct Queues {
    pub names: BTreeSet<QueueName>,
    pub tiers: BTreeSet<Tier>,
}

/// A command to a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Removes a gateway; it is gone a second or two later (`sofia_reg_check_gateway` in sofia_reg.c).
    KillGateway(Uuid),
    /// Reads one gateway. A rescan of the profile would also look up the switch's own address and reset its counters
    /// (`config_sofia` in sofia.c).
    StartGateway(Uuid),
    ReloadAddresses,
    /// Reads a queue, even if it is there already. `queue reload` would remove it first, and drop waiting callers if the
    /// fetch fails (`members_callback` in mod_callcenter.c). With this, callers stay in the old queue.
    LoadQueue(QueueName),
    UnloadQueue(QueueName),
    /// Needed because loading a queue adds and changes its agents but removes none (`load_tiers` in mod_callcenter.c).
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
            Self::DeleteTier((queue, agent)) => write!(f, "callcenter_config tier del {queue} {agent}"),
        }
    }
}

/// One command, and what it leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub command: Command,
    /// What to note once the switch was told, if anything.
    pub then: Option<Known>,
}

/// What is left to do on a switch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Errands {
    /// Things that the switch turns out to have.
    pub known: Vec<Known>,
    pub steps: Vec<Step>,
    /// How many things wait for the effect of an earlier command.
    pub waiting: usize,
}

/// A change may become visible this long after its timestamp, which is when its transaction began.
const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// How long to wait before a command is repeated that was refused or had no effect.
const PATIENCE: TimeDelta = TimeDelta::seconds(10);

/// The state of a thing that is on a switch.
enum Standing {
    /// We gave it the wanted version.
    Current,
    /// It has the wanted version, but not from us: it read it when it started, or somebody else told it to.
    Read,
    /// A moment ago, it was told to drop the old version, or refused the new one.
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

    /// A gateway that changed is killed, and started once it is gone. It is killed only if it is known to have changed: a
    /// missing note is no reason to interrupt a carrier that works.
    fn gateways(&mut self, compared: &Compared<'_>) {
        for (thing, want) in &compared.wanted.things {
            let Thing::Gateway(carrier) = thing else { continue };
            if !compared.has.gateways.contains(carrier) {
                if compared.was_started(thing, want) {
                    self.waiting += 1;
                } else {
                    // A new gateway is noted before the command is sent: the switch may have it although its answer is late.
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
            // A switch claims success even if it could not read them (`reload_acl_function` in mod_commands.c).
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
            // Given before the switch restarted; it has read the same again since.
            Some(print) if print == want.fingerprint => Standing::Read,
            _ if self.was_read(given, want) => Standing::Read,
            _ => Standing::Old,
        }
    }

    /// Whether the switch has started since the thing changed.
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
