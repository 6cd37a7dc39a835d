//! The path of a fetch, in order: [`listener`] → [`whole`] or [`exchange`] → [`request`] → [`cache`], checked by
//! [generation](crate::node::generations) → [`fill`] (`together` batches lookups of extensions) → [`render`].
//! A call that leaves the platform takes `outgoing` instead.
//!
//! This folder answers FreeSWITCH's fetches and does nothing else. [`crate::node::poller`] keeps the node's memory
//! up to date, so that most fetches need no database.

mod arrivals;
pub mod cache;
mod call;
pub mod call_store;
pub mod config;
pub mod config_store;
pub mod credentials;
mod devices;
mod dial;
pub mod documents;
pub mod exchange;
pub mod fill;
pub mod flight;
pub mod form;
mod guesses;
mod key;
mod late;
mod leaves;
pub mod listener;
pub mod metrics;
mod outgoing;
mod placed;
pub mod plans;
pub mod readers;
pub mod render;
mod replayed;
pub mod request;
pub mod roster;
pub mod served;
pub mod sofia;
pub mod store;
mod together;
mod turns;
pub mod upload;
pub mod whole;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use uuid::Uuid;

use self::{
    cache::{Cache, CachedAnswer},
    credentials::{Credentials, Switch},
    fill::{Filled, Question},
    flight::Flights,
    key::KeyText,
    leaves::Outgoing,
    plans::Plans,
    readers::Readers,
    render::Digest,
    request::{GroupView, Request, View},
    roster::Rosters,
    together::Lookups,
};
use crate::node::{
    generations::{Generations, Slot},
    poller::{Memory, Reading, Take, Wanted},
};
use crate::{
    switch::{fetch::metrics::FetchMetrics, phones::AllPhones},
    text::{
        GroupHandle, SipUsername,
        keyring::{KeyId, Keyring},
    },
};

/// The reply to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Document(Bytes),
    /// Not ours: the switch goes on to its other bindings and its static files.
    NotFound,
    /// This node can't tell. That must never look like "not found".
    Unavailable,
}

/// Whether the switches of a cluster serve a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    Here,
    /// The tenant was moved to another cluster.
    Before,
    Elsewhere,
}

/// How a fetch was answered, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Hit,
    Filled,
    Stale,
    Memory,
    NotOurs,
    Unavailable,
}

/// The result of a fill, for one asker.
enum Outcome {
    Reply(Reply, Source),
    /// The call leaves the platform. Each such call is decided separately.
    Leaves(Box<Outgoing>),
}

impl From<(Reply, Source)> for Outcome {
    fn from((reply, source): (Reply, Source)) -> Self {
        Self::Reply(reply, source)
    }
}

/// Everything a fetch needs. All threads of a node share one.
pub struct Fetch {
    /// The id of this process in the database.
    pub node: Uuid,
    pub generations: Arc<Generations>,
    pub credentials: Credentials,
    pub cache: Cache,
    /// The devices that are registered at each switch.
    pub phones: Arc<AllPhones>,
    pub metrics: FetchMetrics,
    rosters: Rosters,
    plans: Plans,
    turns: turns::Turns,
    late: late::Late,
    guesses: guesses::Guesses,
    flights: Arc<Flights<Filled>>,
    fills: AtomicU64,
    roster_flights: Arc<Flights<()>>,
    readers: Arc<Readers>,
    lookups: Arc<Lookups>,
    /// Connections for changes that come from a switch.
    changes: sqlx::PgPool,
    keyring: Arc<Keyring>,
    /// In seconds.
    stale_limit: AtomicU64,
    leaving: AtomicBool,
}

/// Bounds of a [`Fetch`].
#[derive(Debug, Clone)]
pub struct Limits {
    pub lease: Duration,
    pub stale: Duration,
    pub cache_bytes: u64,
    pub stray_bytes: u64,
}

/// The context of calls from outside.
pub const PUBLIC: &str = "public";

