//! How a node learns of changes, and how a change learns that the nodes have.
//!
//! Every node polls: one statement that tells the database "I am here, and have applied this snapshot" and returns
//! the generations that changed since. A poll renews the node's lease from the moment it **began**, and only when it went
//! through whole. So whoever made a change knows of each other node either that it applied a snapshot with the change in it,
//! or that its lease has run out and it serves nothing as fresh. NOTIFY merely wakes the poll: it may be lost.
//!
//! No gap is possible: a change that a poll's snapshot did not see has a transaction id not below that snapshot's xmin,
//! and the next poll asks from there on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, PgConnection, PgExecutor, PgPool,
    postgres::{PgConnectOptions, PgListener},
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    Fetch, call_store,
    generations::{CARRIERS, Heard, SWITCHES},
    store,
};
use crate::{database, text::Domain};

/// A poll's lease: for so long after its beginning the node serves as fresh.
pub const LEASE: Duration = Duration::from_secs(1);
const POLL_EVERY: Duration = Duration::from_millis(250);
const RECONNECT_EVERY: Duration = Duration::from_millis(250);

/// Transactions as `pg_current_snapshot()` prints them: `xmin:xmax:xip,…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    text: String,
    xmin: u64,
    xmax: u64,
    running: Vec<u64>,
}

impl Snapshot {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        let running = running.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { text: text.to_owned(), xmin, xmax, running })
    }

    /// Did this snapshot see what a committed transaction did?
    #[must_use]
    pub fn shows(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }
}

/// Which database, and which line of its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    system: i64,
    timeline: i32,
}

/// The polling part of a node.
pub struct Sync {
    fetch: Arc<Fetch>,
    node: Uuid,
    options: PgConnectOptions,
    /// For all but polls, which have a connection that nothing else can take.
    pool: PgPool,
    wake: Notify,
    applied: watch::Sender<Snapshot>,
}

impl Sync {
    #[must_use]
    pub fn new(fetch: Arc<Fetch>, options: &PgConnectOptions, pool: PgPool) -> Arc<Self> {
        let (applied, _) = watch::channel(Snapshot::default());
        // A poll that this node gave up must not go on at the server, where the next ones would join it.
        let options = database::within(options, LEASE);
        Arc::new(Self { fetch, node: Uuid::now_v7(), options, pool, wake: Notify::new(), applied })
    }

    /// Signs the node off, so that no change waits for it.
    pub async fn leave(&self) -> sqlx::Result<()> {
        sqlx::query!("delete from nodes where id = $1", self.node).execute(&self.pool).await.map(|_| ())
    }

