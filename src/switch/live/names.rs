//! The names of what switches speak of: whose a SIP username is, what a queue is called. Kept by the tenant's generation, so that live state
//! has names while the database is away.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use sqlx::PgPool;
use uuid::Uuid;

use super::store::{self, CarrierRow, PlaceRow};
use crate::{model::call_handling::AtQueues, node::generations::Generations};

/// What people are called raises no generation.
const KEPT: Duration = Duration::from_secs(10);
/// For how long somebody waits for names.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long nobody asks a database that did not answer.
const PAUSE: Duration = Duration::from_secs(5);
/// The most tenants whose names are kept.
const MOST: usize = 2000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub id: Uuid,
    pub number: String,
    pub sip_username: String,
    pub name: String,
    /// The agent who has it.
    pub user: Option<Uuid>,
    pub person: Option<String>,
    /// What was set for it as an agent of queues.
    pub at_queues: AtQueues,
    /// Not suspended.
    pub active: bool,
}

#[derive(Debug)]
struct Named {
    name: String,
    /// The extensions of a queue's agents.
    extensions: Vec<Uuid>,
    wrap_up: u32,
}

/// A tenant's names.
#[derive(Debug, Default)]
pub struct Names {
    by_username: HashMap<String, Extension>,
    places: HashMap<Uuid, Named>,
    /// For how many seconds an agent's phones may be gone.
    pub grace: Option<u32>,
}

impl Names {
    #[must_use]
    pub fn of_phone(&self, sip_username: &str) -> Option<&Extension> {
        self.by_username.get(sip_username)
    }

    /// The extension with this number.
    #[must_use]
    pub fn of_number(&self, number: &str) -> Option<&Extension> {
        self.by_username.values().find(|one| one.number == number)
    }

    #[must_use]
    pub fn of_id(&self, extension: Uuid) -> Option<&Extension> {
        self.by_username.values().find(|one| one.id == extension)
    }

    /// The extensions of a person, by number.
    pub fn of_person(&self, person: Uuid) -> impl Iterator<Item = &Extension> {
        let mut all = self.by_username.values().filter(|one| one.user == Some(person)).collect::<Vec<_>>();
        all.sort_by(|one, other| one.number.cmp(&other.number));
        all.into_iter()
    }

    /// The name of a queue or a conference.
    #[must_use]
    pub fn of_place(&self, id: Uuid) -> Option<&str> {
        self.places.get(&id).map(|place| place.name.as_str())
    }

    /// Everybody who has an extension in use, with these extensions in the order of their numbers. `only`: whoever has one of these SIP usernames.
    #[must_use]
    pub fn people(&self, only: Option<&BTreeSet<String>>) -> BTreeMap<Uuid, Vec<&Extension>> {
        let mut all = BTreeMap::<Uuid, Vec<&Extension>>::new();
        let user = |name: &String| self.by_username.get(name.as_str()).and_then(|one| one.user);
        let wanted = only.map(|only| only.iter().filter_map(user).collect::<BTreeSet<_>>());
        for extension in self.by_username.values().filter(|one| one.active) {
            if let Some(user) = extension.user.filter(|user| wanted.as_ref().is_none_or(|wanted| wanted.contains(user)))
            {
                all.entry(user).or_default().push(extension);
            }
        }
        for own in all.values_mut() {
            own.sort_by_key(|one| (one.number.len(), &one.number));
        }
        all
    }

    /// How long an agent has after a call of a queue, in seconds: the longest of their queues, since a switch keeps one time for all.
    #[must_use]
    pub fn wrap_up(&self, extension: Uuid) -> u32 {
        let serves = self.places.values().filter(|place| place.extensions.contains(&extension));
        serves.map(|place| place.wrap_up).max().unwrap_or_default()
    }

    /// The extensions that serve a queue, by number.
    #[must_use]
    pub fn serving(&self, queue: Uuid) -> Vec<&Extension> {
        let Some(place) = self.places.get(&queue) else { return Vec::new() };
        let serve = self.by_username.values().filter(|one| one.active && place.extensions.contains(&one.id));
        let mut serve = serve.collect::<Vec<_>>();
        serve.sort_by_key(|one| (one.number.len(), &one.number));
        serve
    }

    /// The people who serve a queue.
    #[must_use]
    pub fn who_serves(&self, queue: Uuid) -> BTreeSet<Uuid> {
        let Some(place) = self.places.get(&queue) else { return BTreeSet::new() };
        let serve = self.by_username.values().filter(|one| place.extensions.contains(&one.id));
        serve.filter_map(|one| one.user).collect()
    }

