//! A change: one transaction with the rows, their audit entries, and the generations that triggers raise. It is answered when
//! no node serves the state before it as fresh.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use metrics::{Counter, counter};
use serde::Serialize;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::{
    model::{
        error::{Error, Result},
        masked::masked,
    },
    node::{
        change_store::{self, AuditColumns},
        poller::{self, Poller},
        poller_store::Visible,
    },
    text::keyring::Keyring,
};

/// Who makes a change, as the audit log names it.
#[derive(Debug, Clone)]
pub struct Author {
    pub name: String,
    pub source: Option<IpAddr>,
    /// The only tenant whose rows they may see and change; the database enforces this too. `None` for the platform.
    pub within: Option<Uuid>,
}

/// Everything needed to make changes.
#[derive(Clone)]
pub struct Changes {
    pool: PgPool,
    poller: Option<Arc<Poller>>,
    keyring: Arc<Keyring>,
    /// Counts how often no connection was free at once.
    waits: Counter,
    /// Bounds how many changes hold a connection. The others wait here in order, and leave connections to readers.
    places: Arc<Semaphore>,
    /// The same per tenant, so that a tenant with many changes does not make others wait.
    tenants: Arc<Mutex<HashMap<Uuid, Weak<Semaphore>>>>,
}

/// How many changes of one tenant run at once: in the database they wait for each other anyway, for the tenant's generation.
const OF_ONE_TENANT: usize = 2;

/// How often a change is tried that gives way to others. Each time has cost a second before (`deadlock_timeout`).
const TRIES: usize = 5;

/// How long a change waits for others to end: less than a request may take at the database.
const QUEUE: Duration = Duration::from_secs(25);

/// A change under way. If it is dropped without [`Change::commit`], it never happened.
pub struct Change {
    tx: Transaction<'static, Postgres>,
    author: Author,
    changes: Changes,
    places: [Option<OwnedSemaphorePermit>; 2],
    /// The tenants that nobody else changes until this ends.
    held: Vec<Uuid>,
    /// The tenants whose things it changed, as the audit log tells.
    changed: Vec<Uuid>,
    /// The last audit entry that it wrote for each thing, for what belongs to the same entry. One in a part that was undone is gone.
    written: HashMap<String, Uuid>,
}

/// What an audit entry says besides who, when and from where. Secrets in `before` and `after` are masked when it is written.
pub struct Audit<'a> {
    pub tenant: Option<Uuid>,
    pub action: &'a str,
    pub resource: String,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
}

