//! What a node does for agents all the time: it reads what they chose, sees how they are, has switches follow, and writes down what happened.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    follow::{self, Command, Told, Wanted},
    log::{Log, Logged},
    store,
};
use crate::{
    model::{
        agent_status::{Chosen, OnSwitch, Status},
        call_handling::AtQueues,
    },
    node::changes::Changes,
    switch::{
        control::line::Lines,
        link::pushes::AgentName,
        live::{
            Live, Watched,
            agents::{self, Agents, Shown, Who},
            queues::Agent,
            said::Micros,
            show::{self, Scope},
            views::{AgentState, time},
        },
    },
    telephony::extensions,
};

/// How often the database is asked what was chosen, and which links this node holds.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often everything is read again, so that nothing stays that was missed.
const READ_EVERY: Duration = Duration::from_mins(1);
/// A change may become visible this long after its time.
const MARGIN: TimeDelta = TimeDelta::seconds(15);
/// How often agents without a phone are looked at.
const LOOK_AT_PHONES: TimeDelta = TimeDelta::seconds(5);
/// How many changes of live state are looked at together.
const GATHER: Duration = Duration::from_millis(10);
/// How old people's names may be here.
const NAMES: Duration = Duration::from_mins(1);
/// The most log entries of a transaction.
const MOST_AT_ONCE: usize = 200;
/// How long what was just written may be missing in what is read.
const SETTLES: Duration = Duration::from_secs(3);

/// What this node is responsible for.
#[derive(Debug, Default)]
struct Duties {
    /// The switches that it tells.
    switches: BTreeSet<Uuid>,
    /// The clusters whose log it writes.
    clusters: BTreeSet<Uuid>,
}

/// Whose phones are gone, or are there again.
#[derive(Debug, Default)]
struct Phones {
    /// Since when none is registered.
    lost: HashMap<(Uuid, Uuid), DateTime<Utc>>,
    /// What is to be written: of a tenant's agents, since when their phones are gone.
    to_write: BTreeMap<(Uuid, Option<DateTime<Utc>>), Vec<Uuid>>,
    written: HashMap<(Uuid, Uuid), Instant>,
}

