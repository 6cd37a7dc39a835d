//! What every test starts with: its own database, cloned from a migrated template on this test run's cluster, and nodes on it.

#![allow(clippy::unwrap_used, clippy::unused_self, reason = "a test that can't be set up has failed")]

mod contract;

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dialplane::{
    app::{App, embedded::Binaries, settings::Settings},
    text::keyring::Keyring,
};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// A Postgres cluster for tests, without durability. It ends with the process that made it, even after a crash: a shell
/// between the two waits for the end of its input.
pub struct Cluster {
    folder: PathBuf,
    keeper: Mutex<Option<Child>>,
    databases: AtomicU64,
}

impl Cluster {
    pub fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-test-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let cluster = Self { folder, keeper: Mutex::default(), databases: AtomicU64::new(0) };
        let user = cluster.run_as();
        if !user.is_empty() {
            assert!(Command::new("chown").arg("postgres").arg(&cluster.folder).status().unwrap().success());
        }
        cluster.initialise();
        cluster.up();
        cluster
    }

    fn initialise(&self) {
        let mut initdb = self.command("initdb");
        initdb.args(["-D", "data", "-U", "dialplane", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        let initdb = initdb.output().unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
    }

    /// Stops the server in good order, and starts it as a standby.
    pub fn stand_by(&self) {
        let file = self.folder.join("data/postmaster.pid");
        let pid = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGINT).unwrap();
        let since = Instant::now();
        while file.exists() {
            assert!(since.elapsed() < Duration::from_mins(1), "Postgres did not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::write(self.folder.join("data/standby.signal"), "").unwrap();
        self.up();
    }

    /// Makes a new, empty cluster in place of one that was killed.
    pub fn initialise_again(&self) {
        std::fs::remove_dir_all(self.folder.join("data")).unwrap();
        self.databases.store(0, Ordering::Relaxed);
        self.initialise();
    }

    fn run_as(&self) -> Vec<&'static str> {
        if nix::unistd::geteuid().is_root() { vec!["runuser", "-u", "postgres", "--"] } else { vec![] }
    }

    fn binary(&self, name: &str) -> PathBuf {
        Binaries::find(&self.folder).expect("Postgres is installed: script/test sees to it").path(name)
    }

    fn command(&self, name: &str) -> Command {
        let mut words = self.run_as();
        let binary = self.binary(name);
        let binary = binary.to_str().unwrap();
        words.push(binary);
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the server and waits until it answers.
    pub fn up(&self) {
        let script = format!(
            "{} {} -D data -k {} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=300 -c track_activity_query_size=16384 >>log 2>&1 &
             cat >/dev/null; pid=$(head -n 1 data/postmaster.pid) && kill -INT $pid && wait && rm -rf {}",
            self.run_as().join(" "),
            self.binary("postgres").display(),
            self.folder.display(),
            self.folder.display(),
        );
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(script)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut keeper = self.keeper.lock().unwrap();
        // The one before must not end the new server, whose process id it would find.
        if let Some(mut before) = keeper.take() {
            before.kill().unwrap();
            before.wait().unwrap();
        }
        *keeper = Some(shell.spawn().unwrap());
        drop(keeper);
        let since = Instant::now();
        while !self.answers() {
            assert!(since.elapsed() < Duration::from_mins(1), "Postgres did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let options = self.options("postgres");
        let connect = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { PgConnection::connect_with(&options).await.is_ok() })
        };
        std::thread::spawn(connect).join().unwrap()
    }

    /// Kills the whole server with `kill -9`.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().parse::<i32>().unwrap();
        let children = Command::new("pgrep").args(["-P", &pid.to_string()]).output().unwrap();
        let children =
            String::from_utf8_lossy(&children.stdout).lines().filter_map(|l| l.parse().ok()).collect::<Vec<i32>>();
        for pid in std::iter::once(pid).chain(children) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        // A new server takes one whose end nobody has seen yet for one that runs.
        let since = Instant::now();
        while nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
            && since.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs one of Postgres' client programs (`pg_dump`, `dropdb` …) on this cluster and waits for its end.
    pub fn client(&self, name: &str, words: &[&str]) -> std::process::Output {
        let server = Binaries::find(&self.folder.join("data")).expect("the cluster was made with some");
        let mut command = Command::new(self.run_as().first().copied().unwrap_or("env"));
        command.args(self.run_as().iter().skip(1)).arg(server.path(name)).arg("-h").arg(&self.folder);
        command.args(["-U", "dialplane"]).args(words).current_dir(&self.folder).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Copies the cluster's folder. The cluster must have been killed.
    pub fn copy(&self, from: &str, to: &str) {
        let _ = std::fs::remove_dir_all(self.folder.join(to));
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.folder.join(from)).arg(self.folder.join(to));
        assert!(copy.status().unwrap().success());
    }

    pub fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.folder).username("dialplane").database(database)
    }
}