impl Memory for Fetch {
    fn read(self: Arc<Self>, db: &mut sqlx::PgConnection, wanted: Wanted) -> Reading<'_> {
        Box::pin(async move {
            let switches = if wanted.switches { Some(store::switches(&mut *db).await?) } else { None };
            let carriers = if wanted.carriers { Some(call_store::carriers(&mut *db).await?) } else { None };
            let take = move || {
                if let Some(switches) = switches {
                    self.credentials.replace(switches);
                }
                if let Some((generation, carriers)) = carriers {
                    self.plans.keep_carriers(self.generations.era(), generation, carriers);
                }
            };
            Ok(Box::new(take) as Take)
        })
    }
}

impl Fetch {
    #[must_use]
    pub fn new(readers: Readers, changes: sqlx::PgPool, keyring: Arc<Keyring>, limits: &Limits) -> Self {
        Self {
            node: Uuid::now_v7(),
            generations: Arc::new(Generations::new(limits.lease, render::standing)),
            credentials: Credentials::default(),
            cache: Cache::new(limits.cache_bytes, limits.stray_bytes),
            phones: Arc::default(),
            metrics: FetchMetrics::register(),
            rosters: Rosters::default(),
            plans: Plans::default(),
            turns: turns::Turns::new(),
            late: late::Late::default(),
            guesses: guesses::Guesses::default(),
            flights: Arc::default(),
            fills: AtomicU64::new(0),
            roster_flights: Arc::default(),
            readers: Arc::new(readers),
            lookups: Arc::default(),
            changes,
            keyring,
            stale_limit: AtomicU64::new(limits.stale.as_secs()),
            leaving: AtomicBool::new(false),
        }
    }

    /// Whether a balancer may send fetches to this node. It may as long as the node has answers, even while the
    /// database is down: other nodes have no better ones.
    #[must_use]
    pub fn takes_fetches(&self) -> bool {
        let has_answers = self.generations.is_fresh() || self.generations.detached_for() <= self.stale_limit();
        has_answers && !self.is_leaving() && self.missing_keys().is_empty()
    }

    /// Keys with which something is sealed, and that this node's key file lacks: it can't answer for that.
    #[must_use]
    pub fn missing_keys(&self) -> Vec<KeyId> {
        self.keyring.missing()
    }

