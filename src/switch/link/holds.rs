//! Which switches' links this node holds.
//!
//! A node takes every link that nobody holds, and keeps it by renewing its hold. When it dies, the hold runs out, and another node takes
//! the link within three seconds. While the database is away, nobody can take a link: the node keeps listening, but gives no commands.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinHandle};
use uuid::Uuid;

use super::{
    VisitError,
    ear::{self, Ear, Heard, Pace},
    keeps::{self, Keeps},
    lamps::Lamps,
    place,
    presences::Presences,
    socket::{Hold, Talk, Unanswered},
    store::{self, Due},
    turn,
};
use crate::{
    node::{changes::Changes, generations::Generations},
    switch::{live::Live, voicemail::stirred::Stirred},
};

/// For how long a renewal holds a link.
const HOLDS: Duration = Duration::from_secs(2);
/// How often a node renews its holds, and looks for links that nobody holds.
const RENEW_EVERY: Duration = Duration::from_millis(400);
/// How often a node looks whether a visit is due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The pauses between attempts to connect: from the first, doubled each time, up to the last. Short, because after a crash nothing is
/// known of the switch until the link is up again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(4);
/// A link that was up for so long was a good one: the next pause is the first again.
pub const STEADY: Duration = Duration::from_secs(20);

/// The links of a node.
#[derive(Clone)]
pub struct Links {
    pub changes: Changes,
    pub generations: Arc<Generations>,
    /// What this node hears of the switches itself.
    pub live: Arc<Live>,
    pub node: Uuid,
}

struct Held {
    due: Due,
    hold: Arc<Hold>,
    task: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Links {
    /// Holds links until it is dropped.
    pub async fn run(self) {
        let mut held = HashMap::<Uuid, Held>::new();
        let mut was_lost = false;
        loop {
            let began = Instant::now();
            match store::hold(self.changes.pool(), self.node, HOLDS.as_secs_f64()).await {
                Ok(due) => {
                    was_lost = false;
                    self.keep(&mut held, due, began + HOLDS);
                }
                Err(error) if !was_lost => {
                    was_lost = true;
                    tracing::warn!(%error, "the database could not say which links this node holds: it only listens");
                }
                Err(_) => {}
            }
            tokio::time::sleep(RENEW_EVERY).await;
        }
    }

    /// Keeps the links that are held, begins those that are new or lead elsewhere now, and drops the others.
    fn keep(&self, held: &mut HashMap<Uuid, Held>, due: Vec<Due>, until: Instant) {
        held.retain(|_, link| due.contains(&link.due) && !link.task.is_finished());
        for due in due {
            let link = held.entry(due.switch).or_insert_with(|| {
                let hold = Hold::until(until);
                let link = Link { links: self.clone(), due: due.clone(), hold: Arc::clone(&hold) };
                Held { due, hold, task: tokio::spawn(link.run()) }
            });
            link.hold.renew(until);
        }
    }
}

/// The link to one switch.
struct Link {
    links: Links,
    due: Due,
    hold: Arc<Hold>,
}

impl Link {
    async fn run(self) {
        let (pool, node, switch) = (self.links.changes.pool(), self.links.node, self.due.switch);
        let mut tries = 0;
        let mut told = String::new();
        loop {
            let began = Instant::now();
            let error = match self.link().await {
                VisitError::Unanswered(error) => error.to_string(),
                error => {
                    tracing::error!(%switch, %error, "a link to a switch can't be opened");
                    turn::UNMADE.to_owned()
                }
            };
            if began.elapsed() > STEADY {
                (tries, told) = (0, String::new());
            }
            if told != error {
                tracing::warn!(%switch, error, "the link to a switch is down");
            }
            if let Err(error) = store::unlinked(pool, node, &self.due, &error).await {
                tracing::debug!(%switch, %error, "that a link is down could not be saved");
            }
            told = error;
            tokio::time::sleep(pause(tries)).await;
            tries += 1;
        }
    }