    /// Polls for ever; returns only by being dropped.
    pub async fn run(self: Arc<Self>) {
        let mut identity = None;
        let mut was_lost = false;
        loop {
            let Err(error) = self.follow(&mut identity, &mut was_lost).await;
            if !was_lost {
                tracing::warn!(%error, "the database can't be asked: serving what is known, as detached");
                was_lost = true;
            }
            tokio::time::sleep(RECONNECT_EVERY).await;
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
        let _ = applied.wait_for(|snapshot| snapshot.xmax > 0).await;
    }

    /// One connection's life: the whole table first, then what changed.
    async fn follow(
        &self,
        identity: &mut Option<Identity>,
        was_lost: &mut bool,
    ) -> Result<std::convert::Infallible, SyncError> {
        let mut db = in_time(self.options.connect()).await?;
        let now = in_time(read_identity(&mut db)).await?;
        let replaced = identity.is_some_and(|before| before != now);
        in_time(forget_old_nodes(&mut db)).await?;
        let mut since = 0;
        loop {
            let began = Instant::now();
            let applied = self.applied.borrow().text.clone();
            let poll = in_time(poll(&mut db, self.node, &applied, since)).await?;
            let first = since == 0;
            let news = if first {
                self.fetch.generations.replace(&poll.heard, replaced)
            } else {
                self.fetch.generations.merge(poll.heard)
            };
            if first || news.contains(&SWITCHES) {
                self.fetch.credentials.replace(in_time(store::switches(&mut db)).await?);
            }
            // Kept at hand, so that a call for help finds its way without a database.
            if first || news.contains(&CARRIERS) {
                let (generation, carriers) = in_time(call_store::carriers(&mut db)).await?;
                self.fetch.plans.keep_carriers(generation, carriers);
            }
            self.fetch.generations.renew(began);
            *identity = Some(now);
            since = poll.snapshot.xmin;
            self.applied.send_replace(poll.snapshot);
            if first {
                tracing::info!(tenants = self.fetch.generations.tenants(), replaced, "in step with the database");
                *was_lost = false;
            }
            // After news once more at once: the next poll tells the others that they were applied.
            if news.is_empty() {
                let _ = tokio::time::timeout(POLL_EVERY, self.wake.notified()).await;
            }
        }
    }

    /// Waits until this node has applied the change of a committed transaction, as long as its lease could last.
    async fn apply(&self, xid: u64) -> bool {
        let mut applied = self.applied.subscribe();
        self.wake.notify_one();
        let seen = applied.wait_for(|snapshot| snapshot.shows(xid));
        matches!(tokio::time::timeout(LEASE, seen).await, Ok(Ok(_)))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error("no answer within {LEASE:?}")]
    Timeout,
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// A poll that takes longer than a lease renews nothing.
async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, SyncError> {
    Ok(tokio::time::timeout(LEASE, work).await.map_err(|_| SyncError::Timeout)??)
}

struct Poll {
    snapshot: Snapshot,
    heard: Vec<Heard>,
}

/// Says "here, with this applied" and reads what changed since, in one statement: either both went through or none.
async fn poll(db: &mut PgConnection, node: Uuid, applied: &str, since: u64) -> sqlx::Result<Poll> {
    let applied = if applied.is_empty() { "1:1:" } else { applied };
    let rows = sqlx::query!(
        r#"
        with here as (
            insert into nodes (id, polled_at, applied) values ($1, clock_timestamp(), $2::text::pg_snapshot)
            on conflict (id) do update set polled_at = clock_timestamp(), applied = excluded.applied
        )
        select s.snapshot as "snapshot!", g.scope as "scope?", g.generation as "generation?", t.domain as "domain?: Domain",
               t.cluster_id as "cluster?"
          from (select pg_current_snapshot()::text as snapshot) s
          left join generation g on g.changed_xid >= $3::text::xid8
          left join tenants t on t.id = g.scope and not g.gone
        "#,
        node,
        applied,
        since.to_string()
    )
    .fetch_all(db)
    .await?;
    let snapshot = rows.first().and_then(|row| Snapshot::parse(&row.snapshot));
    let snapshot = snapshot.ok_or_else(|| sqlx::Error::Protocol("no snapshot in a poll's answer".into()))?;
    let heard = rows.into_iter().filter_map(|row| {
        Some(Heard {
            scope: row.scope?,
            generation: u64::try_from(row.generation?).ok()?,
            domain: row.domain,
            cluster: row.cluster.unwrap_or_default(),
        })
    });
    Ok(Poll { snapshot, heard: heard.collect() })
}

async fn read_identity(db: &mut PgConnection) -> sqlx::Result<Identity> {
    let row = sqlx::query!(
        r#"select s.system_identifier as "system!", c.timeline_id as "timeline!"
             from pg_control_system() s, pg_control_checkpoint() c"#
    )
    .fetch_one(db)
    .await?;
    Ok(Identity { system: row.system, timeline: row.timeline })
}

async fn forget_old_nodes(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("delete from nodes where polled_at < now() - interval '1 day'").execute(db).await.map(|_| ())
}

/// Which nodes serve a change: those that confirmed it, of those that live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    pub confirmed: i64,
    pub live: i64,
}

impl std::fmt::Display for Visible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.confirmed, self.live)
    }
}

/// Waits until no node serves the state before a committed change as fresh: every live one has confirmed it, or the leases of
/// those that have not ran out. `own` is the node that makes the change, if it is one.
pub async fn settle(pool: &PgPool, own: Option<&Sync>, xid: u64) -> Visible {
    let pool = own.map_or(pool, |own| &own.pool);
    let own = match own {
        Some(own) if own.apply(xid).await => own.node,
        _ => Uuid::nil(),
    };
    let since = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let visible = visible(pool, own, xid).await;
        match visible {
            Ok(visible) if visible.confirmed == visible.live => return visible,
            // Whoever has not confirmed by now polled last more than a lease ago, or not since the change.
            Ok(visible) if since.elapsed() > LEASE => return visible,
            Err(_) if since.elapsed() > LEASE => return Visible { confirmed: 0, live: 1 },
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The node that asks has applied the change already, whether or not its next poll has said so.
async fn visible(db: impl PgExecutor<'_>, own: Uuid, xid: u64) -> sqlx::Result<Visible> {
    let row = sqlx::query!(
        r#"
        select count(*) as "live!",
               count(*) filter (where id = $1 or pg_visible_in_snapshot($2::text::xid8, applied)) as "confirmed!"
          from nodes
         where polled_at > clock_timestamp() - interval '1 second'
        "#,
        own,
        xid.to_string()
    )
    .fetch_one(db)
    .await?;
    Ok(Visible { confirmed: row.confirmed, live: row.live })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_shows_what_was_committed_before_it() {
        let snapshot = Snapshot::parse("100:105:100,103").unwrap();
        let shown = (98..108).filter(|xid| snapshot.shows(*xid)).collect::<Vec<_>>();
        assert_eq!(shown, [98, 99, 101, 102, 104]);
        assert!(Snapshot::parse("100:100:").unwrap().shows(99));
        assert!(!Snapshot::parse("100:100:").unwrap().shows(100));
        assert!(Snapshot::parse("nonsense").is_none());
    }
}
