//! A test's own FreeSWITCH, on loopback. Everything that it writes is in a temporary folder.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{harness::Node, ports::Block};

const PASSWORD: &str = "only-for-this-test";

pub struct Switch {
    child: Child,
    pub folder: PathBuf,
    pub internal: u16,
    pub external: u16,
    socket: u16,
    _ports: Block,
}

impl Switch {
    /// Boots a switch from `freeswitch-conf` with this node's URL and credentials, and waits until its profiles run.
    pub fn boot(binary: &Path, node: &Node) -> Self {
        Self::boot_from(binary, node, &Path::new(env!("CARGO_MANIFEST_DIR")).join("freeswitch-conf"))
    }

    /// Boots a switch from a configuration directory, with this test's values.
    pub fn boot_from(binary: &Path, node: &Node, source: &Path) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-switch-{}", Uuid::now_v7().simple()));
        copy(source, &folder.join("conf"));
        for name in ["log", "db", "run", "temp", "storage", "certs"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        let ports = Block::claim();
        let (internal, external, socket) = (ports.first, ports.first + 2, ports.first + 4);
        prompts(&folder.join("sounds"));
        let site = site(node, &folder, ports.first);
        fs::write(folder.join("conf/site.xml"), site).unwrap();
        let directory = |name: &str| folder.join(name).into_os_string();
        let output = fs::File::create(folder.join("output")).unwrap();
        let child = Command::new(binary)
            .args(["-nonat", "-nf", "-nc", "-np"])
            .arg("-conf")
            .arg(directory("conf"))
            .arg("-log")
            .arg(directory("log"))
            .arg("-db")
            .arg(directory("db"))
            .arg("-run")
            .arg(directory("run"))
            .arg("-temp")
            .arg(directory("temp"))
            .arg("-storage")
            .arg(directory("storage"))
            .arg("-certs")
            .arg(directory("certs"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let switch = Self { child, folder, internal, external, socket, _ports: ports };
        let since = Instant::now();
        while switch.try_api("sofia status").is_none_or(|status| status.matches("RUNNING").count() < 2) {
            assert!(since.elapsed() < Duration::from_mins(1), "the switch did not start:\n{}", switch.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        switch
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    /// The event socket's address and password.
    pub fn event_socket(&self) -> (String, &'static str) {
        (format!("127.0.0.1:{}", self.socket), PASSWORD)
    }

    /// Runs an API command over the event socket.
    pub fn api(&self, command: &str) -> String {
        self.try_api(command).unwrap_or_else(|| panic!("the event socket does not answer {command}"))
    }

    fn try_api(&self, command: &str) -> Option<String> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.socket)).ok()?);
        read_event(&mut stream)?;
        write!(stream.get_mut(), "auth {PASSWORD}\n\n").ok()?;
        read_event(&mut stream)?;
        write!(stream.get_mut(), "api {command}\n\n").ok()?;
        read_event(&mut stream)
    }

    /// Whether the event socket accepts this password.
    pub fn lets_in(&self, password: &str) -> bool {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.socket)).unwrap());
        read_event(&mut stream).unwrap();
        write!(stream.get_mut(), "auth {password}\n\n").unwrap();
        let mut reply = String::new();
        stream.read_line(&mut reply).unwrap();
        stream.read_line(&mut reply).unwrap();
        reply.contains("+OK")
    }

    /// Waits until a message is long enough to be kept (`min-record-len`), however long its caller had to wait for the tone, and
    /// hangs up. `before`: the messages that were there before.
    pub fn takes_message(&self, before: &[PathBuf]) {
        // Samples of two bytes, 8,000 a second (`mod_voicemail` records as wav).
        let is_long = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 3 * 16_000);
        let since = Instant::now();
        while !self.messages().iter().any(|path| !before.contains(path) && is_long(path)) {
            assert!(since.elapsed() < Duration::from_mins(1), "nothing is recorded:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        self.api("hupall normal_clearing");
    }

    /// The files of messages in mailboxes.
    pub fn messages(&self) -> Vec<PathBuf> {
        fn within(folder: &Path) -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            entries.flat_map(|path| if path.is_dir() { within(&path) } else { vec![path] }).collect()
        }
        let is_message =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("msg_"));
        within(&self.folder.join("storage")).into_iter().filter(is_message).collect()
    }

    /// The warnings and errors that the switch has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log/freeswitch.log")).unwrap_or_default()
            + &fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.try_api("fsctl shutdown now");
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(10) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::env::var_os("KEEP_SWITCH").is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        } else {
            eprintln!("kept {}", self.folder.display());
        }
    }
}

