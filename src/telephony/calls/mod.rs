//! Calls as the switches report them. A record is kept whole, once per leg, before the switch is told that it may forget it.

pub mod admission;
pub mod api;
pub mod emergency;
pub mod store;

use actix_web::web::Bytes;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::channel,
    routing::carried,
    telephony::carriers::{self, health},
};

/// A call record as a switch posted it.
#[derive(Debug)]
pub struct Posted {
    pub leg: String,
    pub switch: Uuid,
    pub body: Bytes,
}

impl Posted {
    /// The leg's UUID from `?uuid=…`; mod_xml_cdr may put `a_` before it.
    #[must_use]
    pub fn leg(query: &str) -> Option<String> {
        let value = query.split('&').find_map(|pair| pair.strip_prefix("uuid="))?;
        Uuid::parse_str(value.strip_prefix("a_").unwrap_or(value)).ok()?;
        Some(value.to_owned())
    }
}

/// Where records arrive.
#[derive(Clone)]
pub struct Inbox {
    pool: PgPool,
}

impl Inbox {
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Keeps a record. A switch that had no answer posts it again: the first one stays.
    pub async fn keep(&self, posted: &Posted) -> sqlx::Result<()> {
        let is_news = store::keep(&self.pool, posted).await?;
        if is_news && let Err(error) = take_note(&self.pool, &posted.leg, &posted.body).await {
            // The record is kept, and is read by the clock: that is worth no second posting.
            tracing::warn!(%error, leg = posted.leg, "a call record was kept, and is read later");
        }
        Ok(())
    }
}

/// Reads the records that could not be read when they came.
pub async fn read_unread(pool: &PgPool) -> sqlx::Result<()> {
    for (leg, body) in store::unread(pool).await? {
        match take_note(pool, &leg, &body).await {
            Ok(()) => tracing::info!(leg, "a call record that was kept has been read"),
            // The others are not kept waiting by it.
            Err(error) => tracing::warn!(%error, leg, "a call record that was kept could not be read again"),
        }
    }
    Ok(())
}

/// A call that is over holds no line; a leg over a carrier says what it cost, and how the carrier is doing.
async fn take_note(pool: &PgPool, posted: &str, body: &[u8]) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    // Whoever comes second finds it noted: the work is done once.
    if !store::note(&mut tx, posted).await? {
        return Ok(());
    }
    if let Ok(leg) = posted.strip_prefix("a_").unwrap_or(posted).parse::<Uuid>() {
        // Reading the whole record is for the few that are about a carrier.
        let attempt = if memchr::memmem::find(body, channel::CARRIER.as_bytes()).is_some() {
            serde_json::from_slice(body).ok().and_then(|record| health::attempt(&record))
        } else {
            None
        };
        match attempt {
            None => store::end(&mut tx, leg).await?,
            Some(attempt) => {
                carriers::store::note_attempt(&mut *tx, attempt.carrier, attempt.answered, attempt.failed).await?;
                if let (Some(call), true) = (attempt.call, attempt.answered) {
                    for of in store::charged(&mut tx, call, attempt.carrier).await? {
                        let rate = |part: Option<i16>| part.unwrap_or(60);
                        let (first, step) = (rate(of.first_seconds), rate(of.step_seconds));
                        let cost = carried::cost(of.price.unwrap_or_default(), first, step, attempt.seconds);
                        let seconds = i32::try_from(attempt.seconds).unwrap_or(i32::MAX);
                        store::settle(&mut tx, call, &of, attempt.carrier, seconds, cost).await?;
                    }
                }
            }
        }
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leg_is_named_in_the_url() {
        let uuid = "f70a3b66-5105-4e1e-8913-485896181d48";
        assert_eq!(Posted::leg(&format!("uuid={uuid}")).unwrap(), uuid);
        assert_eq!(Posted::leg(&format!("x=1&uuid=a_{uuid}")).unwrap(), format!("a_{uuid}"));
        for query in ["", "uuid=", "uuid=1", "uuid='; drop", "leg=1"] {
            assert!(Posted::leg(query).is_none(), "{query}");
        }
    }
}