/// A thing whose changes are in the audit log.
pub trait Audited: Serialize {
    /// The tenant that it belongs to; `None` for the platform.
    fn tenant(&self) -> Option<Uuid>;
    /// Such as `extensions/ID`.
    fn resource(&self) -> String;
    /// What the log shows of it, without secrets.
    fn shown(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The most audit entries that one statement writes.
const AUDITED_AT_ONCE: usize = 2_000;

impl<'a> Audit<'a> {
    /// The entry for a thing that changed; `None` if there is neither a before nor an after.
    #[must_use]
    pub fn of<T: Audited>(action: &'a str, before: Option<&T>, after: Option<&T>) -> Option<Self> {
        let about = after.or(before)?;
        let (before, after) = (before.map(T::shown), after.map(T::shown));
        Some(Self { tenant: about.tenant(), action, resource: about.resource(), before, after })
    }

    fn add_to(self, columns: &mut AuditColumns) {
        columns.ids.push(Uuid::now_v7());
        columns.tenants.push(self.tenant);
        columns.actions.push(self.action.to_owned());
        columns.resources.push(self.resource);
        columns.before.push(self.before.map(masked));
        columns.after.push(self.after.map(masked));
    }
}

impl Changes {
    /// `poller` is that of the node in this process, if there is one.
    #[must_use]
    pub fn new(pool: PgPool, poller: Option<Arc<Poller>>, keyring: Arc<Keyring>) -> Self {
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let places = Arc::new(Semaphore::new((connections * 3 / 4).max(1)));
        let waits = counter!("dialplane_database_waits_total");
        Self { pool, poller, keyring, places, tenants: Arc::default(), waits }
    }

    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What finds out about changes. `None` in commands, which are no nodes.
    #[must_use]
    pub fn poller(&self) -> Option<&Arc<Poller>> {
        self.poller.as_ref()
    }

    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Begins a change. If others of the tenant are under way, it waits for its turn, and is refused after a while.
    pub async fn begin(&self, author: Author) -> Result<Change> {
        let turn = async {
            // The tenant's own place first: while waiting for that, a change takes no place from others. The semaphores are
            // never closed.
            let own = match author.within {
                Some(tenant) => self.of(tenant).acquire_owned().await.ok(),
                None => None,
            };
            [own, Arc::clone(&self.places).acquire_owned().await.ok()]
        };
        let turn = tokio::time::timeout(QUEUE, turn).await;
        let places = turn.map_err(|_| Error::ChangesUnderWay { seconds: 5 })?;
        let tx = self.within(author.within).await?;
        Ok(Change {
            tx,
            author,
            changes: self.clone(),
            places,
            held: Vec::new(),
            changed: Vec::new(),
            written: HashMap::new(),
        })
    }

    /// Makes a change, and waits until it is in force on every node. It is made again if it gives way to another, as over HTTP.
    pub async fn run<T>(&self, author: Author, mut work: impl AsyncFnMut(&mut Change) -> Result<T>) -> Result<T> {
        let mut tries = 1;
        loop {
            let made = async {
                let mut change = self.begin(author.clone()).await?;
                let done = work(&mut change).await?;
                change.commit().await?;
                Ok(done)
            };
            let made = made.await;
            if !is_to_try_again(&made, &mut tries) {
                return made;
            }
        }
    }

    /// The places of a tenant. They exist as long as somebody has one or waits for one.
    fn of(&self, tenant: Uuid) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = tenants.get(&tenant).and_then(Weak::upgrade) {
            return places;
        }
        tenants.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(OF_ONE_TENANT));
        tenants.insert(tenant, Arc::downgrade(&places));
        places
    }

    /// A transaction to which row-level security shows only this tenant's rows; with `None`, all rows.
    pub async fn within(&self, tenant: Option<Uuid>) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.count_wait();
        let mut tx = self.pool.begin().await?;
        if let Some(tenant) = tenant {
            change_store::see_only(&mut tx, tenant).await?;
        }
        Ok(tx)
    }

    /// The same for figures that several statements read and that belong together: all of them see one moment. Nothing can be written in it.
    pub async fn snapshot(&self, tenant: Option<Uuid>) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.count_wait();
        let mut tx = change_store::snapshot(&self.pool).await?;
        if let Some(tenant) = tenant {
            change_store::see_only(&mut tx, tenant).await?;
        }
        Ok(tx)
    }

    /// Counts that somebody has to wait for a connection.
    fn count_wait(&self) {
        if self.pool.num_idle() == 0 && self.pool.size() >= self.pool.options().get_max_connections() {
            self.waits.increment(1);
        }
    }
}

/// Does something that is one transaction, and does it again if Postgres ends it in favour of another that it waited for: nothing of it is
/// kept then.
pub async fn again<T, F: Future<Output = Result<T>>>(mut once: impl FnMut() -> F) -> Result<T> {
    let mut tries = 1;
    loop {
        let done = once().await;
        if !is_to_try_again(&done, &mut tries) {
            return done;
        }
    }
}

fn is_to_try_again<T>(done: &Result<T>, tries: &mut usize) -> bool {
    let again = *tries < TRIES && done.as_ref().is_err_and(Error::gave_way);
    if again {
        *tries += 1;
        counter!("dialplane_changes_again_total").increment(1);
    }
    again
}

