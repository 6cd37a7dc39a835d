//! Phones that SIPp plays.

use std::{
    cell::RefCell,
    collections::HashMap,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Once,
    time::{Duration, Instant},
};

use crate::ports;

/// One run of a scenario.
pub struct Phone {
    child: Child,
    name: String,
    log: PathBuf,
}

/// The parameters of a scenario.
#[derive(Clone, Copy)]
pub struct Script<'a> {
    pub scenario: &'a str,
    pub target: u16,
    /// The phone's own port, or the place that stands for it.
    pub port: u16,
    pub user: &'a str,
    pub password: &'a str,
    /// The called number.
    pub to: &'a str,
}

impl Phone {
    pub fn start(script: &Script<'_>) -> Self {
        Self::start_at("127.0.0.1", script, &[])
    }

    /// Runs at a separate address, with more arguments. `-cid_str` sets the Call-ID, and `-key domain` another domain.
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
            .args(["-mi", address, "-mp", &(port + ports::MEDIA).to_string(), "-rtp_echo"])
            .args(["-s", script.to, "-key", "user", script.user])
            .args(["-key", "domain", "acme.test"].iter().filter(|_| !more.contains(&"domain")))
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
        let mut phone = Self { child, name: format!("{} as {}", script.scenario, script.user), log };
        phone.listens_at(port);
        phone
    }

    /// Waits until its port is open, because an earlier call fails.
    fn listens_at(&mut self, port: u16) {
        let since = Instant::now();
        // It does not try to open the port itself, since the phone might try at the same moment.
        let mark = format!(":{port:04X} ");
        while !std::fs::read_to_string("/proc/net/udp").is_ok_and(|open| open.contains(&mark))
            && matches!(self.child.try_wait(), Ok(None))
        {
            assert!(since.elapsed() < Duration::from_mins(1), "{} does not listen", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the scenario's end, whether it succeeds or not.
    pub fn ends(self) {
        let _ = self.succeeds();
    }

    /// Waits for the scenario's end. Returns whether every step went as written.
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

/// Waits for the NOTIFY that a switch sends to a phone after it registered. Otherwise the next scenario on the port would take it for a
/// call.
pub fn take_notify(place: u16) {
    let socket = UdpSocket::bind(("127.0.0.1", at_place(place))).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut packet = [0; 8192];
    // A phone that was registered before gets no NOTIFY.
    while let Ok((length, switch)) = socket.recv_from(&mut packet) {
        let text = String::from_utf8_lossy(&packet[..length]).into_owned();
        let copied = text
            .lines()
            .take_while(|line| !line.trim().is_empty())
            .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)));
        let head = copied.fold(String::new(), |head, line| head + line.trim() + "\r\n");
        let answer = format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n");
        socket.send_to(answer.as_bytes(), switch).unwrap();
        if text.starts_with("NOTIFY ") {
            return;
        }
    }
}

/// Places are numbers that stand for phones' ports in a play. They are smaller than any port.
const PLACES: std::ops::Range<u16> = 60_000..61_000;

thread_local! {
    /// Each play has its own thread, and so its own ports.
    static TAKEN: RefCell<HashMap<u16, u16>> = RefCell::default();
}

/// The port at a place. It stays the same for the whole play, and nobody else gets it.
pub fn at_place(place: u16) -> u16 {
    if PLACES.contains(&place) {
        TAKEN.with_borrow_mut(|taken| *taken.entry(place).or_insert_with(ports::phone))
    } else {
        place
    }
}

/// A loud tone of 1 kHz in mu-law, one second long, which the scenarios repeat. The file is written once and in one piece, because
/// other phones read it.
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
