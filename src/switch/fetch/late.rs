//! Phones that still use a domain that their tenant had before. They are noted about once an hour, so that somebody can look for those that
//! have to be changed.

use std::time::Duration;

use super::{Fetch, Reply, store};
use crate::node::generations::Slot;

const NOTED_EVERY: Duration = Duration::from_hours(1);
/// The most phones remembered as noted.
const MOST: u64 = 20_000;

/// Domains and names that were noted lately.
pub struct Late(moka::sync::Cache<(Box<str>, Box<str>), ()>);

impl Default for Late {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(MOST).time_to_live(NOTED_EVERY).build())
    }
}

impl Fetch {
    /// Notes that a phone registers at a former domain, if the directory has it.
    pub(super) fn saw_late(&self, slot: &Slot, user: &str, answered: &Reply) {
        let Some(domain) = slot.domain.clone().filter(|_| slot.is_former()) else { return };
        if !matches!(answered, Reply::Document(document) if *document != slot.standing.nobody) {
            return;
        }
        let key = (Box::from(domain.as_str()), user.to_ascii_lowercase().into_boxed_str());
        if !self.late.0.entry(key.clone()).or_insert(()).is_fresh() {
            return;
        }
        let (pool, late) = (self.changes.clone(), self.late.0.clone());
        tokio::spawn(async move {
            if let Err(error) = store::saw_at_former_domain(&pool, &domain, &key.1).await {
                tracing::debug!(%error, "could not note that a phone uses a former domain");
                late.invalidate(&key);
            }
        });
    }
}
