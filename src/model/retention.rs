//! How long data that grows with use is kept.

use serde::{Deserialize, Serialize};

/// The platform's periods in days, and the bounds of tenants' periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub audit_days: i32,
    pub calls_days: i32,
    pub records_days: i32,
    pub mails_days: i32,
    pub recordings_days: i32,
    /// The shortest and the longest period that a tenant may have.
    pub shortest_days: i32,
    pub longest_days: i32,
}

impl Retention {
    /// Why these settings are invalid, if they are.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let (shortest, longest) = (self.shortest_days, self.longest_days);
        if !(1..=longest).contains(&shortest) || longest > MOST_DAYS {
            return Some(format!(
                "keep_days_at_least and keep_days_at_most must be 1 to {MOST_DAYS}, and the first must not be more than the second"
            ));
        }
        let all = [
            ("keep_audit_days", self.audit_days),
            ("keep_calls_days", self.calls_days),
            ("keep_records_days", self.records_days),
            ("keep_mails_days", self.mails_days),
            ("keep_recordings_days", self.recordings_days),
        ];
        let (name, days) = all.into_iter().find(|(_, days)| !(shortest..=longest).contains(days))?;
        Some(format!(
            "{name} is {days}, which is not between keep_days_at_least ({shortest}) and keep_days_at_most ({longest})"
        ))
    }
}

/// A hundred years.
const MOST_DAYS: i32 = 36_525;

impl Default for Retention {
    fn default() -> Self {
        Self {
            audit_days: 730,
            calls_days: 400,
            records_days: 90,
            mails_days: 90,
            recordings_days: 90,
            shortest_days: 7,
            longest_days: 3650,
        }
    }
}
