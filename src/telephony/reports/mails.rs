//! The job that mails reports. Every node runs it: what was mailed is noted in the transaction that writes the mails, so each goes out once.

use std::collections::HashMap;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use uuid::Uuid;

use super::{
    By, CallReport, Figures, LEVEL_WITHIN,
    mails_store::{self as kept, Whose},
    make::{make, table},
    store::Asked,
};
use crate::{
    model::{
        error::Result,
        language::Language,
        settings::{ReportEvery, ReportMail, ReportMailBy, Settings},
    },
    node::changes::Changes,
    tenancy::mail::{self, Message},
    text::Email,
};

/// Mails the reports whose time has come as of `now`. Returns how many mails were written.
pub async fn send(changes: &Changes, now: DateTime<Utc>) -> Result<usize> {
    let mut written = 0;
    kept::forget_others(changes.pool()).await?;
    for tenant in kept::tenants(changes.pool()).await? {
        match of_tenant(changes, tenant, now).await {
            Ok(mails) => written += mails,
            Err(error) => tracing::warn!(%tenant, %error, "a tenant's reports could not be mailed"),
        }
    }
    Ok(written)
}

async fn of_tenant(changes: &Changes, tenant: Uuid, now: DateTime<Utc>) -> Result<usize> {
    let Some(whose) = kept::whose(changes.pool(), tenant, now).await? else { return Ok(0) };
    // What can't be read is mended by whoever changes the settings next.
    let Ok(settings) = Settings::parse(&whose.settings) else { return Ok(0) };
    if !settings.features.reports {
        return Ok(0);
    }
    let mailed = kept::mailed(changes.pool(), tenant).await?.into_iter().collect::<HashMap<_, _>>();
    let mut written = 0;
    for report in &settings.reports.mails {
        let until = end(report.every, whose.today);
        if mailed.get(report.name.as_str()).is_none_or(|last| *last < until) {
            written += one(changes, tenant, &whose, report, until).await?;
        }
    }
    Ok(written)
}

/// The day after the last one of the day, week or month that is over.
fn end(every: ReportEvery, today: NaiveDate) -> NaiveDate {
    match every {
        ReportEvery::Day => today,
        ReportEvery::Week => today - Days::new(today.weekday().num_days_from_monday().into()),
        ReportEvery::Month => today.with_day(1).unwrap_or(today),
    }
}

/// The first day of the day, week or month that ends before this day.
fn begin(every: ReportEvery, until: NaiveDate) -> NaiveDate {
    let last = until - Days::new(1);
    match every {
        ReportEvery::Day => last,
        ReportEvery::Week => until - Days::new(7),
        ReportEvery::Month => last.with_day(1).unwrap_or(last),
    }
}

async fn one(changes: &Changes, tenant: Uuid, whose: &Whose, report: &ReportMail, until: NaiveDate) -> Result<usize> {
    let asked = Asked {
        by: by(report.by),
        per: None,
        direction: None,
        since: begin(report.every, until),
        until: until - Days::new(1),
        zone: whose.zone.clone(),
        within_seconds: LEVEL_WITHIN,
        currency: whose.currency.clone(),
    };
    let mut read = changes.snapshot(None).await?;
    let made = make(&mut read, tenant, &asked, report.by == ReportMailBy::Agent).await?;
    drop(read);
    let mut tx = changes.pool().begin().await?;
    if !kept::note(&mut *tx, tenant, report.name.as_str(), until).await? {
        // Another node was quicker.
        return Ok(0);
    }
    let rows = table(&made);
    let file = format!("report-{}.csv", made.since);
    let (since, last) = (made.since.to_string(), made.until.to_string());
    let readers = kept::readers(&mut *tx, tenant, &report.recipients).await?;
    for reader in &readers {
        let Ok(email) = Email::parse(&reader.email) else { continue };
        let message = Message::Report {
            name: &reader.name,
            report: report.name.as_str(),
            since: &since,
            until: &last,
            calls: &made.total.calls.to_string(),
            before: &made.before.calls.to_string(),
            answered: &share(&made, |figures| figures.answer_rate, reader.language),
            in_time: &share(&made, |figures| figures.service_level, reader.language),
            file: &file,
            table: &rows,
        };
        mail::put(&mut tx, changes.keyring(), Some(tenant), &email, reader.language, &message).await?;
    }
    tx.commit().await?;
    Ok(readers.len())
}

fn by(by: ReportMailBy) -> By {
    match by {
        ReportMailBy::Total => By::All,
        ReportMailBy::Agent => By::Agent,
        ReportMailBy::Queue => By::Queue,
        ReportMailBy::Number => By::Number,
        ReportMailBy::Country => By::Country,
        ReportMailBy::Disposition => By::Disposition,
    }
}

/// A share of all calls, as people read it.
fn share(report: &CallReport, of: fn(&Figures) -> Option<f64>, language: Language) -> String {
    let Some(share) = of(&report.total) else { return "–".to_owned() };
    let text = format!("{:.1} %", share * 100.0);
    if language == Language::De { text.replace('.', ",") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_about_the_day_the_week_or_the_month_that_is_over() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (every, today, since, until) in [
            (ReportEvery::Day, "2026-03-01", "2026-02-28", "2026-03-01"),
            // A Monday, and a Sunday.
            (ReportEvery::Week, "2026-11-23", "2026-11-16", "2026-11-23"),
            (ReportEvery::Week, "2026-11-29", "2026-11-16", "2026-11-23"),
            (ReportEvery::Month, "2026-03-01", "2026-02-01", "2026-03-01"),
            (ReportEvery::Month, "2026-03-31", "2026-02-01", "2026-03-01"),
            (ReportEvery::Month, "2026-01-15", "2025-12-01", "2026-01-01"),
        ] {
            let over = end(every, day(today));
            assert_eq!((begin(every, over), over), (day(since), day(until)), "{every:?} {today}");
        }
    }
}
