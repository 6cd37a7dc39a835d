//! What runs beside a switch: it finds the recordings that the switch has written, sends each to Dialplane, and removes the file once it is
//! stored there. It also finds what was left behind when anything was away or died.
//!
//! A switch itself can't do this safely: mod_http_cache tries once and tells nobody how it went, and nothing that a switch can be asked for
//! removes a file (docs/decisions/18-recordings.md).
//!
//! It also sends the sound of messages that callers left. Their files stay: people hear them by phone, and mod_voicemail removes them.
//!
//! A finished recording is first moved into the folder `sending`, so that a switch which opens the same name again writes another file.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use ureq::{
    SendBody,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{fetch::upload, voicemail::upload as messages};
use crate::{
    telephony::recordings::{name::FileName, wav},
    text::keyring::hex,
};

/// Where files are that are about to be sent.
pub const SENDING: &str = "sending";
const CONNECT: Duration = Duration::from_secs(10);
/// How long a node may take to answer once it has everything.
const ANSWER: Duration = Duration::from_mins(2);
/// How much is sent at once.
const PIECE: usize = 64 * 1024;

/// Sends recordings to a switch listener.
pub struct Sender {
    /// Such as `https://dialplane.example.com:8080`.
    base: String,
    authorization: String,
    agent: ureq::Agent,
    /// The tenant of recordings whose call left no record.
    domain: Option<String>,
    /// A file without a whole header that nobody has written to for so long was left by a switch that died.
    abandoned_after: Duration,
    /// Messages that are stored. What is forgotten is asked for again.
    known: Mutex<BTreeSet<String>>,
}

/// What became of the files.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// They are stored, and gone here.
    pub sent: usize,
    /// They were stored before, and are gone here.
    pub known: usize,
    /// The switch is still writing them.
    pub under_way: usize,
    /// The records of their calls have not come yet, or the switch has not said yet that there is such a message.
    pub waiting: usize,
    /// They stay because of a fault.
    pub failed: Vec<Failed>,
}

impl Report {
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.known += other.known;
        self.under_way += other.under_way;
        self.waiting += other.waiting;
        self.failed.extend(other.failed);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    pub file: String,
    pub why: String,
}

/// What became of one file.
enum Done {
    Sent,
    Known,
    Waiting,
}

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("{url} does not answer: {source}")]
    Away { url: String, source: Box<ureq::Error> },
    #[error("{url} answers {status}: {said}")]
    Refused { url: String, status: u16, said: String },
    #[error("it changed while it was sent")]
    Changed,
}

/// What begins an https URL's trust: the authorities of this machine, or those of a file.
fn roots(authority: Option<&Path>) -> io::Result<Vec<Certificate<'static>>> {
    let Some(file) = authority else {
        let found = rustls_native_certs::load_native_certs().certs;
        return Ok(found.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect());
    };
    let pem = fs::read(file)?;
    let found = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(cert)) => Some(cert),
        _ => None,
    });
    Ok(found.collect())
}

impl Sender {
    /// `credentials`: the switch's, as `NAME:TOKEN`. `authority`: a PEM file, instead of this machine's authorities.
    pub fn new(url: &str, credentials: &str, authority: Option<&Path>) -> io::Result<Self> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/fs/xml").unwrap_or(base).to_owned();
        let mut config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .http_status_as_error(false)
            .max_redirects(0);
        if base.starts_with("https://") {
            let roots = RootCerts::Specific(Arc::new(roots(authority)?));
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let authorization = format!("Basic {}", STANDARD.encode(credentials.trim()));
        let abandoned_after = Duration::from_mins(10);
        Ok(Self {
            base,
            authorization,
            agent: config.build().into(),
            domain: None,
            abandoned_after,
            known: Mutex::default(),
        })
    }

    /// The tenant of recordings whose call left no record, by its domain.
    #[must_use]
    pub fn of_domain(self, domain: Option<String>) -> Self {
        Self { domain, ..self }
    }

    #[must_use]
    pub fn abandoned_after(self, abandoned_after: Duration) -> Self {
        Self { abandoned_after, ..self }
    }

