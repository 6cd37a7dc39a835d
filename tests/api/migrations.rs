//! Tables that are older or newer than the program, and migrations during other work.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dialplane::{
    app::{App, StartError},
    node::{
        database::DatabaseError,
        schema::{self, SchemaError, Standing},
    },
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{
    command_line::CommandLine,
    harness::{Database, Node, settings},
};

/// A database without tables.
async fn empty() -> Database {
    let made = Database::new().await;
    let name = format!("empty_{}", uuid::Uuid::now_v7().simple());
    let mut db = PgConnection::connect_with(&made.options.clone().database("postgres")).await.unwrap();
    db.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    Database { options: made.options.database(&name) }
}

/// Records a migration that no program knows.
async fn from_the_future(db: &mut PgConnection, lowest: i64) {
    let migration = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                     values (9001, 'future', true, '', 0) on conflict do nothing";
    db.execute(migration).await.unwrap();
    sqlx::query("update schema_floor set lowest = $1").bind(lowest).execute(db).await.unwrap();
}

#[actix_web::test]
async fn a_command_says_what_to_do_about_tables_that_are_missing_or_old_and_changes_nothing() {
    let database = empty().await;
    let cli = CommandLine::on(&database);
    let mut db = database.connect().await;
    let refused = cli.refused(&["tenant", "list"]);
    assert!(refused.contains("no tables yet: run `dialplane migrate`"), "{refused}");
    let tables = sqlx::query_scalar::<_, i64>("select count(*) from pg_tables where schemaname = 'public'");
    assert_eq!(tables.fetch_one(&mut db).await.unwrap(), 0);
    assert!(!cli.folder.join("secret.key").exists());

    let made = cli.json(&["migrate"]);
    assert_eq!(made["version"], schema::own_version());
    assert!(made["applied"].as_u64().unwrap() > 10);
    assert_eq!(cli.json(&["migrate"])["applied"], 0);
    assert!(cli.run(&["tenant", "list"]).status.success());

    sqlx::query("delete from _sqlx_migrations where version = $1")
        .bind(schema::own_version())
        .execute(&mut db)
        .await
        .unwrap();
    for words in [&["tenant", "list"][..], &["key", "create", "--name", "x"], &["render", "--user", "1@a.test"]] {
        let refused = cli.refused(words);
        assert!(refused.contains("older than this program") && refused.contains("dialplane migrate"), "{refused}");
    }
    let output = cli.run(&["tenant", "list", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&output.stderr).unwrap()["code"], "schema_older");
    let report = cli.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&report.stdout).contains("FAIL tables: the database's tables are older"));
}

#[actix_web::test]
async fn newer_tables_are_used_until_their_floor_says_that_the_program_is_too_old() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["migrate"]);
    let mut db = database.connect().await;
    from_the_future(&mut db, schema::own_version()).await;
    assert_eq!(schema::standing(&mut db).await.unwrap(), Standing::Newer(9001));
    assert!(cli.run(&["tenant", "list"]).status.success());
    let report = cli.run(&["doctor"]);
    let said = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(said.contains("ok   tables: version 9001, newer than this program"), "{said}");

    // An older node starts again, serves and changes.
    let other = Database::new().await;
    from_the_future(&mut other.connect().await, schema::own_version()).await;
    let node = Node::start(&other).await;
    node.tenant("acme.test").await;

    from_the_future(&mut db, 9000).await;
    let refused = cli.refused(&["tenant", "list"]);
    assert!(refused.contains("newer than this program") && refused.contains("Use the newer dialplane"), "{refused}");
    let refused = cli.refused(&["migrate"]);
    assert!(refused.contains("Use the newer dialplane"), "{refused}");
    let started = App::start(&settings(&cli.folder), database.options.clone()).await;
    assert!(matches!(
        started.err(),
        Some(StartError::Database(DatabaseError::Schema(SchemaError::Newer { found: 9001, lowest: 9000, .. })))
    ));
    let lower = db.execute("update schema_floor set lowest = 1").await.unwrap_err();
    assert!(lower.to_string().contains("only rises"), "{lower}");

    // A database that is neither older nor newer, but different.
    db.execute("update _sqlx_migrations set checksum = 'x' where version = 7").await.unwrap();
    let refused = cli.refused(&["tenant", "list"]);
    assert!(refused.contains("migration 7 of this database is not the one"), "{refused}");
}

