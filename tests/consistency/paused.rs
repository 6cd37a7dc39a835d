//! A node that is stopped for longer than its lease and then continues, like a virtual machine that is moved. What it knows is
//! outdated without its knowledge. Its answers must include every change that was acknowledged meanwhile.
//!
//! The node is a separate process, stopped with SIGSTOP. The first fetches wait in its backlog when it is resumed, so it answers
//! them before it does anything else.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node, call_form, invite_form, send, sign_in_form};

const ROUNDS: u64 = 10;
/// Longer than a lease.
const PAUSE: Duration = Duration::from_millis(1500);
/// How long a resumed node gets fetches.
const AFTER: Duration = Duration::from_millis(400);
/// Connections per kind of fetch.
const CONNECTIONS: usize = 4;

/// Runs `dialplane serve` on a test's database.
struct Process {
    child: Child,
    switch_address: SocketAddr,
    folder: PathBuf,
}

impl Process {
    fn serve(database: &Database) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-paused-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let url = format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(["serve", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(&folder).env("DATABASE_URL", url).env("DIALPLANE_LOG", "info");
        command.env("DIALPLANE_KEY_FILE", std::env::temp_dir().join("dialplane-test.key"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let switch_address = loop {
            let line = lines.next().expect("the node ended before it was ready").unwrap();
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            if line["fields"]["message"] == "ready" {
                break line["fields"]["switches"].as_str().unwrap().parse().unwrap();
            }
        };
        // Keep reading, so that the node never waits for its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, switch_address, folder }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn fetch(address: SocketAddr, (name, token): &(String, String), form: &str) -> Answer {
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    send(address, "POST", "/fs/xml", &headers, form.as_bytes()).await
}

/// What a kind of fetch shows about the newest change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    User,
    Call,
    /// A new domain.
    Domain,
    /// A switch whose token was revoked.
    Revoked,
}

/// The expectation for the fetches of a round.
struct Round {
    domain: String,
    revoked: (String, String),
    /// The newest acknowledged version of the extension.
    acknowledged: AtomicU64,
}

fn shown_version(document: &str) -> u64 {
    let after = |mark: &str| document.split(mark).nth(1);
    let rest = after("effective_caller_id_name\" value=\"Version ").or_else(|| after("call_timeout="));
    let rest = rest.unwrap_or_else(|| panic!("no version in {document}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Makes one fetch. If its answer is stale, returns why.
async fn ask(address: SocketAddr, switch: &(String, String), round: &Round, kind: Kind) -> Result<(), String> {
    let floor = round.acknowledged.load(Ordering::SeqCst);
    match kind {
        Kind::User | Kind::Call => {
            let form =
                if kind == Kind::User { invite_form("1000", "acme.test") } else { call_form("1000", "acme.test") };
            let answer = fetch(address, switch, &form).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let shown = shown_version(&answer.text());
            if shown >= floor { Ok(()) } else { Err(format!("version {floor} was acknowledged, {shown} was served")) }
        }
        Kind::Domain => {
            let answer = fetch(address, switch, &sign_in_form("1000", &round.domain)).await;
            let is_known =
                answer.status == 200 && answer.text().contains(&format!("<domain name=\"{}\"", round.domain));
            if is_known { Ok(()) } else { Err(format!("{} was made, but: {}", round.domain, answer.text())) }
        }
        Kind::Revoked => {
            let answer = fetch(address, &round.revoked, &invite_form("1000", "acme.test")).await;
            if answer.status == 401 { Ok(()) } else { Err(format!("a revoked token opens: {}", answer.status)) }
        }
    }
}

/// Fetches over one connection after the other until the end. Returns how many fetches there were, and why answers were stale.
async fn asker(
    address: SocketAddr,
    switch: Rc<(String, String)>,
    round: Rc<Round>,
    kind: Kind,
    end: Instant,
) -> (u64, Vec<(Kind, String)>) {
    let (mut fetches, mut stale) = (0, Vec::new());
    while Instant::now() < end {
        fetches += 1;
        if let Err(why) = ask(address, &switch, &round, kind).await {
            stale.push((kind, why));
        }
    }
    (fetches, stale)
}

async fn change(node: &Node, method: &str, path: &str, body: Value) {
    let answer = node.api(method, path, body).await;
    assert!((200..300).contains(&answer.status), "{}", answer.text());
}

/// Makes a switch that may fetch until it is disabled. Returns its path and credentials.
async fn new_switch(node: &Node, name: &str) -> (String, (String, String)) {
    let answer = node.api("POST", "/v1/switches", json!({ "name": name })).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    (format!("/v1/switches/{}", answer.id()), (name.to_owned(), token))
}

#[actix_web::test]
async fn a_node_that_was_paused_serves_nothing_older_than_was_acknowledged_meanwhile() {
    let database = Database::new().await;
    let (one, two) = (Node::start(&database).await, Node::start(&database).await);
    let paused = Process::serve(&database);
    let (address, switch) = (paused.switch_address, Rc::new(one.switch.clone()));
    let tenant = one.tenant("acme.test").await;
    let new = json!({ "number": "1000", "display_name": "Version 5", "ring_seconds": 5 });
    let id = one.extension(tenant, new).await["id"].as_str().unwrap().to_owned();
    let extension = format!("/v1/tenants/{tenant}/extensions/{id}");
    // Ring times are 5 to 300 seconds, and each version is one of them.
    let versioned = |version: u64| json!({ "display_name": format!("Version {version}"), "ring_seconds": version });
    let mut version = 5;
    let (mut fetches, mut stale, mut rounds) = (0, BTreeMap::<Kind, Vec<String>>::new(), 0);
    for number in 0..ROUNDS {
        let (path, revoked) = new_switch(&one, &format!("paused-{number}")).await;
        let domain = format!("round{number}.test");
        let round = Rc::new(Round { domain, revoked, acknowledged: AtomicU64::new(version) });
        // Everything is kept, and the token works.
        for kind in [Kind::User, Kind::Call] {
            ask(address, &switch, &round, kind).await.unwrap();
        }
        assert_eq!(fetch(address, &round.revoked, &invite_form("1000", "acme.test")).await.status, 200);

        paused.signal(Signal::SIGSTOP);
        let since = Instant::now();
        // These wait until the lease of the silent node has run out.
        version += 1;
        futures_util::join!(
            change(&one, "PATCH", &extension, versioned(version)),
            change(&two, "POST", "/v1/tenants", json!({ "domain": round.domain })),
            change(&one, "PATCH", &path, json!({ "status": "disabled" })),
        );
        round.acknowledged.store(version, Ordering::SeqCst);
        while since.elapsed() < PAUSE {
            version += 1;
            change(&two, "PATCH", &extension, versioned(version)).await;
            round.acknowledged.store(version, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let end = Instant::now() + AFTER;
        let mut askers = Vec::new();
        for kind in [Kind::User, Kind::Call, Kind::Domain, Kind::Revoked] {
            for _ in 0..CONNECTIONS {
                let asker = asker(address, Rc::clone(&switch), Rc::clone(&round), kind, end);
                askers.push(actix_web::rt::spawn(asker));
            }
        }
        // All have connected and sent their requests before the node continues.
        tokio::time::sleep(Duration::from_millis(30)).await;
        paused.signal(Signal::SIGCONT);
        let mut is_stale = false;
        for asker in askers {
            let (asked, wrong) = asker.await.unwrap();
            fetches += asked;
            is_stale |= !wrong.is_empty();
            for (kind, why) in wrong {
                stale.entry(kind).or_default().push(why);
            }
        }
        rounds += u64::from(is_stale);
        // Some more changes while it runs: it has caught up.
        version += 1;
        change(&one, "PATCH", &extension, versioned(version)).await;
    }
    let counts =
        stale.iter().map(|(kind, all)| format!("{kind:?}: {}, as \"{}\"", all.len(), all[0])).collect::<Vec<_>>();
    println!("{fetches} fetches of a node that was paused {ROUNDS} times, stale in {rounds} rounds {counts:?}");
    assert!(stale.is_empty(), "of {fetches} fetches, stale in {rounds} of {ROUNDS} rounds: {counts:#?}");
    // A busy machine asks less often; a stale answer shows among the first ones after the pause.
    assert!(fetches > ROUNDS * 20, "too few to prove anything: {fetches}");
    drop(paused);
    one.stop().await;
    two.stop().await;
}
