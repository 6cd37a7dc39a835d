//! How a node learns of changes, and how a change learns that the nodes have.
//!
//! Every node polls: one statement that tells the database "I am here, and have applied this snapshot" and returns
//! the generations that changed since. A poll renews the node's lease from the moment it **began**, and only when it went
//! through whole. So whoever made a change knows of each other node either that it applied a snapshot with the change in it,
//! or that its lease has run out and it serves nothing as fresh. NOTIFY merely wakes the poll: it may be lost.
//!
//! A database that was restored is another one, also when it is the same server: [`super::history`] tells.
//!
//! No gap is possible: a change that a poll's snapshot did not see has a transaction id not below that snapshot's xmin,
//! and the next poll asks from there on.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener},
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    database, epoch_store,
    generations::{CARRIERS, Generations, Known, SWITCHES},
    history::{History, Seen, Snapshot, Step},
    poller_store::{self, Here, Visible},
};

/// A poll's lease: for so long after its beginning the node serves as fresh.
pub const LEASE: Duration = Duration::from_secs(1);
const POLL_EVERY: Duration = Duration::from_millis(250);
const RECONNECT_EVERY: Duration = Duration::from_millis(250);

/// What the last poll applied, and when it began.
#[derive(Debug, Clone)]
struct Applied {
    snapshot: Snapshot,
    began: Instant,
}

/// What is kept in memory beside generations: it is read anew when a generation says so.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Who may ask.
    pub switches: bool,
    /// Who calls leave by: kept at hand, so that a call for help finds its way without a database.
    pub carriers: bool,
}

/// Puts what was read in the place of what was known.
pub type Take = Box<dyn FnOnce() + Send>;

/// Whoever keeps it. Reading and taking are apart, so that a whole table is replaced at once.
pub trait Memory: Send + Sync {
    fn read<'a>(&'a self, db: &'a mut PgConnection, wanted: Wanted) -> Reading<'a>;
}

pub type Reading<'a> = Pin<Box<dyn Future<Output = sqlx::Result<Take>> + Send + 'a>>;

/// The part of a node that polls the database.
pub struct Poller {
    generations: Arc<Generations>,
    memory: Arc<dyn Memory>,
    node: Uuid,
    options: PgConnectOptions,
    /// For all but polls, which have a connection that nothing else can take.
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
        options: &PgConnectOptions,
        pool: PgPool,
    ) -> Arc<Self> {
        let (applied, _) = watch::channel(None);
        // A poll that this node gave up must not go on at the server, where the next ones would join it.
        let options = database::within(options, LEASE);
        Arc::new(Self { generations, memory, node, options, pool, wake: Notify::new(), applied })
    }

    /// Signs the node off, so that no change waits for it.
    pub async fn leave(&self) -> sqlx::Result<()> {
        poller_store::sign_off(&self.pool, self.node).await
    }

    /// Polls for ever; returns only by being dropped.
    pub async fn run(self: Arc<Self>) {
        let mut history = History::default();
        let mut was_lost = false;
        loop {
            // A connection that broke while this process was stopped says nothing of the database: the next one does.
            let began = Instant::now();
            let Err(error) = self.follow(&mut history, &mut was_lost).await;
            self.generations.poll_failed(began);
            if !was_lost {
                tracing::warn!(%error, "the database can't be asked: serving what is known, as detached");
                was_lost = true;
            }
            tokio::select! {
                () = self.generations.poll_wanted() => {}
                () = tokio::time::sleep(RECONNECT_EVERY) => {}
            }
        }
    }

    /// Wakes the poll when the database says that something changed. What is lost here the poll finds anyway.
    pub async fn listen(self: Arc<Self>) {
        loop {
            if let Ok(mut listener) = PgListener::connect_with(&self.pool).await
                && listener.listen("dialplane_generation").await.is_ok()
            {
                while let Ok(Some(_)) = listener.try_recv().await {
                    self.wake.notify_one();
                }
            }
            self.wake.notify_one();
            tokio::time::sleep(RECONNECT_EVERY).await;
        }
    }

    /// Waits until this node has been in step with the database once.
    pub async fn ready(&self) {
        let mut applied = self.applied.subscribe();
        // The sender lives as long as self.
        let _ = applied.wait_for(Option::is_some).await;
    }

    /// One connection's life: the whole table first, then what changed.
    async fn follow(&self, history: &mut History, was_lost: &mut bool) -> Result<std::convert::Infallible, PollError> {
        let generations = &*self.generations;
        let mut db = in_time(self.options.connect()).await?;
        in_time(poller_store::forget_old_nodes(&mut db)).await?;
        history.start_over();
        // What was applied over another connection says nothing: the database may have been restored in between.
        let mut applied = Snapshot::default();
        loop {
            if generations.take_doubt() {
                tracing::warn!("a fetch found less in the database than this node knows: all of it is read again");
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
                    tracing::warn!(epoch = %seen.epoch, "the database was restored: it gets a new epoch");
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
            history.took(&seen);
            applied = seen.snapshot;
            self.applied.send_replace(Some(Applied { snapshot: applied.clone(), began }));
            if whole {
                generations.reread();
                tracing::info!(tenants = generations.tenants(), replaced, "in step with the database");
                *was_lost = false;
            }
            // After news once more at once: the next poll tells the others that they were applied.
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

    /// Takes in what changed.
    async fn merge(&self, db: &mut PgConnection, seen: &Seen) -> Result<Vec<Uuid>, PollError> {
        let news = self.generations.merge(seen.heard.iter().cloned());
        let wanted = Wanted { switches: news.contains(&SWITCHES), carriers: news.contains(&CARRIERS) };
        if wanted.switches || wanted.carriers {
            in_time(self.memory.read(db, wanted)).await?();
        }
        Ok(news)
    }

    /// Takes in everything. It is read first, so that what was known before is replaced at once and whole.
    async fn replace(&self, db: &mut PgConnection, seen: &Seen, replaced: bool) -> Result<Vec<Uuid>, PollError> {
        let take = in_time(self.memory.read(db, Wanted { switches: true, carriers: true })).await?;
        let news = self.generations.replace(&seen.heard, replaced);
        take();
        Ok(news)
    }

    /// Waits until this node has applied the change of a transaction whose commit began at `committed`, as long as its lease could
    /// last. A poll from before says nothing: it may be of another line of history, with the same transaction ids.
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
        "the database is not whole: it is being restored, or its triggers were dropped; `dialplane doctor` says which are missing, and \
         `dialplane restored` takes it as it is"
    )]
    NotWhole,
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

impl PollError {
    /// Is a table or a function missing, as while they are restored?
    fn is_of_a_restore(&self) -> bool {
        match self {
            Self::NotWhole => true,
            // Class 42: what a statement names is not there.
            Self::Sql(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code.starts_with("42")),
            Self::Sql(_) | Self::Timeout => false,
        }
    }
}

/// A poll that takes longer than a lease renews nothing.
async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, PollError> {
    Ok(tokio::time::timeout(LEASE, work).await.map_err(|_| PollError::Timeout)??)
}

/// Waits until no node serves the state before a committed change as fresh: every live one has confirmed it, or the leases of
/// those that have not ran out. `own` is the node that makes the change, if it is one; `committed`: when the commit began.
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
            // Whoever has not confirmed by now polled last more than a lease ago, or not since the change.
            Ok(outlook) if since.elapsed() > LEASE => return outlook.visible,
            Err(_) if since.elapsed() > LEASE => return Visible { confirmed: 0, live: 1 },
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
