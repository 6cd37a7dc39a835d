//! Progress bars for long work, shown on standard error if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(200);

/// A bar for counted work, where `what` names the things. It appears at once and moves even before the first is done. 0 means that nobody
/// knows yet how many there are.
pub fn bar(what: &str, all: usize) -> ProgressBar {
    let template = format!("{{spinner}} {{bar:40}} {{pos}}/{{len}} {what}, {{elapsed}}, {{eta}} to go");
    shown(if all == 0 { ProgressBar::no_length() } else { ProgressBar::new(all as u64) }, &template)
}

/// A bar for bytes. It shows an end once somebody sets the length.
pub fn bytes(what: &str) -> ProgressBar {
    let template = format!("{{spinner}} {{bar:40}} {{bytes}} {what}, {{bytes_per_sec}}, {{elapsed}}");
    shown(ProgressBar::no_length(), &template)
}

/// A spinner, for work of unknown length.
pub fn spinner(what: &'static str) -> ProgressBar {
    shown(ProgressBar::no_length().with_message(what), "{spinner} {msg}, {elapsed}")
}

fn shown(bar: ProgressBar, template: &str) -> ProgressBar {
    // With an invalid template, the usual style stays.
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.enable_steady_tick(TICK);
    bar
}
