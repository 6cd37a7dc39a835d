//! Every setting that a running node reads again is in force without a restart, after SIGHUP and when only the file has changed.
//! Certificates and the log are in `renewal.rs`, the content of the key file is in `keys.rs`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{
    harness::{Answer, Database, key_file, send},
    renewal::{Served, certificate, encrypted, insecure_client, until},
};

/// A node's settings file.
fn lines(settings: &[(&str, String)]) -> String {
    settings.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join("\n")
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// An SMTP server that takes every mail, and keeps its sender by its recipient.
async fn smtp_server() -> (String, Arc<Mutex<HashMap<String, String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("\"smtp://{}\"", listener.local_addr().unwrap());
    let mails = Arc::<Mutex<HashMap<String, String>>>::default();
    let kept = Arc::clone(&mails);
    actix_web::rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            actix_web::rt::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                let (mut from, mut to) = (String::new(), String::new());
                let _ = write.write_all(b"220 test\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let named = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let answer = match line.split([' ', ':']).next().unwrap_or_default() {
                        "MAIL" => {
                            from = named();
                            "250 ok\r\n"
                        }
                        "RCPT" => {
                            to = named();
                            "250 ok\r\n"
                        }
                        "DATA" => "354 go on\r\n",
                        "." => {
                            kept.lock().unwrap().insert(to.clone(), from.clone());
                            "250 ok\r\n"
                        }
                        "EHLO" | "QUIT" | "NOOP" | "RSET" => "250 ok\r\n",
                        _ => continue,
                    };
                    let _ = write.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (url, mails)
}

/// Has a mail sent to somebody who signs up.
async fn mail_to(app: SocketAddr, name: &str) {
    let new = json!({ "company": name, "domain": format!("{name}.test"), "first_name": "Ada", "last_name": "Lovelace",
                      "email": format!("{name}@mail.test"), "password": "copper lantern walks 9 rivers" });
    let headers = [("Content-Type", "application/json")];
    let asked = send(app, "POST", "/v1/auth/register", &headers, new.to_string().as_bytes()).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
}

#[actix_web::test]
async fn mails_go_out_over_the_new_server_and_from_the_new_address() {
    let database = Database::new().await;
    let ((first, by_first), (second, by_second)) = (smtp_server().await, smtp_server().await);
    let from = |address: &str| ("mail_from", format!("\"{address}\""));
    let served = Served::start(&database, |_| lines(&[from("old@dialplane.test")])).await;
    mail_to(served.app, "one").await;
    let written = || {
        let files = std::fs::read_dir(served.folder.join("mail")).into_iter().flatten();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<Vec<_>>()
    };
    until("a mail in a file", || written().iter().any(|mail| mail.contains("old@dialplane.test"))).await;

    served.write("settings.toml", &lines(&[from("new@dialplane.test"), ("smtp", first)]));
    served.hang_up();
    served.logged("that it reads", |line| line["fields"]["message"] == "reading certificates and settings again").await;
    mail_to(served.app, "two").await;
    let sender = |mails: &Mutex<HashMap<String, String>>, to: &str| mails.lock().unwrap().get(to).cloned();
    let new = Some("new@dialplane.test".to_owned());
    until("a mail over the first server", || sender(&by_first, "two@mail.test") == new).await;

    // The node gets no signal. A mail that it sends before it looks at the file goes over the first server.
    served.write("settings.toml", &lines(&[from("new@dialplane.test"), ("smtp", second.clone())]));
    let mut asked = 0;
    let since = Instant::now();
    while by_second.lock().unwrap().is_empty() {
        assert!(since.elapsed() < Duration::from_mins(1), "no mail over the second server");
        if asked < 3 {
            mail_to(served.app, &format!("more{asked}")).await;
            asked += 1;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    // A setting that can't be used leaves the one before in force.
    served.write("settings.toml", &lines(&[from("nobody"), ("smtp", second)]));
    served.hang_up();
    let refused = served.logged("the reason", |line| line["fields"]["part"] == "mail").await;
    assert!(refused["fields"]["reason"].as_str().unwrap().contains("mail_from"), "{refused}");
    mail_to(served.app, "last").await;
    until("a mail over the second server", || sender(&by_second, "last@mail.test") == new).await;
}

/// A command on the same database.
fn command(database: &Database, folder: &Path, keys: &Path, words: &[&str]) -> Value {
    let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
    let url = format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(["--json", "--data-dir"]).arg(folder).args(words);
    let done = command.env("DATABASE_URL", url).env("DIALPLANE_KEY_FILE", keys).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// A node whose settings change one by one.
struct Changing {
    served: Served,
    settings: Vec<(&'static str, String)>,
}

impl Changing {
    /// Sets it in the file. Every second time the node is told.
    fn set(&mut self, name: &'static str, value: String) {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value));
        self.served.write("settings.toml", &lines(&self.settings));
        if self.settings.len().is_multiple_of(2) {
            self.served.hang_up();
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        send(self.served.app, "GET", path, headers, b"").await
    }

    /// Asks until the answer has this status.
    async fn becomes(&self, what: &str, path: &str, headers: &[(&str, &str)], wanted: u16) {
        let since = Instant::now();
        loop {
            let answer = self.get(path, headers).await;
            if answer.status == wanted {
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{what}: {} {}", answer.status, answer.text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[actix_web::test]
async fn tokens_proxies_limits_and_the_place_of_the_keys_change_while_a_node_runs() {
    let database = Database::new().await;
    let place = |folder: &Path, name: &str| -> PathBuf {
        let file = folder.join(name);
        std::fs::copy(key_file(), &file).unwrap();
        file
    };
    let mut settings = Vec::new();
    let served = Served::start(&database, |folder| {
        settings.push(("key_file", quoted(&place(folder, "one.key"))));
        lines(&settings)
    })
    .await;
    let mut node = Changing { served, settings };
    let folder = node.served.folder.clone();
    let key = command(&database, &folder, &key_file(), &["key", "create", "--name", "test"]);
    let key = key["token"].as_str().unwrap().to_owned();

    // The metrics' token is another one, in another file.
    let bearer = |file: &str| format!("Bearer {}", std::fs::read_to_string(folder.join(file)).unwrap().trim());
    let old = bearer("metrics.token");
    node.becomes("metrics", "/metrics", &[("Authorization", &old)], 200).await;
    node.set("metrics_token_file", quoted(&folder.join("other.token")));
    node.becomes("the old token", "/metrics", &[("Authorization", &old)], 401).await;
    node.becomes("the new token", "/metrics", &[("Authorization", &bearer("other.token"))], 200).await;

    // An address that is named needs no token.
    node.becomes("a stranger", "/metrics", &[], 401).await;
    node.set("metrics_from", "[\"127.0.0.1\"]".into());
    node.becomes("an address that is named", "/metrics", &[], 200).await;

    // A proxy that is trusted says whose request it is.
    node.set("trusted_proxies", "[\"127.0.0.1\"]".into());
    let mut db = database.connect().await;
    let since = Instant::now();
    for number in 0.. {
        let domain = format!("t{number}.test");
        let headers =
            [("X-API-Key", key.as_str()), ("X-Forwarded-For", "203.0.113.9"), ("Content-Type", "application/json")];
        let body = json!({ "domain": domain }).to_string();
        let made = send(node.served.app, "POST", "/v1/tenants", &headers, body.as_bytes()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let source = "select host(source) from audit_log where tenant_id = $1 order by id limit 1";
        let source: Option<String> = sqlx::query_scalar(source).bind(made.id()).fetch_one(&mut db).await.unwrap();
        if source.as_deref() == Some("203.0.113.9") {
            break;
        }
        assert!(source.as_deref() == Some("127.0.0.1") && since.elapsed() < Duration::from_mins(1), "{source:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // The key file is elsewhere. The one before is no longer looked at.
    node.set("key_file", quoted(&place(&folder, "two.key")));
    tokio::time::sleep(Duration::from_secs(3)).await;
    std::fs::remove_file(folder.join("one.key")).unwrap();
    node.set("drain_seconds", "0".into());
    node.served
        .logged("that it reads", |line| line["fields"]["message"] == "reading certificates and settings again")
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ready = node.get("/readyz", &[]).await;
    assert!(ready.status == 200 && ready.json()["not_renewed"].is_null(), "{}", ready.text());

    // Without its database, it may serve switches for as long as the setting says.
    let name = database.options.get_database().unwrap();
    let options = database.options.clone().database("postgres");
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    db.close().await.unwrap();
    let away = format!(
        "alter database {name} allow_connections false; \
         select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    );
    sqlx::raw_sql(AssertSqlSafe(away)).execute(&mut other).await.unwrap();
    node.becomes("it is detached", "/readyz/people", &[], 503).await;
    assert_eq!(node.get("/readyz/switches", &[]).await.status, 200);
    node.set("stale_limit_seconds", "1".into());
    node.becomes("too old to serve", "/readyz/switches", &[], 503).await;
    node.set("stale_limit_seconds", "3600".into());
    node.becomes("not too old", "/readyz/switches", &[], 200).await;

    node.set("drain_seconds", "1".into());
    node.served.hang_up();
    tokio::time::sleep(Duration::from_secs(3)).await;
    kill(Pid::from_raw(i32::try_from(node.served.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let stopping =
        |line: &Value| line["fields"]["message"].as_str().is_some_and(|text| text.starts_with("stopping soon"));
    let stopping = node.served.logged("that it drains", stopping).await;
    assert_eq!(stopping["fields"]["seconds"], 1, "{stopping}");
    until("its end", || node.served.child.try_wait().unwrap().is_some()).await;
}

/// A certificate authority for switches.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Whether a switch with a certificate of this authority gets an answer.
    async fn is_let_in(&self, switch: SocketAddr) -> bool {
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec!["fs1".to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(signed.pem().as_bytes()).unwrap()];
        let own = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let Ok(mut stream) = insecure_client(switch, Some((chain, own))).await else { return false };
        let request = b"GET /readyz/switches HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut answer).await;
        answer.starts_with(b"HTTP/1.1 200")
    }
}

#[actix_web::test]
async fn a_new_authority_of_switches_replaces_the_old_one() {
    let database = Database::new().await;
    let (old, new) = (Authority::new(), Authority::new());
    let served = Served::start(&database, |folder| {
        std::fs::write(folder.join("switches.pem"), &old.pem).unwrap();
        format!(
            "{}switch_tls_client_ca = {}\n",
            encrypted(folder, &certificate()),
            quoted(&folder.join("switches.pem"))
        )
    })
    .await;
    assert!(old.is_let_in(served.switch).await && !new.is_let_in(served.switch).await);
    served.write("switches.pem", &new.pem);
    let since = Instant::now();
    while !new.is_let_in(served.switch).await {
        assert!(since.elapsed() < Duration::from_mins(1), "the new authority is not in force");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!old.is_let_in(served.switch).await, "the old one still is");
}
