//! Where call records arrive. Each is kept, and its content goes into limits, costs and the health of carriers.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    leg::{Carried, Leg, Over},
    legs_store,
    posted::{Kept, Posted, channel},
    record::{self, Unreadable},
    store,
    told::Told,
};
use crate::{
    routing::carried::cost,
    telephony::{carriers, history::fold_store},
};

/// Larger records are read on a thread of their own.
const QUICKLY_READ: usize = 64 * 1024;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Read,
    /// It is kept, and can't be read yet.
    Unreadable,
    /// There already was one of the same leg.
    Known,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Read, Self::Unreadable, Self::Known];

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Unreadable => "unreadable",
            Self::Known => "known",
        }
    }
}

/// Where records arrive.
#[derive(Clone)]
pub struct Inbox {
    pool: PgPool,
    /// Wakes whoever makes calls of legs.
    pub has_legs: Arc<Notify>,
}

impl Inbox {
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        for outcome in Outcome::ALL {
            metrics::counter!(RECORDS, "outcome" => outcome.name()).increment(0);
        }
        Self { pool, has_legs: Arc::default() }
    }

    /// Keeps a record. A switch that got no answer posts it again; the first readable one stays.
    pub async fn keep(&self, posted: &Posted) -> sqlx::Result<Outcome> {
        let received = Utc::now();
        let Read { mut leg, domain, told } = read(posted.leg, posted.body.clone(), received).await;
        let about = calls(posted.leg, told.as_ref());
        if let Some(reason) = doubt(&self.pool, posted.switch, &about, &leg, received).await? {
            leg = Err(reason);
        }
        let unreadable = leg.as_ref().err().map(ToString::to_string);
        let kept = store::keep(&self.pool, posted, domain.as_deref(), unreadable.as_deref()).await?;
        let outcome = match (kept, &unreadable) {
            (Kept::Known, _) => Outcome::Known,
            (_, None) => Outcome::Read,
            (_, Some(_)) => Outcome::Unreadable,
        };
        metrics::counter!(RECORDS, "outcome" => outcome.name()).increment(1);
        if let Some(reason) = &unreadable {
            tracing::warn!(leg = %posted.leg, switch = %posted.switch, reason, "a call record can't be read: `dialplane record list` shows it");
        }
        if outcome == Outcome::Known {
            return Ok(outcome);
        }
        let name = posted.leg.to_string();
        let record = Record { name: &name, switch: posted.switch, leg, told, domain };
        match take_note(&self.pool, &record).await {
            Ok(()) => self.has_legs.notify_one(),
            // The record is kept and a periodic job will read it, so the switch need not post it again.
            Err(error) => tracing::warn!(%error, leg = %posted.leg, "a call record was kept, and will be read later"),
        }
        Ok(outcome)
    }
}

const RECORDS: &str = "dialplane_call_records_total";

/// What a record says.
struct Read {
    leg: Result<Leg, Unreadable>,
    /// Of the tenant whose it is, if it says that.
    domain: Option<String>,
    /// Its story, if it has one.
    told: Option<Told>,
}

/// A kept record.
struct Record<'a> {
    /// The leg's name in the inbox.
    name: &'a str,
    switch: Uuid,
    leg: Result<Leg, Unreadable>,
    told: Option<Told>,
    domain: Option<String>,
}

async fn read(leg: Uuid, body: Bytes, received: DateTime<Utc>) -> Read {
    let is_quick = body.len() <= QUICKLY_READ;
    let read = move || match record::read(&body) {
        Ok(variables) => Read {
            leg: Leg::read(&variables, received),
            domain: variables.domain().map(ToOwned::to_owned),
            told: Some(Told::read(leg, &variables, received)),
        },
        Err(why) => Read { leg: Err(why), domain: None, told: None },
    };
    if is_quick {
        return read();
    }
    let nothing = |_| Read { leg: Err(Unreadable::NotARecord), domain: None, told: None };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(nothing)
}

/// The calls that a record is about.
fn calls(leg: Uuid, told: Option<&Told>) -> Vec<Uuid> {
    told.and_then(|told| told.admitted).into_iter().chain([leg]).collect()
}

/// Why a record can't be believed, as far as only the service can know that: what it says about a call must fit what was admitted.
async fn doubt(
    pool: &PgPool,
    switch: Uuid,
    calls: &[Uuid],
    leg: &Result<Leg, Unreadable>,
    received: DateTime<Utc>,
) -> sqlx::Result<Option<Unreadable>> {
    if store::is_foreign(pool, switch, calls).await? {
        return Ok(Some(Unreadable::Foreign));
    }
    let Ok(Leg::Carried(leg)) = leg else { return Ok(None) };
    let Some(call) = leg.call.filter(|_| leg.answered) else { return Ok(None) };
    let admitted = store::admitted_at(pool, call, leg.callee.as_deref()).await?;
    let is_too_long = admitted.is_some_and(|admitted| leg.is_too_long(admitted, received));
    Ok(is_too_long.then_some(Unreadable::Contradiction("answer_epoch")))
}