    /// Announces that this node is about to stop. Balancers are told to leave it out; it still serves whoever comes.
    pub fn leave_soon(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// For how long a node that can't ask the database serves what it knows.
    fn stale_limit(&self) -> Duration {
        Duration::from_secs(self.stale_limit.load(Ordering::Relaxed))
    }

    pub fn set_stale_limit(&self, limit: Duration) {
        self.stale_limit.store(limit.as_secs(), Ordering::Relaxed);
    }

    /// How often this node asked the database for an answer.
    #[must_use]
    pub fn fills(&self) -> u64 {
        self.fills.load(Ordering::Relaxed)
    }

    /// Answers one request. With a `cluster`, only about that cluster's tenants; with `None`, about all of them.
    ///
    /// Here and below, futures that a hit does not need are boxed, so that the future of a hit stays small.
    pub async fn answer(self: &Arc<Self>, request: Request<'_>, cluster: Option<Uuid>) -> (Reply, Source) {
        let (began, kind) = (Instant::now(), request.kind());
        // First of all: while the node is not fresh, what it knows may be outdated without its having been told.
        let fresh = self.generations.is_fresh() || Box::pin(self.settle(&request)).await;
        let served = request.domain().map_or(Served::Here, |domain| self.served(domain, cluster));
        let answered = match request {
            _ if served == Served::Elsewhere => unknown_domain(fresh),
            _ if served == Served::Before => Box::pin(self.after_move(request, fresh)).await,
            Request::NotOurs { kind } => {
                self.metrics.not_ours(kind);
                (Reply::NotFound, Source::NotOurs)
            }
            Request::AllGateways => {
                (Reply::Document(Bytes::from_static(render::NO_GATEWAYS.as_bytes())), Source::Memory)
            }
            Request::Domain { domain } => self.nobody(&domain, fresh),
            Request::Chatplan { context } => self.chatplan(&context, fresh),
            Request::User { domain, user, view, proof } => {
                let answered = self.about_user(&domain, &user, view, fresh).await;
                self.judge(&domain, &user, view, &proof, answered)
            }
            Request::Group { domain, group, view } => self.about_group(&domain, &group, view, fresh).await,
            Request::Everyone { domain, view } => {
                let key = KeyText::new(b'E').view(view).folded(&domain);
                self.look_up(key, &domain, None, fresh, |_| Some(Question::Everyone { view })).await
            }
            Request::ChangePin { domain, user, pin } => Box::pin(self.change_pin(&domain, &user, &pin, fresh)).await,
            // A switch ignores the case of a context's name (switch_xml_find_child in switch_xml.c).
            Request::Dialplan(dialplan) if dialplan.context.eq_ignore_ascii_case(PUBLIC) => {
                self.inbound(&dialplan, cluster, fresh).await
            }
            Request::Dialplan(dialplan) => self.call(&dialplan, fresh).await,
            Request::Configuration { file } => Box::pin(self.configuration(file, cluster, fresh)).await,
        };
        self.metrics.answered(kind, answered.1, began.elapsed());
        answered
    }

    /// Whether a cluster's switches serve a domain's tenant.
    fn served(&self, domain: &str, cluster: Option<Uuid>) -> Served {
        let Some((cluster, slot)) = cluster.zip(self.generations.domain(domain)) else { return Served::Here };
        match () {
            () if slot.cluster == cluster => Served::Here,
            () if slot.former.clusters.contains(&cluster) => Served::Before,
            () => Served::Elsewhere,
        }
    }

    /// Answers a switch that the tenant has left. Phones that still turn to it are refused, but for calls for help: nobody may learn to
    /// think that the domain is unknown, since a switch would then go on to its static files.
    async fn after_move(self: &Arc<Self>, request: Request<'_>, fresh: bool) -> (Reply, Source) {
        match request {
            Request::User { domain, user, view: View::Auth { realm } | View::Help { realm }, .. } => {
                self.about_user(&domain, &user, View::Moved { realm }, fresh).await
            }
            Request::Dialplan(dialplan) => self.call_after_move(&dialplan, fresh).await,
            Request::Chatplan { context } => self.chatplan(&context, fresh),
            Request::Configuration { .. } => unknown_domain(fresh),
            request => self.nobody(request.domain().unwrap_or_default(), fresh),
        }
    }

    /// Whether the node is fresh, or becomes so at once. A call for help does not wait long for that.
    async fn settle(&self, request: &Request<'_>) -> bool {
        if self.is_for_help(request) {
            return self.generations.settle_within(outgoing::HELP_WAITS).await;
        }
        self.generations.settle().await
    }

    /// The same before anything is believed that a switch sends. `form`: what it asks, if its token was valid before.
    async fn settle_before(&self, form: Option<&[u8]>) {
        match form.map(Request::read) {
            Some(Ok(request)) => self.settle(&request).await,
            _ => self.generations.settle().await,
        };
    }

    /// Whether it is about a call to what may be an emergency number.
    fn is_for_help(&self, request: &Request<'_>) -> bool {
        match request {
            Request::User { view: View::Help { .. } | View::Moved { .. }, .. } => true,
            Request::Dialplan(dialplan) => self.may_be_help(dialplan),
            _ => false,
        }
    }

    /// Records from time to time that a switch has asked.
    fn saw(&self, switch: &Switch) {
        if !switch.is_news() {
            return;
        }
        let (pool, switch) = (self.changes.clone(), switch.clone());
        tokio::spawn(async move {
            if let Err(error) = store::saw_switch(&pool, switch.id, switch.token()).await {
                tracing::debug!(%error, "could not record that a switch asked");
                switch.is_still_news();
            }
        });
    }

    async fn about_user(self: &Arc<Self>, domain: &str, user: &str, view: View<'_>, fresh: bool) -> (Reply, Source) {
        if let View::Ring { only, switch } = view {
            return Box::pin(self.about_ringing(domain, user, only, switch, fresh)).await;
        }
        let Ok(digest) = digest(domain, user, view) else { return self.nobody(domain, fresh) };
        let kind = match view {
            View::Auth { .. } | View::Help { .. } => b'A',
            View::Moved { .. } => b'M',
            View::Other { .. } => b'O',
            View::Register { .. } => b'S',
            View::Leaving { .. } => b'L',
            View::Profile | View::Ring { .. } => b'P',
            View::Verto => b'V',
            View::ReverseAuth => b'R',
        };
        let mut key = KeyText::new(kind).folded(domain).folded(user);
        if let Some(digest) = digest.as_ref().filter(|digest| !digest.is_usual(domain)) {
            key = key.raw(digest.user.as_bytes()).raw(digest.realm.as_bytes());
        }
        let question = |name: &str| {
            let name = SipUsername::parse(name).ok()?;
            Some(Question::User { name, shown: fill::shown(view, digest)? })
        };
        if !matches!(view, View::Help { .. } | View::Moved { .. }) {
            let answered = self.look_up(key, domain, Some(user), fresh, question).await;
            if matches!(view, View::Register { .. } | View::Leaving { .. })
                && let Some(slot) = self.generations.domain(domain)
            {
                self.saw_late(&slot, user, &answered.0);
            }
            return answered;
        }
        let kept = key.clone().finish().as_deref().and_then(|key| self.cache.get(key));
        let asked = Box::pin(self.look_up(key, domain, Some(user), fresh, question));
        // With nothing to fall back on, a late answer is better than none.
        if kept.is_none() {
            return asked.await;
        }
        let answered = tokio::time::timeout(outgoing::HELP_WAITS, asked).await;
        answered.unwrap_or_else(|_| self.stale(kept))
    }

    /// Answers whoever guesses passwords as if there were no such user. A call for help is not refused for that.
    fn judge(
        &self,
        domain: &str,
        user: &str,
        view: View<'_>,
        proof: &guesses::Proof<'_>,
        answered: (Reply, Source),
    ) -> (Reply, Source) {
        let Reply::Document(document) = &answered.0 else { return answered };
        if !matches!(view, View::Register { .. } | View::Leaving { .. } | View::Auth { .. } | View::Other { .. }) {
            return answered;
        }
        let is_registered =
            |address: &str| self.phones.are_at(&user.to_ascii_lowercase(), &domain.to_ascii_lowercase(), address);
        match self.guesses.judge(user, domain, proof, document, is_registered) {
            guesses::Judged::Passed => answered,
            guesses::Judged::Braked => {
                self.metrics.braked.increment(1);
                let slot = self.generations.domain(domain);
                slot.map_or(answered, |slot| (Reply::Document(slot.standing.nobody.clone()), Source::Memory))
            }
        }
    }

    async fn about_group(self: &Arc<Self>, domain: &str, group: &str, view: GroupView, fresh: bool) -> (Reply, Source) {
        let key = KeyText::new(b'G').view(view).folded(domain).folded(group);
        let question = |name: &str| Some(Question::Group { name: GroupHandle::parse(name).ok()?, view });
        self.look_up(key, domain, Some(group), fresh, question).await
    }

    /// Answers a question about one of our domains: from the cache if the kept answer is current, else from the database.
    ///
    /// The domain's roster may rule out `name`. `question` makes the question from the name's canonical form; it returns
    /// `None` for a name that nobody can have.
    async fn look_up(
        self: &Arc<Self>,
        key: KeyText,
        domain: &str,
        name: Option<&str>,
        fresh: bool,
        question: impl FnOnce(&str) -> Option<Question>,
    ) -> (Reply, Source) {
        let Some(key) = key.finish() else { return self.nobody(domain, fresh) };
        let kept = self.cache.get(&key);
        if let Some(cached) = &kept {
            if fresh && cached.is_current() {
                return (reply(cached), Source::Hit);
            }
            if !fresh {
                return self.stale(kept);
            }
        }
        let Some(question) = question(name.unwrap_or_default()) else { return self.nobody(domain, fresh) };
        let Some(slot) = self.generations.domain(domain) else { return unknown_domain(fresh) };
        if !fresh {
            return (Reply::Unavailable, Source::Unavailable);
        }
        if name.is_some_and(|name| self.rosters.rules_out(slot.scope, &name.to_ascii_lowercase())) {
            return (Reply::Document(slot.standing.nobody.clone()), Source::Memory);
        }
        match Box::pin(self.fill(&key, slot, question, kept)).await {
            Outcome::Reply(reply, source) => (reply, source),
            // Only calls leave, and this is none.
            Outcome::Leaves(_) => (Reply::Unavailable, Source::Unavailable),
        }
    }

    /// Fills until the answer is at least as new as what this node knew when the asker came.
    async fn fill(
        self: &Arc<Self>,
        key: &[u8],
        mut slot: Arc<Slot>,
        question: Question,
        kept: Option<Arc<CachedAnswer>>,
    ) -> Outcome {
        // A fill that is under way may have begun before a change that this asker must see. The next one has not.
        let mut has_doubted = false;
        for _ in 0..8 {
            let floor = slot.newest();
            let filled =
                self.flights.join(key, || fill::run(Arc::clone(self), key.into(), Arc::clone(&slot), question.clone()));
            match filled.await {
                // The answer for a phone number belongs to its tenant, not to the slot that was asked for. So it must be
                // of that tenant's newest known generation.
                Ok(Filled::Answer(cached)) if !Arc::ptr_eq(&cached.slot, &slot) && cached.is_of_newest() => {
                    return Outcome::Reply(reply(&cached), Source::Filled);
                }
                Ok(Filled::Answer(cached))
                    if Arc::ptr_eq(&cached.slot, &slot) && cached.generation >= floor && !slot.is_closed() =>
                {
                    return Outcome::Reply(reply(&cached), Source::Filled);
                }
                Ok(Filled::Answer(_) | Filled::Moved) => {}
                // The database has less than this node knows: it may be in the middle of a restore. Read everything
                // again before believing that the tenant is gone.
                Ok(Filled::Less) if has_doubted => break,
                Ok(Filled::Less) => {
                    has_doubted = true;
                    self.generations.doubt_and_wait().await;
                }
                Ok(Filled::Leaves(outgoing)) => return Outcome::Leaves(outgoing),
                Ok(Filled::Failed) | Err(flight::Lost) => return self.stale(kept).into(),
            }
            let Some(domain) = &slot.domain else {
                slot = self.generations.scope(slot.scope).unwrap_or(slot);
                continue;
            };
            match self.generations.domain(domain.as_str()) {
                Some(newer) => slot = newer,
                None => return unknown_domain(self.generations.is_fresh()).into(),
            }
        }
        // The fills never caught up with what this node knows, so that may be wrong: read it again.
        self.generations.doubt();
        Outcome::Reply(Reply::Unavailable, Source::Unavailable)
    }

    /// The database does not have a tenant that this node knows. Reads everything again before calling it unknown.
    async fn has_less(&self, slot: &Slot) -> (Reply, Source) {
        self.metrics.fill_found_less();
        self.generations.doubt_and_wait().await;
        match &slot.domain {
            Some(domain) if self.generations.domain(domain.as_str()).is_none() => {
                unknown_domain(self.generations.is_fresh())
            }
            _ => (Reply::Unavailable, Source::Unavailable),
        }
    }

    /// The last good answer, while the database can't be asked.
    fn stale(&self, kept: Option<Arc<CachedAnswer>>) -> (Reply, Source) {
        match kept {
            Some(cached) if cached.is_usable_stale() && self.generations.detached_for() <= self.stale_limit() => {
                (reply(&cached), Source::Stale)
            }
            _ => (Reply::Unavailable, Source::Unavailable),
        }
    }

    /// The domain without a user, if it is ours.
    fn nobody(&self, domain: &str, fresh: bool) -> (Reply, Source) {
        match self.generations.domain(domain) {
            Some(slot) if self.knows_enough(fresh) => (Reply::Document(slot.standing.nobody.clone()), Source::Memory),
            Some(_) => (Reply::Unavailable, Source::Unavailable),
            None => unknown_domain(fresh),
        }
    }

    /// That a domain exists is served stale as long as any other answer.
    fn knows_enough(&self, fresh: bool) -> bool {
        fresh || self.generations.detached_for() <= self.stale_limit()
    }

    fn chatplan(&self, context: &str, fresh: bool) -> (Reply, Source) {
        match self.generations.domain(context) {
            Some(slot) if self.knows_enough(fresh) => match slot.domain.as_ref().map(render::chatplan) {
                Some(Ok(document)) => (Reply::Document(document), Source::Memory),
                _ => (Reply::Unavailable, Source::Unavailable),
            },
            Some(_) => (Reply::Unavailable, Source::Unavailable),
            None => unknown_domain(fresh),
        }
    }

    /// Changes a PIN that was chosen by phone. The document says whether the PIN was accepted.
    async fn change_pin(self: &Arc<Self>, domain: &str, user: &str, pin: &str, fresh: bool) -> (Reply, Source) {
        let Some(slot) = self.generations.domain(domain) else { return unknown_domain(fresh) };
        let (Ok(name), Some(domain)) = (SipUsername::parse(user), slot.domain.as_ref()) else {
            return self.nobody(domain, fresh);
        };
        match fill::change_pin(self, &slot, domain, &name, pin).await {
            Ok(Some(document)) => (Reply::Document(document), Source::Filled),
            Ok(None) => (Reply::Document(slot.standing.nobody.clone()), Source::Filled),
            Err(error) => {
                tracing::error!(%error, tenant = %slot.scope, "a PIN changed by phone was not kept");
                (Reply::Unavailable, Source::Unavailable)
            }
        }
    }
}

/// The user and realm to hash when a user signs in; `None` for other views. A realm that is not UTF-8 can't be ours.
fn digest<'a>(domain: &'a str, user: &'a str, view: View<'a>) -> Result<Option<Digest<'a>>, NotText> {
    let realm = match view {
        // There is no realm outside REGISTER and INVITE; phones then use the domain.
        View::Auth { realm: b"" }
        | View::Help { realm: b"" }
        | View::Moved { realm: b"" }
        | View::Other { realm: b"" }
        | View::Register { realm: b"" }
        | View::Leaving { realm: b"" }
        | View::Verto => domain.into(),
        View::Auth { realm }
        | View::Help { realm }
        | View::Moved { realm }
        | View::Other { realm }
        | View::Register { realm }
        | View::Leaving { realm } => form::decode(realm).ok_or(NotText)?,
        View::Profile | View::Ring { .. } | View::ReverseAuth => return Ok(None),
    };
    Ok(Some(Digest { user: user.into(), realm }))
}

struct NotText;

/// `fresh`: whether the node was fresh before the domain was looked up.
fn unknown_domain(fresh: bool) -> (Reply, Source) {
    if fresh { (Reply::NotFound, Source::Memory) } else { (Reply::Unavailable, Source::Unavailable) }
}

fn reply(cached: &CachedAnswer) -> Reply {
    Reply::Document(cached.body.clone())
}
