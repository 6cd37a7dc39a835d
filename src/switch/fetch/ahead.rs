//! Extensions that are read before anybody asks for them.
//!
//! After a start or a change, a tenant's phones ask one after the other. For the database, a row among many costs a fraction of a statement
//! of its own. So once some extensions of a tenant were asked for at one generation, the others are read with few statements, in the
//! background: never more than [`PER_LOOKUP`] for each that was asked for, so that a tenant that changes all the time costs little more than
//! what is asked. A switch also asks for one phone in several ways (to sign in, to be rung, for its mailbox), and one row answers them all.
//!
//! A row is served as a kept answer is: by its generation alone.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use metrics::{Counter, counter};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    Fetch,
    store::{self, ExtensionRow, TenantRow},
};
use crate::{
    node::generations::{Era, Slot},
    text::ExtensionNumber,
};

/// Before as many were asked for at one generation, nothing is read ahead.
const FIRST_LOOKUPS: usize = 4;
const PER_LOOKUP: usize = 16;
/// How many extensions one statement reads.
const FEWEST: usize = 32;
const MOST: usize = 256;
/// How many statements may be under way at once, so that fetches have the connections.
const STATEMENTS: usize = 2;
const TENANTS: u64 = 10_000;
const BYTES: u64 = 16 << 20;
/// About what a row takes: its texts, what is sealed, and moka's nodes.
const ROW_BYTES: u32 = 1200;

/// A tenant's id and a name that one of its extensions has.
type Name = Box<[u8]>;

struct Row {
    slot: Arc<Slot>,
    tenant: Arc<TenantRow>,
    extension: ExtensionRow,
}

pub struct Ahead {
    rows: moka::sync::Cache<Name, Arc<Row>>,
    tenants: moka::sync::Cache<Uuid, Arc<Mutex<Progress>>>,
    permits: Arc<Semaphore>,
    read: Counter,
    used: Counter,
    /// How many answers were made from rows, on this node.
    uses: AtomicU64,
}

/// How far a tenant's extensions are read at a generation, in the order of their ids.
#[derive(Debug, Default, PartialEq, Eq)]
struct Progress {
    generation: u64,
    lookups: usize,
    read: usize,
    after: Uuid,
    is_reading: bool,
    is_over: bool,
}

impl Progress {
    /// One was asked for. Returns how many to read now.
    fn looked_up(&mut self, generation: u64) -> Option<usize> {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
        self.lookups += 1;
        if self.is_reading || self.is_over || self.lookups < FIRST_LOOKUPS {
            return None;
        }
        let due = (self.lookups * PER_LOOKUP).saturating_sub(self.read).min(MOST);
        (due >= FEWEST).then_some(due)
    }

    /// So many were wanted, and these were read. What was read at another generation counts for nothing.
    fn has_read(&mut self, generation: u64, wanted: usize, ids: impl ExactSizeIterator<Item = Uuid>) {
        if self.generation != generation {
            return;
        }
        self.is_reading = false;
        self.read += ids.len();
        self.is_over = ids.len() < wanted;
        self.after = ids.last().unwrap_or(self.after);
    }
}

impl Default for Ahead {
    fn default() -> Self {
        let rows = moka::sync::Cache::builder()
            .max_capacity(BYTES)
            .weigher(|_, _| ROW_BYTES)
            // What was read last is asked for next: it must not have to prove itself first.
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        Self {
            rows,
            tenants: moka::sync::Cache::new(TENANTS),
            permits: Arc::new(Semaphore::new(STATEMENTS)),
            read: counter!("dialplane_read_ahead_total", "result" => "read"),
            used: counter!("dialplane_read_ahead_total", "result" => "used"),
            uses: AtomicU64::new(0),
        }
    }
}

impl Ahead {
    /// Forgets everything, for measurements.
    pub fn clear(&self) {
        self.rows.invalidate_all();
        self.tenants.invalidate_all();
    }

    pub fn uses(&self) -> u64 {
        self.uses.load(Ordering::Relaxed)
    }

    /// What a current row says about a name.
    pub fn get(&self, slot: &Slot, name: &str) -> Option<(TenantRow, ExtensionRow)> {
        let row = self.rows.get(&key(slot.scope, name)[..])?;
        let generation = u64::try_from(row.tenant.generation).ok()?;
        if !row.slot.is_of_same(slot) || !slot.is_current(generation) {
            return None;
        }
        self.used.increment(1);
        self.uses.fetch_add(1, Ordering::Relaxed);
        Some((TenantRow::clone(&row.tenant), row.extension.clone()))
    }