/// The head of one event, and its body if it has one.
fn read_event(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = None;
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse::<usize>().ok();
        }
        head.push_str(&line);
    }
    let Some(length) = length else { return Some(head) };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

/// Writes a tenth of a second of silence for each of voicemail's prompts.
fn prompts(folder: &Path) {
    let spoken = include_str!("../../freeswitch-conf/languages/en.xml");
    let named = spoken.split("voicemail/").skip(1).filter_map(|rest| rest.split('"').next());
    let said = ["new", "saved", "deleted", "emailed"].map(|word| format!("vm-{word}.wav"));
    for name in named.map(str::to_owned).chain(said) {
        write_silence(&folder.join("voicemail").join(name));
    }
    for digit in 0..61 {
        write_silence(&folder.join("digits").join(format!("{digit}.wav")));
    }
    // The prompts for the time of a message.
    for word in ["today", "yesterday", "at", "a-m", "p-m", "oclock", "oh"] {
        write_silence(&folder.join("time").join(format!("{word}.wav")));
    }
    for character in 32..127 {
        write_silence(&folder.join("ascii").join(format!("{character}.wav")));
    }
}

/// A WAV file: 16 bits, mono, 8 kHz.
pub fn write_silence(path: &Path) {
    write_sound(path, &[0; 800]);
}

/// The same with these samples.
pub fn write_sound(path: &Path, samples: &[i16]) {
    let data = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>();
    let length = u32::try_from(data.len()).unwrap();
    let mut wav = Vec::from(&b"RIFF"[..]);
    wav.extend(36_u32.wrapping_add(length).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    wav.extend([8000_u32, 16_000].map(u32::to_le_bytes).concat());
    wav.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.extend(data);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, wav).unwrap();
}

/// The values in `site.xml` for this test. All names of the file must be here, or they would be unknown variables. `first` is the first
/// port of the block.
fn site(node: &Node, folder: &Path, first: u16) -> String {
    let shipped = include_str!("../../freeswitch-conf/site.xml");
    let (name, token) = &node.switch;
    let url = format!("http://{}", node.app.switch_address);
    let values = [
        ("dialplane_url", format!("{url}/fs/xml")),
        ("dialplane_cdr_url", format!("{url}/fs/cdr")),
        ("dialplane_credentials", format!("{name}:{token}")),
        ("sip_ip", "127.0.0.1".into()),
        ("rtp_ip", "127.0.0.1".into()),
        ("ext_sip_ip", "127.0.0.1".into()),
        ("ext_rtp_ip", "127.0.0.1".into()),
        ("internal_sip_port", first.to_string()),
        ("external_sip_port", (first + 2).to_string()),
        ("sound_prefix", folder.join("sounds").display().to_string()),
        ("hold_music_dir", folder.join("sounds/voicemail").display().to_string()),
        ("rtp_start_port", (first + 10).to_string()),
        ("rtp_end_port", (first + 99).to_string()),
        ("ws_binding", format!("127.0.0.1:{}", first + 6)),
        // With the switch's own certificates: without them, the profile for phones does not start.
        ("wss_binding", format!("127.0.0.1:{}", first + 8)),
        ("event_socket_port", (first + 4).to_string()),
        ("event_socket_password", PASSWORD.into()),
        ("log_level", std::env::var("SWITCH_LOG").unwrap_or_else(|_| "warning".into())),
    ];
    let line = |line: &str| {
        let value = values.iter().find(|(name, _)| line.contains(&format!("data=\"{name}=")));
        match value {
            Some((name, value)) => format!("<X-PRE-PROCESS cmd=\"set\" data=\"{name}={value}\"/>\n"),
            None => format!("{line}\n"),
        }
    };
    shipped.lines().map(line).collect()
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