struct Keeper {
    live: Arc<Live>,
    changes: Changes,
    node: Uuid,
    duties: Mutex<Duties>,
    log: Mutex<Log>,
    phones: Mutex<Phones>,
    /// Something may have to be told or written.
    turn: Notify,
    lines: Lines,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs for as long as the node does.
pub async fn run(live: Arc<Live>, changes: Changes) {
    let Some(node) = changes.poller().map(|poller| poller.node()) else { return };
    let keeper = Keeper {
        live,
        changes,
        node,
        duties: Mutex::default(),
        log: Mutex::default(),
        phones: Mutex::default(),
        turn: Notify::new(),
        lines: Lines::default(),
    };
    tokio::join!(keeper.read(), keeper.see(), keeper.follow(), keeper.write());
}

impl Keeper {
    /// Reads what was chosen, and which links are held here. While the database is away, everything stays as it was, but nothing is held.
    async fn read(&self) {
        let (mut newest, mut whole_at) = (None::<DateTime<Utc>>, None::<Instant>);
        loop {
            let is_whole = whole_at.is_none_or(|at| at.elapsed() > READ_EVERY);
            let since = newest.filter(|_| !is_whole).map(|newest| newest - MARGIN);
            match store::changed(self.changes.pool(), since).await {
                Ok(rows) => {
                    if is_whole {
                        let there = rows.iter().map(|row| (row.tenant, row.user)).collect();
                        self.live.chosen.keep(&there);
                        whole_at = Some(Instant::now());
                        newest = newest.or(Some(DateTime::UNIX_EPOCH + MARGIN));
                    }
                    newest = newest.max(rows.iter().map(|row| row.changed_at).max());
                    let news = self.live.chosen.put(rows);
                    if !news.is_empty() {
                        self.live.stirred.tenants(news);
                        self.turn.notify_waiters();
                    }
                }
                Err(error) => tracing::debug!(%error, "the database could not say what agents have chosen"),
            }
            let held = store::held(self.changes.pool(), self.node).await.unwrap_or_default();
            let clusters = held.iter().filter(|link| link.is_first).map(|link| link.cluster).collect();
            *locked(&self.duties) = Duties { switches: held.iter().map(|link| link.switch).collect(), clusters };
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_ours(&self, tenant: Uuid) -> bool {
        let cluster = self.live.generations().scope(tenant).map(|slot| slot.cluster);
        cluster.is_some_and(|cluster| locked(&self.duties).clusters.contains(&cluster))
    }

    /// Looks at the agents of tenants in which something happened, or is due.
    async fn see(&self) {
        let mut due = HashMap::<Uuid, DateTime<Utc>>::new();
        let mut seen = HashMap::<(Uuid, String), AgentState>::new();
        loop {
            let next = due.values().min().map(|at| (*at - Utc::now()).to_std().unwrap_or_default());
            tokio::select! {
                () = self.live.stirred.news() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(next.unwrap_or(LOOK_EVERY * 4).max(GATHER)) => {}
            }
            let stirred = self.live.stirred.take();
            let now = Utc::now();
            let mut tenants =
                due.iter().filter(|(_, at)| **at <= now).map(|(tenant, _)| *tenant).collect::<BTreeSet<_>>();
            // Where nobody serves queues and nobody ever chose anything, there is nothing to see.
            let followed = show::tenants_with_agents(&Scope::default(), &self.live).into_iter();
            let followed = followed.chain(self.live.chosen.tenants()).collect::<BTreeSet<_>>();
            let known = locked(&self.log).tenants();
            match stirred {
                Some(stirred) => tenants.extend(stirred.into_iter().filter(|one| followed.contains(one))),
                None => tenants.extend(followed.union(&known)),
            }
            for tenant in tenants {
                due.remove(&tenant);
                if let Some(at) = self.see_tenant(tenant, &mut seen).await {
                    due.insert(tenant, at);
                }
            }
            self.turn.notify_waiters();
        }
    }

    /// Looks at a tenant's agents. Returns when they must be looked at again.
    async fn see_tenant(&self, tenant: Uuid, seen: &mut HashMap<(Uuid, String), AgentState>) -> Option<DateTime<Utc>> {
        let live = &self.live;
        let names = live.names.not_older(tenant, live.generations(), self.changes.pool(), NAMES).await;
        let all = agents::of_tenant(&Scope::default(), live, tenant, &names, None);
        let now = Utc::now();
        let mut due = all.entries.iter().filter_map(|entry| entry.shown.until).min().map(time);
        let mut there = HashSet::new();
        for entry in &all.entries {
            let Some(username) = entry.usernames.first() else { continue };
            let is_news = match &entry.who {
                Who::Person(user) => {
                    there.insert(*user);
                    locked(&self.log).see(tenant, *user, &entry.shown, now)
                }
                Who::Phone(_) => seen.insert((tenant, username.clone()), entry.shown.state) != Some(entry.shown.state),
            };
            if is_news {
                live.tell_of_agent(tenant, username, entry.shown.since.unwrap_or_default());
            }
        }
        let missing = locked(&self.log).of_tenant(tenant);
        // Whoever is suspended, or has no extension any more, is not at work.
        let missed = if all.is_heard { AgentState::Offline } else { AgentState::Unknown };
        for user in missing.into_iter().filter(|user| !there.contains(user)) {
            locked(&self.log).see(tenant, user, &Shown::plain(missed, None), now);
        }
        if let Some(at) = self.look_after_phones(tenant, &all, names.grace, now) {
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        due
    }

    /// Notes whose phones are gone for too long, or are there again. Returns when somebody's will have been gone for too long.
    fn look_after_phones(
        &self,
        tenant: Uuid,
        all: &Agents,
        grace: Option<u32>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut phones = locked(&self.phones);
        if !all.is_whole {
            // A phone may be registered at the switch that is not heard.
            phones.lost.retain(|(of, _), _| *of != tenant);
            return None;
        }
        let is_ours = self.is_ours(tenant);
        phones.written.retain(|_, at| at.elapsed() < SETTLES);
        let mut due = None::<DateTime<Utc>>;
        // What was just written is not read yet, or another node writes it, or this one takes over from it.
        let again = now + TimeDelta::seconds(1);
        for entry in &all.entries {
            let Some(user) = entry.person() else { continue };
            let chosen = entry.parts.chosen.as_ref().and_then(Option::as_ref);
            let gone_at = chosen.and_then(|one| one.gone_at);
            let counts = !entry.queues.is_empty() || chosen.is_some();
            let is_there = entry.phones > 0 || entry.parts.call.is_some();
            let Some(grace) = grace.filter(|_| counts && !is_there) else {
                phones.lost.remove(&(tenant, user));
                if gone_at.is_some() && is_ours && !phones.written.contains_key(&(tenant, user)) {
                    phones.to_write.entry((tenant, None)).or_default().push(user);
                    phones.written.insert((tenant, user), Instant::now());
                } else if gone_at.is_some() {
                    due = Some(due.map_or(again, |due| due.min(again)));
                }
                continue;
            };
            let lost = *phones.lost.entry((tenant, user)).or_insert(now);
            let is_available = chosen.is_none_or(|one| one.status == Status::Available);
            if gone_at.is_some() || !is_available {
                continue;
            }
            let over = lost + TimeDelta::seconds(grace.into());
            if over > now {
                // The tenant may allow less by then.
                let look = over.min(now + LOOK_AT_PHONES);
                due = Some(due.map_or(look, |due| due.min(look)));
            } else if is_ours && !phones.written.contains_key(&(tenant, user)) {
                phones.to_write.entry((tenant, Some(lost))).or_default().push(user);
                phones.written.insert((tenant, user), Instant::now());
            } else {
                due = Some(due.map_or(again, |due| due.min(again)));
            }
        }
        due
    }

    /// Writes down what this node is to write.
    async fn write(&self) {
        let mut clusters = BTreeSet::new();
        loop {
            let new = locked(&self.duties).clusters.difference(&clusters).copied().collect::<BTreeSet<_>>();
            let mut taken = locked(&self.log).take(|tenant| self.is_ours(tenant), Utc::now());
            if let Err(error) = self.leave_written(&mut taken, &new).await {
                tracing::debug!(%error, "the log of agents could not be read");
                locked(&self.log).put_back(taken);
                tokio::time::sleep(LOOK_EVERY * 4).await;
                continue;
            }
            let mut left = taken.as_slice();
            while !left.is_empty() {
                let (now, rest) = left.split_at(left.len().min(MOST_AT_ONCE));
                if let Err(error) = self.write_down(now).await {
                    tracing::debug!(%error, "how agents were could not be written down");
                    locked(&self.log).put_back(left.to_vec());
                    tokio::time::sleep(LOOK_EVERY * 4).await;
                    break;
                }
                left = rest;
            }
            if left.is_empty() {
                self.catch_up(&mut clusters).await;
            }
            let to_write = std::mem::take(&mut locked(&self.phones).to_write);
            for ((tenant, gone_at), users) in to_write {
                if let Err(error) = store::set_gone(self.changes.pool(), tenant, &users, gone_at).await {
                    tracing::debug!(%error, "whose phones are gone could not be written down");
                }
            }
            tokio::select! {
                () = self.turn.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn write_down(&self, entries: &[Logged]) -> sqlx::Result<()> {
        let mut tx = self.changes.pool().begin().await?;
        for Logged { tenant, user, now } in entries {
            if !store::write(&mut tx, self.node, *tenant, *user, now).await? {
                // Another node has the link by now, and has seen it, too.
                return Ok(());
            }
        }
        tx.commit().await
    }

    fn is_among(&self, clusters: &BTreeSet<Uuid>, tenant: Uuid) -> bool {
        self.live.generations().scope(tenant).is_some_and(|slot| clusters.contains(&slot.cluster))
    }

    /// Where this node has just begun to write: leaves out what another one has written before.
    async fn leave_written(&self, taken: &mut Vec<Logged>, new: &BTreeSet<Uuid>) -> sqlx::Result<()> {
        let tenants = taken.iter().map(|entry| entry.tenant).filter(|tenant| self.is_among(new, *tenant));
        for tenant in tenants.collect::<BTreeSet<_>>() {
            let open = store::open(self.changes.pool(), tenant).await?.into_iter().collect::<HashMap<_, _>>();
            taken.retain(|entry| {
                entry.tenant != tenant || open.get(&entry.user).is_none_or(|open| entry.now.at > open.at)
            });
        }
        Ok(())
    }

    /// Where this node has just begun to write: whatever is otherwise than the log says is written.
    async fn catch_up(&self, known: &mut BTreeSet<Uuid>) {
        let clusters = locked(&self.duties).clusters.clone();
        let new = clusters.difference(known).copied().collect::<BTreeSet<_>>();
        known.retain(|cluster| clusters.contains(cluster));
        if new.is_empty() {
            return;
        }
        let tenants = locked(&self.log).tenants();
        for tenant in tenants.into_iter().filter(|tenant| self.is_among(&new, *tenant)) {
            let last = locked(&self.log).last(tenant);
            let caught_up = async {
                let open = store::open(self.changes.pool(), tenant).await?.into_iter().collect::<HashMap<_, _>>();
                let differs = |entry: &Logged| open.get(&entry.user).is_none_or(|open| !open.is_as(&entry.now));
                let differ = last.into_iter().filter(differs).collect::<Vec<_>>();
                for some in differ.chunks(MOST_AT_ONCE) {
                    self.write_down(some).await?;
                }
                Ok::<_, sqlx::Error>(())
            };
            if let Err(error) = caught_up.await {
                tracing::debug!(%tenant, %error, "how agents are could not be compared with the log");
                return;
            }
        }
        known.extend(new);
    }

    /// Has the switches follow whose links this node holds.
    async fn follow(&self) {
        let told = Mutex::new(HashMap::<(Uuid, String), Told>::new());
        let noted = Mutex::new(HashMap::<(Uuid, String, Micros), Instant>::new());
        loop {
            tokio::select! {
                () = self.turn.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let held = locked(&self.duties).switches.clone();
            let switches = self.live.switches().into_iter().filter(|watched| held.contains(&watched.switch));
            let switches = switches.collect::<Vec<_>>();
            join_all(switches.iter().map(|watched| self.tell(watched, &told, &noted))).await;
        }
    }

    /// Tells a switch what it lacks.
    async fn tell(
        &self,
        watched: &Watched,
        told: &Mutex<HashMap<(Uuid, String), Told>>,
        noted: &Mutex<HashMap<(Uuid, String, Micros), Instant>>,
    ) {
        let whose = self.live.whose(watched);
        let mut of_tenants = BTreeMap::<Uuid, Vec<(String, Agent)>>::new();
        {
            let known = watched.known();
            if known.unknown_since.is_some() {
                return;
            }
            for (name, agent) in known.state.queues.agents() {
                if let Some(tenant) = whose.of_name(name) {
                    of_tenants.entry(tenant).or_default().push((name.to_owned(), agent.clone()));
                }
            }
        }
        for (tenant, agents) in of_tenants {
            let names = self.live.names.not_older(tenant, self.live.generations(), self.changes.pool(), NAMES).await;
            for (name, agent) in agents {
                let username = name.split('@').next().unwrap_or(&name);
                let Some(extension) = names.of_phone(username).filter(|one| one.active) else { continue };
                let Ok(parsed) = name.parse::<AgentName>() else { continue };
                let chosen = extension.user.map(|user| self.live.chosen.of(tenant, user));
                let whom = Whom { tenant, extension: extension.id, user: extension.user };
                if let Some(at) = paused(&agent, chosen.as_ref(), extension.at_queues) {
                    self.note_pause(whom, (watched.switch, name.clone(), at), noted).await;
                }
                let mut wanted = wanted(chosen.as_ref(), extension.at_queues, names.wrap_up(extension.id));
                let key = (watched.switch, name.clone());
                if extension.user.is_none() {
                    // Whoever was paused and is logged in after a while has logged in again.
                    let at = agent.did_not_answer.map(|at| (watched.switch, name.clone(), at));
                    let is_settled =
                        at.and_then(|at| locked(noted).get(&at).copied()).is_some_and(|at| at.elapsed() > SETTLES);
                    wanted.changed_at = is_settled.then(Utc::now);
                }
                let before = locked(told).get(&key).copied().unwrap_or_default();
                for command in follow::commands(&parsed, &agent, &wanted, before, Utc::now()) {
                    if !self.give(watched, &name, &command).await {
                        return;
                    }
                    if let Command::Status(_, status) = command {
                        locked(told).insert(key.clone(), Told { status: Some((status, Utc::now())) });
                    }
                }
            }
        }
    }

    /// Gives a command. Returns whether the switch is there.
    async fn give(&self, watched: &Watched, name: &str, command: &Command) -> bool {
        use crate::switch::control::line::Untaken;
        match self.lines.tell(watched, self.changes.keyring(), command).await {
            Ok(()) => {
                tracing::info!(switch = %watched.switch, %command, "a switch was told of an agent");
                let mut known = watched.known();
                match command {
                    Command::Rest(_, seconds) => {
                        known.state.queues.was_told(name, |agent| agent.wrap_up = Some(*seconds));
                    }
                    Command::Ready(_, at) => known.state.queues.was_told(name, |agent| agent.ready_at = Some(*at)),
                    // It says so itself.
                    Command::Status(..) => {}
                }
                true
            }
            // It has no such agent any more.
            Err(Untaken::Refused(_)) => true,
            Err(Untaken::Away | Untaken::Unanswered) => false,
        }
    }

    /// Notes that somebody was paused because they did not answer, once.
    async fn note_pause(
        &self,
        whom: Whom,
        key: (Uuid, String, Micros),
        noted: &Mutex<HashMap<(Uuid, String, Micros), Instant>>,
    ) {
        let at = time(key.2);
        {
            let mut noted = locked(noted);
            if noted.contains_key(&key) {
                return;
            }
            if noted.len() > 10_000 {
                noted.clear();
            }
            noted.insert(key.clone(), Instant::now());
        }
        let Whom { tenant, extension, user } = whom;
        let pool = self.changes.pool();
        let written = if let Some(user) = user {
            store::did_not_answer(pool, tenant, user, at).await
        } else {
            let paused = serde_json::json!({ "at_queues": AtQueues::Paused });
            extensions::store::set_calls_by_phone(pool, tenant, extension, (&[], &paused), &[]).await.map(drop)
        };
        if let Err(error) = written {
            tracing::debug!(%error, "that a switch paused an agent could not be written down");
            locked(noted).remove(&key);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Whom {
    tenant: Uuid,
    extension: Uuid,
    user: Option<Uuid>,
}

/// When a switch paused somebody who is available, or was when it happened.
fn paused(agent: &Agent, chosen: Option<&Option<Chosen>>, code: AtQueues) -> Option<Micros> {
    match chosen {
        Some(chosen) => {
            let chosen = chosen.as_ref();
            let is_available = chosen.is_none_or(|one| one.status == Status::Available);
            follow::is_paused(agent, chosen.map(|one| one.changed_at)).filter(|_| is_available)
        }
        None => follow::is_paused(agent, None).filter(|_| code == AtQueues::LoggedIn),
    }
}

fn wanted(chosen: Option<&Option<Chosen>>, code: AtQueues, rest: u32) -> Wanted {
    let by_person = chosen.map(|chosen| chosen.as_ref().map_or((Status::Available, false), Chosen::for_switches));
    let row = chosen.and_then(Option::as_ref);
    Wanted {
        status: OnSwitch::wanted(by_person, code),
        rest,
        wrap_up: row.and_then(|row| row.wrap_up),
        changed_at: row.map(|row| row.changed_at),
    }
}
