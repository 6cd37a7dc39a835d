//! The counters of a node. Nothing is labelled by tenant, path or name, so their number is bounded.

use std::{fmt, time::Duration};

use metrics::{Counter, counter};

use super::request::KINDS;
use crate::{
    node::histogram::{self, Histogram, Summary},
    switch::fetch::{Source, arrivals::Lack},
};

/// Kinds of requests that Dialplane leaves to the switch; anything else counts as `unknown`.
const NOT_OURS: [&str; 7] = ["directory", "dialplan", "configuration", "languages", "chatplan", "channels", "unknown"];

/// Where answers come from, in the order of [`FetchMetrics::answered`].
const OUTCOMES: [&str; 6] = ["hit", "filled", "stale", "memory", "not_ours", "unavailable"];

/// Counters of the switch listener. They are registered once, so a fetch only increments them.
pub struct FetchMetrics {
    hits: Counter,
    filled: Counter,
    stale: Counter,
    memory: Counter,
    not_ours: Counter,
    unavailable: Counter,
    fill_failed: Counter,
    fill_found_less: Counter,
    pub unauthorized: Counter,
    pub malformed: Counter,
    pub braked: Counter,
    kinds: [Counter; NOT_OURS.len()],
    lacking: [Counter; 3],
    took: [[Histogram; OUTCOMES.len()]; KINDS.len()],
}

impl FetchMetrics {
    #[must_use]
    pub fn register() -> Self {
        let answered = |source: &'static str| counter!("dialplane_fetches_total", "source" => source);
        Self {
            hits: answered("hit"),
            filled: answered("filled"),
            stale: answered("stale"),
            memory: answered("memory"),
            not_ours: answered("not_ours"),
            unavailable: answered("unavailable"),
            fill_failed: counter!("dialplane_fills_failed_total"),
            fill_found_less: counter!("dialplane_fills_found_less_total"),
            unauthorized: counter!("dialplane_fetches_refused_total", "reason" => "credentials"),
            malformed: counter!("dialplane_fetches_refused_total", "reason" => "malformed"),
            braked: counter!("dialplane_fetches_refused_total", "reason" => "guesses"),
            // In the order of Lack.
            lacking: ["address", "to", "header"]
                .map(|field| counter!("dialplane_calls_lacking_total", "field" => field)),
            kinds: NOT_OURS.map(|kind| counter!("dialplane_fetches_not_ours_total", "kind" => kind)),
            took: <[[Histogram; OUTCOMES.len()]; KINDS.len()]>::default(),
        }
    }

    /// `kind`: the request's place in [`KINDS`].
    pub fn answered(&self, kind: usize, source: Source, took: Duration) {
        let (counter, outcome) = match source {
            Source::Hit => (&self.hits, 0),
            Source::Filled => (&self.filled, 1),
            Source::Stale => (&self.stale, 2),
            Source::Memory => (&self.memory, 3),
            Source::NotOurs => (&self.not_ours, 4),
            Source::Unavailable => (&self.unavailable, 5),
        };
        counter.increment(1);
        self.took[kind][outcome].record(took);
    }

    /// Adds how long fetches took, in Prometheus' text format.
    pub fn write(&self, text: &mut String) {
        let name = "dialplane_fetch_duration_seconds";
        histogram::head(
            text,
            name,
            "Time until a switch's question was answered, by kind and where the answer came from.",
        );
        for (kind, outcomes) in KINDS.iter().zip(&self.took) {
            for (source, series) in OUTCOMES.iter().zip(outcomes) {
                series.write(text, name, &format!("kind=\"{kind}\",source=\"{source}\""));
            }
        }
    }

    /// How long fetches took, by kind and where the answer came from.
    pub fn summaries(&self) -> impl Iterator<Item = (&'static str, &'static str, Summary)> {
        let kinds = KINDS.iter().zip(&self.took);
        let all = kinds
            .flat_map(|(kind, outcomes)| OUTCOMES.iter().zip(outcomes).map(move |(source, of)| (*kind, *source, of)));
        all.filter_map(|(kind, source, of)| Some((kind, source, of.summary()?)))
    }

    pub fn not_ours(&self, kind: &str) {
        let place = NOT_OURS.iter().position(|known| *known == kind).unwrap_or(NOT_OURS.len() - 1);
        self.kinds[place].increment(1);
    }

    /// A call from outside came without what its number is read by.
    pub fn lacks(&self, lack: Lack) {
        self.lacking[lack as usize].increment(1);
    }

    pub fn fill_failed(&self) {
        self.fill_failed.increment(1);
    }

    /// The database had less than this node knew: the tenant was missing, or its state was older.
    pub fn fill_found_less(&self) {
        self.fill_found_less.increment(1);
    }
}

impl fmt::Debug for FetchMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchMetrics")
    }
}
