//! Backup to one file and restore: in place, in another cluster, and by hand.

use std::process::Command;

use dialplane::node::schema::{self, rights};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};

use crate::{
    command_line::CommandLine,
    harness::{Cluster, Database, Node, key_file},
};

/// The test's own cluster, with an empty database that belongs to a user without special rights.
struct Elsewhere {
    cluster: Cluster,
    options: PgConnectOptions,
}

impl Elsewhere {
    async fn new(encoding: &str) -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
        let mut db = PgConnection::connect_with(&cluster.options("postgres")).await.unwrap();
        db.execute("create role app login createrole").await.unwrap();
        let make = format!("create database app owner app encoding '{encoding}' locale 'C' template template0");
        db.execute(AssertSqlSafe(make)).await.unwrap();
        let options = cluster.options("app").username("app");
        Self { cluster, options }
    }

    /// The command line on this database, with another node's key file.
    fn cli(&self, keys_of: &CommandLine) -> CommandLine {
        let mut cli = CommandLine::on(&Database { options: self.options.clone() });
        cli.url = cli.url.replace("dialplane@", "app@");
        std::fs::copy(keys_of.folder.join("secret.key"), cli.folder.join("secret.key")).unwrap();
        cli
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options).await.unwrap()
    }
}

fn doctor(cli: &CommandLine) -> Vec<Value> {
    let output = cli.run(&["doctor", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["checks"].as_array().unwrap().clone()
}

/// What `doctor` says about one thing.
fn says<'a>(checks: &'a [Value], what: &str) -> (bool, &'a str) {
    let check = checks.iter().find(|check| check["what"] == what).unwrap_or_else(|| panic!("{what}: {checks:?}"));
    (check["ok"].as_bool().unwrap(), check["detail"].as_str().unwrap())
}

#[actix_web::test]
async fn a_backup_brings_everything_back_in_another_cluster_under_another_user() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    let made = cli.json(&["extension", "create", "--tenant", "acme.test", "--number", "1000"]);
    let file = cli.folder.join("of-today.backup");
    let file = file.to_str().unwrap();
    let manifest = cli.json(&["backup", file]);
    assert_eq!((&manifest["tables"]["tenants"], &manifest["tables"]["extensions"]), (&json!(1), &json!(1)));
    assert_eq!(manifest["schema"], schema::own_version());
    // The file has secrets of its own.
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let again = cli.refused(&["backup", file]);
    assert!(again.contains("already exists") && again.contains("--yes"), "{again}");
    cli.json(&["backup", "--yes", file]);
    assert!(!cli.folder.join("of-today.partial").exists());
    // What is said is why, and not that the dump lost its reader.
    let nowhere = cli.refused(&["backup", cli.folder.join("none/of-today.backup").to_str().unwrap()]);
    assert!(nowhere.contains("none/of-today") && nowhere.contains("No such file"), "{nowhere}");

    let elsewhere = Elsewhere::new("UTF8").await;
    let there = elsewhere.cli(&cli);
    let restored = there.json(&["restore", file]);
    assert_eq!(restored["migrations"], 0, "{restored}");
    let shown = there.json(&["extension", "list", "--tenant", "acme.test"]);
    assert_eq!(shown[0]["id"], made["id"], "{shown}");
    // Sealed secrets open, work for tenants is possible, and nothing is missing.
    let rendered = there.run(&["render", "--user", "1000@acme.test"]);
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let checks = doctor(&there);
    for what in ["encoding", "migrations", "languages", "role", "policies and grants", "tables", "epoch", "keys"] {
        assert!(says(&checks, what).0, "{checks:?}");
    }
    let mut db = elsewhere.connect().await;
    let epoch: uuid::Uuid = sqlx::query_scalar("select epoch from epoch").fetch_one(&mut db).await.unwrap();
    assert_ne!(Some(epoch.to_string().as_str()), manifest["epoch"].as_str(), "a new line of history");
    assert_eq!(rights::missing(&mut db).await.unwrap(), Vec::<&str>::new());
    // A second restore would replace what is there.
    there.json(&["tenant", "create", "--domain", "later.test"]);
    let refused = there.refused(&["restore", file]);
    assert!(refused.contains("2 tenants") && refused.contains("--yes"), "{refused}");
    assert_eq!(there.json(&["tenant", "list"]).as_array().unwrap().len(), 2, "nothing was changed");
    there.json(&["restore", "--yes", file]);
    assert_eq!(there.json(&["tenant", "list"]).as_array().unwrap().len(), 1);
    db.close().await.unwrap();
}

#[actix_web::test]
async fn a_node_that_runs_while_its_database_is_replaced_serves_what_was_restored() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let cli = CommandLine::on(&database);
    std::fs::copy(key_file(), cli.folder.join("secret.key")).unwrap();
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    let file = cli.folder.join("x.backup");
    cli.json(&["backup", file.to_str().unwrap()]);
    node.extension(tenant, json!({ "number": "2000" })).await;
    let dial = |number: &str| {
        format!(
            "hostname=fs&section=dialplan&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS&Hunt-Context=acme.test&Hunt-Destination-Number={number}"
        )
    };
    assert!(node.fetch(&dial("2000")).await.text().contains("user/2000@acme.test"));
    cli.json(&["restore", "--yes", file.to_str().unwrap()]);
    assert!(!node.fetch(&dial("2000")).await.text().contains("user/2000@acme.test"), "it is not in the backup");
    assert!(node.fetch(&dial("1000")).await.text().contains("user/1000@acme.test"));
    node.stop().await;
}

