//! A running node reads certificates, settings and its log level again. If a file is bad, the old state stays in force.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use crate::harness::{Database, key_file};

/// A node in its own process, with a settings file.
pub struct Served {
    pub child: Child,
    pub folder: PathBuf,
    log: Arc<Mutex<Vec<Value>>>,
    pub switch: SocketAddr,
    pub app: SocketAddr,
}

impl Served {
    pub async fn start(database: &Database, settings: impl FnOnce(&Path) -> String) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-renewal-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let url = format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap());
        let settings = settings(&folder);
        std::fs::write(folder.join("settings.toml"), &settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(["serve", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(&folder).arg("--config").arg(folder.join("settings.toml"));
        command.env("DATABASE_URL", url).env_remove("DIALPLANE_LOG");
        if !settings.contains("key_file") {
            command.env("DIALPLANE_KEY_FILE", key_file());
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::<Mutex<Vec<Value>>>::default();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut served = Self { child, folder, log, switch: none, app: none };
        let ready = served.logged("ready", |line| line["fields"]["message"] == "ready").await;
        let address = |name: &str| ready["fields"][name].as_str().unwrap().parse().unwrap();
        (served.switch, served.app) = (address("switches"), address("people"));
        served
    }

    /// The first line of this kind that the log has or gets.
    pub async fn logged(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        let look = || {
            found = self.log.lock().unwrap().iter().find(|line| is(line)).cloned();
            found.is_some()
        };
        until(&format!("{what} in {:?}", self.log), look).await;
        found.unwrap()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    pub fn hang_up(&self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGHUP).unwrap();
    }

    async fn not_renewed(&self) -> Value {
        let mut open = Open::to(self.app, true).await;
        let answer = open.get("/readyz").await;
        let body = &answer[answer.find("\r\n\r\n").unwrap() + 4..];
        serde_json::from_str::<Value>(body).unwrap()["not_renewed"].take()
    }

    async fn not_renewed_becomes(&self, wanted: Value) {
        let since = Instant::now();
        loop {
            let seen = self.not_renewed().await;
            if seen == wanted {
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{seen} and not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_mins(1), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Accepts any certificate, because the test only wants to know which one it is.
#[derive(Debug)]
struct Any;

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

type Encrypted = tokio_rustls::client::TlsStream<TcpStream>;
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Connects to whoever is there, perhaps with a certificate of its own.
pub async fn insecure_client(address: SocketAddr, own: Option<Identity>) -> std::io::Result<Encrypted> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Any));
    let config = match own {
        None => config.with_no_client_auth(),
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await?;
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// A connection that stays open.
enum Open {
    Plain(TcpStream),
    Tls(Box<Encrypted>),
}

impl Open {
    async fn to(address: SocketAddr, tls: bool) -> Self {
        if !tls {
            return Self::Plain(TcpStream::connect(address).await.unwrap());
        }
        Self::Tls(Box::new(insecure_client(address, None).await.unwrap()))
    }

    fn certificate(&self) -> Vec<u8> {
        let Self::Tls(stream) = self else { return Vec::new() };
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// Head and body of an answer with a content length.
    async fn get(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        match self {
            Self::Plain(stream) => stream.write_all(request.as_bytes()).await.unwrap(),
            Self::Tls(stream) => stream.write_all(request.as_bytes()).await.unwrap(),
        }
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            let head = text.find("\r\n\r\n");
            let length = text
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next().and_then(|length| length.parse::<usize>().ok()));
            if let (Some(head), Some(length)) = (head, length)
                && read.len() >= head + 4 + length
            {
                return text;
            }
            let count = match self {
                Self::Plain(stream) => stream.read(&mut buffer).await.unwrap(),
                Self::Tls(stream) => stream.read(&mut buffer).await.unwrap(),
            };
            assert!(count > 0, "the connection was closed: {text}");
            read.extend_from_slice(&buffer[..count]);
        }
    }
}

/// A new certificate with its key in PEM, and the certificate in DER.
pub fn certificate() -> (String, String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem(), made.cert.der().to_vec())
}

/// Both listeners over TLS.
pub fn encrypted(folder: &Path, (certificate, key, _): &(String, String, Vec<u8>)) -> String {
    std::fs::write(folder.join("tls.crt"), certificate).unwrap();
    std::fs::write(folder.join("tls.key"), key).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let (certificate, key) = (certificate.display(), key.display());
    ["switch", "app"]
        .map(|listener| format!("{listener}_tls_certificate = \"{certificate}\"\n{listener}_tls_key = \"{key}\"\n"))
        .concat()
}

async fn shows(address: SocketAddr, wanted: &[u8]) {
    let since = Instant::now();
    while Open::to(address, true).await.certificate() != wanted {
        assert!(since.elapsed() < Duration::from_mins(1), "the certificate is still another one");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn a_new_certificate_is_in_force_and_no_connection_is_dropped() {
    let database = Database::new().await;
    let (first, second) = (certificate(), certificate());
    let served = Served::start(&database, |folder| encrypted(folder, &first)).await;
    let mut open = Open::to(served.app, true).await;
    assert_eq!(open.certificate(), first.2);
    assert!(open.get("/healthz").await.starts_with("HTTP/1.1 200"));
    // Without a signal, the node notices the new files itself.
    served.write("tls.crt", &second.0);
    served.write("tls.key", &second.1);
    shows(served.app, &second.2).await;
    shows(served.switch, &second.2).await;
    assert!(open.get("/healthz").await.starts_with("HTTP/1.1 200"), "by the certificate of before");
    assert_eq!(served.not_renewed().await, Value::Null);
}

#[actix_web::test]
async fn a_broken_file_leaves_the_old_state_in_force_and_is_reported() {
    let database = Database::new().await;
    let (first, other) = (certificate(), certificate());
    let served = Served::start(&database, |folder| encrypted(folder, &first)).await;
    let settings = std::fs::read_to_string(served.folder.join("settings.toml")).unwrap();
    // A certificate that does not match its key.
    served.write("tls.crt", &other.0);
    served.write("settings.toml", &format!("{settings}cache_mib = \"much\"\n"));
    served.hang_up();
    served.not_renewed_becomes(serde_json::json!(["settings", "switch_certificate", "app_certificate"])).await;
    shows(served.switch, &first.2).await;
    shows(served.app, &first.2).await;
    let said = served.logged("the reason", |line| line["fields"]["part"] == "app_certificate").await;
    assert!(said["fields"]["reason"].as_str().unwrap().contains("tls.crt"), "{said}");
    let said = served.logged("the reason", |line| line["fields"]["part"] == "settings").await;
    assert!(said["fields"]["reason"].as_str().unwrap().contains("cache_mib"), "{said}");
    let token = std::fs::read_to_string(served.folder.join("metrics.token")).unwrap();
    let mut open = Open::to(served.app, true).await;
    let metrics = open.get(&format!("/metrics HTTP/1.1\r\nAuthorization: Bearer {}\r\nX:", token.trim())).await;
    assert!(metrics.contains("dialplane_renewal_failed{part=\"app_certificate\"} 1"), "{metrics}");
    assert!(metrics.contains("dialplane_certificate_expiry_timestamp_seconds{listener=\"switch\"} "), "{metrics}");

    served.write("tls.key", &other.1);
    served.write("settings.toml", &format!("{settings}cache_mib = 128\n"));
    served.hang_up();
    served.not_renewed_becomes(Value::Null).await;
    shows(served.app, &other.2).await;
    let needs_restart = |line: &Value| line["fields"]["setting"] == "cache_mib" && line["level"] == "WARN";
    served.logged("that a restart is needed", needs_restart).await;
}

#[actix_web::test]
async fn the_level_of_the_log_changes_while_a_node_runs() {
    let database = Database::new().await;
    let mut served = Served::start(&database, |_| "log = \"info\"\n".into()).await;
    let is_debug = |line: &Value| line["level"] == "DEBUG";
    assert!(!served.log.lock().unwrap().iter().any(is_debug));
    served.write("settings.toml", "log = \"debug\"\n");
    served.hang_up();
    // From now on it logs everything.
    let asked = Instant::now();
    while !served.log.lock().unwrap().iter().any(is_debug) {
        assert!(asked.elapsed() < Duration::from_mins(1), "{:?}", served.log);
        Open::to(served.app, false).await.get("/healthz").await;
    }
    served.write("settings.toml", "log = \"loud\"\n");
    served.hang_up();
    let refused = served.logged("the reason", |line| line["fields"]["part"] == "log").await;
    assert!(refused["fields"]["reason"].as_str().unwrap().contains("not a level"), "{refused}");
    assert!(served.child.try_wait().unwrap().is_none(), "SIGHUP ends nothing");
}

#[test]
fn the_docs_say_of_every_setting_whether_a_running_node_takes_it() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/renewal.md")).unwrap();
    let settings = serde_json::to_value(dialplane::app::settings::Settings::default()).unwrap();
    for name in settings.as_object().unwrap().keys() {
        let line = docs.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{name}`")));
        let is_renewed = dialplane::app::renewal::RENEWED.contains(&name.as_str());
        let wanted = if is_renewed { "| yes" } else { "after a restart" };
        assert!(line.is_some_and(|line| line.contains(wanted)), "{name}: {line:?}");
    }
}
