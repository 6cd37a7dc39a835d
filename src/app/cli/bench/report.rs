//! The result of a measurement, for a person or a script.

use std::{fs, io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::load::Outcome;

/// CPU time used so far, by this process and by the server's, in clock ticks of 10 ms.
pub struct Cpu {
    own: u64,
    server: Option<u64>,
}

impl Cpu {
    pub fn read(server: &[u32]) -> Self {
        let server = (!server.is_empty()).then(|| server.iter().filter_map(|pid| ticks(&pid.to_string())).sum());
        Self { own: ticks("self").unwrap_or_default(), server }
    }
}

/// User and system time of a process with all its threads: fields 14 and 15 of proc(5)'s stat.
fn ticks(pid: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

pub fn progress(limit: Duration, requests: Option<u64>) -> ProgressBar {
    let total = requests.unwrap_or_else(|| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    let progress = ProgressBar::new(total);
    if !std::io::stderr().is_terminal() {
        progress.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        progress.set_style(style);
    }
    progress
}

pub fn advance(progress: &ProgressBar, elapsed: Duration, asked: u64) {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let by_number = progress.length().is_some_and(|total| total < u64::MAX && asked <= total && millis > total);
    progress.set_position(if by_number { asked } else { millis });
    progress.set_message(format!("{asked} requests"));
}

#[expect(clippy::cast_precision_loss, reason = "rates and means are rounded anyway")]
pub fn print(json: bool, outcome: &Outcome, elapsed: Duration, before: &Cpu, after: &Cpu) -> anyhow::Result<()> {
    let latency = &outcome.latency;
    let (answered, failed) = (latency.len(), outcome.errors.values().sum::<u64>());
    let each = (answered + failed).max(1) as f64;
    let micros = |ticks: u64| (ticks * 10_000) as f64 / each;
    let own = micros(after.own - before.own);
    let server = after.server.zip(before.server).map(|(after, before)| micros(after.saturating_sub(before)));
    let at = |quantile: f64| latency.value_at_quantile(quantile);
    let rate = answered as f64 / elapsed.as_secs_f64();
    if json {
        let report = json!({
            "requests": answered, "errors": outcome.errors, "seconds": elapsed.as_secs_f64(), "rate": rate,
            "latency_us": { "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": latency.max() },
            "bytes_per_answer": outcome.bytes as f64 / (answered.max(1)) as f64,
            "client_cpu_us_per_request": own, "server_cpu_us_per_request": server,
        });
        println!("{report}");
        return Ok(());
    }
    println!("{answered} answers in {:.1} s: {rate:.0} per second", elapsed.as_secs_f64());
    println!(
        "latency    p50 {} µs, p90 {} µs, p99 {} µs, p99.9 {} µs, longest {} µs",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        latency.max()
    );
    println!(
        "CPU        {own:.1} µs per request here{}",
        server.map(|s| format!(", {s:.1} µs at the server")).unwrap_or_default()
    );
    for (kind, count) in &outcome.errors {
        println!("failed     {count} × {kind}");
    }
    if failed > 0 {
        anyhow::bail!("{failed} of {} requests failed", answered + failed);
    }
    Ok(())
}