impl Change {
    pub fn db(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.changes.keyring)
    }

    /// Makes every other change of this tenant wait until this one ends. Call it first, before anything is read or locked: what the
    /// change checks then (a number is free, nothing leads to an extension) stays true until it commits, and two changes of a tenant
    /// never wait for each other's rows.
    pub async fn hold(&mut self, tenant: Uuid) -> Result<()> {
        if !self.held.contains(&tenant) {
            change_store::hold(&mut self.tx, tenant).await?;
            self.held.push(tenant);
        }
        Ok(())
    }

    /// The tenants whose things this change is about.
    #[must_use]
    pub fn held(&self) -> &[Uuid] {
        &self.held
    }

    /// Does a part of the change that may fail: then the part is undone and the change goes on. The savepoint ends with the
    /// part, because open savepoints nest, and each makes all later statements slower.
    pub async fn attempt<T, E>(
        &mut self,
        part: impl AsyncFnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> Result<std::result::Result<T, E>> {
        change_store::begin_part(&mut self.tx).await?;
        let held = self.held.len();
        let done = part(self).await;
        if done.is_err() {
            change_store::undo_part(&mut self.tx).await?;
            // Postgres gives up the locks of a part that is undone.
            self.held.truncate(held);
        }
        change_store::end_part(&mut self.tx).await?;
        Ok(done)
    }

    /// Writes an audit entry in the same transaction.
    pub async fn audit(&mut self, entry: Audit<'_>) -> Result<()> {
        self.audit_all([entry]).await
    }

    /// Writes the audit entry for a thing that changed.
    pub async fn audit_of<T: Audited>(&mut self, action: &str, before: Option<&T>, after: Option<&T>) -> Result<()> {
        self.audit_all(Audit::of(action, before, after)).await
    }

    /// Writes many audit entries at once.
    pub async fn audit_all<'a>(&mut self, entries: impl IntoIterator<Item = Audit<'a>>) -> Result<()> {
        let source = self.author.source.map(|ip| ip.to_string());
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut columns = AuditColumns::default();
            entries.by_ref().take(AUDITED_AT_ONCE).for_each(|entry| entry.add_to(&mut columns));
            self.changed.extend(columns.tenants.iter().flatten());
            self.changed.dedup();
            change_store::write_audit(&mut self.tx, &self.author.name, source.as_deref(), &columns).await?;
            self.written.extend(columns.resources.into_iter().zip(columns.ids));
        }
        Ok(())
    }

    /// Adds fields to the entry that this change wrote for the same thing, so that what was asked for at once is one entry. If it wrote none,
    /// this is one of its own.
    pub async fn audit_further(&mut self, entry: Audit<'_>) -> Result<()> {
        if let Some(id) = self.written.get(&entry.resource) {
            let fields = |side: &Option<serde_json::Value>| side.clone().map_or_else(|| serde_json::json!({}), masked);
            let (before, after) = (fields(&entry.before), fields(&entry.after));
            if change_store::add_to_audit(&mut self.tx, *id, before, after).await? {
                return Ok(());
            }
        }
        self.audit(entry).await
    }

    #[must_use]
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// Commits a change that no switch can see, so nodes have nothing to learn.
    pub async fn commit_quietly(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    /// Commits, and waits until the change is in force on every node.
    pub async fn commit(mut self) -> Result<Visible> {
        let unheld = self.changed.iter().find(|tenant| !self.held.contains(tenant));
        debug_assert!(unheld.is_none(), "a change of a tenant's things begins with Change::hold: {unheld:?}");
        let xid = change_store::transaction_id(&mut self.tx).await?;
        let committed = Instant::now();
        self.tx.commit().await?;
        // The rows are free now: the next change need not wait for the nodes.
        drop(self.places);
        Ok(poller::settle(&self.changes.pool, self.changes.poller.as_deref(), xid, committed).await)
    }
}
