//! Connections for fills.
//!
//! sqlx's pool pings a connection when it comes back (`return_to_pool` in its pool/connection.rs): a second round trip
//! for each miss. Here a connection comes back only after a statement that succeeded, without a ping.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use sqlx::PgConnection;
use tokio::sync::Semaphore;

use crate::{
    model::database_errors,
    node::servers::{Servers, Session},
};

pub struct Readers {
    servers: Servers,
    session: Session,
    idle: Mutex<Vec<Idle>>,
    /// A statement runs with one of these.
    permits: Semaphore,
    /// As many, taken before by the first statement of a fetch: those that follow queue only behind as many as there are connections.
    firsts: Semaphore,
    timeout: Duration,
}

struct Idle {
    /// In whose event loop it is.
    thread: ThreadId,
    /// To the server that the node was on in this era.
    era: u64,
    connection: PgConnection,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    /// More is asked than the database answers. Nothing was begun.
    #[error("no connection for fetches was free within {0:?}")]
    Busy(Duration),
    #[error(transparent)]
    Sql(sqlx::Error),
    /// A statement that read for several askers failed.
    #[error(transparent)]
    Together(Arc<ReadError>),
    #[error("the task that ran the statement ended early")]
    Lost,
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        database_errors::note(&error);
        Self::Sql(error)
    }
}

/// One statement on a connection. It is made anew if it has to be tried on a second connection.
pub type Reading<'c, T> = Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'c>>;

/// Tells the compiler that what a statement borrows (`'e`) outlives the use of the connection (`'c`).
pub struct Within<'c, 'e>(PhantomData<&'c &'e ()>);

impl Readers {
    /// At most `limit` connections. A statement takes at most `timeout`.
    ///
    /// The first of a fetch waits at most half of that for its turn. Under a load that the database can't carry, a fair queue would otherwise let each statement
    /// begin when its time is nearly over, and all would be broken off with their connections: nobody would get an answer.
    #[must_use]
    pub fn new(servers: Servers, limit: usize, timeout: Duration) -> Self {
        // A statement that timed out is dropped with its connection, and the server ends it as well. The statements look up single
        // rows by key: their query plans never depend on the values.
        let session = Session::within(timeout).with("plan_cache_mode", "force_generic_plan").with("jit", "off");
        let (permits, firsts) = (Semaphore::new(limit), Semaphore::new(limit));
        Self { servers, session, idle: Mutex::default(), permits, firsts, timeout }
    }

    /// Runs the first statement of a fetch. If a connection that had been idle turns out to be broken, it is tried once more on a new one:
    /// the database may have been restarted in between.
    pub async fn read<'e, T: Send>(
        &self,
        statement: impl for<'c> Fn(&'c mut PgConnection, Within<'c, 'e>) -> Reading<'c, T> + Send + Sync,
    ) -> Result<T, ReadError> {
        let patience = self.timeout / 2;
        let first = tokio::time::timeout(patience, self.firsts.acquire()).await;
        // The semaphore is never closed.
        let _first = first.map_err(|_| ReadError::Busy(patience))?.map_err(|_| sqlx::Error::PoolClosed)?;
        self.go_on(statement).await
    }

    /// The same for a fetch that has read something already: what it has cost would be lost if it had to queue again.
    pub async fn go_on<'e, T: Send>(
        &self,
        statement: impl for<'c> Fn(&'c mut PgConnection, Within<'c, 'e>) -> Reading<'c, T> + Send + Sync,
    ) -> Result<T, ReadError> {
        let Ok(result) = tokio::time::timeout(self.timeout, self.attempt(&statement)).await else {
            database_errors::note_timeout();
            return Err(ReadError::Timeout(self.timeout));
        };
        Ok(result?)
    }

    async fn attempt<'e, T: Send>(
        &self,
        statement: &(impl for<'c> Fn(&'c mut PgConnection, Within<'c, 'e>) -> Reading<'c, T> + Send + Sync),
    ) -> sqlx::Result<T> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        if let Some(mut idle) = self.take() {
            match statement(&mut idle.connection, Within(PhantomData)).await {
                Ok(value) => {
                    self.give_back(idle);
                    return Ok(value);
                }
                Err(error) if is_broken(&error) => self.forget_idle(),
                Err(error) => return Err(error),
            }
        }
        let (thread, era) = (thread::current().id(), self.servers.era());
        let mut connection = self.servers.connect(&self.session).await?;
        let value = statement(&mut connection, Within(PhantomData)).await?;
        self.give_back(Idle { thread, era, connection });
        Ok(value)
    }

    /// One of this thread's own, if there is one: what comes on another's wakes that one first.
    fn take(&self) -> Option<Idle> {
        let (era, here) = (self.servers.era(), thread::current().id());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those to a server that was left are closed.
        if idle.iter().any(|one| one.era != era) {
            idle.retain(|one| one.era == era);
        }
        let own = idle.iter().rposition(|one| one.thread == here);
        own.or(idle.len().checked_sub(1)).map(|place| idle.swap_remove(place))
    }

    fn give_back(&self, idle: Idle) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
    }

    fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Whether the connection failed rather than the statement.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        // Class 57: the server is going down; 08: connection exceptions.
        sqlx::Error::Database(e) => e.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        _ => false,
    }
}