/// The cluster that all tests share. The first test makes it.
fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

/// A database with all migrations. Cloning it takes some ten milliseconds.
pub struct Database {
    pub options: PgConnectOptions,
}

impl Database {
    pub async fn new() -> Self {
        Self::on(tokio::task::spawn_blocking(shared).await.unwrap()).await
    }

    /// Makes the database on a separate cluster, which the test may kill.
    pub async fn on(cluster: &Cluster) -> Self {
        // Cloning needs exclusive access to the template.
        static CLONING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _alone = CLONING.lock().await;
        let mut db = PgConnection::connect_with(&cluster.options("postgres")).await.unwrap();
        let known =
            sqlx::query("select 1 from pg_database where datname = 'template'").fetch_optional(&mut db).await.unwrap();
        if known.is_none() {
            db.execute("create database template").await.unwrap();
            let mut template = PgConnection::connect_with(&cluster.options("template")).await.unwrap();
            sqlx::migrate!().run(&mut template).await.unwrap();
            template.close().await.unwrap();
        }
        let name = format!("test{}", cluster.databases.fetch_add(1, Ordering::Relaxed));
        let clone = format!("create database {name} template template strategy file_copy");
        db.execute(sqlx::AssertSqlSafe(clone)).await.unwrap();
        db.close().await.unwrap();
        Self { options: cluster.options(&name) }
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options).await.unwrap()
    }

    /// The number that a statement returns.
    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.connect().await).await.unwrap()
    }

    pub async fn execute(&self, query: &'static str) {
        sqlx::query(query).execute(&mut self.connect().await).await.unwrap();
    }
}

/// A running node with its API key and a switch's credentials.
pub struct Node {
    pub app: App,
    pub key: String,
    pub switch: (String, String),
    folder: PathBuf,
}

/// A node's settings for a test: any port, few threads, a separate folder.
pub fn settings(folder: &Path) -> Settings {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings {
        data_dir: folder.to_owned(),
        switch_listen: any,
        app_listen: any,
        switch_workers: 2,
        fill_connections: 4,
        api_connections: 4,
        ..Settings::default()
    }
}

/// The key file of all nodes of a test run, since nodes of one database must share it.
pub fn key_file() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let file = std::env::temp_dir().join("dialplane-test.key");
        Keyring::open(&file).unwrap();
        file
    });
    file.clone()
}

impl Node {
    pub async fn start(database: &Database) -> Self {
        Self::with(database, |_| {}).await
    }