    /// Keeps what a statement read that began in `era`, if the slot is still the tenant's.
    pub fn keep(
        &self,
        fetch: &Fetch,
        slot: &Arc<Slot>,
        era: Era,
        tenant: TenantRow,
        extensions: impl IntoIterator<Item = ExtensionRow>,
    ) {
        let Ok(generation) = u64::try_from(tenant.generation) else { return };
        if !slot.is_of(&tenant.heard()) || !fetch.generations.raise(era, slot, generation) {
            return;
        }
        let tenant = Arc::new(tenant);
        for extension in extensions {
            let row = Arc::new(Row { slot: Arc::clone(slot), tenant: Arc::clone(&tenant), extension });
            let names = [
                Some(row.extension.sip_username.as_str()),
                Some(row.extension.number.as_str()),
                row.extension.alias.as_ref().map(ExtensionNumber::as_str),
            ];
            for (place, name) in names.iter().enumerate() {
                if let Some(name) = name
                    && !names[..place].contains(&Some(name))
                {
                    self.rows.insert(key(slot.scope, name), Arc::clone(&row));
                }
            }
        }
    }

    /// An extension was looked up with a statement of its own: reads others, if it is time.
    pub fn looked_up(&self, fetch: &Arc<Fetch>, slot: &Arc<Slot>, generation: u64) {
        let progress = self.tenants.get(&slot.scope).unwrap_or_else(|| {
            let new = Arc::<Mutex<Progress>>::default();
            self.tenants.insert(slot.scope, Arc::clone(&new));
            new
        });
        let (wanted, after, permit) = {
            let mut progress = lock(&progress);
            let Some(wanted) = progress.looked_up(generation) else { return };
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
            progress.is_reading = true;
            (wanted, progress.after, permit)
        };
        let (fetch, slot) = (Arc::clone(fetch), Arc::clone(slot));
        tokio::spawn(async move {
            let _permit = permit;
            let (era, scope) = (fetch.generations.era(), slot.scope);
            let limit = i64::try_from(wanted).unwrap_or_default();
            let read = fetch.readers.read(|db, _| Box::pin(store::next_extensions(db, scope, after, limit))).await;
            match read {
                Ok(Some((tenant, extensions))) => {
                    fetch.ahead.read.increment(extensions.len() as u64);
                    let read_at = u64::try_from(tenant.generation).unwrap_or_default();
                    lock(&progress).has_read(read_at, wanted, extensions.iter().map(|extension| extension.id));
                    fetch.ahead.keep(&fetch, &slot, era, tenant, extensions);
                }
                Ok(None) => lock(&progress).has_read(generation, wanted, [].into_iter()),
                Err(error) => {
                    tracing::debug!(%error, %scope, "extensions could not be read ahead");
                    lock(&progress).has_read(generation, 0, [].into_iter());
                }
            }
        });
    }
}

fn key(tenant: Uuid, name: &str) -> Name {
    [tenant.as_bytes(), name.as_bytes()].concat().into()
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(many: usize) -> Vec<Uuid> {
        (1..=many).map(|n| Uuid::from_u128(n as u128)).collect()
    }

    #[test]
    fn never_more_is_read_ahead_than_a_multiple_of_what_was_asked_for() {
        let mut progress = Progress::default();
        for _ in 0..1000 {
            if let Some(wanted) = progress.looked_up(7) {
                assert!((FEWEST..=MOST).contains(&wanted));
                progress.is_reading = true;
                assert_eq!(progress.looked_up(7), None, "one at a time");
                progress.has_read(7, wanted, ids(wanted).into_iter());
            }
            assert!(progress.read <= progress.lookups * PER_LOOKUP);
        }
        assert!(progress.read > 1000);
    }

    #[test]
    fn a_single_phone_after_each_change_reads_nothing_ahead() {
        let mut progress = Progress::default();
        for generation in 1..100 {
            for _ in 1..FIRST_LOOKUPS {
                assert_eq!(progress.looked_up(generation), None);
            }
        }
    }

    #[test]
    fn a_tenant_is_read_once_at_a_generation_and_again_at_the_next() {
        let mut progress = Progress::default();
        let mut wanted = None;
        while wanted.is_none() {
            wanted = progress.looked_up(7);
        }
        progress.is_reading = true;
        progress.has_read(7, wanted.unwrap(), ids(5).into_iter());
        assert!(progress.is_over);
        assert!((0..1000).all(|_| progress.looked_up(7).is_none()));
        assert!((0..FIRST_LOOKUPS).any(|_| progress.looked_up(8).is_some()));
        assert_eq!(progress.after, Uuid::nil(), "from the beginning");
        // What was read before the change is too late.
        progress.has_read(7, 100, ids(3).into_iter());
        assert_eq!((progress.after, progress.is_over), (Uuid::nil(), false));
    }
}
