//! How long things take, counted in buckets that are there from the start: a measurement is three additions, nothing is allocated, and
//! nothing grows when nobody reads. (The histograms of `metrics` keep each measurement until somebody does.)

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of the buckets in microseconds: from a kept answer to one that was given up.
pub const BOUNDS: [u64; 16] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_000_000, 10_000_000];

/// One series.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The last is for what took longer than any bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BOUNDS.len() + 1], nanoseconds: AtomicU64::new(0) }
    }

    pub fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| bound.saturating_mul(1000) < nanoseconds);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Adds its lines in Prometheus' text format; none as long as nothing was measured. `labels` as `kind="user"`.
    pub fn write(&self, text: &mut String, name: &str, labels: &str) {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let total = counts.iter().sum::<u64>();
        if total == 0 {
            return;
        }
        let mut below = 0;
        for (count, bound) in counts.iter().zip(BOUNDS) {
            below += count;
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{}\"}} {below}", Seconds(bound * 1000));
        }
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
        let sum = self.nanoseconds.load(Ordering::Relaxed);
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {total}", Seconds(sum));
    }
}

/// What a series says in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub count: u64,
    /// How long all of them took.
    pub together: Duration,
    /// The bound below which half of them are. `None`: above all bounds.
    pub median: Option<Duration>,
    /// The bound below which 99 of 100 are.
    pub slowest: Option<Duration>,
}

impl Histogram {
    /// `None` as long as nothing was measured.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let count = counts.iter().sum::<u64>();
        let bound = |percent: u64| {
            let wanted = (count * percent).div_ceil(100);
            let below = counts.iter().scan(0, |below, count| {
                *below += count;
                Some(*below)
            });
            let place = below.take_while(|below| *below < wanted).count();
            BOUNDS.get(place).map(|bound| Duration::from_micros(*bound))
        };
        let together = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        (count > 0).then(|| Summary { count, together, median: bound(50), slowest: bound(99) })
    }
}

/// The lines before the series of one name.
pub fn head(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
}

/// Nanoseconds, written as seconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, part) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let part = format!("{part:09}");
        match part.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            part => write!(f, "{whole}.{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_bounds_below_which_half_and_nearly_all_are() {
        let histogram = Histogram::default();
        assert_eq!(histogram.summary(), None);
        for _ in 0..98 {
            histogram.record(Duration::from_micros(7));
        }
        for _ in 0..2 {
            histogram.record(Duration::from_millis(3));
        }
        let micros = Duration::from_micros;
        let wanted = Summary {
            count: 100,
            together: micros(98 * 7 + 6000),
            median: Some(micros(10)),
            slowest: Some(micros(5000)),
        };
        assert_eq!(histogram.summary(), Some(wanted));
        let slow = Histogram::default();
        slow.record(Duration::from_secs(11));
        assert_eq!(slow.summary().map(|summary| (summary.median, summary.slowest)), Some((None, None)));
    }

    #[test]
    fn a_bucket_counts_what_took_no_longer_than_its_bound() {
        let histogram = Histogram::default();
        let mut text = String::new();
        histogram.write(&mut text, "x_seconds", "kind=\"a\"");
        assert_eq!(text, "");
        for took in [1, 5_000, 5_001, 30_000_000_000] {
            histogram.record(Duration::from_nanos(took));
        }
        histogram.write(&mut text, "x_seconds", "kind=\"a\"");
        for line in [
            "x_seconds_bucket{kind=\"a\",le=\"0.000005\"} 2",
            "x_seconds_bucket{kind=\"a\",le=\"0.00001\"} 3",
            "x_seconds_bucket{kind=\"a\",le=\"10\"} 3",
            "x_seconds_bucket{kind=\"a\",le=\"+Inf\"} 4",
            "x_seconds_sum{kind=\"a\"} 30.000010002",
            "x_seconds_count{kind=\"a\"} 4",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in {text}");
        }
    }
}
