//! What the system says of this process, under the names that every Prometheus client gives it.
//!
//! Read from `/proc/self`. The crates that do it also read `/proc/stat`, which the packaged unit hides (`ProcSubset=pid`), for the time of
//! the start; that is noted here when the process starts instead.

use std::{
    fmt::Write as _,
    fs,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Utc};
use nix::unistd::{SysconfVar, sysconf};

/// Seconds since 1970.
static STARTED: OnceLock<f64> = OnceLock::new();

/// Notes when the process started, unless it is known.
pub fn note_start() {
    STARTED.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
}

/// When the process started, if that was noted.
#[must_use]
pub fn started() -> Option<DateTime<Utc>> {
    let since = Duration::try_from_secs_f64(*STARTED.get()?).ok()?;
    Some(DateTime::from(UNIX_EPOCH + since))
}

/// Memory that it holds, in bytes, if the system says it.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of pages, far below 2^52")]
pub fn memory() -> Option<u64> {
    let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|value| u32::try_from(value).ok())?;
    Some((stat.resident_pages * f64::from(page)) as u64)
}

/// Adds its lines in Prometheus' text format. What the system does not say stays out.
pub fn write(text: &mut String) {
    let mut line = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    if let Some(started) = STARTED.get() {
        line("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", *started);
    }
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text)) {
        let setting = |name| sysconf(name).ok().flatten().and_then(|value| u32::try_from(value).ok()).unwrap_or(1);
        let (ticks, page) = (f64::from(setting(SysconfVar::CLK_TCK)), f64::from(setting(SysconfVar::PAGE_SIZE)));
        line("process_cpu_seconds_total", "counter", "Time of processors used, in seconds.", stat.ticks / ticks);
        line("process_resident_memory_bytes", "gauge", "Memory held, in bytes.", stat.resident_pages * page);
        line("process_virtual_memory_bytes", "gauge", "Addresses in use, in bytes.", stat.virtual_bytes);
        line("process_threads", "gauge", "Threads.", stat.threads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder itself, while it is read.
        let open = u32::try_from(open.count().saturating_sub(1)).unwrap_or(u32::MAX);
        line("process_open_fds", "gauge", "Open file descriptors, a connection each among them.", f64::from(open));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    if let Some(most) = most {
        line("process_max_fds", "gauge", "File descriptors that may be open.", most);
    }
}

/// Of proc_pid_stat(5).
#[derive(Debug, PartialEq)]
struct Stat {
    ticks: f64,
    threads: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may hold anything.
        let fields = text[text.rfind(')')? + 1..].split_whitespace().collect::<Vec<_>>();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            ticks: field(14)? + field(15)?,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_program_is_called() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 100 8192 3 18446744073709551615 1";
        let wanted = Stat { ticks: 200.0, threads: 9.0, virtual_bytes: 8192.0, resident_pages: 3.0 };
        assert_eq!(Stat::parse(line), Some(wanted));
        assert_eq!(Stat::parse(""), None);
    }
}
