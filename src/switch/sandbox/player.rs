//! Plays the calls of sandboxes, on every node: each hears what is played as it hears switches. At the end of a call, one of them keeps its
//! records. A node that was away plays what it missed, and nothing is lost with it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::Utc;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{play::Play, store};
use crate::{
    switch::live::{
        Live,
        said::{Micros, Said},
    },
    telephony::{
        calls::{
            self,
            admission::{Ask, Asker},
            record,
            told::Told,
        },
        destinations,
        history::{Direction, fold_store},
    },
};

/// How often a node looks for calls that others began.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The shortest pause, so that many steps share a look.
const SHORTEST: Duration = Duration::from_millis(20);
/// What ended longer ago is recorded, but no longer played.
const TOO_LATE_MS: i64 = 60_000;

struct Playing {
    play: Play,
    /// What was not said yet, the last first.
    left: Vec<Said>,
    /// When what was said last happened.
    said: Micros,
    is_recorded: bool,
}

/// Runs forever. `has_legs`: wakes whoever makes calls of legs.
pub async fn run(live: Arc<Live>, pool: PgPool, has_legs: Arc<Notify>) {
    let mut playing = HashMap::<Uuid, Playing>::new();
    loop {
        if live.generations().has_sandboxes() {
            match store::up(&pool).await {
                Ok(up) => take_up(&mut playing, up),
                // What is known goes on.
                Err(error) => tracing::debug!(%error, "the calls of sandboxes can't be read"),
            }
        }
        go_on(&live, &pool, &has_legs, &mut playing).await;
        let now = Utc::now().timestamp_micros();
        let next = playing.values().filter_map(|one| one.left.last()).map(|said| said.at - now).min();
        let next = next.map_or(LOOK_EVERY, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or_default()));
        let _ = tokio::time::timeout(next.clamp(SHORTEST, LOOK_EVERY), live.plays.notified()).await;
    }
}

fn take_up(playing: &mut HashMap<Uuid, Playing>, up: Vec<store::Kept>) {
    let ids = up.iter().map(|kept| kept.play.id()).collect::<HashSet<_>>();
    playing.retain(|id, one| ids.contains(id) || !one.left.is_empty());
    let now = Utc::now().timestamp_millis();
    for store::Kept { play, over } in up {
        let one = playing.entry(play.id()).or_insert_with(|| {
            let mut left = if play.ends() < now - TOO_LATE_MS { Vec::new() } else { play.says() };
            left.reverse();
            Playing { play: play.clone(), left, said: 0, is_recorded: over }
        });
        if one.play.acts.len() < play.acts.len() {
            // Something was done to it: it goes on in another way.
            one.left = play.says();
            one.left.retain(|said| said.at > one.said);
            one.left.reverse();
            one.play = play;
        }
        one.is_recorded |= over;
    }
}

async fn go_on(live: &Live, pool: &PgPool, has_legs: &Notify, playing: &mut HashMap<Uuid, Playing>) {
    let now = Utc::now().timestamp_micros();
    for one in playing.values_mut() {
        while let Some(said) = one.left.pop_if(|said| said.at <= now) {
            one.said = said.at;
            live.play(one.play.tenant, said);
        }
        if one.left.is_empty() && !one.is_recorded {
            match record(pool, &one.play).await {
                // Otherwise another node has done it, or something was done to the call a moment ago: the next look tells.
                Ok(is_taken) => {
                    one.is_recorded = is_taken;
                    has_legs.notify_one();
                }
                Err(error) => tracing::warn!(%error, call = %one.play.id(), "a played call is recorded later"),
            }
        }
    }
}

/// A call that was to leave the platform and may not is on record, as every such call is.
async fn refuse(db: &mut PgConnection, play: &Play) -> sqlx::Result<()> {
    let Some(refusal) = play.refusal.filter(|_| play.direction == Direction::Outbound) else { return Ok(()) };
    let phone = play.caller.phone.as_ref();
    let asker = Asker {
        tenant: play.tenant,
        call: play.id(),
        callee: &play.dialled,
        extension: phone.map(|phone| phone.extension),
        user: phone.and_then(|phone| phone.agent),
    };
    if let Some(plan) = destinations::store::plan(&mut *db, play.tenant).await? {
        calls::store::admit(&mut *db, &Ask::refused(asker, &plan, refusal)).await?;
    }
    Ok(())
}

/// Keeps the records of a call, once. Returns whether it did.
async fn record(pool: &PgPool, play: &Play) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let taken = store::take(&mut tx, play.tenant, play.id()).await?;
    if let Some(play) = &taken {
        refuse(&mut tx, play).await?;
        for (leg, body) in play.records() {
            match record::read(&body) {
                Ok(variables) => {
                    let told = Told { simulated: true, ..Told::read(leg, &variables, Utc::now()) };
                    fold_store::keep_played(&mut tx, &told, play.tenant).await?;
                }
                Err(error) => tracing::error!(%error, %leg, "a played record can't be read"),
            }
        }
    }
    tx.commit().await?;
    Ok(taken.is_some())
}
