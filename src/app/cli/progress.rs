//! How far long work is: on standard error, and only when that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(200);

/// Work with an end in sight: `what` is what is counted. It is drawn at once and keeps moving, also before the first is done.
pub fn bar(what: &str, all: usize) -> ProgressBar {
    let template = format!("{{spinner}} {{bar:40}} {{pos}}/{{len}} {what}, {{elapsed}}, {{eta}} to go");
    shown(ProgressBar::new(all as u64), &template)
}

/// Bytes, with an end in sight once somebody sets the length.
pub fn bytes(what: &str) -> ProgressBar {
    let template = format!("{{spinner}} {{bar:40}} {{bytes}} {what}, {{bytes_per_sec}}, {{elapsed}}");
    shown(ProgressBar::no_length(), &template)
}

/// Work of which nobody knows how much is left.
pub fn spinner(what: &'static str) -> ProgressBar {
    shown(ProgressBar::no_length().with_message(what), "{spinner} {msg}, {elapsed}")
}

fn shown(bar: ProgressBar, template: &str) -> ProgressBar {
    // A template that can't be read leaves the usual style.
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.enable_steady_tick(TICK);
    bar
}
