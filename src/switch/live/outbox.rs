//! Hands what goes on to webhooks.
//!
//! Every node hears every event and writes it down, and an event's id comes from what it is: so it is kept once, and the death of a node
//! loses nothing. While the database is away, a node keeps as many as it has room for.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use metrics::counter;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tokio::sync::{
    broadcast::error::RecvError,
    mpsc::{self, error::TrySendError},
    watch,
};
use uuid::{Builder, Uuid};

use super::{
    Live,
    events::{Event, Sent},
};
use crate::{
    model::topic::Topic,
    tenancy::webhooks::{self, store},
};

/// How often it is looked whether there are webhooks at all.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long events are gathered, so that many share a statement.
const GATHER: Duration = Duration::from_millis(100);
/// The pause after a database that did not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// The most events that wait for the database.
const MOST_WAITING: usize = 20_000;
/// The most events of a statement.
const MOST_AT_ONCE: usize = 500;

/// Runs forever.
pub async fn run(live: Arc<Live>, pool: PgPool) {
    let (send, waiting) = mpsc::channel(MOST_WAITING);
    tokio::join!(hear(live, pool.clone(), send), write_down(pool, waiting));
}

/// Listens as long as anybody wants to be told.
async fn hear(live: Arc<Live>, pool: PgPool, send: mpsc::Sender<webhooks::Event>) {
    let lost = |count: u64| {
        counter!("dialplane_webhook_events_lost_total").increment(count);
        tracing::warn!(count, "events were not kept for webhooks: the database is away, or too slow");
    };
    let (tell, mut wanted) = watch::channel(false);
    let look = async move {
        loop {
            // What can't be asked may be wanted.
            let any = store::any(&pool).await.unwrap_or(true);
            tell.send_if_modified(|wanted| std::mem::replace(wanted, any) != any);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // Not between two events: while the database is away, asking it takes long.
    let look = tokio::spawn(look);
    let _ended_with_this = Ended(look.abort_handle());
    loop {
        if wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
        let Some(mut seat) = live.bus.sit(None, None) else { return };
        loop {
            tokio::select! {
                heard = seat.receiver.recv() => match heard {
                    // Others go on.
                    Ok(Sent::Event(event)) if event.is_parting => {}
                    Ok(Sent::Event(event)) => match send.try_send(kept(&event)) {
                        Ok(()) => {}
                        Err(TrySendError::Full(_)) => lost(1),
                        Err(TrySendError::Closed(_)) => return,
                    },
                    Ok(Sent::Anew(_)) => {}
                    Err(RecvError::Lagged(count)) => lost(count),
                    Err(RecvError::Closed) => return,
                },
                _ = wanted.changed() => if !*wanted.borrow() { break },
            }
        }
    }
}

/// Ends a task when it is dropped.
struct Ended(tokio::task::AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether a statement was refused for what it holds, so that the same again would be refused again.
fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

async fn write_down(pool: PgPool, mut waiting: mpsc::Receiver<webhooks::Event>) {
    let mut gathered = Vec::new();
    while waiting.recv_many(&mut gathered, MOST_AT_ONCE).await > 0 {
        if gathered.len() < MOST_AT_ONCE {
            tokio::time::sleep(GATHER).await;
            while gathered.len() < MOST_AT_ONCE
                && let Ok(event) = waiting.try_recv()
            {
                gathered.push(event);
            }
        }
        // The same event twice in one statement would be refused.
        let mut events = VecDeque::from(std::mem::take(&mut gathered));
        let mut seen = std::collections::HashSet::new();
        events.retain(|event| seen.insert(event.id));
        let events = Vec::from(events);
        loop {
            let written = async {
                let mut db = pool.acquire().await?;
                webhooks::publish(&mut db, &events).await
            };
            match written.await {
                Ok(()) => break,
                Err(error) if is_refused(&error) => {
                    // One of them holds up the others: each by itself, and without that one.
                    for event in events.chunks(1) {
                        let Ok(mut db) = pool.acquire().await else { continue };
                        if let Err(error) = webhooks::publish(&mut db, event).await {
                            counter!("dialplane_webhook_events_lost_total").increment(1);
                            tracing::warn!(topic = event[0].topic.as_str(), %error, "an event can't be kept for webhooks");
                        }
                    }
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "events could not be kept for webhooks");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn kept(event: &Event) -> webhooks::Event {
    webhooks::Event::new(id(event), event.tenant, event.topic, event.at, &event.data)
}

/// What tells two events of one thing at the same moment apart: a call is connected and talks in one event of its switch. Names are not
/// among it, as one node may know a new one before another.
fn said(data: &serde_json::Value) -> impl Iterator<Item = &str> {
    let legs = data["legs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_legs =
        legs.iter().flat_map(|leg| ["id", "state", "connected_to"].map(|field| leg[field].as_str().unwrap_or("-")));
    ["state", "status", "reason"].into_iter().filter_map(|field| data[field].as_str()).chain(of_legs)
}

/// The same id on every node, which begins with the time as those of other things do.
fn id(event: &Event) -> Uuid {
    // Without a time of the switch's, nodes see the same within some seconds of each other.
    const ABOUT: i64 = 10_000_000;
    let mut hash = Sha256::new();
    hash.update(event.topic.as_str());
    let micros = event.at.timestamp_micros();
    let micros = if event.is_timed { micros } else { micros - micros.rem_euclid(ABOUT) };
    hash.update(micros.to_be_bytes());
    if !event.is_timed {
        hash.update(event.data.to_string());
    }
    // Which queues an agent serves, one node may know before another.
    let queue = Some(&event.queues).filter(|queues| queues.len() == 1 && event.topic != Topic::AgentStatusUpdated);
    let queue = queue.and_then(|queues| queues.first().copied());
    for id in [event.tenant, queue, event.place.switch_id].into_iter().chain(event.people.iter().copied().map(Some)) {
        hash.update(id.unwrap_or_default().as_bytes());
    }
    for text in event
        .extensions
        .iter()
        .map(String::as_str)
        .chain(["id", "carrier_id"].into_iter().filter_map(|field| event.data[field].as_str()))
        .chain(said(&event.data))
    {
        hash.update([0]);
        hash.update(text);
    }
    let mut rest = [0; 10];
    rest.copy_from_slice(&hash.finalize()[..10]);
    let millis = u64::try_from(micros / 1000).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}