    /// Looks through a folder once, and sends what is finished. `progress` is told how many bytes were sent.
    pub fn pass(&self, folder: &Path, progress: &dyn Fn(usize)) -> io::Result<Report> {
        let mut report = Report::default();
        let sending = folder.join(SENDING);
        fs::create_dir_all(&sending)?;
        for (name, path) in recordings(folder)? {
            match self.is_finished(&path) {
                Ok(true) => claim(&path, &sending, &name)?,
                Ok(false) => report.under_way += 1,
                // The switch removes recordings that are too short.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => report.failed.push(Failed { file: path.display().to_string(), why: error.to_string() }),
            }
        }
        for (name, path) in recordings(&sending)? {
            match self.send(&name, &path, progress) {
                Ok(Done::Sent) => report.sent += 1,
                Ok(Done::Known) => report.known += 1,
                Ok(Done::Waiting) => report.waiting += 1,
                Err(why) => report.failed.push(Failed { file: path.display().to_string(), why: why.to_string() }),
            }
        }
        Ok(report)
    }

    fn is_finished(&self, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        let about = file.metadata()?;
        let mut head = Vec::with_capacity(wav::HEAD);
        file.by_ref().take(wav::HEAD as u64).read_to_end(&mut head)?;
        if wav::Head::read(&head).is_some_and(|head| head.is_finished(about.len())) {
            return Ok(true);
        }
        Ok(about.modified()?.elapsed().is_ok_and(|still| still >= self.abandoned_after))
    }

    /// Sends one file, and removes it once it is stored.
    fn send(&self, name: &FileName, path: &Path, progress: &dyn Fn(usize)) -> Result<Done, Fault> {
        let before = fs::metadata(path)?;
        let written = before.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let hash = hash_of(path)?;
        let mut name = name.clone();
        let done = match self.asks(&self.url(&name))? {
            Wanted::Unknown => return Ok(Done::Waiting),
            Wanted::Known(known) if known == hash => Done::Known,
            Wanted::Known(_) => {
                // A switch has recorded the same leg again under the same name.
                let at = i64::try_from(written).unwrap_or_default();
                name = name.another(at).unwrap_or(name);
                match self.asks(&self.url(&name))? {
                    Wanted::Known(known) if known == hash => Done::Known,
                    _ => self.put(&self.url(&name), path, (before.len(), written), progress)?,
                }
            }
            Wanted::Yes => self.put(&self.url(&name), path, (before.len(), written), progress)?,
        };
        // Whoever still has it open may have written more.
        let after = fs::metadata(path)?;
        if after.len() != before.len() || after.modified()? != before.modified()? {
            return Err(Fault::Changed);
        }
        fs::remove_file(path)?;
        Ok(done)
    }

