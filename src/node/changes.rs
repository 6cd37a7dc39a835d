//! A change: one transaction that holds the rows, their audit entry and the generations the triggers raise; answered when no
//! node serves the state before it as fresh.

use std::{net::IpAddr, sync::Arc, time::Instant};

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    model::error::Result,
    node::{
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
}

/// A change under way. Dropped without [`Change::commit`], it never happened.
pub struct Change {
    tx: Transaction<'static, Postgres>,
    author: Author,
    changes: Changes,
}

/// What an audit entry says beside who, when and from where. `before` and `after` hold no secrets.
pub struct Audit<'a> {
    pub tenant: Option<Uuid>,
    pub action: &'a str,
    pub resource: String,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
}

/// Entries of the audit log that one statement writes.
const AUDITED_AT_ONCE: usize = 2_000;

#[derive(Default)]
struct AuditColumns {
    ids: Vec<Uuid>,
    tenants: Vec<Option<Uuid>>,
    actions: Vec<String>,
    resources: Vec<String>,
    before: Vec<Option<serde_json::Value>>,
    after: Vec<Option<serde_json::Value>>,
}

impl AuditColumns {
    fn push(&mut self, entry: Audit<'_>) {
        self.ids.push(Uuid::now_v7());
        self.tenants.push(entry.tenant);
        self.actions.push(entry.action.to_owned());
        self.resources.push(entry.resource);
        self.before.push(entry.before);
        self.after.push(entry.after);
    }
}

impl Changes {
    /// `poller` is the node's own, when there is one in this process.
    #[must_use]
    pub fn new(pool: PgPool, poller: Option<Arc<Poller>>, keyring: Arc<Keyring>) -> Self {
        Self { pool, poller, keyring }
    }

    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub async fn begin(&self, author: Author) -> Result<Change> {
        let tx = self.within(author.within).await?;
        Ok(Change { tx, author, changes: self.clone() })
    }

    /// A transaction that sees one tenant's rows only, by the database's own rules (row-level security); `None`: all.
    pub async fn within(&self, tenant: Option<Uuid>) -> sqlx::Result<Transaction<'static, Postgres>> {
        let mut tx = self.pool.begin().await?;
        if let Some(tenant) = tenant {
            sqlx::query!(
                "select set_config('dialplane.tenant', $1, true) as tenant, set_config('role', 'dialplane_tenant', true) as role",
                tenant.to_string()
            )
            .fetch_one(&mut *tx)
            .await?;
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
        sqlx::query!("savepoint part").execute(&mut *self.tx).await?;
        let done = part(self).await;
        if done.is_err() {
            sqlx::query!("rollback to savepoint part").execute(&mut *self.tx).await?;
        }
        sqlx::query!("release savepoint part").execute(&mut *self.tx).await?;
        Ok(done)
    }

    /// Writes down what is done, in the same transaction.
    pub async fn audit(&mut self, entry: Audit<'_>) -> Result<()> {
        self.audit_all([entry]).await
    }

    /// Writes down what is done to many things at once.
    pub async fn audit_all<'a>(&mut self, entries: impl IntoIterator<Item = Audit<'a>>) -> Result<()> {
        let source = self.author.source.map(|ip| ip.to_string());
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut columns = AuditColumns::default();
            entries.by_ref().take(AUDITED_AT_ONCE).for_each(|entry| columns.push(entry));
            sqlx::query!(
                "insert into audit_log (id, actor, source, tenant_id, action, resource, before, after)
                 select a.id, $1, $2::text::inet, a.tenant_id, a.action, a.resource, a.before, a.after
                   from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[])
                        as a (id, tenant_id, action, resource, before, after)",
                self.author.name,
                source,
                &columns.ids,
                &columns.tenants as &[Option<Uuid>],
                &columns.actions,
                &columns.resources,
                &columns.before as &[Option<serde_json::Value>],
                &columns.after as &[Option<serde_json::Value>]
            )
            .execute(&mut *self.tx)
            .await?;
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
        let xid =
            sqlx::query_scalar!(r#"select pg_current_xact_id()::text as "xid!""#).fetch_one(&mut *self.tx).await?;
        let committed = Instant::now();
        self.tx.commit().await?;
        let xid =
            xid.parse().map_err(|_| sqlx::Error::Protocol(format!("a transaction id that is no number: {xid}")))?;
        Ok(poller::settle(&self.changes.pool, self.changes.poller.as_deref(), xid, committed).await)
    }
}