    /// Opens the link and keeps it, for as long as it lasts.
    async fn link(&self) -> VisitError {
        let Due { switch, address, password, .. } = &self.due;
        let opened = async {
            let password = self.links.changes.keyring().open_sealed(place(*switch), password)?;
            let talk = Talk::open(address, &password, Some(Arc::clone(&self.hold))).await?;
            let ear = Ear::open(address, &password, ear::OF_LINKS, Pace::default()).await?;
            Ok::<_, VisitError>((talk, ear))
        };
        let (talk, ear) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return error,
        };
        tracing::info!(%switch, "the link to a switch is up");
        let (wanted, shown) = (Notify::new(), Notify::new());
        let (lamps, presences) = (Lamps::default(), Presences::default());
        let mailboxes = Stirred::default();
        let heard = |event: &Heard| {
            if lamps.hear(event) || presences.hear(event) {
                shown.notify_one();
            }
            mailboxes.hear(event);
            if event.name() == "CUSTOM" && event.subclass().starts_with("sofia::gateway_") {
                wanted.notify_one();
            }
        };
        tokio::select! {
            ended = ear.listen(heard) => ended.into(),
            ended = self.visits(&talk, &wanted) => ended.into(),
            ended = self.shows(&talk, &lamps, &presences, &shown) => ended.into(),
            ended = self.keeps(&talk) => ended.into(),
            never = mailboxes.note(self.links.changes.pool(), *switch) => match never {},
        }
    }

    /// Visits the switch whenever that is due, or wanted.
    async fn visits(&self, talk: &Talk, wanted: &Notify) -> Unanswered {
        let Links { changes, generations, node, .. } = &self.links;
        let switch = self.due.switch;
        let (mut is_noted, mut looked_at, mut has_news) = (false, None, false);
        loop {
            if self.hold.lasts() {
                let moves = generations.moves();
                let begun = async {
                    if !is_noted {
                        store::linked(changes.pool(), *node, &self.due).await?;
                        is_noted = true;
                    }
                    let moved = looked_at != Some(moves);
                    store::begin_visit(changes.pool(), *node, &self.due, moved, has_news).await
                };
                match begun.await {
                    Ok(true) => {
                        (looked_at, has_news) = (Some(moves), false);
                        if let Err(error) = turn::visit(changes, &self.due, talk).await {
                            return error;
                        }
                    }
                    Ok(false) => looked_at = Some(moves),
                    Err(error) => tracing::debug!(%switch, %error, "the database could not say whether a visit is due"),
                }
            }
            tokio::select! {
                () = wanted.notified() => has_news = true,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

impl Link {
    /// Looks after calls whose phone in a browser is away.
    async fn keeps(&self, talk: &Talk) -> Unanswered {
        let mut keeps = Keeps::default();
        loop {
            tokio::time::sleep(keeps::LOOK_EVERY).await;
            if !self.hold.lasts() {
                continue;
            }
            let Links { changes, live, .. } = &self.links;
            match keeps::look(&mut keeps, live, changes, talk, self.due.switch).await {
                Ok(()) | Err(VisitError::Unanswered(Unanswered::NotHeld)) => {}
                Err(VisitError::Unanswered(error)) => return error,
                Err(error) => {
                    tracing::debug!(switch = %self.due.switch, %error, "calls of pages could not be looked after");
                }
            }
        }
    }

    /// Tells phones what their lamps show, as soon as there is something to tell.
    async fn shows(&self, talk: &Talk, lamps: &Lamps, presences: &Presences, shown: &Notify) -> Unanswered {
        match lamps.begin(talk).await {
            Ok(()) | Err(Unanswered::NotHeld) => {}
            Err(error) => return error,
        }
        loop {
            let Links { changes, live, .. } = &self.links;
            if self.hold.lasts() {
                let told = async {
                    if lamps.has_news() {
                        lamps.tell(changes, talk, self.due.cluster).await?;
                    }
                    presences.tell(changes, talk, (self.due.cluster, self.due.switch), live).await
                };
                match told.await {
                    Ok(()) | Err(VisitError::Unanswered(Unanswered::NotHeld)) => {}
                    Err(VisitError::Unanswered(error)) => return error,
                    Err(error) => {
                        tracing::warn!(switch = %self.due.switch, %error, "phones could not be told what their lamps show");
                    }
                }
            }
            tokio::select! {
                () = shown.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// How long to wait before the next attempt. Not the same time for all, so that nodes and switches that were cut off together don't come
/// back together.
#[must_use]
pub fn pause(tries: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << tries.min(8)).min(LAST_PAUSE);
    pause.mul_f64(0.75 + 0.5 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_differ() {
        for (tries, between) in
            [(0, 187..=313), (1, 375..=625), (3, 1500..=2500), (4, 3000..=5000), (u32::MAX, 3000..=5000)]
        {
            let pauses = (0..20).map(|_| pause(tries)).collect::<std::collections::HashSet<_>>();
            assert!(pauses.iter().all(|pause| between.contains(&pause.as_millis())), "{tries}: {pauses:?}");
            assert!(pauses.len() > 1, "{tries}");
        }
    }
}
