//! Makes a report, and its table.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Days, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    AgentTimes, By, CallReport, Figures, ReportRow, Sums,
    store::{self, Asked, Foreign, Row},
};
use crate::telephony::{exchange, history::csv};

/// The most rows of a report.
pub const MOST: i64 = 10_000;

/// What a report says. `with_times`: also how the agents were.
pub async fn make(db: &mut PgConnection, tenant: Uuid, asked: &Asked, with_times: bool) -> sqlx::Result<CallReport> {
    let mut rows = summed(&mut *db, tenant, asked, MOST + 1).await?;
    let mut times = HashMap::<(Option<DateTime<Utc>>, String), AgentTimes>::new();
    if with_times {
        for (begins_at, agent, state, seconds) in store::times(&mut *db, tenant, asked).await? {
            times.entry((begins_at, agent.to_string())).or_default().add(&state, seconds);
        }
        // Who had no call was at work, too.
        let known = rows.iter().map(|(begins_at, key, _)| (*begins_at, key.clone())).collect::<HashSet<_>>();
        let others = times.keys().filter(|of| !known.contains(of));
        let mut others = others.map(|(begins_at, key)| (*begins_at, key.clone(), Sums::default())).collect::<Vec<_>>();
        others.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        rows.extend(others);
        // By time first, as they are without.
        rows.sort_by_key(|(begins_at, ..)| *begins_at);
    }
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let whole = Asked { by: if asked.by == By::Carrier { By::Carrier } else { By::All }, per: None, ..asked.clone() };
    let total = together(summed(&mut *db, tenant, &whole, MOST).await?);
    let length = Days::new(u64::try_from((asked.until - asked.since).num_days() + 1).unwrap_or(1));
    let before = Asked { since: asked.since - length, until: asked.until - length, ..whole };
    let before = together(summed(&mut *db, tenant, &before, MOST).await?);
    let ids = rows.iter().filter_map(|(_, key, _)| key.parse().ok()).collect::<Vec<Uuid>>();
    let names = store::names(&mut *db, tenant, &ids).await?;
    let names = names.into_iter().map(|(id, name)| (id.to_string(), name)).collect::<HashMap<_, _>>();
    let rows = rows.into_iter().map(|(begins_at, key, sums)| ReportRow {
        times: with_times.then(|| times.remove(&(begins_at, key.clone())).unwrap_or_default()),
        begins_at,
        name: names.get(&key).cloned(),
        key: Some(key).filter(|key| !key.is_empty()),
        figures: Figures::from(&sums),
    });
    let (time_zone, within_seconds) = (asked.zone.clone(), asked.within_seconds);
    let (since, until) = (asked.since, asked.until);
    let currency = asked.currency.clone();
    Ok(CallReport { time_zone, currency, since, until, within_seconds, total, before, rows: rows.collect(), more })
}

/// The sums of calls, with all costs in the tenant's currency for which there is a rate. What a row paid on one day in one currency is converted together,
/// and rounded once: the rows of a day and their total may differ by a millionth for each row and currency.
pub async fn summed(db: &mut PgConnection, tenant: Uuid, asked: &Asked, limit: i64) -> sqlx::Result<Vec<Row>> {
    let mut rows = store::sums(&mut *db, tenant, asked, limit).await?;
    let foreign = store::foreign(&mut *db, tenant, asked).await?;
    if foreign.is_empty() {
        return Ok(rows);
    }
    let mut rates = HashMap::new();
    if let Some(currency) = &asked.currency {
        let days = foreign.iter().map(|one| (one.currency.clone(), one.day)).collect::<HashSet<_>>();
        let days = days.into_iter().collect::<Vec<_>>();
        let found = exchange::store::in_force(&mut *db, currency, &days).await?;
        rates.extend(found.into_iter().map(|(currency, day, rate)| ((currency, day), rate)));
    }
    let places = rows.iter().enumerate().map(|(at, (begins_at, key, _))| ((*begins_at, key.clone()), at));
    let places = places.collect::<HashMap<_, _>>();
    for Foreign { begins_at, key, currency, day, amount } in foreign {
        // Rows beyond the limit are left out.
        let Some((_, _, sums)) = places.get(&(begins_at, key)).and_then(|at| rows.get_mut(*at)) else { continue };
        match rates.get(&(currency.clone(), day)) {
            Some(rate) => sums.cost = sums.cost.saturating_add(rate.convert(amount)),
            None => add(&mut sums.unconverted, currency, amount),
        }
    }
    Ok(rows)
}

