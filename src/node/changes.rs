//! A change: one transaction that holds the rows, their audit entry and the generations the triggers raise; answered when no
//! node serves the state before it as fresh.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

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
    /// The tenant whose rows alone they may see and change: the database sees to it as well. `None`: the platform's.
    pub within: Option<Uuid>,
}

/// Everything needed to change what there is.
#[derive(Clone)]
pub struct Changes {
    pool: PgPool,
    poller: Option<Arc<Poller>>,
    keyring: Arc<Keyring>,
    /// Changes that hold a connection at once. The others wait here, in turn, and leave connections to those who only read.
    places: Arc<Semaphore>,
    /// The same for each tenant, so that one that changes much makes nobody else wait.
    tenants: Arc<Mutex<HashMap<Uuid, Weak<Semaphore>>>>,
}

/// Changes of one tenant at once: they wait for each other in the database anyway, for the tenant's generation.
const OF_ONE_TENANT: usize = 2;

/// A change waits for so long until others have ended: less than a request may take at the database.
const QUEUE: Duration = Duration::from_secs(25);

/// A change under way. Dropped without [`Change::commit`], it never happened.
pub struct Change {
    tx: Transaction<'static, Postgres>,
    author: Author,
    changes: Changes,
    places: [Option<OwnedSemaphorePermit>; 2],
}

/// What an audit entry says beside who, when and from where. What is secret in `before` and `after` is hidden when it is written down.
pub struct Audit<'a> {
    pub tenant: Option<Uuid>,
    pub action: &'a str,
    pub resource: String,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
}

/// A thing that the audit log tells of.
pub trait Audited: Serialize {
    /// Whose it is; `None`: the platform's.
    fn tenant(&self) -> Option<Uuid>;
    /// As `extensions/ID`.
    fn resource(&self) -> String;
    /// What the log shows of it: no secrets.
    fn shown(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Entries of the audit log that one statement writes.
const AUDITED_AT_ONCE: usize = 2_000;

impl<'a> Audit<'a> {
    /// What became of a thing; nothing if it is neither before nor after.
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
    /// `poller` is the node's own, when there is one in this process.
    #[must_use]
    pub fn new(pool: PgPool, poller: Option<Arc<Poller>>, keyring: Arc<Keyring>) -> Self {
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let places = Arc::new(Semaphore::new((connections * 3 / 4).max(1)));
        Self { pool, poller, keyring, places, tenants: Arc::default() }
    }

    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Begins a change. That others of the tenant are under way is no outage: it has its turn after them, or is told to come again.
    pub async fn begin(&self, author: Author) -> Result<Change> {
        let turn = async {
            // The tenant's own first: who waits for it takes no place from others. Nobody closes the semaphores.
            let own = match author.within {
                Some(tenant) => self.of(tenant).acquire_owned().await.ok(),
                None => None,
            };
            [own, Arc::clone(&self.places).acquire_owned().await.ok()]
        };
        let turn = tokio::time::timeout(QUEUE, turn).await;
        let places = turn.map_err(|_| Error::ChangesUnderWay { seconds: 5 })?;
        let tx = self.within(author.within).await?;
        Ok(Change { tx, author, changes: self.clone(), places })
    }

    /// The places of a tenant: there as long as somebody has one, or waits.
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

    /// A transaction that sees one tenant's rows only, by the database's own rules (row-level security); `None`: all.
    pub async fn within(&self, tenant: Option<Uuid>) -> sqlx::Result<Transaction<'static, Postgres>> {
        let mut tx = self.pool.begin().await?;
        if let Some(tenant) = tenant {
            change_store::see_only(&mut tx, tenant).await?;
        }
        Ok(tx)
    }
}

impl Change {
    pub fn db(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.changes.keyring)
    }

    /// Does a part of the change that may come to nothing: what it did is undone then, and the change goes on. The savepoint ends with
    /// the part: savepoints that stay open lie within each other, and each makes every later statement dearer.
    pub async fn attempt<T, E>(
        &mut self,
        part: impl AsyncFnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> Result<std::result::Result<T, E>> {
        change_store::begin_part(&mut self.tx).await?;
        let done = part(self).await;
        if done.is_err() {
            change_store::undo_part(&mut self.tx).await?;
        }
        change_store::end_part(&mut self.tx).await?;
        Ok(done)
    }

    /// Writes down what is done, in the same transaction.
    pub async fn audit(&mut self, entry: Audit<'_>) -> Result<()> {
        self.audit_all([entry]).await
    }

    /// Writes down what becomes of a thing.
    pub async fn audit_of<T: Audited>(&mut self, action: &str, before: Option<&T>, after: Option<&T>) -> Result<()> {
        self.audit_all(Audit::of(action, before, after)).await
    }

    /// Writes down what is done to many things at once.
    pub async fn audit_all<'a>(&mut self, entries: impl IntoIterator<Item = Audit<'a>>) -> Result<()> {
        let source = self.author.source.map(|ip| ip.to_string());
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut columns = AuditColumns::default();
            entries.by_ref().take(AUDITED_AT_ONCE).for_each(|entry| entry.add_to(&mut columns));
            change_store::write_audit(&mut self.tx, &self.author.name, source.as_deref(), &columns).await?;
        }
        Ok(())
    }

    #[must_use]
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// Commits what no switch can see: there is nothing that the nodes have to learn.
    pub async fn commit_quietly(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    /// Commits, and waits until the change is in force on every node.
    pub async fn commit(mut self) -> Result<Visible> {
        let xid = change_store::transaction_id(&mut self.tx).await?;
        let committed = Instant::now();
        self.tx.commit().await?;
        // The rows are free: who waits for its turn need not wait for the nodes.
        drop(self.places);
        Ok(poller::settle(&self.changes.pool, self.changes.poller.as_deref(), xid, committed).await)
    }
}
