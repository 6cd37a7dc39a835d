//! What agents have chosen, as this node has read it last. While the database is away, it stays as it was.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{PoisonError, RwLock},
};

use uuid::Uuid;

use crate::model::agent_status::Chosen;

#[derive(Default)]
pub struct AllChosen(RwLock<HashMap<Uuid, HashMap<Uuid, Chosen>>>);

impl AllChosen {
    #[must_use]
    pub fn of(&self, tenant: Uuid, user: Uuid) -> Option<Chosen> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&tenant)?.get(&user).cloned()
    }

    /// The tenants in which anybody has chosen anything.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<Uuid> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Takes over rows. Returns the tenants in which something is new.
    pub fn put(&self, rows: Vec<Chosen>) -> BTreeSet<Uuid> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut news = BTreeSet::new();
        for row in rows {
            let of_tenant = all.entry(row.tenant).or_default();
            // A slower statement may have read the row before.
            if of_tenant.get(&row.user).is_none_or(|known| known.changed_at < row.changed_at) {
                news.insert(row.tenant);
                of_tenant.insert(row.user, row);
            }
        }
        news
    }

    /// Forgets everybody who is not among these: they are deleted.
    pub fn keep(&self, there: &BTreeSet<(Uuid, Uuid)>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (tenant, users) in all.iter_mut() {
            users.retain(|user, _| there.contains(&(*tenant, *user)));
        }
        all.retain(|_, users| !users.is_empty());
    }
}
