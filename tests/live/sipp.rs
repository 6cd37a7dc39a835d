//! Phones, played by SIPp.

use std::{
    cell::RefCell,
    collections::HashMap,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Once,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

/// One run of a scenario.
pub struct Phone {
    child: Child,
    name: String,
    log: PathBuf,
}

/// What a scenario needs to know.
#[derive(Clone, Copy)]
pub struct Script<'a> {
    pub scenario: &'a str,
    pub target: u16,
    /// The phone's own port, or its place.
    pub port: u16,
    pub user: &'a str,
    pub password: &'a str,
    /// Whom it calls.
    pub to: &'a str,
}

impl Phone {
    pub fn start(script: &Script<'_>) -> Self {
        Self::start_at("127.0.0.1", script, &[])
    }

    /// At an address of its own, with more that the scenario needs to know. `-cid_str` sets the Call-ID.
    pub fn start_at(address: &str, script: &Script<'_>, more: &[&str]) -> Self {
        let port = at_place(script.port);
        let folder = std::env::temp_dir();
        tone(&folder);
        let log = folder.join(format!("dialplane-sipp-{}-{}", std::process::id(), port));
        let scenario = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/live/scenarios").join(script.scenario);
        let child = Command::new("sipp")
            .arg(format!("127.0.0.1:{}", script.target))
            .arg("-sf")
            .arg(scenario)
            .args(["-i", address, "-p", &port.to_string(), "-m", "1", "-nostdin", "-timeout", "40s", "-timeout_error"])
            .args(["-mi", address, "-mp", &(port + 10_000).to_string(), "-rtp_echo"])
            .args(["-s", script.to, "-key", "user", script.user, "-key", "domain", "acme.test"])
            .args(more)
            .args(["-au", script.user, "-ap", script.password])
            .args(["-trace_err", "-error_file"])
            .arg(&log)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp is installed: script/test sees to it");
        Self { child, name: format!("{} as {}", script.scenario, script.user), log }
    }

    /// Waits for the scenario's end; `true`: every step went as written.
    pub fn succeeds(mut self) -> bool {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let errors = std::fs::read_to_string(&self.log).unwrap_or_default();
                let _ = std::fs::remove_file(&self.log);
                if !status.success() {
                    println!("{}: {status}\n{errors}", self.name);
                }
                return status.success();
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Places are numbers by which a play names its phones' ports.
const PLACES: std::ops::Range<u16> = 26_000..27_000;

thread_local! {
    /// A play has a thread of its own, and so ports of its own.
    static TAKEN: RefCell<HashMap<u16, u16>> = RefCell::default();
}

/// The port at a place: the same one for the whole play, which nobody else has.
pub fn at_place(place: u16) -> u16 {
    if PLACES.contains(&place) {
        TAKEN.with_borrow_mut(|taken| *taken.entry(place).or_insert_with(port))
    } else {
        place
    }
}

/// A port for a phone, and one for its media 10,000 above, that no other phone of this process was given and nobody uses now.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 200).unwrap_or_default() * 20;
    loop {
        let port = 20_000 + (base + NEXT.fetch_add(4, Ordering::Relaxed)) % 5_000;
        let free = |port| UdpSocket::bind(("0.0.0.0", port)).is_ok();
        if free(port) && free(port + 10_000) && free(port + 10_002) {
            return port;
        }
    }
}

/// A second of a loud tone of 1 kHz in mu-law, which the scenarios play over and over. Written once, and whole: other phones read it.
fn tone(folder: &Path) {
    static WRITTEN: Once = Once::new();
    WRITTEN.call_once(|| {
        let tone = [0x80_u8, 0x86, 0x80, 0xf9, 0x00, 0x06, 0x00, 0x79].repeat(1000);
        let part = folder.join(format!("dialplane-tone-{}", std::process::id()));
        std::fs::write(&part, tone).unwrap();
        std::fs::rename(part, folder.join("dialplane-tone.ulaw")).unwrap();
    });
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}
