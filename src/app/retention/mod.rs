//! Nothing grows forever: rows older than their period are deleted in batches with pauses between them, so that no statement is long and
//! locks disturb nobody. One node at a time does this. What a pass leaves undone, the next one does.
//!
//! docs/retention.md lists every table that grows.

mod store;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use self::store::{BATCH, Passing, Whose};
pub use crate::node::months_store::{Kept, Month, make as make_month};
use crate::{
    model::retention::Retention,
    node::{jobs, months_store},
};

const EVERY: Duration = Duration::from_hours(1);
/// The pause after each batch, for other work.
const PAUSE: Duration = Duration::from_millis(50);
/// After how many days a call is moved to its month. Until then, a late record is still charged to it.
const RECENT_DAYS: i64 = 14;
/// After how many days a record is moved. A switch posts a second copy within hours.
const RECENT_RECORD_DAYS: i64 = 3;

/// After how many days short-lived rows are deleted.
const PASSING: [(Passing, i64); 18] = [
    (Passing::IdempotencyKeys, 1),
    (Passing::Sessions, 0),
    // For this time, a second use ends the session.
    (Passing::RefreshTokens, 2),
    (Passing::OneTimeTokens, 0),
    (Passing::Failures, 2),
    // As long as `sign_in` accepts them.
    (Passing::Devices, 180),
    // A registration lasts a day at most.
    (Passing::Expulsions, 7),
    (Passing::Lamps, 1),
    (Passing::Hosts, 30),
    // Until then, a late leg mends its call.
    (Passing::Legs, 31),
    (Passing::Channels, 31),
    (Passing::WrittenCalls, 31),
    // Ten times as long as they are tried.
    (Passing::WebhookEvents, 30),
    (Passing::CallJobs, 7),
    (Passing::CallBacks, 30),
    (Passing::PlayedCalls, 7),
    (Passing::Messages, 90),
    // As long as the platform keeps calls by default.
    (Passing::UsageAlerts, 400),
];