/// Reads the records that could not be read when they came, because the database was down or an older version could not read
/// them.
pub async fn read_unread(pool: &PgPool) -> sqlx::Result<()> {
    for kept in store::unread(pool).await? {
        let name = kept.leg.clone();
        let leg = channel(&name);
        let Read { leg: mut read, domain, told } =
            read(leg.unwrap_or_default(), kept.body.into(), kept.received_at).await;
        if let Some(leg) = leg {
            let about = calls(leg, told.as_ref());
            if let Some(reason) = doubt(pool, kept.switch, &about, &read, kept.received_at).await? {
                read = Err(reason);
            }
        }
        let record =
            Record { name: &name, switch: kept.switch, leg: read, told: told.filter(|_| leg.is_some()), domain };
        match take_note(pool, &record).await {
            Ok(()) => match record.leg {
                Ok(_) => tracing::info!(leg = name, "a kept call record has now been read"),
                Err(reason) => tracing::warn!(leg = name, %reason, "a kept call record still can't be read"),
            },
            // This must not hold up the others.
            Err(error) => tracing::warn!(%error, leg = name, "a kept call record could not be processed"),
        }
    }
    let unreadable = u32::try_from(store::count_unreadable(pool).await?).unwrap_or(u32::MAX);
    metrics::gauge!("dialplane_call_records_unreadable").set(unreadable);
    Ok(())
}

/// A finished call frees its line, if no other leg of it goes on. A leg over a carrier says what the call cost, and how the carrier is doing. If a record can't
/// be read, all that is known is that the leg is over; what was reserved for its call stays reserved. A record about another cluster's call says
/// nothing at all.
async fn take_note(pool: &PgPool, record: &Record<'_>) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    let (name, read) = (record.name, &record.leg);
    // Whoever comes second finds it noted, so this is done only once.
    let is_first = match read {
        Ok(_) => store::note(&mut tx, name).await?,
        Err(reason) => store::note_unreadable(&mut tx, name, &reason.to_string()).await?,
    };
    if !is_first {
        return Ok(());
    }
    let over = match read {
        Ok(Leg::Carried(Carried { over, .. }) | Leg::Other(over)) => *over,
        Err(Unreadable::Foreign) => return tx.commit().await,
        Err(_) => Over { unanswered: false, partner: None },
    };
    // First, as it takes the locks that others wait for.
    if let Some(leg) = channel(name) {
        store::end_leg(&mut tx, leg, over).await?;
    }
    if let (Ok(leg), Some(told)) = (read, &record.told) {
        let tenant = told.tenant;
        let is_new = fold_store::keep(&mut tx, told, record.switch, tenant, record.domain.as_deref()).await?;
        if let Some(made) = told.as_made() {
            fold_store::keep_made(&mut tx, told, &made, record.switch).await?;
        }
        // Otherwise it was charged for before its first copy was moved to its month.
        if let Leg::Carried(carried) = leg
            && is_new
        {
            charge(&mut tx, name, carried).await?;
        }
    }
    tx.commit().await
}

async fn charge(db: &mut sqlx::PgConnection, name: &str, leg: &Carried) -> sqlx::Result<()> {
    // It may be charged already, for as long as its switch had it.
    let (guessed, guessed_seconds) = match channel(name) {
        Some(leg) => legs_store::take(&mut *db, leg).await?,
        None => (0, 0),
    };
    carriers::store::note_attempt(&mut *db, leg.carrier, leg.answered, leg.failed).await?;
    let Some(call) = leg.call.filter(|_| leg.answered || guessed > 0) else { return Ok(()) };
    for of in store::charged(db, call, leg.carrier, leg.callee.as_deref()).await? {
        let cost = cost(of.price, of.first_seconds, of.step_seconds, leg.seconds);
        let seconds = i32::try_from(leg.seconds).unwrap_or(i32::MAX);
        let by = store::By { carrier: leg.carrier, answered_at: leg.answered_at };
        store::settle(db, call, &of, &by, seconds - guessed_seconds, cost - guessed).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leg_is_named_in_the_url_in_any_spelling() {
        let uuid: uuid::Uuid = "f70a3b66-5105-4e1e-8913-485896181d48".parse().unwrap();
        for query in [
            format!("uuid={uuid}"),
            format!("x=1&uuid=a_{uuid}"),
            format!("uuid={}", uuid.to_string().to_uppercase()),
            format!("uuid=a_{}", uuid.simple()),
            format!("uuid={}", uuid.to_string().replace('-', "%2D")),
            format!("uuid=%20a%5f{uuid}"),
            format!("uuid=%7B{uuid}%7D&x=1"),
        ] {
            assert_eq!(Posted::leg(&query), Some(uuid), "{query}");
        }
        for query in ["", "uuid=", "uuid=1", "uuid='; drop", "leg=1", "uuid=%ff", "uuid=%"] {
            assert!(Posted::leg(query).is_none(), "{query}");
        }
    }
}