#[actix_web::test]
async fn processes_that_migrate_at_once_take_turns() {
    let database = empty().await;
    let cli = CommandLine::on(&database);
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(["migrate", "--json", "--data-dir"]).arg(&cli.folder).env("DATABASE_URL", &cli.url);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut applied = 0;
    for child in [start(), start(), start(), start()] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        applied += serde_json::from_slice::<Value>(&output.stdout).unwrap()["applied"].as_u64().unwrap();
    }
    let mut db = database.connect().await;
    let all = sqlx::query_scalar::<_, i64>("select count(*) from _sqlx_migrations").fetch_one(&mut db).await.unwrap();
    assert_eq!(i64::try_from(applied).unwrap(), all);
}

/// Migration 17 changes `clusters`, while a long transaction reads that table.
#[actix_web::test]
async fn a_migration_that_waits_for_a_long_transaction_lets_the_others_pass() {
    let database = empty().await;
    let mut db = database.connect().await;
    sqlx::migrate!().run_to(16, &mut db).await.unwrap();
    let mut long = database.connect().await;
    let mut long = long.begin().await.unwrap();
    long.execute("select * from clusters").await.unwrap();

    let options = database.options.clone();
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let migrating = tokio::spawn(async move {
        let tell = |step: schema::Step<'_>| {
            let _ = told.send(matches!(step, schema::Step::Locked { version: 17 }));
        };
        schema::migrate(&options, tell).await
    });
    while tells.recv().await != Some(true) {}
    // Within three seconds, there is more than one try during these reads.
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        db.execute("select * from clusters").await.unwrap();
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(!migrating.is_finished());
    long.rollback().await.unwrap();
    let after_16 = schema::known_versions().filter(|version| *version > 16).count();
    assert_eq!(migrating.await.unwrap().unwrap(), after_16);
}

#[actix_web::test]
async fn a_missing_key_file_is_not_replaced_by_a_new_one() {
    let database = Database::new().await;
    CommandLine::on(&database).json(&["migrate"]);
    let elsewhere = CommandLine::on(&database);
    let refused = elsewhere.refused(&["tenant", "list"]);
    assert!(refused.contains("secret.key is missing") && refused.contains("copy the file"), "{refused}");
    let started = App::start(&settings(&elsewhere.folder), database.options.clone()).await;
    assert!(matches!(started.err(), Some(StartError::Database(DatabaseError::MissingKey(_)))));
    assert!(!elsewhere.folder.join("secret.key").exists());
}

/// Before migration 27, a tenant's features had no effect.
#[actix_web::test]
async fn what_a_tenant_used_before_features_decided_stays_on() {
    let database = empty().await;
    let mut db = database.connect().await;
    sqlx::migrate!().run_to(26, &mut db).await.unwrap();
    let off = r#"{"voicemail": false, "call_recording": false, "queues": false, "conferences": false}"#;
    let tenants = [
        ("uses-nothing.test", format!(r#"{{"features": {off}}}"#)),
        ("has-all.test", format!(r#"{{"features": {off}}}"#)),
        ("records-calls.test", format!(r#"{{"features": {off}, "routing": {{"record": {{"inbound": true}}}}}}"#)),
        ("only-a-tone.test", r#"{"routing": {"record": {"consent_tone": true}}}"#.to_owned()),
    ];
    for (domain, settings) in &tenants {
        let new = "insert into tenants (id, name, domain, settings) values (gen_random_uuid(), $1, $1, $2::jsonb)";
        sqlx::query(new).bind(domain).bind(settings).execute(&mut db).await.unwrap();
    }
    let of_all = "insert into destinations (tenant_id, id, name, kind, config)
                  select t.id, gen_random_uuid(), k.kind, k.kind, k.config from tenants t,
                         (values ('queue', '{\"record\": true}'::jsonb), ('conference', '{}'), ('mailbox', '{}')) k (kind, config)
                   where t.domain = 'has-all.test'";
    db.execute(of_all).await.unwrap();
    sqlx::migrate!().run(&mut db).await.unwrap();
    for (domain, kept) in [
        ("uses-nothing.test", [false; 4]),
        ("has-all.test", [true; 4]),
        ("records-calls.test", [false, true, false, false]),
    ] {
        let features: serde_json::Value =
            sqlx::query_scalar("select settings -> 'features' from tenants where domain = $1")
                .bind(domain)
                .fetch_one(&mut db)
                .await
                .unwrap();
        let names = ["voicemail", "call_recording", "queues", "conferences"];
        assert_eq!(names.map(|name| features[name] == true), kept, "{domain}: {features}");
    }
    let untouched = "select settings from tenants where domain = 'only-a-tone.test'";
    let untouched: serde_json::Value = sqlx::query_scalar(untouched).fetch_one(&mut db).await.unwrap();
    assert!(untouched.get("features").is_none(), "{untouched}");
}