    /// Whether one of the extensions of a person serves a queue.
    #[must_use]
    pub fn serves(&self, person: Uuid, queue: Uuid) -> bool {
        let Some(place) = self.places.get(&queue) else { return false };
        self.by_username.values().any(|one| one.user == Some(person) && place.extensions.contains(&one.id))
    }
}

struct Kept {
    generation: u64,
    at: Instant,
    names: Arc<Names>,
}

#[derive(Default)]
pub struct AllNames {
    kept: RwLock<HashMap<Uuid, Kept>>,
    /// When reading failed last: then nobody tries for a while, of whatever tenant, so that what waits for names does not wait for a
    /// database that is away, tenant after tenant.
    failed_at: Mutex<Option<Instant>>,
}

impl AllNames {
    /// A tenant's names, as they are now, or as they were before the database went away. Empty if they were never read.
    pub async fn of(&self, tenant: Uuid, generations: &Generations, pool: &PgPool) -> Arc<Names> {
        self.not_older(tenant, generations, pool, KEPT).await
    }

    /// The same for whoever asks all the time: what people are called may be as old as this.
    pub async fn not_older(
        &self,
        tenant: Uuid,
        generations: &Generations,
        pool: &PgPool,
        oldest: Duration,
    ) -> Arc<Names> {
        let generation = generations.scope(tenant).map_or(0, |slot| slot.newest());
        let known = {
            let all = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            let kept = all.get(&tenant);
            kept.map(|kept| (kept.at.elapsed() < kept.lasts(generation, oldest), Arc::clone(&kept.names)))
        };
        if let Some((true, names)) = known {
            return names;
        }
        let before = known.map(|(_, names)| names);
        // While the database can't be asked, there is nothing newer to be known, and what waits for names does not wait for that.
        if !generations.is_fresh()
            && let Some(names) = before
        {
            return names;
        }
        if self.failed_at().is_some_and(|failed| failed.elapsed() < PAUSE) {
            return before.unwrap_or_default();
        }
        let read = match tokio::time::timeout(PATIENCE, read(tenant, pool)).await {
            Ok(Ok(names)) => Arc::new(names),
            failed => {
                tracing::debug!(%tenant, ?failed, "names could not be read");
                *self.failed_at() = Some(Instant::now());
                return before.unwrap_or_default();
            }
        };
        *self.failed_at() = None;
        let mut all = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST
            && !all.contains_key(&tenant)
            && let Some(oldest) = all.iter().min_by_key(|(_, kept)| kept.at).map(|(tenant, _)| *tenant)
        {
            all.remove(&oldest);
        }
        all.insert(tenant, Kept { generation, at: Instant::now(), names: Arc::clone(&read) });
        read
    }

    fn failed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn lasts(&self, generation: u64, oldest: Duration) -> Duration {
        if self.generation == generation { oldest } else { Duration::ZERO }
    }
}

async fn read(tenant: Uuid, pool: &PgPool) -> sqlx::Result<Names> {
    let mut names = Names::default();
    for row in store::extensions(pool, tenant).await? {
        let store::ExtensionRow { id, number, sip_username, name, user, person, at_queues, active } = row;
        let at_queues = at_queues.and_then(|name| serde_json::from_value(name.into()).ok()).unwrap_or_default();
        let extension = Extension { id, number, sip_username, name, user, person, at_queues, active };
        names.by_username.insert(extension.sip_username.clone(), extension);
    }
    for PlaceRow { id, name, extensions, wrap_up } in store::places(pool, tenant).await? {
        let wrap_up = wrap_up.and_then(|seconds| seconds.try_into().ok()).unwrap_or_default();
        names.places.insert(id, Named { name, extensions, wrap_up });
    }
    names.grace = store::grace(pool, tenant).await?.and_then(|seconds| seconds.try_into().ok());
    Ok(names)
}

/// The carriers' names, and whose they are.
#[derive(Default)]
pub struct Carriers(RwLock<Option<(Instant, Arc<Vec<CarrierRow>>)>>);

impl Carriers {
    pub async fn all(&self, pool: &PgPool) -> Arc<Vec<CarrierRow>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, all)) = &known
            && at.elapsed() < KEPT
        {
            return Arc::clone(all);
        }
        let all = match tokio::time::timeout(PATIENCE, store::carriers(pool)).await {
            Ok(Ok(all)) => Arc::new(all),
            failed => {
                tracing::debug!(failed = failed.is_err(), "the carriers' names could not be read");
                known.map(|(_, all)| all).unwrap_or_default()
            }
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&all)));
        all
    }

    /// Whose a carrier is; `None`: the platform's.
    pub async fn owner(&self, carrier: Uuid, pool: &PgPool) -> Option<Uuid> {
        self.all(pool).await.iter().find(|one| one.id == carrier)?.tenant
    }
}
