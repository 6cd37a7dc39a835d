//! The database is restored while nodes run: nothing of the lost future is served as fresh, and no change is acknowledged that a
//! node does not serve.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dialplane::{
    app::{retention, settings::Settings},
    node::{
        database::{self, DatabaseError, Incomplete},
        epoch_store,
        schema::{self, SchemaError},
        servers::{DuringRestore, Servers, Session},
    },
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::harness::{Answer, Cluster, Database, Node, call_form, key_file, send};

/// Postgres and two nodes, with a tenant whose state will be lost.
struct Drill {
    cluster: Arc<Cluster>,
    database: Database,
    nodes: [Node; 2],
    tenant: Uuid,
    extensions: [String; 2],
}

/// Does blocking work, such as a restore, while the nodes run.
async fn beside<T: Send + 'static>(cluster: &Arc<Cluster>, work: impl FnOnce(&Cluster) -> T + Send + 'static) -> T {
    let cluster = Arc::clone(cluster);
    tokio::task::spawn_blocking(move || work(&cluster)).await.unwrap()
}

fn done(output: &std::process::Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Drill {
    /// Makes version 1 of everything, known to both nodes.
    async fn begin() -> Self {
        let cluster = Arc::new(tokio::task::spawn_blocking(Cluster::start).await.unwrap());
        let database = Database::on(&cluster).await;
        let nodes = [Node::start(&database).await, Node::start(&database).await];
        let tenant = nodes[0].tenant("acme.test").await;
        let mut extensions = Vec::new();
        for number in ["1000", "1001"] {
            let new = json!({ "number": number, "display_name": "Version 1", "ring_seconds": 11 });
            extensions.push(nodes[0].extension(tenant, new).await["id"].as_str().unwrap().to_owned());
        }
        let extensions = extensions.try_into().unwrap();
        let drill = Self { cluster, database, nodes, tenant, extensions };
        drill.both_serve(1).await;
        drill
    }

    fn name(&self) -> String {
        self.database.options.get_database().unwrap().to_owned()
    }

    async fn dump(&self) {
        let name = self.name();
        beside(&self.cluster, move |cluster| done(&cluster.client("pg_dump", &["-Fc", "-f", "dump", &name]))).await;
    }

    async fn change(&self, node: usize, which: usize, body: Value) -> Answer {
        let path = format!("/v1/tenants/{}/extensions/{}", self.tenant, self.extensions[which]);
        self.nodes[node].api("PATCH", &path, body).await
    }

    async fn set_version(&self, node: usize, version: u64) -> Answer {
        self.change(node, 0, json!({ "display_name": format!("Version {version}"), "ring_seconds": 10 + version }))
            .await
    }

    /// Checks that both nodes now answer a phone and a call with this version.
    async fn both_serve(&self, version: u64) {
        for (n, node) in self.nodes.iter().enumerate() {
            let user = node.invite("1000", "acme.test").await.text();
            assert!(user.contains(&format!("\"Version {version}\"")), "node {n}, not version {version}: {user}");
            let call = node.fetch(&call_form("1000", "acme.test")).await.text();
            assert!(
                call.contains(&format!("call_timeout={}", 10 + version)),
                "node {n}, not version {version}: {call}"
            );
        }
    }

    /// Makes the changes that will be lost: three changes, a tenant, a suspension, each known to both nodes.
    async fn live_a_future(&self) {
        for version in 2..=4 {
            let answer = self.set_version(usize::try_from(version).unwrap() % 2, version).await;
            assert_eq!((answer.status, answer.header("Dialplane-Visible")), (200, Some("2/2")), "{}", answer.text());
            self.both_serve(version).await;
        }
        let lost = self.nodes[0].tenant("lost.test").await;
        self.nodes[0].extension(lost, json!({ "number": "1000" })).await;
        self.nodes[0].extension(self.tenant, json!({ "number": "1009" })).await;
        let answer = self.change(0, 1, json!({ "status": "suspended" })).await;
        assert_eq!(answer.status, 200);
        for node in &self.nodes {
            assert!(node.invite("1000", "lost.test").await.text().contains("<user "));
            assert!(node.invite("1009", "acme.test").await.text().contains("<user "));
            assert!(!node.sign_in("1001", "acme.test").await.text().contains("<user "));
        }
    }

    /// Checks, after a restore to version 1, that the first acknowledged change is in force, and all others too.
    async fn go_on(self) {
        let since = Instant::now();
        let answer = loop {
            let answer = self.set_version(0, 7).await;
            if answer.status == 200 {
                break answer;
            }
            assert!(since.elapsed() < Duration::from_secs(10), "{}", answer.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        println!("acknowledged by {:?}, {:?} after the restore", answer.header("Dialplane-Visible"), since.elapsed());
        // A node that has not caught up yet says so. What it calls fresh is version 7.
        let since = Instant::now();
        for node in &self.nodes {
            loop {
                let fresh = send(node.app.app_address, "GET", "/readyz", &[], b"").await.status == 200;
                if fresh {
                    break;
                }
                assert!(since.elapsed() < Duration::from_secs(5), "not in step");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        self.both_serve(7).await;
        for node in &self.nodes {
            let lost = node.invite("1000", "lost.test").await.text();
            assert!(lost.contains("not found"), "a tenant of the lost future: {lost}");
            assert!(!node.invite("1009", "acme.test").await.text().contains("<user "), "an extension of it");
            assert!(
                node.sign_in("1001", "acme.test").await.text().contains("<user "),
                "its suspension is lost as well"
            );
        }
        for version in 8..=10 {
            let answer = self.set_version(usize::try_from(version).unwrap() % 2, version).await;
            assert_eq!((answer.status, answer.header("Dialplane-Visible")), (200, Some("2/2")), "{}", answer.text());
            self.both_serve(version).await;
        }
        let answer = self.change(1, 1, json!({ "status": "suspended" })).await;
        assert_eq!((answer.status, answer.header("Dialplane-Visible")), (200, Some("2/2")));
        for node in &self.nodes {
            assert!(!node.sign_in("1001", "acme.test").await.text().contains("<user "), "suspended, and it registers");
        }
        let [one, two] = self.nodes;
        one.stop().await;
        two.stop().await;
    }

    async fn epoch(&self) -> Uuid {
        let mut db = self.database.connect().await;
        let epoch = sqlx::query_scalar("select epoch from epoch").fetch_one(&mut db).await.unwrap();
        db.close().await.unwrap();
        epoch
    }
}

#[actix_web::test]
async fn a_dump_restored_into_a_new_database_of_the_same_name() {
    let drill = Drill::begin().await;
    drill.dump().await;
    drill.live_a_future().await;
    let name = drill.name();
    let restore = move |cluster: &Cluster| {
        done(&cluster.client("dropdb", &["--force", &name]));
        done(&cluster.client("createdb", &[&name]));
        done(&cluster.client("pg_restore", &["-d", &name, "dump"]));
    };
    beside(&drill.cluster, restore).await;
    drill.go_on().await;
}

/// Tables are dropped and created one by one while the nodes are connected.
#[actix_web::test]
async fn a_dump_restored_over_the_tables_that_nodes_are_reading() {
    let drill = Drill::begin().await;
    drill.dump().await;
    drill.live_a_future().await;
    let name = drill.name();
    let restore = move |cluster: &Cluster| {
        let restored = cluster.client("pg_restore", &["--clean", "--if-exists", "-d", &name, "dump"]);
        // It tries to drop the keys of a table's months one by one, which Postgres refuses, before it drops the months. Nothing else may
        // go wrong.
        let said = String::from_utf8(restored.stderr).unwrap();
        let mut errors = said.lines().filter(|line| line.contains("ERROR:"));
        let of_months = ["past_", "calls_"].map(|table| format!("cannot drop inherited constraint \"{table}"));
        assert!(errors.all(|line| of_months.iter().any(|known| line.contains(known))), "{said}");
    };
    beside(&drill.cluster, restore).await;
    drill.go_on().await;
}

/// Half-way through a restore, known answers are served as stale, and nothing is "not found".
#[actix_web::test]
async fn a_restore_that_is_half_way_is_not_believed() {
    let drill = Drill::begin().await;
    drill.dump().await;
    drill.live_a_future().await;
    let name = drill.name();
    let half = move |cluster: &Cluster| {
        done(&cluster.client("dropdb", &["--force", &name]));
        done(&cluster.client("createdb", &[&name]));
        for section in ["--section=pre-data", "--section=data"] {
            done(&cluster.client("pg_restore", &[section, "-d", &name, "dump"]));
        }
        name
    };
    let name = beside(&drill.cluster, half).await;
    // Longer than any lease: a node that trusted the half-way state would be fresh by now.
    let since = Instant::now();
    for node in &drill.nodes {
        while send(node.app.app_address, "GET", "/readyz", &[], b"").await.status == 200 {
            assert!(since.elapsed() < Duration::from_secs(3), "fresh from half a database");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    while since.elapsed() < Duration::from_secs(2) {
        for node in &drill.nodes {
            let ready = send(node.app.app_address, "GET", "/readyz", &[], b"").await;
            assert_eq!(ready.status, 503, "{}", ready.text());
            assert_eq!(node.sign_in("4711", "acme.test").await.status, 503, "an unknown user");
            assert_eq!(node.sign_in("1000", "unknown.test").await.status, 503, "an unknown domain");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rest = move |cluster: &Cluster| {
        done(&cluster.client("pg_restore", &["--section=post-data", "-d", &name, "dump"]));
    };
    beside(&drill.cluster, rest).await;
    drill.go_on().await;
}

/// What is in each table of the database; partitions count as tables.
async fn contents(db: &mut PgConnection) -> BTreeMap<String, String> {
    let tables = "select c.relname::text from pg_class c
                   where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *db).await.unwrap();
    let mut found = BTreeMap::new();
    for table in tables {
        let rows = format!("select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from \"{table}\" t");
        found.insert(table, sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut *db).await.unwrap());
    }
    found
}

/// Until a restore is done, tables have no keys: a row that a node put there would make it fail.
#[actix_web::test]
async fn nodes_write_nothing_into_a_database_that_is_being_restored() {
    let drill = Drill::begin().await;
    drill.dump().await;
    let name = drill.name();
    let section = |section: &'static str| {
        let name = name.clone();
        move |cluster: &Cluster| done(&cluster.client("pg_restore", &[section, "-d", &name, "dump"]))
    };
    let empty = name.clone();
    let new = move |cluster: &Cluster| {
        done(&cluster.client("dropdb", &["--force", &empty]));
        done(&cluster.client("createdb", &[&empty]));
    };
    beside(&drill.cluster, new).await;
    for part in ["--section=pre-data", "--section=data"] {
        beside(&drill.cluster, section(part)).await;
        let mut db = drill.database.connect().await;
        let before = contents(&mut db).await;
        assert_eq!(before["tenants"].is_empty(), part == "--section=pre-data");
        // Longer than the pauses of most jobs, while people and switches go on as well.
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(6) {
            let refused = drill.set_version(0, 9).await;
            assert_eq!(refused.status, 503, "{}", refused.text());
            let path = format!("/fs/cdr?uuid={}", Uuid::now_v7());
            let node = &drill.nodes[1];
            let login = format!("Basic {}", STANDARD.encode(format!("{}:{}", node.switch.0, node.switch.1)));
            let headers = [("Authorization", login.as_str()), ("Content-Type", "application/json")];
            let record = send(node.app.switch_address, "POST", &path, &headers, b"{\"variables\":{}}").await;
            assert_eq!(record.status, 503, "{}", record.text());
        }
        // The jobs that pause for longer use the same connections.
        let servers = Servers::from(drill.database.options.clone());
        let pool = servers.pool(1, Session::default(), DuringRestore::HoldsAtOnce);
        let pass = retention::pass(&pool, &Settings::default().retention(), chrono::Utc::now()).await;
        assert!(matches!(pass, Err(sqlx::Error::PoolTimedOut)), "{pass:?}");
        let mut turn = drill.database.connect().await;
        let beyond = retention::Month::of(chrono::Utc::now() + chrono::TimeDelta::days(100));
        let made = retention::make_month(&mut turn, retention::Kept::Calls, beyond).await;
        assert!(matches!(made, Ok(false)), "{made:?}");
        assert_eq!(contents(&mut db).await, before, "after {part}");
        db.close().await.unwrap();
        turn.close().await.unwrap();
    }
    beside(&drill.cluster, section("--section=post-data")).await;
    drill.live_a_future().await;
    let [one, two] = drill.nodes;
    one.stop().await;
    two.stop().await;
}

/// It makes no tables, no keys and no key file, and begins no epoch.
#[actix_web::test]
async fn a_node_that_starts_during_a_restore_waits_for_its_end() {
    let drill = Drill::begin().await;
    drill.dump().await;
    let name = drill.name();
    let [one, two] = drill.nodes;
    one.stop().await;
    two.stop().await;
    let section = |section: &'static str| {
        let name = name.clone();
        move |cluster: &Cluster| done(&cluster.client("pg_restore", &[section, "-d", &name, "dump"]))
    };
    let empty = name.clone();
    let new = move |cluster: &Cluster| {
        done(&cluster.client("dropdb", &["--force", &empty]));
        done(&cluster.client("createdb", &[&empty]));
    };
    beside(&drill.cluster, new).await;
    beside(&drill.cluster, section("--section=pre-data")).await;
    let mut db = drill.database.connect().await;
    let before = contents(&mut db).await;
    let refused = schema::migrate(&drill.database.options, |_| {}).await;
    assert!(matches!(refused, Err(SchemaError::Partial)), "{refused:?}");
    let refused = schema::check(&mut db).await;
    assert!(matches!(refused, Err(SchemaError::Partial)), "{refused:?}");
    assert_eq!(contents(&mut db).await, before);

    beside(&drill.cluster, section("--section=data")).await;
    let before = contents(&mut db).await;
    let servers = Servers::from(drill.database.options.clone());
    let refused = database::open(&servers, &key_file(), Incomplete::Refuse).await;
    assert!(matches!(refused, Err(DatabaseError::NotWhole)));
    let starting = Node::start(&drill.database);
    let mut starting = std::pin::pin!(starting);
    let waited = tokio::time::timeout(Duration::from_secs(2), starting.as_mut()).await;
    assert!(waited.is_err(), "it started on half a database");
    assert_eq!(contents(&mut db).await, before);
    db.close().await.unwrap();
    beside(&drill.cluster, section("--section=post-data")).await;
    let node = starting.await;
    node.extension(drill.tenant, json!({ "number": "1005" })).await;
    assert!(node.invite("1005", "acme.test").await.text().contains("<user "));
    node.stop().await;
}

/// Foreign keys and policies come after the triggers.
#[actix_web::test]
async fn a_database_without_a_foreign_key_or_a_policy_is_incomplete() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut db = database.connect().await;
    assert!(epoch_store::is_whole(&mut db).await.unwrap());
    for (drop, back) in [
        ("alter table extensions drop constraint extensions_tenant_id_fkey", None),
        ("drop policy own_tenant on groups", Some("create policy own_tenant on groups using (true)")),
    ] {
        sqlx::raw_sql(AssertSqlSafe(format!("begin; {drop}"))).execute(&mut db).await.unwrap();
        assert!(!epoch_store::is_whole(&mut db).await.unwrap(), "{drop}");
        if let Some(back) = back {
            sqlx::raw_sql(back).execute(&mut db).await.unwrap();
            assert!(epoch_store::is_whole(&mut db).await.unwrap(), "{back}");
        }
        sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
    }
    node.stop().await;
}

/// The volume goes back in time. The server and all its identifiers are the same.
#[actix_web::test]
async fn a_snapshot_of_the_volume_put_back() {
    let drill = Drill::begin().await;
    let snapshot = |cluster: &Cluster| {
        cluster.kill();
        cluster.copy("data", "snapshot");
        cluster.up();
    };
    beside(&drill.cluster, snapshot).await;
    // After a mere restart of the server, the nodes recover.
    let since = Instant::now();
    let answer = loop {
        let answer = drill.set_version(0, 1).await;
        if answer.status == 200 && answer.header("Dialplane-Visible") == Some("2/2") {
            break answer;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(answer.status, 200);
    let before = drill.epoch().await;
    drill.live_a_future().await;
    assert_eq!(drill.epoch().await, before, "nothing was restored yet");
    let put_back = |cluster: &Cluster| {
        cluster.kill();
        cluster.copy("snapshot", "data");
        cluster.up();
    };
    beside(&drill.cluster, put_back).await;
    drill.go_on().await;
}

#[actix_web::test]
async fn the_operator_says_that_the_database_was_restored() {
    let drill = Drill::begin().await;
    let before = drill.epoch().await;
    let socket = drill.database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
    let url = format!("postgres://dialplane@{socket}/{}", drill.name());
    let run = move |words: &'static [&'static str]| {
        let url = url.clone();
        tokio::task::spawn_blocking(move || {
            let folder = std::env::temp_dir().join(format!("dialplane-cli-{}", Uuid::now_v7().simple()));
            std::fs::create_dir(&folder).unwrap();
            let key = std::env::temp_dir().join("dialplane-test.key");
            let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
            command.args(words).arg("--data-dir").arg(&folder).env("DATABASE_URL", url).env("DIALPLANE_KEY_FILE", key);
            let output = command.output().unwrap();
            std::fs::remove_dir_all(&folder).unwrap();
            output
        })
    };
    // A change by hand without triggers, like a restore of single tables.
    let mut db = drill.database.connect().await;
    let by_hand = "begin; set local session_replication_role = replica; \
                   update extensions set display_name = 'Version 5', ring_seconds = 15 where number = '1000'; commit";
    sqlx::raw_sql(by_hand).execute(&mut db).await.unwrap();
    let restored = run(&["restored", "--json"]).await.unwrap();
    done(&restored);
    let restored: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!(restored["visible"], "2/2", "both nodes have read everything anew");
    assert_ne!(drill.epoch().await, before);
    drill.both_serve(5).await;
    let doctor = String::from_utf8(run(&["doctor"]).await.unwrap().stdout).unwrap();
    assert!(doctor.contains(&format!("ok   epoch: {}", restored["epoch"].as_str().unwrap())), "{doctor}");
    sqlx::raw_sql("drop trigger raise_update on extensions").execute(&mut db).await.unwrap();
    let doctor = String::from_utf8(run(&["doctor"]).await.unwrap().stdout).unwrap();
    assert!(doctor.contains("FAIL epoch: 1 of "), "{doctor}");
    let [one, two] = drill.nodes;
    one.stop().await;
    two.stop().await;
}