#[actix_web::test]
async fn a_file_that_is_not_whole_and_a_wrong_place_change_nothing() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    let path = cli.folder.join("x.backup");
    let file = path.to_str().unwrap();
    cli.json(&["backup", file]);
    assert!(cli.run(&["restore", "--check", file]).status.success());
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[2000] ^= 1;
    for (bytes, why) in [
        (&whole[..whole.len() / 2], "or is incomplete"),
        (&damaged, "damaged"),
        (b"PGDMP", "not a backup"),
        (b"", "no manifest"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let refused = cli.refused(&["restore", "--yes", file]);
        assert!(refused.contains(why), "{why}: {refused}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(cli.refused(&["restore", "/nowhere/x.backup"]).contains("/nowhere/x.backup"));
    // A database with foreign tables, and one with another encoding.
    let elsewhere = Elsewhere::new("UTF8").await;
    let there = elsewhere.cli(&cli);
    let mut db = elsewhere.connect().await;
    db.execute("create table invoices (id int)").await.unwrap();
    let refused = there.refused(&["restore", "--yes", file]);
    assert!(refused.contains("invoices") && refused.contains("database of its own"), "{refused}");
    db.execute("drop table invoices").await.unwrap();
    // Without the keys, nobody could read the restored secrets.
    std::fs::write(there.folder.join("secret.key"), "00".repeat(32)).unwrap();
    let refused = there.refused(&["restore", file]);
    assert!(refused.contains("key file"), "{refused}");
    std::fs::remove_file(there.folder.join("secret.key")).unwrap();
    assert!(there.refused(&["restore", file]).contains("key file") && !there.folder.join("secret.key").exists());
    std::fs::copy(cli.folder.join("secret.key"), there.folder.join("secret.key")).unwrap();
    // If the result does not match the manifest, everything is rolled back.
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut db).await.unwrap(), 0);
    let text = String::from_utf8_lossy(&whole);
    let at = text
        .find("\"tenants\": 1")
        .map(|_| whole.windows(12).position(|part| part == b"\"tenants\": 1").unwrap())
        .unwrap();
    let mut counted = whole.clone();
    counted[at + 11] = b'2';
    std::fs::write(&path, &counted).unwrap();
    let refused = there.refused(&["restore", file]);
    assert!(refused.contains("table tenants has 1 rows, and had 2"), "{refused}");
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut db).await.unwrap(), 0);
    db.close().await.unwrap();
    let latin = Elsewhere::new("LATIN1").await;
    let there = latin.cli(&cli);
    std::fs::write(&path, &whole).unwrap();
    assert!(there.refused(&["restore", file]).contains("LATIN1"));
}

#[actix_web::test]
async fn the_doctor_sees_a_dump_that_was_restored_without_the_role() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    let elsewhere = Elsewhere::new("UTF8").await;
    // A restore by hand, with errors that go unnoticed.
    let socket = database.options.get_socket().unwrap().display().to_string();
    let script = cli.folder.join("dump.sql");
    let name = database.options.get_database().unwrap();
    let dump = Command::new("pg_dump").args(["-U", "dialplane", "-h", &socket, "--no-owner", name]).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    std::fs::write(&script, &dump.stdout).unwrap();
    let psql = elsewhere.cluster.client("psql", &["-q", "-U", "app", "-d", "app", "-f", script.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&psql.stderr).contains("role \"dialplane_tenant\" does not exist"));
    let there = elsewhere.cli(&cli);
    let checks = doctor(&there);
    let (ok, said) = says(&checks, "role");
    assert!(!ok && said.contains("create role dialplane_tenant nologin"), "{said}");
    assert!(there.refused(&["migrate"]).contains("dialplane_tenant"));
    // Once the role exists, its policies and grants are still missing.
    let mut db = elsewhere.connect().await;
    rights::make_role(&mut db).await.unwrap();
    let checks = doctor(&there);
    assert!(says(&checks, "role").0, "{checks:?}");
    let (ok, said) = says(&checks, "policies and grants");
    assert!(!ok && said.contains("are missing") && said.contains("dialplane restore"), "{said}");
    // Other faults, one by one.
    db.execute("delete from _sqlx_migrations where version = 3").await.unwrap();
    let checks = doctor(&there);
    let (ok, said) = says(&checks, "migrations");
    assert!(!ok && said.starts_with("3 of "), "{said}");
    db.execute("update _sqlx_migrations set success = false where version = 5").await.unwrap();
    assert!(says(&doctor(&there), "migrations").1.contains("migration 5 began"));
    db.close().await.unwrap();
}

/// `rights.txt` lists the rights that the migrations give. `UPDATE_RIGHTS=1` writes it again.
#[actix_web::test]
async fn the_list_of_rights_is_what_the_migrations_give() {
    let database = Database::new().await;
    let mut db = database.connect().await;
    let there = rights::there(&mut db).await.unwrap().join("\n") + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/node/schema/rights.txt");
    if std::env::var_os("UPDATE_RIGHTS").is_some() {
        std::fs::write(path, &there).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        there,
        "run it once with UPDATE_RIGHTS=1, and look at the difference"
    );
}
