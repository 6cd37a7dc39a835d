//! Postgres in various installations: late, behind a pooler, in another schema, with few rights and few connections, on several hosts.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dialplane::{
    app::{App, StartError},
    node::{
        database::{DatabaseError, connections_needed},
        fitness::{CheckError, Unfit, check_pooler},
        schema,
        servers::{Servers, Session},
    },
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    command_line::CommandLine,
    harness::{Answer, Cluster, Database, Node, key_file, send, settings, skipped},
};

/// The socket's folder, escaped for a URL.
fn host(options: &PgConnectOptions) -> String {
    options.get_socket().unwrap().display().to_string().replace('/', "%2F")
}

async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < Duration::from_mins(1), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn code(started: Result<App, StartError>) -> String {
    started.err().unwrap().to_string()
}

#[actix_web::test]
async fn a_node_that_starts_before_postgres_waits_and_says_for_what() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster).await;
    let cli = CommandLine::on(&database);
    cluster.kill();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(["serve", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(&cli.folder).env("DATABASE_URL", &cli.url).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.find(|line| line.contains("can't be used yet")).unwrap();
    assert!(said.contains(".s.PGSQL.5432") && said.contains("Connection refused"), "{said}");
    assert!(said.contains("the same again in a second") && said.contains("seconds_left"), "{said}");
    cluster.up();
    lines.find(|line| line.contains("\"ready\"")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[actix_web::test]
async fn a_postgres_that_does_not_come_is_given_up_with_each_host_named_and_what_can_t_pass_at_once() {
    let servers = Servers::parse("postgres://x@127.0.0.1:1,127.0.0.1:2/x").unwrap();
    let mut nexts = Vec::new();
    let gave_up = servers.wait(Duration::from_millis(1500), |waiting| nexts.push(waiting.next)).await;
    let said = gave_up.unwrap_err().to_string();
    assert!(said.contains("127.0.0.1:1: Connection refused") && said.contains("127.0.0.1:2: "), "{said}");
    assert_eq!(nexts[..2], ["127.0.0.1:2".to_owned(), "127.0.0.1:1 in a second".to_owned()]);

    let database = Database::new().await;
    let mut cli = CommandLine::on(&database);
    cli.url = format!("postgres://dialplane@{}/nobody_s", host(&database.options));
    let output = cli.run(&["migrate"]);
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("database \"nobody_s\" does not exist").count(), 1, "{said}");
}

#[actix_web::test]
async fn an_error_is_said_once() {
    let database = Database::new().await;
    let mut cli = CommandLine::on(&database);
    cli.url = "postgres://x@127.0.0.1:1/x".into();
    for words in [&["tenant", "list"][..], &["restored"]] {
        let said = cli.refused(words);
        assert_eq!(said.matches("Connection refused").count(), 1, "{said}");
    }
    let output = cli.run(&["doctor"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find(|line| line.starts_with("FAIL database: ")).unwrap();
    assert_eq!(line.matches("refused").count(), 1, "{line}");
}

/// A pgbouncer in front of a test's cluster.
struct Pooler {
    child: Child,
    folder: PathBuf,
}

impl Pooler {
    /// `None` if it is not installed.
    fn start(database: &Database, more: &str) -> Option<Self> {
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| PathBuf::from(path).exists());
        let Some(program) = program else {
            skipped("pgbouncer is not installed");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("dialplane-pooler-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let socket = database.options.get_socket().unwrap().display();
        let file = format!(
            "[databases]\n* = host={socket} user=dialplane\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {}\n\
             auth_type = any\nmax_client_conn = 200\ndefault_pool_size = 60\n{more}\n",
            folder.display()
        );
        std::fs::write(folder.join("pgbouncer.ini"), file).unwrap();
        let mut command = Command::new("env");
        if nix::unistd::geteuid().is_root() {
            assert!(Command::new("chown").arg("-R").arg("postgres").arg(&folder).status().unwrap().success());
            command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]);
        }
        command.arg(program).arg("-q").arg(folder.join("pgbouncer.ini"));
        let child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let since = Instant::now();
        while !folder.join(".s.PGSQL.6432").exists() {
            assert!(since.elapsed() < Duration::from_mins(1), "pgbouncer did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, folder })
    }

    fn options(&self, database: &Database) -> PgConnectOptions {
        database.options.clone().socket(&self.folder).port(6432)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // runuser passes the signal on.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[actix_web::test]
async fn a_pooler_in_session_mode_is_no_different_from_postgres() {
    let database = Database::new().await;
    let Some(pooler) = Pooler::start(&database, "pool_mode = session") else { return };
    let through = Database { options: pooler.options(&database) };
    let node = Node::start(&through).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    let second = Node::start(&through).await;
    node.extension(tenant, json!({ "number": "1001" })).await;
    assert!(second.sign_in("1001", "acme.test").await.text().contains("1001"));
    second.stop().await;
    node.stop().await;
}

#[actix_web::test]
async fn a_pooler_that_changes_the_process_between_statements_is_refused_at_start() {
    let database = Database::new().await;
    for mode in ["pool_mode = transaction", "pool_mode = transaction\nserver_round_robin = 1", "pool_mode = statement"]
    {
        let Some(pooler) = Pooler::start(&database, mode) else { return };
        let options = pooler.options(&database);
        // Other clients have left processes that the pooler can give out.
        if mode.contains("transaction") {
            let mut held = Vec::new();
            for _ in 0..3 {
                let mut db = Servers::from(options.clone()).connect(&Session::default()).await.unwrap();
                sqlx::raw_sql("begin").execute(&mut db).await.unwrap();
                held.push(db);
            }
            for mut db in held {
                sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
                db.close().await.unwrap();
            }
        }
        let folder = std::env::temp_dir().join(format!("dialplane-refused-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let said = code(App::start(&settings(&folder), options.clone()).await);
        assert!(said.contains("pool_mode = session"), "{mode}: {said}");
        for _ in 0..10 {
            let checked = check_pooler(&options.clone().into()).await;
            assert!(matches!(checked, Err(CheckError::Unfit(Unfit::Pooler))), "{mode}: {checked:?}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
    for _ in 0..10 {
        check_pooler(&database.options.clone().into()).await.unwrap();
    }
}

/// A database without tables, whose user may not create roles.
async fn plain(cluster: &Cluster) -> Database {
    let mut db = PgConnection::connect_with(&cluster.options("postgres")).await.unwrap();
    db.execute("create role plain login").await.unwrap();
    db.execute("create database its_own owner plain").await.unwrap();
    Database { options: cluster.options("its_own").username("plain") }
}

#[actix_web::test]
async fn another_schema_is_refused_before_the_first_migration() {
    let cluster = Cluster::start();
    let database = plain(&cluster).await;
    let mut db = database.connect().await;
    db.execute("create schema other").await.unwrap();
    let mut cli = CommandLine::on(&database);
    cli.url = format!("postgres://plain@{}/its_own?options=-csearch_path%3Dother", host(&database.options));
    let said = cli.refused(&["migrate"]);
    assert!(said.contains("made in the schema other, by the search_path other"), "{said}");
    let tables = "select count(*) from pg_tables where schemaname in ('public', 'other')";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut db).await.unwrap(), 0);
}

#[actix_web::test]
async fn a_user_who_may_make_no_roles_is_told_of_the_script_which_makes_them() {
    let cluster = Cluster::start();
    let database = plain(&cluster).await;
    let mut cli = CommandLine::on(&database);
    cli.url = format!("postgres://plain@{}/its_own", host(&database.options));
    let said = cli.refused(&["migrate"]);
    assert!(said.contains("may not make the role dialplane_tenant") && said.contains("--print-roles"), "{said}");
    let mut db = database.connect().await;
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut db).await.unwrap(), 0);

    let script = cli.folder.join("roles.sql");
    std::fs::write(&script, cli.run(&["migrate", "--print-roles"]).stdout).unwrap();
    let script = script.to_str().unwrap();
    for _ in 0..2 {
        // The user postgres can't read files in this folder.
        let text = std::fs::read_to_string(script).unwrap();
        let mut psql = Command::new("psql");
        psql.arg("-h").arg(database.options.get_socket().unwrap()).args(["-U", "dialplane", "-d", "postgres"]);
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        psql.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = psql.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(cli.json(&["migrate"])["version"], schema::own_version());
    let made = cli.json(&["tenant", "create", "--domain", "acme.test"]);
    assert_eq!(made["domain"], "acme.test");
    let report = cli.run(&["doctor"]);
    let said = String::from_utf8(report.stdout).unwrap();
    assert!(said.contains("ok   role: ") && said.contains("ok   policies and grants"), "{said}");
}

#[actix_web::test]
async fn a_node_for_which_there_are_not_enough_connections_is_refused_with_the_figures() {
    let database = Database::new().await;
    let mut db = database.connect().await;
    let name = database.options.get_database().unwrap();
    let needed = connections_needed(4, 4);
    assert_eq!(needed, 22, "4 for the API, 4 for fills, 4 for calls, 4 for waiting, 4 for work, a poll, a look");
    let limit = |limit: u32| AssertSqlSafe(format!("alter database {name} connection limit {limit}"));
    db.execute(limit(needed - 1)).await.unwrap();
    let folder = std::env::temp_dir().join(format!("dialplane-refused-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    let mut wanted = settings(&folder);
    wanted.key_file = Some(key_file());
    let said = code(App::start(&wanted, database.options.clone()).await);
    assert!(said.contains("needs 22 connections and 0 others need 0, and there are 21"), "{said}");
    let report = CommandLine::on(&database).run(&["doctor"]);
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("FAIL connections: "), "{report}");

    db.execute(limit(2 * needed - 1)).await.unwrap();
    let node = Node::start(&database).await;
    let second = App::start(&wanted, database.options.clone()).await;
    assert!(
        matches!(second, Err(StartError::Database(DatabaseError::Unfit(Unfit::Connections(_))))),
        "{:?}",
        second.err()
    );
    db.execute(limit(2 * needed)).await.unwrap();
    let second = Node::start(&database).await;
    let report = CommandLine::on(&database).run(&["doctor"]);
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("ok   connections: 44 needed of 44"), "{report}");
    second.stop().await;
    node.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

fn both(a: &Database, b: &Database) -> Servers {
    let parameters = format!("host={},{}&target_session_attrs=read-write", host(&a.options), host(&b.options));
    let name = a.options.get_database().unwrap();
    assert_eq!(Some(name), b.options.get_database());
    Servers::parse(&format!("postgres://dialplane@/{name}?{parameters}")).unwrap()
}

async fn make(app: &App, key: &str, domain: &str) -> Answer {
    let headers = [("X-API-Key", key), ("Content-Type", "application/json")];
    send(app.app_address, "POST", "/v1/tenants", &headers, json!({ "domain": domain }).to_string().as_bytes()).await
}

/// Makes a key with the same token on both servers.
async fn platform_key(app: &App) -> String {
    let author = dialplane::node::changes::Author { name: "test".into(), source: None, within: None };
    let mut change = app.changes.begin(author).await.unwrap();
    let new = dialplane::tenancy::keys::NewKey {
        name: "test".parse().unwrap(),
        tenant_id: None,
        expires_at: None,
        scopes: vec!["*".into()],
        origins: Vec::new(),
    };
    let key = dialplane::tenancy::keys::create(&mut change, new).await.unwrap().token;
    change.commit().await.unwrap();
    key
}

#[actix_web::test]
async fn a_node_takes_the_host_that_takes_changes_and_the_next_one_when_that_is_gone() {
    let (first, second) = (Cluster::start(), Cluster::start());
    let (a, b) = (Database::on(&first).await, Database::on(&second).await);
    let folder = std::env::temp_dir().join(format!("dialplane-hosts-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    let mut wanted = settings(&folder);
    wanted.key_file = Some(key_file());
    // Both servers know the key, as a server and its standby do. Then the first is a standby.
    App::start(&wanted, a.options.clone()).await.unwrap().stop().await;
    first.stand_by();
    let alone = App::start(&wanted, a.options.clone()).await;
    assert!(code(alone).contains("it is a standby, which takes no changes"));
    let app = App::start(&wanted, both(&a, &b)).await.unwrap();
    let key = platform_key(&app).await;
    assert_eq!(make(&app, &key, "on-b.test").await.status, 201);

    second.kill();
    let mut db = a.connect().await;
    sqlx::query("select pg_promote()").execute(&mut db).await.unwrap();
    let ready = || async { send(app.app_address, "GET", "/readyz/people", &[], b"").await.status == 200 };
    until("the node is on the first", ready).await;
    let key = platform_key(&app).await;
    assert_eq!(make(&app, &key, "on-a.test").await.status, 201);
    let domains = sqlx::query_scalar::<_, String>("select domain from tenants").fetch_all(&mut db).await.unwrap();
    assert_eq!(domains, ["on-a.test"]);
    app.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[actix_web::test]
async fn connections_to_a_host_that_takes_no_changes_any_more_are_dropped_and_the_next_host_is_used() {
    let (first, second) = (Cluster::start(), Cluster::start());
    let (a, b) = (Database::on(&first).await, Database::on(&second).await);
    let folder = std::env::temp_dir().join(format!("dialplane-hosts-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    let mut wanted = settings(&folder);
    wanted.key_file = Some(key_file());
    let app = App::start(&wanted, both(&a, &b)).await.unwrap();
    let key = platform_key(&app).await;
    assert_eq!(make(&app, &key, "on-a.test").await.status, 201);

    // The second server has the first one's key, as a replica does.
    let (mut db, mut other) = (a.connect().await, b.connect().await);
    let key = sqlx::query_scalar::<_, Vec<u8>>("select id from sealing_keys").fetch_one(&mut db).await.unwrap();
    let known = sqlx::query("insert into sealing_keys (id, seals_since) values ($1, now())").bind(key);
    known.execute(&mut other).await.unwrap();
    // Connections to the first stay open and can read.
    db.execute("alter system set default_transaction_read_only = on").await.unwrap();
    db.execute("select pg_reload_conf()").await.unwrap();
    let polled = "select count(*) from nodes where polled_at > now() - interval '1 hour'";
    let since = Instant::now();
    while sqlx::query_scalar::<_, i64>(polled).fetch_one(&mut other).await.unwrap() == 0 {
        assert!(since.elapsed() < Duration::from_mins(1), "the node did not go to the next host");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let key = platform_key(&app).await;
    let made = make(&app, &key, "on-b.test").await;
    assert_eq!(made.status, 201, "{}", made.text());
    let domains = sqlx::query_scalar::<_, String>("select domain from tenants").fetch_all(&mut other).await.unwrap();
    assert_eq!(domains, ["on-b.test"]);
    app.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[actix_web::test]
async fn a_second_node_on_the_same_switch_address_starts_only_when_told_to_share_it() {
    let database = Database::new().await;
    let alone = Node::start(&database).await;
    let address = alone.app.switch_address;
    let start = async |address, share| {
        let folder = std::env::temp_dir().join(format!("dialplane-shared-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let mut wanted = settings(&folder);
        wanted.key_file = Some(key_file());
        (wanted.switch_listen, wanted.share_switch_address) = (address, share);
        App::start(&wanted, database.options.clone()).await
    };
    let said = code(start(address, false).await);
    assert!(said.contains("share_switch_address = true"), "{said}");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let first = start(any, true).await.unwrap();
    let said = code(start(first.switch_address, false).await);
    assert!(said.contains("another process listens on the switch address"), "{said}");
    let second = start(first.switch_address, true).await.unwrap();
    assert_eq!(first.switch_address, second.switch_address);
    for app in [first, second, alone.app] {
        app.stop().await;
    }
}
