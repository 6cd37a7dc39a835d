//! The SQL of partitions. It is not checked at compile time, because it contains computed names.

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::epoch_store;

/// A table that is kept by month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// What was decided about calls to the outside.
    Calls,
    /// Call records as they were posted.
    Records,
    /// Calls with their stories.
    Stories,
}

impl Kept {
    pub const ALL: [Self; 3] = [Self::Calls, Self::Records, Self::Stories];

    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Self::Calls => "past_calls",
            Self::Records => "past_records",
            Self::Stories => "calls",
        }
    }
}

/// A month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: i32,
    month: u32,
}

impl Month {
    #[must_use]
    pub fn of(moment: DateTime<Utc>) -> Self {
        Self { year: moment.year(), month: moment.month() }
    }

    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 { Self { year: self.year + 1, month: 1 } } else { Self { month: self.month + 1, ..self } }
    }

    #[must_use]
    pub fn previous(self) -> Self {
        if self.month == 1 { Self { year: self.year - 1, month: 12 } } else { Self { month: self.month - 1, ..self } }
    }

    #[must_use]
    pub fn begins(self) -> DateTime<Utc> {
        let first = NaiveDate::from_ymd_opt(self.year, self.month, 1).unwrap_or(NaiveDate::MIN);
        first.and_time(chrono::NaiveTime::MIN).and_utc()
    }

    fn table(self, kept: Kept) -> String {
        format!("{}_{:04}_{:02}", kept.table(), self.year, self.month)
    }

    /// The month in a partition's name.
    fn named(kept: Kept, name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix(kept.table())?.strip_prefix('_')?.split_once('_')?;
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        NaiveDate::from_ymd_opt(year, month, 1).map(|_| Self { year, month })
    }
}

/// While a statement waits for a lock, everybody else waits behind it. So it gives up, and is tried again the next time.
const PATIENCE: &str = "set local lock_timeout = '1s'";

/// The months that have partitions, oldest first.
pub async fn months(db: &mut PgConnection, kept: Kept) -> sqlx::Result<Vec<Month>> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
          where i.inhparent = to_regclass('public.' || $1) order by 1",
    )
    .bind(kept.table())
    .fetch_all(db)
    .await?;
    Ok(names.iter().filter_map(|name| Month::named(kept, name)).collect())
}

/// Creates a month's partition if it is missing. The table is created first and then attached, which does not lock the other
/// partitions, as `create table … partition of` would.
pub async fn make(db: &mut PgConnection, kept: Kept, month: Month) -> sqlx::Result<bool> {
    if months(&mut *db, kept).await?.contains(&month) {
        return Ok(false);
    }
    let (table, name) = (kept.table(), month.table(kept));
    let (from, to) = (month.begins().to_rfc3339(), month.next().begins().to_rfc3339());
    let mut tx = db.begin().await?;
    // A restore brings its own months, and fails if they are there already.
    if !epoch_store::stays_whole(&mut tx).await? {
        return Ok(false);
    }
    for statement in [
        PATIENCE.to_owned(),
        format!("create table public.{name} (like public.{table} including defaults including constraints)"),
        format!("alter table public.{table} attach partition public.{name} for values from ('{from}') to ('{to}')"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    tx.commit().await.map(|()| true)
}

/// Drops a month with all its rows.
pub async fn drop(db: &mut PgConnection, kept: Kept, month: Month) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    sqlx::raw_sql(PATIENCE).execute(&mut *tx).await?;
    let statement = format!("drop table public.{}", month.table(kept));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    tx.commit().await
}

/// How many days after the limit, `days` before now, a month ends. A month is too old when all of it is.
#[must_use]
pub fn is_over(month: Month, now: DateTime<Utc>, days: i32) -> bool {
    month.next().begins() <= now - TimeDelta::days(days.into())
}
