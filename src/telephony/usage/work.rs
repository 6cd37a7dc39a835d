//! The job that compares what tenants used with their limits, and tells people. Several nodes may do this at once: each takes other tenants, and what
//! was told is noted in the transaction that writes the mails.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{TOLD_AT, of_month, store};
use crate::{
    model::{error::Result, measure::Measure, topic::Topic},
    node::changes::Changes,
    tenancy::{
        mail::{self, Message},
        webhooks,
    },
    text::Email,
};

/// How often a tenant's usage is compared.
const EVERY: TimeDelta = TimeDelta::minutes(10);
/// How many tenants are taken at once.
const BATCH: i64 = 50;

/// Compares the usage of tenants whose turn it is as of `now`. Returns how many alerts were written.
pub async fn compare(changes: &Changes, now: DateTime<Utc>) -> Result<usize> {
    let mut alerts = 0;
    loop {
        let due = store::due(changes.pool(), now - EVERY, now, BATCH).await?;
        let is_last = due.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
        for tenant in due {
            match one(changes, tenant, now).await {
                Ok(told) => alerts += told,
                Err(error) => {
                    tracing::warn!(%tenant, %error, "what a tenant used could not be compared with its limits");
                }
            }
        }
        if is_last {
            return Ok(alerts);
        }
    }
}

async fn one(changes: &Changes, tenant: Uuid, now: DateTime<Utc>) -> Result<usize> {
    let mut read = changes.snapshot(None).await?;
    let Some(whose) = store::whose(&mut *read, tenant, now).await? else { return Ok(0) };
    let first = whose.today.with_day(1).unwrap_or(whose.today);
    let usage = of_month(&mut read, tenant, &whose, first).await?;
    drop(read);
    let mut tx = changes.pool().begin().await?;
    // Whoever changed the limits meanwhile has them compared anew.
    if store::limits(&mut *tx, tenant).await?.is_none_or(|limits| limits.version != usage.limits.version) {
        return Ok(0);
    }
    let mut told = Vec::new();
    for measure in Measure::ALL {
        let (used, Some(most)) = (usage.of(measure), usage.limits.of(measure)) else { continue };
        let mut highest = None;
        for percent in TOLD_AT {
            let is_reached = i128::from(used) * 100 >= i128::from(most) * i128::from(percent);
            if is_reached && store::note(&mut *tx, tenant, first, measure, percent, (used, most)).await? {
                // Of two at once, people are told the higher one.
                highest = Some(percent);
            }
        }
        told.extend(highest.map(|percent| (measure, percent, used, most)));
    }
    if told.is_empty() {
        return Ok(0);
    }
    let people = store::told(&mut tx, tenant).await?;
    let currency = whose.currency.as_deref();
    for (measure, percent, used, most) in &told {
        for person in &people {
            let Ok(email) = Email::parse(&person.email) else { continue };
            let amount = |amount: i64| measure.amount(amount, currency, person.language);
            let message = Message::UsageAlert {
                name: &person.name,
                measure: measure.name(person.language),
                percent: *percent,
                used: &amount(*used),
                most: &amount(*most),
                month: &usage.month,
            };
            mail::put(&mut tx, changes.keyring(), Some(tenant), &email, person.language, &message).await?;
        }
        let data = json!({ "month": usage.month, "measure": measure, "percent": percent, "used": used, "most": most, "currency": currency });
        webhooks::publish(&mut tx, &[webhooks::event(Some(tenant), Topic::UsageAlert, &data)]).await?;
    }
    tx.commit().await?;
    Ok(told.len())
}
