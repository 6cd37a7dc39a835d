//! How a node learns of changes, and how a change learns that all nodes have it.
//!
//! Every node polls: one statement tells the database "I am here and have applied this snapshot", and returns the generations
//! that changed since. A poll renews the node's lease from the moment it **began**, and only if it succeeded completely. So
//! whoever made a change knows about every other node that it either applied a snapshot with the change, or has no lease and
//! serves nothing as fresh. NOTIFY only wakes the poll, so it may be lost.
//!
//! A restored database counts as another one, even on the same server: [`super::history`] recognises it.
//!
//! No change can be missed: if a poll's snapshot did not see a change, the change's transaction id is not below the snapshot's
//! xmin, and the next poll asks from there on.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{PgConnection, PgPool, postgres::PgListener};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    epoch_store,
    generations::{CARRIERS, Generations, Known, SWITCHES},
    history::{History, Seen, Snapshot, Step},
    poller_store::{self, Here, Visible},
    servers::{ServerError, Servers, Session},
    servers_store,
};

/// For how long after a poll began the node is fresh.
pub const LEASE: Duration = Duration::from_secs(1);
const POLL_EVERY: Duration = Duration::from_millis(250);
const RECONNECT_EVERY: Duration = Duration::from_millis(250);

/// What the last poll applied, and when it began.
#[derive(Debug, Clone)]
struct Applied {
    snapshot: Snapshot,
    began: Instant,
}

/// What is kept in memory besides generations. It is read anew when its generation rises.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The switches' tokens.
    pub switches: bool,
    /// The carriers, kept in memory so that emergency calls work without the database.
    pub carriers: bool,
}

/// Replaces what was known by what was read.
pub type Take = Box<dyn FnOnce() + Send>;

/// What keeps it. Reading and replacing are separate steps, so that everything is replaced at once.
pub trait Memory: Send + Sync {
    fn read(self: Arc<Self>, db: &mut PgConnection, wanted: Wanted) -> Reading<'_>;
}

pub type Reading<'a> = Pin<Box<dyn Future<Output = sqlx::Result<Take>> + Send + 'a>>;

/// The part of a node that polls the database.
pub struct Poller {
    generations: Arc<Generations>,
    memory: Arc<dyn Memory>,
    node: Uuid,
    servers: Servers,
    session: Session,
    /// For everything but polls, which have a connection of their own.
    pool: PgPool,
    wake: Notify,
    applied: watch::Sender<Option<Applied>>,
}

impl Poller {
    #[must_use]
    pub fn new(
        node: Uuid,
        generations: Arc<Generations>,
        memory: Arc<dyn Memory>,
        servers: Servers,
        pool: PgPool,
    ) -> Arc<Self> {
        let (applied, _) = watch::channel(None);
        // The server must end a poll that this node has given up; otherwise such polls would pile up there.
        let session = Session::within(LEASE);
        Arc::new(Self { generations, memory, node, servers, session, pool, wake: Notify::new(), applied })
    }

    #[must_use]
    pub fn node(&self) -> Uuid {
        self.node
    }

    #[must_use]
    pub fn generations(&self) -> &Arc<Generations> {
        &self.generations
    }

    /// Signs the node off, so that changes no longer wait for it.
    pub async fn leave(&self) -> sqlx::Result<()> {
        poller_store::sign_off(&self.pool, self.node).await
    }