    /// Looks through mod_voicemail's folder once (`storage/voicemail/default` of a switch), and sends the sound of messages that is wanted.
    pub fn pass_messages(&self, folder: &Path, progress: &dyn Fn(usize)) -> io::Result<Report> {
        let mut report = Report::default();
        let found = messages_in(folder)?;
        let known = |name: &str| self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        for name in found.iter().filter(|name| !known(name)) {
            let path = folder.join(name);
            match self.is_finished(&path) {
                Ok(true) => {}
                Ok(false) => {
                    report.under_way += 1;
                    continue;
                }
                // It was deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    report.failed.push(Failed { file: path.display().to_string(), why: error.to_string() });
                    continue;
                }
            }
            match self.send_message(name, &path, progress) {
                Ok(Done::Sent) => report.sent += 1,
                Ok(Done::Known) => report.known += 1,
                Ok(Done::Waiting) => {
                    report.waiting += 1;
                    continue;
                }
                Err(why) => {
                    report.failed.push(Failed { file: path.display().to_string(), why: why.to_string() });
                    continue;
                }
            }
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| found.contains(name));
        Ok(report)
    }

    fn send_message(&self, name: &str, path: &Path, progress: &dyn Fn(usize)) -> Result<Done, Fault> {
        let url = format!("{}{}{name}", self.base, messages::PATH);
        match self.asks(&url)? {
            Wanted::Unknown => Ok(Done::Waiting),
            Wanted::Known(_) => Ok(Done::Known),
            Wanted::Yes => {
                let about = fs::metadata(path)?;
                let written = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                self.put(&url, path, (about.len(), written), progress)
            }
        }
    }

    fn url(&self, name: &FileName) -> String {
        let domain = self.domain.as_ref().map(|domain| format!("?domain={domain}")).unwrap_or_default();
        format!("{}{}{name}{domain}", self.base, upload::PATH)
    }

    /// Whether a file is wanted.
    fn asks(&self, url: &str) -> Result<Wanted, Fault> {
        let url = url.to_owned();
        let asked = self.agent.head(&url).header("Authorization", &self.authorization).call();
        let answer = asked.map_err(|source| Fault::Away { url: url.clone(), source: Box::new(source) })?;
        let hash = answer.headers().get(upload::SHA256).and_then(|hash| hash.to_str().ok());
        match (answer.status().as_u16(), hash) {
            (204, _) => Ok(Wanted::Yes),
            (200, Some(hash)) => Ok(Wanted::Known(hash.to_owned())),
            (404, _) => Ok(Wanted::Unknown),
            (status, _) => Err(Fault::Refused { url, status, said: "the file is not asked for".into() }),
        }
    }

    fn put(
        &self,
        url: &str,
        path: &Path,
        (length, written): (u64, u64),
        progress: &dyn Fn(usize),
    ) -> Result<Done, Fault> {
        let url = url.to_owned();
        let mut file = Told { file: File::open(path)?.take(length), progress };
        let request = self
            .agent
            .put(&url)
            .header("Authorization", &self.authorization)
            .header("Content-Type", "audio/wav")
            .header("Content-Length", length.to_string())
            .header(upload::UNTIL, written.to_string());
        let sent = request.send(SendBody::from_reader(&mut file));
        let mut answer = sent.map_err(|source| Fault::Away { url: url.clone(), source: Box::new(source) })?;
        match answer.status().as_u16() {
            201 => Ok(Done::Sent),
            200 => Ok(Done::Known),
            404 => Ok(Done::Waiting),
            status => {
                let said = answer.body_mut().with_config().limit(4096).read_to_string().unwrap_or_default();
                Err(Fault::Refused { url, status, said: said.trim().to_owned() })
            }
        }
    }
}

/// What Dialplane says of a name.
enum Wanted {
    Yes,
    /// There is one, with this SHA-256.
    Known(String),
    /// Nothing is known of its leg yet.
    Unknown,
}

/// A file that tells how much of it was read.
struct Told<'a> {
    file: io::Take<File>,
    progress: &'a dyn Fn(usize),
}

impl io::Read for Told<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(PIECE);
        let read = self.file.read(&mut into[..length])?;
        (self.progress)(read);
        Ok(read)
    }
}

fn hash_of(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&piece[..read]),
        }
    }
}

/// The recordings in a folder, by name.
fn recordings(folder: &Path) -> io::Result<Vec<(FileName, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_str().and_then(FileName::parse);
        if let Some(name) = name.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) {
            found.push((name, entry.path()));
        }
    }
    found.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(found)
}

/// The files of messages in mod_voicemail's folder: `DOMAIN/MAILBOX/msg_….wav`.
fn messages_in(folder: &Path) -> io::Result<BTreeSet<String>> {
    let folders = |folder: &Path| {
        let entries = fs::read_dir(folder)?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok::<_, io::Error>(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>())
    };
    let mut found = BTreeSet::new();
    for domain in folders(folder)? {
        for mailbox in folders(&folder.join(&domain))? {
            let files = fs::read_dir(folder.join(&domain).join(&mailbox))?.flatten();
            let names = files.filter_map(|file| file.file_name().into_string().ok());
            let names = names.map(|file| format!("{domain}/{mailbox}/{file}"));
            found.extend(names.filter(|name| messages::parse(name).is_some()));
        }
    }
    Ok(found)
}

/// Moves a finished file to those that are about to be sent.
fn claim(path: &Path, sending: &Path, name: &FileName) -> io::Result<()> {
    let mut place = sending.join(name.as_str());
    if place.exists() {
        // An earlier one of the same name has not been sent yet.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let another = name.another(i64::try_from(now).unwrap_or_default());
        place = sending.join(another.as_ref().unwrap_or(name).as_str());
    }
    match fs::rename(path, &place) {
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
