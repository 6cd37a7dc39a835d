//! How queues are served today, in the tenant's zone: from the sums of reports, which follow each call's record, so that every node says the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    node::generations::Generations,
    telephony::reports::{By, Figures, LEVEL_WITHIN, store},
};

/// A queue's events would ask all the time.
pub const KEPT: Duration = Duration::from_secs(10);
/// What is older than this is not said any more.
const OLDEST: Duration = Duration::from_mins(2);
/// For how long somebody waits for the database.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long nobody asks a database that did not answer.
const PAUSE: Duration = Duration::from_secs(5);
/// The most tenants that are kept.
const MOST: usize = 2000;
/// The most queues of a tenant that have figures, those with most calls.
const MOST_QUEUES: i64 = 1000;

/// A queue's calls that are over, since midnight in the tenant's zone.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = LiveQueueToday)]
pub struct Today {
    /// Calls that came into the queue and are over.
    pub calls: i64,
    /// Calls that an agent took.
    pub answered: i64,
    /// Calls whose callers hung up while they waited.
    pub abandoned: i64,
    /// The share of calls that were answered within 20 seconds, 0 to 1, among those that were answered or abandoned. `null` without any.
    pub service_level: Option<f64>,
    /// The longest that a caller waited.
    pub longest_wait_seconds: f64,
}

/// The figures of a tenant's queues that had calls today.
type OfTenant = Arc<Queues>;

/// By their ids.
pub type Queues = HashMap<Uuid, Today>;

struct Kept {
    at: Instant,
    queues: OfTenant,
}

#[derive(Default)]
struct Known {
    tenants: HashMap<Uuid, Kept>,
    failed_at: Option<Instant>,
}

#[derive(Default)]
pub struct Levels(Mutex<Known>);

impl Levels {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: nothing is known.
    pub async fn of(&self, tenant: Uuid, generations: &Generations, pool: &PgPool) -> Option<OfTenant> {
        let before = {
            let known = self.known();
            let kept = known.tenants.get(&tenant);
            if let Some(kept) = kept
                && kept.at.elapsed() < KEPT
            {
                return Some(Arc::clone(&kept.queues));
            }
            let before = kept.filter(|kept| kept.at.elapsed() < OLDEST).map(|kept| Arc::clone(&kept.queues));
            // Whatever waits for these figures does not wait for a database that can't be asked.
            if !generations.is_fresh() || known.failed_at.is_some_and(|failed| failed.elapsed() < PAUSE) {
                return before;
            }
            before
        };
        let read = match tokio::time::timeout(PATIENCE, read(tenant, pool)).await {
            Ok(Ok(read)) => read?,
            failed => {
                tracing::debug!(%tenant, failed = ?failed.map(Result::err), "today's figures of queues could not be read");
                self.known().failed_at = Some(Instant::now());
                return before;
            }
        };
        let queues = Arc::clone(&read.queues);
        let mut known = self.known();
        known.failed_at = None;
        if known.tenants.len() >= MOST {
            known.tenants.retain(|_, kept| kept.at.elapsed() < OLDEST);
        }
        if known.tenants.len() < MOST {
            known.tenants.insert(tenant, read);
        }
        Some(queues)
    }
}

/// What a queue without a call has.
#[must_use]
pub fn none_yet() -> Today {
    Today::from(&Figures::default())
}

impl From<&Figures> for Today {
    fn from(figures: &Figures) -> Self {
        Self {
            calls: figures.calls,
            answered: figures.answered,
            abandoned: figures.abandoned,
            service_level: figures.service_level,
            longest_wait_seconds: figures.longest_wait_seconds,
        }
    }
}

/// `None`: the tenant is gone.
async fn read(tenant: Uuid, pool: &PgPool) -> sqlx::Result<Option<Kept>> {
    let at = Instant::now();
    let Some(whose) = store::whose(pool, tenant).await? else { return Ok(None) };
    let asked = store::Asked {
        by: By::Queue,
        per: None,
        direction: None,
        since: whose.today,
        until: whose.today,
        zone: whose.zone,
        within_seconds: LEVEL_WITHIN,
        // Nobody looks at amounts here.
        currency: None,
    };
    let rows = store::sums(pool, tenant, &asked, MOST_QUEUES).await?;
    let queues = rows.iter().filter_map(|(_, key, sums)| Some((key.parse().ok()?, Today::from(&Figures::from(sums)))));
    Ok(Some(Kept { at, queues: Arc::new(queues.collect()) }))
}
