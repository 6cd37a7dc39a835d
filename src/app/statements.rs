//! How long Postgres takes for statements, by their first word: a slow `commit` is the disk or a standby, a slow `update` waits for a lock,
//! a slow `select` reads too much. Which statement was slow is in the log.
//!
//! sqlx tells it to the log only, when a statement has ended, well or not (`QueryLogger` in sqlx-core's logger.rs).

use std::time::Duration;

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt as _},
    registry,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::node::histogram::{self, Histogram};

/// In two words, as SQL stands in stores alone.
const TARGET: &str = concat!("sqlx::", "query");
/// `with` is most often a change with several parts. The last is for all others, such as `listen` and `set`.
const KINDS: [&str; 8] = ["select", "insert", "update", "delete", "with", "begin", "commit", "other"];

static ALL: [Histogram; KINDS.len()] = [const { Histogram::new() }; KINDS.len()];

fn series(statement: &str) -> &'static Histogram {
    let word = statement.split_whitespace().next().unwrap_or_default();
    &ALL[KINDS.iter().position(|kind| word.eq_ignore_ascii_case(kind)).unwrap_or(KINDS.len() - 1)]
}

/// Adds its lines in Prometheus' text format.
pub fn write(text: &mut String) {
    let name = "dialplane_database_statement_duration_seconds";
    histogram::head(text, name, "Time until Postgres had carried out a statement, by its first word.");
    for (kind, series) in KINDS.iter().zip(&ALL) {
        series.write(text, name, &format!("kind=\"{kind}\""));
    }
}

/// Measures statements, whatever the log shows.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    Measure.with_filter(Targets::new().with_target(TARGET, Level::DEBUG))
}

/// Measures them in a process that set up no log, as tests do.
pub fn measure() {
    let _ = registry().with(layer()).try_init();
}

struct Measure;

impl<S: Subscriber> Layer<S> for Measure {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        if let (Some(of), Some(took)) = (told.of, told.took) {
            of.record(took);
        }
    }
}

/// What an event says of a statement.
#[derive(Default)]
struct Told {
    of: Option<&'static Histogram>,
    took: Option<Duration>,
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            self.of = Some(series(value));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.took = Duration::try_from_secs_f64(value).ok();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_counted_by_its_first_word_and_nothing_of_it_is_shown() {
        assert!(std::ptr::eq(series("SELECT name from tenants"), &raw const ALL[0]));
        assert!(std::ptr::eq(series("\n  commit"), &raw const ALL[6]));
        for other in ["", "listen changes", "selects"] {
            assert!(std::ptr::eq(series(other), &raw const ALL[7]), "{other}");
        }
        tracing::subscriber::with_default(registry().with(layer()), || {
            tracing::debug!(target: TARGET, summary = "DELETE from secret_table …", elapsed_secs = 0.25);
            tracing::debug!(target: "sqlx::other", summary = "delete", elapsed_secs = 0.25);
        });
        let mut text = String::new();
        write(&mut text);
        assert!(text.contains("_seconds_count{kind=\"delete\"} 1\n"), "{text}");
        assert!(text.contains("_seconds_sum{kind=\"delete\"} 0.25\n") && !text.contains("secret"), "{text}");
    }
}
