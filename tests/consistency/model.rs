//! A model of restores: a database that changes and is restored at any point; nodes that are up, down or cut off; polls and fills
//! that take time. The nodes are the real `Generations`, `History` and `Cache`; only database and clock are simulated.
//!
//! What must hold: an answer that a node calls fresh was true at some moment within the last lease, and is not older than the
//! newest acknowledged change of it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use dialplane::{
    node::{
        generations::{Era, Former, Generations, Heard, Known, PLATFORM, Slot, Standing},
        history::{History, Seen, Snapshot, Step},
    },
    routing::Keep,
    switch::fetch::cache::{Cache, CachedAnswer, Vary},
    text::Domain,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use uuid::Uuid;

/// Moments are numbers. A lease lasts ten.
type Moment = u64;
const LEASE: Moment = 10;
const MOMENT: Duration = Duration::from_millis(100);
const RUNS: u64 = 2000;
const STEPS: usize = 400;
const NODES: usize = 3;
const TENANTS: u128 = 2;

/// What a switch can see of a tenant: a number that no other state ever has. 0 means nothing, half-way through a restore.
type Content = u64;

#[derive(Debug, Clone)]
struct Row {
    generation: u64,
    xid: u64,
    content: Content,
}

#[derive(Debug, Clone)]
struct Here {
    polled_at: Moment,
    epoch: Option<Uuid>,
    applied: u64,
}

/// The content of the database, of a dump or of a snapshot.
#[derive(Debug, Clone)]
struct Db {
    /// What no restore brings back, and where the epoch began.
    identity: u64,
    epoch_identity: u64,
    epoch: Uuid,
    since: Moment,
    started: Moment,
    /// The next transaction id.
    xid: u64,
    rows: BTreeMap<Uuid, Row>,
    nodes: BTreeMap<usize, Here>,
    is_whole: bool,
}

struct Poll {
    began: Moment,
    known: Known,
    whole: bool,
    halves: u64,
    seen: Seen,
}

/// A fill whose statement has run and whose answer has not arrived.
struct Fill {
    scope: Uuid,
    /// The slot it was read for. `None` if only the answer says whose it is, as for a phone number.
    slot: Option<Arc<Slot>>,
    floor: u64,
    era: Era,
    read: Option<(u64, Content)>,
}

struct Node {
    generations: Generations,
    history: History,
    cache: Cache,
    is_up: bool,
    is_connected: bool,
    applied: u64,
    /// When the last applied poll began, and what it applied.
    confirmed: Option<(Moment, u64)>,
    poll: Option<Poll>,
    fills: Vec<Fill>,
    /// How many of the restores in several steps this node has seen the end of.
    in_step: u64,
}

/// A change that was committed but not yet acknowledged.
struct Pending {
    node: usize,
    scope: Uuid,
    xid: u64,
    committed: Moment,
    restores: u64,
}

struct World {
    random: SmallRng,
    base: Instant,
    now: Moment,
    db: Db,
    saved: Vec<(bool, Db)>,
    /// A restore over the tables in use that is half-way, and its result.
    half: Option<Db>,
    restores: u64,
    /// How many restores there were in several steps.
    halves: u64,
    nodes: Vec<Node>,
    pending: Vec<Pending>,
    /// The content of the database over time.
    truth: BTreeMap<Uuid, Vec<(Moment, Content)>>,
    /// The newest acknowledged change, by the time of its commit.
    acknowledged: BTreeMap<Uuid, Moment>,
    fresh: u64,
}

fn tenant(n: u128) -> Uuid {
    Uuid::from_u128(100 + n)
}

fn random_id(random: &mut SmallRng) -> Uuid {
    Uuid::from_u128(random.random())
}

fn node() -> Node {
    Node {
        generations: Generations::new(MOMENT * u32::try_from(LEASE).unwrap(), |_, _| Standing::default()),
        history: History::default(),
        cache: Cache::new(1 << 20, 1 << 20),
        is_up: true,
        is_connected: false,
        applied: 0,
        confirmed: None,
        poll: None,
        fills: Vec::new(),
        in_step: 0,
    }
}