    pub async fn with(database: &Database, adjust: impl FnOnce(&mut Settings)) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-node-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let mut settings = settings(&folder);
        settings.key_file = Some(key_file());
        adjust(&mut settings);
        let app = App::start(&settings, database.options.clone()).await.unwrap();
        let author = dialplane::node::changes::Author { name: "test".into(), source: None, within: None };
        let mut change = app.changes.begin(author).await.unwrap();
        let key = dialplane::tenancy::keys::NewKey {
            name: "test".parse().unwrap(),
            tenant_id: None,
            expires_at: None,
            scopes: vec!["*".into()],
            origins: Vec::new(),
        };
        let key = dialplane::tenancy::keys::create(&mut change, key).await.unwrap().token;
        let name = format!("fs-{}", Uuid::now_v7().simple());
        let new = dialplane::tenancy::switches::NewSwitch::named(name.parse().unwrap());
        let token = dialplane::tenancy::switches::create(&mut change, new).await.unwrap().token.unwrap();
        change.commit().await.unwrap();
        Self { app, key, switch: (name, token), folder }
    }

    pub async fn stop(self) {
        self.app.stop().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// Sends a request to the API, without a body if `body` is `Null`.
    pub async fn api(&self, method: &str, path: &str, body: Value) -> Answer {
        self.api_with(method, path, &[("X-API-Key", &self.key)], body).await
    }

    pub async fn api_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        send(self.app.app_address, method, path, &all, body.as_bytes()).await
    }

    /// The metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        let token = std::fs::read_to_string(self.folder.join("metrics.token")).unwrap();
        let bearer = format!("Bearer {}", token.trim());
        let shown = send(self.app.app_address, "GET", "/metrics", &[("Authorization", &bearer)], b"").await;
        assert_eq!(shown.status, 200, "{}", shown.text());
        shown.text()
    }

    /// Makes something that a test needs. On a busy machine a connection to the database may come too late for a request, which says so with
    /// 503: it is made again.
    pub async fn makes(&self, path: &str, new: Value) -> Answer {
        let since = std::time::Instant::now();
        loop {
            let answer = self.api("POST", path, new.clone()).await;
            if answer.status != 503 || since.elapsed() > Duration::from_mins(1) {
                return answer;
            }
        }
    }

    /// Makes a tenant and returns its id.
    pub async fn tenant(&self, domain: &str) -> Uuid {
        let answer = self.makes("/v1/tenants", json!({ "domain": domain })).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.id()
    }

    /// Makes an extension and returns the API's answer. Its phone registers with the number unless `new` says otherwise, so that tests
    /// about other things have one name for both.
    pub async fn extension(&self, tenant: Uuid, mut new: Value) -> Value {
        if new.get("sip_username").is_none() {
            new["sip_username"] = new["number"].clone();
        }
        let answer = self.makes(&format!("/v1/tenants/{tenant}/extensions"), new).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Makes a fetch with the switch's credentials.
    /// A call of this tenant that is over, as the legs that switches report make it.
    pub async fn call(&self, tenant: Uuid) -> Uuid {
        let (leg, end) = (Uuid::new_v4(), chrono::Utc::now().timestamp_millis());
        let told = json!({ "leg": leg, "call": leg, "start": end - 65_000, "answer": end - 60_000, "end": end, "from_number": "+4915112345678",
                           "from_name": "Eve", "dialled": "+493012345678", "cause": "NORMAL_CLEARING", "q850": 16, "hangup": "recv_bye" });
        let pool = self.app.changes.pool();
        let insert = "insert into ended_legs (leg, tenant_id, cluster_id, told) select $1, id, cluster_id, $3 from tenants where id = $2";
        sqlx::query(insert).bind(leg).bind(tenant).bind(told).execute(pool).await.unwrap();
        dialplane::telephony::history::worker::fold_all(pool).await.unwrap();
        leg
    }

    /// A recording of a leg, as a switch sends it: a second of sound.
    pub async fn recording(&self, leg: Uuid) -> Uuid {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let mut wav = [b"RIFF", &16_036_u32.to_le_bytes()[..], b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
        wav.extend([1_u16, 1].map(u16::to_le_bytes).concat());
        wav.extend([8000_u32, 16_000].map(u32::to_le_bytes).concat());
        wav.extend([2_u16, 16].map(u16::to_le_bytes).concat());
        wav.extend(b"data");
        wav.extend(16_000_u32.to_le_bytes());
        wav.extend([1; 16_000]);
        let (name, token) = &self.switch;
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
        let path = format!("/fs/recordings/{leg}.wav");
        let answer = send(self.app.switch_address, "PUT", &path, &[("Authorization", &basic)], &wav).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let id = sqlx::query_scalar("select id from recordings where leg = $1").bind(leg);
        id.fetch_one(self.app.changes.pool()).await.unwrap()
    }

    pub async fn fetch(&self, form: &str) -> Answer {
        self.fetch_bytes(form.as_bytes()).await
    }

    pub async fn fetch_bytes(&self, form: &[u8]) -> Answer {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (name, token) = &self.switch;
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        send(self.app.switch_address, "POST", "/fs/xml", &headers, form).await
    }

    /// The fetch of a REGISTER.
    pub async fn sign_in(&self, user: &str, domain: &str) -> Answer {
        self.fetch(&sign_in_form(user, domain)).await
    }

    /// The fetch of an INVITE.
    pub async fn invite(&self, user: &str, domain: &str) -> Answer {
        self.fetch(&invite_form(user, domain)).await
    }
}

pub fn sign_in_form(user: &str, domain: &str) -> String {
    format!(
        "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value={domain}&Event-Name=REQUEST_PARAMS&action=sip_auth&sip_auth_realm={domain}&sip_auth_method=REGISTER&key=id&user={user}&domain={domain}&ip=127.0.0.1"
    )
}

/// The fetch of an INVITE: the same user, with the values that its calls have.
pub fn invite_form(user: &str, domain: &str) -> String {
    sign_in_form(user, domain).replace("=REGISTER", "=INVITE")
}

pub fn call_form(number: &str, context: &str) -> String {
    format!(
        "hostname=fs&section=dialplan&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS&Hunt-Context={context}&Hunt-Destination-Number={number}"
    )
}

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The things on a page of a list.
    pub fn items(&self) -> Value {
        self.json()["items"].take()
    }

    pub fn id(&self) -> Uuid {
        serde_json::from_value(self.json()["id"].clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Makes one request on its own connection, as switches do.
pub async fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let answer = try_send(address, method, path, headers, body).await.unwrap();
    if path.starts_with("/v1/") {
        contract::check(address, method, path, &answer).await;
    }
    answer
}

pub async fn try_send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut head = Vec::new();
    write!(
        head,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    )?;
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(body);
    exchange(address, &head).await
}

/// Sends bytes as they are and reads one answer.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    // A server that refuses early may close the connection before everything was sent.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes).await {
        Ok(_) => {}
        Err(_) if !bytes.is_empty() => {}
        Err(error) => return Err(error),
    }
    let wrong = || std::io::Error::other(format!("no HTTP answer: {}", String::from_utf8_lossy(&bytes)));
    let gap = memchr::memmem::find(&bytes, b"\r\n\r\n").ok_or_else(wrong)?;
    let head = String::from_utf8_lossy(&bytes[..gap]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).ok_or_else(wrong)?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(n, v)| (n.to_lowercase(), v.to_owned()))
        .collect::<Vec<_>>();
    let mut body = bytes[gap + 4..].to_vec();
    if headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked") {
        body = dechunk(&body);
    }
    Ok(Answer { status, headers, body })
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = memchr::memmem::find(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap().trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
    body
}

