//! Presence (SUBSCRIBE, `Event: presence`) of extensions that phones watch by their number.
//!
//! The switch tells of their calls. Whether a phone is registered it looks up by the watched name (`do_normal_probe` in sofia_presence.c), and
//! phones register by their SIP username. So whoever watches a number would always be told that nobody is there. The node that holds the
//! link says what is so after each such question, and whenever it changes. The switch leaves that out while the extension is in a call
//! (`actual_sofia_presence_event_handler`).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    VisitError,
    ear::Heard,
    lamps_store as store,
    socket::{Talk, Unanswered},
};
use crate::{
    node::changes::Changes,
    switch::live::{self, Live, change::Aor},
    text::{Domain, ExtensionNumber},
};

/// The most numbers that are looked after for a switch. Whoever watches another is told only when they ask.
const MOST_KEPT: usize = 4000;
/// The most that are looked up at once.
const MOST: usize = 200;
/// How often it is looked up whose the numbers are.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// A number, and a domain as the phone writes it: perhaps one that the tenant had before.
type Watched = (Domain, ExtensionNumber);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    phone: Aor,
    /// As it was told last. `None` if it was not.
    is_open: Option<bool>,
}

/// What a link has heard of watched numbers.
#[derive(Debug, Default)]
pub struct Presences {
    asked: Mutex<HashSet<Watched>>,
    kept: Mutex<HashMap<Watched, Kept>>,
    looked_up: Mutex<Option<Instant>>,
}

fn open<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a `PRESENCE_PROBE` about a presence.
fn read(event: &Heard) -> Option<Watched> {
    // One about a lamp says so (`sofia_presence_handle_sip_i_subscribe` in sofia_presence.c).
    let is_lamp = event.get("probe-type").is_some();
    if event.name() != "PRESENCE_PROBE" || is_lamp || event.get("proto") != Some("sip") {
        return None;
    }
    let (number, domain) = event.get("to")?.split_once('@')?;
    Some((Domain::parse(domain).ok()?, ExtensionNumber::parse(number).ok()?))
}

impl Presences {
    /// Takes in an event. Returns whether somebody asks.
    pub fn hear(&self, event: &Heard) -> bool {
        let Some(watched) = read(event) else { return false };
        let mut asked = open(&self.asked);
        if asked.len() < MOST_KEPT {
            asked.insert(watched);
        }
        true
    }

    /// Answers phones that ask, and tells what has changed.
    pub(super) async fn tell(
        &self,
        changes: &Changes,
        talk: &Talk,
        (cluster, switch): (Uuid, Uuid),
        live: &Live,
    ) -> Result<(), VisitError> {
        let asked = {
            let mut asked = open(&self.asked);
            let some = asked.iter().take(MOST).cloned().collect::<Vec<_>>();
            for one in &some {
                asked.remove(one);
            }
            some
        };
        let found = match phones(changes, cluster, &asked).await {
            Ok(found) => found,
            Err(error) => {
                // The database is away: they are answered when it is back.
                open(&self.asked).extend(asked);
                return Err(error);
            }
        };
        let switches = live.beside(switch);
        let is_open = |phone: &Aor| switches.as_deref().map(|all| is_registered(all, phone));
        for (watched, phone) in found {
            match phone {
                Some(phone) => {
                    let is_open = is_open(&phone);
                    if let Some(is_open) = is_open {
                        show(talk, &watched, is_open).await?;
                    }
                    self.keep(watched, Kept { phone, is_open });
                }
                None => _ = open(&self.kept).remove(&watched),
            }
        }
        self.look_up(changes, cluster).await?;
        for (watched, is_open) in self.changed(is_open) {
            show(talk, &watched, is_open).await?;
        }
        Ok(())
    }

    fn keep(&self, watched: Watched, new: Kept) {
        let mut kept = open(&self.kept);
        if kept.len() < MOST_KEPT || kept.contains_key(&watched) {
            kept.insert(watched, new);
        }
    }

    /// Looks up again whose the numbers are, every now and then: somebody else may have one.
    async fn look_up(&self, changes: &Changes, cluster: Uuid) -> Result<(), VisitError> {
        {
            let mut before = open(&self.looked_up);
            if before.get_or_insert_with(Instant::now).elapsed() < LOOK_UP_EVERY {
                return Ok(());
            }
            *before = Some(Instant::now());
        }
        let all = open(&self.kept).keys().cloned().collect::<Vec<_>>();
        for some in all.chunks(MOST) {
            for (watched, phone) in phones(changes, cluster, some).await? {
                let mut kept = open(&self.kept);
                match phone {
                    Some(phone) => {
                        if let Some(kept) = kept.get_mut(&watched) {
                            kept.phone = phone;
                        }
                    }
                    None => _ = kept.remove(&watched),
                }
            }
        }
        Ok(())
    }