    /// Polls forever, until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut history = History::default();
        let mut was_lost = false;
        loop {
            // A connection that broke while this process was stopped says nothing about the database. The next one does.
            let began = Instant::now();
            let Err(error) = self.follow(&mut history, &mut was_lost).await;
            if error.is_read_only() {
                self.servers.doubt();
            }
            // Without an answer, nothing is known of a restore.
            if error.is_of_a_restore() {
                self.servers.note_restore(true);
            }
            self.generations.poll_failed(began);
            if !was_lost {
                tracing::warn!(%error, "the database can't be asked: this node is detached and serves what it knows");
                was_lost = true;
            }
            tokio::select! {
                () = self.generations.poll_wanted() => {}
                () = tokio::time::sleep(RECONNECT_EVERY) => {}
            }
        }
    }

    /// Wakes the poll when the database notifies of a change. The poll also finds changes whose notification was lost.
    pub async fn listen(self: Arc<Self>) {
        loop {
            let era = self.servers.era();
            if let Ok(mut listener) = PgListener::connect_with(&self.pool).await
                && listener.listen("dialplane_generation").await.is_ok()
            {
                let hear = async {
                    while let Ok(Some(_)) = listener.try_recv().await {
                        self.wake.notify_one();
                    }
                };
                tokio::select! {
                    () = hear => {}
                    () = self.servers.left(era) => {}
                }
            }
            self.wake.notify_one();
            tokio::time::sleep(RECONNECT_EVERY).await;
        }
    }

    /// Waits until the first successful poll.
    pub async fn ready(&self) {
        let mut applied = self.applied.subscribe();
        // The sender lives as long as self.
        let _ = applied.wait_for(Option::is_some).await;
    }

    /// Polls over one connection until it fails: the whole table first, then changes.
    async fn follow(&self, history: &mut History, was_lost: &mut bool) -> Result<std::convert::Infallible, PollError> {
        let generations = &*self.generations;
        let connected = tokio::time::timeout(LEASE, self.servers.attempt(&self.session)).await;
        let mut db = connected.unwrap_or_else(|_| {
            self.servers.pass();
            Err(ServerError::Silent(LEASE))
        })?;
        in_time(poller_store::forget_old_nodes(&mut db)).await?;
        history.start_over();
        // What was applied over an earlier connection does not count: the database may have been restored since.
        let mut applied = Snapshot::default();
        loop {
            if generations.take_doubt() {
                tracing::warn!("a fetch found less in the database than this node knows: reading everything again");
                history.start_over();
            }
            let began = Instant::now();
            let whole = history.since() == 0;
            let known = if whole { generations.begin_era() } else { Known::default() };
            let here = Here { node: self.node, epoch: history.epoch(), applied: &applied.text };
            let polled = in_time(poller_store::poll(&mut db, &here, history.since())).await;
            let polled = polled.and_then(|seen| seen.ok_or(PollError::NotWhole));
            let seen = polled.inspect_err(|error| {
                if error.is_of_a_restore() {
                    history.restoring();
                }
            })?;
            let mut replaced = false;
            let news = match history.judge(&seen, generations, &known) {
                Step::Wait => return Err(PollError::NotWhole),
                Step::Renew => {
                    tracing::warn!(epoch = %seen.epoch, "the database was restored: giving it a new epoch");
                    in_time(epoch_store::renew(&mut db, seen.epoch)).await?;
                    history.start_over();
                    continue;
                }
                Step::Reread => {
                    history.start_over();
                    continue;
                }
                Step::Merge => self.merge(&mut db, &seen).await?,
                Step::Replace { replaced: other } => {
                    replaced = other;
                    self.replace(&mut db, &seen, replaced).await?
                }
            };
            generations.renew(began);
            self.servers.note_restore(false);
            history.took(&seen);
            applied = seen.snapshot;
            self.applied.send_replace(Some(Applied { snapshot: applied.clone(), began }));
            if whole {
                generations.reread();
                tracing::info!(tenants = generations.tenants(), replaced, "in step with the database");
                *was_lost = false;
            }
            // After news, poll again at once: that tells the others that the news was applied.
            if news.is_empty() && !whole {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = generations.doubted() => {}
                    () = generations.poll_wanted() => {}
                    () = tokio::time::sleep(POLL_EVERY) => {}
                }
            }
        }
    }

    /// Merges what changed.
    async fn merge(&self, db: &mut PgConnection, seen: &Seen) -> Result<Vec<Uuid>, PollError> {
        let news = self.generations.merge(seen.heard.iter().cloned());
        let wanted = Wanted { switches: news.contains(&SWITCHES), carriers: news.contains(&CARRIERS) };
        if wanted.switches || wanted.carriers {
            in_time(Arc::clone(&self.memory).read(db, wanted)).await?();
        }
        Ok(news)
    }

    /// Replaces everything. It is read completely first, so that it is replaced at once.
    async fn replace(&self, db: &mut PgConnection, seen: &Seen, replaced: bool) -> Result<Vec<Uuid>, PollError> {
        let take = in_time(Arc::clone(&self.memory).read(db, Wanted { switches: true, carriers: true })).await?;
        let news = self.generations.replace(&seen.heard, replaced);
        take();
        Ok(news)
    }

    /// Waits until this node has applied a transaction whose commit began at `committed`, for a lease at most. Earlier polls
    /// don't count: they may have seen another line of history with the same transaction ids.
    async fn apply(&self, xid: u64, committed: Instant) -> bool {
        let mut applied = self.applied.subscribe();
        self.wake.notify_one();
        let seen = applied.wait_for(|applied| {
            applied.as_ref().is_some_and(|applied| applied.began >= committed && applied.snapshot.shows(xid))
        });
        matches!(tokio::time::timeout(LEASE, seen).await, Ok(Ok(_)))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error("no answer within {LEASE:?}")]
    Timeout,
    #[error(
        "the database is incomplete: it is being restored, or triggers were dropped; `dialplane doctor` says which are missing, and \
         `dialplane restored` accepts it as it is"
    )]
    NotWhole,
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

impl PollError {
    /// Whether the server takes no changes any more. 25006 is `read_only_sql_transaction`.
    fn is_read_only(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.code().as_deref() == Some("25006"))
    }

    /// Whether a table or function is missing, as during a restore.
    fn is_of_a_restore(&self) -> bool {
        match self {
            Self::NotWhole => true,
            Self::Sql(sqlx::Error::Database(error)) => servers_store::names_nothing(&**error),
            Self::Sql(_) | Self::Server(_) | Self::Timeout => false,
        }
    }
}

/// Ends work that takes longer than a lease: such a poll would renew nothing.
async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, PollError> {
    Ok(tokio::time::timeout(LEASE, work).await.map_err(|_| PollError::Timeout)??)
}

/// Waits until no node serves the state before a committed change as fresh: every live node has confirmed the change, or its
/// lease has run out. `own`: the poller of the node that made the change, if a node did. `committed`: when the commit began.
pub async fn settle(pool: &PgPool, own: Option<&Poller>, xid: u64, committed: Instant) -> Visible {
    let pool = own.map_or(pool, |own| &own.pool);
    let own = match own {
        Some(own) if own.apply(xid, committed).await => own.node,
        _ => Uuid::nil(),
    };
    let since = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let outlook = poller_store::outlook(pool, own, xid).await;
        match outlook {
            Ok(outlook) if outlook.visible.confirmed == outlook.visible.live && !outlook.is_young => {
                return outlook.visible;
            }
            // The leases of nodes that have not confirmed by now have run out.
            Ok(outlook) if since.elapsed() > LEASE => return outlook.visible,
            Err(_) if since.elapsed() > LEASE => return Visible { confirmed: 0, live: 1 },
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
