//! Connections for fills.
//!
//! Not sqlx's pool: that one sends a ping when a connection comes back (`return_to_pool` in its pool/connection.rs), a
//! second round trip for each fetch that misses. Here a connection comes back only after a statement that went well.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tokio::sync::Semaphore;

use crate::node::database;

pub struct Readers {
    options: PgConnectOptions,
    /// With the thread whose event loop each is in.
    idle: Mutex<Vec<(ThreadId, PgConnection)>>,
    permits: Semaphore,
    timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// Of a statement that read for several.
    #[error(transparent)]
    Together(Arc<ReadError>),
    #[error("the statement came to no end")]
    Lost,
}

/// One statement on a connection; made anew when it has to be tried on a second one.
pub type Reading<'c, T> = Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'c>>;

/// Tells the compiler that what a statement borrows (`'e`) outlives the use of the connection (`'c`).
pub struct Within<'c, 'e>(PhantomData<&'c &'e ()>);

impl Readers {
    /// At most `limit` connections; a read, waiting for a connection included, takes at most `timeout`.
    #[must_use]
    pub fn new(options: &PgConnectOptions, limit: usize, timeout: Duration) -> Self {
        // The statements are few and look up single rows by key: their plan never depends on the values.
        let options = options.clone().options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")]);
        // One that was given up is dropped with its connection, and ends at the server as well.
        let options = database::within(&options, timeout);
        Self { options, idle: Mutex::default(), permits: Semaphore::new(limit), timeout }
    }

    /// Runs a statement. One that fails on a connection that had been idle is tried once more on a new one: the database
    /// may have been restarted in between.
    pub async fn read<'e, T: Send>(
        &self,
        statement: impl for<'c> Fn(&'c mut PgConnection, Within<'c, 'e>) -> Reading<'c, T> + Send + Sync,
    ) -> Result<T, ReadError> {
        match tokio::time::timeout(self.timeout, self.attempt(&statement)).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(ReadError::Timeout(self.timeout)),
        }
    }

    async fn attempt<'e, T: Send>(
        &self,
        statement: &(impl for<'c> Fn(&'c mut PgConnection, Within<'c, 'e>) -> Reading<'c, T> + Send + Sync),
    ) -> sqlx::Result<T> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        if let Some((thread, mut connection)) = self.take() {
            match statement(&mut connection, Within(PhantomData)).await {
                Ok(value) => {
                    self.give_back(thread, connection);
                    return Ok(value);
                }
                Err(error) if is_broken(&error) => self.forget_idle(),
                Err(error) => return Err(error),
            }
        }
        let thread = thread::current().id();
        let mut connection = self.options.connect().await?;
        let value = statement(&mut connection, Within(PhantomData)).await?;
        self.give_back(thread, connection);
        Ok(value)
    }

    /// One of this thread's own, if there is one: what comes on another's wakes that one first.
    fn take(&self) -> Option<(ThreadId, PgConnection)> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let here = thread::current().id();
        let own = idle.iter().rposition(|(thread, _)| *thread == here);
        own.or(idle.len().checked_sub(1)).map(|place| idle.swap_remove(place))
    }

    fn give_back(&self, thread: ThreadId, connection: PgConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((thread, connection));
    }

    fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Is it the connection that failed, not the statement?
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        // Class 57: the server is going down; 08: connection exceptions.
        sqlx::Error::Database(e) => e.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        _ => false,
    }
}