    /// What is no longer as it was told last. From now on it counts as told.
    fn changed(&self, is_registered: impl Fn(&Aor) -> Option<bool>) -> Vec<(Watched, bool)> {
        let mut changed = Vec::new();
        for (watched, kept) in open(&self.kept).iter_mut() {
            // What is not known leaves it as it was.
            let Some(now) = is_registered(&kept.phone) else { continue };
            if kept.is_open.replace(now) != Some(now) {
                changed.push((watched.clone(), now));
            }
        }
        changed
    }
}

/// Whose the watched numbers are. `None` where there is no extension, or the switch finds its phones by itself.
async fn phones(
    changes: &Changes,
    cluster: Uuid,
    watched: &[Watched],
) -> Result<Vec<(Watched, Option<Aor>)>, VisitError> {
    if watched.is_empty() {
        return Ok(Vec::new());
    }
    let keys = watched.iter().map(|(domain, number)| (domain.as_str(), number.as_str())).collect::<Vec<_>>();
    let found = store::watched(changes.pool(), cluster, &keys).await?;
    let phones = found.into_iter().map(|found| {
        let (user, home) = (found.user?, found.home?);
        Some((user.as_str().into(), home.as_str().into()))
    });
    let is_foreign = |((domain, number), phone): &(Watched, Option<Aor>)| {
        phone.as_ref().is_none_or(|(user, home)| **user != *number.as_str() || **home != *domain.as_str())
    };
    let all = watched.iter().cloned().zip(phones);
    Ok(all.map(|one| if is_foreign(&one) { one } else { (one.0, None) }).collect())
}

fn is_registered(switches: &[Arc<live::Watched>], phone: &Aor) -> bool {
    switches.iter().any(|one| !one.known().state.registrations.of_aor(phone).is_empty())
}

/// Has the switch tell all who watch a number whether a phone is registered, as it does for a SIP username (`sofia_reg_handle_register_token`
/// in sofia_reg.c): a PRESENCE_OUT is `closed`.
async fn show(talk: &Talk, (domain, number): &Watched, is_open: bool) -> Result<(), Unanswered> {
    let headers = [
        ("proto", "sip".to_owned()),
        ("login", number.to_string()),
        ("from", format!("{number}@{domain}")),
        ("presence-source", "register".to_owned()),
        ("status", if is_open { "Registered" } else { "Unregistered" }.to_owned()),
        ("rpid", "unknown".to_owned()),
        ("event_type", "presence".to_owned()),
    ];
    talk.fire_presence(is_open, &headers).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(number: &str) -> Watched {
        (Domain::parse("acme.test").unwrap(), ExtensionNumber::parse(number).unwrap())
    }

    #[test]
    fn a_change_is_told_once_and_what_is_not_known_changes_nothing() {
        let presences = Presences::default();
        let phone = Aor::from(("x".into(), "acme.test".into()));
        presences.keep(watched("1500"), Kept { phone: phone.clone(), is_open: Some(false) });
        for (now, told) in [
            (Some(false), None),
            (None, None),
            (Some(true), Some(true)),
            (Some(true), None),
            (None, None),
            (Some(false), Some(false)),
        ] {
            let changed = presences.changed(|asked| if *asked == phone { now } else { panic!("{asked:?}") });
            assert_eq!(changed, told.map(|told| (watched("1500"), told)).into_iter().collect::<Vec<_>>(), "{now:?}");
        }
    }

    #[test]
    fn no_more_numbers_are_kept_than_the_limit_and_a_kept_one_is_renewed() {
        let presences = Presences::default();
        let kept = |user: usize| Kept { phone: (user.to_string().into(), "acme.test".into()), is_open: None };
        for user in 0..MOST_KEPT + 3 {
            presences.keep(watched(&(100_000 + user).to_string()), kept(user));
        }
        presences.keep(watched("100000"), kept(7));
        let all = open(&presences.kept);
        assert_eq!((all.len(), &all[&watched("100000")]), (MOST_KEPT, &kept(7)));
    }
}