/// Runs forever. What fails is tried again the next time.
pub async fn run(pool: PgPool, retention: Retention, mails: PathBuf) {
    loop {
        match jobs::round("retention", pass(&pool, &retention, Utc::now())).await {
            Ok(Some(0) | None) => {}
            Ok(Some(rows)) => tracing::info!(
                rows,
                "rows past their period were deleted, and older calls and records moved to their months"
            ),
            Err(error) => tracing::warn!(%error, "some rows past their period could not be deleted"),
        }
        let (folder, days) = (mails.clone(), retention.mails_days);
        let deleted = tokio::task::spawn_blocking(move || delete_files(&folder, SystemTime::now(), days)).await;
        if let Ok(Err(error)) = deleted {
            tracing::warn!(%error, "old mails in files were not deleted");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Makes one pass as of `now`, and returns how many rows were deleted or moved. `None` if another node is doing this.
pub async fn pass(pool: &PgPool, retention: &Retention, now: DateTime<Utc>) -> sqlx::Result<Option<u64>> {
    let mut turn = pool.acquire().await?.detach();
    if !store::take_turn(&mut turn).await? {
        return Ok(None);
    }
    let pass = Pass { pool, retention, now };
    // The lock ends with its connection, even if this is interrupted.
    let done = pass.all(&mut turn).await;
    let _ = store::end_turn(&mut turn).await;
    done.map(Some)
}

struct Pass<'a> {
    pool: &'a PgPool,
    retention: &'a Retention,
    now: DateTime<Utc>,
}

impl Pass<'_> {
    fn before(&self, days: i32) -> DateTime<Utc> {
        self.now - TimeDelta::days(days.into())
    }

    async fn all(&self, db: &mut PgConnection) -> sqlx::Result<u64> {
        let (pool, days) = (self.pool, self.retention);
        for kept in Kept::ALL {
            let month = Month::of(self.now);
            for month in [month, month.next()] {
                months_store::make(&mut *db, kept, month).await?;
            }
        }
        let own = store::own_periods(pool).await?;
        let mut rows = 0;
        for (what, days) in PASSING {
            let before = self.now - TimeDelta::days(days);
            rows += in_batches(|| store::delete_expired(pool, what, before)).await?;
        }
        let unread = self.before(days.records_days);
        rows += in_batches(|| store::delete_expired(pool, Passing::UnreadRecords, unread)).await?;
        rows += in_batches(|| store::delete_mails(pool, self.now, days.mails_days)).await?;
        rows += in_batches(|| store::delete_activity(pool, self.now, days.calls_days)).await?;
        rows += in_batches(|| store::delete_recordings(pool, self.now, days.recordings_days)).await?;
        rows += in_batches(|| store::delete_days(pool, self.now.date_naive(), days.calls_days)).await?;
        rows += in_batches(|| store::delete_figures(pool, self.now, days.calls_days)).await?;
        rows += self.audit(&own).await?;
        // Records come first, because some get their tenant from the call that they belong to.
        rows += self.put_into_months(db, Kept::Records).await?;
        rows += self.put_into_months(db, Kept::Calls).await?;
        for kept in Kept::ALL {
            rows += self.months(db, kept, &own).await?;
        }
        Ok(rows)
    }

    async fn audit(&self, own: &[store::Own]) -> sqlx::Result<u64> {
        let mut rows = 0;
        let tenants = store::audited(self.pool).await?;
        for tenant in tenants.into_iter().map(Some).chain([None]) {
            let own = own.iter().find(|own| Some(own.tenant_id) == tenant).and_then(|own| own.audit_days);
            let before = self.before(own.unwrap_or(self.retention.audit_days));
            // An entry's id may be a little older or newer than the entry.
            let last = first_id(before + TimeDelta::days(1));
            rows += in_batches(|| store::delete_audit(self.pool, tenant, before, last)).await?;
        }
        Ok(rows)
    }

    /// Moves older rows to their months, month by month.
    async fn put_into_months(&self, db: &mut PgConnection, kept: Kept) -> sqlx::Result<u64> {
        let mut rows = 0;
        loop {
            let days = if kept == Kept::Records { RECENT_RECORD_DAYS } else { RECENT_DAYS };
            let before = self.now - TimeDelta::days(days);
            let oldest = match kept {
                Kept::Calls => store::oldest_call(self.pool, before).await?,
                Kept::Records => store::oldest_record(self.pool, before).await?,
                // They are written to their months at once.
                Kept::Stories => None,
            };
            let Some(month) = oldest.map(Month::of) else { return Ok(rows) };
            months_store::make(&mut *db, kept, month).await?;
            let before = before.min(month.next().begins());
            let moved = match kept {
                Kept::Calls => in_batches(|| store::move_calls(self.pool, before)).await?,
                Kept::Records => in_batches(|| store::move_records(self.pool, before)).await?,
                Kept::Stories => 0,
            };
            // Locked rows are moved the next time.
            if moved == 0 {
                return Ok(rows);
            }
            rows += moved;
        }
    }

    /// Deletes by tenants' shorter periods to the day, and by the platform's period by month. A month is dropped unless a tenant's rows
    /// are kept longer.
    async fn months(&self, db: &mut PgConnection, kept: Kept, own: &[store::Own]) -> sqlx::Result<u64> {
        let days = match kept {
            Kept::Calls | Kept::Stories => self.retention.calls_days,
            Kept::Records => self.retention.records_days,
        };
        let own = own.iter().filter_map(|own| {
            let days = if kept == Kept::Records { own.records_days } else { own.calls_days };
            days.map(|days| (own.tenant_id, days))
        });
        let own = own.collect::<Vec<_>>();
        let mut rows = 0;
        for (tenant, days) in &own {
            let before = self.before(*days);
            rows += in_batches(|| self.delete(kept, Whose::One(*tenant), before)).await?;
        }
        let longer = own.iter().filter(|own| own.1 > days).map(|own| own.0).collect::<Vec<_>>();
        let longest = own.iter().map(|own| own.1).max().unwrap_or(days).max(days);
        for month in months_store::months(&mut *db, kept).await? {
            if months_store::is_over(month, self.now, longest) {
                months_store::drop(&mut *db, kept, month).await?;
            } else if months_store::is_over(month, self.now, days) {
                let before = month.next().begins();
                rows += in_batches(|| self.delete(kept, Whose::AllBut(&longer), before)).await?;
            }
        }
        Ok(rows)
    }

    async fn delete(&self, kept: Kept, whose: Whose<'_>, before: DateTime<Utc>) -> sqlx::Result<u64> {
        match kept {
            Kept::Calls => store::delete_past_calls(self.pool, &whose, before).await,
            Kept::Records => store::delete_past_records(self.pool, &whose, before).await,
            Kept::Stories => store::delete_stories(self.pool, &whose, before).await,
        }
    }
}

/// Repeats until less than a batch is left.
async fn in_batches<F: Future<Output = sqlx::Result<u64>>>(mut batch: impl FnMut() -> F) -> sqlx::Result<u64> {
    let mut all = 0;
    loop {
        let rows = batch().await?;
        all += rows;
        if rows < BATCH.unsigned_abs() {
            return Ok(all);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A lower bound of ids made from then on (RFC 9562: version 7 begins with the milliseconds).
fn first_id(moment: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(moment.timestamp_millis()).unwrap_or_default();
    Uuid::from_u64_pair(millis << 16, 0)
}

/// Deletes mails that were written to files because there is no mail server.
pub fn delete_files(folder: &Path, now: SystemTime, days: i32) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let period = Duration::from_hours(24) * u32::try_from(days).unwrap_or(u32::MAX);
    let mut gone = 0;
    for entry in entries {
        let entry = entry?;
        let is_mail = entry.path().extension().is_some_and(|end| end == "eml");
        let age = entry.metadata()?.modified().ok().and_then(|at| now.duration_since(at).ok());
        if is_mail && age.is_some_and(|age| age > period) {
            fs::remove_file(entry.path())?;
            gone += 1;
        }
    }
    Ok(gone)
}
