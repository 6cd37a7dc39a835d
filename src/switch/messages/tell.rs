//! Hands new messages to those who listen to this node.
//!
//! A row becomes visible a little after its time, and rows of several transactions in any order. So each look reads the last seconds again, and
//! what was told already is left out. While nobody listens, nobody looks: whoever comes later reads what there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::store::{self, Sent};
use crate::{
    model::topic::Topic,
    switch::live::{
        Live,
        events::{Concealed, New},
        views::At,
    },
};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A row may become visible this long after its time.
const MARGIN: TimeDelta = TimeDelta::seconds(10);
/// The most rows that are read at once.
const MOST: i64 = 1000;

/// Runs for as long as the node does.
pub async fn run(live: Arc<Live>, pool: PgPool) {
    let mut told = Told::default();
    loop {
        if live.bus.clients() == 0 {
            told.is_begun = false;
        } else if let Err(error) = told.look(&live, &pool).await {
            tracing::debug!(%error, "the database could not say what was written");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[derive(Default)]
struct Told {
    is_begun: bool,
    /// Since when somebody listens: what is older is read by them.
    began: DateTime<Utc>,
    newest: DateTime<Utc>,
    /// What was told, by its time.
    of: BTreeMap<Uuid, DateTime<Utc>>,
}

impl Told {
    async fn look(&mut self, live: &Live, pool: &PgPool) -> sqlx::Result<()> {
        if !self.is_begun {
            self.began = store::now(pool).await? - TimeDelta::seconds(1);
            *self = Self { is_begun: true, newest: self.began, began: self.began, of: BTreeMap::new() };
        }
        let mut after = ((self.newest - MARGIN).max(self.began), Uuid::nil());
        loop {
            let part = store::sent_since(pool, after, MOST).await?;
            for sent in &part {
                self.newest = self.newest.max(sent.sent_at);
                if self.of.insert(sent.id, sent.sent_at).is_none() {
                    publish(live, sent);
                }
            }
            match part.last() {
                Some(last) if part.len() >= usize::try_from(MOST).unwrap_or(usize::MAX) => {
                    after = (last.sent_at, last.id);
                }
                _ => break,
            }
        }
        let kept = self.newest - MARGIN;
        self.of.retain(|_, at| *at >= kept);
        Ok(())
    }
}

fn publish(live: &Live, sent: &Sent) {
    let is_notice = sent.people.is_some();
    let data = json!({
        "id": sent.id, "is_notice": is_notice, "from": sent.sender_id, "from_name": sent.sender, "to": sent.recipient_id,
        "queue_id": sent.queue_id, "text": sent.body, "sent_at": sent.sent_at,
    });
    live.bus.publish(New {
        topic: Topic::MessageReceived,
        tenant: Some(sent.tenant),
        people: sent.whose(),
        extensions: BTreeSet::new(),
        queues: sent.queue_id.into_iter().collect(),
        at: sent.sent_at,
        is_timed: true,
        data,
        own: None,
        concealed: Concealed::default(),
        is_parting: false,
        place: At { switch_id: None, switch: None },
        places: Vec::new(),
    });
}
