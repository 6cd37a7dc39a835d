//! The tenants whose agents may be otherwise than a moment ago, for whoever follows them.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{change::Change, leg::Leg, state::State, whose::Whose};

#[derive(Debug, Default)]
struct Which {
    all: bool,
    tenants: BTreeSet<Uuid>,
}

#[derive(Debug, Default)]
pub struct Stirred {
    which: Mutex<Which>,
    news: Notify,
}

impl Stirred {
    fn which(&self) -> MutexGuard<'_, Which> {
        self.which.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody: a switch is heard again, or not any more.
    pub fn all(&self) {
        self.which().all = true;
        self.news.notify_one();
    }

    pub fn tenants(&self, tenants: impl IntoIterator<Item = Uuid>) {
        let mut which = self.which();
        let before = which.tenants.len();
        which.tenants.extend(tenants);
        let has_news = which.tenants.len() > before;
        drop(which);
        if has_news {
            self.news.notify_one();
        }
    }

    /// Notes whom changes at a switch concern.
    pub fn by(&self, changes: &[Change], state: &State, whose: &Whose) {
        let of_leg = |leg: &Leg| whose.of_domain(&leg.about.phone.as_ref()?.1);
        let mut tenants = BTreeSet::new();
        for change in changes {
            match change {
                Change::Agent(name) => tenants.extend(whose.of_name(name)),
                Change::Registration(aor) => tenants.extend(whose.of_domain(&aor.1)),
                Change::LegOver(leg) => tenants.extend(of_leg(leg)),
                Change::Call(id) => tenants.extend(state.calls.of(*id).into_iter().filter_map(of_leg)),
                _ => {}
            }
        }
        self.tenants(tenants);
    }

    /// Waits until there is something to take.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Whom it concerns since the last time. `None`: everybody.
    pub fn take(&self) -> Option<BTreeSet<Uuid>> {
        let Which { all, tenants } = mem::take(&mut *self.which());
        (!all).then_some(tenants)
    }
}
