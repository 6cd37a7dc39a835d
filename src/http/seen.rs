//! How often each kind of problem was answered by this process, and when last: a few numbers for each code, whoever asks how often.

use std::sync::{
    LazyLock,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};

use crate::text::Code;

/// A kind of problem that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub code: Code,
    pub count: u64,
    pub last_at: DateTime<Utc>,
}

/// In the order of [`Code::ALL`]: how often, and when last, in microseconds since 1970.
static SEEN: LazyLock<Vec<(AtomicU64, AtomicI64)>> =
    LazyLock::new(|| Code::ALL.iter().map(|_| (AtomicU64::new(0), AtomicI64::new(0))).collect());

pub fn note(code: Code) {
    let place = Code::ALL.iter().position(|known| *known == code);
    if let Some((count, last)) = place.and_then(|place| SEEN.get(place)) {
        count.fetch_add(1, Ordering::Relaxed);
        last.fetch_max(Utc::now().timestamp_micros(), Ordering::Relaxed);
    }
}

/// Those that were answered at least once.
#[must_use]
pub fn all() -> Vec<Seen> {
    let seen = Code::ALL.iter().zip(SEEN.iter()).filter_map(|(code, (count, last))| {
        let count = count.load(Ordering::Relaxed);
        let last_at = DateTime::from_timestamp_micros(last.load(Ordering::Relaxed))?;
        (count > 0).then_some(Seen { code: *code, count, last_at })
    });
    seen.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_counted_with_its_last_time() {
        let count = || all().iter().find(|seen| seen.code == Code::NotAMonth).map_or(0, |seen| seen.count);
        let (before, began) = (count(), Utc::now().timestamp_micros());
        note(Code::NotAMonth);
        note(Code::NotAMonth);
        assert!(count() >= before + 2);
        let last = all().into_iter().find(|seen| seen.code == Code::NotAMonth).unwrap();
        assert!(last.last_at.timestamp_micros() >= began);
    }
}