impl Db {
    fn see(&self, since: u64) -> Seen {
        let heard = self.rows.iter().filter(|(_, row)| row.xid >= since).map(|(scope, row)| Heard {
            scope: *scope,
            generation: row.generation,
            domain: (*scope != PLATFORM).then(|| Domain::parse(&format!("t{}.test", scope.as_u128())).unwrap()),
            cluster: Uuid::nil(),
            former: Former::default(),
            sandbox: false,
        });
        Seen {
            snapshot: Snapshot::parse(&format!("{0}:{0}:", self.xid)).unwrap(),
            epoch: self.epoch,
            is_same: self.identity == self.epoch_identity,
            is_whole: self.is_whole,
            heard: heard.collect(),
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let base = Instant::now();
        let nodes = (0..NODES).map(|_| node()).collect();
        let scopes = std::iter::once(PLATFORM).chain((0..TENANTS).map(tenant));
        let rows = scopes.map(|scope| (scope, Row { generation: 1, xid: 1, content: random.random() }));
        let rows = rows.collect::<BTreeMap<_, _>>();
        let truth = rows.iter().map(|(scope, row)| (*scope, vec![(0, row.content)])).collect();
        let db = Db {
            identity: 1,
            epoch_identity: 1,
            epoch: random_id(&mut random),
            since: 0,
            started: 0,
            xid: 2,
            rows,
            nodes: BTreeMap::new(),
            is_whole: true,
        };
        Self {
            random,
            base,
            now: 2 * LEASE,
            db,
            saved: Vec::new(),
            half: None,
            restores: 0,
            halves: 0,
            nodes,
            pending: Vec::new(),
            truth,
            acknowledged: BTreeMap::new(),
            fresh: 0,
        }
    }

    fn instant(&self, at: Moment) -> Instant {
        // A node counts from its start, which is a moment after the model's.
        self.base + Duration::from_secs(1) + MOMENT * u32::try_from(at).unwrap()
    }

    fn scope(&mut self) -> Uuid {
        tenant(self.random.random_range(0..TENANTS))
    }

    fn step(&mut self) {
        let n = self.random.random_range(0..NODES);
        match self.random.random_range(0..100_u32) {
            0..30 => self.poll(n),
            30..55 => self.fill(n),
            55..75 => self.ask(n),
            75..81 => self.change(n),
            81..89 => self.now += self.random.random_range(1..4_u64),
            89..91 => self.save(),
            91..94 => self.restore(),
            94..95 => self.nodes[n].is_connected = false,
            95..96 => {
                let is_up = !self.nodes[n].is_up;
                self.nodes[n] = Node { is_up, in_step: self.halves, ..node() };
            }
            _ => {
                for n in 0..NODES {
                    self.poll(n);
                }
            }
        }
        self.acknowledge();
    }

    /// Begins a poll, or applies the one that is under way.
    fn poll(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if !node.is_up {
            return;
        }
        if let Some(poll) = node.poll.take() {
            self.take_in(n, poll);
            return;
        }
        if !node.is_connected {
            // Cut off for a while.
            if self.random.random_bool(0.5) {
                return;
            }
            node.is_connected = true;
            node.history.start_over();
            node.applied = 0;
        }
        if node.generations.take_doubt() {
            node.history.start_over();
        }
        let whole = node.history.since() == 0;
        let known = if whole { node.generations.begin_era() } else { Known::default() };
        let here = Here { polled_at: self.now, epoch: node.history.epoch(), applied: node.applied };
        let seen = self.db.see(node.history.since());
        self.db.nodes.insert(n, here);
        node.poll = Some(Poll { began: self.now, known, whole, halves: self.halves, seen });
    }

    fn take_in(&mut self, n: usize, poll: Poll) {
        let began = self.instant(poll.began);
        let node = &mut self.nodes[n];
        let seen = poll.seen;
        match node.history.judge(&seen, &node.generations, &poll.known) {
            Step::Wait => node.is_connected = false,
            Step::Renew => {
                // The connection may have broken since.
                if node.is_connected && self.db.epoch == seen.epoch && self.half.is_none() {
                    self.db.epoch = random_id(&mut self.random);
                    self.db.epoch_identity = self.db.identity;
                    self.db.since = self.now;
                }
                node.history.start_over();
            }
            Step::Reread => node.history.start_over(),
            step @ (Step::Merge | Step::Replace { .. }) => {
                match step {
                    Step::Replace { replaced } => _ = node.generations.replace(&seen.heard, replaced),
                    _ => _ = node.generations.merge(seen.heard.clone()),
                }
                node.generations.renew(began);
                node.history.took(&seen);
                if seen.epoch == self.db.epoch && poll.halves == self.halves {
                    node.in_step = self.halves;
                }
                node.applied = if node.is_connected { seen.snapshot.xmin } else { 0 };
                node.confirmed = Some((poll.began, seen.snapshot.xmin));
                if poll.whole {
                    node.generations.reread();
                }
            }
        }
        if !node.is_connected {
            node.history.start_over();
        }
    }

    /// Begins a fill, or ends one.
    fn fill(&mut self, n: usize) {
        let end = self.random.random_bool(0.5);
        let scope = self.scope();
        let by_number = self.random.random_bool(0.3);
        let at = self.instant(self.now);
        let node = &mut self.nodes[n];
        if !node.is_up {
            return;
        }
        if end && !node.fills.is_empty() {
            let which = self.random.random_range(0..node.fills.len());
            let fill = node.fills.swap_remove(which);
            Self::finish(node, fill);
            return;
        }
        // A node that is not fresh asks nothing.
        if !node.generations.is_fresh_at(at) {
            return;
        }
        let slot = if by_number { None } else { node.generations.scope(scope) };
        if slot.is_none() && !by_number {
            return;
        }
        let floor = slot.as_ref().map_or(0, |slot| slot.newest());
        let era = node.generations.era();
        let read = self.db.rows.get(&scope).map(|row| (row.generation, row.content));
        node.fills.push(Fill { scope, slot, floor, era, read });
    }

    /// Ends a fill as `fetch::fill` does.
    fn finish(node: &Node, fill: Fill) {
        let Some((generation, content)) = fill.read else {
            node.generations.doubt();
            return;
        };
        let slot = if let Some(slot) = fill.slot {
            if generation < fill.floor && !slot.is_closed() {
                node.generations.doubt();
                return;
            }
            if !node.generations.raise(fill.era, &slot, generation) {
                return;
            }
            slot
        } else {
            let domain = Domain::parse(&format!("t{}.test", fill.scope.as_u128())).ok();
            let heard = Heard {
                scope: fill.scope,
                generation,
                domain,
                cluster: Uuid::nil(),
                former: Former::default(),
                sandbox: false,
            };
            let Some(slot) = node.generations.hear(fill.era, &heard) else { return };
            slot
        };
        let body = Bytes::from(content.to_string());
        let answer =
            CachedAnswer { slot, generation, body, stray: false, vary: Vary::No, rung: None, keep: Keep::WhileCurrent };
        node.cache.keep(&fill.scope.as_bytes()[..].into(), Arc::new(answer));
    }

    /// A switch asks for a kept answer.
    fn ask(&mut self, n: usize) {
        let scope = self.scope();
        let node = &self.nodes[n];
        let Some(entry) = node.cache.get(scope.as_bytes()) else { return };
        if !node.is_up || !node.generations.is_fresh_at(self.instant(self.now)) || !entry.is_current() {
            return;
        }
        self.fresh += 1;
        let content = std::str::from_utf8(&entry.body).unwrap().parse::<Content>().unwrap();
        let floor = self.now.saturating_sub(LEASE).max(self.acknowledged.get(&scope).copied().unwrap_or_default());
        let truth = &self.truth[&scope];
        let was_true = truth.iter().enumerate().any(|(at, (_, was))| {
            let until = truth.get(at + 1).map_or(Moment::MAX, |(next, _)| *next);
            *was == content && until >= floor && !(until == floor && self.acknowledged.get(&scope) == Some(&floor))
        });
        assert!(was_true, "node {n} calls {content} fresh at {}, not before {floor}: {truth:?}", self.now);
    }

    fn change(&mut self, n: usize) {
        if self.half.is_some() || !self.nodes[n].is_up {
            return;
        }
        self.now += 1;
        let scope = self.scope();
        let chance = self.random.random_range(0..1024);
        let content = self.random.random_range(1..u64::MAX);
        let xid = self.db.xid;
        self.db.xid += 1;
        let row = self.db.rows.get_mut(&scope).unwrap();
        // The same as next_generation().
        *row = Row { generation: (row.generation + 1).max(self.now * 1024) + chance, xid, content };
        self.truth.get_mut(&scope).unwrap().push((self.now, content));
        self.pending.push(Pending { node: n, scope, xid, committed: self.now, restores: self.restores });
    }

    /// Waits as `sync::settle` does. It does not wait for a change that a restore undid.
    fn acknowledge(&mut self) {
        let (now, restores) = (self.now, self.restores);
        let pending = std::mem::take(&mut self.pending);
        for change in pending.into_iter().filter(|change| change.restores == restores) {
            let confirmed = self.nodes[change.node].confirmed;
            let own = confirmed.is_some_and(|(began, xid)| began >= change.committed && xid > change.xid);
            let lease_ran_out = now > change.committed + LEASE;
            let live = self.db.nodes.iter().filter(|(_, here)| here.polled_at + LEASE > now);
            let all = live.into_iter().all(|(n, here)| {
                (own && *n == change.node) || (here.epoch == Some(self.db.epoch) && here.applied > change.xid)
            });
            let is_young = self.db.since.max(self.db.started) + LEASE > now;
            if lease_ran_out || (own && all && !is_young) {
                let newest = self.acknowledged.entry(change.scope).or_default();
                *newest = (*newest).max(change.committed);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// Restores a dump or a snapshot.
    fn save(&mut self) {
        if self.half.is_none() {
            self.saved.push((self.random.random_bool(0.5), self.db.clone()));
        }
    }

    fn restore(&mut self) {
        self.now += 1;
        if let Some(restored) = self.half.take() {
            self.become_database(restored);
            return;
        }
        if self.saved.is_empty() {
            return;
        }
        let which = self.random.random_range(0..self.saved.len());
        let (is_dump, saved) = self.saved[which].clone();
        // What a fill reads half-way has a true generation. If an older snapshot were put back before a node has seen the restore at
        // all, it would hide that. This would need a restart of the server within one poll, and is beyond the promise.
        if !is_dump && self.nodes.iter().any(|node| node.in_step < self.halves) {
            return;
        }
        self.restores += 1;
        // The promise does not hold for changes that are now lost.
        self.acknowledged.clear();
        if is_dump {
            let restored =
                Db { identity: self.random.random(), xid: self.db.xid + 1, started: self.db.started, ..saved };
            if self.random.random_bool(0.5) {
                // A restore over the tables in use: nodes stay connected and may read half-way.
                let mut half = Db { is_whole: false, ..restored.clone() };
                for row in half.rows.values_mut() {
                    row.content = 0;
                }
                half.nodes.clear();
                self.become_database(half);
                self.half = Some(restored);
                self.halves += 1;
                return;
            }
            self.become_database(restored);
        } else {
            self.become_database(Db { started: self.now, ..saved });
        }
        for node in &mut self.nodes {
            node.is_connected = false;
            // Statements under way may still be answered, or not.
            if self.random.random_bool(0.5) {
                node.poll = None;
                node.history.start_over();
            }
        }
    }

    fn become_database(&mut self, db: Db) {
        self.db = db;
        for (scope, row) in &self.db.rows {
            self.truth.get_mut(scope).unwrap().push((self.now, row.content));
        }
    }
}

#[test]
fn no_answer_of_a_lost_future_is_ever_called_fresh() {
    let (mut fresh, mut restores) = (0, 0);
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        for step in 0..STEPS {
            let stepped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step()));
            assert!(stepped.is_ok(), "seed {seed}, step {step}");
        }
        fresh += world.fresh;
        restores += world.restores;
    }
    println!("{restores} restores, {fresh} fresh answers, all of them true");
    assert!(restores > RUNS && fresh > 5 * RUNS, "too few to prove anything: {restores} restores, {fresh} answers");
}