/// From now on, records each statement that inserts into these tables.
pub async fn count_statements(db: &mut PgConnection, tables: &[&str]) {
    db.execute(
        "create table counted (name text); grant insert on counted to public;
         create function count_statement() returns trigger language plpgsql as
         $$ begin insert into counted values (tg_table_name); return null; end $$",
    )
    .await
    .unwrap();
    for table in tables {
        let trigger = format!(
            "create trigger counted after insert on {table} for each statement execute function count_statement()"
        );
        db.execute(sqlx::AssertSqlSafe(trigger)).await.unwrap();
    }
}

/// How many statements there were, by table.
pub async fn statements(db: &mut PgConnection) -> std::collections::HashMap<String, i64> {
    let counted = sqlx::query_as("select name, count(*) from counted group by name").fetch_all(db).await.unwrap();
    counted.into_iter().collect()
}

/// The body of a request that the API's description has as an example.
pub fn example(ask: &str) -> Value {
    let steps = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/app/contract/examples.json"));
    let steps = serde_json::from_str::<Vec<Value>>(steps).unwrap();
    let step = steps.into_iter().find(|step| step["ask"].as_str().is_some_and(|asked| asked.starts_with(ask)));
    step.unwrap_or_else(|| panic!("no example {ask}"))["request"].clone()
}

/// A test that lacks a program ends early, and libtest counts it as passed. So `script/test` names a file in `DIALPLANE_SKIPPED`,
/// and each such test writes a line to it.
pub fn skipped(why: &str) {
    println!("skipped: {why}");
    let Some(list) = std::env::var_os("DIALPLANE_SKIPPED") else { return };
    let mut list = std::fs::File::options().append(true).create(true).open(list).unwrap();
    // A single write, because other tests write at the same time.
    list.write_all(format!("{why}\n").as_bytes()).unwrap();
}