fn add(amounts: &mut BTreeMap<String, i64>, currency: String, amount: i64) {
    let sum = amounts.entry(currency).or_default();
    *sum = sum.saturating_add(amount);
}

/// The rows as CSV, with headings.
#[must_use]
pub fn table(report: &CallReport) -> String {
    let mut text = csv::joined(COLUMNS.iter().map(ToString::to_string));
    text.extend(report.rows.iter().map(|row| line(row, report.currency.as_deref())));
    text
}

/// In the order of `line`.
const COLUMNS: [&str; 31] = [
    "begins_at",
    "key",
    "name",
    "calls",
    "answered",
    "voicemail",
    "abandoned",
    "missed",
    "busy",
    "failed",
    "refused",
    "answer_rate",
    "average_wait_seconds",
    "longest_wait_seconds",
    "service_level",
    "talk_seconds",
    "average_talk_seconds",
    "billed_seconds",
    "cost",
    "average_ringing_after_seconds",
    "reached_rate",
    "available_seconds",
    "ringing_seconds",
    "on_call_seconds",
    "wrap_up_seconds",
    "busy_seconds",
    "away_seconds",
    "occupancy",
    "availability",
    "currency",
    "unconverted",
];

fn line(row: &ReportRow, currency: Option<&str>) -> String {
    let of = &row.figures;
    let share = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    let times = row.times.as_ref();
    let seconds = |of: fn(&AgentTimes) -> i64| times.map(|times| of(times).to_string()).unwrap_or_default();
    csv::joined([
        row.begins_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        row.key.clone().unwrap_or_default(),
        row.name.clone().unwrap_or_default(),
        of.calls.to_string(),
        of.answered.to_string(),
        of.voicemail.to_string(),
        of.abandoned.to_string(),
        of.missed.to_string(),
        of.busy.to_string(),
        of.failed.to_string(),
        of.refused.to_string(),
        share(of.answer_rate),
        share(of.average_wait_seconds),
        of.longest_wait_seconds.to_string(),
        share(of.service_level),
        of.talk_seconds.to_string(),
        share(of.average_talk_seconds),
        of.billed_seconds.to_string(),
        of.cost.to_string(),
        share(of.average_ringing_after_seconds),
        share(of.reached_rate),
        seconds(|times| times.available_seconds),
        seconds(|times| times.ringing_seconds),
        seconds(|times| times.on_call_seconds),
        seconds(|times| times.wrap_up_seconds),
        seconds(|times| times.busy_seconds),
        seconds(|times| times.away_seconds),
        share(times.and_then(|times| times.occupancy)),
        share(times.and_then(|times| times.availability)),
        currency.unwrap_or_default().to_owned(),
        of.unconverted.iter().map(|one| format!("{} {}", one.amount, one.currency)).collect::<Vec<_>>().join(" "),
    ])
}

/// Of all rows.
fn together(rows: Vec<Row>) -> Figures {
    let mut all = Sums::default();
    for (_, _, sums) in rows {
        all.calls += sums.calls;
        all.answered += sums.answered;
        all.voicemail += sums.voicemail;
        all.abandoned += sums.abandoned;
        all.missed += sums.missed;
        all.busy += sums.busy;
        all.failed += sums.failed;
        all.refused += sums.refused;
        all.wait_ms += sums.wait_ms;
        all.longest_ms = all.longest_ms.max(sums.longest_ms);
        all.within += sums.within;
        all.talk_ms += sums.talk_ms;
        all.billed_seconds += sums.billed_seconds;
        all.cost += sums.cost;
        all.rang += sums.rang;
        all.ringing_ms += sums.ringing_ms;
        sums.unconverted.into_iter().for_each(|(currency, amount)| add(&mut all.unconverted, currency, amount));
    }
    Figures::from(&all)
}
